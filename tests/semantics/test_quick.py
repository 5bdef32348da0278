"""Points that are left in one go: who calls them, from where, and how long it
lasts.  Whatever the caller is, all is as with a gate.
"""

import asyncio
import functools
import gc
import itertools
import os
import sys

import pytest
import stackless

from quick_support import QUICK, count, deep, forever, quick, turns
from semantics_support import spawn, through_c

coretest = pytest.importorskip("stackless._coretest")


# --- callers -----------------------------------------------------------------

def in_tuple():
    return 1, stackless.schedule(2), 3, (4, stackless.schedule(5))


def deep_in_expression():
    s = stackless.schedule
    return [1, (2, [3, {4: (5, s(6), s(7))}], s(8)), s(9)]


def by_keyword():
    return stackless.schedule(retval=1), stackless.schedule(**{"retval": 2})


def with_star():
    return stackless.schedule(*(1,))


def default_value():
    return stackless.schedule() is stackless.current


def through_partial():
    return functools.partial(stackless.schedule, 3)()


def through_map():
    return list(map(stackless.schedule, range(3)))


class Points:
    prop = property(stackless.schedule)
    __getitem__ = stackless.channel.receive
    method = stackless.schedule
    __enter__ = stackless.schedule

    def __exit__(self, *exc):
        stackless.schedule(None)


def as_property():
    p = Points()
    return (1, 2, (3, p.prop is p)), p.prop is p


def as_method():
    p = Points()
    return 1, p.method() is p


def as_context_manager():
    p = Points()
    with p as entered:
        return entered is p


class Inits:
    __init__ = stackless.schedule


def as_init():
    try:
        return Inits()
    except TypeError as error:
        return "None" in str(error)


class InInit:
    def __init__(self):
        self.value = stackless.schedule(7), 8


def inside_init():
    return InInit().value


def in_class_body():
    class Body:
        x = stackless.schedule(1)
    return Body.x


def generate(n):
    for i in range(n):
        yield i, stackless.schedule(i)


def for_over_generator():
    return [pair for pair in generate(5)]


def delegate():
    got = yield from generate(3)
    return got


def yield_from():
    return list(delegate())


def send_into_generator():
    def echo():
        got = None
        while True:
            got = yield got, stackless.schedule(got)
    g = echo()
    next(g)
    return [g.send(i) for i in range(3)]


async def coroutine(n):
    return [await coroutine(n - 1) if n else None, stackless.schedule(n)]


def awaiting():
    try:
        coroutine(3).send(None)
    except StopIteration as stop:
        return stop.value


async def comprehension():
    async def values():
        for i in range(3):
            yield stackless.schedule(i)
    return [i async for i in values()]


def in_event_loop():
    return asyncio.run(comprehension())


def in_except():
    try:
        raise KeyError(1)
    except KeyError as error:
        a = stackless.schedule(2), sys.exc_info()[1] is error
    return a, sys.exc_info()[1]


def in_finally():
    try:
        return 1
    finally:
        stackless.schedule(2)


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


@decorated
def in_decorated(x=5):
    return x, stackless.schedule(x)


def unpacked():
    a, *b = stackless.schedule((1, 2, 3))
    return a, b


CALLERS = [
    in_tuple, deep_in_expression, by_keyword, with_star, default_value,
    through_partial, through_map, as_property, as_method,
    as_context_manager, as_init, inside_init, in_class_body,
    for_over_generator, yield_from, send_into_generator, awaiting,
    in_event_loop, in_except, in_finally, in_decorated, unpacked,
    lambda: stackless.schedule(1),
    lambda: deep(60) + stackless.schedule(1) + deep(300),
]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda f: f.__name__)
def test_callers(caller):
    """Cold and warm, alone and beside others."""
    expected = caller()
    got = []

    def body():
        for _ in range(30):
            got.append(caller())

    with quick(3):
        tasks = [spawn(body) for _ in range(3)] + [spawn(forever)]
        while any(t.alive for t in tasks[:3]):
            turns()
    assert got == [expected] * 90


def test_generators_that_switch_stay_apart():
    got = []

    def body(tag):
        for i, value in zip(range(20), generate(20)):
            got.append((tag, i, value))

    for tag in range(3):
        spawn(body, tag)
    stackless.run()
    assert sorted(got) == [
        (tag, i, (i, i)) for tag in range(3) for i in range(20)]


# --- every place of a chunk --------------------------------------------------

def make_step(pad):
    """Calls itself n times, then `last`, in a frame of `pad` more words."""
    names = "".join(f"x{i} = " for i in range(pad))
    source = (
        "def step(n, last, rest, tag):\n"
        f"    {names or 'x = '}tag\n"
        "    if n:\n"
        "        return tag, [n, step(n - 1, last, rest, tag)]\n"
        "    if rest:\n"
        "        return tag, rest[0](rest[1], last, None, tag)\n"
        "    return [tag, (n, last(tag), last(n)), tag]\n")
    space = {}
    exec(source, space)
    return space["step"]


