"""A token goes round a ring of 503: the benchmarks game's thread-ring.

Each takes the token from its left neighbour, and passes it on less one to its
right one; who gets zero has won.  All of the work is switching.
"""

import sys

import _bench
import _peers
import _programs

NAME = "thread-ring"
GO = "threadring"
QUESTION = f"{NAME}: a token goes round a ring of 503"
ROUNDS = 20
MEMBERS = 503
# The token goes on for one more lap behind zero, to end all of them.
LAST = 1 - MEMBERS


def by_channels(column, passes):
    kit = _peers.kit(column)

    def member(number, receive, send):
        token = receive()
        while token > 0:
            send(token - 1)
            token = receive()
        if token == 0:
            winners.append(number)
        if token > LAST:
            send(token - 1)
        else:
            over.send(None)

    def main():
        ring = [kit.channel() for _ in range(MEMBERS)]
        for index, channel in enumerate(ring):
            kit.spawn(member, index + 1, channel.receive,
                      ring[(index + 1) % MEMBERS].send)
        ring[0].send(passes)
        over.receive()
        return winners[0]

    over, winners = kit.channel(), []
    return kit.run(main)


def by_greenlet(passes):
    import greenlet

    def member(number):
        token = main.switch()  # all are there before the first one begins
        switch = ring[number % MEMBERS].switch
        while token > 0:
            token = switch(token - 1)
        if token == 0:
            winners.append(number)
        if token > LAST:
            switch(token - 1)

    main, winners = greenlet.getcurrent(), []
    ring = [greenlet.greenlet(member) for _ in range(MEMBERS)]
    for index, each in enumerate(ring):
        each.switch(index + 1)
    ring[0].switch(passes)
    for each in ring:
        each.switch()
    return winners[0]


def by_asyncio(column, passes):
    import asyncio

    async def member(number, left, right):
        token = await left.get()
        while token > 0:
            await right.put(token - 1)
            token = await left.get()
        if token == 0:
            winners.append(number)
        if token > LAST:
            await right.put(token - 1)

    async def main():
        ring = [asyncio.Queue() for _ in range(MEMBERS)]
        tasks = [asyncio.create_task(
            member(index + 1, left, ring[(index + 1) % MEMBERS]))
            for index, left in enumerate(ring)]
        await ring[0].put(passes)
        for task in tasks:
            await task

    winners = []
    _peers.run_async(column, main)
    return winners[0]


def rows(quick):
    passes = 10_000 if quick else 100_000
    return [_programs.row(sys.modules[__name__], passes,
                          passes % MEMBERS + 1, switching=True)]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
