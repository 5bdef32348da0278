"""Loops get compiled while memory runs out: with no room in the table of
compiled code, the JIT frees an entry that it has not made.  Needs
PYTHON_JIT=1.  Each attempt is a child process."""
import os
import sys

import _testcapi

LOOP = """
def loop(count, odd):
    for number in range(count):
        last = number
        if last & 1:
            last = odd
        else:
            last = count
"""


def attempt(n):
    loops = []
    for index in range(150):
        space = {}
        exec(LOOP, space)
        loops.append(space["loop"])
        loops[-1](10, 1)
        if index > 10:
            _testcapi.set_nomemory(n, n + 1)
        try:
            loops[-1](9000, 1)
        except MemoryError:
            pass
        finally:
            _testcapi.remove_mem_hooks()


failures = 0
for n in range(10):
    child = os.fork()
    if child == 0:
        try:
            attempt(n)
        except SystemError:
            os._exit(1)
        os._exit(0)
    failures += os.waitpid(child, 0)[1] != 0
sys.exit(f"{failures} failures" if failures else 0)
