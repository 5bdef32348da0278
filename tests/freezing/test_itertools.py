"""Iterators of itertools, frozen and cloned after each of their items; and
what becomes of damaged states of these and others that do not tell what they
are made of.
"""

import contextvars
import copy
import copyreg
import csv
import itertools
import operator
import pickle
import re
import sys
import threading
import types

import pytest
import stackless
from freezing_iterators import (
    advanced,
    clone_of,
    how_many,
    numbers,
    some,
    waiting_with,
)
from freezing_support import dumps, loads, started, thawed
from stackless import _core
from stackless._freezing import containers, iterators
from tasks import pause

NEW = sys.version_info >= (3, 14)

pytestmark = [
    pytest.mark.soft,
    pytest.mark.filterwarnings("ignore:Pickle, copy:DeprecationWarning"),
]


def is_small(n):
    return n < 3


def tens(n):
    return n // 10


MADE = {
    "accumulate": lambda: itertools.accumulate(numbers(1, 2, 3)),
    "accumulate_initial": lambda: itertools.accumulate(
        [1, 2, 3], operator.mul, initial=5
    ),
    "chain": lambda: itertools.chain([1, 2], (), numbers(3, 4), "ab"),
    "chain_of_none": lambda: itertools.chain(),
    "chain_from_iterable": lambda: itertools.chain.from_iterable(
        numbers("ab", "", [1])
    ),
    "combinations": lambda: itertools.combinations("abcd", 2),
    "combinations_too_long": lambda: itertools.combinations("ab", 3),
    "combinations_with_replacement": lambda: (
        itertools.combinations_with_replacement("abc", 2)
    ),
    "combinations_with_no_pool": lambda: (
        itertools.combinations_with_replacement("", 2)
    ),
    "compress": lambda: itertools.compress("abcde", numbers(1, 0, 1, 0, 1)),
    "count": lambda: itertools.count(3),
    "count_step": lambda: itertools.count(10, -3),
    "count_float": lambda: itertools.count(0.5, 0.25),
    "count_small": lambda: itertools.count(-(1 << 63) - 2),
    "cycle": lambda: itertools.cycle(numbers(1, 2, 3)),
    "cycle_of_none": lambda: itertools.cycle(()),
    "dropwhile": lambda: itertools.dropwhile(is_small, numbers(1, 3, 1, 4)),
    "filterfalse": lambda: itertools.filterfalse(None, numbers(0, 1, "")),
    "groupby": lambda: (
        (key, list(group))
        for key, group in itertools.groupby([1, 2, 11, 25], tens)
    ),
    "groupby_keys": lambda: map(
        operator.itemgetter(0), itertools.groupby("aabccc")
    ),
    "islice": lambda: itertools.islice(numbers(*range(9)), 1, 8, 3),
    "islice_no_stop": lambda: itertools.islice(range(9), 3, None, 2),
    "islice_stop_before": lambda: itertools.islice(range(9), 5, 2),
    "permutations": lambda: itertools.permutations("abcd", 3),
    "permutations_too_long": lambda: itertools.permutations("ab", 3),
    "product": lambda: itertools.product("ab", range(3), repeat=2),
    "product_of_nothing": lambda: itertools.product(),
    "product_empty": lambda: itertools.product("ab", ""),
    "repeat": lambda: itertools.repeat("a", 3),
    "repeat_for_ever": lambda: itertools.repeat("a"),
    "starmap": lambda: itertools.starmap(pow, numbers((2, 3), (3, 2))),
    "takewhile": lambda: itertools.takewhile(is_small, numbers(1, 2, 3, 1)),
    "tee": lambda: itertools.tee(iter("abcd"))[0],
    "tee_long": lambda: itertools.tee(iter(range(150)), 1)[0],
    "zip_longest": lambda: itertools.zip_longest(
        numbers(1), [], [2, 3, 4], fillvalue="-"
    ),
    "accumulate_none": lambda: itertools.accumulate(
        [None, None], lambda a, b: None
    ),
    "combinations_of_nothing": lambda: itertools.combinations("", 0),
    "count_large": lambda: itertools.count(sys.maxsize - 2),
    "islice_overflow": lambda: itertools.islice(
        range(9), 1, None, sys.maxsize
    ),
    "pairwise": lambda: itertools.pairwise(numbers(1, 2, 3, 4)),
    "pairwise_of_one": lambda: itertools.pairwise("a"),
    "permutations_of_none": lambda: itertools.permutations(""),
    "zip_longest_of_none": lambda: itertools.zip_longest(),
    "nested": lambda: itertools.islice(
        itertools.chain(itertools.accumulate(numbers(1, 2)), "ab"), 1, None
    ),
}
if sys.version_info >= (3, 12):
    MADE["batched"] = lambda: itertools.batched(numbers(1, 2, 3, 4, 5), 2)
