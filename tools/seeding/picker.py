"""Which lines an error may touch.

A line is touched by at most one kind of error, and of the lines with one RRN only one is. What is touched must not by chance
explain another error: where a merchant's item of 12.00 has no line, or one that does not name it, no line of the same merchant is
12.00 too high.
"""

# How many places are tried by chance before all are.
TRIES = 200


class Picker:
    """Hands out the places of an index, by chance, and each once."""

    def __init__(self, index, rng):
        self.index = index
        self.rng = rng
        self.used = set()
        # By group, the amounts of what is touched; and those by which an amount is too high.
        self.touched = set()
        self.raised = set()
        self._twins = None

    def is_free(self, place):
        """Whether an error may touch a place."""
        index = self.index
        is_new = index.is_fit[place] and index.rrn[place] not in self.used
        return bool(is_new) and self._same(place) not in self.raised

    def _same(self, place):
        return self.index.group[place], self.index.amount(place)

    def take(self, *places):
        """Marks places as touched."""
        self.used.update(self.index.rrn[place] for place in places)
        self.touched.update(map(self._same, places))
        return list(places)

    def may_raise(self, place, by):
        """Whether an amount may be higher by so much, and nothing that is touched explain it."""
        return (self.index.group[place], by) not in self.touched

    def raise_by(self, place, by):
        """Marks an amount as too high by so much."""
        self.raised.add((self.index.group[place], by))

    def one(self, is_wanted, among=None):
        """A free place that is wanted; none where there is none."""
        among = range(len(self.index)) if among is None else among
        if not among:
            return None
        for _ in range(TRIES):
            place = among[self.rng.randrange(len(among))]
            if self.is_free(place) and is_wanted(place):
                return place
        begin = self.rng.randrange(len(among))
        for step in range(len(among)):
            place = among[(begin + step) % len(among)]
            if self.is_free(place) and is_wanted(place):
                return place
        return None

    def two(self, is_first, is_second, others=None):
        """Two free places with different RRNs: one that is wanted, and one that is wanted beside it, of the same acceptor,
        kind and currency. `others` says among which places the second is, if not among these."""
        index = self.index

        def of_group(first):
            return index.places[index.group[first]]

        others = others or of_group
        for _ in range(20):
            first = self.one(is_first)
            if first is None:
                return None

            def fits(place, first=first):
                return index.rrn[place] != index.rrn[first] and is_second(first, place)

            second = self.one(fits, others(first))
            if second is not None:
                return first, second
        return None

    def twins(self):
        """Lists of up to eight places that are alone with their RRN and have the same group and amount."""
        if self._twins is None:
            index, first, twins = self.index, {}, {}
            for place, group in enumerate(index.group):
                if not index.is_fit[place] or not index.is_alone(place):
                    continue
                key = (group, index.amount(place))
                if key not in first:
                    first[key] = place
                    continue
                same = twins.setdefault(key, [first[key]])
                if len(same) < 8:
                    same.append(place)
            self._twins = list(twins.values())
        return self._twins
