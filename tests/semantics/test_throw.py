"""throw, kill and raise_exception: every kind of target, now or pending."""

import pytest
import stackless

from semantics_support import (function_names, pause, paused, ring, spawn,
                               started, through_c)


class Oops(Exception):
    pass


def catching(log, wait):
    """Wait, log the exception that ends the wait."""
    try:
        wait()
        log.append("woken")
    except BaseException as error:
        log.append(error)


class Target(stackless.tasklet):
    """Has room for the channel it waits for."""


@pytest.fixture
def target(log):
    def make(state):
        channel = stackless.channel()
        wait = {"ring": stackless.schedule, "paused": pause,
                "receiving": channel.receive,
                "sending": lambda: channel.send(1),
                "in C": lambda: through_c(pause)}[state]
        t = Target(catching)(log, wait)
        t.run()
        t.channel = channel
        return t
    return make


STATES = ["ring", "paused", "receiving", "sending", "in C"]


@pytest.mark.parametrize("state", STATES)
def test_throw_raises_in_the_target_at_once(target, state, log):
    t = target(state)
    assert t.throw(Oops, 5) is None
    assert [type(e) for e in log] == [Oops] and log[0].args == (5,)
    assert not t.alive
    assert t.channel.balance == 0


@pytest.mark.parametrize("state", STATES)
def test_pending_throw_raises_when_the_target_runs(target, state, log):
    t = target(state)
    assert t.throw(Oops, 5, pending=True) is None
    assert log == [] and t.alive and t.scheduled and not t.blocked
    assert t.channel.balance == 0
    stackless.run()
    assert [type(e) for e in log] == [Oops] and log[0].args == (5,)


@pytest.mark.parametrize("state", STATES)
def test_pending_error_waits_as_a_bomb_in_tempval(target, state):
    t = target(state)
    t.throw(Oops, 5, pending=True)
    bomb = t.tempval
    assert isinstance(bomb, stackless.bomb)
    assert bomb.type is Oops
    stackless.run()
    assert t.tempval is None


@pytest.mark.parametrize("state", STATES)
def test_kill_raises_tasklet_exit(target, state, log):
    t = target(state)
    assert t.kill() is None
    assert [type(e) for e in log] == [TaskletExit]
    assert not t.alive


@pytest.mark.parametrize("state", STATES)
def test_pending_kill(target, state, log):
    t = target(state)
    assert t.kill(pending=True) is None
    assert t.alive and log == []
    stackless.run()
    assert [type(e) for e in log] == [TaskletExit] and not t.alive


@pytest.mark.parametrize("state", STATES)
def test_raise_exception_builds_the_instance(target, state, log):
    t = target(state)
    assert t.raise_exception(Oops, 1, 2) is None
    assert [type(e) for e in log] == [Oops] and log[0].args == (1, 2)


def test_the_target_may_go_on_after_an_error(log):
    def stubborn():
        for _ in range(3):
            catching(log, pause)

    t = started(stubborn)
    for _ in range(2):
        t.throw(Oops)
        assert t.paused
    t.run()
    assert [str(type(e).__name__) for e in log] == ["Oops", "Oops", "str"]
    assert not t.alive


def test_killed_tasklet_runs_its_finally_blocks_inside_out(log):
    def body():
        try:
            try:
                pause()
            finally:
                log.append("inner")
        finally:
            log.append("outer")

    started(body).kill()
    assert log == ["inner", "outer"]


def test_finally_of_a_killed_tasklet_may_switch(log):
    def body():
        try:
            pause()
        finally:
            stackless.schedule()
            log.append("cleaned")

    t = started(body)
    t.kill()
    assert log == [] and t.scheduled
    stackless.run()
    assert log == ["cleaned"] and not t.alive


def test_tasklet_exit_may_be_caught(log):
    def body():
        try:
            pause()
        except TaskletExit:
            pass
        log.append("went on")
        pause()

    t = started(body)
    t.kill()
    assert log == ["went on"] and t.paused


