"""All kinds of objects, in a table: what is kept of each, or how it is refused.

Each is frozen in a variable of a suspended program.  test_iterators.py and
test_itertools.py are the same for iterators.
"""

import abc
import array
import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import csv
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import io
import logging
import mmap
import operator
import os
import pathlib
import pickle
import queue
import random
import re
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
import typing
import uuid
import weakref
import zlib

import pytest
import stackless
from freezing_support import LOG, go, started, thawed

pytestmark = pytest.mark.soft

T = typing.TypeVar("T")
variable = contextvars.ContextVar("variable")


def waiting_with(value):
    stackless.schedule_remove(None)
    LOG.append(value)


def after_a_while(value, code="reference"):
    """The copy that a copy of a program has."""
    task = started(waiting_with, value)
    copy = thawed(task, code)
    task.bind()
    LOG.clear()
    go(copy)
    return LOG.pop()


# --- what is kept ------------------------------------------------------------

KEPT = {}


def kept(*values):
    """Decorator: what is true of (original, copy) of each of these."""

    def note(check):
        for number, value in enumerate(values):
            KEPT[f"{check.__name__} {number}"] = value, check
        return check

    return note


@kept(
    1.5, 1j, "text", b"text", None, ..., NotImplemented, slice(1, 2),
    range(5), frozenset("ab"), (1, (2, "b")), [1], {"a": [1]}, {1, 2},
    bytearray(b"x"), array.array("d", [1]), memoryview(b"text"),
    collections.Counter("aab"), collections.OrderedDict(a=1),
    collections.deque([1], 3), collections.defaultdict(list, a=[1]),
    collections.ChainMap({"a": 1}), collections.UserDict(a=1),
    types.SimpleNamespace(a=[1]), types.MappingProxyType({"a": 1}),
    decimal.Decimal("1.50"), fractions.Fraction(1, 3), uuid.UUID(int=5),
    datetime.datetime(2026, 11, 30, tzinfo=datetime.timezone.utc),
    pathlib.PurePath("a/b"), re.compile("a*"), os.stat(os.curdir),
    list[int], dict[str, list[int]], int | str, typing.Optional[int],
    typing.Callable[[int], str], typing.Literal[1],
    collections.abc.Callable[[int], str], list[T],
    operator.attrgetter, os.path.join, [].__class__,
)  # fmt: skip
def equal(value, copy):
    return type(copy) is type(value) and copy == value


@kept(
    logging.getLogger(), logging.getLogger("a.b"), os, T, variable, len,
    int.__add__, list.append, str.maketrans,
    types.FunctionType, types.GeneratorType, types.CellType, types.MethodType,
    types.ModuleType, types.TracebackType, types.MappingProxyType,
    types.GetSetDescriptorType, type(None), type(...), type(NotImplemented),
    datetime.timezone.utc, typing.Any, object, waiting_with,
    abc.ABC, enum.Enum, ValueError, functools.partial,
)  # fmt: skip
def identical(value, copy):
    return copy is value


@kept([3].append, {"a": 1}.get, "x".join, (5).__add__, {}.fromkeys)
def bound_to_a_copy(method, copy):
    return (
        copy.__name__ == method.__name__
        and copy.__self__ == method.__self__
        and type(copy) is type(method)
    )


@kept(
    functools.partial(int, base=2), operator.itemgetter(0),
    operator.methodcaller("strip", "1"),
)  # fmt: skip
def calls_the_same(function, copy):
    return copy("101") == function("101") and copy is not function


@kept(staticmethod(len), classmethod(len))
def wraps_the_same(method, copy):
    return type(copy) is type(method) and copy.__func__ is method.__func__


@kept(property(len, doc="text"))
def a_property(value, copy):
    return copy.fget is len and copy.__doc__ == "text"


@kept(functools.cached_property(len))
def a_cached_property(value, copy):
    return copy.func is len


@kept(functools.partialmethod(len, 1, a=[2]))
def a_partial_method(value, copy):
    return (copy.func, copy.args, copy.keywords) == (len, (1,), {"a": [2]})


def text_file():
    file = io.StringIO("one\ntwo\nthree")
    file.readline()
    return file


def bytes_file():
    file = io.BytesIO(b"one\ntwo\nthree")
    file.seek(4)
    return file


