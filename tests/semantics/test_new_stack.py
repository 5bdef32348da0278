"""call_on_new_stack(), and how deep recursion through C goes."""

import contextvars
import copy
import functools
import json
import sys
import textwrap

import pytest
import stackless

try:
    from stackless import _coretest
except ImportError:  # a build for users
    _coretest = None

from semantics_support import run_program, spawn, through_c
from tasks import SANITIZED

call = stackless.call_on_new_stack


def test_arguments_and_result():
    assert call(lambda *args: args, 1, 2) == (1, 2)
    assert call(dict, size=1 << 20) == {}


def test_error_passes():
    def fail():
        raise KeyError(3)

    with pytest.raises(KeyError, match="3") as info:
        call(fail)
    assert [entry.name for entry in info.traceback][-1] == "fail"


def test_it_is_the_same_tasklet_and_the_same_frames():
    var = contextvars.ContextVar("var", default=0)
    var.set(5)

    def look():
        assert sys._getframe(1).f_code.co_name == caller.__name__
        assert isinstance(sys.exc_info()[1], KeyError)
        assert var.get() == 5
        var.set(6)
        return stackless.getcurrent()

    def caller():
        try:
            raise KeyError
        except KeyError:
            return call(look)

    assert caller() is stackless.getcurrent()
    assert var.get() == 6


@pytest.mark.parametrize("limit", [1024, 4, 0])
def test_switches_inside(limit):
    stackless.set_c_stacks(limit=limit)
    channel, log = stackless.channel(), []

    def inner(i, levels):
        log.append(channel.receive())
        if levels:
            call(inner, i, levels - 1)
        log.append(channel.receive())

    try:
        tasks = [spawn(call, inner, i, 3) for i in range(10)]
        stackless.run()
        assert all(task.blocked for task in tasks)
        for n in range(80):
            channel.send(n)
        stackless.run()
        assert sorted(log) == list(range(80))
        assert not any(task.alive for task in tasks)
    finally:
        stackless.set_c_stacks(limit=1024)


def test_main_blocks_inside():
    channel = stackless.channel()
    spawn(channel.send, 7)
    assert call(channel.receive) == 7


def test_stack_is_given_back():
    before = stackless.get_stats()["c_stacks"]
    for _ in range(50):
        call(int)
    assert stackless.get_stats()["c_stacks"] == before


def test_kill_inside():
    log = []

    def body():
        try:
            call(stackless.schedule_remove)
        finally:
            log.append("finally")

    task = spawn(body)
    stackless.run()
    assert task.nesting_level > 0
    task.kill()
    assert log == ["finally"] and not task.alive


def test_tracing_is_switched_on_inside():
    seen = []

    def tracer(frame, event, arg):
        seen.append((frame.f_code.co_name, event))

    def after():
        pass

    before = sys.gettrace()
    try:
        call(sys.settrace, tracer)
        after()
    finally:
        sys.settrace(before)
    assert ("after", "call") in seen


@pytest.mark.parametrize("arguments, keywords, error", [
    ((), {}, TypeError),
    ((3,), {}, TypeError),
    ((int,), {"size": 100}, ValueError),
    ((int,), {"size": 1 << 50}, ValueError),
    ((int,), {"size": "8"}, TypeError),
    ((int,), {"other": 1}, TypeError),
])
def test_bad_arguments(arguments, keywords, error):
    with pytest.raises(error):
        call(*arguments, **keywords)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
@pytest.mark.skipif(SANITIZED,
                    reason="AddressSanitizer needs all address space")
def test_no_memory():
    done = run_program("""
        import resource, stackless
        stackless.call_on_new_stack(int)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        try:
            stackless.call_on_new_stack(int, size=1 << 31)
        except MemoryError as e:
            print(e)
        print(stackless.call_on_new_stack(int, size=1 << 20))
    """)
    assert done.stdout == "no room for another C stack\n0\n", done.stderr


