"""Tasklets as bytes, and copies of them.

Everything is done once before the operation proper: it imports modules and
fills caches.  Forced hard, suspended tasklets are refused.
"""

import io
import pickle

import stackless

from .support import (
    VALUE,
    Channel,
    Raises,
    Tasklet,
    nothing,
    operation,
    pause,
    pause_in_c,
    started,
)

KEY = b"k" * 16
NAMED = "id", KEY
FREEZE_ERRORS = stackless.FreezeError
THAW_ERRORS = stackless.ThawError


def work(channel, *more):
    """Has a bit of everything in its frame."""
    count = 0

    def add(number):
        nonlocal count
        count += number

    for item in iter([1, 2, 3]):
        add(item)
        channel.receive()
    return count


def work_in_generator(channel):
    def generate():
        try:
            yield 1
            yield channel.receive()
        finally:
            nothing()

    for _ in generate():
        pass


def fail_and_wait(channel):
    try:
        raise KeyError("key")
    except KeyError as error:
        channel.receive()
        nothing(error)


def tried(function, *args, **kwargs):
    """What it gives; None for a tasklet that is suspended hard.

    On 3.11 each generator is.
    """
    try:
        return function(*args, **kwargs)
    except FREEZE_ERRORS as error:
        if "has C state" not in str(error):
            raise
        return None


def frozen(function, *args, **how):
    """The bytes of a tasklet that runs it and is suspended."""
    return tried(stackless.freeze, started(function, *args), **how)


def in_atomic():
    with stackless.atomic():
        pause()


def with_lock():
    """A tasklet's function, with something that cannot be frozen."""
    values = {"key": [object(), memoryview(b"xyz")[::2]]}
    pause()
    nothing(values)


def thaw(data, **how):
    if data is not None:
        stackless.thaw(data, **how)


def repeated(function, *args, **kwargs):
    """Do it once now; returns what does it again."""
    function(*args, **kwargs)
    return lambda: function(*args, **kwargs)


@operation
def freeze_new():
    tasklet = stackless.tasklet(nothing)
    ready = stackless.tasklet(nothing)(1, key=2)
    both = [tasklet, ready]
    again = repeated(stackless.freeze, both)
    yield
    again()


@operation
def freeze_paused():
    again = repeated(tried, stackless.freeze, started(pause))
    yield
    again()


@operation
def freeze_atomic():
    tasklet = started(in_atomic)
    again = repeated(tried, stackless.freeze, tasklet)
    yield
    again()
    stackless.atomic().__setstate__((tasklet, 0))


@operation
def freeze_signed():
    tasklet = started(pause)
    again = repeated(tried, stackless.freeze, tasklet, key=NAMED)
    yield
    again()


@operation
def freeze_blocked():
    channel = stackless.channel()
    tasklets = [started(work, channel) for _ in range(2)]
    again = repeated(tried, stackless.freeze, [channel, tasklets])
    yield
    again()


@operation
def freeze_generator():
    tasklet = started(work_in_generator, stackless.channel())
    again = repeated(tried, stackless.freeze, tasklet)
    yield
    again()


@operation
def freeze_exception():
    tasklet = started(fail_and_wait, stackless.channel())
    again = repeated(tried, stackless.freeze, tasklet)
    yield
    again()


@operation
def freeze_by_value():
    tasklet = started(work, stackless.channel())
    again = repeated(tried, stackless.freeze, tasklet, code="value")
    yield
    again()


@operation
def freeze_subclass():
    tasklet = Tasklet().bind(nothing, ())
    tasklet.extra = Channel()
    tasklet.extra.extra = tasklet
    again = repeated(stackless.freeze, tasklet)
    yield
    again()


@operation
def freeze_refused():
    """The error says where it was."""
    tasklet = started(with_lock)
    hard = started(pause_in_c)
    for _ in range(2):
        for each in tasklet, hard, stackless.getcurrent():
            try:
                stackless.freeze(each)
            except FREEZE_ERRORS as error:
                details = error.frame, error.variable, error.path, error.type
            assert len(details) == 4
        if _ == 0:
            yield


@operation
def check_freezable():
    again = repeated(stackless.check_freezable, started(with_lock))
    yield
    assert isinstance(again(), FREEZE_ERRORS)


@operation
def thaw_new():
    ready = stackless.tasklet(nothing)(1, key=2)
    again = repeated(thaw, stackless.freeze(ready))
    yield
    again()


@operation
def thaw_paused():
    again = repeated(thaw, frozen(pause))
    yield
    again()


@operation
def thaw_signed():
    again = repeated(thaw, frozen(pause, key=NAMED), key=dict([NAMED]))
    yield
    again()


