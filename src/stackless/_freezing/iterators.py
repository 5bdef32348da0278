"""Iterators: what each of them is made of.

Those of itertools and a few others do not tell, or not all of it.  So their
fields are read and written.  Where these are is known for each type; before
the first use samples show whether it is true, and a type that does not fit is
refused.
"""

import contextvars
import gc
import itertools
import pickle
import re
import sys

from stackless import _core
from stackless._freezing import codes, containers

try:
    import array
except ImportError:  # such builds exist
    array = None
try:
    import _csv
except ImportError:  # such builds exist
    _csv = None

_NEW = sys.version_info >= (3, 14)

# --- samples: iterators, and what is in their fields -------------------------

# Numbers, and tuples of numbers, as they are; (object,) or () for NULL.


def _own(iterator, kind, first):
    """What only the iterator refers to: a tuple or list that begins so."""
    return next(
        x
        for x in gc.get_referents(iterator)
        if type(x) is kind and x and x[0] is first
    )


def _accumulate():
    it, first = iter([1]), "first"
    sample = itertools.accumulate(it, max, initial=first)
    yield sample, ((), (it,), (max,), (first,))
    next(sample)
    yield sample, ((first,), (it,), (max,), (None,))
    yield itertools.accumulate(it), ((), (it,), (), (None,))


def _batched():
    it = iter([1])
    strict = (0,) if sys.version_info >= (3, 13) else ()
    yield itertools.batched(it, 7), ((it,), 7, *strict)
    if strict:
        yield itertools.batched(it, 5, strict=True), ((it,), 5, 1)
    sample = itertools.batched(iter(()), 5)
    next(sample, None)
    yield sample, ((), -1 if _NEW else 5, *strict)


def _chain():
    active = iter([1, 2])
    source = iter([active, ()])
    sample = itertools.chain.from_iterable(source)
    yield sample, ((source,), ())
    next(sample)
    yield sample, ((source,), (active,))
    list(sample)
    yield sample, ((), ())


def _combinations():
    pool = ("a", "b", "c")
    sample = itertools.combinations(pool, 2)
    yield sample, ((pool,), (0, 1), (), 2, 0)
    next(sample)
    yield sample, ((pool,), (0, 2), (next(sample),), 2, 0)
    yield itertools.combinations(pool, 4), ((pool,), (0, 1, 2, 3), (), 4, 1)


def _combinations_with_replacement():
    pool = ("a", "b", "c")
    sample = itertools.combinations_with_replacement(pool, 2)
    yield sample, ((pool,), (0, 0), (), 2, 0)
    next(sample)
    yield sample, ((pool,), (0, 1), (next(sample),), 2, 0)
    sample = itertools.combinations_with_replacement((), 2)
    yield sample, (((),), (0, 0), (), 2, 1)


def _compress():
    data, selectors = iter([1]), iter([2])
    yield itertools.compress(data, selectors), ((data,), (selectors,))


def _count():
    one, start, step = 1, 1.5, 2.5
    yield itertools.count(3, one), (3, (), (one,))
    yield itertools.count(start, step), (sys.maxsize, (start,), (step,))


def _cycle():
    it, first = iter(["a", "b"]), "a"
    sample = itertools.cycle(it)
    next(sample)
    saved = _own(sample, list, first)
    begun, saved_already = (-1, ()) if _NEW else (0, (0,))
    yield sample, ((it,), (saved,), begun, *saved_already)
    next(sample), next(sample)
    yield sample, ((), (saved,), 1, *saved_already)


def _dropwhile():
    it = iter([1, 0, 1])
    sample = itertools.dropwhile(bool, it)
    yield sample, ((bool,), (it,), 0)
    next(sample)
    yield sample, ((bool,), (it,), 1)


def _filterfalse():
    it = iter([1])
    yield itertools.filterfalse(bool, it), ((bool,), (it,))


def _groupby():
    it, key = iter(["a1", "b1"]), {"a1": "a", "b1": "b"}.get
    sample = itertools.groupby(it, key)
    yield sample, ((it,), (key,), (), (), (), ())
    _, group = next(sample)
    yield sample, ((it,), (key,), ("a",), ("a",), ("a1",), (group,))
    list(group)
    yield sample, ((it,), (key,), ("a",), ("b",), ("b1",), (group,))


