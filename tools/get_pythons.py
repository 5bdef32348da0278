#!/usr/bin/env python3
"""Find the CPythons that stackless supports; fetch those the machine lacks.

    tools/get_pythons.py            find, fetch what is missing, print a table
    tools/get_pythons.py --list     find only, fetch nothing

One line per label: label, version, path, and `chroot` when it lives in the
Debian sid tree that this script keeps in the user's cache folder (outside the
project).  `tools/in_python.py LABEL -- ...` runs any of them.

Looked for, in this order: PATH, pyenv's versions, the sid tree.  Fetching
needs Linux, root and apt-get; without them the script says what is missing
and why, and exits 1.  Run again, it does only what is left to do.
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

CACHE = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
)
HOME = pathlib.Path(
    os.environ.get("STACKLESS_PYTHONS") or CACHE / "stackless-pythons"
)
SID = HOME / "sid"

MINORS = ["3.11", "3.12", "3.13", "3.14", "3.15"]
# -dbg: built with --with-pydebug (assertions on).  -newest: Debian's newest
# patch release, where "3.13" may well be an older one.
LABELS = [*MINORS, "3.13-newest", "3.13-dbg", "3.14-dbg", "3.15-dbg"]
SID_MINORS = ["3.13", "3.14", "3.15"]
COMPILERS = ["gcc", "g++", "libc6-dev"]  # g++: for tests/extensions

QUERY = """
import json, os, sys, sysconfig
print(json.dumps({
    "path": sys.executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "minor": "%d.%d" % sys.version_info[:2],
    "debug": hasattr(sys, "gettotalrefcount"),
    "threaded": not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "headers": os.path.exists(
        os.path.join(sysconfig.get_path("include"), "Python.h")),
}))
"""


class Python:
    """One interpreter; `path` is as seen inside the tree when chroot."""

    def __init__(self, label, about, chroot):
        self.label = label
        self.path = about["path"]
        self.version = about["version"]
        self.chroot = chroot


def ask(command, label):
    """What the interpreter says of itself, or None if it is not `label`."""
    try:
        done = subprocess.run(
            [*command, "-I", "-c", QUERY],
            capture_output=True,
            text=True,
            timeout=60,
        )
        about = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    minor, _, kind = label.partition("-")
    fits = (
        about["minor"] == minor
        and about["headers"]
        and about["threaded"]
        and about["debug"] == (kind == "dbg")
    )
    return about if fits else None


def pyenv_pythons(minor):
    """Interpreters of that minor version from pyenv, newest first."""
    root = os.environ.get("PYENV_ROOT")
    if not root and shutil.which("pyenv"):
        done = subprocess.run(
            ["pyenv", "root"], capture_output=True, text=True
        )
        root = done.stdout.strip()
    versions = (
        pathlib.Path(root or pathlib.Path.home() / ".pyenv") / "versions"
    )
    found = []
    for path in versions.glob(minor + ".*/bin/python"):
        patch = re.fullmatch(r"\d+\.\d+\.(\d+)", path.parent.parent.name)
        if patch:
            found.append((int(patch[1]), str(path)))
    return [path for _, path in sorted(found, reverse=True)]


def find(label):
    """The Python for one label, or None."""
    minor, _, kind = label.partition("-")
    name = "python" + minor + ("-dbg" if kind == "dbg" else "")
    if kind != "newest":
        outside = [shutil.which(name)]
        if not kind:
            outside += pyenv_pythons(minor)
        for path in filter(None, outside):
            about = ask([path], label)
            if about:
                return Python(label, about, False)
    if os.path.exists(f"{SID}/usr/bin/{name}") and is_root():
        about = ask(["chroot", str(SID), "/usr/bin/" + name], label)
        if about:
            return Python(label, about, True)
    return None


def lacks_compiler():
    """Whether the sid tree was made before the tests needed one of them."""
    return SID.exists() and not (SID / "usr/bin/g++").exists()


def is_root():
    return hasattr(os, "geteuid") and os.geteuid() == 0


def quiet(command, what, **options):
    """Run a noisy command; show its output only when it fails."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode:
        raise RuntimeError(f"{what} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def in_sid(*command):
    """The command that runs `command` in the tree, with /proc and /dev.

    In a mount namespace of its own: whatever happens, no mount is left over,
    so nobody can delete the machine's files through one.
    """
    script = """
        mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
        exec chroot "$0" "$@"
    """
    return ["unshare", "-m", "sh", "-c", script, str(SID), *command]


def make_tree():
    """Bootstrap the sid tree, if it is not there whole."""
    if (SID / "usr/bin/apt-get").exists() and not (
        SID / "debootstrap"
    ).exists():
        return
    for folder in (SID, SID.with_name("sid.new")):
        if str(folder) in pathlib.Path("/proc/self/mountinfo").read_text():
            raise RuntimeError(f"something is mounted under {folder}")
        shutil.rmtree(folder, ignore_errors=True)
    if not shutil.which("debootstrap"):
        quiet(["apt-get", "update"], "updating the package lists")
        quiet(
            ["apt-get", "install", "-y", "debootstrap"],
            "installing debootstrap",
        )
    fresh = SID.with_name("sid.new")
    command = [
        "unshare",
        "-m",
        "debootstrap",
        "--variant=minbase",
        "sid",
        str(fresh),
    ]
    quiet(command, "fetching a Debian sid tree")
    fresh.rename(SID)


def fill_tree():
    """Install the interpreters and a compiler in the sid tree."""
    shutil.copy("/etc/resolv.conf", SID / "etc/resolv.conf")
    # sid's index may be older than its signature allows on a frozen mirror.
    late = ["-o", "Acquire::Check-Valid-Until=false"]
    quiet(in_sid("apt-get", *late, "update"), "updating the sid package lists")
    wanted = COMPILERS[:]
    for minor in SID_MINORS:
        wanted += [
            f"python{minor}-dev",
            f"python{minor}-dbg",
            f"python{minor}-venv",
        ]
    known = quiet(in_sid("apt-cache", "pkgnames"), "reading them").split()
    packages = [name for name in wanted if name in known]
    command = [
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        *packages,
    ]
    environ = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C",
    }
    quiet(in_sid(*command), "installing the interpreters", env=environ)
    quiet(in_sid("apt-get", "clean"), "cleaning up")


def fetch():
    """Make the sid tree whole; return an error text or ''."""
    if not is_root():
        return "fetching needs root"
    if not (shutil.which("apt-get") and shutil.which("unshare")):
        return "fetching needs a Debian-like Linux (apt-get, unshare)"
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            make_tree()
            fill_tree()
        except (RuntimeError, OSError) as error:
            return str(error)
    return ""


def main():
    if set(sys.argv[1:]) - {"--list"}:
        sys.exit(__doc__)
    found = {label: find(label) for label in LABELS}
    missing = [label for label in LABELS if not found[label]]
    why = "not fetched (--list)"
    fetchable = not set(missing) <= {"3.11", "3.12"} or lacks_compiler()
    if fetchable and "--list" not in sys.argv:
        why = fetch() or "not in Debian sid"
        found.update({label: find(label) for label in missing})
    for label, python in found.items():
        if python:
            place = "chroot" if python.chroot else ""
            print(
                f"{label:12} {python.version:8} {python.path} {place}".rstrip()
            )
        else:
            print(f"{label:12} missing  {why}")
    sys.exit(not all(found.values()))


if __name__ == "__main__":
    main()
