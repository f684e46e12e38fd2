"""Errors that the rules of a matcher are not written for.

What is to be found of them is only that the program does not take them for right: it has to raise something about each line,
whatever it calls it. A program that pairs such a line with an item without a word has paired it wrongly.
"""

from seeding.format import decimals_of
from seeding.kinds import any_line, kind, line_alone, line_with_approval

FOREIGN = {}


def foreign(name, pick, needs=()):
    """Makes a function that alters rows a foreign kind of error."""
    return kind(name, pick, needs, FOREIGN)


def _suspect(work, line, place=None):
    """Something has to be said of a line, or of the item of a place."""
    work.expect("NOT_AUTOMATIC", place, [line])


def _two_that_differ(picker):
    """Two lines of one merchant, kind and currency whose amounts are not the same."""
    index = picker.index

    def is_second(first, second):
        return index.is_alone(second) and index.amount(first) != index.amount(second)

    both = picker.two(index.is_alone, is_second)
    return None if both is None else picker.take(*both)


@foreign("crossed", _two_that_differ)
def crossed(work, first, second):
    """RRN and amount of two lines exchanged crosswise; approval code and ARN stay."""
    items = [work.rrn(first), work.rrn(second)]
    for place, other in ((first, second), (second, first)):
        row = work.with_amount(place, work.own(other))
        work.layout.put(row, "rrn", work.rrn(other))
        _suspect(work, work.put(place, row, items), place)


@foreign("other_acceptor", line_alone)
def other_acceptor(work, place):
    """A line under the acceptor of another merchant."""
    row = work.row(place)
    own = work.layout.get(row, "acceptor")
    others = sorted({acceptor for acceptor, _, _ in work.index.groups} - {own})
    if not others:
        return False
    other = work.rng.choice(others)
    work.layout.put(row, "acceptor", other)
    work.error.note = f"{own} is {other}"
    _suspect(work, work.put(place, row), place)


@foreign("hundredfold", any_line)
def hundredfold(work, place):
    """The decimal point two digits to the right."""
    new = 100 * work.own(place)
    if new in work.index.parts(place) or not work.may_be(place, new):
        return False
    _suspect(work, work.put(place, work.with_amount(place, new)), place)


def _refund(picker):
    index = picker.index
    places = [place for group, place in zip(index.groups, index.places) if group[1] == "refund"]
    picker.rng.shuffle(places)
    for among in places:
        place = picker.one(index.is_alone, among)
        if place is not None:
            return picker.take(place)
    return None


@foreign("refund_as_chargeback", _refund)
def refund_as_chargeback(work, place):
    """A refund that the bank calls a chargeback."""
    word = work.form.word("chargeback")
    if word is None:
        return False
    row = work.row(place)
    work.layout.put(row, "type", word)
    _suspect(work, work.put(place, row), place)


@foreign("refund_as_capture", _refund)
def refund_as_capture(work, place):
    """A refund that the bank has as a capture, to the merchant."""
    row = work.row(place)
    work.layout.put(row, "type", work.form.word("capture"))
    work.layout.put_gross(row, work.own(place))
    _suspect(work, work.put(place, row), place)


@foreign("rrn_of_another", _two_that_differ)
def rrn_of_another(work, first, second):
    """A line with the RRN of another one of its merchant, which is there too."""
    row = work.row(first)
    work.layout.put(row, "rrn", work.rrn(second))
    line = work.put(first, row)
    work.put(second, work.row(second))
    _suspect(work, line, first)


@foreign("only_arn", line_with_approval, needs=("acquirer_reference",))
def only_arn(work, place):
    """RRN and approval code of nobody; the ARN and the amount stay."""
    row = work.row(place)
    work.layout.put(row, "rrn", work.nobodys_rrn(row))
    work.put_nobodys_approval(row)
    _suspect(work, work.put(place, row), place)


@foreign("date_turned", any_line)
def date_turned(work, place):
    """Day and month exchanged; where that is no date, or the same one, the year before."""
    row = work.row(place)
    day = work.layout.day(row)
    if day.day <= 12 and day.day != day.month:
        other = day.replace(month=day.day, day=day.month)
    else:
        other = day.replace(year=day.year - 1, day=min(day.day, 28))
    work.layout.put_day(row, other)
    _suspect(work, work.put(place, row), place)


@foreign("net_as_gross", any_line)
def net_as_gross(work, place):
    """The fees taken from the gross amount already, and not named."""
    fees = work.layout.fee_list(work.row(place))
    new = work.own(place) - sum(fees)
    if not 0 < new < work.own(place) or new in work.index.parts(place):
        return False
    row = work.row(place)
    work.layout.put_gross(row, work.way(place) * new, [0 for _ in fees])
    _suspect(work, work.put(place, row), place)