def _grouper():
    first = "first"
    parent = itertools.groupby([first])
    _, sample = next(parent)
    yield sample, ((parent,), (first,))


def _islice():
    it = iter(range(20))
    sample = itertools.islice(it, 2, 19, 4)
    yield sample, ((it,), 2, 19, 4, 0)
    next(sample)
    yield sample, ((it,), 6, 19, 4, 3)
    yield itertools.islice(it, None), ((it,), 0, -1, 1, 0)


def _pairwise():
    second = "second"
    it = iter(["first", second, "third"])
    sample = itertools.pairwise(it)
    yield sample, ((it,), ())
    next(sample)
    yield sample, ((it,), (second,))


def _permutations():
    pool = ("a", "b", "c")
    sample = itertools.permutations(pool, 2)
    yield sample, ((pool,), (0, 1, 2), (3, 2), (), 2, 0)
    next(sample)
    last = next(sample)
    yield sample, ((pool,), (0, 2, 1), (3, 1), (last,), 2, 0)
    sample = itertools.permutations(pool, 4)
    yield sample, ((pool,), (0, 1, 2), (3, 2, 1, 0), (), 4, 1)


def _product():
    first, second = ("a", "b"), ("c", "d")
    sample = itertools.product(first, second)
    pools = _own(sample, tuple, first)
    yield sample, ((pools,), (0, 0), (), 0)
    next(sample)
    yield sample, ((pools,), (0, 1), (next(sample),), 0)
    sample = itertools.product()
    last = next(sample)
    next(sample, None)
    yield sample, (((),), (), (last,), 1)


def _repeat():
    yield itertools.repeat("a", 5), (("a",), 5)
    yield itertools.repeat("a"), (("a",), -1)


def _starmap():
    it = iter([1])
    yield itertools.starmap(max, it), ((max,), (it,))


def _takewhile():
    it = iter([0])
    sample = itertools.takewhile(bool, it)
    yield sample, ((bool,), (it,), 0)
    next(sample, None)
    yield sample, ((bool,), (it,), 1)


def _tee():
    sample, other = itertools.tee("ab")
    next(other)
    data = gc.get_referents(sample)[-1]
    yield sample, ((data,), 0)
    yield other, ((data,), 1)


def _tee_dataobject():
    it, values = iter([1]), [str(n) for n in range(57)]
    link = itertools._tee_dataobject(it, ["a"], None)
    yield link, ((it,), 1, 0, (), ("a",))
    sample = itertools._tee_dataobject(it, values, link)
    yield sample, ((it,), 57, 0, (link,), tuple(values))


def _zip_longest():
    first, second = iter(()), iter([1, 2])
    sample = itertools.zip_longest(first, second, fillvalue="a")
    its = _own(sample, tuple, first)
    yield sample, (2, 2, (its,), ("a",))
    next(sample)
    yield sample, (2, 1, (its,), ("a",))


def _memory_iterator():
    view = memoryview(b"abc")
    sample = iter(view)
    yield sample, ((view,), 0)
    next(sample)
    yield sample, ((view,), 1)
    list(sample)
    yield sample, ((), 3)


def _csv_reader():
    lines = iter(["a,b", "c", '"d', 'e"'])
    sample = _csv.reader(lines)
    dialect = sample.dialect
    next(sample), next(sample)
    yield sample, ((lines,), (dialect,), (), 0, 2)
    next(sample)
    yield sample, ((lines,), (dialect,), (), 0, 4)


def _scanner():
    for text in ("aba", "a\u1234a", "a\U00012345a"):
        pattern = re.compile("a|")
        sample = pattern.scanner(text, 1, 7)
        yield sample, ((pattern,), (text,), 1, 3, 1, 0)
        sample.search()
        yield sample, ((pattern,), (text,), 1, 3, 1, 1)
        sample.search()
        yield sample, ((pattern,), (text,), 1, 3, 3, 0)
        sample.search(), sample.search()
        yield sample, ((pattern,), (text,), 1, 3, -1, 0)


def _token():
    context, variable, first = contextvars.Context(), _SAMPLE, "first"
    yield context.run(variable.set, first), ((context,), (variable,), (), 0)
    sample = context.run(variable.set, "second")
    yield sample, ((context,), (variable,), (first,), 0)
    context.run(variable.reset, sample)
    yield sample, ((context,), (variable,), (first,), 1)


