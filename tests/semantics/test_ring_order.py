"""Who runs next: the traces of the specification's scheduler-order table.

Rings are written head first: in "M A B C" main is current and A is next.
"""

import pytest
import stackless

from semantics_support import counting, pause, paused, ring, spawn


def looping(log, name):
    """Log the name each time the tasklet gets the processor; log its end."""
    try:
        while True:
            log.append(name)
            stackless.schedule()
    except TaskletExit:
        log.append(f"{name}:TaskletExit")
        raise


def crew(log, names="ABC"):
    return [spawn(looping, log, name) for name in names]


def test_run_goes_round_in_order_of_creation(log):
    for name in "ABC":
        spawn(counting, log, name, 2)
    stackless.run()
    assert log == ["A0", "B0", "C0", "A1", "B1", "C1"]


def test_new_tasklet_goes_to_the_far_end():
    tasklets = [spawn(lambda: None) for _ in range(3)]
    assert ring() == [stackless.main, *tasklets]


def test_insert_appends_at_the_far_end():
    a, b = spawn(lambda: None), paused(lambda: None)
    c = spawn(lambda: None)
    b.insert()
    assert ring() == [stackless.main, a, c, b]


def test_insert_of_a_ring_member_changes_nothing():
    a, b = spawn(lambda: None), spawn(lambda: None)
    a.insert()
    assert ring() == [stackless.main, a, b]


def test_tasklet_made_by_a_tasklet_goes_right_before_its_maker(log):
    def spawning():
        child = spawn(log.append, "child")
        assert ring() == [a, b, child]

    a, b = spawn(spawning), spawn(log.append, "last")
    stackless.run()
    assert log == ["last", "child"]


def test_run_of_ring_member_only_moves_the_head(log):
    a, b, c = crew(log)
    b.run()
    log.append("M")
    assert log == ["B", "C", "M"]
    assert ring() == [stackless.main, a, b, c]


def test_run_of_paused_tasklet_makes_the_caller_next(log):
    a, b, c = crew(log)
    b.remove()
    b.run()
    log.append("M")
    assert log == ["B", "M"]
    assert ring() == [stackless.main, a, c, b]


def test_switch_takes_the_caller_out_of_the_ring(log):
    main = stackless.main

    def b_body():
        log.append("B")
        stackless.schedule()
        log.append("B'")

    def c_body():
        log.append("C")
        main.insert()
        stackless.schedule()
        log.append("C'")

    spawn(counting, log, "A", 1)
    b = spawn(b_body)
    spawn(c_body)
    b.switch()
    log.append("M")
    assert log == ["B", "C", "A0", "B'", "M"]
    stackless.run()
    assert log[5:] == ["C'"]


def test_kill_in_ring_hands_over_to_the_successor(log):
    a, b, c = crew(log)
    stackless.schedule()
    del log[:]
    b.kill()
    log.append("M")
    assert log == ["B:TaskletExit", "C", "M"]


def test_kill_of_paused_tasklet_returns_to_the_caller(log):
    a, b, c = crew(log)
    stackless.schedule()
    del log[:]
    b.remove()
    b.kill()
    log.append("M")
    assert log == ["B:TaskletExit", "M"]


def once(log, name):
    try:
        pause()
        log.append(name)
    except TaskletExit:
        log.append(f"{name}:TaskletExit")


def crew_waiting_for_its_turn(log):
    tasklets = [spawn(once, log, name) for name in "ABC"]
    stackless.run()
    return tasklets


def test_pending_kill_leaves_ring_order_alone(log):
    a, b, c = crew_waiting_for_its_turn(log)
    for t in (a, b, c):
        t.insert()
    b.kill(pending=True)
    assert log == []
    stackless.run()
    assert log == ["A", "B:TaskletExit", "C"]


def test_pending_kill_appends_a_paused_tasklet(log):
    a, b, c = crew_waiting_for_its_turn(log)
    a.insert()
    c.insert()
    b.kill(pending=True)
    stackless.run()
    assert log == ["A", "C", "B:TaskletExit"]


