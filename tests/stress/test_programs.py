"""Random and hostile programs, each in an interpreter of its own.

STACKLESS_STRESS_SECONDS=N spends N seconds on each family instead of one or
two runs; STACKLESS_STRESS_SEED sets the first seed.  To repeat one:

    python tests/stress/random_program.py SEED TASKLETS STEPS MODE
"""

import ast
import importlib.util
import os
import pathlib
import random
import subprocess
import sys
import time

import operations
import public_names
import pytest
import stackless

HERE = pathlib.Path(__file__).parent
SECONDS = float(os.environ.get("STACKLESS_STRESS_SECONDS", "0"))
SEED = int(os.environ.get("STACKLESS_STRESS_SEED", "1"))
LIMIT = max(120, float(os.environ.get("STACKLESS_TEST_TIMEOUT", "0")) + 10)

pytestmark = [
    pytest.mark.timeout(2 * LIMIT + SECONDS),
    pytest.mark.noleak,
]


def attack(program, *args):
    done = subprocess.run(
        [sys.executable, str(HERE / program), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    text = f"{program} {args}: {done.returncode}\n"
    text += done.stdout[-2000:] + done.stderr[-3000:]
    assert done.returncode == 0, text
    assert "BAD" not in done.stdout and "WRONG" not in done.stdout, text
    return done.stdout


def seeds(count):
    end = time.monotonic() + SECONDS
    seed = SEED
    while seed < SEED + count or time.monotonic() < end:
        yield seed
        seed += 1


SIZES = [(15, 20), (40, 30), (5, 60), (100, 10)]
MODES = ["soft", "notrace", "kill", "trace", "all", "noise", "cb"]


@pytest.mark.parametrize("mode", MODES)
def test_random_programs(mode):
    for seed in seeds(2):
        size = random.Random(seed).choice(SIZES)
        assert " ok " in attack("random_program.py", seed, *size, mode)


STORMS = ["raise", "interrupt", "switch", "spawn", "kill", "throw"]
STORMS += ["transfer", "run", "collect", "mix"]


@pytest.mark.parametrize("mode", STORMS)
def test_signals(mode):
    for seed in seeds(1):
        assert "ok" in attack("signal_program.py", mode, seed, 0.5)


def test_threads():
    for seed in seeds(1):
        assert "ok" in attack("thread_program.py", seed, 1.5)


def test_garbage():
    for seed in seeds(2):
        assert "ok" in attack("garbage_program.py", seed, 15)


@pytest.mark.parametrize("part", range(8))
def test_bad_input(part):
    """Each public name, as the stubs have it, with all that it may be given.

    A parameter of a kind that argument_cases.GOOD has no value for fails.
    """
    names = sorted(public_names.public())[part::8]
    assert "END {}" in attack("argument_program.py", "cases", *names)


def test_bad_input_at_random():
    for seed in seeds(2):
        done = attack("argument_program.py", "random", seed, 500)
        assert "END {}" in done


def test_stubs_have_every_public_name():
    """Nor are there names that only exist."""
    known = public_names.public()
    constants = {name for name in stackless.__all__ if name.isupper()}
    assert set(stackless.__all__) - constants == {
        each.name for each in known.values() if each.owner is None
    }
    for owner in ("tasklet", "channel", "bomb", "atomic", "cstack", "cframe"):
        there = vars(getattr(stackless, owner))
        members = {name for name in there if not name.startswith("__")}
        assert members == {
            each.name
            for each in known.values()
            if each.owner == owner and not each.name.startswith("__")
        }


# Operations use these without naming them.
BY_SYNTAX = {"__call__", "__iter__", "__next__", "__enter__", "__exit__"}


def test_operations_use_every_public_name():
    """So that test_no_memory() forgets none."""
    used = {
        node.attr
        for path in (HERE.parent / "operations").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    read = set().union(*operations.ATTRIBUTES.values())
    public = {each.name for each in public_names.public().values()}
    assert public - used - read == BY_SYNTAX | {"stackless"}


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="no _testcapi"
)
@pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount") and sys.version_info < (3, 14),
    reason="debug builds of CPython abort without memory",
)
@pytest.mark.skipif(
    sys.version_info[:2] == (3, 15) and sys._jit.is_enabled(),
    reason="3.15's JIT crashes without memory (docs/cpython-bugs.md)",
)
@pytest.mark.parametrize("group", ["freezing", "others"])
def test_no_memory(group):
    if group == "freezing" and sys.version_info[:2] in ((3, 12), (3, 13)):
        pytest.skip("CPython crashes when it makes a function without memory")
    if group == "freezing" and hasattr(sys, "gettotalrefcount"):
        pytest.skip("debug builds abort in comprehensions without memory")
    assert attack("nomem_program.py", f"--{group}").endswith("END 0\n")
