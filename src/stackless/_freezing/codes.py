"""How pickles of suspended programs name code objects.

A code object is found again by importing its module, and compared with what
it was by a digest of what it does.  One that cannot be found goes by value.

A reference is a tuple: kind, module, qualified name, and the place, which is

    "live": owner, index, path    in a function that the module shows as
                                  `owner`, or in the function number `index`
                                  of those that decorators put around it
    "file": path                  in the module's code, as its loader reads it

with path = indexes into the co_consts of one code object after the other.
None of this runs the program's own code, but for importing its modules.
"""

import functools
import hashlib
import importlib.util
import io
import marshal
import opcode
import os
import pickle
import sys
import types
import weakref

from stackless import _core
from stackless._freezing.errors import ChangedCodeError, MissingCodeError

EXTENDED_ARG = opcode.EXTENDED_ARG
LOAD_CONST = opcode.opmap["LOAD_CONST"]
LOAD_SMALL_INT = opcode.opmap.get("LOAD_SMALL_INT")  # 3.14
STORE_NAME = opcode.opmap["STORE_NAME"]

NO_MONITORING_EVENTS = 0x2000000  # of ours, but in debug builds

MAX_MISSING = 1000  # digests remembered, for a module, of what it has not


# --- the digest --------------------------------------------------------------

def digest(code):
    """Eight bytes that differ if two code objects do different things.

    Lines and file names do not count.
    """
    return _core._code_digest(code, new_digest)


def new_digest(code):
    """The same, not remembered."""
    return hashlib.blake2b(_meaning(code), digest_size=8).digest()


def _meaning(code):
    return _encode((
        code.co_qualname,
        code.co_flags & ~NO_MONITORING_EVENTS,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_stacksize,
        code.co_exceptiontable,
        code.co_names,
        code.co_varnames,
        code.co_cellvars,
        code.co_freevars,
        *_behaviour(code),
    ))


def _behaviour(code):
    """The instructions and the constants.

    From 3.13 on the body of a class stores its line number, which moves its
    other constants, and 3.13.0 has __static_attributes__ in any order.
    """
    if "__firstlineno__" not in code.co_names:
        return code.co_code, code.co_consts
    steps = []
    argument = 0
    for operation, byte in zip(code.co_code[::2], code.co_code[1::2]):
        argument = argument << 8 | byte
        if operation == EXTENDED_ARG:
            continue
        if operation in opcode.hasconst:
            argument = code.co_consts[argument]
        elif operation == LOAD_SMALL_INT:
            operation = LOAD_CONST
        elif operation == STORE_NAME and steps:
            name = code.co_names[argument]
            if name == "__firstlineno__":
                steps[-1] = None
            elif name == "__static_attributes__":
                _, names = steps[-1]
                if type(names) is tuple:
                    steps[-1] = frozenset(names)
        steps.append((operation, argument))
        argument = 0
    return tuple(steps), None


def _encode(value):
    """Bytes that stand for a constant and for no other."""
    kind = type(value)
    if kind is tuple:
        body = b"".join(map(_encode, value))
    elif kind is str:
        body = value.encode("utf-8", "surrogatepass")
    elif kind is bytes:
        body = value
    elif kind is int:
        body = b"%x" % value
    elif kind is float:
        body = value.hex().encode()
    elif kind is complex:
        body = _encode((value.real, value.imag))
    elif kind is slice:
        body = _encode((value.start, value.stop, value.step))
    elif kind is frozenset:
        body = b"".join(sorted(map(_encode, value)))
    elif kind is types.CodeType:
        body = digest(value)
    elif kind is bool:
        body = b"1" if value else b"0"
    else:  # None, Ellipsis, and what no compiler makes: only its type counts
        body = b""
    head = f"{_qualname(kind)} {len(body)} "
    return head.encode("utf-8", "surrogatepass") + body


# --- looking at objects without asking them ----------------------------------

def is_a(value, kinds):
    """isinstance() without a look at its __class__, which a proxy makes up."""
    return issubclass(type(value), kinds)


def by_type(table, kind):
    """What a table has for a type; its metaclass may have no hash."""
    try:
        return table.get(kind)
    except TypeError:
        return None



