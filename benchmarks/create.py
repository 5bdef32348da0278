"""What does it cost to make a tasklet, run it and see it end?

A batch at a time, of functions that do nothing.
"""

import itertools
import sys
import threading

import _bench
import stackless

QUESTION = "What does it cost to make one, run it and see it end?"
UNIT = "ns"
OURS = "stackless.tasklet(f)()"

greenlet = _bench.optional("greenlet")


def nothing():
    pass


def by_stackless(times):
    def work():
        tasklet = stackless.tasklet
        for _ in itertools.repeat(None, times):
            tasklet(nothing)()
        stackless.run()

    return _bench.nanoseconds(work, times)


def by_greenlet(times):
    def work():
        make = greenlet.greenlet
        for _ in itertools.repeat(None, times):
            make(nothing).switch()

    return _bench.nanoseconds(work, times)


def by_generators(times):
    def body():
        yield

    def work():
        for _ in itertools.repeat(None, times):
            for _ in body():
                pass

    return _bench.nanoseconds(work, times)


def by_asyncio(times):
    import asyncio

    async def body():
        pass

    async def work():
        tasks = [asyncio.create_task(body())
                 for _ in itertools.repeat(None, times)]
        for task in tasks:
            await task

    return _bench.nanoseconds(lambda: asyncio.run(work()), times)


def by_threads(times):
    def work():
        for _ in itertools.repeat(None, times):
            thread = threading.Thread(target=nothing)
            thread.start()
            thread.join()

    return _bench.nanoseconds(work, times)


def cases(quick):
    times = 1_000 if quick else 5_000
    found = {
        OURS: lambda: by_stackless(times),
        "generator": lambda: by_generators(times),
        "asyncio.create_task()": lambda: by_asyncio(times),
        "threading.Thread": lambda: by_threads(times // 50),
    }
    if greenlet:
        found["greenlet"] = lambda: by_greenlet(times // 5)
    return found


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
