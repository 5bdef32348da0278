"""A program that is frozen anywhere and thawed goes on as if nothing was.

Each program is run through once, which gives its outcome and its log; then it
is frozen at each of its points, and each copy must come to the same end.
"""

import gc
import os
import pickle
import subprocess
import sys

import freezing_awaits  # noqa: F401
import freezing_calls  # noqa: F401
import freezing_classes  # noqa: F401
import freezing_errors  # noqa: F401
import freezing_loops  # noqa: F401
import pytest
from freezing_support import (
    LOG,
    OUTCOME,
    PROGRAMS,
    WARNINGS,
    finish,
    freeze,
    freeze_all,
    go,
    relay,
    retire,
    start,
    thaw,
    whole,
)

HERE = os.path.dirname(os.path.abspath(__file__))
CHILD = os.path.join(HERE, "freezing_child.py")
VERSION = sys.version_info[:2]

# Asserts which points are soft.
pytestmark = [pytest.mark.soft, *map(pytest.mark.filterwarnings, WARNINGS)]

# Of the points of all programs once they are warm, those that can be frozen.
FROZEN = {
    (3, 11): 590,
    (3, 12): 590,
    (3, 13): 590,
    (3, 14): 600,
    (3, 15): 600,
}


def each_program(test):
    return pytest.mark.parametrize("name", list(PROGRAMS))(test)


@pytest.fixture(autouse=True)
def no_retired():
    yield
    retire()


@pytest.fixture(scope="module")
def expected():
    """The outcome and the log of each program."""
    return {name: whole(program) for name, program in PROGRAMS.items()}


@pytest.fixture(scope="module")
def warm(expected):
    for name, program in PROGRAMS.items():
        for _ in range(50):
            assert whole(program) == expected[name]


def check(name, expected, code="reference"):
    """Freeze it everywhere; the original and all copies do the same."""
    original, frozen = freeze_all(PROGRAMS[name], code)
    assert original == expected[name]
    check_copies(name, frozen, expected)


def check_copies(name, frozen, expected):
    for number, data in enumerate(frozen):
        if data is not None:
            assert (number, finish(thaw(data))) == (number, expected[name])


@each_program
def test_copies_when_run_once(name, expected):
    check(name, expected)


@each_program
def test_copies_when_warm(name, expected, warm):
    check(name, expected)
    check(name, expected, "value")


@each_program
def test_relay(name, expected):
    assert relay(PROGRAMS[name]) == expected[name]
    assert relay(PROGRAMS[name], "value") == expected[name]


@each_program
def test_copies_of_copies(name, expected):
    """They share nothing; one that has not run is frozen like the original."""
    _, frozen = freeze_all(PROGRAMS[name])
    for data in filter(None, frozen):
        copy, other = thaw(data), thaw(data)
        log = list(LOG)
        for one in (thaw(freeze(copy)), other, copy):
            LOG[:] = log
            OUTCOME.clear()
            assert finish(one) == expected[name]


# --- how many ----------------------------------------------------------------

def count_points():
    """(frozen, all) points."""
    frozen, all_points, hard = 0, 0, []
    for name, program in PROGRAMS.items():
        data = freeze_all(program)[1]
        frozen += sum(one is not None for one in data)
        all_points += len(data)
        if None in data:
            hard.append(f"{name} {data.count(None)}/{len(data)}")
    return frozen, all_points, hard


def test_warm_programs_are_soft(warm):
    frozen, all_points, hard = count_points()
    print(f"{frozen} of {all_points} frozen; not all of:", ", ".join(hard))
    assert frozen >= FROZEN[VERSION]


# --- tools -------------------------------------------------------------------

class Counter:
    """A tool that looks at everything, and counts."""

    events = 0

    def trace(self, frame, event, arg):
        self.events += 1
        return self.trace

    def monitor(self, *_):
        self.events += 1


def with_trace(counter):
    sys.settrace(counter.trace)
    return lambda: sys.settrace(None)


def with_profile(counter):
    sys.setprofile(counter.trace)
    return lambda: sys.setprofile(None)


def with_monitoring(counter):
    monitoring = sys.monitoring
    events = monitoring.events
    monitoring.use_tool_id(3, "freezing")
    watched = (
        "PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "CALL", "LINE",
        "INSTRUCTION", "JUMP", "RAISE", "PY_UNWIND", "C_RETURN", "C_RAISE",
    )  # fmt: skip
    for event in watched:
        monitoring.register_callback(
            3, getattr(events, event), counter.monitor
        )
    monitoring.set_events(
        3,
        sum(getattr(events, e) for e in watched if not e.startswith("C_")),
    )

    def stop():
        monitoring.set_events(3, 0)
        for event in watched:
            monitoring.register_callback(3, getattr(events, event), None)
        monitoring.free_tool_id(3)

    return stop


