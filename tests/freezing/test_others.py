"""Contexts, weak references, views of bytes and matches are frozen."""

import array
import contextlib
import contextvars
import decimal
import functools
import gc
import pickle
import re
import sys
import threading
import weakref

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, point, started, thawed
from stackless import _core

pytestmark = pytest.mark.soft

number = contextvars.ContextVar("number", default=0)
other_name = contextvars.ContextVar("not the name of it")


@pytest.fixture
def with_contexts():
    old = stackless.pickle_flags(stackless.PICKLEFLAGS_PICKLE_CONTEXT)
    yield
    stackless.pickle_flags(old)


# --- contexts ----------------------------------------------------------------

def test_variables_go_by_name():
    assert thawed(number) is number
    assert thawed([other_name])[0] is other_name
    assert (__name__.encode() in dumps(number))


def test_an_allow_list_is_asked_for_variables():
    asked = []

    def find(module, name):
        asked.append((module, name))
        return None

    stackless.thaw(stackless.freeze(number), find_class=find)
    assert asked == [(__name__, "number")]


def test_variables_that_no_module_shows():
    hidden = contextvars.ContextVar("hidden")
    error = stackless.check_freezable([hidden])
    assert "no module shows the ContextVar 'hidden'" in str(error)
    assert error.path == "[0]" and error.type == "ContextVar"


def test_a_context():
    context = contextvars.Context()
    context.run(number.set, 5)
    shared = [context]
    context.run(other_name.set, shared)
    copy, also, var = thawed((context, shared, other_name))
    assert type(copy) is contextvars.Context and copy is not context
    assert copy[number] == 5
    assert copy[var] is also and also[0] is copy
    assert number.get() == 0


def test_a_context_with_something_bad():
    context = contextvars.Context()
    context.run(number.set, threading.Lock())
    error = stackless.check_freezable({"key": context})
    assert error.path == "['key'][number]" and error.type == "lock"


def test_decimals_context_in_a_context():
    context = contextvars.Context()
    context.run(decimal.setcontext, decimal.Context(prec=3))
    copy = thawed(context)
    assert copy.run(decimal.getcontext).prec == 3
    assert copy.run(lambda: str(decimal.Decimal(1) / 3)) == "0.333"


def reading():
    number.set(number.get() + 1)
    stackless.schedule_remove(None)
    LOG.append(number.get())


def in_context(value, function, *args):
    context = contextvars.Context()
    context.run(number.set, value)
    return suspended_in(context, function, *args)


def suspended_in(context, function, *args):
    task = context.run(lambda: stackless.tasklet(function)(*args))
    stackless.run()
    return task


def test_a_tasklet_leaves_its_context_behind():
    data = dumps(in_context(10, reading))
    go(loads(data))
    number.set(70)
    go(loads(data))
    number.set(0)
    assert LOG == [0, 70]


def test_a_tasklet_takes_its_context_along(with_contexts):
    original = in_context(10, reading)
    data = dumps(original)
    go(loads(data), loads(data), original)
    assert LOG == [11, 11, 11]
    assert number.get() == 0


def test_one_that_has_not_started(with_contexts):
    context = contextvars.Context()
    context.run(number.set, 20)
    task = context.run(lambda: stackless.tasklet(reading)())
    task.remove()
    copy = thawed(task)
    go(copy)
    go(copy)
    assert LOG == [21]


def test_contexts_are_shared_among_copies(with_contexts):
    context = contextvars.Context()

    def setting(value):
        point()
        LOG.append(number.get())
        number.set(value)

    tasks = [suspended_in(context, setting, n) for n in (1, 2)]
    copies, copied = thawed((tasks, context))
    LOG.clear()
    go(*copies)
    assert LOG == [0, 1]
    assert copied[number] == 2 and number not in context


def test_a_blocked_tasklet_takes_its_context_along(with_contexts):
    channel = stackless.channel()

    def receiving():
        value = channel.receive()
        LOG.append((value, number.get()))

    in_context(5, receiving)
    copy = thawed(channel)
    copy.send("x")
    stackless.run()
    assert LOG == [("x", 5)]
    channel.send("y")