@kept(text_file(), bytes_file())
def a_file_in_memory(file, copy):
    place = file.tell()
    expected = file.getvalue()
    return (
        place == copy.tell() == 4
        and copy.getvalue() == expected
        and copy.read() == expected[4:]
        and file.tell() == place
    )


@kept(random.Random(5))
def goes_on_with_the_same(generator, copy):
    return [copy.random() for _ in "ab"] == [generator.random() for _ in "ab"]


@kept(
    ExceptionGroup("all", [ValueError(1), ExceptionGroup("b", [KeyError(2)])]),
    BaseExceptionGroup("all", [KeyboardInterrupt(), ValueError(1)]),
)  # fmt: skip
def a_group(group, copy):
    def story(error):
        parts = getattr(error, "exceptions", ())
        return type(error), error.args[:1], [*map(story, parts)]

    return story(copy) == story(group) and copy is not group


class Numbered(ExceptionGroup):
    def __new__(cls, errors, number):
        made = super().__new__(cls, f"{number} errors", errors)
        made.number = number
        return made

    def __init__(self, errors, number):
        super().__init__(errors, number)

    def derive(self, errors):
        return Numbered(errors, self.number)


class Two(Exception):
    __slots__ = ("more",)

    def __init__(self, reason, more):
        super().__init__(reason)
        self.more = more
        self.all = reason, more


class Missing(FileNotFoundError):
    def __init__(self, path):
        super().__init__(2, "missing", path)


@kept(Numbered([ValueError(1)], 5))
def a_group_that_is_made_otherwise(group, copy):
    return (copy.number, copy.message) == (5, "5 errors") and (
        copy.args == ([copy.exceptions[0]], 5)
    )


@kept(Two("reason", [1]))
def an_exception_with_other_arguments(error, copy):
    return (copy.args, copy.more, copy.all) == (
        ("reason",), [1], ("reason", [1])
    ) and copy.more is copy.all[1]  # fmt: skip


@kept(Missing("a/b"))
def an_error_of_the_system(error, copy):
    return (copy.errno, copy.filename, str(copy)) == (2, "a/b", str(error))


class Thing:
    def method(self):
        return self


THING = Thing()


@kept((THING, weakref.WeakMethod(THING.method)))
def a_weak_method(pair, copy):
    thing, method = copy
    return method()() is thing is not THING


@kept(weakref.WeakMethod(Thing().method))
def a_dead_weak_method(method, copy):
    return copy() is None and type(copy) is weakref.WeakMethod


@kept((THING, weakref.ref(THING), weakref.WeakSet([THING])))
def weak_references(values, copy):
    thing, reference, things = copy
    return reference() is thing and [*things] == [thing]


@kept((
    THING,
    weakref.WeakKeyDictionary({THING: 1}),
    weakref.WeakValueDictionary(a=THING),
))
def weak_dictionaries(values, copy):
    thing, keys, things = copy
    return dict(keys) == {thing: 1} and dict(things) == {"a": thing}


# Made inside functions.

def single_dispatch():
    @functools.singledispatch
    def kind(value):
        return "other"

    @kind.register
    def _(value: int):
        return "int"

    kind("text")
    return kind


@kept(single_dispatch())
def dispatches(kind, copy):
    def of_list(value):
        return "list"

    copy.register(list, of_list)
    return (
        [copy(1), copy("a"), copy([])] == ["int", "other", "list"]
        and kind([]) == "other"
        and copy.__name__ == "kind"
    )


def everything():
    class Everything:
        @functools.cached_property
        def cached(self):
            return [1]

        @functools.lru_cache  # noqa: B019
        def remembered(self):
            return [2]

        @functools.singledispatchmethod
        def dispatched(self, value):
            return "other"

        @dispatched.register
        def _(self, value: int):
            return "int"

        def added(self, one, other):
            return one + other

        one_more = functools.partialmethod(added, 1)

    return Everything()


@kept(everything())
def has_all_of_functools(value, copy):
    kinds = copy.dispatched(1), copy.dispatched("a")
    return (
        copy.cached is copy.cached
        and copy.remembered() is copy.remembered()
        and kinds == ("int", "other")
        and copy.one_more(4) == 5
    )


