"""When a switch is soft and when it is hard, by the counters.

Two tasklets run the same step, which contains one schedule(); after a warm-up
the share of soft switches is measured. Without these tests a silent fall-back
to hard would go unnoticed.
"""

import functools
import sys

import pytest
import stackless

from semantics_support import pause, spawn, started

VERSION = sys.version_info[:2]
SOFT, HARD = "soft", "hard"
pytestmark = [
    pytest.mark.soft,
    pytest.mark.skipif(sys.gettrace() is not None,
                       reason="traced call sites are hard")]


def counters():
    stats = stackless.get_stats()
    return stats["soft_switches"], stats["hard_switches"]


def share_of_soft_switches(step, warm=64, rounds=50):
    before, after = [], []

    def body():
        for _ in range(warm):
            step()
        before.append(counters())
        for _ in range(rounds):
            step()
        after.append(counters())

    spawn(body)
    spawn(body)
    stackless.run()
    soft = after[0][0] - before[0][0]
    hard = after[0][1] - before[0][1]
    assert soft + hard >= rounds
    return soft / (soft + hard)


def assert_softness(step, expected):
    share = share_of_soft_switches(step)
    if expected == SOFT:
        assert share > 0.95
    else:
        assert share < 0.05


def since(version):
    return SOFT if VERSION >= version else HARD


# steps

def plain():
    stackless.schedule()


def nested_calls():
    def inner():
        plain()
    inner()


def with_keywords():
    def takes(*, a, b=2):
        stackless.schedule()
    takes(a=1)


def with_many_arguments():
    def takes(a, b, c, d, e, f, g, h, i, j):
        stackless.schedule()
    takes(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)


class Thing:
    def method(self):
        stackless.schedule()

    @staticmethod
    def static():
        stackless.schedule()

    @classmethod
    def of_class(cls):
        stackless.schedule()

    def __getitem__(self, key):
        stackless.schedule()
        return key

    def __getattr__(self, name):
        stackless.schedule()
        return name

    def __enter__(self):
        stackless.schedule()

    def __exit__(self, *exc):
        pass

    def __add__(self, other):
        stackless.schedule()
        return self

    def __len__(self):
        stackless.schedule()
        return 1

    def __call__(self):
        stackless.schedule()


class WithProperty:
    @property
    def prop(self):
        stackless.schedule()


class MadeWithInit:
    def __init__(self):
        stackless.schedule()


thing = Thing()
with_property = WithProperty()


def decorated(function):
    @functools.wraps(function)
    def wrapper(x):
        return function(x)
    return wrapper


@decorated
def decorated_function(x):
    stackless.schedule()


def star_decorated(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


@star_decorated
def star_decorated_function(x):
    stackless.schedule()


def generator_in_for():
    for _ in switching_generator():
        pass


def switching_generator():
    stackless.schedule()
    yield 1


def yield_from():
    for _ in delegating():
        pass


def delegating():
    yield from switching_generator()


async def awaited():
    stackless.schedule()


async def awaiting():
    await awaited()


def in_except():
    try:
        raise KeyError
    except KeyError:
        stackless.schedule()


def in_finally():
    try:
        pass
    finally:
        stackless.schedule()


def in_comprehension():
    [stackless.schedule() for _ in (1,)]


def in_with_body():
    with stackless.atomic():
        stackless.schedule()


def star_call(*args):
    stackless.schedule()


ARGUMENTS = (1, 2)
KWARGS = {"a": 1}


def with_star_kwargs(a):
    stackless.schedule()



STEPS = {
    "plain call": (plain, SOFT),
    "nested calls": (nested_calls, SOFT),
    "keyword arguments": (with_keywords, SOFT),
    "ten arguments": (with_many_arguments, SOFT),
    "method": (lambda: thing.method(), SOFT),
    "static method": (lambda: Thing.static(), SOFT),
    "class method": (lambda: Thing.of_class(), SOFT),
    "lambda": (lambda: (lambda: stackless.schedule())(), SOFT),
    "decorator": (lambda: decorated_function(1), SOFT),
    "except block": (in_except, SOFT),
    "finally block": (in_finally, SOFT),
    "comprehension": (in_comprehension, SOFT),
    "body of with": (in_with_body, SOFT),
    "property": (lambda: with_property.prop, since((3, 12))),
    "__getitem__": (lambda: thing[1], SOFT),
    "f(*args)": (lambda: star_call(*ARGUMENTS), since((3, 12))),
    "f(**kwargs)": (lambda: with_star_kwargs(**KWARGS), since((3, 12))),
    "decorator with *args": (lambda: star_decorated_function(1),
                             since((3, 12))),
    "for over a generator": (generator_in_for, since((3, 12))),
    "yield from": (yield_from, since((3, 12))),
    "await": (lambda: drive(awaiting()), HARD),
    "__init__": (lambda: MadeWithInit(), since((3, 13))),
    "__enter__": (lambda: enter(), since((3, 14))),
    "sorted": (lambda: sorted((1,), key=lambda x: stackless.schedule()),
               HARD),
    "map": (lambda: list(map(lambda x: stackless.schedule(), (1,))), HARD),
    "list(generator)": (lambda: list(switching_generator()), HARD),
    "__getattr__": (lambda: thing.missing, HARD),
    "operator": (lambda: thing + 1, HARD),
    "len": (lambda: len(thing), HARD),
    "partial": (functools.partial(plain), HARD),
    "exec": (lambda: exec("stackless.schedule()", globals()), HARD),
    "class body": (lambda: make_class(), HARD),
}


def drive(coro):
    try:
        coro.send(None)
    except StopIteration:
        pass


def enter():
    with thing:
        pass


def make_class():
    class Body:
        stackless.schedule()


@pytest.mark.parametrize("name", STEPS)
def test_step(name):
    step, expected = STEPS[name]
    assert_softness(step, expected)


@pytest.mark.parametrize("preference", [-1, 0, 1])
def test_channel_operations_are_soft(preference):
    channel = stackless.channel()
    channel.preference = preference
    n, seen = 200, []

    def sender():
        for i in range(n):
            channel.send(i)

    def receiver():
        for i in range(n):
            channel.receive()
            if i == 10 or i == n - 10:
                seen.append(counters())

    spawn(sender)
    spawn(receiver)
    stackless.run()
    assert seen[1][0] - seen[0][0] > n // 3
    assert seen[1][1] - seen[0][1] == 0


def two_of(body, n=100):
    """Counters' rise while two tasklets run body(i) n times each."""
    seen = []

    def loop(other):
        for i in range(n):
            if i in (10, n - 10):
                seen.append(counters())
            body(other)

    a, b = stackless.tasklet(), stackless.tasklet()
    a.bind(loop, (b,)).insert()
    b.bind(loop, (a,)).insert()
    stackless.run()
    seen.sort()
    return seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]