def _capture_and_refund(picker):
    index = picker.index

    def others(first):
        acceptor, _, currency = index.groups[index.group[first]]
        group = (acceptor, "refund", currency)
        return index.places[index.groups.index(group)] if group in index.groups else ()

    def is_first(place):
        return index.kind(place) == "capture" and index.is_alone(place)

    def is_second(first, second):
        is_less = index.amount(second) < index.amount(first)
        return is_less and index.is_alone(second)

    both = picker.two(is_first, is_second, others)
    return None if both is None else picker.take(*both)


@foreign("netted", _capture_and_refund)
def netted(work, capture, refund):
    """A capture and a refund of one merchant as one line of what is left."""
    row = work.with_amount(capture, work.own(capture) - work.own(refund))
    line = work.put(capture, row, [work.rrn(capture), work.rrn(refund)])
    work.leave_out(refund)
    _suspect(work, line, capture)


@foreign("presented_again", line_with_approval)
def presented_again(work, place):
    """The line once more under an RRN of nobody, with the same approval code and ARN."""
    work.put(place, work.row(place))
    row = work.row(place)
    work.layout.put(row, "rrn", work.nobodys_rrn(row))
    _suspect(work, work.insert(work.anywhere(), row, []))


@foreign("cents_moved", _two_that_differ)
def cents_moved(work, first, second):
    """One minor unit from a line to another of its merchant, so that the sums stay."""
    if work.own(first) <= 1 or not work.may_be(second, work.own(second) + 1):
        return False
    for place, by in ((first, -1), (second, 1)):
        _suspect(work, work.put(place, work.with_amount(place, work.own(place) + by)), place)


@foreign("other_decimals", any_line)
def other_decimals(work, place):
    """As many minor units of a currency that has other decimals."""
    row = work.row(place)
    old, own = work.index.currency(place), work.index.signed[place]
    fees = work.layout.fee_list(row)
    new = work.rng.choice([code for code in ("JPY", "KWD", "EUR") if decimals_of(code) != decimals_of(old)])
    for column in ("currency", "net_currency"):
        if work.layout.get(row, column):
            work.layout.put(row, column, new)
    work.layout.put_gross(row, own, fees)
    work.error.note = f"{old} is {new}"
    _suspect(work, work.put(place, row), place)


@foreign("look_alike", line_alone)
def look_alike(work, place):
    """An item without a line, and a line for what never was, with the same merchant, amount and date."""
    row = work.row(place)
    work.put_nobodys_references(row)
    work.put_nobodys_approval(row)
    _suspect(work, work.put(place, row, []))
    work.expect("NOT_AUTOMATIC", place)


@foreign("rrn_cut", line_alone)
def rrn_cut(work, place):
    """An RRN without its last two digits, filled up with zeros in front."""
    row, old = work.row(place), work.rrn(place)
    work.layout.put(row, "rrn", "00" + old[:-2])
    _suspect(work, work.put(place, row), place)


def _two_of_two_acceptors(picker):
    index = picker.index

    def is_second(first, second):
        ours, theirs = (index.groups[index.group[place]] for place in (first, second))
        by = index.amount(second)
        # Nothing of the first one's own merchant explains the amount.
        is_other = ours[0] != theirs[0] and ours[1:] == theirs[1:] and index.is_alone(second)
        return is_other and picker.may_raise(first, by)

    both = picker.two(index.is_alone, is_second, lambda first: range(len(index)))
    if both is None:
        return None
    picker.raise_by(both[0], index.amount(both[1]))
    return picker.take(*both)


@foreign("merged_across", _two_of_two_acceptors)
def merged_across(work, first, second):
    """A line with the sum of two lines of two merchants."""
    row = work.with_amount(first, work.own(first) + work.own(second))
    line = work.put(first, row, [work.rrn(first), work.rrn(second)])
    work.leave_out(second)
    _suspect(work, line, first)
    work.expect("NOT_AUTOMATIC", second)


def _line_to_split(picker):
    index = picker.index
    place = picker.one(lambda place: index.is_alone(place) and index.amount(place) >= 4)
    return None if place is None else picker.take(place)


@foreign("split_short", _line_to_split)
def split_short(work, place):
    """One line as two with its references, that sum up to one minor unit less."""
    own = work.own(place)
    part = work.rng.randint(1, (own - 2) // 2)
    for minor in (part, own - part - 1):
        row = work.row(place)
        work.layout.put_gross(row, work.way(place) * minor, [0] * len(work.layout.fees))
        _suspect(work, work.put(place, row), place)
