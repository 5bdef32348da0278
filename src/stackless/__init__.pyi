"""Public names of the package; their types are in _core.pyi."""

import pickle
from collections.abc import Callable, Mapping
from traceback import StackSummary
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias

from _pickle import _ReadableFileobj
from _typeshed import ReadableBuffer, SupportsWrite

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

PICKLEFLAGS_PRESERVE_TRACING_STATE: Final = 1
PICKLEFLAGS_PRESERVE_AG_FINALIZER: Final = 2
PICKLEFLAGS_RESET_AG_FINALIZER: Final = 4
PICKLEFLAGS_PICKLE_CONTEXT: Final = 8

def print_stacks(file: SupportsWrite[str] | None = None) -> None: ...
def set_slow_call_handler(
    seconds: float | None, callback: _SlowCallHandler | None
) -> tuple[float | None, _SlowCallHandler | None]: ...

_Key: TypeAlias = bytes | tuple[str, bytes]

class FreezeError(pickle.PicklingError):
    frame: tuple[str, str, int] | None
    variable: str | None
    path: str
    type: str | None
    def __init__(
        self,
        message: str,
        frame: tuple[str, str, int] | None = None,
        variable: str | None = None,
        path: str = "",
        type: str | None = None,
    ) -> None: ...

class ThawError(pickle.UnpicklingError):
    def __init__(self, *args: object) -> None: ...

class DamagedFrozenError(ThawError):
    def __init__(self, *args: object) -> None: ...

class UnverifiedFrozenError(ThawError):
    def __init__(self, *args: object) -> None: ...

class IncompatibleFrozenError(ThawError):
    def __init__(self, *args: object) -> None: ...

class ChangedCodeError(ThawError):
    changed: list[str]
    def __init__(self, changed: list[str]) -> None: ...

class Pickler(pickle.Pickler):
    def __init__(
        self,
        file: SupportsWrite[bytes],
        protocol: int | None = None,
        *,
        code: Literal["reference", "value"] = "reference",
    ) -> None: ...
    def dump(self, value: object) -> None: ...
    def reducer_override(self, value: object, /) -> Any: ...

class Unpickler(pickle.Unpickler):
    def __init__(
        self,
        file: _ReadableFileobj,
        *,
        find_class: Callable[[str, str], Any] | None = None,
    ) -> None: ...
    def find_class(self, module: str, name: str, /) -> Any: ...

def freeze(
    value: object,
    *,
    key: _Key | None = None,
    code: Literal["reference", "value"] = "reference",
) -> bytes: ...
def thaw(
    data: ReadableBuffer,
    *,
    key: _Key | Mapping[str, bytes] | None = None,
    find_class: Callable[[str, str], Any] | None = None,
    max_size: int | None = None,
) -> Any: ...
def inspect_frozen(
    data: ReadableBuffer, *, key: _Key | Mapping[str, bytes] | None = None
) -> dict[str, Any]: ...
def check_freezable(value: object) -> FreezeError | None: ...

# Computed at each access.
current: tasklet
main: tasklet
runcount: int
threads: list[int]
debug: bool
uncollectables: list[tasklet]
pickle_with_tracing_state: bool

stackless: ModuleType
