"""The format of a settlement report: which column is which, and how it writes amounts and dates.

It is read from the table `[settlement.report]` of a host's profile, or from a file that has only that table, in TOML or
JSON. Nothing of this is shared with the program whose findings are scored.
"""

import datetime
import json
import tomllib

# The report of bank-sim.
BANK_SIM = {
    "separator": ",",
    "end": "<END>",
    "amount": "decimal",
    "date": "YYYY-MM-DD",
    "business_date": "Business Date",
    "acceptor": "Acceptor",
    "type": {
        "column": "Type",
        "capture": ["SALE"],
        "refund": ["REFUND"],
        "chargeback": ["CHARGEBACK"],
        "chargeback_reversal": ["CHARGEBACK_REVERSED"],
    },
    "rrn": "RRN",
    "acquirer_reference": "ARN",
    "approval_code": "Approval Code",
    "currency": "Gross Currency",
    "gross_debit": "Gross Debit",
    "gross_credit": "Gross Credit",
    "interchange": "Interchange",
    "scheme_fee": "Scheme Fee",
    "commission": "Commission",
    "net_currency": "Net Currency",
    "net_debit": "Net Debit",
    "net_credit": "Net Credit",
    "reject_code": "Reject Code",
}

NEEDED = ("business_date", "acceptor", "rrn", "currency", "gross_debit", "gross_credit")
OPTIONAL = (
    "acquirer_reference",
    "approval_code",
    "interchange",
    "scheme_fee",
    "commission",
    "net_currency",
    "net_debit",
    "net_credit",
    "reject_code",
)
FEES = ("interchange", "scheme_fee", "commission")
KINDS = ("capture", "refund", "chargeback", "chargeback_reversal", "ignore")

# Currencies whose amounts have other than two decimals (ISO 4217).
DECIMALS = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
)
DECIMALS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
DECIMALS |= dict.fromkeys("CLF UYW".split(), 4)

DATES = {"YYYY-MM-DD": "%Y-%m-%d", "YYYYMMDD": "%Y%m%d"}


class FormatFault(Exception):
    """A format, or a report, that is not as it should be."""


def decimals_of(currency):
    """How many decimals the amounts of a currency have."""
    return DECIMALS.get(currency, 2)


class Format:
    """A table `[settlement.report]`."""

    def __init__(self, table):
        missing = [key for key in (*NEEDED, "type") if key not in table]
        if missing:
            raise FormatFault(f"the format: expected a key `{missing[0]}`, got {sorted(table)}")
        self.separator = table.get("separator", ",")
        self.end = table.get("end")
        self.is_minor = _one_of(table.get("amount", "decimal"), ("decimal", "minor")) == "minor"
        self.date_form = DATES[_one_of(table.get("date", "YYYY-MM-DD"), tuple(DATES))]
        self.columns = {key: table[key] for key in (*NEEDED, *OPTIONAL) if key in table}
        self.columns["type"] = table["type"]["column"]
        self.kinds = {word: kind for kind in KINDS for word in table["type"].get(kind, [])}

    @classmethod
    def load(cls, path):
        """Reads a file in TOML or JSON; the format of bank-sim where there is none."""
        if path is None:
            return cls(BANK_SIM)
        with open(path, "rb") as file:
            table = json.load(file) if str(path).endswith(".json") else tomllib.load(file)
        return cls(table.get("settlement", {}).get("report", table))

    def word(self, kind):
        """The bank's word for a kind of line; none where it has none."""
        return next((word for word, known in self.kinds.items() if known == kind), None)

    def minor(self, text, currency):
        """The minor units of an amount; 0 where the column is empty."""
        if not text:
            return 0
        whole, _, decimals = text.partition(".")
        places = 0 if self.is_minor else decimals_of(currency)
        digits = whole + decimals[:places].ljust(places, "0")
        if not digits.isdecimal() or not digits.isascii() or decimals[places:].strip("0"):
            raise FormatFault(f"expected an amount in {currency}, got {text!r}")
        return int(digits)

    def amount(self, minor, currency):
        """An amount that is not negative, as the report writes it."""
        places = 0 if self.is_minor else decimals_of(currency)
        digits = str(minor).rjust(places + 1, "0")
        return f"{digits[:-places]}.{digits[-places:]}" if places else digits

    def day(self, text):
        """The date of a text."""
        return datetime.datetime.strptime(text, self.date_form).date()

    def date(self, day):
        """A date as the report writes it."""
        return day.strftime(self.date_form)


class Layout:
    """A format, and where its columns are in one report. A row is a list of the fields of a line."""

    def __init__(self, form, header):
        self.form = form
        self.width = len(header)
        self.place = {}
        for key, name in form.columns.items():
            if header.count(name) != 1:
                raise FormatFault(f"line 1: expected one column {name!r}, got {header}")
            self.place[key] = header.index(name)
        self.fees = [self.place[key] for key in FEES if key in self.place]

    def get(self, row, key):
        """A field of a row; empty where the report has no such column."""
        place = self.place.get(key)
        return "" if place is None else row[place]

    def put(self, row, key, text):
        """Changes a field of a row, where the report has such a column."""
        if key in self.place:
            row[self.place[key]] = text

    def _signed(self, row, debit, credit):
        currency = self.get(row, "currency")
        minor = self.form.minor
        return minor(self.get(row, credit), currency) - minor(self.get(row, debit), currency)

    def _put_signed(self, row, debit, credit, signed):
        text = self.form.amount(abs(signed), self.get(row, "currency"))
        self.put(row, debit, text if signed < 0 else "")
        self.put(row, credit, text if signed >= 0 else "")

    def gross(self, row):
        """To the merchant, before fees; negative where it is from the merchant."""
        return self._signed(row, "gross_debit", "gross_credit")

    def fee_list(self, row):
        """The fees of a row, from the merchant, one for each column."""
        currency = self.get(row, "currency")
        return [self.form.minor(row[place], currency) for place in self.fees]

    def put_gross(self, row, signed, fees=None):
        """Changes the gross amount, perhaps the fees, and the net so that it is the gross less the fees."""
        if fees is not None:
            currency = self.get(row, "currency")
            for place, fee in zip(self.fees, fees):
                row[place] = self.form.amount(fee, currency)
        self._put_signed(row, "gross_debit", "gross_credit", signed)
        net = signed - sum(self.fee_list(row))
        self._put_signed(row, "net_debit", "net_credit", net)

    def sides(self, row):
        """Gross debit and credit, net debit and credit."""
        currency = self.get(row, "currency")
        keys = ("gross_debit", "gross_credit", "net_debit", "net_credit")
        return [self.form.minor(self.get(row, key), currency) for key in keys]

    def day(self, row):
        """The business date of a row."""
        return self.form.day(self.get(row, "business_date"))

    def put_day(self, row, day):
        """Changes the business date of a row."""
        self.put(row, "business_date", self.form.date(day))


def _one_of(word, words):
    if word not in words:
        raise FormatFault(f"the format: expected one of {', '.join(words)}, got {word!r}")
    return word