_qualname = type.__dict__["__qualname__"].__get__
mro_of = type.__dict__["__mro__"].__get__
body_of = type.__dict__["__dict__"].__get__
_namespace = types.ModuleType.__dict__["__dict__"].__get__


def _getters(kind, *names):
    return kind, [vars(kind)[name].__get__ for name in names]


_HOLDERS = [
    _getters(staticmethod, "__func__"),
    _getters(classmethod, "__func__"),
    _getters(property, "fget", "fset", "fdel"),
    _getters(types.MethodType, "__func__"),
    _getters(functools.partial, "func"),
]

# Followed wherever they are found; these keep the rest in their __dict__.
_WRAPPERS = (
    types.FunctionType,
    functools.cached_property,
    functools.partialmethod,
    functools.singledispatchmethod,
    type(functools.lru_cache(digest)),
    *(kind for kind, _ in _HOLDERS),
)


def attributes_of(value):
    """A copy of the object's __dict__; empty if its class made its own."""
    for kind in mro_of(type(value)):
        getter = body_of(kind).get("__dict__")
        if getter is not None:
            if type(getter) is types.GetSetDescriptorType:
                attributes = getter.__get__(value)
                if issubclass(type(attributes), dict):
                    return dict.copy(attributes)
            break
    return {}


def _cells(function):
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # empty
            continue
        yield content
        if type(content) is dict and (
            function.__globals__ is functools.__dict__
        ):
            yield from content.copy().values()  # singledispatch's registry


def _held(value):
    """The functions, and the wrappers of functions, that an object holds."""
    kind = type(value)
    if issubclass(kind, (type, types.ModuleType)):
        return []
    attributes = attributes_of(value)
    wrapped = attributes.pop("__wrapped__", None)
    held = list(attributes.values())
    if kind is types.FunctionType:
        held += _cells(value)
    for holder, getters in _HOLDERS:
        if issubclass(kind, holder):
            held += [getter(value) for getter in getters]
    return [wrapped, *(x for x in held if issubclass(type(x), _WRAPPERS))]


def _functions(value, namespace):
    """The module's functions in a value that it shows, outermost first."""
    seen = set()
    todo = [value]
    for value in todo:
        if id(value) in seen:
            continue
        seen.add(id(value))
        if (
            type(value) is types.FunctionType
            and value.__globals__ is namespace
        ):
            yield value
        todo += _held(value)


def _shown(name, namespace):
    """(owner, value) of what a module and its classes show."""
    seen = set()
    todo = [("", namespace)]
    for prefix, names in todo:
        for key, value in names.copy().items():
            if type(key) is not str or "." in key:
                continue
            owner = prefix + key
            if not issubclass(type(value), type):
                yield owner, value
            elif id(value) not in seen:
                seen.add(id(value))
                body = body_of(value)
                module = body.get("__module__")
                if type(module) is str and module == name:
                    todo.append((owner + ".", body))


def _value(namespace, keys):
    """What a module shows as "a.b.c", given as a tuple, or None."""
    value = namespace.get(keys[0])
    for key in keys[1:]:
        if not issubclass(type(value), type):
            return None
        value = body_of(value).get(key)
    return value


def _at(namespace, owner, index, path):
    """The code at a "live" place, or None."""
    value = _value(namespace, owner.split("."))
    if not index and type(value) is types.FunctionType and (
        value.__globals__ is namespace
    ):
        return _inside(value.__code__, path)
    for position, function in enumerate(_functions(value, namespace)):
        if position == index:
            return _inside(function.__code__, path)
    return None


def _leads(place, namespace):
    """Whether one of _Module.places() still leads to its code."""
    code, reference, _, root, keys = place
    value = namespace.get(keys[0])
    if len(keys) > 1:
        value = _value(namespace, keys)
    if type(value) is types.FunctionType and value.__code__ is root:
        return True
    return _at(namespace, *reference[3:]) is code


def _inside(code, path):
    """The code that a path leads to from another, which may be None."""
    for index in path:
        if code is None or index >= len(code.co_consts):
            return None
        code = code.co_consts[index]
        if type(code) is not types.CodeType:
            return None
    return code


