"""The tempval rule: while a switch is under way, nobody reaches what is in
flight.

Adversaries run at each moment at which Python code can run near a switch:
in destructors, trace and profile functions, collections, callbacks. Each
overwrites the slot of the current tasklet, opens and uses channels of its
own, spawns tasklets and collects. Whatever they do, every parcel must arrive
once, with the one it was sent to, and every switching call must return its
own value.
"""

import gc
import sys

import pytest
import stackless

from semantics_support import pause, paused, spawn, started

CLOBBERED = object()


class Adversary:
    """Interferes, but neither switches nor leaves anything behind."""

    def __init__(self, collect=False):
        self.collect = collect
        self.count = 0
        self.busy = False

    def __call__(self, *ignored):
        if self.busy:
            return
        self.busy = True
        try:
            self.interfere()
        finally:
            self.busy = False

    def interfere(self):
        self.count += 1
        me = stackless.current
        me.tempval = CLOBBERED
        channel = stackless.channel()
        channel.preference = 0
        made = paused(lambda: None)
        made.insert()
        made.remove()
        made.kill(pending=True)
        made.remove()
        made.bind(None)
        assert channel.balance == 0
        if self.collect and self.count % 7 == 0:
            gc.collect(0)
        me.tempval = CLOBBERED


class Noisy:
    """Calls the adversary when it dies, and every copy starts a new one."""

    def __init__(self, adversary):
        self.adversary = adversary

    def __del__(self):
        self.adversary()


class Cycle(Noisy):
    """The same, for the collector."""

    def __init__(self, adversary):
        super().__init__(adversary)
        self.me = self


class Parcel:
    alive = 0

    def __init__(self, sender, number):
        self.label = sender, number
        Parcel.alive += 1

    def __del__(self):
        Parcel.alive -= 1


def traffic(preference, schedule_all, litter=lambda: None, prepare=None):
    """Senders, receivers, schedulers, throwers; returns what arrived."""
    channel = stackless.channel()
    channel.preference = preference
    channel.schedule_all = schedule_all
    arrived, wrong = [], []

    def sender(name):
        for i in range(12):
            waste = litter()
            if channel.send(Parcel(name, i)) is not None:
                wrong.append("send")
            del waste

    def receiver(me):
        for i in range(18):
            waste = litter()
            parcel = channel.receive()
            if type(parcel) is not Parcel:
                wrong.append(parcel)
            else:
                arrived.append(parcel.label + (me,))
            del parcel, waste

    def scheduler(name):
        for i in range(12):
            waste = litter()
            if stackless.schedule((name, i)) != (name, i):
                wrong.append("schedule")
            if stackless.schedule(None) is not None:
                wrong.append("schedule(None)")
            if stackless.schedule() is not stackless.current:
                wrong.append("schedule()")
            del waste

    def sleeper():
        for i in range(12):
            waste = litter()
            value = stackless.schedule_remove(None)
            if value != ("alarm", i):
                wrong.append(("alarm", value))
            del waste

    def alarm(t):
        for i in range(12):
            waste = litter()
            while not t.paused:
                stackless.schedule()
            t.tempval = ("alarm", i)
            t.insert()
            del waste

    def victim():
        while True:
            waste = litter()
            try:
                stackless.schedule_remove(None)
            except KeyError as error:
                arrived.append(("error",) + error.args + ("victim",))
            except TaskletExit:
                return
            del waste

    def thrower(t):
        for i in range(12):
            while not t.paused:
                stackless.schedule()
            t.throw(KeyError, i)
        while not t.paused:
            stackless.schedule()
        t.kill()

    def short_lived(n):
        if n:
            spawn(short_lived, n - 1)
        return litter()

    the_sleeper, the_victim = paused(sleeper), paused(victim)
    tasklets = [the_sleeper, the_victim]
    for name in "ABC":
        tasklets.append(paused(sender, name))
        tasklets.append(paused(scheduler, name))
    tasklets += [paused(receiver, 1), paused(receiver, 2),
                 paused(alarm, the_sleeper), paused(thrower, the_victim),
                 paused(short_lived, 10)]
    for t in tasklets:
        if prepare is not None:
            prepare(t)
        t.insert()
    del t
    stackless.run()
    assert [t for t in tasklets if t.alive] == []
    assert wrong == []
    return arrived


