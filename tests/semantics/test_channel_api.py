"""Channels: balance, queue, closing, iteration, errors sent, traps."""

import pytest
import stackless

from semantics_support import (function_names, pause, queued, spawn, started,
                               through_c)


@pytest.fixture
def channel():
    return stackless.channel()


# transfer

def test_send_returns_none_and_receive_the_value(channel, log):
    spawn(lambda: log.append(channel.send("v")))
    assert channel.receive() == "v"
    stackless.run()
    assert log == [None]


@pytest.mark.parametrize("value", [None, 0, (), TaskletExit, ValueError("x")],
                         ids=repr)
def test_any_object_can_be_sent(channel, value):
    spawn(channel.send, value)
    assert channel.receive() is value


def test_the_very_same_object_arrives(channel, log):
    parcel = object()
    spawn(lambda: log.append(channel.receive()))
    stackless.run()
    channel.send(parcel)
    assert log == [parcel]


def test_a_channel_can_be_sent_over_itself(channel):
    spawn(channel.send, channel)
    assert channel.receive() is channel


def test_constructor_ignores_its_arguments():
    assert stackless.channel(1, 2, label="x").balance == 0


# balance and queue

def test_new_channel_is_empty_and_open(channel):
    assert channel.balance == 0
    assert channel.queue is None
    assert not channel.closing and not channel.closed
    assert channel.preference == -1
    assert not channel.schedule_all


def test_balance_counts_blocked_senders(channel):
    for i in range(3):
        started(channel.send, i)
        assert channel.balance == i + 1
    channel.receive()
    assert channel.balance == 2


def test_balance_counts_blocked_receivers_below_zero(channel):
    for i in range(3):
        started(channel.receive)
        assert channel.balance == -i - 1
    channel.send(None)
    assert channel.balance == -2


def test_queue_is_the_first_blocked_tasklet(channel):
    tasklets = [started(channel.receive) for _ in range(3)]
    assert channel.queue is tasklets[0]
    assert queued(channel) == tasklets


def test_queue_is_open_ended(channel):
    first, second = started(channel.receive), started(channel.receive)
    assert first.prev is None and first.next is second
    assert second.prev is first and second.next is None


def test_killing_a_blocked_tasklet_takes_it_off_the_queue(channel):
    tasklets = [started(channel.send, i) for i in range(3)]
    tasklets[1].kill()
    assert queued(channel) == [tasklets[0], tasklets[2]]
    assert channel.balance == 2
    assert channel.receive() == 0
    assert channel.receive() == 2


@pytest.mark.parametrize("name", ["balance", "queue", "closing", "closed"])
def test_state_is_read_only(channel, name):
    with pytest.raises(AttributeError):
        setattr(channel, name, 1)


# preference and schedule_all

@pytest.mark.parametrize("given, kept", [
    (-1, -1), (0, 0), (1, 1), (-100, -1), (100, 1), (True, 1)])
def test_preference_is_clamped(channel, given, kept):
    channel.preference = given
    assert channel.preference == kept


def test_preference_must_be_an_integer(channel):
    with pytest.raises(TypeError, match="must be set to an integer"):
        channel.preference = "sender"


@pytest.mark.parametrize("given, kept", [(True, 1), (0, 0), (1, 1)])
def test_schedule_all_is_a_flag(channel, given, kept):
    channel.schedule_all = given
    assert channel.schedule_all == kept


class Indecisive(int):
    def __bool__(self):
        raise KeyError


def test_error_of_a_flag_comes_through_and_changes_nothing(channel):
    main = stackless.getmain()
    for flag in (False, True):
        channel.schedule_all = main.block_trap = flag
        with pytest.raises(KeyError):
            channel.schedule_all = Indecisive(1)
        with pytest.raises(KeyError):
            main.block_trap = Indecisive(1)
        assert bool(channel.schedule_all) is main.block_trap is flag


def test_schedule_all_must_be_a_flag(channel):
    with pytest.raises(TypeError,
                       match="must be set to a bool or integer"):
        channel.schedule_all = "yes"


# closing

def test_close_and_open_set_and_clear_closing(channel):
    assert channel.close() is None
    assert channel.closing and channel.closed
    assert channel.open() is None
    assert not channel.closing and not channel.closed


def test_closing_channel_is_closed_once_it_is_empty(channel):
    started(channel.send, 1)
    channel.close()
    assert channel.closing and not channel.closed
    assert channel.receive() == 1
    assert channel.closed


