"""How tasklets end: uncaught errors, the error handler, SystemExit,
TaskletExit, KeyboardInterrupt."""

import sys
import traceback

import pytest
import stackless

from semantics_support import (counting, function_names, pause, ring, spawn,
                               started, through_c)


class Oops(Exception):
    pass


def failing(error=Oops):
    raise error


WAITS = {
    "run": stackless.run,
    "schedule": stackless.schedule,
    "schedule_remove": pause,
    "receive": lambda: stackless.channel().receive(),
    "send": lambda: stackless.channel().send(1),
    "send_throw": lambda: stackless.channel().send_throw(KeyError),
    "for": lambda: list(stackless.channel()),
    "send_sequence": lambda: stackless.channel().send_sequence([1]),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("error", [Oops, KeyboardInterrupt, GeneratorExit,
                                   StopIteration, BaseException])
def test_uncaught_error_is_raised_in_main_wherever_it_waits(wait, error):
    if error is StopIteration and wait is WAITS["for"]:
        pytest.skip("ends the loop")
    t = spawn(failing, error("uncaught"))
    with pytest.raises(error, match="uncaught"):
        wait()
    assert not t.alive
    assert ring() == [stackless.main]


def test_main_taken_off_its_channel_by_an_error():
    channel = stackless.channel()
    spawn(failing)
    with pytest.raises(Oops):
        channel.receive()
    assert channel.balance == 0
    assert not stackless.main.blocked


def test_error_goes_to_main_not_to_the_caller_of_run(log):
    def caller():
        log.append("calling")
        spawn(failing).run()
        log.append("returned")

    t = spawn(caller)
    with pytest.raises(Oops):
        stackless.run()
    assert log == ["calling"]
    assert t.scheduled
    stackless.run()
    assert log == ["calling", "returned"]


def test_others_stay_queued_after_an_error(log):
    spawn(failing)
    spawn(counting, log, "A", 2)
    with pytest.raises(Oops):
        stackless.run()
    assert log == [] and stackless.runcount == 2
    stackless.run()
    assert log == ["A0", "A1"]


def test_each_error_is_delivered_once():
    for _ in range(3):
        spawn(failing)
    for _ in range(3):
        with pytest.raises(Oops):
            stackless.run()
    stackless.run()


def middle():
    failing()


def test_traceback_runs_from_main_into_the_tasklet():
    spawn(middle)
    with pytest.raises(Oops) as caught:
        stackless.run()
    assert function_names(caught.value.__traceback__) == [
        "test_traceback_runs_from_main_into_the_tasklet",
        "middle", "failing"]


def test_traceback_through_c():
    spawn(through_c, middle)
    with pytest.raises(Oops) as caught:
        stackless.run()
    names = function_names(caught.value.__traceback__)
    assert names[0] == "test_traceback_through_c"
    assert names[1] == "through_c"
    assert names[-2:] == ["middle", "failing"]


def test_the_error_instance_is_kept():
    error = Oops()
    spawn(failing, error)
    with pytest.raises(Oops) as caught:
        stackless.run()
    assert caught.value is error


def test_error_keeps_its_own_cause_and_context():
    def chained():
        try:
            raise KeyError("first")
        except KeyError as error:
            raise Oops("second") from error

    spawn(chained)
    with pytest.raises(Oops) as caught:
        stackless.run()
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value.__context__, KeyError)


def test_error_after_a_switch_in_the_tasklet():
    def body():
        stackless.schedule()
        middle()

    spawn(body)
    with pytest.raises(Oops) as caught:
        stackless.run()
    assert function_names(caught.value.__traceback__)[1:] == [
        "body", "middle", "failing"]


def test_error_in_a_tasklet_run_by_a_tasklet_inside_run(log):
    def inner():
        try:
            stackless.run()
        except Oops:
            log.append("inner watchdog")

    spawn(inner)
    spawn(failing)
    stackless.run()
    assert log == ["inner watchdog"]


# the error handler

@pytest.fixture
def handled():
    calls = []

    def handler(type, value, tb):
        calls.append((type, value, tb, stackless.current))
    stackless.set_error_handler(handler)
    return calls


def test_error_handler_is_returned_when_replaced():
    def handler(*args):
        pass
    assert stackless.set_error_handler(handler) is None
    assert stackless.set_error_handler(None) is handler
    assert stackless.set_error_handler() is None


def test_error_handler_swallows_the_error(handled):
    t = spawn(failing)
    stackless.run()
    assert len(handled) == 1
    type, value, tb, current = handled[0]
    assert type is Oops and isinstance(value, Oops)
    assert traceback.extract_tb(tb)[-1].name == "failing"
    assert current is t
    assert not t.alive


