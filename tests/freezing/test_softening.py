"""Hard tasklets that are frozen as soft ones, and those that must not be.

Each program runs for the first time, so that CPython has specialised nothing.
"""

import functools
import operator

import pytest
import stackless
from freezing_support import dumps, loads

pytestmark = pytest.mark.soft


def point():
    return stackless.schedule_remove(None)


class Compared(Exception):
    def __gt__(self, other):
        point()
        return "compared"

    def __lt__(self, other):
        return True


class LeavesByMax:
    def __enter__(self):
        return self

    __exit__ = staticmethod(max)


class LeavesByPartial:
    def __enter__(self):
        return self

    __exit__ = staticmethod(
        functools.partial(lambda *details: point() or True)
    )


class WithGetattr:
    @property
    def wanted(self):
        point()
        raise AttributeError("wanted")

    def __getattr__(self, name):
        return f"{name} by __getattr__"


class WithGetattribute:
    def __getattribute__(self, name):
        if name == "wanted":
            return object.__getattribute__(self, name) + 1
        return object.__getattribute__(self, name)

    @property
    def wanted(self):
        return point() or 1


class Reversed:
    def __radd__(self, other):
        point()
        return "reversed"


class Index:
    def __index__(self):
        point()
        return 1


class Truth:
    def __bool__(self):
        point()
        return False


class Text:
    def __str__(self):
        point()
        return "text"


class Called:
    def __call__(self, value):
        point()
        return value * 2


class New:
    def __new__(cls):
        point()
        return 17


class InitReturns:
    def __init__(self):
        self.value = point() or "made"


class Sorted:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        point()
        return self.value < other.value


def by_max():
    try:
        with LeavesByMax():
            raise Compared
    except Compared:
        return "raised"
    return "swallowed"


def by_partial():
    with LeavesByPartial():
        raise KeyError
    return "swallowed"


def by_getattr():
    return WithGetattr().wanted


def by_getattribute():
    return WithGetattribute().wanted


def by_reflected_operator():
    return 1 + Reversed()


def by_index():
    return ["a", "b"][Index()]


def by_truth():
    return "true" if Truth() else "false"


def by_format():
    return f"<{Text()}>"


def by_call():
    return [Called()(n) for n in range(2)]


def by_new():
    return New()


def by_init():
    return InitReturns().value


def by_sorting():
    return [each.value for each in sorted([Sorted(2), Sorted(1)])]


def by_map():
    return list(map(lambda n: point() or n + 1, [1, 2]))


def add(a, b, c=0):
    point()
    return a + b + c


def by_binding():
    added = functools.partial(add, 1, 2)
    return added(), added(3), functools.partial(add, c=4)(5, 6)


def by_binding_one():
    """While it calls, the argument is in the place of the partial."""
    added = functools.partial(add, 1)
    return added(3), added(b=4, c=5), functools.partial(add, [1])([2], [3])


def by_binding_what_is_called():
    """Not to be taken for a call of the partial."""
    bound = functools.partial(pausing, max)
    return max([1, 3], key=pausing), bound.args == (max,)


def pausing(value):
    point()
    return -value


def by_methodcaller():
    return operator.methodcaller("__call__", 4)(Called())


def suspending():
    yield point() or 1


async def suspending_async():
    yield point() or 1


def by_next():
    return [next(generator) for generator in (suspending(), suspending())]


def by_next_with_default():
    generator = suspending()
    return [next(generator, "default") for _ in range(2)]


def by_next_of_awaitable():
    try:
        return next(suspending_async().asend(None), "default")
    except StopIteration as stop:
        return stop.value


PROGRAMS = [
    by_next_with_default, by_next_of_awaitable, by_max, by_partial, by_getattr, by_getattribute, by_reflected_operator,
    by_index, by_truth, by_format, by_call, by_new, by_init, by_sorting,
    by_map, by_methodcaller, by_binding, by_binding_one,
    by_binding_what_is_called, by_next,
]  # fmt: skip


def run(program, log):
    log.append(program())


@pytest.mark.parametrize("program", PROGRAMS)
def test_right_or_refused(program):
    """C code that does something with a value is never left out."""
    expected = []
    task = stackless.tasklet(run)(program, expected)
    frozen = []
    stackless.run()
    while task.alive:
        try:
            frozen.append(dumps((task, expected)))
        except stackless.FreezeError as error:
            assert "C state" in str(error)
        task.insert()
        stackless.run()
    assert len(expected) == 1
    for data in frozen:
        copy, log = loads(data)
        while copy.alive:
            copy.insert()
            stackless.run()
        assert log == expected


@pytest.mark.parametrize(
    "program", [by_call, by_init, by_binding, by_binding_one, by_next]
)
def test_known_c_code(program):
    log = []
    task = stackless.tasklet(run)(program, log)
    stackless.run()
    while task.alive:
        assert stackless.check_freezable(task) is None
        task.insert()
        stackless.run()


@pytest.mark.parametrize(
    "program",
    [
        by_max, by_getattr, by_sorting, by_map, by_new,
        by_binding_what_is_called,
    ],
)  # fmt: skip
def test_unknown_c_code_is_named(program):
    task = stackless.tasklet(run)(program, [])
    stackless.run()
    error = stackless.check_freezable(task)
    assert error.frame[0] == program.__name__
    assert "C code is running" in str(error)
    task.kill()


CALLED = []


class Asking:
    def __getattr__(self, name):
        CALLED.append(name)
        raise AttributeError(name)

    def __call__(self, *args, **kwargs):
        point()
        return 1


def by_asking():
    return Asking()(1, a=2)


def by_asking_in_c():
    return list(map(Asking(), [1]))


@pytest.mark.parametrize("program", [by_asking, by_asking_in_c])
def test_nothing_of_the_program_is_run(program):
    task = stackless.tasklet(run)(program, [])
    stackless.enable_softswitch(False)
    stackless.run()
    CALLED.clear()
    for action in stackless.check_freezable, stackless.tasklet.clone:
        try:
            action(task)
        except stackless.FreezeError:
            pass
    assert CALLED == []
    task.kill()


@pytest.mark.parametrize(
    "program", [by_max, by_getattr, by_sorting, by_map, by_new]
)
def test_unknown_c_code_on_a_sliced_stack(program):
    """Its frames are not linked to what is on the C stack."""
    stackless.set_c_stacks(limit=0)
    try:
        task = stackless.tasklet(run)(program, [])
        stackless.run()
        assert "C state" in str(stackless.check_freezable(task))
        with pytest.raises(stackless.FreezeError, match="C code is running"):
            task.clone()
        task.kill()
    finally:
        stackless.set_c_stacks(limit=1024)


@pytest.mark.parametrize("program", [by_call, by_init, by_binding])
def test_known_c_code_on_a_sliced_stack(program):
    stackless.set_c_stacks(limit=0)
    try:
        test_known_c_code(program)
    finally:
        stackless.set_c_stacks(limit=1024)
