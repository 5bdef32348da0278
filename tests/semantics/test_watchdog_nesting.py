"""run() inside run(), without timeouts: watchdogs form a stack."""

import pytest
import stackless

from semantics_support import ring, spawn, started


class Oops(Exception):
    pass


def failing():
    raise Oops


def watchdogs():
    """The watchdogs of this thread, outermost first."""
    info = stackless.get_thread_info(-1, 1 << 31)
    return [t for t in info[3] or [] if t is not None]


def test_empty_ring_wakes_the_innermost_watchdog_first(log):
    def outer():
        log.append("outer in")
        spawn(inner)
        stackless.run()
        log.append("outer out")

    def inner():
        log.append("inner in")
        spawn(log.append, "leaf")
        stackless.run()
        log.append("inner out")

    spawn(outer)
    stackless.run()
    assert log == ["outer in", "inner in", "leaf", "inner out", "outer out"]


def test_run_returns_none_at_every_level(log):
    spawn(lambda: log.append(stackless.run()))
    log.append(stackless.run())
    assert log == [None, None]


def test_run_drains_the_ring_also_from_a_tasklet(log):
    def inner():
        stackless.run()
        log.append("inner")

    spawn(inner)
    for name in "ABC":
        spawn(log.append, name)
    stackless.run()
    assert log == ["A", "B", "C", "inner"]


def test_caller_of_run_is_paused(log):
    def inner():
        spawn(lambda: log.append((t.paused, t.scheduled, stackless.runcount)))
        stackless.run()

    t = spawn(inner)
    stackless.run()
    assert log == [(True, False, 1)]


def test_error_goes_to_the_innermost_watchdog(log):
    def inner():
        with pytest.raises(Oops):
            stackless.run()
        log.append("inner got it")

    spawn(inner)
    spawn(failing)
    stackless.run()
    assert log == ["inner got it"]


def test_error_of_a_watchdog_goes_to_the_next(log):
    def inner():
        stackless.run()

    t = spawn(inner)
    spawn(failing)
    with pytest.raises(Oops):
        stackless.run()
    assert not t.alive


def test_error_after_the_inner_watchdog_returned_goes_to_main():
    def inner():
        stackless.run()
        raise Oops

    spawn(inner)
    spawn(lambda: None)
    with pytest.raises(Oops):
        stackless.run()


def test_inner_run_does_not_return_while_main_keeps_scheduling(log):
    def inner():
        stackless.run()
        log.append("inner")

    spawn(inner)
    for _ in range(5):
        stackless.schedule()
    assert log == []


def test_main_run_from_a_tasklet_releases_inner_watchdogs(log):
    main = stackless.main

    def inner():
        spawn(waker)
        stackless.run()
        log.append("inner")

    def waker():
        log.append("waker")
        main.run()
        log.append("waker again")

    t = spawn(inner)
    stackless.run()
    log.append("main")
    assert t.scheduled
    assert ring()[-1] is t
    stackless.run()
    assert log == ["waker", "main", "waker again", "inner"]


def test_main_inserted_by_a_tasklet_returns_from_run(log):
    def body():
        stackless.main.insert()
        stackless.schedule()
        log.append("rest")

    spawn(body)
    stackless.run()
    assert log == []
    stackless.run()
    assert log == ["rest"]


def test_watchdog_list_grows_and_shrinks(log):
    def inner():
        log.append(watchdogs())
        spawn(leaf)
        stackless.run()
        log.append(watchdogs())

    def leaf():
        log.append(watchdogs())

    t = spawn(inner)
    stackless.run()
    main = stackless.main
    assert log == [[main], [main, t], [main]]
    assert watchdogs() == []


def test_killed_watchdog_leaves_the_stack(log):
    t = spawn(stackless.run)
    t.run()
    assert t.paused
    t.kill()
    assert watchdogs() == []
    spawn(log.append, "ran")
    stackless.run()
    assert log == ["ran"]


def test_killed_middle_watchdog_takes_the_deeper_ones_along(log):
    def watchdog(name):
        try:
            stackless.run()
            log.append(f"{name} released")
        except TaskletExit:
            log.append(f"{name} killed")
            raise

    outer = spawn(watchdog, "outer")
    inner = spawn(watchdog, "inner")
    stackless.schedule()
    assert outer.paused and inner.paused
    outer.kill()
    assert inner.scheduled
    stackless.run()
    assert log == ["outer killed", "inner released"]


def test_inserted_watchdog_returns_from_its_run(log):
    def inner():
        log.append(stackless.run())

    t = started(inner)
    assert t.paused
    t.insert()
    stackless.run()
    assert log == [None]


def test_deeply_nested_runs(log):
    def nested(n):
        if n:
            spawn(nested, n - 1)
            stackless.run()
        log.append(n)

    spawn(nested, 50)
    stackless.run()
    assert log == list(range(51))


def test_last_tasklet_blocking_wakes_the_innermost_watchdog(log):
    channel = stackless.channel()

    def inner():
        spawn(channel.receive)
        stackless.run()
        log.append("inner")
        channel.send(None)

    spawn(inner)
    stackless.run()
    assert log == ["inner"] and channel.balance == 0


def test_outside_runs_the_ring_from_a_fresh_main(log):
    spawn(log.append, 1)
    spawn(log.append, 2)
    stackless.test_outside()
    assert log == [1, 2]
    assert stackless.runcount == 1


def test_bare_switches():
    for _ in range(2):
        spawn(stackless.test_cframe_nr, 100)
    stackless.run()
    assert stackless.runcount == 1
