#!/usr/bin/env python3
"""Build the extension for one interpreter, fast, without meson.

    tools/quickbuild.py PYTHON OUTDIR [--debug | --asan | --tsan] [--werror]
                                      [--coretest]
    PYTHONPATH=OUTDIR PYTHON -c 'import stackless'

Objects are cached in OUTDIR/obj by modification time (headers included) and
compiled in parallel; the package's Python files are symbolic links, so an
edit of one needs no build.  This is the developer's and the CI's way; users
get the meson build, which describes the same files and has the same flags
(tests/lint compares them).

With --asan, run Python as `tools/in_python.py` does: libasan preloaded,
PYTHONMALLOC=malloc, ASAN_OPTIONS=detect_leaks=0.
"""

import argparse
import concurrent.futures
import fcntl
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "stackless"
CORE = PACKAGE / "_core"

FLAGS = """
    -std=c11 -fPIC -pthread -fvisibility=hidden -fno-strict-aliasing
    -fcf-protection=none
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wundef -Wvla
    -Wformat=2 -Wnull-dereference -Wcast-qual -Wimplicit-fallthrough
    -Wdouble-promotion
""".split()

QUERY = """
import json, sysconfig
print(json.dumps({
    "include": [
        sysconfig.get_path("include"), sysconfig.get_path("platinclude")],
    "suffix": sysconfig.get_config_var("EXT_SUFFIX"),
}))
"""


def sources(coretest):
    """The C and assembly files of (_core, _coretest)."""
    core, test = [], []
    for path in sorted(CORE.rglob("*.[cS]")):
        if path.stem.endswith("_template"):
            continue
        (test if "_coretest" in path.parts else core).append(path)
    return core, test if coretest else []


def depends_on_newer(obj, depfile, command):
    """Whether the object must be made again."""
    stamp = obj.with_suffix(".cmd")
    if not (obj.exists() and depfile.exists() and stamp.exists()):
        return True
    if stamp.read_text() != command:
        return True
    made = obj.stat().st_mtime
    names = re.sub(r"\\\n", " ", depfile.read_text()).split(":", 1)[1].split()
    for name in names:
        try:
            if os.stat(name).st_mtime > made:
                return True
        except OSError:
            return True
    return False


def caches_chunks(include):
    """What meson.build asks the compiler: a field that patch releases got."""
    header = include / "cpython" / "pystate.h"
    return header.exists() and "datastack_cached_chunk" in header.read_text()


class Build:
    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.outdir).resolve()
        answer = subprocess.check_output([options.python, "-c", QUERY])
        about = json.loads(answer)
        self.suffix = about["suffix"]
        self.cc = shlex.split(os.environ.get("CC", "gcc"))
        self.flags = list(FLAGS)
        if self.cc[-1].endswith("clang"):
            self.flags.append("-Wno-unused-command-line-argument")
        else:
            # The headers of Debian's debug builds are links to the others;
            # a resolved link would find the wrong pyconfig.h.
            self.flags.append("-fno-canonical-system-headers")
        self.flags += [f"-I{CORE}", f"-I{CORE / 'include'}"]
        for folder in dict.fromkeys(about["include"]):
            self.flags += ["-isystem", folder]
            if caches_chunks(pathlib.Path(folder)):
                self.flags.append("-DSLP_HAS_CACHED_CHUNK")
        if options.debug:
            self.flags += ["-O0", "-g3", "-UNDEBUG", "-DSLP_CHECK=1"]
        elif options.asan or options.tsan:
            self.flags += ["-O1", "-g", "-UNDEBUG", "-DSLP_CHECK=1"]
        else:
            self.flags += ["-O2", "-g", "-DNDEBUG"]
        if options.werror:
            self.flags.append("-Werror")
        self.sanitize = (
            ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
            if options.asan
            else ["-fsanitize=thread"]
            if options.tsan
            else []
        )
        self.flags += self.sanitize + shlex.split(os.environ.get("CFLAGS", ""))

    def compile(self, source):
        """Compile one file, if need be; return (object, error text)."""
        name = str(source.relative_to(CORE)).replace(os.sep, "__")
        obj = self.out / "obj" / (name + ".o")
        depfile = obj.with_suffix(".d")
        command = [*self.cc, *self.flags, "-MD", "-MF", str(depfile)]
        if self.options.coretest and source.name == "check.c":
            command.append("-DSLP_CORETEST")  # all that it means is there
        command += ["-c", str(source), "-o", str(obj)]
        text = shlex.join(command)
        if not depends_on_newer(obj, depfile, text):
            return obj, ""
        if self.options.verbose:
            print(text)
        start = time.time()
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            obj.unlink(missing_ok=True)
            return obj, done.stderr or "compiler failed"
        # As old as its reading: an edit while the compiler ran counts.
        os.utime(obj, (start, start))
        obj.with_suffix(".cmd").write_text(text)
        sys.stderr.write(done.stderr)
        return obj, ""

    def link(self, name, objects):
        """Link one extension, if need be; whether it is there now."""
        target = self.out / "stackless" / (name + self.suffix)
        # Linked beside and renamed: a running interpreter keeps its old copy.
        fresh = target.with_name(target.name + ".new")
        command = [*self.cc, "-shared", "-pthread", *self.sanitize]
        command += ["-Wl,-z,noexecstack"] if sys.platform == "linux" else []
        command += [*map(str, objects), "-o", str(fresh)]
        stamp = self.out / "obj" / (name + ".link")
        if target.exists() and stamp.exists():
            newest = max(obj.stat().st_mtime for obj in objects)
            same = stamp.read_text() == shlex.join(command)
            if same and newest <= target.stat().st_mtime:
                return True
        if subprocess.run(command).returncode:
            return False
        fresh.replace(target)
        stamp.write_text(shlex.join(command))
        return True

    def link_package(self):
        """Mirror the package's Python files as symbolic links."""
        package = self.out / "stackless"
        wanted = {}
        for path in PACKAGE.rglob("*"):
            if path.suffix in (".py", ".pyi") or path.name == "py.typed":
                wanted[package / path.relative_to(PACKAGE)] = path
        header = CORE / "include" / "stackless_api.h"
        if header.exists():
            wanted[package / "include" / header.name] = header
        for old in package.rglob("*"):
            if old.is_symlink() and old not in wanted:
                old.unlink()
        for link, path in wanted.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink() or link.resolve() != path:
                link.unlink(missing_ok=True)
                link.symlink_to(path)

    def run(self):
        (self.out / "obj").mkdir(parents=True, exist_ok=True)
        (self.out / "stackless").mkdir(exist_ok=True)
        with open(self.out / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self.make()

    def make(self):
        self.link_package()
        core, test = sources(self.options.coretest)
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            results = list(pool.map(self.compile, core + test))
        for source, (_, error) in zip(core + test, results):
            if error:
                print(f"{source.relative_to(ROOT)}:\n{error}", file=sys.stderr)
        if any(error for _, error in results):
            return 1
        objects = [obj for obj, _ in results]
        done = self.link("_core", objects[: len(core)])
        if test:
            done = self.link("_coretest", objects[len(core) :]) and done
        return 0 if done else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python")
    parser.add_argument("outdir")
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--asan", action="store_true")
    parser.add_argument("--tsan", action="store_true")
    parser.add_argument("--werror", action="store_true")
    parser.add_argument("--coretest", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true")
    return Build(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
