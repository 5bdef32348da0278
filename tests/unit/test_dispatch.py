"""dispatch.c: what is put off until a switch is complete does not pile up.

The engine keeps what a switch gave up in a small array, and releases it when
a tasklet arrives.  These programs give up much between two arrivals; a debug
build aborts if the array is full, another one would write past its end.
"""

import subprocess
import sys
import textwrap

import pytest

import stackless


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", "import stackless\n" + textwrap.dedent(code)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_many_tasklets_that_are_killed_before_they_start():
    out = run(
        """
        tasks = [stackless.tasklet(print)(i) for i in range(100)]
        for t in tasks:
            t.kill(pending=True)
        stackless.run()
        print([t.alive for t in tasks].count(True), stackless.getruncount())
        """
    )
    assert out == "0 1\n"


def test_many_that_end_so_with_an_error_handler():
    out = run(
        """
        seen = []
        stackless.set_error_handler(lambda *args: seen.append(args[0]))
        stackless.set_schedule_callback(lambda prev, next: None)
        for i in range(100):
            t = stackless.tasklet(print)(i)
            t.throw(KeyError, pending=True)
        stackless.run()
        print(len(seen), set(seen))
        """
    )
    assert out == "100 {<class 'KeyError'>}\n"


def test_operations_that_fail_after_their_callback():
    out = run(
        """
        def unbind(prev, next):
            if next is not stackless.main:
                next.remove()
                next.bind(None)
        stackless.set_schedule_callback(unbind)
        failed = 0
        for i in range(100):
            t = stackless.tasklet(print)(i)
            try:
                t.run()
            except RuntimeError:
                failed += 1
        print(failed)
        """
    )
    assert out == "100\n"


def test_many_that_end_in_c():
    """Functions of C, called by the dispatcher itself."""
    results = []
    for i in range(100):
        stackless.tasklet(results.append)(i)
    stackless.run()
    assert results == list(range(100))


# --- the way of each switch --------------------------------------------------


def switches():
    stats = stackless.get_stats()
    return stats["soft_switches"], stats["hard_switches"]


def counted(function):
    """How many soft and hard switches a call makes."""
    before = switches()
    function()
    return tuple(b - a for a, b in zip(before, switches()))


def looper(n, step=stackless.schedule):
    for _ in range(n):
        step()


def inside(scenario):
    """Run the scenario in a tasklet, so that main's own stack is out of it."""
    result = []

    def body():
        result.append(counted(scenario))

    stackless.tasklet(body)()
    stackless.run()
    return result[0]


@pytest.mark.soft
def test_two_tasklets_take_turns_softly():
    stackless.tasklet(looper)(10)
    soft, hard = inside(lambda: looper(5))
    assert (soft >= 10, hard) == (True, 0)


@pytest.mark.soft
def test_a_builtin_in_between_makes_the_switch_hard():
    stackless.tasklet(looper)(10)
    soft, hard = inside(lambda: list(map(lambda _: stackless.schedule(), "abc")))
    assert hard > 0


@pytest.mark.soft
def test_soft_again_after_the_builtin():
    def scenario():
        list(map(lambda _: stackless.schedule(), "a"))

    def then():
        scenario()
        result.append(counted(lambda: looper(5)))

    result = []
    stackless.tasklet(looper)(20)
    stackless.tasklet(then)()
    stackless.run()
    assert result[0][1] == 0


def test_forbidden_softness_makes_all_switches_hard():
    before = stackless.enable_softswitch(False)
    try:
        stackless.tasklet(looper)(10)
        soft, hard = inside(lambda: looper(5))
    finally:
        stackless.enable_softswitch(before)
    assert soft == 0 and hard >= 10


def test_counters_never_fall():
    a = switches()
    stackless.tasklet(looper)(3)
    stackless.run()
    b = switches()
    assert b[0] >= a[0] and b[1] >= a[1] and b != a


@pytest.mark.parametrize("name", ["run", "switch"])
def test_a_callback_that_unbinds_the_paused_tasklet_it_is_told_of(name):
    out = run(
        f"""
        t = stackless.tasklet(print, ("never",))
        def unbind(prev, next):
            if next is t:
                next.bind(None)
        stackless.set_schedule_callback(unbind)
        try:
            t.{name}()
        except RuntimeError as error:
            print("dead" in str(error), t.alive, stackless.getruncount())
        """
    )
    assert out == "True False 1\n"
