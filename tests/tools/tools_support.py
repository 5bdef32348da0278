"""Helpers of the tests of tracers, debuggers and profilers: tools that record
what they see, suspended tasklets, and programs in a fresh interpreter."""

import dis
import os
import subprocess
import sys
import textwrap

import stackless

MONITORING = getattr(sys, "monitoring", None)
TOOL = 3  # the id in sys.monitoring that these tests use
HARD = os.environ.get("STACKLESS_TEST_HARD") == "1"
DEBUG_BUILD = hasattr(sys, "gettotalrefcount")
JIT = getattr(sys, "_jit", None) is not None and sys._jit.is_enabled()

# What plain CPython does not survive (docs/cpython-bugs.md).
JIT_CRASHES = sys.version_info[:2] == (3, 15) and JIT
JIT_REASON = "3.15's JIT crashes when tools come and go, without us too"


# --- tools that note what happens in some functions --------------------------


class Recorder:
    """Notes the events of the given functions, in a form that can be
    compared: event, function, line, and for some events a detail."""

    def __init__(self, *functions):
        self.codes = {function.__code__ for function in functions}
        self.seen = []

    def note(self, code, *event):
        if code in self.codes:
            self.seen.append((code.co_name, *event))


class Trace(Recorder):
    """As a function of sys.settrace() or, renamed, of sys.setprofile()."""

    attribute = "trace_function"

    def __call__(self, frame, event, arg):
        detail = arg[0].__name__ if event == "exception" else None
        # Suspend points are Python functions without events, their stand-ins
        # are C functions.
        if not event.startswith("c_"):
            self.note(frame.f_code, event, frame.f_lineno, detail)
        return self

    def on(self, tasklet):
        setattr(tasklet, self.attribute, self)

    def off(self, tasklet):
        setattr(tasklet, self.attribute, None)


class Profile(Trace):
    attribute = "profile_function"


class Monitor(Recorder):
    """All events of sys.monitoring; of any tasklet, whatever it is given."""

    def __init__(self, *functions):
        super().__init__(*functions)
        names = vars(MONITORING.events).items()
        # C_RETURN and C_RAISE belong to CALL: a suspend point has none.
        self.events = {name: event for name, event in names
                       if name.isupper() and event
                       and not name.startswith("C_")}

    def callback(self, name):
        def called(code, *args):
            self.note(code, name, *(a for a in args if type(a) is int))
        return called

    def on(self, tasklet=None):
        if MONITORING.get_tool(TOOL) is None:
            MONITORING.use_tool_id(TOOL, "stackless tests")
        for name, event in self.events.items():
            MONITORING.register_callback(TOOL, event, self.callback(name))
        MONITORING.set_events(TOOL, sum(set(self.events.values())))

    def off(self, tasklet=None):
        if MONITORING.get_tool(TOOL) is not None:
            MONITORING.set_events(TOOL, 0)
            for event in self.events.values():
                MONITORING.register_callback(TOOL, event, None)
            MONITORING.free_tool_id(TOOL)


TOOLS = {"trace": Trace, "profile": Profile}
if MONITORING:
    TOOLS["monitoring"] = Monitor


def all_off():
    """Whatever a test has left on."""
    sys.settrace(None)
    sys.setprofile(None)
    if MONITORING:
        Monitor().off()


def instrumented(code):
    """The instrumented instructions in that code."""
    if MONITORING is None:
        return []
    return [each.opname for each in dis.get_instructions(code, adaptive=True)
            if each.opname.startswith("INSTRUMENTED")]


# --- suspended tasklets ------------------------------------------------------


def in_sort(wait):
    """Wait below C code: always a hard switch."""
    return sorted([1], key=lambda _: wait())


def pause():
    """Leave the ring.  Without an argument the tasklet would keep itself."""
    return stackless.schedule_remove(None)


class Suspension:
    """One way to be suspended: `wait` is the suspend point that a tasklet
    calls; `resume` lets it go on to the next or to its end."""

    def __init__(self, state):
        self.state = state
        self.channel = stackless.channel()
        if "blocked" in state:
            self.wait = self.channel.receive
        elif state == "runnable":
            self.wait = stackless.schedule
        else:
            self.wait = stackless.schedule_remove

    def resume(self, tasklet):
        if self.channel.balance:
            self.channel.send(None)
        elif tasklet.paused:
            tasklet.run()
        else:
            stackless.schedule()


STATES = ("runnable", "blocked", "paused", "hard", "hard blocked")


# --- programs in an interpreter of their own ---------------------------------


def mode():
    """The line that puts a program into the mode the tests run in."""
    return f"import stackless; stackless.enable_softswitch({not HARD})\n"


def run_file(path, *args, timeout=50, stdin=None, code=0, **kwargs):
    """Run a file, or with -m and the like; return what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, (path, *args))], input=stdin, text=True,
        capture_output=True, timeout=timeout, **kwargs)
    report = f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == code, report
    return done.stdout


def write(path, source):
    path.write_text(textwrap.dedent(source))
    return path
