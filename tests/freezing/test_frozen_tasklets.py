"""Tasklets, channels and bombs are frozen with all that belongs to them."""

import contextlib
import gc
import pickle
import sys
import threading

import freezing_support as support
import pytest
import stackless
from freezing_support import LOG, dumps, loads, point, started, thawed
from tasks import spawn

# Most assert which tasklets are soft.
pytestmark = pytest.mark.soft


def note(*what):
    LOG.append(what)
    return what


def refused(tasklet, text, kinds=(RuntimeError, pickle.PicklingError)):
    with pytest.raises(kinds, match=text):
        dumps(tasklet)


def receiver(channel, name):
    note(name, channel.receive())


def sender(channel, name):
    channel.send(name)
    note("sent", name)


def waiting(function, channel, names):
    tasklets = [spawn(function, channel, name) for name in names]
    stackless.run()
    return tasklets


class Named(stackless.tasklet):
    """Has a dictionary."""


class Slotted(stackless.tasklet):
    __slots__ = ("one", "two")


class Pipe(stackless.channel):
    pass


class SlottedPipe(stackless.channel):
    __slots__ = ("label",)


class Log:
    """Can be frozen; what it is told is in this module's log."""

    def add(self, *what):
        note(*what)


# --- what a tasklet is -------------------------------------------------------

def test_paused_after_thawing():
    original = started(point, 1)
    copy = thawed(original)
    assert copy is not original
    assert (copy.paused, copy.alive, copy.blocked, copy.scheduled) == (
        True, True, False, False,
    )  # fmt: skip
    assert copy.thread_id == original.thread_id
    assert not copy.is_current and not copy.is_main
    assert copy.restorable and copy.nesting_level == 0
    assert copy.recursion_depth == original.recursion_depth
    assert copy.frame.f_code is original.frame.f_code
    assert copy.frame.f_lineno == original.frame.f_lineno


def test_new_unbound():
    copy = thawed(stackless.tasklet())
    assert not copy.alive
    copy.bind(note)("ran")
    stackless.run()
    assert LOG == [("ran",)]


def test_bound():
    copy = thawed(stackless.tasklet(note))
    assert not copy.alive and not copy.scheduled
    copy("late")
    stackless.run()
    assert LOG == [("late",)]


def keywords(*args, **kwargs):
    note(args, kwargs)


@pytest.mark.parametrize("scheduled", [True, False])
def test_never_run(scheduled):
    if scheduled:
        original = spawn(keywords, 1, b=[2])
    else:
        original = stackless.tasklet().bind(keywords, (1,), {"b": [2]})
    copy = thawed(original)
    assert copy.alive and not copy.scheduled
    original.remove()
    copy.insert()
    stackless.run()
    assert LOG == [((1,), {"b": [2]})]


def test_never_run_bound_method_shares_its_object():
    log = Log()
    copies, copied_log = thawed(
        ([stackless.tasklet(log.add).bind(log.add, (n,)) for n in "ab"], log)
    )
    for copy in copies:
        copy.insert()
    del copies, copy
    assert type(copied_log) is Log
    stackless.run()
    assert LOG == [("a",), ("b",)]


def test_dead():
    tasklet = spawn(note, 1)
    stackless.run()
    copy = thawed(tasklet)
    assert not copy.alive and not copy.paused
    copy.bind(note)("again")
    stackless.run()
    assert LOG == [(1,), ("again",)]


@pytest.mark.parametrize("life", ["bound", "never run", "suspended", "dead"])
def test_names_and_flags(life):
    tasklet = Named(note)
    if life != "bound":
        tasklet.bind(point if life == "suspended" else note, (1,))
    if life in ("suspended", "dead"):
        tasklet.insert()
        stackless.run()
    tasklet.name = "my name"
    tasklet.block_trap = True
    tasklet.set_ignore_nesting(True)
    tasklet.extra = [tasklet]
    copy = thawed(tasklet)
    assert type(copy) is Named
    assert (copy.name, copy.block_trap, copy.ignore_nesting) == (
        "my name", True, True,
    )  # fmt: skip
    assert copy.extra[0] is copy
    assert not copy.atomic
    copy.block_trap = tasklet.block_trap = False
    copy.extra = tasklet.extra = None


def test_atomic():
    def program():
        stackless.getcurrent().set_atomic(True)
        stackless.schedule_remove(None)
        note(stackless.getcurrent().atomic)
        stackless.getcurrent().set_atomic(False)

    original = started(program)
    assert original.atomic
    copy = thawed(original)
    assert copy.atomic
    for tasklet in original, copy:
        support.go(tasklet)
    assert LOG == [(True,), (True,)]


def test_subclass_with_slots():
    tasklet = Slotted(point)(1)
    stackless.run()
    tasklet.one = [1]
    copy = thawed(tasklet)
    assert type(copy) is Slotted and copy.one == [1]
    assert not hasattr(copy, "two")


def test_tempval():
    def program():
        note(stackless.schedule_remove("old"))

    original = started(program)
    assert original.tempval == "old"
    copy = thawed(original)
    assert copy.tempval == "old"
    copy.tempval = "new"
    for tasklet in copy, original:
        support.go(tasklet)
    assert LOG == [("new",), ("old",)]


