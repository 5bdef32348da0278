"""An import that has no memory for the lock of a module: RuntimeError in place
of MemoryError is one thing, objects released twice the other."""
import gc
import os
import signal
import sys
import tempfile

import _testcapi


def attempt(n):
    sys.modules.pop("a_module", None)
    try:
        _testcapi.set_nomemory(n, n + 1)
        try:
            import a_module
        finally:
            _testcapi.remove_mem_hooks()
    except (MemoryError, RuntimeError):
        pass


def attempts():
    for n in range(40):
        for _ in range(30):
            attempt(n)
            gc.collect()


with tempfile.TemporaryDirectory() as folder:
    open(os.path.join(folder, "a_module.py"), "w").close()
    sys.path.insert(0, folder)
    child = os.fork()
    if child == 0:
        signal.alarm(15)  # it may hang, too
        attempts()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
sys.exit(f"ended with status {status}" if status else 0)
