"""bind, setup, insert, remove, run and switch of a tasklet, with all their
errors."""

import types

import pytest
import stackless

from semantics_support import (pause, paused, ring, spawn, started, through_c)


def taking(*args, **kwargs):
    calls.append((args, kwargs))


calls = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


class NotCallable:
    pass


# bind

def test_bind_returns_the_tasklet():
    t = stackless.tasklet()
    assert t.bind(taking) is t
    assert t.bind(taking, ()) is t
    assert t.bind(None) is t


def test_constructor_binds():
    assert stackless.tasklet(taking).tempval is taking
    t = stackless.tasklet(taking, (1,), {"k": 2})
    assert t.paused
    t.run()
    assert calls == [((1,), {"k": 2})]


def test_constructor_takes_keywords():
    stackless.tasklet(func=taking, args=(1,), kwargs={"k": 2}).run()
    assert calls == [((1,), {"k": 2})]


@pytest.mark.parametrize("args, kwargs, expected", [
    (((1, 2),), {}, ((1, 2), {})),
    ((), {"args": (1, 2)}, ((1, 2), {})),
    ((None, {"k": 1}), {}, ((), {"k": 1})),
    ((), {"kwargs": {"k": 1}}, ((), {"k": 1})),
    (((1,), {"k": 2}), {}, ((1,), {"k": 2})),
    ((), {"args": (1,), "kwargs": {"k": 2}}, ((1,), {"k": 2})),
    (((),), {}, ((), {})),
], ids=str)
def test_bind_with_arguments_makes_it_ready_but_not_scheduled(
        args, kwargs, expected):
    t = stackless.tasklet().bind(taking, *args, **kwargs)
    assert t.alive and t.paused and not t.scheduled
    t.run()
    assert calls == [expected]


@pytest.mark.parametrize("positional", [True, False])
def test_bind_without_function_uses_the_one_bound_before(positional):
    t = stackless.tasklet(taking)
    if positional:
        t.bind(None, (1,), {"k": 2})
    else:
        t.bind(args=(1,), kwargs={"k": 2})
    t.run()
    assert calls == [((1,), {"k": 2})]


def test_bind_arguments_without_any_function():
    with pytest.raises(RuntimeError):
        stackless.tasklet().bind(None, ())


def test_bind_replaces_the_function():
    t = stackless.tasklet(print)
    t.bind(taking)
    assert t.tempval is taking
    t(5)
    stackless.run()
    assert calls == [((5,), {})]


def test_rebinding_a_ready_tasklet_replaces_its_work():
    t = paused(taking, 1)
    t.bind(taking, (2,))
    t.run()
    assert calls == [((2,), {})]


def test_bind_wants_a_callable():
    with pytest.raises(TypeError, match="callable"):
        stackless.tasklet().bind(NotCallable())
    with pytest.raises(TypeError, match="callable"):
        stackless.tasklet(42)


def test_bind_of_the_current_tasklet_checks_callability_first():
    with pytest.raises(TypeError, match="callable"):
        stackless.current.bind(NotCallable())


@pytest.mark.parametrize("args, kwargs", [
    ([1], None), ("text", None), ((), []), ((), "text"), (5, None)])
def test_bind_checks_the_types_of_arguments(args, kwargs):
    with pytest.raises(TypeError):
        stackless.tasklet().bind(taking, args, kwargs)


def test_bound_only_tasklet_cannot_run():
    t = stackless.tasklet(taking)
    with pytest.raises(RuntimeError):
        t.run()
    with pytest.raises(RuntimeError):
        t.insert()


@pytest.mark.parametrize("arguments", [(), (None,), (taking,), (taking, ())],
                         ids=["nothing", "None", "f", "f and args"])
def test_bind_of_the_current_tasklet(arguments):
    with pytest.raises(RuntimeError, match="current tasklet"):
        stackless.current.bind(*arguments)


@pytest.mark.parametrize("arguments", [(), (None,), (taking,), (taking, ())],
                         ids=["nothing", "None", "f", "f and args"])
def test_bind_of_a_scheduled_tasklet(arguments):
    t = spawn(taking)
    with pytest.raises(RuntimeError, match="tasklet is scheduled"):
        t.bind(*arguments)


@pytest.mark.parametrize("arguments", [(), (None,), (taking,), (taking, ())],
                         ids=["nothing", "None", "f", "f and args"])
def test_bind_of_a_blocked_tasklet(arguments):
    t = started(stackless.channel().receive)
    with pytest.raises(RuntimeError, match="tasklet is scheduled"):
        t.bind(*arguments)


