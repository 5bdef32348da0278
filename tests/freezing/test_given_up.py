"""When the rest of a pickle cannot be read nothing of it runs, no `finally`."""

import csv
import gc
import pickle
import sys
import types
import weakref

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, started
from stackless._freezing import restoring
from tasks import spawn

pytestmark = pytest.mark.soft


@pytest.fixture(autouse=True)
def empty():
    yield
    for log in (HOOKS, MADE, SEEN):
        log.clear()
    assert not restoring.loads


class Asking:
    """Calls something when it is made."""

    def __init__(self):
        self.value = 1

    def __setstate__(self, state):
        MADE.append(self)
        for hook in HOOKS:
            hook()


HOOKS = []
MADE = []


class Bad:
    """Cannot be read."""

    def __reduce__(self):
        return refuse, ()


def refuse():
    SEEN[:] = stackless.all_tasklets()
    raise LookupError("refused")


SEEN = []


def careful():
    try:
        stackless.schedule_remove(None)
    finally:
        LOG.append("finally")


def receiving(channel):
    try:
        channel.receive()
    finally:
        LOG.append("finally")


def generator():
    try:
        yield 1
    finally:
        LOG.append("finally")


def looping():
    for _ in inside():
        pass


def inside():
    try:
        stackless.schedule_remove(None)
        yield 1
    finally:
        LOG.append("finally")


async def coroutine(awaitable):
    try:
        await awaitable
    finally:
        LOG.append("finally")


class Once:
    def __await__(self):
        yield


async def asynchronous():
    try:
        yield 1
    finally:
        LOG.append("finally")


def suspended_generator():
    made = generator()
    next(made)
    return made


def suspended_coroutine():
    made = coroutine(Once())
    made.send(None)
    return made


def suspended_asynchronous():
    made = asynchronous()
    with pytest.raises(StopIteration):
        made.asend(None).send(None)
    return made


def blocked():
    channel = stackless.channel()
    return started(receiving, channel)


def holding():
    """A generator in its variable."""
    return started(holding_one)


def holding_one():
    it = generator()
    next(it)
    stackless.schedule_remove(None)
    it.close()


class Named(stackless.tasklet):
    pass


def named():
    tasklet = Named(careful)()
    tasklet.label = "label"
    stackless.run()
    return tasklet


def collect():
    """What is unreachable is gone, and has been killed."""
    gc.collect()
    stackless.run()


MAKERS = [
    lambda: started(careful),
    blocked,
    holding,
    lambda: started(looping),
    named,
    suspended_generator,
    suspended_coroutine,
    suspended_asynchronous,
]


def end(thing):
    """The original's own `finally` is of no interest."""
    if isinstance(thing, stackless.tasklet):
        thing.kill()
    gc.collect()
    LOG.clear()


@pytest.mark.parametrize("make", MAKERS)
def test_something_later_cannot_be_read(make):
    thing = make()
    data = stackless.freeze([thing, Bad()])
    with pytest.raises(stackless.ThawError, match="refused"):
        stackless.thaw(data)
    collect()
    assert LOG == []
    with pytest.raises(LookupError):
        loads(dumps([thing, Bad()]))
    collect()
    assert LOG == []
    end(thing)


@pytest.mark.parametrize("make", MAKERS)
def test_it_is_gone_with_what_it_has(make):
    thing = make()
    before = len(stackless.all_tasklets())
    with pytest.raises(LookupError):
        loads(dumps([thing, Bad()]))
    if isinstance(thing, stackless.tasklet):
        assert len(SEEN) == before + 1
        copy = SEEN[-1]
        assert not copy.alive and not copy.blocked and copy.frame is None
    SEEN.clear()
    assert len(stackless.all_tasklets()) == before
    end(thing)


@pytest.mark.filterwarnings("error")
def test_nothing_is_warned_of():
    """Of coroutines that nobody has awaited."""
    made = coroutine(None)
    data = dumps([made, Bad()])
    with pytest.raises(LookupError):
        loads(data)
    gc.collect()
    made.close()


