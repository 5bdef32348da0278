"""What does the import cost, in time and in other modules?

Each time in a fresh process.  Modules are counted that come from files and
are not the package's own; those built into the interpreter cost nothing.  Nor is
_interpreters counted, which some builds have in a file of its own: stackless stands
in front of its functions.
"""

import functools
import subprocess
import sys

import _bench

QUESTION = "What does the import cost?"
ROUNDS = 15

CHILD = """
import sys, time
name = sys.argv[1]
before = set(sys.modules)
begun = time.perf_counter_ns()
try:
    __import__(name)
finally:
    cost = time.perf_counter_ns() - begun
others = [each for each in set(sys.modules) - before
          if each.partition(".")[0] != name
          and each not in ("_interpreters", "_xxsubinterpreters")
          and getattr(sys.modules[each], "__file__", None)]
print(cost / 1e6, len(others))
"""


def fresh(name, index):
    """Import it there; milliseconds, or the number of other modules."""
    command = [sys.executable, "-W", "ignore", "-c", CHILD, name]
    return float(subprocess.check_output(command, text=True).split()[index])


def rows(quick):
    names = ("stackless", "greenlet", "gevent", "eventlet", "asyncio",
             "uvloop")
    return [
        _bench.Row("import", {name: functools.partial(fresh, name, 0)
                              for name in names},
                   (_bench.at_most(15),), unit="ms"),
        _bench.Row("other modules that it imports",
                   {name: functools.partial(fresh, name, 1)
                    for name in names},
                   (_bench.at_most(0),), unit="modules", rounds=1),
    ]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
