"""Every operation on tasklets and channels, for tests that repeat them.

An operation is a generator function.  All before its `yield` is set-up; what
follows is the operation proper, which is measured, or attacked by taking its
memory away.  It has `yield` once, and leaves to clean() what it has changed.

It makes no function after its `yield`: where memory for one is refused,
CPython 3.13.0 itself crashes.

    generator = OPERATIONS["send"]()
    next(generator)             # set-up
    next(generator, None)       # the operation
"""

import contextlib
import contextvars
import copy
import gc
import io
import pickle
import sys
import threading
import types
import weakref

import stackless

OPERATIONS = {}

VALUE = object()  # what is sent, returned and kept
CONTEXT_VARIABLE = contextvars.ContextVar("variable")
IDLE_C_STACKS = 64  # as stackless starts with


def operation(function):
    OPERATIONS[function.__name__] = function
    return function


class Raises:
    """Context manager: one of these errors leaves the block, and no other."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        assert kind is not None, f"no {self.kinds}"
        return issubclass(kind, self.kinds)


raises_key_error = Raises(KeyError)
raises_runtime_error = Raises(RuntimeError)
raises_type_error = Raises(TypeError)
raises_value_error = Raises(ValueError)


def reset():
    """Put back what operations set."""
    sys.settrace(None)
    sys.setprofile(None)
    stackless.set_schedule_callback(None)
    stackless.set_channel_callback(None)
    stackless.set_error_handler(None)
    stackless.set_c_stacks(idle=IDLE_C_STACKS)
    stackless.switch_trap(-stackless.switch_trap())
    main = stackless.getmain()
    main.block_trap = False
    main.tempval = None


def clean():
    """Do that, and kill the tasklets that operations leave."""
    reset()
    for tasklet in alive():
        with contextlib.suppress(KeyError):
            tasklet.kill()
    gc.collect()
    stackless.run()


def alive():
    """The tasklets, but for main, that have not ended."""
    tasklets = stackless.all_tasklets()
    return [each for each in tasklets if each.alive and not each.is_main]


# --- what the operations' tasklets do ----------------------------------------


def nothing(*args, **kwargs):
    pass


def fail(*args):
    raise KeyError(VALUE)


def pause():
    """Leave the ring.  Without an argument the tasklet would keep itself."""
    return stackless.schedule_remove(None)


def call(function):
    function()


def through_c(function):
    """Call it from C: a switch in it is a hard one."""
    sorted([function], key=call)


def pause_in_c():
    through_c(pause)


def pause_in_generator():
    def generator():
        yield pause()

    list_of_one = [each for each in generator()]
    return list_of_one


def recurse(function, depth):
    if depth:
        recurse(function, depth - 1)
    else:
        function()


def started(function, *args):
    """A tasklet that has run until it was suspended, or ended."""
    tasklet = stackless.tasklet(function)(*args)
    stackless.run()
    return tasklet


def unbind_suspended(tasklet):
    """Refused where there is C state: always, if forced hard."""
    if tasklet.cstate is None:
        tasklet.bind(None)
    else:
        with raises_runtime_error:
            tasklet.bind(None)


def suspended_in_c():
    """A tasklet suspended hard, that has no Python frame."""
    return started(list, map(stackless.schedule_remove, [None]))


class Tasklet(stackless.tasklet):
    """A tasklet with more attributes, and a destructor of its own."""

    def __init__(self, *args):
        self.extra = VALUE

    def __del__(self):
        super().__del__()


class Channel(stackless.channel):
    def __init__(self, *args):
        self.extra = VALUE


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


# --- channels ----------------------------------------------------------------


@operation
def send():
    channel = stackless.channel()
    stackless.tasklet(channel.receive)()
    yield
    stackless.run()
    channel.send(VALUE)


@operation
def receive():
    channel = stackless.channel()
    yield
    stackless.tasklet(channel.send)(VALUE)
    stackless.schedule()
    assert channel.receive() is VALUE


@operation
def send_with_preferences():
    channel = stackless.channel()
    for _ in range(4):
        started(channel.receive)
    yield
    channel.preference = 1
    channel.send(VALUE)
    channel.preference = 0
    channel.send(VALUE)
    channel.schedule_all = 1
    channel.send(VALUE)
    channel.preference = -1
    channel.send(VALUE)


@operation
def send_to_nobody():
    channel = stackless.channel()
    yield
    with raises_runtime_error:
        channel.send(VALUE)


@operation
def deadlock():
    channels = [stackless.channel() for _ in range(3)]
    for channel in channels:
        started(channel.receive)
    yield
    with raises_runtime_error:
        stackless.channel().receive()


@operation
def send_exception():
    channel = stackless.channel()
    started(channel.receive)
    yield
    with raises_key_error:
        channel.send_exception(KeyError, VALUE)
        stackless.run()


@operation
def receive_exception():
    channel = stackless.channel()
    started(channel.send_exception, KeyError, VALUE)
    yield
    with raises_key_error:
        channel.receive()


@operation
def send_throw():
    channel = stackless.channel()
    started(channel.receive)
    yield
    with raises_key_error:
        channel.send_throw(KeyError, VALUE)
        stackless.run()


@operation
def receive_thrown():
    channel = stackless.channel()
    error = KeyError(VALUE)
    started(channel.send_throw, error)
    started(channel.send_throw, KeyError, error, error.__traceback__)
    yield
    with raises_key_error:
        channel.receive()
    with raises_key_error:
        channel.receive()


@operation
def channel_next():
    channel = stackless.channel()
    stackless.tasklet(channel.send)(VALUE)
    yield
    assert next(channel) is VALUE


@operation
def channel_iteration():
    channel = stackless.channel()
    started(channel.send, VALUE)
    started(channel.send, VALUE)
    yield
    channel.close()
    assert [each is VALUE for each in channel] == [True, True]


@operation
def iteration_stopped():
    channel = stackless.channel()
    stackless.tasklet(channel.send_exception)(StopIteration)
    yield
    assert not list(channel)


@operation
def iteration_suspended():
    channel = stackless.channel()

    def loop():
        for _ in channel:
            pass

    started(loop)
    yield
    assert channel.send_sequence((VALUE, VALUE)) == 2


@operation
def close_and_open():
    channel = stackless.channel()
    yield
    channel.close()
    with raises_value_error:
        channel.send(VALUE)
    with raises_value_error:
        channel.receive()
    channel.open()


# --- exceptions --------------------------------------------------------------


@operation
def throw():
    tasklet = started(stackless.channel().receive)
    yield
    with raises_key_error:
        tasklet.throw(KeyError, VALUE)


@operation
def throw_instance():
    tasklet = started(pause)
    error = KeyError(VALUE)
    yield
    with raises_key_error:
        tasklet.throw(error, None, error.__traceback__)


@operation
def throw_pending():
    tasklet = started(pause)
    yield
    tasklet.throw(KeyError, VALUE, pending=True)
    with raises_key_error:
        stackless.run()


@operation
def throw_at_ready():
    tasklet = stackless.tasklet(nothing)(VALUE)
    yield
    with raises_key_error:
        tasklet.throw(KeyError, VALUE)


@operation
def throw_at_main():
    main = stackless.getmain()
    stackless.tasklet(main.throw)(KeyError, VALUE)
    yield
    with raises_key_error:
        stackless.run()


@operation
def raise_exception():
    tasklet = started(pause_in_c)
    yield
    with raises_key_error:
        tasklet.raise_exception(KeyError, VALUE)


@operation
def uncaught_error():
    stackless.tasklet(fail)()
    yield
    with raises_key_error:
        stackless.run()


@operation
def error_handler():
    stackless.tasklet(fail)()
    yield
    stackless.set_error_handler(nothing)
    stackless.run()
    stackless.set_error_handler(None)


@operation
def error_handler_that_fails():
    stackless.tasklet(fail)()
    stackless.set_error_handler(fail)
    yield
    with raises_key_error:
        stackless.run()


@operation
def switch_while_handling():
    def handle():
        try:
            fail()
        except KeyError:
            stackless.schedule()

    stackless.tasklet(handle)()
    yield
    stackless.run()


@operation
def bomb_in_tempval():
    tasklet = started(pause)
    error = KeyError(VALUE)
    yield
    tasklet.tempval = stackless.bomb(KeyError, error)
    with raises_key_error:
        tasklet.run()


# --- endings -----------------------------------------------------------------


@operation
def kill():
    tasklet = started(stackless.channel().receive)
    yield
    tasklet.kill()
    assert not tasklet.alive


@operation
def kill_ready():
    tasklet = stackless.tasklet(nothing)(VALUE)
    yield
    tasklet.kill()
    assert not tasklet.alive


@operation
def kill_pending():
    tasklet = started(stackless.channel().receive)
    yield
    tasklet.kill(pending=True)
    stackless.run()


@operation
def kill_in_c():
    tasklet = started(through_c, stackless.channel().receive)
    yield
    tasklet.kill()
    assert not tasklet.alive


@operation
def drop():
    def body():
        try:
            stackless.schedule_remove(None)
        finally:
            nothing()

    tasklet = started(body)
    yield
    del tasklet


@operation
def drop_in_c():
    tasklet = started(pause_in_c)
    yield
    del tasklet


@operation
def drop_ready():
    tasklet = stackless.tasklet().bind(nothing, (VALUE,))
    yield
    del tasklet


@operation
def drop_failing():
    def body():
        try:
            stackless.schedule_remove(None)
        finally:
            raise KeyError(VALUE)

    tasklet = started(body)
    yield
    # Killed at once, its error is unraisable; killed later, for want of
    # memory, it raises it in main.
    with contextlib.suppress(KeyError):
        del tasklet
        call(nothing)


@operation
def drop_blocked():
    channel = stackless.channel()
    started(channel.receive)
    started(stackless.channel().receive)
    yield
    del channel
    gc.collect()


@operation
def destructor_that_switches():
    class Switching:
        def __del__(self):
            stackless.schedule()

    stackless.tasklet(nothing)()
    switching = [Switching()]
    yield
    switching.clear()


@operation
def collect_cycle():
    def body():
        itself = []
        itself.append(itself)
        channel = stackless.channel()
        myself = stackless.getcurrent()
        channel.receive()
        return myself

    started(body)
    yield
    gc.collect()
    stackless.run()


@operation
def collect_cycle_in_c():
    def body():
        channel = stackless.channel()
        myself = stackless.getcurrent()
        through_c(channel.receive)
        return myself

    started(body)
    yield
    gc.collect()
    stackless.run()


@operation
def collect_cycle_in_generator():
    def generate():
        myself = stackless.getcurrent()
        channel = stackless.channel()
        yield channel.receive()
        return myself

    def body():
        for _ in generate():
            pass

    for _ in range(3):
        started(body)
    yield
    gc.collect()
    stackless.run()


@operation
def coroutine():
    @types.coroutine
    def suspend():
        pause()
        yield

    async def main():
        await suspend()

    def body():
        with contextlib.closing(main()) as running:
            running.send(None)

    tasklet = started(body)
    yield
    tasklet.run()


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
    tasklet = started(pause)
    yield
    tasklet.name = f"name {id(tasklet)}"
    tasklet.tempval = VALUE
    tasklet.block_trap = True
    tasklet.set_atomic(1)
    tasklet.set_ignore_nesting(1)
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
def no_pickles():
    tasklet = started(pause)
    channel = stackless.channel()
    yield
    for each in (tasklet, channel):
        with raises_type_error:
            pickle.dumps(each)
        with raises_type_error:
            copy.copy(each)
        with raises_type_error:
            each.__reduce__()
        with raises_type_error:
            each.__reduce_ex__(2)


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
    with Raises(NotImplementedError):
        stackless.run(1000)
