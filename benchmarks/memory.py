"""How many bytes does a blocked tasklet take?

The growth of the resident set while many are made and blocked, in a fresh
process for each case; in their bottom frame, and in the twentieth from there.
"""

import functools
import os
import subprocess
import sys
import threading

import _bench
import _peers

QUESTION = "How many bytes does a blocked one take?"
ROUNDS = 3
DEEP = 20


# --- the children: generators, of which the second phase is measured --------

def descender(depth, function):
    """What calls the function in its depth-th frame; without arguments of its
    own, so that nothing but frames is measured."""
    def first():
        return descend(depth, function)

    def only():
        return function()

    return first if depth > 1 else only


def descend(depth, function):
    if depth > 2:
        return descend(depth - 1, function)
    return function()


async def descend_async(depth, event):
    if depth > 1:
        return await descend_async(depth - 1, event)
    return await event.wait()


def descend_generator(depth):
    if depth > 1:
        yield from descend_generator(depth - 1)
    yield


def make_stackless(count, depth):
    import stackless

    channel = stackless.channel()
    body = descender(depth, channel.receive)
    yield
    for _ in range(count):
        stackless.tasklet(body)()
    stackless.run()
    _bench.check(channel.balance, -count)
    yield
    for _ in range(count):
        channel.send(None)
    stackless.run()
    _bench.check(stackless.get_stats()["tasklets"], 1)


def make_greenlet(count, depth):
    import greenlet

    body = descender(depth, greenlet.getcurrent().switch)
    yield
    kept = [greenlet.greenlet(body) for _ in range(count)]
    for each in kept:
        each.switch()
    yield
    for each in kept:
        each.switch()
    _bench.check(sum(not each.dead for each in kept), 0)


def make_gevent(count, depth):
    import gevent
    import gevent.event

    event = gevent.event.Event()
    body = descender(depth, event.wait)
    yield
    kept = [gevent.spawn(body) for _ in range(count)]
    gevent.sleep(0)
    yield
    event.set()
    gevent.joinall(kept)


def make_eventlet(count, depth):
    eventlet = _peers.import_eventlet()
    event = eventlet.event.Event()
    body = descender(depth, event.wait)
    yield
    kept = [eventlet.spawn(body) for _ in range(count)]
    eventlet.sleep(0)
    yield
    event.send()
    for each in kept:
        each.wait()


def make_asyncio(count, depth, loop=None):
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

    loop, event = loop or asyncio.new_event_loop(), asyncio.Event()
    yield
    kept = loop.run_until_complete(make())
    yield
    loop.run_until_complete(wake(kept))


def make_uvloop(count, depth):
    import uvloop

    return make_asyncio(count, depth, uvloop.new_event_loop())


def make_generator(count, depth):
    yield
    kept = [descend_generator(depth) for _ in range(count)]
    for each in kept:
        next(each)
    yield


def make_thread(count, depth):
    event = threading.Event()
    body = descender(depth, event.wait)
    yield
    kept = [threading.Thread(target=body) for _ in range(count)]
    for each in kept:
        each.start()
    yield
    event.set()
    for each in kept:
        each.join()


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
    print((resident() - before) / count, flush=True)
    next(phases, None)


# --- the parent -------------------------------------------------------------

def in_child(column, count, depth):
    if column == "go":
        return _peers.go("memory", count, depth)[0]
    command = [sys.executable, __file__, "--child", column, str(count),
               str(depth)]
    return float(subprocess.check_output(command))


def row(what, counts, depth, limit, rounds):
    return _bench.Row(
        what, {column: functools.partial(in_child, column, count, depth)
               for column, count in counts.items()},
        (_bench.at_most(limit),), unit="bytes", rounds=rounds)


def rows(quick):
    many = 2_000 if quick else 100_000
    few = 200 if quick else 10_000
    million = 20_000 if quick else 1_000_000
    counts = {"stackless": many, "generator": many, "greenlet": few,
              "gevent": few, "eventlet": few, "asyncio": many, "uvloop": many,
              "thread": few // 10, "go": many}
    rounds = 1 if quick else ROUNDS
    return [
        row("memory of a blocked one", counts, 1, 700, rounds),
        row(f"memory of a blocked one, {DEEP} frames deep",
            {column: count // 2 for column, count in counts.items()},
            DEEP, 6_000, rounds),
        row(f"memory of each of {million:,}",
            {column: million for column in (
                "stackless", "generator", "asyncio", "go")}, 1, 800, rounds),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        _bench.main(sys.modules["__main__"])
