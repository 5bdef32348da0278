"""stackless_api.h: compiles on its own, as C and as C++, without a warning.

A tiny extension is built with the interpreter's own headers, once by each
compiler, and used.
"""

import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "src/stackless/_core/include"

SOURCE = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "stackless_api.h"

static PyObject *
add(PyObject *, PyObject *args)
{
    PyObject *channel, *a, *sum = NULL;
    if (!PyArg_ParseTuple(args, "OO", &channel, &a)) {
        return NULL;
    }
    if (!PyChannel_Check(channel)) {
        PyErr_SetString(PyExc_TypeError, "a channel is required");
        return NULL;
    }
    PyObject *b = PyChannel_Receive((PyChannelObject *)channel);
    if (b != NULL) {
        sum = PyNumber_Add(a, b);
        Py_DECREF(b);
    }
    return sum;
}

static PyMethodDef methods[] = {
    {"add", add, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, "NAME", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_NAME(void);
PyMODINIT_FUNC
PyInit_NAME(void)
{
    return PyStackless_Import() < 0 ? NULL : PyModule_Create(&def);
}
"""

# An old source may come with C90's rules but for declarations after
# statements, which Python's own headers need.
LANGUAGES = {
    "c11": ("cc", "c", "-std=c11"),
    "c17": ("cc", "c", "-std=c17"),
    "c++11": ("c++", "cc", "-std=c++11"),
    "c++17": ("c++", "cc", "-std=c++17"),
}

PROGRAM = """
import {name}, stackless
channel = stackless.channel()
results = []
stackless.tasklet(lambda: results.append({name}.add(channel, 40)))()
stackless.run()
channel.send(2)
stackless.run()
print(results)
"""


def compiler(kind):
    variable = "CC" if kind == "cc" else "CXX"
    name = shlex.split(sysconfig.get_config_var(variable) or kind)[0]
    return shutil.which(name) or shutil.which(kind)


pytestmark = pytest.mark.noleak  # compiles, and runs in a subprocess


@pytest.mark.parametrize("language", LANGUAGES)
def test_header_and_extension(tmp_path, language):
    kind, suffix, standard = LANGUAGES[language]
    include = pathlib.Path(sysconfig.get_path("include"))
    cc = compiler(kind)
    if cc is None or not (include / "Python.h").exists():
        pytest.skip("needs a compiler and Python's headers")
    name = "tiny_" + language.replace("+", "x")
    text = SOURCE.replace("NAME", name)
    if kind == "cc":
        text = text.replace("(PyObject *,", "(PyObject *Py_UNUSED(module),")
    source = tmp_path / f"tiny.{suffix}"
    source.write_text(text)
    target = tmp_path / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    command = [cc, standard, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += [f"-I{HEADER}", "-isystem", str(include)]
    command += ["-isystem", sysconfig.get_path("platinclude")]
    if "clang" not in pathlib.Path(cc).name:
        # Debian's debug headers are links to the others.
        command.append("-fno-canonical-system-headers")
    done = subprocess.run(
        [*command, str(source), "-o", str(target)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "[42]\n"), done.stderr


def test_a_newer_struct_is_asked_for(tmp_path):
    """An extension built for a later stackless is refused at import."""
    include = pathlib.Path(sysconfig.get_path("include"))
    cc = compiler("cc")
    if cc is None or not (include / "Python.h").exists():
        pytest.skip("needs a compiler and Python's headers")
    header = (HEADER / "stackless_api.h").read_text()
    later = header.replace(
        "} stackless_capi;", "    void (*another)(void);\n} stackless_capi;"
    )
    assert later != header
    (tmp_path / "stackless_api.h").write_text(later)
    text = SOURCE.replace("NAME", "later")
    text = text.replace("(PyObject *,", "(PyObject *Py_UNUSED(module),")
    (tmp_path / "later.c").write_text(text)
    target = tmp_path / ("later" + sysconfig.get_config_var("EXT_SUFFIX"))
    command = [cc, "-w", "-shared", "-fPIC", f"-I{tmp_path}", f"-I{include}"]
    if "clang" not in pathlib.Path(cc).name:
        command.append("-fno-canonical-system-headers")
    subprocess.run(
        [*command, str(tmp_path / "later.c"), "-o", str(target)], check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", "import later"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "ImportError: this extension needs a newer stackless" in done.stderr