def test_error_handler_sees_errors_thrown_before_the_start(handled):
    t = spawn(lambda: None)
    t.throw(Oops, "early")
    assert [(c[0], c[1].args, c[3]) for c in handled] == [
        (Oops, ("early",), t)]


def test_error_handler_sees_pending_errors_when_they_strike(handled):
    t = started(pause)
    t.throw(Oops, pending=True)
    assert handled == []
    stackless.run()
    assert [(c[0], c[3]) for c in handled] == [(Oops, t)]


def test_error_handler_gets_keyboard_interrupt(handled):
    spawn(failing, KeyboardInterrupt)
    stackless.run()
    assert [c[0] for c in handled] == [KeyboardInterrupt]


@pytest.mark.parametrize("error", [TaskletExit, SystemExit])
def test_error_handler_never_gets_exits(handled, error):
    spawn(failing, error)
    if error is SystemExit:
        with pytest.raises(SystemExit):
            stackless.run()
    else:
        stackless.run()
    assert handled == []


def test_error_of_the_handler_goes_to_main():
    def handler(type, value, tb):
        raise LookupError("handler")

    stackless.set_error_handler(handler)
    t = spawn(failing)
    with pytest.raises(LookupError, match="handler"):
        stackless.run()
    assert not t.alive


def test_error_handler_may_switch(log):
    def handler(type, value, tb):
        stackless.schedule()
        log.append("handled")

    stackless.set_error_handler(handler)
    t = spawn(failing)
    spawn(log.append, "other")
    stackless.run()
    assert log == ["other", "handled"]
    assert not t.alive


def test_error_handler_may_kill_its_own_tasklet():
    stackless.set_error_handler(lambda *args: stackless.current.kill())
    t = spawn(failing)
    stackless.run()
    assert not t.alive


def test_error_handler_does_not_run_for_errors_of_main(handled):
    with pytest.raises(Oops):
        failing()
    assert handled == []


# exits

def test_tasklet_exit_is_silent():
    t = spawn(failing, TaskletExit)
    stackless.run()
    assert not t.alive


def test_subclass_of_tasklet_exit_is_silent():
    class Subclass(TaskletExit):
        pass
    spawn(failing, Subclass)
    stackless.run()


def test_tasklet_exit_is_a_builtin_system_exit():
    import builtins
    assert builtins.TaskletExit is TaskletExit
    assert issubclass(TaskletExit, SystemExit)
    assert not hasattr(stackless, "TaskletExit")
    assert TaskletExit().code is None
    assert TaskletExit(3).code == 3


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_system_exit_reaches_main_with_its_code(wait):
    t = spawn(sys.exit, 3)
    with pytest.raises(SystemExit) as caught:
        wait()
    assert caught.value.code == 3
    assert not isinstance(caught.value, TaskletExit)
    assert not t.alive


def test_system_exit_passes_an_inner_watchdog_to_main(log):
    def inner():
        try:
            stackless.run()
        finally:
            log.append("inner left")

    spawn(inner)
    spawn(sys.exit, 3)
    with pytest.raises(SystemExit) as caught:
        stackless.run()
        stackless.run()
    assert caught.value.code == 3


# ending

def test_ended_tasklet_is_unlinked():
    t = spawn(lambda: None)
    stackless.run()
    assert not t.alive and not t.scheduled and not t.paused
    assert t.next is None and t.prev is None
    assert ring() == [stackless.main]


def test_run_with_nothing_to_run_returns_at_once():
    assert stackless.run() is None


def test_run_returns_when_the_ring_is_empty(log):
    channel = stackless.channel()
    spawn(channel.receive)
    spawn(pause)
    spawn(log.append, "ran")
    assert stackless.run() is None
    assert log == ["ran"]
    assert channel.balance == -1


def test_run_takes_its_flags_without_a_timeout(log):
    spawn(log.append, 1)
    stackless.run(0, False, True, True, True)
    spawn(log.append, 2)
    stackless.run(timeout=0, threadblock=False, soft=True,
                  ignore_nesting=True, totaltimeout=True)
    assert log == [1, 2]


def test_arguments_of_a_tasklet_are_released_at_its_end(log):
    class Noisy:
        def __del__(self):
            log.append("freed")

    t = spawn(lambda noisy: None, Noisy())
    assert log == []
    stackless.run()
    assert log == ["freed"]
    del t


def test_a_thousand_tasklets_end_and_leave_nothing():
    before = len(stackless.all_tasklets())
    for _ in range(1000):
        spawn(stackless.schedule)
    stackless.run()
    assert len(stackless.all_tasklets()) <= before