if sys.version_info >= (3, 13):
    MADE["batched_strict"] = lambda: itertools.batched("abc", 2, strict=True)

each_type = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@each_type
@pytest.mark.parametrize("code", ["reference", "value"])
def test_thawed(make, code):
    for n in how_many(make):
        iterator, rest = advanced(make, n)
        data = dumps(iterator, code)
        one, other = loads(data), loads(data)
        assert type(one) is type(iterator)
        assert some(one) == rest, n
        assert some(iterator) == rest, n
        assert some(loads(dumps(other, code))) == rest, n


@each_type
def test_cloned(make):
    for n in how_many(make):
        iterator, rest = advanced(make, n)
        one, other = clone_of(iterator), clone_of(iterator)
        assert one is not other or type(one) is types.GeneratorType
        assert some(one) == rest, n
        assert some(iterator) == rest, n
        assert some(other) == rest, n


@each_type
def test_in_turns(make):
    """Original, copy and clone do not disturb one another."""
    _, rest = advanced(make, 1)
    iterator = make()
    next(iterator, None)
    copies = [iterator, thawed(iterator), clone_of(iterator)]
    told = [[] for _ in copies]
    for _ in range(len(rest)):
        for each, items in zip(copies, told, strict=True):
            try:
                items.append(next(each))
            except Exception as error:
                items.append(repr(error))
    assert told == [rest] * 3


# --- iterators that belong together ------------------------------------------

def copies_of(value):
    """A thawed one, and one that a clone has."""
    return thawed(value), clone_of(value)


def grouped():
    groups = itertools.groupby(numbers(1, 2, 11, 12, 25), tens)
    next(groups)
    key, group = next(groups)
    assert (key, next(group)) == (1, 11)
    return groups, group


def rest_of_groups(groups, group):
    return list(group), [(key, list(group)) for key, group in groups]


def waiting_with_groups(groups, group):
    pause()
    return rest_of_groups(groups, group)


def test_a_group_goes_on_with_its_groupby():
    groups, group = grouped()
    copy_of_group, copy_of_groups = thawed([group, groups])
    assert type(copy_of_group) is type(group)
    expected = [12], [(2, [25])]
    assert rest_of_groups(copy_of_groups, copy_of_group) == expected
    assert rest_of_groups(groups, group) == expected


def test_a_clone_has_its_own_groups():
    tasklet = started(waiting_with_groups, *grouped())
    copies = [tasklet.clone(), thawed(tasklet), tasklet]
    results = []
    for each in copies:
        slots = _core._tasklet_state(each)[3][0][0][5]
        results.append(rest_of_groups(*slots[:2]))
        each.bind()
    assert results == [([12], [(2, [25])])] * 3


def test_a_group_that_is_over():
    groups, group = grouped()
    next(groups)
    for copy_of_group in copies_of(group):
        assert list(copy_of_group) == []
        assert type(copy_of_group) is type(group)
    assert list(groups) == []


def test_a_groupby_without_its_group():
    groups, group = grouped()
    assert [key for key, _ in thawed(groups)] == [2]
    assert list(group) == [12]


@pytest.mark.parametrize("ahead", [0, 1, 56, 57, 58, 130])
def test_branches_of_a_tee(ahead):
    first, second = itertools.tee(numbers(*range(140)))
    begun = [next(first) for _ in range(ahead)]
    left, right = thawed((first, second))
    assert begun + list(left) == list(right) == list(range(140))
    assert begun + list(first) == list(second) == list(range(140))


def test_what_is_shared_stays_shared():
    generator = numbers(1, 2, 3, 4)
    pair = itertools.chain(generator), itertools.islice(generator, None)
    one, other = thawed(pair)
    assert [next(one), next(other), *one] == [1, 2, 3, 4]
    assert list(other) == []
    assert list(generator) == [1, 2, 3, 4]


