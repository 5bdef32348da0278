"""Suspend points, gates and dispatchers show up nowhere: not in tracebacks,
not in sys._getframe, not in traces, profiles and monitoring, also when an
exception leaves them."""

import inspect
import signal
import sys
import traceback

import pytest
import stackless

from semantics_support import (function_names, pause, spawn, started,
                               through_c)


def frame_names():
    """The chain of the caller's frames."""
    names, frame = [], sys._getframe(1)
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


# sys._getframe, inspect, traceback

def bottom(log):
    log.append(frame_names())


def test_chain_ends_at_the_tasklets_function(log):
    spawn(bottom, log)
    stackless.run()
    assert log == [["bottom"]]


def test_chain_ends_there_after_a_switch_too(log):
    def body():
        stackless.schedule()
        bottom(log)

    spawn(body)
    stackless.run()
    assert log == [["bottom", "body"]]


def test_chain_through_c_ends_there(log):
    spawn(through_c, bottom, log)
    stackless.run()
    assert log[0][0] == "bottom" and log[0][-1] == "through_c"


def test_getframe_beyond_the_bottom(log):
    def body():
        try:
            sys._getframe(1)
        except ValueError:
            log.append("not deep enough")

    spawn(body)
    stackless.run()
    assert log == ["not deep enough"]


def test_inspect_stack_and_print_stack(log):
    def body():
        stackless.schedule()
        log.append([info.function for info in inspect.stack()])
        log.append([f.name for f in traceback.extract_stack()])

    spawn(body)
    stackless.run()
    assert log == [["body"], ["body"]]


def test_current_frames_of_the_interpreter(log):
    import threading

    def body():
        frame = sys._current_frames()[threading.get_ident()]
        log.append((frame.f_code.co_name, frame.f_back))

    spawn(body)
    stackless.run()
    assert log == [("body", None)]


# exceptions leaving a suspend point

def closed_channel():
    channel = stackless.channel()
    channel.close()
    return channel


RAISING = {
    "deadlock receive": lambda: stackless.channel().receive(),
    "deadlock send": lambda: stackless.channel().send(1),
    "deadlock send_throw": lambda: stackless.channel().send_throw(KeyError),
    "deadlock send_exception":
        lambda: stackless.channel().send_exception(KeyError),
    "closed receive": lambda: closed_channel().receive(),
    "closed send": lambda: closed_channel().send(1),
    "run of the dead": lambda: stackless.tasklet().run(),
    "switch to the dead": lambda: stackless.tasklet().switch(),
    "throw at the dead": lambda: stackless.tasklet().throw(KeyError),
    "throw at oneself": lambda: stackless.current.throw(KeyError),
    "kill oneself": lambda: stackless.current.kill(),
    "raise in oneself": lambda: stackless.current.raise_exception(KeyError),
    "bad throw": lambda: stackless.current.throw(42),
    "wrong arguments": lambda: stackless.schedule(1, 2, 3),
    "no arguments": lambda: stackless.channel().send(),
    "run with a bad limit": lambda: stackless.run(seconds=-1),
}


@pytest.mark.parametrize("operation", RAISING.values(), ids=RAISING)
def test_error_of_an_operation_shows_only_the_users_frames(operation):
    try:
        operation()
    except BaseException as error:
        names = function_names(error.__traceback__)
    assert names == [
        "test_error_of_an_operation_shows_only_the_users_frames", "<lambda>"]


