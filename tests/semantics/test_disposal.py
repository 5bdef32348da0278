"""Garbage: who is killed, when, and what destructors may do.

One rule, soft or hard alike: a started tasklet that nobody can reach is
killed, so its `finally` blocks run.
"""

import gc
import weakref

import pytest
import stackless

from semantics_support import (WAITS, function_names, pause, paused,
                               run_program, spawn, started, through_c)


def collect():
    """Collect, and give kills that wait for a bytecode boundary a chance."""
    gc.collect()
    for _ in range(3):
        stackless.schedule()
    gc.collect()


class Noisy:
    def __init__(self, action):
        self.action = action

    def __del__(self):
        self.action()


def waiting(log, wait=pause):
    try:
        wait()
        log.append("woken")
    except BaseException as error:
        log.append(type(error))
        raise
    finally:
        log.append("finally")


KILLED = [TaskletExit, "finally"]


# by reference count

@pytest.mark.parametrize("body", [
    waiting, lambda log: through_c(waiting, log),
    lambda log: waiting(log, lambda: through_c(pause))],
    ids=["plain", "called by C", "waiting in C"])
def test_dropped_paused_tasklet_is_killed_at_once(body, log):
    t = started(body, log)
    r = weakref.ref(t)
    del t
    assert log == KILLED
    assert r() is None


def test_dropped_tasklet_that_never_started_just_goes(log):
    t = paused(waiting, log)
    r = weakref.ref(t)
    del t
    assert r() is None and log == []


def test_dropped_new_tasklet_releases_its_arguments(log):
    t = paused(print, Noisy(lambda: log.append("freed")))
    del t
    assert log == ["freed"]


def test_removed_ring_member_that_nobody_holds_is_killed(log):
    spawn(waiting, log, lambda: stackless.schedule(None))
    stackless.schedule()
    stackless.current.next.remove()
    assert log == KILLED


def test_schedule_remove_of_the_last_reference(log):
    spawn(waiting, log)
    stackless.run()
    assert log == KILLED


def test_schedule_remove_of_the_last_reference_under_a_removed_main(log):
    spawn(waiting, log)
    stackless.schedule_remove(None)
    assert log == KILLED


def test_locals_are_released_when_a_tasklet_is_dropped(log):
    def body():
        mine = Noisy(lambda: log.append("freed"))
        pause()
        del mine

    t = started(body)
    assert log == []
    del t
    assert log == ["freed"]


def test_deep_stack_is_unwound(log):
    def nested(n):
        try:
            nested(n - 1) if n else pause()
        finally:
            log.append(n)

    t = started(nested, 50)
    del t
    assert log == list(range(51))


def test_finally_of_a_dropped_tasklet_may_send(log):
    channel = stackless.channel()

    def body():
        try:
            pause()
        finally:
            channel.send("last words")

    started(lambda: log.append(channel.receive()))
    t = started(body)
    del t
    stackless.run()
    assert log == ["last words"]


def test_finally_of_a_dropped_tasklet_may_block(log):
    channel = stackless.channel()

    def body():
        try:
            pause()
        finally:
            log.append(channel.receive())

    t = started(body)
    del t
    assert log == [] and channel.balance == -1
    channel.send("late")
    stackless.run()
    assert log == ["late"] and channel.balance == 0


def test_dropped_tasklet_may_save_itself(log):
    def body():
        try:
            pause()
        except TaskletExit:
            saved.append(stackless.current)
        pause()
        log.append("lives")

    saved = []
    t = started(body)
    del t
    assert saved[0].alive and saved[0].paused
    saved[0].run()
    assert log == ["lives"] and not saved[0].alive


class Plain(stackless.tasklet):
    pass


class WithDel(stackless.tasklet):
    def __del__(self):
        super().__del__()


