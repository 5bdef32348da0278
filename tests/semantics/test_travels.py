"""What travels with a switch: one test per row of the design's table that
can be reached from Python."""

import asyncio
import ctypes
import importlib
import sys
import threading

import pytest
import stackless

from semantics_support import pause, spawn, started, through_c


@pytest.fixture(params=["soft", "through C"])
def call(request):
    """Runs the middle of a test directly or below a C frame."""
    if request.param == "soft":
        return lambda function, *args: function(*args)
    return through_c


# data stack

@pytest.mark.parametrize("depth", [1, 10, 100, 300])
def test_deep_frames_survive_interleaving(depth, call, log):
    def nested(n, name):
        local = (n, name)
        if n:
            result = nested(n - 1, name)
        else:
            for _ in range(3):
                stackless.schedule()
            result = 0
        assert local == (n, name)
        return result + 1

    for name in "ABC":
        spawn(lambda name=name: log.append(call(nested, depth, name)))
    stackless.run()
    assert log == [depth + 1] * 3


def test_growing_and_shrinking_around_chunk_edges(log):
    def rise(n, name):
        filler = [name] * 3
        stackless.schedule()
        if n:
            rise(n - 1, name)
        stackless.schedule()
        assert filler == [name] * 3

    def body(n):
        for height in range(n, n + 30):
            rise(height, n)
        log.append(n)

    for n in (1, 7, 13, 29):
        spawn(body, n)
    stackless.run()
    assert sorted(log) == [1, 7, 13, 29]


def test_big_frames(log):
    names = [f"v{i}" for i in range(600)]
    source = "def big(switch):\n" + "".join(
        f"    {n} = {i}\n" for i, n in enumerate(names)) + (
        "    switch()\n    return sum([" + ", ".join(names) + "])\n")
    space = {}
    exec(source, space)
    for _ in range(3):
        spawn(lambda: log.append(space["big"](stackless.schedule)))
    stackless.run()
    assert log == [sum(range(600))] * 3


def test_values_on_the_evaluation_stack(call, log):
    def body(n):
        log.append((n, [n, *(n, n), {n: call(stackless.schedule, n)}, n]))

    for n in range(3):
        spawn(body, n)
    stackless.run()
    assert log == [(n, [n, n, n, {n: n}, n]) for n in range(3)]


# recursion counters

def depth_left():
    """How deep a recursion still goes, in Python frames."""
    def down(n):
        try:
            return down(n + 1)
        except RecursionError:
            return n
    return down(0)


