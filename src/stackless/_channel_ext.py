"""The parts of stackless.channel that are best in Python.

A loop in C that receives or sends would be a C frame in the tasklet's stack:
each switch inside it a hard one.  These are ordinary Python functions, put
into the type when the package is imported.
"""


def __iter__(self):
    """Receive until the channel has been closed and has no sender left.

    A sender also ends the loop by send_exception(StopIteration).
    """
    receive = self.receive
    while not self.closing or self.balance > 0:
        try:
            value = receive()
        except StopIteration:
            return
        yield value


def send_sequence(self, iterable, /):
    """send_sequence(iterable) -- send each item; return how many they were."""
    send = self.send
    count = 0
    for item in iterable:
        send(item)
        count += 1
    return count


def __copy__(self, /):
    """__copy__() -- TypeError: a channel is copied with all that waits."""
    raise TypeError(
        f"cannot copy a {type(self).__name__}: copy.deepcopy() copies what "
        "waits for it, too"
    )


def __deepcopy__(self, memo, /):
    """__deepcopy__(memo) -- for copy.deepcopy(): as if frozen and thawed.

    With all tasklets that wait for it.  Raises FreezeError.
    """
    from stackless._freezing import plain

    return plain.deep_copy(plain.channel(self), memo)


def __reduce__(self, /):
    """__reduce__() -- for pickle; see __reduce_ex__()."""
    from stackless._freezing import plain

    return plain.reduce(plain.channel(self))


def __reduce_ex__(self, protocol, /):
    """__reduce_ex__(protocol) -- for pickle: with the tasklets that wait.

    See tasklet.__reduce_ex__().  Raises TypeError for no int.
    """
    from stackless._freezing import plain

    return plain.reduce(plain.channel(self), protocol)


METHODS = (
    __iter__,
    send_sequence,
    __copy__,
    __deepcopy__,
    __reduce__,
    __reduce_ex__,
)


def install(channel):
    """Make the functions above methods of the type 'channel'."""
    for function in METHODS:
        function.__module__ = channel.__module__
        function.__qualname__ = f"{channel.__qualname__}.{function.__name__}"
        setattr(channel, function.__name__, function)
