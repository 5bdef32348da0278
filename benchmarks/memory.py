"""How many bytes does a blocked tasklet take?

The growth of the resident set while many are made and blocked, in a fresh
process for each case; directly below the bottom frame, and 20 frames deeper.
"""

import os
import subprocess
import sys

import _bench

QUESTION = "How many bytes does a blocked one take?"
UNIT = "bytes"
OURS = "stackless tasklet"
TARGETS = [(OURS, 1_200, 1.00)]
ROUNDS = 3
DEEP = 20


def descend(depth, function):
    if depth:
        return descend(depth - 1, function)
    return function()


async def descend_async(depth, event):
    if depth:
        return await descend_async(depth - 1, event)
    return await event.wait()


def make_stackless(count, depth):
    import stackless

    channel = stackless.channel()
    if depth:
        def body():
            descend(depth - 1, channel.receive)
    else:
        def body():
            channel.receive()
    yield
    for _ in range(count):
        stackless.tasklet(body)()
    stackless.run()
    assert channel.balance == -count
    yield
    for _ in range(count):
        channel.send(None)


def make_greenlet(count, depth):
    import greenlet

    main = greenlet.getcurrent()
    if depth:
        def body():
            descend(depth - 1, main.switch)
    else:
        def body():
            main.switch()
    yield
    kept = [greenlet.greenlet(body) for _ in range(count)]
    for each in kept:
        each.switch()
    yield
    for each in kept:
        each.switch()


def make_asyncio(count, depth):
    import asyncio

    async def make():
        kept = [asyncio.create_task(descend_async(depth, event))
                for _ in range(count)]
        await asyncio.sleep(0)
        return kept

    async def wake(kept):
        event.set()
        for each in kept:
            await each

    loop, event = asyncio.new_event_loop(), asyncio.Event()
    yield
    kept = loop.run_until_complete(make())
    yield
    loop.run_until_complete(wake(kept))


def resident():
    """Bytes of memory in use by this process (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def child(name, count, depth):
    """Print how many bytes each takes."""
    phases = globals()[f"make_{name}"](count, depth)
    next(phases)
    before = resident()
    next(phases)
    print((resident() - before) / count)
    next(phases, None)


def in_child(name, count, depth):
    command = [sys.executable, os.path.abspath(__file__), "--child",
               name, str(count), str(depth)]
    return float(subprocess.check_output(command))


def cases(quick):
    count = 1_000 if quick else 100_000
    found = {
        OURS: lambda: in_child("stackless", count, 0),
        f"stackless tasklet, {DEEP} frames deep":
            lambda: in_child("stackless", count, DEEP),
        "asyncio task": lambda: in_child("asyncio", count, 0),
        f"asyncio task, {DEEP} frames deep":
            lambda: in_child("asyncio", count // 2, DEEP),
    }
    if _bench.optional("greenlet"):
        found["greenlet"] = lambda: in_child("greenlet", count // 10, 0)
        found[f"greenlet, {DEEP} frames deep"] = (
            lambda: in_child("greenlet", count // 10, DEEP))
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        _bench.main(sys.modules["__main__"])
