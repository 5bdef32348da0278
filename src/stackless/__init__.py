"""Stackless Python's tasklets, channels and scheduler for plain CPython.

A tasklet is a microthread: a function call with a stack of its own, about a
kilobyte large.  Tasklets take turns; they meet and hand each other objects
over channels.

    import stackless

    def hello(name, channel):
        channel.send(f"hello from {name}")

    channel = stackless.channel()
    stackless.tasklet(hello)("a tasklet", channel)
    print(channel.receive())
    stackless.run()

This file lists the public names and does nothing else.  The engine is the
extension module stackless._core, where the docstrings are too.
"""

# First: where the extension is missing the error is to say just that.
from stackless._core import (
    all_tasklets,
    atomic,
    bomb,
    call_on_new_stack,
    cframe,
    channel,
    cstack,
    enable_softswitch,
    get_channel_callback,
    get_schedule_callback,
    get_stats,
    get_thread_info,
    getcurrent,
    getcurrentid,
    getdebug,
    getmain,
    getruncount,
    getthreads,
    getuncollectables,
    pickle_flags,
    pickle_flags_default,
    preempt,
    run,
    schedule,
    schedule_remove,
    set_c_stacks,
    set_channel_callback,
    set_error_handler,
    set_schedule_callback,
    switch_trap,
    tasklet,
    test_cframe_nr,
    test_outside,
)
from stackless import _channel_ext

__version__ = "0.1.0"

__all__ = [
    "PICKLEFLAGS_PICKLE_CONTEXT",
    "PICKLEFLAGS_PRESERVE_AG_FINALIZER",
    "PICKLEFLAGS_PRESERVE_TRACING_STATE",
    "PICKLEFLAGS_RESET_AG_FINALIZER",
    "all_tasklets",
    "atomic",
    "bomb",
    "call_on_new_stack",
    "cframe",
    "channel",
    "cstack",
    "current",
    "debug",
    "enable_softswitch",
    "get_channel_callback",
    "get_schedule_callback",
    "get_stats",
    "get_thread_info",
    "getcurrent",
    "getcurrentid",
    "getdebug",
    "getmain",
    "getruncount",
    "getthreads",
    "getuncollectables",
    "main",
    "pickle_flags",
    "pickle_flags_default",
    "pickle_with_tracing_state",
    "preempt",
    "print_stacks",
    "run",
    "runcount",
    "schedule",
    "schedule_remove",
    "set_c_stacks",
    "set_channel_callback",
    "set_error_handler",
    "set_schedule_callback",
    "set_slow_call_handler",
    "stackless",
    "switch_trap",
    "tasklet",
    "test_cframe_nr",
    "test_outside",
    "threads",
    "uncollectables",
]

PICKLEFLAGS_PRESERVE_TRACING_STATE = 1
PICKLEFLAGS_PRESERVE_AG_FINALIZER = 2
PICKLEFLAGS_RESET_AG_FINALIZER = 4
PICKLEFLAGS_PICKLE_CONTEXT = 8

_channel_ext.install(channel)


def print_stacks(file=None):
    """print_stacks(file=None) -- show what every live tasklet is doing.

    For each tasklet: its name, its state, the channel it waits for, where
    it was made, and its Python stack, outermost call first.  'file' is
    where to print to; sys.stderr if None.
    """
    from stackless import _introspect

    _introspect.print_stacks(file, 2)


def set_slow_call_handler(seconds, callback):
    """set_slow_call_handler(seconds, callback) -- report calls that last.

    callback(tasklet, stack, seconds) is called, in a thread of its own, once for
    each call of a C function that lasts 'seconds' (float) or more while other
    tasklets of its thread wait for their turn: with the tasklet that makes it,
    a traceback.StackSummary of where that stands, and how long it was noticed
    (float).  A call that waits without the GIL is reported while it lasts; one
    that keeps the GIL lets nothing else run and is reported when it lets it go.
    On CPython 3.11 only calls in the main thread are.

    None, None ends it.  Returns what was set before, as (seconds, callback).
    An exception of the callback goes to threading.excepthook.

    Raises TypeError if only one of them is None, 'seconds' is no number or
    callback cannot be called, ValueError if 'seconds' is not above 0,
    RuntimeError if no thread can be started.
    """
    from stackless import _slow_calls

    return _slow_calls.set_handler(seconds, callback)


def _get_module():
    import sys

    return sys.modules[__name__]


stackless = _get_module()


class _StacklessModule(type(stackless)):
    """The type of the module 'stackless': some of its names are computed."""

    def __reduce__(self):
        # A function of this name makes the module picklable by reference.
        return _get_module, ()

    @property
    def current(self):
        """The tasklet that is running now; see getcurrent()."""
        return getcurrent()

    @property
    def main(self):
        """The main tasklet of this thread; see getmain()."""
        return getmain()

    @property
    def runcount(self):
        """The number of runnable tasklets; see getruncount()."""
        return getruncount()

    @property
    def threads(self):
        """The ids of all threads, main thread first; see getthreads()."""
        return getthreads()

    @property
    def debug(self):
        """Whether this is a debug build; see getdebug()."""
        return getdebug()

    @property
    def uncollectables(self):
        """The tasklets that own a saved C stack; see getuncollectables()."""
        return getuncollectables()

    @property
    def pickle_with_tracing_state(self):
        """Flag PICKLEFLAGS_PRESERVE_TRACING_STATE as a bool.  Deprecated."""
        return bool(pickle_flags() & PICKLEFLAGS_PRESERVE_TRACING_STATE)

    @pickle_with_tracing_state.setter
    def pickle_with_tracing_state(self, value):
        pickle_flags(
            PICKLEFLAGS_PRESERVE_TRACING_STATE if value else 0,
            PICKLEFLAGS_PRESERVE_TRACING_STATE,
        )


# The name in sys.modules now stands for a module of that type.  Its class is
# changed in place: a copy would leave two modules, of which 'import' and
# 'importlib.reload' could each meet the other.
stackless.__class__ = _StacklessModule

del _channel_ext, _StacklessModule
