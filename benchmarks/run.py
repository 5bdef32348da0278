"""Run all benchmarks, or those named; print a table, write JSON, draw plots.

    python benchmarks/run.py [--quick] [--json FILE] [--plots FOLDER]
                             [--markdown FILE] [switch channel ...]
    python benchmarks/run.py --from FILE [--plots FOLDER] [--markdown FILE]

Each file runs in a process of its own.  The exit status is 1 if ours failed
somewhere, or a result was wrong; a wish that did not come true is reported, no
more, and so is a peer that is not here or does not work.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import _bench
import _peers
import _report

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FIRST = ("switch", "channel", "create", "hard", "memory", "collect",
         "startup", "threadring", "skynet", "chameneos", "sieve", "phold",
         "curve")
FILES = [*FIRST, *sorted(
    path.stem for path in HERE.glob("*.py")
    if path.stem not in (*FIRST, "run") and path.stem[0] != "_")]


def run(name, quick):
    """Run one file; return its outcome, or None if it failed."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json"]
    done = subprocess.run(command + ["--quick"] * quick,
                          stdout=subprocess.PIPE, text=True)
    return None if done.returncode else json.loads(done.stdout)


def run_all(names, quick):
    """Run these files; return their outcomes, and the names of the failed."""
    outcomes, failed = {}, []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", file=sys.stderr, flush=True)
        outcome = run(name, quick)
        if outcome is None:
            failed.append(name)
            continue
        outcomes[name] = outcome
        if any(is_bad(column, result) for row in outcome["rows"]
               for column, result in row["results"].items()):
            failed.append(name)
    return outcomes, failed


def is_bad(column, result):
    """Whether that is a failure of the benchmark, or ours."""
    return "error" in result and (column == _bench.OURS or "wrong" in result)


def about(quick):
    """What was measured, and where."""
    from importlib import metadata

    import stackless

    versions = {"stackless": stackless.__version__}
    for name in filter(_peers.have, _peers.PACKAGES):
        versions[name] = metadata.version(name)
    if _peers.have("go"):
        versions["go"] = _peers.go_version()
    return {"python": platform.python_version(),
            "compiler": platform.python_compiler(),
            "machine": platform.machine(), "system": platform.system(),
            "cpus": os.cpu_count(), "versions": versions, "quick": quick,
            "notes": _peers.notes(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def show(found):
    """Print the table."""
    facts, outcomes = found["about"], list(found["benchmarks"].values())
    print(f"CPython {facts['python']},", ", ".join(
        f"{name} {version}" for name, version in facts["versions"].items()))
    if facts["quick"]:
        print("Quick: few rounds, small sizes; the figures mean little.")
    for note in facts["notes"]:
        print(note)
    print("\nours: best round; others: in multiples of ours, same run\n")
    print("\n".join(_report.table(outcomes)))
    wishes = [wanted["met"] for outcome in outcomes
              for row in outcome["rows"] for wanted in row["wanted"]]
    print(f"\n{wishes.count(True)} wishes ok, {wishes.count(False)} missed, "
          f"{wishes.count(None)} not measured")


def draw(found, folder):
    """Draw the plots, if that can be done here."""
    try:
        import _plots
    except ImportError as error:
        print(f"no plots: {error}")
        return
    for path in _plots.draw(found, folder):
        print("drawn:", os.path.relpath(path))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="few rounds, small sizes: does it work at all?")
    parser.add_argument("--json", type=pathlib.Path,
                        default=ROOT / "build" / "bench.json",
                        help="where to write the results")
    parser.add_argument("--plots", type=pathlib.Path,
                        help="where to draw plots (default: docs/plots, "
                        "build/plots with --quick)")
    parser.add_argument("--markdown", type=pathlib.Path,
                        help="where to write the table as Markdown")
    parser.add_argument("--from", type=pathlib.Path, dest="source",
                        metavar="FILE", help="measure nothing, show that run")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=", ".join(FILES))
    options = parser.parse_args()
    unknown = set(options.names) - set(FILES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return options


def main():
    options, failed = parse(), []
    if options.source:
        found = json.loads(options.source.read_text())
    else:
        found = {"about": about(options.quick)}
        found["benchmarks"], failed = run_all(
            options.names or FILES, options.quick)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    show(found)
    if options.markdown:
        lines = _report.markdown(found["benchmarks"].values())
        options.markdown.write_text("\n".join(lines) + "\n")
    small = found["about"]["quick"]
    draw(found, options.plots or ROOT / ("build" if small else "docs")
         / "plots")
    if failed:
        print("FAILED:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
