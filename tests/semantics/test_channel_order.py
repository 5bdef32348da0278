"""Who runs next after a channel operation: preference x direction x
schedule_all.

Ring M X Y S Z under run(), peer R already blocked. Each logs its name, R on
being woken; S' and R' are what is logged after the operation.
"""

import pytest
import stackless

from semantics_support import ring, spawn

SENDING = {
    -1: "X Y S R' Z S'",
    0: "X Y S S' Z R'",
    1: "X Y S S' Z R'",
    "all": "X Y S Z R' S'",
}
RECEIVING = {
    -1: "X Y R R' Z S'",
    0: "X Y R R' Z S'",
    1: "X Y R S' Z R'",
    "all": "X Y R Z S' R'",
}


def make_channel(preference, schedule_all=False):
    channel = stackless.channel()
    channel.preference = preference
    channel.schedule_all = schedule_all
    return channel


def settings():
    for preference in (-1, 0, 1):
        yield pytest.param(preference, False, preference,
                           id=f"preference {preference}")
        yield pytest.param(preference, True, "all",
                           id=f"schedule_all, preference {preference}")


def blocked_peer(channel, operation, name, log):
    def body():
        operation()
        log.append(f"{name}'")
    t = spawn(body)
    t.run()
    assert t.blocked
    return t


def actor(operation, name, log):
    log.append(name)
    operation()
    log.append(f"{name}'")


@pytest.mark.parametrize("preference, schedule_all, key", list(settings()))
def test_send_to_a_waiting_receiver(preference, schedule_all, key, log):
    channel = make_channel(preference, schedule_all)
    blocked_peer(channel, channel.receive, "R", log)
    spawn(log.append, "X")
    spawn(log.append, "Y")
    spawn(actor, lambda: channel.send(1), "S", log)
    spawn(log.append, "Z")
    stackless.run()
    assert " ".join(log) == SENDING[key]


@pytest.mark.parametrize("preference, schedule_all, key", list(settings()))
def test_receive_from_a_waiting_sender(preference, schedule_all, key, log):
    channel = make_channel(preference, schedule_all)
    blocked_peer(channel, lambda: channel.send(1), "S", log)
    spawn(log.append, "X")
    spawn(log.append, "Y")
    spawn(actor, channel.receive, "R", log)
    spawn(log.append, "Z")
    stackless.run()
    assert " ".join(log) == RECEIVING[key]


def sending_an_error(channel, how):
    if how == "send_exception":
        channel.send_exception(KeyError, 1)
    else:
        channel.send_throw(KeyError, 1)


@pytest.mark.parametrize("how", ["send_exception", "send_throw"])
@pytest.mark.parametrize("preference, schedule_all, key", list(settings()))
def test_sending_an_error_follows_the_order_of_send(
        preference, schedule_all, key, how, log):
    channel = make_channel(preference, schedule_all)

    def receive():
        with pytest.raises(KeyError):
            channel.receive()

    blocked_peer(channel, receive, "R", log)
    spawn(log.append, "X")
    spawn(log.append, "Y")
    spawn(actor, lambda: sending_an_error(channel, how), "S", log)
    spawn(log.append, "Z")
    stackless.run()
    assert " ".join(log) == SENDING[key]


@pytest.mark.parametrize("preference, schedule_all, key", list(settings()))
def test_main_is_a_sender_like_any_other(preference, schedule_all, key, log):
    channel = make_channel(preference, schedule_all)
    blocked_peer(channel, channel.receive, "R", log)
    spawn(log.append, "Z")
    log.append("S")
    channel.send(1)
    log.append("S'")
    stackless.run()
    wanted = {-1: "S R' Z S'", 0: "S S' Z R'", 1: "S S' Z R'",
              "all": "S Z R' S'"}
    assert " ".join(log) == wanted[key]


@pytest.mark.parametrize("preference, schedule_all, key", list(settings()))
def test_main_is_a_receiver_like_any_other(preference, schedule_all, key, log):
    channel = make_channel(preference, schedule_all)
    blocked_peer(channel, lambda: channel.send(1), "S", log)
    spawn(log.append, "Z")
    log.append("R")
    assert channel.receive() == 1
    log.append("R'")
    stackless.run()
    wanted = {-1: "R R' Z S'", 0: "R R' Z S'", 1: "R S' Z R'",
              "all": "R Z S' R'"}
    assert " ".join(log) == wanted[key]


def test_favoured_peer_is_linked_right_behind_the_caller(log):
    channel = make_channel(-1)

    def receiver():
        channel.receive()
        log.append(ring())

    peer = spawn(receiver)
    peer.run()
    z = spawn(lambda: None)
    channel.send(1)
    assert log == [[peer, z, stackless.main]]


def test_blocking_switches_to_the_next_runnable(log):
    channel = stackless.channel()
    spawn(actor, channel.receive, "A", log)
    spawn(log.append, "B")
    spawn(log.append, "C")
    stackless.run()
    assert log == ["A", "B", "C"]
    channel.send(None)


def test_receivers_are_served_first_come_first_served(log):
    channel = stackless.channel()

    def receiver(name):
        log.append((name, channel.receive()))

    for name in "ABC":
        spawn(receiver, name)
    stackless.run()
    for value in range(3):
        channel.send(value)
    assert log == [("A", 0), ("B", 1), ("C", 2)]


def test_senders_are_served_first_come_first_served():
    channel = stackless.channel()
    for value in range(3):
        spawn(channel.send, value)
    stackless.run()
    assert [channel.receive() for _ in range(3)] == [0, 1, 2]
    stackless.run()


def test_preference_may_change_between_operations(log):
    channel = make_channel(1)
    blocked_peer(channel, channel.receive, "first", log)
    blocked_peer(channel, channel.receive, "second", log)
    channel.send(None)
    log.append("M")
    channel.preference = -1
    channel.send(None)
    assert log == ["M", "second'", "first'"]


@pytest.mark.parametrize("preference", [-1, 0, 1])
def test_ping_pong_alternates(preference, log):
    there, back = make_channel(preference), make_channel(preference)

    def pong():
        for _ in range(5):
            log.append(("pong", there.receive()))
            back.send(None)

    spawn(pong)
    for i in range(5):
        there.send(i)
        back.receive()
        log.append(("ping", i))
    stackless.run()
    assert log == [(who, i) for i in range(5) for who in ("pong", "ping")]
