"""The engine under random operations: see chaos_program.py."""

import pathlib
import subprocess
import sys

import pytest

try:
    import stackless._coretest  # noqa: F401
except ImportError as error:
    pytest.skip(
        f"no stackless._coretest in this build: {error}",
        allow_module_level=True,
    )

PROGRAM = pathlib.Path(__file__).with_name("chaos_program.py")


@pytest.mark.noleak
@pytest.mark.parametrize("hard", [0, 1], ids=["soft", "hard"])
@pytest.mark.parametrize("seed", range(5))
def test_random_operations(seed, hard):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", PROGRAM, str(seed), str(hard), "0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[:3000]
