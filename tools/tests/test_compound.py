"""Two errors at once: the lines have both and nothing else, and the key has what is said of them."""

import collections
import pathlib
import tempfile
import unittest

from seeding import key
from seeding.compound_kinds import COMPOUND
from tests.clean_report import HEADER, fees_of, minor_of, read_rows, write_clean_report
from tests.test_seed_errors import run

RRN, CODE, CURRENCY, DAY, REJECT = 4, 6, 8, 0, 17
# The columns that a single error changes; of the amounts, some.
COLUMNS = {
    "amount": {"Gross Debit", "Gross Credit", "Net Debit", "Net Credit"},
    "sign": {"Gross Debit", "Gross Credit", "Net Debit", "Net Credit"},
    "currency": {"Gross Currency", "Net Currency"},
    "rejected": {"Reject Code", "Net Debit", "Net Credit"},
    "date": {"Business Date"},
    "late": {"Business Date"},
    "rrn_zeros": {"RRN"},
    "rrn_other": {"RRN", "ARN"},
    "rrn_reused": {"RRN"},
    "approval": {"Approval Code"},
    "duplicate": set(),
    "fee_more": {"Interchange", "Scheme Fee", "Commission", "Net Debit", "Net Credit"},
    "fee_other": {"Interchange", "Scheme Fee", "Commission", "Net Debit", "Net Credit"},
    "fee_missing": {"Interchange", "Scheme Fee", "Commission", "Net Debit", "Net Credit"},
}
# What is expected of each kind, sorted, without the rest of the names.
SAID = {
    "amount+date": "AMOUNT DATE",
    "sign+date": "DATE SIGN",
    "currency+date": "CURRENCY DATE",
    "rejected+date": "DATE OUTCOME",
    "amount+rrn_zeros": "AMOUNT REFERENCE",
    "sign+rrn_zeros": "REFERENCE SIGN",
    "currency+rrn_zeros": "CURRENCY REFERENCE",
    "rejected+rrn_zeros": "OUTCOME REFERENCE",
    "date+rrn_zeros": "DATE REFERENCE",
    "amount+rrn_other": "AMOUNT REFERENCE",
    "sign+rrn_other": "REFERENCE SIGN",
    "rejected+rrn_other": "OUTCOME REFERENCE",
    "date+rrn_other": "DATE REFERENCE",
    "amount+rrn_reused": "AMOUNT REFERENCE",
    "date+rrn_reused": "DATE REFERENCE",
    "date+approval": "DATE REFERENCE",
    "rejected+approval": "OUTCOME REFERENCE",
    "amount+date+rrn_zeros": "AMOUNT DATE REFERENCE",
    "amount+fee_other": "AMOUNT FEE",
    "sign+fee_other": "FEE SIGN",
    "fee_more+date": "DATE FEE",
    "fee_other+rrn_zeros": "FEE REFERENCE",
    "fee_missing+rrn_other": "FEE REFERENCE",
    "fee_more+approval": "FEE REFERENCE",
    "amount+fee_other+date": "AMOUNT DATE FEE",
    "currency+fee_more": "CURRENCY",
    "fee_missing+rejected": "OUTCOME",
    "duplicate+fee_more": "DUPLICATE",
    "late+fee_more": "FEE LATE MISSING",
    "split+fee": "FEE MATCHED",
    "merged+fee": "FEE MATCHED MATCHED",
    "amount+sign": "AMOUNT",
    "amount+currency": "CURRENCY",
    "amount+rejected": "OUTCOME",
    "rrn_zeros+approval": "REFERENCE",
    "amount+approval": "MISSING UNKNOWN",
    "sign+approval": "MISSING UNKNOWN",
    "currency+approval": "MISSING UNKNOWN",
    "currency+rrn_other": "MISSING UNKNOWN",
    "duplicate+amount": "DUPLICATE",
    "duplicate+date": "DUPLICATE",
    "duplicate+sign": "DUPLICATE",
    "duplicate+approval": "UNKNOWN",
    "duplicate+rrn_zeros": "DUPLICATE",
    "late+amount": "AMOUNT LATE MISSING",
    "late+sign": "LATE MISSING SIGN",
    "late+currency": "CURRENCY LATE MISSING",
    "late+rrn_zeros": "LATE MISSING REFERENCE",
    "late+date": "DATE LATE MISSING",
    "late+duplicate": "DUPLICATE LATE MISSING",
    "duplicate+late": "DUPLICATE",
    "split+date": "AMBIGUOUS AMBIGUOUS MISSING",
    "merged+date": "AMOUNT DATE MISSING",
    "split+rrn_zeros": "MATCHED REFERENCE REFERENCE",
    "merged+rrn_zeros": "MATCHED MATCHED REFERENCE",
    "raised+date": "AMOUNT DATE",
}


