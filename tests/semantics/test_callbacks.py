"""Schedule and channel callbacks: what they see, re-entry, errors."""

import sys

import pytest
import stackless

from semantics_support import pause, ring, spawn, started


@pytest.fixture
def unraisable(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook",
                        lambda info: seen.append(info.exc_value))
    return seen


# registration

SETTERS = [
    (stackless.set_schedule_callback, stackless.get_schedule_callback),
    (stackless.set_channel_callback, stackless.get_channel_callback)]


@pytest.mark.parametrize("setter, getter", SETTERS)
def test_setter_returns_the_previous_callback(setter, getter):
    def first(*args):
        pass

    def second(*args):
        pass
    assert getter() is None
    assert setter(first) is None
    assert getter() is first
    assert setter(second) is first
    assert setter(None) is second
    assert getter() is None


@pytest.mark.parametrize("setter, getter", SETTERS)
def test_callback_must_be_callable_or_none(setter, getter):
    with pytest.raises(TypeError):
        setter(42)
    with pytest.raises(TypeError):
        setter()
    assert getter() is None


# the schedule callback

@pytest.fixture
def switches(log):
    def callback(prev, next):
        log.append((prev, next))
    stackless.set_schedule_callback(callback)
    return log


def test_schedule_callback_sees_each_switch(switches):
    main = stackless.main
    a, b = spawn(stackless.schedule), spawn(lambda: None)
    stackless.schedule()
    assert switches == [(main, a), (a, b), (b, main)]
    stackless.run()
    assert switches[3:] == [(main, a), (a, main)]


def test_next_is_never_none_at_the_end_of_a_tasklet(switches):
    t = spawn(lambda: None)
    stackless.run()
    assert switches == [(stackless.main, t), (t, stackless.main)]


def test_current_is_prev_inside_the_schedule_callback(log):
    def callback(prev, next):
        log.append(stackless.current is prev)
    stackless.set_schedule_callback(callback)
    spawn(stackless.schedule)
    spawn(lambda: None)
    stackless.run()
    stackless.set_schedule_callback(None)
    assert len(log) == 4 and all(log)


def test_schedule_callback_sees_no_switch_to_oneself(switches):
    stackless.schedule()
    stackless.current.run()
    stackless.current.switch()
    stackless.run()
    stackless.schedule_remove(None)
    assert switches == []


def test_schedule_callback_sees_channel_switches(switches):
    main, channel = stackless.main, stackless.channel()
    t = spawn(channel.receive)
    t.run()
    del switches[:]
    channel.send(None)
    assert switches == [(main, t), (t, main)]


def test_schedule_callback_sees_kills(switches):
    t = started(pause)
    del switches[:]
    t.kill()
    assert switches == [(stackless.main, t), (t, stackless.main)]


def test_transfer_without_a_switch_is_not_seen(switches):
    channel = stackless.channel()
    started(channel.send, 1)
    del switches[:]
    channel.receive()
    assert switches == []


def test_error_in_the_schedule_callback_is_unraisable(unraisable, log):
    def callback(prev, next):
        raise KeyError("callback")

    stackless.set_schedule_callback(callback)
    spawn(log.append, 1)
    stackless.run()
    stackless.set_schedule_callback(None)
    assert log == [1]
    assert [type(e) for e in unraisable] == [KeyError, KeyError]


