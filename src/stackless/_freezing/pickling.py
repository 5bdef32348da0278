"""Pickles of suspended programs: what each of their parts is made of.

A tasklet is its frames.  A frame is a function, where it goes on, and what is
in its variables and on its stack, as stackless._core tells it.  A generator
has such a frame of its own.  What pickle knows by itself is left to it.
"""

import contextvars
import copyreg
import functools
import importlib
import io
import itertools
import pickle
import sys
import types

from stackless import _core
from stackless._freezing import (
    awaits,
    classes,
    codes,
    containers,
    culprit,
    decimals,
    iterators,
    others,
    restoring,
    softening,
)
from stackless._freezing.errors import FreezeError, NotAlongError

PROTOCOL = 5

_PICKLE_CONTEXT = 8  # of pickle_flags()
# Of generators, each of which is on the stack of the one below: if there are more
# the last one is written first, or pickle would have to go as deep as they do.
_DEEP = 16
_EXECUTING = 4 if sys.version_info >= (3, 15) else 0  # state of a generator

_GENERATORS = {
    types.GeneratorType: ("gi_code", "gi_frame"),
    types.CoroutineType: ("cr_code", "cr_frame"),
    types.AsyncGeneratorType: ("ag_code", "ag_frame"),
}
_INTERNAL = {
    _core._init_function(): "init",
    _core._send_function(): "send",
    _core._await_function(): "await",
    _core._value_function(): "value",
}
if softening.INTERRUPTED is not None:
    _INTERNAL[softening.INTERRUPTED] = "interrupted"


class _Nothing:
    """What an empty cell holds."""

    def __reduce__(self):
        return "_NOTHING"


_NOTHING = _Nothing()


# --- made when a pickle is loaded --------------------------------------------

def _module(name):
    return importlib.import_module(name)


def _method(function, instance):
    return types.MethodType(function, instance)


def _globals(name):
    return importlib.import_module(name).__dict__


def _same(value):
    return value


def _internal(name):
    return next(f for f, known in _INTERNAL.items() if known == name)


def _call(function, *args):
    return function(*args)


def _new_object(kind, *args):
    return kind.__new__(kind, *args)


def _new_object_ex(kind, args, keywords):
    return kind.__new__(kind, *args, **keywords)


def _by_name(module, qualname):
    value = importlib.import_module(module)
    for part in qualname.split("."):
        value = getattr(value, part)
    return value


def _code(reference, digest):
    return codes.find(reference, digest)


def _code_by_value(data):
    return codes.from_value(data)


def _function(code, namespace, name, closure):
    return types.FunctionType(code, namespace, name, None, closure)


def _set_function(function, state):
    (
        function.__defaults__,
        function.__kwdefaults__,
        function.__qualname__,
        function.__module__,
        function.__doc__,
        annotations,
        type_params,
        attributes,
    ) = state
    if sys.version_info >= (3, 14):
        function.__annotate__ = annotations
    elif annotations:
        function.__annotations__ = annotations
    if type_params:
        function.__type_params__ = type_params
    function.__dict__.update(attributes)


def _cell():
    return types.CellType()


def _set_cell(cell, state):
    if state[0] is not _NOTHING:
        cell.cell_contents = state[0]


def _generator(function):
    return restoring.record(restoring.fresh_generator(function))


def _finished_generator(code):
    return restoring.finished_generator(code)


def _set_generator(generator, state):
    restoring.set_generator(generator, state, _EXECUTING)


def _await(generator, kind):
    return _core._await(generator, kind)


def _set_await(awaitable, state):
    _core._set_await_state(awaitable, *state)


def _anext(awaitable, otherwise):
    return awaits.anext_of(awaitable, otherwise)


def _await_wrapper(coroutine):
    return awaits.wrapper_of(coroutine)


def _set_tasklet(tasklet, state):
    """What happens if the class has got no other __setstate__()."""
    _core.tasklet.__setstate__(tasklet, state)


def _set_deep_tasklet(tasklet, state):
    """state: the generators that it is inside of, and what a tasklet takes."""
    _core.tasklet.__setstate__(tasklet, state[1])


