"""Classes that cannot be found by name in a module, and what is in them.

Such a class is made anew without running anything of the program's: neither
its body, nor its metaclass's __new__() and __init__(), nor __init_subclass__()
or __set_name__().  What these have done is in its namespace, which goes along.

It exists before anything refers to it: first a class with name, bases and
slots; then its methods, so that instances that its attributes refer to can be
made; then the rest.
"""

import _abc
import abc
import copyreg
import functools
import gc
import sys
import types
import typing
import weakref

from stackless._freezing import codes

HEAP_TYPE = 1 << 9  # type.__flags__
# Of C types; no class statement makes them.
_NATIVE = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GetSetDescriptorType,
    types.ClassMethodDescriptorType,
)
_DESCRIPTORS = staticmethod, classmethod, property
_METHODS = types.FunctionType, *_DESCRIPTORS
# What type has a data descriptor for, whose setter puts it in the namespace.
_SETTABLE = {
    "__abstractmethods__",
    "__annotate__",
    "__annotations__",
    "__doc__",
    "__module__",
    "__type_params__",
}
_TYPE_PARAMETERS = typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple


# --- made when a pickle is loaded --------------------------------------------

class _Made(Exception):
    """A class is made, and that is enough."""


class _Hook:
    """In a namespace: ends type.__new__() before it asks anybody else."""

    owner = None

    def __set_name__(self, owner, name):
        self.owner = owner
        raise _Made


_made = weakref.WeakValueDictionary()  # by id(): classes of frozen data


def _class(metaclass, name, bases, namespace):
    if not all(type(key) is str for key in namespace):
        raise TypeError("a name in a class is no string")
    hook = _Hook()
    try:
        type.__new__(metaclass, name, bases, {"": hook, **namespace})
    except Exception:
        if hook.owner is None:
            raise
    cls = hook.owner
    type.__delattr__(cls, "")
    if issubclass(type(cls), abc.ABCMeta):
        _abc._abc_init(cls)
    _made[id(cls)] = cls
    return cls


def _set_names(cls, names):
    if _made.get(id(cls)) is not cls:
        raise ValueError(f"no class of frozen data: {cls!r}")
    for name, value in names.items():
        type.__setattr__(cls, name, value)
        if type(value) is property:
            property.__set_name__(value, cls, name)


def _set_class(cls, state):
    _, names, registered = state
    _set_names(cls, names)
    for subclass in registered:
        _abc._abc_register(cls, subclass)


def _namespace_cell(cls):
    if not cls.__flags__ & HEAP_TYPE:
        raise ValueError(f"not made by a class statement: {cls!r}")
    return types.CellType(_namespace(cls))


def _property(fget, fset, fdel, doc):
    made = property(fget, fset, fdel)
    if made.__doc__ != doc:
        made.__doc__ = doc
    return made


def _lru_cache(function, maxsize, typed):
    return functools.lru_cache(maxsize, typed)(function)


def _partial_method(function, args, keywords):
    return functools.partialmethod(function, *args, **keywords)


def _descriptor(kind, args):
    base = next(base for base in _DESCRIPTORS if issubclass(kind, base))
    made = base.__new__(kind, *args)
    base.__init__(made, *args)
    return made


def set_attributes(thing, state, set_slot):
    """What object.__getstate__() has given."""
    slots = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    if state:
        thing.__dict__.update(state)
    for name, value in (slots or {}).items():
        set_slot(thing, name, value)


def _update(thing, attributes):
    """Nobody's __setattr__() is asked."""
    set_attributes(thing, attributes, object.__setattr__)


def _mapping_proxy(mapping):
    return types.MappingProxyType(mapping)


def _enum_member(cls, kind, args):
    return kind.__new__(cls, *args)


def _super(cls, *thing):
    return super(cls, *thing)


def _key(function, *value):
    """What functools.cmp_to_key() returns, or what that makes of a value."""
    made = functools.cmp_to_key(function)
    return made(*value) if value else made


def _type_parameter(kind, name, module, constraints, options):
    made = getattr(typing, kind)(name, *constraints, **options)
    made.__module__ = module
    return made


# --- written -----------------------------------------------------------------

class _Methods:
    """Stands for the methods of a class; loaded, it sets them."""

    def __init__(self, cls, names):
        self.cls = cls
        self.names = names

    def __reduce__(self):
        return _set_names, (self.cls, self.names)