ATTEMPTS = {
    "schedule": stackless.schedule,
    "schedule_remove": pause,
    "run()": stackless.run,
    "receive": lambda: stackless.channel().receive(),
    "send": lambda: stackless.channel().send(1),
    "run": lambda: spawn(lambda: None).run(),
    "switch": lambda: spawn(lambda: None).switch(),
    "kill": lambda: spawn(lambda: None).kill(),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_switching_inside_the_schedule_callback(attempt, log):
    def callback(prev, next):
        stackless.set_schedule_callback(None)
        try:
            attempt()
        except RuntimeError as error:
            log.append(type(error))

    stackless.set_schedule_callback(callback)
    spawn(log.append, "ran")
    spawn(lambda: None)
    stackless.run()
    assert log == [RuntimeError, "ran"]


def test_schedule_callback_may_spawn_and_insert(log):
    idle = started(lambda: (pause(), log.append("idle")))

    def callback(prev, next):
        stackless.set_schedule_callback(None)
        spawn(log.append, "spawned")
        idle.insert()

    stackless.set_schedule_callback(callback)
    spawn(log.append, "first")
    stackless.run()
    assert log == ["first", "spawned", "idle"]


def test_schedule_callback_may_remove_the_next(log):
    """The switch goes on or goes elsewhere; nothing is lost."""
    def callback(prev, next):
        stackless.set_schedule_callback(None)
        t.remove()

    t = spawn(log.append, "removed")
    spawn(log.append, "other")
    stackless.set_schedule_callback(callback)
    stackless.run()
    if t.alive:
        t.run()
    assert sorted(log) == ["other", "removed"]
    assert ring() == [stackless.main]


def test_schedule_callback_may_kill_the_next_pending(log):
    def callback(prev, next):
        stackless.set_schedule_callback(None)
        next.kill(pending=True)

    stackless.set_schedule_callback(callback)
    t = spawn(log.append, "never")
    stackless.run()
    assert log == [] and not t.alive


def test_schedule_callback_may_unset_itself(log):
    def callback(prev, next):
        log.append("called")
        stackless.set_schedule_callback(None)

    stackless.set_schedule_callback(callback)
    del callback
    for _ in range(3):
        spawn(lambda: None)
    stackless.run()
    assert log == ["called"]


def test_schedule_callback_is_called_under_the_users_frame(log):
    def callback(prev, next):
        back = sys._getframe().f_back
        log.append(back and back.f_code.co_name)

    def scheduling():
        stackless.schedule()

    spawn(scheduling)
    stackless.set_schedule_callback(callback)
    stackless.schedule()
    stackless.schedule()
    stackless.set_schedule_callback(None)
    here = "test_schedule_callback_is_called_under_the_users_frame"
    assert log == [here, "scheduling", here, None]


def test_schedule_callback_sees_the_exc_info_of_prev(log):
    def callback(prev, next):
        log.append((prev, sys.exc_info()[0]))

    def body():
        try:
            raise KeyError
        except KeyError:
            stackless.schedule()

    t, main = spawn(body), stackless.main
    try:
        raise ValueError
    except ValueError:
        stackless.set_schedule_callback(callback)
        stackless.run()
        stackless.set_schedule_callback(None)
    seen = [(who, what) for who, what in log if what is not None]
    assert (main, ValueError) in seen
    assert all(what is (ValueError if who is main else KeyError)
               for who, what in seen)


# the channel callback

@pytest.fixture
def operations(log):
    def callback(channel, tasklet, sending, willblock):
        log.append((channel, tasklet, sending, willblock, tasklet.tempval))
    stackless.set_channel_callback(callback)
    return log


def test_channel_callback_sees_both_sides(operations):
    channel, main = stackless.channel(), stackless.main
    t = spawn(channel.receive)
    channel.send(42)
    assert operations == [(channel, main, 1, 1, 42),
                          (channel, t, 0, 0, None)]


def test_channel_callback_flags_are_ints(operations):
    channel = stackless.channel()
    started(channel.send, 1)
    channel.receive()
    assert [(type(o[2]), o[2], type(o[3]), o[3]) for o in operations] == [
        (int, 1, int, 1), (int, 0, int, 0)]


def test_channel_callback_sees_a_bomb_for_an_error(operations):
    channel = stackless.channel()
    started(channel.send_exception, KeyError, "x")
    started(channel.send_throw, ValueError)
    bombs = [o[4] for o in operations]
    assert [type(b) for b in bombs] == [stackless.bomb] * 2
    assert [b.type for b in bombs] == [KeyError, ValueError]


def test_channel_callback_runs_before_the_transfer(log):
    channel = stackless.channel()

    def callback(channel, tasklet, sending, willblock):
        log.append(channel.balance)

    started(channel.receive)
    stackless.set_channel_callback(callback)
    channel.send(1)
    stackless.set_channel_callback(None)
    assert log == [-1]


def test_channel_callback_is_called_for_each_item_of_a_sequence(operations):
    channel = stackless.channel()
    spawn(channel.send_sequence, [1, 2])
    assert channel.receive() == 1
    assert channel.receive() == 2
    assert [o[4] for o in operations if o[2]] == [1, 2]


def test_value_replaced_by_the_channel_callback_is_delivered():
    channel = stackless.channel()

    def callback(channel, tasklet, sending, willblock):
        if sending:
            tasklet.tempval = "replaced"

    stackless.set_channel_callback(callback)
    started(channel.send, "original")
    stackless.set_channel_callback(None)
    assert channel.receive() == "replaced"


def test_error_in_the_channel_callback_is_unraisable(unraisable):
    channel = stackless.channel()

    def callback(*args):
        raise KeyError("callback")

    stackless.set_channel_callback(callback)
    started(channel.send, 1)
    assert channel.receive() == 1
    stackless.set_channel_callback(None)
    assert [type(e) for e in unraisable] == [KeyError, KeyError]


CHANNEL_ATTEMPTS = {
    "receive": lambda c: c.receive(),
    "send": lambda c: c.send(1),
    "send_exception": lambda c: c.send_exception(KeyError),
    "schedule": lambda c: stackless.schedule(),
}


@pytest.mark.parametrize("attempt", CHANNEL_ATTEMPTS.values(),
                         ids=CHANNEL_ATTEMPTS)
@pytest.mark.parametrize("same", [True, False], ids=["same", "other"])
def test_switching_inside_the_channel_callback(attempt, same, log):
    channel = stackless.channel()

    def callback(*args):
        stackless.set_channel_callback(None)
        try:
            attempt(channel if same else stackless.channel())
        except RuntimeError as error:
            log.append(type(error))

    t = started(channel.receive)
    spawn(lambda: None)
    stackless.set_channel_callback(callback)
    channel.send("value")
    stackless.run()
    assert log == [RuntimeError]
    assert not t.alive and channel.balance == 0


def test_channel_callback_may_take_the_peer_away(log):
    """The operation looks again after the callback, and blocks instead."""
    channel = stackless.channel()
    t = started(lambda: (channel.receive(), log.append("received")))

    def callback(*args):
        stackless.set_channel_callback(None)
        t.kill(pending=True)

    def late_receiver():
        log.append(channel.receive())

    spawn(late_receiver)
    stackless.set_channel_callback(callback)
    channel.send("value")
    stackless.run()
    assert log == ["value"]
    assert not t.alive and channel.balance == 0


def test_channel_callback_may_close_the_channel():
    channel = stackless.channel()

    def callback(*args):
        stackless.set_channel_callback(None)
        channel.close()

    stackless.set_channel_callback(callback)
    with pytest.raises(ValueError):
        channel.send(1)
    assert channel.balance == 0


def test_channel_callback_may_set_the_block_trap():
    channel = stackless.channel()

    def callback(channel, tasklet, sending, willblock):
        stackless.set_channel_callback(None)
        tasklet.block_trap = True

    spawn(lambda: None)
    stackless.set_channel_callback(callback)
    with pytest.raises(RuntimeError):
        channel.receive()
    assert channel.balance == 0
