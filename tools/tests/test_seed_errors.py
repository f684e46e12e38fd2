"""Reports with seeded errors: the same for a seed, summed up right, and as their key says."""

import collections
import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import seed_errors
from seeding import key
from seeding.compound_kinds import COMPOUND
from seeding.foreign_kinds import FOREIGN
from seeding.kinds import KINDS
from seeding.picker import Picker
from tests.clean_report import HEADER, fees_of, minor_of, read_rows, write_clean_report

RRN, ARN, CODE, CURRENCY, DAY, ACCEPTOR, KIND = 4, 5, 6, 8, 0, 1, 3


def run(*arguments):
    """Runs the program: its exit code and what it says."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            code = seed_errors.main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
    return code, said.getvalue()


class SeedErrors(unittest.TestCase):
    """The program `seed_errors.py`."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.clean = cls.folder / "clean.csv"
        cls.previous = cls.folder / "previous.csv"
        cls.later = cls.folder / "later.csv"
        write_clean_report(cls.clean, 2_000)
        write_clean_report(cls.previous, 500, seed=2, day="2026-11-28", first=100_000)
        write_clean_report(cls.later, 50, seed=3, day="2026-12-02", first=200_000)
        cls.rows, _ = read_rows(cls.clean)
        cls.by_rrn = collections.defaultdict(list)
        for row in cls.rows.values():
            cls.by_rrn[row[RRN]].append(row)

    def seed(self, name, seed=7, *more):
        """Seeds errors: the key, and the rows and end lines of the report."""
        out, answer = self.folder / f"{name}.csv", self.folder / f"{name}.jsonl"
        code, said = run("--seed", seed, "--in", self.clean, "--out", out, "--key", answer, *more)
        self.assertEqual(code, 0, said)
        about, errors = key.read(answer)
        return about, errors, read_rows(out)

    def all_kinds(self, name, seed=7, *more):
        """The same, of all kinds of lines."""
        late = self.folder / f"{name}-late.csv"
        return self.seed(name, seed, "--previous", self.previous, "--late", late, *more)

    def assert_sums(self, rows, ends):
        """The end lines are the sums of the lines."""
        sums = collections.defaultdict(lambda: [0, 0, 0])
        for row in rows.values():
            places = {"JPY": 0, "KWD": 3, "BHD": 3, "OMR": 3, "KRW": 0, "CLP": 0}.get(row[CURRENCY], 2)
            sums[row[CURRENCY]][0] += 1
            for place in (0, 1):
                sums[row[CURRENCY]][1 + place] += round(float(row[9 + place] or 0) * 10**places)
        ended = {}
        if not rows:
            self.assertEqual(ends, [["<END>", "0", "0", "0", "0", "0"]])
        for end in ends if rows else ():
            code = end[6] if len(ends) > 1 else next(iter(sums))
            ended[code] = [int(end[1]), *(int(amount.replace(".", "")) for amount in end[2:4])]
        self.assertEqual(ended, dict(sums))

    def assert_nets(self, rows):
        """Net is gross less fees, but for what is rejected."""
        for number, row in rows.items():
            if row[17]:
                self.assertEqual(row[15:17], ["", ""], number)
                continue
            fees = sum(round(float(fee or 0) * 1000) for fee in row[11:14])
            gross = round((float(row[10] or 0) - float(row[9] or 0)) * 1000)
            net = round((float(row[16] or 0) - float(row[15] or 0)) * 1000)
            self.assertEqual(net, gross - fees, f"line {number}: {row}")

    def test_a_seed_is_a_report(self):
        for more in ((), ("--kinds", "foreign")):
            self.all_kinds("one", 7, *more)
            first = [(self.folder / name).read_bytes() for name in ("one.csv", "one-late.csv")]
            about = key.read(self.folder / "one.jsonl")
            self.all_kinds("one", 7, *more)
            again = [(self.folder / name).read_bytes() for name in ("one.csv", "one-late.csv")]
            self.assertEqual((first, about), (again, key.read(self.folder / "one.jsonl")))
            self.all_kinds("one", 8, *more)
            self.assertNotEqual(first[0], (self.folder / "one.csv").read_bytes())

    def test_every_kind_is_there_and_as_many_as_the_rate_says(self):
        about, errors, _ = self.all_kinds("every")
        kinds = KINDS | COMPOUND
        self.assertEqual({error["kind"] for error in errors}, set(kinds))
        self.assertEqual((about["not_seeded"], len(errors)), ({}, len(kinds)))
        _, errors, _ = self.all_kinds("more", 7, "--rate", "0.05", "--kinds", "single")
        counts = collections.Counter(error["kind"] for error in errors)
        self.assertEqual((sum(counts.values()), set(counts.values())), (100, {4, 5}))
        about, errors, _ = self.seed("foreign", 7, "--kinds", "foreign")
        self.assertEqual({error["kind"] for error in errors}, set(FOREIGN))
        _, errors, (rows, _) = self.all_kinds("none", 7, "--rate", "0")
        self.assertEqual((errors, rows), ([], self.rows))
        self.assertEqual((self.folder / "none.csv").read_bytes(), self.clean.read_bytes())

    def test_sums_are_made_right_again(self):
        for seed in range(5):
            for more in ((), ("--kinds", "foreign", "--rate", "0.03")):
                _, _, (rows, ends) = self.all_kinds("sums", seed, *more)
                self.assert_sums(rows, ends)
                self.assert_nets(rows)
                self.assert_sums(*read_rows(self.folder / "sums-late.csv"))

    def test_what_the_key_does_not_name_is_as_it_was(self):
        for seed in range(5):
            for kinds in ("all", "foreign", "all,foreign"):
                about, errors, (rows, _) = self.all_kinds("rest", seed, "--rate", "0.05", "--kinds", kinds)
                self.assertEqual(about["files"]["out"]["lines"], len(rows))
                touched = [line["line"] for error in errors for line in error["lines"] if line["file"] == "out"]
                self.assertEqual(len(touched), len(set(touched)))
                rest = collections.Counter(tuple(row) for number, row in rows.items() if number not in touched)
                clean = collections.Counter(map(tuple, self.rows.values()))
                self.assertEqual(rest - clean, collections.Counter())
                gone = {row[RRN] for row in (clean - rest)}
                named = {rrn for error in errors for rrn in self.items_of(error)}
                self.assertEqual(gone, named & gone)
                # A line has one error, and of one RRN one line has.
                self.assertEqual(
                    sum(len(self.items_of(error)) for error in errors),
                    len(named),
                )

    @staticmethod
    def items_of(error):
        """The RRNs that an error is about."""
        items = {rrn for line in error["lines"] for rrn in line["items"]}
        found = error["expected"] + error["allowed"]
        return items | {finding["rrn"] for finding in found if finding["rrn"]}

    def test_the_key_says_what_is_in_the_file(self):
        for seed in range(10):
            _, errors, (rows, _) = self.all_kinds("agrees", seed, "--rate", "0.05", "--kinds", "single")
            late, _ = read_rows(self.folder / "agrees-late.csv")
            written = {"out": rows, "late": late}
            for error in errors:
                for expected in error["expected"]:
                    with self.subTest(seed=seed, error=error):
                        self.assert_finding(error, expected, written[expected["file"]])

    def assert_finding(self, error, expected, rows):
        """An expected finding is one that the lines give."""
        name, item, line = expected["finding"], expected["rrn"], expected["line"]
        is_of_fees = name == "FEE_DIFFERS"
        of = fees_of if is_of_fees else lambda row: abs(minor_of(row))
        clean = [row for row in self.by_rrn[item] if of(row) == expected["own_minor"]] if item else [None]
        if is_of_fees:
            # Parts of a capture may have the same fees.
            clean = [it for it in clean if minor_of(it) == minor_of(rows[line])]
        self.assertEqual(len(clean), 1)
        clean, row = clean[0], rows.get(line)
        if name == "MISSING_AT_BANK":
            left = [row for row in rows.values() if row[RRN] == item and row[CODE] == clean[CODE]]
            parts = len(self.by_rrn[item])
            self.assertEqual((row, len(left)), (None, parts - 1))
            return
        amounts = [of(rows[number]) for number in expected["lines"]]
        if name == "MATCHED_SPLIT":
            self.assertEqual((len(amounts), sum(amounts)), (2, expected["own_minor"]))
            self.assertEqual({rows[number][RRN] for number in expected["lines"]}, {item})
            return
        self.assertEqual(amounts[-1], abs(expected["bank_minor"]))
        if name == "MATCHED_MERGED":
            own = [it["own_minor"] for it in error["expected"]]
            self.assertEqual((len(own), sum(own)), (2, expected["bank_minor"]))
        elif name == "UNKNOWN_TO_PAYSWITCH":
            self.assertNotIn(row[RRN], self.by_rrn)
            same = [it for it in self.rows.values() if it[ACCEPTOR] == row[ACCEPTOR] and it[CURRENCY] == row[CURRENCY]]
            self.assertNotIn(minor_of(row), [minor_of(it) for it in same])
        elif name == "AMBIGUOUS":
            self.assertEqual((row[RRN] in self.by_rrn, row[CODE]), (False, ""))
            for candidate in expected["candidates"]:
                (fits,) = self.by_rrn[candidate]
                fields = (ACCEPTOR, KIND, CURRENCY, DAY)
                self.assertEqual([fits[field] for field in fields], [row[field] for field in fields])
                self.assertEqual(minor_of(fits), minor_of(row))
                self.assertNotIn(candidate, [it[RRN] for it in rows.values()])
        else:
            self.assert_difference(error, expected, clean, row, rows)

    def assert_difference(self, error, expected, clean, row, rows):
        """A line differs from the clean one in what its kind says, and in nothing else."""
        differs = {HEADER[place] for place, (ours, theirs) in enumerate(zip(clean, row)) if ours != theirs}
        amounts = {"Gross Debit", "Gross Credit", "Net Debit", "Net Credit"}
        references = {"RRN", "ARN"}
        kinds = {
            "AMOUNT_DIFFERS": amounts,
            "CURRENCY_DIFFERS": {"Gross Currency", "Net Currency"},
            "OUTCOME_DIFFERS": {"Reject Code", "Net Debit", "Net Credit"},
            "DATE_DIFFERS": {"Business Date"},
            "SIGN_DIFFERS": amounts,
            "REFERENCE_DIFFERS": references | {"Approval Code"},
            "LATE_PRESENTMENT": {"Business Date"},
            "DUPLICATE_AT_BANK": set(),
            "FEE_DIFFERS": {"Interchange", "Scheme Fee", "Commission", "Net Debit", "Net Credit"},
        }
        may = set().union(*(kinds[it["finding"]] for it in error["expected"] if it["finding"] in kinds))
        self.assertEqual(differs - may, set())
        name, kind = expected["finding"], error["kind"]
        if name == "DUPLICATE_AT_BANK":
            self.assertEqual(sum(it == row for it in rows.values()), 2)
            self.assertEqual([rows[number] for number in expected["lines"]], [row, row])
        elif name == "SIGN_DIFFERS":
            self.assertEqual(minor_of(row), -minor_of(clean))
        elif name == "FEE_DIFFERS":
            by = fees_of(row) - fees_of(clean)
            self.assertTrue({"fee_more": by == 1, "fee_other": by > 1, "fee_missing": by < 0}[kind], (kind, by))
            self.assertEqual("" in row[11:14], kind == "fee_missing")
        elif name == "LATE_PRESENTMENT":
            self.assertEqual(row[DAY], "2026-12-02")
        elif name == "AMOUNT_DIFFERS":
            by = abs(minor_of(row) - minor_of(clean))
            self.assertTrue(by == 1 if kind == "rounding" else by > 0)
            self.assertFalse(kind == "rounding" and row[CURRENCY] == "EUR")
        elif kind == "rrn_zeros":
            self.assertEqual(int(row[RRN]), int(clean[RRN]))
            self.assertNotEqual(row[RRN], clean[RRN])
        elif kind == "rrn_reused":
            self.assertEqual(differs, {"RRN"})
            (before,) = [it for it in read_rows(self.previous)[0].values() if it[RRN] == row[RRN]][:1]
            self.assertNotIn(row[RRN], self.by_rrn)
            self.assertNotEqual((before[CODE], minor_of(before)), (row[CODE], minor_of(row)))
        elif kind == "approval":
            self.assertEqual(differs, {"Approval Code"})
        else:
            self.assertTrue(differs)

    def test_nothing_that_is_touched_explains_an_amount(self):
        for seed in range(10):
            for more in ((), ("--kinds", "foreign")):
                self.assert_unexplained(self.all_kinds("explains", seed, "--rate", "0.2", *more)[1])

    def assert_unexplained(self, errors):
        """No item of an error has the amount by which the line of another one is too high."""
        touched, raised = collections.defaultdict(set), collections.defaultdict(set)
        for number, error in enumerate(errors):
            for rrn in self.items_of(error):
                for row in self.by_rrn[rrn]:
                    touched[row[ACCEPTOR], row[KIND], row[CURRENCY], abs(minor_of(row))].add(number)
            for expected in error["expected"]:
                if expected["finding"] == "AMOUNT_DIFFERS":
                    (row,) = [it for it in self.by_rrn[expected["rrn"]] if abs(minor_of(it)) == expected["own_minor"]]
                    by = expected["bank_minor"] - expected["own_minor"]
                    raised[row[ACCEPTOR], row[KIND], row[CURRENCY], by].add(number)
        for same, numbers in raised.items():
            self.assertLessEqual(touched.get(same, set()), numbers, same)

    def test_what_is_late_comes_into_the_report_of_its_day(self):
        about, errors, _ = self.all_kinds("into", 7, "--late-into", self.later)
        rows, ends = read_rows(self.folder / "into-late.csv")
        late = [(error["kind"], line) for error in errors for line in error["lines"] if line["file"] == "late"]
        self.assertEqual(about["files"]["late"]["lines"], 50 + len(late))
        of_another = {line["line"] for kind, line in late if kind == "late+date"}
        days = {row[DAY] for number, row in rows.items() if number not in of_another}
        self.assertEqual(days, {"2026-12-02"})
        self.assert_sums(rows, ends)

    def test_whole_files(self):
        about, (error,), (rows, ends) = self.seed("cut", 7, "--kinds", "truncated")
        self.assertEqual(rows, {number: self.rows[number] for number in rows})
        self.assert_sums(rows, ends)
        gone = [row for number, row in self.rows.items() if number not in rows and row[KIND] in ("SALE", "REFUND")]
        self.assertEqual([it["rrn"] for it in error["expected"]], [row[RRN] for row in gone])
        self.assertEqual(about["files"]["out"]["lines"], len(rows))
        about, (error,), (rows, ends) = self.seed("cycle", 7, "--kinds", "cycle_missing")
        self.assert_sums(rows, ends)
        left = {row[RRN] for row in rows.values()}
        gone = [row for row in self.rows.values() if row[RRN] not in left and row[KIND] in ("SALE", "REFUND")]
        self.assertEqual([it["rrn"] for it in error["expected"]], [row[RRN] for row in gone])
        self.assertTrue(500 < len(gone) < 800, len(gone))
        stretch = sorted(row[RRN] for row in gone)
        self.assertFalse([rrn for rrn in left if stretch[0] <= rrn <= stretch[-1]])
        self.assertEqual(about["files"]["out"]["lines"], len(rows))
        _, (error,), (rows, ends) = self.seed("wrong", 7, "--kinds", "wrong_trailer")
        self.assertEqual((rows, error["expected"][0]["finding"]), (self.rows, "FILE_REFUSED"))
        clean_ends = read_rows(self.clean)[1]
        fields = [(ours, theirs) for pair in zip(ends, clean_ends) for ours, theirs in zip(*pair)]
        self.assertEqual(sum(ours != theirs for ours, theirs in fields), 1)
        _, _, (rows, ends) = self.seed("no", 7, "--kinds", "no_trailer")
        self.assertEqual((rows, ends), (self.rows, []))
        _, (error,), _ = self.seed("same", 7, "--kinds", "same_file")
        self.assertEqual(error["expected"][0]["finding"], "FILE_REPEATED")
        self.assertEqual((self.folder / "same.csv").read_bytes(), self.clean.read_bytes())

    def test_other_formats(self):
        """Another separator and line end, amounts in minor units, dates without dashes, no end line, other names."""
        names = ["Tag", "Shop", "Art", "Ref", "Waehrung", "Soll", "Haben"]
        columns = ("business_date", "acceptor", "type", "rrn", "currency", "gross_debit", "gross_credit")
        table = dict(zip(columns, names)) | {"separator": ";", "amount": "minor", "date": "YYYYMMDD"}
        table["type"] = {"column": "Art", "capture": ["K"], "refund": ["G"]}
        form, source = self.folder / "format.json", self.folder / "other.csv"
        form.write_text(json.dumps(table))
        rows = [f"20261129;S{n % 2};{'K' if n % 3 else 'G'};{n:012};EUR;" for n in range(200)]
        sides = [f";{100 + n}" if n % 3 else f"{100 + n};" for n in range(200)]
        lines = [";".join(names), *(row + side for row, side in zip(rows, sides))]
        source.write_bytes("".join(line + "\r\n" for line in lines).encode())
        out, answer = self.folder / "other-out.csv", self.folder / "other.jsonl"
        code, said = run("--seed", 1, "--in", source, "--out", out, "--key", answer, "--format", form)
        self.assertEqual(code, 0, said)
        about, errors = key.read(answer)
        written = out.read_bytes().decode().split("\r\n")
        self.assertEqual((written[0], written[-1]), (lines[0], ""))
        self.assertEqual(about["files"]["out"]["lines"], len(written) - 2)
        for error in errors:
            for expected in error["expected"]:
                if expected["finding"] == "AMOUNT_DIFFERS":
                    fields = written[expected["line"] - 1].split(";")
                    self.assertEqual(int(fields[5] or fields[6]), abs(expected["bank_minor"]))
        stripped = [error["note"] for error in errors if error["kind"] == "rrn_zeros"]
        self.assertRegex(stripped[0], r"^0+(\d+) is \1$")
        self.assertEqual(about["not_seeded"]["rejected"], "it needs reject_code")

    def test_a_profile_is_a_format(self):
        profile = self.folder / "profile.toml"
        keys = pathlib.Path(__file__).parents[2] / "hosts" / "acquirer.toml"
        _, _, table = keys.read_text(encoding="utf-8").partition("# [settlement.report]\n")
        lines = [line.removeprefix("# ") for line in table.split("\n\n")[0].splitlines()]
        profile.write_text("\n".join(["[settlement.report]", *lines]))
        self.seed("default")
        self.seed("profile", 7, "--format", profile)
        self.assertEqual(*((self.folder / f"{name}.csv").read_bytes() for name in ("default", "profile")))

    def test_reports_that_are_not_right_are_refused(self):
        text = self.clean.read_text()
        wrong = self.folder / "not-right.csv"
        for old, new, says in (
            ("<END>,1", "<END>,2", "the end lines"),
            (",RRN,", ",Rrn,", "expected one column 'RRN'"),
            (",SALE,", ",SOLD,", "line 2: expected a kind of line"),
            ("<END>", "<FIN>", "expected a line of 18 fields"),
        ):
            wrong.write_text(text.replace(old, new, 1))
            more = ("--in", wrong, "--out", self.folder / "x.csv", "--key", self.folder / "x.jsonl")
            code, said = run("--seed", 1, *more)
            self.assertEqual(code, 2)
            self.assertIn(says, said)

    def test_few_lines_have_few_errors(self):
        source = self.folder / "few.csv"
        for lines in (0, 1, 5):
            write_clean_report(source, lines)
            out, answer = self.folder / "few-out.csv", self.folder / "few.jsonl"
            for kinds in ("all", "foreign", "truncated", "cycle_missing", "no_trailer"):
                code, said = run("--seed", 1, "--in", source, "--out", out, "--key", answer, "--kinds", kinds)
                self.assertEqual(code, 0, said)

    def test_options_are_checked(self):
        files = ("--in", self.clean, "--out", self.folder / "x.csv", "--key", self.folder / "x.jsonl")
        for more, says in (
            (("--kinds", "amounts"), "expected a kind that --help lists, got 'amounts'"),
            (("--kinds", "truncated,amount"), "expected a kind of file alone"),
            (("--rate", "2"), "expected 0 to 0.5, got 2.0"),
            (("--late", self.clean), "expected a file of its own"),
            (("--late-into", self.later), "expected --late too"),
        ):
            code, said = run("--seed", 1, *files, *more)
            self.assertEqual(code, 2)
            self.assertIn(says, said)


class Picking(unittest.TestCase):
    """The search for lines ends where there are none."""

    def test_no_line_is_wanted(self):
        class Index:
            """Three lines that errors may touch."""

            is_fit = bytearray(b"\x01\x01\x01")
            rrn = group = (1, 2, 3)

            def __len__(self):
                return 3

            @staticmethod
            def amount(place):
                """Another one each."""
                return place + 1

        class Chance:
            """Always the first."""

            @staticmethod
            def randrange(_count):
                return 0

        picker = Picker(Index(), Chance())
        self.assertEqual(picker.one(lambda place: place == 2), 2)
        self.assertIsNone(picker.one(lambda place: False))
        picker.take(0, 1, 2)
        self.assertIsNone(picker.one(lambda place: True))


if __name__ == "__main__":
    unittest.main()
