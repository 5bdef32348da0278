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
from stackless import _channel_ext, _tasklet_ext

__version__ = "0.1.0"

__all__ = [
    "ChangedCodeError",
    "DamagedFrozenError",
    "FreezeError",
    "IncompatibleFrozenError",
    "PICKLEFLAGS_PICKLE_CONTEXT",
    "PICKLEFLAGS_PRESERVE_AG_FINALIZER",
    "PICKLEFLAGS_PRESERVE_TRACING_STATE",
    "PICKLEFLAGS_RESET_AG_FINALIZER",
    "Pickler",
    "ThawError",
    "Unpickler",
    "UnverifiedFrozenError",
    "all_tasklets",
    "atomic",
    "bomb",
    "call_on_new_stack",
    "cframe",
    "channel",
    "check_freezable",
    "cstack",
    "current",
    "debug",
    "enable_softswitch",
    "freeze",
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
    "inspect_frozen",
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
    "thaw",
    "threads",
    "uncollectables",
]

PICKLEFLAGS_PRESERVE_TRACING_STATE = 1
PICKLEFLAGS_PRESERVE_AG_FINALIZER = 2
PICKLEFLAGS_RESET_AG_FINALIZER = 4
PICKLEFLAGS_PICKLE_CONTEXT = 8

_channel_ext.install(channel)
_tasklet_ext.install(tasklet)


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
    RuntimeError if no thread can be started, NotImplementedError in a
    subinterpreter.
    """
    from stackless import _slow_calls

    return _slow_calls.set_handler(seconds, callback)


def freeze(value, *, key=None, code="reference"):
    """freeze(value, *, key=None, code="reference") -- a program as bytes.

    value: a suspended tasklet, or anything that holds such: channels,
    generators, what pickle knows.  All that it needs goes along; what is
    shared inside it stays shared.
    key: bytes, at least 16 of them, or a pair (key id, bytes): the data are
    signed with it (HMAC-SHA-256, RFC 2104), header and all.  None: not.
    code: "reference": code is found again by importing its module, and must
    be the same then; "value": the code of the frames goes along.

    The tasklet is left as it is.  The bytes can be thawed by a Python of the
    same minor version, in another process too.

    Raises FreezeError for what cannot be frozen, TypeError or ValueError for
    a bad key or code.
    """
    from stackless._freezing import freezing

    return freezing.freeze(value, key, code)


def thaw(data, *, key=None, find_class=None, max_size=None):
    """thaw(data, *, key=None, find_class=None, max_size=None)

    What freeze() was given, anew: tasklets belong to the calling thread and
    are paused, or wait for their channel.

    data: bytes, or what has a buffer of bytes.
    key: bytes, a pair (key id, bytes) or a mapping of key ids to bytes: data
    that are not signed with it raise UnverifiedFrozenError before anything of
    them is used.  None: whoever made the data can have any code run here, as
    with pickle.
    find_class: is called with module and name (str) of each global that the
    data refer to; returns it or raises.
    max_size: of the data, in bytes.

    Raises ThawError: DamagedFrozenError, UnverifiedFrozenError,
    IncompatibleFrozenError for another version of Python, ChangedCodeError
    for functions that are not what they were.  TypeError or ValueError for a
    bad key.
    """
    from stackless._freezing import freezing

    return freezing.thaw(data, key, find_class, max_size)


def inspect_frozen(data, *, key=None):
    """inspect_frozen(data, *, key=None) -- what frozen data say of themselves.

    A dict, made without unpickling anything: "python", "magic", "byteorder",
    "implementation" and "stackless" (versions), "name" and "reason" of a
    tasklet (str or None), "stack": its frames as (file, line, qualname,
    digest of the code), "verified" (bool), "key_id" (str or None), "size"
    (int, bytes).  Not verified, all of it may be a lie.

    data, key and errors are as for thaw().
    """
    from stackless._freezing import freezing

    return freezing.inspect_frozen(data, key)


def check_freezable(value):
    """check_freezable(value) -- None, or the FreezeError that freeze() raises.

    Nothing is kept of the attempt.
    """
    from stackless._freezing import freezing

    return freezing.check_freezable(value)


def __getattr__(name):
    """Classes that few programs need."""
    if name == "Pickler":
        from stackless._freezing import pickling as home
    elif name == "Unpickler":
        from stackless._freezing import unpickling as home
    elif name in __all__:
        from stackless._freezing import errors as home
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(home, name)


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

del _channel_ext, _tasklet_ext, _StacklessModule
