"""The plots of docs/plots: switches by number of tasklets, and programs."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    # The same figures give the same file; text stays text.
    "svg.hashsalt": "stackless", "svg.fonttype": "none",
    "axes.spines.top": False, "axes.spines.right": False,
    "font.size": 10, "legend.frameon": False,
})

from matplotlib import pyplot, ticker

COLOURS = {
    "stackless": "#c0392b", "call": "#7f8c8d", "generator": "#7f8c8d",
    "greenlet": "#27ae60", "gevent": "#16a085", "eventlet": "#a3cb38",
    "asyncio": "#2980b9", "uvloop": "#8e44ad", "thread": "#2c3e50",
    "go": "#00add8",
}
PROGRAMS = ("threadring", "skynet", "chameneos", "sieve", "phold")


def best(row, column):
    return row["results"].get(column, {}).get("best")


def draw(found, folder):
    """Draw what was measured; yield the files."""
    benchmarks = found["benchmarks"]
    if "curve" in benchmarks:
        yield save(curve(benchmarks["curve"]["rows"]), folder, "switch-cost")
    rows = [row for name in PROGRAMS if name in benchmarks
            for row in benchmarks[name]["rows"] if best(row, "stackless")]
    if rows:
        yield save(programs(rows), folder, "programs")


def save(figure, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def curve(rows):
    """Nanoseconds of a switch by how many there are."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    columns = [column for column in COLOURS
               if any(best(row, column) for row in rows)]
    for column in columns:
        points = [(row["count"], best(row, column)) for row in rows
                  if best(row, column)]
        axes.plot(*zip(*points), marker="o", markersize=4, label=column,
                  color=COLOURS[column],
                  linewidth=2.5 if column == "stackless" else 1.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("how many take turns")
    axes.set_ylabel("nanoseconds per switch")
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def programs(rows):
    """Time of each program, in multiples of ours."""
    columns = [column for column in COLOURS
               if any(best(row, column) for row in rows)]
    figure, axes = pyplot.subplots(figsize=(7, 1 + 0.9 * len(rows)))
    thick = 0.8 / len(columns)
    for index, column in enumerate(columns):
        places, lengths = [], []
        for place, row in enumerate(rows):
            if best(row, column):
                places.append(place + index * thick)
                lengths.append(best(row, column) / best(row, "stackless"))
        bars = axes.barh(places, lengths, thick, label=column,
                         color=COLOURS[column])
        axes.bar_label(bars, [f" {length:.2g}" if length < 9.95 else
                              f" {length:.0f}" for length in lengths],
                       fontsize=7)
    axes.set_xscale("log")
    axes.set_yticks([place + 0.4 - thick / 2 for place in range(len(rows))],
                    [row["what"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("time, in multiples of stackless (less is better)")
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axes.axvline(1, color="#555555", linewidth=0.6)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