TOOLS = [with_trace, with_profile]
if VERSION >= (3, 12):
    TOOLS.append(with_monitoring)


@pytest.fixture(params=TOOLS, ids=lambda tool: tool.__name__)
def tool(request):
    """Call it to switch the tool on; what that returns switches it off."""
    before = sys.gettrace(), sys.getprofile()
    yield request.param
    assert (sys.gettrace(), sys.getprofile()) == before


def under(tool, function, *args):
    off = tool(Counter())
    try:
        return function(*args)
    finally:
        off()


def finish_all(frozen):
    return [finish(thaw(data)) for data in filter(None, frozen)]


@each_program
def test_tools(name, expected, tool):
    """All under it; only what freezes; only what thaws; between two points."""
    program, want = PROGRAMS[name], expected[name]
    _, frozen = freeze_all(program)
    original, watched = under(tool, freeze_all, program)
    assert original == want
    for data in (frozen, watched):
        results = under(tool, finish_all, data)
        assert results == [want] * len(results)
    check_copies(name, watched, expected)
    for data in filter(None, frozen):
        copy = thaw(data)
        under(tool, go, copy)
        assert finish(copy) == want


def test_tools_look(tool):
    """What the tests above switch on is on."""
    counter = Counter()
    off = tool(counter)
    try:
        relay(PROGRAMS["while_loop"])
    finally:
        off()
    assert counter.events


# --- another process ---------------------------------------------------------

@pytest.fixture(scope="module")
def child(expected, warm, tmp_path_factory):
    """(programs frozen there, {(name, code, number): came to what there})."""
    frozen = {}
    for code in ("reference", "value"):
        for name, program in PROGRAMS.items():
            try:
                data = freeze_all(program, code)[1]
            except Exception:  # told by the other tests
                continue
            for number, one in enumerate(data):
                if one is not None:
                    frozen[name, code, number] = one
    folder = tmp_path_factory.mktemp("frozen")
    source, target = folder / "source", folder / "target"
    source.write_bytes(pickle.dumps(list(frozen.values())))
    path = os.pathsep.join([HERE, *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, CHILD, source, target],
        env=dict(os.environ, PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cold, results = pickle.loads(target.read_bytes())
    return cold, dict(zip(frozen, results, strict=True))


@each_program
@pytest.mark.noleak
def test_another_process(name, expected, child):
    """From here to there, and from there, where all is cold, to here."""
    wrong = {
        key: result
        for key, result in child[1].items()
        if key[0] == name and result != expected[name]
    }
    assert not wrong, expected[name]
    assert type(child[0][name]) is tuple, child[0][name]
    original, frozen = child[0][name]
    assert original == expected[name]
    check_copies(name, frozen, expected)


# --- garbage, leaks ----------------------------------------------------------

@pytest.fixture(scope="module")
def small_heap(expected):
    """Collections do not look at all of pytest each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@each_program
def test_collections_at_any_time(name, expected, small_heap):
    """The collector looks at everything that is half made."""
    _, frozen = freeze_all(PROGRAMS[name])
    threshold = gc.get_threshold()
    for data in filter(None, frozen):
        gc.set_threshold(1)
        try:
            copy = thaw(data)
        finally:
            gc.set_threshold(*threshold)
        assert finish(copy) == expected[name]


# CPython's cache of attributes keeps their names.
clear_caches = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
)


@pytest.mark.noleak
@pytest.mark.timeout(240)
def test_nothing_leaks_blocks(small_heap):
    """A hundred rounds over each program leave nothing."""
    grown = {}
    for name, program in PROGRAMS.items():
        counts = []
        for rounds in (20, 50, 50):
            for _ in range(rounds):
                run_some(program)
            LOG.clear()
            OUTCOME.clear()
            clear_caches()
            gc.collect()
            counts.append(sys.getallocatedblocks())
        steps = [b - a for a, b in zip(counts, counts[1:])]
        if min(steps) > 25:
            grown[name] = steps
    assert not grown


def run_some(program):
    """Frozen and thawed at the first point that can be, and run there."""
    tasklet = start(program)
    data = freeze(tasklet)
    finish(tasklet)
    if data is not None:
        finish(thaw(data))
