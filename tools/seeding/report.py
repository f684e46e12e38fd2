"""A settlement report that is read line by line, and what its lines sum to."""

import csv
import io

from seeding.format import FormatFault, Layout


def open_report(path, mode="r"):
    """Opens a report so that all its bytes come back as they were."""
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline="")


class Totals:
    """For each currency the number of lines, and the sums of gross debit and credit, net debit and credit."""

    def __init__(self):
        self.by_currency = {}

    def add(self, layout, row, times=1):
        """Counts a row; with -1 as `times` takes it away."""
        self.add_sides(layout.get(row, "currency"), layout.sides(row), times)

    def add_sides(self, currency, sides, times=1):
        """The same, of a row whose amounts are known."""
        sums = self.by_currency.get(currency)
        if sums is None:
            sums = self.by_currency[currency] = [0, 0, 0, 0, 0]
        sums[0] += times
        for place, side in enumerate(sides, 1):
            sums[place] += times * side

    def lines(self):
        """The number of lines."""
        return sum(sums[0] for sums in self.by_currency.values())

    def end_rows(self, form):
        """The last lines of a report with these sums, as bank-sim writes them: they name the currency where there are
        several."""
        kept = {code: sums for code, sums in self.by_currency.items() if sums[0]}
        if not kept:
            return [[form.end, "0", "0", "0", "0", "0"]]
        rows = []
        for code, (lines, *sides) in sorted(kept.items()):
            amounts = [form.amount(side, code) for side in sides]
            rows.append([form.end, str(lines), *amounts, *([code] if len(kept) > 1 else [])])
        return rows


class Report:
    """A report on the disk."""

    def __init__(self, path, form):
        self.path = path
        self.form = form
        with open_report(path) as file:
            self.header = file.readline()
        self.line_end = "\r\n" if self.header.endswith("\r\n") else "\n"
        self.layout = Layout(form, self.split(self.header))

    def split(self, line):
        """The fields of a line."""
        return next(csv.reader([line], delimiter=self.form.separator), [])

    def join(self, row):
        """A line of these fields, with its end."""
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.form.separator, lineterminator=self.line_end).writerow(row)
        return text.getvalue()

    def rows(self):
        """All lines after the names of the columns but the end lines, as fields, which must not be kept."""
        yield from self._walk([])

    def checked_rows(self):
        """The same, and then compares the end lines with the sums: errors are seeded in reports that have none."""
        ends, totals = [], Totals()
        for row in self._walk(ends):
            totals.add(self.layout, row)
            yield row
        if self.form.end is None:
            return
        expected = totals.end_rows(self.form)
        got = [[field for field in end if field] for end in ends]
        if sorted(got) != sorted(expected):
            raise FormatFault(f"{self.path}: the end lines: expected {expected}, got {ends}")

    def _walk(self, ends):
        end, width = self.form.end, self.layout.width
        with open_report(self.path) as file:
            lines = csv.reader(file, delimiter=self.form.separator)
            next(lines)
            for number, row in enumerate(lines, 2):
                if end is not None and row and row[0] == end:
                    ends.append(row)
                    continue
                if lines.line_num != number or len(row) != width or ends:
                    expected = "nothing after an end line" if ends else f"a line of {width} fields"
                    raise FormatFault(f"{self.path}: line {number}: expected {expected}, got {row}")
                yield row

    def raw_lines(self, count):
        """The first `count` lines after the names of the columns, as they are, each with its line end."""
        with open_report(self.path) as file:
            file.readline()
            for _, line in zip(range(count), file):
                yield line if line.endswith("\n") else line + self.line_end
