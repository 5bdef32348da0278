"""Iterators over containers, and views of dicts.

A copy goes on at the same item, and finds out as the original does that what
it goes over has changed: also if that was before it was made.
"""

import builtins
import collections
import functools
import gc
import itertools
import sys

from stackless import _core

_OrderedDict = collections.OrderedDict
_MAPPINGS = (dict, getattr(builtins, "frozendict", dict))  # 3.15
_KINDS = ("keys", "values", "items")


# --- made when a pickle is loaded --------------------------------------------

class OverSet:
    """Over what is left of a set, whose copy has another order."""

    __slots__ = ("owner", "rest", "size")

    def __init__(self, owner, size):
        self.owner = owner
        self.size = size
        self.rest = []  # the next one last

    def __reduce__(self):
        return OverSet, (self.owner, self.size), self.rest[::-1]

    def __setstate__(self, rest):
        self.rest = rest[::-1]

    def __iter__(self):
        return self

    def __next__(self):
        if self.owner is None:
            raise StopIteration
        if set.__len__(self.owner) != self.size:
            self.size = -1
            raise RuntimeError("Set changed size during iteration")
        while self.rest:
            item = self.rest.pop()
            if set.__contains__(self.owner, item):  # not replaced since
                return item
        self.owner = None
        raise StopIteration

    def __length_hint__(self):
        whole = self.owner is not None and set.__len__(self.owner)
        return len(self.rest) if whole == self.size else 0


class Changed:
    """Over something that has changed."""

    __slots__ = ("once", "text")

    def __init__(self, text, once):
        self.text = text
        self.once = once

    def __reduce__(self):
        return Changed, (self.text, self.once)

    def __iter__(self):
        return self

    def __next__(self):
        text = self.text
        if text is None:
            raise StopIteration
        if self.once:
            self.text = None
        raise RuntimeError(text)


def _view(mapping, kind, ordered=False):
    """As the class of CPython's makes it."""
    for base in (_OrderedDict,) if ordered else _MAPPINGS:
        if issubclass(type(mapping), base) and kind in _KINDS:
            return getattr(base, kind)(mapping)
    raise ValueError(f"no view of a dict: {kind!r}")


def _over(mapping, kind, backwards, ordered=False):
    return (reversed if backwards else iter)(_view(mapping, kind, ordered))


def _passing(iterator, passed):
    for _ in range(passed):
        next(iterator)
    return iterator


def _later(values, backwards, passed):
    """Over what is empty as yet: it is asked for items when one is needed, as
    its iterators do not bear changes."""
    later = (values,)
    if backwards:
        later = map(reversed, later)
    later = itertools.chain.from_iterable(later)
    return itertools.islice(later, passed, None)


def _deque_iterator(values, backwards, passed, size):
    """The deque may be without its items yet."""
    if len(values) < size:
        return _later(values, backwards, passed)
    return DEQUE_ITERATORS[bool(backwards)](values, passed)


def _ordered_iterator(mapping, kind, backwards, passed, size):
    """The same of an OrderedDict."""
    if len(mapping) < size:
        return _later(_view(mapping, kind, True), backwards, passed)
    return _passing(_over(mapping, kind, backwards, True), passed)


def _list_iterator(values, backwards, index):
    """The list may be without its items yet: what sets an index looks."""
    over = list.__reversed__ if backwards else list.__iter__
    return _put(over(values), values, backwards, index)


def _put(iterator, values, backwards, index):
    size = list.__len__(values)
    more = index + backwards - size
    if more > 0:
        list.extend(values, [None] * more)
    iterator.__setstate__(index)
    if more > 0:
        list.__delitem__(values, slice(size, None))
    return iterator


def _put_all(_, places):
    """Pickle has made them, perhaps before there were items."""
    for iterator, *place in places:
        if type(iterator) in LIST_ITERATORS:
            _put(iterator, *place)


def _rest():
    return iter([])


