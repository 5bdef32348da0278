"""Tasklets that were interrupted: moved, frozen, copied anywhere in a program.

From CPython 3.14 on they are as good as soft.  Each program is interrupted
wherever CPython looks for signals, and must come to the same end.
"""

import contextlib
import gc
import sys
import threading
import time
import weakref

import freezing_awaits  # noqa: F401
import freezing_calls  # noqa: F401
import freezing_classes  # noqa: F401
import freezing_errors  # noqa: F401
import freezing_loops  # noqa: F401
import pytest
import stackless
from freezing_support import (
    LOG,
    OUTCOME,
    PROGRAMS,
    RETIRED,
    WARNINGS,
    body,
    freeze,
    retire,
    thaw,
    whole,
)

EACH = 2  # ticks: one place at which CPython looks
# Debug builds look at all tasklets at each switch.
STEP = 11 if hasattr(sys, "gettotalrefcount") else 1

pytestmark = [pytest.mark.soft, *map(pytest.mark.filterwarnings, WARNINGS)]
soft = pytest.mark.skipif(
    sys.version_info < (3, 14),
    reason="frames that are interrupted do not know their stack",
)


@pytest.fixture(autouse=True)
def no_retired():
    yield
    retire()


def begin(program):
    LOG.clear()
    OUTCOME.clear()
    return stackless.tasklet(body)(program)


def next_place(tasklet):
    """Run to the next place; whether it was interrupted there."""
    while tasklet.alive:
        if not tasklet.scheduled:
            tasklet.insert()
        if stackless.run(EACH) is tasklet:
            return True
    return False


def moved(tasklet):
    tasklet.bind_thread()
    assert tasklet.restorable and tasklet.nesting_level == 0
    return tasklet


def in_library(tasklet):
    """There it may hold anything, and finding out what takes long."""
    return "freezing_" not in tasklet.frame.f_code.co_filename


def frozen(tasklet):
    if in_library(tasklet):
        return tasklet
    try:
        data = freeze(tasklet)
    except stackless.FreezeError as error:
        assert "pickle" in str(error)  # it holds what cannot be frozen
        return tasklet
    assert data is not None
    RETIRED.append(tasklet)
    return thaw(data)


def cloned(tasklet):
    if in_library(tasklet):
        return tasklet
    RETIRED.append(tasklet)
    return tasklet.clone()


def interrupted(program, change):
    tasklet = begin(program)
    places = 0
    while next_place(tasklet):
        if places % (17 if program is PROGRAMS["recursive"] else STEP) == 0:
            tasklet = change(tasklet)
        places += 1
    return (list(OUTCOME), list(LOG)), places


# Programs whose copies by clone() share what the original goes on to change:
# variables of functions and classes, generators in lists.
SHARING = {
    "class_made_after",
    "local_class",
    "local_init_subclass",
    "local_metaclass",
    "local_mutual_references",
    "comprehension_with_closure",
    "generator_shared",
    "async_generator_closed_in_time",
    "awaitables_in_variables",
}
# A copy of an iterator does not know that its dict has grown since.
GROWING = {"for_dict_that_grows"}
LEFT_OUT = {moved: (), frozen: GROWING, cloned: GROWING | SHARING}


@soft
@pytest.mark.parametrize("change", LEFT_OUT)
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_at_every_place(name, change):
    if name in LEFT_OUT[change]:
        pytest.skip("copies differ, and that is said in the documents")
    program = PROGRAMS[name]
    expected = whole(program)
    result, places = interrupted(program, change)
    assert result == expected
    assert places > 1


@soft
def test_gets_on_each_time():
    """However often the clock looks meanwhile."""
    counter = [0]

    def program():
        while True:
            counter[0] += 1

    tasklet = stackless.tasklet(program)()
    assert next_place(tasklet)
    for _ in range(100):
        before = counter[0]
        moved(tasklet)
        time.sleep(0.002)
        assert next_place(tasklet) and counter[0] >= before
    assert counter[0] > 40
    tasklet.remove()
    tasklet.kill()