def test_what_they_have_returned_is_not_written_to():
    pairs = itertools.product("ab", "c")
    first = next(pairs)
    copy_of_pairs, copy_of_first = thawed((pairs, first))
    assert next(copy_of_pairs) == next(pairs) == ("b", "c")
    assert copy_of_first == first == ("a", "c")


def test_a_list_that_a_cycle_keeps_is_its_own():
    for each in copies_of(itertools.cycle(["a", "b"])):
        assert list(itertools.islice(each, 5)) == ["a", "b", "a", "b", "a"]


# --- what is refused ---------------------------------------------------------

class Counting(itertools.count):
    pass


def test_what_is_in_the_way_is_named():
    lock = threading.Lock()
    error = stackless.check_freezable([itertools.repeat(lock)])
    assert "cannot pickle '_thread.lock' object" in str(error)


class Grouping(itertools.groupby):
    pass


@pytest.mark.parametrize("value", [Counting(), Grouping("a")], ids=str)
def test_subclasses_are_refused_by_name(value):
    if not NEW and type(value) is Counting:
        pytest.skip("it has a __reduce__() that tells all")
    error = stackless.check_freezable([1, value])
    assert f"cannot pickle {type(value).__name__!r} object" in str(error)
    assert error.path == "[1]"


def test_unknown_layouts_are_refused_by_name(monkeypatch):
    data = dumps(itertools.count())
    monkeypatch.setitem(containers._known, itertools.count, False)
    for what in (itertools.count(), itertools.chain([itertools.count()])):
        error = stackless.check_freezable({"a": what})
        assert "itertools.count cannot be written on CPython 3." in str(error)
    with pytest.raises(ValueError, match="no iterator that can be made"):
        loads(data)
    tasklet = started(waiting_with, itertools.count())
    with pytest.raises(pickle.PicklingError, match="itertools.count"):
        tasklet.clone()


def other_fields(fields):
    """The same with one of them changed."""
    for n, field in enumerate(fields):
        if type(field) is int:
            changes = [field - 1]
        elif field and type(field[0]) is int:
            changes = [(*field[:-1], field[-1] - 1)]
        else:
            changes = [(object(),)]
        for change in changes:
            yield (*fields[:n], change, *fields[n + 1 :])


@pytest.mark.parametrize("kind", sorted(iterators.TYPES, key=str), ids=str)
def test_samples_tell_where_the_fields_are(kind):
    for sample, fields in iterators._TYPES[kind][1]():
        assert _core._iterator_fits(sample, fields)
        for others in other_fields(fields):
            assert not _core._iterator_fits(sample, others)
        assert not _core._iterator_fits(sample, fields[1:])
        assert not _core._iterator_fits(sample, (None,) * len(fields))


def test_others_are_not_known():
    for other in (iter([]), 1, Counting(), None):
        assert not _core._iterator_fits(other, ())
        with pytest.raises(TypeError, match="is not known"):
            _core._iterator_state(other)
        with pytest.raises(TypeError, match="is not known"):
            _core._set_iterator_state(other, ())


