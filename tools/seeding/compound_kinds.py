"""Two errors at once, most of them on one line: by what names payswitch says so, or that it is no item of ours.

docs/reconciliation.md promises what the key expects of them.
"""

import datetime

from seeding.changes import NAMES, NEEDS, change, wrong
from seeding.kinds import in_one_line, in_two_lines, kind, two_to_merge

COMPOUND = {}

# Both are named.
BOTH = """
    amount+date  sign+date  currency+date  rejected+date
    amount+rrn_zeros  sign+rrn_zeros  currency+rrn_zeros  rejected+rrn_zeros  date+rrn_zeros
    amount+rrn_other  sign+rrn_other  rejected+rrn_other  date+rrn_other
    amount+rrn_reused  date+rrn_reused
    date+approval  rejected+approval
    amount+date+rrn_zeros
    amount+fee_other  sign+fee_other  fee_more+date  fee_other+rrn_zeros  fee_missing+rrn_other  fee_more+approval
    amount+fee_other+date
""".split()

# One name says both: amounts that go another way, or are of another currency, have no other difference, nothing is paid of what
# is rejected, fees of another currency can't be compared, and a line has one difference of references.
ONE = {
    "amount+sign": "AMOUNT_DIFFERS",
    "amount+currency": "CURRENCY_DIFFERS",
    "amount+rejected": "OUTCOME_DIFFERS",
    "currency+fee_more": "CURRENCY_DIFFERS",
    "fee_missing+rejected": "OUTCOME_DIFFERS",
    "rrn_zeros+approval": "REFERENCE_DIFFERS",
}

# No rule lets both differ: the line is no item of ours, and the item has no line.
NEITHER = "amount+approval sign+approval currency+approval currency+rrn_other".split()


def _needs(parts):
    return tuple(need for part in parts for need in NEEDS.get(part, ()))


def _line(parts=(), least=1):
    """Picks a line that is alone with its RRN; with its approval code too, where that has to tell it."""
    has_code = not set(parts).isdisjoint(("rrn_other", "rrn_reused", "approval"))

    def pick(picker):
        index = picker.index

        def is_wanted(place):
            is_told = not has_code or index.has_own_approval[place]
            return is_told and index.is_alone(place) and index.amount(place) >= least

        place = picker.one(is_wanted)
        return None if place is None else picker.take(place)

    return pick


def _pair(name, names=None):
    parts = name.split("+")

    def alter(work, place):
        return wrong(work, place, parts, names)

    kind(name, _line(parts), _needs(parts), COMPOUND)(alter)


def _neither(name):
    parts = name.split("+")

    def alter(work, place):
        row = work.row(place)
        change(work, place, row, parts)
        line = work.put(place, row)
        work.expect("UNKNOWN_TO_PAYSWITCH", None, [line], bank=work.bank(place, row))
        work.expect("MISSING_AT_BANK", place)

    kind(name, _line(parts), _needs(parts), COMPOUND)(alter)


def _duplicate(part, name):
    """A line once more, and the second one is wrong."""

    def alter(work, place):
        work.put(place, work.row(place))
        row = work.row(place)
        change(work, place, row, [part])
        line = work.insert(work.anywhere(), row, [work.rrn(place)])
        of_item = None if name == "UNKNOWN_TO_PAYSWITCH" else place
        work.expect(name, of_item, [line], bank=work.bank(place, row))

    kind(f"duplicate+{part}", _line([part]), _needs([part]), COMPOUND)(alter)


def _late(part):
    """A line that is left out, and is wrong when it is presented days later."""

    def alter(work, place):
        row = work.row(place)
        day = _day_between(work, work.layout.day(row)) if part == "date" else work.late_day
        if part != "date" and not change(work, place, row, [part]):
            return False
        work.leave_out(place)
        work.layout.put_day(row, day)
        line = work.present_late(place, row)
        work.expect("MISSING_AT_BANK", place)
        for name in ("LATE_PRESENTMENT", NAMES[part]):
            work.expect_of(name, place, [line], row)
        return True

    kind(f"late+{part}", _line(), ("late", *_needs([part])), COMPOUND)(alter)


def _day_between(work, day):
    """A day that is neither the one of the item nor that of the late report."""
    between = day + datetime.timedelta(days=1)
    return between if between != work.late_day else between + datetime.timedelta(days=1)


for _name in BOTH:
    _pair(_name)
for _name, _said in ONE.items():
    _pair(_name, [_said])
for _name in NEITHER:
    _neither(_name)
for _part in ("amount", "date", "sign", "rrn_zeros"):
    _duplicate(_part, "DUPLICATE_AT_BANK")
# With another approval code it may be another payment under a used RRN.
_duplicate("approval", "UNKNOWN_TO_PAYSWITCH")
for _part in ("amount", "sign", "currency", "rrn_zeros", "date", "fee_more"):
    _late(_part)


