"""A function that C code calls gets compiled while memory runs out: the
interpreter unwinds one frame more than there is.  Needs PYTHON_JIT=1.  Each
attempt is a child process."""
import os
import sys

import _testcapi


def attempt(n):
    for _ in range(10):
        space = {}
        exec("def same(value): return value", space)
        calls = map(space["same"], [True] * 9000)
        _testcapi.set_nomemory(n, n + 1)
        try:
            all(calls)
        except MemoryError:
            pass
        finally:
            _testcapi.remove_mem_hooks()


crashes = 0
for n in range(10):
    child = os.fork()
    if child == 0:
        attempt(n)
        os._exit(0)
    crashes += os.WIFSIGNALED(os.waitpid(child, 0)[1])
sys.exit(f"{crashes} crashes" if crashes else 0)
