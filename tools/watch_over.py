#!/usr/bin/env python3
"""What Prometheus has seen in a while: each panel of a Grafana dashboard in one picture, and which alarms have fired.

It fails where a panel has no data, and where an alarm of the rules has not fired just once for each of its label sets.
`scripts/soak` runs it. The picture needs matplotlib.
"""

import argparse
import json
import math
import re
import sys
import urllib.parse
import urllib.request

# Prometheus answers no more points than this for one line.
MOST_POINTS = 10_000
# A line is drawn with so many.
DRAWN_POINTS = 400
COLUMNS = 3
# What Grafana puts in place of its variables: all gateways, and a window that holds several scrapes.
VARIABLES = {"$instance": ".*", "$__rate_interval": "10s"}


class Prometheus:
    """Asks it for what it has seen between two moments."""

    def __init__(self, address, start, end):
        self.address, self.start, self.end = address, start, end

    def lines(self, expression, points=DRAWN_POINTS):
        """Pairs of labels and [time, value]s, and how far apart these are in seconds."""
        step = max(1, math.ceil((self.end - self.start) / points))
        asked = {"query": expression, "start": self.start, "end": self.end, "step": step}
        url = f"{self.address}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url) as answer:
            result = json.load(answer)["data"]["result"]
        lines = [
            (line["metric"], [(at, float(value)) for at, value in line["values"] if value != "NaN"])
            for line in result
        ]
        return [line for line in lines if line[1]], step


def panels(dashboard):
    """The panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expression(target):
    """A query, its variables filled in."""
    text = target["expr"]
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


def legend(template, labels):
    """What stands beside a line."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda name: labels.get(name[1], ""), template)


def firings(times, step):
    """From when until when it fired: samples that follow each other are one firing."""
    found = []
    for at in times:
        if found and at - found[-1][1] <= 2 * step:
            found[-1][1] = at
        else:
            found.append([at, at])
    return found


def alarms(prometheus, names):
    """Prints when each alarm has fired; gives those of which that was not once."""
    lines, step = prometheus.lines('ALERTS{alertstate="firing"}', MOST_POINTS)
    fired = {name: [] for name in names}
    for labels, values in lines:
        told = {name: text for name, text in labels.items() if name not in ("__name__", "alertname", "alertstate", "job")}
        fired.setdefault(labels["alertname"], []).append((told, firings([at for at, _ in values], step)))
    wrong = []
    for name, sets in fired.items():
        if not sets:
            wrong.append(f"{name} has not fired")
        for told, times in sets:
            text = " ".join(f"{label}={value}" for label, value in sorted(told.items()))
            spans = ", ".join(f"{start - prometheus.start:.0f}-{end - prometheus.start:.0f} s" for start, end in times)
            print(f"{name:32} {spans:24} {text}")
            if len(times) > 1:
                wrong.append(f"{name} ({text}) has fired {len(times)} times")
    return wrong


def draw(prometheus, dashboard, path):
    """Draws all panels into one picture; gives those without data."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = panels(dashboard)
    rows = math.ceil(len(shown) / COLUMNS)
    figure, places = pyplot.subplots(rows, COLUMNS, figsize=(7 * COLUMNS, 3.6 * rows), constrained_layout=True)
    empty = []
    for place, panel in zip(places.flat, shown):
        some = False
        for target in panel["targets"]:
            lines, step = prometheus.lines(expression(target))
            for labels, values in lines:
                some = True
                # Where there is no sample there is no line.
                gaps = [(at + step, math.nan) for (at, _), (after, _) in zip(values, values[1:]) if after - at > step]
                values = sorted(values + gaps)
                times = [(at - prometheus.start) / 60 for at, _ in values]
                name = legend(target.get("legendFormat", ""), labels)
                # A single sample is a line, too.
                place.plot(times, [value for _, value in values], ".-", markersize=2, linewidth=0.8, label=name)
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        place.set_title(f"{panel['title']} [{unit}]" + ("" if some else ": NO DATA"), fontsize=10)
        place.set_xlim(0, (prometheus.end - prometheus.start) / 60)
        place.tick_params(labelsize=7)
        if some:
            place.legend(fontsize=5, loc="upper left", ncols=2)
        else:
            empty.append(panel["title"])
    for place in list(places.flat)[len(shown):]:
        place.axis("off")
    figure.supxlabel("minutes")
    figure.savefig(path, dpi=90)
    return [f"the panel {title!r} has no data" for title in empty]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its address (%(default)s)")
    parser.add_argument("--start", type=float, required=True, help="from when, Unix time")
    parser.add_argument("--end", type=float, required=True, help="until when, Unix time")
    parser.add_argument("--dashboard", required=True, help="a dashboard for Grafana, JSON")
    parser.add_argument("--rules", required=True, help="the rules whose alarms are looked for")
    parser.add_argument("--out", required=True, help="the picture, PNG")
    asked = parser.parse_args(arguments)
    prometheus = Prometheus(asked.prometheus, asked.start, asked.end)
    with open(asked.rules) as rules:
        names = re.findall(r"- alert: (\w+)", rules.read())
    with open(asked.dashboard) as dashboard:
        wrong = draw(prometheus, json.load(dashboard), asked.out)
    for fault in (wrong := wrong + alarms(prometheus, names)):
        print(f"WRONG: {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
