"""What does a switch cost in the middle of C code?

Tasklets call schedule() from the key function of max(), so that each has a C
stack that must be kept.  greenlet does the same for every switch.  Beyond a
thousand and some C stacks are kept in the heap by turns.
"""

import functools
import itertools
import sys

import _bench
import _rings

QUESTION = "What does a switch cost in the middle of C code?"
RINGS = ((10, 500, 0.8), (1_000, 10, 0.8), (30_000, 3, 1.0))


def calls_in_c(times):
    def empty():
        return 0

    def work():
        max(itertools.repeat(0, times), key=lambda _: empty())

    return _bench.nanoseconds(work, times)


def row(count, laps, limit):
    return _bench.Row(f"schedule() inside max(), {count:,} tasklets", {
        "stackless": functools.partial(
            _rings.tasklets, count, laps, hard=True),
        "call": functools.partial(calls_in_c, 10_000),
        "greenlet": functools.partial(
            _rings.greenlets, count, laps, hard=True),
    }, (_bench.at_most(limit, "greenlet"),), alone=count > 1_000)


def rows(quick):
    return [row(count // 10 if quick and count > 1_000 else count,
                laps if quick else 4 * laps, limit)
            for count, laps, limit in RINGS]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
