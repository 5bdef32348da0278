"""The table of what was measured: as text, and as Markdown."""

import _bench
import _peers

WHAT, OURS, CELL = 41, 15, 10


def columns(outcomes):
    """The competitors' columns that have anything in them."""
    used = {column for outcome in outcomes for row in outcome["rows"]
            for column in row["results"]}
    return [column for column in _peers.COLUMNS
            if column in used and column != _bench.OURS]


def number(value):
    """Three digits or so."""
    if value == int(value) and value < 100:
        return str(int(value))
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def own(row):
    """Our cell."""
    result = row["results"].get(_bench.OURS, {})
    if "best" in result:
        return f"{number(result['best'])} {row['unit']}"
    return "FAILED" if result else "-"


def cell(row, column):
    """Another's cell: in multiples of ours, or as it is if ours is none."""
    result = row["results"].get(column, {})
    ours = row["results"].get(_bench.OURS, {}).get("best")
    if "best" not in result:
        return "failed" if result else ""
    if not ours:
        return number(result["best"])
    return f"{number(result['best'] / ours)} x"


def verdict(wanted):
    """A wish, and what came of it."""
    if wanted["met"] is None:
        return f"{wanted['text']}: not measured"
    state = "ok" if wanted["met"] else "MISSED"
    return f"{wanted['text']}: {number(wanted['found'])} {state}"


def head(used):
    cells = "".join(f"{column:>{CELL}}" for column in used)
    return f"{'':{WHAT}}{'ours':>{OURS}}{cells}"


def text(row, used):
    """Lines of text for one row."""
    cells = "".join(f"{cell(row, column):>{CELL}}" for column in used)
    lines = [f"{row['what']:{WHAT}}{own(row):>{OURS}}{cells}".rstrip()]
    if row["lacks"]:
        lines.append(f"    ({row['lacks']})")
    else:
        lines += [f"    {verdict(wanted)}" for wanted in row["wanted"]]
    for column, result in row["results"].items():
        if "error" in result:
            lines.append(f"    {column}: {result['error']}")
    return lines


def table(outcomes):
    """All outcomes as lines of text."""
    used = columns(outcomes)
    lines = [head(used)]
    for outcome in outcomes:
        lines += ["", outcome["question"]]
        for row in outcome["rows"]:
            lines += text(row, used)
    return lines


def markdown(outcomes):
    """All outcomes as lines of Markdown."""
    used = columns(outcomes)
    lines = ["| " + " | ".join(["", "ours", *used, "wanted"]) + " |",
             "|---|" + "--:|" * (1 + len(used)) + "---|"]
    for outcome in outcomes:
        for row in outcome["rows"]:
            cells = [row["what"], own(row),
                     *(cell(row, column) for column in used),
                     row["lacks"] or "; ".join(map(verdict, row["wanted"]))]
            lines.append("| " + " | ".join(cells) + " |")
    return lines
