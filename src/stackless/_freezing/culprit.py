"""What it was that could not be frozen: looked for after the fact.

Each part is tried alone, from the outside to the inside, until one is found
that fails while none of its own parts does.
"""

import collections
import contextvars
import functools
import gc
import io
import linecache
import types

from stackless import _core
from stackless._freezing import (
    classes,
    codes,
    containers,
    iterators,
    others,
)
from stackless._freezing.errors import FreezeError, NotAlongError

MAX_DEPTH = 30  # steps from a variable to the culprit
_WITH_MEMBERS = functools.partial, types.SimpleNamespace, slice
# As good as what they refer to.
_HOLDERS = dict.fromkeys(iterators.COPIED | {*containers.VIEWS}, True)
_HOLDERS[types.MappingProxyType] = True
_HOLDERS.pop(iterators.CSV_READER, None)  # it may be in the middle of a row
_GENERATORS = types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType


def explain(error, value, pickler_type, state_of, **options):
    """A FreezeError for what dump(value) has raised."""
    all_along = not isinstance(error, NotAlongError)
    search = _Search(pickler_type, state_of, options, all_along)
    found = search.inside(value, "", 0) or _Found(value, error)
    frame = found.frame
    where = ""
    if frame is not None:
        qualname, file, line = frame
        where = f"{qualname} ({file}:{line}): "
    if found.variable is not None:
        where += f"{found.variable}{found.path}: "
    what = text_of(found.error)
    return FreezeError(
        f"cannot freeze: {where}{what}",
        frame,
        found.variable,
        found.path,
        type(found.value).__name__,
    )


def text_of(error):
    """What it says, or at least its type."""
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


class _Found:
    def __init__(self, value, error, path=""):
        self.value = value
        self.error = error
        self.path = path
        self.frame = self.variable = None


def names_of(code, count):
    """What the first slots of a frame are called."""
    names = list(code.co_varnames)
    names += [name for name in code.co_cellvars if name not in names]
    names += code.co_freevars
    positions = range(count - len(names))
    return names + [f"stack position {n}" for n in positions]


def place_of(code, offset):
    """(qualname, file, line) of a position in a code object."""
    line = None
    for start, end, found in code.co_lines():
        if start <= 2 * offset < end:
            line = found
            break
    return code.co_qualname, code.co_filename, line or code.co_firstlineno


def _shown(key):
    """What stands in brackets; the program's own repr() may fail."""
    try:
        return f"[{key!r}]"
    except Exception:
        return f"[<{type(key).__name__}>]"


def _pieces(value):
    """(step of the path, part) of what builtin types hold."""
    if codes.is_a(value, types.FunctionType):
        names = value.__code__.co_freevars
        for name, cell in zip(names, value.__closure__ or ()):
            yield f".{name}", cell
        for default in value.__defaults__ or ():
            yield ".__defaults__", default
    elif codes.is_a(value, types.CellType):
        try:
            yield "", value.cell_contents
        except ValueError:
            pass
    elif codes.is_a(value, (types.MethodType, types.BuiltinMethodType)):
        yield ".__self__", value.__self__
    elif codes.is_a(value, contextvars.Context):
        for variable, part in value.items():
            yield "", variable
            yield f"[{variable.name}]", part
    elif codes.is_a(value, (staticmethod, classmethod)):
        yield ".__func__", value.__func__
    elif codes.is_a(value, property):
        for name in ("fget", "fset", "fdel"):
            yield f".{name}", getattr(value, name)
    elif codes.is_a(value, dict):
        for key, part in list(dict.items(value)):
            yield "", key
            yield _shown(key), part
    elif codes.is_a(value, (list, tuple)):
        kind = list if codes.is_a(value, list) else tuple
        for index, part in enumerate(kind.__iter__(value)):
            yield f"[{index}]", part
    elif codes.is_a(value, (set, frozenset)):
        kind = set if codes.is_a(value, set) else frozenset
        for part in list(kind.__iter__(value)):
            yield _shown(part), part
    elif codes.is_a(value, collections.deque):
        for index, part in enumerate(list(collections.deque.__iter__(value))):
            yield f"[{index}]", part
    elif codes.by_type(_HOLDERS, type(value)):
        for part in gc.get_referents(value):
            if not codes.is_a(part, (type, types.ModuleType)):
                yield "", part


def _members(value):
    """(step, part) of what has a place of its own in the object, as slots have."""
    for kind in codes.mro_of(type(value)):
        names = codes.body_of(kind)
        if "__slots__" not in names and kind not in _WITH_MEMBERS:
            continue
        for name, member in names.items():
            if type(member) is not types.MemberDescriptorType:
                continue
            try:
                part = member.__get__(value)
            except AttributeError:  # not set
                continue
            if name != "__dict__":
                yield f".{name}", part
            elif type(part) is dict:
                yield from ((f".{key}", item) for key, item in part.items())


