"""PHOLD, the usual load of discrete-event simulators.

A thousand parts wait for their next event.  An engine takes the earliest one
from a heap and sends it to its part, which draws by lot when and where the
next event is to be, and sends that back.  An event is one number: its time,
and the part.  The outcome is a checksum of all events in their order.
"""

import heapq
import itertools
import sys

import _bench
import _peers
import _programs

NAME = "phold"
GO = "phold"
QUESTION = f"{NAME}: a discrete-event simulation"
ROUNDS = 20
PARTS = 1_000


def draw(seed):
    """The next of a series of numbers that look random."""
    return (seed * 1_103_515_245 + 12_345) & 0x7FFFFFFF


def add(checksum, event):
    return (checksum * 31 + event) & 0xFFFFFFFF


def by_channels(column, events):
    kit = _peers.kit(column)

    def part(seed, receive, send):
        while True:
            event = receive()
            if event is None:
                break
            seed = draw(seed)
            when = event // PARTS + 1 + (seed >> 8) % 1000
            seed = draw(seed)
            send(when * PARTS + (seed >> 8) % PARTS)

    def engine():
        answers, inboxes = kit.channel(), []
        for index in range(PARTS):
            inbox = kit.channel()
            inboxes.append(inbox.send)
            kit.spawn(part, index, inbox.receive, answers.send)
        receive, heap, checksum = answers.receive, list(range(PARTS)), 0
        event = heapq.heappop(heap)
        for _ in itertools.repeat(None, events):
            checksum = add(checksum, event)
            inboxes[event % PARTS](event)
            event = heapq.heappushpop(heap, receive())
        for send in inboxes:
            send(None)
        return checksum

    return kit.run(engine)


def by_greenlet(events):
    import greenlet

    def part(seed):
        event = answer(None)
        while event is not None:
            seed = draw(seed)
            when = event // PARTS + 1 + (seed >> 8) % 1000
            seed = draw(seed)
            event = answer(when * PARTS + (seed >> 8) % PARTS)

    answer, parts = greenlet.getcurrent().switch, []
    for index in range(PARTS):
        parts.append(greenlet.greenlet(part).switch)
        parts[-1](index)
    heap, checksum = list(range(PARTS)), 0
    event = heapq.heappop(heap)
    for _ in itertools.repeat(None, events):
        checksum = add(checksum, event)
        event = heapq.heappushpop(heap, parts[event % PARTS](event))
    for switch in parts:
        switch(None)
    return checksum


def by_asyncio(column, events):
    import asyncio

    async def part(seed, inbox, answers):
        while True:
            event = await inbox.get()
            if event is None:
                break
            seed = draw(seed)
            when = event // PARTS + 1 + (seed >> 8) % 1000
            seed = draw(seed)
            await answers.put(when * PARTS + (seed >> 8) % PARTS)

    async def engine():
        answers = asyncio.Queue()
        inboxes = [asyncio.Queue() for _ in range(PARTS)]
        tasks = [asyncio.create_task(part(index, inbox, answers))
                 for index, inbox in enumerate(inboxes)]
        heap, checksum = list(range(PARTS)), 0
        event = heapq.heappop(heap)
        for _ in itertools.repeat(None, events):
            checksum = add(checksum, event)
            await inboxes[event % PARTS].put(event)
            event = heapq.heappushpop(heap, await answers.get())
        for inbox in inboxes:
            await inbox.put(None)
        for task in tasks:
            await task
        return checksum

    return _peers.run_async(column, engine)


def by_loop(events):
    """The outcome without any tasks."""
    seeds, heap, checksum = list(range(PARTS)), list(range(PARTS)), 0
    for _ in itertools.repeat(None, events):
        event = heap[0]
        checksum = add(checksum, event)
        seed = draw(seeds[event % PARTS])
        when = event // PARTS + 1 + (seed >> 8) % 1000
        seeds[event % PARTS] = seed = draw(seed)
        heapq.heapreplace(heap, when * PARTS + (seed >> 8) % PARTS)
    return checksum


def rows(quick):
    events = 5_000 if quick else 50_000
    return [_programs.row(sys.modules[__name__], events, by_loop(events))]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
