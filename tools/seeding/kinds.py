"""The errors that the rules of a matcher are written for.

A kind has a function that picks places, by the index alone, or says that there are none left, and one that alters the rows
of these places and says what is to be found. All are picked before the first is altered.
"""

from seeding.format import decimals_of

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


def line_to_leave_out(picker):
    """A line whose item may be without one."""
    place = picker.one(picker.may_free)
    if place is not None:
        picker.free(place)
    return _taken(picker, place)


def _taken(picker, place):
    return None if place is None else picker.take(place)


@kind("amount", any_line)
def amount(work, place):
    """Another amount."""
    new = work.new_amount(place)
    line = work.put(place, work.with_amount(place, new))
    work.error.note = f"{work.own(place)} is {new}"
    work.expect("AMOUNT_DIFFERS", place, [line], bank=new)


@kind("currency", any_line)
def currency(work, place):
    """Another currency with as many decimals."""
    row, old = work.row(place), work.index.currency(place)
    usual = ["EUR", "USD", "GBP", "CHF", "SEK"]
    alike = {0: ["JPY", "KRW", "CLP"], 3: ["KWD", "BHD", "OMR"], 4: ["CLF", "UYW"]}
    new = work.rng.choice([code for code in alike.get(decimals_of(old), usual) if code != old])
    for column in ("currency", "net_currency"):
        if work.layout.get(row, column):
            work.layout.put(row, column, new)
    line = work.put(place, row)
    work.error.note = f"{old} is {new}"
    work.expect("CURRENCY_DIFFERS", place, [line], bank=work.own(place))


@kind("date", any_line)
def date(work, place):
    """Another business date."""
    row = work.row(place)
    work.put_other_day(row)
    line = work.put(place, row)
    work.expect("DATE_DIFFERS", place, [line], bank=work.own(place))


@kind("missing", line_to_leave_out)
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
    work.layout.put_gross(row, new if work.index.signed[place] > 0 else -new)
    line = work.insert(work.anywhere(), row, [])
    work.expect("UNKNOWN_TO_PAYSWITCH", None, [line], bank=new)


@kind("rejected", any_line, needs=("reject_code",))
def rejected(work, place):
    """A reject code, and nothing that is paid."""
    row = work.row(place)
    code = work.rng.choice(("R01", "R04", "E12", "E57"))
    work.layout.put(row, "reject_code", code)
    for column in ("net_debit", "net_credit"):
        work.layout.put(row, column, "")
    line = work.put(place, row)
    work.error.note = code
    work.expect("OUTCOME_DIFFERS", place, [line], bank=work.own(place))


@kind("sign", line_alone)
def sign(work, place):
    """Debit and credit turned."""
    row = work.row(place)
    work.layout.put_gross(row, -work.index.signed[place])
    line = work.put(place, row)
    work.expect("SIGN_DIFFERS", place, [line], bank=-work.own(place))


@kind("rrn_zeros", line_alone)
def rrn_zeros(work, place):
    """The RRN without its leading zeros; where it has none, with more of them."""
    row, old = work.row(place), work.rrn(place)
    new = old.lstrip("0") or "0"
    if new == old:
        new = "000" + old
    work.layout.put(row, "rrn", new)
    line = work.put(place, row)
    work.error.note = f"{old} is {new}"
    work.expect("REFERENCE_DIFFERS", place, [line], bank=work.own(place))


@kind("rrn_other", line_with_approval)
def rrn_other(work, place):
    """An RRN that nobody has, with all else as it was."""
    row = work.row(place)
    work.put_nobodys_references(row)
    line = work.put(place, row)
    work.expect("REFERENCE_DIFFERS", place, [line], bank=work.own(place))


@kind("rrn_reused", line_with_approval, needs=("previous",))
def rrn_reused(work, place):
    """The RRN of a line of the day before, of another amount and approval code, with all else as it was."""
    row = work.row(place)
    new = work.previous_rrn(place, row)
    if new is None:
        return False
    work.layout.put(row, "rrn", new)
    line = work.put(place, row)
    work.error.note = f"{work.rrn(place)} is {new}"
    work.expect("REFERENCE_DIFFERS", place, [line], bank=work.own(place))


@kind("approval", line_with_approval)
def approval(work, place):
    """Another approval code."""
    row = work.row(place)
    work.put_nobodys_approval(row)
    line = work.put(place, row)
    work.expect("REFERENCE_DIFFERS", place, [line], bank=work.own(place))


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


@kind("split", _line_to_split)
def split(work, place):
    """One line as two with its references, that sum up to it."""
    own, way = work.own(place), 1 if work.index.signed[place] > 0 else -1
    part = work.rng.randint(1, (own - 1) // 2)
    fees = work.layout.fee_list(work.row(place))
    shares = [fee * part // own for fee in fees]
    rest = [fee - share for fee, share in zip(fees, shares)]
    lines = []
    for minor, its_fees in ((part, shares), (own - part, rest)):
        row = work.row(place)
        work.layout.put_gross(row, way * minor, its_fees)
        lines.append(work.put(place, row))
    work.expect("MATCHED_SPLIT", place, lines, bank=own)


def _two_to_merge(picker):
    index = picker.index

    def is_second(first, second):
        # Nothing else explains by how much the line is too high.
        same = (index.group[second], index.amount(second))
        return index.is_alone(second) and same not in picker.freed and same not in picker.raised

    both = picker.two(index.is_alone, is_second)
    if both is None:
        return None
    picker.free(both[1])
    picker.raise_by(both[1], index.amount(both[1]))
    return picker.take(*both)


@kind("merged", _two_to_merge)
def merged(work, first, second):
    """Two lines of one merchant, kind and currency as one with the references of the first."""
    row, way = work.row(first), 1 if work.index.signed[first] > 0 else -1
    fees = [sum(both) for both in zip(*map(work.layout.fee_list, (row, work.row(second))))]
    total = work.own(first) + work.own(second)
    work.layout.put_gross(row, way * total, fees)
    line = work.put(first, row, [work.rrn(first), work.rrn(second)])
    work.leave_out(second)
    for place in (first, second):
        work.expect("MATCHED_MERGED", place, [line], bank=total)


@kind("late", line_to_leave_out, needs=("late",))
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


@kind("twice_wrong", line_with_approval)
def twice_wrong(work, place):
    """Two of amount, date and RRN on one line."""
    wrong = work.rng.sample(("amount", "date", "rrn_other"), 2)
    own = work.own(place)
    new = work.new_amount(place) if "amount" in wrong else own
    row = work.with_amount(place, new)
    if "date" in wrong:
        work.put_other_day(row)
    if "rrn_other" in wrong:
        work.put_nobodys_references(row)
    line = work.put(place, row)
    work.error.note = " and ".join(sorted(wrong))
    names = {
        "amount": "AMOUNT_DIFFERS",
        "date": "DATE_DIFFERS",
        "rrn_other": "REFERENCE_DIFFERS",
    }
    for each in sorted(wrong):
        work.expect(names[each], place, [line], bank=new)


def _twins(picker):
    """Two or three lines of one merchant, kind, currency and amount."""
    twins = picker.twins()
    for _ in range(200 if twins else 0):
        free = [place for place in picker.rng.choice(twins) if picker.is_free(place)]
        if len(free) >= 2 and picker.may_free(free[0]):
            places = picker.rng.sample(free, picker.rng.randint(2, min(3, len(free))))
            picker.free(places[0])
            return picker.take(*places)
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