STEPS = [make_step(0), make_step(1)]


def walk(i, j, last):
    return STEPS[0](i, last, (STEPS[1], j), (i, j))


@pytest.mark.timeout(240)
def test_every_offset():
    """Frames of s and of s + 1 words put the point's at each possible place
    of the first chunk, of the next ones and over their edges."""
    places = [(i, j) for i in range(0, 140, 1) for j in range(0, 24, 2)]
    got = {}

    def body(i, j):
        got[i, j] = walk(i, j, stackless.schedule)

    with quick(len(places)):
        for group in zip(places[::2], places[1::2]):
            for i, j in group:
                spawn(body, i, j)
            stackless.run()
    for i, j in places:
        assert got[i, j] == walk(i, j, lambda x: x)


@pytest.mark.timeout(240)
def test_every_offset_with_channels():
    places = [(i, j) for i in range(0, 130, 3) for j in range(0, 20, 3)]
    got = {}

    def body(i, j, channel, other):
        def exchange(x):
            channel.send(x)
            return other.receive()
        got[i, j] = walk(i, j, exchange)

    def echo(channel, other):
        for _ in range(2):
            x = channel.receive()
            other.send(x)

    with quick(len(places)):
        for i, j in places:
            channel, other = stackless.channel(), stackless.channel()
            spawn(body, i, j, channel, other)
            spawn(echo, channel, other)
            stackless.run()
    for i, j in places:
        assert got[i, j] == walk(i, j, lambda x: x)


def make_large(n):
    names = [f"x{i}" for i in range(n)]
    source = ("def large(s):\n"
              + "".join(f"    {x} = '{x}'\n" for x in names)
              + "    y = s(1), s(2)\n"
              + f"    return y, ({', '.join(names)})\n")
    space = {}
    exec(source, space)
    return space["large"]


def test_frame_of_2000_locals():
    large = make_large(2000)
    expected = large(lambda x: x)
    got = []

    def body():
        for _ in range(4):
            got.append(large(stackless.schedule))

    with quick():
        spawn(body)
        spawn(body)
        stackless.run()
    assert got == [expected] * 8


