"""What the tests of frozen iterators share."""

import contextlib

from freezing_support import started
from stackless import _core
from tasks import pause

MANY = 12  # items of those that do not end


def numbers(*items):
    """What is alive, so that it cannot be shared without being noticed."""
    yield from items


def some(iterator):
    """Its items, and what ends them."""
    items = []
    while len(items) < 200:
        try:
            items.append(next(iterator))
        except Exception as error:
            return [*items, repr(error)]
    return items


def advanced(make, n):
    """An iterator after n items, and what it goes on with."""
    made = make(), make()
    for iterator in made:
        for _ in range(n):
            with contextlib.suppress(StopIteration, ValueError):
                next(iterator)
    return made[0], some(made[1])


def how_many(make):
    """After how many items to try: beyond the end, too."""
    n = len(some(make())) + 2
    return range(n) if n < 50 else [*range(MANY), 56, 57, 58, 114, 140, 152]


def waiting_with(iterator):
    pause()
    return iterator


def clone_of(iterator):
    """Copied by a clone of a tasklet that has it in a variable."""
    tasklet = started(waiting_with, iterator)
    frames = _core._tasklet_state(tasklet.clone())[3][0]
    tasklet.bind()
    return next(f[5][0] for f in frames if f[0] is waiting_with)