@pytest.mark.parametrize("arguments", [(), (None,), (taking,), (taking, ())],
                         ids=["nothing", "None", "f", "f and args"])
def test_bind_of_a_tasklet_with_c_state(arguments):
    t = started(through_c, pause)
    assert t.paused and t.nesting_level > 0
    with pytest.raises(RuntimeError,
                       match="tasklet has C state on its stack"):
        t.bind(*arguments)
    assert t.alive


def test_unbinding_the_main_tasklet(log):
    def tries():
        with pytest.raises(RuntimeError,
                           match="can't unbind the main tasklet|C state"):
            stackless.main.bind(None)
        log.append("done")

    spawn(tries)
    stackless.run()
    assert log == ["done"]


def test_bind_none_of_an_unbound_tasklet_changes_nothing():
    t = stackless.tasklet()
    t.bind(None)
    assert not t.alive and t.frame is None and t.nesting_level == 0


def test_bind_none_forgets_the_function():
    t = stackless.tasklet(taking)
    t.bind(None)
    assert t.tempval is None
    with pytest.raises(RuntimeError):
        t.setup()


def test_bind_none_forgets_work_not_begun():
    t = paused(taking)
    t.bind()
    assert not t.alive
    with pytest.raises(RuntimeError, match="dead"):
        t.run()
    assert calls == []


def waiting(log):
    try:
        pause()
    finally:
        log.append("finally")


@pytest.mark.soft
def test_unbinding_a_soft_tasklet_drops_its_stack_without_finally(log):
    t = started(waiting, log)
    assert t.paused and t.restorable
    assert isinstance(t.frame, types.FrameType)
    t.bind(None)
    assert not t.alive and t.frame is None and t.recursion_depth == 0
    del t
    assert log == []


@pytest.mark.soft
def test_rebinding_a_soft_tasklet_drops_its_stack(log):
    t = started(waiting, log)
    t.bind(taking, (1,))
    t.run()
    assert calls == [((1,), {})]
    assert log == []


def test_unbinding_a_hard_tasklet_is_refused_and_it_lives_on(log, hard):
    t = started(waiting if hard else through_c_waiting, log)
    with pytest.raises(RuntimeError, match="C state"):
        t.bind(None)
    t.run()
    assert log == ["finally"] and not t.alive


def through_c_waiting(log):
    through_c(waiting, log)


# setup

def test_setup_appends_and_returns_the_tasklet():
    other = spawn(taking, "other")
    t = stackless.tasklet(taking)
    assert t.setup(1, k=2) is t
    assert ring() == [stackless.main, other, t]
    stackless.run()
    assert calls == [(("other",), {}), ((1,), {"k": 2})]


def test_calling_a_tasklet_is_setup():
    t = stackless.tasklet(taking)
    assert t(1, k=2) is t
    stackless.run()
    assert calls == [((1,), {"k": 2})]


@pytest.mark.parametrize("make", [
    lambda: spawn(taking), lambda: paused(taking),
    lambda: started(stackless.channel().receive),
    lambda: stackless.current],
    ids=["scheduled", "paused", "blocked", "current"])
def test_setup_of_a_live_tasklet(make):
    with pytest.raises(RuntimeError, match="tasklet is alive"):
        make().setup()


def test_setup_without_a_function():
    with pytest.raises(RuntimeError):
        stackless.tasklet().setup()
    with pytest.raises(RuntimeError):
        stackless.tasklet()()


def test_finished_tasklet_forgets_its_function():
    t = spawn(taking)
    stackless.run()
    with pytest.raises(RuntimeError):
        t.setup()


def test_finished_tasklet_may_be_bound_again():
    t = spawn(taking, 1)
    stackless.run()
    t.bind(taking)(2)
    stackless.run()
    assert calls == [((1,), {}), ((2,), {})]


def test_tasklet_may_be_reused_many_times():
    t = stackless.tasklet()
    for i in range(50):
        t.bind(taking, (i,)).run()
        assert not t.alive
    assert calls == [((i,), {}) for i in range(50)]


@pytest.mark.parametrize("function", [
    lambda *a, **k: calls.append((a, k)), taking, type("C", (), {
        "__call__": lambda self, *a, **k: calls.append((a, k))})(),
    type("D", (), {"method": lambda self, *a, **k: calls.append((a, k))})()
    .method, __import__("functools").partial(taking)],
    ids=["lambda", "function", "instance", "method", "partial"])
