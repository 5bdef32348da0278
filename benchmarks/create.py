"""What does it cost to make a tasklet, run it and see it end?

Of functions that do nothing; a hundred at a time, and one after the other.
And how many system calls does that take?  strace counts those of a process
that makes many, less those of one that makes fewer.
"""

import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import _bench
import _peers

QUESTION = "What does it cost to make one, run it and see it end?"
AT_ONCE = 100


def nothing():
    pass


def stacklesses(times, at_once=AT_ONCE):
    import stackless

    def work():
        tasklet, run = stackless.tasklet, stackless.run
        for _ in itertools.repeat(None, times // at_once):
            for _ in itertools.repeat(None, at_once):
                tasklet(nothing)()
            run()

    return _bench.nanoseconds(work, times)


def one_stackless(times):
    import stackless

    def work():
        tasklet = stackless.tasklet
        for _ in itertools.repeat(None, times):
            tasklet(nothing)().run()

    def body():
        costs.append(_bench.nanoseconds(work, times))

    costs = []
    stackless.tasklet(body)()
    stackless.run()
    return costs[0]


def calls(times):
    def work():
        for _ in itertools.repeat(None, times):
            nothing()

    return _bench.nanoseconds(work, times)


def generators(times):
    def body():
        yield

    def work():
        for _ in itertools.repeat(None, times):
            for _ in body():
                pass

    return _bench.nanoseconds(work, times)


def greenlets(times):
    import greenlet

    def work():
        make = greenlet.greenlet
        for _ in itertools.repeat(None, times):
            make(nothing).switch()

    return _bench.nanoseconds(work, times)


def gevents(times, at_once=AT_ONCE):
    import gevent

    def work():
        for _ in itertools.repeat(None, times // at_once):
            gevent.joinall([gevent.spawn(nothing)
                            for _ in itertools.repeat(None, at_once)])

    return _bench.nanoseconds(work, times)


def eventlets(times, at_once=AT_ONCE):
    eventlet = _peers.import_eventlet()

    def work():
        for _ in itertools.repeat(None, times // at_once):
            for job in [eventlet.spawn(nothing)
                        for _ in itertools.repeat(None, at_once)]:
                job.wait()

    return _bench.nanoseconds(work, times)


def tasks(column, times, at_once=AT_ONCE):
    import asyncio

    async def body():
        pass

    async def work():
        for _ in itertools.repeat(None, times // at_once):
            for task in [asyncio.create_task(body())
                         for _ in itertools.repeat(None, at_once)]:
                await task

    return _bench.nanoseconds(
        lambda: _peers.run_async(column, work), times)


def threads(times):
    def work():
        for _ in itertools.repeat(None, times):
            thread = threading.Thread(target=nothing)
            thread.start()
            thread.join()

    return _bench.nanoseconds(work, times)


def goroutines(times, at_once=AT_ONCE):
    cost, ended = _peers.go("create", times, at_once)
    _bench.check(ended, times)
    return cost


# --- system calls -----------------------------------------------------------

CHILDREN = {"stackless": stacklesses, "greenlet": greenlets,
            "gevent": gevents, "eventlet": eventlets, "thread": threads,
            "asyncio": functools.partial(tasks, "asyncio"),
            "uvloop": functools.partial(tasks, "uvloop")}


def strace(command):
    """How many system calls the command makes; RuntimeError if unknown."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "counts")
        done = subprocess.run(["strace", "-f", "-c", "-o", output, *command],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        with open(output) as file:
            lines = file.read().rstrip().splitlines()
    # A table whose columns are under lines of dashes; a cell may be empty.
    start, end = [place.span() for place in re.finditer("-+", lines[-2])][3]
    return int(lines[-1][start:end])


def without_strace():
    """Why system calls cannot be counted here, or ''."""
    if not shutil.which("strace"):
        return "no strace here: system calls are not counted"
    try:
        strace([sys.executable, "-c", ""])
    except (RuntimeError, ValueError, IndexError) as error:
        return f"strace does not work here: {error}"
    return ""


def system_calls(column, times):
    """System calls for each one that is made, run and ended."""
    counts = [strace([sys.executable, __file__, "--child", column, str(count)])
              for count in (AT_ONCE, AT_ONCE + times)]
    return (counts[1] - counts[0]) / times


def rows(quick):
    times = 1_000 if quick else 5_000
    at = functools.partial
    lacks = without_strace()
    counted = {} if lacks else {
        column: at(system_calls, column, times // 5) for column in CHILDREN}
    if counted:
        counted["stackless"] = at(system_calls, "stackless", times * 10)
    return [
        _bench.Row(f"make, run, end; {AT_ONCE} at a time", {
            "stackless": at(stacklesses, times),
            "call": at(calls, times),
            "generator": at(generators, times),
            "greenlet": at(greenlets, times // 5),
            "gevent": at(gevents, times // 5),
            "eventlet": at(eventlets, times // 5),
            "asyncio": at(tasks, "asyncio", times),
            "uvloop": at(tasks, "uvloop", times),
            "thread": at(threads, times // 50),
            "go": at(goroutines, times * 10),
        }, (_bench.at_most(6, "call"),)),
        _bench.Row("make, run, end; one after the other", {
            "stackless": at(one_stackless, times),
            "call": at(calls, times),
            "greenlet": at(greenlets, times // 5),
            "gevent": at(gevents, times // 5, 1),
            "eventlet": at(eventlets, times // 5, 1),
            "asyncio": at(tasks, "asyncio", times // 5, 1),
            "uvloop": at(tasks, "uvloop", times // 5, 1),
            "thread": at(threads, times // 50),
            "go": at(goroutines, times * 10, 1),
        }),
        _bench.Row("system calls to make, run and end one", counted,
                   (_bench.at_most(0.01),), unit="calls", lacks=lacks,
                   rounds=1),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        CHILDREN[sys.argv[2]](int(sys.argv[3]))
    else:
        _bench.main(sys.modules["__main__"])