def _set_rest(iterator, values):
    """It goes over a list of its own."""
    _, (own,), _ = iterator.__reduce__()
    list.extend(own, values)


# --- their fields ------------------------------------------------------------

_known = {}  # by type: whether the samples have what they should have


def is_known(kind, samples):
    """Whether its fields are where they are looked for."""
    known = _known.get(kind)
    if known is None:
        known = _known[kind] = all(
            _core._iterator_fits(sample, fields)
            for sample, fields in samples()
        )
    return known


def _dict_samples(kind, backwards):
    mapping = {"a": 1, "b": 2, "c": 3, "d": 4}
    sample = _over(mapping, kind, backwards)
    yield sample, ((mapping,), 4, 3 if backwards else 0, 4)
    next(sample)
    yield sample, ((mapping,), 4, 2 if backwards else 1, 3)
    # Places that are empty count.
    del mapping["c" if backwards else "b"]
    sample = _over(mapping, kind, backwards)
    next(sample), next(sample)
    yield sample, ((mapping,), 3, 0 if backwards else 3, 1)
    list(sample)
    (held, *_) = state = _core._iterator_state(sample)
    yield sample, ((), *state[1:]) if held == () else None


def _fresh_over_dict(kind, backwards, state):
    return _over(state[0][0] if state[0] else {}, kind, backwards)


def _set_samples():
    values = {0}
    sample = iter(values)
    yield sample, ((values,), 1, 0, 1)
    next(sample)
    values.add(1)
    yield sample, ((values,), 1, 1, 0)


def _fresh_over_set(state):
    return iter(state[0][0] if state[0] else set())


def _deque_samples(kind):
    values = collections.deque([1])
    _, state, _ = _core._iterator_state(kind(values))
    values.append(2)
    sample = kind(values)
    yield sample, ((values,), state + 1, 2)
    next(sample)
    values.append(3)
    yield sample, ((values,), state + 1, 1)


def _ordered_samples():
    mapping = _OrderedDict(a=1, b=2)
    for number, kind in enumerate(_KINDS, 1):
        for backwards in (False, True):
            sample = _over(mapping, kind, backwards, True)
            yield sample, (2 * number + backwards, (mapping,), 2)
    sample = iter(_OrderedDict())
    next(sample, None)
    yield sample, (2, (), 0)


SET_ITERATOR = type(iter(set()))
_ORDERED_ITERATOR = type(iter(_OrderedDict()))
DEQUE_ITERATORS = (
    type(iter(collections.deque())),
    type(reversed(collections.deque())),
)
OVER_DICTS = {
    type(_over({}, kind, backwards)): (kind, backwards)
    for kind in _KINDS
    for backwards in (False, True)
}
# A fresh one, to be given the state; and its samples.
TYPES = {
    kind: (
        functools.partial(_fresh_over_dict, *how),
        functools.partial(_dict_samples, *how),
    )
    for kind, how in OVER_DICTS.items()
}
TYPES[SET_ITERATOR] = _fresh_over_set, _set_samples
HIDDEN = {kind.__name__: kind for kind in OVER_DICTS}
_READ = {
    kind: functools.partial(_deque_samples, kind) for kind in DEQUE_ITERATORS
}
_READ[_ORDERED_ITERATOR] = _ordered_samples


def _fields(iterator):
    """Of one that is only read; None if they are not known."""
    kind = type(iterator)
    if is_known(kind, _READ[kind]):
        return _core._iterator_state(iterator)
    return None


# --- written -----------------------------------------------------------------

def _at(iterator, held, size, pos):
    """A fresh iterator goes to that place, whatever has changed."""
    _core._set_iterator_state(iterator, (held, size, pos, size))
    return iterator


