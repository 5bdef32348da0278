"""threads_program.py, for a moment each."""

import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("threads_program.py")

pytestmark = pytest.mark.noleak


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "command", ["sections 20000", "exchange 16 100 2", "messages 5000"]
)
def test_threads_together(command):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *command.split()],
        capture_output=True, text=True, timeout=120, env=os.environ,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("right\n")
