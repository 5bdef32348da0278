"""Tools switched on and off while tasklets are in every state: what they see
is what they see of the same program written with plain functions."""

import gc
import sys
import threading
import types

import pytest
import stackless

from tools_support import (JIT_CRASHES, JIT_REASON, MONITORING, STATES, TOOLS,
                           TOOL, Suspension, Trace, all_off, in_sort,
                           instrumented, pause)

pytestmark = pytest.mark.skipif(JIT_CRASHES, reason=JIT_REASON)

kinds = pytest.mark.parametrize("kind", TOOLS)
states = pytest.mark.parametrize("state", STATES)


# --- the program -------------------------------------------------------------


def helper(n):
    if n % 2:
        return n
    return -n


def numbers(n):
    for i in range(n):
        yield i


def fails():
    raise KeyError


def work(total):
    for n in numbers(2):
        total += helper(n)
    try:
        fails()
    except KeyError:
        total += 1
    return total


def body(wait):
    total = helper(1)
    wait()
    total = work(total)
    wait()
    return helper(total)


def hard_body(wait):
    total = helper(1)
    sorted([1], key=lambda _: wait())
    total = work(total)
    sorted([1], key=lambda _: wait())
    return helper(total)


FUNCTIONS = helper, numbers, fails, work, body, hard_body


def body_for(state):
    return hard_body if state.startswith("hard") else body


def c_function(actions):
    """A C function that performs the next action when it is called."""
    steps = iter(actions)
    return iter(lambda: next(steps)(), "never").__next__


def attach(tool, tasklet, frame):
    """What a debugger does to a program that it finds running."""
    tool.on(tasklet)
    while frame is not None:
        frame.f_trace = tool
        frame = frame.f_back


# What is done before the start, in the first and in the second wait.
SCENARIOS = {
    "on, off": ("nothing", "on", "off"),
    "on": ("nothing", "on", "nothing"),
    "from the start": ("on", "nothing", "nothing"),
    "off, on": ("on", "off", "on"),
    "attach": ("nothing", "attach", "nothing"),
    "attach late, off": ("nothing", "nothing", "attach"),
}


def plain_events(tool, function, scenario):
    me = stackless.current
    acts = {"on": lambda: tool.on(me), "off": lambda: tool.off(me),
            "attach": lambda: attach(tool, me, sys._getframe(1)),
            "nothing": lambda: None}
    first, *rest = [acts[name] for name in SCENARIOS[scenario]]
    wait = c_function(rest)
    first()
    function(wait)
    tool.off(me)
    return tool.seen


# --- where a tool is switched ------------------------------------------------


def in_main(action):
    action()


def in_a_tasklet(action):
    stackless.tasklet(action)().run()


def in_a_tasklets_sort(action):
    stackless.tasklet(in_sort)(action).run()


def in_a_tasklets_destructor(action):
    class Local:
        def __del__(self):
            action()

    tasklet = stackless.tasklet(lambda local: pause())(Local())
    tasklet.run()
    tasklet.kill()


def in_a_trace_function(action):
    def tracer(frame, event, arg):
        sys.settrace(None)
        action()

    sys.settrace(tracer)
    (lambda: None)()
    sys.settrace(None)


PLACES = (in_main, in_a_tasklet, in_a_tasklets_sort,
          in_a_tasklets_destructor, in_a_trace_function)


def tasklet_events(tool, state, scenario, place):
    suspension = Suspension(state)
    tasklet = stackless.tasklet().bind(body_for(state), (suspension.wait,))
    acts = {"on": lambda: tool.on(tasklet), "off": lambda: tool.off(tasklet),
            "attach": lambda: attach(tool, tasklet, tasklet.frame),
            "nothing": lambda: None}
    done = []
    for name in SCENARIOS[scenario]:
        place(lambda: done.append(acts[name]()))
        suspension.resume(tasklet)
    assert len(done) == 3 and not tasklet.alive
    tool.off(stackless.current)
    return tool.seen


def nothing_is_left():
    """No tool is on, and code that runs again runs bare."""
    all_off()
    assert sys.gettrace() is None and sys.getprofile() is None
    if MONITORING:
        assert MONITORING._all_events() == {}
    for function in body, hard_body:
        function(lambda: None)
    assert {f.__name__: instrumented(f.__code__) for f in FUNCTIONS} == {
        f.__name__: [] for f in FUNCTIONS}


