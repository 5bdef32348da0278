"""For pickle.dumps() and copy: what a tasklet and a channel are reduced to.

Pickle asks nobody how to write a function or a class, and knows no cells,
generators or modules.  So what frames refer to directly is wrapped in objects
that are reduced to it, and what is in a class, and in the attributes of its
instances; what is inside other objects pickle has to know by itself.
"""

import copyreg
import io
import operator
import re
import types
import weakref

import stackless
from stackless._freezing import (
    classes,
    codes,
    containers,
    decimals,
    iterators,
    others,
    pickling,
    unpickling,
)
from stackless._freezing.errors import FreezeError

# By id() of what they stand for: one object is one in the pickle, too.
_parts = weakref.WeakValueDictionary()


class _Part:
    """Stands for something that pickle cannot write by itself."""

    __slots__ = ("__weakref__", "runner", "value")

    def __init__(self, value):
        self.value = value
        self.runner = None  # of a generator: a tasklet that is inside of it

    def __reduce_ex__(self, protocol):
        value = self.value
        owner = _owner(value)
        if owner is not None:
            return getattr, (_wrap(owner, None), value.__name__)
        native = _what_is_left_out(value)
        if native is not None:
            state, complete = native
            return pickling._same, (value,), state, None, None, complete
        reducers = pickling.Reducers()
        if self.runner is not None:
            reducers.look_at(self.runner)
        reduced = reducers.reducer_override(value)
        if reduced is NotImplemented:
            reduced = value.__reduce_ex__(max(protocol, 2))
        if type(reduced) is str:
            return pickling._by_name, (value.__module__, reduced)
        make, args, *rest = reduced
        if make is copyreg.__newobj__:
            reduced = pickling._new_object, args, *rest
        elif make is copyreg.__newobj_ex__:
            reduced = pickling._new_object_ex, args, *rest
        elif _is_to_wrap(make):
            reduced = pickling._call, (make, *args), *rest
        return _wrap_reduced(reduced, None, _has_attributes(value))


