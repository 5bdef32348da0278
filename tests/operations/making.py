"""Tasklets, channels, types and bombs are made; tasklets are bound."""

import gc
import weakref

import stackless

from .support import (
    VALUE,
    Channel,
    Tasklet,
    nothing,
    operation,
    pause,
    started,
    unbind_suspended,
)


# --- making ------------------------------------------------------------------


@operation
def new_tasklet():
    yield
    stackless.tasklet()
    stackless.tasklet(nothing)
    stackless.tasklet.__new__(stackless.tasklet)


@operation
def new_tasklet_with_arguments():
    yield
    stackless.tasklet(nothing, (VALUE,))
    stackless.tasklet(nothing, (VALUE,), {"key": VALUE})
    stackless.tasklet(nothing, kwargs={"key": VALUE})


@operation
def new_channel():
    yield
    channel = stackless.channel()
    repr(channel)


@operation
def new_types():
    yield
    tasklet_type = type("Other", (stackless.tasklet,), {})
    tasklet_type(nothing)(VALUE)
    channel_type = type("Other", (stackless.channel,), {})
    channel_type()
    stackless.run()


@operation
def new_of_subclass():
    yield
    tasklet = Tasklet().bind(nothing)
    tasklet.more = VALUE
    tasklet(VALUE)
    channel = Channel(VALUE)
    channel.more = VALUE
    tasklet.run()


@operation
def subclass_dropped():
    tasklet = Tasklet().bind(pause, ())
    tasklet.run()
    tasklet.myself = tasklet
    yield
    del tasklet
    gc.collect()


@operation
def weak_references():
    yield
    tasklet = stackless.tasklet(pause)()
    channel = stackless.channel()
    references = [weakref.ref(tasklet, nothing), weakref.ref(channel, nothing)]
    tasklet.run()
    del tasklet, channel
    assert [reference() for reference in references] == [None, None]


@operation
def new_bomb():
    error = KeyError(VALUE)
    yield
    stackless.bomb()
    bomb = stackless.bomb(KeyError, error, None)
    repr(bomb)
    bomb.__reduce__()
    bomb.type = bomb.type
    bomb.value = bomb.value
    bomb.traceback = bomb.traceback


# --- bind, setup -------------------------------------------------------------


@operation
def setup():
    tasklet = stackless.tasklet(nothing)
    yield
    tasklet.setup(VALUE, key=VALUE)
    stackless.run()


@operation
def call_tasklet():
    tasklet = stackless.tasklet(len)
    yield
    tasklet("x")
    stackless.run()


@operation
def call_tasklet_with_keywords():
    def function(argument, *, key):
        pass

    tasklet = stackless.tasklet(function)
    yield
    tasklet(1, key=2)
    stackless.run()


@operation
def bind_with_arguments():
    tasklet = stackless.tasklet()
    yield
    tasklet.bind(len, ("x",))
    tasklet.insert()
    stackless.run()


@operation
def bind_with_keywords():
    tasklet = stackless.tasklet()
    yield
    tasklet.bind(nothing, (VALUE,), {"key": VALUE}).run()
    tasklet.bind(nothing, kwargs={"key": VALUE}).run()


@operation
def bind_later():
    tasklet = stackless.tasklet()
    yield
    tasklet.bind(nothing)
    tasklet.bind(args=(VALUE,), kwargs={"key": VALUE})
    tasklet.bind(nothing, (VALUE,))
    tasklet.bind()


@operation
def bind_method():
    tasklet = stackless.tasklet()
    yield
    tasklet.bind([].append, ("x",)).run()


@operation
def unbind():
    tasklet = started(pause)
    frame = tasklet.frame
    yield
    unbind_suspended(tasklet)
    assert frame.f_locals == {}


@operation
def unbind_generator():
    generators = []

    def pausing():
        yield pause()

    def loop():
        generator = pausing()
        generators.append(generator)
        for _ in generator:
            pass

    for _ in range(2):
        started(loop).kill()
    tasklet = started(loop)
    yield
    unbind_suspended(tasklet)
    generators.clear()
