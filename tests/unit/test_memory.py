"""Memory that runs out: MemoryError, and everything as it was.

Each scenario runs in a process of its own, once for each request for memory
that it makes, with that request refused.  Whatever it raises, the invariants
hold afterwards (core/check.c, in builds that have it) and the scheduler goes
on.
"""

import subprocess
import sys
import textwrap

import pytest

import stackless

try:
    from stackless import _coretest
except ImportError as error:
    pytest.skip(
        f"no stackless._coretest in this build: {error}",
        allow_module_level=True,
    )

pytestmark = pytest.mark.noleak  # subprocesses, and failures half-way

# f and friends use no memory of their own that could be refused: what is
# tested is the engine.
PRELUDE = """
import gc
import sys
import stackless
from stackless import _coretest as ct

gc.disable()
soft = not HARD
stackless.enable_softswitch(soft)
main = stackless.getcurrent()
channel = stackless.channel()
nothing = ()

def f(*args, **kwargs):
    return None

def sleeper():
    stackless.schedule_remove(None)

def failing():
    raise ERROR

ERROR = KeyError("prepared")

def asleep():
    t = stackless.tasklet(sleeper)()
    t.run()
    return t

def tidy():
    stackless.set_schedule_callback(None)
    stackless.set_channel_callback(None)
    stackless.set_error_handler(None)
    for t in stackless.all_tasklets():
        if t is not main:
            t.kill()
    stackless.run()
    stackless.set_c_stacks(idle=0)
    stackless.set_c_stacks(idle=IDLE)
"""

LOOP = """
IDLE = 64
total = {}
n = 0
while True:
    n += 1
    prepared = setup()
    name = "nothing"
    ct.fail_memory(n)
    try:
        scenario(prepared)
    except BaseException as error:
        failed = ct.fail_memory(0)
        sys.setprofile(None)
        name = type(error).__name__
        message = str(error)
        del error
    else:
        failed = ct.fail_memory(0)
    ct.check()
    assert stackless.getcurrent() is main
    verify(prepared, name)
    del prepared
    tidy()
    ct.check()
    assert stackless.getruncount() == 1
    assert stackless.get_stats()["c_stacks_idle"] == 0
    assert ct.count()[:2] == (0, 0), ct.count()
    total[name] = total.get(name, 0) + 1
    if not failed:
        assert name in ("nothing", *EXPECTED), (name, message)
        break
    assert n < 3000
print(n, total)
"""

# name: (setup, scenario, what it raises anyway).  p is what setup returned.
SCENARIOS = {
    "make": ("None", "stackless.tasklet()"),
    "bind": ("None", "stackless.tasklet(f)"),
    "bind with arguments": ("None", "stackless.tasklet(f, (1, 2))"),
    "setup": ("stackless.tasklet(f)", "p.setup(1, 2)"),
    "setup with keywords": ("stackless.tasklet(f)", "p(1, x=2)"),
    "setup with many arguments": (
        "stackless.tasklet(f)",
        "p(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)",
    ),
    "setup of a method": ("stackless.tasklet(channel.__eq__)", "p(1)"),
    "make a channel": ("None", "stackless.channel()"),
    "start": ("stackless.tasklet(f)(1)", "p.run()"),
    "start with keywords": ("stackless.tasklet(f)(1, k=2)", "p.run()"),
    "resume": ("asleep()", "p.run()"),
    "switch": ("stackless.tasklet(main.insert)()", "p.switch()"),
    "schedule": ("asleep().insert()", "stackless.schedule()"),
    "run": ("[asleep().insert() for _ in range(3)]", "stackless.run()"),
    "send": (
        "stackless.tasklet(channel.receive)()",
        "stackless.run(); channel.send(None)",
    ),
    "receive": (
        "stackless.tasklet(channel.send)(1)",
        "channel.receive()",
    ),
    "send_exception": (
        "stackless.tasklet(channel.receive)()",
        "stackless.run(); channel.send_exception(KeyError, 1)\n"
        "    stackless.run()",
        "KeyError",
    ),
    "throw": ("asleep()", "p.throw(KeyError, 'value')", "KeyError"),
    "kill": ("asleep()", "p.kill()"),
    "kill pending": ("asleep()", "p.kill(pending=True); stackless.run()"),
    "an error": ("stackless.tasklet(failing)()", "stackless.run()", "KeyError"),
    "an error with a handler": (
        "stackless.tasklet(failing)(), stackless.set_error_handler(f)",
        "stackless.run()",
        "KeyError",  # if the handler could not be called
    ),
    "a deadlock": ("asleep()", "channel.receive()", "RuntimeError"),
    "a deadlock of others": (
        "stackless.tasklet(channel.receive)()",
        "channel.send(1); channel.send(2)",
        "RuntimeError",
    ),
    "schedule callback": (
        "asleep(), stackless.set_schedule_callback(f)",
        "p[0].run()",
    ),
    "channel callback": (
        "stackless.tasklet(channel.send)(1), stackless.set_channel_callback(f)",
        "channel.receive()",
    ),
    "through C": (
        "stackless.tasklet(ct.call_through_c)(sleeper)",
        "p.run()",
    ),
    "resume through C": ("asleep()", "ct.call_through_c(p.run)"),
    "a traced tasklet": (
        "asleep()",
        "sys.setprofile(f); p.run(); sys.setprofile(None)",
    ),
    "a builtin": ("stackless.tasklet(len)(nothing)", "stackless.run()"),
    "dropped while suspended": ("[asleep()]", "p.clear()"),
    "unbound while suspended": (
        "asleep()",
        "p.bind(None)",
        "RuntimeError",  # hard: it has C state
    ),
    "ask": (
        "asleep()",
        "repr(p); p.frame; p.name; stackless.all_tasklets()\n"
        "    stackless.get_stats(); stackless.get_thread_info()\n"
        "    stackless.getuncollectables(); p.context_run(f)",
    ),
    "names": ("asleep()", "p.name = 'x'; p.where; p.created_at", "AttributeError"),
    "watchdog": (
        "[stackless.tasklet(stackless.run)() for _ in range(12)]",
        "stackless.run()",
    ),
}