def test_plain_pickles_take_contexts_along(with_contexts):
    data = pickle.dumps(in_context(30, reading))
    go(pickle.loads(data))
    assert LOG == [31]


def test_a_bad_context_is_refused_by_name(with_contexts):
    task = in_context(threading.Lock(), point)
    error = stackless.check_freezable(task)
    assert error.type == "lock" and error.path == ".context[number]"


def test_clones_do_not_share_a_context(with_contexts):
    original = in_context(10, reading)
    number.set(40)
    go(original.clone())
    number.set(0)
    assert LOG == [40]


# --- weak references ---------------------------------------------------------

class Thing:
    def __init__(self, name="thing"):
        self.name = name


def test_a_weak_reference():
    thing = Thing()
    copy, reference = thawed((thing, weakref.ref(thing)))
    assert reference() is copy is not thing


def test_a_weak_reference_that_comes_first():
    thing = Thing()
    thing.itself = weakref.ref(thing)
    reference, copy = thawed([thing.itself, thing])
    assert reference() is copy and copy.itself is reference


def test_a_callback():
    thing, called = Thing(), []
    original = weakref.ref(thing, functools.partial(called.append))
    copies, reference = thawed(([thing, called], original))
    del copies[0]
    gc.collect()
    assert copies == [[reference]] and called == []


def test_what_nothing_else_refers_to_is_gone():
    thing = Thing()
    assert thawed(weakref.ref(thing))() is None


def test_a_dead_reference():
    assert thawed(weakref.ref(Thing()))() is None


def test_weak_collections():
    one, two = Thing("one"), Thing("two")
    everything = (
        [one],
        weakref.WeakSet([one, two]),
        weakref.WeakValueDictionary({1: one, 2: two}),
        weakref.WeakKeyDictionary({one: [1], two: [2]}),
    )
    (copy,), things, values, keys = thawed(everything)
    gc.collect()
    assert list(things) == [copy]
    assert dict(values) == {1: copy}
    assert dict(keys) == {copy: [1]}
    assert len(everything[1]) == len(everything[2]) == 2


def test_a_tree_with_parents():
    """Frozen in a suspended tasklet."""

    def work():
        root = Thing("root")
        root.children = [Thing(n) for n in "ab"]
        for child in root.children:
            child.parent = weakref.ref(root)
        point()
        LOG.append([c.parent() is root for c in root.children])

    go(thawed(started(work)))
    assert LOG == [None, [True, True]]


def test_proxies_are_refused():
    thing = Thing()
    with pytest.raises(stackless.FreezeError, match="Proxy"):
        dumps([thing, weakref.proxy(thing)])


# --- views of bytes ----------------------------------------------------------

def test_views_of_bytes():
    text = b"01234567"
    copy, view, part, numbers, table = thawed((
        text, memoryview(text), memoryview(text)[2:5],
        memoryview(text).cast("H"), memoryview(text).cast("B", (2, 4)),
    ))  # fmt: skip
    assert view.obj is copy and view == text
    assert part == b"234" and part.readonly
    assert numbers.format == "H" and len(numbers) == 4
    assert table.shape == (2, 4) and table[1, 0] == ord("4")
    assert thawed(memoryview(b"")) == b""


def test_views_of_a_bytearray_share_it():
    data = bytearray(b"abcd")
    copy, view = thawed((data, memoryview(data)))
    view[0] = ord("x")
    assert copy == b"xbcd" and data == b"abcd"


@pytest.mark.parametrize("view", [
    memoryview(array.array("i", [1])), memoryview(bytearray(3))[1:],
    memoryview(b"abcd")[::2], memoryview(bytearray(3)).toreadonly(),
    memoryview(b"").cast("H"),
])  # fmt: skip
def test_other_views_are_refused(view):
    with pytest.raises(stackless.FreezeError, match="memoryview"):
        dumps([view])


def test_a_released_view_is_refused():
    view = memoryview(b"text")
    view.release()
    with pytest.raises(stackless.FreezeError, match="released"):
        dumps(view)


# --- matches -----------------------------------------------------------------

