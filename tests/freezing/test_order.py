"""Whatever a pickle comes to first: a tasklet, or what that is inside of."""

import itertools

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, note, started, thawed
from stackless import _core

pytestmark = pytest.mark.soft


def generator(box):
    try:
        stackless.schedule_remove(None)
        yield len(box)
    finally:
        note("finally")


def delegating(box):
    value = yield from generator(box)
    return value


def over(box, source):
    for value in source:
        yield value + len(box)


def looping(box):
    it = generator(box)
    box.append(it)
    for value in it:
        note(value)


def delegated(box):
    it = delegating(box)
    box.append(it)
    for value in it:
        note(value)


def nested(box):
    inner = delegating(box)
    outer = over(box, inner)
    box += [outer, inner]
    for value in outer:
        note(value)


def advancing(box):
    it = generator(box)
    box.append(it)
    note(next(it))


async def coroutine(box):
    stackless.schedule_remove(None)
    return len(box)


async def awaiting(box, coroutine):
    note(await coroutine)


def drive(box, inner, outer):
    box += [inner, outer]
    try:
        outer.send(None)
    except StopIteration:
        note("stopped")


def awaited(box):
    inner = coroutine(box)
    drive(box, inner, awaiting(box, inner))


async def asynchronous(box):
    yield 1
    stackless.schedule_remove(None)
    yield len(box)


async def iterating(box, source):
    async for value in source:
        note(value)


def iterated(box):
    inner = asynchronous(box)
    drive(box, inner, iterating(box, inner))


async def waiting(box):
    stackless.schedule_remove(None)
    yield len(box)


def by_awaitable(box):
    awaitable = waiting(box).asend(None)
    box.append(awaitable)
    try:
        awaitable.send(None)
    except StopIteration as stop:
        note(stop.value)


PROGRAMS = [
    looping,
    delegated,
    nested,
    advancing,
    awaited,
    iterated,
    by_awaitable,
]


def finish(tasklets):
    LOG.clear()
    go(*tasklets)
    assert not any(tasklet.alive for tasklet in tasklets)
    return LOG[:]


@pytest.mark.parametrize("code", ["reference", "value"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_tasklet_is_inside_of_comes_first(program, code):
    box = []
    tasklet = started(program, box)
    box.append(tasklet)
    orders = list(itertools.permutations(box))
    # Also each alone: it leads to the tasklet.
    frozen = [dumps(list(order), code) for order in orders]
    frozen += [dumps([part, box], code) for part in box]
    copies = [loads(data) for data in frozen]
    whole = finish([tasklet])
    assert whole
    for copy in copies:
        (copied,) = {
            id(part): part
            for part in [*copy, *(copy[-1] if type(copy[-1]) is list else [])]
            if isinstance(part, stackless.tasklet)
        }.values()
        assert copied.paused
        assert finish([copied]) == whole


@pytest.mark.parametrize("program", PROGRAMS)
def test_identity_is_kept(program):
    box = []
    tasklet = started(program, box)
    box.append(tasklet)
    for order in itertools.permutations(range(len(box))):
        *parts, same = loads(dumps([*(box[n] for n in order), box]))
        assert all(same[n] is part for n, part in zip(order, parts))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("other", PROGRAMS)
def test_two_are_inside_of_what_the_other_refers_to(program, other):
    """Both refer to all that both are inside of."""
    box = []
    tasklets = [started(program, box), started(other, box)]
    box += tasklets
    orders = [box[n:] + box[:n] for n in range(len(box))]
    copies = [loads(dumps([*order, box]))[-1] for order in orders]
    whole = finish(tasklets)
    for copy in copies:
        assert finish(copy[-2:]) == whole


def test_pickle_comes_to_a_generator_of_another_tasklet_first():
    import pickle

    box = []
    first, second = started(looping, box), started(looping, box)
    # What it refers to directly is wrapped; lists are not.
    holder = started(holding, box[0], first, box[1], second)
    del box[:]
    copy = pickle.loads(pickle.dumps(holder))
    whole = finish([first, second])
    LOG.clear()
    go(copy)
    assert LOG == whole


def holding(one, first, other, second):
    stackless.schedule_remove(None)
    first.insert()
    second.insert()
    del one, other


def test_a_generator_alone_is_refused():
    """Its copy would be inside of a tasklet that nobody has."""
    box = []
    tasklet = started(looping, box)
    with pytest.raises(stackless.FreezeError, match="looping|generator"):
        stackless.freeze(box[0])
    with pytest.raises(stackless.FreezeError, match="generator is running"):
        stackless.freeze([box[0], 1])
    assert finish([tasklet])


def test_the_error_names_the_variable_of_the_tasklet():
    box = []
    tasklet = started(looping_with_a_lock, box)
    for value in ([box[0], tasklet], [tasklet, box[0]]):
        error = stackless.check_freezable(value)
        assert error.variable == "lock"
        assert error.frame[0] == "looping_with_a_lock"
    assert finish([tasklet])


def looping_with_a_lock(box):
    import threading

    lock = threading.Lock()
    it = generator(box)
    box.append(it)
    for value in it:
        note(value)
    del lock


def test_who_runs_a_generator():
    box = []
    tasklet = started(nested, box)
    assert _core._runner_of(box[0]) is tasklet
    assert _core._runner_of(box[1]) is tasklet
    assert _core._runner_of(generator(box)) is None
    assert _core._runner_of(box) is None
    finish([tasklet])
    assert _core._runner_of(box[0]) is None


def test_nobody_suspended_runs_it():
    def asks():
        found.append(_core._runner_of(it))
        yield

    found = []
    it = asks()
    next(it)
    assert found == [None]


def test_attributes_are_there_before_the_frames():
    """A generator's state may hold the tasklet as the key of a dict."""

    box = []
    tasklet = Named(looping)(box)
    tasklet.label = "one"
    stackless.run()
    box[:] = [box[0], {tasklet}, tasklet]
    copy = thawed([*box])
    assert copy[1] == {copy[2]} and hash(copy[2]) == hash("one")
    assert finish([copy[2]]) == finish([tasklet])


class Named(stackless.tasklet):
    def __hash__(self):
        return hash(self.label)

    def __eq__(self, other):
        return self.label == other.label