def is_found(value, module, qualname):
    """Whether pickle can write it by that name."""
    found = sys.modules.get(module) if type(module) is str else None
    if found is None:
        return False
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found is value


def is_local(cls):
    """Whether a class goes by value."""
    if not cls.__flags__ & HEAP_TYPE:
        return False
    module, qualname = cls.__module__, codes._qualname(cls)
    if is_found(cls, module, qualname):
        return False
    if module not in sys.modules and "<locals>" not in qualname:
        return False
    return not any(
        codes.is_a(value, _NATIVE) and value.__objclass__ is cls
        for name, value in codes.body_of(cls).items()
        if not _is_made_for(cls, name, value)
    )


def _namespace(cls):
    """The dict itself; nobody but a cell may have it."""
    (namespace,) = gc.get_referents(codes.body_of(cls))
    return namespace


def class_of_namespace(content):
    """The class whose own namespace a cell has: from 3.14 on the functions
    that evaluate annotations have such a cell.  Or None."""
    if type(content) is dict and content.keys() >= {"__module__", "__doc__"}:
        for cls in gc.get_referrers(content):
            if issubclass(type(cls), type) and _namespace(cls) is content:
                return cls
    return None


def _is_made_for(cls, name, value):
    """Whether type.__new__() puts it in the namespace by itself."""
    if type(value) is types.GetSetDescriptorType:
        return name in ("__dict__", "__weakref__")
    return (
        type(value) is types.MemberDescriptorType
        and value.__objclass__ is cls
        and value.__name__ == name
    )


def _is_data(metaclass, name):
    """Whether setting that attribute of a class asks a descriptor."""
    for kind in codes.mro_of(metaclass):
        if name in (body := codes.body_of(kind)):
            return hasattr(type(body[name]), "__set__")
    return False


def names_of(cls):
    """Its namespace, without what belongs to the process."""
    names = {
        name: value
        for name, value in codes.body_of(cls).items()
        if not _is_made_for(cls, name, value)
    }
    if issubclass(type(cls), abc.ABCMeta):
        names.pop("_abc_impl", None)
    names.pop("__annotations_cache__", None)
    names.pop("__slotnames__", None)  # copyreg's
    return names


def _slots_of(cls):
    """What __slots__ has been, mangled; None if there is none."""
    body = codes.body_of(cls)
    if "__slots__" not in body:
        return None
    return tuple(
        name for name, value in body.items() if _is_made_for(cls, name, value)
    )


def reduce_class(cls, kept):
    """What a class is made of, or NotImplemented if it goes by name.

    kept: a list that keeps what pickle remembers by its id().
    """
    if type(cls) in copyreg.dispatch_table or not is_local(cls):
        return NotImplemented
    names = names_of(cls)
    first = {"__qualname__": codes._qualname(cls)}
    slots = _slots_of(cls)
    if slots is not None:
        first["__slots__"] = slots
    for name in list(names):
        if name in ("__module__", "__doc__"):
            if type(names[name]) is str:
                first[name] = names.pop(name)
        elif name not in _SETTABLE and _is_data(type(cls), name):
            first[name] = names.pop(name)
    methods = _Methods(cls, {})
    for name, value in list(names.items()):
        if codes.is_a(value, _METHODS):
            methods.names[name] = names.pop(name)
    registered = []
    if issubclass(type(cls), abc.ABCMeta):
        registry, *_ = _abc._get_dump(cls)
        registered = [kind for r in registry if (kind := r()) is not None]
    bases = type.__dict__["__bases__"].__get__(cls)
    name = type.__dict__["__name__"].__get__(cls)
    state = methods, names, registered
    kept += [first, state]
    return (
        _class,
        (type(cls), name, bases, first),
        state,
        None,
        None,
        _set_class,
    )


def _reduces_itself(value):
    """Whether its class says how it is pickled."""
    kind = type(value)
    return (
        kind.__reduce_ex__ is not object.__reduce_ex__
        or kind.__reduce__ is not object.__reduce__
        or kind in copyreg.dispatch_table
    )


def reduce_descriptor(value):
    """A staticmethod, classmethod or property."""
    if codes.is_a(value, property):
        args = value.fget, value.fset, value.fdel, value.__doc__
        if type(value) is property:
            return _property, args
    else:
        args = (value.__func__,)
    if _reduces_itself(value):
        return NotImplemented
    return (
        _descriptor,
        (type(value), args),
        object.__getstate__(value),
        None,
        None,
        _update,
    )


