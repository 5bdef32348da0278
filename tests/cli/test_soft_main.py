"""The main tasklet of python -m stackless: soft, and otherwise as ever."""

import importlib.util
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.noleak

GATES = os.environ.get("STACKLESS_GATE") == "return"
soft = pytest.mark.soft
posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")
monitoring = pytest.mark.skipif(sys.version_info < (3, 12),
                                reason="3.12 brought sys.monitoring")

# Each does ROUNDS switches from main, and as many back.
OPERATIONS = {
    "schedule": """
        stackless.tasklet(lambda: [schedule(None) for _ in rounds])()
        for _ in rounds:
            schedule(None)
        """,
    "send": """
        stackless.tasklet(lambda: [receive() for _ in rounds])()
        for number in rounds:
            channel.send(number)
        """,
    "receive": """
        def send():
            for number in rounds:
                channel.send(number)
        stackless.tasklet(send)()
        for number in rounds:
            assert receive() == number
        """,
    "run": """
        for _ in rounds:
            stackless.tasklet(int)()
            stackless.run()
        """,
    "tasklet.run": """
        for _ in rounds:
            stackless.tasklet(int)().run()
        """,
    "schedule_remove": """
        def insert():
            for _ in rounds:
                stackless.main.insert()
                schedule(None)
        stackless.tasklet(insert)()
        for _ in rounds:
            stackless.schedule_remove(None)
        """,
}
COUNT = """
import stackless
rounds = range(50)
channel = stackless.channel()
schedule, receive = stackless.schedule, channel.receive
def counters():
    stats = stackless.get_stats()
    return [stats[kind + "_switches"] for kind in ("soft", "quick", "hard")]
before = counters()
{}
print(*(now - then for now, then in zip(counters(), before)))
"""


def counted(runner, operation, *options):
    """How many switches of each kind the program made."""
    lines = [line[8:] for line in OPERATIONS[operation].splitlines()]
    runner.program(COUNT.format("\n".join(lines)), options=options)
    runner.ends(0)
    return map(int, runner.out.split())


class TestSwitches:
    @soft
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_of_main_are_soft(self, runner, operation):
        softly, quickly, hard = counted(runner, operation)
        assert hard == 0
        assert softly >= 50
        if not GATES and "run" not in operation:
            assert quickly >= 50

    @soft
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_of_main_are_hard_if_asked_for(self, runner, operation):
        _, _, hard = counted(runner, operation, "--hard-main")
        assert hard >= 50

    @soft
    def test_are_soft_anywhere_in_plain_python(self, runner):
        runner.program("""\
            import stackless
            def spin():
                while True:
                    stackless.schedule()
            stackless.tasklet(spin)()
            before = stackless.get_stats()["hard_switches"]
            def function(depth):
                return stackless.schedule(depth) if depth == 0 else (
                    function(depth - 1) + 1)
            assert function(100) == 100
            assert [stackless.schedule(n) for n in range(3)] == [0, 1, 2]
            try:
                1 / 0
            except ZeroDivisionError as error:
                stackless.schedule()
                assert error is not None
            print(stackless.get_stats()["hard_switches"] - before)
            raise SystemExit
            """)
        runner.ends(0, "0\n")

    def test_below_c_code_are_hard(self, runner):
        runner.program("""\
            import stackless
            log = []
            def spin():
                for number in range(5):
                    log.append(number)
                    stackless.schedule()
            stackless.tasklet(spin)()
            before = stackless.get_stats()["hard_switches"]
            class Body:
                value = stackless.schedule(7)
            assert Body.value == 7
            def generator():
                for number in 3, 1, 2:
                    stackless.schedule()
                    yield number
            print(sorted(generator(), key=stackless.schedule), log)
            assert stackless.get_stats()["hard_switches"] > before
            """)
        runner.ends(0, "[1, 2, 3] [0, 1, 2, 3, 4]\n")

    def test_in_a_module_that_main_imports(self, runner):
        runner.write("waits.py", """\
            import builtins
            value = builtins.channel.receive()
            """)
        runner.program("""\
            import builtins, stackless
            builtins.channel = stackless.channel()
            stackless.tasklet(channel.send)("sent")
            import waits
            print(waits.value)
            """)
        runner.ends(0, "sent\n")

    def test_forbidden_and_allowed_while_main_runs(self, runner):
        runner.program("""\
            import stackless
            log = []
            def spin():
                for number in range(6):
                    log.append(number)
                    stackless.schedule()
            stackless.tasklet(spin)()
            for allowed in False, True, False:
                stackless.enable_softswitch(allowed)
                stackless.schedule()
                stackless.schedule()
            print(log)
            """)
        runner.ends(0, "[0, 1, 2, 3, 4, 5]\n")


