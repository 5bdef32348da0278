"""The competitors: which of them are here, and how their programs are run."""

import collections
import functools
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BINARY = HERE.parent / "build" / "bench" / "peer-go"

# The columns of the table.  'call' is an empty Python function.
COLUMNS = ("stackless", "call", "generator", "greenlet", "gevent", "eventlet",
           "asyncio", "uvloop", "thread", "pickle", "go")
PACKAGES = ("greenlet", "gevent", "eventlet", "uvloop")
# They do not share a process with the others.
APART = {"eventlet", "uvloop"}
# Those that are Python programs of many parts which take turns.
PYTHON = ("greenlet", "gevent", "eventlet", "asyncio", "uvloop")


@functools.cache
def have(column):
    """Whether this competitor can be measured here."""
    if column == "go":
        return go_binary() is not None
    return column not in PACKAGES or (
        importlib.util.find_spec(column) is not None)


def notes():
    """Who is missing."""
    lines = [f"no {name} here: its column is left out"
             for name in PACKAGES if not have(name)]
    if not have("go"):
        lines.append("no go here: its column is left out")
    return lines


def memory():
    """Bytes of memory that may be taken (Linux), or a guess."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 << 30


# --- Go ---------------------------------------------------------------------

@functools.cache
def go_binary():
    """Compile go/*.go if need be; the program, or None."""
    sources = sorted((HERE / "go").glob("*.go"))
    newest = max(path.stat().st_mtime for path in sources)
    if BINARY.exists() and BINARY.stat().st_mtime >= newest:
        return BINARY
    if not shutil.which("go"):
        return None
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["go", "build", "-o", BINARY, *sources], capture_output=True,
        text=True, env={**os.environ, "GOTOOLCHAIN": "local"})
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    return BINARY


def go_version():
    """Of the compiler that made the program."""
    text = subprocess.check_output([go_binary(), "version"], text=True)
    return text.strip().removeprefix("go")


def go(name, *numbers):
    """Run one of go/*.go on one thread; return (its cost, its outcome)."""
    done = subprocess.run(
        [go_binary(), name, *map(str, numbers)], stdout=subprocess.PIPE,
        text=True, check=True, env={**os.environ, "GOMAXPROCS": "1"})
    cost, result = done.stdout.split()
    return float(cost), int(result)


# --- Python -----------------------------------------------------------------

def run_async(column, function, *args):
    """asyncio.run(), or uvloop's."""
    if column == "uvloop":
        import uvloop

        return uvloop.run(function(*args))
    import asyncio

    return asyncio.run(function(*args))


# What programs of channels need: spawn(function, *args); channel(), with
# methods send() and receive(); run(function), which returns what the function
# does.
Kit = collections.namedtuple("Kit", "spawn channel run")


@functools.cache
def kit(column):
    return {"stackless": stackless_kit, "gevent": gevent_kit,
            "eventlet": eventlet_kit}[column]()


def stackless_kit():
    import stackless

    def spawn(function, *args):
        stackless.tasklet(function)(*args)

    def run(function):
        def body():
            results.append(function())

        results = []
        spawn(body)
        stackless.run()
        return results[0]

    return Kit(spawn, stackless.channel, run)


def gevent_kit():
    import gevent
    import gevent.queue

    class Channel(gevent.queue.Channel):
        send = gevent.queue.Channel.put
        receive = gevent.queue.Channel.get

    def run(function):
        return gevent.spawn(function).get()

    return Kit(gevent.spawn, Channel, run)


def eventlet_kit():
    eventlet = import_eventlet()

    class Channel(eventlet.queue.LightQueue):
        send = eventlet.queue.LightQueue.put
        receive = eventlet.queue.LightQueue.get

    def run(function):
        return eventlet.spawn(function).wait()

    return Kit(eventlet.spawn_n, lambda: Channel(0), run)


def import_eventlet():
    """eventlet, without what it says of its own future."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import eventlet
        import eventlet.event
        import eventlet.queue
    return eventlet

