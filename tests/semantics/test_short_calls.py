"""schedule() and schedule_remove(), which take one argument or none.

From 3.13 on, a place that often calls schedule() without one has its call
instruction changed (slp_call_shorten()): all ways of calling must go on to do
what they did.
"""

import dis
import functools
import inspect
import subprocess
import sys
import types

import pytest

import stackless
from quick_support import QUICK

OFTEN = 300  # more than what makes CPython specialise

SHORTENED = sys.version_info >= (3, 13) and not (
    sys.version_info >= (3, 14) and sys._jit.is_enabled()
)


def others(count=2):
    """Tasklets that are always runnable, until killed."""
    def forever():
        while True:
            stackless.schedule()

    return [stackless.tasklet(forever)() for _ in range(count)]


@pytest.fixture
def company():
    tasklets = others()
    yield tasklets
    for tasklet in tasklets:
        tasklet.kill()


def in_tasklet(function, *args):
    """What function returns when called in a tasklet; it may raise."""
    def body():
        try:
            outcome.append(function(*args))
        except Exception as error:
            outcome.append(error)

    outcome = []
    tasklet = stackless.tasklet(body)()
    while tasklet.alive:
        if not tasklet.scheduled:  # it called schedule_remove()
            tasklet.insert()
        stackless.schedule()
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def opnames(function):
    return [
        each.opname for each in dis.get_instructions(function, adaptive=True)
    ]


@pytest.fixture(params=["schedule", "schedule_remove"])
def point(request):
    return getattr(stackless, request.param)


def test_every_way_of_calling(company, point):
    def body():
        me = stackless.getcurrent()
        for i in range(OFTEN):
            assert point() is me
            assert point(i) is i
            assert point(retval=i) is i
            assert point(None) is None
            assert point(*()) is me
            assert point(*(i,)) is i
            assert point(**{"retval": i}) is i
            assert functools.partial(point)() is me
            assert types.MethodType(point, i)() is i
        return i

    assert in_tasklet(body) == OFTEN - 1


@pytest.mark.parametrize("args, kwargs, message", [
    ((1, 2), {}, "takes from 0 to 1 positional arguments but 2 were given"),
    ((1, 2, 3), {}, "takes from 0 to 1 positional arguments but 3 were given"),
    ((1,), {"retval": 2}, "got multiple values for argument 'retval'"),
    ((), {"value": 1}, "got an unexpected keyword argument 'value'"),
])
def test_wrong_arguments(company, point, args, kwargs, message):
    def body():
        for _ in range(OFTEN):
            with pytest.raises(TypeError) as caught:
                point(*args, **kwargs)
            assert str(caught.value) == f"{point.__name__}() {message}"

    in_tasklet(body)
    with pytest.raises(TypeError, match=r"\(\) (takes|got)"):
        point(*args, **kwargs)


def test_signature(point):
    parameters = inspect.signature(point).parameters
    assert list(parameters) == ["retval"]
    kind = parameters["retval"].kind
    assert kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert repr(parameters["retval"].default) == "<current>"


def test_what_shows_the_signature_works(company, point):
    shown = inspect.unwrap(point)

    def body():
        me = stackless.getcurrent()
        for i in range(OFTEN):
            assert shown() is me
            assert shown(i) is i
            assert shown(retval=i) is i

    in_tasklet(body)


def test_one_place_calls_many(company):
    """The instruction is changed, given up, and changed again."""
    def plain():
        return "plain"

    def with_default(value="default"):
        return value

    def body():
        me = stackless.getcurrent()
        expected = {
            stackless.schedule: me, plain: "plain", with_default: "default",
            stackless.schedule_remove: me, len: TypeError, list: [],
        }
        for turns in (OFTEN, 1, 7, OFTEN):
            for function, outcome in expected.items():
                for _ in range(turns):
                    try:
                        result = function()
                    except TypeError as error:
                        result = type(error)
                    assert result == outcome
        return True

    assert in_tasklet(body)


CHANGE = """
import stackless

def body():
    for _ in range(300):
        assert stackless.schedule() is me
    if stackless.schedule.__kwdefaults__:
        stackless.schedule.__kwdefaults__ = {"retval": 5}
    else:
        stackless.schedule.__defaults__ = (5,)
    for _ in range(300):
        assert stackless.schedule() == 5
    print("done")

me = stackless.tasklet(body)()
stackless.tasklet(stackless.schedule)()
stackless.run()
"""


def test_a_default_that_is_changed_counts():
    """In a process of its own: what was changed is slow from then on."""
    done = subprocess.run(
        [sys.executable, "-c", CHANGE], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("tool", [sys.settrace, sys.setprofile])
def test_tools_come_and_go(company, tool):
    def step(times):
        for _ in range(times):
            assert stackless.schedule() is stackless.getcurrent()

    def body():
        seen = []

        def look(frame, event, arg):
            seen.append(event)
            return look

        for turn in range(20):
            if turn % 2:
                tool(look)
            step(OFTEN // 10)
            tool(None)
        return seen

    assert in_tasklet(body)


def test_as_a_method(company):
    """Called without arguments, it gets one: no call to shorten."""
    class Holder:
        let_go = stackless.schedule

    def body(holder):
        for _ in range(OFTEN):
            result = holder.let_go()  # pytest takes an assert's call apart
            assert result is holder

    in_tasklet(body, Holder())
    if SHORTENED:
        assert "CALL_PY_EXACT_ARGS" not in opnames(body)
        assert "CALL_PY_GENERAL" in opnames(body)


def test_in_generators(company):
    def turns(count):
        for i in range(count):
            yield stackless.schedule(), stackless.schedule(i)

    def body():
        me = stackless.getcurrent()
        return list(turns(OFTEN)) == [(me, i) for i in range(OFTEN)]

    assert in_tasklet(body)


def test_called_through_c(company):
    """The same code, with C below it, and without."""
    def call(_=None):
        return stackless.schedule()

    def body():
        me = stackless.getcurrent()
        for _ in range(3):
            assert all(call() is me for _ in range(OFTEN))
            assert set(map(call, range(OFTEN))) == {me}
            sorted(range(20), key=lambda i: call() and i)
        return True

    assert in_tasklet(body)


def test_alone():
    """Without others there is nobody to switch to."""
    me = stackless.getcurrent()
    for i in range(OFTEN):
        assert stackless.schedule() is me
        assert stackless.schedule(i) is i


@pytest.mark.skipif(not SHORTENED, reason="from 3.13 on, without the JIT")
def test_the_call_is_short(company):
    def short():
        for _ in range(OFTEN):
            stackless.schedule()

    def long():
        for _ in range(OFTEN):
            stackless.schedule(None)

    def message():
        for _ in range(OFTEN):
            channel.send(channel)

    def receiver():
        for _ in range(OFTEN):
            channel.receive()

    channel = stackless.channel()
    stackless.tasklet(receiver)()
    for function in (short, long, message):
        in_tasklet(function)
    assert ("CALL_PY_EXACT_ARGS" in opnames(short)) == QUICK
    assert "CALL_PY_GENERAL" in opnames(long)
    assert "CALL_PY_EXACT_ARGS" not in opnames(long)
    assert "CALL_PY_EXACT_ARGS" in opnames(message)
    assert "CALL_PY_EXACT_ARGS" in opnames(receiver)
