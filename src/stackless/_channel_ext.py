"""The parts of stackless.channel that are loops, and so are best in Python.

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


def install(channel):
    """Make the functions above methods of the type 'channel'."""
    for function in (__iter__, send_sequence):
        function.__module__ = channel.__module__
        function.__qualname__ = f"{channel.__qualname__}.{function.__name__}"
        setattr(channel, function.__name__, function)
