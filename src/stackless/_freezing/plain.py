"""For pickle.dumps() and copy: what a tasklet and a channel are reduced to.

Pickle asks nobody how to write a function, and knows no cells, generators or
modules.  So what frames refer to directly is wrapped in objects that are
reduced to it; what is inside other objects pickle has to know by itself.
"""

import operator
import weakref

from stackless._freezing import pickling

# By id() of what they stand for: one object is one in the pickle, too.
_parts = weakref.WeakValueDictionary()


class _Part:
    """Stands for something that pickle cannot write by itself."""

    __slots__ = ("__weakref__", "reducers", "value")

    def __init__(self, value, reducers):
        self.value = value
        self.reducers = reducers

    def __reduce_ex__(self, protocol):
        reduced = self.reducers.reducer_override(self.value)
        if reduced is NotImplemented:
            function = self.value
            return pickling._by_name, (
                function.__module__,
                function.__qualname__,
            )
        return _wrap_reduced(reduced, self.reducers)


def _wrap_reduced(reduced, reducers):
    make, args, *rest = reduced
    if rest:
        rest[0] = _wrap(rest[0], reducers)
    return make, _wrap(args, reducers), *rest


def _wrap(value, reducers):
    """The same with all of it wrapped that needs it."""
    if type(value) is tuple:
        wrapped = tuple(_wrap(item, reducers) for item in value)
        if all(a is b for a, b in zip(wrapped, value)):
            return value
        return wrapped
    if not reducers.handles(value):
        return value
    part = _parts.get(id(value))
    if part is None:
        part = _parts[id(value)] = _Part(value, reducers)
    return part


def reduce(value, protocol=2):
    """What __reduce_ex__() of a tasklet or a channel returns."""
    operator.index(protocol)  # or TypeError
    reducers = pickling.Reducers()
    return _wrap_reduced(reducers.reducer_override(value), reducers)


def deep_copy(value, memo):
    """What copy.deepcopy() gives for a tasklet or a channel."""
    copy = memo[id(value)] = pickling.loads(pickling.dumps(value))
    return copy
