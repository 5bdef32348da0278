"""run() with a limit: the watchdog, hard and soft."""

import contextlib
import sys
import threading
import time
import traceback

import pytest
import stackless

from interrupt_support import (
    LOOPS, by_recursion, counting, end, forever, interrupt, other_threads)
from semantics_support import ring
from tasks import in_thread, pause, running, spawn, through_c

COUNTED = 200
TIMED = 200_000  # ticks: about two milliseconds
LIMITS = {
    "counted": {"timeout": COUNTED},
    "timed": {"timeout": TIMED},
    "seconds": {"seconds": 0.002},
}
SOFT = stackless.enable_softswitch(None)
# Only calls of ours lie on the C stack there.
needs_soft = pytest.mark.skipif(
    not SOFT, reason="every call counts as nested when switches are hard")


@pytest.fixture(params=LIMITS)
def limit(request):
    return LIMITS[request.param] | {"ignore_nesting": not SOFT}


# --- a hard interruption ------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_loop_is_interrupted(loop, limit):
    t = spawn(loop)
    assert stackless.run(**limit | {"ignore_nesting": True}) is t
    assert t.alive and t.paused and not t.scheduled and not t.blocked
    assert stackless.runcount == 1
    assert any(f.name == loop.__name__ for f in traceback.extract_stack(t.frame))
    t.kill()
    assert not t.alive


@needs_soft
def test_inside_a_c_call_it_is_put_off(limit):
    inside = [False]

    def key(_):
        inside[0] = True
        for _ in range(1000):
            pass
        inside[0] = False

    def work():
        while True:
            through_c(key, 1)
            for _ in range(1000):
                pass

    t = spawn(work)
    for _ in range(20):
        assert stackless.run(**limit) is t
        assert inside == [False]
        t.insert()
    end(t)


def test_ignore_nesting_of_the_tasklet_counts(limit):
    t = spawn(through_c, forever)
    t.set_ignore_nesting(1)
    assert stackless.run(**limit | {"ignore_nesting": False}) is t
    t.kill()


def test_insert_lets_it_go_on(limit):
    counter = [0]
    t = spawn(counting, counter)
    seen = []
    for _ in range(10):
        assert stackless.run(**limit) is t
        seen.append(counter[0])
        t.insert()
    assert seen == sorted(seen) and seen[0] < seen[-1]
    t.kill()


def test_round_robin(limit):
    counters = [[0] for _ in range(3)]
    tasks = [spawn(counting, c) for c in counters]
    order = []
    for _ in range(9):
        t = stackless.run(**limit)
        order.append(tasks.index(t))
        t.insert()
    assert order == [0, 1, 2] * 3
    end(*tasks)


def test_what_ends_in_time_is_not_interrupted(log):
    for n in range(5):
        spawn(log.append, n)
    assert stackless.run(seconds=10) is None
    assert log == [0, 1, 2, 3, 4]
    for n in range(5):
        spawn(log.append, n)
    assert stackless.run(1000) is None


@pytest.mark.parametrize("ticks", [25, 100, 1000])
def test_small_counts_are_counted(ticks):
    """Two ticks for a turn of the loop, whatever the machine does meanwhile."""
    counter = [0]
    t = spawn(counting, counter)
    passes = []
    for _ in range(10):
        assert stackless.run(ticks, ignore_nesting=not SOFT) is t
        passes.append(counter[0])
        counter[0] = 0
        t.insert()
    end(t)
    # 3.11 leaves at the next instruction.  A clock looks on, now and then.
    assert ticks / 2 - 12 <= max(passes) <= ticks / 2 + 2


def test_time_counts_from_the_last_switch():
    def polite(log):
        for _ in range(50):
            end = time.monotonic() + 0.005
            while time.monotonic() < end:
                pass
            stackless.schedule()
        log.append("done")

    log = []
    spawn(polite, log)
    spawn(polite, log)
    assert stackless.run(seconds=0.3) is None  # together it takes longer
    assert log == ["done"] * 2


@needs_soft
@pytest.mark.parametrize("limit", [{"timeout": 1000}, {"seconds": 0.03}],
                         ids=["ticks", "seconds"])
def test_totaltimeout_does_not(limit):
    def polite():
        while True:
            stackless.schedule()

    tasks = {spawn(polite), spawn(polite)}
    t = stackless.run(totaltimeout=True, **limit)
    assert t in tasks
    end(*tasks)


def test_error_of_a_tasklet_is_raised(limit):
    def bad():
        raise KeyError("mine")

    failing = spawn(bad)
    with pytest.raises(KeyError, match="mine"):
        interrupt(lambda: False, limit)
    assert not failing.alive


