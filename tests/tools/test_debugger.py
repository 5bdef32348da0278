"""pdb at work on tasklets: a program, commands on stdin, and the places where
it stopped."""

import os
import pathlib
import re
import sys

import pytest

from tools_support import JIT_CRASHES, JIT_REASON, mode, run_file, write

pytestmark = pytest.mark.skipif(JIT_CRASHES, reason=JIT_REASON)

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
BACKENDS = ["settrace"]
if sys.version_info >= (3, 14):
    BACKENDS.append("monitoring")
backends = pytest.mark.parametrize("backend", BACKENDS)

# What the programs begin with.
PRELUDE = """\
import pdb, sys, stackless, trace_all_tasklets
{mode}
OPTIONS = {options}
debugger = pdb.Pdb(skip=["trace_all_tasklets", "threading"], nosigint=True,
                   readrc=False, stdin=sys.stdin, stdout=sys.stdout, **OPTIONS)
if {follow}:
    trace_all_tasklets.start()
"""


class Session:
    """What pdb printed: `stops` are the source lines at which it waited."""

    def __init__(self, output):
        print(output)
        self.stops = re.findall(r"^-> (.*?)(?: *#:.*)?$", output, re.M)
        self.output = output

    def lines(self):
        """What the program and pdb's print command wrote."""
        return [line.removeprefix("(Pdb) ")
                for line in self.output.splitlines()]


def run_pdb(tmp_path, source, commands, backend="settrace", follow=False,
            code=0, arguments=()):
    """Debug source; {name} in commands is the line marked `#: name`."""
    options = {"backend": backend} if backend != "settrace" else {}
    prelude = PRELUDE.format(mode=mode(), options=options, follow=follow)
    path = write(tmp_path / "program.py", source)
    # set_trace() stops at once or (before 3.13) at the next line: one more.
    source = re.sub(r"^( *)(.*set_trace\(\))$", r"\1\2\n\1entered = True",
                    path.read_text(), flags=re.M)
    path.write_text(prelude + source)
    places = {mark: number for number, line
              in enumerate(path.read_text().splitlines(), 1)
              for mark in re.findall(r"#: (\w+)", line)}
    script = "\n".join(commands).format(**places) + "\n"
    environ = dict(os.environ, PYTHONPATH=os.pathsep.join(
        [str(EXAMPLES), *filter(None, sys.path)]), NO_COLOR="1")
    return Session(run_file(*arguments, path, stdin=script, env=environ,
                            code=code))


WAITS = {"schedule": "stackless.schedule()",
         "receive": "channel.receive()",
         "hard": "sorted([1], key=lambda _: stackless.schedule())"}

STEPPING = """
    channel = stackless.channel()

    def body():
        debugger.set_trace()
        x = 1                                               #: here
        {wait}
        x = 2
        return x

    def other():
        print("other runs")
        channel.send(5) if channel.balance else None
        y = 1
        print("other ends")

    stackless.tasklet(body)()
    stackless.tasklet(other)()
    stackless.run()
    print("end")
"""
AT_HERE = ["tbreak {here}", "continue"]


@pytest.mark.parametrize("backend, follow", [
    *((backend, False) for backend in BACKENDS), ("settrace", True)])
@pytest.mark.parametrize("wait", WAITS)
def test_next_steps_over_a_switch(tmp_path, wait, backend, follow):
    """To the next line of the same tasklet, not into the other one."""
    source = STEPPING.replace("{wait}", WAITS[wait])
    session = run_pdb(
        tmp_path, source, [*AT_HERE, "next", "next", "p x", "next", "p x",
                           "continue"], backend, follow)
    assert session.stops[-4:] == ["x = 1", WAITS[wait], "x = 2", "return x"]
    lines = session.lines()
    assert lines[-1] == "end"
    assert lines.index("other runs") < lines.index("1") < lines.index("2")


def followed(backend):
    """Whether the example has to hand the trace function on."""
    return backend == "settrace"


@backends
def test_step_goes_into_a_tasklet(tmp_path, backend):
    """From run() in the main tasklet, and from one tasklet to the next."""
    session = run_pdb(tmp_path, """
        def body():
            x = 1
            stackless.schedule()
            return x

        def other():
            y = 2
            stackless.schedule()
            return y

        stackless.tasklet(body)()
        stackless.tasklet(other)()
        debugger.set_trace()
        n = 0                                               #: here
        stackless.run()
        print("end")
    """, [*AT_HERE, "next", *["step"] * 9, "continue"],
        backend, followed(backend))
    # Stopped at a call and at the first line of a function, both its "def".
    stops = [line for line, before in zip(session.stops, ["", *session.stops])
             if line != before]
    assert stops[stops.index("n = 0"):][:8] == [
        "n = 0", "stackless.run()", "def body():", "x = 1",
        "stackless.schedule()", "def other():", "y = 2",
        "stackless.schedule()"]
    assert session.lines()[-1] == "end"


@backends
@pytest.mark.parametrize("wait", ["stackless.schedule_remove(None)",
                                  "channel.receive()",
                                  "sorted([1], key=lambda _: channel.receive())"])
