"""freezing_child.py IN OUT: finish what another process has frozen.

Before that, freezes every program itself, as it is there: run for the first
time.  Both files are pickles.
"""

import pickle
import sys

import freezing_awaits  # noqa: F401
import freezing_calls  # noqa: F401
import freezing_classes  # noqa: F401
import freezing_errors  # noqa: F401
import freezing_loops  # noqa: F401
from freezing_support import PROGRAMS, finish, freeze_all, thaw


def told(function, *args):
    """What it returns, or the exception in words."""
    try:
        return function(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main(source, target):
    with open(source, "rb") as file:
        given = pickle.load(file)
    cold = {name: told(freeze_all, PROGRAMS[name]) for name in PROGRAMS}
    results = [told(lambda data: finish(thaw(data)), data) for data in given]
    with open(target, "wb") as file:
        pickle.dump((cold, results), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
