"""Benchmarks notice what goes wrong; the slow and the missing are no fault."""

import json
import os
import pathlib
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import _bench

    return _bench


def outcome(bench, *rows):
    """What is measured of these rows, by what they are called."""
    module = types.SimpleNamespace(
        QUESTION="?", __file__=__file__, rows=lambda quick: rows)
    return {row["what"]: row for row in bench.measure(module, True)["rows"]}


def wrong():
    import _bench

    _bench.check(1, 2)


def test_wishes(bench):
    row = bench.Row("a", {"stackless": lambda: 10, "call": lambda: 4,
                          "generator": lambda: 50}, (
        bench.at_most(2, "call"), bench.faster(4, "generator"),
        bench.at_most(12), bench.first_of("call", "generator"),
        bench.at_most(2, "thread"), bench.at_most(1, "stackless", "b")))
    other = bench.Row("b", {"stackless": lambda: 20})
    wanted = outcome(bench, row, other)["a"]["wanted"]
    assert [wish["met"] for wish in wanted] == [
        False, True, True, False, None, True]
    assert [wish["found"] for wish in wanted] == [2.5, 5, 10, 0.4, None, 0.5]


def test_the_best_round_counts(bench):
    costs = iter([7, 5, 6])
    row = bench.Row("a", {"stackless": lambda: next(costs)})
    assert outcome(bench, row)["a"]["results"]["stackless"]["best"] == 5


def test_wrong_results_are_noticed(bench, monkeypatch):
    import run

    row = bench.Row("a", {"stackless": lambda: 1, "call": wrong,
                          "thread": lambda: 1 / 0})
    results = outcome(bench, row)["a"]["results"]
    assert not run.is_bad("stackless", results["stackless"])
    assert run.is_bad("call", results["call"])
    assert not run.is_bad("thread", results["thread"])
    assert run.is_bad("stackless", results["thread"])


def test_a_process_that_dies_is_noticed(bench, tmp_path):
    program = tmp_path / "dies.py"
    program.write_text(
        "import os, sys, _bench\n"
        "QUESTION = '?'\n"
        "def rows(quick):\n"
        "    cases = {'stackless': lambda: os._exit(3), 'call': lambda: 1}\n"
        "    return [_bench.Row('a', cases, alone=True)]\n"
        "_bench.main(sys.modules['__main__'])\n")
    path = [str(ROOT / "benchmarks"), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, str(program), "--quick", "--json"],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(path)),
        stdout=subprocess.PIPE, check=True)
    results = json.loads(done.stdout)["rows"][0]["results"]
    assert "ended with 3" in results["stackless"]["error"]
    assert results["call"]["best"] == 1
