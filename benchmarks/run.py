"""Run all benchmarks, or those named; print tables, and write results.json.

    python benchmarks/run.py [--quick] [--output FILE] [switch channel ...]

Each file runs in a process of its own.  The exit status is 1 if one of them
failed; a target that is missed is reported, no more.
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

HERE = pathlib.Path(__file__).resolve().parent
FILES = {path.stem: path for path in sorted(HERE.glob("*.py"))
         if path.stem != "run" and not path.stem.startswith("_")}


def run(path, quick):
    """Run one file; return its outcome, or None if it failed."""
    command = [sys.executable, str(path), "--json"]
    done = subprocess.run(command + ["--quick"] * quick,
                          stdout=subprocess.PIPE, text=True)
    return None if done.returncode else json.loads(done.stdout)


def about():
    """What was measured, and where."""
    from importlib import metadata

    import stackless

    versions = {"stackless": stackless.__version__}
    try:
        versions["greenlet"] = metadata.version("greenlet")
    except metadata.PackageNotFoundError:
        pass
    return {"python": platform.python_version(),
            "compiler": platform.python_compiler(),
            "machine": platform.machine(), "system": platform.system(),
            "cpus": os.cpu_count(), "versions": versions,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="few rounds: does it work at all?")
    parser.add_argument("--output", type=pathlib.Path,
                        default=HERE / "results.json")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=", ".join(FILES))
    options = parser.parse_args()
    unknown = set(options.names) - set(FILES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")

    facts = about()
    print("CPython", facts["python"], *(
        f"{name} {version}" for name, version in facts["versions"].items()))
    outcomes, failed = {}, []
    for name in options.names or FILES:
        outcome = run(FILES[name], options.quick)
        if outcome is None:
            failed.append(name)
            continue
        outcomes[name] = outcome
        print("", *_bench.table(outcome), sep="\n", flush=True)
    options.output.write_text(
        json.dumps({"about": facts, "benchmarks": outcomes}, indent=1) + "\n")
    if failed:
        print("\nfailed:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