# depth

class Deep:
    def __init__(self, go):
        self.go = go

    def __getattr__(self, name):
        if name == "deeper":
            return self.go()
        raise AttributeError(name)

    def __repr__(self):
        return self.go() or ""

    def __deepcopy__(self, memo):
        return self.go()

    def __lt__(self, other):
        return self.go()


WAYS = {
    "sorted": lambda go: sorted([1], key=lambda _: go()),
    "max": lambda go: max([1], key=lambda _: go()),
    "map": lambda go: list(map(lambda _: go(), [1])),
    "partial": lambda go: functools.partial(go)(),
    "getattr": lambda go: Deep(go).deeper,
    "repr": lambda go: repr(Deep(go)),
    "json": lambda go: json.dumps(Deep(go), default=lambda _: go()),
    "deepcopy": lambda go: copy.deepcopy([Deep(go)]),
    "compare": lambda go: Deep(go) < 1,
    "exec": lambda go: exec("go()", {"go": go}),
}
if _coretest is not None:
    WAYS["large C frames"] = lambda go: _coretest.deep_c(2, go)


def depth(way):
    """How often it can call itself before RecursionError."""
    reached = 0

    def go():
        nonlocal reached
        reached += 1
        way(go)

    with pytest.raises(RecursionError):
        go()
    return reached


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_as_deep_in_a_tasklet_as_in_main(way):
    results = []
    in_main = depth(way)
    spawn(lambda: results.append(depth(way)))
    spawn(lambda: through_c(lambda: results.append(depth(way))))
    spawn(lambda: results.append(call(depth, way)))
    stackless.run()
    # What pytest has below main, and a few frames of the engine.
    assert all(result >= in_main - 5 for result in results), (
        in_main, results)


DEEP = textwrap.dedent("""
    import sys, stackless
    sys.setrecursionlimit(10**6)
    reached = 0
    def go():
        global reached
        reached += 1
        {way}
    def dive():
        try:
            go()
        except RecursionError:
            print("stopped")
    {start}
    print(reached > {least}, reached)
""")


@pytest.mark.parametrize("size", [1 << 18, 1 << 20, 1 << 25, 1 << 27])
@pytest.mark.parametrize("way", [
    "sorted([1], key=lambda _: go())", "max([1], key=lambda _: go())"])
@pytest.mark.skipif(sys.version_info < (3, 12),
                    reason="one limit for C and Python, none for a stack")
def test_recursion_ends_where_the_stack_ends(way, size):
    done = run_program(DEEP.format(
        way=way, least=size // 10000 // 2,
        start=f"stackless.call_on_new_stack(dive, size={size})"))
    assert done.returncode == 0, done.stderr[-1000:]
    assert done.stdout.startswith("stopped\nTrue"), done.stdout


@pytest.mark.parametrize("way", [
    "sorted([1], key=lambda _: go())", "list(map(lambda _: go(), [1]))"])
@pytest.mark.skipif(sys.version_info < (3, 12),
                    reason="one limit for C and Python, none for a stack")
def test_recursion_in_a_tasklet_never_crashes(way):
    done = run_program(DEEP.format(
        way=way, least=400,
        start="stackless.tasklet(dive)(); stackless.run()"))
    assert done.returncode == 0, done.stderr[-1000:]
    assert done.stdout.startswith("stopped\nTrue"), done.stdout


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="of 3.11")
@pytest.mark.parametrize("limit", [1000, 20000])
def test_stacks_suffice_for_the_recursion_limit(limit):
    done = run_program(DEEP.format(
        way="sorted([1], key=lambda _: go())", least=limit // 4,
        start="stackless.call_on_new_stack(dive, size=1 << 17)",
    ).replace("10**6", str(limit)))
    assert done.returncode == 0, done.stderr[-1000:]
    assert done.stdout.startswith("stopped\nTrue"), done.stdout
