"""What is altered in a report, and what the key says of it."""

import datetime

# The file that is written, and the one with what is presented later.
OUT, LATE = "out", "late"


class Written:
    """A line of an error as it is written."""

    def __init__(self, row, items, file=OUT):
        self.row = row
        # The RRNs of the items that it truly is about, as in the clean report.
        self.items = items
        self.file = file
        # Its number, once it is written.
        self.number = None


class Error:
    """One seeded error, of one line or of several."""

    def __init__(self, kind, places):
        self.kind = kind
        self.places = places
        self.note = ""
        self.lines = []
        self.expected = []
        self.allowed = []

    def entry(self):
        """The error as the key has it."""
        entry = {"kind": self.kind, "note": self.note}
        entry["lines"] = [
            {"file": line.file, "line": line.number, "items": line.items} for line in self.lines
        ]
        entry["expected"] = [_finding(*finding) for finding in self.expected]
        entry["allowed"] = [_finding(*finding) for finding in self.allowed]
        return entry


def _finding(name, file, item, lines, own, bank, candidates):
    finding = {"finding": name, "file": file, "rrn": item, "line": None}
    if lines:
        # The program may name any of them; the last one is the one too many.
        finding["line"] = lines[-1].number
        finding["lines"] = [line.number for line in lines]
    finding |= {"own_minor": own, "bank_minor": bank}
    if candidates:
        finding["candidates"] = candidates
    return finding