# --- exceptions --------------------------------------------------------------

class Boom(Exception):
    pass


def where(tasklet):
    frame, stack = tasklet.frame, []
    while frame is not None:
        numbers = [v for v in frame.f_locals.values() if type(v) is int]
        stack.append((frame.f_code.co_name, frame.f_lasti, numbers))
        frame = frame.f_back
    return stack, list(LOG)


def thrown(program, place, change):
    """(where, what comes of an exception that is thrown at it there)."""
    tasklet = begin(program)
    at = None
    for _ in range(place):
        if not next_place(tasklet):
            break
    if tasklet.alive:
        at = where(tasklet)
        tasklet = change(tasklet)
        try:
            tasklet.throw(Boom("thrown"))
        except Boom:
            OUTCOME.append("not caught")
        while next_place(tasklet):
            pass
    return at, (list(OUTCOME), list(LOG))


def unchanged(tasklet):
    return tasklet


def body_that_catches():
    for first in (1, 2):
        try:
            while True:
                pass
        except Boom:
            LOG.append(("first", first))
    with contextlib.suppress(Boom):
        while True:
            len("a")
    for letter in "ab":
        for number in range(2):
            try:
                while True:
                    try:
                        while True:
                            pass
                    finally:
                        LOG.append((letter, number))
            except Boom:
                continue


def by_generator():
    def numbers():
        while True:
            try:
                while True:
                    yield 1
            except Boom:
                LOG.append("in the generator")

    total = 0
    for number in numbers():
        total += number
        if total > 20:
            return total


@soft
@pytest.mark.parametrize("change", [moved, frozen, cloned])
@pytest.mark.parametrize(
    "name",
    [
        "while_loop",
        "try_everywhere",
        "except_star",
        "with_nested",
        "with_contextmanager",
        "by_generator",
    ],
)
def test_exceptions_at_every_place(name, change):
    """They are handled where they would have been."""
    program = PROGRAMS.get(name) or globals()[name]
    place, end = 0, whole(program)
    while True:
        place += 1
        for _ in range(20):
            expected = thrown(program, place, unchanged)
            result = thrown(program, place, change)
            if result[0] == expected[0]:
                break  # the clock has not looked in between
        assert result == expected
        if expected == (None, end):
            break
    assert place > 3


@soft
def test_loops_that_do_nothing():
    """A `try` may begin with the jump at which they are interrupted."""
    tasklet = begin(body_that_catches)
    for _ in range(7):
        assert stackless.run(50) is tasklet
        moved(tasklet).throw(Boom, pending=True)
    tasklet.insert()
    stackless.run()
    assert LOG == [
        ("first", 1), ("first", 2), ("a", 0), ("a", 1), ("b", 0), ("b", 1)
    ]  # fmt: skip
    assert OUTCOME == [("returned", None)]


# --- threads -----------------------------------------------------------------

@soft
def test_goes_on_in_another_thread():
    tasklet = stackless.tasklet(counting)()
    assert stackless.run(seconds=0.001) is tasklet
    thread = threading.Thread(target=go_on_here, args=(tasklet,))
    thread.start()
    thread.join()
    assert OUTCOME == [thread.ident]
    assert not tasklet.alive


def counting():
    while not LOG:
        pass
    OUTCOME.append(threading.get_ident())


def go_on_here(tasklet):
    tasklet.bind_thread()
    tasklet.insert()
    assert stackless.run(seconds=0.001) is tasklet
    LOG.append("end")
    tasklet.insert()
    stackless.run()


@soft
def test_survives_its_thread():
    tasklets = []

    def interrupt():
        for _ in range(3):
            tasklets.append(stackless.tasklet(counting)())
            assert stackless.run(seconds=0.001) is tasklets[-1]

    thread = threading.Thread(target=interrupt)
    thread.start()
    thread.join()
    LOG.append("end")
    for tasklet in tasklets:
        assert tasklet.thread_id == -1
        tasklet.bind_thread()
        tasklet.insert()
    stackless.run()
    assert OUTCOME == [threading.get_ident()] * 3


