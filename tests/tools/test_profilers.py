"""Profilers: calls are counted, and the time that functions take themselves is
summed up, as in the same program of plain functions.

The clock is a counter that the program itself moves on, so totals are exact.
"""

import cProfile
import importlib
import pstats
import re
import sys
import warnings

import pytest
import stackless

from tools_support import (JIT_CRASHES, JIT_REASON, STATES, Suspension,
                           in_sort, mode, pause, run_file, write)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.15
    import profile

tracing = pytest.mark.skipif(JIT_CRASHES, reason=JIT_REASON)
# 3.12's cProfile rests on sys.monitoring, which knows no tasklets.
SEES_ALL = sys.version_info >= (3, 12)

clock = bytearray()


@pytest.fixture(autouse=True)
def clock_at_zero():
    clock.clear()


def helper(n):
    clock.extend(bytes(n))
    return n


def numbers(n):
    for i in range(n):
        clock.append(0)
        yield i


def fails():
    clock.append(0)
    raise KeyError


def below_c(wait):
    clock.append(0)
    return sorted([2, 1], key=lambda x: (wait(), x))


def body(wait):
    clock.extend(bytes(5))
    for n in numbers(4):
        helper(n)
        wait()
        try:
            fails()
        except KeyError:
            helper(1)
    below_c(wait)
    return helper(3)


FUNCTIONS = ("body", "helper", "numbers", "fails", "below_c", "append",
             "extend")


def nothing():
    return 0


wait_plainly = iter(nothing, None).__next__  # a C function


def table(profiler):
    """{function: (calls, time in it)} of the program's functions."""
    stats = pstats.Stats(profiler).stats
    for name, (primitive, calls, own, total, callers) in stats.items():
        # `profile` is a part of what it measures: it has an entry of its own.
        assert own >= 0 and total >= own and 0 <= primitive <= calls, name
    # One profiler calls a method of C "<method 'extend' of ...>".
    return {short: (calls, own)
            for (file, line, name), (_, calls, own, _, _) in stats.items()
            for short in re.findall(r"\w+", name) if short in FUNCTIONS}


def profile_plainly(make, times=1):
    profiler = make(clock.__len__)
    for i in range(times):
        profiler.runcall(body, wait_plainly)
    return table(profiler)


MAKERS = {"cProfile": lambda timer: cProfile.Profile(timer, 1.0),
          "profile": profile.Profile}
if sys.version_info >= (3, 15):
    MODULE = importlib.import_module("profiling.tracing")
    MAKERS["profiling.tracing"] = lambda timer: MODULE.Profile(timer, 1.0)
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
c_makers = pytest.mark.parametrize(
    "make", [make for name, make in MAKERS.items() if name != "profile"],
    ids=[name for name in MAKERS if name != "profile"])


@tracing
@makers
@pytest.mark.parametrize("state", STATES)
def test_tasklet_that_profiles_itself(make, state):
    """Others run meanwhile, in no time; what they do is not counted."""
    wanted = profile_plainly(make)
    profiler, suspension = make(clock.__len__), Suspension(state)
    tasklet = stackless.tasklet(profiler.runcall)(body, suspension.wait)
    while tasklet.alive:
        suspension.resume(tasklet)
    assert table(profiler) == wanted != {}


@tracing
@makers
@pytest.mark.skipif(
    SEES_ALL, reason="3.12 and later: cProfile refuses a second profiler, and "
    "`profile` fails, in two threads too (docs/cpython-bugs.md)")
def test_each_tasklet_with_a_profiler_of_its_own(make):
    """Whose clock the others move on, too: only calls can be compared."""
    wanted = profile_plainly(make)
    profilers = [make(clock.__len__) for i in range(3)]
    for profiler in profilers:
        stackless.tasklet(profiler.runcall)(body, stackless.schedule)
    stackless.run()
    assert [calls(table(profiler)) for profiler in profilers] == [
        calls(wanted)] * 3


def calls(seen):
    return {name: number for name, (number, own) in seen.items()}


@tracing
@c_makers
@pytest.mark.skipif(not SEES_ALL, reason="3.11's sees its own tasklet only")
def test_c_profiler_of_main_sees_all_tasklets(make):
    wanted = profile_plainly(make, 4)
    profiler, channel = make(clock.__len__), stackless.channel()

    def work():
        for wait in stackless.schedule, channel.receive, stackless.schedule:
            stackless.tasklet(body)(wait)
        stackless.run()
        while channel.balance:
            channel.send(None)
        in_sort(lambda: stackless.tasklet(body)(stackless.schedule).run())
        stackless.run()

    profiler.runcall(work)
    assert table(profiler) == wanted