EXPECTED = sorted([(name, i) for name in "ABC" for i in range(12)]
                  + [("error", i) for i in range(12)])
KINDS = [pytest.param(p, a, id=f"preference {p}{', all' if a else ''}")
         for p in (-1, 0, 1) for a in (False, True)]


def check(arrived):
    """All came, once; each receiver saw each sender's in order."""
    assert sorted(label[:2] for label in arrived) == EXPECTED
    for sender in ("A", "B", "C", "error"):
        for receiver in (1, 2, "victim"):
            mine = [n for s, n, r in arrived if (s, r) == (sender, receiver)]
            assert mine == sorted(mine)
    gc.collect()
    assert Parcel.alive == 0


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_undisturbed(preference, schedule_all):
    check(traffic(preference, schedule_all))


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_destructors(preference, schedule_all):
    adversary = Adversary()
    check(traffic(preference, schedule_all, lambda: Noisy(adversary)))
    assert adversary.count > 100


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_destructors_that_collect(preference, schedule_all):
    adversary = Adversary(collect=True)
    check(traffic(preference, schedule_all, lambda: Noisy(adversary)))
    assert adversary.count > 100


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_destructors_run_by_collections_at_any_allocation(
        preference, schedule_all):
    adversary = Adversary()
    gc.collect()
    gc.set_threshold(3)
    try:
        arrived = traffic(preference, schedule_all, lambda: Cycle(adversary))
    finally:
        gc.set_threshold(700, 10, 10)
    gc.collect()
    check(arrived)
    assert adversary.count > 100


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_collections_at_any_allocation(preference, schedule_all):
    adversary = Adversary()

    def callback(phase, info):
        adversary()

    gc.callbacks.append(callback)
    gc.set_threshold(1)
    try:
        arrived = traffic(preference, schedule_all)
    finally:
        gc.set_threshold(700, 10, 10)
        gc.callbacks.remove(callback)
    check(arrived)
    assert adversary.count > 10


@pytest.mark.parametrize("attribute", ["trace_function", "profile_function"])
@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_tracers(preference, schedule_all, attribute):
    if sys.gettrace() or sys.getprofile():
        pytest.skip("traced already")
    adversary = Adversary(collect=True)

    def tracer(frame, event, arg):
        adversary()
        return tracer

    check(traffic(preference, schedule_all,
                  prepare=lambda t: setattr(t, attribute, tracer)))
    assert adversary.count > 100


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_tracers_and_destructors_together(preference, schedule_all):
    if sys.gettrace():
        pytest.skip("traced already")
    adversary = Adversary(collect=True)

    def tracer(frame, event, arg):
        adversary()
        return tracer

    check(traffic(preference, schedule_all, lambda: Noisy(adversary),
                  lambda t: setattr(t, "trace_function", tracer)))


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="3.12+")
@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_monitoring(preference, schedule_all):
    monitoring, tool = sys.monitoring, 3
    adversary = Adversary()
    names = ("PY_START", "PY_RETURN", "LINE", "CALL", "RAISE", "PY_UNWIND",
             "PY_YIELD", "PY_RESUME", "EXCEPTION_HANDLED")
    monitoring.use_tool_id(tool, "adversary")
    try:
        mask = 0
        for name in names:
            event = getattr(monitoring.events, name)
            monitoring.register_callback(tool, event, adversary)
            mask |= event
        monitoring.set_events(tool, mask)
        arrived = traffic(preference, schedule_all)
    finally:
        monitoring.set_events(tool, 0)
        for name in names:
            monitoring.register_callback(
                tool, getattr(monitoring.events, name), None)
        monitoring.free_tool_id(tool)
    check(arrived)
    assert adversary.count > 100


