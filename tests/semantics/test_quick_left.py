"""Tasklets that were left in one go: what happens to them while they are
suspended, and what they hold, is as with a gate.
"""

import contextvars
import faulthandler
import gc
import os
import sys
import tempfile
import threading
import traceback
import types
import weakref

import pytest
import stackless

from quick_support import (
    QUICK, Noisy, deep, forever, left_quickly, litter, pausing, quick,
    turns)
from semantics_support import pause, run_program, spawn
from tasks import at_once, in_thread

coretest = pytest.importorskip("stackless._coretest")
VERSION = sys.version_info[:2]


# --- last references ---------------------------------------------------------

def test_channel_dropped_by_the_sender(log):
    """Both have it in their hands only."""
    def sender(channel):
        channel.send(Noisy(log, "value"))
        log.append("sent")

    def receiver(channel):
        value = channel.receive()
        log.append(type(value))

    with quick(2):
        channel = stackless.channel()
        gone = weakref.ref(channel)
        spawn(receiver, channel)
        spawn(sender, channel)
        del channel
        stackless.run()
    assert gone() is None
    assert sorted(log, key=str) == [Noisy, "sent", "value"]


class Dying(stackless.channel):
    """Its destructor switches."""

    def __del__(self):
        self.log.append("dies")
        stackless.schedule(None)
        self.log.append("dead")


@pytest.mark.parametrize("preference", (-1, 0, 1))
@pytest.mark.parametrize("first", (0, 1))
def test_last_reference_to_a_channel(log, preference, first):
    """The bound method of a temporary is all there is."""
    def make():
        channel = Dying()
        channel.log, channel.preference = log, preference
        return [(channel.send, 1), (channel.receive,)]

    def call(parts):
        point, *args = parts.pop()
        log.append(point(*args))

    for _ in range(4):
        parts = make()
        each = [[parts.pop()], [parts.pop()]]
        for part in each if first else each[::-1]:
            spawn(call, part)
        del parts, each, part
        spawn(forever)
        turns(4)
    assert log.count(1) == log.count(None) == 4
    assert log.count("dies") == log.count("dead") == 4


def test_values_die_where_they_are_dropped(log):
    def body(name):
        for i in range(3):
            stackless.schedule(Noisy(log, (name, i)))
            log.append("after")

    with quick(3):
        spawn(body, "a")
        spawn(body, "b")
        stackless.run()
    assert log[::2] == [(name, i) for i in range(3) for name in "ab"]
    assert log[1::2] == ["after"] * 6


def test_function_made_for_one_call(log):
    """A copy of a point whose globals die with it, in the middle."""
    schedule = stackless.schedule

    def body():
        for i in range(3):
            copy = types.FunctionType(
                schedule.__code__, {"x": Noisy(log, i)}, "copy", (None,))
            copy.__kwdefaults__ = schedule.__kwdefaults__
            calls = [copy]
            del copy
            assert calls.pop()(i) == i

    spawn(forever)
    spawn(body)
    turns(6)
    assert log == [0, 1, 2]


@pytest.mark.parametrize("keep", (False, True))
def test_dropped_while_paused(log, keep):
    """Nobody can insert it: killed. `finally` runs, and can switch."""
    def body():
        noisy = Noisy(log)
        try:
            channel = stackless.channel()
            channel.send(noisy) if keep else pause()
        except TaskletExit:
            log.append("killed")
            raise
        finally:
            stackless.schedule(None)
            log.append("finally")

    spawn(forever)
    t = spawn(body)
    with quick():
        turns()
    assert not t.alive or t.paused or t.blocked
    del t
    gc.collect()
    turns(3)
    assert sorted(log) == ["dead", "finally", "killed"]


def test_collected_cycle(log):
    def body(channel):
        me = stackless.current, Noisy(log)
        channel.receive()
        return me

    with quick():
        channel = stackless.channel()
        for _ in range(3):
            spawn(body, channel)
        spawn(forever)
        turns()
    del channel
    gc.collect()
    turns(2)
    gc.collect()
    assert log == ["dead"] * 3


