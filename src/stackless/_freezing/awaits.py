"""What coroutines and asynchronous generators are awaited by.

Objects without a name, made by asend(), aclose(), athrow(), anext() with a
default, and __await__() of a coroutine.
"""

import gc
import types

from stackless import _core

ASEND, ACLOSE, ATHROW, ANEXT = range(4)


class _Next:
    """anext() of it wraps the awaitable."""

    def __init__(self, awaitable):
        self.awaitable = awaitable

    def __anext__(self):
        return self.awaitable


def anext_of(awaitable, otherwise):
    """What anext() returns if it is given a default."""
    return anext(_Next(awaitable), otherwise)


def wrapper_of(coroutine):
    """What a coroutine's __await__() returns."""
    if type(coroutine) is not types.CoroutineType:
        raise ValueError(f"{type(coroutine).__name__} is no coroutine")
    return coroutine.__await__()


def wrapped_by(wrapper):
    return gc.get_referents(wrapper)[0]


def generator_of(awaitable):
    """The generator or coroutine that it runs; None if that is not known."""
    if type(awaitable) in TYPES:
        awaitable, kind, *_ = _core._await_state(awaitable)
        if kind == ANEXT:
            return generator_of(awaitable) or awaitable
        return awaitable
    return wrapped_by(awaitable) if type(awaitable) is WRAPPER else None


def awaitables_of(generator):
    """Those that run it, if they live."""
    found = []
    todo = [generator]
    for value in todo:
        found_here = [
            referrer
            for referrer in gc.get_referrers(value)
            if type(referrer) is WRAPPER or type(referrer) in TYPES
        ]
        found += found_here
        if value is generator:
            todo += found_here
    return found


async def _coroutine():
    pass


async def _generator():
    yield


def _known_types():
    """Those whose structure is known; pickle refuses others by their name."""
    known = set()
    generator = _generator()
    for kind in (ASEND, ACLOSE, ATHROW):
        try:
            awaitable = _core._await(generator, kind)
            following = anext_of(awaitable, None)
            known.add(type(awaitable))
            _core._await_state(following)
            known.add(type(following))
        except (RuntimeError, TypeError):
            continue
    return frozenset(known)


def _wrapper_type():
    coroutine = _coroutine()
    kind = type(wrapper_of(coroutine))
    coroutine.close()
    return kind


TYPES = _known_types()
WRAPPER = _wrapper_type()
SENDERS = [
    getattr(kind, name)
    for kind in (*TYPES, WRAPPER)
    for name in ("send", "__next__")
]
