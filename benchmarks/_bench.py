"""What all benchmarks share: measuring in turns.

A benchmark file asks one question.  It defines QUESTION and rows(quick), a
list of Row; perhaps ROUNDS and SECONDS.  A row has a case for each competitor,
a function that does its work once and returns the cost of one operation; it
raises Wrong if the outcome is not what it should be.

Cases are run in turns, round by round, so that whatever else the machine is
doing hits all of them; the best round of each counts, and the spread says how
much worse the median was.  Rounds are short, a few milliseconds, and many, so
that some go undisturbed.  A case that has had its share of time gets no more
than a few; one that has had twice as much sits out the rest.

Competitors share the process, but those that cannot: they have one each, of
the same file, which is asked for a round when it is their turn.
"""

import argparse
import dataclasses
import gc
import json
import os
import statistics
import subprocess
import sys
import time

import _peers

ROUNDS = 40
FEW = 3
SECONDS = 8  # a case's share of time
OURS = "stackless"


class Wrong(Exception):
    """A benchmark computed something else than it should."""


@dataclasses.dataclass
class Wanted:
    """How ours is to compare; 'of' None: with 'limit' itself, in its unit."""

    text: str
    limit: float  # of ours, in multiples of the other
    of: tuple = None  # columns: the best of them
    row: str = None  # what they are columns of, if not of the same row
    inverse: bool = False  # whether to say how many times faster ours is


def at_most(limit, of=None, row=None, name=None):
    """Ours may cost so many of that column's."""
    if of is None:
        return Wanted(f"<= {limit:,g}", limit)
    return Wanted(f"<= {limit:g} x {name or of}", limit, (of,), row)


def faster(times, of):
    """Ours is to be so many times faster than that column."""
    return Wanted(f">= {times:g} x faster than {of}", 1 / times, (of,),
                  inverse=True)


def first_of(*columns):
    """Ours is to be the fastest of these."""
    return Wanted("first of the Python ones", 1, columns, inverse=True)


@dataclasses.dataclass
class Row:
    """One line of the table: competitors at the same task."""

    what: str
    cases: dict  # {column: function}; of peers that are there, see below
    wanted: tuple = ()
    unit: str = "ns"
    alone: bool = False  # each case has a process of its own, for this row
    options: tuple = ()  # of the interpreter that ours is to have alone
    count: int = 0  # how many there are at once, for the curve
    lacks: str = ""  # why there are no cases
    rounds: int = 0  # if not as many as the others'

    def __post_init__(self):
        self.cases = {column: case for column, case in self.cases.items()
                      if _peers.have(column)}


def nanoseconds(function, count=1):
    """Call function(); return nanoseconds per one of its operations."""
    begun = time.perf_counter_ns()
    function()
    return (time.perf_counter_ns() - begun) / count


def milliseconds(function, expected):
    """Call function(), which must return what is expected; return the time."""
    begun = time.perf_counter_ns()
    found = function()
    cost = time.perf_counter_ns() - begun
    check(found, expected)
    return cost / 1e6


def check(found, expected):
    if found != expected:
        raise Wrong(f"{found!r} instead of {expected!r}")


# --- one round of one case, here or in another process ---------------------

def attempt(function):
    """What came out of one round, as JSON has it."""
    gc.collect()
    try:
        return {"cost": function()}
    except Wrong as error:
        return {"error": f"wrong result: {error}", "wrong": True}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


