"""Settlement reports that are right, as bank-sim writes them."""

import csv
import random

from seeding.format import BANK_SIM, Format, decimals_of
from seeding.work import reference_of

HEADER = (
    "Business Date,Acceptor,Terminal,Type,RRN,ARN,Approval Code,Card,Gross Currency,Gross Debit,Gross Credit,"
    "Interchange,Scheme Fee,Commission,Net Currency,Net Debit,Net Credit,Reject Code"
).split(",")


def fee_of(minor, parts):
    """So many parts of 10,000, rounded half to even."""
    whole, rest = divmod(minor * parts, 10_000)
    return whole + (2 * rest > 10_000 or (2 * rest == 10_000 and whole % 2))


def write_clean_report(path, lines, seed=1, day="2026-11-29", first=0, merchants=5):
    """Writes a report of so many lines. RRNs count up from `first`; the year of the date is their first digit."""
    rng = random.Random(seed)
    form = Format(BANK_SIM)
    usual = [500, 1250, 2500, 4990, 9900, 10_000]
    rows, number = [], first
    while len(rows) < lines:
        rrn = f"{day[3]}33300{number:06}"
        number += 1
        acceptor = f'SHOP, "{number % merchants}"' if number % 7 else f"SHOP{number % merchants:011}"
        currency = rng.choices(("EUR", "USD", "JPY", "KWD"), (90, 6, 2, 2))[0]
        kind, way = ("REFUND", -1) if rng.random() < 0.15 else ("SALE", 1)
        minor = rng.choice(usual) if rng.random() < 0.4 else rng.randint(100, 30_000)
        code = f"{rng.randrange(1_000_000):06}"
        parts = [minor]
        if kind == "SALE" and rng.random() < 0.03:
            # A capture in two parts, which the bank knows by one RRN.
            parts = [minor, minor + 700]
        kinds = [(kind, way, minor) for minor in parts]
        if kind == "SALE" and rng.random() < 0.01:
            kinds.append(("CHARGEBACK", -1, minor))
        for part, (word, its_way, its_minor) in enumerate(kinds):
            reference = reference_of(f"{7 + part}4000016333", rrn)
            rows.append([day, acceptor, word, rrn, reference, code, currency, its_way * its_minor])
    rows = rows[:lines]
    rows.sort(key=lambda row: (row[1], row[6], row[3]))
    sums = {}
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        for day, acceptor, word, rrn, reference, code, currency, signed in rows:
            fees = [fee_of(signed, parts) for parts in (20, 5)] if word == "SALE" else [0, 0]
            gross, net = abs(signed), abs(signed) - sum(fees)

            def text(minor, currency=currency):
                return form.amount(minor, currency)

            sides = [text(gross), ""] if signed < 0 else ["", text(gross)]
            net_sides = [text(net), ""] if signed < 0 else ["", text(net)]
            row = [day, acceptor, "TERM0001", word, rrn, reference, code, "411111******1111", currency]
            row += [*sides, *map(text, fees), text(0), currency, *net_sides, ""]
            out.writerow(row)
            sum_of = sums.setdefault(currency, [0] * 5)
            debit = signed < 0
            for place, minor in enumerate([1, gross * debit, gross * (not debit), net * debit, net * (not debit)]):
                sum_of[place] += minor
        for currency, (count, *amounts) in sorted(sums.items()):
            end = ["<END>", count, *(form.amount(minor, currency) for minor in amounts)]
            out.writerow(end + ([currency] if len(sums) > 1 else []))
        if not sums:
            out.writerow(["<END>", 0, 0, 0, 0, 0])


def read_rows(path):
    """The lines of a report as fields, by their number; and its end lines."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    ends = [row for row in rows if row[0] == "<END>"]
    return {number: row for number, row in enumerate(rows, 1) if 1 < number <= len(rows) - len(ends)}, ends


def minor_of(row):
    """To the merchant, in minor units, read by other means than those that are tested."""
    places = decimals_of(row[8])
    debit, credit = (round(float(text or 0) * 10**places) for text in row[9:11])
    return credit - debit


def fees_of(row):
    """The fees together, in the same way."""
    places = decimals_of(row[8])
    return sum(round(float(text or 0) * 10**places) for text in row[11:14])
