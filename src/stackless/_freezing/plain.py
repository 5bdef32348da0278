"""For pickle.dumps() and copy: what a tasklet and a channel are reduced to.

Pickle asks nobody how to write a function, and knows no cells, generators or
modules.  So what frames refer to directly is wrapped in objects that are
reduced to it; what is inside other objects pickle has to know by itself.
"""

import operator
import weakref

import stackless
from stackless._freezing import pickling

# By id() of what they stand for: one object is one in the pickle, too.
_parts = weakref.WeakValueDictionary()


class _Part:
    """Stands for something that pickle cannot write by itself."""

    __slots__ = ("__weakref__", "runner", "value")

    def __init__(self, value):
        self.value = value
        self.runner = None  # of a generator: a tasklet that is inside of it

    def __reduce_ex__(self, protocol):
        reducers = pickling.Reducers()
        if self.runner is not None:
            reducers.look_at(self.runner)
        reduced = reducers.reducer_override(self.value)
        if reduced is NotImplemented:
            function = self.value
            return pickling._by_name, (
                function.__module__,
                function.__qualname__,
            )
        return _wrap_reduced(reduced, None)


def _wrap_reduced(reduced, runner):
    make, args, *rest = reduced
    if rest:
        rest[0] = _wrap(rest[0], runner)
    return make, _wrap(args, runner), *rest


def _wrap(value, runner):
    """The same with all of it wrapped that needs it."""
    if type(value) is tuple:
        wrapped = tuple(_wrap(item, runner) for item in value)
        if all(a is b for a, b in zip(wrapped, value)):
            return value
        return wrapped
    if not pickling.Reducers.handles(value):
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
    runner = value if isinstance(value, stackless.tasklet) else None
    return _wrap_reduced(reduced, runner)


def deep_copy(value, memo):
    """What copy.deepcopy() gives for a tasklet or a channel."""
    if not isinstance(memo, dict):
        raise TypeError(f"memo is a dict, not {type(memo).__name__}")
    copy = pickling.loads(pickling.dumps(value))
    dict.__setitem__(memo, id(value), copy)
    return copy