class TestAsPython:
    """Programs that do not know of tasklets do the same, word for word."""

    def test_names(self, runner):
        runner.same_as_python("""\
            from os.path import *
            import sys
            number: int = 1
            if number:
                other: str = "x"
            print(__name__, globals() is locals(), vars() is globals())
            print(join("a", "b"), __annotations__ if sys.version_info < (3, 14)
                  else __annotate__(1))
            exec("made = number + 1")
            print(made, eval("made"), [made for _ in "ab"])
            def function():
                global number
                number = 3
            function()
            del made
            print(number, "made" in globals(), sorted(
                name for name in globals() if not name.startswith("_")) != [])
            class Thing:
                value = number
                def method(self):
                    return __class__.__qualname__
            print(Thing().method(), Thing.__module__, Thing.value)
            print(list(number for number in range(3)), number)
            """)

    def test_there_is_no_frame_below(self, runner):
        runner.same_as_python("""\
            import inspect, sys, traceback, warnings
            print(sys._getframe().f_back, len(inspect.stack()))
            print([frame.name for frame in traceback.extract_stack()])
            def function():
                return sys._getframe(1).f_code.co_name
            print(function(), sys._getframe().f_code.co_name)
            warnings.warn("one", stacklevel=1)
            warnings.warn("two", stacklevel=2)
            """)

    ERRORS = {
        "error": "def f(n):\n    1 / n\nf(0)",
        "cause": "try:\n    {}[1]\nexcept KeyError as e:\n"
                 "    raise ValueError from e",
        "context": "try:\n    {}[1]\nexcept KeyError:\n    missing",
        "in a class body": "class Thing:\n    1 / 0",
        "in C": "sorted([1], key=lambda n: n / 0)",
        "in an import": "import broken",
        "group": "raise ExceptionGroup('several', [ValueError(1)])",
        "notes": "e = ValueError(1)\ne.add_note('note')\nraise e",
        "exit by assert": "assert 1 == 2, 'no'",
        "StopIteration": "next(iter(()))",
    }

    @pytest.mark.parametrize("what", ERRORS)
    def test_errors(self, runner, what):
        runner.write("broken.py", "x = 1 / 0\n")
        runner.same_as_python(self.ERRORS[what], 1)
        assert "Traceback" in runner.err

    @pytest.mark.parametrize("argument, status", [
        ("", 0), ("None", 0), ("7", 7), ("'text'", 1), ("(1, 2)", 1)])
    def test_exit(self, runner, argument, status):
        runner.same_as_python(f"""\
            import atexit, sys
            atexit.register(print, "at exit")
            try:
                sys.exit({argument})
            finally:
                print("finally")
            """, status)

    def test_recursion(self, runner):
        """Python code may go as deep, and C code ends in an error, too."""
        runner.same_as_python("""\
            import sys
            def down(n):
                try:
                    return down(n + 1)
                except RecursionError:
                    return n
            print(down(0))
            sys.setrecursionlimit(5000)
            print(down(0))
            sys.setrecursionlimit(100)
            print(down(0))
            """)

    def test_recursion_in_c(self, runner):
        runner.program("""\
            def down(n):
                return sorted([n], key=lambda n: down(n + 1))
            try:
                down(0)
            except RecursionError:
                print("too deep")
            print(sorted([2, 1]))
            """)
        runner.ends(0, "too deep\n[1, 2]\n")

    def test_lower_recursion_limit_at_the_end(self, runner):
        runner.same_as_python("""\
            import sys
            sys.setrecursionlimit(20)
            """)

    def test_end_of_the_namespace(self, runner):
        runner.same_as_python("""\
            class Noisy:
                def __init__(self, name):
                    self.name = name
                def __del__(self):
                    print("gone", self.name)
            kept = Noisy("kept")
            Noisy("dropped")
            print("end")
            """)

    def test_context_variables_at_exit(self, runner):
        runner.same_as_python("""\
            import atexit, contextvars
            variable = contextvars.ContextVar("variable", default=0)
            atexit.register(lambda: print(variable.get()))
            variable.set(5)
            print(variable.get())
            """)

    def test_exception_being_handled_at_the_end(self, runner):
        runner.same_as_python("""\
            import atexit, sys
            atexit.register(lambda: print(sys.exc_info()))
            try:
                1 / 0
            except ZeroDivisionError:
                print(sys.exc_info()[0])
            print(sys.exc_info()[0])
            """)

    def test_asyncio(self, runner):
        runner.same_as_python("""\
            import asyncio
            async def work(n):
                await asyncio.sleep(0)
                return n
            async def main():
                return await asyncio.gather(*map(work, range(3)))
            print(asyncio.run(main()), asyncio.run(main()))
            """)

    def test_threads(self, runner):
        runner.same_as_python("""\
            import threading
            def work():
                threading.main_thread().join(0.01)
                print("thread", threading.current_thread().name)
            print(threading.current_thread() is threading.main_thread())
            thread = threading.Thread(target=work, name="t")
            thread.start()
            print("main ends") if thread.join() is None else None
            threading.Thread(target=work, name="late").start()
            """)

    def test_processes(self, runner):
        runner.same_as_python("""\
            import multiprocessing
            def work(n):
                return n * n
            if __name__ == "__main__":
                context = multiprocessing.get_context("spawn")
                with context.Pool(1) as pool:
                    print(pool.map(work, range(3)))
            """)

    @posix
    def test_fork(self, runner):
        runner.same_as_python("""\
            import os, sys
            print("before", flush=True)
            child = os.fork()
            if child:
                print("status", os.waitpid(child, 0)[1] >> 8, flush=True)
            else:
                print("child", flush=True)
                sys.exit(3)
            """)

    def test_module_as_main(self, runner):
        runner.write("module.py", "import sys\nprint(__spec__.name)\n1 / 0")
        runner.python("-m", "module")
        lines = runner.err.splitlines()
        runner.cli("-m", "module")
        runner.ends(1, "module\n")
        # Python itself shows the frames of runpy, which we cut off.
        assert runner.err.splitlines()[1:] == lines[-len(
            runner.err.splitlines()) + 1:]

    def test_interactive_mode_after_it(self, runner):
        path = runner.write("program.py", "value = 6")
        runner.python("-i", "-m", "stackless", path,
                      stdin="print(value * 7)\n")
        assert runner.out == "42\n"


