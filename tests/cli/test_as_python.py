"""Programs that know nothing of tasklets run as without us."""

import os

import pytest

pytestmark = pytest.mark.noleak

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


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
