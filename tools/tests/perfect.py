"""What a program prints that finds all errors of a key: made of the key, so that a test can leave something out."""

from tests.clean_report import read_rows

PAIRED = ("kind", "rrn", "line", "own_minor", "bank_minor")


def perfect(about, errors, file="out"):
    """All findings and matches, as objects."""
    rows, _ = read_rows(about["files"][file]["path"])
    lines = [{"import": "DONE"}]
    touched = set()
    for error in errors:
        touched |= {line["line"] for line in error["lines"] if line["file"] == file}
        for expected in error["expected"]:
            if expected["file"] == file:
                lines += _of(error, expected, file)
    for number, row in rows.items():
        if number not in touched:
            lines.append({"line": number, "rrn": row[4], "rule": "as-expected"})
    return lines


def _of(error, expected, file):
    name = expected["finding"]
    if name.startswith("MATCHED"):
        lines = [line for line in error["lines"] if line["file"] == file]
        return [
            {"line": line["line"], "rrn": expected["rrn"], "rule": name}
            for line in lines
            if expected["rrn"] in line["items"]
        ]
    found = {"kind": name} | {key: expected.get(key) for key in PAIRED[1:]}
    if name == "NOT_AUTOMATIC":
        found["kind"] = "MISSING_AT_BANK" if found["line"] is None else "UNEXPECTED_LINE"
        found |= {"rrn": None if found["line"] else found["rrn"], "own_minor": None}
    if "candidates" in expected:
        found["candidates"] = expected["candidates"]
    return [found]
