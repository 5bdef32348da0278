"""C code of the standard library that calls back, suspended in the middle.

Each caller is run plainly first; in tasklets that switch inside the callback
it must give the same.
"""

import array
import ast
import bisect
import collections
import contextlib
import contextvars
import copy
import csv
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import heapq
import io
import itertools
import json
import operator
import pickle
import random
import re
import string
import struct
import sys
import types
import weakref
import xml.etree.ElementTree as ElementTree
import xml.parsers.expat
import zlib

import pytest
import stackless
from interleaving import Failure, interleave, pause, started

sqlite3 = pytest.importorskip("sqlite3")

WORDS = ["pear", "fig", "apple", "kiwi", "plum", "date"]
callbacks = {}


def caller(function):
    """Decorator: a function of a callback, which it has C code call."""
    callbacks[function.__name__] = function
    return function


def key(switch):
    return lambda word: (switch(), len(word), word)[1:]


@caller
def minimum(switch):
    return min(WORDS, key=key(switch)), max(WORDS, key=key(switch))


@caller
def heaps(switch):
    return (heapq.nsmallest(3, WORDS, key(switch)),
            list(heapq.merge(WORDS, WORDS, key=key(switch))))


@caller
def bisecting(switch):
    return bisect.bisect(range(0, 1000, 7), 500,
                         key=lambda number: (switch(), number)[1])


@caller
def reduce(switch):
    return functools.reduce(lambda a, b: (switch(), a + b)[1], WORDS)


@caller
def group(switch):
    groups = itertools.groupby(WORDS, lambda word: (switch(), len(word))[1])
    return [(length, list(words)) for length, words in groups]


@caller
def accumulate(switch):
    pairs = itertools.accumulate(WORDS, lambda a, b: (switch(), a + b)[1])
    return list(itertools.takewhile(lambda word: not switch(), pairs))


@caller
def chain(switch):
    def words():
        for word in WORDS:
            switch()
            yield word

    return [*itertools.islice(itertools.chain(words(), words()), 9),
            *zip(words(), words()), "".join(words()), dict.fromkeys(words())]


@caller
def cached(switch):
    @functools.lru_cache(2)
    def length(word):
        switch()
        return len(word)

    return [length(word) for word in WORDS + WORDS], length.cache_info()


@caller
def cached_property(switch):
    class Owner:
        @functools.cached_property
        def value(self):
            switch()
            return len(WORDS)

    owner = Owner()
    return owner.value + owner.value


@caller
def partial(switch):
    def function(*args, **kwargs):
        switch()
        return args, kwargs

    return functools.partial(functools.partial(function, 1), 2, a=3)(4)


@caller
def single_dispatch(switch):
    @functools.singledispatch
    def function(value):
        switch()
        return "object"

    @function.register
    def _(value: int):
        switch()
        return "int"

    return function("x"), function(1)


@caller
def substitute(switch):
    def replace(match):
        switch()
        return match[0].upper()

    return re.sub("[aeiou]", replace, " ".join(WORDS))


@caller
def scan(switch):
    scanner = re.Scanner([
        ("[0-9]+", lambda scanner, text: (switch(), int(text))[1]),
        (" +", None)])
    return scanner.scan("1 22 333")


@caller
def encode_json(switch):
    class Strange:
        pass

    def default(value):
        switch()
        return "strange"

    nested = {"a": [Strange(), {"b": Strange()}], "c": Strange()}
    return json.dumps(nested, default=default)


@caller
def decode_json(switch):
    def hook(value):
        switch()
        return value

    return json.loads('[{"a": {"b": 1.5}}, {"c": 2}]', object_pairs_hook=hook,
                      parse_float=hook, parse_int=hook)


class Reduced:
    """Switches at each step of pickling, unpickling and copying."""

    switch = staticmethod(lambda: None)

    def __init__(self, value):
        self.value = value

    def __reduce_ex__(self, protocol):
        self.switch()
        return rebuild, (self.value,), {"more": self.value}

    def __setstate__(self, state):
        self.switch()
        self.__dict__.update(state)


def rebuild(value):
    Reduced.switch()
    return Reduced(value)


def pickled(switch, pickler, unpickler):
    Reduced.switch = staticmethod(switch)
    nested = [Reduced("a"), {"b": Reduced(["c", Reduced("d")])}]
    file = io.BytesIO()
    pickler(file, 4).dump(nested)
    again = unpickler(io.BytesIO(file.getvalue())).load()
    inner = again[1]["b"]
    return again[0].more, inner.value[0], inner.value[1].more