class TestTasklets:
    """Main among others."""

    def test_values_on_their_way(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def answer():
                while True:
                    channel.send(channel.receive() * 2)
            stackless.tasklet(answer)()
            def ask(n):
                channel.send(n)
                return channel.receive()
            print([ask(n) for n in range(3)], ask(1) + ask(2) * ask(3))
            """)
        runner.ends(0, "[0, 2, 4] 26\n")

    def test_error_of_a_tasklet_reaches_main(self, runner):
        runner.program("""\
            import stackless
            def fail():
                raise ValueError(stackless.main.blocked)
            for wait in stackless.run, stackless.channel().receive:
                stackless.tasklet(fail)()
                try:
                    wait()
                except ValueError as error:
                    print("caught", error)
            """)
        runner.ends(0, "caught False\ncaught True\n")

    def test_error_thrown_at_main(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def throw():
                stackless.main.throw(KeyError, 3)
                print("goes on")
            stackless.tasklet(throw)()
            try:
                channel.receive()
            except KeyError as error:
                print(repr(error), channel.balance)
            """)
        runner.ends(0, "KeyError(3) 0\ngoes on\n")

    def test_main_is_killed(self, runner):
        runner.program("""\
            import stackless
            stackless.tasklet(lambda: stackless.main.kill())()
            try:
                stackless.channel().receive()
            finally:
                print("finally")
            """)
        runner.ends(0, "finally\n")

    def test_deadlock(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def wait():
                channel.receive()
            stackless.tasklet(wait)()
            try:
                channel.receive()
            except RuntimeError as error:
                print(str(error).splitlines()[0])
            stackless.tasklet(int)()
            channel.receive()
            """)
        runner.ends(1)
        assert "Deadlock: the last runnable tasklet cannot" in runner.out
        assert "Deadlock: the main tasklet is receiving" in runner.err

    def test_main_is_not_rebound(self, runner):
        runner.program("""\
            import stackless
            def rebind():
                for args in (), (None,), (print, ("other",)):
                    try:
                        stackless.main.bind(*args)
                    except RuntimeError:
                        print("refused")
            stackless.tasklet(rebind)()
            stackless.run()
            print("main goes on")
            """)
        runner.ends(0, "refused\n" * 3 + "main goes on\n")

    def test_attributes_of_main(self, runner):
        runner.program("""\
            import stackless
            def look():
                main = stackless.main
                print(main.alive, main.is_main, main.is_current, main.paused,
                      main.frame.f_code.co_name, main.frame.f_back.f_back,
                      main.restorable, main.name)
            def wait():
                stackless.run()
            stackless.tasklet(look)()
            wait()
            main = stackless.current
            print(main is stackless.main, main.nesting_level, main.restorable,
                  main.recursion_depth, main.frame.f_code.co_name)
            """)
        runner.ends(0, "True True False True wait None False main\n"
                       "True 0 False 1 <module>\n")

    def test_contexts(self, runner):
        runner.program("""\
            import contextvars, stackless
            variable = contextvars.ContextVar("variable", default=0)
            variable.set(1)
            context = contextvars.copy_context()
            def change():
                variable.set(2)
            stackless.tasklet(change).set_context(context)().run()
            print(variable.get())
            stackless.tasklet(lambda: variable.set(3))().run()
            print(variable.get())
            def late():
                print(variable.get())
            stackless.tasklet(late)()
            variable.set(4)
            """)
        runner.ends(0, "1\n3\n4\n")

    def test_main_goes_on_on_another_c_stack(self, runner):
        """A tasklet keeps the one that main began on."""
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def through_c():
                print(list(map(lambda _: channel.receive(), [0, 1])))
            def work(n):
                stackless.tasklet(through_c)()
                stackless.run()
                return n + (work(n - 1) if n else 0)
            print(work(5), channel.balance)
            for number in range(6):
                channel.send(number)
            def late():
                for number in range(6, 12):
                    channel.send(number)
            stackless.tasklet(late)()
            print("main ends")
            """)
        runner.ends(0, "15 -6\nmain ends\n" + "".join(
            f"[{n}, {n + 6}]\n" for n in range(6)))

    @pytest.mark.parametrize("settings", ["idle=0", "limit=0", "limit=2",
                                          "idle=0, limit=0"])
    def test_c_stacks_are_few(self, runner, settings):
        runner.program(f"""\
            import stackless
            stackless.set_c_stacks({settings})
            channel = stackless.channel()
            def through_c(n):
                for _ in map(lambda _: channel.receive(), range(3)):
                    pass
            for n in range(10):
                stackless.tasklet(through_c)(n)
            stackless.run()
            def in_c(n):
                return sorted(range(10), key=lambda n: channel.send(n) or -n)
            print(in_c(0))
            for n in range(20):
                channel.send(n)
            print(channel.balance)
            """)
        runner.ends(0, f"{list(range(9, -1, -1))}\n0\n")

    def test_no_memory_for_a_c_stack(self, runner):
        pytest.importorskip("stackless._coretest")
        runner.write("program.py", """\
            import stackless
            stackless.tasklet(print)("tasklet")
            print(stackless.current is stackless.main)
            """)
        runner.python("-c", """if 1:
            import runpy, sys, stackless
            from stackless import _coretest
            stackless.set_c_stacks(idle=0)
            _coretest.fail_c_stacks_after(0)
            sys.argv = ["stackless", "-c", "print(6 * 7)"]
            runpy.run_module("stackless", run_name="__main__", alter_sys=True)
            """)
        runner.ends(0, "42\n")

    def test_within_itself(self, runner):
        runner.write("inner.py", """\
            import stackless
            stackless.tasklet(print)("inner tasklet")
            stackless.schedule()
            print("inner")
            """)
        runner.program("""\
            import runpy, stackless, sys
            sys.argv = ["stackless", "inner.py"]
            runpy.run_module("stackless", run_name="__main__", alter_sys=True)
            stackless.tasklet(print)("outer tasklet")
            stackless.schedule()
            print("outer")
            """)
        runner.ends(0, "inner tasklet\ninner\nouter tasklet\nouter\n")

    def test_started_in_a_tasklet_or_a_thread(self, runner):
        runner.write("inner.py", """\
            import stackless
            stackless.tasklet(print)("tasklet")
            stackless.schedule()
            print("inner", stackless.current is stackless.main)
            """)
        runner.python("-c", """if 1:
            import runpy, stackless, sys, threading
            def inner():
                sys.argv = ["stackless", "inner.py"]
                runpy.run_module("stackless", run_name="__main__")
            stackless.tasklet(inner)()
            stackless.run()
            thread = threading.Thread(target=inner)
            thread.start()
            thread.join()
            """)
        runner.ends(0, "tasklet\ninner False\ntasklet\ninner True\n")