class _Search:
    def __init__(self, pickler_type, state_of, options, all_along):
        # A generator is tried without the tasklet that is inside of it: that
        # says nothing if this goes along.
        self.all_along = all_along
        self.pickler_type = pickler_type
        self.state_of = state_of
        self.options = options
        self.seen = []
        self.generators = {}  # by id(): states of those that a tasklet runs

    def error_of(self, value):
        try:
            self.pickler_type(io.BytesIO(), **self.options)._dump(value)
        except Exception as error:
            if self.all_along and isinstance(error, NotAlongError):
                return None
            return error.with_traceback(None)  # which would lead back here
        return None

    def inside(self, value, path, depth):
        """The culprit in something that fails; None if it is elsewhere."""
        if depth > MAX_DEPTH:
            return None
        self.seen.append(value)
        error = self.error_of(value)
        if error is None:
            return None
        elsewhere = id(value) in self.generators
        for frame, variable, step, part in self.parts(value):
            if any(part is other for other in self.seen):
                elsewhere = elsewhere or self.error_of(part) is not None
                continue
            found = self.inside(part, path + step, depth + 1)
            if found is not None:
                if frame is not None and found.frame is None:
                    found.frame, found.variable = frame, variable
                    found.path = found.path[len(path + step) :]
                return found
        return None if elsewhere else _Found(value, error, path)

    def parts(self, value):
        """(frame, variable, step of the path, part) of all of them.

        The object itself is not asked.
        """
        if codes.is_a(value, type):
            if classes.is_local(value):
                yield from self.class_parts(value)
            return
        if codes.is_a(value, _core.tasklet):
            yield from self.tasklet_parts(value)
        elif codes.is_a(value, _core.channel):
            waiting = value.queue
            while waiting is not None:
                yield None, None, ".queue", waiting
                waiting = waiting.next
        elif codes.is_a(value, _GENERATORS):
            yield from self.frame_parts(self.generator_frame(value))
        else:
            for step, part in _pieces(value):
                yield None, None, step, part
        if codes.is_a(value, BaseException):
            yield None, None, ".args", value.args
            yield None, None, ".__context__", value.__context__
            yield None, None, ".__cause__", value.__cause__
        if not codes.is_a(value, types.ModuleType):
            for name, part in codes.attributes_of(value).items():
                yield None, None, f".{name}", part
        for step, part in _members(value):
            yield None, None, step, part
        if classes.is_local(type(value)):
            yield None, None, ".__class__", type(value)

    def class_parts(self, cls):
        for name, part in classes.names_of(cls).items():
            yield None, None, f".{name}", part
        for base in (type(cls), *cls.__bases__):
            yield None, None, f".{base.__name__}", base

    def tasklet_parts(self, tasklet):
        try:
            (_, _, _, more), generators = self.state_of(tasklet)
            self.generators |= generators
        except (RuntimeError, FreezeError):
            return  # the error says it
        if type(more) is tuple and len(more) == 6:
            for frame in more[0]:
                if type(frame) is not tuple:
                    frame = generators[id(frame)][0]
                yield from self.frame_parts(frame)
            yield None, None, ".tempval", more[2]
            yield None, None, "._channel", more[4]
        else:
            yield None, None, "", more
        yield from self.context_parts(tasklet)

    def context_parts(self, tasklet):
        """If it goes along."""
        reducers = self.pickler_type(io.BytesIO(), **self.options)
        if reducers.with_contexts:
            yield None, None, ".context", others.context_of(tasklet)

    def generator_frame(self, generator):
        runner = _core._runner_of(generator)
        try:
            if runner is not None:
                self.generators |= self.state_of(runner)[1]
            known = self.generators.get(id(generator))
            return (known or _core._generator_state(generator))[0]
        except (RuntimeError, ValueError, FreezeError):  # it is running
            return None

    def frame_parts(self, frame):
        if frame is None:
            return
        function, _, offset, _, marks, slots = frame
        code = function.__code__
        place = place_of(code, offset)
        for index, (name, part) in enumerate(
            zip(names_of(code, len(slots)), slots)
        ):
            if not marks or not marks[index]:
                yield place, name, "", part


def text_at(code, offset):
    """The source of an expression, as far as it is on one line."""
    positions = list(code.co_positions())
    if offset < len(positions):
        first, last, begin, end = positions[offset]
        if first == last and first is not None and begin is not None:
            source = linecache.getline(code.co_filename, first).encode()
            return source[begin:end].decode(errors="replace")
    return ""