@pytest.mark.parametrize("args, kwargs", [
    ((), {}), ((1,), {}), ((1, 2, 3, 4, 5, 6, 7, 8, 9), {}),
    ((), {"k": 1}), ((1, 2), {"a": 3, "b": 4})], ids=str)
def test_any_callable_gets_its_arguments(function, args, kwargs):
    spawn(function, *args, **kwargs)
    stackless.run()
    assert calls == [(args, kwargs)]


def test_wrong_arguments_of_the_function_are_an_uncaught_error():
    spawn(lambda: None, 1, 2)
    with pytest.raises(TypeError):
        stackless.run()


def test_a_class_may_be_the_function(log):
    class Made:
        def __init__(self, x):
            stackless.schedule()
            log.append(x)
    spawn(Made, 5)
    stackless.run()
    assert log == [5]


def test_a_generator_function_as_function_just_makes_the_generator(log):
    def generator():
        log.append("never")
        yield
    t = spawn(generator)
    stackless.run()
    assert not t.alive and log == []


@pytest.mark.parametrize("function", [
    stackless.schedule, stackless.run, stackless.getcurrent])
def test_functions_of_the_module_may_be_the_function(function):
    t = spawn(function)
    stackless.run()
    assert not t.alive


def test_schedule_remove_as_the_function():
    t = spawn(stackless.schedule_remove, None)
    stackless.run()
    assert t.alive and t.paused
    t.run()
    assert not t.alive


def test_channel_methods_as_functions(log):
    channel = stackless.channel()
    spawn(channel.send, 1)
    spawn(channel.send_sequence, [2, 3])
    assert [channel.receive() for _ in range(3)] == [1, 2, 3]
    stackless.run()


# insert, remove

def test_insert_and_remove_return_the_tasklet():
    t = paused(taking)
    assert t.insert() is t
    assert t.remove() is t


def test_remove_pauses():
    t = spawn(taking)
    t.remove()
    assert t.paused and t.alive
    stackless.run()
    assert calls == []


def test_remove_of_an_unlinked_tasklet_changes_nothing():
    for t in (paused(taking), stackless.tasklet(), stackless.tasklet(taking)):
        assert t.remove() is t


def test_insert_of_a_blocked_tasklet():
    t = started(stackless.channel().receive)
    with pytest.raises(RuntimeError, match="blocked"):
        t.insert()
    assert t.blocked


def test_remove_of_a_blocked_tasklet():
    t = started(stackless.channel().receive)
    with pytest.raises(RuntimeError):
        t.remove()
    assert t.blocked


def test_insert_of_a_dead_tasklet():
    t = spawn(taking)
    stackless.run()
    for dead in (t, stackless.tasklet()):
        with pytest.raises(RuntimeError, match="dead"):
            dead.insert()


def test_remove_of_the_current_tasklet():
    with pytest.raises(RuntimeError):
        stackless.current.remove()
    assert stackless.runcount == 1


def test_insert_of_the_current_tasklet_changes_nothing():
    stackless.current.insert()
    assert ring() == [stackless.current]


def test_paused_main_can_be_inserted_by_a_tasklet(log):
    def waker():
        assert stackless.main.paused
        stackless.main.insert()
        assert stackless.main.scheduled and not stackless.main.paused
        stackless.schedule()
        log.append("later")

    spawn(waker)
    pause()
    log.append("main")
    stackless.run()
    assert log == ["main", "later"]


# run, switch

@pytest.mark.parametrize("how", ["run", "switch"])
def test_run_and_switch_return_none(how):
    t = spawn(stackless.main.insert)
    assert getattr(t, how)() is None


@pytest.mark.parametrize("how", ["run", "switch"])
def test_run_and_switch_of_a_dead_tasklet(how):
    t = spawn(taking)
    stackless.run()
    with pytest.raises(RuntimeError, match="dead"):
        getattr(t, how)()
    assert stackless.runcount == 1


@pytest.mark.parametrize("how", ["run", "switch"])
def test_run_and_switch_of_a_blocked_tasklet(how):
    channel = stackless.channel()
    t = started(channel.receive)
    with pytest.raises(RuntimeError, match="blocked"):
        getattr(t, how)()
    assert t.blocked and channel.balance == -1
    assert stackless.runcount == 1


@pytest.mark.parametrize("how", ["run", "switch"])
def test_run_and_switch_of_the_current_tasklet_do_nothing(how):
    for _ in range(2):
        assert getattr(stackless.current, how)() is None
    assert ring() == [stackless.current]


