"""What each rule has decided in one run.

What would be found without a rule is not among it: another rule may find the same, so only another run can say.
"""

from array import array

# Beside the rules: what is said of lines that no rule has found anything for.
NO_RULE = "(none)"


class Rules:
    """The lines that each rule has matched, and what was said of them."""

    def __init__(self, lines):
        self.names = {}
        # The number of the rule of each line, from the second on; 0 is none.
        self.of_line = array("H", bytes(2 * lines))
        self.pairs = {}
        self.said = []

    def match(self, line, rule):
        """A rule has paired a line with an item."""
        self.pairs[rule] = self.pairs.get(rule, 0) + 1
        number = self.names.setdefault(rule, len(self.names) + 1)
        if 0 <= line - 2 < len(self.of_line):
            self.of_line[line - 2] = number

    def say(self, found):
        """A discrepancy of a line."""
        if found.line is not None and 0 <= found.line - 2 < len(self.of_line):
            self.said.append(found)

    def unmatched(self):
        """How many lines no rule has matched."""
        return self.of_line.count(0)

    def decided(self, expected):
        """By rule: its lines, the pairs they make, and the discrepancies of its lines, and of lines that it has not matched but
        raised. `expected` has the ids of discrepancies that the key expects."""
        names = {number: rule for rule, number in self.names.items()}
        decided = {}

        def of(rule):
            nothing = {"lines": 0, "pairs": 0, "discrepancies": 0, "expected": 0, "unmatched": 0}
            return decided.setdefault(rule or NO_RULE, nothing)

        for number, rule in names.items():
            of(rule)["lines"] = self.of_line.count(number)
            of(rule)["pairs"] = self.pairs[rule]
        raised = {}
        for found in self.said:
            number = self.of_line[found.line - 2]
            row = of(names[number] if number else found.rule)
            row["discrepancies"] += 1
            row["expected"] += id(found) in expected
            if not number:
                raised.setdefault(found.rule, set()).add(found.line)
        for rule, lines in raised.items():
            of(rule)["unmatched"] = len(lines)
        return dict(sorted(decided.items()))
