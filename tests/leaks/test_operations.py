"""Every operation, repeated: references, blocks, maps, tasklets stay level."""

import ast
import ctypes
import gc
import pathlib
import sys

import operations
import pytest
import stackless

WARM_UP = 20  # caches fill, dicts grow
REPETITIONS = 20
ROUNDS = 3
# A round that leaks has this much more of something: one for each operation,
# less some noise.
LEAKY = {
    "references": REPETITIONS * 3 // 4,
    "watched": REPETITIONS * 3 // 4,
    "blocks": REPETITIONS * 3 // 4,
    "maps": REPETITIONS // 4,
    "tasklets": 1,
}

# Release builds do not count references; those to these objects are counted.
WATCHED = [
    stackless.getmain(),
    *vars(operations.support).values(),
    *vars(stackless).values(),
]


@pytest.fixture(autouse=True)
def nothing_else():
    """Collections look at the operations' objects only; no noise."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def unraisable_unseen(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", operations.nothing)


def repeat(operation, times):
    for _ in range(times):
        for _ in operation():
            pass
        operations.reset()
    operations.clean()


def count_maps():
    """Memory maps of the process, such as C stacks."""
    try:
        return pathlib.Path("/proc/self/maps").read_text().count("\n")
    except OSError:
        return 0


def census():
    operations.clear_caches()
    return {
        "references": getattr(sys, "gettotalrefcount", int)(),
        "watched": sum(map(sys.getrefcount, WATCHED)),
        "blocks": sys.getallocatedblocks(),
        "maps": count_maps(),
        "tasklets": len(stackless.all_tasklets()),
    }


def rises(operation):
    """What each round of repetitions has more of, and how much more."""
    repeat(operation, WARM_UP)
    counts = [census()]
    for _ in range(ROUNDS):
        repeat(operation, REPETITIONS)
        counts.append(census())
    found = {}
    for what, limit in LEAKY.items():
        steps = [b[what] - a[what] for a, b in zip(counts, counts[1:])]
        if min(steps) >= limit:
            found[what] = steps
    return found


@pytest.mark.noleak
@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_stays_level(name):
    assert not rises(operations.OPERATIONS[name])


# --- that these tests test ---------------------------------------------------


def leak_reference():
    yield
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(operations.VALUE))


def leak_object():
    yield
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(object()))


@pytest.mark.noleak
@pytest.mark.parametrize(
    "leak, what", [(leak_reference, "watched"), (leak_object, "blocks")]
)
def test_leak_is_found(leak, what):
    if not census()[what]:
        pytest.skip(f"{what} are not counted: Python uses malloc()")
    assert what in rises(leak)


def test_every_function_has_an_operation():
    """Attributes have: see operations.ATTRIBUTES."""
    used = {
        node.attr
        for path in pathlib.Path(operations.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    public = {
        name
        for name in stackless.__all__
        if not name.startswith("PICKLEFLAGS_") and name != "stackless"
    }
    for kind in (stackless.tasklet, stackless.channel):
        public |= {
            name
            for name in vars(kind)
            if not name.startswith("_")
            and name not in operations.ATTRIBUTES[kind]
        }
    assert public - used == set()
