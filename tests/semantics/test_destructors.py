"""What destructors may do: every deed, however the destructor comes to run.

A table of deeds, of ways to run the destructor, and of places.  Run by a
reference count a destructor may do anything; run by the collector it may do
all but switch.  Either way everybody else goes on, and the collector too.
"""

import gc
import os
import sys
import threading
import weakref

import pytest
import stackless

from semantics_support import pause, run_program, spawn, started, through_c
from tasks import in_thread


class Dying:
    """Does something when it dies, and notes what came of it."""

    def __init__(self, deed, stage):
        self.deed = deed
        self.stage = stage
        self.dead = False

    def __del__(self):
        if self.dead:
            return
        self.dead = True
        try:
            result = self.deed(self, self.stage)
        except RuntimeError as error:
            result = "refused" if "collector" in str(error) else str(error)
        self.stage.outcomes.append(result)


class Stage:
    """Others whom the destructor can meet, and what has happened."""

    def __init__(self):
        self.outcomes = []  # of destructors
        self.log = []       # of the others
        self.kept = []
        self.channel = stackless.channel()
        self.paused = started(self.wait)
        self.only_reference = [started(self.wait)]
        self.receiver = started(self.receive)
        self.filled = stackless.channel()
        self.sender = started(self.filled.send, "value")

    def wait(self):
        try:
            pause()
            self.log.append("woken")
        except KeyError:
            self.log.append("thrown at")
        finally:
            self.log.append("paused one ends")

    def receive(self):
        self.log.append(self.channel.receive())

    def strike(self):
        """Whoever is left ends."""
        for tasklet in (self.paused, self.receiver, self.sender):
            tasklet.kill()
        stackless.run()
        self.only_reference.clear()
        self.kept.clear()


# --- deeds --------------------------------------------------------------------
# (what it does, whether that takes a switch)

def switch(dying, stage):
    spawn(stage.log.append, "other")
    stackless.schedule()
    return "done"


def block(dying, stage):
    channel = stackless.channel()
    spawn(channel.send, "done")
    return channel.receive()


def send(dying, stage):
    """The receiver runs at once, as preference has it."""
    stage.channel.send("sent")
    return "done"


def send_without_switch(dying, stage):
    stage.channel.preference = 1
    stage.channel.send("sent")
    return "done"


def receive(dying, stage):
    """The sender's value is taken; it goes on later."""
    return "done" if stage.filled.receive() == "value" else "wrong"


def spawn_another(dying, stage):
    spawn(stage.log.append, "spawned")
    return "done"


def run(dying, stage):
    spawn(stage.log.append, "spawned").run()
    return "done"


def run_all(dying, stage):
    spawn(stage.log.append, "spawned")
    stackless.run()
    return "done"


def kill(dying, stage):
    stage.paused.kill()
    return "done"


def kill_pending(dying, stage):
    stage.paused.kill(pending=True)
    return "done"


def throw(dying, stage):
    stage.paused.throw(KeyError)
    return "done"


def resurrect(dying, stage):
    stage.kept.append(dying)
    return "done"


def drop_a_tasklet(dying, stage):
    """The last reference: it is killed, now or soon."""
    stage.only_reference.clear()
    return "done"


def die_in_a_tasklet(dying, stage):
    """Another destructor, in a tasklet, which switches."""
    def body():
        Dying(switch, stage)

    spawn(body)
    return "done"


def collect(dying, stage):
    gc.collect()
    return "done"


def fail(dying, stage):
    stage.outcomes.append("done")
    raise KeyError


# What of it is refused in the collector.
SWITCHES = {switch, block, send, run, run_all, kill, throw}
DEEDS = [switch, block, send, send_without_switch, receive, spawn_another, run,
         run_all, kill, kill_pending, throw, resurrect, drop_a_tasklet,
         die_in_a_tasklet, collect, fail]


# --- ways to run it -----------------------------------------------------------

def delete(dying):
    one = [dying()]
    del one[0]


def leave_a_function(dying):
    def function():
        one = dying()
        return bool(one)

    function()


def end_a_tasklet(dying):
    def body(argument):
        one = dying()
        return one, argument

    spawn(body, None)
    stackless.run()


def replace_tempval(dying):
    tasklet = started(pause)
    tasklet.tempval = dying()
    tasklet.tempval = None


def kill_the_owner(dying):
    def body():
        one = dying()
        pause()
        return one

    started(body).kill()


