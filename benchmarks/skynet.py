"""A tree of tasklets with a million leaves, each of which knows its number.

Each inner node makes ten children, waits for their sums, and passes their sum
on.  Most of the work is to make and end 1,111,111 of them.
"""

import sys

import _bench
import _peers
import _programs

NAME = "skynet"
GO = "skynet"
QUESTION = f"{NAME}: the sum of a tree of tasks"
ROUNDS = 5
SECONDS = 10


def by_channels(column, leaves):
    return globals()[f"by_{column}"](leaves)


def by_stackless(leaves):
    import stackless

    tasklet, channel = stackless.tasklet, stackless.channel

    def node(sums, number, size):
        if size == 1:
            sums.send(number)
            return
        size //= 10
        mine = channel()
        for index in range(10):
            tasklet(node)(mine, number + index * size, size)
        total = 0
        for _ in range(10):
            total += mine.receive()
        sums.send(total)

    def body():
        tasklet(node)(sums, 0, leaves)
        totals.append(sums.receive())

    sums, totals = channel(), []
    tasklet(body)()
    stackless.run()
    return totals[0]


def by_spawning(spawn, result, leaves):
    """Where a node's value is asked of what spawn() returns."""
    def node(number, size):
        if size == 1:
            return number
        size //= 10
        jobs = [spawn(node, number + index * size, size)
                for index in range(10)]
        return sum(map(result, jobs))

    return result(spawn(node, 0, leaves))


def by_gevent(leaves):
    import gevent

    return by_spawning(gevent.spawn, lambda job: job.get(), leaves)


def by_eventlet(leaves):
    spawn = _peers.import_eventlet().spawn
    return by_spawning(spawn, lambda job: job.wait(), leaves)


def by_greenlet(leaves):
    import greenlet

    make = greenlet.greenlet

    def node(number, size):
        if size == 1:
            return number
        size //= 10
        total = 0
        for index in range(10):
            total += make(node).switch(number + index * size, size)
        return total

    return make(node).switch(0, leaves)


def by_asyncio(column, leaves):
    import asyncio

    spawn, gather = asyncio.create_task, asyncio.gather

    async def node(number, size):
        if size == 1:
            return number
        size //= 10
        return sum(await gather(*[
            spawn(node(number + index * size, size)) for index in range(10)]))

    return _peers.run_async(column, node, 0, leaves)


def rows(quick):
    leaves = 10_000 if quick else 1_000_000
    return [_programs.row(sys.modules[__name__], leaves,
                          leaves * (leaves - 1) // 2)]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
