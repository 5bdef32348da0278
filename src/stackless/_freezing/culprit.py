"""What it was that could not be frozen: looked for after the fact.

Each part is tried alone, from the outside to the inside, until one is found
that fails while none of its own parts does.
"""

import contextvars
import io
import linecache
import types

from stackless import _core
from stackless._freezing import classes, others
from stackless._freezing.errors import FreezeError, NotAlongError

MAX_DEPTH = 30  # steps from a variable to the culprit


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
    what = str(found.error) or type(found.error).__name__
    return FreezeError(
        f"cannot freeze: {where}{what}",
        frame,
        found.variable,
        found.path,
        type(found.value).__name__,
    )


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
        """(frame, variable, step of the path, part) of all of them."""
        if issubclass(type(value), type):
            if classes.is_local(value):
                yield from self.class_parts(value)
            return
        if isinstance(value, _core.tasklet):
            yield from self.tasklet_parts(value)
        elif isinstance(value, _core.channel):
            waiting = value.queue
            while waiting is not None:
                yield None, None, ".queue", waiting
                waiting = waiting.next
        elif hasattr(value, "gi_code") or hasattr(value, "cr_code") or (
            hasattr(value, "ag_code")
        ):
            yield from self.frame_parts(self.generator_frame(value))
        elif isinstance(value, types.FunctionType):
            for name, cell in zip(
                value.__code__.co_freevars, value.__closure__ or ()
            ):
                yield None, None, f".{name}", cell
            for default in value.__defaults__ or ():
                yield None, None, ".__defaults__", default
        elif isinstance(value, types.CellType):
            try:
                yield None, None, "", value.cell_contents
            except ValueError:
                pass
        elif isinstance(value, types.MethodType):
            yield None, None, ".__self__", value.__self__
        elif isinstance(value, contextvars.Context):
            for variable, part in value.items():
                yield None, None, "", variable
                yield None, None, f"[{variable.name}]", part
        elif isinstance(value, (staticmethod, classmethod)):
            yield None, None, ".__func__", value.__func__
        elif isinstance(value, property):
            for name in ("fget", "fset", "fdel"):
                yield None, None, f".{name}", getattr(value, name)
        elif isinstance(value, dict):
            for key, part in value.items():
                yield None, None, "", key
                yield None, None, f"[{key!r}]", part
        elif isinstance(value, (list, tuple)):
            for index, part in enumerate(value):
                yield None, None, f"[{index}]", part
        elif isinstance(value, (set, frozenset)):
            for part in value:
                yield None, None, f"[{part!r}]", part
        if isinstance(value, BaseException):
            yield None, None, ".args", value.args
            yield None, None, ".__context__", value.__context__
            yield None, None, ".__cause__", value.__cause__
        if not isinstance(value, types.ModuleType):
            for name, part in getattr(value, "__dict__", {}).items():
                yield None, None, f".{name}", part
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