@soft
def test_keeps_its_profiler():
    """What belongs to a thread's tasklet goes along when it becomes soft."""
    class Profiler:
        def __call__(self, *args):
            pass

    def program():
        sys.setprofile(profiler)
        while not LOG:
            pass
        OUTCOME.append(sys.getprofile())

    profiler = Profiler()
    gone = weakref.ref(profiler)
    tasklet = stackless.tasklet(program)()
    while tasklet.frame is None or tasklet.profile_function is None:
        assert stackless.run(seconds=0.001) is tasklet
        tasklet.insert()
    depth = tasklet.recursion_depth
    stackless.check_freezable(tasklet)
    assert tasklet.recursion_depth == depth and tasklet.restorable
    LOG.append("end")
    stackless.run()
    assert OUTCOME == [profiler] and sys.getprofile() is None
    OUTCOME.clear()
    del profiler, program, tasklet
    gc.collect()
    assert gone() is None


@soft
def test_depth_of_recursion():
    tasklet = stackless.tasklet(recursing)(50)
    while tasklet.recursion_depth < 50:
        assert stackless.run(seconds=0.001) is tasklet
        tasklet.insert()
    tasklet.remove()
    depth = tasklet.recursion_depth
    tasklet.bind_thread()
    assert tasklet.recursion_depth == depth
    tasklet.trace_function = lambda *args: None
    assert tasklet.recursion_depth == depth
    tasklet.trace_function = None
    tasklet.bind()


def recursing(n):
    if n:
        return recursing(n - 1)
    while not LOG:
        pass


@soft
def test_bound_anew():
    """What it was doing is dropped; nothing of it runs."""
    class Held:
        pass

    def program():
        try:
            held = Held()
            watch.append(weakref.ref(held))
            counting()
        finally:
            LOG.append("finally")

    watch = []
    tasklet = stackless.tasklet(program)()
    while not watch:
        assert stackless.run(seconds=0.001) is tasklet
        tasklet.insert()
    tasklet.remove()
    tasklet.bind(OUTCOME.append, ("anew",))
    assert watch[0]() is None
    tasklet.insert()
    stackless.run()
    assert OUTCOME == ["anew"] and not LOG


@soft
def test_garbage_on_its_stack():
    """A cycle through a value of an expression is found."""
    watch = []

    class Holder:
        def __init__(self):
            self.task = stackless.current
            watch.append(weakref.ref(self))

    def holding():
        call(Holder(), endless())

    def call(*args):
        pass

    def endless():
        while True:
            pass

    tasklet = stackless.tasklet(holding)()
    while tasklet.frame is None or tasklet.frame.f_code != endless.__code__:
        assert stackless.run(seconds=0.001) is tasklet
        tasklet.insert()
    tasklet.remove()
    del tasklet
    gc.collect()
    assert watch[0]() is None


# --- where they are not soft -------------------------------------------------

@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="they are as good as soft there"
)
def test_is_refused():
    tasklet = stackless.tasklet(counting)()
    assert stackless.run(seconds=0.001) is tasklet
    assert not tasklet.restorable
    with pytest.raises(RuntimeError, match="C state"):
        tasklet.bind_thread()
    with pytest.raises(stackless.FreezeError, match="left by C code"):
        stackless.freeze(tasklet)
    tasklet.kill()


def inside_sorted():
    sorted([2, 1], key=lambda _: counting())


def test_with_c_code_below():
    tasklet = stackless.tasklet(inside_sorted)()
    while tasklet.frame is None or tasklet.frame.f_code != counting.__code__:
        tasklet.insert()
        stackless.run(seconds=0.001, ignore_nesting=True)
    assert not tasklet.restorable
    with pytest.raises(RuntimeError, match="C state"):
        tasklet.bind_thread()
    with pytest.raises(stackless.FreezeError, match="C"):
        stackless.freeze(tasklet)
    tasklet.kill()
