"""Ctrl-C at any moment of programs that never end by themselves.

The program ends by SIGINT as any Python program does, every `finally` has
run, and nobody complains; or it catches KeyboardInterrupt and goes on.
"""

import os
import random
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.noleak  # subprocesses

SEED = int(os.environ.get("STACKLESS_STRESS_SEED", "1"))
TIMES = 2
HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")

PROGRAM = """
import atexit, os, signal, sys, threading

@atexit.register  # before stackless is imported: when all has been killed
def last():
    print(begun, ended, flush=True)

begun = ended = 0
import stackless
stackless.enable_softswitch({soft})

def guarded(function, *args):
    global begun, ended
    begun += 1
    try:
        function(*args)
    finally:
        ended += 1

def spawn(function, *args):
    # Those that end before they start do not count.
    tasklet = stackless.tasklet(guarded)(function, *args)
    tasklet.run()
    return tasklet

def through_c(function):
    return sorted([1, 2], key=lambda x: (function(), x)[1])

def interrupt(*args):
    os.kill(os.getpid(), signal.SIGINT)

def arm():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, {delay})

def turn():
    while True:
        stackless.schedule()

def turn_in_c():
    while True:
        through_c(stackless.schedule)

def send_all():
    while True:
        channel.send(1)

def receive_all():
    while True:
        channel.receive()

def killing():
    while True:
        tasklet = spawn(stackless.schedule_remove, None)
        tasklet.kill()

def spawning():
    while True:
        for _ in range(10):
            spawn(through_c, stackless.schedule)
        stackless.run()

def counting():
    while True:
        sum(range(100))

channel = stackless.channel()
for _ in range(3):
    spawn(stackless.schedule_remove, None)
    spawn(through_c, stackless.channel().receive)
    spawn(channel.receive)
"""

# What goes on when the signal comes.
SHAPES = {
    "main runs soft tasklets": "spawn(turn); spawn(turn); arm(); "
                               "stackless.run()",
    "main runs hard tasklets": "spawn(turn_in_c); spawn(turn_in_c); arm(); "
                               "stackless.run()",
    "main is one of many": "spawn(turn); spawn(turn_in_c); arm(); turn()",
    "main switches from C": "spawn(turn); spawn(turn_in_c); arm(); "
                            "turn_in_c()",
    "main is blocked": "spawn(turn); arm(); stackless.channel().receive()",
    "tasklets talk": "spawn(receive_all); spawn(send_all); arm(); "
                     "stackless.run()",
    "main talks": "spawn(send_all); arm(); through_c(receive_all)",
    "tasklets are killed": "spawn(turn); arm(); killing()",
    "tasklets are killed by one": "arm(); stackless.tasklet(killing)(); "
                                  "stackless.run()",
    "tasklets are spawned": "arm(); spawning()",
    "a tasklet computes": "arm(); spawn(counting)",
    "main computes": "arm(); counting()",
    "run() within run()": "spawn(turn); "
                          "stackless.tasklet(stackless.run)(); arm(); "
                          "stackless.run()",
    "a thread has tasklets": "threading.Thread(target=spawning, "
                             "daemon=True).start(); arm(); turn()",
}


def run(source, delay):
    program = textwrap.dedent(PROGRAM).format(soft=not HARD, delay=delay)
    return subprocess.run(
        [sys.executable, "-c", program + source],
        capture_output=True,
        text=True,
        timeout=50,
    )


def delays(name):
    chance = random.Random(f"{SEED} {name}")
    return [chance.uniform(0.0005, 0.02) for _ in range(TIMES)]


@pytest.mark.parametrize("shape", SHAPES)
def test_program_ends_by_the_signal(shape):
    for delay in delays(shape):
        done = run(SHAPES[shape], delay)
        about = (delay, done.stdout, done.stderr)
        assert done.returncode == -signal.SIGINT, about
        assert done.stderr.endswith("KeyboardInterrupt\n"), about
        assert done.stderr.count("KeyboardInterrupt") == 1, about
        begun, ended = map(int, done.stdout.split())
        # A daemon thread's tasklets end with the process, wherever they are.
        assert begun == ended or "daemon" in SHAPES[shape], about


GO_ON = """
import random
chance = random.Random({seed})
spawn(turn)
spawn(turn_in_c)
caught = 0
while caught < 20:
    try:
        arm()
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.003))
        chance.choice([turn, turn_in_c, killing, spawning, counting,
                       stackless.run])()
        raise SystemError("it ended")
    except KeyboardInterrupt:
        caught += 1
        if not any(t.scheduled and not t.is_main and not t.blocked
                   for t in stackless.all_tasklets()):
            spawn(turn)
        assert stackless.current is stackless.main
result = []
stackless.tasklet(result.append)("still works")
for _ in range(50):
    stackless.schedule()
print(result, flush=True)
"""


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_program_catches_it_and_goes_on(seed):
    done = run(GO_ON.format(seed=seed), 10)
    about = (done.stdout, done.stderr)
    assert done.returncode == 0 and not done.stderr, about
    first, last = done.stdout.splitlines()
    begun, ended = map(int, last.split())
    assert first == "['still works']" and begun == ended, about
