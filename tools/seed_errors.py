#!/usr/bin/env python3
"""Writes a bank's settlement report with seeded errors, and the key that says what they are.

It takes a report that is right, such as bank-sim writes of its own books, alters a share of its lines, and makes the sums at
its end right again: a bank that errs sums up what it sends. `score.py` compares the key with what payswitch has found.
"""

import argparse
import datetime
import pathlib
import random
import sys
import textwrap

from seeding import file_kinds, key
from seeding.compound_kinds import COMPOUND
from seeding.foreign_kinds import FOREIGN
from seeding.format import Format, FormatFault
from seeding.index import Index
from seeding.kinds import KINDS
from seeding.picker import Picker
from seeding.report import Report, Totals, open_report
from seeding.work import LATE, OUT, Error, Work

# What `--kinds` may say instead of the kinds themselves.
GROUPS = {
    "all": KINDS | COMPOUND,
    "single": KINDS,
    "compound": COMPOUND,
    "foreign": FOREIGN,
}
LINE_KINDS = KINDS | COMPOUND | FOREIGN
# How many lines of the day before are kept of each acceptor.
PREVIOUS = 500
# A kind that turns out not to fit the lines that it got may try so often.
ROUNDS = 4


def listed(group, kinds):
    """A group and its kinds, for the help."""
    wide = {"width": 120, "subsequent_indent": " " * 12, "break_on_hyphens": False}
    return textwrap.fill(f"  {group:<10}" + ", ".join(kinds), **wide)


def arguments(given):
    """Reads the arguments of the program."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"""\
kinds of lines, in groups; `all` is single and compound:
{listed("single", KINDS)}
{listed("compound", COMPOUND)}
{listed("foreign", FOREIGN)}
kinds of files, one a run:
{listed("", file_kinds.FILE_KINDS)}

The key has an object of what it is about, and one for each error: {{"kind", "note", "lines": [{{"file", "line", "items"}}],
"expected": [{{"finding", "file", "rrn", "line", "own_minor", "bank_minor"}}], "allowed": [likewise]}}. A line is that of the
written file, from 1; `items` are the RRNs, as in the clean report, of what the line truly is about. Amounts are above 0
where the money goes the way of the line's kind. `allowed` may be found beside what is expected.