def test_pending_exception():
    def program():
        try:
            stackless.schedule_remove(None)
        except ValueError as error:
            note("caught", error.args)

    original = started(program)
    original.throw(ValueError, ("thrown",), pending=True)
    copy = thawed(original)
    for tasklet in original, copy:
        if not tasklet.scheduled:
            tasklet.insert()
    stackless.run()
    assert LOG == [("caught", ("thrown",))] * 2


def with_finally():
    try:
        stackless.schedule_remove(None)
    finally:
        note("finally")


def test_pending_kill():
    original = started(with_finally)
    original.kill(pending=True)
    copy = thawed(original)
    if not copy.scheduled:
        copy.insert()
    stackless.run()
    assert LOG == [("finally",)] * 2
    assert not copy.alive


def test_bomb():
    bomb = thawed(stackless.bomb(KeyError, KeyError("k")))
    assert bomb.type is KeyError and bomb.value.args == ("k",)


# --- disposal ----------------------------------------------------------------

def test_dropped_bytes_run_nothing():
    original = started(with_finally)
    data = dumps(original)
    del data
    gc.collect()
    assert LOG == []
    original.kill()
    assert LOG == [("finally",)]


def test_dropped_copy_is_killed():
    original = started(with_finally)
    copy = thawed(original)
    del copy
    assert LOG == [("finally",)]
    assert original.alive


def test_killed_copy():
    original = started(with_finally)
    copy = thawed(original)
    copy.kill()
    assert LOG == [("finally",)]
    assert not copy.alive and original.alive


def test_exception_for_a_copy():
    copy = thawed(started(with_finally))
    with pytest.raises(KeyError):
        copy.raise_exception(KeyError, "k")
    assert LOG == [("finally",)] * 2  # the original has been dropped


# --- several -----------------------------------------------------------------

def counting(n, read):
    def add(k):
        nonlocal n
        stackless.schedule_remove(None)
        n += k

    def first():
        add(1)
        note("first", n)

    def second():
        add(10)
        read.append(n)
        note("second", n)

    return first, second


@pytest.mark.parametrize("code", ["reference", "value"])
def test_cells_shared_by_tasklets(code):
    read = []
    tasklets = [started(f) for f in counting(0, read)]
    copies, copied = thawed((tasklets, read), code)
    for tasklet in copies:
        support.go(tasklet)
    assert (read, copied) == ([], [11])
    assert LOG == [("first", 1), ("second", 11)]


def test_objects_shared_by_tasklets():
    shared = []

    def program(me):
        stackless.schedule_remove(None)
        me.append(len(me))

    tasklets = [started(program, shared) for _ in range(3)]
    copies, copied = thawed((tasklets, shared))
    for tasklet in copies:
        support.go(tasklet)
    assert (shared, copied) == ([], [0, 1, 2])


def test_tasklet_that_knows_itself():
    def program():
        me = stackless.getcurrent()
        stackless.schedule_remove(None)
        note(me is stackless.getcurrent())

    original = started(program)
    copy = thawed(original)
    for tasklet in original, copy:
        support.go(tasklet)
    assert LOG == [(True,), (True,)]
    del copy, original, tasklet


# --- channels ----------------------------------------------------------------

def test_channel_alone():
    channel = stackless.channel()
    channel.preference = 1
    channel.schedule_all = True
    copy = thawed(channel)
    assert (copy.preference, copy.schedule_all) == (1, True)
    assert (copy.balance, copy.closed, copy.closing) == (0, False, False)
    channel.close()
    assert thawed(channel).closed


def test_channel_subclasses():
    pipe, slotted = Pipe(), SlottedPipe()
    pipe.back = slotted
    slotted.label = pipe
    copy = thawed(pipe)
    assert type(copy) is Pipe and type(copy.back) is SlottedPipe
    assert copy.back.label is copy


@pytest.mark.parametrize("from_channel", [True, False])
def test_blocked_receivers_in_order(from_channel):
    channel = stackless.channel()
    tasklets = waiting(receiver, channel, "abc")
    value = channel if from_channel else (tasklets[1], tasklets, channel)
    copy = thawed(value)
    copy = copy if from_channel else copy[2]
    assert channel.balance == copy.balance == -3
    assert copy.queue.blocked and copy.queue.waiting_for is copy
    for n in range(3):
        copy.send(n)
    stackless.run()
    assert LOG == [("a", 0), ("b", 1), ("c", 2)]
    assert copy.balance == 0 and channel.balance == -3


@pytest.mark.parametrize("code", ["reference", "value"])
def test_blocked_senders_in_order(code):
    channel = Pipe()
    waiting(sender, channel, "abc")
    copy = thawed(channel, code)
    assert type(copy) is Pipe and copy.balance == 3
    assert [copy.receive() for _ in range(3)] == ["a", "b", "c"]
    stackless.run()
    assert LOG == [("sent", name) for name in "abc"]
    assert channel.balance == 3
    assert [channel.receive() for _ in range(3)] == ["a", "b", "c"]


