"""coverage.py finds of tasklets what it finds of plain functions."""

import ast
import importlib.util
import os
import pathlib
import sys

import pytest

from tools_support import JIT_CRASHES, JIT_REASON, HARD, run_file

HERE = pathlib.Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
PROGRAM = HERE / "covered_program.py"
NEVER = {number for number, line in enumerate(
             PROGRAM.read_text().splitlines(), 1)
         if line.strip() in ("total += 5", "break")}


def have(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


pytestmark = [
    pytest.mark.skipif(not have("coverage"), reason="no coverage here"),
    pytest.mark.skipif(JIT_CRASHES, reason=JIT_REASON),
]

CORES = [
    pytest.param(
        "ctrace", marks=pytest.mark.skipif(
            not have("coverage.tracer"),
            reason="coverage has no C tracer for this Python")),
    pytest.param(
        "sysmon", marks=pytest.mark.skipif(
            sys.version_info < (3, 12), reason="3.12 brought sys.monitoring")),
]


def measure(*args):
    path = [str(EXAMPLES), *filter(None, sys.path)]
    environ = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
    for name in list(environ):
        if name.startswith("COV"):  # the tests themselves may be covered
            del environ[name]
    options = ["-c", f"import stackless, runpy, sys; "
               f"stackless.enable_softswitch({not HARD}); "
               f"sys.argv = {['', *args]}; "
               f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"]
    return ast.literal_eval(run_file(*options, env=environ).splitlines()[-1])


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("what", ["lines", "branch"])
def test_tasklets_are_covered_as_plain_functions_are(core, what):
    if what == "branch" and core == "sysmon" and sys.version_info < (3, 14):
        pytest.skip("sysmon measures branches from 3.14 on")
    wanted = measure("plain", core, what)
    assert len(wanted["executed_lines"]) > 25
    assert NEVER <= set(wanted["missing_lines"])
    assert measure("tasklets", core, what) == wanted