class TestGarbage:
    def test_what_waiting_main_refers_to_is_seen(self, runner):
        runner.program("""\
            import gc, stackless, weakref
            class Thing: pass
            def cycle():
                thing = Thing()
                thing.itself = thing
                return thing
            channel = stackless.channel()
            def collect(number):
                gc.collect()
                print([thing() is not None for thing in things])
                channel.send(number)
            def wait(local, *rest):
                things.append(weakref.ref(local))
                kept = weakref.ref(cycle())
                number = channel.receive()
                return number, kept() is None, local is things[0]()
            things = []
            stackless.tasklet(collect)(1)
            print(wait(cycle(), [cycle()]))
            gc.collect()
            print([thing() is not None for thing in things])
            """)
        runner.ends(0, "[True]\n(1, True, True)\n[False]\n")

    def test_generator_that_main_waits_in(self, runner):
        runner.program("""\
            import gc, stackless
            channel = stackless.channel()
            def collect(number):
                gc.collect()
                channel.send(number)
            def generator():
                try:
                    yield channel.receive()
                    yield channel.receive()
                finally:
                    print("closed")
            for number in 1, 2:
                stackless.tasklet(collect)(number)
            for number in generator():
                print(number)
            """)
        runner.ends(0, "1\n2\nclosed\n")

    def test_destructor_that_switches_as_main_ends(self, runner):
        runner.program("""\
            import stackless
            class Noisy:
                def __del__(self):
                    stackless.schedule()
                    print("destructor")
            def function():
                noisy = Noisy()
                raise ValueError
            stackless.tasklet(print)("tasklet")
            try:
                function()
            except ValueError:
                print("caught")
            noisy = Noisy()
            del noisy
            print("end")
            """)
        runner.ends(0, "caught\ntasklet\ndestructor\ndestructor\nend\n")


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


