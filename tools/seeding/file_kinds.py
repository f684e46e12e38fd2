"""Errors of whole files. A file has one of them, and no others."""

import shutil

from seeding.format import FormatFault
from seeding.index import ITEMS
from seeding.report import Totals, open_report
from seeding.work import OUT

# What the program is to say of the file as a whole.
REFUSED, REPEATED = "FILE_REFUSED", "FILE_REPEATED"
# Of how many lines the RRNs are looked at, to tell the parts of a day.
SAMPLE = 1_000


def _about(kind, note, expected):
    return {"kind": kind, "note": note, "lines": [], "expected": expected, "allowed": []}


def _of_file(finding):
    return {"finding": finding, "file": OUT, "rrn": None, "line": None}


def _without(kind, report, index, out, is_gone):
    """Writes a file without some lines, with end lines that are right for what is left."""
    count, totals, expected, left = len(index), Totals(), [], 0
    with open_report(out, "w") as file:
        file.write(report.header)
        for place, (row, raw) in enumerate(zip(report.rows(), report.raw_lines(count))):
            if not is_gone(place, row):
                totals.add(report.layout, row)
                file.write(raw)
                left += 1
            elif index.kind(place) in ITEMS:
                missing = _of_file("MISSING_AT_BANK")
                missing["rrn"] = report.layout.get(row, "rrn")
                missing |= {"own_minor": index.amount(place), "bank_minor": None}
                expected.append(missing)
        if report.form.end is not None:
            file.writelines(map(report.join, totals.end_rows(report.form)))
    note = f"{count - left} of {count} lines are gone"
    return [_about(kind, note, expected)], left


def truncated(report, index, rng, out):
    """The last part is gone, and the end lines are right for what is left."""
    count = len(index)
    cut = rng.randint(1, max(1, count // 5)) if count else 0
    return _without("truncated", report, index, out, lambda place, _row: place >= count - cut)


def cycle_missing(report, index, rng, out):
    """A stretch of the day is gone: a third of the RRNs, which count up with the time. The end lines are right for what is
    left. A bank clears several times a day, and one of these cycles is not in the file."""
    some = set(rng.sample(range(len(index)), min(len(index), SAMPLE)))
    rows = enumerate(report.rows())
    rrns = sorted(report.layout.get(row, "rrn") for place, row in rows if place in some)
    if not rrns:
        return _without("cycle_missing", report, index, out, lambda _place, _row: False)
    third = len(rrns) // 3
    first = rng.randrange(len(rrns) - third)
    low, high = rrns[first], rrns[first + third]

    def is_gone(_place, row):
        return low <= report.layout.get(row, "rrn") <= high

    return _without("cycle_missing", report, index, out, is_gone)


def _with_ends(report, index, out, ends):
    with open_report(out, "w") as file:
        file.write(report.header)
        file.writelines(report.raw_lines(len(index)))
        file.writelines(map(report.join, ends))
    return len(index)


def wrong_trailer(report, index, rng, out):
    """One number of the end lines is wrong."""
    ends = index.totals.end_rows(report.form)
    end = rng.choice(ends)
    # Sums of columns that the report does not have are not read.
    place = rng.randrange(1, 6 if "net_credit" in report.layout.place else 4)
    old = end[place]
    end[place] = _one_more(old)
    lines = _with_ends(report, index, out, ends)
    note = f"field {place + 1} of the end line: {old} is {end[place]}"
    return [_about("wrong_trailer", note, [_of_file(REFUSED)])], lines


def _one_more(number):
    """A number whose last digit is one more, or 0 after 9, without a change of its form."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def no_trailer(report, index, _rng, out):
    """The end lines are gone."""
    lines = _with_ends(report, index, out, [])
    return [_about("no_trailer", "", [_of_file(REFUSED)])], lines


def same_file(report, index, _rng, out):
    """The same bytes, which the program has had before."""
    shutil.copyfile(report.path, out)
    return [_about("same_file", "", [_of_file(REPEATED)])], len(index)


FILE_KINDS = {
    "truncated": truncated,
    "cycle_missing": cycle_missing,
    "wrong_trailer": wrong_trailer,
    "no_trailer": no_trailer,
    "same_file": same_file,
}


def make(name, report, index, rng, out):
    """Writes a file with an error of this kind. The entries of the key, and how many lines the file has."""
    if report.form.end is None and name in ("wrong_trailer", "no_trailer"):
        raise FormatFault(f"{name}: expected a format with `end`, got one without end lines")
    return FILE_KINDS[name](report, index, rng, out)
