"""How well, and at what cost, are tasklets interrupted?

A heartbeat is the main tasklet that wants to run once in each slice, beside tasklets
that never let go: how much later than a slice does it run, in slices?  Overhead is
the time that a loop takes with preempt() switched on, compared to without, in turns.
"""

import sys
import time

import _bench

QUESTION = "How well, and at what cost, are tasklets interrupted?"
SLICE = 0.01


def forever():
    while True:
        pass


def lateness(beats, percent=99):
    gaps = sorted(b - a for a, b in zip(beats, beats[1:]))
    return gaps[len(gaps) * percent // 100] / SLICE


def by_watchdog(times, loops=3):
    """run(seconds) in a loop; p99 of what is between two beats, in slices."""
    import stackless

    tasks = [stackless.tasklet(forever)() for _ in range(loops)]
    beats = []
    for _ in range(times):
        stackless.run(seconds=SLICE).insert()
        beats.append(time.perf_counter())
    end(tasks)
    return lateness(beats)


def by_preempt(times):
    """The same under preempt(), beside one loop."""
    import stackless

    tasks = [stackless.tasklet(forever)()]
    beats = []
    stackless.preempt(SLICE)
    for _ in range(times):
        stackless.schedule()
        beats.append(time.perf_counter())
    stackless.preempt(None)
    end(tasks)
    return lateness(beats)


def end(tasks):
    for task in tasks:
        task.remove()
    for task in tasks:
        task.kill()


def work(times):
    total = 0
    for number in range(times):
        total += number
    return total


def overhead(times, rounds):
    """Percent more, with preempt() on: the best of the rounds of each, in turns."""
    import stackless

    with_it, without = [], []
    for _ in range(rounds):
        for interval, costs in (None, without), (SLICE, with_it):
            stackless.preempt(interval)
            costs.append(_bench.nanoseconds(lambda: work(times), times))
    stackless.preempt(None)
    return max(min(with_it) / min(without) - 1, 0) * 100


def rows(quick):
    beats = 10 if quick else 200
    size, rounds = (10_000, 3) if quick else (2_000_000, 15)
    return [
        _bench.Row("p99 between beats, run(seconds) beside 3 loops", {
            "stackless": lambda: by_watchdog(beats),
        }, (_bench.at_most(2),), unit="slices", alone=True, rounds=3),
        _bench.Row("p99 between beats, preempt() beside 1 loop", {
            "stackless": lambda: by_preempt(beats),
        }, (_bench.at_most(2),), unit="slices", alone=True, rounds=3),
        _bench.Row("a loop under preempt(), more time", {
            "stackless": lambda: overhead(size, rounds),
        }, (_bench.at_most(1),), unit="%", alone=True, rounds=1),
    ]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
