"""Tasklets end: by exceptions, killed, dropped, collected."""

import contextlib
import gc
import types

import stackless

from .support import (
    VALUE,
    call,
    fail,
    nothing,
    operation,
    pause,
    pause_in_c,
    raises_key_error,
    started,
    through_c,
)


# --- exceptions --------------------------------------------------------------


@operation
def throw():
    tasklet = started(stackless.channel().receive)
    yield
    with raises_key_error:
        tasklet.throw(KeyError, VALUE)


@operation
def throw_instance():
    tasklet = started(pause)
    error = KeyError(VALUE)
    yield
    with raises_key_error:
        tasklet.throw(error, None, error.__traceback__)


@operation
def throw_pending():
    tasklet = started(pause)
    yield
    tasklet.throw(KeyError, VALUE, pending=True)
    with raises_key_error:
        stackless.run()


@operation
def throw_at_ready():
    tasklet = stackless.tasklet(nothing)(VALUE)
    yield
    with raises_key_error:
        tasklet.throw(KeyError, VALUE)


@operation
def throw_at_main():
    main = stackless.getmain()
    stackless.tasklet(main.throw)(KeyError, VALUE)
    yield
    with raises_key_error:
        stackless.run()


@operation
def raise_exception():
    tasklet = started(pause_in_c)
    yield
    with raises_key_error:
        tasklet.raise_exception(KeyError, VALUE)


@operation
def uncaught_error():
    stackless.tasklet(fail)()
    yield
    with raises_key_error:
        stackless.run()


@operation
def error_handler():
    stackless.tasklet(fail)()
    yield
    stackless.set_error_handler(nothing)
    stackless.run()
    stackless.set_error_handler(None)


@operation
def error_handler_that_fails():
    stackless.tasklet(fail)()
    stackless.set_error_handler(fail)
    yield
    with raises_key_error:
        stackless.run()


@operation
def switch_while_handling():
    def handle():
        try:
            fail()
        except KeyError:
            stackless.schedule()

    stackless.tasklet(handle)()
    yield
    stackless.run()


@operation
def bomb_in_tempval():
    tasklet = started(pause)
    error = KeyError(VALUE)
    yield
    tasklet.tempval = stackless.bomb(KeyError, error)
    with raises_key_error:
        tasklet.run()


# --- endings -----------------------------------------------------------------


@operation
def kill():
    tasklet = started(stackless.channel().receive)
    yield
    tasklet.kill()
    assert not tasklet.alive


@operation
def kill_ready():
    tasklet = stackless.tasklet(nothing)(VALUE)
    yield
    tasklet.kill()
    assert not tasklet.alive


@operation
def kill_pending():
    tasklet = started(stackless.channel().receive)
    yield
    tasklet.kill(pending=True)
    stackless.run()


@operation
def kill_in_c():
    tasklet = started(through_c, stackless.channel().receive)
    yield
    tasklet.kill()
    assert not tasklet.alive


@operation
def drop():
    def body():
        try:
            stackless.schedule_remove(None)
        finally:
            nothing()

    tasklet = started(body)
    yield
    del tasklet


@operation
def drop_in_c():
    tasklet = started(pause_in_c)
    yield
    del tasklet


@operation
def drop_ready():
    tasklet = stackless.tasklet().bind(nothing, (VALUE,))
    yield
    del tasklet


@operation
def drop_failing():
    def body():
        try:
            stackless.schedule_remove(None)
        finally:
            raise KeyError(VALUE)

    tasklet = started(body)
    yield
    # Killed at once, its error is unraisable; killed later, for want of
    # memory, it raises it in main.
    with contextlib.suppress(KeyError):
        del tasklet
        call(nothing)


@operation
def drop_blocked():
    channel = stackless.channel()
    started(channel.receive)
    started(stackless.channel().receive)
    yield
    del channel
    gc.collect()


@operation
def destructor_that_switches():
    class Switching:
        def __del__(self):
            stackless.schedule()

    stackless.tasklet(nothing)()
    switching = [Switching()]
    yield
    switching.clear()


def wait_in_a_cycle(how):
    """Receive for ever, where nobody else has the channel or the tasklet."""
    itself = []
    itself.append(itself)
    channel = stackless.channel()
    myself = stackless.getcurrent()
    how(channel.receive)
    return myself


@operation
def collect_cycle():
    started(wait_in_a_cycle, call)
    yield
    gc.collect()
    stackless.run()


@operation
def collect_cycle_in_c():
    started(wait_in_a_cycle, through_c)
    yield
    gc.collect()
    stackless.run()


@operation
def collect_cycle_in_generator():
    def generate():
        myself = stackless.getcurrent()
        channel = stackless.channel()
        yield channel.receive()
        return myself

    def body():
        for _ in generate():
            pass

    for _ in range(3):
        started(body)
    yield
    gc.collect()
    stackless.run()


@operation
def coroutine():
    @types.coroutine
    def suspend():
        pause()
        yield

    async def main():
        await suspend()

    def body():
        with contextlib.closing(main()) as running:
            running.send(None)

    tasklet = started(body)
    yield
    tasklet.run()