def test_breakpoint_set_in_a_suspended_tasklets_function(
        tmp_path, wait, backend):
    """In the function that waits and in its caller, set while it waits."""
    session = run_pdb(tmp_path, """
        channel = stackless.channel()

        def waits(n):
            %s
            n += 1                                          #: inner
            return n

        def body(n):
            m = waits(n)
            return m                                        #: outer

        tasklets = [stackless.tasklet(body)(n) for n in (10, 20)]
        stackless.run()
        debugger.set_trace()
        n = 0                                               #: here
        for tasklet in tasklets:
            channel.send(0) if channel.balance else tasklet.run()
        print("end")
    """ % wait, [
        *AT_HERE, "!trace_all_tasklets.adopt()",
        "break {inner}", "break {outer}", "continue",
        "where", "p n", "up", "p n", "up", "down", "p n", "continue", "p m",
        "continue", "p n", "continue", "p m", "continue"], backend)
    assert session.stops.count("n += 1") >= 2
    assert session.stops.count("return m") == 2
    lines = session.lines()
    values = [line for line in lines if line in ("10", "20", "11", "21")]
    assert values == ["10", "10", "10", "11", "20", "21"]
    assert "*** Oldest frame" in lines
    assert lines[-1] == "end"


@backends
@pytest.mark.parametrize("wait", ["receive", "hard"])
def test_return_and_until_go_past_switches(tmp_path, wait, backend):
    session = run_pdb(tmp_path, """
        channel = stackless.channel()

        def callee():
            for i in range(2):
                %s
            return i

        def body():
            debugger.set_trace()
            x = 1                                           #: here
            x = callee()
            for i in range(3):
                channel.receive()
                x += 1                                      #: last
            return x

        def other():
            while tasklet.alive:
                channel.send(5) if channel.balance else None
                stackless.schedule()

        tasklet = stackless.tasklet(body)()
        stackless.tasklet(other)()
        stackless.run()
        print("end")
    """ % WAITS[wait], [
        *AT_HERE, "next", "step", "return", "p 'returned', __return__",
        "next", "next", "next", "until", "p 'until', x", "continue"],
        backend)
    assert "('returned', 1)" in session.lines()
    assert "('until', 4)" in session.lines()
    assert session.stops[-1] == "return x"
    assert session.lines()[-1] == "end"


@backends
def test_where_up_and_down_show_the_tasklets_own_functions(
        tmp_path, backend):
    session = run_pdb(tmp_path, """
        def inner(x):
            stackless.schedule()
            debugger.set_trace()
            return x                                        #: here

        def body(x):
            x = x + 1
            return inner(x + 1)

        stackless.tasklet(body)(1)
        stackless.run()
        print("end")
    """, [*AT_HERE, "where", "p x", "up", "p x", "up", "down", "down",
          "continue"], backend)
    lines = session.lines()
    assert [line for line in lines if line in ("2", "3")] == ["3", "2"]
    assert "*** Oldest frame" in lines and "*** Newest frame" in lines
    assert not any("stackless>" in line or "<module>" in line
                   for line in lines)
    assert lines[-1] == "end"


@backends
def test_quit_ends_the_tasklet_and_is_heard_in_main(tmp_path, backend):
    session = run_pdb(tmp_path, """
        import bdb

        def body():
            try:
                debugger.set_trace()
                x = 1                                       #: here
                stackless.schedule()
            finally:
                print("finally")

        def other():
            stackless.schedule()
            print("other lives on", sys.gettrace())

        stackless.tasklet(other)()
        stackless.tasklet(body)()
        try:
            stackless.run()
        except bdb.BdbQuit:
            print("quit")
        stackless.run()
        print("end", sys.gettrace())
    """, [*AT_HERE, "quit"], backend)
    assert session.lines()[-4:] == [
        "finally", "quit", "other lives on None", "end None"]


def test_set_trace_in_a_tasklet(tmp_path):
    """The module's function, with whatever backend it chooses."""
    session = run_pdb(tmp_path, """
        def body(x):
            stackless.schedule()
            pdb.set_trace()
            x += 1                                          #: here
            stackless.schedule()
            return x

        def other(x):
            stackless.schedule()
            stackless.schedule()

        for function in body, other:
            stackless.tasklet(function)(1)
        stackless.run()
        print("end", sys.gettrace())
    """, [*AT_HERE, "p x", "next", "next", "p x", "continue"])
    lines = session.lines()
    assert [line for line in lines if line in ("1", "2")] == ["1", "2"]
    assert lines[-1] == "end None"


def test_post_mortem_of_an_error_from_a_tasklet(tmp_path):
    session = run_pdb(tmp_path, """
        def fails(x):
            stackless.schedule()
            raise KeyError(x)

        def body(x):
            y = x + 1
            fails(y)

        stackless.tasklet(body)(1)
        try:
            stackless.run()
        except KeyError as error:
            caught = error
        pdb.post_mortem(caught.__traceback__)
        print("end")
    """, ["where", "p x", "up", "p y", "up", "p caught", "quit"])
    lines = session.lines()
    assert session.stops[0] == "raise KeyError(x)"
    assert [line for line in lines if line == "2"] == ["2", "2"]
    assert "KeyError(2)" in lines
    assert lines[-1].endswith("end")


def test_debugging_a_program_from_the_command_line(tmp_path):
    """python -m pdb: from 3.14 on it sees tasklets by itself."""
    follow = sys.version_info < (3, 14)
    session = run_pdb(tmp_path, """
        def body(x):
            x += 1
            stackless.schedule()
            x += 1                                          #: inside
            return x

        def main():
            for x in 10, 20:
                stackless.tasklet(body)(x)
            stackless.run()

        main()
        print("end")
    """, ["break {inside}", "continue", "p x", "next", "p x", "continue",
          "p x", "clear 1", "continue", "quit"], follow=follow,
        arguments=("-m", "pdb"))
    lines = session.lines()
    values = [line for line in lines if line in ("11", "12", "21")]
    assert values == ["11", "12", "21"]
    assert "end" in lines
