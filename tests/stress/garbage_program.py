"""A collection at every allocation, with destructors that do anything.

    garbage_program.py SEED ROUNDS

Tasklets, soft and in C, leave litter at each step: objects and cycles whose
destructors switch, send, spawn, kill, drop, revive.  So destructors run at
every moment at which one can, by a reference count and by the collector.
Every message must arrive once, and who was killed must have run `finally`.
STACKLESS_TEST_HARD=1 forces every switch hard.
"""

import faulthandler
import gc
import os
import random
import sys
import weakref

import stackless

try:
    from stackless import _coretest
except ImportError:  # a build for users
    _coretest = None

HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")
SENDERS, RECEIVERS, MESSAGES = 5, 2, 12

faulthandler.enable()
faulthandler.dump_traceback_later(100, exit=True)
chance = random.Random(int(sys.argv[1]))
counts = dict.fromkeys(["deeds", "refused", "begun", "ended"], 0)
wrong = []
victims = []
revived = []
scraps = stackless.channel()


def victim():
    counts["begun"] += 1
    try:
        some_way(lambda: stackless.schedule_remove(None))
    finally:
        counts["ended"] += 1
        Litter()


def new_victim():
    tasklet = stackless.tasklet(victim)()
    victims.insert(len(victims) // 2, tasklet)


def kill():
    if victims:
        victims.pop().kill()


def drop():
    if victims:
        del victims[-1]


def wake():
    tasklet = victims[-1] if victims else None
    if tasklet is not None and tasklet.paused:
        tasklet.insert()


def transfer():
    if scraps.balance < 0:
        scraps.send(Litter())
    elif scraps.balance > 0:
        scraps.receive()
    elif stackless.getruncount() > 1 and chance.random() < 0.5:
        scraps.send(Litter())


def revive():
    revived.clear()


DEEDS = [stackless.schedule, new_victim, kill, drop, wake, transfer, revive]
depth = 0


class Litter:
    """Garbage, mostly as a cycle."""

    def __init__(self):
        if chance.random() < 0.7:
            self.myself = self

    def __del__(self):
        global depth
        counts["deeds"] += 1
        if depth > 5:
            return
        depth += 1
        try:
            chance.choice(DEEDS)()
            if chance.random() < 0.1:
                revived.append(self)
        except RuntimeError as error:
            if "collector" not in str(error) and "Deadlock" not in str(error):
                wrong.append(repr(error))
            counts["refused"] += 1
        finally:
            depth -= 1


def some_way(function):
    """Softly, from C, or in a generator."""
    way = chance.randrange(3)
    if way == 0:
        return function()
    if way == 1:
        return max([None], key=lambda _: (function(), 1)[1])
    for _ in (function() for _ in "x"):
        pass


def send(channel, sender):
    for number in range(MESSAGES):
        litter = Litter()
        some_way(lambda: channel.send((sender, number)))
        del litter


def receive(channel, log):
    def step():
        log.append(channel.receive())
        Litter()

    while True:
        some_way(step)


def collects():
    """Whether the collector works, and is on."""
    class Cycle:
        pass

    cycle = Cycle()
    cycle.myself = cycle
    reference = weakref.ref(cycle)
    del cycle
    gc.collect()
    return gc.isenabled() and reference() is None


def turn():
    channel, log = stackless.channel(), []
    receivers = [
        stackless.tasklet(receive)(channel, log) for _ in range(RECEIVERS)
    ]
    for sender in range(SENDERS):
        stackless.tasklet(send)(channel, sender)
    expected = SENDERS * MESSAGES
    for _ in range(100 * expected):
        stackless.schedule()
        if len(log) >= expected:
            break
        if scraps.balance:  # a sender's destructor may be waiting there
            transfer()
    if sorted(log) != [(s, n) for s in range(SENDERS) for n in range(MESSAGES)]:
        wrong.append(("messages", len(log), "of", expected))
    for tasklet in receivers:
        tasklet.kill()
    if _coretest:
        _coretest.check()


def settle():
    """End all, and see that they have ended."""
    global depth
    gc.set_threshold(700, 10, 10)
    depth = 10  # litter does nothing any more
    for _ in range(10):
        victims.clear()
        revived.clear()
        for tasklet in stackless.all_tasklets():
            if not tasklet.is_main:
                tasklet.kill()
        gc.collect()
        stackless.run()
    left = [each for each in stackless.all_tasklets() if not each.is_main]
    if left or stackless.getruncount() != 1:
        wrong.append(("left", left))
    if counts["begun"] != counts["ended"]:
        wrong.append("not every finally has run")
    if not collects():
        wrong.append("the collector is off")


def unraisable(hint):
    """Destructors are killed, too."""
    if hint.exc_type is not TaskletExit:
        wrong.append(repr(hint.exc_value))


def main():
    sys.unraisablehook = unraisable
    stackless.enable_softswitch(not HARD)
    gc.collect()
    gc.freeze()
    gc.set_threshold(1)
    for _ in range(int(sys.argv[2])):
        turn()
        if not collects():
            wrong.append("the collector is off")
    settle()
    if not counts["refused"] or not counts["deeds"]:
        wrong.append("nothing happened")
    for each in wrong[:10]:
        print("WRONG", each)
    print("BAD" if wrong else "ok", counts)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