@pytest.mark.parametrize("type_", [stackless.tasklet, Plain, WithDel])
def test_dropped_tasklet_that_refuses_to_die_does_not_hang(log, type_):
    def body():
        while True:
            try:
                pause()
            except TaskletExit:
                log.append(1)
                if len(log) > 1000:
                    return

    t = type_(body)()
    stackless.run()
    number = id(t)
    del t
    assert len(log) == 10
    assert [id(t) for t in gc.garbage] == [number]
    while gc.garbage:
        gc.garbage.pop().kill()
    assert len(log) == 1001


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("type_", [stackless.tasklet, Plain, WithDel])
def test_dropped_tasklet_that_is_saved_is_killed_when_dropped_again(
    log, type_, hard
):
    saved = []

    def body():
        me = weakref.ref(stackless.getcurrent())
        while len(log) < 4:
            try:
                through_c(pause) if hard else pause()
            except TaskletExit:
                log.append("killed")
                saved.append(me())

    t = type_(body)()
    stackless.run()
    del t
    assert len(log) == 1
    saved.clear()
    assert len(log) == 2
    saved[0].run()
    assert len(log) == 2
    saved.clear()
    assert len(log) == 3
    saved.clear()
    assert len(log) == 4
    assert not saved[0].alive


def test_dropped_tasklet_is_not_killed_while_others_hold_it(log):
    t = started(waiting, log)
    holder = [t]
    del t
    assert log == []
    del holder[:]
    assert log == KILLED


def test_dropping_inside_a_tasklet(log):
    def body():
        t = started(waiting, log)
        del t
        log.append("after")

    spawn(body)
    stackless.run()
    assert log == KILLED + ["after"]


def test_dropping_the_last_reference_in_a_list_of_many(log):
    tasklets = [started(waiting, log) for _ in range(100)]
    del tasklets
    assert log == KILLED * 100


def test_error_in_a_handler_keeps_the_tasklet_only_as_long_as_needed(log):
    t = started(waiting, log)
    try:
        raise KeyError(t)
    except KeyError:
        del t
        assert log == []
    assert log == KILLED


def test_frame_object_outlives_its_dropped_tasklet():
    def body():
        secret = [42]
        stackless.schedule_remove(None)
        return secret

    t = started(body)
    frame = t.frame
    del t
    assert frame.f_code is body.__code__
    assert frame.f_locals["secret"] == [42]
    assert frame.f_back is None


@pytest.mark.soft
def test_frame_object_outlives_an_unbound_tasklet():
    def inner():
        inner_secret = 1
        stackless.schedule_remove(None)
        return inner_secret

    def outer():
        outer_secret = 2
        inner()
        return outer_secret

    t = started(outer)
    frame = t.frame
    back = frame.f_back
    t.bind(None)
    del t
    gc.collect()
    assert frame.f_locals["inner_secret"] == 1
    assert back.f_locals["outer_secret"] == 2
    frame.clear()
    assert "inner_secret" not in frame.f_locals


@pytest.mark.soft
def test_objects_of_an_unbound_tasklet_are_released(log):
    def body():
        mine = Noisy(lambda: log.append("freed"))
        pause()
        del mine

    t = started(body)
    t.bind(None)
    assert log == ["freed"]


def test_traceback_outlives_its_tasklet():
    def body():
        mine = [1]
        raise KeyError(mine)

    spawn(body)
    try:
        stackless.run()
    except KeyError as error:
        kept = error
    gc.collect()
    assert function_names(kept.__traceback__)[-1] == "body"
    assert kept.__traceback__.tb_next.tb_frame.f_locals["mine"] == [1]


# by the collector

def make_cycle_through_a_channel(log):
    def body():
        channel = stackless.channel()
        waiting(log, channel.receive)

    spawn(body)
    stackless.run()


def make_cycle_through_a_local(log):
    def body():
        me = stackless.current
        waiting(log)
        del me

    spawn(body)
    stackless.run()


def make_cycle_through_tempval(log):
    spawn(waiting, log, stackless.schedule_remove)
    stackless.run()


def make_cycle_through_a_list(log):
    def body(box):
        waiting(log)

    box = []
    box.append(started(body, box))
    box.append(box)


def make_cycle_through_a_generator(log):
    def generator():
        mine = holder
        yield
        waiting(log)
        del mine

    def body():
        for _ in generator():
            pass

    holder = []
    holder.append(started(body))


def make_cycle_of_two(log):
    def body(other):
        mine = boxes
        waiting(log)
        del mine

    boxes = []
    boxes.append(started(body, boxes))
    boxes.append(started(body, boxes))


CYCLES = [make_cycle_through_a_channel, make_cycle_through_a_local,
          make_cycle_through_tempval, make_cycle_through_a_list]


