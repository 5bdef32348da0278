"""Chameneos meet in pairs and change colour: chameneos-redux.

Ten creatures ask for a meeting over a channel, each with a channel of its own
for the answer; a broker brings two together at a time.  The outcome is how
often all of them have met somebody.
"""

import collections
import itertools
import sys

import _bench
import _peers
import _programs

NAME = "chameneos-redux"
GO = "chameneos"
QUESTION = f"{NAME}: ten creatures meet in pairs"
ROUNDS = 20
COLOURS = (0, 1, 2, 1, 2, 0, 1, 2, 1, 0)
# What becomes of one colour that meets another.
CHANGED = ((0, 2, 1), (2, 1, 0), (1, 0, 2))


def by_channels(column, meetings):
    kit = _peers.kit(column)

    def creature(colour, ask):
        answer, met = kit.channel(), 0
        receive = answer.receive
        while True:
            ask((colour, answer))
            other = receive()
            if other is None:
                break
            colour = CHANGED[colour][other]
            met += 1
        counts.send(met)

    def broker():
        receive = requests.receive
        for _ in itertools.repeat(None, meetings):
            left, to_left = receive()
            right, to_right = receive()
            to_left.send(right)
            to_right.send(left)
        for _ in COLOURS:
            _, answer = receive()
            answer.send(None)

    def main():
        for colour in COLOURS:
            kit.spawn(creature, colour, requests.send)
        kit.spawn(broker)
        total = 0
        for _ in COLOURS:
            total += counts.receive()
        return total

    requests, counts = kit.channel(), kit.channel()
    return kit.run(main)


def by_greenlet(meetings):
    import greenlet

    def creature(colour):
        met = 0
        while True:
            other = ask(colour)
            if other is None:
                return met
            colour = CHANGED[colour][other]
            met += 1

    # The broker is main: it switches to whoever has an answer.
    ask = greenlet.getcurrent().switch
    ready = collections.deque()
    for colour in COLOURS:
        each = greenlet.greenlet(creature).switch
        ready.append((each, each(colour)))
    for _ in itertools.repeat(None, meetings):
        to_left, left = ready.popleft()
        to_right, right = ready.popleft()
        ready.append((to_left, to_left(right)))
        ready.append((to_right, to_right(left)))
    return sum(answer(None) for answer, _ in ready)


def by_asyncio(column, meetings):
    import asyncio

    async def creature(colour, requests):
        answer, met = asyncio.Queue(), 0
        while True:
            await requests.put((colour, answer))
            other = await answer.get()
            if other is None:
                return met
            colour = CHANGED[colour][other]
            met += 1

    async def broker(requests):
        for _ in itertools.repeat(None, meetings):
            left, to_left = await requests.get()
            right, to_right = await requests.get()
            await to_left.put(right)
            await to_right.put(left)
        for _ in COLOURS:
            _, answer = await requests.get()
            await answer.put(None)

    async def main():
        requests = asyncio.Queue()
        tasks = [asyncio.create_task(creature(colour, requests))
                 for colour in COLOURS]
        await broker(requests)
        return sum([await task for task in tasks])

    return _peers.run_async(column, main)


def rows(quick):
    meetings = 2_000 if quick else 20_000
    return [_programs.row(sys.modules[__name__], meetings, 2 * meetings,
                          switching=True)]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
