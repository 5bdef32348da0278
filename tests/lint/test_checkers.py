"""The checkers find what they are for, on trees made for it."""

import pathlib
import shutil
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
CORE = "src/stackless/_core/"
SPDX = "/* SPDX-License-Identifier: PSF-2.0 */\n"


def faults(tmp_path, tool, files):
    """What the checker prints about a tree of these files."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, str(TOOLS / tool), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == bool(done.stdout), done.stderr
    return done.stdout


def function(length, above=""):
    lines = ["    f();"] * (length - 3)
    return (
        SPDX + above + "int\nlong_one(void)\n{\n" + "\n".join(lines) + "\n}\n"
    )


@pytest.mark.parametrize(
    "name, line, word",
    [
        ("base/a.h", '#include "../core/task.h"', "layer 0"),
        ("core/a.c", '#include "../types/tasklet_type.h"', "layer 3"),
        ("core/a.c", '#include "types/tasklet_type.h"', "layer 3"),
        ("core/a.c", '#include "../cstack/cstack.h"', "carrier"),
        ("compat/a.c", '#include "../cstack/cstack.h"', "meet"),
        ("cstack/a.c", '#include "../compat/compat.h"', "meet"),
        ("cstack/a.c", "#include <Python.h>", "no Python"),
        ("core/a.c", '#include "compat/compat_313.h"', "version"),
        ("core/a.c", '#include "internal/pycore_frame.h"', "insides"),
        ("core/a.c", "#if PY_VERSION_HEX > 3", "insides"),
        ("core/a.c", "#ifdef __linux__", "platforms"),
        ("wait/timer.c", '#include "channel.h"', "wait/"),
        ("types/a.c", "#include <Python.h>", "slp_python.h"),
        ("nowhere/a.c", "int x;", "in no room"),
    ],
)
def test_layers_refuse(tmp_path, name, line, word):
    targets = [
        "core/task.h", "types/tasklet_type.h", "cstack/cstack.h",
        "compat/compat.h", "compat/compat_313.h", "wait/channel.h",
    ]  # fmt: skip
    files = {CORE + target: SPDX for target in targets}
    files[CORE + name] = line + "\n"
    report = faults(tmp_path, "check_layers.py", files)
    assert word in report and len(report.splitlines()) <= 2


@pytest.mark.parametrize(
    "name, line",
    [
        ("carrier.c", '#include "cstack/cstack.h"'),
        ("core/a.c", '#include "../compat/compat.h"'),
        ("core/a.c", "/* not __linux__, not PY_VERSION_HEX */"),
        ("compat/a.c", "#if PY_VERSION_HEX > 3"),
        ("compat/compat.h", '#include "compat_313.h"'),
        ("cstack/a.c", "#ifdef __linux__"),
        ("wait/channel.c", '#include "timer.h"'),
        ("wait/netpoll_epoll.c", '#include "netpoll.h"'),
        ("module.c", '#include "types/tasklet_type.h"'),
    ],
)
def test_layers_allow(tmp_path, name, line):
    targets = [
        "types/tasklet_type.h", "cstack/cstack.h", "compat/compat.h",
        "compat/compat_313.h", "wait/timer.h", "wait/netpoll.h",
    ]  # fmt: skip
    files = {CORE + target: SPDX for target in targets}
    files[CORE + name] = line + "\n"
    assert faults(tmp_path, "check_layers.py", files) == ""


def test_layers_read_python_too(tmp_path):
    files = {
        "src/stackless/__init__.py": "from stackless import _core\n",
        "src/stackless/io/socket.py": "from .._core import tasklet\n",
    }
    report = faults(tmp_path, "check_layers.py", files)
    assert "socket.py:1" in report and len(report.splitlines()) == 1


def test_function_length(tmp_path):
    report = faults(
        tmp_path, "check_functions.py", {CORE + "a.c": function(61)}
    )
    assert "a.c:3: long_one() has 61 lines" in report


@pytest.mark.parametrize(
    "text",
    [
        function(60),
        function(70, "/* Long: one case per opcode. */\n"),
        function(70, "/* The contract.\n   Long: a table. */\n"),
    ],
)
def test_function_length_is_fine(tmp_path, text):
    assert faults(tmp_path, "check_functions.py", {CORE + "a.c": text}) == ""


def test_reason_belongs_to_one_function(tmp_path):
    text = function(10, "/* Long: no. */\n") + "\n" + function(70)
    report = faults(tmp_path, "check_functions.py", {CORE + "a.c": text})
    assert "70 lines" in report


def test_file_length(tmp_path):
    report = faults(
        tmp_path, "check_functions.py", {CORE + "a.c": "\n" * 1001}
    )
    assert "1001 lines" in report


def body(*lines):
    inside = "".join(f"    {line}\n" for line in lines)
    return SPDX + "static int\nf(void)\n{\n" + inside + "}\n"


@pytest.mark.parametrize(
    "text, word",
    [
        ("int x;\n", "SPDX"),
        (body("Py_DECREF(self->value);"), "Py_CLEAR"),
        (body("if (PyErr_Occurred()) {", "}"), "control flow"),
        (body('sprintf(p, "x");'), "bounded"),
        (SPDX + "static PyObject *cache;\n", "global"),
        (SPDX + "static PyTypeObject type = {0};\n", "global"),
        (body('Py_EnterRecursiveCall("");', "return 0;"), "Leave"),
        (
            body(
                "Py_BEGIN_ALLOW_THREADS", "return 1;", "Py_END_ALLOW_THREADS"
            ),
            "without the thread state",
        ),
        (SPDX + "/* TO" "DO: more */\n", "issue list"),
        (SPDX + "/* see /ro" "ot/notes */\n", "absolute path"),
    ],
)
def test_mistakes_are_found(tmp_path, text, word):
    report = faults(tmp_path, "check_mistakes.py", {CORE + "a.c": text})
    assert word in report and len(report.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        body("Py_DECREF(self->value); /* checked: never set again */"),
        body("if (n == -1 && PyErr_Occurred()) {", "}"),
        body("assert(!PyErr_Occurred());"),
        body("Py_BEGIN_ALLOW_THREADS", "Py_END_ALLOW_THREADS", "return 1;"),
        body("/* sprintf(p) */"),
    ],
)
def test_mistakes_let_through(tmp_path, text):
    assert faults(tmp_path, "check_mistakes.py", {CORE + "a.c": text}) == ""


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize(
    "subject, fits",
    [
        ("core: Add the run queue.", True),
        ("cstack, carrier: Say why.", True),
        ("core: no capital.", False),
        ("core: No full stop", False),
        ("Add the run queue.", False),
        (
            "core: " + "A long one" * 7 + ".",
            False,
        ),
    ],
)
def test_commit_subjects(tmp_path, subject, fits):
    me = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    git = ["git", *me, "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run(
        [*git, "commit", "-q", "--allow-empty", "-m", subject], check=True
    )
    command = [sys.executable, str(TOOLS / "check_commits.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode == 0) is fits, done.stdout


REFUSED = (
    "refused: this stackless was built for CPython 3.13.0 and cannot be used "
    "with the running CPython 3.13.18: thread_state.size is 312, and was 304."
    "  stackless works on private structures.\n"
)


@pytest.mark.parametrize(
    "status, out, err, fine",
    [
        (0, "works\n", "", True),
        (0, REFUSED, "", True),
        (0, "refused: No module named 'stackless._core'\n", "", True),
        (0, "refused: undefined symbol: _PyEval_Something\n", "", False),
        (0, "works\n", "Fatal Python error", False),
        (1, "", "Traceback", False),
        (-11, "works\n", "", False),
    ],
)
def test_loading_on_another_patch_release(
    monkeypatch, status, out, err, fine
):
    monkeypatch.syspath_prepend(str(TOOLS))
    import check_patches

    assert check_patches.judge(status, out, err)[1] is fine
