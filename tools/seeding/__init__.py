"""Seeded errors in a bank's settlement report, and the key that says what they are.

In reading order:

format          which column of a report is which, and how it writes amounts and dates
report          a report that is read line by line, and what its lines sum to
index           what is kept of each line of a report, so that a large one is not kept whole
picker          which lines an error may touch
work            what is altered, and what the key says of it
changes         what may be wrong on a row
kinds           the errors that the rules of a matcher are written for, a function for each
compound_kinds  two errors at once, and by what names they are found
foreign_kinds   errors that they are not written for
file_kinds      errors of whole files
key             how the key is written and read
"""
