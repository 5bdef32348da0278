"""A frame evaluator (PEP 523) stops calls from being inlined: what is
suspended softly goes on, new switches are hard, and nobody notices.

sys.activate_stack_trampoline() is the evaluator that every CPython brings.
"""

import subprocess
import sys

import pytest
import stackless

JIT = getattr(sys, "_jit", None) and sys._jit.is_enabled()

pytestmark = pytest.mark.skipif(
    not hasattr(sys, "activate_stack_trampoline"), reason="3.12+, Linux")

PROGRAM = """
import sys
{before}
import stackless

log = []


def inner(n):
    stackless.schedule_remove(None)
    log.append(n)


def outer(n):
    inner(n)
    stackless.schedule()
    for x in sorted([2, 1], key=lambda x: (stackless.schedule(), x)[1]):
        inner(n + 10 * x)
    log.append(("end", n))


def go_on():
    for t in tasklets:
        if t.alive:
            t.insert()
    stackless.run()


tasklets = [stackless.tasklet(outer)(n) for n in range(3)]
stackless.run()
sys.activate_stack_trampoline("perf")
assert stackless.enable_softswitch(None) is False
go_on()
tasklets.append(stackless.tasklet(outer)(7))
stackless.run()
go_on()
sys.deactivate_stack_trampoline()
assert stackless.enable_softswitch(None) is {soft}
go_on()
go_on()
assert sorted(map(str, log)) == sorted(map(str, [
    n + 10 * k for n in (0, 1, 2, 7) for k in (0, 1, 2)]
    + [("end", n) for n in (0, 1, 2, 7)])), log
before = stackless.get_stats()["soft_switches"]
for n in range(2):
    stackless.tasklet(stackless.schedule)()
stackless.run()
assert (stackless.get_stats()["soft_switches"] > before) is {soft}
print("done")
"""


@pytest.mark.skipif(JIT, reason="with the JIT CPython allows no evaluator")
@pytest.mark.parametrize("before", [
    "", "sys.activate_stack_trampoline('perf')"],
    ids=["installed later", "installed before the import"])
def test_evaluator_comes_and_goes(before):
    hard = not stackless.enable_softswitch(None)
    switch = "\nstackless.enable_softswitch(False)" if hard else ""
    program = PROGRAM.format(before=before, soft=not hard).replace(
        "import stackless\n", "import stackless" + switch + "\n", 1)
    done = subprocess.run([sys.executable, "-c", program],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


TOGGLED = """
import random
import stackless
from stackless import _coretest

chance = random.Random({seed})
on = False
log = []


def toggle(*args):
    global on
    on = not on
    _coretest.set_evaluator(on)


class Dying:
    def __del__(self):
        toggle()


def generate(count):
    for index in range(count):
        stackless.schedule()
        yield index


def switch():
    if chance.random() < 0.2:
        toggle()
    elif chance.random() < 0.2:
        Dying()
    return stackless.schedule("back")


def work(number):
    total = 0
    for index in generate(5):
        total += index
        assert switch() == "back"
        assert max([3], key=lambda x: (switch(), x)[1]) == 3
        try:
            channel.send((number, index))
            raise KeyError(switch())
        except KeyError as error:
            assert error.args == ("back",)
    log.append(total)


def receive(count):
    for _ in range(count):
        log.append(channel.receive())


def sleep():
    try:
        while True:
            stackless.schedule_remove(None)
    finally:
        switch()
        log.append("killed")


channel = stackless.channel()
stackless.set_schedule_callback(
    lambda prev, next: chance.random() < 0.2 and toggle())
sleepers = [stackless.tasklet(sleep)() for _ in range(3)]
stackless.run()
for number in range(6):
    stackless.tasklet(work)(number)
stackless.tasklet(receive)(30)
stackless.run()
for sleeper in sleepers:
    sleeper.run()
    sleeper.kill()
stackless.run()
assert log.count(10) == 6 and log.count("killed") == 3, log
assert sorted(each for each in log if isinstance(each, tuple)) == [
    (number, index) for number in range(6) for index in range(5)]
assert stackless.getruncount() == 1
_coretest.set_evaluator(False)
print("done")
"""


@pytest.mark.skipif(JIT, reason="with the JIT CPython allows no evaluator")
@pytest.mark.parametrize("seed", range(4))
def test_evaluator_comes_and_goes_at_any_moment(seed):
    """In callbacks, destructors, generators, between any two switches.

    CPython's own trampoline is no use: turned on and off a few times, it
    crashes the interpreter at its end.
    """
    pytest.importorskip("stackless._coretest", exc_type=ImportError)
    program = TOGGLED.format(seed=seed)
    if not stackless.enable_softswitch(None):
        program = program.replace(
            "import stackless\n",
            "import stackless\nstackless.enable_softswitch(False)\n", 1)
    done = subprocess.run([sys.executable, "-c", program],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
