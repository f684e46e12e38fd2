"""How the numbers are printed."""

from scoring.result import MATCHED, NOTHING


def show(result):
    """The result as text."""
    parts = [
        _matrix(result["matrix"]),
        _recall("kind", ["errors", "whole", "expected", "found"], result["kinds"]),
        _recall("finding", ["expected", "found"], result["findings"]),
    ]
    numbers = [
        ("recall", result["recall"], f"{result['found']} of {result['expected']} findings"),
        ("precision", result["precision"], f"{result['wrong_pairs']} of {result['pairs']} pairs are wrong"),
        ("clean lines matched", result["share"], f"{result['clean_matched']} of {result['clean_lines']}"),
    ]
    parts.append("\n".join(f"{name:<20} {number:.6f}  {note}" for name, number, note in numbers))
    for title, name in (
        ("Not found", "missed"),
        ("Wrong pairs", "wrong"),
        ("Findings that no error accounts for", "surplus_findings"),
    ):
        if result[name]:
            of = {"wrong": "wrong_pairs", "surplus_findings": "surplus"}.get(name)
            total = result[of] if of else result["expected"] - result["found"]
            lines = [", ".join(f"{k} {v}" for k, v in it.items() if v is not None) for it in result[name]]
            parts.append("\n  ".join([f"{title}: {total}", *lines]))
    return "\n\n".join(parts)


def _matrix(matrix):
    columns = sorted({column for row in matrix.values() for column in row} - {MATCHED, NOTHING})
    columns = [MATCHED, *columns, NOTHING]
    names = [f"{chr(ord('a') + number)} {name}" for number, name in enumerate(columns)]
    head = ["seeded", *(name[0] for name in names)]
    rows = [[kind, *(str(row.get(column, ".")) for column in columns)] for kind, row in matrix.items()]
    return _table([head, *rows]) + "\n\nfound: " + ", ".join(names)


def _recall(head, columns, of):
    rows = [[head, *columns, "recall"]]
    for name, numbers in of.items():
        rows.append([name, *(str(numbers[column]) for column in columns), f"{numbers['recall']:.4f}"])
    return _table(rows)


def show_rules(result):
    """What each rule has decided, as text."""
    columns = {
        "lines": "lines matched",
        "pairs": "pairs",
        "discrepancies": "discrepancies",
        "expected": "expected ones",
        "unmatched": "lines only raised",
    }
    rows = [["rule", *columns.values()]]
    for rule, numbers in result["rules"].items():
        rows.append([rule, *(str(numbers[column]) for column in columns)])
    unmatched = f"lines not matched: {result['unmatched_lines']} of {result['lines']}"
    return "\n\n".join([_table(rows), unmatched])


def _table(rows):
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        first = row[0].ljust(widths[0])
        others = [field.rjust(width) for field, width in zip(row[1:], widths[1:])]
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)
