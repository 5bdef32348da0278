"""docs/cpython-bugs.md says what is so: its programs fail where it says so,
and end well where it says so."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cpython-bugs.md").read_text("utf-8")
ROWS = re.findall(r"^\| \[\w+\.py\]\((\S+)\)[^|]* \|.*\| ([^|]*) \| ([^|]*) \|$",
                  PAGE, re.M)
HERE = "%d.%d.%d" % sys.version_info[:3]
if hasattr(sys, "gettotalrefcount"):
    HERE += "-dbg"

pytestmark = pytest.mark.noleak


def test_page_names_every_program():
    named = set(re.findall(r"\]\((cpython-bugs/\w+\.py)\)", PAGE))
    there = {path.relative_to(DOCS).as_posix()
             for path in (DOCS / "cpython-bugs").glob("*.py")}
    assert named == there
    assert len(ROWS) == len(named) - 5  # those do not show in every run


@pytest.mark.parametrize("program, shows, not_on", ROWS, ids=lambda text:
                         text.partition("/")[2])
def test_bug_shows_where_the_page_says_so(program, shows, not_on):
    shows, not_on = shows.split(", "), not_on.split(", ")
    if HERE not in shows + not_on:
        pytest.skip(f"the page says nothing of {HERE}")
    if "no_memory" in program and not importlib.util.find_spec("_testcapi"):
        pytest.skip("no _testcapi")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(DOCS / program)],
        capture_output=True, text=True, timeout=50,
        env=dict(os.environ, PYTHON_JIT="01"["_jit" in program]))
    assert bool(done.returncode) == (HERE in shows), done.stderr
