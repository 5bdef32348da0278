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


def install(tasklet):
    """Make the functions above methods of the type 'tasklet'."""
    for function in (clone,):
        function.__module__ = tasklet.__module__
        function.__qualname__ = f"{tasklet.__qualname__}.{function.__name__}"
        setattr(tasklet, function.__name__, function)
