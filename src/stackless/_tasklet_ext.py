"""Methods of tasklets that are written in Python."""


def clone(self, /):
    """clone() -- another tasklet that is where this one is: a copy.

    It is paused and belongs to the calling thread.  Its frames are copied,
    with the cells, generators and iterators in their variables and on their
    stacks; all other objects are shared.  A tasklet can be cloned any number
    of times.

    Raises FreezeError if C code is between its calls, RuntimeError if it is
    running, a main tasklet, or inside run().
    """
    from stackless._freezing import cloning

    return cloning.clone(self)


def __copy__(self, /):
    """__copy__() -- for copy.copy(): clone()."""
    return clone(self)


def __deepcopy__(self, memo, /):
    """__deepcopy__(memo) -- for copy.deepcopy(): as if frozen and thawed.

    What it shares with other objects that are copied the copies share.
    Raises FreezeError.
    """
    from stackless._freezing import plain

    return plain.deep_copy(plain.tasklet(self), memo)


def __reduce__(self, /):
    """__reduce__() -- for pickle; see __reduce_ex__()."""
    from stackless._freezing import plain

    return plain.reduce(plain.tasklet(self))


def __reduce_ex__(self, protocol, /):
    """__reduce_ex__(protocol) -- for pickle: a suspended tasklet as its parts.

    Works as far as pickle does: it knows no cells, generators, modules or
    nested functions but those that a frame refers to directly.  freeze() and
    Pickler know them everywhere.  Raises FreezeError, TypeError for no int.
    """
    from stackless._freezing import plain

    return plain.reduce(plain.tasklet(self), protocol)


METHODS = (clone, __copy__, __deepcopy__, __reduce__, __reduce_ex__)


def install(tasklet):
    """Make the functions above methods of the type 'tasklet'."""
    for function in METHODS:
        function.__module__ = tasklet.__module__
        function.__qualname__ = f"{tasklet.__qualname__}.{function.__name__}"
        setattr(tasklet, function.__name__, function)