@operation
def thaw_blocked():
    again = repeated(thaw, frozen(work, stackless.channel()))
    yield
    again()


@operation
def thaw_generator():
    again = repeated(thaw, frozen(work_in_generator, stackless.channel()))
    yield
    again()


@operation
def thaw_exception():
    again = repeated(thaw, frozen(fail_and_wait, stackless.channel()))
    yield
    again()


@operation
def thaw_by_value():
    again = repeated(thaw, frozen(work, stackless.channel(), code="value"))
    yield
    again()


@operation
def thawed_runs():
    data = frozen(pause)
    thaw(data)
    yield
    if data is not None:
        stackless.thaw(data, max_size=len(data)).run()


def refuse(module, name):
    raise KeyError(name)


@operation
def thaw_refused():
    """Each of the errors that there are for it."""
    data = stackless.freeze([nothing])
    signed = stackless.freeze([nothing], key=KEY)
    digits = stackless.inspect_frozen(data)["python"].encode()
    cases = [
        (stackless.DamagedFrozenError, data[:-1], {}),
        (stackless.DamagedFrozenError, data, {"max_size": 1}),
        (stackless.UnverifiedFrozenError, data, {"key": KEY}),
        (stackless.UnverifiedFrozenError, signed[:-1] + b"x", {"key": KEY}),
        (
            stackless.IncompatibleFrozenError,
            data.replace(digits, b"2.7." + b"1" * (len(digits) - 4)),
            {},
        ),
        (stackless.ThawError, data, {"find_class": refuse}),
    ]
    for _ in range(2):
        for kind, each, how in cases:
            with Raises(kind):
                stackless.thaw(each, **how)
        if _ == 0:
            yield


@operation
def thaw_changed():
    error = stackless.ChangedCodeError(["module.function"])
    str(error)
    yield
    assert error.changed == ["module.function"]
    assert "module.function" in str(error)


@operation
def inspect_frozen():
    data = frozen(pause) or stackless.freeze([nothing])
    again = repeated(stackless.inspect_frozen, data)
    yield
    again()


def pickle_there_and_back(value):
    file = io.BytesIO()
    stackless.Pickler(file, code="value").dump(value)
    file.seek(0)
    unpickler = stackless.Unpickler(file)
    unpickler.find_class("builtins", "len")
    unpickler.load()


def copied(tasklet):
    channel = stackless.channel()
    tried(tasklet.__copy__)
    tried(tasklet.__deepcopy__, {})
    tried(tasklet.__reduce__)
    tried(tasklet.__reduce_ex__, 4)
    channel.__deepcopy__({})
    channel.__reduce__()
    channel.__reduce_ex__(4)
    pickle.loads(pickle.dumps(channel))
    try:
        channel.__copy__()
    except TypeError:
        pass


@operation
def copy_and_pickle():
    again = repeated(copied, started(work, stackless.channel()))
    yield
    again()


@operation
def pickler():
    again = repeated(pickle_there_and_back, [Channel(), nothing])
    yield
    again()


def restored(tasklet):
    reduced = tried(tasklet.__reduce_ex__, 4)
    if reduced is not None:
        stackless.tasklet().__setstate__(reduced[2])


@operation
def set_state():
    again = repeated(restored, started(pause))
    yield
    again()


def use_pickler(value):
    pickler = stackless.Pickler(io.BytesIO())
    assert pickler.reducer_override(1) is NotImplemented
    assert pickler.reducer_override(value) is not NotImplemented
    pickler.dump(value)


@operation
def pickler_methods():
    again = repeated(use_pickler, stackless.channel())
    yield
    again()


@operation
def clone():
    tasklet = started(work, stackless.channel())
    again = repeated(tried, tasklet.clone)
    yield
    again()


@operation
def clone_generator():
    tasklet = started(work_in_generator, stackless.channel())
    again = repeated(tried, tasklet.clone)
    yield
    again()


@operation
def clone_new():
    tasklet = stackless.tasklet(nothing)(VALUE, key=VALUE)
    again = repeated(tasklet.clone)
    yield
    again().run()


@operation
def clone_of_subclass():
    tasklet = Tasklet().bind(pause, ())
    tasklet.run()
    tasklet.more = VALUE
    again = repeated(tried, tasklet.clone)
    yield
    copy = again()
    if copy is not None:
        assert copy.more is VALUE
        copy.run()


@operation
def clone_refused():
    hard = started(pause_in_c)
    for _ in range(2):
        for each in hard, stackless.getcurrent():
            with Raises(FREEZE_ERRORS, RuntimeError):
                each.clone()
        if _ == 0:
            yield