def _set_channel(channel, state):
    preference, schedule_all, closing, _, attributes = state
    channel.preference = preference
    channel.schedule_all = schedule_all
    if closing:
        channel.close()
    classes.set_attributes(channel, attributes, setattr)


def _new_exception(kind, native, args):
    """Without asking the program's __new__() or __init__(): arguments are not
    always what they take."""
    if native.__flags__ & classes.HEAP_TYPE or not (
        issubclass(native, BaseException) and issubclass(kind, native)
    ):
        raise ValueError(f"no exception of CPython's: {native!r}")
    error = native.__new__(kind, *args)
    native.__init__(error, *args)
    return error


def _set_exception(error, state):
    state, cause, context, suppress, traceback, attributes = state
    if state is not None:
        error.__setstate__(state)
    for name, value in attributes.items():
        setattr(error, name, value)
    error.__cause__ = cause
    error.__context__ = context
    error.__suppress_context__ = suppress
    error.__traceback__ = traceback


def _traceback(entries):
    following = None
    for code, namespace, lasti, lineno in reversed(entries):
        frame = _core._frame(code, namespace)
        following = types.TracebackType(following, frame, lasti, lineno)
    return following


def _closed(kind):
    file = kind()
    file.close()
    return file


# --- written -----------------------------------------------------------------

class _Globals:
    """Stands for the namespace of a function."""

    def __init__(self, namespace):
        self.namespace = namespace


class _Decimals:
    """Stands for the contexts that decimal has in a tasklet."""

    def __init__(self, contexts):
        self.contexts = contexts

    def chosen(self, is_chosen):
        """None, a context, or a tuple of them, as decimals.set_in() takes it."""
        chosen = tuple(filter(is_chosen, self.contexts))
        return chosen if len(chosen) > 1 else chosen[0] if chosen else None


class _Frame:
    """Stands for the function of a frame, which goes with its code."""

    def __init__(self, function):
        self.function = function


def _found_by_name(function):
    """Whether pickle can write it by name."""
    value = sys.modules.get(function.__module__)
    if type(value) is types.ModuleType:
        if value.__dict__.get(function.__qualname__) is function:
            return True
    for part in function.__qualname__.split("."):
        if not isinstance(value, (type, types.ModuleType)):
            return False
        value = value.__dict__.get(part)
    return value is function


def _forgotten(error):
    """Attributes of an exception that its __reduce__() leaves out."""
    names = ()
    if codes.is_a(error, NameError):
        names = ("name",)
    elif codes.is_a(error, AttributeError) and sys.version_info < (3, 12):
        names = ("name", "obj")
    values = {name: getattr(error, name) for name in names}
    values = {k: value for k, value in values.items() if value is not None}
    for name in copyreg._slotnames(type(error)):
        if hasattr(error, name):
            values[name] = getattr(error, name)
    return values


def _native(error):
    """The class of CPython's that makes an exception, if its own __new__() or
    __init__() would be asked otherwise; or None."""
    kind = type(error)
    native = next(k for k in kind.__mro__ if not k.__flags__ & classes.HEAP_TYPE)
    asked = (
        kind.__init__ is not native.__init__
        or kind.__new__ is not native.__new__
    )
    usual = (
        kind.__reduce__ is native.__reduce__
        and kind.__reduce_ex__ is native.__reduce_ex__
    )
    return native if asked and usual else None


def state_of(tasklet):
    """_core._tasklet_state() of a soft tasklet, or one that is made soft.

    And the states of generators that this has changed, by their id().
    """
    try:
        state = _core._tasklet_state(tasklet, softening.extent_of)
        name, flags, life, more = state
        if life != restoring.STARTED or {*map(type, more[0])} == restoring.ONLY_FRAMES:
            return state, {}
        frames, generators = softening.soften(more[0])
    except softening.HardError as error:
        place = culprit.place_of(error.code, error.offset)
        text = culprit.text_at(error.code, error.offset)
        raise FreezeError(
            f"cannot freeze: tasklet {tasklet.name} has C state: "
            f"{place[0]} ({place[1]}:{place[2]}): {text}: {error}",
            place,
        ) from None
    except ValueError as error:
        raise FreezeError(
            f"cannot freeze: tasklet {tasklet.name} has C state: {error}"
        ) from None
    return (name, flags, life, (frames, *more[1:])), generators


