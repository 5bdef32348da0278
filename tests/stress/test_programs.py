"""Random and hostile programs, each in an interpreter of its own.

STACKLESS_STRESS_SECONDS=N spends N seconds on each family instead of one or
two runs; STACKLESS_STRESS_SEED sets the first seed.  To repeat one:

    python tests/stress/random_program.py SEED TASKLETS STEPS MODE
"""

import importlib.util
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).parent
SECONDS = float(os.environ.get("STACKLESS_STRESS_SECONDS", "0"))
SEED = int(os.environ.get("STACKLESS_STRESS_SEED", "1"))
LIMIT = 120

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


@pytest.mark.parametrize(
    "mode", ["raise", "switch", "spawn", "kill", "recv", "mix"]
)
def test_signals(mode):
    for seed in seeds(1):
        assert "ok" in attack("signal_program.py", mode, seed, 0.5)


def test_threads():
    for seed in seeds(1):
        assert "ok" in attack("thread_program.py", seed, 1.5)


def test_arguments():
    for seed in seeds(2):
        assert "ok" in attack("argument_program.py", seed, 150)


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="no _testcapi"
)
@pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount") and sys.version_info < (3, 14),
    reason="debug builds of CPython abort without memory",
)
def test_no_memory():
    assert attack("nomem_program.py").endswith("END 0\n")