def test_second_pending_error_replaces_the_first(log):
    t = started(catching, log, pause)
    t.throw(KeyError, pending=True)
    t.throw(Oops, pending=True)
    stackless.run()
    assert [type(e) for e in log] == [Oops]


def test_error_uncaught_in_the_target_reaches_main():
    t = started(pause)
    with pytest.raises(Oops):
        t.throw(Oops)
    assert not t.alive


# current

@pytest.mark.parametrize("pending", [False, True])
def test_throw_at_the_current_tasklet_raises_on_the_spot(pending):
    with pytest.raises(Oops):
        stackless.current.throw(Oops, pending=pending)
    with pytest.raises(TaskletExit):
        stackless.current.kill(pending=pending)


@pytest.mark.parametrize("pending", [False, True])
def test_tasklet_may_kill_itself(pending, log):
    def body():
        try:
            stackless.current.kill(pending=pending)
        except TaskletExit:
            log.append("caught")
            raise
    t = started(body)
    assert log == ["caught"] and not t.alive


def test_raise_exception_at_the_current_tasklet():
    with pytest.raises(Oops):
        stackless.current.raise_exception(Oops)


# never started

def never(log):
    log.append("started")


@pytest.mark.parametrize("make", [spawn, paused], ids=["ring", "paused"])
def test_kill_of_a_new_tasklet_is_silent_and_its_body_never_runs(make, log):
    t = make(never, log)
    t.kill()
    assert not t.alive and log == []
    assert ring() == [stackless.main]
    with pytest.raises(RuntimeError, match="dead"):
        t.run()


@pytest.mark.parametrize("make", [spawn, paused], ids=["ring", "paused"])
def test_pending_kill_of_a_new_tasklet(make, log):
    t = make(never, log)
    t.kill(pending=True)
    assert t.alive and t.scheduled
    stackless.run()
    assert not t.alive and log == []


@pytest.mark.parametrize("make", [spawn, paused], ids=["ring", "paused"])
def test_throw_at_a_new_tasklet_is_an_uncaught_error(make, log):
    t = make(never, log)
    with pytest.raises(Oops):
        t.throw(Oops)
    assert not t.alive and log == []


@pytest.mark.parametrize("make", [spawn, paused], ids=["ring", "paused"])
def test_pending_throw_at_a_new_tasklet_is_uncaught_when_it_runs(make, log):
    t = make(never, log)
    t.throw(Oops, pending=True)
    with pytest.raises(Oops):
        stackless.run()
    assert not t.alive and log == []


def test_new_tasklet_is_killed_with_its_arguments(log):
    class Noisy:
        def __del__(self):
            log.append("freed")
    t = spawn(never, Noisy())
    t.kill()
    assert log == ["freed"]


# dead

def dead():
    t = spawn(lambda: None)
    stackless.run()
    return t


@pytest.mark.parametrize("make", [dead, stackless.tasklet,
                                  lambda: stackless.tasklet(print)],
                         ids=["finished", "unbound", "bound"])
@pytest.mark.parametrize("pending", [False, True])
def test_throw_at_a_dead_tasklet(make, pending):
    with pytest.raises(RuntimeError, match="dead"):
        make().throw(Oops, pending=pending)
    assert stackless.runcount == 1


@pytest.mark.parametrize("pending", [False, True])
def test_kill_of_a_dead_tasklet_does_nothing(pending):
    class Subclass(TaskletExit):
        pass
    for make in (dead, stackless.tasklet):
        assert make().kill(pending=pending) is None
        assert make().throw(TaskletExit, pending=pending) is None
        assert make().throw(Subclass, pending=pending) is None
        assert make().raise_exception(TaskletExit) is None


def test_raise_exception_at_a_dead_tasklet():
    with pytest.raises(RuntimeError, match="dead"):
        dead().raise_exception(Oops)


# main as target

@pytest.mark.parametrize("wait", [
    stackless.run, stackless.schedule, pause,
    lambda: stackless.channel().receive()],
    ids=["run", "schedule", "schedule_remove", "receive"])
