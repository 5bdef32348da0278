"""Iterators of itertools, frozen and cloned after each of their items.

From CPython 3.14 on they do not tell what they are made of; here that makes
no difference.  What copies share, and what becomes of damaged states, is told
for those versions apart.
"""

import contextlib
import copy
import copyreg
import itertools
import operator
import pickle
import sys
import threading
import types

import pytest
import stackless
from freezing_support import dumps, loads, started, thawed
from stackless import _core
from stackless._freezing import iterators, pickling
from tasks import pause

NEW = sys.version_info >= (3, 14)
MANY = 12  # items of those that do not end

pytestmark = [
    pytest.mark.soft,
    pytest.mark.filterwarnings("ignore:Pickle, copy:DeprecationWarning"),
]
from_3_14 = pytest.mark.skipif(not NEW, reason="they have a __reduce__()")


def is_small(n):
    return n < 3


def tens(n):
    return n // 10


def numbers(*items):
    """What is alive, so that it cannot be shared without being noticed."""
    yield from items


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
    "zip_longest_of_none": lambda: itertools.zip_longest(),
    "nested": lambda: itertools.islice(
        itertools.chain(itertools.accumulate(numbers(1, 2)), "ab"), 1, None
    ),
}
# What CPython up to 3.13 cannot write, or writes something else for.
if NEW:
    MADE |= {
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
        "batched": lambda: itertools.batched(numbers(1, 2, 3, 4, 5), 2),
        "batched_strict": lambda: itertools.batched("abc", 2, strict=True),
    }

each_type = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


def some(iterator):
    """Its items, and what ends them."""
    items = []
    while len(items) < 200:
        try:
            items.append(next(iterator))
        except Exception as error:
            return [*items, repr(error)]
    return items


def advanced(make, n):
    """An iterator after n items, and what it goes on with."""
    made = make(), make()
    for iterator in made:
        for _ in range(n):
            with contextlib.suppress(StopIteration, ValueError):
                next(iterator)
    return made[0], some(made[1])


def how_many(make):
    """After how many items to try: beyond the end, too."""
    n = len(some(make())) + 2
    return range(n) if n < 50 else [*range(MANY), 56, 57, 58, 114, 140, 152]


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


def waiting_with(iterator):
    pause()
    return iterator


def clone_of(iterator):
    """Copied by a clone of a tasklet that has it in a variable."""
    tasklet = started(waiting_with, iterator)
    frames = _core._tasklet_state(tasklet.clone())[3][0]
    tasklet.bind()
    return next(
        slot
        for frame in frames
        for slot in frame[5]
        if type(slot) is type(iterator)
    )


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


@from_3_14
def test_a_group_that_is_over():
    groups, group = grouped()
    next(groups)
    for copy_of_group in copies_of(group):
        assert list(copy_of_group) == []
        assert type(copy_of_group) is type(group)
    assert list(groups) == []


@from_3_14
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


@from_3_14
def test_subclasses_are_refused_by_name():
    error = stackless.check_freezable([1, Counting()])
    assert "'Counting' object" in str(error)
    assert error.path == "[1]"


@from_3_14
def test_unknown_layouts_are_refused_by_name(monkeypatch):
    data = dumps(itertools.count())
    monkeypatch.setitem(iterators._known, itertools.count, False)
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


@from_3_14
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


@from_3_14
@pytest.mark.parametrize("name", WRONG)
def test_states_that_cannot_be(name):
    kind = getattr(itertools, name)
    wrong = [*WRONG[name], (), None, (None,) * 4, [], ((),) * 7]
    for state in wrong:
        with pytest.raises((TypeError, ValueError)):
            pickling._iterator(kind, state)


@from_3_14
def test_a_tee_is_where_its_data_are():
    (data,), index = _core._iterator_state(itertools.tee("abc")[0])
    assert index == 0
    with pytest.raises(ValueError, match="not the state of a _tee"):
        pickling._iterator(itertools._tee, ((data,), 1))


@from_3_14
def test_states_of_all_are_tried():
    assert {kind.__name__ for kind in iterators.TYPES} == set(WRONG)


@from_3_14
@pytest.mark.parametrize("kind", [int, Counting, list, None, "count", []])
def test_no_other_types_are_made(kind):
    with pytest.raises((TypeError, ValueError)):
        pickling._iterator(kind, ())


# --- those who have not asked for it -----------------------------------------

@from_3_14
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


@from_3_14
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
