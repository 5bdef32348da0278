"""What does a full garbage collection cost while many are blocked?

Each kind has a process of its own, which holds so many of them, all suspended
in the same kind of frame; nanoseconds for each of them.
"""

import functools
import gc
import sys

import _bench
import _peers

QUESTION = "What does a full garbage collection cost while many are blocked?"
ROUNDS = 10
# Bytes to expect of each, so that no machine is driven out of memory.
SIZES = {"stackless": 1_200, "generator": 600, "greenlet": 7_000,
         "asyncio": 3_000}
kept = {}  # what the process of a case holds, once made


def hold_stackless(count):
    import stackless

    def body(channel):
        value = channel.receive()
        return value

    channel = stackless.channel()
    for _ in range(count):
        stackless.tasklet(body)(channel)
    stackless.run()
    _bench.check(channel.balance, -count)
    return channel


def hold_generator(count):
    def body(channel):
        value = yield channel
        return value

    channel = object()
    generators = [body(channel) for _ in range(count)]
    for each in generators:
        next(each)
    return generators


def hold_greenlet(count):
    import greenlet

    def body(channel):
        value = main.switch(channel)
        return value

    main, channel = greenlet.getcurrent(), object()
    greenlets = [greenlet.greenlet(body) for _ in range(count)]
    for each in greenlets:
        each.switch(channel)
    return greenlets


def hold_asyncio(count):
    import asyncio

    async def body(event):
        value = await event.wait()
        return value

    async def make():
        tasks = [asyncio.create_task(body(event)) for _ in range(count)]
        await asyncio.sleep(0)
        return tasks

    event, loop = asyncio.Event(), asyncio.new_event_loop()
    return loop, loop.run_until_complete(make())


def collection(column, count):
    if column not in kept:
        kept[column] = globals()[f"hold_{column}"](count)
        gc.collect()
    return _bench.nanoseconds(gc.collect, count)


def rows(quick):
    count = 20_000 if quick else 1_000_000
    few = count // 10
    counts = {"stackless": count, "generator": count, "greenlet": few,
              "asyncio": count}
    memory = _peers.memory() / 4
    return [_bench.Row(
        f"full collection, each of {count:,} blocked",
        {column: functools.partial(collection, column, count)
         for column, count in counts.items()
         if count * SIZES[column] <= memory},
        (_bench.at_most(1.2, "generator"),), alone=True)]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
