"""A heartbeat beside tasklets that never let go.

stackless.preempt() gives every tasklet turns of a few milliseconds, so the program
needs no schedule() in its loops.  What must not be interrupted is put into
stackless.atomic().
"""

import time

import stackless

beats = []
turns = {"total": 0, "each": [0, 0]}
working = True


def crunch(number):
    while working:
        with stackless.atomic():  # nobody sees one counter without the other
            turns["total"] += 1
            turns["each"][number] += 1


def heartbeat():
    for _ in range(20):
        beats.append(time.monotonic())
        stackless.schedule()


for number in range(2):
    stackless.tasklet(crunch)(number)
pulse = stackless.tasklet(heartbeat)()

stackless.preempt(0.005)
while pulse.alive:
    stackless.schedule()
working = False
stackless.preempt(None)
stackless.run()

gaps = sorted(b - a for a, b in zip(beats, beats[1:]))
print(len(beats), "beats, each after two turns or so:", gaps[9] < 0.1)
print("consistent:", turns["total"] == sum(turns["each"]))

# Prints:
#     20 beats, each after two turns or so: True
#     consistent: True