def _with_nested(code, path=()):
    """(path, code) of a code object and of all that it contains."""
    yield path, code
    for index, constant in enumerate(code.co_consts):
        if type(constant) is types.CodeType:
            yield from _with_nested(constant, (*path, index))


# --- what a module has -------------------------------------------------------

_modules = {}


class _Module:
    """The places of a module's code objects; made when they are needed.

    What it keeps does not keep the module.
    """

    def __init__(self, name, module, spec):
        self.name = name
        self.module = weakref.ref(module, self.drop)
        self.spec = spec
        self.live = None  # see places()
        self.file = None  # see tree()
        self.missing = {}  # digest: how many names the module had

    def namespace(self):
        module = self.module()
        return {} if module is None else _namespace(module)

    def drop(self, _=None, modules=_modules):
        if modules.get(self.name) is self:
            modules.pop(self.name, None)

    def places(self):
        """Of the code that is shown: places by id(), code by digest.

        A place is (code, reference, whether it is at home there, code of
        the function that it is in, owner's parts).
        """
        if self.live is None:
            found = {}
            for place in sorted(self.visit(), key=lambda place: not place[2]):
                found.setdefault(id(place[0]), place)
            self.live = found, {}
        return self.live

    def visit(self):
        """All places, in the order in which the module shows them."""
        namespace = self.namespace()
        for owner, value in _shown(self.name, namespace):
            for index, function in enumerate(_functions(value, namespace)):
                root = function.__code__
                name = root.co_qualname
                home = _is_home(owner, name)
                if owner == name:
                    owner = name  # pickled once if it is the same object
                keys = tuple(owner.split("."))
                for path, code in _with_nested(root):
                    yield code, (
                        "live", self.name, code.co_qualname, owner, index, path
                    ), home, root, keys

    def tree(self):
        """The root that the loader reads; (line, path) by digest."""
        if self.file is None:
            root = _read_root(self.namespace())
            found = {}
            if root is not None:
                for path, code in _with_nested(root):
                    places = found.setdefault(digest(code), [])
                    places.append((code.co_firstlineno, path))
            self.file = root, found
        return self.file

    def twins(self, wanted):
        """The places, by now, of the code with a digest."""
        places, by_digest = self.places()
        if not by_digest:
            found = {}
            for place in places.values():
                found.setdefault(digest(place[0]), []).append(place)
            by_digest.update(found)  # at once: there may be other threads
        namespace = self.namespace()
        return (
            place
            for place in by_digest.get(wanted, ())
            if _leads(place, namespace)
        )

    def place(self, code):
        """Where the code is shown, or another that is just like it."""
        place = self.places()[0].get(id(code))
        if place is not None and _leads(place, self.namespace()):
            return place
        line = code.co_firstlineno
        return min(
            self.twins(digest(code)),
            key=lambda place: place[0].co_firstlineno != line,
            default=None,
        )

    def file_reference(self, code):
        """A reference to code just like it in the module's file, or None."""
        found = self.tree()[1].get(digest(code))
        if found is None:
            return None
        line = code.co_firstlineno
        _, path = min(found, key=lambda place: place[0] != line)
        return "file", self.name, code.co_qualname, path

    def look_up(self, code):
        """A reference by what is known, or None."""
        # What is away from home may have been put there by the program, so
        # that it is not there after an import; the file is surer.
        place = self.place(code)
        if place is not None and place[2]:
            return place[1]
        return self.file_reference(code) or (place and place[1])

    def reference(self, code):
        """A reference; if there is none, the module is visited anew."""
        found = self.look_up(code)
        if found is None:
            size = len(self.namespace())
            wanted = digest(code)
            if self.missing.get(wanted) == size:
                return None
            self.live = None
            found = self.look_up(code)
            if found is None:
                if len(self.missing) >= MAX_MISSING:
                    self.missing.clear()
                self.missing[wanted] = size
        return found

    def at(self, kind, place):
        """The code at the place of a reference, or None."""
        if kind == "live":
            return _at(self.namespace(), *place)
        if kind == "file":
            return _inside(self.tree()[0], *place)
        raise pickle.UnpicklingError(f"no kind of code reference: {kind!r}")

    def search(self, wanted):
        """Any code that has the digest, or None."""
        for place in self.twins(wanted):
            return place[0]
        root, found = self.tree()
        for _, path in found.get(wanted, ()):
            return _inside(root, path)
        return None

    def qualnames(self):
        """The qualified names of all the code there is."""
        root, _ = self.tree()
        codes = [place[0] for place in self.places()[0].values()]
        if root is not None:
            codes += [code for _, code in _with_nested(root)]
        return {code.co_qualname for code in codes}


