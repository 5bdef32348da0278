"""Attributes and functions that tell and set, and what is refused."""

import io
import threading
import types

import stackless

from .support import (
    VALUE,
    Raises,
    nothing,
    operation,
    pause,
    raises_runtime_error,
    raises_type_error,
    raises_value_error,
    started,
    suspended_in_c,
)


# --- looking around ----------------------------------------------------------


ATTRIBUTES = {
    kind: [
        name
        for name, value in vars(kind).items()
        if isinstance(
            value, (types.GetSetDescriptorType, types.MemberDescriptorType)
        )
    ]
    for kind in (stackless.tasklet, stackless.channel, stackless.cstack)
}


def read_attributes(kind, instance):
    for name in ATTRIBUTES[kind]:
        getattr(instance, name)
    repr(instance)


@operation
def tasklet_attributes():
    ended = started(nothing)
    bound = stackless.tasklet(nothing)
    ready = stackless.tasklet().bind(nothing, ())
    soft = started(stackless.channel().receive)
    hard = suspended_in_c()
    tasklets = [stackless.getcurrent(), ended, bound, ready, soft, hard]
    yield
    for tasklet in tasklets:
        read_attributes(stackless.tasklet, tasklet)
        if tasklet.cstate:
            read_attributes(stackless.cstack, tasklet.cstate)


@operation
def frames():
    tasklet = started(pause)
    yield
    frame = tasklet.frame
    if frame is not None:
        assert frame.f_locals == {}
        assert frame.f_back is None


@operation
def set_attributes():
    tasklet, new = started(pause), stackless.tasklet(nothing)
    yield
    tasklet.name = f"name {id(tasklet)}"
    tasklet.tempval = VALUE
    tasklet.block_trap = True
    tasklet.set_atomic(1)
    tasklet.set_ignore_nesting(1)
    new.bind_thread()
    assert tasklet.tempval is VALUE
    tasklet.run()


@operation
def channel_attributes():
    channel = stackless.channel()
    started(channel.send, VALUE)
    yield
    read_attributes(stackless.channel, channel)


@operation
def module_functions():
    tasklet = suspended_in_c()
    yield
    assert tasklet in stackless.all_tasklets()
    stackless.get_stats()
    stackless.get_thread_info(-1, 3 << 30)
    stackless.getcurrent()
    stackless.getcurrentid()
    stackless.getdebug()
    stackless.getmain()
    stackless.getruncount()
    stackless.getthreads()
    assert stackless.getuncollectables() == [tasklet]
    stackless.pickle_flags(stackless.pickle_flags())
    stackless.pickle_flags_default(stackless.pickle_flags_default())


@operation
def module_attributes():
    yield
    assert stackless.current is stackless.main
    assert stackless.runcount == len(stackless.threads)
    assert not stackless.uncollectables
    assert isinstance(stackless.debug, bool)
    stackless.pickle_with_tracing_state = stackless.pickle_with_tracing_state


@operation
def interruptions():
    stackless.set_slow_call_handler(None, None)  # imports what it needs
    yield
    assert stackless.preempt(100) is None
    assert stackless.preempt(None) == 100
    stackless.run(1000)
    stackless.run(seconds=100)
    assert stackless.set_slow_call_handler(None, None) == (None, None)


@operation
def print_stacks():
    tasklet = started(stackless.channel().receive)
    tasklet.name = "blocked"
    file = io.StringIO()
    yield
    stackless.print_stacks(file)
    assert "blocked" in file.getvalue()


@operation
def left_by_a_thread():
    """Tasklets whose thread has ended."""
    tasklets = []

    def body():
        tasklets.append(stackless.tasklet().bind(nothing, ()))
        tasklets.append(started(pause))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    yield
    for tasklet in tasklets:
        read_attributes(stackless.tasklet, tasklet)
        with raises_runtime_error:
            tasklet.run()
    tasklets.pop(0).bind(nothing, ()).run()


# --- refusals ----------------------------------------------------------------


@operation
def type_errors():
    tasklet = stackless.tasklet()
    channel = stackless.channel()
    yield
    for function, *args in (
        (tasklet.bind, 1),
        (tasklet.bind, nothing, 1),
        (tasklet.bind, nothing, (), 1),
        (tasklet.throw, 1),
        (tasklet.throw, KeyError(), 1),
        (tasklet.raise_exception, 1),
        (tasklet.set_context, 1),
        (tasklet.set_atomic, "no"),
        (tasklet.set_ignore_nesting, "no"),
        (setattr, tasklet, "name", 1),
        (setattr, tasklet, "block_trap", "no"),
        (channel.send_exception, 1),
        (channel.send_throw, 1),
        (setattr, channel, "preference", "no"),
        (setattr, channel, "schedule_all", "no"),
        (stackless.set_schedule_callback, 1),
        (stackless.set_channel_callback, 1),
        (stackless.run, "no"),
        (stackless.cstack,),
        (stackless.cframe,),
    ):
        with raises_type_error:
            function(*args)



@operation
def runtime_errors():
    main = stackless.getcurrent()
    ended = started(nothing)
    blocked = started(stackless.channel().receive)
    hard = suspended_in_c()
    yield
    for function, *args in (
        (main.bind, None),
        (main.remove,),
        (main.setup,),
        (ended.insert,),
        (ended.run,),
        (ended.switch,),
        (ended.setup,),
        (ended.throw, KeyError),
        (ended.bind, None, ()),
        (setattr, ended, "trace_function", nothing),
        (setattr, ended, "profile_function", nothing),
        (blocked.insert,),
        (blocked.remove,),
        (blocked.run,),
        (blocked.switch,),
        (blocked.bind, None),
        (hard.bind, None),
        (stackless.get_thread_info, 1),
    ):
        with raises_runtime_error:
            function(*args)


@operation
def other_errors():
    yield
    with raises_value_error:
        stackless.set_c_stacks(size=1)
    with raises_value_error:
        stackless.set_c_stacks(idle=-1)
    with raises_value_error:
        stackless.pickle_flags(1 << 10)
    with Raises(OverflowError):
        stackless.get_thread_info(-5)
    with raises_value_error:
        stackless.run(seconds=-1)
