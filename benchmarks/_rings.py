"""Rings of many that take turns; what switch.py, hard.py and curve.py share.

Each function makes 'count' of them, each of which lets the next one run 'laps'
times, and returns nanoseconds per turn.  All have begun before the clock is
read by the first of them, and it is read again before that one ends.
"""

import itertools
import time

import _bench
import _peers


def spin(function, times):
    for _ in itertools.repeat(None, times):
        function()


class Clock:
    """Read by the first of a ring when its laps begin and end."""

    def __init__(self):
        self.begun = self.ended = None

    def read(self):
        self.begun, self.ended = self.ended, time.perf_counter_ns()

    def at_this_point(self):
        """Nothing to iterate over, but the clock is read."""
        self.read()
        return
        yield

    def cost(self, count, laps):
        return (self.ended - self.begun) / (count * laps)


def member(function, laps, clock, depth):
    """What each of them does, in the depth-th frame from here."""
    if depth > 1:
        return member(function, laps, clock, depth - 1)
    turns = itertools.repeat(None, laps)  # costs more than a turn
    function()
    if clock:
        clock.read()
    for _ in turns:
        function()
    if clock:
        clock.read()


def member_in_c(function, laps, clock, depth):
    """The same in a function of C, which calls us back."""
    times = itertools.repeat(0, laps + 1)
    if clock:
        times = itertools.chain((0,), clock.at_this_point(),
                                itertools.repeat(0, laps),
                                clock.at_this_point())
    max(times, key=lambda _: function(0))


# --- the competitors --------------------------------------------------------

def tasklets(count, laps, depth=1, hard=False):
    import stackless

    body = member_in_c if hard else member
    schedule = stackless.schedule
    before = stackless.get_stats()["hard_switches"]
    clock = Clock()
    for index in range(count):
        stackless.tasklet(body)(
            schedule, laps, None if index else clock, depth)
    stackless.run()
    switches = stackless.get_stats()["hard_switches"] - before
    # Starting and ending may be hard; what is measured here may not.
    if hard and switches < count * laps:
        raise _bench.Wrong("these switches were not hard")
    if not hard and switches > 2 * count + 100:
        raise _bench.Wrong("these switches were not soft")
    return clock.cost(count, laps)


def greenlets(count, laps, depth=1, hard=False):
    import greenlet

    body = member_in_c if hard else member
    ring, clock = [], Clock()

    def run(index):
        follower = ring[(index + 1) % count].switch
        main.switch()  # all are there before the first one begins
        body(follower, laps, None if index else clock, depth)

    main = greenlet.getcurrent()
    for index in range(count):
        ring.append(greenlet.greenlet(run))
    for index, each in enumerate(ring):
        each.switch(index)
    ring[0].switch(0)
    cost = clock.cost(count, laps)
    for each in ring[1:]:
        each.switch(0)
    return cost


def gevents(count, laps, depth=1):
    import gevent

    clock = Clock()
    jobs = [gevent.spawn(member, gevent.sleep, laps,
                         None if index else clock, depth)
            for index in range(count)]
    gevent.joinall(jobs)
    return clock.cost(count, laps)


def eventlets(count, laps, depth=1):
    eventlet = _peers.import_eventlet()
    clock = Clock()
    jobs = [eventlet.spawn(member, eventlet.sleep, laps,
                         None if index else clock, depth)
            for index in range(count)]
    for job in jobs:
        job.wait()
    return clock.cost(count, laps)


def tasks(column, count, laps, depth=1):
    """asyncio's, with its own loop or with uvloop's."""
    import asyncio

    async def deep(depth, clock):
        if depth > 1:
            return await deep(depth - 1, clock)
        turns = itertools.repeat(None, laps)
        await asyncio.sleep(0)
        if clock:
            clock.read()
        for _ in turns:
            await asyncio.sleep(0)
        if clock:
            clock.read()

    async def main():
        jobs = [asyncio.create_task(deep(depth, None if index else clock))
                for index in range(count)]
        for job in jobs:
            await job

    clock = Clock()
    _peers.run_async(column, main)
    return clock.cost(count, laps)


def generators(count, laps, depth=1):
    def deep(depth):
        if depth > 1:
            yield from deep(depth - 1)
        while True:
            yield

    ring = [deep(depth) for _ in range(count)]
    for each in ring:
        next(each)
    sends = [each.send for each in ring]

    def work():
        for _ in itertools.repeat(None, laps):
            for send in sends:
                send(None)

    return _bench.nanoseconds(work, count * laps)


def goroutines(count, laps):
    return _peers.go("switch", count, laps)[0]


def calls(times):
    """Calls of an empty function in the same loop."""
    def empty():
        pass

    return _bench.nanoseconds(lambda: spin(empty, times), times)