@pytest.mark.parametrize("pending", [False, True])
def test_throw_at_main(wait, pending):
    t = spawn(stackless.main.throw, Oops, None, None, pending)
    with pytest.raises(Oops):
        wait()
    stackless.run()
    assert not t.alive


def test_kill_of_main():
    spawn(stackless.main.kill)
    with pytest.raises(TaskletExit):
        stackless.run()
    stackless.run()


# arguments

@pytest.mark.parametrize("arguments", [
    (), (42,), ("text",), (object,), (None,), (Oops(1), 2),
    (Oops, None, "no traceback"), (Oops, 1, 2)])
def test_throw_checks_its_arguments(arguments):
    t = started(pause)
    for target in (t, stackless.current):
        with pytest.raises(TypeError):
            target.throw(*arguments)
    assert t.paused


@pytest.mark.parametrize("arguments", [(), (42,), (object,), (Oops(),)])
def test_raise_exception_checks_its_arguments(arguments):
    t = started(pause)
    with pytest.raises(TypeError):
        t.raise_exception(*arguments)
    assert t.paused


@pytest.mark.noleak  # the instances gather tracebacks
@pytest.mark.parametrize("arguments, keywords, args", [
    ((Oops,), {}, ()),
    ((Oops, 1), {}, (1,)),
    ((Oops, (1, 2)), {}, (1, 2)),
    ((Oops, None), {}, ()),
    ((Oops(3),), {}, (3,)),
    ((Oops, Oops(4)), {}, (4,)),
    ((Oops(5), None, None), {}, (5,)),
    ((), {"exc": Oops, "val": 6}, (6,)),
    ((), {"exc": Oops(7), "tb": None, "pending": False}, (7,)),
], ids=str)
def test_throw_takes_the_arguments_of_raise(arguments, keywords, args, log):
    t = started(catching, log, pause)
    t.throw(*arguments, **keywords)
    assert [e.args for e in log] == [args]
    assert type(log[0]) is Oops


def test_the_thrown_instance_itself_arrives(log):
    error = Oops()
    started(catching, log, pause).throw(error)
    assert log[0] is error


def origin():
    raise Oops("here")


def test_given_traceback_is_kept(log):
    t = started(catching, log, pause)
    try:
        origin()
    except Oops as error:
        t.throw(Oops, error, error.__traceback__)
    names = function_names(log[0].__traceback__)
    assert names[0] == "catching" and names[-1] == "origin"


def test_constructor_error_of_the_exception_is_the_callers(log):
    class Picky(Exception):
        def __init__(self, a, b):
            pass
    t = started(catching, log, pause)
    with pytest.raises(TypeError):
        t.raise_exception(Picky, 1)
    assert t.paused and log == []


@pytest.mark.parametrize("in_handler", ["thrower", "target"])
def test_context_is_not_chained(in_handler, log):
    def body():
        if in_handler == "target":
            try:
                raise KeyError
            except KeyError:
                catching(log, pause)
        else:
            catching(log, pause)

    t = started(body)
    try:
        raise ValueError
    except ValueError:
        if in_handler == "thrower":
            t.throw(Oops("instance"))
    if in_handler == "target":
        t.throw(Oops("instance"))
    assert log[0].__context__ is None


def test_kill_wants_at_most_one_argument():
    with pytest.raises(TypeError):
        stackless.tasklet().kill(False, None)
    with pytest.raises(TypeError):
        stackless.tasklet().kill(nonsense=1)


def test_killing_each_other(log):
    def killer(name, victim):
        try:
            pause()
            tasklets[victim].kill()
            log.append(f"{name} survived")
        except TaskletExit:
            log.append(f"{name} killed")
            raise

    tasklets = {}
    tasklets["A"] = started(killer, "A", "B")
    tasklets["B"] = started(killer, "B", "A")
    tasklets["A"].run()
    assert log == ["B killed", "A survived"]
    assert not any(t.alive for t in tasklets.values())
