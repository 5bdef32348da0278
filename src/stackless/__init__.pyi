"""Public names of the package; their types are in _core.pyi."""

from collections.abc import Callable
from traceback import StackSummary
from types import ModuleType
from typing import Final, TypeAlias

from _typeshed import SupportsWrite

from stackless._core import (
    all_tasklets as all_tasklets,
    atomic as atomic,
    bomb as bomb,
    call_on_new_stack as call_on_new_stack,
    cframe as cframe,
    channel as channel,
    cstack as cstack,
    enable_softswitch as enable_softswitch,
    get_channel_callback as get_channel_callback,
    get_schedule_callback as get_schedule_callback,
    get_stats as get_stats,
    get_thread_info as get_thread_info,
    getcurrent as getcurrent,
    getcurrentid as getcurrentid,
    getdebug as getdebug,
    getmain as getmain,
    getruncount as getruncount,
    getthreads as getthreads,
    getuncollectables as getuncollectables,
    pickle_flags as pickle_flags,
    pickle_flags_default as pickle_flags_default,
    preempt as preempt,
    run as run,
    schedule as schedule,
    schedule_remove as schedule_remove,
    set_c_stacks as set_c_stacks,
    set_channel_callback as set_channel_callback,
    set_error_handler as set_error_handler,
    set_schedule_callback as set_schedule_callback,
    switch_trap as switch_trap,
    tasklet as tasklet,
    test_cframe_nr as test_cframe_nr,
    test_outside as test_outside,
)

__version__: Final[str]

_SlowCallHandler: TypeAlias = Callable[[tasklet, StackSummary, float], object]

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

PICKLEFLAGS_PRESERVE_TRACING_STATE: Final = 1
PICKLEFLAGS_PRESERVE_AG_FINALIZER: Final = 2
PICKLEFLAGS_RESET_AG_FINALIZER: Final = 4
PICKLEFLAGS_PICKLE_CONTEXT: Final = 8

def print_stacks(file: SupportsWrite[str] | None = None) -> None: ...
def set_slow_call_handler(
    seconds: float | None, callback: _SlowCallHandler | None
) -> tuple[float | None, _SlowCallHandler | None]: ...

# Computed at each access.
current: tasklet
main: tasklet
runcount: int
threads: list[int]
debug: bool
uncollectables: list[tasklet]
pickle_with_tracing_state: bool

stackless: ModuleType
