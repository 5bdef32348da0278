"""sys.settrace and sys.setprofile belong to the tasklet that sets them."""

import gc
import sys
import weakref

import pytest
import stackless

from semantics_support import pause, paused, spawn, started, through_c

pytestmark = pytest.mark.skipif(
    sys.gettrace() is not None or sys.getprofile() is not None,
    reason="a trace or profile function is active already")


class Recorder:
    """A trace or profile function that notes (event, function name)."""

    def __init__(self):
        self.seen = []

    def __call__(self, frame, event, arg):
        self.seen.append((event, frame.f_code.co_name))
        return self

    @property
    def functions(self):
        return {name for event, name in self.seen}


SETTERS = {"trace": (sys.settrace, sys.gettrace, "trace_function"),
           "profile": (sys.setprofile, sys.getprofile, "profile_function")}


@pytest.fixture(params=SETTERS)
def kind(request):
    yield SETTERS[request.param]
    sys.settrace(None)
    sys.setprofile(None)


def probe():
    pass


def test_new_tasklets_are_untraced(kind, log):
    setter, getter, attribute = kind
    recorder = Recorder()

    def body():
        log.append(getter())
        probe()

    t = spawn(body)
    setter(recorder)
    stackless.run()
    setter(None)
    assert log == [None]
    assert "body" not in recorder.functions
    assert "probe" not in recorder.functions


def tracing_itself(setter):
    """Start a tasklet that traces itself, up to a switch; its recorder."""
    recorder = Recorder()

    def body():
        setter(recorder)
        stackless.schedule()
        probe()

    started(body)
    return recorder


def test_a_tasklets_tracer_does_not_leak(kind):
    setter, getter, attribute = kind
    recorder = tracing_itself(setter)
    assert getter() is None
    probe()
    assert "probe" not in recorder.functions
    stackless.run()
    assert getter() is None
    assert ("call", "probe") in recorder.seen


def test_state_is_restored_on_every_switch(kind, log):
    setter, getter, attribute = kind

    def body(mine):
        setter(mine)
        for _ in range(5):
            log.append(getter() is mine)
            stackless.schedule()
        setter(None)

    def untraced():
        for _ in range(5):
            log.append(getter() is None)
            stackless.schedule()

    spawn(body, Recorder())
    spawn(untraced)
    spawn(body, Recorder())
    stackless.run()
    assert log == [True] * 15


def test_state_travels_through_c(kind, log):
    setter, getter, attribute = kind
    recorder = Recorder()

    def inner():
        setter(recorder)
        stackless.schedule()
        log.append(getter() is recorder)

    spawn(through_c, inner)
    stackless.schedule()
    assert getter() is None
    stackless.run()
    assert log == [True]
    assert getter() is None


def test_main_is_still_traced_after_others_ran(kind):
    setter, getter, attribute = kind
    recorder = Recorder()
    spawn(stackless.schedule)
    setter(recorder)
    stackless.run()
    probe()
    setter(None)
    assert ("call", "probe") in recorder.seen
    assert recorder.functions <= {
        "probe", "test_main_is_still_traced_after_others_ran"} | {
        name for name in recorder.functions if name == "setprofile"}


def test_tasklet_that_ends_traced_leaves_no_trace(kind):
    setter, getter, attribute = kind

    def body():
        setter(Recorder())

    t = spawn(body)
    stackless.run()
    assert getter() is None
    assert getattr(t, attribute) is None


def test_tasklet_killed_while_traced(kind):
    setter, getter, attribute = kind

    def body():
        setter(Recorder())
        pause()

    t = started(body)
    t.kill()
    assert getter() is None and getattr(t, attribute) is None
    started(body)
    assert getter() is None


@pytest.mark.parametrize("error", [KeyError, TaskletExit, SystemExit])
def test_uncaught_error_of_a_traced_tasklet(kind, error):
    setter, getter, attribute = kind

    def fails():
        raise error

    def body():
        setter(Recorder())
        fails()

    t = spawn(body)
    if error is TaskletExit:
        stackless.run()
    else:
        with pytest.raises(error):
            stackless.run()
    assert not t.alive and getter() is None


@pytest.mark.parametrize("error", [KeyError, TaskletExit])
def test_error_thrown_at_a_traced_tasklet(kind, error, log):
    setter, getter, attribute = kind

    def body():
        setter(Recorder())
        try:
            pause()
        except error:
            log.append("caught")
            raise

    t = started(body)
    if error is TaskletExit:
        t.kill()
    else:
        with pytest.raises(error):
            t.throw(error)
    assert log == ["caught"]
    assert not t.alive and getter() is None


# the attributes

def test_attribute_of_the_current_tasklet_is_sys_state(kind):
    setter, getter, attribute = kind
    recorder, current = Recorder(), stackless.current
    assert getattr(current, attribute) is None
    setattr(current, attribute, recorder)
    assert getter() is recorder
    assert getattr(current, attribute) is recorder
    setattr(current, attribute, None)
    assert getter() is None
    assert getattr(current, attribute) is None


def test_attribute_follows_sys_state(kind):
    setter, getter, attribute = kind
    recorder = Recorder()
    setter(recorder)
    value = getattr(stackless.current, attribute)
    setter(None)
    assert value is recorder


def test_attribute_set_before_the_start(kind, log):
    setter, getter, attribute = kind
    recorder = Recorder()

    def body():
        log.append(getter() is recorder)
        probe()

    t = spawn(body)
    assert getattr(t, attribute) is None
    setattr(t, attribute, recorder)
    assert getattr(t, attribute) is recorder
    stackless.run()
    assert log == [True]
    assert ("call", "probe") in recorder.seen
    assert getattr(t, attribute) is None


