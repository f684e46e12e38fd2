"""The errors that the rules of a matcher are written for.

A kind has a function that picks places, by the index alone, or says that there are none left, and one that alters the rows
of these places and says what is to be found. All are picked before the first is altered.
"""

from seeding.changes import NEEDS, change, wrong

KINDS = {}


class Kind:
    """A kind of error."""

    def __init__(self, name, pick, alter, needs):
        self.name = name
        self.pick = pick
        self.alter = alter
        # The columns that it needs, and files.
        self.needs = needs


def kind(name, pick, needs=(), among=None):
    """Makes a function that alters rows a kind of error. `pick` picks its places."""

    def made(alter):
        (KINDS if among is None else among)[name] = Kind(name, pick, alter, needs)
        return alter

    return made


def any_line(picker):
    """Any line."""
    return _taken(picker, picker.one(lambda place: True))


def line_alone(picker):
    """A line with an RRN that no other has."""
    return _taken(picker, picker.one(picker.index.is_alone))


def line_with_approval(picker):
    """The same, with an approval code that no other line of its acceptor has."""
    index = picker.index
    return _taken(
        picker, picker.one(lambda place: index.is_alone(place) and index.has_own_approval[place])
    )


def _taken(picker, place):
    return None if place is None else picker.take(place)


def _wrong_in(part, pick):
    """A kind of which a line is wrong in one thing."""
    kind(part, pick, NEEDS.get(part, ()))(lambda work, place: wrong(work, place, [part]))


for _part in ("amount", "currency", "fee_more", "fee_other", "fee_missing", "date", "rejected"):
    _wrong_in(_part, any_line)
for _part in ("sign", "rrn_zeros"):
    _wrong_in(_part, line_alone)
for _part in ("rrn_other", "rrn_reused", "approval"):
    _wrong_in(_part, line_with_approval)


@kind("missing", any_line)
def missing(work, place):
    """No line."""
    work.leave_out(place)
    work.expect("MISSING_AT_BANK", place)


@kind("duplicate", any_line)
def duplicate(work, place):
    """The same line once more."""
    first = work.put(place, work.row(place))
    other = work.anywhere()
    second = work.insert(other, work.row(place), [work.rrn(place)])
    lines = [first, second] if other >= place else [second, first]
    work.expect("DUPLICATE_AT_BANK", place, lines, bank=work.own(place))


def _like(picker):
    """A line that is not touched, but is an example of one; it may have another error, or be another's example."""
    place = picker.one(lambda place: True)
    return None if place is None else [place]


@kind("unknown", _like)
def unknown(work, place):
    """A line for what never was."""
    row, group = work.row(place), work.index.group[place]
    work.put_nobodys_references(row)
    if work.layout.get(row, "approval_code"):
        work.put_nobodys_approval(row)
    amounts = work.index.amounts(group)
    new = work.own(place)
    while new in amounts:
        new = work.rng.randint(1, 2 * max(amounts) + 100)
    work.layout.put_gross(row, work.way(place) * new)
    line = work.insert(work.anywhere(), row, [])
    work.expect("UNKNOWN_TO_PAYSWITCH", None, [line], bank=new)


def _two_amounts(picker):
    index = picker.index

    def is_second(first, second):
        by = abs(index.amount(first) - index.amount(second))
        return by > 0 and index.is_alone(second) and picker.may_raise(first, by)

    both = picker.two(index.is_alone, is_second)
    if both is None:
        return None
    picker.raise_by(both[0], abs(index.amount(both[0]) - index.amount(both[1])))
    return picker.take(*both)


@kind("swapped", _two_amounts)
def swapped(work, first, second):
    """The amounts of two lines of one merchant, each on the other."""
    for place, other in ((first, second), (second, first)):
        new = work.own(other)
        line = work.put(place, work.with_amount(place, new))
        work.expect("AMOUNT_DIFFERS", place, [line], bank=new)


def _line_to_split(picker):
    index = picker.index
    return _taken(
        picker, picker.one(lambda place: index.is_alone(place) and index.amount(place) >= 3)
    )


