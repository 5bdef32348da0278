#!/usr/bin/env python3
# SPDX-License-Identifier: PSF-2.0
"""Builds the plain C tests into a temporary directory and runs them.

Every test_*.c and test_*.cc in this folder is one program, linked with
src/stackless/_core/cstack; no Python in any of them.  Exit status of a
program: 0 passed, 77 skipped, anything else failed.

    tests/c/run.py                      as users build it
    tests/c/run.py --debug              -O0
    tests/c/run.py --asan | --tsan      under the sanitizers (asan: UBSan too)
    tests/c/run.py --valgrind           under memcheck
    tests/c/run.py --ucontext           the portable fallback
    tests/c/run.py --cross aarch64-linux-gnu-gcc --emulator qemu-aarch64
    tests/c/run.py --bench              bench_*.c instead, output shown
    tests/c/run.py switch memory        only test_switch and test_memory

Options combine where that makes sense.  CC and CXX name other compilers; tests
in C++ are skipped where there is none.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORE = HERE.parent.parent / "src" / "stackless" / "_core"
SKIP = 77
TIMEOUT = 600

COMMON_WARNINGS = """
    -Wall -Wextra -Wpointer-arith -Wwrite-strings -Wundef -Wvla
    -Wformat=2 -Wcast-qual -Wimplicit-fallthrough -Wdouble-promotion -Werror
""".split()
C_WARNINGS = """
    -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
