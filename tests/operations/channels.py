"""Values and exceptions travel over channels."""

import stackless

from .support import (
    VALUE,
    operation,
    raises_key_error,
    raises_runtime_error,
    raises_value_error,
    started,
)


@operation
def send():
    channel = stackless.channel()
    stackless.tasklet(channel.receive)()
    yield
    stackless.run()
    channel.send(VALUE)


@operation
def receive():
    channel = stackless.channel()
    yield
    stackless.tasklet(channel.send)(VALUE)
    stackless.schedule()
    assert channel.receive() is VALUE


@operation
def send_with_preferences():
    channel = stackless.channel()
    for _ in range(4):
        started(channel.receive)
    yield
    channel.preference = 1
    channel.send(VALUE)
    channel.preference = 0
    channel.send(VALUE)
    channel.schedule_all = 1
    channel.send(VALUE)
    channel.preference = -1
    channel.send(VALUE)


@operation
def send_to_nobody():
    channel = stackless.channel()
    yield
    with raises_runtime_error:
        channel.send(VALUE)


@operation
def deadlock():
    channels = [stackless.channel() for _ in range(3)]
    for channel in channels:
        started(channel.receive)
    yield
    with raises_runtime_error:
        stackless.channel().receive()


@operation
def send_exception():
    channel = stackless.channel()
    started(channel.receive)
    yield
    with raises_key_error:
        channel.send_exception(KeyError, VALUE)
        stackless.run()


@operation
def receive_exception():
    channel = stackless.channel()
    started(channel.send_exception, KeyError, VALUE)
    yield
    with raises_key_error:
        channel.receive()


@operation
def send_throw():
    channel = stackless.channel()
    started(channel.receive)
    yield
    with raises_key_error:
        channel.send_throw(KeyError, VALUE)
        stackless.run()


@operation
def receive_thrown():
    channel = stackless.channel()
    error = KeyError(VALUE)
    started(channel.send_throw, error)
    started(channel.send_throw, KeyError, error, error.__traceback__)
    yield
    with raises_key_error:
        channel.receive()
    with raises_key_error:
        channel.receive()


@operation
def channel_next():
    channel = stackless.channel()
    stackless.tasklet(channel.send)(VALUE)
    yield
    assert next(channel) is VALUE


@operation
def channel_iteration():
    channel = stackless.channel()
    started(channel.send, VALUE)
    started(channel.send, VALUE)
    yield
    channel.close()
    assert [each is VALUE for each in channel] == [True, True]


@operation
def iteration_stopped():
    channel = stackless.channel()
    stackless.tasklet(channel.send_exception)(StopIteration)
    yield
    assert not list(channel)


@operation
def iteration_suspended():
    channel = stackless.channel()

    def loop():
        for _ in channel:
            pass

    started(loop)
    yield
    assert channel.send_sequence((VALUE, VALUE)) == 2


@operation
def close_and_open():
    channel = stackless.channel()
    yield
    channel.close()
    with raises_value_error:
        channel.send(VALUE)
    with raises_value_error:
        channel.receive()
    channel.open()
