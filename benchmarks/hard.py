"""What does a switch cost in the middle of C code?

100 tasklets call schedule() from the key function of sorted(), so that each
has a C stack that must be kept.  greenlet does the same for every switch.
"""

import sys

import _bench
import stackless

QUESTION = "What does a switch cost in the middle of C code (sorted)?"
UNIT = "ns"
OURS = "stackless.schedule() in sorted()"
MANY = 100

greenlet = _bench.optional("greenlet")


def sort(function, times):
    sorted(range(times), key=lambda _: function())


def by_stackless(times):
    before = stackless.get_stats()["hard_switches"]
    for _ in range(MANY):
        # 0: without it the tasklets themselves would be compared.
        stackless.tasklet(sort)(lambda: stackless.schedule(0), times // MANY)
    cost = _bench.nanoseconds(stackless.run, times)
    if stackless.get_stats()["hard_switches"] - before < times:
        raise RuntimeError("these switches were not hard")
    return cost


def by_greenlet(times):
    def member(index):
        follower = ring[(index + 1) % MANY]
        main.switch()  # all are ready before the first one begins
        sort(lambda: follower.switch(0) or 0, times // MANY)

    main = greenlet.getcurrent()
    ring = [greenlet.greenlet(member) for _ in range(MANY)]
    for index, each in enumerate(ring):
        each.switch(index)
    return _bench.nanoseconds(ring[0].switch, times)


def by_calls(times):
    def empty():
        return 0

    return _bench.nanoseconds(
        lambda: sort(lambda: empty(), times), times)


def cases(quick):
    times = 5_000 if quick else 20_000
    found = {
        OURS: lambda: by_stackless(times),
        "an empty call in sorted()": lambda: by_calls(times),
    }
    if greenlet:
        found["greenlet.switch() in sorted()"] = lambda: by_greenlet(times)
    return found


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