MATCHES = [
    re.match("(a)(b)?", "ac"),
    re.search(r"(?P<word>\w+)$", "one two"),
    re.fullmatch("a|ab", "ab"),
    re.compile(b"x").search(b"axbx", 2),
    re.compile("b*").match("abb", 1, 2),
    *re.finditer(r"(?<=a)\w", "abacad"),
]


@pytest.mark.parametrize("match", MATCHES, ids=str)
def test_matches(match):
    copy = thawed(match)
    assert copy.regs == match.regs and copy.groups() == match.groups()
    assert copy.groupdict() == match.groupdict()
    assert (copy.re, copy.string, copy.endpos, copy.lastindex) == (
        match.re, match.string, match.endpos, match.lastindex,
    )  # fmt: skip


def test_a_match_that_cannot_be_had_again():
    """Empty ones that follow another match, after which it goes on."""
    last = [m for m in re.finditer("a|", "a")][-1]
    assert last.span() == (1, 1)
    assert thawed(last).regs == last.regs
    data = bytearray(b"a")
    match = re.match(b"a", data)
    data[:] = b"b"
    with pytest.raises(stackless.FreezeError, match="Match"):
        dumps(match)


def test_bad_data_are_errors():
    from stackless._freezing import others

    for function, args in (
        (others._match, (re.compile("a"), "match", "b", 0, 1)),
        (others._view, (b"abc", "H", (1,))),
    ):
        with pytest.raises((ValueError, TypeError)):
            function(*args)


def test_asynchronous_generators_call_the_hooks_anew():
    async def numbers():
        yield 1
        yield 2

    def step(generator):
        with pytest.raises(StopIteration) as caught:
            generator.__anext__().send(None)
        return caught.value.value

    old, seen = sys.get_asyncgen_hooks(), []
    try:
        sys.set_asyncgen_hooks(firstiter=seen.append)
        original = numbers()
        assert step(original) == 1
        copy = thawed(original)
        assert seen == [original]
        assert step(copy) == 2 and step(original) == 2
        assert seen == [original, copy]
    finally:
        sys.set_asyncgen_hooks(*old)


# --- decimal.localcontext() --------------------------------------------------

def third():
    return str(decimal.Decimal(1) / 3)


def exactly(*, outer=None, inner=3):
    with contextlib.ExitStack() as stack:
        if outer is not None:
            stack.enter_context(decimal.localcontext(decimal.Context(outer)))
        with decimal.localcontext() as context:
            context.prec = inner
            stackless.schedule_remove(None)
            LOG.append(third())
            context.prec += 1
            LOG.append(third())
        stackless.schedule_remove(None)
        LOG.append(third())
    LOG.append(third())


def nested():
    with decimal.localcontext(prec=5):
        with decimal.localcontext(prec=2) as context:
            stackless.schedule_remove(None)
            LOG.append((context is decimal.getcontext(), third()))
        LOG.append(third())


def told(task):
    LOG.clear()
    while task.alive:
        go(task)
    return list(LOG)


USUAL = "0." + "3" * 28


@pytest.fixture
def decimals():
    """With 28 digits, whatever the tasklets of a test do."""
    with decimal.localcontext(decimal.Context(prec=28)):
        yield


COPIES = {
    "thawed": lambda task: thawed(task),
    "by value": lambda task: thawed(task, "value"),
    "cloned": lambda task: task.clone(),
}
each_copy = pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)


def apart(function):
    return suspended_in(contextvars.Context(), function)


@each_copy
def test_a_local_decimal_context(copy, decimals):
    task = apart(exactly)
    one, other = copy(task), copy(task)
    expected = ["0.333", "0.3333", USUAL, USUAL]
    assert told(one) == expected
    if copy is not COPIES["cloned"]:  # a clone shares the context itself
        assert told(copy(other)) == told(task) == expected
    assert third() == USUAL


def test_local_decimal_contexts_of_an_exit_stack(decimals):
    task = apart(functools.partial(exactly, outer=6, inner=2))
    expected = ["0.33", "0.333", "0.333333", USUAL]
    assert told(thawed(task)) == told(task) == expected
    assert third() == USUAL


@contextlib.contextmanager
def precise():
    with decimal.localcontext() as context:
        context.prec = 5
        yield


def precisely():
    with precise():
        stackless.schedule_remove(None)
        LOG.append(third())
    LOG.append(third())


