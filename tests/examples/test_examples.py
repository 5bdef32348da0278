"""Each example runs, ends well, and prints what it says it prints.

An example ends with a comment of what it prints.  In it, '...' stands for any
text within a line, and a line that is only '...' for at most one line: CPython
adds marks below the lines of some tracebacks.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MAX_LINES = 80
HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")
# They freeze or clone tasklets, which must be soft for that.
SOFT = ("game_tree", "move", "undo", "wizard")

pytestmark = pytest.mark.noleak


def run(*command, folder, timeout=50):
    """Run Python; when the suite forces every switch hard, there too."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    if HARD:
        (folder / "sitecustomize.py").write_text(
            "import stackless; stackless.enable_softswitch(False)")
        path.insert(0, str(folder))
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path),
               PYTHONIOENCODING="utf-8")
    return subprocess.run([sys.executable, *command], capture_output=True,
                          encoding="utf-8", env=env, timeout=timeout)


def expectation(text):
    """What an example says it prints, as (regular expression, text)."""
    _, mark, tail = text.partition("\n# Prints:\n")
    assert mark, "the example does not say what it prints"
    lines = []
    for line in tail.splitlines():
        assert line.startswith("#"), f"not a comment: {line!r}"
        lines.append(line.removeprefix("#     ") if line != "#" else "")
    pattern = "".join(
        r"(?:[^\n]*\n)?" if line == "..." else
        ".*".join(map(re.escape, line.split("..."))) + "\n"
        for line in lines
    )
    return pattern, "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path):
    if HARD and path.stem in SOFT:
        pytest.skip("it needs soft tasklets")
    text = path.read_text(encoding="utf-8")
    pattern, expected = expectation(text)
    done = run(str(path), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if not re.fullmatch(pattern, done.stdout):
        assert done.stdout == expected
    assert text.count("\n") <= MAX_LINES


def test_examples_are_there():
    assert len(EXAMPLES) >= 15


@pytest.mark.timeout(300)
@pytest.mark.parametrize("program", ["index", "market", "million"])
def test_demo(program, tmp_path):
    """The demo programs, a hundredth of their size."""
    main = ROOT / "examples" / "demo" / "main.py"
    done = run("-m", "stackless", str(main), "--small", program,
               folder=tmp_path, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "All checks passed" in done.stdout


@pytest.mark.timeout(300)
def test_benchmarks_run(tmp_path):
    """They do what they say they do; how fast is no test's business."""
    if HARD:
        pytest.skip("they check themselves that their switches are soft")
    results = tmp_path / "results.json"
    done = run(str(ROOT / "benchmarks" / "run.py"), "--quick",
               "--json", str(results), "--plots", str(tmp_path),
               folder=tmp_path, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results.exists()
