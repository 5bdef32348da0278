"""A million tasklets at once, beside asyncio's tasks and greenlets.

Each of them blocks; when all do, all are woken, and each must have run to its
end.  Every contender has a fresh process of its own, so that memory is what
the system says: the growth of the resident set while they were made.

As a program: million.py CONTENDER COUNT (what main() starts).
"""

import json
import os
import subprocess
import sys
import time

import progress

TITLE = "A million tasklets at once"
ABOUT = """\
How many things can a program do at once?  Each of these waits for a message
until all of them wait; then all are woken.  Each kind in a fresh process.
"""
# Name, how many are wanted, and bytes to expect of each, to see if they fit.
CONTENDERS = (("stackless", 1_000_000, 2_000), ("asyncio", 1_000_000, 3_000),
              ("greenlet", 100_000, 10_000))
LABELS = {"stackless": "stackless tasklets", "asyncio": "asyncio tasks",
          "greenlet": "greenlets"}


# --- the contenders: generators that yield when a phase has ended ---

def with_stackless(count):
    import stackless

    woken = 0

    def wait(channel):
        nonlocal woken
        channel.receive()
        woken += 1

    channel = stackless.channel()
    yield
    for _ in range(count):
        stackless.tasklet(wait)(channel)
    stackless.run()
    assert channel.balance == -count
    yield
    for _ in range(count):
        channel.send(None)
    yield
    assert woken == count


def with_greenlet(count):
    import greenlet

    woken = 0

    def wait():
        nonlocal woken
        main.switch()
        woken += 1

    main = greenlet.getcurrent()
    yield
    greenlets = [greenlet.greenlet(wait) for _ in range(count)]
    for each in greenlets:
        each.switch()
    yield
    for each in greenlets:
        each.switch()
    yield
    assert woken == count


def with_asyncio(count):
    import asyncio

    woken = 0

    async def wait(event):
        nonlocal woken
        await event.wait()
        woken += 1

    async def make(event):
        tasks = [asyncio.create_task(wait(event)) for _ in range(count)]
        await asyncio.sleep(0)
        return tasks

    async def wake(event, tasks):
        event.set()
        for task in tasks:
            await task

    loop = asyncio.new_event_loop()
    event = asyncio.Event()
    yield
    tasks = loop.run_until_complete(make(event))
    yield
    loop.run_until_complete(wake(event, tasks))
    yield
    assert woken == count
    loop.close()


def contend(name, count):
    """In the fresh process: print seconds and bytes as JSON."""
    phases = globals()[f"with_{name}"](count)
    next(phases)
    memory, begun = resident(), time.perf_counter()
    next(phases)
    blocked, memory = time.perf_counter(), resident() - memory
    next(phases)
    woken = time.perf_counter()
    next(phases, None)
    print(json.dumps({"count": count, "memory": memory,
                      "block": blocked - begun, "wake": woken - blocked}))


def resident():
    """Bytes of memory in use by this process."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no Linux: the most there ever was
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)


# --- the parent ---

def available():
    """Bytes of memory that may be taken; None if nobody knows."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def measure(name, count):
    """Run a contender; return its figures, or a string: why there are none."""
    done = subprocess.run(
        [sys.executable, os.path.abspath(__file__), name, str(count)],
        capture_output=True, text=True)
    if "No module named" in done.stderr:
        return "not installed"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"ended with {done.returncode}"
    return json.loads(done.stdout)


def main(small):
    """Measure all, print a table; return success."""
    memory = available()
    results, counts = {}, {}
    for name, count, expected in CONTENDERS:
        if small:
            count //= 100
        elif memory is not None:
            count = min(count, int(memory * 0.7 / expected))
        counts[name] = count
    with progress.bar("made and woken", sum(counts.values())) as advance:
        for name, count in counts.items():
            results[name] = measure(name, count)
            advance(count)
    print("\n                      at once    made and    woken and"
          "      memory    all of"
          "\n                                 blocked        ended"
          "        each      them")
    for name, result in results.items():
        print(f"{LABELS[name]:19}", end="")
        if isinstance(result, str):
            print(f"      none: {result}")
            continue
        count = result["count"]
        print(f"{count:10,}{result['block'] / count * 1e6:9.2f} µs"
              f"{result['wake'] / count * 1e6:10.2f} µs"
              f"{result['memory'] / count:12,.0f}"
              f"{result['memory'] / 1e6:8,.0f} MB")
    ours = results["stackless"]
    if isinstance(ours, str):
        return False
    print(f"\nAll {ours['count']:,} tasklets were blocked at once, were "
          "woken, and ran to their end.\n"
          "Times are per piece, memory is in bytes.")
    return True


if __name__ == "__main__":
    contend(sys.argv[1], int(sys.argv[2]))
