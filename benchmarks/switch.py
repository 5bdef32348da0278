"""What does it cost to let the next tasklet run?

100 tasklets call schedule() in turn, in their bottom frame or in the 20th; at
whatever depth that is dearest, since frames come in chunks of memory.  In a
program that was started by python -m stackless the main tasklet takes turns with
another one; beside it are two that are not main.
"""

import functools
import sys

import _bench
import _rings

QUESTION = "What does it cost to let the next one run?"
MANY = 100
DEEP = 20
DEEPEST = 40  # the edges of several chunks of frames
RING = f"schedule() between {MANY} tasklets"
PAIR = "schedule() between two tasklets, python -m stackless"
CLI = "-m", "stackless"
# Python 3.11 calls and switches at another price than later ones.
TIMES = 5.5 if sys.version_info < (3, 12) else 7


def dearest_depth(laps):
    """The worst of all depths."""
    return max(_rings.tasklets(MANY, laps, depth)
               for depth in range(1, DEEPEST + 1))


def main_and_another(times):
    """Half of these switches leave main, half of them enter it."""
    import stackless

    before = stackless.get_stats()["hard_switches"]
    stackless.tasklet(_rings.spin)(stackless.schedule, times)
    cost = _bench.nanoseconds(
        lambda: _rings.spin(stackless.schedule, times), 2 * times)
    stackless.run()
    if stackless.get_stats()["hard_switches"] - before > 10:
        raise _bench.Wrong("these switches were not soft")
    return cost


def rows(quick):
    laps = 50 if quick else 500
    at = functools.partial
    return [
        _bench.Row(RING, {
            "stackless": at(_rings.tasklets, MANY, laps),
            "call": at(_rings.calls, MANY * laps),
            "generator": at(_rings.generators, MANY, laps),
            "greenlet": at(_rings.greenlets, MANY, laps),
            "gevent": at(_rings.gevents, MANY, laps // 10),
            "eventlet": at(_rings.eventlets, MANY, laps // 10),
            "asyncio": at(_rings.tasks, "asyncio", MANY, laps // 10),
            "uvloop": at(_rings.tasks, "uvloop", MANY, laps // 10),
            "go": at(_rings.goroutines, MANY, laps * 4),
        }, (_bench.at_most(2.0, "call"), _bench.faster(TIMES, "greenlet"))),
        _bench.Row(f"the same, {DEEP} frames deep", {
            "stackless": at(_rings.tasklets, MANY, laps, DEEP),
            "generator": at(_rings.generators, MANY, laps // 10, DEEP),
            "greenlet": at(_rings.greenlets, MANY, laps, DEEP),
            "gevent": at(_rings.gevents, MANY, laps // 10, DEEP),
            "eventlet": at(_rings.eventlets, MANY, laps // 10, DEEP),
            "asyncio": at(_rings.tasks, "asyncio", MANY, laps // 10, DEEP),
            "uvloop": at(_rings.tasks, "uvloop", MANY, laps // 10, DEEP),
        }, (_bench.at_most(1.1, "stackless", RING, "1 deep"),)),
        _bench.Row(f"the dearest of 1 to {DEEPEST} frames deep", {
            "stackless": at(dearest_depth, laps // 10),
        }, (_bench.at_most(1.2, "stackless", RING, "1 deep"),)),
        _bench.Row(PAIR, {
            "stackless": at(_rings.tasklets, 2, 20 * laps),
        }, options=CLI),
        # Not by partial(), which is C code: main would be hard below it.
        _bench.Row("main and another, python -m stackless", {
            "stackless": lambda: main_and_another(20 * laps),
        }, (_bench.at_most(1.1, "stackless", PAIR, "two tasklets"),),
            options=CLI),
    ]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