""".split()


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="See the head of this file for examples.")
    parser.add_argument("--asan", action="store_true",
                        help="AddressSanitizer and UBSan")
    parser.add_argument("--tsan", action="store_true",
                        help="ThreadSanitizer")
    parser.add_argument("--valgrind", action="store_true")
    parser.add_argument("--ucontext", action="store_true",
                        help="the portable fallback instead of assembly")
    parser.add_argument("--debug", action="store_true", help="-O0")
    parser.add_argument("--cross", metavar="CC", help="cross compiler")
    parser.add_argument("--emulator", metavar="COMMAND",
                        help="what runs cross-compiled programs")
    parser.add_argument("--bench", action="store_true",
                        help="build and run bench_*.c")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="show commands and all output")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="tests to run, without test_ and suffix")
    return parser.parse_args()


class Build:
    """Compilers, flags, and the objects that all programs share."""

    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.cc = shlex.split(args.cross or os.environ.get("CC", "gcc"))
        self.cxx = self.find_cxx()
        self.flags = ["-g", "-fno-strict-aliasing", "-fvisibility=hidden",
                      "-I", str(CORE), "-I", str(HERE), *COMMON_WARNINGS]
        self.flags += ["-O0"] if args.debug else ["-O2"]
        if args.bench:
            self.flags.append("-DNDEBUG")
        self.link = ["-pthread", "-ldl", "-lm"]
        if args.asan:
            self.add_sanitizer("address,undefined")
            self.flags.append("-fno-sanitize-recover=undefined")
        if args.tsan:
            self.add_sanitizer("thread")
        if args.ucontext:
            self.flags.append("-DSLP_CSTACK_UCONTEXT")
        if args.cross:
            self.flags.append("-DSLP_CSTACK_STATIC")
            self.link.append("-static")
        self.objects = []

    def find_cxx(self):
        if self.args.cross:
            name = self.args.cross.replace("gcc", "g++")
        else:
            name = os.environ.get("CXX", "g++")
        command = shlex.split(name)
        return command if shutil.which(command[0]) else None

    def add_sanitizer(self, name):
        option = "-fsanitize=" + name
        self.flags += [option, "-fno-omit-frame-pointer"]
        self.link.append(option)

    def run(self, command):
        if self.args.verbose:
            print("+", shlex.join(command), flush=True)
        subprocess.run(command, check=True)

    def compile(self, source):
        target = self.folder / (source.name + ".o")
        if source.suffix == ".cc":
            command = [*self.cxx, "-std=c++17"]
        else:
            command = [*self.cc, "-std=c11"]
            if source.suffix == ".c":
                command += C_WARNINGS
        self.run([*command, *self.flags, "-fPIC", "-c", str(source),
                  "-o", str(target)])
        return str(target)

    def compile_core(self):
        cstack = CORE / "cstack"
        sources = sorted(cstack.glob("*.c"))
        sources += [source for source in sorted(cstack.glob("arch/*.S"))
                    if "template" not in source.name]
        self.objects = [self.compile(source) for source in sources]

    def program(self, source):
        target = self.folder / source.stem
        linker = self.cxx if source.suffix == ".cc" else self.cc
        self.run([*linker, self.compile(source), *self.objects,
                  *self.link, "-o", str(target)])
        return target

    def library(self, source):
        target = self.folder / ("lib" + source.stem + ".so")
        self.run([*self.cxx, "-shared", self.compile(source), *self.link,
                  "-o", str(target)])
        return target


def test_environment(args, late_library):
    env = dict(os.environ)
    under = ("valgrind" if args.valgrind else
             "emulator" if args.emulator else "")
    env["SLP_TEST_UNDER"] = under
    env.pop("SLP_TEST_CXX_LATE", None)
    if late_library:
        env["SLP_TEST_CXX_LATE"] = str(late_library)
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    return env


def test_command(args, program):
    command = [str(program)]
    if args.valgrind:
        command = ["valgrind", "-q", "--error-exitcode=99",
                   "--leak-check=full", "--errors-for-leak-kinds=definite",
                   *command]
    if args.emulator:
        command = [*shlex.split(args.emulator), *command]
    return command


def run_one(args, build, source, env):
    """Builds and runs one program; returns "passed", "failed", "skipped"."""
    if source.suffix == ".cc" and not build.cxx:
        return "skipped"
    try:
        program = build.program(source)
    except subprocess.CalledProcessError:
        return "failed"
    if not args.asan:
        return run_program(args, source, program, env)
    # Frames on real stacks, which leave red zones, and on fake ones.
    for fake_stacks in "01":
        env["ASAN_OPTIONS"] = "detect_stack_use_after_return=" + fake_stacks
        result = run_program(args, source, program, env)
        if result == "failed":
            break
    return result


def run_program(args, source, program, env):
    try:
        done = subprocess.run(test_command(args, program), env=env,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=TIMEOUT)
    except subprocess.TimeoutExpired as timeout:
        print(f"no end after {TIMEOUT} s:", (timeout.stdout or b"").decode())
        return "failed"
    failed = done.returncode not in (0, SKIP)
    if failed or args.verbose or args.bench:
        print(done.stdout, end="")
    if failed:
        print(f"{source.name}: exit status {done.returncode}")
        return "failed"
    return "skipped" if done.returncode == SKIP else "passed"


def main():
    args = parse_arguments()
    kind = "bench" if args.bench else "test"
    sources = sorted([*HERE.glob(kind + "_*.c"), *HERE.glob(kind + "_*.cc")])
    if args.names:
        wanted = {kind + "_" + name for name in args.names}
        sources = [source for source in sources if source.stem in wanted]
        unknown = wanted - {source.stem for source in sources}
        if unknown:
            sys.exit("no such test: " + ", ".join(sorted(unknown)))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with tempfile.TemporaryDirectory(prefix="slp-ctest-") as folder:
        build = Build(args, pathlib.Path(folder))
        late_library = None
        try:
            build.compile_core()
            if build.cxx and not args.cross and not args.bench:
                late_library = build.library(HERE / "cxx_late.cc")
        except subprocess.CalledProcessError:
            sys.exit("0 passed, 1 failed: what is tested does not compile")
        env = test_environment(args, late_library)
        for source in sources:
            result = run_one(args, build, source, env)
            counts[result] += 1
            print(f"{result:8}{source.name}", flush=True)
    summary = f"{counts['passed']} passed, {counts['failed']} failed"
    if counts["skipped"]:
        summary += f", {counts['skipped']} skipped"
    print(summary)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