class Worker:
    """Another process with the same file, for one of the competitors."""

    def __init__(self, path, options, quick):
        command = [sys.executable, *options, path, "--serve"]
        self.process = subprocess.Popen(
            command + ["--quick"] * quick, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def attempt(self, what, column):
        """attempt() there."""
        try:
            print(json.dumps([what, column]), file=self.process.stdin,
                  flush=True)
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        return {"error": f"its process ended with {self.process.wait()}"}

    def close(self):
        self.process.kill()
        self.process.communicate()


def serve(module, quick):
    """In that process: do rounds as asked for."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed
    rows = {row.what: row for row in module.rows(quick)}
    for line in sys.stdin:
        what, column = json.loads(line)
        answer = attempt(rows[what].cases[column])
        print(json.dumps(answer), file=answers, flush=True)


class Workers:
    """The processes of a file's competitors, made when needed."""

    def __init__(self, module, quick):
        self.path = os.path.abspath(module.__file__)
        self.quick = quick
        self.by_key = {}

    def attempt(self, row, column):
        """One round of a case, wherever it is at home."""
        options = row.options if column == OURS else ()
        if row.alone:
            key = row.what, column
        elif options or column in _peers.APART:
            key = options, column
        else:
            return attempt(row.cases[column])
        if key not in self.by_key:
            self.by_key[key] = Worker(self.path, options, self.quick)
        return self.by_key[key].attempt(row.what, column)

    def close(self):
        for worker in self.by_key.values():
            worker.close()
        self.by_key.clear()


# --- all rounds -------------------------------------------------------------

def in_turns(rows, rounds, seconds, workers):
    """Run the cases of these rows; return {what: {column: result}}."""
    turns = [(row, column) for row in rows for column in row.cases]
    costs = {(row.what, column): [] for row, column in turns}
    results = {row.what: {} for row in rows}
    spent = dict.fromkeys(costs, 0)
    for number in range(rounds):
        for row, column in turns:
            key = row.what, column
            most = row.rounds or rounds
            if spent[key] > seconds:
                most = min(most, FEW)
            if spent[key] > 2 * seconds:
                most = 0
            if number >= most or column in results[row.what]:
                continue
            begun = time.perf_counter()
            answer = workers.attempt(row, column)
            spent[key] += time.perf_counter() - begun
            if "error" in answer:
                results[row.what][column] = answer
            else:
                costs[key].append(answer["cost"])
    for (what, column), values in costs.items():
        if column not in results[what]:
            results[what][column] = summary(values)
    return results


def summary(values):
    best, median = min(values), statistics.median(values)
    return {"best": best, "spread": median / best - 1 if best else 0,
            "rounds": len(values)}


def measure(module, quick):
    """Run a benchmark; return its rows as they go into the JSON."""
    rounds = 3 if quick else getattr(module, "ROUNDS", ROUNDS)
    seconds = 1 if quick else getattr(module, "SECONDS", SECONDS)
    rows, results = module.rows(quick), {}
    together = [row for row in rows if not row.alone]
    workers = Workers(module, quick)
    try:
        for group in [together] + [[row] for row in rows if row.alone]:
            results.update(in_turns(group, rounds, seconds, workers))
            workers.close()
    finally:
        workers.close()
    return {"question": module.QUESTION, "rows": [
        {"what": row.what, "unit": row.unit, "count": row.count,
         "lacks": row.lacks, "results": results[row.what],
         "wanted": [judge(wanted, row.what, results)
                    for wanted in row.wanted]}
        for row in rows]}


def judge(wanted, what, results):
    """A wish and whether it came true; 'found' None: nobody knows."""
    ours = results[what].get(OURS, {}).get("best")
    other = 1
    if wanted.of:
        others = results[wanted.row or what]
        known = [others[column]["best"] for column in wanted.of
                 if "best" in others.get(column, {})]
        other = min(known, default=None)
    outcome = {"text": wanted.text, "found": None, "met": None}
    if ours is not None and other is not None:
        ratio = ours / other
        outcome["found"] = 1 / ratio if wanted.inverse else ratio
        outcome["met"] = ratio <= wanted.limit
    return outcome


def main(module):
    """The command line of a benchmark file."""
    parser = argparse.ArgumentParser(description=module.QUESTION)
    parser.add_argument("--quick", action="store_true",
                        help="few rounds, small sizes: does it work at all?")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true",
                        help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(module, options.quick)
        # A million tasklets need not be taken apart one by one.
        os._exit(0)
    outcome = measure(module, options.quick)
    if options.json:
        print(json.dumps(outcome))
    else:
        import _report

        print("\n".join(_report.table([outcome])))
