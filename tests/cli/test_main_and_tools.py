"""Tools that look at the main tasklet of python -m stackless."""

import importlib.util
import os
import sys

import pytest

pytestmark = pytest.mark.noleak

GATES = os.environ.get("STACKLESS_GATE") == "return"
monitoring = pytest.mark.skipif(sys.version_info < (3, 12),
                                reason="3.12 brought sys.monitoring")


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

    @pytest.mark.soft
    def test_stay_with_main_when_it_has_ended(self, runner):
        """What it leaves behind is not slowed down by them."""
        runner.program("""\
            import atexit, stackless, sys
            def quick():
                return stackless.get_stats()["quick_switches"]
            def late():
                global before
                for _ in range(100):
                    stackless.schedule(None)
                    before = before or quick()
            before = None
            for _ in range(2):
                stackless.tasklet(late)()
            atexit.register(lambda: print(quick() - before > 150))
            stackless.schedule(None)
            before = None
            sys.settrace(lambda *args: None)
            """)
        runner.ends(0, f"{not GATES}\n")

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