def test_children_run_after_all_parents(log):
    def parent(name):
        log.append(name)
        spawn(log.append, f"{name}child")

    spawn(parent, "A")
    spawn(parent, "B")
    stackless.run()
    assert log == ["A", "B", "Achild", "Bchild"]


def failing():
    raise LookupError("X")


@pytest.mark.parametrize("wait, order", [
    pytest.param(stackless.run, ["A0", "B0", "A1"], id="run"),
    pytest.param(stackless.schedule, ["A0", "A1", "B0"], id="schedule"),
])
def test_error_under_run_appends_main_but_not_under_schedule(
        wait, order, log):
    spawn(counting, log, "A", 2)
    spawn(failing)
    spawn(counting, log, "B", 1)
    with pytest.raises(LookupError):
        wait()
    assert log == ["A0"]
    stackless.run()
    assert log == order


def test_schedule_keeps_the_callers_place(log):
    a, b, c = crew(log)
    stackless.schedule()
    assert log == ["A", "B", "C"]
    assert ring() == [stackless.main, a, b, c]


def test_schedule_inside_a_tasklet_moves_only_the_head(log):
    main = stackless.main

    def looks():
        log.append(ring())
        stackless.schedule()
        log.append(ring())

    a, b = spawn(looks), spawn(stackless.schedule)
    stackless.schedule()
    stackless.schedule()
    assert log == [[a, b, main], [a, b, main]]


def test_remove_unlinks_without_reordering_the_rest():
    a, b, c = (spawn(lambda: None) for _ in range(3))
    b.remove()
    assert ring() == [stackless.main, a, c]
    assert b.paused


def test_dying_tasklet_hands_over_to_its_successor(log):
    spawn(log.append, "A")
    b = spawn(log.append, "B")
    spawn(log.append, "C")
    b.run()
    log.append("M")
    assert log == ["B", "C", "M"]


def test_switch_to_ring_member_runs_everything_behind_it(log):
    main = stackless.main
    spawn(log.append, "A")
    b = spawn(log.append, "B")
    spawn(log.append, "C")
    spawn(main.insert)
    b.switch()
    assert log == ["B", "C", "A"]


def test_throw_follows_the_same_order_as_kill(log):
    def receiving(name):
        with pytest.raises(KeyError):
            pause()
        log.append(f"{name}:KeyError")

    def plain(name):
        pause()
        log.append(name)

    tasklets = [spawn(receiving if n == "B" else plain, n) for n in "ABC"]
    stackless.run()
    for t in tasklets:
        t.insert()
    tasklets[1].throw(KeyError)
    log.append("M")
    assert log == ["B:KeyError", "C", "M"]


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_many_tasklets_take_turns_fairly(log, count):
    for i in range(count):
        spawn(counting, log, f"{i}.", 3)
    stackless.run()
    assert log == [f"{i}.{r}" for r in range(3) for i in range(count)]


def test_tasklet_behind_a_blocked_one_still_gets_its_turn(log):
    channel = stackless.channel()
    spawn(channel.receive)
    spawn(log.append, "B")
    stackless.run()
    assert log == ["B"]
    channel.send(None)


def test_runcount_counts_ring_members(log):
    assert stackless.getruncount() == 1
    a, b = spawn(lambda: None), spawn(lambda: None)
    assert stackless.getruncount() == 3
    a.remove()
    assert stackless.getruncount() == 2
    stackless.run()
    assert stackless.getruncount() == 1
    a.kill()


def test_main_paused_in_run_is_not_counted(log):
    spawn(lambda: log.append(stackless.runcount))
    stackless.run()
    assert log == [1]


def test_main_in_schedule_is_counted(log):
    spawn(lambda: log.append(stackless.runcount))
    stackless.schedule()
    assert log == [2]


def test_ring_is_circular_in_both_directions():
    a, b = spawn(lambda: None), spawn(lambda: None)
    main = stackless.main
    assert main.next is a and a.next is b and b.next is main
    assert main.prev is b and b.prev is a and a.prev is main


def test_current_alone_is_its_own_neighbour():
    assert stackless.current.next is stackless.current
    assert stackless.current.prev is stackless.current


def test_paused_tasklet_has_no_neighbours():
    t = paused(lambda: None)
    assert t.next is None and t.prev is None
