"""The JSON lines that payswitch prints of a report that it has taken in."""

import json

IMPORTS = ("DONE", "REFUSED", "REPEATED")


class FindingFault(Exception):
    """A line that is none of the three shapes."""


class Found:
    """A discrepancy."""

    def __init__(self, line):
        self.kind = line["kind"].removeprefix("DISCREPANCY_KIND_")
        self.rrn = line.get("rrn") or None
        self.line = line.get("line") or None
        self.own = line.get("own_minor")
        self.bank = line.get("bank_minor")
        self.rule = line.get("rule") or ""
        self.candidates = line.get("candidates") or []


def read_findings(lines):
    """Each line as ("discrepancy", Found), ("match", (line, rrn, rule)) or ("import", word)."""
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = json.loads(text)
        if not isinstance(line, dict) or not isinstance(line.get("line") or 0, int):
            raise FindingFault(f"line {number}: expected an object whose line is a number, got {text!r}")
        if "import" in line:
            if line["import"] not in IMPORTS:
                expected = ", ".join(IMPORTS)
                got = line["import"]
                raise FindingFault(f"line {number}: import: expected one of {expected}, got {got!r}")
            yield "import", line["import"]
        elif "kind" in line:
            yield "discrepancy", Found(line)
        elif line.get("line") and line.get("rrn"):
            yield "match", (line["line"], line["rrn"], line.get("rule") or "")
        else:
            raise FindingFault(f"line {number}: expected a kind, an import, or a line and an rrn, got {text!r}")
