"""Iterators of builtins and of other modules: frozen after each of their items,
or refused by name.  test_itertools.py has those of itertools.

What freezing promises: the copy goes on with the same items, and nothing of the
original is used up.
"""

import array
import codecs
import collections
import contextvars
import csv
import functools
import io
import json
import operator
import os
import re
import sqlite3
import string
import struct
import sys
import types
import weakref
import xml.etree.ElementTree

import pytest
import stackless
from freezing_iterators import (
    advanced,
    clone_of,
    how_many,
    numbers,
    some,
)
from freezing_support import LOG, dumps, go, loads, started, thawed

pytestmark = pytest.mark.soft

PAIRS = {"a": 1, "b": 2, "c": 3}
LARGE = 1 << 70
ROWS = ["a,b\n", '"c\n', 'd",e\n', "\n", "f,g\n"]


class List(list):
    pass


class Dict(dict):
    pass


class Sequence:
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index < self.size:
            return index * 10
        raise IndexError


class Iterator:
    def __init__(self):
        self.at = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.at += 1
        if self.at > 3:
            raise StopIteration
        return self.at


class Counter:
    """A function that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.calls


def looking_ahead(text):
    for match in re.finditer(r"(?<=a)\w|", text):
        yield match.span()


def rows(reader):
    """Each with the number of its last line."""
    for row in reader:
        yield reader.line_num, row


MADE = {
    "list": lambda: iter([1, 2, 3]),
    "list_of_a_subclass": lambda: iter(List("abc")),
    "list_backwards": lambda: reversed([1, 2, 3]),
    "tuple": lambda: iter((1, 2, 3)),
    "tuple_backwards": lambda: reversed((1, 2, 3)),
    "str": lambda: iter("abc"),
    "str_wide": lambda: iter("a\u1234\U00012345"),
    "str_backwards": lambda: reversed("abc"),
    "bytes": lambda: iter(b"abc"),
    "bytearray": lambda: iter(bytearray(b"abc")),
    "memoryview": lambda: iter(memoryview(b"abc")),
    "memoryview_of_words": lambda: iter(memoryview(b"abcdefgh").cast("H")),
    "memoryview_of_a_bytearray": lambda: iter(memoryview(bytearray(b"abc"))),
    "array": lambda: iter(array.array("d", [1, 2, 3])),
    "array_backwards": lambda: reversed(array.array("i", [1, 2, 3])),
    "deque": lambda: iter(collections.deque("abc")),
    "deque_backwards": lambda: reversed(collections.deque("abc")),
    "set": lambda: iter({1, "b", None}),
    "frozenset": lambda: iter(frozenset("abc")),
    "range": lambda: iter(range(1, 9, 3)),
    "range_backwards": lambda: reversed(range(4)),
    "range_large": lambda: iter(range(LARGE, LARGE + 3)),
    "range_large_backwards": lambda: reversed(range(LARGE, LARGE + 3)),
    "dict": lambda: iter(PAIRS.copy()),
    "dict_of_a_subclass": lambda: iter(Dict(PAIRS)),
    "dict_values": lambda: iter(PAIRS.copy().values()),
    "dict_items": lambda: iter(PAIRS.copy().items()),
    "dict_backwards": lambda: reversed(PAIRS.copy()),
    "dict_values_backwards": lambda: reversed(PAIRS.copy().values()),
    "dict_items_backwards": lambda: reversed(PAIRS.copy().items()),
    "mapping_proxy": lambda: iter(types.MappingProxyType(PAIRS).items()),
    "ordered_dict": lambda: iter(collections.OrderedDict(PAIRS)),
    "ordered_dict_items": lambda: iter(collections.OrderedDict(PAIRS).items()),
    "ordered_dict_backwards": lambda: reversed(collections.OrderedDict(PAIRS)),
    "counter": lambda: collections.Counter("abca").elements(),
    "defaultdict": lambda: iter(collections.defaultdict(list, PAIRS)),
    "chain_map": lambda: iter(collections.ChainMap({"a": 1}, PAIRS)),
    "user_list": lambda: iter(collections.UserList([1, 2, 3])),
    "sequence": lambda: iter(Sequence(3)),
    "sequence_backwards": lambda: reversed(Sequence(3)),
    "of_a_class": lambda: Iterator(),
    "callable": lambda: iter(Counter(), 4),
    "callable_partial": lambda: iter(
        functools.partial(next, numbers(1, 2, 3)), 3
    ),
    "enumerate": lambda: enumerate(numbers("a", "b", "c"), 5),
    "enumerate_large": lambda: enumerate(numbers("a", "b"), sys.maxsize),
    "zip": lambda: zip(numbers(1, 2, 3), "abcd"),
    "zip_of_none": lambda: zip(),
    "zip_strict": lambda: zip(numbers(1, 2), "ab", strict=True),
    "zip_strict_too_long": lambda: zip(numbers(1, 2, 3), "ab", strict=True),
    "map": lambda: map(operator.add, numbers(1, 2, 3), [4, 5, 6]),
    "filter": lambda: filter(None, numbers(0, 1, 0, 2)),
    "generator": lambda: numbers(1, 2, 3),
    "generator_expression": lambda: (n for n in [1, 2, 3]),
    "weak_set": lambda: iter(weakref.WeakSet([numbers])),
    "csv_reader": lambda: csv.reader(iter(ROWS)),
    "csv_lines": lambda: rows(csv.reader(io.StringIO("".join(ROWS)))),
    "csv_dialect": lambda: csv.reader(
        ["a;b'c", "d"], delimiter=";", quotechar="'", skipinitialspace=True
    ),
    "csv_unquoted": lambda: csv.reader(
        ["a,'b'", "d"], quotechar=None, quoting=csv.QUOTE_NONE
    ),
    "csv_dicts": lambda: csv.DictReader(["a,b", "c,d", "e", "f,g,h"]),
    "finditer": lambda: map(re.Match.span, re.finditer("b*", "abbcb")),
    "finditer_bytes": lambda: map(
        re.Match.group, re.finditer(b"[a-c]", b"xaybzc")
    ),
    "finditer_part": lambda: map(
        re.Match.span, re.compile("^|a").finditer("aaxa\u1234a", 1, 5)
    ),
    "finditer_before": lambda: looking_ahead("abaca"),
    "string_file": lambda: io.StringIO("a\nb\nc"),
    "bytes_file": lambda: io.BytesIO(b"a\nb\nc"),
    # It would look for addresses that it has noted, and may find them in a copy.
    "json_encoder": lambda: json.JSONEncoder(check_circular=False).iterencode(
        [1, {"a": [2]}]
    ),
    "incremental_decoder": lambda: codecs.iterdecode(
        [b"\xc3", b"\xa4b", b"c"], "utf-8"
    ),
}
if sys.version_info >= (3, 14):
    MADE["map_strict"] = lambda: map(
        operator.add, numbers(1, 2, 3), [4, 5], strict=True
    )

each = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@each
@pytest.mark.parametrize("code", ["reference", "value"])
def test_thawed(make, code):
    for n in how_many(make):
        iterator, rest = advanced(make, n)
        data = dumps([iterator], code)
        (one,), (other,) = loads(data), loads(data)
        assert some(one) == rest, n
        assert some(iterator) == rest, n
        assert some(thawed(other, code)) == rest, n


# A clone has iterators of its own, and shares other objects that remember.
SHARED = {
    "bytes_file",
    "callable",
    "callable_partial",
    "csv_dicts",
    "csv_lines",
    "incremental_decoder",
    "json_encoder",
    "of_a_class",
    "string_file",
}
CLONED = {name: make for name, make in MADE.items() if name not in SHARED}


@pytest.mark.parametrize("make", CLONED.values(), ids=CLONED)
def test_cloned(make):
    for n in how_many(make):
        iterator, rest = advanced(make, n)
        one = clone_of(iterator)
        assert some(one) == rest, n
        assert some(iterator) == rest, n


def looping(iterator):
    try:
        for item in iterator:
            LOG.append(repr(item))
            stackless.schedule_remove(None)
    except ValueError as error:
        LOG.append(repr(error))
    LOG.append("over")


def rest_of(tasklet):
    LOG.clear()
    while tasklet.alive:
        go(tasklet)
    return list(LOG)


@each
def test_in_a_loop(make):
    """Of a tasklet that is frozen and cloned in each round."""
    rest = rest_of(stackless.tasklet(looping)(make()))
    tasklet = started(looping, make())
    while rest:
        del rest[0]
        if not tasklet.alive:
            break
        copies = [thawed(tasklet)]
        if make in CLONED.values():
            copies.append(tasklet.clone())
        for copy in copies:
            assert rest_of(copy) == rest
        go(tasklet)
    assert rest in ([], ["over"]) and not tasklet.alive


# --- what belongs together ---------------------------------------------------

def test_an_array_and_its_iterator():
    values = array.array("i", [1, 2, 3])
    iterator = iter(values)
    next(iterator)
    copy, copied = thawed([values, iterator])
    copy[1] = 20
    copy.append(4)
    assert list(copied) == [20, 3, 4] and list(iterator) == [2, 3]


def test_a_view_and_its_iterator():
    values = bytearray(b"abc")
    iterator = iter(memoryview(values))
    next(iterator)
    copy, copied = thawed([values, iterator])
    copy[1] = 0
    assert list(copied) == [0, 99] and list(iterator) == [98, 99]


def test_a_reader_and_its_file():
    file = io.StringIO("".join(ROWS))
    reader = csv.reader(file)
    next(reader)
    copy, copied = thawed([reader, file])
    assert next(copy) == ["c\nd", "e"] and copy.line_num == 3
    assert copied.read() == "\nf,g\n"
    assert next(reader) == ["c\nd", "e"] and file.read() == "\nf,g\n"


def test_a_reader_in_the_middle_of_a_row():
    def lines():
        yield '"a\n'
        refused.append(stackless.check_freezable([reader]))
        yield 'b"'

    refused = []
    reader = csv.reader(lines())
    assert next(reader) == ["a\nb"]
    (error,) = refused
    assert "csv.reader in the middle of a row" in str(error)
    assert error.path == "[0]"


def test_a_scanner():
    """What re.finditer() goes on with; undocumented, but known."""
    scanner = re.compile("b*").scanner("abbb", 1)
    assert scanner.match().span() == (1, 4)
    assert thawed(scanner).search().span() == (4, 4)
    scanner.search()
    copy = thawed(scanner)
    assert copy.search() is copy.match() is scanner.search() is None


def test_a_scanner_keeps_a_bytearray():
    text = bytearray(b"abc")
    scanner = re.compile(b".").scanner(text)
    scanner.search()
    copy, copied = thawed([text, scanner])
    with pytest.raises(BufferError):
        copy.append(1)
    copy[1:2] = b"x"
    assert copied.search()[0] == b"x" and scanner.search()[0] == b"b"


def test_a_set_goes_on_with_what_was_left():
    """The order of another one is another one."""
    values = {f"{n}" for n in range(20)}
    iterator = iter(values)
    passed = {next(iterator) for _ in range(7)}
    copy, copied = thawed([values, iterator])
    assert copy == values and {*copied} == values - passed == {*iterator}


def test_a_set_that_has_changed():
    values = {1, 2, 3}
    iterator = iter(values)
    next(iterator)
    values.add(4)
    (copy,) = thawed([iterator])
    with pytest.raises(RuntimeError, match="changed size during iteration"):
        next(copy)


def test_a_weak_set_is_iterated_over():
    """Meanwhile what is gone stays in the set, up to 3.13."""
    keys = [Sequence(n) for n in range(3)]
    things = weakref.WeakSet(keys)
    iterator = iter(things)
    first = next(iterator)
    copied_keys, copied, copied_first, rest = thawed(
        [keys, things, first, iterator]
    )
    assert {copied_first, *rest} == {*copied_keys} == {*copied}
    copied_keys.clear()
    del copied_first
    assert len(copied) == 0


# --- what is refused ---------------------------------------------------------

# What is refused, and in which words.
REFUSED = {
    "scandir": (lambda: os.scandir(os.curdir), "posix.ScandirIterator"),
    "file": (lambda: open(os.devnull), "TextIOWrapper"),
    "binary_file": (lambda: open(os.devnull, "rb"), "BufferedReader"),
    "csv_writer": (lambda: csv.writer(io.StringIO()), "_csv.writer"),
    "struct": (lambda: struct.iter_unpack("B", b"ab"), "unpack_iterator"),
    "cursor": (lambda: sqlite3.connect(":memory:").execute("select 1"), "Cur"),
    "formatter": (lambda: string.Formatter().parse("{a}"), "formatteriter"),
    "code_lines": (lambda: numbers.__code__.co_lines(), "line_iterator"),
    "code_positions": (
        lambda: numbers.__code__.co_positions(), "positions_iterator"
    ),
    "context": (lambda: iter(contextvars.copy_context()), "'keys' object"),
    "tree": (
        lambda: xml.etree.ElementTree.fromstring("<a><b/></a>").iter(),
        "_element_iterator",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, words = REFUSED[name]
    iterator = make()
    error = stackless.check_freezable({"key": [iterator]})
    assert words in str(error)
    assert error.path == "['key'][0]"
    assert type(iterator).__name__ == error.type