def test_finally_and_context_of_the_interrupted(limit, log):
    def work():
        try:
            log.append("begun")
            forever()
        finally:
            log.append("cleaned up")

    t = spawn(work)
    assert interrupt(lambda: log, limit) is t
    t.throw(KeyError, pending=True)
    assert log == ["begun"]
    with pytest.raises(KeyError):
        stackless.run()
    assert log == ["begun", "cleaned up"] and not t.alive


def test_an_exception_being_handled_stays_the_tasklets(limit):
    def work():
        try:
            raise KeyError("inner")
        except KeyError:
            forever()

    t = spawn(work)
    try:
        raise ValueError("outer")
    except ValueError as outer:
        assert stackless.run(**limit) is t
        assert sys.exc_info()[1] is outer
    t.kill()
    assert sys.exc_info() == (None, None, None)


def test_tempval_is_kept(limit):
    def work():
        stackless.current.tempval = "mine"
        forever()

    t = spawn(work)
    assert stackless.run(**limit) is t
    t.tempval = "for nobody"
    t.insert()
    assert stackless.run(**limit) is t
    t.kill()


def test_in_the_middle_of_sending_an_exception(limit, log, monkeypatch):
    """Whose callback has failed, and is reported by a function that is left."""
    ch = stackless.channel()

    def wait(hint):
        while not log:
            pass

    def sender():
        stackless.set_channel_callback(lambda *_: {}["missing"])
        ch.send_exception(KeyError, "sent")

    def receiver():
        try:
            ch.receive()
        except KeyError as error:
            log.append(error.args)

    monkeypatch.setattr(sys, "unraisablehook", wait)
    receiving = spawn(receiver)
    receiving.run()
    t = spawn(sender)
    try:
        assert stackless.run(**limit | {"ignore_nesting": True}) is t
    finally:
        stackless.set_channel_callback(None)
    assert receiving.blocked
    log.append("left")
    t.insert()
    stackless.run()
    assert log == ["left", ("sent",)]


def test_the_interrupted_can_be_dropped(limit, log):
    def work():
        try:
            log.append("begun")
            forever()
        finally:
            log.append("killed")

    spawn(work)
    interrupt(lambda: log, limit)
    assert log == ["begun", "killed"]


def test_the_main_tasklet_is_interrupted_too(limit, log):
    def watch():
        log.append(stackless.run(**limit | {"ignore_nesting": True}))
        log[0].insert()

    spawn(watch)
    end = time.monotonic() + 20
    stackless.schedule()
    while not log and time.monotonic() < end:
        pass
    assert log == [stackless.main]


# --- when it is put off -------------------------------------------------------


@contextlib.contextmanager
def trapped():
    stackless.switch_trap(1)
    try:
        yield
    finally:
        stackless.switch_trap(-1)


@pytest.mark.parametrize("section", [stackless.atomic, trapped])
def test_a_section_puts_it_off(limit, log, section):
    def work():
        with section():
            log.append("begun")
            for _ in range(300_000):
                pass
            log.append("over")
        forever()

    t = spawn(work)
    while "over" not in log:  # the machine may be slow: before it has begun
        assert stackless.run(**limit) is t
        assert log in ([], ["begun", "over"])
        t.insert()
    end(t)


def test_callbacks_are_not_interrupted(limit, log):
    def callback(prev, following):
        for _ in range(100_000):
            pass
        log.append("callback over")

    t = spawn(forever)
    old = stackless.get_schedule_callback()
    stackless.set_schedule_callback(callback)
    try:
        assert stackless.run(**limit) is t
    finally:
        stackless.set_schedule_callback(old)
    assert len(log) == 2
    t.kill()


def test_callback_hears_of_the_interruption(limit, log):
    t = spawn(forever)
    stackless.set_schedule_callback(lambda *pair: log.append(pair))
    try:
        stackless.run(**limit)
    finally:
        stackless.set_schedule_callback(None)
    main = stackless.main
    assert log == [(main, t), (t, main)]
    t.kill()


# --- soft ---------------------------------------------------------------------


@pytest.mark.parametrize("operation", [
    stackless.schedule,
    pause,
    lambda: stackless.channel().receive(),
], ids=["schedule", "schedule_remove", "receive"])
def test_soft_waits_for_a_switch(limit, log, operation):
    def work():
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
        log.append("first")
        operation()
        log.append("second")

    t, other = spawn(work), spawn(log.append, "other")
    assert stackless.run(soft=True, **limit) is None
    assert log == ["first"]
    assert ring()[1] is other
    stackless.run()
    assert log[:2] == ["first", "other"]
    t.kill()