class Work:
    """The errors of one run. A kind of error works on one of them at a time."""

    def __init__(self, picker, previous, late_day):
        self.picker = picker
        self.index = picker.index
        self.layout = picker.index.report.layout
        self.form = picker.index.report.form
        self.rng = picker.rng
        # Rows of the report of the day before, by acceptor.
        self.previous = previous
        self.late_day = late_day
        # The rows of the places that errors touch.
        self.rows = {}
        # By place: the lines written in its stead, and after it.
        self.instead = {}
        self.after = {}
        self.late = []
        self.made_up = set()
        self.error = None

    def row(self, place):
        """A copy of a row of the clean report."""
        return list(self.rows[place])

    def rrn(self, place):
        """The RRN of a row of the clean report."""
        return self.layout.get(self.rows[place], "rrn")

    def own(self, place):
        """The amount of a line of the clean report, above 0 where it goes the way of its kind."""
        return self.index.amount(place)

    def way(self, place):
        """1 where a line of the clean report goes to the merchant, and -1 where it comes from it."""
        return 1 if self.index.signed[place] > 0 else -1

    def bank(self, place, row):
        """The amount of a row, above 0 where it goes the way of the kind of a place."""
        return self.way(place) * self.layout.gross(row)

    def fees(self, place):
        """The fees of a line of the clean report, together."""
        return sum(self.layout.fee_list(self.rows[place]))

    def put(self, place, row, items=None):
        """Writes a row in the stead of a place, after others that are there; `items` unless it is about its own."""
        line = Written(row, [self.rrn(place)] if items is None else items)
        self.instead.setdefault(place, []).append(line)
        self.error.lines.append(line)
        return line

    def leave_out(self, place):
        """Writes nothing in the stead of a place."""
        self.instead.setdefault(place, [])

    def insert(self, place, row, items):
        """Writes one more row after a place."""
        line = Written(row, items)
        self.after.setdefault(place, []).append(line)
        self.error.lines.append(line)
        return line

    def present_late(self, place, row):
        """Writes a row into the file of what is presented later."""
        line = Written(row, [self.rrn(place)], LATE)
        self.late.append(line)
        self.error.lines.append(line)
        return line

    def expect_of(self, name, place, lines, row):
        """Notes a finding of the item of a place, and of lines that say of it what a row says."""
        own, bank = self.own(place), self.bank(place, row)
        if name == "FEE_DIFFERS":
            own, bank = self.fees(place), sum(self.layout.fee_list(row))
        self.expect(name, place, lines, bank=bank, own=own)

    def expect(self, name, place=None, lines=(), bank=None, candidates=None, is_allowed=False, own=None):
        """Notes a finding: of the item of a place, and of lines."""
        item = None if place is None else self.rrn(place)
        if own is None:
            own = None if place is None else self.own(place)
        file = lines[0].file if lines else OUT
        findings = self.error.allowed if is_allowed else self.error.expected
        findings.append((name, file, item, list(lines), own, bank, candidates))

    def anywhere(self):
        """A place by chance, to write something after it."""
        return self.rng.randrange(len(self.index))

    def new_amount(self, place):
        """Another amount for a line: one to 99 minor units off, or two digits that have changed places. Nothing that is
        touched explains it, unless all amounts do that."""
        old, rng = self.own(place), self.rng
        swaps = []
        digits = str(old)
        for at in range(len(digits) - 1):
            left, right = digits[at : at + 2]
            swapped = int(digits[:at] + right + left + digits[at + 2 :])
            if swapped not in (old, 0):
                swaps.append(swapped)
        tries = []
        for _ in range(20):
            if swaps and rng.random() < 0.5:
                tries.append(rng.choice(swaps))
            else:
                tries.append(old + rng.choice((1, -1)) * rng.randint(1, 99))
        taken = self.index.parts(place)
        for new in (*tries, *(old + by for by in range(1, 200))):
            if new > 0 and new not in taken and self.may_be(place, new):
                self.picker.raise_by(place, new - old)
                return new
        return old + 211

    def may_be(self, place, new):
        """Whether a line may have another amount, and nothing that is touched explain it."""
        by = new - self.own(place)
        return by < 0 or self.picker.may_raise(place, by)

    def with_amount(self, place, new):
        """The row of a place with another amount, the same way."""
        row = self.row(place)
        self.layout.put_gross(row, self.way(place) * new)
        return row

    def put_other_day(self, row):
        """Changes the business date by one to three days."""
        days = self.rng.choice((-3, -2, -1, 1, 2, 3))
        self.layout.put_day(row, self.layout.day(row) + datetime.timedelta(days=days))

    def nobodys_rrn(self, row):
        """An RRN like that of a row which nobody has."""
        like = self.layout.get(row, "rrn")
        while True:
            # Numbers of a day count up from 0; so high none gets.
            made_up = like[:-6] + "9" + "".join(self.rng.choices("0123456789", k=5))
            if not self.index.has_rrn(made_up) and made_up not in self.made_up:
                self.made_up.add(made_up)
                return made_up

    def put_nobodys_references(self, row):
        """Gives a row an RRN that nobody has, and the acquirer's reference (ARN) that a bank makes of it."""
        rrn = self.nobodys_rrn(row)
        self.layout.put(row, "rrn", rrn)
        reference = self.layout.get(row, "acquirer_reference")
        if reference:
            self.layout.put(row, "acquirer_reference", reference_of(reference, rrn))

    def previous_rrn(self, place, row):
        """The RRN of a line of the day before, of the same acceptor if there is one: of another amount and approval code
        than a row, so that the row is not that line once more. None where there is none left."""
        acceptor, code = (self.layout.get(row, key) for key in ("acceptor", "approval_code"))
        own = self.own(place)
        everybody = [line for lines in self.previous.values() for line in lines]
        for lines in (self.previous.get(acceptor, []), everybody):
            fit = [
                rrn
                for rrn, its_code, minor in lines
                if its_code != code and minor != own and rrn not in self.made_up
            ]
            if fit:
                rrn = self.rng.choice(fit)
                self.made_up.add(rrn)
                return rrn
        return None

    def put_nobodys_approval(self, row):
        """Gives a row an approval code that no line of its acceptor has."""
        acceptor = self.layout.get(row, "acceptor")
        while True:
            code = "".join(self.rng.choices("0123456789", k=6))
            if not self.index.has_approval(acceptor, code) and code not in self.made_up:
                self.made_up.add(code)
                self.layout.put(row, "approval_code", code)
                return


def reference_of(like, rrn):
    """An acquirer's reference like another one, for an RRN: its last eleven digits are in it, and a check digit (Luhn)."""
    digits = (like[:11] + "".join(filter(str.isdigit, rrn))[-11:].rjust(11, "0"))[:22]
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = (int(digit) if digit.isdecimal() else 0) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return digits + str(-total % 10)
