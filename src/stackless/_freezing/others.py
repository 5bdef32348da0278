"""Objects that pickle does not know and whose parts can be had: contexts,
weak references, views of bytes, matches of regular expressions, csv's dialects.

A weak reference takes along what it refers to.  If nothing else does, that is
gone once the pickle is loaded, and the reference is dead.
"""

import _weakrefset
import builtins
import contextvars
import gc
import pickle
import re
import sys
import types
import weakref

from stackless._freezing import codes, decimals, iterators

_WEAK = {
    weakref.WeakSet: "WeakSet",
    weakref.WeakValueDictionary: "WeakValueDictionary",
    weakref.WeakKeyDictionary: "WeakKeyDictionary",
}
_DIALECT = (
    "delimiter",
    "doublequote",
    "escapechar",
    "lineterminator",
    "quotechar",
    "quoting",
    "skipinitialspace",
    "strict",
)
ITERATION_GUARD = getattr(_weakrefset, "_IterationGuard", None)  # up to 3.13
# Types that are named in the module types, and called otherwise.
_TYPES = {
    kind: name
    for name, kind in vars(types).items()
    if isinstance(kind, type) and not hasattr(builtins, kind.__name__)
    and kind.__module__ == "builtins"
}
_MATCHING = "search", "match", "fullmatch"


# --- made when a pickle is loaded --------------------------------------------

def _context():
    return contextvars.Context()


def _set_context(context, values):
    for variable, value in values:
        context.run(variable.set, value)


def _dead_reference():
    return weakref.ref(set())


def _reference(value, callback):
    return weakref.ref(value, callback)


def _type(name):
    return next(kind for kind, known in _TYPES.items() if known == name)


def _dead_method():
    return weakref.WeakMethod(_Mortal().method)


class _Mortal:
    def method(self):
        """Is gone with what it is of."""


def _weak_method(value, function, callback):
    return weakref.WeakMethod(types.MethodType(function, value), callback)


def _weak(kind):
    return getattr(weakref, next(k for k in _WEAK.values() if k == kind))()


def _fill(collection, values):
    collection.update(values)


def _view(value, kind, shape):
    view = memoryview(value)
    if kind == "B" and len(shape) == 1:
        return view
    return view.cast(kind, shape)


def _match(pattern, how, text, start, end):
    found = getattr(pattern, next(h for h in _MATCHING if h == how))(
        text, start, end
    )
    if found is None:
        raise ValueError(f"{pattern!r} does not match any more")
    return found


def _dialect(options):
    import _csv

    return _csv.Dialect(**options)


def _iteration_guard(container):
    return ITERATION_GUARD(container).__enter__()


# --- written -----------------------------------------------------------------

def _namespaces():
    """(name, namespace) of the modules, the main program's last."""
    modules = sys.modules.copy()
    for name in sorted(modules, key=lambda name: name == "__main__"):
        if issubclass(type(modules[name]), types.ModuleType):
            yield name, modules[name].__dict__


def module_of(namespace):
    """The name of the module whose namespace it is, or None."""
    names = (name for name, known in _namespaces() if known is namespace)
    return next(names, None)


def name_of_variable(variable):
    """(module, attribute) under which a ContextVar is found, or None."""
    for name, namespace in _namespaces():
        if namespace.get(variable.name) is variable:
            return name, variable.name
    for name, namespace in _namespaces():
        for key, value in namespace.copy().items():
            if value is variable:
                return name, key
    return None


def reduce_type(kind):
    """One that is not found by its own name, or None."""
    reduced = decimals.reduce_type(kind)
    if reduced is not None:
        return reduced
    name = codes.by_type(_TYPES, kind)
    return None if name is None else (_type, (name,))


def context_of(tasklet):
    """The Context itself, or None."""
    ident = tasklet.context_id
    return next((c for c in gc.get_referents(tasklet) if id(c) == ident), None)


def decimals_of(tasklet):
    """The contexts with which decimal calculates in it: a tuple."""
    if "decimal" not in sys.modules and "_pydecimal" not in sys.modules:
        return ()
    return decimals.contexts_in(context_of(tasklet))


def _reduce_context(context):
    values = tuple(context.items())
    return _context, (), values, None, None, _set_context


def _reduce_reference(reference):
    value = reference()
    if value is None:
        return _dead_reference, ()
    return _reference, (value, reference.__callback__)


def _refuse_proxy(proxy):
    """Pickle would take it for the object itself, and copy that."""
    raise pickle.PicklingError(f"cannot pickle {type(proxy).__name__!r} object")


def _reduce_weak_method(reference):
    method = reference()
    if method is None:
        return _dead_method, ()
    cells = reference.__callback__.__closure__
    names = reference.__callback__.__code__.co_freevars
    callback = dict(zip(names, cells))["callback"].cell_contents
    return _weak_method, (method.__self__, method.__func__, callback)


def _refuse_finalizer(finalizer):
    """That of a copy would be one that nobody knows of."""
    if not finalizer.alive:
        return NotImplemented
    raise pickle.PicklingError("cannot pickle 'finalize' object")


def _reduce_weak(collection):
    values = list(
        collection
        if type(collection) is weakref.WeakSet
        else collection.items()
    )
    return _weak, (_WEAK[type(collection)],), values, None, None, _fill


def _reduce_view(view):
    """One of bytes, or of a whole bytearray."""
    owner = view.obj
    if type(owner) not in (bytes, bytearray) or not view.c_contiguous:
        return NotImplemented
    if view.nbytes != len(owner):
        if type(owner) is bytearray:
            return NotImplemented
        owner = view.tobytes()
    if view.readonly != (type(owner) is bytes):
        return NotImplemented
    plain = view.format == "B" and view.ndim == 1
    if not plain and 0 in (view.ndim, view.nbytes):
        return NotImplemented  # cast() does not make it
    return _view, (owner, view.format, view.shape)


def _reduce_match(match):
    """By matching again; not if that comes to something else."""
    text, end = match.string, match.endpos
    for start in dict.fromkeys((match.pos, match.start())):
        for how in _MATCHING:
            found = getattr(match.re, how)(text, start, end)
            if found is not None and found.regs == match.regs:
                return _match, (match.re, how, text, start, end)
    return NotImplemented


def _reduce_dialect(dialect):
    return _dialect, ({name: getattr(dialect, name) for name in _DIALECT},)


def _reduce_iteration_guard(guard):
    """What holds a weak collection's items while it is iterated over."""
    container = guard.weakcontainer()
    if container is None:
        return NotImplemented
    return _iteration_guard, (container,)


REDUCERS = {
    contextvars.Context: _reduce_context,
    memoryview: _reduce_view,
    re.Match: _reduce_match,
    weakref.CallableProxyType: _refuse_proxy,
    weakref.WeakMethod: _reduce_weak_method,
    weakref.finalize: _refuse_finalizer,
    weakref.ProxyType: _refuse_proxy,
    weakref.ref: _reduce_reference,
}
REDUCERS |= dict.fromkeys(_WEAK, _reduce_weak)
if ITERATION_GUARD is not None:
    REDUCERS[ITERATION_GUARD] = _reduce_iteration_guard
if iterators.DIALECT is not None:
    REDUCERS[iterators.DIALECT] = _reduce_dialect

# What an Unpickler takes from here.
OWN = {
    "_context",
    "_dead_reference",
    "_dialect",
    "_fill",
    "_dead_method",
    "_iteration_guard",
    "_match",
    "_reference",
    "_set_context",
    "_type",
    "_view",
    "_weak",
    "_weak_method",
}
