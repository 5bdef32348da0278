"""Tasklets that do not let go by themselves, run a slice of time at a time.

run() with a limit interrupts the tasklet that runs too long and returns it; it
goes on when it is inserted again.  With soft=True nobody is interrupted: run()
returns at the next switch after the limit.
"""

import time

import stackless

counts = {"a": 0, "b": 0, "c": 0}


def count(name):
    while True:  # never lets another tasklet run
        counts[name] += 1


def hard(seconds, slice):
    """Round robin: whoever is interrupted goes to the end of the ring."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        interrupted = stackless.run(seconds=slice)
        if interrupted is not None:
            interrupted.insert()


tasks = [stackless.tasklet(count)(name) for name in counts]
hard(seconds=0.3, slice=0.01)
print("all had turns:", all(counts.values()))

for task in tasks:
    task.remove()
for task in tasks:
    task.kill()


def polite():
    while True:
        steps.append(1)
        stackless.schedule()


steps = []
task = stackless.tasklet(polite)()
print("soft:", stackless.run(50, soft=True, totaltimeout=True), len(steps) > 1)
task.kill()

# In ticks, as in Stackless: two for each turn of a loop.  Small limits are counted,
# so what happens does not depend on how fast the machine is.
victim = stackless.tasklet(count)("a")
print("the same one:", stackless.run(1_000) is victim)
victim.kill()

# Prints:
#     all had turns: True
#     soft: None True
#     the same one: True