@pytest.mark.parametrize("operation", [
    lambda c: c.send(1), lambda c: c.receive(),
    lambda c: c.send_exception(KeyError), lambda c: c.send_throw(KeyError),
    lambda c: c.send_sequence([1])])
def test_blocking_on_a_closing_channel_is_an_error(channel, operation):
    channel.close()
    with pytest.raises(ValueError):
        operation(channel)
    assert channel.balance == 0


def test_closing_channel_serves_waiting_receivers(channel, log):
    started(lambda: log.append(channel.receive()))
    channel.close()
    channel.send("last")
    stackless.run()
    assert log == ["last"]
    with pytest.raises(ValueError):
        channel.send("too late")


def test_close_does_not_wake_receivers(channel):
    t = started(channel.receive)
    channel.close()
    stackless.run()
    assert t.blocked


def test_reopened_channel_blocks_again(channel):
    channel.close()
    channel.open()
    assert started(channel.receive).blocked


# iteration

def test_for_loop_receives_until_stop_iteration_is_sent(channel, log):
    def consumer():
        for value in channel:
            log.append(value)
        log.append("end")

    spawn(consumer)
    for i in range(3):
        channel.send(i)
    channel.send_exception(StopIteration)
    stackless.run()
    assert log == [0, 1, 2, "end"]


def test_iteration_of_a_closed_channel_is_empty(channel):
    channel.close()
    assert list(channel) == []
    with pytest.raises(StopIteration):
        next(iter(channel))


def test_iteration_drains_a_closing_channel(channel):
    for i in range(3):
        started(channel.send, i)
    channel.close()
    assert list(channel) == [0, 1, 2]


def test_iteration_does_not_swallow_other_errors(channel, log):
    def consumer():
        with pytest.raises(KeyError):
            for value in channel:
                log.append(value)
        log.append("end")

    spawn(consumer)
    channel.send(1)
    channel.send_exception(KeyError)
    stackless.run()
    assert log == [1, "end"]


def test_iteration_ended_from_c(channel, log):
    spawn(lambda: log.append(list(channel)))
    channel.send(1)
    channel.send_exception(StopIteration)
    stackless.run()
    assert log == [[1]]


def test_two_loops_share_one_channel(channel, log):
    def consumer(name):
        for value in channel:
            log.append((name, value))

    a, b = started(consumer, "A"), started(consumer, "B")
    for i in range(4):
        channel.send(i)
    assert log == [("A", 0), ("B", 1), ("A", 2), ("B", 3)]
    a.kill(), b.kill()


# send_sequence

@pytest.mark.parametrize("items", [
    [], [1, 2, 3], (4, 5), range(6), iter([7])], ids=repr)
def test_send_sequence_sends_each_item_and_counts(channel, items, log):
    wanted = list(items)
    items = iter(wanted) if not hasattr(items, "__len__") else items

    def sender():
        log.append(channel.send_sequence(items))

    spawn(sender)
    received = [channel.receive() for _ in wanted]
    stackless.run()
    assert received == wanted
    assert log == [len(wanted)]


def test_send_sequence_of_a_generator_that_switches(channel):
    def items():
        for i in range(3):
            stackless.schedule()
            yield i

    spawn(channel.send_sequence, items())
    assert [channel.receive() for _ in range(3)] == [0, 1, 2]
    stackless.run()


def test_send_sequence_needs_an_iterable(channel):
    with pytest.raises(TypeError):
        channel.send_sequence(42)


def test_error_of_the_iterable_leaves_send_sequence(channel):
    def items():
        yield 1
        raise KeyError("source")

    started(channel.receive)
    with pytest.raises(KeyError, match="source"):
        channel.send_sequence(items())


# send_exception, send_throw

def test_send_exception_raises_in_the_receiver(channel):
    started(channel.send_exception, ValueError, 1, 2)
    with pytest.raises(ValueError) as caught:
        channel.receive()
    assert caught.value.args == (1, 2)


def test_send_exception_returns_none_to_the_sender(channel, log):
    def receiver():
        with pytest.raises(ValueError):
            channel.receive()
    started(receiver)
    assert channel.send_exception(ValueError) is None


@pytest.mark.parametrize("arguments", [(), (42,), (object,), ("text",)])
def test_send_exception_wants_an_exception_class(channel, arguments):
    started(channel.receive)
    with pytest.raises(TypeError):
        channel.send_exception(*arguments)
    assert channel.balance == -1


