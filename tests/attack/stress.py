"""Stress: what is done to the tasklets, and must not change what they do.

A stress is named by one or more words, joined by "+".
"""

import contextlib
import gc
import inspect
import io
import os
import random
import signal
import sys
import threading

import frozen
import stackless

try:
    from stackless import _coretest
except ImportError:
    _coretest = None

HELPER = "helper"  # name of tasklets that the program knows nothing of

# CPython 3.15.2's JIT crashes when tools come and go, without us too.
JIT = hasattr(sys, "_jit") and sys._jit.is_enabled()
TOOLS = not (JIT and sys.version_info[:2] == (3, 15))
# docs/cpython-bugs/monitoring_generator.py
MONITORING_ASSERTS = sys.version_info[:2] == (3, 13) and hasattr(
    sys, "gettotalrefcount")


# README, limit 1: 3.11 shows it to a tool that was set since the last switch.
shown = set()


def check_frame(code):
    if code.co_filename == "<stackless>" and code.co_name not in shown:
        print("a tool saw", code, flush=True)
        os._exit(3)


class Stress:
    """What a word means: these functions."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def begin(self):
        pass

    def at_switch(self):
        pass

    def end(self):
        pass


class Between(Stress):
    """The others act between operations: a callback at each switch would keep
    all switches from being quick."""

    def begin(self):
        if sys.version_info < (3, 12):
            shown.add("dispatcher")

    def end(self):
        shown.clear()


class Mixed(Stress):
    """Soft and hard in turn."""

    def begin(self):
        self.before = stackless.enable_softswitch(True)

    def at_switch(self):
        stackless.enable_softswitch(self.r.random() < 0.8)

    def end(self):
        stackless.enable_softswitch(self.before)


class Hard(Stress):
    def begin(self):
        self.before = stackless.enable_softswitch(False)

    def end(self):
        stackless.enable_softswitch(self.before)


class Collect(Stress):
    """Collections at every switch and at every allocation."""

    def begin(self):
        self.before = gc.get_threshold()
        gc.set_threshold(1)
        gc.enable()

    def at_switch(self):
        gc.collect(self.r.choice((0, 0, 0, 1, 1, 2)))

    def end(self):
        gc.disable()
        gc.set_threshold(*self.before)


class FewStacks(Stress):
    """No C stack is kept for the next one."""

    def begin(self):
        stackless.set_c_stacks(idle=0)

    def at_switch(self):
        stackless.set_c_stacks(idle=self.r.choice((0, 0, 1)))

    def end(self):
        stackless.set_c_stacks(idle=64)


class Slice(Stress):
    """Every C stack that is left is moved to the heap, or all but a few."""

    def begin(self):
        stackless.set_c_stacks(limit=0)

    def at_switch(self):
        if self.r.random() < 0.05:
            stackless.set_c_stacks(limit=self.r.choice((0, 0, 1, 3)))

    def end(self):
        stackless.set_c_stacks(limit=1024)


class Trace(Stress):
    set_tool = staticmethod(sys.settrace)

    def begin(self):
        self.seen = 0

    def tool(self, frame, event, argument):
        self.seen += 1
        check_frame(frame.f_code)
        return self.tool if self.seen % 3 else None

    def at_switch(self):
        self.set_tool(self.r.choice((self.tool, self.tool, None)))

    def end(self):
        self.set_tool(None)


class Profile(Trace):
    set_tool = staticmethod(sys.setprofile)


class Monitor(Stress):
    """sys.monitoring: events of one tool come and go, some are disabled."""

    TOOL = 3
    # "Known limits" in the README.
    MAY_SEE_DISPATCHER = sys.version_info[:2] == (3, 12) or hasattr(
        sys, "gettotalrefcount"
    )

    def begin(self):
        m = sys.monitoring
        m.use_tool_id(self.TOOL, "attack")
        self.events = [
            getattr(m.events, name)
            for name in dir(m.events)
            if name.isupper()
            and name not in ("NO_EVENTS", "C_RETURN", "C_RAISE")
        ]
        for event in self.events:
            m.register_callback(self.TOOL, event, self.tool)
        self.seen = 0

    def tool(self, code, *args):
        self.seen += 1
        if code.co_name != "dispatcher" or not self.MAY_SEE_DISPATCHER:
            check_frame(code)

    def at_switch(self):
        chosen = 0
        for event in self.r.sample(self.events, self.r.choice((0, 2, 4))):
            chosen |= event
        sys.monitoring.set_events(self.TOOL, chosen)

    def end(self):
        sys.monitoring.set_events(self.TOOL, 0)
        for event in self.events:
            sys.monitoring.register_callback(self.TOOL, event, None)
        sys.monitoring.free_tool_id(self.TOOL)


class Inspect(Stress):
    """Whoever looks at a tasklet, or keeps a frame, changes nothing."""

    NAMES = [name for name in dir(stackless.tasklet) if name[0] != "_"]
    GENERATOR = (
        inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    )

    def begin(self):
        self.kept = []

    def at_switch(self):
        for task in stackless.all_tasklets():
            if self.r.random() < 0.3:
                repr(task)
                for name in self.NAMES:
                    getattr(task, name)
                if not task.is_current:  # not our own frames
                    self.look(task.frame)
        if self.r.random() < 0.1:
            sys._current_frames()
            stackless.print_stacks(io.StringIO())

    def look(self, frame):
        if frame is not None and self.r.random() < 0.5:
            self.kept.append(frame)
        while frame is not None:
            check_frame(frame.f_code)
            frame.f_lineno
            frame = frame.f_back
        if len(self.kept) > 20:
            for frame in self.kept[:10]:
                self.clear(frame)
            del self.kept[:10]

    def clear(self, frame):
        """Possible when it has returned; of a generator it is a close()."""
        if frame.f_code.co_flags & self.GENERATOR:
            return
        try:
            frame.clear()
        except RuntimeError:
            pass

    def end(self):
        self.kept.clear()


class Threads(Stress):
    """Other threads switch tasklets of their own all the time."""

    def begin(self):
        self.before = sys.getswitchinterval(), gc.isenabled()
        # A collection in one thread would make that of another one a no-op, and
        # run what belongs there.  So this comes after "collect".
        gc.disable()
        self.over = False
        # A program that deadlocks would wait for them.
        _coretest.sleep_never(True)
        self.threads = [threading.Thread(target=self.noise) for _ in "ab"]
        for thread in self.threads:
            thread.start()
        sys.setswitchinterval(1e-5)

    def end(self):
        interval, enabled = self.before
        sys.setswitchinterval(interval)
        self.over = True
        for thread in self.threads:
            thread.join()
        _coretest.sleep_never(False)
        if enabled:
            gc.enable()

    def noise(self):
        channel = stackless.channel()
        while not self.over:
            for word in range(3):
                t = stackless.tasklet(self.send)(channel, word)
                t.name = HELPER
            if sorted([channel.receive() for _ in range(3)]) != [0, 1, 2]:
                os._exit(3)
            stackless.run()

    def send(self, channel, word):
        stackless.schedule()
        sorted([1, 2], key=lambda x: (stackless.schedule(), x)[1])
        channel.send(word)


class Evaluator(Stress):
    """A PEP 523 frame evaluator comes and goes."""

    def at_switch(self):
        _coretest.set_evaluator(self.r.random() < 0.3)

    def end(self):
        _coretest.set_evaluator(False)


class Interrupt(Stress):
    """Wherever a tasklet can be interrupted, it is left for a moment, and is made
    soft by and by: not where it is atomic."""

    def begin(self):
        self.visitor = stackless.tasklet().bind(self.visit, ())
        self.visitor.name = HELPER
        _coretest.visit(self.visitor)

    def end(self):
        _coretest.visit(None)
        self.visitor.kill()

    def visit(self):
        while True:
            if stackless.current.next.atomic:
                print("interrupted in an atomic section", flush=True)
                os._exit(3)
            if self.r.random() < 0.2:
                soften(stackless.current.next)
            stackless.schedule_remove(None)  # back, and holds on to nobody


def soften(task):
    """What asks for its state does that, if it can be."""
    with contextlib.suppress(RuntimeError):
        stackless._core._tasklet_state(task)


class Signals(Stress):
    """A storm of signals; the handlers use tasklets of their own.

    By the time that the process runs: on a busy machine more would come than
    can be handled.
    """

    INTERVAL = 0.0002
    DEEPEST = 3  # handlers in handlers

    def begin(self):
        self.depth = 0
        self.before = signal.signal(signal.SIGVTALRM, self.handler)
        signal.setitimer(signal.ITIMER_VIRTUAL, self.INTERVAL, self.INTERVAL)

    def end(self):
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self.before)

    def handler(self, number, frame):
        if self.depth < self.DEEPEST:
            self.depth += 1
            try:
                self.handle(frame)
            finally:
                self.depth -= 1

    def handle(self, frame):
        if frame is not None:  # as in a tasklet whose function is in C
            check_frame(frame.f_code)
        try:
            self.r.choice((self.collect, self.run, self.receive))()
        except RuntimeError:
            pass  # where switching is not possible: in a callback, a trap

    def collect(self):
        gc.collect(0)

    def helper(self, function, *args):
        t = stackless.tasklet()
        t.name = HELPER
        return t.bind(function, args)

    def run(self):
        # It does not collect: the program's garbage would be its own then.
        self.helper(int).run()

    def receive(self):
        channel = stackless.channel()
        t = self.helper(channel.send, 1)
        t.run()
        if channel.receive() != 1:
            os._exit(3)
        t.run()


class Freeze(Stress):
    """Suspended tasklets are frozen and thawed, or cloned; copies end."""

    kind, often = frozen.Freezer, 0.25

    def begin(self):
        self.freezer = self.kind(self.r.random(), HELPER)

    def at_switch(self):
        if self.r.random() < self.often:
            self.freezer.act()

    def end(self):
        self.freezer.check_all_gone()


class FreezeBetween(Freeze):
    """There are more operations than switches."""

    kind, often = frozen.Between, 0.1


WORDS = {
    "between": Between,
    "hard": Hard,
    "mixed": Mixed,
    "collect": Collect,
    "few": FewStacks,
    "slice": Slice,
    "signals": Signals,
    "inspect": Inspect,
    "freeze": Freeze,
    "free": Stress,  # see free.py
}
if "libasan" in os.environ.get("LD_PRELOAD", ""):
    del WORDS["slice"]  # it would see variables move
if TOOLS:
    WORDS["trace"] = Trace
    WORDS["profile"] = Profile
    if sys.version_info >= (3, 12) and not MONITORING_ASSERTS:
        WORDS["monitor"] = Monitor
if _coretest is not None:
    WORDS["threads"] = Threads
    WORDS["evaluator"] = Evaluator
    WORDS["interrupt"] = Interrupt

# Round robin.  The pairs are those of which each makes the other worse; with
# "interrupt" monitoring would take minutes, as each event is interrupted, too,
# and so are tracing and threads on 3.12.
SLOW_ON_312 = {"interrupt+trace", "interrupt+profile", "interrupt+threads"}
NAMES = [
    name
    for name in (
        "none", "hard", "slice", "collect", "few", "trace", "profile",
        "monitor", "signals", "evaluator", "hard+collect", "hard+trace",
        "hard+few+signals", "collect+monitor", "slice+collect", "slice+trace",
        "slice+few+signals", "hard+monitor", "signals+trace", "hard+profile",
        "inspect", "threads", "hard+inspect", "threads+few", "slice+inspect",
        "slice+threads", "inspect+trace", "slice+hard", "slice+hard+collect",
        "slice+hard+signals", "slice+monitor", "between+collect",
        "between+mixed", "between+inspect", "between+trace",
        "between+profile+signals", "between+monitor", "between+evaluator",
        "between+few+mixed", "between+collect+threads", "between+slice+mixed",
        "interrupt", "interrupt+collect", "interrupt+few", "interrupt+slice",
        "interrupt+trace", "interrupt+profile", "interrupt+signals",
        "interrupt+inspect", "interrupt+hard", "interrupt+between+mixed",
        "interrupt+threads", "freeze", "freeze+collect", "freeze+slice",
        "freeze+trace", "freeze+monitor", "between+freeze",
        "between+freeze+mixed", "between+freeze+slice", "interrupt+freeze",
        "free", "free+hard", "free+slice", "free+few+mixed", "free+collect",
    )
    if name == "none" or all(word in WORDS for word in name.split("+"))
    if sys.version_info[:2] != (3, 12) or name not in SLOW_ON_312
]  # fmt: skip


# What switches tasklets of its own whenever it likes, or lets threads run.  With
# "interrupt" a thread that wakes up comes to its pending calls now or later.
NOT_WITH_THREADS = {"signals", "threads", "interrupt"}


def suitable(name, program):
    """As much of it as goes with this program."""
    if program["threads"] == 1:
        return name
    words = [word for word in name.split("+") if word not in NOT_WITH_THREADS]
    return "+".join(words) if set(words) - {"between"} else "none"


class Stresses:
    """All that a name says, as a context manager; at_switch() and between()
    or None: what to call then."""

    def __init__(self, name, seed):
        words = [] if name == "none" else name.split("+")
        kinds = WORDS
        if "between" in words:
            kinds = WORDS | {"freeze": FreezeBetween}
        self.all = [kinds[word](seed) for word in words]
        active = [
            s.at_switch
            for s in self.all
            if type(s).at_switch is not Stress.at_switch
        ]
        self.at_switch = (
            (lambda: [function() for function in active]) if active else None
        )
        self.between = None
        if "between" in words:
            self.at_switch, self.between = None, self.at_switch

    def __enter__(self):
        for stress in self.all:
            stress.begin()
        return self

    def __exit__(self, *args):
        for stress in reversed(self.all):
            stress.end()
