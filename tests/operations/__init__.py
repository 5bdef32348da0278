"""Every operation on tasklets and channels, for tests that repeat them.

An operation is a generator function.  All before its `yield` is set-up; what
follows is the operation proper, which is measured, or attacked by taking its
memory away.  It has `yield` once, and leaves to clean() what it has changed.

It makes no function after its `yield`: where memory for one is refused,
CPython 3.13.0 itself crashes.

    generator = OPERATIONS["send"]()
    next(generator)             # set-up
    next(generator, None)       # the operation
"""

from . import (
    channels,
    endings,
    freezing,
    looking,
    making,
    support,
    switching,
)
from .looking import ATTRIBUTES
from .support import (
    OPERATIONS,
    VALUE,
    alive,
    clean,
    clear_caches,
    nothing,
    reset,
    started,
    through_c,
)

__all__ = [
    "ATTRIBUTES",
    "OPERATIONS",
    "VALUE",
    "alive",
    "channels",
    "clean",
    "clear_caches",
    "endings",
    "freezing",
    "looking",
    "making",
    "nothing",
    "reset",
    "started",
    "support",
    "switching",
    "through_c",
]
