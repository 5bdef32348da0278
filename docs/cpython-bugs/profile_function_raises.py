"""A profile function that raises at the call of f(*a_list): the list, and so
what is in it, is released once too often."""
import sys

thing = object()
before = sys.getrefcount(thing)


def raises(frame, event, arg):
    if event == "c_call":
        sys.setprofile(None)
        raise KeyError


for i in range(100):
    arguments = [thing]
    try:
        sys.setprofile(raises)
        isinstance(*arguments)
    except KeyError:
        pass
print(sys.getrefcount(thing) - before)