def _is_home(owner, qualname):
    """Whether the module's own text gave the function to its owner."""
    if owner == qualname:
        return True
    outer, _, key = owner.rpartition(".")
    qual_outer, _, name = qualname.rpartition(".")
    return outer == qual_outer and (
        name == "<lambda>" or name.startswith("__") and key.endswith(name)
    )


def _module(name):
    """The _Module of an imported module, or None."""
    module = sys.modules.get(name) if type(name) is str else None
    if not issubclass(type(module), types.ModuleType):
        return None
    spec = _namespace(module).get("__spec__")
    known = _modules.get(name)
    if (
        known is None
        or known.module() is not module
        or known.spec is not spec  # reloaded
    ):
        known = _modules[name] = _Module(name, module, spec)
    return known


def _read_root(namespace):
    """A module's code as it would be imported now, or None."""
    spec = namespace.get("__spec__")
    path = namespace.get("__file__")
    try:
        if spec is not None:
            root = spec.loader.get_code(spec.name)
        elif os.path.isfile(path):  # a program; not if it came by a pipe
            root = _read_program(path)
        else:
            return None
    except Exception:  # no such loader, no file, no Python any more
        return None
    return root if type(root) is types.CodeType else None


def _read_program(path):
    with io.open_code(path) as file:
        text = file.read()
    if text.startswith(importlib.util.MAGIC_NUMBER):
        return marshal.loads(text[16:])
    return compile(text, path, "exec", dont_inherit=True)


# --- references --------------------------------------------------------------

def reference(code, module_name):
    """How to find the code again by importing a module, or None."""
    module = _module(module_name)
    if module is None:
        return None
    live = module.live
    if live is not None:  # most often, this is all
        place = live[0].get(id(code))
        if place is not None and place[2] and (
            _leads(place, module.namespace())
        ):
            return place[1]
    return module.reference(code)


def find(reference, expected_digest):
    """The code that a reference leads to, if it is as it was.

    Code that has only moved within its module is found nevertheless.
    """
    kind, name, qualname, *place = reference
    label = f"{name}.{qualname}"
    code = _at_place(kind, name, place, expected_digest)
    if code is not None:
        return code
    _import(name, label)  # if another thread is importing it, waits for that
    code = _at_place(kind, name, place, expected_digest)
    if code is not None:
        return code
    for _ in range(2):
        module = _module(name)
        if module is None:
            raise MissingCodeError([label])
        code = module.search(expected_digest)
        if code is not None:
            return code
        module.drop()  # what it knew may be old
    if qualname in module.qualnames():
        raise ChangedCodeError([label])
    raise MissingCodeError([label])


def _at_place(kind, name, place, expected_digest):
    module = _module(name)
    code = None if module is None else module.at(kind, place)
    if code is not None and digest(code) == expected_digest:
        return code
    return None


def _import(name, label):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        missing = error.name
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            raise  # the module is there, and misses another
        raise MissingCodeError([label]) from error


# --- by value ----------------------------------------------------------------

_MAGIC = importlib.util.MAGIC_NUMBER[:2]  # of the minor version

_values = weakref.WeakValueDictionary()  # the code of a value in use


def _dumps(code):
    try:
        return marshal.dumps(code)
    except ValueError:  # it may have had no memory
        return marshal.dumps(code)


def to_value(code):
    """The code itself as bytes, for any release of the minor version."""
    try:
        return _MAGIC + _dumps(code)
    except ValueError as error:
        raise pickle.PicklingError(
            f"{code.co_qualname}: its constants cannot be pickled"
        ) from error


def from_value(data):
    """The code that to_value() made bytes of; one object while it is used."""
    code = _values.get(data)
    if code is None:
        if data[:2] != _MAGIC:
            raise pickle.UnpicklingError(
                "the code is that of another version of Python"
            )
        code = _values[data] = marshal.loads(data[2:])
    return code