@pytest.mark.parametrize("place", PLACES, ids=lambda f: f.__name__)
@states
@kinds
def test_tool_sees_what_it_sees_of_plain_functions(kind, state, place):
    for scenario in SCENARIOS:
        if "attach" in scenario and kind != "trace":
            continue
        wanted = plain_events(TOOLS[kind](*FUNCTIONS), body_for(state),
                              scenario)
        seen = tasklet_events(TOOLS[kind](*FUNCTIONS), state, scenario,
                              place)
        assert seen == wanted != [], scenario
    nothing_is_left()


# --- events of one function, and many tools at once --------------------------


@pytest.mark.skipif(not MONITORING, reason="sys.monitoring came with 3.12")
@states
def test_events_of_one_function_while_it_is_suspended(state):
    """sys.monitoring.set_local_events(), as debuggers set breakpoints."""
    function, lines = body_for(state), []
    line = MONITORING.events.LINE
    suspension = Suspension(state)
    tasklet = stackless.tasklet().bind(function, (suspension.wait,))
    suspension.resume(tasklet)
    MONITORING.use_tool_id(TOOL, "stackless tests")
    MONITORING.register_callback(
        TOOL, line, lambda code, line: lines.append(
            (code.co_name, line - code.co_firstlineno)))
    MONITORING.set_local_events(TOOL, function.__code__, line)
    suspension.resume(tasklet)
    MONITORING.set_local_events(TOOL, function.__code__, 0)
    suspension.resume(tasklet)
    assert not tasklet.alive
    assert lines == [(function.__name__, 3), (function.__name__, 4)]
    nothing_is_left()


def mixed_tasklets(results):
    """Tasklets in every state, that wait 40 times each."""
    channel = stackless.channel()

    def waits(wait, n):
        total = 0
        for i in range(n):
            wait()
            total = work(total)
        results.append(total)

    def below_c(wait, n):
        in_sort(lambda: waits(wait, n))

    def feeds(n):
        for i in range(n):
            channel.send(None)

    for function in waits, below_c:
        stackless.tasklet(function)(stackless.schedule, 40)
        stackless.tasklet(function)(channel.receive, 40)
    stackless.tasklet(feeds)(80)
    paused = [stackless.tasklet(function)(pause, 1)
              for function in (waits, below_c)]
    return paused


def repeat(wait):
    for i in range(8):
        wait()


def hard_repeat(wait):
    for i in range(8):
        sorted([1], key=lambda _: wait())


def report_once(function):
    """Report each line of it once, as coverage.py does; the list of them."""
    lines = []

    def report(code, line):
        if code is function.__code__:
            lines.append(line - code.co_firstlineno)
        return MONITORING.DISABLE

    MONITORING.use_tool_id(TOOL, "stackless tests")
    MONITORING.register_callback(TOOL, MONITORING.events.LINE, report)
    MONITORING.set_events(TOOL, MONITORING.events.LINE)
    MONITORING.restart_events()
    return lines


def copy(function):
    """With code of its own: CPython keeps what tools did to the other."""
    return types.FunctionType(function.__code__.replace(),
                              function.__globals__)


@pytest.mark.skipif(not MONITORING, reason="sys.monitoring came with 3.12")
@pytest.mark.noleak  # the events stay disabled
@pytest.mark.parametrize("events", ["PY_START", "LINE", "CALL"])
@states
def test_disabled_events_stay_disabled_while_a_tool_comes_and_goes(
        state, events):
    """As long as they do so in CPython, which may give them back once."""
    function = hard_repeat if state.startswith("hard") else repeat
    plain, body, other = copy(function), copy(function), Events(events)
    wanted = report_once(plain)
    plain(c_function([other.on, other.off] * 4))
    all_off()
    lines = report_once(body)
    suspension = Suspension(state)
    tasklet = stackless.tasklet().bind(body, (suspension.wait,))
    suspension.resume(tasklet)
    for switch in [other.on, other.off] * 4:
        switch()
        suspension.resume(tasklet)
    assert not tasklet.alive
    assert lines == wanted
    assert len(lines) < 5