# --- looked at ---------------------------------------------------------------

def outer_function(log, inside):
    local = "mine"
    inside()
    log.append(local)


def inner_function():
    inner = "theirs"
    stackless.schedule(None)
    return inner


def test_frames_of_one_that_is_suspended(log):
    t = left_quickly(outer_function, log, inner_function)
    f = t.frame
    assert (f.f_code.co_name, f.f_locals) == (
        "inner_function", {"inner": "theirs"})
    assert f.f_back.f_code.co_name == "outer_function"
    assert f.f_back.f_locals["local"] == "mine"
    assert f.f_back.f_back is None
    assert t.recursion_depth == 2
    assert [s.name for s in traceback.extract_stack(f)] == [
        "outer_function", "inner_function"]
    assert t.tempval is None and t.nesting_level == 0 or not QUICK
    turns()
    assert log == ["mine"] and not t.alive
    assert f.f_locals == {"inner": "theirs"}
    assert f.f_code.co_name == "inner_function"


def test_frames_keep_their_place(log):
    """A frame object of each, held all the time."""
    frames = {}

    def body(tag):
        frames[tag] = sys._getframe()
        for i in range(5):
            stackless.schedule(None)
            log.append((tag, i, frames[tag] is sys._getframe(),
                        frames[1 - tag].f_locals.get("i")))

    with quick(5):
        spawn(body, 0)
        spawn(body, 1)
        turns(4)
    for tag, f in frames.items():
        assert f.f_locals["tag"] == tag and f.f_back is None
    stackless.run()
    assert all(entry[2] for entry in log)
    assert [f.f_locals["i"] for f in frames.values()] == [4, 4]


def all_threads():
    """What tools show of this thread, below the caller."""
    f = sys._current_frames()[threading.get_ident()].f_back
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        text = file.read()
    return [s.name for s in traceback.extract_stack(f)], text


def test_who_runs_is_what_tools_see():
    seen = []

    def looker():
        for _ in range(5):
            stackless.schedule(None)
            seen.append(all_threads())

    def another():
        for _ in range(5):
            stackless.schedule(None)

    with quick(5):
        spawn(looker)
        spawn(another)
        stackless.run()
    for names, text in seen:
        assert names[-1] == "looker" and "another" not in names
        assert "in looker" in text and "in another" not in text


def test_seen_by_other_threads():
    """They look, collect and recurse while tasklets here switch quickly."""
    stop = threading.Event()
    seen = set()
    mine = threading.get_ident()

    def look():
        while not stop.is_set():
            f = sys._current_frames().get(mine)
            while f is not None:
                seen.add(f.f_code.co_name)
                f = f.f_back
            for t in stackless.all_tasklets():
                if t.frame is not None:
                    dict(t.frame.f_locals)
            deep(300)
            gc.collect(0)
            del f, t

    threads = [threading.Thread(target=look) for _ in range(2)]
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        got = []
        with quick(100):
            for tag in range(4):
                spawn(lambda tag: got.extend(
                    (tag, i, stackless.schedule(i)) for i in range(5)), tag)
                spawn(lambda tag: [
                    got.append((tag, deep(i), stackless.schedule(i)))
                    for i in range(60)], tag)
            stackless.run()
    finally:
        stop.set()
        sys.setswitchinterval(old)
        for thread in threads:
            thread.join()
    assert sorted(got) == sorted(
        (tag, i, i) for tag in range(4) for n in (5, 60) for i in range(n))


def test_collections_at_each_switch(log):
    """Also on the spot, as 3.11 collects."""
    def body(tag):
        for i in range(40):
            cycle = [Noisy(log, (tag, i))]
            cycle.append(cycle)
            del cycle
            assert stackless.schedule((tag, i)) == (tag, i)

    gc.set_threshold(1)
    with quick(40):
        spawn(body, 0)
        spawn(body, 1)
        stackless.run()
    gc.collect()
    assert sorted(log) == [(tag, i) for tag in (0, 1) for i in range(40)]


