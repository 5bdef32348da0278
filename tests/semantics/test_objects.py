"""Tasklets and channels as Python objects: subclasses, weak references,
attributes, identity."""

import struct
import sys
import weakref

import pytest
import stackless

from semantics_support import (pause, paused, queued, ring, spawn, started)


# weak references

def test_weak_reference_to_a_tasklet_dies_with_its_end(log):
    t = spawn(lambda: None)
    r = weakref.ref(t, log.append)
    assert r() is t
    del t
    assert r() is not None
    stackless.run()
    assert r() is None and log == [r]


def test_weak_reference_to_a_new_paused_tasklet(log):
    t = paused(print)
    r = weakref.ref(t, log.append)
    del t
    assert r() is None and log == [r]


def test_weak_reference_to_a_channel(log):
    c = stackless.channel()
    r = weakref.ref(c, log.append)
    assert r() is c
    del c
    assert r() is None and log == [r]


def test_ring_keeps_its_members_alive():
    r = weakref.ref(spawn(lambda: None))
    assert r() is not None and r().scheduled
    stackless.run()
    assert r() is None


def test_channel_queue_keeps_the_blocked_alive():
    channel = stackless.channel()
    r = weakref.ref(started(channel.receive))
    assert r() is channel.queue
    channel.send(None)
    assert r() is None


def test_blocked_tasklet_keeps_its_channel_alive():
    t = started(lambda: stackless.channel().receive())
    assert t.blocked
    assert t._channel.balance == -1


def test_weak_containers():
    t, c = paused(print), stackless.channel()
    s = weakref.WeakSet([t, c])
    assert t in s and c in s
    del t, c
    assert len(s) == 0


def test_weakref_callback_may_schedule(log):
    t = spawn(lambda: None)
    r = weakref.ref(t, lambda r: log.append("gone"))
    spawn(log.append, "other")
    del t
    stackless.run()
    assert log[0] == "gone" or log == ["other", "gone"]
    assert sorted(log) == ["gone", "other"]
    del r


# no instance dict on the base types, one on subclasses

@pytest.mark.parametrize("make", [stackless.tasklet, stackless.channel])
def test_base_types_take_no_attributes(make):
    with pytest.raises(AttributeError):
        make().anything = 1


@pytest.mark.parametrize("base", [stackless.tasklet, stackless.channel])
def test_subclasses_have_a_dict(base):
    class Sub(base):
        pass
    x = Sub()
    x.anything = 1
    assert x.__dict__ == {"anything": 1}


@pytest.mark.parametrize("base", [stackless.tasklet, stackless.channel])
def test_subclasses_may_have_slots(base):
    class Sub(base):
        __slots__ = ("mine",)
    x = Sub()
    x.mine = 1
    assert x.mine == 1
    with pytest.raises(AttributeError):
        x.other = 1


@pytest.mark.parametrize("base", [stackless.bomb, stackless.cframe,
                                  stackless.cstack])
def test_other_types_are_types(base):
    assert isinstance(base, type)


# subclasses of tasklet

class Worker(stackless.tasklet):
    """Other constructor arguments, and a log of calls."""

    def __new__(cls, label, log):
        return super().__new__(cls)

    def __init__(self, label, log):
        super().__init__(self.work)
        self.label, self.log = label, log

    def work(self, *args):
        self.log.append((self.label, args))
        stackless.schedule()
        self.log.append((self.label, stackless.current is self))


def test_subclass_with_other_constructor_arguments(log):
    for label in "AB":
        Worker(label, log)(1)
    stackless.run()
    assert log == [("A", (1,)), ("B", (1,)), ("A", True), ("B", True)]


def test_subclass_without_new_takes_what_init_takes(log):
    class Sub(stackless.tasklet):
        def __init__(self, a, b, *, c):
            super().__init__(log.append)
            self.arguments = a, b, c
    t = Sub(1, 2, c=3)
    assert t.arguments == (1, 2, 3)
    t("ran")
    stackless.run()
    assert log == ["ran"]


def test_subclass_that_forgets_init():
    class Sub(stackless.tasklet):
        def __init__(self):
            pass
    t = Sub()
    assert not t.alive and t.tempval is None
    assert t.bind(print).tempval is print


def test_overridden_setup_is_not_used_by_call(log):
    class Sub(stackless.tasklet):
        def setup(self, *args):
            log.append("setup")
            return super().setup(*args)
    Sub(log.append).setup("direct")
    stackless.run()
    assert log == ["setup", "direct"]


