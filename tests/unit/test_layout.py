"""compat_layout.c: an interpreter that it was not built for is refused.

The check is compiled into a small extension of its own that pretends to have
been built elsewhere, by the macros at the top of compat_layout.c.
"""

import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig
import textwrap

import pytest

CORE = pathlib.Path(__file__).resolve().parents[2] / "src/stackless/_core"
CC = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
CC = shutil.which(CC) or shutil.which("cc")
INCLUDE = sysconfig.get_path("include")
DEBUG = hasattr(sys, "gettotalrefcount")

PROBE = """
#include "compat/compat.h"
void slp_gc_unfinalize(PyObject *op) { (void)op; }
static PyObject *
check(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    if (slp_layout_check() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"check", check, METH_NOARGS, NULL},
                                {NULL, NULL, 0, NULL}};
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "probe", NULL, -1,
                                 methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_probe(void);
PyMODINIT_FUNC
PyInit_probe(void)
{
    return PyModule_Create(&def);
}
"""

pytestmark = [
    pytest.mark.skipif(
        CC is None or not pathlib.Path(INCLUDE, "Python.h").exists(),
        reason="needs a compiler and Python's headers",
    ),
    pytest.mark.noleak,  # compiles, and runs everything in a subprocess
]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(macro=value, ...) -> folder in which `probe` can be imported"""

    def build(**macros):
        folder = tmp_path_factory.mktemp("probe")
        (folder / "probe.c").write_text(PROBE)
        compat = CORE / "compat"
        command = [CC, "-std=c11", "-O1", "-shared", "-fPIC", "-w"]
        command += [f"-D{name}={value}" for name, value in macros.items()]
        command += ["-fvisibility=hidden", f"-I{CORE}", f"-I{INCLUDE}"]
        command += [f"-I{INCLUDE}/internal", str(folder / "probe.c")]
        command += [str(compat / f"compat_{s}.c") for s in ("layout", "frame")]
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        command += ["-o", str(folder / f"probe{suffix}")]
        subprocess.run(command, check=True)
        return folder

    return build


@pytest.fixture(scope="module")
def honest(build):
    return build()


def run(folder, code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


REFUSED = """
    import probe
    try:
        probe.check()
    except ImportError as e:
        print(e)
"""


def refusal(folder):
    return run(folder, REFUSED)


def test_the_interpreter_it_was_built_for_is_accepted(honest):
    assert refusal(honest) == ""


def test_another_minor_version_is_refused_with_both_versions(build):
    text = refusal(build(SLP_BUILT_VERSION="0x030A0CF0"))
    running = ".".join(map(str, sys.version_info[:3]))
    assert "built for CPython 3.10.12" in text
    assert f"the running CPython {running}" in text
    assert "another minor version" in text
    assert "--force-reinstall --no-binary stackless --no-cache-dir" in text


def test_a_prerelease_is_named_in_full(build):
    assert "CPython 3.10.0rc2" in refusal(build(SLP_BUILT_VERSION=0x030A00C2))


def test_another_patch_release_of_the_same_layout_is_accepted(build):
    assert refusal(build(SLP_BUILT_VERSION=sys.hexversion ^ 0x4000)) == ""


def test_debug_and_release_builds_do_not_mix(build):
    text = refusal(build(SLP_BUILT_DEBUG=int(not DEBUG)))
    assert ("it is a debug build" if DEBUG else "not a debug build") in text
    assert (" (debug)" in text) == (not DEBUG)


def test_moved_fields_are_refused_by_name(build):
    text = refusal(build(SLP_BUILT_SHIFT=8))
    if sys.version_info >= (3, 13):
        assert "thread_state.size is " in text and ", and was " in text
    else:
        assert "PyThreadState.id is not where it was" in text


@pytest.mark.parametrize(
    "setting",
    [
        "sys.settrace(lambda *args: None)",
        "sys.setprofile(lambda *args: None)",
        "sys.setrecursionlimit(5000)",
        "sys.set_coroutine_origin_tracking_depth(3)",
        "gc.disable()",
        "threading.Thread(target=print).start()",
    ],
)
def test_what_the_program_has_set_is_no_reason_to_refuse(honest, setting):
    code = f"""
        import gc, sys, threading, probe
        {setting}
        probe.check()
        depth = sys.get_coroutine_origin_tracking_depth()
        assert depth == ({setting!r}[-2] == "3") * 3
    """
    run(honest, code)


def test_the_check_leaves_no_trace(honest):
    code = """
        import contextvars, sys, threading, probe
        var = contextvars.ContextVar("var")
        var.set(1)

        def inside():
            try:
                1 / 0
            except ZeroDivisionError as e:
                probe.check()
                assert sys.exc_info()[1] is e
                yield
                probe.check()
                assert sys.exc_info()[1] is e
            outer = sys.exc_info()[1]
            assert isinstance(outer, KeyError)
            probe.check()
            assert sys.exc_info()[1] is outer
            yield

        try:
            raise KeyError
        except KeyError as e:
            for _ in inside():
                assert sys.exc_info()[1] is e
        assert sys.exc_info()[1] is None and var.get() == 1
        thread = threading.Thread(target=probe.check)
        thread.start()
        thread.join()
    """
    run(honest, code)


@pytest.mark.skipif(not DEBUG, reason="needs sys.gettotalrefcount")
def test_the_check_leaks_nothing(honest):
    code = """
        import gc, sys, probe
        rows = [0] * 6
        for i in range(6):
            for _ in range(200):
                probe.check()
            gc.collect()
            rows[i] = sys.gettotalrefcount()
        # Caches fill up slowly; a leak is one reference for each call.
        assert min(b - a for a, b in zip(rows, rows[1:])) < 100, rows
    """
    run(honest, code)