@each_copy
def test_a_local_decimal_context_of_a_manager(copy, decimals):
    """The frame that is in the `with` is that of a generator."""
    task = apart(precisely)
    assert told(copy(task)) == told(task) == ["0.33333", USUAL]


@each_copy
def test_nested_local_decimal_contexts(copy, decimals):
    if sys.version_info < (3, 12):
        pytest.skip("no localcontext(prec=)")
    task = apart(nested)
    expected = [(True, "0.33"), "0.33333"]
    assert told(copy(task)) == told(task) == expected


def test_it_is_that_of_whoever_thaws_elsewhere(decimals):
    """Behind the `with` nothing is kept of it."""
    task = apart(exactly)
    go(task)
    data = dumps(task)
    with decimal.localcontext() as context:
        context.prec = 7
        assert told(loads(data)) == ["0.3333333"] * 2
    task.kill()


def test_a_local_decimal_context_in_its_context(decimals, with_contexts):
    task = apart(exactly)
    assert told(thawed(task)) == ["0.333", "0.3333", USUAL, USUAL]
    task.kill()


def test_one_that_is_not_entered(decimals):
    manager = decimal.localcontext(decimal.Context(prec=4))
    copy, leave = thawed((manager, manager.__exit__))
    with copy:
        assert third() == "0.3333"
        leave(None, None, None)
        assert third() == USUAL
    assert third() == USUAL


def test_a_generator_with_a_local_decimal_context(decimals):
    def digits():
        with decimal.localcontext(decimal.Context(prec=4)):
            yield third()
            stackless.schedule_remove(None)
            yield third()

    if sys.version_info < (3, 12):
        pytest.skip("loops over generators are hard there")
    def work():
        for number in digits():
            LOG.append(number)

    task = apart(work)
    copy = thawed(task)
    assert told(copy) == told(task) == ["0.3333"]


def test_decimal_contexts_of_an_unknown_layout(decimals, monkeypatch):
    manager = decimal.localcontext()
    monkeypatch.setattr(_core, "_iterator_fits", lambda *args: False)
    error = stackless.check_freezable({"a": manager})
    assert "decimal.localcontext() cannot be written" in str(error)
    assert error.path == "['a']"


def test_bad_decimal_contexts(decimals):
    from stackless._freezing import decimals as module

    for args in ((1, decimal.Context()), (decimal.Context(), None)):
        with pytest.raises(ValueError, match="not the state of"):
            module._local_decimals(*args)
    assert third() == USUAL


# --- tokens ------------------------------------------------------------------

level = contextvars.ContextVar("level", default=0)


def setting(value):
    token = level.set(value)
    try:
        second = level.set(value + 1)
        stackless.schedule_remove(None)
        LOG.append((level.get(), second.old_value))
        level.reset(second)
        LOG.append(level.get())
    finally:
        level.reset(token)
    LOG.append((level.get(), token.old_value is token.MISSING))


def test_a_token_goes_along_with_its_context(with_contexts):
    task = started(setting, 5)
    data = dumps(task)
    expected = [(6, 5), 5, (0, True)]
    assert told(loads(data)) == told(loads(data)) == told(task) == expected


def test_a_token_that_is_used(with_contexts):
    context = contextvars.Context()
    token = context.run(number.set, 1)
    context.run(number.reset, token)
    copy, copied = thawed((token, context))
    assert copy.var is number and number not in copied
    with pytest.raises(RuntimeError, match="already been used"):
        copied.run(number.reset, copy)


def test_a_token_in_its_own_context(with_contexts):
    context = contextvars.Context()
    token = context.run(number.set, 1)
    context.run(other_name.set, token)
    copy = thawed(token)
    with pytest.raises(ValueError, match="different Context"):
        number.reset(copy)
    again, context = thawed((token, context))
    assert context[other_name] is again
    context.run(number.reset, again)
    assert number not in context


def test_a_token_alone_is_refused():
    task = started(setting, 5)
    error = stackless.check_freezable(task)
    assert error.variable in ("token", "second") and error.type == "Token"
    assert "PICKLEFLAGS_PICKLE_CONTEXT" in str(error)
    task.kill()