@tracing
@makers
@pytest.mark.skipif(SEES_ALL, reason="from 3.12 on it sees all tasklets")
def test_profiler_of_main_sees_main_only(make):
    profiler = make(clock.__len__)

    def work():
        stackless.tasklet(body)(stackless.schedule)
        stackless.run()
        helper(3)

    profiler.runcall(work)
    assert table(profiler) == {"helper": (1, 0), "extend": (1, 3)}


@tracing
@makers
@pytest.mark.parametrize("state", STATES)
def test_profiler_that_comes_and_goes_while_tasklets_are_suspended(
        make, state):
    """Calls that it saw begin and end are counted, and no time is negative
    (table() looks)."""
    suspension = Suspension(state)

    def deep(n):
        if n:
            deep(n - 1)
        else:
            body(suspension.wait)

    def all_steps():
        for i in range(6):
            for tasklet in tasklets:
                if tasklet.alive:
                    suspension.resume(tasklet)

    tasklets = [stackless.tasklet(deep)(n) for n in (0, 3, 10)]
    if state != "runnable":
        stackless.run()
    profilers = [make(clock.__len__) for i in range(3)]
    for profiler in profilers:
        profiler.runcall(suspension.resume, tasklets[0])
        suspension.resume(tasklets[1])
        table(profiler)
    all_steps()
    for tasklet in tasklets:
        tasklet.kill()
    assert sys.getprofile() is None


@tracing
@makers
def test_tasklets_that_end_badly_while_profiled(make):
    """Killed, dropped, failed: their calls have returned all the same."""
    profiler = make(clock.__len__)

    def stays(wait):
        helper(1)
        wait()

    def work():
        paused = [stackless.tasklet(stays)(wait) for wait in
                  (pause, lambda: below_c(pause), pause, fails)]
        with pytest.raises(KeyError):
            stackless.run()
        paused[0].kill()
        paused[1].kill()
        del paused[2]
        return helper(1)

    profiler.runcall(work)
    seen = table(profiler)
    number = 5 if SEES_ALL and make is not profile.Profile else 1
    assert seen["helper"] == (number, 0)
    assert seen["extend"] == (number, number)


# --- from outside ------------------------------------------------------------

SAMPLED = """
    import sys, time

    def leaf():
        x = 0
        for i in range(20_000):  # longer than it takes to read a stack
            x += i

    def soft_inner():
        leaf()
        stackless.schedule()

    def soft_worker():
        while time.perf_counter() < end:
            soft_inner()

    def hard_inner(x):
        leaf()
        stackless.schedule()

    def hard_worker():
        while time.perf_counter() < end:
            sorted([1], key=hard_inner)

    end = time.perf_counter() + 1.2
    done = 0
    for i in range(4):
        stackless.tasklet(soft_worker)()
        stackless.tasklet(hard_worker)()
    stackless.run()
    print("end", stackless.getruncount())
"""


@pytest.mark.skipif(sys.version_info < (3, 15), reason="3.15 brought it")
@pytest.mark.parametrize("options", [(), ("--blocking",)])
def test_sampling_profiler_finds_each_tasklets_stack(tmp_path, options):
    """Below <stackless>'s dispatcher; of soft and of hard ones, unmixed."""
    path = write(tmp_path / "sampled.py", SAMPLED)
    path.write_text(mode() + path.read_text())
    stacks = tmp_path / "stacks"
    try:
        out = run_file("-m", "profiling.sampling", "run", "-r", "2khz",
                       *options, "--collapsed", "-o", stacks, path)
    except AssertionError as error:
        if re.search("[Pp]ermission|not permitted", str(error)):
            pytest.skip("may not read another process's memory here")
        raise
    assert "end 1" in out
    counts = {"soft": 0, "hard": 0, "torn": 0}
    for line in stacks.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        frames = re.findall(r"sampled\.py:(\w+):", stack)
        kinds = {name[:4] for name in frames} & {"soft", "hard"}
        if frames[-1:] == ["leaf"] or len(kinds) > 1:
            kind = kinds.pop() if len(kinds) == 1 else "torn"
            counts[kind] += int(number)
    assert counts["soft"] > 50 and counts["hard"] > 50, counts
    # It reads while the program runs on, unless it is told to stop it.
    limit = 0 if options else 0.05 * (counts["soft"] + counts["hard"])
    assert counts["torn"] <= limit, counts