# Of the type's state after the first item; what is wrong with each.
IT = iter([1])
VIEW = memoryview(b"ab")
DIALECT = csv.reader([]).dialect
A = re.compile("a")
HERE = contextvars.Context()
WORDS = {"a": 1}
VAR = contextvars.ContextVar("VAR")
WRONG = {
    "accumulate": [
        ((), (), (), (None,)),
        ((), (1,), (), (None,)),
        ((), (IT,), (), ()),
        ((1,), (IT,), (), (2,)),
    ],
    "batched": [((), 1, 0), ((IT,), 0, 0), ((IT,), -2, 0), ((IT,), 1, 2)],
    "chain": [((1,), ()), ((), ("a",)), ([], [])],
    "combinations": [
        (("ab",), (0,), (), 1, 0),
        ((("a", "b"),), (0, 0), (), 2, 0),
        ((("a", "b"),), (1, 2), (), 2, 0),
        ((("a", "b"),), (-1, 0), (), 2, 0),
        ((("a", "b"),), (0,), (), 2, 0),
        ((("a", "b"),), (0,), (("a", "b"),), 1, 0),
        ((("a", "b"),), (0, 1, 2), (), 3, 0),
        ((("a", "b"),), (), (), -1, 1),
    ],
    "combinations_with_replacement": [
        ((("a", "b"),), (0, 2), (("a", "a"),), 2, 0),
        ((("a", "b"),), (0, 1), (), 2, 0),
        ((("a", "b"),), (0, -1), (("a", "a"),), 2, 0),
        (((),), (0,), (), 1, 0),
    ],
    "compress": [((1,), (IT,)), ((IT,), ()), ((IT,),)],
    "count": [
        (1, (2,), (1,)),
        (1, (), (2.5,)),
        (1, (), ()),
        (1 << 63, (), (1,)),
        (True, (), (1,)),
    ],
    "cycle": [
        ((), (1,), 1),
        ((), (1,), -1),
        ((IT,), (1,), 0),
        ((), [1], 0),
    ],
    "dropwhile": [((bool,), (), 0), ((bool,), (IT,), 2), ((), (IT,), 0)],
    "filterfalse": [((bool,), (1,)), ((), (IT,))],
    "groupby": [
        ((IT,), (None,), (1,), (1,), (), 0),
        ((IT,), (None,), (1,), (), (1,), 0),
        ((IT,), (None,), (), (), (), 8),
        ((1,), (None,), (), (), (), 0),
    ],
    "_grouper": [(1, 1), (IT, 1), (), (itertools.groupby(()),)],
    "islice": [
        ((IT,), 1, -2, 1, 0),
        ((IT,), 1, 2, 0, 0),
        ((IT,), -1, 2, 1, 0),
        ((1,), 1, 2, 1, 0),
    ],
    "pairwise": [((1,), ()), ((IT,), 1)],
    "permutations": [
        ((("a", "b"),), (0, 0), (2,), (("a",),), 1, 0),
        ((("a", "b"),), (0, 2), (2,), (("a",),), 1, 0),
        ((("a", "b"),), (0, -1), (2,), (("a",),), 1, 0),
        ((("a", "b"),), (0, 1), (0,), (("a",),), 1, 0),
        ((("a", "b"),), (0, 1), (3,), (("a",),), 1, 0),
        ((("a", "b"),), (0, 1), (2,), (("a", "b"),), 1, 0),
        ((("a", "b"),), (0,), (2,), (), 1, 0),
        ((("a", "b"),), (0, 1), (2, 1, 0), (), 3, 0),
        ((("a", "b"),), (0, 1), (2, 1), (), 1, 0),
    ],
    "product": [
        ((("a",),), (0,), (), 0),
        (((("a",),),), (1,), (("a",),), 0),
        (((("a",),),), (-1,), (("a",),), 0),
        (((("a",), ("b",)),), (0,), (), 0),
        (((("a", "b"),),), (1,), (), 0),
        (((("a",),),), (0,), (("a", "b"),), 0),
        ((((),),), (0,), (("a",),), 0),
    ],
    "repeat": [((), 1), ((1,), -2), ((1,), "a")],
    "starmap": [((max,), (1,)), ((), (IT,))],
    "takewhile": [((bool,), (IT,), -1), ((bool,), (IT,))],
    "_tee": [((1,), 0), ((IT,), 0), ((), 0)],
    "_tee_dataobject": [
        ((IT,), 1, 0, (), ()),
        ((IT,), 0, 1, (), ()),
        ((1,), 0, 0, (), ()),
        ((), 0, 0, (), ()),
        ((IT,), 0, 0, (IT,), ()),
        ((IT,), 58, 0, (), (1,) * 58),
    ],
    "memory_iterator": [
        ((VIEW,), 3),
        ((VIEW,), -1),
        ((b"ab",), 0),
        ((1,), 0),
        ((VIEW,), "a"),
    ],
    "reader": [
        ((1,), (DIALECT,), (), 0, 0),
        ((IT,), (), (), 0, 0),
        ((IT,), (csv.excel,), (), 0, 0),
        ((IT,), (DIALECT,), ([],), 0, 0),
        ((IT,), (DIALECT,), (), 1, 0),
        ((IT,), (DIALECT,), (), 0, -1),
    ],
    "SRE_Scanner": [
        ((A,), ("aba",), 0, 2, 3, 0),
        ((A,), ("aba",), 1, 3, 0, 0),
        ((A,), ("aba",), 0, 4, 0, 0),
        ((A,), ("aba",), -1, 3, 0, 0),
        ((A,), ("aba",), 0, 3, -2, 0),
        ((A,), ("aba",), 0, 3, 0, 2),
        ((A,), (b"aba",), 0, 3, 0, 0),
        (("a",), ("aba",), 0, 3, 0, 0),
    ],
    "Token": [
        ((1,), (VAR,), (), 0),
        ((HERE,), (1,), (), 0),
        ((HERE,), (VAR,), (), 2),
        ((HERE,), (), (), 0),
    ],
    "zip_longest": [
        (1, 1, (IT, None), (1,)),
        (2, 2, (IT, None), (1,)),
        (2, 3, (IT, IT), (1,)),
        (2, -1, (IT, IT), (1,)),
        (1, 1, (1,), (1,)),
        (1, 1, [IT], (1,)),
        (1, 1, (IT,), ()),
    ],
}