class Events:
    """Another tool, that wants one kind of event of everything."""

    def __init__(self, name):
        self.event = getattr(MONITORING.events, name)

    def on(self):
        MONITORING.use_tool_id(TOOL + 1, "stackless tests")
        MONITORING.register_callback(TOOL + 1, self.event, lambda *args: 0)
        MONITORING.set_events(TOOL + 1, self.event)

    def off(self):
        MONITORING.set_events(TOOL + 1, 0)
        MONITORING.free_tool_id(TOOL + 1)


@pytest.mark.parametrize("period", [1, 3, 7])
def test_each_tool_toggled_at_every_switch(period):
    """All tools in turn, for whoever is switched to, also when hard."""
    results, switches = [], []
    tools = [kind(*FUNCTIONS) for kind in TOOLS.values()]

    def toggle(previous, following):
        switches.append(1)
        if len(switches) % period == 0:
            turn = len(switches) // period
            tool = tools[turn % len(tools)]
            (tool.on if turn // len(tools) % 2 else tool.off)(following)

    stackless.set_schedule_callback(toggle)
    paused = mixed_tasklets(results)
    stackless.run()
    for tasklet in paused:
        tasklet.run()
    stackless.set_schedule_callback(None)
    alone = work(0)
    for i in range(39):
        alone = work(alone)
    assert sorted(results) == [work(0)] * 2 + [alone] * 4
    assert all(tool.seen for tool in tools)
    nothing_is_left()


# --- a tasklet that ends traced leaves nothing instrumented ------------------


def returns():
    pause()


def leaves_an_error():
    pause()
    raise KeyError


def exits():
    pause()
    raise SystemExit


def catches_its_kill():
    try:
        pause()
    except TaskletExit:
        helper(1)
    helper(2)


def pauses_in_c():
    in_sort(pause)


def run_to_the_end(tasklet):
    try:
        tasklet.run()
    except (KeyError, SystemExit):
        pass


def kill(tasklet):
    tasklet.kill()


def kill_later(tasklet):
    tasklet.kill(pending=True)
    stackless.run()


def drop(tasklet):
    tasklet.bind(None) if tasklet.cstate is None else tasklet.kill()


def leave_to_the_collector(tasklet):
    tasklet.tempval = tasklet
    del tasklet
    gc.collect()
    stackless.run()


ENDS = [(returns, run_to_the_end), (leaves_an_error, run_to_the_end),
        (exits, run_to_the_end), (catches_its_kill, kill),
        (returns, kill), (pauses_in_c, kill), (pauses_in_c, run_to_the_end),
        (returns, kill_later), (returns, drop),
        (returns, leave_to_the_collector),
        (pauses_in_c, leave_to_the_collector)]


def traced_tasklet(function, setter, tool):
    """A tasklet that has set itself the tool, and is paused."""
    def traced():
        setter(tool)
        work(1)
        function()

    tasklet = stackless.tasklet(traced)()
    tasklet.run()
    assert tasklet.paused
    return tasklet


@pytest.mark.parametrize("setter", [sys.settrace, sys.setprofile],
                         ids=lambda f: f.__name__)
@pytest.mark.parametrize("function, end", ENDS, ids=lambda f: f.__name__)
def test_tasklet_that_ends_traced_leaves_nothing(function, end, setter):
    """Its tool goes with it, without anybody having put it away."""
    tool = Trace(work, body)
    left = [traced_tasklet(function, setter, tool) for i in range(3)]
    while left:
        # popped: leave_to_the_collector must have the only reference
        end(left.pop())
    gc.collect()
    stackless.run()
    assert tool.seen
    del tool.seen[:]
    if MONITORING:
        assert MONITORING._all_events() == {}
    nothing_is_left()
    assert tool.seen == []


@pytest.mark.parametrize("setter", [sys.settrace, sys.setprofile],
                         ids=lambda f: f.__name__)
@pytest.mark.parametrize("wait", [pause, lambda: in_sort(pause)],
                         ids=["soft", "hard"])
def test_thread_that_ends_with_traced_tasklets_leaves_nothing(wait, setter):
    tool, kept = Trace(work, body), []
    thread = threading.Thread(
        target=lambda: kept.append(traced_tasklet(wait, setter, tool)))
    thread.start()
    thread.join()
    assert tool.seen
    del tool.seen[:]
    for tasklet in kept:
        tasklet.kill()
    if MONITORING:
        assert MONITORING._all_events() == {}
    nothing_is_left()
    assert tool.seen == []
