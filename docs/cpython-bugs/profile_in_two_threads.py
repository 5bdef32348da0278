"""The profiler written in Python fails when two threads use it at once."""
import profile
import threading


def wait(ready, go):
    ready.set()
    go.wait()


first, second = threading.Event(), threading.Event()
thread = threading.Thread(target=profile.Profile().runcall,
                          args=(wait, first, second))
thread.start()
first.wait()
try:
    # From 3.12 on: AssertionError: ('Bad return', ...)
    profile.Profile().runcall(wait, second, second)
finally:
    second.set()
    thread.join()