Examples:
  bank-sim report acquirer --date 2026-11-29 --out clean.csv
  python3 tools/seed_errors.py --seed 7 --in clean.csv --out wrong.csv --key key.jsonl \\
      --previous clean-2026-11-28.csv --late late.csv
  python3 tools/seed_errors.py --seed 7 --kinds foreign --in clean.csv --out wrong.csv --key key.jsonl
  python3 tools/seed_errors.py --seed 7 --kinds truncated --in clean.csv --out wrong.csv --key key.jsonl""",
    )
    add = parser.add_argument
    add("--seed", type=int, required=True, help="the same seed and report give the same errors")
    add("--rate", type=float, default=0.01, help="errors for each line, 0 to 0.5; default 0.01")
    add("--kinds", default="all", help="kinds or groups with commas; default all")
    add("--in", dest="source", required=True, metavar="REPORT", help="the report that is right")
    add("--out", required=True, metavar="REPORT", help="the report to write")
    add("--key", required=True, metavar="FILE", help="the key to write, in JSON lines")
    add("--previous", metavar="REPORT", help="the right report of the day before, for those with rrn_reused")
    add("--late", metavar="REPORT", help="the report to write of what comes later, for those with late")
    add("--late-days", type=int, default=3, metavar="N", help="how much later; default 3")
    add("--late-into", metavar="REPORT", help="the right report of that day, which --late then has too")
    add("--format", metavar="FILE", help="a profile with [settlement.report]; default bank-sim's")
    options = parser.parse_args(given)
    if not 0 <= options.rate <= 0.5:
        parser.error(f"--rate: expected 0 to 0.5, got {options.rate}")
    if options.late_into and not options.late:
        parser.error("--late-into: expected --late too")
    read = [path for path in (options.source, options.previous, options.late_into) if path]
    written = [path for path in (options.out, options.key, options.late) if path]
    paths = [pathlib.Path(path).resolve() for path in (*read, *written)]
    if len(set(paths)) < len(paths):
        parser.error("expected a file of its own for each option")
    try:
        options.kinds = chosen_kinds(options.kinds)
    except ValueError as error:
        parser.error(f"--kinds: {error}")
    return options


def chosen_kinds(words):
    """The kinds of lines that words name, or the one kind of file."""
    names = []
    for word in words.split(","):
        word = word.strip()
        if word in GROUPS:
            names += GROUPS[word]
        elif word in LINE_KINDS or word in file_kinds.FILE_KINDS:
            names.append(word)
        else:
            raise ValueError(f"expected a kind that --help lists, got {word!r}")
    names = list(dict.fromkeys(names))
    if len(names) > 1 and not file_kinds.FILE_KINDS.keys().isdisjoint(names):
        raise ValueError("expected a kind of file alone")
    return names


def previous_lines(path, form, index, seed):
    """Some lines of the day before, by acceptor: RRN, approval code and amount. No RRN is that of a line of today."""
    if path is None:
        return {}
    report, kept, seen = Report(path, form), {}, {}
    rng, layout = random.Random(f"previous {seed}"), report.layout
    for row in report.checked_rows():
        acceptor, rrn = layout.get(row, "acceptor"), layout.get(row, "rrn")
        lines = kept.setdefault(acceptor, [])
        seen[acceptor] = seen.get(acceptor, 0) + 1
        place = len(lines) if len(lines) < PREVIOUS else rng.randrange(seen[acceptor])
        if place >= PREVIOUS or not rrn or index.has_rrn(rrn):
            continue
        line = (rrn, layout.get(row, "approval_code"), abs(layout.gross(row)))
        lines[place : place + 1] = [line]
    return kept


class Seeding:
    """The errors of one run."""

    def __init__(self, report, index, options):
        self.report, self.index, self.options = report, index, options
        rng = random.Random(options.seed)
        self.picker = Picker(index, rng)
        self.into = Report(options.late_into, report.form) if options.late_into else None
        previous = previous_lines(options.previous, report.form, index, options.seed)
        self.work = Work(self.picker, previous, self._late_day())
        self.errors = []
        self.not_seeded = {}

    def _late_day(self):
        if self.into is not None:
            first = next(self.into.rows(), None)
            if first is not None:
                return self.into.layout.day(first)
        today = self.index.day
        return today and today + datetime.timedelta(days=self.options.late_days)

    def seed(self):
        """Picks the lines of all errors, and then alters them."""
        kinds = self._kinds()
        count = max(round(self.options.rate * len(self.index)), len(kinds))
        order = self.picker.rng.sample(kinds, len(kinds)) if self.options.rate > 0 else []
        wanted = {}
        for number in range(count if order else 0):
            name = order[number % len(order)]
            wanted[name] = wanted.get(name, 0) + 1
        failed = self._alter(self._pick(wanted))
        for _ in range(ROUNDS):
            # Such a kind leaves no item without a line, so that what was altered before stays as it is.
            failed = self._alter(self._pick(failed)) if failed else {}
        seeded = {error.kind for error in self.errors}
        for name in kinds:
            if name not in seeded:
                self.not_seeded[name] = "no lines are left that fit"

    def _kinds(self):
        """The kinds that this report and these options can have."""
        has = {"previous": self.options.previous, "late": self.options.late}
        kinds = []
        for name in self.options.kinds:
            needs = LINE_KINDS[name].needs
            lacks = [need for need in needs if not has.get(need, need in self.report.layout.place)]
            if lacks:
                self.not_seeded[name] = f"it needs {lacks[0]}"
            else:
                kinds.append(name)
        return kinds

    def _pick(self, wanted):
        """Places for so many errors of each kind, in turn, until half of the lines are touched."""
        picked, left = [], dict(wanted)
        while left:
            for name in list(left):
                is_full = 2 * len(self.picker.used) >= len(self.index)
                places = None if is_full else LINE_KINDS[name].pick(self.picker)
                if places is not None:
                    picked.append(Error(name, places))
                left[name] -= 1
                if left[name] == 0 or places is None:
                    del left[name]
        return picked

    def _alter(self, picked):
        """Alters what was picked; how many errors of which kinds did not fit."""
        work, rows = self.work, self.work.rows
        touched = {place for error in picked for place in error.places}
        for place, row in enumerate(self.report.rows() if touched else ()):
            if place in touched:
                rows[place] = list(row)
        failed = {}
        for error in picked:
            work.error = error
            if LINE_KINDS[error.kind].alter(work, *error.places) is False:
                failed[error.kind] = failed.get(error.kind, 0) + 1
            else:
                self.errors.append(error)
        return failed

    def write(self):
        """Writes the report, that of what comes later, and the key."""
        work, layout, options = self.work, self.report.layout, self.options
        for place in work.instead:
            self.index.totals.add(layout, work.rows[place], -1)
        book = (len(self.index), self.index.totals)
        lines = _write(options.out, self.report, book, work.instead, work.after)
        files = {OUT: _file(options.out, layout, lines)}
        if options.late:
            into = self.into or self.report
            totals, count = Totals(), 0
            for row in self.into.checked_rows() if self.into else ():
                totals.add(into.layout, row)
                count += 1
            lines = _write(options.late, into, (count, totals), {}, {count - 1: work.late})
            files[LATE] = _file(options.late, into.layout, lines)
        entries = [error.entry() for error in self.errors]
        return files, entries


def _file(path, layout, lines):
    """What the key says of a written file: where it is, how many lines it has, and where their RRNs are."""
    form = layout.form
    about = {"path": str(path), "lines": lines, "separator": form.separator}
    return about | {"rrn_column": layout.place["rrn"]}


def _write(path, report, book, instead, after):
    """Writes a report with other lines instead of some places, and after some, and end lines that are right. `book` has how
    many lines it has, and the totals of those that stay. -1 is the place before the first."""
    (count, totals), number = book, 1
    with open_report(path, "w") as file:

        def put(line):
            nonlocal number
            number += 1
            line.number = number
            totals.add(report.layout, line.row)
            file.write(report.join(line.row))

        file.write(report.header)
        for line in after.get(-1, ()):
            put(line)
        for place, raw in enumerate(report.raw_lines(count)):
            if place in instead:
                for line in instead[place]:
                    put(line)
            else:
                number += 1
                file.write(raw)
            for line in after.get(place, ()):
                put(line)
        if report.form.end is not None:
            file.writelines(map(report.join, totals.end_rows(report.form)))
    return number - 1


def main(given=None):
    """Runs the program."""
    options = arguments(given)
    try:
        report = Report(options.source, Format.load(options.format))
        index = Index(report)
        about = {"seed": options.seed, "rate": options.rate, "not_seeded": {}}
        if options.kinds[0] in file_kinds.FILE_KINDS:
            rng = random.Random(options.seed)
            entries, lines = file_kinds.make(options.kinds[0], report, index, rng, options.out)
            about["files"] = {OUT: _file(options.out, report.layout, lines)}
        else:
            seeding = Seeding(report, index, options)
            seeding.seed()
            about["files"], entries = seeding.write()
            about["not_seeded"] = seeding.not_seeded
        key.write(options.key, about, entries)
    except (FormatFault, OSError, ValueError) as error:
        print(f"seed_errors: {error}", file=sys.stderr)
        return 2
    print(f"{about['files'][OUT]['lines']} lines, {len(entries)} errors", file=sys.stderr)
    for name, why in about["not_seeded"].items():
        print(f"no error of the kind {name}: {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
