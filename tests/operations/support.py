"""What operations are made of, and what puts things back after them."""

import contextlib
import contextvars
import gc
import sys

import stackless

OPERATIONS = {}

VALUE = object()  # what is sent, returned and kept
CONTEXT_VARIABLE = contextvars.ContextVar("variable")
IDLE_C_STACKS = 64  # as stackless starts with


def operation(function):
    """Decorator: list it in OPERATIONS."""
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


# CPython's cache of attributes keeps their names.
clear_caches = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
)


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
    list(map(call, [function]))


def pause_in_c():
    through_c(pause)


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
