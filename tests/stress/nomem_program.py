"""Refuse memory at each request for it that an operation makes, one by one.

    python tests/stress/nomem_program.py [--freezing | --others | OPERATION ...]

The operations are those of tests/operations; --freezing are those on frozen
programs, --others the others.  Such an operation raises
MemoryError or does what it should; afterwards all works as ever, and nothing
has leaked.  What is not so is printed as BAD; the exit status tells.
STACKLESS_TEST_HARD=1 forces every switch hard.
"""

import array
import faulthandler
import gc
import os
import pathlib
import pickle
import sys

import _testcapi

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import operations  # noqa: E402
import stackless  # noqa: E402

try:
    from stackless import _coretest
except ImportError:  # a build for users
    _coretest = None

TIME_LIMIT = 110  # seconds
# An operation is done when so many refusals in a row have changed nothing.
UNDISTURBED = 100
MOST_REFUSALS = 500
WARM_UP, REPETITIONS = 3, 5

HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")
DEBUG = hasattr(sys, "gettotalrefcount")  # a debug build of Python
JIT = hasattr(sys, "_jit") and sys._jit.is_enabled()
VERSION = sys.version_info[:2]

# What CPython gets wrong without memory, and without stackless too.  It
#   crashes if there is none for a generator expression;
#   goes on with code that is half instrumented, if there is none for tracing;
#   loses an exception, if there is none for the frame object of a caller
#   (before 3.14; debug builds abort: the test is skipped there);
#   says that a global cannot be pickled, if there is none to look it up;
#   does not release the pickler's memory, what a, *b = c has taken from c,
#   what is read from a pickle and has no room on the list of such things,
#   and, with memory too, compiled code which is then traced.
#   (Frozen programs are made by Python code, which does all of these.)
TRACING = {"set_trace_functions", "trace_tasklet", "profile_tasklet"}
CRASHES = {"print_stacks"}
if DEBUG:
    CRASHES |= TRACING
if VERSION >= (3, 15):
    CRASHES |= {"trace", "trace_later", *TRACING}
FREEZING = {
    name
    for name, operation in operations.OPERATIONS.items()
    if operation.__module__ == operations.freezing.__name__
}
if VERSION in ((3, 12), (3, 13)):
    CRASHES |= FREEZING
LEAKS = {"no_pickles", *FREEZING}
if JIT:
    LEAKS |= {"trace", "trace_later", *TRACING}
LOST = ["Missing frame when calling"]
if VERSION < (3, 14):
    LOST += [
        "error return without exception set",
        "returned NULL without setting an exception",
    ]
if VERSION >= (3, 15):
    LOST.append("'DeprecationWarning'> returned a result with an exception")

NOT_FOUND = "Can't pickle "

bad = 0
unraisable = None  # the last one


def report(*what):
    global bad
    bad += 1
    print("BAD", *what, flush=True)


def remember(hint):
    """An unraisable hook that needs no memory.

    Operations fail with KeyError on purpose.
    """
    global unraisable
    if hint.exc_type is not KeyError:
        unraisable = hint.exc_value


def is_fault(error):
    """Whether an operation must not raise this for want of memory."""
    if isinstance(error, SystemError):
        return not any(lost in str(error) for lost in LOST)
    if isinstance(error, pickle.PicklingError):
        return not any(lost in str(error) for lost in [NOT_FOUND, *LOST])
    return error is not None and not isinstance(error, MemoryError)


def refuse(name, number):
    """Do the operation, with the request of this number refused.

    Returns whether that was noticed.
    """
    global unraisable
    raised = unraisable = None
    running = operations.OPERATIONS[name]()
    next(running)
    try:
        _testcapi.set_nomemory(number, number + 1)
        try:
            next(running, None)
        finally:
            _testcapi.remove_mem_hooks()
    except BaseException as error:
        raised = error
    if is_fault(raised):
        report(name, number, "raised", repr(raised))
    if is_fault(unraisable):
        report(name, number, "did not raise", repr(unraisable))
    noticed = raised is not None or unraisable is not None
    raised = unraisable = None
    return noticed


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


def census():
    operations.clear_caches()
    gc.collect()
    references = getattr(sys, "gettotalrefcount", int)()
    return references, sys.getallocatedblocks()


def repeat(name, number):
    """See that nothing leaks."""
    # Machine integers, made before: counting must not count itself.
    counts = [array.array("q", [0] * REPETITIONS) for _ in census()]
    for index in range(-WARM_UP, REPETITIONS):
        refuse(name, number)
        operations.clean()
        if index >= 0:
            for column, value in zip(counts, census()):
                column[index] = value
    for column in counts:
        steps = [b - a for a, b in zip(column, column[1:])]
        if min(steps) > 0:
            report(name, number, "leaks", steps)


def attack(name):
    """Return how many refusals were noticed."""
    count = undisturbed = 0
    for number in range(MOST_REFUSALS):
        noticed = refuse(name, number)
        examine(name, number)
        if noticed:
            count += 1
            undisturbed = 0
            if name not in LEAKS:
                repeat(name, number)
        else:
            undisturbed += 1
            if undisturbed == UNDISTURBED:
                break
    return count


def main():
    faulthandler.enable()
    faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
    sys.unraisablehook = remember
    stackless.enable_softswitch(not HARD)
    gc.collect()
    gc.freeze()  # collections look at the operations' objects only
    others = set(operations.OPERATIONS) - FREEZING
    groups = {"--freezing": FREEZING, "--others": others}
    names = sys.argv[1:] or list(operations.OPERATIONS)
    for name in sorted(groups[names[0]]) if names[0] in groups else names:
        if name not in CRASHES:
            print(name, attack(name), flush=True)
    print("END", bad)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
