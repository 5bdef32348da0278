"""Main leaves the thread's own stack for the time of one call (core/host.c)."""

import contextvars
import gc
import sys
import weakref

import pytest

import stackless

from tasks import in_thread, spawn, through_c

run_main = stackless._core._run_main
variable = contextvars.ContextVar("variable", default=None)


class Thing:
    pass


def visible_frames():
    frame, count = sys._getframe(1), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count


def test_it_is_main_that_runs():
    log = []

    def function():
        log.append((stackless.getcurrent() is stackless.getmain(),
                    stackless.getruncount(), visible_frames()))

    assert run_main(function) is None
    assert log == [(True, 1, 1)]


def test_what_it_raises_arrives_with_its_traceback():
    def function():
        spawn(stackless.schedule, None)
        stackless.schedule(None)
        raise ValueError(3)

    with pytest.raises(ValueError, match="3") as caught:
        run_main(function)
    assert caught.traceback[-1].name == "function"
    assert caught.traceback[0].name.startswith("test_what")
    assert caught.value.__context__ is None


def test_exception_being_handled_outside_is_back_afterwards():
    try:
        raise KeyError
    except KeyError as error:
        run_main(lambda: stackless.schedule(None))
        assert sys.exc_info()[1] is error


def test_context_stays():
    def function():
        assert variable.get() == 1
        spawn(variable.set, 2)
        stackless.schedule(None)
        assert variable.get() == 2
        variable.set(3)

    def in_context():
        variable.set(1)
        run_main(function)
        assert variable.get() == 3

    contextvars.copy_context().run(in_context)


def test_depth_of_recursion_is_as_before():
    before = stackless.getmain().recursion_depth
    run_main(lambda: stackless.schedule(None))
    assert stackless.getmain().recursion_depth == before


@pytest.mark.parametrize("through", [lambda call: call(), through_c])
def test_within_itself_and_elsewhere_it_is_a_plain_call(through):
    log = []

    def function():
        stackless.schedule(None)
        log.append(visible_frames())

    def caller():
        through(lambda: run_main(function))

    run_main(caller)
    spawn(caller)
    stackless.run()
    in_thread(lambda: (spawn(caller), stackless.run()))
    assert len(log) == 3 and min(log) > 2


def test_nothing_is_left_of_it():
    things = []

    def function(deep=40):
        thing = Thing()
        things.append(weakref.ref(thing))
        if deep % 8 == 0:  # a full one takes its time
            spawn(gc.collect)
            stackless.schedule(None)
        assert all(thing() is not None for thing in things)
        if deep:
            function(deep - 1)

    for _ in range(3):
        run_main(function)
        assert all(thing() is None for thing in things)
        things.clear()


def test_tasklets_go_on_before_and_after():
    log, channel = [], stackless.channel()

    def receive(call):
        for _ in range(3):
            log.append(call(channel.receive))

    for call in through_c, lambda function: function():
        spawn(receive, call)
    for number in range(2):
        channel.send(number)
    run_main(lambda: [channel.send(number) for number in range(2, 4)])
    for number in range(4, 6):
        channel.send(number)
    assert log == list(range(6))
    stackless.run()