def local_classes():
    @dataclasses.dataclass
    class Point:
        x: int = 1
        tags: list = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(slots=True, frozen=True, order=True)
    class Frozen:
        x: int = 1

    class Color(enum.Enum):
        RED = "r"

    class Flags(enum.Flag):
        A = 1
        B = 2

    class Level(enum.IntEnum):
        LOW = 1

    Pair = collections.namedtuple("Pair", "a b", defaults=[7])

    class Typed(typing.NamedTuple):
        a: int
        b: int = 2

    class Options(typing.TypedDict):
        a: int

    class Meta(type):
        def shout(cls):
            return cls.__name__.upper()

    class Made(metaclass=Meta):
        __slots__ = ("__weakref__", "value")

    class Box(typing.Generic[T]):
        pass

    return locals()


LOCAL = local_classes()
MADE = LOCAL["Made"]()
MADE.value = 5


@kept(LOCAL["Point"](5, ["a"]), LOCAL["Frozen"](5))
def a_data_class(value, copy):
    names = [f.name for f in dataclasses.fields(value)]
    return (
        dataclasses.asdict(copy) == dataclasses.asdict(value)
        and [f.name for f in dataclasses.fields(copy)] == names
        and dataclasses.replace(copy, x=7).x == 7
        and repr(type(copy)()) == repr(type(value)())
        and type(copy) is not type(value)
    )


@kept(LOCAL["Color"].RED, LOCAL["Level"].LOW)
def a_member(value, copy):
    kind = type(copy)
    return (
        kind is not type(value)
        and kind(value.value) is copy is kind[value.name] is [*kind][0]
    )


@kept(LOCAL["Flags"](3))
def flags(value, copy):
    kind = type(copy)
    return copy == kind.A | kind.B and kind.A in copy


@kept(LOCAL["Pair"](1), LOCAL["Typed"](1))
def a_named_tuple(value, copy):
    return (
        copy == value
        and copy.b == value.b
        and copy._replace(a=3).a == 3
        and type(copy) is not type(value)
    )


@kept(MADE)
def of_a_metaclass_with_slots(value, copy):
    return (
        copy.value == 5
        and type(copy).shout() == "MADE"
        and type(type(copy)) is not type(type(value))
        and not hasattr(copy, "__dict__")
    )


@kept(LOCAL["Options"], LOCAL["Box"][int], LOCAL["Box"])
def of_typing(value, copy):
    return type(copy) is type(value) and str(copy) == str(value)


@pytest.mark.parametrize("code", ["reference", "value"])
@pytest.mark.parametrize("name", KEPT)
def test_kept(name, code):
    value, check = KEPT[name]
    assert check(value, after_a_while(value, code))


# --- what is refused ---------------------------------------------------------

def opened(*args, **options):
    return open(os.devnull, *args, **options)


def process():
    made = subprocess.Popen([sys.executable, "-c", ""])
    made.wait()
    return made


