"""The numbers, and how they are shown."""

from scoring.books import Books, Some
from scoring.expected import MERGED, OF_FILES, SPLIT, is_accounted_for, is_there, is_whole

MATCHED, NOTHING = "matched", "nothing"
CLEAN, ELSEWHERE = "clean", "elsewhere"


def score(file, entries, findings):
    """Compares findings with the errors of a key, as an object that can be printed in JSON."""
    books = Books(file, entries)
    books.take(findings)
    matrix, kinds, missed = {}, {}, Some()
    for error in books.errors:
        used = set()
        for expected in error.expected:
            kind = kinds.setdefault(error.kind, {"expected": 0, "found": 0})
            kind["expected"] += 1
            if is_there(books, error, expected, used):
                kind["found"] += 1
            else:
                missed.add({"kind": error.kind, "note": error.note, **expected})
        for found in error.found:
            if id(found) not in used and not is_accounted_for(error, found):
                books.add_surplus(found, error.kind)
        if error.expected or error.found or error.matches:
            _count(matrix.setdefault(error.kind, {}), _columns(error))
    clean, alone, silent = books.clean_lines()
    clean_row = {MATCHED: alone, **books.clean_found, NOTHING: silent}
    matrix[CLEAN] = {name: number for name, number in clean_row.items() if number}
    if books.elsewhere:
        matrix[ELSEWHERE] = books.elsewhere
    for kind in kinds.values():
        kind["recall"] = kind["found"] / kind["expected"]
    expected = sum(kind["expected"] for kind in kinds.values())
    found = sum(kind["found"] for kind in kinds.values())
    pairs = books.right + books.wrong.count
    # Of a file that is not to be taken in no line is matched.
    is_taken = not any(it["finding"] in OF_FILES for error in books.errors for it in error.expected)
    return {
        "file": file["name"],
        "lines": file["lines"],
        "matrix": matrix,
        "kinds": kinds,
        "expected": expected,
        "found": found,
        "recall": found / expected if expected else 1,
        "pairs": pairs,
        "wrong_pairs": books.wrong.count,
        "precision": books.right / pairs if pairs else 1,
        "clean_lines": clean,
        "clean_matched": alone,
        "share": alone / clean if clean and is_taken else 1,
        "surplus": books.surplus.count,
        "rules": dict(sorted(books.rules.items())),
        "missed": missed.first,
        "wrong": books.wrong.first,
        "surplus_findings": books.surplus.first,
    }


def _columns(error):
    """As what an error was found."""
    columns = [found.kind for found in error.found]
    names = {it["finding"] for it in error.expected}
    if not columns and names & {SPLIT, MERGED} and is_whole(error):
        return sorted(names & {SPLIT, MERGED})
    if not columns:
        return [MATCHED] if error.matches else [NOTHING]
    return columns


def _count(row, columns):
    for column in columns:
        row[column] = row.get(column, 0) + 1


def show(result):
    """The result as text."""
    parts = [_matrix(result["matrix"]), _recall(result)]
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


def _recall(result):
    rows = [["kind", "expected", "found", "recall"]]
    for kind, numbers in result["kinds"].items():
        counts = [str(numbers["expected"]), str(numbers["found"])]
        rows.append([kind, *counts, f"{numbers['recall']:.4f}"])
    return _table(rows)


def _table(rows):
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        first = row[0].ljust(widths[0])
        others = [field.rjust(width) for field, width in zip(row[1:], widths[1:])]
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)
