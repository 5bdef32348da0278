"""What all benchmarks share: measuring in turns, and saying what came out.

A benchmark file asks one question.  It defines QUESTION, UNIT, OURS (which
case is ours), cases(quick) -> {name: function}, and perhaps TARGETS, a list
of (case, peer, greatest ratio).  A case's function does its work once and
returns the cost of one operation.  A peer that is not installed is no case.

Cases are run in turns, round by round, so that whatever else the machine is
doing hits all of them; the best round of each counts, and the spread says how
much worse the median was.  Rounds are short, a few milliseconds, and many, so
that some go undisturbed.
"""

import argparse
import gc
import json
import statistics
import time

ROUNDS = 40


def in_turns(cases, rounds):
    """Return {name: {"best": ..., "spread": ...}}."""
    costs = {name: [] for name in cases}
    for _ in range(rounds):
        for name, function in cases.items():
            gc.collect()
            costs[name].append(function())
    return {
        name: {"best": min(values),
               "spread": statistics.median(values) / min(values) - 1}
        for name, values in costs.items()
    }


def nanoseconds(function, count):
    """Call function(); return nanoseconds per one of its operations."""
    begun = time.perf_counter_ns()
    function()
    return (time.perf_counter_ns() - begun) / count


def optional(name):
    """Import a peer; None if it is not there."""
    try:
        return __import__(name)
    except ImportError:
        return None


def measure(module, quick):
    """Run a benchmark's cases; return what goes into the JSON."""
    rounds = getattr(module, "ROUNDS", ROUNDS)
    results = in_turns(module.cases(quick), 3 if quick else rounds)
    targets = []
    for case, peer, most in getattr(module, "TARGETS", ()):
        limit = peer
        if isinstance(peer, str):
            if peer not in results:
                continue
            limit = results[peer]["best"]
        ratio = results[case]["best"] / limit
        targets.append({"case": case, "peer": peer, "ratio": ratio,
                        "most": most, "met": ratio <= most})
    return {"question": module.QUESTION, "unit": module.UNIT,
            "ours": module.OURS, "results": results, "targets": targets}


def table(outcome):
    """The outcome as lines of text."""
    ours = outcome["results"][outcome["ours"]]["best"]
    unit = outcome["unit"]
    lines = [outcome["question"],
             f"  {'':44}{unit:>10}  spread  ours/this"]
    for name, result in outcome["results"].items():
        best, spread = result["best"], result["spread"]
        lines.append(
            f"  {name:44}{best:10,.0f}{spread:8.0%}{ours / best:11.2f}")
    for target in outcome["targets"]:
        peer = target["peer"]
        against = peer if isinstance(peer, str) else f"{peer:,} {unit}"
        verdict = "met" if target["met"] else "NOT MET"
        lines.append(f"  {target['case']} / {against}: {target['ratio']:.2f}, "
                     f"at most {target['most']:.2f} is wanted: {verdict}")
    return lines


def main(module):
    """The command line of a benchmark file."""
    parser = argparse.ArgumentParser(description=module.QUESTION)
    parser.add_argument("--quick", action="store_true",
                        help="few rounds: does it work at all?")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    outcome = measure(module, options.quick)
    print(json.dumps(outcome) if options.json else "\n".join(table(outcome)))