def test_overridden_call(log):
    class Sub(stackless.tasklet):
        def __call__(self, *args):
            log.append("call")
            return super().__call__(*args)
    t = Sub(log.append)
    assert t("ran") is t
    stackless.run()
    assert log == ["call", "ran"]


def test_overridden_methods_may_switch(log):
    class Sub(stackless.tasklet):
        def run(self):
            log.append("run")
            super().run()
            log.append("back")
    t = Sub(log.append)("ran")
    t.run()
    assert log == ["run", "ran", "back"]


def test_instances_of_subclasses_are_found_in_ring_and_queue():
    class Sub(stackless.tasklet):
        pass
    channel = stackless.channel()
    a, b = Sub(channel.receive)(), Sub(pause)()
    assert ring() == [stackless.main, a, b]
    stackless.run()
    assert queued(channel) == [a]
    assert type(channel.queue) is Sub
    channel.send(None)


def test_destructor_of_a_subclass_runs(log):
    class Sub(stackless.tasklet):
        def __del__(self):
            log.append(("del", self.alive))
    t = Sub(lambda: None)()
    stackless.run()
    assert log == []
    del t
    assert log == [("del", False)]


def test_destructor_of_a_subclass_at_the_end_in_the_ring(log):
    class Sub(stackless.tasklet):
        def __del__(self):
            log.append("del")
    Sub(lambda: None)()
    stackless.run()
    assert log == ["del"]


def test_multiple_inheritance(log):
    class Mixin:
        def describe(self):
            return f"{type(self).__name__} {self.alive}"

    class Sub(Mixin, stackless.tasklet):
        pass
    assert Sub(print).describe() == "Sub False"


def test_attributes_of_the_current_tasklet_as_local_storage(log):
    class Sub(stackless.tasklet):
        pass

    def body(n):
        stackless.current.n = n
        stackless.schedule()
        log.append(stackless.current.n)

    for n in range(3):
        Sub(body)(n)
    stackless.run()
    assert log == [0, 1, 2]


# subclasses of channel

def test_channel_subclass_with_other_constructor_arguments():
    class Named(stackless.channel):
        def __init__(self, name, *, preference=0):
            super().__init__()
            self.name, self.preference = name, preference
    c = Named("bong", preference=1)
    assert (c.name, c.preference, c.balance) == ("bong", 1, 0)
    spawn(c.send, 5)
    assert c.receive() == 5
    stackless.run()


def test_channel_subclass_that_overrides_send_and_receive():
    class Doubling(stackless.channel):
        def send(self, value):
            super().send(value * 2)

        def receive(self):
            return super().receive() + 1
    c = Doubling()
    spawn(c.send, 5)
    assert c.receive() == 11
    stackless.run()


def test_iteration_of_a_channel_subclass(log):
    class Sub(stackless.channel):
        pass
    c = Sub()
    spawn(lambda: log.extend(c))
    c.send(1)
    c.send(2)
    c.send_exception(StopIteration)
    stackless.run()
    assert log == [1, 2]


# identity, hashing, comparison

@pytest.mark.parametrize("make", [stackless.tasklet, stackless.channel])
def test_equality_is_identity(make):
    a, b = make(), make()
    assert a == a and a != b
    assert len({a, b, a}) == 2


def test_main_is_one_and_the_same():
    assert stackless.main is stackless.getmain()
    assert stackless.main is stackless.main
    assert isinstance(stackless.main, stackless.tasklet)


def test_bomb_has_the_parts_of_an_error():
    error = KeyError("x")
    bomb = stackless.bomb(KeyError, error, None)
    assert bomb.type is KeyError
    assert bomb.value is error
    assert bomb.traceback is None


# size

def test_size_is_that_of_all_that_is_allocated_with_it():
    t = stackless.tasklet(pause)
    new = sys.getsizeof(t)
    t()
    ready = sys.getsizeof(t)
    stackless.run()
    blocked = sys.getsizeof(t)
    t.run()
    assert 200 < new < 400  # the object, and what the engine needs
    assert 300 < ready - new < 1000  # memory for frames
    assert blocked == ready
    assert sys.getsizeof(t) == new

    class Larger(stackless.tasklet):
        __slots__ = ("a", "b")
    assert sys.getsizeof(Larger()) >= new + 2 * struct.calcsize("P")
