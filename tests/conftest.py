"""What holds for every test: forced-hard mode, time limit, a clean scheduler.

STACKLESS_TEST_HARD=1   every switch is forced hard; tests marked `soft` (they
                        assert softness itself) are skipped
STACKLESS_TEST_SLICE=1  every C stack that is left by a hard switch is sliced
STACKLESS_GATE=return   points are left by their gates only: read by the engine
STACKLESS_TEST_LEAKS=1  each test is repeated, and fails if references, memory
                        blocks or open files rise with every repetition
STACKLESS_TEST_TIMEOUT  seconds for one test (default 60); a test that needs
                        more says @pytest.mark.timeout(seconds)
"""

import array
import faulthandler
import gc
import os
import signal
import sys

import pytest
from _pytest.runner import runtestprotocol

HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")
SLICE = os.environ.get("STACKLESS_TEST_SLICE", "0") not in ("", "0")
LEAKS = os.environ.get("STACKLESS_TEST_LEAKS", "0") not in ("", "0")
TIMEOUT = float(os.environ.get("STACKLESS_TEST_TIMEOUT", "60"))

real_stderr = 2


def pytest_configure(config):
    global real_stderr
    config.addinivalue_line(
        "markers", "soft: asserts soft switching; skipped when forced hard"
    )
    config.addinivalue_line(
        "markers", "timeout(seconds): time limit of one test"
    )
    config.addinivalue_line(
        "markers",
        "noleak: not repeated by `make leaks`: keeps things on purpose",
    )
    if LEAKS:
        config.pluginmanager.register(LeakHunt())
    # A background job starts with Ctrl-C ignored, and so do its children.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Capturing is suspended now; later, descriptor 2 is pytest's own file.
    real_stderr = os.dup(2)


def pytest_unconfigure():
    faulthandler.cancel_dump_traceback_later()


def pytest_report_header():
    mode = "every switch forced hard" if HARD else "soft mode"
    if SLICE:
        mode += ", C stacks sliced at every hard switch"
    if os.environ.get("STACKLESS_GATE") == "return":
        mode += ", gates only"
    return "stackless: " + mode


def pytest_collection_modifyitems(items):
    for item in items:
        if HARD and item.get_closest_marker("soft"):
            item.add_marker(pytest.mark.skip(reason="asserts softness"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs ends the whole run, with every thread's traceback."""
    marker = item.get_closest_marker("timeout")
    seconds = max(TIMEOUT, marker.args[0] if marker else 0)
    if LEAKS:
        seconds *= 2 * (WARM_UP + MEASURED)
    faulthandler.dump_traceback_later(seconds, exit=True, file=real_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def clean_scheduler():
    """Each test finds the mode it runs in, and leaves nothing behind."""
    stackless = sys.modules.get("stackless")
    if stackless is None:
        yield
        return
    before = stackless.enable_softswitch(not HARD)
    if SLICE:
        stackless.set_c_stacks(limit=0)
    yield
    reset(stackless)
    kill_all(stackless)
    stackless.enable_softswitch(before)


def reset(stackless):
    """Take out what could stop a tasklet from being killed."""
    for name in ("schedule", "channel"):
        getattr(stackless, f"set_{name}_callback")(None)
    stackless.set_error_handler(None)
    level = stackless.switch_trap(0)
    stackless.switch_trap(-level)
    main = stackless.getcurrent()
    main.block_trap = False
    main.set_atomic(False)
    main.set_ignore_nesting(False)


def leftovers(stackless):
    main = stackless.getmain()
    return [
        tasklet
        for tasklet in list(stackless.all_tasklets())
        if tasklet is not main
        and tasklet.alive
        and tasklet.thread_id == main.thread_id
    ]


def kill_all(stackless):
    """Kill this thread's tasklets; one may catch it, a few times."""
    for _ in range(10):
        left = leftovers(stackless)
        if not left:
            return
        for tasklet in left:
            try:
                tasklet.kill()
            except BaseException as error:  # whatever it died of is its affair
                del error
        del tasklet
    for tasklet in left:
        tasklet.remove()


# --- leaks -------------------------------------------------------------------

WARM_UP, MEASURED = 3, 4

# CPython's cache of attributes keeps their names.
clear_caches = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
)


def census():
    """What a leak would raise: references (debug builds), blocks, files."""
    clear_caches()
    gc.collect()
    references = getattr(sys, "gettotalrefcount", int)()
    try:
        files = len(os.listdir("/proc/self/fd"))
    except OSError:
        files = 0
    return references, sys.getallocatedblocks(), files


class LeakHunt:
    """Plugin, under `make leaks`: run each test several times and compare.

    With set-up and tear-down: a test may rely on its fixtures being new.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        keeps = "tmp_path" in item.fixturenames  # something, for pytest's end
        if keeps or item.get_closest_marker("noleak"):
            return None
        place = {"nodeid": item.nodeid, "location": item.location}
        item.ihook.pytest_runtest_logstart(**place)
        for report in hunt(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(**place)
        return True


def hunt(item, nextitem):
    """The reports on the test; failed if something rose each time."""
    gc.collect()
    gc.freeze()  # collections look at the test's objects only
    try:
        for _ in range(2):  # caches fill up: a leak rises the second time too
            reports, rises = measure(item, nextitem)
            if not rises:
                return reports
    finally:
        gc.unfreeze()
    call = reports[1]
    call.outcome = "failed"
    call.longrepr = f"rising with each repetition: {rises}"
    return reports


def measure(item, nextitem):
    """Run the test again and again; return its reports and what rose."""
    # Arrays of machine integers, made before: the probe must not count itself.
    counts = [array.array("q", [0] * (MEASURED + 1)) for _ in range(3)]
    for index in range(-WARM_UP, MEASURED):
        reports = None
        item._initrequest()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not all(report.passed for report in reports):
            return reports, {}
        if index >= -1:
            for column, value in zip(counts, census()):
                column[index + 1] = value
    rises = {}
    for what, column in zip(("references", "blocks", "files"), counts):
        steps = [b - a for a, b in zip(column, column[1:])]
        if min(steps) > 0:
            rises[what] = steps
    return reports, rises