def test_another_code_has_changed():
    namespace = {"stackless": stackless, "LOG": LOG}
    source = (
        "def {}():\n try:\n  stackless.schedule_remove({})\n"
        " finally:\n  LOG.append('finally')\n"
    )
    module = types.ModuleType("given_up")
    module.__dict__.update(namespace)
    sys.modules["given_up"] = module
    try:
        exec(source.format("one", 1) + source.format("two", 1), vars(module))
        tasklets = [started(module.one), started(module.two)]
        data = stackless.freeze(tasklets)
        exec(source.format("two", 2), vars(module))
        with pytest.raises(stackless.ChangedCodeError, match="given_up.two"):
            stackless.thaw(data)
        assert LOG == []
    finally:
        del sys.modules["given_up"]
    for tasklet in tasklets:
        end(tasklet)


class Refusing(stackless.tasklet):
    __slots__ = ("label",)

    def __setattr__(self, name, value):
        if value == "refused":
            raise LookupError(value)
        super().__setattr__(name, value)


@pytest.mark.parametrize("load", [loads, pickle.loads])
def test_an_attribute_cannot_be_set(load):
    tasklet = Refusing(careful)()
    tasklet.label = "good"
    stackless.run()
    object.__setattr__(tasklet, "label", "refused")
    data = pickle.dumps(tasklet) if load is pickle.loads else dumps(tasklet)
    with pytest.raises(LookupError):
        load(data)
    collect()
    assert LOG == []
    end(tasklet)


@pytest.mark.parametrize("load", [loads, pickle.loads])
def test_the_channel_cannot_be_joined(load, monkeypatch):
    def refusing(*args):
        raise LookupError

    tasklet = blocked()
    data = pickle.dumps(tasklet) if load is pickle.loads else dumps(tasklet)
    monkeypatch.setattr(restoring, "_join", refusing)
    with pytest.raises(LookupError):
        load(data)
    collect()
    assert LOG == []
    end(tasklet)


def test_what_the_program_itself_has_made_stays():
    """Another one that it thaws, clones or runs while it is asked for its state."""
    other = started(careful)
    made = []
    data = dumps(other)

    def make():
        made.append(other.clone())
        made.append(loads(data))
        made.append(spawn(careful))

    tasklet = started(careful)
    HOOKS.append(make)
    with pytest.raises(LookupError):
        loads(dumps([tasklet, Asking(), Bad()]))
    assert [copy.alive for copy in made] == [True] * 3
    assert LOG == []
    go()
    for copy in made:
        copy.insert()
        go(copy)
    assert LOG == ["finally"] * 3
    end(tasklet)
    end(other)


def test_loads_of_several_tasklets_at_once():
    """Each gives up what it has made itself."""

    def good():
        copies.extend(loads(dumps([tasklet, switching])))

    def bad():
        with pytest.raises(LookupError):
            loads(dumps([tasklet, switching, Bad()]))
        LOG.append("bad")

    copies = []
    HOOKS.append(stackless.schedule)
    tasklet, switching = started(careful), Asking()
    workers = [spawn(good), spawn(bad), spawn(good)]
    stackless.run()
    assert LOG == ["bad"] and not any(worker.alive for worker in workers)
    copied = [copy for copy in copies if isinstance(copy, stackless.tasklet)]
    assert [copy.alive for copy in copied] == [True, True]
    go(*copied)
    assert LOG == ["bad", "finally", "finally"]
    end(tasklet)


def test_what_they_had_is_gone():
    tasklet = started(keeping, Asking())
    weak = weakref.WeakSet()
    HOOKS.append(lambda: weak.update(MADE))
    with pytest.raises(LookupError):
        loads(dumps([tasklet, Bad()]))
    MADE.clear()
    gc.collect()
    assert not weak
    end(tasklet)


def keeping(value):
    careful()
    del value


def test_a_clone_that_cannot_be_completed():
    def lines():
        yield '"a'
        raise LookupError

    reader = csv.reader(lines())
    with pytest.raises(LookupError):
        next(reader)
    made = suspended_generator()
    tasklet = started(keeping_two, made, reader)
    with pytest.raises(pickle.PicklingError, match="middle of a row"):
        tasklet.clone()
    collect()
    assert LOG == []
    end(tasklet)


def keeping_two(generator, reader):
    careful()
    del generator, reader