def drop_the_owner(dying):
    def body():
        one = dying()
        pause()
        return one

    started(body)


def handle_an_error(dying):
    def raising():
        one = dying()
        raise ValueError(one.dead)

    try:
        raising()
    except ValueError:
        pass  # the traceback goes, and with it the frame


def deep_in_a_structure(dying):
    """The trash can has taken over by then."""
    chain = [dying()]
    for _ in range(1000):
        chain = [chain]
    del chain


def weak_callback(dying):
    one = dying()
    plain = type("Plain", (), {})()
    reference = weakref.ref(plain, lambda _: one.__del__())
    del plain
    return reference


def collect_a_cycle(dying):
    one = dying()
    one.myself = one
    del one
    gc.collect()


def collect_at_an_allocation(dying):
    before = gc.get_threshold()
    one = dying()
    one.myself = one
    stage = one.stage
    gc.set_threshold(1)
    try:
        del one
        kept = []
        while not stage.outcomes:
            kept.append([kept])
            if len(kept) > 10000:
                break
    finally:
        gc.set_threshold(*before)


def collect_a_tasklet(dying):
    """A tasklet that has not started goes with its arguments."""
    one = dying()
    tasklet = stackless.tasklet()
    one.tasklet = tasklet.bind(print, (one,))
    del one, tasklet
    gc.collect()


BY_COUNT = [delete, leave_a_function, end_a_tasklet, replace_tempval,
            kill_the_owner, drop_the_owner, handle_an_error,
            deep_in_a_structure, weak_callback]
BY_COLLECTOR = [collect_a_cycle, collect_at_an_allocation, collect_a_tasklet]


# --- places -------------------------------------------------------------------

def in_main(function):
    function()


def in_tasklet(function):
    spawn(function)
    stackless.run()


def in_tasklet_below_c(function):
    spawn(through_c, function)
    stackless.run()


def in_a_thread(function):
    in_thread(lambda: (function(), stackless.run()))


def in_tasklet_of_a_thread(function):
    in_a_thread(lambda: in_tasklet(function))


PLACES = [in_main, in_tasklet, in_tasklet_below_c, in_a_thread,
          in_tasklet_of_a_thread]


def assert_the_collector_works():
    class Cycle:
        pass

    cycle = Cycle()
    cycle.myself = cycle
    reference = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert gc.isenabled() and reference() is None


def name(function):
    return function.__name__


@pytest.fixture(autouse=True)
def small_collections():
    """They look at the test's own objects only."""
    if os.environ.get("STACKLESS_TEST_LEAKS", "0") not in ("", "0"):  # it does so
        yield
        return
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def expected_errors(monkeypatch):
    """KeyError and kills, from destructors; nothing else is unraisable."""
    unraisable = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda hint: unraisable.append(hint.exc_type))
    yield
    assert set(unraisable) <= {KeyError}


@pytest.mark.parametrize("place", PLACES, ids=name)
@pytest.mark.parametrize("way", BY_COUNT + BY_COLLECTOR, ids=name)
@pytest.mark.parametrize("deed", DEEDS, ids=name)
def test_destructor(deed, way, place):
    outcomes = []

    def act():
        stage = Stage()
        way(lambda: Dying(deed, stage))
        stage.strike()
        outcomes.append(stage.outcomes)

    place(act)
    refused = deed in SWITCHES and way in BY_COLLECTOR
    found, = outcomes
    assert found[:1] == ["refused" if refused else "done"]
    assert set(found) <= {"refused", "done"}
    assert stackless.getruncount() == 1
    assert_the_collector_works()


def test_resurrected_by_the_collector_dies_in_the_end():
    stage = Stage()
    collect_a_cycle(lambda: Dying(resurrect, stage))
    one, = stage.kept
    reference = weakref.ref(one)
    del one
    stage.strike()
    gc.collect()
    assert reference() is None and stage.outcomes == ["done"]


@pytest.mark.parametrize("wait", [pause, lambda: through_c(pause)],
                         ids=["soft", "hard"])
def test_tasklet_resurrected_by_its_finally(wait):
    """Killed by the collector, it hands itself out, and lives on."""
    kept = []

    def body():
        me = stackless.getcurrent()
        try:
            wait()
        except TaskletExit:
            kept.append(me)
        wait()
        kept.append("done")

    spawn(body)
    stackless.run()
    gc.collect()
    stackless.run()
    tasklet, = kept
    assert tasklet.alive and tasklet.paused
    tasklet.run()
    assert not tasklet.alive and kept[1:] == ["done"]


