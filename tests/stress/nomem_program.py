"""Refuse memory at each request for it that an operation makes, one by one.

    python tests/stress/nomem_program.py [OPERATION ...]

The operations are those of tests/operations.py.  Such an operation raises
MemoryError or does what it should, and all is sane afterwards.  What is not
so is printed as BAD; the exit status tells.
"""

import contextlib
import faulthandler
import os
import pathlib
import sys

import _testcapi

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import operations  # noqa: E402
import stackless  # noqa: E402

try:
    from stackless import _coretest
except ImportError:  # in tests of an installed stackless
    _coretest = None

SECONDS = 110
# An operation is through with when so many attempts in a row changed nothing.
UNDISTURBED = 50
MOST_ATTEMPTS = 500

VERSION = sys.version_info[:2]
DEBUG = hasattr(sys, "gettotalrefcount")  # a debug build of Python
# What CPython gets wrong without memory, and without stackless too.  It
#   crashes if there is none for a generator expression;
#   goes on with code that is half instrumented, if there is none for tracing;
#   loses an exception, if there is none for the frame object of a caller.
TRACING = {"set_trace_functions", "trace_tasklet", "profile_tasklet"}
UNWINDING = {
    "callbacks_that_fail",
    "collect_cycle_in_c",
    "collect_cycle_in_generator",
    "coroutine",
    "drop_in_c",
    "kill_in_c",
    "raise_exception",
    "switch_while_handling",
}
CRASHES = {"print_stacks"}
if DEBUG and VERSION < (3, 14):
    CRASHES |= UNWINDING
if DEBUG and VERSION >= (3, 13):
    CRASHES |= TRACING
if VERSION >= (3, 15):
    CRASHES |= {"trace", "trace_later", *TRACING}
LOST = [
    "Missing frame when calling",
    "error return without exception set",
    "returned NULL without setting an exception",
]

bad = 0
unraisable = None  # the last one


def report(name, number, *what):
    global bad
    bad += 1
    print("BAD", name, number, *what, flush=True)


def remember(hint):
    """An unraisable hook that needs no memory.

    Operations fail with KeyError on purpose.
    """
    global unraisable
    if hint.exc_type is not KeyError:
        unraisable = hint.exc_value


def attempt(name, number):
    """Run it with the request of this number refused.

    Returns what it raised, or None.
    """
    running = operations.OPERATIONS[name]()
    next(running)
    error = None
    try:
        _testcapi.set_nomemory(number, number + 1)
        try:
            next(running, None)
        finally:
            _testcapi.remove_mem_hooks()
    except BaseException as raised:
        error = raised.with_traceback(None)
    return error


def is_fault(error):
    """Whether an operation must not raise this for want of memory."""
    if isinstance(error, SystemError):
        return not any(lost in str(error) for lost in LOST)
    return error is not None and not isinstance(error, MemoryError)


def sane():
    stackless.schedule()
    operations.through_c(stackless.schedule)


def examine(name, number):
    """See that the scheduler works as ever."""
    if not stackless.getcurrent().is_main:
        report(name, number, "main is not current")
    operations.clean()
    tasklet = operations.started(sane)
    if tasklet.alive:
        report(name, number, "the next tasklet does not end")
    left = operations.alive()
    if left or stackless.getruncount() != 1:
        report(name, number, "left", left, stackless.getruncount())
    if _coretest:
        _coretest.check()


def attack(name):
    """Return the number of the last request whose refusal was noticed."""
    global unraisable
    last = 0
    for number in range(MOST_ATTEMPTS):
        error = attempt(name, number)
        if is_fault(error):
            report(name, number, "raised", repr(error))
        if is_fault(unraisable):
            report(name, number, "did not raise", repr(unraisable))
        if error or unraisable:
            last = number
        error = unraisable = None
        examine(name, number)
        if number - last > UNDISTURBED:
            break
    return last


def main():
    faulthandler.enable()
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    sys.unraisablehook = remember
    if os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0"):
        stackless.enable_softswitch(False)
    for name in sys.argv[1:] or operations.OPERATIONS:
        if name not in CRASHES:
            print(name, attack(name), flush=True)
    print("END", bad)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
