"""An error is raised while memory runs out, and there is none for its caller's
frame object: the error is lost, which debug builds assert against."""
import os
import sys

import _testcapi


def fails():
    {}["x"]


def calls():
    fails()


def attempt(n):
    _testcapi.set_nomemory(n)
    try:
        calls()
    finally:
        os._exit(0)


crashes = 0
for n in range(40):
    child = os.fork()
    if child == 0:
        attempt(n)
    crashes += os.WIFSIGNALED(os.waitpid(child, 0)[1])
sys.exit(f"{crashes} crashes" if crashes else 0)