# --- ended -------------------------------------------------------------------

ERRORS = [KeyError, StopIteration, StopAsyncIteration, GeneratorExit,
          KeyboardInterrupt]

# Where it waits: a point and its argument, given a channel.
WAITING = {
    "schedule": lambda c: (stackless.schedule, None),
    "schedule_remove": lambda c: (stackless.schedule_remove, None),
    "receive": lambda c: (stackless.channel.receive, c),
    "send": lambda c: (c.send, 1),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("wait", WAITING)
def test_thrown(log, wait, error):
    channel = stackless.channel()

    def body(point, arg):
        try:
            point(arg)
        except BaseException as e:
            names = [s.name for s in traceback.extract_tb(e.__traceback__)]
            log.append((e.args, names, e.__context__))
        log.append(stackless.schedule(8))

    t = left_quickly(body, *WAITING[wait](channel))
    t.throw(error(1))
    assert log.pop(0) == ((1,), ["body"], None)
    assert channel.balance == 0
    turns()
    assert log == [8] and not t.alive


@pytest.mark.parametrize("pending", (False, True))
@pytest.mark.parametrize("wait", WAITING)
def test_killed(log, wait, pending):
    channel = stackless.channel()

    def body(point, arg):
        noisy = Noisy(log)
        try:
            point(arg)
        finally:
            log.append("finally")
            del noisy

    t = left_quickly(body, *WAITING[wait](channel))
    t.kill(pending=pending)
    turns(2)
    assert log == ["finally", "dead"] and not t.alive
    assert channel.balance == 0 and channel.queue is None


def test_woken_with_an_exception():
    channel = stackless.channel()
    got = []

    def body():
        for _ in range(3):
            try:
                got.append(channel.receive())
            except KeyError as error:
                got.append(error.args)

    t = left_quickly(body)
    channel.send_exception(KeyError, 1)
    channel.send(stackless.bomb(KeyError, KeyError(2)))
    channel.send(3)
    assert got == [(1,), (2,), 3] and not t.alive


def test_tempval_of_one_that_is_suspended():
    got = []

    def body():
        got.append(stackless.schedule(1))
        got.append(stackless.schedule(2))
        with pytest.raises(KeyError):
            stackless.schedule(3)

    t = left_quickly(body)
    assert t.tempval == 1
    t.tempval = 4
    turns()
    assert t.tempval == 2
    turns()
    t.tempval = stackless.bomb(KeyError, KeyError(5))
    turns()
    assert got == [4, 2] and not t.alive


def look_at_nothing(t):
    pass


def set_trace(t):
    t.trace_function = None


def set_and_unset_trace(t):
    t.trace_function = lambda *args: None
    t.trace_function = None


def look_at_all(t):
    t.frame, t.cstate, t.tempval, t.context_id, repr(t), t.recursion_depth


@pytest.mark.parametrize("touch", [
    look_at_nothing, set_trace, set_and_unset_trace, look_at_all],
    ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", (0, 3, 200))
@pytest.mark.soft
def test_bound_anew(log, touch, n):
    """Its frames are dropped by a tasklet that it has just given way to,
    which then needs much memory and stack."""
    def victim(n):
        noisy = Noisy(log)
        if n:
            victim(n - 1)
        while True:
            pause()

    def body():
        for i in range(20):
            t = spawn(victim, n)
            turns()
            for _ in range(3):
                t.insert()
                turns()
            touch(t)
            t.bind(None)
            assert not t.alive
            litter()
            assert deep(300) == 300
            assert log == ["dead"] * (n + 1)
            log.clear()
            del t
        log.append("end")

    with quick(20):
        spawn(body)
        stackless.run()
    assert log == ["end"]


@pytest.mark.soft
def test_bound_to_something_else(log):
    def body():
        for i in range(10):
            t = spawn(pausing)
            turns()
            with quick():
                t.insert()
                turns()
            t.bind(log.append, (i,))
            t.insert()
            turns()
            assert not t.alive

    spawn(body)
    stackless.run()
    assert log == list(range(10))


def test_many_end_beside_others():
    """Chunks are used again at once."""
    got = []

    def short(i):
        got.append((i, stackless.schedule(i), deep(i % 40)))

    def body():
        for i in range(300):
            spawn(short, i)
            stackless.schedule(None)

    with quick(300):
        spawn(body)
        spawn(body)
        stackless.run()
    assert sorted(got) == sorted(2 * [(i, i, i % 40) for i in range(300)])


# --- traced, monitored -------------------------------------------------------

def lines(log):
    stackless.schedule(None)
    log.append(1)
    stackless.schedule(None)
    log.append(2)


def test_trace_function_of_one_that_is_suspended(log):
    events = []

    def tracer(frame, event, arg):
        events.append((frame.f_code.co_name, event))
        return tracer

    t = left_quickly(lines, log)
    other = spawn(forever)
    t.trace_function = tracer
    assert t.trace_function is tracer
    turns(4)
    assert log == [1, 2] and not t.alive and other.alive
    assert {name for name, event in events} <= {"lines"}


@pytest.mark.parametrize("install, take_off", [
    (sys.settrace, lambda: sys.settrace(None)),
    (sys.setprofile, lambda: sys.setprofile(None)),
], ids=["trace", "profile"])
def test_tracer_while_others_are_suspended(install, take_off):
    """It sees its own tasklet only, each call with its return."""
    events, got = [], []

    def tracer(frame, event, arg):
        if event in ("call", "return"):
            events.append((frame.f_code.co_name, event))
        return tracer

    def inner(x):
        return stackless.schedule(x)

    def traced():
        turns(2)
        install(tracer)
        got.append([inner(i) for i in range(3)])
        take_off()
        turns(2)
        got.append([inner(i) for i in range(3)])

    def untraced():
        for i in range(20):
            got.append(untraced_inner(i))

    def untraced_inner(x):
        return stackless.schedule(x)

    with quick(5):
        spawn(untraced)
        spawn(traced)
        spawn(untraced)
        stackless.run()
    assert [x for x in got if x == [0, 1, 2]] == 2 * [[0, 1, 2]]
    assert sorted(x for x in got if x != [0, 1, 2]) == sorted(
        2 * list(range(20)))
    names = [e for e in events if e[0].endswith("inner")]
    assert names == 3 * [("inner", "call"), ("inner", "return")]
    assert {name for name, event in events} <= {
        "inner", "<listcomp>", "<lambda>"}


@pytest.mark.skipif(VERSION < (3, 12), reason="no sys.monitoring")
def test_monitoring_while_suspended(log):
    """Switched on and off while all are suspended: from then on each start
    and return is seen, and nothing of ours."""
    monitoring = sys.monitoring
    tool, events = monitoring.PROFILER_ID, monitoring.events
    seen = []

    def inner(x):
        return stackless.schedule(x)

    def body(tag):
        for i in range(6):
            log.append((tag, inner(i)))

    with quick(4):
        for tag in range(3):
            spawn(body, tag)
        turns(2)
    monitoring.use_tool_id(tool, "test")
    try:
        for event in (events.PY_START, events.PY_RETURN, events.LINE):
            monitoring.register_callback(
                tool, event, lambda code, *args: seen.append(code.co_name))
        monitoring.set_events(
            tool, events.PY_START | events.PY_RETURN | events.LINE)
        turns(2)
        monitoring.set_events(tool, 0)
    finally:
        monitoring.free_tool_id(tool)
    names = {"inner", "body"}
    assert names <= set(seen) and not {"schedule", "resumed"} & set(seen)
    turns(8)
    assert log == [(tag, i) for i in range(6) for tag in range(3)]


def test_evaluator_that_comes_and_goes(log):
    def body(tag):
        for i in range(9):
            log.append((tag, stackless.schedule(i)))

    with quick(2):
        spawn(body, 0)
        spawn(body, 1)
        turns(3)
    coretest.set_evaluator(True)
    try:
        turns(3)
    finally:
        coretest.set_evaluator(False)
    with quick(2):
        turns(5)
    assert log == [(tag, i) for i in range(9) for tag in (0, 1)]


# --- what travels with a tasklet ---------------------------------------------

def test_context_variables(log):
    var = contextvars.ContextVar("var", default=None)

    def body(tag):
        for i in range(10):
            var.set((tag, i))
            stackless.schedule(None)
            assert var.get() == (tag, i)
        log.append(tag)

    with quick(10):
        for tag in range(3):
            contextvars.Context().run(spawn, body, tag)
        stackless.run()
    assert log == [0, 1, 2] and var.get() is None


def test_context_of_one_that_is_suspended(log):
    var = contextvars.ContextVar("var", default="none")

    def body():
        while True:
            stackless.schedule(None)
            log.append(var.get())

    t = left_quickly(body)
    context = contextvars.Context()
    context.run(var.set, "set")
    t.set_context(context)
    assert t.context_run(var.get) == "set" and t.context_id == id(context)
    turns(2)
    assert log == ["set", "set"] and var.get() == "none"


def test_exceptions_being_handled(log):
    def handler(tag, n):
        try:
            raise KeyError(tag, n)
        except KeyError as error:
            if n:
                handler(tag, n - 1)
            for _ in range(3):
                stackless.schedule(None)
                assert sys.exc_info()[1] is error
            try:
                raise ValueError
            except ValueError as other:
                assert other.__context__ is error
        log.append((tag, sys.exc_info()[1] and sys.exc_info()[1].args))

    with quick(6):
        spawn(handler, 0, 2)
        spawn(handler, 1, 2)
        stackless.run()
    assert sorted(log, key=str) == [
        (tag, args) for tag in (0, 1)
        for args in ((tag, 1), (tag, 2), None)]


def at_depth(n, function, *args):
    return at_depth(n - 1, function, *args) if n else function(*args)


def test_recursion_limit_while_suspended(log):
    """Lower than it stands: it arrives, and can call no deeper."""
    limit = sys.getrecursionlimit()

    def body():
        try:
            stackless.schedule(None)
            deep(2)
        except RecursionError:
            log.append("too deep")
        else:
            log.append("fine")

    low = stackless.current.recursion_depth + 60
    for meanwhile in low, limit, limit + 200:
        for n in (150, 100):
            spawn(at_depth, n, body)
        turns()
        sys.setrecursionlimit(meanwhile)
        try:
            turns()
        finally:
            sys.setrecursionlimit(limit)
    assert log == ["too deep"] * 2 + ["fine"] * 4


def test_limit_holds_after_quick_switches(log):
    def to_the_end():
        return 1 + to_the_end()

    def depth():
        n = 0
        f = sys._getframe()
        while f is not None:
            f, n = f.f_back, n + 1
        return n

    def body():
        for _ in range(5):
            stackless.schedule(None)
            with pytest.raises(RecursionError):
                to_the_end()
            log.append(stackless.current.recursion_depth)

    spawn(body)
    spawn(body)
    with quick(5):
        stackless.run()
    assert len(log) == 10 and len(set(log)) == 1


# --- threads -----------------------------------------------------------------

@pytest.mark.parametrize("touch", [look_at_nothing, look_at_all],
                         ids=lambda f: f.__name__)
@pytest.mark.soft
def test_thread_that_ends(log, touch):
    """What it left quickly lives on as frames, and is dropped here."""
    kept = []

    def body(n):
        noisy = Noisy(log)
        if n:
            body(n - 1)
        forever()

    def thread():
        with quick(4):
            kept.extend(spawn(body, n) for n in (0, 1, 250))
            turns(3)

    in_thread(thread)
    litter()
    for t in kept:
        assert not t.alive and not log
        touch(t)
    del t
    names = [t.frame.f_code.co_name if t.frame else None for t in kept]
    assert set(names) == {"forever"}
    kept.clear()
    gc.collect()
    litter()
    assert log == ["dead"] * 254
    assert deep(300) == 300


def test_threads_at_once():
    got = []

    def body(tag, n):
        for i in range(200):
            got.append((tag, n, stackless.schedule(i), deep(i % 50)))

    def thread(tag):
        for n in range(3):
            spawn(body, tag, n)
        stackless.run()

    with quick(200):
        at_once(thread, range(4), 1e-5)
    assert sorted(got) == sorted(
        (tag, n, i, i % 50) for tag in range(4) for n in range(3)
        for i in range(200))


def test_bound_by_another_thread(log):
    """Dropped there while this thread has just left it."""
    def body():
        for i in range(10):
            t = spawn(pausing)
            turns()
            t.insert()
            turns()
            if t.cstate is None:
                in_thread(t.bind, None)
                assert not t.alive
            litter()
            assert deep(200) == 200
            log.append(i)

    spawn(body)
    stackless.run()
    assert log == list(range(10))


PROLOGUE = """
import gc, os, sys
class Noisy:
    def __del__(self):
        self.x = [bytes(n) for n in range(300, 900)]
def forever(n=0):
    noisy = Noisy()
    if n:
        forever(n - 1)
    while True:
        stackless.schedule(None)
def deep(n):
    return 1 + deep(n - 1) if n else 0
def some():
    return [stackless.tasklet(forever)(n) for n in (0, 2, 200)]
"""

IN_A_THREAD = """
        import threading, time
        at = threading.Event()
        def thread():
            kept = some()
            def body():
                stackless.schedule(); stackless.schedule()
                at.set()
                time.sleep(1000)
            stackless.tasklet(body)()
            stackless.run()
        threading.Thread(target=thread, daemon=True).start()
        at.wait()
"""
PROGRAMS = {
    "main ends": """
        kept = some()
        stackless.schedule(); stackless.schedule()
    """,
    "a tasklet ends it": """
        kept = some()
        def body():
            stackless.schedule(); stackless.schedule()
            sys.exit(0)
        stackless.tasklet(body)()
        stackless.run()
    """,
    "in C of a tasklet": """
        import ctypes
        kept = some()
        def body():
            stackless.schedule(); stackless.schedule()
            ctypes.pythonapi.Py_Exit(0)
        stackless.tasklet(body)()
        stackless.run()
    """,
    "a daemon thread is in one": IN_A_THREAD,
    "forked in a thread's": IN_A_THREAD + """
        import warnings
        warnings.simplefilter("ignore")
        kept = some()
        stackless.schedule(); stackless.schedule()
        pid = os.fork()
        stackless.schedule(); stackless.schedule()
        gc.collect()
        assert deep(300) == 300
        if pid and os.waitpid(pid, 0)[1]:
            sys.exit(1)
    """,
    "forked in a tasklet": """
        kept = some()
        def body():
            stackless.schedule(); stackless.schedule()
            pid = os.fork()
            for t in kept:
                stackless.schedule()
                t.kill()
            assert deep(300) == 300
            if pid and os.waitpid(pid, 0)[1]:
                sys.exit(1)
        stackless.tasklet(body)()
        stackless.run()
    """,
}


@pytest.mark.noleak
@pytest.mark.parametrize("program", PROGRAMS)
def test_exit(program):
    """Freed memory is overwritten: whoever still looks at it would see."""
    body = "\n".join(line[8:] for line in PROGRAMS[program].split("\n"))
    done = run_program(PROLOGUE + body,
                       env={**os.environ, "MALLOC_PERTURB_": "170"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