@caller
def pickle_c(switch):
    return pickled(switch, pickle.Pickler, pickle.Unpickler)


@caller
def pickle_python(switch):
    return pickled(switch, pickle._Pickler, pickle._Unpickler)


@caller
def copying(switch):
    class Copied:
        def __deepcopy__(self, memo):
            switch()
            return "copy"

    return copy.deepcopy([[Copied()], {"a": (Copied(),)}])


@caller
def element_tree(switch):
    class Target:
        def __init__(self):
            self.seen = []

        def start(self, tag, attributes):
            switch()
            self.seen.append(tag)

        def data(self, text):
            switch()
            self.seen.append(text)

        def end(self, tag):
            switch()

        def close(self):
            switch()
            return self.seen

    parser = ElementTree.XMLParser(target=Target())
    parser.feed("<a><b>text</b>")
    parser.feed("<c/></a>")
    return parser.close()


@caller
def element_iteration(switch):
    class File:
        def __init__(self):
            self.parts = [b"<a><b>1</b>", b"<b>2</b></a>", b""]

        def read(self, size):
            switch()
            return self.parts.pop(0)

    return [(event, element.tag)
            for event, element in ElementTree.iterparse(File())]


@caller
def expat(switch):
    seen = []
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda *args: (switch(), seen.append(args))
    parser.CharacterDataHandler = lambda *args: (switch(), seen.append(args))
    parser.Parse("<a b='c'>text<d/></a>", True)
    return seen


@caller
def database(switch):
    """A connection of its own: one may not be used in two places at once."""
    class Sum:
        def __init__(self):
            self.total = 0

        def step(self, value):
            switch()
            self.total += value

        def finalize(self):
            switch()
            return self.total

    def twice(value):
        switch()
        return 2 * value

    def compare(a, b):
        switch()
        return (a > b) - (a < b)

    def progress():
        switch()
        return 0

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.create_function("twice", 1, twice)
        connection.create_aggregate("total_of", 1, Sum)
        connection.create_collation("plain", compare)
        connection.set_progress_handler(progress, 100)
        connection.execute("create table t (n, word)")
        connection.executemany("insert into t values (?, ?)",
                               enumerate(WORDS))
        return [
            *connection.execute("select total_of(twice(n)) from t"),
            *connection.execute(
                "select word from t order by word collate plain")]


@caller
def comma_separated(switch):
    class Lines:
        def __init__(self):
            self.lines = iter(["a,b", "c,d"])

        def __iter__(self):
            return self

        def __next__(self):
            switch()
            return next(self.lines)

        def write(self, text):
            switch()
            return len(text)

    rows = list(csv.reader(Lines()))
    return rows, csv.writer(Lines()).writerow(["x", "y z"])


@caller
def raw_file(switch):
    class Raw(io.RawIOBase):
        data = b"one\ntwo\nthree"

        def readable(self):
            return True

        def readinto(self, buffer):
            switch()
            part, self.data = self.data[:5], self.data[5:]
            buffer[:len(part)] = part
            return len(part)

    return list(io.TextIOWrapper(io.BufferedReader(Raw(), 4)))


@caller
def printing(switch):
    class File:
        def __init__(self):
            self.text = ""

        def write(self, text):
            switch()
            self.text += text

    file = File()
    print(*WORDS, sep=", ", file=file)
    return file.text


@caller
def formats(switch):
    class Shown:
        def __format__(self, spec):
            switch()
            return spec

        def __str__(self):
            switch()
            return "str"

        __repr__ = __str__

    shown = Shown()
    return (f"{shown:abc} {shown!r:>9}", "%s %r" % (shown, shown),
            "{0:x}{0!s}".format(shown), string.Template("$a").substitute(
                a=shown), str([shown, (shown,), {1: shown}]))


@caller
def numbers(switch):
    class Number:
        def __index__(self):
            switch()
            return 2

        def __float__(self):
            switch()
            return 1.5

        def __trunc__(self):
            switch()
            return 3

        __int__ = __index__

        def __round__(self, digits=None):
            switch()
            return 4

    n = Number()
    return (WORDS[n], WORDS[n:], range(n)[-1], bytes([n]), "ab" * n, int(n),
            float(n), round(n), hex(n), struct.pack("i", n), [0] * n,
            array.array("d", [n])[0], operator.index(n),
            random.Random(1).randrange(n))


