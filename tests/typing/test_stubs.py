"""The stubs tell the truth, and are of use to somebody who checks types."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent

pytestmark = [pytest.mark.noleak, pytest.mark.timeout(300)]


def mypy(module, *arguments):
    """Run a program of mypy's, which finds the package where we found it."""
    pytest.importorskip("mypy")
    import stackless

    top = os.path.dirname(os.path.dirname(os.path.abspath(stackless.__file__)))
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
    if "site-packages" not in top:
        env["MYPYPATH"] = top
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], cwd=HERE,
        capture_output=True, encoding="utf-8", env=env, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stubs_agree_with_the_package():
    mypy("mypy.stubtest", "stackless",
         "--mypy-config-file", HERE / "stubtest.ini",
         "--allowlist", HERE / "stubtest_allow.txt")


def test_strict_program(tmp_path):
    mypy("mypy", "--strict", "--warn-unused-ignores", "--cache-dir", tmp_path,
         HERE / "cases.py")