def test_soft_at_the_end_of_a_tasklet(limit, log):
    def work():
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass

    spawn(work)
    other = spawn(log.append, "other")
    assert stackless.run(soft=True, **limit) is None
    assert log == [] and ring()[1] is other
    stackless.run()


# --- nesting ------------------------------------------------------------------


def test_a_limit_inside_a_limit_is_ignored(limit, log):
    def inner():
        t = spawn(forever)
        log.append(t)
        log.append(stackless.run(timeout=25))  # released with the outer one
        log.append("inner over")

    spawn(inner)
    victim = interrupt(lambda: log and log[0].recursion_depth, limit)
    assert log == [victim]
    stackless.run()
    assert log == [victim, None, "inner over"]
    victim.kill()


def test_watchdogs_without_a_limit_inside(limit, log):
    def inner():
        log.append(spawn(forever))
        stackless.run()
        log.append("inner over")

    spawn(inner)
    victim = interrupt(lambda: log and log[0].recursion_depth, limit)
    assert log == [victim]
    stackless.run()
    assert log == [victim, "inner over"]
    victim.kill()


def test_killing_who_waits_ends_the_limit(log):
    def watch():
        stackless.run(seconds=0.02)

    def work():
        end = time.monotonic() + 0.06
        while time.monotonic() < end:
            pass
        log.append("worked")

    watcher = spawn(watch)
    watcher.run()
    spawn(work)
    watcher.kill()
    stackless.run()
    assert log == ["worked"] and not watcher.alive


# --- arguments ----------------------------------------------------------------


@pytest.mark.parametrize("seconds, error", [
    (0, ValueError), (-1, ValueError), (float("nan"), ValueError),
    ("1", TypeError), ([], TypeError),
])
def test_bad_seconds(seconds, error):
    spawn(pause)
    with pytest.raises(error):
        stackless.run(seconds=seconds)
    with pytest.raises(error):
        stackless.preempt(seconds)
    with pytest.raises(error):
        stackless.set_slow_call_handler(seconds, print)
    assert stackless.runcount == 2
    stackless.run(seconds=float("inf"))


def test_timeout_and_seconds():
    with pytest.raises(TypeError, match="not both"):
        stackless.run(5, seconds=1)


def test_alone_there_is_nothing_to_wait_for():
    assert stackless.run(1000) is None
    assert stackless.run(seconds=1) is None


# --- threads ------------------------------------------------------------------


@other_threads
def test_in_another_thread(limit):
    def work():
        tasks = [spawn(forever), spawn(forever)]
        for n in range(6):
            t = stackless.run(**limit)
            assert t is tasks[n % 2]
            t.insert()
        end(*tasks)

    in_thread(work)


@other_threads
def test_in_many_threads_at_once(limit):
    def work():
        t = spawn(forever)
        for _ in range(5):
            assert stackless.run(**limit) is t
            t.insert()
        end(t)

    with contextlib.ExitStack() as threads:
        for _ in range(4):
            threads.enter_context(running(work))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="possible there")
def test_other_threads_of_old_pythons_are_refused():
    def work():
        t = spawn(pause)
        with pytest.raises(NotImplementedError, match=r"3\.12"):
            stackless.run(5)
        with pytest.raises(NotImplementedError):
            stackless.run(seconds=1)
        assert stackless.run() is None
        t.kill()

    in_thread(work)


def test_threadblock_waits_for_other_threads(log):
    channel = stackless.channel()

    def send():
        time.sleep(0.05)
        channel.send("late")

    spawn(lambda: log.append(channel.receive()))
    with contextlib.closing(channel):
        thread = threading.Thread(target=send)
        thread.start()
        assert stackless.run(seconds=20, threadblock=True) is None
        thread.join()
    assert log == ["late"]


def test_threadblock_ends_with_the_time():
    channel = stackless.channel()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    t = spawn(channel.receive)
    begun = time.monotonic()
    try:
        assert stackless.run(seconds=0.05, threadblock=True) is None
    finally:
        stop.set()
        thread.join()
    assert 0.04 < time.monotonic() - begun < 10
    assert t.blocked
    t.kill()


def test_threadblock_without_other_threads(log):
    t = spawn(stackless.channel().receive)
    assert stackless.run(seconds=20, threadblock=True) is None
    assert t.blocked
    t.kill()


# --- tracing ------------------------------------------------------------------


@pytest.mark.parametrize("set_tool", [sys.settrace, sys.setprofile])
def test_traced_tasklets_are_interrupted(limit, set_tool):
    def work():
        set_tool(lambda *args: None)
        by_recursion()

    t = spawn(work)
    for _ in range(5):
        assert stackless.run(**limit) is t
        t.insert()
    end(t)