WAITS = {
    "schedule": stackless.schedule,
    "schedule_remove": pause,
    "receive": lambda: stackless.channel().receive(),
    "send": lambda: stackless.channel().send(1),
    "run": stackless.run,
    "channel in C": lambda: through_c(stackless.channel().receive),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("how", ["throw", "pending", "kill"])
def test_error_thrown_in_shows_only_the_users_frames(wait, how, log):
    def body():
        try:
            wait()
        except (KeyError, TaskletExit) as error:
            log.append(function_names(error.__traceback__))

    t = started(body)
    if how == "kill":
        t.kill()
    else:
        t.throw(KeyError, pending=how == "pending")
    stackless.run()
    assert log[0][0] == "body"
    assert set(log[0]) <= {"body", "<lambda>", "pause", "through_c"}


def test_error_sent_shows_only_the_users_frames():
    channel = stackless.channel()
    started(channel.send_exception, KeyError)
    with pytest.raises(KeyError) as caught:
        channel.receive()
    assert caught.value.__traceback__.tb_next is None


# traces and profiles

class Events:
    """Collects what a tracer sees, in functions of this file or not."""

    def __init__(self):
        self.seen = []
        self.foreign = set()

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename != __file__:
            self.foreign.add(frame.f_code.co_name)
        else:
            self.seen.append((event, frame.f_code.co_name))
        return self


def helper():
    pass


def busy(channel):
    helper()
    stackless.schedule()
    helper()
    channel.receive()
    channel.send(1)
    helper()
    through_c_here(stackless.schedule)
    try:
        pause_here()
    except KeyError:
        helper()
    spawn_here(helper).run()
    stackless.schedule_remove(None)
    return 5


def through_c_here(function):
    return next(map(lambda _: function(), (None,)))


def pause_here():
    stackless.schedule_remove(None)


def spawn_here(function):
    return stackless.tasklet(function)()


def partner(channel, t):
    channel.send(None)
    channel.receive()
    stackless.schedule()
    stackless.schedule()
    t.throw(KeyError)
    stackless.schedule()
    stackless.schedule()
    t.insert()


def play(prepare):
    channel = stackless.channel()
    t = stackless.tasklet(busy)
    t.bind(None, (channel,))
    prepare(t)
    t.insert()
    spawn(partner, channel, t)
    stackless.run()
    assert not t.alive


OWN = {"busy", "helper", "through_c_here", "<lambda>", "pause_here",
       "spawn_here"}


@pytest.mark.parametrize("attribute", ["trace_function", "profile_function"])
def test_tracers_of_a_tasklet_see_no_frame_of_the_engine(attribute):
    events = Events()
    play(lambda t: setattr(t, attribute, events))
    assert events.foreign == set()
    assert {name for _, name in events.seen} == OWN
    calls = [name for event, name in events.seen if event == "call"]
    assert calls == (["busy"] + ["helper"] * 3 + ["through_c_here",
                     "<lambda>", "pause_here", "helper", "spawn_here"])


@pytest.mark.parametrize("attribute", ["trace_function", "profile_function"])
def test_each_call_has_its_return(attribute):
    events = Events()
    play(lambda t: setattr(t, attribute, events))
    stack = []
    for event, name in events.seen:
        if event == "call":
            stack.append(name)
        elif event == "return":
            assert stack.pop() == name
    assert stack == []


@pytest.mark.parametrize("setter", [sys.settrace, sys.setprofile])
def test_tracers_of_main_see_no_frame_of_the_engine(setter):
    events = Events()
    channel = stackless.channel()
    spawn(lambda: channel.send(channel.receive()))
    setter(events)
    try:
        stackless.schedule()
        channel.send(1)
        channel.receive()
        stackless.run()
        try:
            channel.receive()
        except RuntimeError:
            pass
    finally:
        setter(None)
    assert {n for n in events.foreign if n != "setprofile"} == set()
    assert {name for _, name in events.seen} <= {
        "test_tracers_of_main_see_no_frame_of_the_engine"}


def test_loops_over_a_channel_show_as_ordinary_functions():
    """Iteration and send_sequence are Python loops around suspend points:
    nothing but those two is seen."""
    events = Events()
    channel = stackless.channel()

    def receiver():
        for value in channel:
            helper()

    t = stackless.tasklet(receiver)
    t.bind(None, ())
    t.trace_function = events
    t.insert()
    assert channel.send_sequence([1, 2]) == 2
    channel.send_exception(StopIteration)
    stackless.run()
    with pytest.raises(RuntimeError) as caught:
        channel.send_sequence([1])
    assert events.foreign <= {"__iter__", "send_sequence"}
    names = function_names(caught.value.__traceback__)
    assert names[1:] == ["send_sequence"]


def raising_directly():
    try:
        stackless.schedule_remove(None)
    except KeyError:
        pass
    return 5


def raising_builtin():
    try:
        {}.pop("x")
    except KeyError:
        pass
    return 5


def raising_below():
    def callee():
        return stackless.schedule_remove(None)

    try:
        callee()
    except KeyError:
        pass
    return 5


def raising_builtin_below():
    def callee():
        return {}.pop("x")

    try:
        callee()
    except KeyError:
        pass
    return 5


def uncaught():
    stackless.schedule_remove(None)


def uncaught_builtin():
    {}.pop("x")


# a function that is thrown at, and one to which the same happens by itself
ALIKE = [(raising_directly, raising_builtin),
         (raising_below, raising_builtin_below), (uncaught, uncaught_builtin)]
alike = pytest.mark.parametrize("thrown_at, model", ALIKE, ids=[
    "caught at once", "caught above", "not caught"])


def run_and_throw(t):
    try:
        t.run()
        if t.alive:
            t.throw(KeyError)
    except KeyError:
        pass
    assert not t.alive


def events_of_throw(function, attribute):
    events = Events()
    t = stackless.tasklet().bind(function, ())
    setattr(t, attribute, events)
    run_and_throw(t)
    return [event for event, _ in events.seen if not event.startswith("c_")]


@alike
@pytest.mark.parametrize("attribute", ["trace_function", "profile_function"])
def test_error_out_of_a_suspend_point_is_traced_like_one_of_a_builtin(
        attribute, thrown_at, model):
    assert events_of_throw(thrown_at, attribute) == events_of_throw(
        model, attribute)


MONITORING = hasattr(sys, "monitoring")
needs_monitoring = pytest.mark.skipif(not MONITORING, reason="3.12+")
EVENTS = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "PY_THROW",
          "PY_UNWIND", "RAISE", "RERAISE", "EXCEPTION_HANDLED",
          "STOP_ITERATION", "LINE", "JUMP", "BRANCH", "INSTRUCTION")