@pytest.mark.parametrize("make", CYCLES)
def test_unreachable_cycle_is_killed_by_the_collector(make, log):
    make(log)
    assert log == []
    collect()
    assert log == KILLED


def test_unreachable_cycle_of_two_is_killed(log):
    make_cycle_of_two(log)
    assert log == []
    collect()
    assert log == KILLED * 2


def test_cycle_through_a_generator_does_no_harm(log):
    """Collected where the loop is soft; left alone where C holds it."""
    make_cycle_through_a_generator(log)
    collect()
    assert log in ([], KILLED)


def test_collector_frees_what_an_unreachable_tasklet_held(log):
    def body():
        me = stackless.current
        mine = Noisy(lambda: log.append("freed"))
        pause()
        del me, mine

    spawn(body)
    stackless.run()
    assert log == []
    collect()
    assert log == ["freed"]


def test_reachable_tasklets_survive_the_collector(log):
    channel = stackless.channel()
    blocked = started(waiting, log, channel.receive)
    ready = spawn(waiting, log)
    sleeping = started(waiting, log)
    for _ in range(3):
        gc.collect()
    assert log == []
    assert blocked.blocked and ready.scheduled and sleeping.paused
    channel.send(None)
    stackless.run()
    sleeping.run()
    ready.run()


def test_objects_of_suspended_frames_survive_the_collector(log):
    class Node:
        pass

    def body():
        node = Node()
        node.self = node
        r = weakref.ref(node)
        pause()
        log.append(r() is node and node.self is node)

    tasklets = [started(body) for _ in range(5)]
    gc.collect()
    for t in tasklets:
        t.run()
    assert log == [True] * 5


def test_objects_in_expressions_of_suspended_frames_survive(log):
    """Values on the evaluation stack, not in any local."""
    class Node:
        def __init__(self):
            self.me = self

    def body():
        log.append([Node(), Node().me, pause(), Node()])

    tasklets = [started(body) for _ in range(5)]
    gc.collect()
    for t in tasklets:
        t.run()
    assert all(isinstance(x[0], Node) and x[1].me is x[1] for x in log)


def test_killed_by_the_collector_with_a_finally_that_blocks(log):
    channel = stackless.channel()

    def body():
        me = stackless.current
        try:
            pause()
        finally:
            log.append(channel.receive())
            del me

    spawn(body)
    stackless.run()
    collect()
    assert channel.balance == -1
    channel.send("late")
    stackless.run()
    assert log == ["late"]


def test_collection_inside_a_tasklet_kills_too(log):
    def collecting():
        collect()
        log.append("collected")

    make_cycle_through_a_local(log)
    spawn(collecting)
    stackless.run()
    assert sorted(map(str, log)) == sorted(map(str, KILLED + ["collected"]))


def test_never_started_cycle_just_goes(log):
    t = stackless.tasklet()
    t.bind(waiting, (log, t))
    r = weakref.ref(t)
    del t
    gc.collect()
    assert r() is None and log == []


def test_collector_sees_the_members_of_channels_and_bombs():
    channel = stackless.channel()
    t = started(channel.send, "value")
    assert any(x is t for x in gc.get_referents(channel))
    bomb = stackless.bomb(KeyError, KeyError(), None)
    assert KeyError in gc.get_referents(bomb)
    channel.receive()


# Of those that wait each refers to the next one, for the collector.

def many_waiting(log, count=5):
    channel = stackless.channel()
    waiters = [spawn(waiting, log, channel.receive) for _ in range(count)]
    stackless.run()
    assert channel.balance == -count
    return channel, waiters


@pytest.mark.parametrize("kept", ["channel", 0, 2, 4])
def test_a_queue_lives_by_its_channel_and_by_each_of_its_members(kept, log):
    channel, waiters = many_waiting(log)
    alive = [weakref.ref(each) for each in waiters]
    keep = channel if kept == "channel" else waiters[kept]
    del channel, waiters
    collect()
    assert log == [] and all(each() for each in alive)
    del keep
    collect()
    assert sorted(map(str, log)) == sorted(map(str, 5 * KILLED))
    assert not any(each() for each in alive)


