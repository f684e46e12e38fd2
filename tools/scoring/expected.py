"""Whether an expected finding is there."""

SPLIT, MERGED, ANY = "MATCHED_SPLIT", "MATCHED_MERGED", "NOT_AUTOMATIC"
REFUSED, REPEATED = "FILE_REFUSED", "FILE_REPEATED"
OF_FILES = {REFUSED: "REFUSED", REPEATED: "REPEATED"}


def is_there(books, error, expected, used):
    """Whether an expected finding of an error is there. A discrepancy counts for one of them: `used` has those that did."""
    name = expected["finding"]
    if name in OF_FILES:
        # A file that is not taken in says nothing of its lines.
        is_silent = not books.right and not books.wrong.count and not books.surplus.count
        return books.word == OF_FILES[name] and is_silent
    if name in (SPLIT, MERGED):
        return is_matched(error)
    if name == ANY:
        return any(_is_about(error, expected, found) for found in error.found)
    # Of a file that is cut off there are very many, all without a line.
    of_item = error.found_of.get(expected["rrn"], ())
    for found in of_item if expected["line"] is None else error.found:
        if id(found) not in used and _is_it(expected, found):
            used.add(id(found))
            return True
    return False


def is_whole(error):
    """Whether all pairs of an error are matches, and no others."""
    pairs = {(line, rrn) for line, items in error.items_of.items() for rrn in items}
    return bool(pairs) and set(error.matches) == pairs and len(error.matches) == len(pairs)


def is_matched(error):
    """The same, and nothing is said beside it but what is another error of the same lines."""
    names = {it["finding"] for it in error.expected}
    return is_whole(error) and all(found.kind in names for found in error.found)


def is_accounted_for(error, found):
    """Whether a finding that is not an expected one may be there: something is said of an error that is not to be named."""
    if any(it["finding"] == ANY for it in error.expected):
        return True
    return any(_is_it(allowed, found) for allowed in error.allowed)


def _lines(expected):
    return expected.get("lines") or [expected["line"]]


def _is_about(error, expected, found):
    if found.line in error.items_of:
        return found.line in _lines(expected)
    return found.line is None and found.rrn is not None and found.rrn == expected["rrn"]


def _is_it(expected, found):
    """Kind, place and amounts, as far as both have them; and at least line or RRN."""
    if found.kind != expected["finding"]:
        return False
    has_line = found.line is not None and expected["line"] is not None
    has_rrn = found.rrn is not None and expected["rrn"] is not None
    if has_line and found.line not in _lines(expected):
        return False
    if has_rrn and found.rrn != expected["rrn"]:
        return False
    if not has_line and not has_rrn:
        return False
    for ours, theirs in (("own_minor", found.own), ("bank_minor", found.bank)):
        known = expected.get(ours)
        if known is not None and theirs is not None and abs(known) != abs(theirs):
            return False
    amounts = (found.own, found.bank, expected.get("own_minor"), expected.get("bank_minor"))
    if None not in amounts:
        # Both go the same way, or one of them the other way.
        is_turned, is_to_be = ((own > 0) != (bank > 0) for own, bank in (amounts[:2], amounts[2:]))
        if is_turned != is_to_be:
            return False
    wanted = set(expected.get("candidates", ()))
    return not wanted or not found.candidates or wanted <= set(found.candidates)