@kind("duplicate+fee_more", _line(), _needs(["fee_more"]), COMPOUND)
def once_more_with_fee(work, place):
    """A line once more, with another fee: nobody can say which of them is one too many."""
    first, row = work.put(place, work.row(place)), work.row(place)
    change(work, place, row, ["fee_more"])
    other = work.anywhere()
    second = work.insert(other, row, [work.rrn(place)])
    lines = [first, second] if other >= place else [second, first]
    work.expect("DUPLICATE_AT_BANK", place, lines, bank=work.own(place))
    own, bank = work.fees(place), sum(work.layout.fee_list(row))
    work.expect("FEE_DIFFERS", place, [second], bank=bank, own=own, is_allowed=True)


@kind("late+duplicate", _line(), ("late",), COMPOUND)
def late_twice(work, place):
    """A line that is left out, and presented twice days later."""
    work.leave_out(place)
    row = work.row(place)
    work.layout.put_day(row, work.late_day)
    lines = [work.present_late(place, list(row)) for _ in range(2)]
    work.expect("MISSING_AT_BANK", place)
    for name in ("LATE_PRESENTMENT", "DUPLICATE_AT_BANK"):
        work.expect(name, place, lines, bank=work.own(place))


@kind("duplicate+late", _line(), ("late",), COMPOUND)
def once_more_late(work, place):
    """A line that is there, and once more in the report of a later day, with that day."""
    work.put(place, work.row(place))
    row = work.row(place)
    work.layout.put_day(row, work.late_day)
    line = work.present_late(place, row)
    work.expect("DUPLICATE_AT_BANK", place, [line], bank=work.own(place))


@kind("split+date", _line(least=3), (), COMPOUND)
def split_date(work, place):
    """One line as two of another day: no rule sums them up, and neither is the item."""
    for line in in_two_lines(work, place, ["date"]):
        bank = work.bank(place, line.row)
        work.expect("AMBIGUOUS", None, [line], bank=bank, candidates=[work.rrn(place)])
    work.expect("MISSING_AT_BANK", place)


@kind("merged+date", two_to_merge, (), COMPOUND)
def merged_date(work, first, second):
    """Two lines as one of another day: no rule sums the items up, and the line is that of its RRN."""
    line, total = in_one_line(work, first, second, ["date"])
    for name in ("AMOUNT_DIFFERS", "DATE_DIFFERS"):
        work.expect(name, first, [line], bank=total)
    work.expect("MISSING_AT_BANK", second)


@kind("split+rrn_zeros", _line(least=3), (), COMPOUND)
def split_zeros(work, place):
    """One line as two whose RRNs have lost their zeros, or got some."""
    lines = in_two_lines(work, place, ["rrn_zeros"])
    work.expect("MATCHED_SPLIT", place, lines, bank=work.own(place))
    for line in lines:
        work.expect("REFERENCE_DIFFERS", place, [line], bank=work.bank(place, line.row))


@kind("merged+rrn_zeros", two_to_merge, (), COMPOUND)
def merged_zeros(work, first, second):
    """Two lines as one whose RRN has lost its zeros, or got some."""
    line, total = in_one_line(work, first, second, ["rrn_zeros"])
    for place in (first, second):
        work.expect("MATCHED_MERGED", place, [line], bank=total)
    work.expect("REFERENCE_DIFFERS", first, [line], bank=total)


# More than comes of it that each line, or the whole line, is rounded by itself.
_MORE = 3


def _with_more_fee(work, place, line, own):
    """Writes a fee of a line higher, and expects that of the item of a place; `own` are the right fees."""
    row, fees = line.row, work.layout.fee_list(line.row)
    bank = own + _MORE
    fees[0] += _MORE
    work.layout.put_gross(row, work.layout.gross(row), fees)
    work.error.note = f"fees of {own} are {bank}"
    work.expect("FEE_DIFFERS", place, work.error.lines, bank=bank, own=own)


@kind("split+fee", _line(least=3), ("interchange",), COMPOUND)
def split_fee(work, place):
    """One line as two with its references, whose fees together are too high."""
    lines = in_two_lines(work, place)
    work.expect("MATCHED_SPLIT", place, lines, bank=work.own(place))
    _with_more_fee(work, place, lines[1], work.fees(place))


@kind("merged+fee", two_to_merge, ("interchange",), COMPOUND)
def merged_fee(work, first, second):
    """Two lines as one, whose fees are higher than those of both."""
    line, total = in_one_line(work, first, second)
    for place in (first, second):
        work.expect("MATCHED_MERGED", place, [line], bank=total)
    _with_more_fee(work, first, line, work.fees(first) + work.fees(second))


@kind("raised+date", two_to_merge, (), COMPOUND)
def raised_date(work, first, second):
    """A line that is too high by an item whose line is there with another date."""
    total = work.own(first) + work.own(second)
    line = work.put(first, work.with_amount(first, total))
    work.expect("AMOUNT_DIFFERS", first, [line], bank=total)
    row = work.row(second)
    change(work, second, row, ["date"])
    work.expect("DATE_DIFFERS", second, [work.put(second, row)], bank=work.own(second))