_SAMPLE = contextvars.ContextVar("_SAMPLE")


# --- the types ---------------------------------------------------------------


def _fresh_zip(state):
    """Only when it is made it is told how long its tuples are."""
    iterators = state[2] if len(state) == 4 else ()
    return itertools.zip_longest(*((),) * len(iterators))


def _fresh_memory_iterator(state):
    return iter(state[0][0] if state[0] else memoryview(b""))


def _fresh_csv_reader(state):
    return _csv.reader(state[0][0], state[1][0])


def _fresh_scanner(state):
    (pattern,), (text,), start, end, *_ = state
    return pattern.scanner(text, start, end)


def _fresh_token(state):
    return contextvars.Context().run(state[1][0].set, None)


_MEMORY_ITERATOR = type(iter(memoryview(b"")))
SCANNER = type(re.compile("").scanner(""))
CSV_READER = type(_csv.reader(())) if _csv is not None else None
DIALECT = _csv.Dialect if _csv is not None else None
# Types that no module shows by their names.
_HIDDEN = {
    "csv.reader": CSV_READER,
    "memory_iterator": _MEMORY_ITERATOR,
    "scanner": SCANNER,
    **containers.HIDDEN,
}
_NAMES = {kind: name for name, kind in _HIDDEN.items()}

# A fresh one, to be given the state; and its samples.
_TYPES = {
    itertools.accumulate: (lambda _: itertools.accumulate(()), _accumulate),
    itertools.chain: (lambda _: itertools.chain(), _chain),
    itertools.combinations: (
        lambda _: itertools.combinations((), 0),
        _combinations,
    ),
    itertools.combinations_with_replacement: (
        lambda _: itertools.combinations_with_replacement((), 0),
        _combinations_with_replacement,
    ),
    itertools.compress: (lambda _: itertools.compress((), ()), _compress),
    itertools.count: (lambda _: itertools.count(), _count),
    itertools.cycle: (lambda _: itertools.cycle(()), _cycle),
    itertools.dropwhile: (lambda _: itertools.dropwhile(None, ()), _dropwhile),
    itertools.filterfalse: (
        lambda _: itertools.filterfalse(None, ()),
        _filterfalse,
    ),
    itertools.groupby: (lambda _: itertools.groupby(()), _groupby),
    itertools._grouper: (None, _grouper),
    itertools.islice: (lambda _: itertools.islice((), 0), _islice),
    itertools.pairwise: (lambda _: itertools.pairwise(()), _pairwise),
    itertools.permutations: (lambda _: itertools.permutations(()), _permutations),
    itertools.product: (lambda _: itertools.product(), _product),
    itertools.repeat: (lambda _: itertools.repeat(None), _repeat),
    itertools.starmap: (lambda _: itertools.starmap(None, ()), _starmap),
    itertools.takewhile: (lambda _: itertools.takewhile(None, ()), _takewhile),
    itertools._tee: (lambda _: itertools._tee(()), _tee),
    itertools._tee_dataobject: (
        lambda _: itertools._tee_dataobject(iter(()), [], None),
        _tee_dataobject,
    ),
    itertools.zip_longest: (_fresh_zip, _zip_longest),
    _MEMORY_ITERATOR: (_fresh_memory_iterator, _memory_iterator),
    SCANNER: (_fresh_scanner, _scanner),
    contextvars.Token: (_fresh_token, _token),
}
if sys.version_info >= (3, 12):
    _TYPES[itertools.batched] = lambda _: itertools.batched((), 1), _batched
if _csv is not None:
    _TYPES[CSV_READER] = _fresh_csv_reader, _csv_reader
_TYPES |= containers.TYPES
TYPES = frozenset(_TYPES)
# A clone of a program shares all others.
ITERATORS = TYPES - {contextvars.Token}


def is_known(kind):
    """Whether its fields are where they are looked for."""
    return containers.is_known(kind, _TYPES[kind][1])


# --- their states ------------------------------------------------------------


def _in_use(group):
    """The groupby() of a group that is not over, and its key."""
    (parent,), (key,) = _core._iterator_state(group)
    if _core._iterator_state(parent)[5] != id(group):
        return itertools.groupby(()), None
    return parent, key