def test_attribute_set_and_cleared_before_the_start(kind):
    setter, getter, attribute = kind
    recorder = Recorder()
    t = spawn(probe)
    setattr(t, attribute, recorder)
    setattr(t, attribute, None)
    stackless.run()
    assert recorder.seen == []


@pytest.mark.parametrize("wait", [
    pause, stackless.schedule, lambda: through_c(pause)],
    ids=["paused", "in ring", "in C"])
def test_attribute_set_while_suspended(kind, wait, log):
    setter, getter, attribute = kind
    recorder = Recorder()

    def body():
        wait()
        log.append(getter() is recorder)
        probe()

    t = started(body)
    setattr(t, attribute, recorder)
    t.insert()
    stackless.run()
    assert log == [True]
    assert ("call", "probe") in recorder.seen


def test_attribute_cleared_while_suspended(kind, log):
    setter, getter, attribute = kind
    recorder = Recorder()

    def body():
        setter(recorder)
        pause()
        log.append(getter())

    t = started(body)
    assert getattr(t, attribute) is recorder
    setattr(t, attribute, None)
    del recorder.seen[:]
    t.run()
    assert log == [None]
    assert "probe" not in recorder.functions


def test_attribute_of_a_dead_tasklet(kind):
    setter, getter, attribute = kind
    t = stackless.tasklet()
    assert getattr(t, attribute) is None
    with pytest.raises(RuntimeError, match="tasklet is not alive"):
        setattr(t, attribute, Recorder())
    setattr(t, attribute, None)


def test_both_kinds_at_once(log):
    tracer, profiler = Recorder(), Recorder()

    def body():
        log.append((sys.gettrace() is tracer, sys.getprofile() is profiler))
        stackless.schedule()
        log.append((sys.gettrace() is tracer, sys.getprofile() is profiler))

    t = paused(body)
    t.trace_function = tracer
    t.profile_function = profiler
    t.insert()
    stackless.run()
    assert log == [(True, True)] * 2
    assert sys.gettrace() is None and sys.getprofile() is None


# inside a tracer

def test_a_trace_function_may_switch(log):
    def tracer(frame, event, arg):
        if event == "call" and frame.f_code.co_name == "probe":
            stackless.schedule()
            log.append("tracer")
        return tracer

    def traced():
        sys.settrace(tracer)
        probe()
        probe()
        sys.settrace(None)

    def other():
        for _ in range(3):
            log.append("other")
            stackless.schedule()

    spawn(traced)
    spawn(other)
    stackless.run()
    assert log == ["other", "tracer", "other", "tracer", "other"]


def test_inside_tracer_is_a_state_of_the_tasklet():
    """One tasklet sits in its tracer; another one is traced meanwhile."""
    recorder = Recorder()

    def sleepy(frame, event, arg):
        pause()

    def first():
        sys.settrace(sleepy)
        probe()
        sys.settrace(None)

    def second():
        sys.settrace(recorder)
        probe()
        sys.settrace(None)

    t = started(first)
    assert t.paused and t.nesting_level > 0
    started(second)
    assert ("call", "probe") in recorder.seen
    assert ("return", "probe") in recorder.seen
    t.run()
    while t.alive:
        t.run()


def test_two_tasklets_traced_by_a_switching_tracer(log):
    def tracer(frame, event, arg):
        assert stackless.current.trace_function is tracer
        log.append(stackless.current)
        stackless.schedule()
        return tracer

    a, b = paused(probe), paused(probe)
    for t in (a, b):
        t.trace_function = tracer
        t.insert()
    stackless.run()
    assert sys.gettrace() is None
    events = {t: log.count(t) for t in (a, b)}
    assert events[a] == events[b] >= 2
    assert log == [a, b] * events[a]


def test_tracing_switched_on_while_others_are_suspended(kind):
    """Suspended frames run on under the new instrumentation."""
    setter, getter, attribute = kind

    def body():
        for i in range(3):
            probe()
            stackless.schedule()
        return i

    suspended = [started(body) for _ in range(3)]
    recorder = Recorder()
    setter(recorder)
    probe()
    stackless.schedule()
    setter(None)
    stackless.run()
    assert not any(t.alive for t in suspended)
    assert "body" not in recorder.functions


def test_tracing_switched_off_while_a_traced_one_is_suspended(kind):
    setter, getter, attribute = kind
    recorder = tracing_itself(setter)
    setter(Recorder())
    probe()
    setter(None)
    del recorder.seen[:]
    stackless.run()
    assert ("call", "probe") in recorder.seen


def test_line_events_go_on_after_a_switch():
    lines = []

    def tracer(frame, event, arg):
        if frame.f_code is body.__code__ and event == "line":
            lines.append(frame.f_lineno - body.__code__.co_firstlineno)
        return tracer

    def body():
        x = 1
        stackless.schedule()
        y = 2
        return x + y

    t = paused(body)
    t.trace_function = tracer
    t.insert()
    spawn(lambda: None)
    stackless.run()
    assert lines == [1, 2, 3, 4]


class Tool:
    def __call__(self, *args):
        return None


def as_it_is(t):
    pass


def bind_anew(t):
    t.bind(as_it_is, (t,))
    assert t.trace_function is t.profile_function is None


@pytest.mark.parametrize("attribute", ("trace_function", "profile_function"))
@pytest.mark.parametrize("then", (
    as_it_is, stackless.tasklet.kill, stackless.tasklet.run, bind_anew))
def test_goes_with_a_tasklet_that_has_not_run(attribute, then):
    """Also if it refers to the tasklet."""
    t = stackless.tasklet(as_it_is)(None)
    tool = Tool()
    tool.tasklet = t
    setattr(t, attribute, tool)
    gone = weakref.ref(tool)
    del tool
    t.remove()
    then(t)
    del t
    gc.collect()
    assert gone() is None
