"""sys.settrace() while memory runs out: it crashes in place of raising
MemoryError.  Each attempt is a child process, with less to begin with."""
import os
import sys

import _testcapi


def tracer(frame, event, arg):
    return tracer


def traced():
    pass


def attempt(n):
    _testcapi.set_nomemory(n)
    try:
        sys.settrace(tracer)
        traced()
    finally:
        os._exit(0)


crashes = 0
for n in range(40):
    child = os.fork()
    if child == 0:
        attempt(n)
    crashes += os.WIFSIGNALED(os.waitpid(child, 0)[1])
sys.exit(f"{crashes} crashes" if crashes else 0)
