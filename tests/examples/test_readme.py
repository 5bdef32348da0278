"""The README's example runs and prints what the README says."""

import pathlib
import re

import pytest
from test_examples import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.noleak


def block(language):
    """The README's only code block in this language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)
    assert len(found) == 1
    return found[0]


def test_example(tmp_path):
    program = tmp_path / "readme.py"
    program.write_text(block("python"), encoding="utf-8")
    done = run(str(program), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == block("text")


def test_example_is_short():
    assert block("python").count("\n") <= 20


def test_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    commands = re.findall(r"^    make (\S+)$", README, re.M)
    assert commands == ["demo", "test"]
    named = set(re.findall(r"^\| `make ([a-z-]+)`", README, re.M))
    assert {"demo", "test", "build"} <= named <= targets
