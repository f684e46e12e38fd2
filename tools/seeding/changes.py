"""What may be wrong on a row: each function changes one thing of it.

It gives a note of what it did, which may be empty; None where it does not fit the row. Several may change the same row, in
the order of `CHANGES`: what is not paid has no net amount, whatever else is wrong.
"""

from seeding.format import decimals_of


def amount(work, place, row):
    """Another amount."""
    new = work.new_amount(place)
    work.layout.put_gross(row, work.way(place) * new)
    return f"{work.own(place)} is {new}"


def sign(work, _place, row):
    """Debit and credit turned."""
    work.layout.put_gross(row, -work.layout.gross(row))
    return ""


def currency(work, place, row):
    """Another currency with as many decimals."""
    old = work.index.currency(place)
    usual = ["EUR", "USD", "GBP", "CHF", "SEK"]
    alike = {0: ["JPY", "KRW", "CLP"], 3: ["KWD", "BHD", "OMR"], 4: ["CLF", "UYW"]}
    new = work.rng.choice([code for code in alike.get(decimals_of(old), usual) if code != old])
    for column in ("currency", "net_currency"):
        if work.layout.get(row, column):
            work.layout.put(row, column, new)
    return f"{old} is {new}"


def _put_fee(work, place, row, at, minor):
    """Changes one fee of a row, and the net with it. None where that is the fee of the amount that the row has by now."""
    fees, own, gross = work.layout.fee_list(row), work.own(place), work.layout.gross(row)
    # The fee of the clean row was rounded, and so may be that of the other amount, in two parts.
    alike, unsure = fees[at] * abs(gross) / own, abs(gross) / own / 2 + 2
    if minor == fees[at] or (abs(gross) != own and abs(minor - alike) <= unsure):
        return None
    old, fees[at] = fees[at], minor
    work.layout.put_gross(row, gross, fees)
    return f"a fee of {old} is {minor}"


def _kept(work, row):
    """The places of the fees that are not 0."""
    return [at for at, fee in enumerate(work.layout.fee_list(row)) if fee > 0]


def fee_more(work, place, row):
    """A fee that is one minor unit too high."""
    at = work.rng.randrange(len(work.layout.fees))
    return _put_fee(work, place, row, at, work.layout.fee_list(row)[at] + 1)


def fee_other(work, place, row):
    """The fee of another product: a few times as much."""
    kept = _kept(work, row)
    if not kept:
        return None
    at = work.rng.choice(kept)
    times = work.rng.sample((3, 4, 5), 3)
    tries = (_put_fee(work, place, row, at, more * work.layout.fee_list(row)[at] + 2) for more in times)
    return next(filter(None, tries), None)


def fee_missing(work, place, row):
    """A fee that is not taken and not named."""
    kept = _kept(work, row)
    if not kept:
        return None
    at = work.rng.choice(kept)
    note = _put_fee(work, place, row, at, 0)
    if note is not None:
        row[work.layout.fees[at]] = ""
    return note


def rejected(work, _place, row):
    """A reject code, and nothing that is paid."""
    code = work.rng.choice(("R01", "R04", "E12", "E57"))
    work.layout.put(row, "reject_code", code)
    for column in ("net_debit", "net_credit"):
        work.layout.put(row, column, "")
    return code


def date(work, _place, row):
    """Another business date."""
    work.put_other_day(row)
    return ""


def rrn_zeros(work, place, row):
    """The RRN without its leading zeros; where it has none, with more of them."""
    old = work.rrn(place)
    new = old.lstrip("0") or "0"
    if new == old:
        new = "000" + old
    work.layout.put(row, "rrn", new)
    return f"{old} is {new}"


def rrn_other(work, _place, row):
    """An RRN that nobody has, and the ARN that a bank makes of it."""
    work.put_nobodys_references(row)
    return ""


def rrn_reused(work, place, row):
    """The RRN of a line of the day before, of another amount and approval code."""
    new = work.previous_rrn(place, row)
    if new is None:
        return None
    work.layout.put(row, "rrn", new)
    return f"{work.rrn(place)} is {new}"


def approval(work, _place, row):
    """Another approval code."""
    work.put_nobodys_approval(row)
    return ""


CHANGES = {
    each.__name__: each
    for each in (
        amount,
        sign,
        currency,
        fee_more,
        fee_other,
        fee_missing,
        rejected,
        date,
        rrn_zeros,
        rrn_other,
        rrn_reused,
        approval,
    )
}

# What is said of a line with one of them.
NAMES = {
    "amount": "AMOUNT_DIFFERS",
    "sign": "SIGN_DIFFERS",
    "currency": "CURRENCY_DIFFERS",
    "fee_more": "FEE_DIFFERS",
    "fee_other": "FEE_DIFFERS",
    "fee_missing": "FEE_DIFFERS",
    "rejected": "OUTCOME_DIFFERS",
    "date": "DATE_DIFFERS",
    "rrn_zeros": "REFERENCE_DIFFERS",
    "rrn_other": "REFERENCE_DIFFERS",
    "rrn_reused": "REFERENCE_DIFFERS",
    "approval": "REFERENCE_DIFFERS",
}

# What a report needs for them: columns, and files.
NEEDS = {
    "rejected": ("reject_code",),
    "rrn_reused": ("previous",),
    "fee_more": ("interchange",),
    "fee_other": ("interchange",),
    "fee_missing": ("interchange",),
}


def change(work, place, row, parts):
    """Changes a row of a place in several things, and notes what they are. False where one of them does not fit."""
    notes = [CHANGES[part](work, place, row) for part in parts]
    if None in notes:
        return False
    work.error.note = "; ".join(filter(None, notes))
    return True


def wrong(work, place, parts, names=None):
    """Writes a line that is wrong in these things, and expects these findings; unless they are said, one for each thing."""
    row = work.row(place)
    if not change(work, place, row, parts):
        return False
    line = work.put(place, row)
    for name in names or [NAMES[part] for part in parts]:
        work.expect_of(name, place, [line], row)
    return True
