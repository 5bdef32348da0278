"""A storm of signals, 10,000 in a second, whose handler does something.

    signal_program.py MODE SEED SECONDS

Tasklets send numbered messages to each other meanwhile, softly and from C.
The handler raises, switches, spawns, kills ...; whoever dies of it begins
again where it was.  At the end every message has arrived, once, and those of
each sender in their order: a handler never runs between the two halves of a
switch, and what it raises finds a message either sent or not.
"""

import faulthandler
import gc
import os
import random
import signal
import sys
import time

import stackless
from stackless import getcurrent

try:
    from stackless import _coretest
except ImportError:  # a build for users
    _coretest = None

INTERVAL = 0.0001
SENDERS, RECEIVERS, IDLERS = 6, 3, 4
HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")

faulthandler.enable()
faulthandler.dump_traceback_later(80, exit=True)


class Boom(Exception):
    pass


mode, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
chance = random.Random(seed)
channel = stackless.channel()  # the receiver runs at once
side = stackless.channel()  # what handlers send and receive
received = {number: [] for number in range(SENDERS)}
workers = {}
counts = dict.fromkeys(["signals", "deeds", "deaths", "spawned"], 0)
wrong = []
end = time.monotonic() + seconds
stop = False


# --- the handler --------------------------------------------------------------


def spawned():
    counts["spawned"] += 1
    stackless.schedule()
    counts["spawned"] -= 1


def victim():
    """A worker that is not running."""
    tasklet = chance.choice([None, *workers.values()])
    if tasklet is None or tasklet.is_current or not tasklet.alive:
        return None
    return tasklet


def boom():
    raise Boom


def interrupt():
    raise KeyboardInterrupt


def spawn():
    if counts["spawned"] < 20:
        stackless.tasklet(spawned)()


def kill():
    tasklet = victim()
    if tasklet is not None:
        tasklet.kill()


def throw():
    tasklet = victim()
    if tasklet is not None:
        tasklet.throw(Boom)


def throw_later():
    tasklet = victim()
    if tasklet is not None:
        tasklet.throw(Boom, pending=True)


def transfer():
    """Do what somebody waits for, or else wait."""
    if side.balance > 0:
        side.receive()
    elif side.balance < 0 or stackless.getruncount() > 1:
        side.send(None)


def run_all():
    stackless.run()


DEEDS = {
    "raise": [boom],
    "interrupt": [interrupt],
    "switch": [stackless.schedule],
    "spawn": [spawn],
    "kill": [kill],
    "throw": [throw, throw_later],
    "transfer": [transfer],
    "run": [run_all],
    "collect": [gc.collect],
}
DEEDS["mix"] = [deed for deeds in DEEDS.values() for deed in deeds]

busy = False


def is_caught(frame):
    """What is raised there: by storm(), or as the error of a tasklet."""
    while frame is not None and frame.f_code is not turn.__code__:
        frame = frame.f_back
    return frame is not None or not stackless.getcurrent().is_main


def handle(number, frame):
    """Not within itself, not at the end, and where somebody hears of it.

    Here it is told that it is over: main may be waiting.
    """
    global busy, stop
    counts["signals"] += 1
    if time.monotonic() > end:
        stop = True
    if busy or stop or not is_caught(frame):
        return
    busy = True
    try:
        deed = chance.choice(DEEDS[mode])
        # One that switches comes back later: others are served meanwhile.
        busy = deed is gc.collect
        counts["deeds"] += 1
        deed()
    finally:
        busy = False


# --- the workers --------------------------------------------------------------


def through_c(function):
    return max([None], key=lambda _: (function(), 1)[1])


def generate(function):
    yield function()


def some_way(function):
    """Call it softly, or from C."""
    way = chance.randrange(3)
    if way == 0:
        function()
    elif way == 1:
        through_c(function)
    else:
        for _ in generate(function):
            pass


def send_messages(sender):
    """Whatever was received counts as sent, even if sending it failed."""
    log = received[sender]
    while not stop:
        number = len(log)
        some_way(lambda: channel.send((sender, number)))
        if len(log) <= number:
            wrong.append((sender, number, "was sent and has not arrived"))


def receive_message():
    # CPython looks for signals after a call of C: here, after append().
    sender, number = channel.receive()
    received[sender].append(number)


def receive_messages(_):
    while not stop or channel.balance > 0:
        some_way(receive_message)


def idle(_):
    while not stop:
        some_way(stackless.schedule)


KINDS = {send_messages: SENDERS, receive_messages: RECEIVERS, idle: IDLERS}
ERRORS = Boom, KeyboardInterrupt, RuntimeError


def work(function, number):
    """Begin again, whatever the function ends with, until told to stop.

    One that a signal kept from being listed has been replaced: it ends.
    """
    while not stop and workers.get((function, number)) is getcurrent():
        try:
            function(number)
        except ERRORS as error:
            if isinstance(error, RuntimeError) and not expected(error):
                wrong.append(repr(error))
            counts["deaths"] += 1


def expected(error):
    """What the deeds may be refused."""
    text = str(error)
    return "Deadlock" in text or "blocked tasklet" in text


def staff():
    """Replace who was killed."""
    for function, number in KINDS.items():
        for index in range(number):
            key = function, index
            if key not in workers or not workers[key].alive:
                workers[key] = stackless.tasklet(work)(function, index)


def turn():
    try:
        staff()
        for _ in range(50):
            stackless.schedule()
    except ERRORS as error:
        if isinstance(error, RuntimeError) and not expected(error):
            wrong.append(repr(error))
    if _coretest:
        _coretest.check()


def storm():
    while not stop:
        try:
            turn()
        except (Boom, KeyboardInterrupt):
            pass


def calm(function):
    """Handlers are over, but what they threw may still be on its way."""
    try:
        function()
    except (Boom, KeyboardInterrupt):
        pass


def settle():
    """Let those who are left receive, then end the others."""
    for _ in range(1000):
        calm(stackless.schedule)
    for tasklet in stackless.all_tasklets():
        if not tasklet.is_main:
            calm(tasklet.kill)
    calm(stackless.run)


def report():
    total = sum(map(len, received.values()))
    for sender, log in received.items():
        if log != list(range(len(log))):
            wrong.append((sender, "out of order"))
    left = [each for each in stackless.all_tasklets() if not each.is_main]
    if left or stackless.getruncount() != 1 or channel.balance:
        wrong.append(("left", left, channel.balance))
    # All that is left may be inside run(), and wait for each other.
    if not counts["deeds"] or not total and mode != "run":
        wrong.append("nothing happened")
    for each in wrong[:10]:
        print("WRONG", each)
    print("ok" if not wrong else "BAD", mode, total, counts)
    return bool(wrong)


def main():
    stackless.enable_softswitch(not HARD)
    sys.unraisablehook = lambda hint: None
    gc.collect()
    gc.freeze()  # collections are short: others shall run, too
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
    while not stop:
        try:
            storm()
        except (Boom, KeyboardInterrupt):
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    settle()
    return report()


if __name__ == "__main__":
    sys.exit(main())