def state_of(iterator):
    """(type, state): arguments of make()."""
    kind = type(iterator)
    if not is_known(kind):
        raise pickle.PicklingError(
            f"{kind.__module__}.{kind.__qualname__} cannot be written on "
            f"CPython {sys.version.split()[0]}"
        )
    if kind is itertools._grouper:
        return kind, _in_use(iterator)
    state = _core._iterator_state(iterator)
    if kind is itertools.groupby:
        state = (*state[:5], 0)  # its group tells whether it is in use
    if kind is CSV_READER:
        source, dialect, row, place, lines = state
        if place or any(row):
            raise pickle.PicklingError("csv.reader in the middle of a row")
        state = source, dialect, (), 0, lines
    return kind, state


def make(kind, state):
    """The iterator that has that state; ValueError if there is none."""
    if type(kind) is str:
        kind = _HIDDEN.get(kind)
    if kind not in TYPES or not is_known(kind):
        raise ValueError(f"no iterator that can be made: {kind!r}")
    if type(state) is not tuple:
        raise ValueError(f"not the state of a {kind.__name__}")
    fresh, _ = _TYPES[kind]
    if fresh is None:
        return kind(*state)
    try:
        iterator = fresh(state)
    except Exception as error:
        raise ValueError(f"not the state of a {kind.__name__}") from error
    if type(iterator) is not kind:
        raise ValueError(f"not the state of a {kind.__name__}")
    _core._set_iterator_state(iterator, state)
    return iterator


# Fields whose items are what a container of the program held; copies share them.
_KEPT_ITEMS = {itertools.cycle: 1, itertools._tee_dataobject: 4}


def copied(iterator, copy, copy_source):
    """Another one in the same state; what it refers to is copied by copy(),
    what a chain() goes over by copy_source()."""
    is_chain = type(iterator) is itertools.chain
    if type(iterator) in TYPES:
        kind, state = state_of(iterator)
        if kind is itertools._grouper:
            return kind(*map(copy, state))
        kept = _KEPT_ITEMS.get(kind)
        copies = [copy_source if is_chain else copy]
        copies += [copy] * (len(state) - 1)
        return make(kind, tuple(
            tuple(map(copy_it, field))
            if type(field) is tuple and number != kept
            else field
            for number, (field, copy_it) in enumerate(zip(state, copies))
        ))
    new, args, *state = containers.reduced(iterator)
    other = new(*map(copy, args))
    if state and state[0] is not None:
        other.__setstate__(state[0])
    return other


def reduce(iterator):
    """Of one of ITERATORS; what is in it is made for that."""
    kind, state = state_of(iterator)
    if kind is containers.SET_ITERATOR:
        return containers.reduce_set_iterator(state)
    if kind in containers.OVER_DICTS:
        state = containers.dict_state(kind, state)
    return make, (_NAMES.get(kind, kind), state)


class _Sequence:
    def __getitem__(self, index):
        raise IndexError


# Those that a clone of a program has for itself.
COPIED = {
    type(iter([])),
    type(iter(())),
    type(iter("")),
    type(iter("\u1234")),
    type(iter(b"")),
    type(iter(bytearray())),
    type(iter(range(1))),
    type(iter(range(1 << 70))),
    type(reversed([])),
    type(iter(_Sequence())),
    type(iter(int, 1)),
    enumerate,
    filter,
    map,
    reversed,
    zip,
    *containers.OTHER_ITERATORS,
    *ITERATORS,
}
if array is not None:
    COPIED.add(type(iter(array.array("b"))))

# What pickle writes by itself.
PICKLED = set(containers.PICKLED)
if not _NEW:
    PICKLED |= {
        kind
        for kind in TYPES - {itertools.groupby, itertools._grouper}
        if kind.__module__ == "itertools" and "__reduce__" in vars(kind)
    }


def places_in(iterator):
    """(iterator, list, whether backwards, index) of all over lists that it is, or
    goes over."""
    found, todo = [], [iterator]
    for part in todo:
        kind = type(part)
        if kind in containers.LIST_ITERATORS:
            place = containers.place_of(part)
            if place is not None:
                found.append((part, *place))
        elif kind is tuple or kind in COPIED:
            todo += [
                x
                for x in gc.get_referents(part)
                if codes.by_type(_LED_TO, type(x))
                and not any(x is other for other in todo)
            ]
    return found


_LED_TO = dict.fromkeys({tuple, *COPIED}, True)

# What an Unpickler takes from here.
OWN = {"make"}
