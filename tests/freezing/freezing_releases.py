"""freezing_releases.py write|read FILE: for tools/check_patches.py.

One release of CPython freezes every program at each of its points, another one
of the same minor version finishes them: all that take their code along, and of
the others those whose code it compiles to the same.
"""

import pathlib
import pickle
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import freezing_calls  # noqa: E402, F401
import freezing_classes  # noqa: E402, F401
import freezing_errors  # noqa: E402, F401
import freezing_loops  # noqa: E402, F401
import stackless  # noqa: E402
from freezing_support import (  # noqa: E402
    PROGRAMS,
    finish,
    freeze_all,
    thaw,
)

CODES = "value", "reference"
ELSEWHERE = {"values_of_all_kinds"}  # tells where a module's file is


def frozen(program, code):
    try:
        return freeze_all(program, code)
    except pickle.PicklingError:
        return None, []  # refused by name


def write(path):
    data = {
        (code, name): frozen(program, code)
        for code in CODES
        for name, program in PROGRAMS.items()
        if name not in ELSEWHERE
    }
    with open(path, "wb") as file:
        pickle.dump(data, file)


def read(path):
    done = dict.fromkeys(CODES, 0)
    changed = 0
    with open(path, "rb") as file:
        given = pickle.load(file)
    for (code, name), (expected, data) in given.items():
        for each in filter(None, data):
            try:
                outcome = finish(thaw(each))
            except stackless.ChangedCodeError:
                assert code == "reference", name
                changed += 1
            else:
                assert outcome == expected, name
                done[code] += 1
    assert done["value"] >= 400
    assert done["reference"] >= 300
    print(f"{done['value']} programs by value, {done['reference']} by "
          f"reference, {changed} refused as changed")


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # of itertools
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