@pytest.mark.noleak  # the instances gather tracebacks
@pytest.mark.parametrize("arguments, args", [
    ((ValueError,), ()),
    ((ValueError, None), ()),
    ((ValueError, 5), (5,)),
    ((ValueError, (1, 2)), (1, 2)),
    ((ValueError(7),), (7,)),
    ((ValueError, ValueError(8)), (8,)),
    ((ValueError(9), None, None), (9,)),
], ids=str)
def test_send_throw_takes_the_arguments_of_raise(channel, arguments, args):
    started(channel.send_throw, *arguments)
    with pytest.raises(ValueError) as caught:
        channel.receive()
    assert caught.value.args == args


def test_send_throw_delivers_the_instance_itself(channel):
    error = ValueError()
    started(channel.send_throw, error)
    with pytest.raises(ValueError) as caught:
        channel.receive()
    assert caught.value is error


def origin():
    raise ValueError("here")


def test_send_throw_keeps_the_given_traceback(channel):
    def sender():
        try:
            origin()
        except ValueError as error:
            channel.send_throw(ValueError, error, error.__traceback__)

    started(sender)
    with pytest.raises(ValueError) as caught:
        channel.receive()
    assert function_names(caught.value.__traceback__)[-1] == "origin"


@pytest.mark.parametrize("arguments", [
    (), (42,), ("text",), (object,), (ValueError(1), 2),
    (ValueError, None, "no traceback"), (ValueError, None, None, None)])
def test_send_throw_checks_its_arguments(channel, arguments):
    started(channel.receive)
    with pytest.raises(TypeError):
        channel.send_throw(*arguments)
    assert channel.balance == -1


def test_an_error_waits_in_the_queue_like_a_value(channel):
    started(channel.send, 1)
    started(channel.send_exception, KeyError)
    started(channel.send, 3)
    assert channel.balance == 3
    assert channel.receive() == 1
    with pytest.raises(KeyError):
        channel.receive()
    assert channel.receive() == 3


def test_sent_stop_iteration_is_raised_by_receive(channel):
    started(channel.send_throw, StopIteration(42))
    with pytest.raises(StopIteration) as caught:
        channel.receive()
    assert caught.value.value == 42


# traps

def failing_to_block(channel):
    for operation in (channel.receive, lambda: channel.send(1),
                      lambda: channel.send_throw(KeyError)):
        with pytest.raises(RuntimeError):
            operation()
        assert channel.balance == 0
        assert not stackless.current.blocked


def test_block_trap_in_main(channel):
    stackless.current.block_trap = True
    failing_to_block(channel)


def test_block_trap_in_a_tasklet(channel, log):
    def trapped():
        stackless.current.block_trap = True
        failing_to_block(channel)
        log.append("done")

    spawn(trapped)
    spawn(pause)
    stackless.run()
    assert log == ["done"]


def test_block_trap_lets_transfers_pass(channel, log):
    stackless.current.block_trap = True
    started(lambda: log.append(channel.receive()))
    channel.send(1)
    started(channel.send, 2)
    assert channel.receive() == 2
    stackless.run()
    assert log == [1]


def test_block_trap_belongs_to_the_tasklet(channel):
    stackless.current.block_trap = True
    t = started(channel.receive)
    assert t.blocked and not t.block_trap


def test_block_trap_can_be_set_on_others(channel, log):
    def trapped():
        with pytest.raises(RuntimeError):
            channel.receive()
        log.append("done")

    t = spawn(trapped)
    t.block_trap = 1
    assert t.block_trap is True
    stackless.run()
    assert log == ["done"]


def test_block_trap_must_be_a_flag():
    with pytest.raises(TypeError,
                       match="must be set to a bool or integer"):
        stackless.current.block_trap = "yes"


def test_channel_operations_work_through_c(channel, log):
    spawn(lambda: log.append(through_c(channel.receive)))
    stackless.run()
    through_c(channel.send, "hard")
    stackless.run()
    assert log == ["hard"]


@pytest.mark.parametrize("call", [
    lambda c: c.send(), lambda c: c.send(1, 2), lambda c: c.receive(1),
    lambda c: c.send(value=1, other=2), lambda c: c.send_sequence(),
    lambda c: c.close(1), lambda c: c.open(1)])
def test_wrong_arguments_are_type_errors(channel, call):
    with pytest.raises(TypeError):
        call(channel)
    assert channel.balance == 0


def test_method_called_on_the_wrong_object():
    with pytest.raises(TypeError):
        stackless.channel.send(object(), 1)
    with pytest.raises(TypeError):
        stackless.channel.receive(stackless.current)