def test_one_of_the_blocked_brings_all():
    """The channel belongs to it, and the others to the channel."""
    channel = stackless.channel()
    tasklets = waiting(receiver, channel, "abc")
    for number, tasklet in enumerate(tasklets):
        copy = thawed(tasklet)
        assert copy.blocked
        other = copy.waiting_for
        assert other.balance == -3
        place, waiter = 0, other.queue
        while waiter is not copy:
            place, waiter = place + 1, waiter.next
        assert place == number
        del copy, waiter
        for n in range(3):
            other.send(n)
    assert LOG == [("a", 0), ("b", 1), ("c", 2)] * 3


def test_two_channels():
    a, b = stackless.channel(), stackless.channel()
    waiting(receiver, a, "xy")
    waiting(sender, b, "zw")
    c, d = thawed([a, b])
    assert (c.balance, d.balance) == (-2, 2)
    c.send(d.receive())
    c.send(d.receive())
    stackless.run()
    assert sorted(LOG) == sorted(
        [("sent", "z"), ("sent", "w"), ("x", "z"), ("y", "w")]
    )


def test_sent_objects_are_shared():
    def send(channel, value):
        channel.send(value)
        note(value)

    channel, value = stackless.channel(), []
    spawn(send, channel, value)
    stackless.run()
    copy = thawed(channel)
    copy.receive().append("changed")
    stackless.run()
    assert LOG == [(["changed"],)] and value == []


def test_iteration_over_a_channel():
    def consume(channel):
        for item in channel:
            note(item)
        note("closed")

    channel = stackless.channel()
    tasklet = spawn(consume, channel)
    stackless.run()
    channel.send(1)
    try:
        copy = thawed(channel)
    except (RuntimeError, pickle.PicklingError) as error:
        assert "C state" in str(error)
        channel.send_exception(StopIteration)
        return
    copy.send(2)
    copy.close()
    channel.close()
    copy.send_exception(StopIteration)
    stackless.run()
    assert (1,) in LOG and (2,) in LOG
    assert tasklet.blocked
    channel.send_exception(StopIteration)


def test_kill_of_a_blocked_copy():
    channel = stackless.channel()
    (tasklet,) = waiting(receiver, channel, "a")
    copy = thawed(tasklet)
    other = copy.waiting_for
    copy.kill()
    assert (other.balance, channel.balance) == (0, -1)


# --- refused -----------------------------------------------------------------

def test_current_and_main_are_refused():
    refused(stackless.getcurrent(), "main|running|current")
    errors = []

    def program():
        me = stackless.getcurrent()
        with pytest.raises((RuntimeError, pickle.PicklingError)) as caught:
            dumps(me)
        errors.append(str(caught.value))
        with pytest.raises((RuntimeError, pickle.PicklingError)) as caught:
            dumps(stackless.getmain())
        errors.append(str(caught.value))

    spawn(program)
    stackless.run()
    assert "running" in errors[0] or "current" in errors[0]
    assert "main" in errors[1]


def test_c_state_is_refused():
    tasklet = started(lambda: sorted([1], key=point))
    refused(tasklet, "C")
    support.go(tasklet)
    assert not tasklet.alive


def test_running_generator_is_refused():
    def generator():
        yield dumps(me)

    me = generator()
    refused_here = pytest.raises(
        (RuntimeError, ValueError, pickle.PicklingError)
    )
    with refused_here as caught:
        next(me)
    assert "running" in str(caught.value)
    assert "generator" in str(caught.value)


def test_unpicklable_local_is_refused_and_nothing_has_happened():
    def program(lock):
        held = lock
        stackless.schedule_remove(None)
        note(held is lock)

    tasklet = started(program, threading.Lock())
    refused(tasklet, "lock", (TypeError, pickle.PicklingError))
    support.go(tasklet)
    assert LOG == [(True,)]


def test_tasklet_of_another_thread_that_runs():
    found, done, asked = [], threading.Event(), threading.Event()

    def work():
        found.append(stackless.getcurrent())
        asked.set()
        done.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    asked.wait(20)
    try:
        refused(found[0], "main|running|thread")
    finally:
        done.set()
        thread.join()
        found.clear()


def test_thawed_in_another_thread():
    data = dumps(started(point, "there"))
    seen = []

    def work():
        copy = loads(data)
        seen.append(copy.thread_id == threading.get_ident())
        support.go(copy)
        seen.append(copy.alive)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, False]


# --- depth, damage -----------------------------------------------------------

def deep(n):
    if n:
        return deep(n - 1) + 1
    stackless.schedule_remove(None)
    return 0


@contextlib.contextmanager
def recursion_limit(limit):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def test_five_thousand_frames():
    def program():
        note(deep(5000))

    with recursion_limit(6000):
        copy = thawed(started(program))
        assert copy.recursion_depth > 5000
        support.go(copy)
        assert LOG == [(5000,)]


def test_damaged_bytes_raise():
    """Where pickle finds something wrong, nothing is left half made."""
    data = dumps(started(with_finally))
    for length in range(len(data)):
        with pytest.raises(Exception):  # noqa: B017
            loads(data[:length])
    assert not [task for task in stackless.all_tasklets() if task.paused]
