#!/usr/bin/env python3
"""Scores what payswitch has found in a report with seeded errors against the key that `seed_errors.py` has written.

It prints which kinds of errors were found as what (a confusion matrix), the share of the expected findings that are there
(recall), by kind of error and by the finding's own kind, the share of the pairs of a line and an item that are right
(precision), and the share of the lines without an error that were matched without a person.
"""

import argparse
import json
import sys

from scoring.findings import FindingFault, read_findings
from scoring.result import score, totals
from scoring.shown import show, show_rules
from seeding import key
from seeding.work import LATE, OUT

READS = """\
The findings are JSON lines, in any order, each an object of one of three shapes. A key that is not there counts as null;
others are left out.

  a discrepancy   {"kind": "AMOUNT_DIFFERS", "rrn": "633312000001", "line": 17, "own_minor": 1000, "bank_minor": 1012,
                   "rule": "rrn", "candidates": ["633312000001"]}
  a match         {"line": 18, "rrn": "633312000002", "rule": "as-expected"}
  the file        {"import": "DONE"}, once; or "REFUSED" (nothing of it counts), or "REPEATED" (it was there before)

  kind        the name of a DiscrepancyKind, without DISCREPANCY_KIND_
  rrn         the RRN by which payswitch knows the item, as in a report that is right: for REFERENCE_DIFFERS it is not what
              the line says. Null where there is no item (UNKNOWN_TO_PAYSWITCH), or none for sure (AMBIGUOUS)
  line        the number of the line in the file, from 1, which has the names of the columns. Null where there is no line
              (MISSING_AT_BANK)
  own_minor, bank_minor
              minor units in the books of payswitch and of the bank, above 0 where the money goes the way of the item's kind.
              Compared where they are there, without their signs; but both have the same sign where they should, or not
  rule        the rule that has found it; only --rules and --json need it
  candidates  of AMBIGUOUS: the RRNs of the items that the line may be about

A match is a line that payswitch has paired with an item by itself: one object for each pair, so that an item in two lines, or
two items in one line, are two objects. A line with a discrepancy may have its match too, or not. A discrepancy with a line
and an RRN says that they belong together, as a match does, and is as wrong where they do not (but for AMBIGUOUS).

An expected finding is there when a discrepancy has its kind, its line and RRN where both have them, and its amounts.
MATCHED_SPLIT and MATCHED_MERGED are there when all pairs of the error are matches, and no others. NOT_AUTOMATIC is there
when any discrepancy is about the line or the item. Of an error with several expected findings each counts, and the error is
found whole when all are there.

--rules says of each rule how many lines it has matched, with how many pairs, what was said of these lines, how much of that
the key expects, and how many lines it has not matched but raised (as ambiguous, or once more). It does not say what would be
found without the rule: another one may find the same. For that, let the matcher run without the rule, and compare the
--totals of both runs.

Exit code: 0 when recall and precision are 1 and the share is 0.999 or more; with --strict, also no finding is one that no
error accounts for. 1 otherwise, and 2 when something can't be read.

Examples:
  python3 tools/score.py --key key.jsonl --found found.jsonl
  python3 tools/score.py --key key.jsonl --found late-found.jsonl --file late --json
  python3 tools/score.py --key key.jsonl --found without-arn.jsonl --totals"""


def arguments(given):
    """Reads the arguments of the program."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=READS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--key", required=True, metavar="FILE", help="the key")
    add("--found", required=True, metavar="FILE", help="the findings; - is standard input")
    add("--file", choices=(OUT, LATE), default=OUT, help="which of the files they are of; default out")
    add("--report", metavar="REPORT", help="where that file is, if it is not where the key has it")
    add("--strict", action="store_true", help="fail on findings that no error accounts for, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--totals", action="store_true", help="print the totals only, as a line of JSON")
    form.add_argument("--rules", action="store_true", help="print what each rule decides, after the rest")
    return parser.parse_args(given)


def main(given=None):
    """Runs the program."""
    options = arguments(given)
    try:
        about, errors = key.read(options.key)
        if options.file not in about["files"]:
            raise key.KeyFault(f"{options.key}: expected a file `{options.file}`, got none")
        file = about["files"][options.file] | {"name": options.file}
        file["path"] = options.report or file["path"]
        if options.found == "-":
            result = score(file, errors, read_findings(sys.stdin))
        else:
            with open(options.found, encoding="utf-8") as found:
                result = score(file, errors, read_findings(found))
    except (key.KeyFault, FindingFault, OSError, ValueError) as error:
        print(f"score: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result, indent=2))
    elif options.totals:
        print(json.dumps(totals(result)))
    else:
        print(show(result))
        if options.rules:
            print(f"\n{show_rules(result)}")
    is_right = result["recall"] == 1 and result["precision"] == 1 and result["share"] >= 0.999
    if options.strict:
        is_right = is_right and result["surplus"] == 0
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
