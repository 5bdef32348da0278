"""tasklet.clone(): a second run of a suspended program.

Its frames are copied, with the cells, generators, iterators and awaitables that
are their own.  All other objects are shared.
"""

import contextlib
import re
import sys
import types

from stackless import _core
from stackless._freezing import (
    awaits,
    codes,
    containers,
    decimals,
    iterators,
    others,
    pickling,
    restoring,
)

# Whose methods frames have: the __exit__() of a `with`; what re.finditer() calls.
_MANAGERS = (
    contextlib._GeneratorContextManager,
    contextlib._AsyncGeneratorContextManager,
    contextlib.ExitStack,
    contextlib.AsyncExitStack,
)
_WITH_METHODS = *_MANAGERS, _core.atomic, iterators.SCANNER, others.ITERATION_GUARD


class _Copier:
    def __init__(self):
        self.memo = {}  # id(): copy
        self.kept = []
        self.generators = {}  # by id(): states, where the tasklet is hard
        self.task = self.clone = None

    def known(self, value, copy):
        self.memo[id(value)] = copy
        self.kept.append(value)
        return copy

    def tasklet(self, tasklet):
        try:
            return self.whole(tasklet)
        except BaseException:  # nothing of it is to run
            restoring.give_up(self.memo.values())
            raise

    def whole(self, tasklet):
        (name, flags, life, more), self.generators = pickling.state_of(tasklet)
        copy = type(tasklet).__new__(type(tasklet))
        self.task, self.clone = tasklet, copy
        if life == restoring.STARTED:
            frames = more[0]
            self.cells(frames)
            # From the top: a generator is on the stack of the one below.
            copies = tuple([*map(self.frame, frames[::-1])][::-1])
            exc, value, kind, channel, sending = more[1:]
            if channel is not None and sending:
                value, kind = None, 0  # what it sends is the original's
            more = copies, exc, value, kind, None, 0
        attributes = object.__getstate__(tasklet)
        state = name, flags, life, more
        restoring.restore(copy, state, None, 0, None, attributes)
        return copy

    def cells(self, frames):
        """Copy those of the frames first: functions refer to them."""
        for frame in frames:
            if type(frame) is not tuple:
                frame = self.state_of(frame)[0]
            if frame is None:
                continue
            for slot in frame[5]:  # a comprehension puts some on the stack
                if type(slot) is types.CellType:
                    self.cell(slot)

    def frame(self, frame):
        if type(frame) is not tuple:
            return self.copy(frame)
        *head, slots = frame
        return (*head, tuple(
            self.collected(slots[n]) if _is_collecting(slots, n)
            else self.copy(slots[n])
            for n in range(len(slots))
        ))

    def collected(self, values):
        """What an expression has so far, as if all that was on the stack."""
        if type(values) is dict:
            return {
                self.copy(key): self.copy(value)
                for key, value in values.items()
            }
        return type(values)(map(self.copy, values))

    def copy(self, value):
        known = self.memo.get(id(value))
        if known is not None:
            return known
        copier = codes.by_type(self.copiers, type(value))
        return value if copier is None else copier(self, value)

    def atomic(self, value):
        """One that the tasklet is inside of."""
        make, args, *state = value.__reduce__()
        if not state or state[0][0] is not self.task:
            return value
        copy = self.known(value, make(*args))
        copy.__setstate__((self.clone, state[0][1]))
        return copy

    def manager(self, manager):
        """One of contextlib's: of the `with`, as its generator is."""
        made = object.__new__(type(manager))
        copy = self.known(manager, made)
        copy.__dict__.update(manager.__dict__)
        if hasattr(copy, "gen"):
            copy.gen = self.copy(copy.gen)
        else:
            copy._exit_callbacks = type(copy._exit_callbacks)(
                (is_sync, self.copy(callback))
                for is_sync, callback in copy._exit_callbacks
            )
        return copy

    def method(self, method):
        if not any(type(method.__self__) is kind for kind in _WITH_METHODS):
            return method
        copied = self.copy(method.__self__)
        if type(method) is types.MethodType:
            return types.MethodType(method.__func__, copied)
        return getattr(copied, method.__name__)

    def guard(self, guard):
        """One that holds a weak collection's items."""
        container = guard.weakcontainer()
        if container is None:
            return guard
        return self.known(guard, others._iteration_guard(container))

    def cell(self, cell):
        if id(cell) not in self.memo:
            copy = self.known(cell, types.CellType())
            try:
                content = cell.cell_contents
            except ValueError:
                pass
            else:
                copy.cell_contents = self.copy(content)
        return self.memo[id(cell)]

    def function(self, function):
        """One that shares variables with a frame shares the copy's."""
        cells = function.__closure__ or ()
        if not any(id(cell) in self.memo for cell in cells):
            return function
        copy = types.FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            tuple(self.memo.get(id(cell), cell) for cell in cells),
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__qualname__ = function.__qualname__
        copy.__module__ = function.__module__
        copy.__doc__ = function.__doc__
        copy.__dict__.update(function.__dict__)
        return self.known(function, copy)

    def state_of(self, generator):
        known = self.generators.get(id(generator))
        return known or _core._generator_state(generator)

    def generator(self, generator):
        frame, *rest = self.state_of(generator)
        if frame is None:
            return generator
        self.cells([frame])
        copy = self.known(generator, restoring.fresh_generator(frame[0]))
        _core._set_generator_state(copy, (self.frame(frame), *rest))
        return copy

    def awaitable(self, value):
        """The copied generator's, whose frame may have come to it first."""
        target, kind, state, argument = _core._await_state(value)
        target, argument = self.copy(target), self.copy(argument)
        if id(value) in self.memo:
            return self.memo[id(value)]
        if kind == awaits.ANEXT:
            copy = awaits.anext_of(target, argument)
        else:
            copy = _core._await(target, kind)
            _core._set_await_state(copy, state, argument)
        return self.known(value, copy)

    def wrapper(self, value):
        coroutine = self.copy(awaits.wrapped_by(value))
        if id(value) not in self.memo:
            self.known(value, awaits.wrapper_of(coroutine))
        return self.memo[id(value)]

    def iterator(self, iterator):
        copy = iterators.copied(iterator, self.copy, self.source)
        return self.known(iterator, copy)

    def source(self, iterator):
        """What a chain() goes over: its arguments, which may be iterators."""
        if type(iterator) is not type(iter(())) or id(iterator) in self.memo:
            return self.copy(iterator)
        make, (items,), *state = iterator.__reduce__()
        copy = make(tuple(map(self.copy, items)))
        if state:
            copy.__setstate__(state[0])
        return self.known(iterator, copy)


    copiers = {
        _core.atomic: atomic,
        awaits.WRAPPER: wrapper,
        others.ITERATION_GUARD: guard,
        type(re.compile("").scanner("").search): method,
        types.BuiltinMethodType: method,
        types.MethodType: method,
        types.FunctionType: function,
        **dict.fromkeys(_MANAGERS, manager),
        **dict.fromkeys(pickling._GENERATORS, generator),
        **dict.fromkeys(awaits.TYPES, awaitable),
        **dict.fromkeys(iterators.COPIED, iterator),
    }


def _is_collecting(slots, n):
    """Whether nothing else has it: the core has copied it for the state."""
    kind = type(slots[n])
    is_one = kind is list or kind is set or kind is dict
    return is_one and sys.getrefcount(slots[n]) == 2


def clone(tasklet):
    """See tasklet.clone()."""
    copy = _core._clone_plain(tasklet, _MANAGERS)
    copier = None
    if copy is None:
        copier = _Copier()
        copy = copier.tasklet(tasklet)
    contexts = others.decimals_of(tasklet)
    if contexts:
        try:
            decimals.set_in(copy, contexts)
        except BaseException:  # nothing of it is to run
            restoring.give_up([copy, *(copier.memo.values() if copier else ())])
            raise
    return copy
