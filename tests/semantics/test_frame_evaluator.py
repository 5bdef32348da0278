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
