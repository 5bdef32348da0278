"""module.c: where the extension refuses to be loaded, and what it leaves."""

import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.noleak  # everything runs in subprocesses


def run(code):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


LOAD_AGAIN = """
import importlib.machinery, importlib.util, sys
def load_again():
    import stackless._core as core
    loader = importlib.machinery.ExtensionFileLoader(
        "stackless._core", core.__file__
    )
    spec = importlib.util.spec_from_loader("stackless._core", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
"""


def test_a_second_core_is_refused():
    out = run(
        LOAD_AGAIN
        + """
import stackless
try:
    load_again()
except ImportError as error:
    print(error)
channel = stackless.channel()
stackless.tasklet(channel.send)("still here")
print(channel.receive())
"""
    )
    first, second = out.splitlines()
    assert "already loaded" in first
    assert second == "still here"


def test_a_second_core_is_refused_in_another_thread_too():
    out = run(
        LOAD_AGAIN
        + """
import stackless, threading
def attempt():
    try:
        load_again()
    except ImportError as error:
        print(error)
worker = threading.Thread(target=attempt)
worker.start()
worker.join()
"""
    )
    assert "already loaded" in out


def test_a_package_that_was_forgotten_is_refused():
    """del sys.modules[...]: the first core is still in use."""
    out = run(
        """
        import sys, stackless
        keep = stackless
        for name in [n for n in sys.modules if n.startswith("stackless")]:
            del sys.modules[name]
        try:
            import stackless
        except ImportError as error:
            print(error)
        keep.tasklet(print)("still here")
        keep.run()
        """
    )
    assert "already loaded" in out and "still here" in out


def test_the_self_check_leaves_no_trace():
    out = run(
        """
        import stackless
        stats = stackless.get_stats()
        print(stats["soft_switches"], stats["hard_switches"],
              stats["tasklets"], stackless.getruncount(),
              stackless.getmain() is stackless.getcurrent())
        """
    )
    assert out == "0 0 1 1 True\n"


def test_soft_switching_is_possible_here():
    """On all interpreters that are supported; the self-check proves it."""
    out = run("import stackless; print(stackless.enable_softswitch(None))")
    assert out == "True\n"


@pytest.mark.parametrize(
    "before",
    [
        "import sys; sys.settrace(lambda *a: None)",
        "import sys; sys.setprofile(lambda *a: None)",
        "import tracemalloc; tracemalloc.start(5)",
        "import gc; gc.set_debug(0); gc.collect()",
        "import sys; sys.setrecursionlimit(200)",
    ],
)
def test_import_in_unusual_circumstances(before):
    out = run(
        before
        + """
import stackless
stackless.tasklet(print)("ran")
stackless.run()
import sys
sys.settrace(None)
sys.setprofile(None)
"""
    )
    assert out == "ran\n"


def test_tasklet_exit_is_shared_with_whoever_was_first():
    out = run(
        """
        import builtins
        class TaskletExit(SystemExit):
            pass
        builtins.TaskletExit = TaskletExit
        import stackless
        def f():
            try:
                stackless.schedule_remove()
            except TaskletExit:
                print("mine")
                raise
        t = stackless.tasklet(f)()
        t.run()
        t.kill()
        """
    )
    assert out == "mine\n"


def test_package_without_its_extension_says_so(tmp_path):
    """Or with one that has another Python's file name."""
    import stackless

    package = tmp_path / "stackless"
    package.mkdir()
    for path in pathlib.Path(stackless.__file__).parent.glob("*.py"):
        shutil.copy(path, package)
    done = subprocess.run(
        [sys.executable, "-c", "import stackless"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    last = done.stderr.splitlines()[-1]
    assert last == "ModuleNotFoundError: No module named 'stackless._core'"
