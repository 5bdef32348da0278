"""sys.exc_info() is per tasklet; a new tasklet starts without one."""

import sys

import pytest
import stackless

from semantics_support import pause, spawn, started, through_c

NOTHING = (None, None, None)


class Oops(Exception):
    pass


def current_error():
    return sys.exc_info()[1]


def test_new_tasklet_starts_empty(log):
    spawn(lambda: log.append(sys.exc_info()))
    try:
        raise Oops
    except Oops:
        stackless.run()
    assert log == [NOTHING]


def test_bare_raise_in_a_new_tasklet_finds_nothing(log):
    def body():
        try:
            raise
        except RuntimeError as error:
            log.append(str(error))

    spawn(body)
    try:
        raise Oops
    except Oops:
        stackless.run()
    assert "No active exception" in log[0]


def test_main_keeps_its_own(log):
    def body():
        try:
            raise KeyError
        except KeyError:
            stackless.schedule()

    spawn(body)
    assert sys.exc_info() == NOTHING
    stackless.schedule()
    assert sys.exc_info() == NOTHING
    try:
        raise Oops
    except Oops as error:
        stackless.schedule()
        assert current_error() is error
    assert sys.exc_info() == NOTHING
    stackless.run()


def handling(log, error, wait):
    try:
        raise error
    except Exception:
        for _ in range(3):
            wait()
            log.append(current_error() is error)
        try:
            raise
        except Exception as again:
            log.append(again is error)
    log.append(sys.exc_info() == NOTHING)


@pytest.mark.parametrize("wait", [
    stackless.schedule, lambda: through_c(stackless.schedule)],
    ids=["plain", "through C"])
def test_each_handler_keeps_its_error_across_switches(wait, log):
    for error in (KeyError(), Oops(), ValueError()):
        spawn(handling, log, error, wait)
    stackless.run()
    assert log == [True] * 15


def test_nested_handlers(log):
    def body(first, second):
        try:
            raise first
        except Exception:
            try:
                raise second
            except Exception:
                stackless.schedule()
                log.append(current_error() is second)
            stackless.schedule()
            log.append(current_error() is first)
            log.append(second.__context__ is first)

    spawn(body, KeyError(1), Oops(1))
    spawn(body, ValueError(2), Oops(2))
    stackless.run()
    assert log == [True] * 6


def test_error_raised_in_a_tasklet_has_no_context_of_another(log):
    def body():
        try:
            raise Oops
        except Oops as error:
            log.append(error.__context__)

    spawn(body)
    try:
        raise KeyError
    except KeyError:
        stackless.run()
    assert log == [None]


def test_handler_suspended_in_a_generator(log):
    def generator(error):
        try:
            raise error
        except Exception:
            stackless.schedule()
            log.append(current_error() is error)
            yield 1
            stackless.schedule()
            log.append(current_error() is error)

    def body(error):
        for _ in generator(error):
            log.append(sys.exc_info() == NOTHING)
            stackless.schedule()
        log.append(sys.exc_info() == NOTHING)

    for _ in range(3):
        spawn(body, Oops())
    stackless.run()
    assert log == [True] * 12


def test_generator_inside_a_handler(log):
    def generator():
        stackless.schedule()
        log.append(type(current_error()))
        yield
        try:
            raise Oops
        except Oops:
            stackless.schedule()
            log.append(type(current_error()))

    def body():
        try:
            raise KeyError
        except KeyError:
            for _ in generator():
                stackless.schedule()
                log.append(type(current_error()))
            log.append(type(current_error()))
        log.append(type(current_error()))

    spawn(body)
    spawn(stackless.schedule)
    stackless.run()
    assert log == [KeyError, KeyError, Oops, KeyError, type(None)]


def test_killed_in_a_handler(log):
    def body():
        try:
            raise Oops
        except Oops:
            try:
                pause()
            except TaskletExit:
                log.append(type(current_error()))
            log.append(type(current_error()))

    started(body).kill()
    assert log == [TaskletExit, Oops]
    assert sys.exc_info() == NOTHING


def test_finished_in_a_handler_leaves_main_clean():
    def body():
        try:
            raise Oops
        except Oops:
            pause()
            return

    t = started(body)
    t.run()
    assert not t.alive and sys.exc_info() == NOTHING


def test_uncaught_in_a_handler_of_main(log):
    def body():
        raise Oops

    try:
        raise KeyError
    except KeyError:
        spawn(body)
        with pytest.raises(Oops):
            stackless.run()
        log.append(type(current_error()))
    assert log == [KeyError]


def test_exception_groups(log):
    def body(errors):
        try:
            raise ExceptionGroup("group", errors)
        except* KeyError as group:
            stackless.schedule()
            log.append(("key", len(group.exceptions)))
        except* Oops as group:
            stackless.schedule()
            log.append(("oops", len(group.exceptions)))

    spawn(body, [KeyError(), Oops(), KeyError()])
    spawn(body, [Oops(), Oops(), KeyError()])
    stackless.run()
    assert sorted(log) == [("key", 1), ("key", 2), ("oops", 1), ("oops", 2)]


def test_with_statement_handles_across_switches(log):
    class Manager:
        def __enter__(self):
            stackless.schedule()
            return self

        def __exit__(self, type, value, tb):
            stackless.schedule()
            log.append((type, current_error() is value))
            return True

    def body(error):
        with Manager():
            stackless.schedule()
            raise error

    spawn(body, KeyError())
    spawn(body, Oops())
    stackless.run()
    assert log == [(KeyError, True), (Oops, True)]


def test_finally_across_switches(log):
    def body(error):
        try:
            try:
                raise error
            finally:
                stackless.schedule()
                log.append(current_error() is error)
        except Exception as caught:
            log.append(caught is error)

    for _ in range(3):
        spawn(body, Oops())
    stackless.run()
    assert log == [True] * 6
