"""Points whose frame is the first of a chunk of frames: left in one go like all
others.  What lies below is moved when it goes on; nobody is to see that.
"""

import functools
import gc
import sys

import pytest
import stackless

from quick_support import QUICK, Noisy, count, forever, quick, turns
from semantics_support import ring, spawn
from tasks import in_thread

DEPTHS = range(1, 70)  # the edges of several chunks


def descend(depth, function, arg):
    """By calls that are inlined everywhere."""
    if depth > 1:
        return descend(depth - 1, function, arg) + (depth,)
    return function(arg), depth


def result(depth, value):
    """Of descend()."""
    return (value, *range(1, depth + 1))


@functools.lru_cache
def make_large(words):
    """A function whose frame has that many more words than a small one's."""
    names = " = ".join(f"x{i}" for i in range(words))
    space = {}
    exec(f"def large(function, *inner):\n"
         f"    {names} = 7\n"
         f"    if inner:\n"
         f"        return inner[0](function)\n"
         f"    return [function(i) for i in range(4)], x0, x{words - 1}\n",
         space)
    return space["large"]


def in_a_loop(times):
    schedule = stackless.schedule
    return [schedule(i) for i in range(times)]


@pytest.mark.soft
@pytest.mark.skipif(not QUICK, reason="there are only gates")
def test_all_switches_are_quick():
    """But the few that begin and end."""
    for depth in DEPTHS:
        tasks = [spawn(descend, depth, in_a_loop, 20) for _ in range(2)]
        before = count()
        stackless.run()
        assert count() - before >= 2 * 20 - 4, depth
        assert not any(t.alive for t in tasks)


@pytest.mark.parametrize("rounds", (1, 2, 5))
def test_values(rounds):
    got = {}

    def body(depth):
        got[depth] = descend(depth, in_a_loop, rounds)

    with quick(len(DEPTHS) * rounds // 2):
        for depth in DEPTHS:
            spawn(body, depth)
        stackless.run()
    assert got == {d: result(d, list(range(rounds))) for d in DEPTHS}


def test_each_by_way_of_the_dispatcher():
    """Main is hard: it comes between any two of them."""
    for depth in DEPTHS:
        t = spawn(descend, depth, in_a_loop, 3)
        turns(4)
        assert not t.alive


def test_frames_that_somebody_holds():
    """By object: they show the same before, between and after."""
    def look(frames):
        here = sys._getframe()
        mine = object()
        frames.append((here, here.f_back))
        for i in range(3):
            stackless.schedule()
            assert sys._getframe() is here
            assert here.f_locals["i"] == i
            assert here.f_locals["mine"] is mine
            assert here.f_back is frames[-1][1]
            assert here.f_back.f_locals["depth"] == 1
        return mine

    def body(depth, kept):
        frames = []
        kept.append((frames, descend(depth, look, frames)))

    kept = []
    for depth in DEPTHS:
        spawn(body, depth, kept)
    with quick(len(DEPTHS)):
        turns(2)
        for t in ring()[1:]:
            assert t.frame.f_code is look.__code__
        stackless.run()
    assert len(kept) == len(DEPTHS)
    for ((here, back),), (mine, *_) in kept:
        assert here.f_locals["i"] == 2 and here.f_locals["mine"] is mine
        assert back.f_locals["depth"] == 1


def generate(times):
    for i in range(times):
        yield i, stackless.schedule(i)


def through_generators(times):
    got = []
    for i, value in generate(times):
        got.append((i, value))
        got.append(tuple(delegate(2)))
    return got


def delegate(times):
    got = yield from generate(times)
    return got


def test_called_by_generators():
    pairs = [(i, i) for i in range(5)]
    expected = [x for p in pairs for x in (p, ((0, 0), (1, 1)))]
    got = {}

    def body(depth):
        got[depth] = descend(depth, through_generators, 5)

    for depth in DEPTHS:
        spawn(body, depth)
    stackless.run()
    assert got == {d: result(d, expected) for d in DEPTHS}


@pytest.mark.soft
@pytest.mark.skipif(not QUICK, reason="there are only gates")
@pytest.mark.skipif(sys.version_info < (3, 12),
                    reason="a generator in a for loop is hard here")
def test_generators_are_quick():
    """Where the loop around them has room on its stack, which most have."""
    def loop(times):
        total = 0
        for i, value in generate(times):
            total += i * value
        return total

    tasks = [spawn(loop, 20) for _ in range(2)]
    before = count()
    stackless.run()
    assert count() - before >= 2 * 20 - 4
    assert not any(t.alive for t in tasks)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("inner", (2000, 2015, 2100))
def test_frames_as_large_as_a_chunk(inner):
    """The outer one opens a chunk of 32 KiB, which the inner one fills.  One above
    that opens one of 16, where the inner one fits, fills it too, or does not fit.
    """
    expected = [0, 1, 2, 3], 7, 7
    got = {}

    def body(total, twin):
        got[total, twin] = make_large(total - inner)(
            stackless.schedule, make_large(inner))

    totals = range(4030, 4080)
    for total in totals:
        spawn(body, total, 0)
        spawn(body, total, 1)
        stackless.run()
    assert got == {(n, twin): expected for n in totals for twin in (0, 1)}


def wait(held):
    log, noisy = held
    try:
        forever(noisy)
    finally:
        log.append("out")


@pytest.mark.parametrize("how", ("kill", "raise", "trace"))
def test_ends(log, how):
    for depth in DEPTHS:
        t = spawn(descend, depth, wait, (log, Noisy(log)))
        turns(2)
        if how == "raise":
            with pytest.raises(KeyError):
                t.raise_exception(KeyError)
        else:
            if how == "trace":
                t.trace_function = lambda *args: None
                t.trace_function = None
                turns(2)
            t.kill()
        assert sorted(log) == ["dead", "out"], depth
        log.clear()


def test_dropped(log):
    for turn in range(1, 3):
        tasks = [spawn(descend, depth, wait, (log, Noisy(log)))
                 for depth in DEPTHS]
        turns(turn)
        for t in tasks:
            t.remove()
        del tasks, t
        gc.collect()
        turns()
        assert log.count("out") == log.count("dead") == len(DEPTHS)
        log.clear()


def test_never_run_again(log):
    """Taken apart where it stands: its thread has ended."""
    def work(kept):
        for depth in DEPTHS:
            kept.append(spawn(descend, depth, wait, (log, Noisy(log))))
            turns(2)

    kept = []
    in_thread(work, kept)
    kept.clear()
    gc.collect()
    assert log.count("dead") == len(DEPTHS)


def test_cloned():
    """The copy is built anew; the original goes on where it is."""
    answers = []

    def twice(_):
        return stackless.schedule(0), stackless.schedule(1)

    def body(depth):
        answers.append((depth, descend(depth, twice, None)))

    for depth in DEPTHS:
        t = spawn(body, depth)
        turns()
        copy = t.clone()
        copy.insert()
        stackless.run()
        assert not t.alive and not copy.alive
    assert answers == [
        (d, result(d, (0, 1))) for d in DEPTHS for _ in range(2)]
