"""Tasklets run in turn: scheduled, traced, watched, in their contexts."""

import contextvars
import sys

import stackless

from .support import (
    CONTEXT_VARIABLE,
    VALUE,
    fail,
    nothing,
    operation,
    pause,
    pause_in_c,
    raises_runtime_error,
    recurse,
    started,
    through_c,
)


# --- scheduling --------------------------------------------------------------


@operation
def schedule():
    stackless.tasklet(len)("x")
    yield
    stackless.schedule()
    assert stackless.schedule(VALUE) is VALUE


@operation
def schedule_in_c():
    stackless.tasklet(through_c)(stackless.schedule)
    yield
    stackless.run()


@operation
def schedule_remove():
    tasklet = stackless.tasklet(stackless.schedule_remove)(VALUE)
    yield
    stackless.run()
    assert tasklet.tempval is VALUE


@operation
def schedule_remove_itself():
    tasklet = stackless.tasklet(stackless.schedule_remove)()
    yield
    stackless.run()
    tasklet.run()


@operation
def schedule_remove_main():
    main = stackless.getmain()
    stackless.tasklet(main.insert)()
    yield
    pause()


@operation
def run_from_tasklets():
    for _ in range(12):
        stackless.tasklet(stackless.run)()
    yield
    stackless.run(threadblock=True, soft=True, ignore_nesting=True)


@operation
def run_tasklet():
    tasklet = stackless.tasklet(nothing)(VALUE)
    yield
    tasklet.run()


@operation
def switch():
    main = stackless.getcurrent()
    tasklet = stackless.tasklet(main.insert)()
    yield
    tasklet.switch()


@operation
def insert_and_remove():
    tasklet = started(pause)
    yield
    tasklet.insert()
    tasklet.remove()
    tasklet.insert()
    stackless.run()


@operation
def resume_in_c():
    tasklet = started(pause_in_c)
    yield
    through_c(tasklet.run)


@operation
def deep():
    stackless.tasklet(recurse)(stackless.schedule, 100)
    yield
    stackless.run()


@operation
def new_c_stacks():
    stackless.set_c_stacks(idle=0)
    for _ in range(2):
        stackless.tasklet(through_c)(stackless.schedule)
    yield
    stackless.run()


@operation
def call_on_new_stack():
    stackless.tasklet(nothing)(VALUE)
    yield
    stackless.call_on_new_stack(stackless.schedule, size=1 << 20)


@operation
def sliced():
    stackless.set_c_stacks(limit=0)
    for _ in range(3):
        stackless.tasklet(through_c)(stackless.schedule)
    yield
    try:
        stackless.run()
    finally:
        stackless.set_c_stacks(limit=1024)


@operation
def forced_hard():
    stackless.tasklet(stackless.schedule)()
    soft = stackless.enable_softswitch(None)
    yield
    stackless.enable_softswitch(False)
    try:
        stackless.run()
    finally:
        stackless.enable_softswitch(soft)


@operation
def for_tests():
    stackless.tasklet(stackless.schedule)()
    yield
    stackless.test_cframe_nr(2)
    stackless.test_outside()


@operation
def atomic():
    yield
    with stackless.atomic():
        pass


@operation
def traps():
    channel = stackless.channel()
    stackless.tasklet(nothing)()
    yield
    stackless.getcurrent().block_trap = True
    with raises_runtime_error:
        channel.receive()
    stackless.switch_trap(1)
    with raises_runtime_error:
        stackless.schedule()
    stackless.switch_trap(-1)


# --- tracing, callbacks ------------------------------------------------------


@operation
def trace():
    channel = stackless.channel()
    stackless.tasklet(channel.receive)()
    sys.settrace(nothing)
    yield
    stackless.run()
    channel.send(VALUE)
    stackless.run()


@operation
def trace_later():
    channel = stackless.channel()
    started(channel.receive)
    yield
    sys.settrace(nothing)
    channel.send(VALUE)
    stackless.run()


@operation
def trace_tasklet():
    tasklet = started(pause)
    tasklet.trace_function = nothing
    yield
    tasklet.run()


@operation
def profile_tasklet():
    tasklet = started(pause)
    tasklet.profile_function = nothing
    yield
    tasklet.run()


@operation
def set_trace_functions():
    tasklet = started(pause)
    yield
    tasklet.trace_function = nothing
    tasklet.profile_function = nothing
    assert tasklet.trace_function is tasklet.profile_function is nothing


@operation
def callbacks():
    channel = stackless.channel()
    stackless.tasklet(channel.receive)()
    yield
    stackless.set_schedule_callback(nothing)
    stackless.set_channel_callback(nothing)
    stackless.run()
    channel.send(VALUE)
    assert stackless.get_schedule_callback() is nothing
    assert stackless.get_channel_callback() is nothing


@operation
def callbacks_that_fail():
    channel = stackless.channel()
    stackless.tasklet(channel.receive)()
    stackless.set_schedule_callback(fail)
    stackless.set_channel_callback(fail)
    yield
    stackless.run()
    channel.send(VALUE)


# --- contexts ----------------------------------------------------------------


@operation
def context():
    def body():
        CONTEXT_VARIABLE.set(VALUE)
        stackless.schedule()
        assert CONTEXT_VARIABLE.get() is VALUE

    stackless.tasklet(body)()
    yield
    stackless.run()


@operation
def set_context():
    tasklet = started(pause)
    other = contextvars.copy_context()
    yield
    tasklet.set_context(other)
    tasklet.run()


@operation
def context_run():
    tasklet = started(pause)
    stackless.tasklet(nothing)()
    yield
    tasklet.context_run(CONTEXT_VARIABLE.set, VALUE)
    tasklet.context_run(stackless.schedule)