@pytest.fixture
def monitored():
    """Collects (event, code) while the block runs."""
    monitoring = sys.monitoring
    tool, seen = 3, []

    def collector(name):
        def collect(code, *rest):
            seen.append((name, code))
        return collect

    class Monitor:
        events = seen

        def __enter__(self):
            mask = 0
            for name in EVENTS:
                event = getattr(monitoring.events, name, 0)
                if event:
                    monitoring.register_callback(tool, event, collector(name))
                    mask |= event
            monitoring.set_events(tool, mask)
            return seen

        def __exit__(self, *exc):
            monitoring.set_events(tool, 0)

    monitoring.use_tool_id(tool, "stackless tests")
    yield Monitor()
    monitoring.set_events(tool, 0)
    for name in EVENTS:
        event = getattr(monitoring.events, name, 0)
        if event:
            monitoring.register_callback(tool, event, None)
    monitoring.free_tool_id(tool)


@needs_monitoring
def test_monitoring_sees_no_frame_of_the_engine(monitored):
    with monitored as seen:
        play(lambda t: None)
    own = {__file__, spawn.__code__.co_filename}
    foreign = {code.co_name for event, code in seen
               if code.co_filename not in own}
    assert foreign == set()


# 3.12 reports the exception in the dispatcher's frame whatever its code says;
# debug builds need a dispatcher that catches it. docs/design/invisible.md.
DISPATCHER_SHOWS = (sys.version_info[:2] == (3, 12)
                    or hasattr(sys, "gettotalrefcount"))


@needs_monitoring
@pytest.mark.parametrize("function", [
    pytest.param(function, marks=pytest.mark.skipif(
        DISPATCHER_SHOWS and function.__name__.startswith("uncaught"),
        reason="the dispatcher shows: 3.12 and debug builds"))
    for function in (uncaught, uncaught_builtin, raising_directly,
                     raising_below)],
    ids=lambda f: f.__name__)
def test_monitoring_of_an_error_sees_no_frame_of_the_engine(
        monitored, function):
    with monitored as seen:
        run_and_throw(stackless.tasklet().bind(function, ()))
    assert {code.co_filename for event, code in seen} == {__file__}


@needs_monitoring
@alike
def test_error_out_of_a_suspend_point_is_monitored_like_one_of_a_builtin(
        monitored, thrown_at, model):
    wanted = {"PY_START", "PY_RETURN", "PY_UNWIND", "RAISE", "RERAISE",
              "EXCEPTION_HANDLED"}

    def observe(function):
        del monitored.events[:]
        with monitored:
            run_and_throw(stackless.tasklet().bind(function, ()))
        return [event for event, code in monitored.events if event in wanted
                and code.co_name in (function.__name__, "callee")]

    assert observe(thrown_at) == observe(model)


def observe_lines(function, work):
    """Line events in function while work runs; each is disabled at once."""
    monitoring, tool, lines = sys.monitoring, 3, []

    def on_line(code, line):
        if code is function.__code__:
            lines.append(line - code.co_firstlineno)
        return monitoring.DISABLE

    monitoring.use_tool_id(tool, "stackless tests")
    try:
        monitoring.register_callback(tool, monitoring.events.LINE, on_line)
        monitoring.set_events(tool, monitoring.events.LINE)
        work()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)
    return lines


def make_covered(step):
    def covered():
        for _ in range(3):
            step()
        return 1
    return covered


@pytest.mark.noleak  # events of helper() stay disabled
@needs_monitoring
def test_disabled_events_stay_disabled_across_switches():
    """Coverage tools return DISABLE; a switch must not undo that."""
    plain = make_covered(helper)
    wanted = observe_lines(plain, lambda: (plain(), plain()))
    covered = make_covered(stackless.schedule)
    suspended = started(covered)

    def work():
        for _ in range(3):
            spawn(covered)
        stackless.run()

    assert sorted(observe_lines(covered, work)) == sorted(wanted)
    assert not suspended.alive


# signals

@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX")
def test_signal_handlers_run_only_in_the_users_frames():
    names, stop = set(), []

    def handler(number, frame):
        while frame is not None:
            if frame.f_code.co_filename == __file__:
                names.add(frame.f_code.co_name)
            elif "stackless" in frame.f_globals.get("__name__", ""):
                names.add("engine: " + frame.f_code.co_name)
            frame = frame.f_back
        if len(stop) > 200:
            signal.setitimer(signal.ITIMER_REAL, 0)
        stop.append(1)

    def switching(channel):
        while len(stop) <= 100:
            stackless.schedule()
            channel.send(channel.balance)

    def receiving(channel):
        while True:
            channel.receive()

    channel = stackless.channel()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        spawn(receiving, channel)
        for _ in range(3):
            spawn(switching, channel)
        stackless.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not any(name.startswith("engine") for name in names)
