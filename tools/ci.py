#!/usr/bin/env python3
"""Run what CI runs, two jobs at a time, and print a table.

    tools/ci.py                     everything (.ci/run installs what it needs)
    tools/ci.py --only NAME ...     jobs or stages whose name starts so
    tools/ci.py --list              the jobs, by stage

Each job's output goes to build/ci/JOB.log; a failed job's end is printed.
What cannot be tested here is said: `NOT TESTED: reason`.  The last line sums
up the tests of all jobs: `N passed, N failed, N skipped`.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import get_pythons

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "ci"
VENV = ROOT / ".venv" / "bin"
VENV_LABEL = f"{sys.version_info[0]}.{sys.version_info[1]}"

BUDGET = 74 * 60  # no job starts later than this
JOB_LIMIT = 20 * 60

HARD = {"STACKLESS_TEST_HARD": "1"}
SLICE = {**HARD, "STACKLESS_TEST_SLICE": "1"}
JIT = {"PYTHON_JIT": "1"}
# Points are always left by their gates.
RETURN = {"STACKLESS_GATE": "return"}
# Where another run on the same CPython attacks in full, or all takes long.
LESS = {"STACKLESS_ATTACK_SHARE": "0.4"}

# What runs again: with every switch hard, with C stacks sliced at each, with
# gates only.  The attack brings stresses of its own for that, and how the
# extension is built and loaded is the same there.
AGAIN = [
    "tests/semantics",
    "tests/unit",
    "tests/tools",
    "--ignore=tests/unit/test_layout.py",
    "--ignore=tests/tools/test_cpython_bugs.py",
]
HARD_TOO = [*AGAIN, "tests/stress", "tests/extensions", "tests/cli"]
# Where neighbours run all of that.
CORE = ["tests/semantics"]
# Takes long, and is about interpreters rather than how they switch.
NO_OTHERS = ["--ignore=tests/stress/test_subinterpreters.py"]
# What looks for crashes: on builds where all of it would take too long.
DEEP = [
    "tests/semantics",
    "tests/unit",
    "tests/capi",
    "tests/tools",
    "tests/stress",
    "tests/attack",
    "tests/freezing/test_clone.py",
    "tests/freezing/test_culprits.py",
    "tests/freezing/test_frozen_tasklets.py",
    "tests/freezing/test_interrupted.py",
]
# Small, but all of them: they run once for each of these, and in `make test`.
BENCHMARKS = "tests/examples/test_examples.py::test_benchmarks_run"
WITH_BENCHMARKS = ("3.13 soft", "3.15 soft")

# One after the other; the jobs of the later ones run two at a time.
STAGES = ["lint", "user", "build", "matrix", "sanitize", "extra"]
# Without these nothing further is worth its time.
GATES = {"lint"}


class Job:
    """A command and what became of it.

    `missing`: why it cannot run here; such a job counts as one skipped.
    """

    def __init__(self, stage, name, command, environ=None, missing=None):
        self.stage = stage
        self.name = name
        self.command = command
        self.environ = environ or {}
        self.missing = missing
        self.status = "NOT TESTED: " + missing if missing else "not run"
        self.passed = self.failed = 0
        self.skipped = int(bool(missing))
        self.seconds = 0
        self.log = LOGS / (name.replace("/", "-").replace(" ", "-") + ".log")

    def run(self, deadline):
        if self.missing:
            return
        if time.monotonic() > deadline:
            self.status, self.skipped = "NOT TESTED: no time left", 1
            return
        start = time.monotonic()
        code = self.execute()
        self.seconds = time.monotonic() - start
        text = self.log.read_text(errors="replace")
        self.count(text, code)
        bad = code or self.failed
        self.status = "FAILED" if bad else self.good_status(text)
        mark = f"exit status {code}" if code else ""
        print(
            f"{self.status:8} {self.name} {self.seconds:.0f} s {mark}",
            flush=True,
        )
        if bad:
            for line in self.what_failed(text):
                print("   ", line)
            sys.stdout.flush()

    @staticmethod
    def what_failed(text):
        """The lines of the log that say most: whoever reads may see few."""
        lines = text.splitlines()
        end = lines[-60:]
        said = [line for line in lines[:-60] if re.match(r"E  ", line)]
        tests = [line for line in end if line.startswith(("FAILED ", "ERROR "))]
        return [*tests, *said[:20], *end]

    def execute(self):
        """Run the command with its output in the log; return its status."""
        environ = {**os.environ, **self.environ}
        with open(self.log, "wb") as log:
            child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environ,
                start_new_session=True,
            )
            try:
                return child.wait(JOB_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                log.write(b"\nstopped: over its time\n")
                return -9

    def good_status(self, text):
        """Whether a job that did not fail has tested anything."""
        reason = re.search(r"^NOT TESTED: .*", text, re.MULTILINE)
        return reason[0] if reason and not self.passed else "passed"

    def count(self, text, code):
        """Add up the closing lines of pytest and meson in the log."""
        for line in text.splitlines():
            if re.search(r"\d+ \w+.* in [\d.]+s", line):
                for number, word in re.findall(r"(\d+) (\w+)", line):
                    if word == "passed":
                        self.passed += int(number)
                    elif word in ("failed", "error", "errors"):
                        self.failed += int(number)
                    elif word in ("skipped", "xfailed", "deselected"):
                        self.skipped += int(number)
            meson = re.match(r"(Ok|Fail|Timeout|Skipped):\s+(\d+)\s*$", line)
            if meson:
                kind = {"Ok": "passed", "Skipped": "skipped"}.get(
                    meson[1], "failed"
                )
                setattr(self, kind, getattr(self, kind) + int(meson[2]))
            plain = re.match(
                r"(\d+) passed, (\d+) failed(, (\d+) skipped)?$", line
            )
            if plain:  # tests/c/run.py, tools/count_instructions.py
                self.passed += int(plain[1])
                self.failed += int(plain[2])
                self.skipped += int(plain[4] or 0)
        if not self.passed + self.failed + self.skipped:
            self.passed = int(not code)
        if code and not self.failed:
            self.failed = 1


def lacks(*programs):
    """Why a job that needs these programs cannot run, or None."""
    absent = [name for name in programs if not shutil.which(name)]
    return f"no {', '.join(absent)} here" if absent else None


def in_python(label, *options):
    command = [
        sys.executable,
        "tools/in_python.py",
        label,
        "--build",
        *options,
    ]
    return [*command, "--"]


def whole_suite(name):
    """What pytest is given for the job of that name."""
    return [] if name in WITH_BENCHMARKS else ["--deselect", BENCHMARKS]


def test_options(label):
    """How the extension is built for the tests on that interpreter."""
    debug = ["--debug"] if label.endswith("-dbg") else []
    return [*debug, "--werror", "--coretest"]


def matrix_jobs(pythons):
    pytest = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--ignore=tests/lint",
    ]
    for label in get_pythons.LABELS:
        missing = None if pythons[label] else f"no CPython {label} here"
        flags = test_options(label)
        command = in_python(label, *flags)
        yield Job(
            "build", f"build {label}", [*command, "--version"], {}, missing
        )
        options = ["-X", "dev"] if label.endswith("-dbg") else []
        run = [*command, *options, *pytest]
        name = f"{label} soft"
        minor = "-" not in label
        # `make test` has been there; these differ little from others.
        like_others = label in (VENV_LABEL, "3.14-dbg")
        part = AGAIN if like_others or label == "3.15-dbg" else DEEP
        if label in ("3.14-dbg", "3.15-dbg"):
            part = [*part, "tests/freezing/test_interrupted.py"]
        if label == "3.13-newest":
            part = [*CORE, "tests/stress", *NO_OTHERS]
        whole = minor and label != VENV_LABEL  # that is `make test`
        soft = [*run, *(whole_suite(name) if whole else part)]
        yield Job("matrix", name, soft, {} if minor else LESS, missing)
        between = label in ("3.12", "3.14")
        part = [*HARD_TOO, *NO_OTHERS] if label == "3.13" else AGAIN
        hard = [*run, *(part if minor else CORE)]
        if not like_others and label != "3.13-newest":
            yield Job("matrix", f"{label} hard", hard, HARD, missing)
        if minor:
            again = [*run, *(CORE if between else AGAIN)]
            yield Job("matrix", f"{label} sliced", again, SLICE, missing)
            name = f"{label} return"
            deep = [*run, *DEEP, *NO_OTHERS]
            gates = deep if label == "3.15" else again
            yield Job("matrix", name, gates, {**RETURN, **LESS}, missing)
        if label in ("3.14", "3.15"):
            jit = [*run, *DEEP, *NO_OTHERS]
            yield Job(
                "matrix", f"{label} JIT", jit, {**JIT, **LESS}, missing
            )
    for label in ("3.12", "3.14"):
        missing = None if pythons[label] else f"no CPython {label} here"
        command = in_python(label, "--asan", "--coretest")
        yield Job(
            "build",
            f"build asan {label}",
            [*command, "--version"],
            {},
            missing,
        )
        run = [*command, *pytest]
        soft = [*run, *(DEEP if label == "3.12" else AGAIN)]
        yield Job("sanitize", f"asan {label} soft", soft, LESS, missing)
        if label == "3.12":
            hard = [*run, *AGAIN]
            yield Job("sanitize", f"asan {label} hard", hard, HARD, missing)
    yield tsan_job(pythons, pytest)


# What there is about threads, under ThreadSanitizer: it sees our C code and all
# locks, CPython's too.
TSAN_TESTS = [
    "tests/semantics/test_threads.py",
    "tests/semantics/test_naps.py",
    "tests/semantics/test_atomic.py",
    "tests/semantics/test_watchdog.py",
    "tests/semantics/test_preempt.py",
    "tests/stress/test_threads_together.py",
]


def tsan_job(pythons, pytest):
    missing = None if pythons["3.13"] else "no CPython 3.13 here"
    command = [*in_python("3.13", "--tsan", "--coretest"), *pytest, *TSAN_TESTS]
    return Job("sanitize", "tsan 3.13", command, {}, missing)


def c_job(stage, name, folder, setup, missing=None, environ=None):
    """Set up a meson build of the C tests, and run them."""
    meson = str(VENV / "meson")
    folder = f"build/{folder}"
    script = f"""
        test -d {folder} || {meson} setup {folder} -Dextension=false {setup}
        {meson} test -C {folder} --print-errorlogs
    """
    path = {"PATH": f"{VENV}:{os.environ['PATH']}", **(environ or {})}
    return Job(stage, name, ["bash", "-ec", script], path, missing)


def all_jobs():
    pythons = {label: get_pythons.find(label) for label in get_pythons.LABELS}
    yield Job("lint", "lint", ["make", "lint-fast"])
    yield Job("user", "make demo", ["make", "demo"])
    yield Job("matrix", "make test", ["make", "test"])
    yield from matrix_jobs(pythons)
    patches = [sys.executable, "tools/check_patches.py"]
    yield Job("matrix", "patch releases", patches)
    out = "build/py/clang"
    clang = [sys.executable, "tools/quickbuild.py", sys.executable, out]
    clang += ["--werror", "--coretest"]
    yield Job("build", "build clang", clang, {"CC": "clang"}, lacks("clang"))
    yield c_job(
        "sanitize",
        "C tests asan",
        "c-asan",
        "--buildtype=debug -Dcheck=true -Db_sanitize=address,undefined",
    )
    yield c_job(
        "sanitize",
        "C tests tsan",
        "c-tsan",
        "--buildtype=debug -Dcheck=true -Db_sanitize=thread",
    )
    yield c_job(
        "sanitize",
        "C tests -O2",
        "c-release",
        "--buildtype=release -Db_ndebug=true",
    )
    yield c_job(
        "sanitize",
        "C tests aarch64",
        "c-aarch64",
        "--buildtype=debugoptimized --cross-file tools/aarch64.ini",
        lacks("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    )
    run = [sys.executable, "tests/c/run.py"]
    yield Job("sanitize", "C tests ucontext", [*run, "--ucontext"])
    valgrind = lacks("valgrind")
    yield Job(
        "sanitize", "C tests valgrind", [*run, "--valgrind"], {}, valgrind
    )
    yield Job("extra", "format, stubs", ["make", "lint-slow"])
    for label in ("3.11", "3.13"):
        missing = None if pythons[label] else f"no CPython {label} here"
        command = in_python(label, *test_options(label))
        command.append("tools/count_instructions.py")
        name = f"instructions {label}"
        yield Job("extra", name, command, {}, missing or valgrind)


def print_table(jobs):
    print()
    width = max(len(job.name) for job in jobs)
    head = f"{'job':{width}}  passed failed skipped    time  result"
    print(head + "\n" + "-" * len(head))
    for job in jobs:
        counts = f"{job.passed:6} {job.failed:6} {job.skipped:7}"
        print(
            f"{job.name:{width}}  {counts} {job.seconds:5.0f} s  {job.status}"
        )


def choose(jobs, only):
    if not only:
        return jobs
    chosen = [
        j for j in jobs if any((j.name + "\n").startswith(o) for o in only)
    ]
    chosen += [j for j in jobs if j.stage in only and j not in chosen]
    return sorted(chosen, key=lambda job: STAGES.index(job.stage))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    jobs = sorted(all_jobs(), key=lambda job: STAGES.index(job.stage))
    jobs = choose(jobs, options.only)
    if options.list:
        for job in jobs:
            print(f"{job.stage:9} {job.name:20} {job.missing or ''}".rstrip())
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + BUDGET
    for stage in STAGES:
        members = [job for job in jobs if job.stage == stage]
        # Builds use all processors themselves; the user's way is timed.
        width = (
            1 if stage in ("lint", "user", "build") else os.cpu_count() or 1
        )
        with concurrent.futures.ThreadPoolExecutor(min(width, 2)) as pool:
            list(pool.map(lambda job: job.run(deadline), members))
        if stage in GATES and any(job.failed for job in members):
            print(f"stopped after {stage}: mend this first")
            break
    print_table(jobs)
    passed, failed, skipped = (
        sum(getattr(job, word) for job in jobs)
        for word in ("passed", "failed", "skipped")
    )
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