class TestTools:
    """They are main's, before it began, while it runs and when it has ended."""

    TRACED = """\
        import sys
        log, place = [], __file__
        def trace(frame, event, arg):
            if frame.f_code.co_filename == place:
                log.append((event, frame.f_code.co_name,
                            frame.f_lineno - line))
            return trace
        def function(n):
            schedule(None)
            return n + 1
        import atexit
        {schedule}
        @atexit.register
        def at_exit():
            sys.{setter}(None)
            print(*log, sep="\\n")
        def other():
            for _ in range(3):
                schedule(None)
        {start}
        line = sys._getframe().f_lineno
        sys.{setter}(trace)
        sys._getframe().f_trace = trace
        print(function(1))
        try:
            1 / 0
        except ZeroDivisionError:
            function(2)
        x = [function(n) for n in range(2)]
        """

    @pytest.mark.parametrize("setter", ["settrace", "setprofile"])
    def test_set_by_the_program(self, runner, setter):
        """The same events, whether schedule() switches or does nothing."""
        path = runner.write("program.py", self.TRACED.format(
            setter=setter, schedule="schedule = str", start="pass"))
        runner.python(path)
        runner.ends(0)
        expected = [line for line in runner.out.splitlines()
                    if "c_call" not in line and "c_return" not in line]
        runner.write("program.py", self.TRACED.format(
            setter=setter, schedule="from stackless import schedule, tasklet",
            start="tasklet(other)()"))
        runner.cli(path)
        runner.ends(0)
        found = [line for line in runner.out.splitlines()
                 if "c_call" not in line and "c_return" not in line]
        assert found == expected
        assert len(found) > 10

    def test_set_before_main_begins(self, runner):
        runner.program("""\
            import stackless, sys
            before = sys.gettrace(), sys.getprofile()
            def other():
                print(sys.gettrace())
                stackless.schedule()
            stackless.tasklet(other)()
            stackless.schedule()
            print(before == (sys.gettrace(), sys.getprofile()), before[0])
            """)
        runner.python("-c", """if 1:
            import runpy, sys
            names = []
            class Trace:
                def __call__(self, frame, event, arg):
                    if frame.f_code.co_filename.endswith("program.py"):
                        names.append((event, frame.f_code.co_name))
                    return self
                def __repr__(self):
                    return "Trace"
            sys.argv = ["stackless", "program.py"]
            trace = Trace()
            sys.settrace(trace)
            sys.setprofile(lambda *args: None)
            runpy.run_module("stackless", run_name="__main__", alter_sys=True)
            print(sys.gettrace(), sys.getprofile() is not None)
            sys.settrace(None)
            sys.setprofile(None)
            print(names[0], names[-1], len(names))
            """)
        runner.ends(0, "None\nTrue Trace\nTrace True\n"
                       "('call', '<module>') ('return', '<module>') 8\n")

    def test_set_in_main_seen_after_it(self, runner):
        runner.program("""\
            import sys, stackless
            files = set()
            def trace(frame, event, arg):
                files.add(frame.f_code.co_name)
                return trace
            sys.settrace(trace)
            def late():
                print(sys.gettrace())
                sys.stdout.flush()
            stackless.tasklet(late)()
            import atexit
            atexit.register(lambda: print(sys.gettrace() is trace))
            """)
        runner.ends(0, "None\nTrue\n")

    @monitoring
    def test_monitoring_that_begins_in_main_sees_what_follows(self, runner):
        """Code that waits on the thread's own stack is instrumented, too."""
        runner.program("""\
            import atexit, stackless, sys
            monitoring, seen = sys.monitoring, set()
            monitoring.use_tool_id(4, "tool")
            def line(code, number):
                seen.add((code.co_filename.split("/")[-1], code.co_name))
            monitoring.register_callback(4, monitoring.events.LINE, line)
            def function():
                pass
            @atexit.register
            def report():
                monitoring.set_events(4, 0)
                print(*sorted(seen), sep="\\n")
            monitoring.set_events(4, monitoring.events.LINE)
            if len(sys.argv) > 1:
                stackless.tasklet(function)()
                stackless.schedule()
            else:
                function()
            """)
        expected = [("__main__.py", "main"), ("program.py", "<module>"),
                    ("program.py", "function")]
        for arguments in (), ("switch",):
            runner.cli("program.py", *arguments)
            runner.ends(0)
            found = runner.out.splitlines()
            assert set(map(repr, expected)) <= set(found), found
            assert not any("<stackless>" in line for line in found)

    @pytest.mark.parametrize("arguments", [
        ["-m", "cProfile", "-m", "stackless", "program.py"],
        ["-m", "stackless", "-m", "cProfile", "program.py"]])
    def test_cprofile(self, runner, arguments):
        runner.write("program.py", """\
            import stackless
            def function():
                stackless.schedule()
            stackless.tasklet(stackless.schedule)()
            for _ in range(7):
                function()
            """)
        runner.python(*arguments)
        runner.ends(0)
        (line,) = [line for line in runner.out.splitlines()
                   if "program.py:2(function)" in line]
        assert line.split()[0] == "7"

    @pytest.mark.parametrize("arguments", [
        ["-m", "pdb", "-m", "stackless", "program.py"],
        ["-m", "stackless", "-m", "pdb", "program.py"]])
    def test_pdb(self, runner, arguments):
        runner.write("program.py", """\
            import stackless
            def function(n):
                stackless.schedule()
                return n + 1
            stackless.tasklet(stackless.schedule)()
            print(function(1))
            """)
        runner.env["PYTHONSAFEPATH"] = ""
        place = runner.folder / "program.py"
        runner.python(*arguments, stdin=(
            f"break {place}:3\ncontinue\nnext\nreturn\nwhere\nnext\nnext\n"
            "continue\nquit\n"))
        stops = [line[3:] for line in runner.out.splitlines()
                 if line.startswith("-> ")]
        assert "stackless.schedule()" in stops, runner.out
        after = stops[stops.index("stackless.schedule()"):]
        assert after[1] == "return n + 1", runner.out
        assert after[2] == "return n + 1", runner.out

    @pytest.mark.skipif(importlib.util.find_spec("coverage") is None,
                        reason="no coverage here")
    @pytest.mark.parametrize("source, missing", [
        ("stackless.run()", "6"), ("1 / 0", "6")])
    def test_coverage(self, runner, source, missing):
        runner.write("program.py", f"""\
            import stackless
            def function(n):
                stackless.schedule()
                if n:
                    return n
                return 0
            stackless.tasklet(stackless.schedule)()
            function(1)
            {source}
            """)
        for name in list(runner.env):
            if name.startswith("COV"):
                del runner.env[name]
        runner.python("-m", "coverage", "run", "--include=program.py", "-m",
                      "stackless", "program.py")
        runner.python("-m", "coverage", "report", "--show-missing")
        runner.ends(0)
        line = runner.out.splitlines()[2].split()
        assert line[0] == "program.py" and line[-1] == missing, runner.out

    def test_faulthandler(self, runner):
        runner.program("""\
            import faulthandler, stackless
            def function():
                stackless.schedule()
                faulthandler.dump_traceback()
            stackless.tasklet(stackless.schedule)()
            function()
            """)
        runner.ends(0)
        places = [line.split()[-1] for line in runner.err.splitlines()
                  if "program.py" in line]
        assert places == ["function", "<module>"]
