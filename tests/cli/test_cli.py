"""python -m stackless: what it runs, until when, and how it ends."""

import os
import py_compile
import re
import signal
import subprocess
import sys
import zipfile

import pytest


pytestmark = pytest.mark.noleak

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


class TestWhatIsRun:
    """A program finds itself in the place that Python would give it."""

    SOURCE = """\
        import sys
        print(__name__, sys.argv, sys.path[0], __file__)
        print(sys.modules["__main__"].__dict__ is globals())
        print(__spec__ and __spec__.name, __package__)
        def here(): pass
        print(here.__module__)
        """

    def same_as_python(self, runner, *arguments):
        """Python, given the same arguments, prints the same."""
        runner.python(*arguments)
        expected = runner.out
        runner.ends(0)
        runner.cli(*arguments)
        runner.ends(0, expected)

    def test_program(self, runner):
        runner.write("program.py", self.SOURCE)
        self.same_as_python(runner, "program.py", "-x", "--stats", "y")

    def test_program_elsewhere(self, runner):
        path = runner.write("sub/program.py", self.SOURCE)
        self.same_as_python(runner, path)

    def test_program_by_a_link(self, runner):
        runner.write("sub/program.py", self.SOURCE)
        (runner.folder / "link.py").symlink_to("sub/program.py")
        self.same_as_python(runner, "link.py")

    def test_module(self, runner):
        runner.write("module.py", self.SOURCE)
        self.same_as_python(runner, "-m", "module", "-m", "x")

    def test_package(self, runner):
        runner.write("package/__init__.py", "")
        runner.write("package/__main__.py", self.SOURCE)
        self.same_as_python(runner, "-m", "package")

    def test_directory(self, runner):
        runner.write("folder/__main__.py", self.SOURCE)
        self.same_as_python(runner, "folder", "x")

    def test_zip_file(self, runner):
        path = runner.write("__main__.py", self.SOURCE)
        with zipfile.ZipFile(runner.folder / "program.zip", "w") as archive:
            archive.write(path, "__main__.py")
        path.unlink()
        self.same_as_python(runner, "program.zip", "x")

    def test_code(self, runner):
        self.same_as_python(
            runner, "-c", "import sys; print(sys.argv, sys.path[0], __name__)",
            "-c", "x")

    def test_bytecode(self, runner):
        path = runner.write("program.py", self.SOURCE)
        py_compile.compile(path, runner.folder / "program.pyc")
        path.unlink()
        self.same_as_python(runner, "program.pyc")

    def test_future_imports_are_not_inherited(self, runner):
        runner.program("def f(x: 1): pass\nprint(f.__annotations__)")
        runner.ends(0, "{'x': 1}\n")

    def test_safe_path(self, runner):
        runner.write("program.py", "import sys; print(sys.path)")
        runner.cli("program.py", python_options=["-P"])
        runner.ends(0)
        assert repr(str(runner.folder)) not in runner.out