@caller
def arithmetic(switch):
    class Term:
        def __init__(self, value):
            self.value = value

        def __add__(self, other):
            switch()
            return Term(self.value + other.value)

        __radd__ = lambda self, other: self

    terms = [Term(1), Term(2), Term(3)]
    return sum(terms).value, functools.reduce(operator.add, terms).value


@caller
def containers(switch):
    class Item:
        def __init__(self, value):
            self.value = value

        def __hash__(self):
            switch()
            return self.value % 2

        def __eq__(self, other):
            switch()
            return self.value == other.value

    items = [Item(n % 4) for n in range(8)]
    counter = collections.Counter(items)
    deque = collections.deque(items)
    deque.remove(Item(3))
    return (len(set(items)), sorted(counter.values()), items.count(Item(1)),
            items.index(Item(2)), Item(3) in items, len(deque),
            len({each: 1 for each in items} | {Item(9): 1}))


@caller
def default_dict(switch):
    numbers = itertools.count()
    values = collections.defaultdict(lambda: (switch(), next(numbers))[1])
    return [values[word] for word in WORDS + WORDS]


@caller
def translation(switch):
    class Table:
        def __getitem__(self, code):
            switch()
            return code + 1

    return "hal".translate(Table())


@caller
def time_zones(switch):
    class Zone(datetime.tzinfo):
        def utcoffset(self, moment):
            switch()
            return datetime.timedelta(hours=1)

        def dst(self, moment):
            switch()
            return datetime.timedelta(0)

        def tzname(self, moment):
            switch()
            return "zone"

    moment = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=Zone())
    return (str(moment), moment.astimezone(datetime.UTC).hour,
            moment.strftime("%Z"), moment == moment.astimezone(datetime.UTC))


@caller
def classes(switch):
    class Meta(type):
        def __prepare__(name, bases):
            switch()
            return {}

        def __call__(cls, *args):
            switch()
            return super().__call__(*args)

        def __instancecheck__(cls, instance):
            switch()
            return True

    class Named:
        def __set_name__(self, owner, name):
            switch()
            self.name = name

    class Base(metaclass=Meta):
        def __init_subclass__(cls):
            switch()

        def __new__(cls, *args):
            switch()
            return super().__new__(cls)

    class Derived(Base):
        named = Named()

    return Derived().named.name, isinstance(1, Derived)


@caller
def enumeration(switch):
    class Color(enum.Enum):
        RED = 1

        @classmethod
        def _missing_(cls, value):
            switch()
            return cls.RED

    return Color(77).name


@caller
def descriptors(switch):
    class Managed:
        def __get__(self, instance, owner):
            switch()
            return 1

        def __set__(self, instance, value):
            switch()

    class Owner:
        managed = Managed()

        def __getattr__(self, name):
            switch()
            return name

    owner = Owner()
    owner.managed = 5
    return (owner.managed, operator.attrgetter("managed", "other")(owner),
            getattr(owner, "x"), operator.methodcaller("__sizeof__")(1) > 0)


@caller
def weak_references(switch):
    class Thing:
        pass

    log = []
    things = [Thing() for _ in range(3)]
    references = [weakref.ref(thing, lambda _: (switch(), log.append(1)))
                  for thing in things]
    finalizer = weakref.finalize(things[0], lambda: (switch(), log.append(2)))
    things.clear()
    return sorted(log), finalizer.alive, [each() for each in references]


@caller
def executing(switch):
    names = {"switch": switch}
    exec("class A:\n  switch()\n  value = [switch() or 1 for _ in 'ab']",
         names)
    tree = ast.parse("switch() or 7", mode="eval")
    code = compile(tree, "<test>", "eval")
    return names["A"].value, eval(code, names)


@caller
def generators(switch):
    @types.coroutine
    def suspend():
        switch()
        yield
        switch()

    async def work():
        await suspend()
        return 3

    coroutine = work()
    coroutine.send(None)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


@caller
def quotients(switch):
    class Rational(fractions.Fraction):
        def __truediv__(self, other):
            switch()
            return fractions.Fraction(self) / other

    def divide():
        with decimal.localcontext() as context:
            switch()
            context.prec = 5
            switch()
            return decimal.Decimal(1) / 3

    # Tasklets share the context of whoever made them: take a copy.
    value = contextvars.copy_context().run(divide)
    return value, Rational(1, 2) / 2


