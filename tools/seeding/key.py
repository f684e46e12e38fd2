"""The key of a report with seeded errors, as JSON lines: first what it is about, then each error."""

import json

NAME = "seeded errors of a settlement report"


class KeyFault(Exception):
    """A key that can't be read."""


def write(path, about, entries):
    """Writes a key."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps({"key": NAME, **about}) + "\n")
        for number, entry in enumerate(entries, 1):
            file.write(json.dumps({"error": number, **entry}) + "\n")


def read(path):
    """What a key is about, and its errors."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    if not lines or lines[0].get("key") != NAME:
        raise KeyFault(f"{path}: line 1: expected the key of a report with seeded errors")
    return lines[0], lines[1:]
