#!/usr/bin/env python3
"""Run one of the interpreters that tools/get_pythons.py knows.

    tools/in_python.py LABEL [OPTIONS] -- ARGS...

    tools/in_python.py 3.12 -- -c 'import sys; print(sys.version)'
    tools/in_python.py 3.14 --build -- -m pytest tests/semantics
    tools/in_python.py 3.13-dbg --build --debug -- -X dev -m pytest
    tools/in_python.py 3.13 --build --asan -- -m pytest

ARGS are the interpreter's.  --build first makes the extension for it (with
tools/quickbuild.py, into build/py/LABEL, a cached build takes a blink) and
puts that on PYTHONPATH; --debug, --asan, --tsan, --werror and --coretest are
quickbuild's, --gdb runs under gdb.  pytest is found when `make build/site`
has put it there.

An interpreter of the sid tree runs in that tree, with the project and the
temporary folder at their usual places, all mounted in a namespace that ends
with the command.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import get_pythons

ROOT = pathlib.Path(__file__).resolve().parent.parent
# pytest and its pure Python dependencies, one copy for all interpreters; in a
# subfolder for each version, what is compiled.
SITE = ROOT / "build" / "site"

ASAN = {
    "PYTHONMALLOC": "malloc",
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0"
    ":allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "STACKLESS_TEST_TIMEOUT": "240",
}

TSAN = {
    # Python's own daemon threads are never joined.
    "TSAN_OPTIONS": "report_thread_leaks=0:die_after_fork=0"
    f":suppressions={ROOT / 'tools' / 'tsan.supp'}",
    "STACKLESS_TEST_TIMEOUT": "240",
}

# $0 is the tree, $1.. the folders to show in it, then "--" and the command.
# Only this namespace sees the mounts; they end with it.
ENTER = """
set -e
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
while [ "$1" != "--" ]; do
    mkdir -p "$0$1"
    mount --bind "$1" "$0$1"
    shift
done
shift
exec chroot "$0" "$@"
"""


def command_in(python, command, environ):
    """The whole command line that runs `command` where `python` lives."""
    if not python.chroot:
        return command
    cwd = os.getcwd()
    shown = [tempfile.gettempdir(), str(ROOT)]
    if not any(cwd == top or cwd.startswith(top + "/") for top in shown):
        cwd = str(ROOT)
    environ["PATH"] = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    environ.pop("PYENV_VERSION", None)
    enter = ["unshare", "-m", "sh", "-c", ENTER, str(get_pythons.SID)]
    return [*enter, *shown, "--", "env", "-C", cwd, *command]


def build_folder(label, kind=""):
    """Where the extension is made for that interpreter."""
    kind = f"-{kind}" if kind else ""
    return ROOT / "build" / "py" / (label + kind)


def build(python, options, environ):
    """Make the extension; return its folder."""
    kinds = [k for k in ("asan", "tsan", "debug") if getattr(options, k)]
    out = build_folder(options.label, *kinds[:1])
    command = [
        python.path,
        str(ROOT / "tools/quickbuild.py"),
        python.path,
        str(out),
    ]
    for flag in ("debug", "asan", "tsan", "werror", "coretest"):
        if getattr(options, flag):
            command.append("--" + flag)
    done = subprocess.run(command_in(python, command, environ), env=environ)
    if done.returncode:
        sys.exit(done.returncode)
    return out


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("label")
    for flag in (
        "build", "debug", "asan", "tsan", "werror", "coretest", "gdb",
    ):  # fmt: skip
        parser.add_argument("--" + flag, action="store_true")
    ours = sys.argv[1:]
    args = []
    if "--" in ours:
        cut = ours.index("--")
        ours, args = ours[:cut], ours[cut + 1 :]
    options = parser.parse_args(ours)
    options.args = args
    return options


def main():
    options = parse()
    python = get_pythons.find(options.label)
    if not python:
        sys.exit(f"no CPython {options.label} here: see tools/get_pythons.py")
    environ = dict(os.environ)
    path = [environ["PYTHONPATH"]] if environ.get("PYTHONPATH") else []
    # What is compiled has a copy for each version.
    if SITE.exists():
        minor = options.label.partition("-")[0]
        path[:0] = [str(SITE / minor), str(SITE)]
    if options.build:
        path.insert(0, str(build(python, options, environ)))
    if path:
        environ["PYTHONPATH"] = os.pathsep.join(path)
    command = [python.path, *options.args]
    if options.gdb:
        command = ["gdb", "-q", "--args", *command]
    if options.asan or options.tsan:
        wanted = ASAN if options.asan else TSAN
        environ.update({k: v for k, v in wanted.items() if k not in os.environ})
        # C++ that is loaded later could not throw without the second.
        libraries = (
            "libasan.so" if options.asan else "libtsan.so",
            "libstdc++.so.6",
        )
        found = " ".join(f"$(gcc -print-file-name={n})" for n in libraries)
        preload = f'LD_PRELOAD="{found}" exec "$@"'
        command = ["sh", "-c", preload, "sh", *command]
    command = command_in(python, command, environ)
    os.execvpe(command[0], command, environ)


if __name__ == "__main__":
    main()
