"""The numbers."""

from scoring.books import Books, Some
from scoring.expected import MERGED, OF_FILES, SPLIT, is_accounted_for, is_matched, is_there

MATCHED, NOTHING = "matched", "nothing"
CLEAN, ELSEWHERE = "clean", "elsewhere"


def score(file, entries, findings):
    """Compares findings with the errors of a key, as an object that can be printed in JSON."""
    books = Books(file, entries)
    books.take(findings)
    matrix, kinds, names, missed, all_used = {}, {}, {}, Some(), set()
    for error in books.errors:
        used, is_whole = set(), True
        kind = kinds.setdefault(error.kind, {"errors": 0, "whole": 0, "expected": 0, "found": 0})
        for expected in error.expected:
            name = names.setdefault(expected["finding"], {"expected": 0, "found": 0})
            is_found = is_there(books, error, expected, used)
            for counts in (kind, name):
                counts["expected"] += 1
                counts["found"] += is_found
            if not is_found:
                is_whole = False
                missed.add({"kind": error.kind, "note": error.note, **expected})
        kind["errors"] += bool(error.expected)
        kind["whole"] += bool(error.expected) and is_whole
        all_used |= used
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
    kinds = {name: kind for name, kind in kinds.items() if kind["expected"]}
    for counts in (*kinds.values(), *names.values()):
        counts["recall"] = counts["found"] / counts["expected"]
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
        "findings": dict(sorted(names.items())),
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
        "unmatched_lines": books.rules.unmatched(),
        "rules": books.rules.decided(all_used),
        "missed": missed.first,
        "wrong": books.wrong.first,
        "surplus_findings": books.surplus.first,
    }


def _columns(error):
    """As what an error was found."""
    columns = [found.kind for found in error.found]
    names = {it["finding"] for it in error.expected}
    if names & {SPLIT, MERGED} and is_matched(error):
        columns += sorted(names & {SPLIT, MERGED})
    if not columns:
        return [MATCHED] if error.matches else [NOTHING]
    return columns


def _count(row, columns):
    for column in columns:
        row[column] = row.get(column, 0) + 1


# What tells one run from another.
TOTALS = (
    "recall precision share expected found pairs wrong_pairs clean_lines clean_matched lines unmatched_lines surplus"
).split()


def totals(result):
    """The numbers of a whole file, to compare runs by."""
    return {name: result[name] for name in ("file", *TOTALS)}
