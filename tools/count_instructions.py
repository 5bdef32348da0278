#!/usr/bin/env python3
"""Count the instructions of switches and messages; compare with a record.

    tools/in_python.py LABEL --build -- tools/count_instructions.py [--record]

Runs benchmarks/_counted.py under callgrind, in the interpreter that runs this,
and divides the instructions of each operation by how often it was done: once
12,000 times, less 2,000 times, so that starting costs nothing.  The figures
are compared with those in benchmarks/instructions.json; 3 % more is a fault.
--record writes them there instead.

Two figures of each operation:

    extension   instructions in the extension's own file.  They depend on its
                source, CPython's release, the compiler and the kind of CPU,
                which is what a record is kept for.
    all         those of the whole process.  They show what the extension has
                CPython do for it, but depend on how CPython was compiled too,
                and are compared with a record of the same build only.

callgrind knows nothing of C stacks that are changed by hand.  Whom a call
belongs to may be wrong in its output, which is not read here; how often each
instruction ran is right.  Of a hard switch the instructions after the change,
ten at most, are booked to the function in CPython that goes on.

Where nothing fits, that is said as `NOT TESTED: reason`, and counts as
skipped.  The last line: `N passed, N failed, N skipped`.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "benchmarks" / "_counted.py"
RECORDS = ROOT / "benchmarks" / "instructions.json"

FEWER, MORE = 2_000, 12_000
MARGIN = 0.03
KINDS = ["extension", "all"]

# In callgrind's output: the file whose functions follow, or of a function
# that is called; a number stands for the name once that was said.
OBJECT = re.compile(r"(c?)ob=\((\d+)\)(?: (.*))?")
COST = re.compile(r"[-+*\d]\S* (\d+)$")


def read_parts(lines, extension):
    """What callgrind counted up to each mark, and from the last to the end.

    A list of {"all": instructions, "extension": those in that file}.
    """
    parts, names = [], {}
    inside = called = False
    for line in map(str.rstrip, lines):
        if called:  # what a call cost is said again where it was spent
            called = False
        elif line.startswith("calls="):
            called = True
        elif line.startswith("part:"):
            parts.append({"all": 0, "extension": 0})
        elif match := OBJECT.match(line):
            of_call, number, name = match.groups()
            if name:
                names[number] = name
            if not of_call:
                inside = names[number] == extension
        elif match := COST.match(line):
            parts[-1]["all"] += int(match[1])
            parts[-1]["extension"] += int(match[1]) * inside
        elif line.startswith("totals: "):
            if int(line.split()[1]) != parts[-1]["all"]:
                raise ValueError("callgrind's output adds up differently")
    return parts


def per_operation(names, parts):
    """{name: {kind: instructions of one}}.

    Of each operation there are four parts: its preparation, FEWER of it,
    another preparation, MORE of it.
    """
    if len(parts) != 4 * len(names) + 1:
        raise ValueError(f"callgrind saw {len(parts)} parts of the program")
    figures = {}
    for name, fewer, more in zip(names, parts[1::4], parts[3::4]):
        figures[name] = {
            kind: round((more[kind] - fewer[kind]) / (MORE - FEWER), 1)
            for kind in KINDS
        }
    return figures


def count():
    """Run the program; return its figures, and the extension's file."""
    package = importlib.util.find_spec("stackless")
    if not package:
        sys.exit("no stackless here: see --help")
    # Nothing else of the environment, as it could change the way.
    environ = {
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(pathlib.Path(package.origin).parent.parent),
    }
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        command = [shutil.which("valgrind"), "--tool=callgrind", "-q"]
        command += ["--dump-before=getpriority", "--combine-dumps=yes"]
        command += ["--dump-line=no", f"--callgrind-out-file={out}"]
        command += [sys.executable, "-P", "-s", "-S", "-B", str(PROGRAM)]
        command += [str(FEWER), str(MORE)]
        done = subprocess.run(
            command, env=environ, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(f"exit status {done.returncode}")
        extension, *names = done.stdout.splitlines()
        with open(out) as lines:
            parts = read_parts(lines, extension)
    return per_operation(names, parts), extension


def compiler_of(binary):
    """Name and major version of what made an object file: "gcc 12"."""
    # clang's files name gcc as well, which made the C library's start files.
    for name, pattern in [
        ("clang", rb"clang version (\d+)"),
        ("gcc", rb"GCC: \([^)]*\) (\d+)"),
    ]:
        if match := re.search(pattern, binary):
            return f"{name} {match[1].decode()}"
    return "an unknown compiler"


def identify(extension):
    """What the figures depend on: (the extension's, all the others)."""
    compiler = compiler_of(pathlib.Path(extension).read_bytes())
    key = f"{platform.python_version()}, {compiler}, {platform.machine()}"
    libc = " ".join(platform.libc_ver())
    return key, f"{' '.join(sys.version.split())}, {libc}"


class Verdict:
    """How many figures passed, failed and were skipped, and why."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.lines = []

    def skip(self, count, reason):
        self.skipped += count
        self.lines.append(f"NOT TESTED: {reason}")

    def fail(self, text):
        self.failed += 1
        self.lines.append(f"FAILED: {text}")

    def judge(self, what, figure, recorded):
        change = figure / recorded - 1 if recorded else float(figure > 0)
        text = f"{what}: {figure}, recorded {recorded}, {change:+.1%}"
        if figure > recorded * (1 + MARGIN):
            self.fail(text)
            return
        self.passed += 1
        if figure < recorded * (1 - MARGIN):
            self.lines.append(f"better: {text}; --record it")


def compare(figures, key, build, records):
    """Judge figures by the record that was made under the same conditions."""
    verdict = Verdict()
    if key not in records:
        minor = ".".join(key.split(".")[:2])
        others = [each for each in records if each.startswith(minor + ".")]
        known = "; ".join(others) or "nothing"
        reason = f"figures of CPython {key}; recorded for {minor}: {known}"
        verdict.skip(len(figures) * len(KINDS), reason)
        return verdict
    record = records[key]
    recorded = record["operations"]
    for name in sorted(figures.keys() ^ recorded.keys()):
        where = "recorded" if name in figures else "counted"
        verdict.fail(f"{name}: not {where}; --record anew")
    common = [name for name in figures if name in recorded]
    for kind in KINDS:
        if kind == "all" and record["build"] != build:
            reason = f"all, of {build}; recorded for {record['build']}"
            verdict.skip(len(common), reason)
            continue
        for name in common:
            what = f"{name}, {kind}"
            verdict.judge(what, figures[name][kind], recorded[name][kind])
    return verdict


def print_figures(key, figures):
    print(f"CPython {key}: instructions of one operation")
    print(f"  {'':32}" + "".join(f"{kind:>11}" for kind in KINDS))
    for name, each in figures.items():
        columns = "".join(f"{each[kind]:11,.1f}" for kind in KINDS)
        print(f"  {name:32}{columns}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("NOT TESTED: no valgrind where this interpreter lives")
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(options.record)
    figures, extension = count()
    key, build = identify(extension)
    print_figures(key, figures)
    records = json.loads(RECORDS.read_text())
    if options.record:
        records[key] = {"build": build, "operations": figures}
        text = json.dumps(dict(sorted(records.items())), indent=2)
        RECORDS.write_text(text + "\n")
        return
    verdict = compare(figures, key, build, records)
    for line in verdict.lines:
        print(line)
    print(
        f"{verdict.passed} passed, {verdict.failed} failed, "
        f"{verdict.skipped} skipped"
    )
    sys.exit(verdict.failed > 0)


if __name__ == "__main__":
    main()