def in_two_lines(work, place, parts=()):
    """Writes one line as two with its references, that sum up to it, and that are wrong in the same things."""
    own, fees = work.own(place), work.layout.fee_list(work.row(place))
    part = work.rng.randint(1, (own - 1) // 2)
    shares = [fee * part // own for fee in fees]
    rest = [fee - share for fee, share in zip(fees, shares)]
    both = work.row(place)
    change(work, place, both, parts)
    lines = []
    for minor, its_fees in ((part, shares), (own - part, rest)):
        row = list(both)
        work.layout.put_gross(row, work.way(place) * minor, its_fees)
        lines.append(work.put(place, row))
    return lines


@kind("split", _line_to_split)
def split(work, place):
    """One line as two."""
    work.expect("MATCHED_SPLIT", place, in_two_lines(work, place), bank=work.own(place))


def two_to_merge(picker):
    """Two lines of one merchant, kind and currency."""
    index = picker.index

    def is_second(first, second):
        # Nothing else explains by how much the line is too high.
        return index.is_alone(second) and picker.may_raise(second, index.amount(second))

    both = picker.two(index.is_alone, is_second)
    if both is None:
        return None
    picker.raise_by(both[1], index.amount(both[1]))
    return picker.take(*both)


def in_one_line(work, first, second, parts=()):
    """Writes two lines as one with the references of the first, that is wrong in these things. The line, and its amount."""
    row = work.row(first)
    fees = [sum(both) for both in zip(*map(work.layout.fee_list, (row, work.row(second))))]
    total = work.own(first) + work.own(second)
    work.layout.put_gross(row, work.way(first) * total, fees)
    change(work, first, row, parts)
    line = work.put(first, row, [work.rrn(first), work.rrn(second)])
    work.leave_out(second)
    return line, total


@kind("merged", two_to_merge)
def merged(work, first, second):
    """Two lines as one."""
    line, total = in_one_line(work, first, second)
    for place in (first, second):
        work.expect("MATCHED_MERGED", place, [line], bank=total)


@kind("late", any_line, needs=("late",))
def late(work, place):
    """Left out, and presented days later."""
    work.leave_out(place)
    row = work.row(place)
    work.layout.put_day(row, work.late_day)
    line = work.present_late(place, row)
    work.expect("MISSING_AT_BANK", place)
    work.expect("LATE_PRESENTMENT", place, [line], bank=work.own(place))


def _foreign_currency(picker):
    """A line in another currency than most; where there is only one currency, any line."""
    index = picker.index
    sums = index.totals.by_currency
    usual = max(sorted(sums), key=lambda code: sums[code][0])
    place = picker.one(lambda place: len(sums) == 1 or index.currency(place) != usual)
    return _taken(picker, place)


@kind("rounding", _foreign_currency)
def rounding(work, place):
    """One minor unit off."""
    own, taken = work.own(place), work.index.parts(place)
    ways = [own + 1, own - 1] if work.rng.random() < 0.5 else [own - 1, own + 1]
    for new in ways:
        if new > 0 and new not in taken and work.may_be(place, new):
            line = work.put(place, work.with_amount(place, new))
            work.expect("AMOUNT_DIFFERS", place, [line], bank=new)
            return None
    return False


def _twins(picker):
    """Two or three lines of one merchant, kind, currency and amount."""
    twins = picker.twins()
    for _ in range(200 if twins else 0):
        free = [place for place in picker.rng.choice(twins) if picker.is_free(place)]
        if len(free) >= 2:
            return picker.take(*picker.rng.sample(free, picker.rng.randint(2, min(3, len(free)))))
    return None


@kind("ambiguous", _twins)
def ambiguous(work, *places):
    """A line with references that nobody has and without an approval code, for one of several items without a line."""
    row = work.row(places[0])
    work.put_nobodys_references(row)
    work.layout.put(row, "approval_code", "")
    line = work.put(places[0], row, [])
    for place in places[1:]:
        work.leave_out(place)
    candidates = [work.rrn(place) for place in places]
    work.expect("AMBIGUOUS", None, [line], bank=work.own(places[0]), candidates=candidates)
    for place in places:
        work.expect("MISSING_AT_BANK", place, is_allowed=True)
        work.expect("AMBIGUOUS", place, is_allowed=True)