def switching_pair(n):
    """Two tasklets that use switch() on each other."""
    def body(partner):
        for _ in range(n):
            partner[0].switch()

    box_a, box_b = [], []
    a, b = stackless.tasklet(body), stackless.tasklet(body)
    box_a.append(b)
    box_b.append(a)
    a.bind(None, (box_a,))
    b.bind(None, (box_b,))
    return a, b


def test_tasklet_run_is_soft():
    soft, hard = two_of(lambda other: other.run() if other.alive else None)
    assert soft > 100 and hard <= 4


def test_tasklet_switch_is_soft():
    a, b = switching_pair(100)
    before = counters()
    a.insert()
    stackless.run()
    after = counters()
    assert after[0] - before[0] >= 190
    assert after[1] - before[1] <= 6


def test_throw_and_kill_of_a_soft_tasklet_are_soft():
    def victim():
        pause()

    def body():
        for i in range(60):
            t = stackless.tasklet(victim)()
            t.run()
            if i == 10:
                before.extend(counters())
            t.kill()
        after.extend(counters())

    before, after = [], []
    spawn(body)
    stackless.run()
    assert after[0] - before[0] >= 90
    assert after[1] - before[1] <= 2


def test_creation_and_end_need_no_hard_switch():
    def body():
        for _ in range(100):
            spawn(lambda: None)
        stackless.schedule()
        before.extend(counters())
        for _ in range(100):
            spawn(lambda: None)
        stackless.schedule()
        after.extend(counters())

    before, after = [], []
    spawn(body)
    stackless.run()
    assert after[1] - before[1] == 0


def test_soft_tasklets_hold_no_c_stack():
    before = stackless.get_stats()["c_stacks"]
    tasklets = [started(pause) for _ in range(500)]
    assert stackless.get_stats()["c_stacks"] <= before + 2
    assert all(t.restorable for t in tasklets)


def test_send_sequence_is_soft():
    channel = stackless.channel()
    seen = []

    def receiver():
        for i in range(200):
            channel.receive()
            if i in (10, 190):
                seen.append(counters())

    spawn(channel.send_sequence, range(200))
    spawn(receiver)
    stackless.run()
    assert seen[1][1] - seen[0][1] == 0


@pytest.mark.skipif(VERSION < (3, 12), reason="a generator loop is hard")
def test_iteration_over_a_channel_is_soft_when_warm():
    channel = stackless.channel()
    seen = []

    def sender():
        for i in range(300):
            channel.send(i)
        channel.send_exception(StopIteration)

    def receiver():
        for i in channel:
            if i in (100, 290):
                seen.append(counters())

    spawn(sender)
    spawn(receiver)
    stackless.run()
    assert seen[1][1] - seen[0][1] <= 10


def test_switches_are_hard_when_forced():
    stackless.enable_softswitch(False)
    before = counters()
    for _ in range(2):
        spawn(lambda: [plain() for _ in range(50)])
    stackless.run()
    after = counters()
    assert after[0] == before[0]
    assert after[1] - before[1] >= 100


def test_mode_can_be_changed_while_tasklets_are_suspended(log):
    def body(name):
        for i in range(6):
            log.append((name, i))
            stackless.schedule()

    for name in "ABC":
        spawn(body, name)
    for i in range(3):
        stackless.schedule()
        stackless.enable_softswitch(bool(i % 2))
    spawn(body, "D")
    stackless.run()
    stackless.enable_softswitch(True)
    assert sorted(log) == [(n, i) for n in "ABCD" for i in range(6)]


@pytest.mark.skipif(VERSION < (3, 12), reason="no instrumentation")
def test_monitored_call_sites_still_work(log):
    def tracer(frame, event, arg):
        return tracer

    def body():
        sys.settrace(tracer)
        for value in switching_generator():
            log.append(value)
        with_property.prop
        MadeWithInit()
        star_call(*ARGUMENTS)
        sys.settrace(None)

    spawn(body)
    spawn(body)
    stackless.run()
    assert log == [1, 1]


def test_counters_are_ints():
    stats = stackless.get_stats()
    for name in ("soft_switches", "hard_switches", "c_stacks",
                 "c_stacks_idle", "c_stack_size", "tasklets"):
        assert isinstance(stats[name], int)