@caller
def decompress(switch):
    def parts():
        data = zlib.compress(b"text" * 100)
        for start in range(0, len(data), 5):
            switch()
            yield data[start:start + 5]

    machine = zlib.decompressobj()
    return len(b"".join(map(machine.decompress, parts())))


# --- ctypes -------------------------------------------------------------------


@caller
def c_sort(switch):
    """libc's qsort(), with the GIL released around it."""
    pointer = ctypes.POINTER(ctypes.c_int)
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer)

    def compare(one, other):
        switch()
        return one[0] - other[0]

    numbers = (ctypes.c_int * 20)(*((7 * n) % 20 for n in range(20)))
    qsort = ctypes.CDLL(None).qsort
    qsort.restype = None
    qsort(numbers, ctypes.c_size_t(20),
          ctypes.c_size_t(ctypes.sizeof(ctypes.c_int)), prototype(compare))
    return list(numbers)


@caller
def c_callback(switch):
    kinds = ctypes.CFUNCTYPE, ctypes.PYFUNCTYPE
    results = []
    for kind in kinds:
        prototype = kind(ctypes.c_int, ctypes.c_int)
        results.append(prototype(lambda each: (switch(), each)[1])(7))
    return results


@caller
def c_errno(switch):
    """ctypes' own copy of errno is the thread's: save it around a switch."""
    def callback(number):
        before = ctypes.get_errno()
        switch()
        ctypes.set_errno(before)
        return number

    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, use_errno=True)
    return prototype(callback)(3)


# --- the tests ----------------------------------------------------------------


def nothing():
    """What is called instead of a switch: false, as what schedule() gives."""


def switch():
    stackless.schedule()


@pytest.mark.parametrize("name", callbacks)
def test_switch_in_the_middle(name):
    function = callbacks[name]
    plainly = function(nothing)
    count = 0

    def counted():
        nonlocal count
        count += 1
        switch()

    assert interleave(lambda number: function(counted)) == [plainly] * 3
    assert count


# They swallow an error of the callback; sqlite3 makes one of its own of it.
DEAF = {"c_sort", "c_callback", "c_errno", "database", "weak_references"}


@pytest.mark.parametrize("name", callbacks)
def test_killed_in_the_middle(name):
    """The kill comes out of the C code as an error of the callback does."""
    function = callbacks[name]
    if name in DEAF:
        pytest.skip("errors of this callback are swallowed: see below")
    ended = []

    def work():
        try:
            function(pause)
        finally:
            ended.append(sys.exc_info()[0])

    tasklets = [started(work) for _ in range(2)]
    for tasklet in tasklets:
        tasklet.kill()
    assert len(ended) == 2
    assert not any(tasklet.alive for tasklet in tasklets)


@pytest.mark.parametrize("name", sorted(DEAF))
def test_killed_where_errors_are_swallowed(name, monkeypatch):
    """It goes on as with any error of the callback, until it ends."""
    seen = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda hint: seen.append(hint.exc_type))

    def work():
        with contextlib.suppress(sqlite3.OperationalError):
            callbacks[name](pause)

    tasklet = started(work)
    for _ in range(200):
        tasklet.kill()
    assert not tasklet.alive
    assert seen or name == "database"


def test_error_in_the_middle():
    """Errors of callbacks reach their own tasklets."""
    def fail(number):
        stackless.schedule()
        raise Failure(number)

    def work(number):
        try:
            sorted(WORDS, key=lambda word: fail(number))
        except Failure as error:
            return error.args[0]

    assert interleave(work) == [0, 1, 2]


def test_a_file_that_is_being_read_by_another_tasklet():
    """io's lock is the thread's: RuntimeError, not a deadlock."""
    class Raw(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            switch()
            return 0

    reader = io.BufferedReader(Raw())

    def work(number):
        try:
            return reader.read(1)
        except RuntimeError as error:
            return "reentrant" in str(error)

    assert interleave(work, 2) == [b"", True]


def test_recursion_of_c_callbacks_in_each_tasklet():
    def nest(depth):
        if not depth:
            switch()
            return 0
        return max([depth - 1], key=nest) + nest_json(depth - 1) * 0 + 1

    def nest_json(depth):
        json.dumps(object, default=lambda _: (nest(depth // 2), 1)[1])
        return depth

    assert interleave(lambda number: nest(6)) == [6] * 3
