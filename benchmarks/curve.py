"""How does the cost of a switch grow with the number of tasklets?

Rings of a hundred to a million that take turns, each in a process of its own;
of a kind that does not fit into a quarter of the memory there is, none.
"""

import functools
import sys

import _bench
import _peers
import _rings

QUESTION = "How does the cost of a switch grow with their number?"
ROUNDS = 10
SECONDS = 6
COUNTS = (100, 1_000, 10_000, 100_000, 300_000, 1_000_000)
# Bytes to expect of each, so that no machine is driven out of memory.
SIZES = {"stackless": 1_200, "generator": 600, "greenlet": 7_000,
         "asyncio": 3_000, "go": 3_000}


def at(count):
    return f"switch, {count:,} at once"


def row(count, quick):
    laps = max(2 if count > 100_000 else 3, 20_000 // count)
    if quick:
        laps = max(2, laps // 5)
    run = functools.partial
    cases = {
        "stackless": run(_rings.tasklets, count, laps),
        "generator": run(_rings.generators, count, laps),
        "greenlet": run(_rings.greenlets, count, laps),
        "asyncio": run(_rings.tasks, "asyncio", count, laps),
        "go": run(_rings.goroutines, count, laps * 4),
    }
    memory = _peers.memory() / 4
    wanted = ()
    if count >= 1_000_000:
        wanted = _bench.at_most(2, "stackless", at(COUNTS[0]),
                                f"{COUNTS[0]} at once"),
    return _bench.Row(
        at(count),
        {column: case for column, case in cases.items()
         if count * SIZES[column] <= memory},
        wanted, alone=True, count=count)


def rows(quick):
    return [row(count, quick) for count in COUNTS
            if not quick or count <= 10_000]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