OVER_DICT = [
    (([],), 0, 0, 0),
    ((WORDS,), -2, 0, 0),
    ((WORDS,), 1, -2, 0),
    ((WORDS,), 1, 1.0, 0),
    (WORDS, 1, 0, 0),
]
for kind in ("key", "value", "item"):
    WRONG[f"dict_{kind}iterator"] = [*OVER_DICT, ((WORDS,), 1, -1, 0)]
    WRONG[f"dict_reverse{kind}iterator"] = [*OVER_DICT, ((WORDS,), 1, 1, 0)]
WRONG["set_iterator"] = [
    (([],), 0, 0, 0),
    (({1},), -2, 0, 0),
    (({1},), 1, -1, 0),
    (({1},), 1, 0, ()),
]


KINDS = {kind.__name__: kind for kind in iterators.TYPES}
if not NEW:
    WRONG["batched"] = [((), 0), ((IT,), -1), ((1,), 1)]
    WRONG["cycle"] = [
        ((), (1,), 1, 0),
        ((IT,), (1,), -1, 0),
        ((1,), (1,), 0, 0),
        ((), (1,), 0, -1),
    ]
if sys.version_info[:2] == (3, 13):
    WRONG["batched"] = [(*state, 0) for state in WRONG["batched"]]


@pytest.mark.parametrize("name", KINDS)
def test_states_that_cannot_be(name):
    kind = KINDS[name]
    wrong = [*WRONG[name], (), None, (None,) * 4, [], ((),) * 7]
    for state in wrong:
        with pytest.raises((TypeError, ValueError)):
            iterators.make(kind, state)


def test_a_tee_is_where_its_data_are():
    (data,), index = _core._iterator_state(itertools.tee("abc")[0])
    assert index == 0
    with pytest.raises(ValueError, match="not the state of a _tee"):
        iterators.make(itertools._tee, ((data,), 1))


def test_states_of_all_are_tried():
    missing = set() if "batched" in KINDS else {"batched"}
    assert set(KINDS) | missing == set(WRONG)


@pytest.mark.parametrize("kind", [int, Counting, list, None, "count", []])
def test_no_other_types_are_made(kind):
    with pytest.raises((TypeError, ValueError)):
        iterators.make(kind, ())


# --- those who have not asked for it -----------------------------------------

@pytest.mark.skipif(not NEW, reason="pickle knows them")
@pytest.mark.parametrize("make", [
    lambda: itertools.count(), lambda: itertools.chain("ab"),
    lambda: itertools.product("ab"),
])  # fmt: skip
def test_pickle_and_copy_are_as_they_were(make):
    iterators.is_known(type(make()))
    dumps(make())
    for function in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle 'itertools"):
            function(make())
    assert not any(kind in copyreg.dispatch_table for kind in iterators.TYPES)


def looping():
    total = []
    for item in itertools.islice(itertools.count(), 1, 4):
        total.append(stackless.schedule_remove(item))
    return total


def test_a_plain_pickle_of_a_tasklet():
    """Frames refer to it directly, and it to another one."""
    tasklet = started(looping)
    copies = [pickle.loads(pickle.dumps(tasklet)), copy.deepcopy(tasklet)]
    for each in [tasklet, *copies]:
        items = []
        while each.alive:
            items.append(each.tempval)
            each.insert()
            stackless.run()
        assert items == [1, 2, 3]