def has_local_decimals(tasklet):
    """Whether one of its frames is in a `with decimal.localcontext()`."""
    (_, _, life, more), generators = state_of(tasklet)
    if life != restoring.STARTED:
        return False
    for frame in more[0]:
        if type(frame) is not tuple:
            known = generators.get(id(frame))
            frame = (known or _core._generator_state(frame))[0]
        if any(map(decimals.has_manager, frame[5])):
            return True
    return False


def stack_of(tasklet):
    """(file, line, qualname, digest) of its frames, the first one first."""
    (_, _, life, more), generators = state_of(tasklet)
    stack = []
    for frame in more[0] if life == restoring.STARTED else ():
        if type(frame) is not tuple:
            known = generators.get(id(frame))
            frame = (known or _core._generator_state(frame))[0]
        code = frame[0].__code__
        if frame[0] not in _INTERNAL:
            qualname, file, line = culprit.place_of(code, frame[2])
            stack.append((file, line, qualname, codes.digest(code).hex()))
    return stack


def _made(kind):
    return functools.cached_property(lambda self: kind())


class Reducers(_core._PicklerBase):
    """What each part is made of: reducer_override() gives what __reduce__()
    would, and this remembers what parts have in common."""

    def __init__(self, by_value=False):
        self.by_value = by_value
        self.with_contexts = bool(_core.pickle_flags() & _PICKLE_CONTEXT)
        # Whether C may write frames as they are.
        self._is_plain = not (by_value or self.with_contexts)
        self._running = {}  # generators that a tasklet has to run

    _writes_deep_ones = False
    # Made when they are needed.
    _run = _made(set)  # by id(), those that a tasklet does run
    _kept = _made(list)  # what must not be freed: pickle remembers ids
    _namespaces = _made(dict)
    _frames = _made(dict)
    _places = _made(dict)
    _softened = _made(dict)  # by id(): states of generators
    _decimals_set = _made(set)  # by id(): what localcontext() sets
    _homes = _made(dict)  # by id() of code: its function's module
    _OF_ONE_DUMP = "_run", "_places", "_softened"

    @classmethod
    def handles(cls, value):
        """Whether pickle cannot write it, but this can."""
        kind = type(value)
        if codes.by_type(cls._reducers, kind) is not None:
            own = codes.is_a(value, (_core.tasklet, _core.channel))
            return not own and kind not in iterators.PICKLED
        return codes.is_a(value, BaseException)

    def look_at(self, tasklet):
        """Know the generators that it is inside of."""
        state, generators = state_of(tasklet)
        if generators:
            self._softened |= generators
        return state

    def _see_that_all_run(self):
        """Generators that are running, by tasklets that were written."""
        for ident, generator in self._running.items():
            if ident not in self._run:
                raise NotAlongError(
                    f"generator {generator.__qualname__} is running"
                )

    def _reduce(self, value):
        """What C leaves to us."""
        try:
            reduce = self._reducers.get(type(value))
        except TypeError:  # pickle has a table, too
            return value.__reduce_ex__(self._protocol)
        if reduce is not None:
            return reduce(self, value)
        if issubclass(type(value), type):
            reduced = others.reduce_type(value)
            if reduced is not None:
                return reduced
            return classes.reduce_class(value, self._kept)
        if codes.is_a(value, BaseException):
            return self._exception(value)
        if codes.is_a(value, _core.tasklet):
            return self._tasklet(value)
        if codes.is_a(value, _core.channel):
            return self._channel(value)
        if codes.is_a(value, itertools.groupby):  # a subclass; up to 3.13
            raise pickle.PicklingError(  # its __reduce__() forgets the group
                f"cannot pickle {type(value).__name__!r} object"
            )
        if decimals.is_manager(value):
            return self._local_decimals(value)
        return classes.reduce_other(value)

    # Functions.

    def _globals_of(self, namespace):
        """The same object each time, so that it is written once."""
        wrapped = self._namespaces.get(id(namespace))
        if wrapped is None:
            wrapped = self._namespaces[id(namespace)] = _Globals(namespace)
        return wrapped

    def _globals(self, wrapped):
        namespace = wrapped.namespace
        name = namespace.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is None or module.__dict__ is not namespace:
            name = others.module_of(namespace)  # it has another name
        if name is not None:
            return _globals, (name,)
        return _same, (namespace,)

    def _function(self, function):
        internal = _INTERNAL.get(function)
        if internal is not None:
            return _internal, (internal,)
        if _found_by_name(function):
            return NotImplemented
        return self._whole_function(function)

    def _whole_function(self, function):
        self._homes[id(function.__code__)] = function.__module__
        if sys.version_info >= (3, 14):
            annotations = function.__annotate__
        else:
            annotations = function.__annotations__
        return (
            _function,
            (
                function.__code__,
                self._globals_of(function.__globals__),
                function.__name__,
                function.__closure__,
            ),
            (
                function.__defaults__,
                function.__kwdefaults__,
                function.__qualname__,
                function.__module__,
                function.__doc__,
                annotations,
                getattr(function, "__type_params__", ()),
                function.__dict__,
            ),
            None,
            None,
            _set_function,
        )

    def _frame_function(self, wrapped):
        return self._whole_function(wrapped.function)

    def _code(self, code):
        if not self.by_value:
            module = self._homes.get(id(code)) or self._module_of(code)
            reference = module and codes.reference(code, module)
            if reference is not None:
                return _code, (reference, codes.digest(code))
        return _code_by_value, (codes.to_value(code),)

    @staticmethod
    def _module_of(code):
        for name, module in sys.modules.copy().items():
            if getattr(module, "__file__", None) == code.co_filename:
                return name
        return None

    def _cell(self, cell):
        try:
            content = cell.cell_contents
        except ValueError:
            content = _NOTHING
        cls = classes.class_of_namespace(content)
        if cls is not None:
            return classes._namespace_cell, (cls,)
        return _cell, (), (content,), None, None, _set_cell

    def _method(self, method):
        return _method, (method.__func__, method.__self__)

    def _module(self, module):
        return _module, (module.__name__,)

    # Frames.

    def _note(self, frame):
        """A frame as it is written; its code's digest."""
        digest = codes.digest(frame[0].__code__)
        return (self._whole(frame) if self.by_value else frame), digest

    def _whole(self, frame):
        """Its function goes along, as it is."""
        function = frame[0]
        if function in _INTERNAL:
            return frame
        wrapped = self._frames.get(id(function))
        if wrapped is None:
            wrapped = self._frames[id(function)] = _Frame(function)
        return (wrapped, *frame[1:])

    def _note_all(self, frames):
        """The frames of a tasklet as they are written, and their digests."""
        digests = _core._frame_digests(frames, codes.new_digest)
        if digests is not None and not self.by_value:
            return frames, digests
        noted, digests = [], b""
        for frame in frames:
            if type(frame) is tuple:
                frame, digest = self._note(frame)
                digests += digest
            else:
                self._run.add(id(frame))
            noted.append(frame)
        return tuple(noted), digests

    def _state_of_generator(self, generator):
        """That of one that a tasklet is inside of may be known by that only."""
        if id(generator) not in self._softened:
            runner = _core._runner_of(generator)
            if runner is not None:
                self.look_at(runner)
        known = self._softened.get(id(generator))
        return known or _core._generator_state(generator)

    def _generator(self, generator):
        state = self._state_of_generator(generator)
        frame, *rest = state
        self._kept.append(state)
        if frame is None:
            code = getattr(generator, _GENERATORS[type(generator)][0])
            return (
                _finished_generator,
                (code,),
                (None, *rest, None),
                None,
                None,
                _set_generator,
            )
        if rest[0] == _EXECUTING:
            self._running[id(generator)] = generator
        frame, digest = self._note(frame)
        return (
            _generator,
            (frame[0],),
            (frame, *rest, digest),
            None,
            None,
            _set_generator,
        )

    def _await(self, awaitable):
        parts = _core._await_state(awaitable)
        self._kept.append(parts)
        target, kind, *state = parts
        if kind == awaits.ANEXT:
            return _anext, (target, state[1])
        return _await, (target, kind), tuple(state), None, None, _set_await

    def _await_wrapper(self, wrapper):
        return _await_wrapper, (awaits.wrapped_by(wrapper),)

    def _tasklet(self, tasklet):
        name, flags, life, more = self.look_at(tasklet)
        digests, place = b"", 0
        if life == restoring.STARTED:
            frames, digests = self._note_all(more[0])
            more = (frames, *more[1:])
            if more[4] is not None:
                place = self._place(tasklet, more[4])
        packed = _core._pack_tasklet(
            (name, flags, life, more),
            digests,
            place,
            self._context(tasklet),
            object.__getstate__(tasklet),
        )
        self._kept.append(packed)
        made = copyreg.__newobj__, (type(tasklet),), packed
        if self._writes_deep_ones and life == restoring.STARTED:
            inside = [f for f in more[0][::-1] if type(f) is not tuple]
            if len(inside) > _DEEP:
                state = inside, packed
                return *made[:2], state, None, None, _set_deep_tasklet
        if type(tasklet).__setstate__ is _core.tasklet.__setstate__:
            return made
        return (*made, None, None, _set_tasklet)

    def _context(self, tasklet):
        """That of a tasklet, where pickle_flags() asks for it; otherwise what
        `with decimal.localcontext()` has set in there."""
        if self.with_contexts:
            return others.context_of(tasklet)
        contexts = others.decimals_of(tasklet)
        return _Decimals(contexts) if contexts else None

    def _decimals(self, wrapped):
        """Written after the frames: those who set it have been met."""
        chosen = wrapped.chosen(lambda c: id(c) in self._decimals_set)
        self._kept.append(chosen)
        return _same, (chosen,)

    def _local_decimals(self, manager):
        reduced, context = decimals.reduce_manager(manager, self._protocol)
        self._kept += reduced, context
        self._decimals_set.add(id(context))
        return reduced

    def _place(self, tasklet, channel):
        """Which one it is in the channel's queue."""
        if id(channel) not in self._places:
            places = self._places[id(channel)] = {}
            waiting = channel.queue
            while waiting is not None:
                places[id(waiting)] = len(places)
                waiting = waiting.next
        return self._places[id(channel)][id(tasklet)]

    def _channel(self, channel):
        waiting = []
        tasklet = channel.queue
        while tasklet is not None:
            waiting.append(tasklet)
            tasklet = tasklet.next
        self._kept.append(waiting)
        return (
            copyreg.__newobj__,
            (type(channel),),
            (
                channel.preference,
                channel.schedule_all,
                channel.closing,
                waiting,
                object.__getstate__(channel),
            ),
            None,
            None,
            _set_channel,
        )

    # Exceptions.

    def _exception(self, error):
        reduced = error.__reduce_ex__(self._protocol)
        if not isinstance(reduced, tuple):
            return NotImplemented
        make, args, *state = reduced
        attributes = _forgotten(error)
        native = _native(error)
        if native is not None and make is type(error):
            if codes.is_a(error, BaseExceptionGroup) and args != (
                parts := (error.message, error.exceptions)
            ):
                args, attributes["args"] = parts, args
            make, args = _new_exception, (make, native, args)
        self._kept.append(args)
        return (
            make,
            args,
            (
                state[0] if state else None,
                error.__cause__,
                error.__context__,
                error.__suppress_context__,
                error.__traceback__,
                attributes,
            ),
            None,
            None,
            _set_exception,
        )

    _protocol = PROTOCOL

    def _traceback(self, traceback):
        entries = []
        while traceback is not None:
            frame = traceback.tb_frame
            entries.append((
                frame.f_code,
                self._globals_of(frame.f_globals),
                traceback.tb_lasti,
                traceback.tb_lineno,
            ))
            traceback = traceback.tb_next
        return _traceback, (tuple(entries),)

    # What pickle does not know, and that has no parts known here.

    def _other(self, value):
        return _OTHERS[type(value)](value)

    def _token(self, token):
        if self.with_contexts:
            return self._iterator(token)
        raise pickle.PicklingError(
            "a contextvars.Token without its context, which goes along if "
            "pickle_flags(PICKLEFLAGS_PICKLE_CONTEXT) is on"
        )

    def _context_variable(self, variable):
        place = others.name_of_variable(variable)
        if place is not None:
            return _by_name, place
        if decimals.is_variable(variable):
            return decimals._decimal_variable, ()
        raise pickle.PicklingError(
            f"no module shows the ContextVar {variable.name!r}"
        )

    # Files in memory, iterators.

    def _memory_file(self, file):
        return (_closed, (type(file),)) if file.closed else NotImplemented

    def _iterator(self, iterator):
        reduced = iterators.reduce(iterator)
        self._kept.append(reduced)
        return reduced


    _reducers = {
        types.FunctionType: _function,
        types.CodeType: _code,
        types.CellType: _cell,
        types.MethodType: _method,
        types.ModuleType: _module,
        types.TracebackType: _traceback,
        io.BytesIO: _memory_file,
        io.StringIO: _memory_file,
        contextvars.ContextVar: _context_variable,
        contextvars.Token: _token,
        _Decimals: _decimals,
        _Globals: _globals,
        _Frame: _frame_function,
        _core.tasklet: _tasklet,
        _core.channel: _channel,
    }


