"""What asynchronous generators are awaited by: states, hooks, bad data."""

import contextlib
import sys

import freezing_awaits  # noqa: F401
import pytest
import stackless
from freezing_support import (
    LOG,
    OUTCOME,
    PROGRAMS,
    RETIRED,
    go,
    retire,
    start,
    thawed,
    whole,
)
from stackless import _core
from stackless._freezing import codes, pickling, restoring, softening

pytestmark = [
    pytest.mark.soft,
    pytest.mark.filterwarnings("ignore:coroutine :RuntimeWarning"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

ASEND, ACLOSE, ATHROW, ANEXT = range(4)
INIT, ITER, CLOSED = range(3)


class Step:
    def __await__(self):
        return (yield self)


async def numbers():
    for n in (1, 2):
        await Step()
        yield n


NAMES = sorted(
    name
    for name, program in PROGRAMS.items()
    if program.__module__ == "freezing_awaits"
    # An object, which clones share, refers to the generator.
    and name != "async_generator_closed_in_time"
)


@pytest.mark.parametrize("name", NAMES)
def test_relay_of_clones(name):
    """At each point a clone takes over."""
    expected = whole(PROGRAMS[name])
    task = start(PROGRAMS[name])
    while task.alive:
        try:
            copy = task.clone()
        except stackless.FreezeError as error:
            assert "has C state" in str(error)
        else:
            RETIRED.append(task)
            task = copy
        go(task)
    found = list(OUTCOME), list(LOG)
    retire()
    assert found == expected


@pytest.fixture
def hooks():
    """[(which, generator)] of the hooks that were called."""
    called = []
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(
        lambda generator: called.append(("first", generator)),
        lambda generator: called.append(("last", generator)),
    )
    yield called
    sys.set_asyncgen_hooks(*before)


def test_hooks_are_called_for_the_next_step(hooks):
    """Not while it is made; then as for a new one."""
    generator = numbers()
    step = generator.asend(None)
    step.send(None)
    assert hooks.pop() == ("first", generator)
    copy, copied = thawed((generator, step))
    assert copy.ag_running and hooks == []
    with pytest.raises(StopIteration):
        copied.send(None)
    assert hooks == []
    copy.asend(None).close()
    assert hooks == [("first", copy)]


def test_one_that_runs_cannot_be_awaited_again():
    generator = numbers()
    step = generator.asend(None)
    step.send(None)
    copy, copied = thawed((generator, step))
    with pytest.raises(RuntimeError, match="already running"):
        copy.asend(None).send(None)
    with pytest.raises(StopIteration) as stop:
        copied.send(None)
    assert stop.value.value == 1
    assert not copy.ag_running
    with pytest.raises(RuntimeError, match="cannot reuse"):
        copied.send(None)


def test_cycles():
    async def holds():
        mine = yield
        await Step()
        yield mine

    generator = holds()
    with pytest.raises(StopIteration):
        generator.asend(None).send(None)
    sent = []
    step = generator.asend(sent)
    sent.append(step)
    step.send(None)
    for copied in (thawed(step), thawed((generator, step))[1], thawed(sent)[0]):
        _, kind, state, value = _core._await_state(copied)
        assert (kind, state) == (ASEND, ITER)
        assert value[0] is copied
        with pytest.raises(StopIteration) as stop:
            copied.send(None)
        assert stop.value.value is value


@pytest.mark.filterwarnings("ignore:the .type, exc, tb.:DeprecationWarning")
def test_arguments_of_athrow():
    error = KeyError("key")
    for args in ((error,), (KeyError,), (KeyError, error)):
        state = _core._await_state(thawed(numbers().athrow(*args)))
        assert state[1:3] == (ATHROW, INIT)
        assert repr(state[3]) == repr(args)


@pytest.mark.parametrize("value", [None, 1, [], object, numbers])
def test_no_awaitable(value):
    with pytest.raises(TypeError):
        _core._await_state(value)
    with pytest.raises(ValueError):
        _core._set_await_state(value, INIT, None)
    with pytest.raises(ValueError):
        _core._await(value, ASEND)


@pytest.mark.parametrize("kind", [-1, ANEXT, 4])
def test_no_kind(kind):
    with pytest.raises(ValueError):
        _core._await(numbers(), kind)


@pytest.mark.parametrize("kind, state, value", [
    (ASEND, -1, None),
    (ASEND, CLOSED + 1, None),
    (ACLOSE, INIT, ()),
    (ACLOSE, ITER, (KeyError,)),
    (ATHROW, INIT, None),
    (ATHROW, INIT, ()),
    (ATHROW, INIT, (1, 2, 3, 4)),
    (ATHROW, ITER, [KeyError]),
])  # fmt: skip
def test_states_that_it_cannot_have(kind, state, value):
    awaitable = _core._await(numbers(), kind)
    with pytest.raises(ValueError):
        _core._set_await_state(awaitable, state, value)
    assert _core._await_state(awaitable)[2] == CLOSED


def test_one_that_waits_is_not_changed():
    step = numbers().asend(None)
    step.send(None)
    with pytest.raises(ValueError):
        _core._set_await_state(step, INIT, None)


def test_any_state_of_any_generator():
    """It may not fit, and then says so; nothing else happens."""
    for state in (INIT, ITER, CLOSED):
        for kind, value in (
            (ASEND, 5), (ACLOSE, None), (ATHROW, (5,)), (ATHROW, (KeyError,)),
        ):  # fmt: skip
            generators = numbers(), numbers(), numbers()
            generators[1].asend(None).send(None)
            generators[2].aclose().close()
            for generator in generators:
                awaitable = _core._await(generator, kind)
                _core._set_await_state(awaitable, state, value)
                for sent in (None, 5, None):
                    with contextlib.suppress(
                        KeyError, RuntimeError, StopAsyncIteration,
                        StopIteration, TypeError,
                    ):  # fmt: skip
                        awaitable.send(sent)


# --- frames that stand for C code ---------------------------------------------


async def suspending():
    stackless.schedule_remove(None)
    got = yield 1
    stackless.schedule_remove(None)
    yield got


def driving(log):
    """Sees the generator while it is suspended with the tasklet."""
    generator = suspending()
    log.append(generator)
    step = generator.asend(None)
    for step in (step, generator.asend("sent")):
        try:
            step.send(None)
        except StopIteration as stop:
            log.append(stop.value)


def frozen_inside():
    log = []
    task = stackless.tasklet(driving)(log)
    stackless.run()
    return task, log


def test_its_generator_runs_until_it_has_yielded():
    copy, log = thawed(frozen_inside())
    generator = log[0]
    assert generator.ag_running
    with pytest.raises(RuntimeError, match="already running"):
        generator.asend(None).send(None)
    with pytest.raises(RuntimeError, match="already running"):
        generator.aclose().send(None)
    while copy.alive:
        go(copy)
    assert log[1:] == [1, "sent"] and not generator.ag_running


def test_killed_inside():
    copy, log = thawed(frozen_inside())
    go(copy)
    copy.kill()
    generator = log[0]
    assert not generator.ag_running
    with pytest.raises(StopAsyncIteration):
        generator.asend(None).send(None)


@pytest.mark.parametrize("change", [
    lambda marks, slots: (b"\1" + marks[1:], slots),
    lambda marks, slots: (marks[:1], slots[:1]),
    lambda marks, slots: (b"", slots),
    lambda marks, slots: (marks[:2], slots[:2]),
])  # fmt: skip
@pytest.mark.parametrize("name", ["_send_function", "_await_function"])
def test_a_frame_of_ours_has_what_it_needs(name, change):
    """Its code takes for granted what is in its variables and on its stack."""
    function = getattr(_core, name)()
    position = getattr(_core, name.replace("function", "position"))()
    gap = sys.version_info >= (3, 15)
    marks, slots = b"\0\1\0\1"[: 3 + gap], (None,) * (3 + gap)
    digest = codes.digest(function.__code__)
    for check in (
        softening.check,
        lambda f: restoring._compare((f,), digest, softening.check),
        lambda f: softening.check_chain((f,)),
    ):
        check((function, None, *position, marks, slots))
        with pytest.raises(ValueError, match="cannot go on from there"):
            check((function, None, *position, *change(marks, slots)))


@pytest.mark.parametrize("awaitable", [None, 5, suspending])
def test_what_they_call_takes_anything(awaitable):
    """Whoever finds it among the constants of the code may call it."""
    _, returned, yielded, raised = _core._await_function().__code__.co_consts
    assert yielded(awaitable, 1) == 1
    with pytest.raises(StopIteration):
        returned(awaitable, 1)
    with pytest.raises(KeyError):
        raised(awaitable, KeyError())
    with pytest.raises(TypeError):
        raised(awaitable, 1)