def test_others_switch_while_a_thread_collects():
    """Only the collecting thread is held back."""
    collecting, done = threading.Event(), threading.Event()
    log = []

    class Slow:
        def __del__(self):
            collecting.set()
            done.wait()
            try:
                stackless.schedule()
            except RuntimeError:
                log.append("refused")

    def collect():
        spawn(log.append, "later")
        one = Slow()
        one.myself = one
        del one
        gc.collect()
        stackless.run()

    thread = threading.Thread(target=collect)
    thread.start()
    collecting.wait()
    spawn(log.append, "soft")
    spawn(through_c, lambda: (stackless.schedule(), log.append("hard")))
    stackless.run()
    done.set()
    thread.join()
    assert log == ["soft", "hard", "refused", "later"]
    assert_the_collector_works()


ENDINGS = {
    "end of the program": "",
    "sys.exit() in main": "sys.exit(3)",
    "sys.exit() in a tasklet": "stackless.tasklet(sys.exit)(3); "
                               "stackless.run()",
    "an uncaught error": "1 / 0",
}

COLLECTED_AT_EXIT = """
import atexit, gc, sys, threading, weakref

@atexit.register
def last():
    class Cycle: pass
    cycle = Cycle()
    cycle.myself = cycle
    reference = weakref.ref(cycle)
    del cycle
    gc.collect()
    print(gc.isenabled(), reference() is None)

def refuse():
    raise RuntimeError("should not switch")

class Dying:
    def __init__(self):
        self.myself = self
    def __del__(self):
        for attempt in (stackless.schedule, stackless.channel().receive,
                        stackless.run, blocked.kill):
            try:
                attempt()
            except RuntimeError:
                pass

def wait():
    dying = Dying()
    try:
        stackless.schedule_remove(None)
    finally:
        Dying()
        gc.collect()

blocked = stackless.tasklet(wait)()
hard = stackless.tasklet(sorted)([1, 2], key=lambda x: wait())
stackless.run()
gc.set_threshold(1)
Dying()
for index in range(100):
    stackless.tasklet(Dying)()
    stackless.schedule()
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_program_ends_with_the_collector_off(ending):
    """However it ends; `last` runs when the tasklets have been killed."""
    source = COLLECTED_AT_EXIT + ENDINGS[ending]
    done = run_program("import atexit\n" + source)
    assert done.stdout == "True True\n", done.stderr
    assert done.returncode in (0, 1, 3)


class SlowInTheCollector:
    """Garbage whose destructor lets others run until it is told to end."""

    def __init__(self):
        self.begun, self.end = threading.Event(), threading.Event()

    def collect(self, before):
        before()
        garbage = type("Garbage", (), {"__del__": lambda _: self.wait()})()
        garbage.me = garbage
        del garbage
        gc.collect()

    def wait(self):
        self.begun.set()
        self.end.wait(20)


def switch_ten_times():
    done = []

    def body():
        for i in range(10):
            stackless.schedule()
        done.append(True)

    stackless.tasklet(body)()
    stackless.run()
    return done


@pytest.mark.parametrize("before", [lambda: None, switch_ten_times])
def test_others_switch_while_a_thread_is_in_the_collector(before):
    """Whether or not that thread has ever used tasklets."""
    gc.disable()  # enabled by a fixture
    slow = SlowInTheCollector()
    thread = threading.Thread(target=slow.collect, args=(before,))
    thread.start()
    slow.begun.wait(20)
    try:
        assert switch_ten_times() == [True]
        assert thread.is_alive()
    finally:
        slow.end.set()
        thread.join()
    assert switch_ten_times() == [True]


def test_the_collector_of_a_thread_that_becomes_one_with_tasklets():
    """The destructor is the first there to use any."""
    seen = []

    class Garbage:
        def __del__(self):
            try:
                stackless.tasklet(seen.append)("switched")
                stackless.run()
            except RuntimeError as error:
                seen.append(str(error))

    def collect():
        garbage = Garbage()
        garbage.me = garbage
        del garbage
        gc.collect()
        stackless.run()

    gc.disable()  # enabled by a fixture
    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    assert len(seen) == 2 and "collector" in seen[0], seen
    assert seen[1] == "switched"
