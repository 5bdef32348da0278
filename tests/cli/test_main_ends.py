"""How a program ends under python -m stackless, and what is left of main."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.noleak

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")

BLOCKED = """
import atexit, os, stackless, sys
channel = stackless.channel()
def wait(name, call):
    try:
        call(channel.receive)
    finally:
        print("finally", name, flush=True)
def through_c(function):
    list(map(lambda _: function(), [0]))
stackless.tasklet(wait)("soft", lambda function: function())
stackless.tasklet(wait)("hard", through_c)
stackless.run()
atexit.register(print, "at exit", flush=True)
def end():
    {}
"""
WAYS = {
    "return": ("pass", 0),
    "exit": ("sys.exit(3)", 3),
    "error": ("1 / 0", 1),
    "Py_Exit": ("import ctypes; ctypes.pythonapi.Py_Exit(5)", 5),
}


class TestEnd:
    """Others are blocked in Python and in C when the program ends."""

    CALLS = {
        "main": "end()",
        "main in C": "sorted([1], key=lambda _: end())",
        "main after a switch":
            "stackless.tasklet(through_c)(stackless.schedule)\n"
            "stackless.schedule()\nend()",
        "a tasklet": "stackless.tasklet(end)()\nstackless.run()",
        "a tasklet, main in C":
            "stackless.tasklet(end)()\nthrough_c(stackless.run)",
    }

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("way", WAYS)
    def test_finally_runs(self, runner, way, call):
        statement, status = WAYS[way]
        runner.program(BLOCKED.format(statement) + self.CALLS[call])
        runner.ends(status, "at exit\nfinally hard\nfinally soft\n")
        assert ("ZeroDivisionError" in runner.err) == (way == "error")
        assert bool(runner.err) == (way == "error")

    def test_at_once(self, runner):
        runner.program(BLOCKED.format("os._exit(6)") + "end()")
        runner.ends(6, "")

    @posix
    @pytest.mark.parametrize("way", ["return", "exit"])
    def test_in_a_forked_child(self, runner, way):
        statement, status = WAYS[way]
        runner.program(BLOCKED.format(statement) + """
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] >> 8 == {}
    print("parent", flush=True)
channel.send(None)
end()
""".format(status))
        runner.ends(status)
        assert sorted(runner.out.split("\n")) == sorted(
            ["", "parent", *["finally soft", "finally hard", "at exit"] * 2])

    @posix
    def test_in_a_child_forked_by_a_thread(self, runner):
        runner.program(BLOCKED.format("pass") + """
import threading
def fork():
    child = os.fork()
    if child:
        print("status", os.waitpid(child, 0)[1], flush=True)
    else:
        stackless.tasklet(print)("child", flush=True)
        stackless.run()
thread = threading.Thread(target=fork)
thread.start()
thread.join()
""")
        runner.ends(0)
        assert runner.out.startswith("child\n"), runner.out
        assert "status 0\n" in runner.out
        assert runner.out.endswith("at exit\nfinally hard\nfinally soft\n")

    def test_with_threads_alive(self, runner):
        runner.program("""\
            import stackless, sys, threading
            ready = threading.Event()
            def work(daemon):
                stackless.tasklet(stackless.channel().receive)()
                stackless.run()
                ready.set() if daemon else late.wait()
                threading.Event().wait() if daemon else say("thread ends")
            def say(text):
                sys.stdout.write(text + "\\n")
            late = threading.Event()
            threading.Thread(target=work, args=(True,), daemon=True).start()
            threading.Thread(target=work, args=(False,)).start()
            ready.wait()
            stackless.tasklet(late.set)()
            stackless.schedule()
            say("main ends")
            """)
        runner.ends(0)
        assert sorted(runner.out.split("\n")) == [
            "", "main ends", "thread ends"]

    @posix
    @pytest.mark.parametrize("waiting", [
        "while True: pass", "time.sleep(50)", "sorted([1], key=loop)",
        "while True: stackless.schedule()",
        "stackless.tasklet(loop)(); channel.receive()",
        "stackless.tasklet(loop)(); stackless.run()"])
    @pytest.mark.parametrize("caught", [False, True])
    def test_ctrl_c(self, runner, waiting, caught):
        path = runner.write("program.py", f"""\
            import stackless, sys, time
            channel = stackless.channel()
            def loop(_=None):
                while True: pass
            try:
                print("ready", flush=True)
                {waiting}
            except KeyboardInterrupt:
                if not {caught}: raise
                print("caught")
            """)
        with subprocess.Popen([sys.executable, "-m", "stackless", path],
                              env=runner.env, encoding="utf-8",
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            try:
                out, errors = process.communicate(timeout=50)
            finally:
                process.kill()
        if caught:
            assert (process.returncode, out) == (0, "caught\n"), errors
        else:
            assert process.returncode == -signal.SIGINT
            assert errors.endswith("\nKeyboardInterrupt\n"), errors
            assert "__main__.py" not in errors