def test_a_queue_that_was_changed_lives_as_before(log):
    channel, waiters = many_waiting(log)
    waiters[0].kill()
    waiters[2].kill()
    waiters[4].kill()
    spawn(waiting, log, channel.receive)
    stackless.run()
    log.clear()
    del waiters[::2]
    collect()
    assert log == [] and channel.balance == -3
    del channel
    collect()
    assert log == []
    waiters.clear()
    collect()
    assert sorted(map(str, log)) == sorted(map(str, 3 * KILLED))


@pytest.mark.parametrize("soft_now", [True, False])
def test_gc_at_every_switch(soft_now, log):
    """Collections at every moment when the scheduler changes hands."""
    if not soft_now:
        stackless.enable_softswitch(False)
    channel = stackless.channel()

    def producer(n):
        for i in range(20):
            channel.send([n, i])
            gc.collect(0)

    def consumer():
        for value in channel:
            gc.collect(0)
            log.append(tuple(value))

    spawn(consumer)
    for n in range(3):
        spawn(producer, n)
    stackless.set_schedule_callback(lambda prev, next: gc.collect(0))
    stackless.run()
    stackless.set_schedule_callback(None)
    assert sorted(log) == [(n, i) for n in range(3) for i in range(20)]


# what destructors may do

def test_destructor_run_by_a_reference_count_may_switch(log):
    def destructor():
        stackless.schedule()
        log.append("destructor")

    def body():
        noisy = Noisy(destructor)
        del noisy
        log.append("body")

    spawn(body)
    spawn(log.append, "other")
    stackless.run()
    assert log == ["other", "destructor", "body"]


def test_destructor_run_by_a_reference_count_may_block(log):
    channel = stackless.channel()
    spawn(lambda: channel.send("hello"))
    noisy = Noisy(lambda: log.append(channel.receive()))
    del noisy
    assert log == ["hello"]


def collect_a_cycle(destructor):
    noisy = Noisy(destructor)
    noisy.me = noisy
    del noisy
    gc.collect()


SWITCHING = {
    **WAITS,
    "run": lambda: spawn(lambda: None).run(),
    "switch": lambda: spawn(lambda: None).switch(),
    "kill": lambda: started_before[0].kill(),
}
started_before = []


@pytest.mark.parametrize("operation", SWITCHING.values(), ids=SWITCHING)
def test_destructor_run_by_the_collector_may_not_switch(operation, log):
    def destructor():
        try:
            operation()
            log.append("switched")
        except RuntimeError:
            log.append("refused")

    started_before[:] = [started(pause)]
    spawn(lambda: None)
    collect_a_cycle(destructor)
    started_before.clear()
    assert log == ["refused"]


def test_destructor_run_by_the_collector_in_a_tasklet_may_not_switch(log):
    def destructor():
        try:
            stackless.schedule()
        except RuntimeError:
            log.append("refused")

    spawn(collect_a_cycle, destructor)
    spawn(lambda: None)
    stackless.run()
    assert log == ["refused"]


def test_destructor_run_by_the_collector_may_spawn_and_insert(log):
    idle = started(lambda: (pause(), log.append("idle")))

    def destructor():
        spawn(log.append, "spawned")
        idle.insert()

    collect_a_cycle(destructor)
    assert log == []
    stackless.run()
    assert log == ["spawned", "idle"]


@pytest.mark.parametrize("preference", [0, 1])
def test_destructor_run_by_the_collector_may_transfer_without_a_switch(
        preference, log):
    channel = stackless.channel()
    channel.preference = preference
    started(lambda: log.append(channel.receive()))

    collect_a_cycle(lambda: channel.send("sent"))
    assert log == []
    stackless.run()
    assert log == ["sent"]


def test_destructor_run_by_the_collector_may_receive_what_is_there(log):
    channel = stackless.channel()
    started(channel.send, "value")
    collect_a_cycle(lambda: log.append(channel.receive()))
    assert log == ["value"]


def test_collections_go_on_after_a_refused_switch(log):
    def destructor():
        try:
            stackless.schedule()
        except RuntimeError:
            log.append("refused")

    spawn(lambda: None)
    for _ in range(3):
        collect_a_cycle(destructor)
    assert log == ["refused"] * 3
    assert gc.isenabled()


def test_destructor_of_a_tasklets_local_at_its_end_may_switch(log):
    def destructor():
        stackless.schedule()
        log.append("destructor")

    def body():
        mine = Noisy(destructor)
        return bool(mine)

    spawn(body)
    spawn(log.append, "other")
    stackless.run()
    assert log == ["other", "destructor"]


