"""Scores: all is found, something is not, and pairs are wrong."""

import contextlib
import copy
import io
import json
import pathlib
import tempfile
import unittest

import score
import seed_errors
from seeding import key
from tests.clean_report import write_clean_report
from tests.perfect import perfect


def seed(folder, name, *more):
    """Seeds errors: the key's path, what it is about, its errors."""
    answer = folder / f"{name}.jsonl"
    files = ("--in", folder / "clean.csv", "--out", folder / f"{name}.csv", "--key", answer)
    with contextlib.redirect_stderr(io.StringIO()):
        code = seed_errors.main([str(argument) for argument in ("--seed", 7, *files, *more)])
    assert code == 0
    return answer, *key.read(answer)


class Score(unittest.TestCase):
    """The program `score.py`."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        write_clean_report(cls.folder / "clean.csv", 3_000)
        write_clean_report(cls.folder / "before.csv", 300, seed=2, day="2026-11-28", first=100_000)
        late = ("--previous", cls.folder / "before.csv", "--late", cls.folder / "late.csv")
        cls.key, cls.about, cls.errors = seed(cls.folder, "wrong", "--kinds", "all,foreign", *late)
        cls.found = perfect(cls.about, cls.errors)

    def score(self, found, *more, answer=None, form="--json"):
        """The exit code, and the result."""
        path, said = self.folder / "found.jsonl", io.StringIO()
        path.write_text("".join(json.dumps(line) + "\n" for line in found))
        with contextlib.redirect_stdout(said):
            code = score.main(["--key", str(answer or self.key), "--found", str(path), form, *more])
        return code, json.loads(said.getvalue())

    def error(self, kind):
        """The first error of a kind."""
        return next(error for error in self.errors if error["kind"] == kind)

    def without(self, is_it):
        """The findings without some."""
        left = [line for line in self.found if not is_it(line)]
        self.assertLess(len(left), len(self.found))
        return left

    def test_all_is_found(self):
        code, result = self.score(self.found, "--strict")
        self.assertEqual((code, result["recall"], result["precision"], result["share"]), (0, 1, 1, 1), result)
        self.assertEqual((result["missed"], result["wrong"], result["surplus_findings"]), ([], [], []))
        self.assertEqual(result["matrix"]["amount"], {"AMOUNT_DIFFERS": 1})
        self.assertEqual(result["matrix"]["split"], {"MATCHED_SPLIT": 1})
        self.assertEqual(result["matrix"]["merged"], {"MATCHED_MERGED": 1})
        self.assertEqual(result["matrix"]["amount+date"], {"AMOUNT_DIFFERS": 1, "DATE_DIFFERS": 1})
        self.assertEqual(result["matrix"]["clean"], {"matched": result["clean_lines"]})
        self.assertGreater(result["clean_lines"], 2_880)
        late = perfect(self.about, self.errors, "late")
        code, result = self.score(late, "--file", "late", "--strict")
        self.assertEqual((code, result["recall"]), (0, 1))
        self.assertEqual((result["matrix"]["late"], result["matrix"]["clean"]), ({"LATE_PRESENTMENT": 1}, {}))
        self.assertEqual(result["matrix"]["late+amount"], {"LATE_PRESENTMENT": 1, "AMOUNT_DIFFERS": 1})

    def test_each_finding_counts(self):
        for error in self.errors:
            for expected in error["expected"]:
                if expected["file"] != "out" or expected["finding"].startswith("MATCHED"):
                    continue
                of_kind = sum(it["file"] == "out" for it in error["expected"])
                kept = copy.deepcopy(self.found)
                at = next(
                    place
                    for place, line in enumerate(kept)
                    if "kind" in line
                    and (line["line"] == expected["line"])
                    and (line["line"] is not None or line["rrn"] == expected["rrn"])
                    and line["kind"] in (expected["finding"], "UNEXPECTED_LINE", "MISSING_AT_BANK")
                )
                taken = kept.pop(at)
                code, result = self.score(kept)
                numbers = result["kinds"][error["kind"]]
                self.assertEqual((code, result["precision"]), (1, 1), error)
                self.assertEqual((numbers["expected"], numbers["found"]), (of_kind, of_kind - 1), error)
                # As something else it is not found either, but where anything will do.
                other = "STATEMENT_CHAIN_BROKEN"
                code, result = self.score([*kept, taken | {"kind": other}])
                self.assertEqual(result["matrix"][error["kind"]][other], 1)
                is_any = expected["finding"] == "NOT_AUTOMATIC"
                self.assertEqual((code, result["surplus"]), (0, 0) if is_any else (1, 1), error)

    def test_another_place_or_amount_is_another_finding(self):
        line = self.error("amount")["expected"][0]
        for change in ({"bank_minor": line["bank_minor"] + 1}, {"own_minor": 1}, {"line": None, "rrn": None}):
            found = [it | change if it.get("kind") and it["line"] == line["line"] else it for it in self.found]
            code, result = self.score(found)
            self.assertEqual((code, result["kinds"]["amount"]["found"]), (1, 0), change)
        for change in ({"bank_minor": None, "own_minor": None}, {"rrn": None}):
            found = [it | change if it.get("kind") and it["line"] == line["line"] else it for it in self.found]
            self.assertEqual(self.score(found, "--strict")[0], 0, change)
        sign = self.error("sign")["expected"][0]
        turned = {"bank_minor": -sign["bank_minor"]}
        found = [it | turned if it.get("line") == sign["line"] else it for it in self.found]
        self.assertEqual(self.score(found)[0], 1)
        ambiguous = self.error("ambiguous")["expected"][0]
        fewer = {"candidates": ambiguous["candidates"][:1]}
        found = [it | fewer if it.get("line") == ambiguous["line"] else it for it in self.found]
        self.assertEqual(self.score(found)[0], 1)

    def test_each_finding_of_two_on_one_line_counts(self):
        line = self.error("amount+date")["lines"][0]["line"]
        date = [it for it in self.found if it.get("line") == line and it.get("kind") == "DATE_DIFFERS"]
        code, result = self.score(self.without(lambda it: it in date))
        numbers = {"errors": 1, "whole": 0, "expected": 2, "found": 1, "recall": 0.5}
        self.assertEqual((code, result["kinds"]["amount+date"]), (1, numbers))
        self.assertEqual(result["matrix"]["amount+date"], {"AMOUNT_DIFFERS": 1})
        of_name = result["findings"]["DATE_DIFFERS"]
        self.assertEqual(of_name["found"], of_name["expected"] - 1)
        # A third thing, or one of them twice, is too much.
        for more in ({"kind": "SIGN_DIFFERS"}, {}):
            code, result = self.score([*self.found, date[0] | more], "--strict")
            self.assertEqual((code, result["recall"], result["surplus"]), (1, 1, 1))

    def test_an_amount_that_goes_the_other_way_is_another_one(self):
        error = self.error("amount+sign")["expected"][0]
        self.assertLess(error["bank_minor"], 0)
        turned = {"bank_minor": -error["bank_minor"]}
        found = [it | turned if it.get("line") == error["line"] else it for it in self.found]
        code, result = self.score(found)
        self.assertEqual((code, result["kinds"]["amount+sign"]["found"]), (1, 0))

    def test_split_and_merged_may_have_another_error(self):
        for kind, of in (("split+rrn_zeros", "MATCHED_SPLIT"), ("merged+rrn_zeros", "MATCHED_MERGED")):
            line = self.error(kind)["lines"][0]["line"]
            code, result = self.score(self.found)
            self.assertIn(of, result["matrix"][kind])
            # The sum is found, and the RRN is not.
            code, result = self.score(self.without(lambda it, line=line: it.get("line") == line and "kind" in it))
            numbers = result["kinds"][kind]
            self.assertEqual((code, numbers["expected"] - numbers["found"], numbers["whole"]), (1, 1, 0))

    def test_what_each_rule_decides(self):
        line = self.error("amount+date")["lines"][0]["line"]
        twice = self.error("duplicate+amount")["expected"][0]["line"]
        found = [it | {"rule": "once-more"} if it.get("line") == twice else it for it in self.found]
        found.append({"line": line, "rrn": self.error("amount+date")["expected"][0]["rrn"], "rule": "rrn"})
        found.append({"kind": "SIGN_DIFFERS", "line": line, "rule": "rrn"})
        _, result = self.score(found)
        rules = result["rules"]
        nothing = {"lines": 0, "pairs": 0, "discrepancies": 0, "expected": 0, "unmatched": 0}
        self.assertEqual(rules["rrn"], nothing | {"lines": 1, "pairs": 1, "discrepancies": 3, "expected": 2})
        self.assertEqual(rules["once-more"], nothing | {"discrepancies": 1, "expected": 1, "unmatched": 1})
        clean = result["clean_lines"]
        self.assertEqual(rules["as-expected"], nothing | {"lines": clean, "pairs": clean})
        self.assertEqual((rules["MATCHED_SPLIT"]["lines"], rules["MATCHED_SPLIT"]["pairs"]), (6, 6))
        self.assertEqual((rules["MATCHED_MERGED"]["lines"], rules["MATCHED_MERGED"]["pairs"]), (3, 6))
        matched = sum(rule["lines"] for rule in rules.values())
        self.assertEqual(result["unmatched_lines"], result["lines"] - matched)

    def test_items_beside_an_ambiguous_line_may_be_named(self):
        error = self.error("ambiguous")
        more = [{"kind": "MISSING_AT_BANK", "rrn": rrn} for rrn in error["expected"][0]["candidates"]]
        self.assertEqual(self.score([*self.found, *more], "--strict")[0], 0)

    def test_wrong_pairs(self):
        ambiguous, unknown = self.error("ambiguous"), self.error("unknown")
        duplicate, alike = self.error("duplicate"), self.error("look_alike")
        item = ambiguous["expected"][0]["candidates"][0]
        clean = [line for line in self.found if line.get("rule") == "as-expected"]
        twice = [{"line": line, "rrn": duplicate["expected"][0]["rrn"]} for line in duplicate["expected"][0]["lines"]]
        for more, wrong in (
            ([{"line": ambiguous["lines"][0]["line"], "rrn": item}], 1),
            ([{"line": unknown["lines"][0]["line"], "rrn": clean[0]["rrn"]}], 1),
            ([{"line": alike["lines"][0]["line"], "rrn": alike["expected"][1]["rrn"]}], 1),
            (twice[:1], 0),
            (twice, 1),
            (clean[:1], 1),
            ([{"line": 99_999, "rrn": item}], 1),
            ([{"kind": "AMOUNT_DIFFERS", "line": clean[0]["line"], "rrn": clean[1]["rrn"]}], 1),
            ([{"kind": "REFERENCE_DIFFERS", "line": unknown["lines"][0]["line"], "rrn": item}], 1),
        ):
            code, result = self.score([*self.found, *more])
            self.assertEqual((code, result["wrong_pairs"]), (int(wrong > 0), wrong), more)
        crossed = [clean[0] | {"rrn": clean[1]["rrn"]}, clean[1] | {"rrn": clean[0]["rrn"]}]
        code, result = self.score(self.without(lambda line: line in clean[:2]) + crossed)
        self.assertEqual((code, result["wrong_pairs"]), (1, 2))

    def test_split_and_merged_are_all_pairs(self):
        for kind in ("split", "merged"):
            lines = {line["line"] for line in self.error(kind)["lines"]}
            pairs = [line for line in self.found if line.get("line") in lines]
            self.assertEqual(len(pairs), 2)
            for taken in (pairs[:1], pairs):
                code, result = self.score(self.without(lambda line, taken=taken: line in taken))
                self.assertEqual((code, result["kinds"][kind]["found"], result["precision"]), (1, 0, 1))
            code, result = self.score([*self.found, {"kind": "AMOUNT_DIFFERS", "line": min(lines)}])
            self.assertEqual((code, result["kinds"][kind]["found"]), (1, 0))

    def test_clean_lines(self):
        clean = [line for line in self.found if line.get("rule") == "as-expected"]
        few = len(clean) // 1000
        self.assertEqual(self.score(self.without(lambda line: line in clean[:few]))[0], 0)
        code, result = self.score(self.without(lambda line: line in clean[: few + 1]))
        self.assertEqual((code, result["matrix"]["clean"]["nothing"]), (1, few + 1))
        alarm = {"kind": "DATE_DIFFERS", "line": clean[0]["line"], "rrn": clean[0]["rrn"]}
        code, result = self.score([*self.found, alarm])
        self.assertEqual((code, result["clean_lines"] - result["clean_matched"], result["surplus"]), (0, 1, 1))
        self.assertEqual(self.score([*self.found, alarm], "--strict")[0], 1)
        code, result = self.score([*self.found, {"kind": "MISSING_AT_BANK", "rrn": clean[0]["rrn"]}])
        self.assertEqual((result["matrix"]["elsewhere"], result["surplus"]), ({"MISSING_AT_BANK": 1}, 1))

    def test_a_program_that_says_nothing_or_refuses(self):
        for found in ([], [{"import": "REFUSED"}]):
            code, result = self.score(found)
            self.assertEqual((code, result["recall"], result["share"]), (1, 0, 0))
        answer, _, _ = seed(self.folder, "none", "--rate", "0")
        self.assertEqual(self.score([{"import": "REFUSED"}], answer=answer)[0], 1)

    def test_whole_files(self):
        for kind, word in (("wrong_trailer", "REFUSED"), ("no_trailer", "REFUSED"), ("same_file", "REPEATED")):
            answer, _, _ = seed(self.folder, kind, "--kinds", kind)
            self.assertEqual(self.score([{"import": word}], answer=answer)[0], 0)
            for found in ([], [{"import": "DONE"}], [{"import": word}, {"line": 2, "rrn": "1"}]):
                self.assertEqual(self.score(found, answer=answer)[0], 1, found)
        answer, about, errors = seed(self.folder, "truncated", "--kinds", "truncated")
        found = perfect(about, errors)
        self.assertEqual(self.score(found, "--strict", answer=answer)[0], 0)
        self.assertEqual(self.score(found[:1] + found[2:], answer=answer)[0], 1)

    def test_text(self):
        path, said = self.folder / "found.jsonl", io.StringIO()
        path.write_text("".join(json.dumps(line) + "\n" for line in self.found[20:]))
        with contextlib.redirect_stdout(said):
            score.main(["--key", str(self.key), "--found", str(path), "--rules"])
        self.assertIn("\nrecall               0.", said.getvalue())
        self.assertRegex(said.getvalue(), r"\nas-expected +\d{4} +\d{4} +0 +0 +0\n")
        self.assertIn("\nNot found: ", said.getvalue())

    def test_totals_are_a_line(self):
        for found, code, recall in ((self.found, 0, 1), ([], 1, 0)):
            got, result = self.score(found, form="--totals")
            self.assertEqual((got, result["recall"], result["precision"]), (code, recall, 1))
            _, whole = self.score(found)
            self.assertEqual(result, {name: whole[name] for name in result})
        self.assertEqual((result["share"], result["unmatched_lines"]), (0, result["lines"]))

    def test_lines_that_are_no_findings(self):
        path, said = self.folder / "no.jsonl", io.StringIO()
        texts = ('{"line": 1}', '{"import": "MAYBE"}', '{"line": "2", "rrn": "1"}', '{"kind": "A", "line": "2"}')
        for line in ("[", "[]", *texts):
            path.write_text(line)
            with contextlib.redirect_stderr(said):
                self.assertEqual(score.main(["--key", str(self.key), "--found", str(path)]), 2, line)
        with contextlib.redirect_stderr(said):
            self.assertEqual(score.main(["--key", str(path), "--found", str(path)]), 2)


if __name__ == "__main__":
    unittest.main()