class Compound(unittest.TestCase):
    """The kinds of two errors at once."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        before = cls.folder / "before.csv"
        write_clean_report(cls.folder / "clean.csv", 3_000)
        write_clean_report(before, 500, seed=2, day="2026-11-28", first=100_000)
        cls.before = {row[RRN] for row in read_rows(before)[0].values()}
        clean, _ = read_rows(cls.folder / "clean.csv")
        cls.of_rrn = collections.defaultdict(list)
        for row in clean.values():
            cls.of_rrn[row[RRN]].append(row)
        cls.runs = [cls.seed(seed) for seed in range(3)]

    @classmethod
    def seed(cls, number):
        """The errors of a run, and the rows of both files."""
        names = ("clean.csv", "wrong.csv", "key.jsonl", "late.csv", "before.csv")
        source, out, answer, late, before = (cls.folder / name for name in names)
        files = ("--in", source, "--out", out, "--key", answer, "--late", late, "--previous", before)
        code, said = run("--seed", number, "--rate", "0.05", "--kinds", "compound", *files)
        assert code == 0, said
        about, errors = key.read(answer)
        assert not about["not_seeded"], about
        return errors, {"out": read_rows(out)[0], "late": read_rows(late)[0]}

    def each(self):
        """Each error with its lines: number, file, row and the clean row."""
        for errors, rows in self.runs:
            for error in errors:
                lines = []
                for line in error["lines"]:
                    clean = self.of_rrn[line["items"][0]][0]
                    lines.append((line, rows[line["file"]][line["line"]], clean))
                yield error, lines

    def test_all_kinds_are_told(self):
        self.assertEqual(SAID.keys(), COMPOUND.keys())
        for errors, _ in self.runs:
            self.assertEqual({error["kind"] for error in errors}, set(SAID))
            for error in errors:
                names = sorted(it["finding"].split("_")[0] for it in error["expected"])
                self.assertEqual(" ".join(names), SAID[error["kind"]], error)

    def test_a_line_has_both_errors_and_nothing_else(self):
        for error, lines in self.each():
            parts = error["kind"].split("+")
            if parts[0] in ("split", "merged", "raised"):
                continue
            # Of a duplicate, the first line is as it was.
            line, row, clean = lines[-1]
            if parts[0] == "duplicate":
                self.assertEqual(lines[0][1], lines[0][2], error)
            differs = {HEADER[place] for place, (ours, theirs) in enumerate(zip(clean, row)) if ours != theirs}
            with self.subTest(error=error):
                self.assertLessEqual(differs, set().union(*(COLUMNS[part] for part in parts)))
                for part in parts:
                    self.assert_part(part, row, clean, parts, line)

    def assert_part(self, part, row, clean, parts, line):
        """A row has an error."""
        if part == "amount":
            self.assertNotEqual(abs(minor_of(row)), abs(minor_of(clean)))
            self.assertEqual(minor_of(row) * minor_of(clean) < 0, "sign" in parts)
        elif part == "sign":
            self.assertEqual(minor_of(row) > 0, minor_of(clean) < 0)
        elif part == "currency":
            self.assertNotEqual(row[CURRENCY], clean[CURRENCY])
        elif part == "rejected":
            self.assertEqual((bool(row[REJECT]), row[15:17]), (True, ["", ""]))
        elif part == "date" and "late" in parts:
            self.assertNotIn(row[DAY], (clean[DAY], "2026-12-02"))
        elif part == "date":
            self.assertNotEqual(row[DAY], clean[DAY])
        elif part == "late":
            self.assertEqual((line["file"], row[DAY] == "2026-12-02"), ("late", "date" not in parts))
        elif part == "rrn_zeros":
            self.assertEqual((int(row[RRN]), row[RRN] == clean[RRN]), (int(clean[RRN]), False))
        elif part == "rrn_other":
            self.assertNotIn(row[RRN], self.of_rrn.keys() | self.before)
        elif part == "rrn_reused":
            self.assertIn(row[RRN], self.before)
        elif part == "approval":
            self.assertNotEqual(row[CODE], clean[CODE])
        elif part.startswith("fee"):
            self.assertEqual("" in row[11:14], part == "fee_missing")
            self.assertNotEqual(row[11:14], clean[11:14])

    def test_findings_have_what_the_lines_have(self):
        for error, lines in self.each():
            rows = {(line["file"], line["line"]): row for line, row, _ in lines}
            for expected in error["expected"]:
                with self.subTest(error=error, expected=expected):
                    if expected["finding"] == "FEE_DIFFERS":
                        items = error["lines"][0]["items"]
                        own = sum(fees_of(self.of_rrn[rrn][0]) for rrn in items)
                        kept = sum(fees_of(rows[expected["file"], number]) for number in expected["lines"])
                        self.assertEqual((expected["own_minor"], expected["bank_minor"]), (own, kept))
                        continue
                    if expected["rrn"]:
                        own = {abs(minor_of(row)) for row in self.of_rrn[expected["rrn"]]}
                        self.assertIn(expected["own_minor"], own)
                    if expected["finding"] == "MISSING_AT_BANK":
                        self.assertIsNone(expected["line"])
                        continue
                    amounts = [minor_of(rows[expected["file"], number]) for number in expected["lines"]]
                    bank = sum(amounts) if expected["finding"] == "MATCHED_SPLIT" else amounts[-1]
                    self.assertEqual(abs(bank), abs(expected["bank_minor"]))

    def test_several_lines_and_several_items(self):
        for error, lines in self.each():
            first = error["kind"].split("+")[0]
            sums = [sum(minor_of(row) for _, row, _ in lines)]
            items = [rrn for line in error["lines"][:1] for rrn in line["items"]]
            if first == "split":
                self.assertEqual((len(lines), sums), (2, [minor_of(lines[0][2])]), error)
                self.assertEqual(len({(row[RRN], row[DAY]) for _, row, _ in lines}), 1)
            elif first == "merged":
                self.assertEqual(sums, [sum(minor_of(self.of_rrn[rrn][0]) for rrn in items)], error)
                self.assertEqual((len(lines), len(items)), (1, 2))
            elif first == "raised":
                (_, raised, clean), (_, other, its) = lines
                self.assertEqual(minor_of(raised), minor_of(clean) + minor_of(other))
                self.assertNotEqual(other[DAY], its[DAY])
            if first in ("split", "merged") and error["kind"].endswith("date"):
                self.assertNotEqual(lines[0][1][DAY], lines[0][2][DAY])
            elif first in ("split", "merged") and error["kind"].endswith("rrn_zeros"):
                for _, row, clean in lines:
                    self.assert_part("rrn_zeros", row, clean, [], None)


if __name__ == "__main__":
    unittest.main()