class _Reduced:
    """Stands for what is loaded from a tuple of __reduce__()."""

    def __init__(self, reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def _has_attributes(value):
    """Whether dicts in its state are nobody's but its own."""
    kinds = type, types.FunctionType, BaseException, *classes.REDUCERS
    of_dataclasses = type(value).__module__ == "dataclasses"
    return (
        codes.is_a(value, kinds)
        or of_dataclasses
        or classes.is_local(type(value))
    )


_SCANNER_METHOD = type(re.compile("").scanner("").search)
_PICKLED = dict.fromkeys(iterators.PICKLED, True)
# Iterators that pickle writes if it can write what they are made of.
_ITERATORS = enumerate, filter, map, reversed, zip, type(iter(int, 1))


def _owner(method):
    """What a method of C's is found in, or None."""
    if type(method) in (types.BuiltinMethodType, _SCANNER_METHOD):
        owner = method.__self__
        return None if isinstance(owner, types.ModuleType) else owner
    if type(method) is types.MethodDescriptorType:
        return method.__objclass__
    return None


def _is_to_wrap(value):
    """What pickle writes as it is must not be: it would be two objects if it
    was met inside another one, too."""
    kind = type(value)
    if kind is types.FunctionType:
        return not pickling._found_by_name(value)
    if kind in (io.BytesIO, io.StringIO):
        return value.closed
    if issubclass(kind, type):
        known = others.reduce_type(value) is not None
        return known or classes.is_local(value)
    if any(kind is known for known in _ITERATORS):
        _, args, *_ = value.__reduce__()
        needed = any(_is_needed(arg) for arg in args)
        return needed or _what_is_left_out(value) is not None
    if any(kind is known for known in containers.LIST_ITERATORS):
        return containers.place_of(value) is not None
    if codes.by_type(_PICKLED, kind):
        return _what_is_left_out(value) is not None
    owner = _owner(value)
    if owner is not None:
        return _is_to_wrap(owner)
    return (
        pickling.Reducers.handles(value)
        or classes.is_local(kind)
        or kind.__module__ == "dataclasses"  # some are known by identity
        or decimals.is_manager_type(kind)
    )


def _is_needed(value, seen=()):
    """Whether pickle cannot write it at all, or makes something else of it."""
    if type(value) is types.MethodType:
        parts = value.__self__, value.__func__
        return any(_is_needed(part, seen) for part in parts)
    if issubclass(type(value), BaseException):
        return not _is_pickled(value, seen)
    return _is_to_wrap(value) and _what_is_left_out(value) is None


def _is_pickled(error, seen=()):
    """Whether pickle can write the exception, without what is set later."""
    if any(error is other for other in seen):
        return True
    if classes.is_local(type(error)) or pickling._native(error) is not None:
        return False
    parts = (*error.args, *codes.attributes_of(error).values())
    return not any(_is_needed(part, (*seen, error)) for part in parts)


def _what_is_left_out(value):
    """Of what pickle writes by itself, so that it is one object wherever it is:
    what has to be set in that, and what sets it.  None: nothing, or all."""
    kind = type(value)
    if issubclass(kind, BaseException):
        if not _is_pickled(value):
            return None
        _, _, (_, *state), *_ = pickling.Reducers().reducer_override(value)
        return (None, *map(_wrap_one, state)), pickling._set_exception
    if codes.by_type(_PICKLED, kind) or any(kind is k for k in _ITERATORS):
        places = iterators.places_in(value)
        if places and all(type(values) is list for _, values, *_ in places):
            return places, containers._put_all
    return None


def _wrap_one(value):
    return _wrap(value, None)


def _wrap_reduced(reduced, runner, attributes=False):
    make, args, *rest = reduced
    if make is copyreg.__newobj__ and _is_to_wrap(args[0]):
        make = pickling._new_object
    args = _wrap(args, runner)
    if make is classes._class:
        args = (*args[:3], _wrap_values(args[3]))
    if rest:
        rest[0] = _wrap(rest[0], runner)
        if attributes:
            rest[0] = _wrap_attributes(rest[0])
    for n in range(1, min(len(rest), 3)):
        if rest[n] is not None:  # items
            rest[n] = iter([_wrap(item, runner) for item in rest[n]])
    return make, args, *rest


def _wrap_attributes(state):
    if type(state) is tuple:
        return tuple(map(_wrap_own, state))
    return _wrap_own(state)


def _wrap_own(part):
    """A part of a state that nobody else refers to."""
    if type(part) is dict:
        return _wrap_values(part)
    if type(part) is list:
        return [_wrap(item, None) for item in part]
    if type(part) is classes._Methods:
        methods = _wrap(part.cls, None), _wrap_values(part.names)
        return _Reduced((classes._set_names, methods))
    return part


# Dicts in a class that belong to how it is made.
_OF_CLASSES = {
    "__annotations__",
    "__dataclass_fields__",
    "_field_defaults",
    "_member_map_",
    "_value2member_map_",
}


def _wrap_values(names):
    """Of a namespace, or attributes."""
    return {
        name: (
            _wrap_values(value)
            if name in _OF_CLASSES and type(value) is dict
            else _wrap(value, None)
        )
        for name, value in names.items()
    }


def _wrap(value, runner):
    """The same with all of it wrapped that needs it."""
    if type(value) is tuple:
        wrapped = tuple(_wrap(item, runner) for item in value)
        if all(a is b for a, b in zip(wrapped, value)):
            return value
        return wrapped
    if not _is_to_wrap(value):
        return value
    part = _parts.get(id(value))
    if part is None:
        part = _parts[id(value)] = _Part(value)
    if runner is not None:
        part.runner = runner
    return part


def _of(kind, value):
    if not isinstance(value, kind):
        raise TypeError(
            f"a {kind.__name__} is needed, not {type(value).__name__}"
        )
    return value


def tasklet(value):
    """The argument of a method, if it is one."""
    return _of(stackless.tasklet, value)


def channel(value):
    """The same for a channel."""
    return _of(stackless.channel, value)


def reduce(value, protocol=2):
    """What __reduce_ex__() of a tasklet or a channel returns."""
    operator.index(protocol)  # or TypeError
    reduced = pickling.Reducers().reducer_override(value)
    if not isinstance(value, stackless.tasklet):
        return _wrap_reduced(reduced, None)
    make, args, (*state, last), *rest = reduced
    if type(last) is pickling._Decimals:
        inside = pickling.has_local_decimals(value)
        last = last.chosen(lambda _: inside)
    return _wrap_reduced((make, args, (*state, last), *rest), value)


class _Pickler(pickling.Pickler):
    """What a deep copy has already made is not written."""

    def __init__(self, file, memo):
        pickling.Pickler.__init__(self, file)
        self.copies = memo
        self.known = []

    def persistent_id(self, value):
        copy = self.copies.get(id(value), self)
        if copy is self:
            return None
        self.known.append(copy)
        return len(self.known) - 1


class _Unpickler(unpickling.Unpickler):
    def __init__(self, file, known):
        unpickling.Unpickler.__init__(self, file)
        self.known = known

    def persistent_load(self, index):
        return self.known[index]


def deep_copy(value, memo):
    """What copy.deepcopy() gives for a tasklet or a channel.

    The memo is told of all that has been copied with it.
    """
    if not isinstance(memo, dict):
        raise TypeError(f"memo is a dict, not {type(memo).__name__}")
    file = io.BytesIO()
    pickler = _Pickler(file, memo)
    try:
        pickler.dump(value)
    except FreezeError:
        pickling.dumps(value)  # says where it is
        raise
    file.seek(0)
    unpickler = _Unpickler(file, pickler.known)
    copy = unpickler.load()
    copies = unpickler.memo.copy()
    originals = pickler.memo.copy()
    for ident, (index, _) in originals.items():
        if index in copies:
            dict.__setitem__(memo, ident, copies[index])
    # As copy does: no other object gets one of these ids meanwhile.
    kept = dict.setdefault(memo, id(memo), [])
    kept += [original for _, original in originals.values()]
    return copy