def test_destructor_of_an_argument_at_the_end_may_switch(log):
    def destructor():
        stackless.schedule()
        log.append("destructor")

    spawn(lambda noisy: None, Noisy(destructor))
    spawn(log.append, "other")
    stackless.run()
    assert sorted(log) == ["destructor", "other"]
    assert stackless.runcount == 1


def test_destructor_of_a_returned_value_may_switch(log):
    def destructor():
        stackless.schedule()
        log.append("destructor")

    spawn(lambda: Noisy(destructor))
    spawn(log.append, "other")
    stackless.run()
    assert sorted(log) == ["destructor", "other"]
    assert stackless.runcount == 1


def test_destructor_of_an_unread_tempval_may_switch(log):
    def destructor():
        stackless.schedule()
        log.append("destructor")

    t = started(pause)
    t.tempval = Noisy(destructor)
    spawn(log.append, "other")
    t.tempval = None
    assert log == ["other", "destructor"]


def test_deep_structures_freed_by_switching_destructors(log):
    """Each tasklet is inside the trashcan of its own when others run."""
    def deep(n):
        chain = None
        for i in range(2000):
            chain = [chain, Noisy(stackless.schedule) if i % 500 == 0
                     else None]
        return chain

    def body(n):
        chain = deep(n)
        del chain
        log.append(n)

    for n in range(3):
        spawn(body, n)
    stackless.run()
    assert sorted(log) == [0, 1, 2]


# uncollectables

def test_uncollectables_is_a_list():
    assert isinstance(stackless.getuncollectables(), list)
    assert isinstance(stackless.uncollectables, list)


# the end of the interpreter

ALIVE_AT_EXIT = {
    "runnable": "stackless.tasklet(stackless.schedule)()",
    "begun and runnable":
        "stackless.tasklet(lambda: [stackless.schedule() for _ in 'abc'])()\n"
        "stackless.schedule()",
    "paused": "t = stackless.tasklet(stackless.schedule_remove)(None)\n"
              "stackless.run()",
    "blocked": "c = stackless.channel()\n"
               "stackless.tasklet(c.receive)()\nstackless.run()",
    "blocked on nothing": "stackless.tasklet(lambda: stackless.channel()"
                          ".receive())()\nstackless.run()",
    "in C": "c = stackless.channel()\n"
            "stackless.tasklet(lambda: sorted([1], key=lambda x:"
            " c.receive()))()\nstackless.run()",
    "with finally": """
def f():
    try:
        stackless.schedule_remove(None)
    finally:
        pass
t = stackless.tasklet(f)()
stackless.run()""",
    "finally that switches": """
def f():
    try:
        stackless.schedule_remove(None)
    finally:
        try:
            stackless.schedule()
        except RuntimeError:
            pass
t = stackless.tasklet(f)()
stackless.run()""",
    "many of all kinds": """
c = stackless.channel()
kept = []
for i in range(200):
    kept.append(stackless.tasklet(c.receive)())
    kept.append(stackless.tasklet(stackless.schedule_remove)(None))
    kept.append(stackless.tasklet(lambda: sorted([1], key=lambda x:
                                  stackless.schedule_remove(None)))())
stackless.run()
kept.append(stackless.tasklet(print)("never"))""",
    "in a nested run": "stackless.tasklet(stackless.run)()\n"
                       "stackless.schedule()",
    "with callbacks": "stackless.set_schedule_callback(lambda p, n: None)\n"
                      "stackless.set_channel_callback(lambda *a: None)\n"
                      "t = stackless.tasklet(stackless.schedule_remove)(None)"
                      "\nstackless.run()",
    "exit called by a tasklet with others alive": """
import sys
c = stackless.channel()
stackless.tasklet(c.receive)()
stackless.tasklet(sys.exit)()
stackless.run()""",
}


@pytest.mark.parametrize("source", ALIVE_AT_EXIT.values(), ids=ALIVE_AT_EXIT)
def test_clean_exit_with_tasklets_alive(source):
    done = run_program(source)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exit_hooks_may_still_use_tasklets():
    done = run_program("""
        import atexit
        @atexit.register
        def at_end():
            stackless.tasklet(print)("at exit")
            stackless.run()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (
        0, "at exit\n", "")