@pytest.mark.parametrize("preference, schedule_all", KINDS)
def test_schedule_callback(preference, schedule_all):
    """It may do all but overwrite the slot, which holds the retval by then."""
    class Polite(Adversary):
        def interfere(self):
            self.count += 1
            made = paused(lambda: None)
            made.insert()
            made.remove()
            made.bind(None)
            gc.collect(0)

    adversary = Polite()
    stackless.set_schedule_callback(adversary)
    arrived = traffic(preference, schedule_all)
    stackless.set_schedule_callback(None)
    check(arrived)
    assert adversary.count > 100


# destructors that switch, at the moments when a switch drops references

def test_destructor_of_a_replaced_tempval_that_sends(log):
    """Setting a slot drops its old value, whose destructor uses channels."""
    channel = stackless.channel()

    class Talkative:
        def __del__(self):
            channel.send("from the destructor")

    receiver = started(lambda: log.append(channel.receive()))
    t = started(lambda: log.append(pause()))
    t.tempval = Talkative()
    t.tempval = "second"
    t.run()
    stackless.run()
    assert log == ["from the destructor", "second"]
    assert not receiver.alive


def test_destructor_at_the_end_of_a_tasklet_does_not_steal_a_message(log):
    """A tasklet ends while another value is on its way to a third."""
    private, public = stackless.channel(), stackless.channel()
    private.preference = public.preference = 0

    class Talkative:
        def __del__(self):
            private.send("private")
            log.append(private_box.pop())

    private_box = []

    def private_receiver():
        private_box.append(private.receive())

    def short():
        mine = Talkative()
        public.send("public")
        return mine

    private.preference = -1
    started(private_receiver)
    started(lambda: log.append(public.receive()))
    spawn(short)
    stackless.run()
    assert sorted(log) == ["private", "public"]


@pytest.mark.parametrize("preference", [-1, 0, 1])
def test_messages_that_switch_when_they_die(preference, log):
    channel = stackless.channel()
    channel.preference = preference

    class Message:
        def __init__(self, n):
            self.n = n

        def __del__(self):
            stackless.schedule()
            log.append(self.n)

    def sender(n):
        for i in range(5):
            channel.send(Message((n, i)))

    def receiver():
        for _ in range(15):
            channel.receive()

    for n in range(3):
        spawn(sender, n)
    spawn(receiver)
    stackless.run()
    assert sorted(log) == [(n, i) for n in range(3) for i in range(5)]


def test_retvals_that_switch_when_they_die(log):
    class Retval:
        def __init__(self, n):
            self.n = n

        def __del__(self):
            got = stackless.schedule(("inner", self.n))
            log.append(got == ("inner", self.n))

    def body(n):
        for i in range(5):
            stackless.schedule(Retval((n, i)))

    for n in range(3):
        spawn(body, n)
    stackless.run()
    assert log == [True] * 15


def test_killed_receiver_does_not_swallow_a_later_message(log):
    channel = stackless.channel()
    doomed = started(channel.receive)
    heir = started(lambda: log.append(channel.receive()))
    doomed.kill()
    channel.send("for the heir")
    assert log == ["for the heir"] and not heir.alive


def test_receiver_killed_after_the_transfer_loses_its_value(log):
    """The value was handed over; it dies with the receiver, nothing else."""
    channel = stackless.channel()
    channel.preference = 1
    parcel = Parcel("x", 1)
    receiver = started(lambda: log.append(channel.receive()))
    channel.send(parcel)
    del parcel
    assert Parcel.alive == 1
    receiver.kill()
    assert log == [] and Parcel.alive == 0


def test_sender_killed_while_blocked_takes_its_value_back():
    channel = stackless.channel()
    sender = started(channel.send, Parcel("x", 1))
    assert Parcel.alive == 1
    sender.kill()
    assert Parcel.alive == 0 and channel.balance == 0
