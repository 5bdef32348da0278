"""Memory of tasklets that have ended serves the next ones: nothing of a former
life may show."""

import gc
import sys
import weakref

import pytest
import stackless

from tasks import SANITIZED


def nothing():
    pass


def ended(setup=lambda t: None, function=nothing):
    """Make a tasklet, run it, let it go; returns its address."""
    t = stackless.tasklet(function)
    setup(t)
    t()
    stackless.run()
    assert not t.alive
    return id(t)


def dirty(t):
    """Set whatever a tasklet has that can be set."""
    t.name = "former"
    t.tempval = object()
    t.block_trap = True
    t.set_ignore_nesting(1)
    t.set_atomic(1)


FLAGS = ("alive", "atomic", "block_trap", "blocked", "ignore_nesting",
         "is_current", "is_main", "paused", "recursion_depth", "restorable",
         "scheduled", "tempval", "frame", "next", "prev")


def looks(t):
    return {name: getattr(t, name) for name in FLAGS}


def test_nothing_of_a_former_life_shows():
    fresh = looks(stackless.tasklet(nothing))
    for _ in range(1000):
        ended(dirty)
        t = stackless.tasklet(nothing)
        assert looks(t) == fresh
        assert t.name != "former"
        t()
        assert t.scheduled and t.next is stackless.getcurrent()
        stackless.run()


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer holds memory back")
def test_memory_is_used_again():
    gc.collect()
    before = {ended() for _ in range(50)}
    after = {ended() for _ in range(50)}
    assert before & after


def test_weak_references_die_with_each_life():
    dead, refs = [], []
    for i in range(600):
        t = stackless.tasklet(nothing)
        refs.append(weakref.ref(t, lambda r, i=i: dead.append(i)))
        t()
        stackless.run()
        del t
    assert dead == list(range(600))
    assert all(r() is None for r in refs)


def test_the_collector_knows_them():
    for _ in range(3):
        for t in [stackless.tasklet(nothing) for _ in range(300)]:
            assert gc.is_tracked(t)
        t = stackless.tasklet(nothing)
        cycle = [t]
        t.bind(nothing, (cycle,))
        r = weakref.ref(t)
        del t, cycle
        gc.collect()
        assert r() is None


def test_a_killed_one_is_killed_again_in_its_next_life():
    """What keeps a finaliser from running twice is of one life only."""
    def body(log):
        try:
            stackless.schedule_remove(None)
        finally:
            log.append("finally")

    log = []
    for n in range(1, 400):
        t = stackless.tasklet(body)(log)
        stackless.run()
        del t
        assert len(log) == n


class Sub(stackless.tasklet):
    __slots__ = ("extra",)


class Plain(stackless.tasklet):
    pass


class Finalized(stackless.tasklet):
    count = 0

    def __del__(self):
        Finalized.count += 1


@pytest.mark.parametrize("cls", [Sub, Plain, Finalized])
def test_subclasses_have_memory_of_their_own(cls):
    """Theirs is of another size."""
    for i in range(400):
        a, b = cls(nothing), stackless.tasklet(nothing)
        a.extra = i
        assert type(a) is cls and type(b) is stackless.tasklet
        a()
        b()
        stackless.run()
        assert a.extra == i and not hasattr(b, "extra")
        del a, b
    if cls is Finalized:
        gc.collect()
        assert Finalized.count == 400


def test_types_count_their_instances():
    """An instance holds its type, once."""
    def references():
        return sys.getrefcount(stackless.tasklet)

    ended()
    counts = [references()]
    kept = [stackless.tasklet(nothing) for _ in range(100)]
    counts.append(references() - 100)
    del kept
    counts.append(references())
    assert len(set(counts)) == 1, counts


def test_more_at_once_than_are_kept():
    def body(i):
        stackless.schedule()
        done.append(i)

    for n in (10, 1000, 3000, 100):
        done = []
        for i in range(n):
            stackless.tasklet(body)(i)
        stackless.run()
        assert done == list(range(n))
    assert stackless.get_stats()["tasklets"] == len(stackless.all_tasklets())


def test_calls_with_all_kinds_of_arguments():
    def body(*args, **kwargs):
        got.append((args, kwargs))

    got, wanted = [], []
    for args in (), (1,), tuple(range(7)):
        for kwargs in {}, {"a": 1}, {"a": 1, "b": 2}:
            t = stackless.tasklet(body)
            assert t(*args, **kwargs) is t
            wanted.append((args, kwargs))
    stackless.run()
    assert got == wanted
    t = stackless.tasklet(nothing)()
    with pytest.raises(RuntimeError, match="alive"):
        t()
    stackless.run()
    with pytest.raises(RuntimeError):
        t()
    with pytest.raises(RuntimeError, match="alive"):
        stackless.getmain()()


class Calls(stackless.tasklet):
    def __call__(self, *args):
        return ["mine", super().__call__(*args)]


def test_a_subclass_may_say_what_a_call_does():
    seen = []
    t = Calls(seen.append)
    assert t(3) == ["mine", t]
    stackless.run()
    assert seen == [3]


def test_the_type_may_be_given_another_call(monkeypatch):
    def call(self, *args):
        return "patched", args

    monkeypatch.setattr(stackless.tasklet, "__call__", call)
    assert stackless.tasklet(nothing)(1) == ("patched", (1,))
    monkeypatch.undo()
    assert stackless.tasklet(nothing)().scheduled
    stackless.run()