def program(name, hard):
    setup, scenario, *expected = SCENARIOS[name]
    return textwrap.dedent(
        f"""
HARD = {hard}
EXPECTED = {expected}
{PRELUDE}
def setup():
    return {setup}
def scenario(p):
    {scenario}
def verify(p, outcome):
    sys.setprofile(None)
{LOOP}
"""
    )


def run(code):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, done.stderr


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_memory(name, hard):
    out, _ = run(program(name, hard))
    assert out


# --- C stacks ----------------------------------------------------------------


@pytest.fixture
def no_idle_stacks():
    """C stacks are made when they are needed, so that it can fail."""
    stackless.set_c_stacks(idle=0)
    yield
    _coretest.fail_c_stacks_after(-1)
    stackless.set_c_stacks(idle=64)


def sleeper():
    stackless.schedule_remove(None)


def test_no_c_stack_for_a_new_tasklet(no_idle_stacks):
    seen = []
    task = stackless.tasklet(seen.append)(1)
    before = _coretest.count()
    _coretest.fail_c_stacks_after(1)
    with pytest.raises(MemoryError, match="C stack"):
        task.run()
    assert _coretest.count() == before
    assert task.scheduled and task.alive and not seen
    assert stackless.getruncount() == 2
    stackless.run()
    assert seen == [1]


def test_no_c_stack_to_leave_a_tasklet_that_is_in_c(no_idle_stacks):
    """The other one runs on; the caller gets the error and may try again."""
    log = []

    def caller():
        _coretest.fail_c_stacks_after(1)
        try:
            _coretest.call_through_c(stackless.schedule)
        except MemoryError:
            log.append("no memory")
        stackless.schedule()
        log.append("caller done")

    stackless.tasklet(caller)()
    stackless.tasklet(log.append)("other")
    stackless.run()
    assert log == ["no memory", "other", "caller done"]


@pytest.mark.parametrize(
    "operation",
    [
        lambda task, channel: stackless.run(),
        lambda task, channel: stackless.schedule(),
        lambda task, channel: stackless.schedule_remove(),
        lambda task, channel: task.run(),
        lambda task, channel: task.switch(),
        lambda task, channel: task.kill(),
        lambda task, channel: task.throw(KeyError),
        lambda task, channel: channel.receive(),
        lambda task, channel: channel.send(1),
    ],
    ids="run schedule remove run switch kill throw receive send".split(),
)
def test_no_operation_changes_anything_without_a_stack(
    no_idle_stacks, operation
):
    task = stackless.tasklet(sleeper)()
    channel = stackless.channel()
    _coretest.fail_c_stacks_after(1)
    with pytest.raises(MemoryError):
        operation(task, channel)
    assert task.alive and task.scheduled
    assert stackless.getcurrent().scheduled
    assert stackless.getruncount() == 2
    assert channel.balance == 0
    _coretest.check()
    task.kill()


def test_many_failures_leave_nothing_behind(no_idle_stacks):
    task = stackless.tasklet(sleeper)()
    before = _coretest.count()
    for _ in range(100):
        _coretest.fail_c_stacks_after(1)
        with pytest.raises(MemoryError):
            task.run()
    assert _coretest.count() == before
    task.kill()


def test_failures_below_a_schedule_callback(no_idle_stacks):
    """What the callback was given is not put off for ever."""
    task = stackless.tasklet(sleeper)()
    stackless.set_schedule_callback(lambda prev, next: None)
    for _ in range(40):
        _coretest.fail_c_stacks_after(1)
        with pytest.raises(MemoryError):
            task.run()
    stackless.set_schedule_callback(None)
    task.kill()
