"""What something in it iterates over is frozen as it is: lists, dicts, deques,
sets, tuples."""

import collections

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, started, thawed

pytestmark = pytest.mark.soft


def over(make_iterator, *args):
    for value in make_iterator(*args):
        stackless.schedule_remove(None)
        plain = type(value) is int or type(value) is str
        LOG.append(value if plain else type(value).__name__)


def suspended(*args, passed=0):
    task = started(over, *args)
    for _ in range(passed):
        go(task)
    LOG.clear()
    return task


def rest(task):
    LOG.clear()
    while task.alive:
        go(task)
    return list(LOG)


def generated(values):
    return (value for value in values)


@pytest.mark.parametrize("passed", [0, 1])
@pytest.mark.parametrize("make", [iter, reversed, generated])
@pytest.mark.parametrize("kind", [list, type("List", (list,), {})])
def test_a_list(kind, make, passed):
    values = kind([1, 2, 3])
    task = suspended(make, values, passed=passed)
    at = 0 if make is reversed else 2
    values[at] = task
    data = dumps(values), dumps([values])
    expected = rest(task)
    for copy in loads(data[0]), loads(data[1])[0]:
        assert len(copy) == 3 and type(copy).__name__ == kind.__name__
        assert rest(copy[at]) == expected


KINDS = [dict.__iter__, dict.values, dict.items, dict.keys]


@pytest.mark.parametrize("passed", [0, 1])
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    "kind", [dict, collections.Counter, type("Dict", (dict,), {})]
)
def test_a_dict(kind, make, passed):
    values = kind({"a": 1, "b": 2, "last": 3})
    task = suspended(make, values, passed=passed)
    values["last"] = task
    data = dumps(values), dumps([values])
    expected = rest(task)
    for copy in loads(data[0]), loads(data[1])[0]:
        assert list(copy) == ["a", "b", "last"]
        assert rest(copy["last"]) == expected


def test_a_large_dict():
    """Pickle fills it in parts."""
    values = dict.fromkeys(range(3000))
    tasks = [suspended(iter, values, passed=n) for n in (1, 1500, 2900)]
    values[0], values[1500], values[2999] = tasks
    copy = loads(dumps(values))
    assert list(copy) == list(values)
    for key, passed in ((0, 1), (1500, 1500), (2999, 2900)):
        assert rest(copy[key]) == list(range(passed, 3000))


@pytest.mark.parametrize("passed", [0, 1, 2])
@pytest.mark.parametrize("make", [iter, reversed, generated])
@pytest.mark.parametrize(
    "kind", [collections.deque, type("Deque", (collections.deque,), {})]
)
def test_a_deque(kind, make, passed):
    values = kind([1, 2, 3, 4], 4)
    task = suspended(make, values, passed=passed)
    values[1] = task
    data = dumps(values), dumps([task, values])
    expected = rest(task)
    assert len(expected) == 4 - passed
    for copy in loads(data[0]), loads(data[1])[1]:
        assert len(copy) == 4 and type(copy).__name__ == kind.__name__
        assert rest(copy[1]) == expected


def test_a_deque_is_not_to_be_changed():
    """By the copy of what iterates, too."""
    values = collections.deque([1, 2, 3])
    values.append(suspended(iter, values))
    values[1] = suspended(iter, values)
    copy = loads(dumps(values))
    go(copy[1])
    copy.popleft()
    with pytest.raises(RuntimeError, match="mutated during iteration"):
        go(copy[0])


class Holder:
    def __init__(self):
        self.task = None


HOLDING = {
    "set": lambda holder: {1, 2, holder},
    "frozenset": lambda holder: frozenset([1, 2, holder]),
    "tuple": lambda holder: (1, holder, 3),
    "ordered dict": lambda holder: collections.OrderedDict(a=1, b=holder, c=3),
    "dict": lambda holder: dict(a=1, b=holder, c=3),
}
WAYS = {
    "iter": iter,
    "values": dict.values,
    "items": dict.items,
    "reversed": reversed,
    "reversed values": lambda values: reversed(values.values()),
    "reversed items": lambda values: reversed(values.items()),
    "ordered items": lambda values: iter(values.items()),
}


def ways():
    for name in HOLDING:
        for way in WAYS:
            if "dict" in name or way == "iter" or (
                name == "tuple" and way == "reversed"
            ):
                yield name, way


@pytest.mark.parametrize("passed", [0, 1, 2])
@pytest.mark.parametrize(["name", "way"], [*ways()])
def test_others(name, way, passed):
    """One of the items holds what iterates."""
    holder = Holder()
    values = HOLDING[name](holder)
    task = suspended(WAYS[way], values, passed=passed)
    holder.task = task
    data = dumps([values, holder]), dumps([holder, values])
    expected = rest(task)
    assert len(expected) == 3 - passed
    for (values, copy) in loads(data[0]), reversed(loads(data[1])):
        assert type(values) is type(HOLDING[name](holder))
        assert len(values) == 3 and copy is not holder
        assert rest(copy.task) == expected


class Key:
    """Hashed by what it is, it cannot be there before its iterator."""

    def over(self, values):
        self.iterator = iter(values)
        next(self.iterator)


def test_a_key_that_iterates():
    key = Key()
    values = {"a": 1, key: 2, "b": 3}
    key.over(values)
    copy = thawed(values)
    name, copied, last = copy
    assert (name, last) == ("a", "b")
    assert list(copied.iterator) == [copied, "b"]


def test_keys_that_iterate():
    keys = Key(), Key()
    values = dict.fromkeys(keys)
    for key in keys:
        key.over(values)
    copy = stackless.thaw(stackless.freeze(values))
    for key in copy:
        assert list(key.iterator) == [*copy][1:]


def test_a_generator_in_what_it_iterates_over():
    def numbers(values):
        for value in values:
            yield value

    values = {"a": 1, "b": 2, "g": None}
    values["g"] = numbers(values)
    assert next(values["g"]) == "a"
    copy = thawed(values)
    assert list(copy["g"]) == ["b", "g"]


def test_the_iterator_is_that_of_the_copy():
    values = [1, 2, 3]
    iterator = iter(values)
    next(iterator)
    copy, copied = thawed([values, iterator])
    copy[1] = 5
    copy.append(6)
    assert list(copied) == [5, 3, 6]
    assert list(thawed(iter([]))) == list(thawed(reversed([]))) == []


def test_iterators_that_have_ended():
    for make in iter, reversed:
        iterator = make([1])
        assert list(iterator) == [1]
        assert list(thawed(iterator)) == []
