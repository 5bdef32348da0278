"""tools/count_instructions.py reads, divides and judges as it should.

Without valgrind: what callgrind wrote is made up here.
"""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

OURS = "/x/_core.so"
KEY = "3.13.0, gcc 12, x86_64"
BUILD = "3.13.0 (main) [GCC 12.2.0], glibc 2.36"

# Two parts, as written with --dump-line=no --combine-dumps=yes.
OUTPUT = f"""\
# callgrind format
part: 1
desc: Trigger: --dump-before=getpriority
events: Ir
summary: 160

ob=(1) /x/libpython.so
fl=(1) ceval.c
fn=(1) eval
0 100
cob=(2) {OURS}
cfi=(2) dispatch.c
cfn=(2) slp_switch
calls=3 0
0 55
* 5

ob=(2)
fl=(2)
fn=(2)
+3 40
-3 15

totals: 160

part: 2
summary: 7

ob=(2)
fl=(2)
fn=(2)
0 4

ob=(1)
fl=(1)
fn=(1)
0 3
totals: 7
"""


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("count_instructions")


def parts(tool, text):
    return tool.read_parts(text.splitlines(keepends=True), OURS)


def figures(**changes):
    """Three operations, by extension and all; `changes` replaces some."""
    values = {"switch": (100.0, 1000.0), "make": (200.0, 2000.0),
              "call": (0.0, 300.0), **changes}
    return {name: {"extension": value[0], "all": value[1]}
            for name, value in values.items() if value}


def verdict(tool, key=KEY, build=BUILD, **changes):
    records = {KEY: {"build": BUILD, "operations": figures()}}
    return tool.compare(figures(**changes), key, build, records)


def counts(verdict):
    return verdict.passed, verdict.failed, verdict.skipped


def test_costs_are_summed_by_file(tool):
    assert parts(tool, OUTPUT) == [{"all": 160, "extension": 55},
                                   {"all": 7, "extension": 4}]


def test_an_extension_that_is_not_there_has_no_costs(tool):
    other = OUTPUT.replace(OURS, OURS + ".old")
    assert [part["extension"] for part in parts(tool, other)] == [0, 0]


@pytest.mark.parametrize("line", ["totals: 7", "0 3", "calls=3 0"])
def test_output_that_does_not_add_up_is_refused(tool, line):
    with pytest.raises(ValueError, match="adds up"):
        parts(tool, OUTPUT.replace(line + "\n", "totals: 8\n"))


def part(count, ours):
    return {"all": count, "extension": ours}


def test_what_starting_costs_is_no_operations(tool):
    more = tool.MORE - tool.FEWER
    seen = [part(9999, 999), part(50, 5), part(777, 77),
            part(50 + 30 * more, 5 + 7 * more), part(111, 11),
            part(8, 8), part(222, 22), part(8 + more // 4, 8), part(1, 1)]
    assert tool.per_operation(["one", "two"], seen) == {
        "one": {"all": 30.0, "extension": 7.0},
        "two": {"all": 0.2, "extension": 0.0}}


@pytest.mark.parametrize("number", [4, 6, 9])
def test_a_mark_too_few_or_too_many_is_refused(tool, number):
    with pytest.raises(ValueError, match=f"{number} parts"):
        tool.per_operation(["one"], number * [part(1, 1)])


@pytest.mark.parametrize("text, name", [
    (b"\0GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0", "gcc 12"),
    (b"GCC: (GNU) 9.4.0\0GCC: (GNU) 9.4.0\0", "gcc 9"),
    (b"GCC: (Debian 12.2.0-14) 12.2.0\0Debian clang version 14.0.6\0",
     "clang 14"),
    (b"\x7fELF", "an unknown compiler"),
])
def test_compiler(tool, text, name):
    assert tool.compiler_of(text) == name


def test_the_same_figures_pass(tool):
    same = verdict(tool)
    assert counts(same) == (6, 0, 0) and not same.lines


@pytest.mark.parametrize("figure, failed", [
    (103.0, 0), (103.1, 1), (97.0, 0), (500.0, 1), (0.0, 0)])
def test_three_percent_more_is_let_through(tool, figure, failed):
    found = verdict(tool, switch=(figure, 1000.0))
    assert counts(found) == (6 - failed, failed, 0)


def test_a_fault_says_what_and_how_much(tool):
    (line,) = verdict(tool, make=(200.0, 2200.0)).lines
    assert line == "FAILED: make, all: 2200.0, recorded 2000.0, +10.0%"


def test_where_there_was_nothing_anything_is_too_much(tool):
    assert counts(verdict(tool, call=(0.1, 300.0))) == (5, 1, 0)


def test_a_gain_passes_with_a_hint(tool):
    found = verdict(tool, switch=(90.0, 1000.0))
    (line,) = found.lines
    assert counts(found) == (6, 0, 0)
    assert "better: switch, extension: 90.0" in line and "--record" in line


@pytest.mark.parametrize("change", [
    {"switch": None}, {"another": (1.0, 1.0)}])
def test_an_operation_on_one_side_only_is_a_fault(tool, change):
    found = verdict(tool, **change)
    assert found.failed == 1 and found.skipped == 0
    assert next(iter(change)) in found.lines[0]


@pytest.mark.parametrize("key", [
    "3.13.1, gcc 12, x86_64", "3.13.0, gcc 13, x86_64",
    "3.13.0, clang 12, x86_64", "3.13.0, gcc 12, aarch64"])
def test_unknown_conditions_are_skipped_and_said(tool, key):
    found = verdict(tool, key=key, switch=(900.0, 9000.0))
    (line,) = found.lines
    assert counts(found) == (0, 0, 6)
    assert line.startswith("NOT TESTED: ") and key in line and KEY in line


def test_another_version_has_nothing_recorded(tool):
    (line,) = verdict(tool, key="3.1.0, gcc 12, x86_64").lines
    assert line.endswith("recorded for 3.1: nothing")


def test_another_build_is_judged_by_the_extension_only(tool):
    found = verdict(tool, build="other", switch=(104.0, 9000.0))
    assert counts(found) == (2, 1, 3)
    assert any("other" in line and line.startswith("NOT TESTED: ")
               for line in found.lines)


@pytest.mark.parametrize("text, status, numbers", [
    ("NOT TESTED: no valgrind\n0 passed, 0 failed, 1 skipped",
     "NOT TESTED: no valgrind", (0, 0, 1)),
    ("NOT TESTED: half\n9 passed, 0 failed, 9 skipped", "passed", (9, 0, 9)),
    ("FAILED: x\n8 passed, 1 failed, 0 skipped", "FAILED", (8, 1, 0)),
    ("", "passed", (1, 0, 0)),
])
def test_ci_says_what_was_not_tested(
        tool, monkeypatch, tmp_path, text, status, numbers):
    ci = importlib.import_module("ci")
    monkeypatch.setattr(ci, "LOGS", tmp_path)
    code = f"print({text!r}); raise SystemExit({numbers[1]})"
    job = ci.Job("extra", "x", [sys.executable, "-c", code])
    job.run(float("inf"))
    assert job.status == status
    assert (job.passed, job.failed, job.skipped) == numbers


def test_the_tool_knows_its_options():
    command = [sys.executable, str(TOOLS / "count_instructions.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"--record\b", done.stdout)