def test_each_tasklet_has_the_whole_recursion_limit(log):
    def nested(n):
        if n:
            nested(n - 1)
        else:
            pause()

    limit = sys.getrecursionlimit()
    tasklets = [started(nested, limit // 2) for _ in range(10)]
    spawn(lambda: log.append(depth_left()))
    stackless.run()
    assert log[0] > limit - 60
    for t in tasklets:
        t.run()
        assert not t.alive


def test_main_keeps_its_own_depth():
    before = depth_left()

    def nested(n):
        if n:
            nested(n - 1)
        else:
            stackless.schedule()

    spawn(nested, 500)
    for _ in range(5):
        stackless.schedule()
        assert depth_left() == before


def test_recursion_error_in_a_tasklet_is_an_ordinary_error(log):
    def endless():
        stackless.schedule()
        endless()

    def body():
        try:
            endless()
        except RecursionError:
            log.append("caught")
        log.append(depth_left() > 100)

    for _ in range(3):
        spawn(body)
    stackless.run()
    assert sorted(map(str, log)) == ["True"] * 3 + ["caught"] * 3


def test_recursion_limit_changed_while_suspended(log):
    def nested(n):
        if n:
            nested(n - 1)
        else:
            pause()
            log.append(depth_left())

    limit = sys.getrecursionlimit()
    t = started(nested, 100)
    other = started(nested, 100)
    try:
        sys.setrecursionlimit(limit + 1000)
        t.run()
    finally:
        sys.setrecursionlimit(limit)
    other.run()
    assert abs(log[0] - log[1] - 1000) <= 5


def test_recursion_limit_lowered_below_a_suspended_depth(log):
    def nested(n):
        if n:
            nested(n - 1)
        else:
            pause()
            try:
                nested(5)
            except RecursionError:
                log.append("too deep")

    limit = sys.getrecursionlimit()
    t = started(nested, limit - 200)
    lowered = stackless.current.recursion_depth + 150
    try:
        sys.setrecursionlimit(max(300, lowered))
        t.insert()
        stackless.run()
    finally:
        sys.setrecursionlimit(limit)
    assert log == ["too deep"]
    assert not t.alive
    spawn(lambda: log.append(depth_left()))
    stackless.run()
    assert log[1] > limit - 60


def test_recursion_through_c(log):
    def nested(n):
        if n:
            return next(map(nested, (n - 1,)))
        stackless.schedule()
        return "bottom"

    for _ in range(3):
        spawn(lambda: log.append(nested(50)))
    stackless.run()
    assert log == ["bottom"] * 3


def test_endless_recursion_through_c_is_a_recursion_error(log):
    def endless(x):
        return sorted((1,), key=endless)

    def body():
        try:
            endless(1)
        except RecursionError:
            log.append("caught")

    spawn(body)
    spawn(body)
    stackless.run()
    assert log == ["caught"] * 2


# hooks of asynchronous generators, coroutine origin tracking, running loop

def test_async_generator_hooks_travel(call, log):
    def mine(generator):
        pass

    def body():
        sys.set_asyncgen_hooks(firstiter=mine, finalizer=mine)
        stackless.schedule()
        log.append(sys.get_asyncgen_hooks() == (mine, mine))

    spawn(call, body)
    stackless.schedule()
    assert sys.get_asyncgen_hooks() == (None, None)
    stackless.run()
    assert log == [True]
    assert sys.get_asyncgen_hooks() == (None, None)


def test_coroutine_origin_tracking_travels(call, log):
    def body():
        sys.set_coroutine_origin_tracking_depth(5)
        stackless.schedule()
        log.append(sys.get_coroutine_origin_tracking_depth())

    spawn(call, body)
    stackless.schedule()
    assert sys.get_coroutine_origin_tracking_depth() == 0
    stackless.run()
    assert log == [5]
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_running_loop_travels(log):
    async def main():
        loop = asyncio.get_running_loop()
        stackless.schedule()
        log.append(asyncio.get_running_loop() is loop)
        await asyncio.sleep(0)
        stackless.schedule()
        log.append(asyncio.get_running_loop() is loop)

    spawn(lambda: asyncio.run(main()))
    while stackless.runcount > 1:
        stackless.schedule()
        assert asyncio._get_running_loop() is None
    assert log == [True, True]


def test_new_tasklet_starts_without_a_running_loop(log):
    async def main():
        spawn(lambda: log.append(asyncio._get_running_loop()))
        stackless.schedule()
        stackless.schedule()

    spawn(lambda: asyncio.run(main()))
    stackless.run()
    assert log == [None]


def test_current_task_travels(log):
    async def main(name):
        asyncio.current_task().set_name(name)
        for _ in range(3):
            stackless.schedule()
            log.append(asyncio.current_task().get_name() == name)
            await asyncio.sleep(0)

    for name in "AB":
        spawn(lambda name=name: asyncio.run(main(name)))
    stackless.run()
    assert log == [True] * 6


# C stack: errno, trashcan

@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_errno_stays_with_the_c_stack(log):
    location = ctypes.CDLL(None).__errno_location
    location.restype = ctypes.POINTER(ctypes.c_int)
    errno = location()

    def body(n):
        def inner(_):
            errno[0] = n
            stackless.schedule()
            log.append(errno[0] == n)
        sorted((1,), key=inner)

    for n in (5, 9, 13):
        spawn(body, n)
    stackless.run()
    assert log == [True] * 3


def test_trashcan_is_not_shared(log):
    """Deep deallocations of two tasklets interleave."""
    class Switching:
        def __del__(self):
            stackless.schedule()
            log.append(1)

    def body():
        nest = None
        for i in range(1000):
            nest = (nest, Switching() if i % 100 == 0 else None)
        del nest

    for _ in range(4):
        spawn(body)
    stackless.run()
    assert len(log) == 40


# thread: what does not travel

def test_thread_locals_are_shared_by_the_tasklets_of_a_thread(log):
    local = threading.local()

    def body():
        log.append(local.x)
        local.x = "tasklet"

    local.x = "main"
    spawn(body)
    stackless.run()
    assert log == ["main"] and local.x == "tasklet"


def test_thread_identity_is_the_same():
    seen = []
    spawn(lambda: seen.append((threading.get_ident(),
                               threading.current_thread())))
    stackless.run()
    assert seen == [(threading.get_ident(), threading.current_thread())]


# everyday C in between

C_CALLERS = {
    "sorted": lambda f: sorted((1, 2), key=lambda x: f() or x),
    "map": lambda f: list(map(lambda x: f(), (1, 2))),
    "max": lambda f: max((1, 2), key=lambda x: f() or x),
    "re.sub": lambda f: __import__("re").sub("a", lambda m: f() or "b", "aa"),
    "functools.reduce":
        lambda f: __import__("functools").reduce(lambda a, b: f(), "abc"),
    "exec": lambda f: exec("f(); f()", {"f": f}),
    "eval": lambda f: eval("f() or f()", {"f": f}),
    "type()": lambda f: type("X", (), {"__init__": lambda s: f() or None})(),
    "class body": lambda f: exec("class X:\n f()\n f()", {"f": f}),
    "json hook": lambda f: __import__("json").loads(
        '[{"a": {"b": 1}}]', object_hook=lambda d: f() or d),
    "dict key": lambda f: {Key(f): 1, Key(f): 2},
    "__import__ hook": lambda f: importing(f),
    "property": lambda f: type("P", (), {"p": property(lambda s: f())})().p,
    "str()": lambda f: str(Text(f)),
    "format": lambda f: f"{Text(f)}",
    "ctypes callback": lambda f: from_c(f),
    "context manager": lambda f: in_with(f),
    "super": lambda f: Child(f).work(),
    "descriptor": lambda f: Descriptor.attribute(f),
    "comparison": lambda f: sorted([Key(f), Key(f), Key(f)]),
}


class Key:
    def __init__(self, f):
        self.f = f

    def __hash__(self):
        self.f()
        return 1

    def __eq__(self, other):
        self.f()
        return self is other

    def __lt__(self, other):
        self.f()
        return id(self) < id(other)


class Text:
    def __init__(self, f):
        self.f = f

    def __str__(self):
        self.f()
        return "text"


class Child(Key):
    def work(self):
        super().__hash__()
        super().__eq__(1)


class Descriptor:
    def __get__(self, instance, owner):
        return instance.f()

    @staticmethod
    def attribute(f):
        class Owner:
            d = Descriptor()
        owner = Owner()
        owner.f = f
        return owner.d


def in_with(f):
    class Manager:
        def __enter__(self):
            f()

        def __exit__(self, *exc):
            f()
    with Manager():
        f()


def importing(f):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "no_such_module_of_this_test":
                f()
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("no_such_module_of_this_test")
    except ImportError:
        pass
    finally:
        sys.meta_path.remove(finder)


def from_c(f):
    prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int)

    def callback(x):
        f()
        return x
    return prototype(callback)(3)


@pytest.mark.parametrize("caller", C_CALLERS.values(), ids=C_CALLERS)
def test_switch_inside_a_callback_of_c(caller, log):
    def body(name):
        counts[name] = 0

        def switch():
            counts[name] += 1
            log.append(name)
            stackless.schedule()
        caller(switch)
        finished.append(name)

    counts, finished = {}, []
    if caller is C_CALLERS["__import__ hook"]:
        names = "A"         # the import lock would be waited for
    else:
        names = "ABC"
    for name in names:
        spawn(body, name)
    stackless.run()
    assert sorted(finished) == list(names)
    assert all(counts.values())
    if len(names) > 1:
        assert log[:3] == ["A", "B", "C"]


def test_c_stacks_interleave_in_any_order(log):
    import random
    generator = random.Random(7)

    def nested(n, name):
        if n:
            return sorted((1,), key=lambda x: nested(n - 1, name))
        for _ in range(4):
            pause()
        log.append(name)

    tasklets = [started(nested, generator.randrange(6), i)
                for i in range(40)]
    for _ in range(4):
        generator.shuffle(tasklets)
        for t in tasklets:
            t.run()
    assert sorted(log) == list(range(40))


def test_more_hard_tasklets_than_c_stacks(log):
    """Stacks are a cache; what does not fit is sliced or mapped."""
    def body(i):
        local = [i] * 5
        sorted((1,), key=lambda x: pause())
        log.append(local == [i] * 5)

    tasklets = [started(body, i) for i in range(300)]
    for t in reversed(tasklets):
        t.run()
    assert log == [True] * 300


def test_one_after_the_other_reuses_a_c_stack():
    """Ended hard tasklets give their C stacks back."""
    started(through_c, pause).kill()
    before = stackless.get_stats()["c_stacks"]
    for _ in range(50):
        t = started(through_c, pause)
        t.run()
        assert not t.alive
    assert stackless.get_stats()["c_stacks"] <= before