class TestUntilWhen:
    def test_goes_on_until_no_tasklet_is_runnable(self, runner):
        runner.program("""\
            import stackless
            def count(name, rounds):
                for number in range(rounds):
                    print(name, number)
                    stackless.schedule()
                if rounds > 1:
                    stackless.tasklet(count)(name * 2, rounds - 1)
            stackless.tasklet(count)("a", 2)
            print("main ends")
            """)
        runner.ends(0, "main ends\na 0\na 1\naa 0\n")

    def test_goes_on_though_a_tasklet_wakes_main(self, runner):
        runner.program("""\
            import stackless
            def wake_main():
                stackless.main.run()
                print("still here")
            stackless.tasklet(wake_main)()
            """)
        runner.ends(0, "still here\n")

    def test_blocked_tasklets_do_not_keep_it(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def wait():
                channel.receive()
                print("never")
            stackless.tasklet(wait)()
            """)
        runner.ends(0, "")

    def test_main_module_is_there_to_the_end(self, runner):
        runner.program("""\
            import pickle, stackless
            class Thing: pass
            def late():
                import __main__
                copy = pickle.loads(pickle.dumps(Thing()))
                print(type(copy) is __main__.Thing)
            stackless.tasklet(late)()
            """)
        runner.ends(0, "True\n")

    def test_program_runs_in_the_main_tasklet(self, runner):
        runner.program("""\
            import stackless
            print(stackless.current is stackless.main, stackless.runcount)
            """)
        runner.ends(0, "True 1\n")


class TestExitStatus:
    """In main and in a tasklet alike."""

    def both(self, runner, statement, status):
        """Run the statement in main, then in a tasklet; return both stderr."""
        runner.program(f"import sys\n{statement}")
        runner.ends(status)
        in_main = runner.err
        runner.program("import stackless, sys\n"
                       f"def tasklet(): {statement}\n"
                       "stackless.tasklet(tasklet)()\n")
        runner.ends(status)
        return in_main, runner.err

    def test_exit_with_a_number(self, runner):
        assert self.both(runner, "sys.exit(3)", 3) == ("", "")

    def test_exit_without_a_number(self, runner):
        assert self.both(runner, "sys.exit()", 0) == ("", "")

    def test_exit_with_a_message(self, runner):
        printed = self.both(runner, "sys.exit('enough')", 1)
        assert printed == ("enough\n", "enough\n")

    def test_error(self, runner):
        for text in self.both(runner, "1/0", 1):
            assert text.startswith("Traceback (most recent call last):\n")
            assert "ZeroDivisionError: division by zero\n" in text

    def test_exit_ends_the_program_at_once(self, runner):
        runner.program("""\
            import stackless, sys
            def late():
                stackless.schedule()
                print("too late")
            stackless.tasklet(late)()
            stackless.tasklet(sys.exit)(4)
            """)
        runner.ends(4, "")

    def test_taskletexit_in_main(self, runner):
        runner.program("raise TaskletExit(5)")
        runner.ends(5)

    @posix
    def test_keyboard_interrupt(self, runner):
        for text in self.both(
                runner, "raise KeyboardInterrupt", -signal.SIGINT):
            assert "KeyboardInterrupt" in text

    @posix
    def test_ctrl_c(self, runner):
        for text in self.both(
                runner, "import os; os.kill(os.getpid(), 2)", -signal.SIGINT):
            assert "KeyboardInterrupt" in text

    @posix
    def test_ctrl_c_while_main_is_blocked(self, runner):
        path = runner.write("program.py", """\
            import stackless
            def spin():
                print("ready", flush=True)
                while True:
                    stackless.schedule()
            stackless.tasklet(spin)()
            stackless.channel().receive()
            """)
        with subprocess.Popen([sys.executable, "-m", "stackless", path],
                              env=runner.env, encoding="utf-8",
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            try:
                _, errors = process.communicate(timeout=50)
            finally:
                process.kill()
        assert process.returncode == -signal.SIGINT
        assert errors.endswith("\nKeyboardInterrupt\n"), errors

    def test_atexit(self, runner):
        runner.program("""\
            import atexit, stackless
            atexit.register(print, "at exit")
            stackless.tasklet(print)("tasklet")
            """)
        runner.ends(0, "tasklet\nat exit\n")


class TestMessages:
    def frames(self, runner):
        """The (file name, function) pairs of a traceback on stderr."""
        return [
            (os.path.basename(line.split('"')[1]), line.split()[-1])
            for line in runner.err.splitlines()
            if line.startswith('  File "') and " line " in line
        ]

    def test_traceback_of_main_does_not_show_us(self, runner):
        runner.program("def f():\n    1/0\nf()\n")
        runner.ends(1)
        assert self.frames(runner) == [
            ("program.py", "<module>"), ("program.py", "f")]

    def test_traceback_of_a_tasklet_does_not_show_us(self, runner):
        runner.program("""\
            import stackless
            def f():
                1/0
            stackless.tasklet(f)()
            """)
        runner.ends(1)
        assert self.frames(runner) == [("program.py", "f")]

    def test_syntax_error(self, runner):
        runner.program("def f(:\n")
        runner.ends(1)
        assert "Traceback" not in runner.err
        assert "SyntaxError" in runner.err

    def test_programs_own_excepthook(self, runner):
        runner.program("""\
            import sys, traceback
            def hook(kind, error, tb):
                names = [f.name for f in traceback.extract_tb(tb)]
                print(kind.__name__, names)
                print(sys.last_traceback is tb is error.__traceback__)
            sys.excepthook = hook
            1/0
            """)
        runner.ends(1, "ZeroDivisionError ['<module>']\nTrue\n")
        assert runner.err == ""

    def test_deadlock_prints_the_report(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def wait():
                channel.receive()
            stackless.tasklet(wait)().name = "Estragon"
            stackless.run()
            channel.receive()
            """)
        runner.ends(1)
        assert "RuntimeError" in runner.err
        assert "Deadlock" in runner.err
        assert "Estragon" in runner.err
        assert "program.py:4" in runner.err

    def test_print_stacks_shows_the_program_only(self, runner):
        runner.program("""\
            import stackless, sys
            channel = stackless.channel()
            def wait(operation, *args):
                operation(*args)
            def make(name, operation, *args):
                tasklet = stackless.tasklet(wait)(operation, *args)
                tasklet.name = name
                return tasklet
            make("receiver", channel.receive)
            paused = make("paused", stackless.schedule_remove, None)
            stackless.run()
            make("new", print)
            sender = make("sender", stackless.channel().send, 1)
            sender.run()
            def show():
                stackless.print_stacks(sys.stdout)
            show()
            stackless.getcurrent().kill()
            """)
        runner.ends(0)
        blocks = runner.out.split("tasklet '")[1:]
        assert len(blocks) == 5, runner.out
        stacks = {}
        for block in blocks:
            title, *lines = block.splitlines()
            assert "-m stackless" not in block and "runpy" not in block
            stacks[title.split("'")[0]] = (
                re.search(": ([a-z ]+?)(?: on | \\(|$)", title)[1],
                [line.split()[-1] for line in lines if "File" in line])
        assert stacks == {
            "main": ("current", ["<module>", "show"]),
            "receiver": ("blocked receiving", ["wait"]),
            "sender": ("blocked sending", ["wait"]),
            "paused": ("paused", ["wait"]),
            "new": ("runnable", []),
        }
        for name in set(stacks) - {"main"}:
            assert re.search(rf"'{name}' .* \(created at .*program.py:6\)",
                             runner.out)

    def test_stats(self, runner):
        runner.program("""\
            import atexit, stackless, sys
            atexit.register(print, "at exit", file=sys.stderr)
            stackless.tasklet(stackless.schedule)()
            """, options=["--stats"])
        runner.ends(0)
        assert re.fullmatch(
            r"at exit\nstackless:\n(  [a-z ]+ +[0-9,]+\n){6,}", runner.err)
        for label in "soft switches", "hard switches", "c stacks":
            assert f"  {label} " in runner.err

    def test_stats_after_an_error(self, runner):
        runner.program("1/0", options=["--stats"])
        runner.ends(1)
        assert re.match(r"(?s)Traceback.*ZeroDivisionError.*\nstackless:\n",
                        runner.err)

    @posix
    def test_stats_once_though_it_forks(self, runner):
        runner.program("""\
            import os, sys
            if os.fork() == 0:
                sys.exit()
            os.wait()
            """, options=["--stats"])
        runner.ends(0)
        assert runner.err.count("stackless:") == 1

    def test_no_such_program(self, runner):
        runner.cli("absent.py")
        runner.ends(2)
        assert "can't open file" in runner.err
        assert "No such file" in runner.err

    def test_no_such_module(self, runner):
        runner.cli("-m", "absent")
        runner.ends(1)
        assert "No module named absent" in runner.err

    def test_directory_without_main(self, runner):
        (runner.folder / "folder").mkdir()
        runner.cli("folder")
        runner.ends(1)
        assert "can't find '__main__' module" in runner.err

    def test_nothing_to_run(self, runner):
        runner.cli()
        runner.ends(2)
        assert "usage: " in runner.err

    def test_unknown_option(self, runner):
        runner.cli("--nonsense", "program.py")
        runner.ends(2)

    def test_help(self, runner):
        runner.cli("--help")
        runner.ends(0)
        assert "-m MODULE" in runner.out