class Pickler(Reducers, pickle.Pickler):
    """Pickler(file, protocol=None, *, code="reference")

    A pickle.Pickler that also writes suspended tasklets, channels, frames as
    parts of those, generators, coroutines, functions of any kind, cells,
    modules, and exceptions with their tracebacks.

    file: a binary file open for writing.  protocol: as for pickle, 5 if None.
    code: "reference": functions and code objects by where they are found
    again; "value": what the frames need goes along, whole.

    dump() raises FreezeError for what cannot be written.
    """

    _writes_deep_ones = True

    def __init__(self, file, protocol=None, *, code="reference"):
        if code not in ("reference", "value"):
            raise ValueError(
                f"code must be 'reference' or 'value', not {code!r}"
            )
        if protocol is None:
            protocol = PROTOCOL
        pickle.Pickler.__init__(self, file, protocol)
        Reducers.__init__(self, code == "value")

    def dump(self, value):
        """dump(value) -- write a pickle of it to the file.

        Raises FreezeError, whose attributes say what cannot be written.
        """
        try:
            self._dump(value)
        except (FreezeError, MemoryError):
            raise
        except Exception as error:
            if type(self) is not Pickler:
                text = culprit.text_of(error)
                raise FreezeError(f"cannot freeze: {text}") from error
            code = "value" if self.by_value else "reference"
            raise culprit.explain(
                error, value, Pickler, state_of, code=code
            ) from error

    def _dump(self, value):
        for name in self._OF_ONE_DUMP:  # all may have gone on since the last one
            self.__dict__.pop(name, None)
        self._running.clear()
        pickle.Pickler.dump(self, value)
        if self._running:
            self._see_that_all_run()


_OTHERS = classes.REDUCERS | containers.REDUCERS | others.REDUCERS
Reducers._reducers |= dict.fromkeys(_OTHERS, Reducers._other)
Reducers._reducers |= dict.fromkeys(_GENERATORS, Reducers._generator)
Reducers._reducers |= dict.fromkeys(iterators.ITERATORS, Reducers._iterator)
Reducers._reducers |= dict.fromkeys(awaits.TYPES, Reducers._await)
Reducers._reducers[awaits.WRAPPER] = Reducers._await_wrapper


Pickler.__module__ = "stackless"


def dumps(value, code="reference"):
    file = io.BytesIO()
    Pickler(file, code=code).dump(value)
    return file.getvalue()
