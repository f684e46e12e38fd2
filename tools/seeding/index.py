"""What is kept of each line of a report: some 30 bytes, so that a report of a million lines is not kept whole."""

import hashlib
from array import array
from bisect import bisect_left

from seeding.format import FormatFault
from seeding.report import Totals

# The kinds of lines that payswitch has items for before the report comes.
ITEMS = ("capture", "refund")


def digest(*texts):
    """A number for some texts, the same in every run."""
    whole = "\0".join(texts).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big")


class Index:
    """The lines of a report, by their place: 0 is the line after the names of the columns."""

    def __init__(self, report):
        self.report = report
        self.totals = Totals()
        # Acceptor, kind, currency; and the places of the lines of each.
        self.groups = []
        self.places = []
        self.group = array("I")
        # To the merchant.
        self.signed = array("q")
        self.rrn = array("Q")
        self.approval = array("Q")
        # Lines that errors may touch; and those whose approval code no other line of the acceptor has.
        self.is_fit = bytearray()
        self.has_own_approval = bytearray()
        self._read()
        self._judge()

    def __len__(self):
        return len(self.group)

    def amount(self, place):
        """Its amount, above 0."""
        return abs(self.signed[place])

    def currency(self, place):
        """Its currency."""
        return self.groups[self.group[place]][2]

    def kind(self, place):
        """What kind of line it is."""
        return self.groups[self.group[place]][1]

    def is_alone(self, place):
        """Whether no other line has its RRN."""
        return self.rrn[place] not in self.shared

    def parts(self, place):
        """The amounts of the lines with its RRN, itself among them."""
        return self.shared.get(self.rrn[place], {self.amount(place)})

    def amounts(self, group):
        """The amounts of the lines of a group."""
        if group not in self._amounts:
            self._amounts[group] = {self.amount(place) for place in self.places[group]}
        return self._amounts[group]

    def has_rrn(self, rrn):
        """Whether any line has this RRN."""
        return _is_in(self._rrns, digest(rrn))

    def has_approval(self, acceptor, code):
        """Whether any line of the acceptor has this approval code."""
        return _is_in(self._approvals, digest(acceptor, code))

    def _read(self):
        report, layout = self.report, self.report.layout
        known, charged_back, self.day = {}, set(), None
        minor, sides = report.form.minor, ("gross_debit", "gross_credit", "net_debit", "net_credit")
        at = layout.place
        side_places = [at.get(key) for key in sides]
        wants_credit = {"capture": True, "refund": False}
        for row in report.checked_rows():
            acceptor, word, currency = row[at["acceptor"]], row[at["type"]], row[at["currency"]]
            kind = report.form.kinds.get(word)
            if kind is None:
                number = len(self.group) + 2
                raise FormatFault(f"line {number}: expected a kind of line, got {word!r}")
            group = known.get((acceptor, kind, currency))
            if group is None:
                group = known[acceptor, kind, currency] = len(self.groups)
                self.groups.append((acceptor, kind, currency))
                self.places.append(array("I"))
            self.places[group].append(len(self.group))
            amounts = [0 if side is None else minor(row[side], currency) for side in side_places]
            self.totals.add_sides(currency, amounts)
            signed = amounts[1] - amounts[0]
            rrn, approval = row[at["rrn"]], layout.get(row, "approval_code")
            self.group.append(group)
            self.signed.append(signed)
            self.rrn.append(digest(rrn))
            self.approval.append(digest(acceptor, approval))
            is_usual = kind in ITEMS and signed != 0 and wants_credit[kind] == (signed > 0)
            self.is_fit.append(is_usual and rrn != "" and not layout.get(row, "reject_code"))
            self.has_own_approval.append(approval != "")
            if kind in ("chargeback", "chargeback_reversal"):
                charged_back.add(self.rrn[-1])
            self.day = self.day or layout.day(row)
        self._charged_back = charged_back

    def _judge(self):
        self._rrns, self._approvals = _sorted(self.rrn), _sorted(self.approval)
        self._amounts, self.shared, seen = {}, {}, set()
        repeated = _repeated(self._rrns)
        with_twin = set()
        for place, rrn in enumerate(self.rrn):
            if rrn in repeated:
                self.shared.setdefault(rrn, set()).add(self.amount(place))
                same = (rrn, self.group[place], self.amount(place))
                if same in seen:
                    with_twin.add(rrn)
                seen.add(same)
        # A chargeback is known from the report alone; and of two equal lines nobody can say which is wrong.
        untouched = self._charged_back | with_twin
        not_own = _repeated(self._approvals)
        for place, (rrn, approval) in enumerate(zip(self.rrn, self.approval)):
            self.is_fit[place] &= rrn not in untouched
            self.has_own_approval[place] &= approval not in not_own


def _sorted(numbers):
    return array("Q", sorted(numbers))


def _repeated(numbers):
    """The numbers of a sorted array that are there more than once."""
    repeated, before = set(), None
    for number in numbers:
        if number == before:
            repeated.add(number)
        before = number
    return repeated


def _is_in(numbers, number):
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number
