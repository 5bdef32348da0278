"""A comprehension that has no memory to append to its list: the value is
released while the frame says that it is inside the instruction."""
import faulthandler

import _testcapi


def attempt(n):
    values = iter([object() for _ in range(40)])
    fresh = object
    try:
        _testcapi.set_nomemory(n, n + 1)
        try:
            [fresh() for _ in values]
        finally:
            _testcapi.remove_mem_hooks()
    except MemoryError:
        pass


faulthandler.enable()
for number in range(60):
    attempt(number)
