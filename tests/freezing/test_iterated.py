"""A list or a dict that something in it iterates over is frozen as it is."""

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
    with pytest.raises(stackless.ThawError, match="one of its keys"):
        stackless.thaw(stackless.freeze(values))


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