def test_deep_recursion_right_after_a_switch():
    """No chunk is taken that is only a loan."""
    got = []

    def body(n):
        for i in range(20):
            stackless.schedule(None)
            got.append((deep(n), stackless.schedule((n, i)), deep(n // 2)))

    with quick(20):
        for n in (150, 200, 250):
            spawn(body, n)
        stackless.run()
    assert sorted(got) == sorted(
        (n, (n, i), n // 2) for n in (150, 200, 250) for i in range(20))


# --- points as tasklets ------------------------------------------------------

def test_points_as_tasklets(log):
    channel = stackless.channel()
    ts = [spawn(stackless.schedule), spawn(stackless.schedule, 1),
          spawn(channel.receive), spawn(channel.send, 2),
          spawn(stackless.schedule_remove, None), spawn(channel.receive),
          spawn(forever)]
    turns(4)
    assert [t.alive for t in ts] == [False] * 4 + [True] * 3
    assert ts[4].paused and ts[5].blocked
    assert ts[4].frame is None and ts[5].recursion_depth == 0
    channel.send(3)
    ts[4].insert()
    turns(2)
    assert [t.alive for t in ts] == [False] * 6 + [True]


def test_overridden_methods(log):
    class Loud(stackless.channel):
        def send(self, value):
            log.append(("send", value))
            return super().send(value)

        def receive(self):
            value = stackless.channel.receive(self)
            log.append(("got", value))
            return value

    def sender(channel):
        for i in range(30):
            channel.send(i)

    def receiver(channel):
        for i in range(30):
            assert channel.receive() == i

    def run():
        channel = Loud()
        spawn(receiver, channel)
        spawn(sender, channel)
        stackless.run()
        assert sorted(log) == [(word, i) for word in ("got", "send")
                               for i in range(30)]
        log.clear()

    run()
    with quick(20):
        run()


@pytest.mark.parametrize("preference", (-1, 0, 1))
@pytest.mark.parametrize("schedule_all", (False, True))
def test_order_of_transfers(log, preference, schedule_all):
    """As in a tasklet that calls through C, where nothing is quick."""
    def run_with(call):
        order = []
        channel = stackless.channel()
        channel.preference = preference
        channel.schedule_all = schedule_all

        def sender(name):
            for i in range(3):
                order.append((name, i))
                assert call(channel.send, (name, i)) is None

        def receiver(name):
            for _ in range(3):
                order.append((name, call(channel.receive)))

        for name in "ab":
            spawn(sender, "s" + name)
            spawn(receiver, "r" + name)
        spawn(receiver, "rc")
        spawn(sender, "sc")
        stackless.run()
        return order

    assert run_with(lambda f, *args: f(*args)) == run_with(through_c)


def test_errors_are_the_gates_own(log):
    """What a point refuses is refused, quick or not."""
    channel = stackless.channel()

    def body():
        for point, *args in ((stackless.schedule, 1, 2), (channel.send,),
                             (stackless.channel.send, 3, 4),
                             (stackless.channel.receive, None)):
            with pytest.raises(TypeError):
                point(*args)
        stackless.current.block_trap = True
        with pytest.raises(RuntimeError, match="blocked"):
            channel.receive()
        stackless.current.block_trap = False
        channel.close()
        with pytest.raises(ValueError, match="closed"):
            channel.send(1)
        stackless.switch_trap(1)
        with pytest.raises(RuntimeError, match="switch_trap"):
            stackless.schedule()
        stackless.switch_trap(-1)
        log.append(stackless.schedule(1))

    spawn(forever)
    spawn(body)
    turns(3)
    assert log == [1]


def test_callbacks_that_come_and_go(log):
    def body():
        for i in range(12):
            if i == 4:
                stackless.set_schedule_callback(
                    lambda a, b: log.append(i))
            if i == 8:
                stackless.set_schedule_callback(None)
            stackless.schedule(None)

    spawn(forever)
    spawn(body)
    turns(14)
    assert set(log) == {4, 5, 6, 7}


# --- it does not wear off ----------------------------------------------------

def share(rounds=20):
    """Of the switches among tasklets, how many are quick now?"""
    before, soft = count(), stackless.get_stats()["soft_switches"]
    turns(rounds)
    now = stackless.get_stats()["soft_switches"]
    return (count() - before) / max(1, now - soft)


def test_main_among_them():
    """Main is never left quickly, and leaves nobody else slow."""
    ts = [spawn(forever) for _ in range(5)]
    turns(30)
    assert share() > .9 if QUICK else share() == 0
    assert all(t.alive for t in ts)


def callback_for_a_moment():
    stackless.set_schedule_callback(lambda a, b: None)
    turns(3)
    stackless.set_schedule_callback(None)


def traced_for_a_moment():
    sys.settrace(lambda *args: None)
    turns(3)
    sys.settrace(None)


def trap_for_a_moment():
    stackless.enable_softswitch(False)
    turns(3)
    stackless.enable_softswitch(os.environ.get("STACKLESS_TEST_HARD") != "1")


def evaluated_for_a_moment():
    coretest.set_evaluator(True)
    turns(3)
    coretest.set_evaluator(False)


def all_looked_at():
    for t in stackless.all_tasklets():
        t.trace_function = None


@pytest.mark.skipif(sys.gettrace() is not None, reason="main is traced")
@pytest.mark.parametrize("event", [
    callback_for_a_moment, traced_for_a_moment, trap_for_a_moment,
    evaluated_for_a_moment, all_looked_at, gc.collect],
    ids=lambda f: f.__name__)
def test_after_something_unusual(event):
    for _ in range(3):
        spawn(forever)
    turns(3)
    event()
    turns(5)
    assert share() > .9 if QUICK else share() == 0


def test_beside_one_that_is_hard():
    for _ in range(4):
        spawn(forever)
    spawn(through_c, forever)
    turns(10)
    assert share() > .7 if QUICK else share() == 0


def test_after_a_switch_on_another_stack(log):
    def body():
        turns(3)
        stackless.call_on_new_stack(stackless.schedule, None)
        turns(8)
        before = count()
        turns(5)
        log.append(count() - before)
        forever()

    spawn(body)
    spawn(body)
    turns(20)
    assert len(log) == 2
    assert all(n >= 5 for n in log) if QUICK else log == [0, 0]


def test_on_another_stack(log):
    def body(tag):
        for i in range(5):
            log.append((tag, stackless.schedule(i)))

    def outer(tag):
        stackless.call_on_new_stack(body, tag)

    for tag in "ab":
        spawn(outer, tag)
        spawn(body, tag.upper())
    stackless.run()
    assert sorted(log) == [(tag, i) for tag in "ABab" for i in range(5)]


def test_messages_to_main():
    channel = stackless.channel()

    def producer():
        for i in range(50):
            channel.send(i)

    def consumer(other):
        for i in range(50):
            assert other.receive() == i

    with quick(20):
        spawn(producer)
        assert [channel.receive() for _ in range(50)] == list(range(50))
        other = stackless.channel()
        t = spawn(consumer, other)
        for i in range(50):
            other.send(i)
    assert not t.alive


# --- everything at once ------------------------------------------------------

def test_all_callers_at_once():
    """Each with another one as neighbour, in every order."""
    callers = [f for f in CALLERS if f is not in_event_loop]
    expected = [f() for f in callers]
    wrong = []

    def body(i):
        for k in range(2 * len(callers)):
            n = (k * (i + 1)) % len(callers)
            got = callers[n]()
            if got != expected[n]:
                wrong.append((callers[n], got))

    with quick(300):
        for i in range(len(callers)):
            spawn(body, i)
        for _ in itertools.repeat(None, 2000):
            turns()
            if stackless.getruncount() == 1:
                break
    assert wrong == []
    assert stackless.getruncount() == 1
