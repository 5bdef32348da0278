#!/usr/bin/env python3
"""Load the extension on other builds of the same minor version of CPython.

    tools/check_patches.py [MINOR ...]

A wheel built for one patch release is installed on any other: on each it must
work, or be refused by an ImportError that says what differs.  For each minor
version the extension is built for all interpreters that tools/get_pythons.py
finds, oldest and newest patch release and debug build, and loaded on all the
others.  Programs that one of them has frozen are finished by the others.  Where
only one interpreter is there, that is said.
"""

import itertools
import os
import subprocess
import sys
import tempfile

import ci
import get_pythons
import in_python

# Soft and hard switches, kill, a collection, a tracer: what would not survive
# one wrong offset.
PROGRAM = """
import gc, sys
try:
    import stackless
except ImportError as error:
    print("refused:", error)
    raise SystemExit
answers = []

def body(channel):
    try:
        while True:
            answers.append(channel.receive())
    finally:
        answers.append("killed")

def use():
    channel = stackless.channel()
    tasklets = [stackless.tasklet(body)(channel),
                stackless.tasklet(sorted)([channel], key=body)]
    stackless.run()
    gc.collect()
    for n in range(4):
        channel.send(n)
    for t in tasklets:
        t.kill()
    gc.collect()

use()
sys.settrace(lambda *args: None)
use()
sys.settrace(None)
assert answers == 2 * [0, 1, 2, 3, "killed", "killed"], answers
assert stackless.get_stats()["soft_switches"] > 0
print("works")
"""
REFUSAL = "refused: this stackless was built for CPython "
# What CPython says where the file's name is for debug builds only.
NOT_FOUND_THERE = "not found by its name"
NOT_FOUND = "refused: No module named 'stackless._core'\n"


def judge(status, out, err):
    """(what became of it, whether that will do)."""
    if status == 0 and err == "" and out == "works\n":
        return "works", True
    if status == 0 and err == "" and out.startswith(REFUSAL):
        reason = out.partition("running ")[2].partition(".  ")[0]
        return f"refused by {reason}", True
    if (status, out, err) == (0, NOT_FOUND, ""):
        return NOT_FOUND_THERE, True
    return f"exit status {status}\n{out}{err}", False


def build(label):
    """Make the extension as the CI's other jobs do; return its folder."""
    command = ci.in_python(label, *ci.test_options(label))
    subprocess.run([*command, "-c", ""], check=True)
    return in_python.build_folder(label, "debug" * label.endswith("-dbg"))


def load(folder, label):
    """Run PROGRAM with that build on that interpreter."""
    command = [sys.executable, "tools/in_python.py", label, "--"]
    done = subprocess.run(
        [*command, "-X", "faulthandler", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=in_python.ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    return judge(done.returncode, done.stdout, done.stderr)


def freezing(label, *arguments):
    """Run the freezing programs there; (output, whether that will do)."""
    command = ci.in_python(label, *ci.test_options(label))
    done = subprocess.run(
        [*command, "tests/freezing/freezing_releases.py", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=in_python.ROOT,
    )
    fine = done.returncode == 0 and done.stderr == ""
    return (done.stdout + done.stderr).rstrip(), fine


def exchange(labels):
    """(passed, failed): each finishes what each other one has frozen."""
    counts = [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        for writer in labels:
            path = os.path.join(folder, writer)
            said, fine = freezing(writer, "write", path)
            if not fine:
                print(f"FAILED freezing by {writer}: {said}")
                counts[1] += 1
                continue
            for reader in labels:
                if reader != writer:
                    said, fine = freezing(reader, "read", path)
                    mark = "" if fine else "FAILED "
                    print(f"{mark}frozen by {writer}, on {reader}: {said}")
                    counts[not fine] += 1
    return counts


def check(minor):
    """(passed, failed, skipped) for that minor version."""
    labels = [
        label
        for label in get_pythons.LABELS
        if label.partition("-")[0] == minor and get_pythons.find(label)
    ]
    if len(labels) < 2:
        print(f"{minor}: NOT TESTED, {len(labels)} interpreter here")
        return 0, 0, 1
    folders = {label: build(label) for label in labels}
    passed = failed = 0
    for built_for, label in itertools.product(labels, repeat=2):
        what, fine = load(folders[built_for], label)
        if built_for == label:
            fine = what == "works"
        elif what == NOT_FOUND_THERE:
            fine = "-dbg" in built_for and "-dbg" not in label
        passed, failed = passed + fine, failed + (not fine)
        mark = "" if fine else "FAILED "
        print(f"{mark}built for {built_for}, on {label}: {what}")
    thawed, refused = exchange(labels)
    return passed + thawed, failed + refused, 0


def main():
    minors = sys.argv[1:] or get_pythons.MINORS
    counts = [sum(column) for column in zip(*map(check, minors))]
    print("{} passed, {} failed, {} skipped".format(*counts))
    sys.exit(counts[1] > 0)


if __name__ == "__main__":
    main()