def test_switch_pauses_the_caller(log):
    main = stackless.main

    def target():
        log.append((main.paused, main.scheduled, main.alive))
        main.insert()

    spawn(target).switch()
    assert log == [(True, False, True)]


def test_run_keeps_the_caller_in_the_ring(log):
    main = stackless.main
    spawn(lambda: log.append((main.paused, main.scheduled))).run()
    assert log == [(False, True)]


def test_switch_starts_a_ready_tasklet(log):
    main = stackless.main
    t = paused(lambda: (log.append("ran"), main.insert()))
    t.switch()
    assert log == ["ran"]


def test_switch_ping_pong_without_the_ring(log):
    def a_body():
        for i in range(3):
            log.append(f"a{i}")
            b.switch()
        main.insert()

    def b_body():
        for i in range(3):
            log.append(f"b{i}")
            a.switch()

    main = stackless.main
    a, b = paused(a_body), paused(b_body)
    a.switch()
    assert log == ["a0", "b0", "a1", "b1", "a2", "b2"]


# switch_trap

@pytest.fixture
def trapped():
    stackless.switch_trap(1)
    yield
    stackless.switch_trap(-stackless.switch_trap())


def test_switch_trap_is_additive():
    assert stackless.switch_trap() == 0
    assert stackless.switch_trap(2) == 0
    assert stackless.switch_trap(1) == 2
    assert stackless.switch_trap(-3) == 3
    assert stackless.switch_trap(0) == 0


def test_switch_trap_wants_an_integer():
    with pytest.raises(TypeError):
        stackless.switch_trap("1")


SWITCHING = {
    "schedule": lambda t, c: stackless.schedule(),
    "schedule_remove": lambda t, c: stackless.schedule_remove(None),
    "run()": lambda t, c: stackless.run(),
    "run": lambda t, c: t.run(),
    "switch": lambda t, c: t.switch(),
    "kill": lambda t, c: t.kill(),
    "throw": lambda t, c: t.throw(KeyError),
    "raise_exception": lambda t, c: t.raise_exception(KeyError),
    "send": lambda t, c: c.send(1),
    "receive": lambda t, c: c.receive(),
    "send_throw": lambda t, c: c.send_throw(KeyError),
    "send_exception": lambda t, c: c.send_exception(KeyError),
    "send_sequence": lambda t, c: c.send_sequence([1]),
}


@pytest.mark.parametrize("operation", SWITCHING.values(), ids=SWITCHING)
@pytest.mark.parametrize("state", ["scheduled", "paused", "started"])
def test_switch_trap_stops_each_switch_and_leaves_all_as_it_was(
        operation, state):
    channel = stackless.channel()
    t = spawn(pause)
    if state == "paused":
        t.remove()
    elif state == "started":
        t.run()
    spawn(taking, "bystander")
    before = t.alive, t.paused, t.scheduled, ring()
    stackless.switch_trap(1)
    with pytest.raises(RuntimeError, match="switch_trap"):
        operation(t, channel)
    assert (t.alive, t.paused, t.scheduled, ring()) == before
    assert channel.balance == 0
    assert stackless.switch_trap(-1) == 1
    stackless.run()
    assert calls == [(("bystander",), {})]


@pytest.mark.parametrize("operation", [
    lambda t: t.run(), lambda t: t.switch()], ids=["run", "switch"])
def test_switch_trap_lets_switches_to_oneself_pass(trapped, operation):
    operation(stackless.current)


def test_switch_trap_lets_a_lone_schedule_pass(trapped):
    assert stackless.schedule(7) == 7


def test_switch_trap_lets_pending_kills_pass(trapped):
    t = spawn(taking)
    t.kill(pending=True)
    stackless.switch_trap(-1)
    stackless.run()
    assert not t.alive and calls == []


def test_switch_trap_lets_transfers_without_a_switch_pass(trapped):
    channel = stackless.channel()
    stackless.switch_trap(-1)
    started(channel.send, 1)
    stackless.switch_trap(1)
    assert channel.receive() == 1


def test_switch_trap_keeps_a_blocked_target_blocked(trapped):
    channel = stackless.channel()
    stackless.switch_trap(-1)
    t = started(channel.receive)
    stackless.switch_trap(1)
    for operation in (t.kill, lambda: t.throw(KeyError),
                      lambda: channel.send(1)):
        with pytest.raises(RuntimeError, match="switch_trap"):
            operation()
        assert t.blocked and channel.balance == -1
