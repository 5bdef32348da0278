"""What the tests of this folder run their programs with."""

import os
import subprocess
import sys
import textwrap

import pytest

HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")


class Runner:
    """Runs programs in a folder of their own; keeps how the last one ended."""

    def __init__(self, folder):
        self.folder = folder / "cwd"
        self.folder.mkdir()
        path = [os.path.abspath(entry) for entry in sys.path if entry]
        if HARD:
            (folder / "sitecustomize.py").write_text(
                "import stackless; stackless.enable_softswitch(False)")
            path.insert(0, str(folder))
        self.env = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
        self.status, self.out, self.err = None, "", ""

    def write(self, name, source):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    def python(self, *arguments, stdin=""):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, cwd=self.folder,
                              encoding="utf-8", env=self.env, timeout=50,
                              input=stdin)
        self.status, self.out, self.err = (
            done.returncode, done.stdout, done.stderr)

    def cli(self, *arguments, python_options=()):
        self.python(*python_options, "-m", "stackless", *arguments)

    def program(self, source, *arguments, options=()):
        self.write("program.py", source)
        self.cli(*options, "program.py", *arguments)

    def same_as_python(self, source, status=0):
        """The program ends as it does without us; returns what it printed."""
        path = self.write("program.py", source)
        self.python(path)
        self.ends(status)
        expected = self.out, self.err
        self.cli(path)
        self.ends(status)
        assert (self.out, self.err) == expected
        return self.out

    def ends(self, status, out=None):
        """Assert how it ended, and what it printed."""
        assert self.status == status, f"{self.out}\n{self.err}"
        assert out is None or self.out == out, self.err


@pytest.fixture
def runner(tmp_path):
    return Runner(tmp_path.resolve())