def _reduce_cached_property(value):
    state = vars(value).copy()
    state.pop("lock", None)  # 3.11
    return (
        functools.cached_property,
        (state.pop("func"),),
        state,
        None,
        None,
        _update,
    )


def _reduce_partial_method(value):
    return _partial_method, (value.func, value.args, value.keywords)


def _reduce_lru_cache(value):
    """With nothing in it: it is a cache."""
    attributes = vars(value).copy()
    parameters = attributes.pop("cache_parameters", None)
    if parameters is None or is_found(
        value, value.__module__, value.__qualname__
    ):
        return NotImplemented
    function = attributes.pop("__wrapped__")
    options = parameters()
    return (
        _lru_cache,
        (function, options["maxsize"], options["typed"]),
        attributes,
        None,
        None,
        _update,
    )


def _reduce_mapping_proxy(value):
    return _mapping_proxy, tuple(gc.get_referents(value))


def _reduce_type_parameter(value):
    if is_found(value, value.__module__, value.__name__):
        return NotImplemented
    constraints, options = (), {}
    if type(value) is not typing.TypeVarTuple:
        names = "bound", "covariant", "contravariant", "infer_variance"
        for name in names:
            option = getattr(value, f"__{name}__", None)
            if option:
                options[name] = option
    if type(value) is typing.TypeVar:
        constraints = value.__constraints__
    if sys.version_info >= (3, 13) and value.has_default():
        options["default"] = value.__default__
    kind = type(value).__name__
    return _type_parameter, (
        kind,
        value.__name__,
        value.__module__,
        constraints,
        options,
    )


_of_super = {
    name: super.__dict__[name].__get__ for name in ("__thisclass__", "__self__")
}


def _reduce_super(value):
    cls, thing = (get(value) for get in _of_super.values())
    return _super, (cls,) if thing is None else (cls, thing)


def _reduce_key(value):
    parts = gc.get_referents(value)
    return _key, tuple(part for part in parts if part is not type(value))


def _reduce_singleton(value):
    """What the module dataclasses compares by identity."""
    for name, known in vars(sys.modules["dataclasses"]).items():
        if known is value:
            return name
    return NotImplemented


def _reduce_enum_member(value):
    cls = type(value)
    if not is_local(cls):
        return NotImplemented
    kind, args = cls._member_type_, ()
    if kind is not object:
        if not hasattr(value, "__getnewargs__"):
            return NotImplemented
        args = value.__getnewargs__()
    return (
        _enum_member,
        (cls, kind, args),
        object.__getstate__(value),
        None,
        None,
        _update,
    )


def reduce_other(value):
    """Whatever else is in classes and pickle cannot write, or not well."""
    kind = type(value)
    if kind.__module__ == "dataclasses" and not kind.__dict__.get("__slots__"):
        return _reduce_singleton(value)
    if codes.is_a(value, _DESCRIPTORS):
        return reduce_descriptor(value)
    enum = sys.modules.get("enum")
    if enum is not None and codes.is_a(value, enum.Enum):
        return _reduce_enum_member(value)
    return NotImplemented


REDUCERS = {
    staticmethod: reduce_descriptor,
    classmethod: reduce_descriptor,
    property: reduce_descriptor,
    functools.cached_property: _reduce_cached_property,
    functools.partialmethod: _reduce_partial_method,
    functools._lru_cache_wrapper: _reduce_lru_cache,
    types.MappingProxyType: _reduce_mapping_proxy,
    super: _reduce_super,
}
_KEY = type(functools.cmp_to_key(max))
if _KEY is not types.FunctionType:  # such builds exist
    REDUCERS[_KEY] = _reduce_key
REDUCERS |= dict.fromkeys(_TYPE_PARAMETERS, _reduce_type_parameter)

# What an Unpickler takes from here.
OWN = {
    "_class",
    "_descriptor",
    "_enum_member",
    "_key",
    "_lru_cache",
    "_mapping_proxy",
    "_namespace_cell",
    "_partial_method",
    "_property",
    "_set_class",
    "_set_names",
    "_super",
    "_type_parameter",
    "_update",
}