# What makes it, in which words it is refused, and where.
REFUSED = {
    "lock": (threading.Lock, "'_thread.lock'", ""),
    "rlock": (threading.RLock, "'_thread.RLock'", ""),
    "condition": (threading.Condition, "'_thread.RLock'", "._lock"),
    "event": (threading.Event, "'_thread.lock'", "._cond._lock"),
    "semaphore": (threading.Semaphore, "'_thread.lock'", "._cond._lock"),
    "barrier": (lambda: threading.Barrier(2), "'_thread.lock'", "._cond._lock"),
    "thread's own": (threading.local, "'_thread._local'", ""),
    "queue": (queue.Queue, "'_thread.lock'", ".mutex"),
    "simple queue": (queue.SimpleQueue, "'_queue.SimpleQueue'", ""),
    "future": (
        concurrent.futures.Future, "'_thread.RLock'", "._condition._lock"
    ),
    "executor": (
        concurrent.futures.ThreadPoolExecutor, "SimpleQueue", "._work_queue"
    ),
    "text file": (opened, "TextIOWrapper", ""),
    "binary file": (lambda: opened("rb"), "BufferedReader", ""),
    "written file": (lambda: opened("wb"), "BufferedWriter", ""),
    "raw file": (lambda: opened("rb", buffering=0), "FileIO", ""),
    "text over bytes": (
        lambda: io.TextIOWrapper(io.BytesIO()), "TextIOWrapper", ""
    ),
    "temporary file": (tempfile.TemporaryFile, "BufferedRandom", ""),
    "temporary folder": (
        tempfile.TemporaryDirectory, "'finalize'", "._finalizer"
    ),
    "standard output": (lambda: sys.__stdout__, "TextIOWrapper", ""),
    "handler of a log": (
        logging.StreamHandler, "'_thread.RLock'", ".lock"
    ),
    "socket": (socket.socket, "cannot pickle 'socket' object", ""),
    "poll": (select.poll, "'select.poll'", ""),
    "memory map": (lambda: mmap.mmap(-1, 10), "'mmap.mmap'", ""),
    "process": (process, "'_thread.lock'", "._waitpid_lock"),
    "database": (lambda: sqlite3.connect(":memory:"), "Connection", ""),
    "writer of csv": (lambda: csv.writer(io.StringIO()), "'_csv.writer'", ""),
    "hash": (lambda: hashlib.sha256(b"x"), "HASH", ""),
    "compressor": (zlib.compressobj, "'zlib.Compress'", ""),
    "entropy": (random.SystemRandom, "entropy source", ""),
    "frame": (sys._getframe, "'frame'", ""),
    "weak proxy": (lambda: weakref.proxy(THING), "ProxyType'", ""),
    "finalizer": (lambda: weakref.finalize(THING, len, ""), "'finalize'", ""),
    "token": (lambda: variable.set(1), "contextvars.Token without its", ""),
    "hidden variable": (
        lambda: contextvars.ContextVar("hidden"), "no module shows", ""
    ),
    "descriptor of C": (
        lambda: types.FunctionType.__code__, "'getset_descriptor'", ""
    ),
    "type of C": (lambda: type({}.keys()), "dict_keys", ""),
    "loop": (asyncio.new_event_loop, "cannot pickle", None),
    "capsule": (lambda: datetime.datetime_CAPI, "'PyCapsule'", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    """In a variable, and inside of something there; the rest is all right."""
    make, words, path = REFUSED[name]
    with contextlib.ExitStack() as stack:
        value = make()
        if value is not sys.__stdout__:
            for end in ("close", "cleanup"):
                stack.callback(getattr(value, end, int))
        for held, inside in ((value, ""), ({"a": [0, value]}, "['a'][1]")):
            task = started(waiting_with, held)
            error = stackless.check_freezable(task)
            task.bind()
            assert words in str(error)
            assert error.frame[0] == "waiting_with"
            assert error.variable == "value"
            assert path is None or error.path == inside + path


# --- what else is promised ---------------------------------------------------

def test_a_callback_of_a_weak_method():
    calls, thing = [], Thing()
    reference = weakref.WeakMethod(thing.method, calls.append)
    things, copied, copy = thawed([[thing], calls, reference])
    assert copy()() is things[0]
    things.clear()
    assert copied == [copy] and copy() is None and calls == []


def test_a_dead_finalizer():
    thing = Thing()
    finalizer = weakref.finalize(thing, len, "")
    finalizer.detach()
    assert not thawed(finalizer).alive


def test_no_init_of_an_exception_is_called():
    class Noted(Exception):
        def __init__(self, *args):
            calls.append(args)
            super().__init__(*args)

    calls = []
    error = Noted(1, 2)
    error.itself = error
    copied_calls, copy = thawed([calls, error])
    assert copied_calls == calls == [(1, 2)]
    assert copy.args == (1, 2) and copy.itself is copy


def test_bad_exceptions():
    from stackless._freezing import pickling

    for args in (
        (Two, Two, ("a",)), (int, ValueError, ()), (Two, object, ()),
        (Two, OSError, ()), (Two, int, ()),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="no exception"):
            pickling._new_exception(*args)


class Base:
    def label(self):
        return "base", self.name


class Derived(Base):
    name = "derived"

    def label(self):
        above = super()
        stackless.schedule_remove(None)
        LOG.append((above.label(), super().label()))


@pytest.mark.parametrize("code", ["reference", "value"])
def test_super(code):
    tasklet = started(Derived().label)
    copies = [thawed(tasklet, code), pickle.loads(pickle.dumps(tasklet))]
    go(tasklet, *copies)
    assert LOG == [(("base", "derived"),) * 2] * 3
    copy, thing = thawed([super(Derived, thing := Derived()), thing])
    assert copy.__self__ is thing and copy.__thisclass__ is Derived
    unbound = thawed(super(Derived))
    assert unbound.__thisclass__ is Derived and unbound.__self__ is None


def test_keys_of_comparisons():
    key = functools.cmp_to_key(lambda a, b: b - a)
    copy, one, two = thawed([key, key(1), key(2)])
    assert sorted([1, 3, 2], key=copy) == [3, 2, 1]
    assert two < one and (one.obj, two.obj) == (1, 2)
