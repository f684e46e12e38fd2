"""Which line and which item belong to which error, and what was found of each."""

import csv
from array import array

from scoring.rules import Rules

# Findings that do not say that their line and their item belong together.
UNPAIRED = ("AMBIGUOUS", "UNKNOWN_TO_PAYSWITCH", "MISSING_AT_BANK")
# How many wrong pairs and surplus findings are shown.
SHOWN = 20


class Some:
    """How many of something there are, and the first few."""

    def __init__(self):
        self.count = 0
        self.first = []

    def add(self, one):
        """One more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(one)


class Seeded:
    """An error of the key, and what was found of it."""

    def __init__(self, entry, file):
        self.kind = entry["kind"]
        self.note = entry["note"]
        self.expected = [it for it in entry["expected"] if it["file"] == file]
        self.allowed = [it for it in entry["allowed"] if it["file"] == file]
        self.items_of = {it["line"]: it["items"] for it in entry["lines"] if it["file"] == file}
        named = [it["rrn"] for it in (*self.expected, *self.allowed) if it["rrn"]]
        self.items = {rrn for items in self.items_of.values() for rrn in items} | set(named)
        self.found = []
        self.found_of = {}
        # Pairs of line and RRN.
        self.matches = []

    def take(self, found):
        """Books a discrepancy."""
        self.found.append(found)
        self.found_of.setdefault(found.rrn, []).append(found)

    def may_pair(self, line, rrn):
        """Whether a line is about an item."""
        return rrn in self.items_of.get(line, ())


class Books:
    """The errors of a file by line and RRN, and its clean lines."""

    def __init__(self, file, entries):
        self.errors = [Seeded(entry, file["name"]) for entry in entries]
        self.by_line = {line: error for error in self.errors for line in error.items_of}
        self.by_rrn = {rrn: error for error in self.errors for rrn in error.items}
        # The RRN of each line, from the second on.
        self.rrns = []
        end = file["lines"]
        with open(file["path"], encoding="utf-8", errors="surrogateescape", newline="") as report:
            rows = csv.reader(report, delimiter=file["separator"])
            next(rows, None)
            for row in rows:
                if len(self.rrns) == end:
                    break
                self.rrns.append(row[file["rrn_column"]])
        if len(self.rrns) != end:
            raise ValueError(f"{file['path']}: expected {end} lines, got {len(self.rrns)}")
        self.matched = array("B", bytes(end))
        self.flagged = array("B", bytes(end))
        self.clean_found = {}
        self.elsewhere = {}
        self.rules = Rules(end)
        self.right = 0
        self.wrong = Some()
        self.surplus = Some()
        self.word = None

    def take(self, findings):
        """Books all findings."""
        for shape, found in findings:
            if shape == "match":
                self._match(*found)
            elif shape == "discrepancy":
                self._discrepancy(found)
            else:
                self.word = found
        for error in self.errors:
            self._judge_pairs(error)

    def clean_lines(self):
        """How many lines have no error; how many of them were matched and nothing else; how many nothing was said of."""
        clean = alone = silent = 0
        for place, (matched, flagged) in enumerate(zip(self.matched, self.flagged)):
            if place + 2 in self.by_line:
                continue
            clean += 1
            alone += matched > 0 and not flagged
            silent += not matched and not flagged
        return clean, alone, silent

    def _match(self, line, rrn, rule):
        self.rules.match(line, rule)
        if line in self.by_line:
            self.by_line[line].matches.append((line, rrn))
            return
        place = line - 2
        is_right = 0 <= place < len(self.rrns) and self.rrns[place] == rrn and not self.matched[place]
        self._pair(is_right, line, rrn, "" if 0 <= place < len(self.rrns) else "no such line")
        if 0 <= place < len(self.rrns):
            self.matched[place] = 1

    def _discrepancy(self, found):
        self.rules.say(found)
        place = None if found.line is None else found.line - 2
        is_line = place is not None and 0 <= place < len(self.rrns)
        error = self.by_line.get(found.line) if is_line else self.by_rrn.get(found.rrn)
        is_pair = found.line and found.rrn and found.kind not in UNPAIRED
        if error is not None:
            error.take(found)
            if is_pair:
                self._pair(error.may_pair(found.line, found.rrn), found.line, found.rrn, found.kind)
            return
        counts = self.clean_found if is_line else self.elsewhere
        counts[found.kind] = counts.get(found.kind, 0) + 1
        self.add_surplus(found, "clean" if is_line else "elsewhere")
        if is_line:
            self.flagged[place] = 1
            if is_pair:
                self._pair(self.rrns[place] == found.rrn, found.line, found.rrn, found.kind)

    def _judge_pairs(self, error):
        """A line of an error may be matched with its item; an item only with one line, unless it came in several."""
        lines_of = {}
        is_split = any(it["finding"] == "MATCHED_SPLIT" for it in error.expected)
        for line, rrn in error.matches:
            before = lines_of.setdefault(rrn, set())
            is_once = line not in before and (is_split or not before)
            before.add(line)
            self._pair(error.may_pair(line, rrn) and is_once, line, rrn, error.kind)

    def _pair(self, is_right, line, rrn, note):
        if is_right:
            self.right += 1
        else:
            self.wrong.add({"line": line, "rrn": rrn, "note": note})

    def add_surplus(self, found, row):
        """Books a finding that no error accounts for."""
        self.surplus.add({"row": row, "kind": found.kind, "rrn": found.rrn, "line": found.line})
