"""What does it cost to let the next tasklet run?

100 tasklets call schedule() in turn, directly below their bottom frame or 20
frames deeper.  Beside it: greenlets that switch in a ring, generators that
are resumed one after the other, and an empty call in the same loop.
"""

import itertools
import sys

import _bench
import stackless

QUESTION = "What does it cost to let the next one of 100 run?"
UNIT = "ns"
OURS = "stackless.schedule()"
TARGETS = [(OURS, "greenlet.switch()", 0.40)]
MANY = 100

greenlet = _bench.optional("greenlet")


def deep(depth, function, argument):
    """Call the function from 'depth' frames below."""
    if depth:
        return deep(depth - 1, function, argument)
    return function(argument)


def spin(function, times):
    for _ in itertools.repeat(None, times):
        function()


def by_calls(times):
    def empty():
        pass

    return _bench.nanoseconds(lambda: spin(empty, times), times)


def by_stackless(times, depth):
    def member(times):
        spin(stackless.schedule, times)

    before = stackless.get_stats()["hard_switches"]
    for _ in range(MANY):
        stackless.tasklet(deep)(depth, member, times // MANY)
    cost = _bench.nanoseconds(stackless.run, times)
    # Starting and ending may be hard; what is measured here may not.
    if stackless.get_stats()["hard_switches"] - before > 2 * MANY:
        raise RuntimeError("these switches were not soft")
    return cost


def by_greenlet(times, depth):
    def member(index):
        follower = ring[(index + 1) % MANY]
        main.switch()  # all are ready before the first one begins
        spin(follower.switch, times // MANY)

    main = greenlet.getcurrent()
    ring = [greenlet.greenlet(deep) for _ in range(MANY)]
    for index, each in enumerate(ring):
        each.switch(depth, member, index)
    # The first one is the first to have done its share, and returns to us.
    return _bench.nanoseconds(ring[0].switch, times)


def by_generators(times):
    def body():
        while True:
            yield

    ring = [body() for _ in range(MANY)]
    for each in ring:
        next(each)
    sends = [each.send for each in ring]

    def work():
        for _ in itertools.repeat(None, times // MANY):
            for send in sends:
                send(None)

    return _bench.nanoseconds(work, times)


def cases(quick):
    times = 10_000 if quick else 50_000
    found = {
        OURS: lambda: by_stackless(times, 0),
        "stackless.schedule(), 20 frames deep":
            lambda: by_stackless(times, 20),
        "an empty Python call": lambda: by_calls(times),
        "generator.send()": lambda: by_generators(times),
    }
    if greenlet:
        found["greenlet.switch()"] = lambda: by_greenlet(times, 0)
        found["greenlet.switch(), 20 frames deep"] = (
            lambda: by_greenlet(times, 20))
    return found


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
