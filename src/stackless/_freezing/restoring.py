"""Tasklets and generators, given their states when a pickle is loaded.

Objects that refer to each other come in the order in which the pickle has met
them.  So a tasklet's state may come before that of a generator that it is
inside of: then it waits for that.
"""

import contextvars
import types
import weakref

from stackless import _core
from stackless._freezing import classes, codes, decimals, softening
from stackless._freezing.errors import ChangedCodeError

UNBOUND, BOUND, READY, STARTED = range(4)
_BOMBED, _TEMPVAL = 1, 2
ONLY_FRAMES = {tuple}


class ByIdentity:
    """What is known of objects, as long as they live.

    Nobody's __eq__() or __hash__() is asked.
    """

    def __init__(self):
        self._known = {}

    def get(self, thing, default=None):
        return self._known.get(id(thing), (default,))[0]

    def __setitem__(self, thing, value):
        ident = id(thing)

        def forget(reference, known=self._known):
            known.pop(ident, None)

        self._known[ident] = value, weakref.ref(thing, forget)

    def pop(self, thing, default=None):
        return self._known.pop(id(thing), (default,))[0]


# --- what is made before all of it can be read -------------------------------

# By id() of the tasklet that loads: what it has made.  C writes to it, too.
loads = {}


def record(copy):
    """Something that is not to run if the rest cannot be read."""
    made = loads.get(id(_core.getcurrent())) if loads else None
    if made is not None:
        made.append(copy)
    return copy


def load(read, unpickler):
    """What read(unpickler) returns; if it raises nothing that it has made will run."""
    loader = id(_core.getcurrent())
    outer = loads.pop(loader, None) if loads else None
    made = loads[loader] = []
    try:
        value = read(unpickler)
    except BaseException:
        give_up(made)
        raise
    finally:
        del loads[loader]
        if outer is not None:
            loads[loader] = outer
    return value


def give_up(copies):
    for copy in copies:
        _core._give_up(copy)


# --- frames ------------------------------------------------------------------

def _compare(frames, digests, check=None):
    """Is their code what it was?

    And can it go on from there?  check() is asked where that is not known.
    """
    places = softening.known_places if check is not None else None
    changed = _core._check_frames(
        frames, digests, codes.new_digest, places, check
    )
    if changed:
        raise ChangedCodeError([
            f"{function.__module__}.{function.__qualname__}"
            for function in changed
        ])


def _compare_chain(frames, digests):
    """The same for all frames of a tasklet."""
    if softening.INTERRUPTED is None:  # each frame can be looked at for itself
        _compare(frames, digests, softening.check)
        return
    unknown = []
    _compare(frames, digests, unknown.append)
    if unknown or {*map(type, frames)} != ONLY_FRAMES:
        softening.check_chain(frames)


# --- generators --------------------------------------------------------------

class _Argument(tuple):
    """What an expression that makes a generator iterates over."""

    def __aiter__(self):
        return self

    def __anext__(self):
        raise StopAsyncIteration


def fresh_generator(function):
    """A fresh one: its arguments are replaced before it runs.

    CPython 3.15 asks the first one for an iterator before that.
    """
    code = function.__code__
    if not code.co_flags & softening.GENERATOR_FLAGS:
        raise ValueError(f"{code.co_qualname} is no generator function")
    first = code.co_argcount
    names = code.co_varnames[first : first + code.co_kwonlyargcount]
    return function(*(_Argument(),) * first, **dict.fromkeys(names))


def finished_generator(code):
    cells = tuple(types.CellType() for _ in code.co_freevars)
    return fresh_generator(types.FunctionType(code, {}, None, None, cells))


# Generators that have no state yet: tasklets that are inside of them.
_waited_for = ByIdentity()


def set_generator(generator, state, executing):
    """executing: the number of a generator that a tasklet is inside of."""
    *state, digest = state
    frame, number, *_ = state
    if frame is not None and number == executing:
        _compare((frame,), digest, softening.check_generator)
    elif frame is not None:
        _compare((frame,), digest)
        softening.check(frame, number)
    _core._set_generator_state(generator, tuple(state))
    for reference in _waited_for.pop(generator, ()):
        unfinished = reference()
        if unfinished is not None:
            unfinished.go_on()


# --- tasklets ----------------------------------------------------------------

class _Unfinished:
    """What a tasklet is bound to while it waits for a generator's state."""

    def __init__(self, tasklet, generator, rest):
        self.tasklet = tasklet
        self.rest = rest
        _core.tasklet.bind(tasklet, self)
        _waited_for[generator] = [
            *_waited_for.get(generator, ()), weakref.ref(self)
        ]

    def __call__(self):
        raise RuntimeError("the tasklet is part of a pickle that is not read")

    def go_on(self):
        _core.tasklet.bind(self.tasklet)
        _start(self.tasklet, *self.rest)


# Thawed tasklets that wait for a channel: their places in its queue.
_places = ByIdentity()


def _join(tasklet, channel, sending, place):
    """Wait for the channel, at that place among the others of the pickle."""
    _places[tasklet] = place
    follower, leader = None, _core._last_waiting(channel)
    while leader is not None and _places.get(leader, place) > place:
        follower, leader = leader, leader.prev
    _core._join(tasklet, channel, sending, follower)


def _set_context(tasklet, context):
    if type(context) is contextvars.Context:
        tasklet.set_context(context)
    elif context is not None:
        decimals.set_in(tasklet, context)


def _start(tasklet, more, digests, place, context):
    """Give it frames, and what can be set only then."""
    for frame in more[0]:
        if type(frame) is not tuple and _core._is_fresh(frame):
            _Unfinished(tasklet, frame, (more, digests, place, context))
            return
    if digests is not None:
        _compare_chain(more[0], digests)
    _core._set_tasklet_state(tasklet, more)
    try:
        _set_context(tasklet, context)
        if more[4] is not None:
            _join(tasklet, more[4], more[5], place)
    except BaseException:
        _core._give_up(tasklet)
        raise


def restore(tasklet, state, digests, place, context, attributes):
    """What C does by itself if nothing has to be asked or set but frames.

    digests: None if it is known that all code is what it was.
    """
    name, flags, life, more = state
    if life == BOUND:
        tasklet.bind(more)
    elif life == READY:
        (function, args, kwargs), tempval, kind = more
        tasklet.bind(function, args, kwargs)
        if kind & _BOMBED:
            _core._set_bomb(tasklet, tempval)
        elif kind & _TEMPVAL:
            tasklet.tempval = tempval
    _core._begin_state(tasklet, name, flags)
    if attributes is not None:
        classes.set_attributes(tasklet, attributes, setattr)
    if life == STARTED:
        _start(tasklet, more, digests, place, context)
    else:
        _set_context(tasklet, context)
