"""When nothing is runnable: who wakes, who gets the Deadlock error, what the
error tells."""

import os
import re

import pytest
import stackless

from semantics_support import pause, ring, spawn, started, through_c


@pytest.fixture
def channel():
    return stackless.channel()


BLOCKING = {
    "receive": lambda c: c.receive(),
    "send": lambda c: c.send(1),
    "send_throw": lambda c: c.send_throw(KeyError),
    "send_exception": lambda c: c.send_exception(KeyError),
    "send_sequence": lambda c: c.send_sequence([1]),
    "for": lambda c: [value for value in c],
    "through C": lambda c: through_c(c.receive),
}


@pytest.mark.parametrize("block", BLOCKING.values(), ids=BLOCKING)
def test_main_blocking_alone(block, channel):
    with pytest.raises(RuntimeError, match="Deadlock"):
        block(channel)
    assert channel.balance == 0 and channel.queue is None
    assert not stackless.main.blocked and stackless.main.scheduled
    assert ring() == [stackless.main]


@pytest.mark.parametrize("block", BLOCKING.values(), ids=BLOCKING)
def test_tasklet_blocking_while_main_is_blocked(block, channel, log):
    other = stackless.channel()

    def body():
        with pytest.raises(RuntimeError, match="Deadlock"):
            block(other)
        assert other.balance == 0
        log.append("went on")
        channel.send("woken")

    spawn(body)
    assert channel.receive() == "woken"
    stackless.run()
    assert log == ["went on"]


def test_uncaught_deadlock_reaches_the_blocked_main(channel):
    other = stackless.channel()
    t = spawn(other.receive)
    with pytest.raises(RuntimeError, match="Deadlock"):
        channel.receive()
    assert channel.balance == 0 and other.balance == 0
    assert not t.alive


def test_tasklet_removing_itself_while_main_is_blocked(channel, log):
    def body():
        with pytest.raises(RuntimeError, match="Deadlock"):
            stackless.schedule_remove()
        log.append("still here")
        channel.send(None)

    spawn(body)
    channel.receive()
    assert log == ["still here"]


@pytest.mark.parametrize("block", BLOCKING.values(), ids=BLOCKING)
def test_last_tasklet_blocking_wakes_main_in_run(block, channel):
    t = spawn(block, channel)
    assert stackless.run() is None
    assert t.blocked
    assert ring() == [stackless.main]


def test_last_tasklet_removing_itself_wakes_main_in_run():
    t = spawn(pause)
    assert stackless.run() is None
    assert t.paused


@pytest.mark.parametrize("end", [lambda c: None, lambda c: c.receive(),
                                 lambda c: pause()],
                         ids=["ends", "blocks", "removes itself"])
def test_main_that_removed_itself_is_woken(end, channel):
    spawn(end, channel)
    assert stackless.schedule_remove(7) == 7
    assert ring() == [stackless.main]


def test_main_that_switched_away_is_woken(channel):
    spawn(channel.receive).switch()
    assert ring() == [stackless.main]


def test_last_tasklet_ending_while_main_is_receiving(channel):
    spawn(lambda: None)
    with pytest.raises(RuntimeError, match="receiving"):
        channel.receive()
    assert channel.balance == 0 and not stackless.main.blocked


def test_last_tasklet_ending_while_main_is_sending(channel):
    spawn(lambda: None)
    with pytest.raises(RuntimeError, match="sending"):
        channel.send(1)
    assert channel.balance == 0 and not stackless.main.blocked


def test_inner_watchdog_is_woken_before_main(channel, log):
    def inner():
        spawn(channel.receive)
        stackless.run()
        log.append("inner")

    spawn(inner)
    stackless.run()
    log.append("main")
    assert log == ["inner", "main"]


def test_everything_can_go_on_after_a_deadlock(channel, log):
    with pytest.raises(RuntimeError):
        channel.receive()
    spawn(lambda: log.append(channel.receive()))
    channel.send("works")
    stackless.run()
    assert log == ["works"]


def test_deadlock_is_repeatable(channel):
    for _ in range(20):
        with pytest.raises(RuntimeError, match="Deadlock"):
            channel.receive()


def test_deadlock_error_leaves_only_the_users_frames(channel):
    with pytest.raises(RuntimeError) as caught:
        channel.receive()
    tb = caught.value.__traceback__
    assert tb.tb_next is None


# the report

def waits_for(channel):
    channel.receive()


def sends_to(channel):
    channel.send("unwanted")


def test_report_lists_every_blocked_tasklet_with_place(channel):
    first, second = started(waits_for, channel), started(
        sends_to, stackless.channel())
    first.name, second.name = "consumer", "producer"
    with pytest.raises(RuntimeError, match="Deadlock") as caught:
        channel.receive()
    report = str(caught.value)
    for name, function in [("consumer", waits_for), ("producer", sends_to)]:
        assert name in report
        line = function.__code__.co_firstlineno + 1
        assert re.search(rf"{os.path.basename(__file__)}:{line}\b", report)
    assert "receiv" in report and "send" in report


def test_report_of_an_uncaught_deadlock_lists_main(channel):
    stackless.main.name = "the main one"
    spawn(waits_for, stackless.channel())
    with pytest.raises(RuntimeError) as caught:
        channel.receive()
    assert "the main one" in str(caught.value)


def test_report_leaves_out_what_is_not_blocked(channel):
    idle = started(pause)
    idle.name = "idle one"
    with pytest.raises(RuntimeError) as caught:
        channel.receive()
    assert "idle one" not in str(caught.value)


def test_report_survives_strange_names(channel):
    t = started(waits_for, stackless.channel())
    t.name = "100% {odd} \n name"
    with pytest.raises(RuntimeError, match="Deadlock"):
        channel.receive()


def test_report_of_many_is_complete(channel):
    tasklets = [started(waits_for, stackless.channel()) for _ in range(30)]
    for i, t in enumerate(tasklets):
        t.name = f"waiter<{i}>"
    with pytest.raises(RuntimeError) as caught:
        channel.receive()
    for i in range(30):
        assert f"waiter<{i}>" in str(caught.value)