def dict_state(kind, state):
    """The place in a copy of the dict, which has no empty places."""
    held, used, pos, left = state
    if not held:
        return state
    (mapping,) = held
    _, backwards = how = OVER_DICTS[kind]
    size = len(_view(mapping, "keys"))
    probe = _over(mapping, *how)
    if backwards:
        pos = min(pos, _core._iterator_state(probe)[2])
    ahead = sum(1 for _ in _at(probe, held, size, pos))
    if backwards:
        pos = ahead - 1 if used < 0 else min(ahead, used) - 1
    else:
        pos = size - ahead
    return held, used, pos, left


def reduce_set_iterator(state):
    held, used, pos, _ = state
    if not held:
        return iter, ((),)
    (owner,) = held
    base = set if issubclass(type(owner), set) else frozenset
    size = base.__len__(owner)
    rest = list(_at(base.__iter__(owner), held, size, pos))
    if base is frozenset:
        return _rest, (), rest, None, None, _set_rest
    return OverSet, (owner, used), rest


def _reduce_list_iterator(iterator):
    make, args, *state = iterator.__reduce__()
    if not state or not issubclass(type(args[0]), list):
        return make, args
    return _list_iterator, place_of(iterator)


def place_of(iterator):
    """(list, whether backwards, index) of one over a list; None at the end."""
    _, (values, *_), *state = iterator.__reduce__()
    if not state or not issubclass(type(values), list):
        return None
    return values, type(iterator) is LIST_ITERATORS[1], state[0]


def _reduce_deque_iterator(iterator):
    kind = type(iterator)
    _, (values, passed) = iterator.__reduce__()
    backwards = kind is DEQUE_ITERATORS[1]
    fields = _fields(iterator)
    if fields and fields[1] != _fields(kind(values))[1]:
        if backwards and not fields[2]:
            return iter, ((),)
        return Changed, ("deque mutated during iteration", backwards)
    return _deque_iterator, (values, backwards, passed, len(values))


def _reduce_ordered_iterator(iterator):
    try:
        _, (rest,), *_ = iterator.__reduce__()
    except RuntimeError as error:
        text = str(error)
        return Changed, (text, "changed size" not in text)
    fields = _fields(iterator)
    if not fields or not rest:
        return iter, (tuple(rest),)
    number, (mapping,), size = fields
    kind = _KINDS[number // 2 - 1]
    passed = size - len(rest)
    return _ordered_iterator, (mapping, kind, bool(number & 1), passed, size)


def _reduce_view(view):
    (mapping,) = gc.get_referents(view)
    return _view, (mapping, *VIEWS[type(view)])


LIST_ITERATORS = type(iter([])), type(reversed([]))
VIEWS = {type(_view({}, kind)): (kind,) for kind in _KINDS}
VIEWS |= {type(_view(_OrderedDict(), k, True)): (k, True) for k in _KINDS}
REDUCERS = {
    **dict.fromkeys(LIST_ITERATORS, _reduce_list_iterator),
    **dict.fromkeys(DEQUE_ITERATORS, _reduce_deque_iterator),
    **dict.fromkeys(VIEWS, _reduce_view),
    _ORDERED_ITERATOR: _reduce_ordered_iterator,
}
# Of a clone, which shares the container.
_OF_CLONES = {*DEQUE_ITERATORS, _ORDERED_ITERATOR}
OTHER_ITERATORS = {*_OF_CLONES, OverSet, Changed}


def reduced(iterator):
    """What a clone's is made of."""
    if type(iterator) in _OF_CLONES:
        return REDUCERS[type(iterator)](iterator)
    return iterator.__reduce__()


# What pickle writes by itself.
PICKLED = {*LIST_ITERATORS, DEQUE_ITERATORS[0], SET_ITERATOR, _ORDERED_ITERATOR}
PICKLED |= {kind for kind, (_, backwards) in OVER_DICTS.items() if backwards}
if sys.version_info < (3, 12):
    PICKLED.add(DEQUE_ITERATORS[1])
# What an Unpickler takes from here.
OWN = {
    "Changed",
    "OverSet",
    "_deque_iterator",
    "_list_iterator",
    "_ordered_iterator",
    "_put_all",
    "_rest",
    "_set_rest",
    "_view",
}
