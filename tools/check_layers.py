#!/usr/bin/env python3
"""Check the import law: who may include whom, and who may know what.

    tools/check_layers.py [ROOT]

The rooms of src/stackless/_core, from the bottom up (CONTRIBUTING.md says
what each is for).  A file includes files of its own room and of lower layers.
compat/ and cstack/ never meet; carrier.c joins them.  The rest of the law is
in FORBIDDEN and in the functions below, each with its reason.
"""

import ast
import re

import csource

# First match wins.  The letter keeps two rooms of one layer apart.
LAYERS = [
    (r"base/", "0"),
    (r"compat/", "1a"),
    (r"cstack/", "1b"),
    (r"carrier\.", "2"),
    (r"core/", "3"),
    (r"wait/", "4"),
    (r"types/", "5"),
    (r"pickle/", "6"),
    (r"include/", "7"),
    (r"(module|capi)\.", "7"),
    (r"_coretest/", "8"),
]

# (what must not be said, but in these files, why).
FORBIDDEN = [
    (
        r"\b(Py_BUILD_CORE\w*|PY_VERSION_HEX|PY_M(AJOR|INOR)_VERSION)\b"
        r"|\bpycore_\w+",
        r"compat/",
        "CPython's insides and versions are compat/'s business",
    ),
    (
        r"\b(__linux__|__linux|__APPLE__|__MACH__|_WIN32|_WIN64|_MSC_VER"
        r"|__\w+BSD__|__sun|__CYGWIN__|__x86_64__|__aarch64__|__i386__"
        r"|__arm__|__riscv|__SANITIZE_\w+__|__has_feature)\b",
        r"cstack/|wait/netpoll_|wait/offload\.c",
        "platforms are told apart under cstack/ and in wait/netpoll_* only",
    ),
]

# Plain C: tested without an interpreter.
NO_PYTHON = r"base/(?!slp_python\.h)|cstack/|wait/netpoll_"

# What a newcomer reads first stays short.
SHORT = {"core/task.h": 300, "compat/compat.h": 300}

# The extension's only users among the Python files.
CORE_USERS = {
    "__init__.py",
    "_freezing/awaits.py",
    "_freezing/cloning.py",
    "_freezing/codes.py",
    "_freezing/containers.py",
    "_freezing/culprit.py",
    "_freezing/decimals.py",
    "_freezing/freezing.py",
    "_freezing/iterators.py",
    "_freezing/others.py",
    "_freezing/pickling.py",
    "_freezing/restoring.py",
    "_freezing/softening.py",
    "_freezing/unpickling.py",
    "_slow_calls.py",
}

INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def layer(name):
    for pattern, number in LAYERS:
        if re.match(pattern, name):
            return number
    return None


def resolve(core, path, name):
    """The project file that `#include "name"` in `path` means, or None."""
    for folder in (path.parent, core, core / "include"):
        target = (folder / name).resolve()
        if target.is_file() and target.is_relative_to(core):
            return target.relative_to(core).as_posix()
    return None


def wait_allows(mine, theirs):
    """Things to wait for know nothing of one another, deadlines apart."""
    me, they = (re.split(r"[/.]", name)[1] for name in (mine, theirs))
    if me.split("_")[0] == they.split("_")[0]:
        return True
    return they == "timer" and me in ("channel", "netpoll")


def include_fault(mine, theirs):
    """Why the file `mine` may not include the file `theirs`, or None."""
    my, their = layer(mine), layer(theirs)
    if my == "8":
        return None
    if int(their[0]) > int(my[0]):
        return f"layer {my} may not include layer {their}"
    if {my, their} == {"1a", "1b"}:
        return "compat/ and cstack/ may not meet"
    if their == "1b" and my not in ("1b", "2"):
        return "cstack/ is carrier.c's business alone"
    if re.match(r"compat/compat_3\d\d\.h", theirs) and my != "1a":
        return "a version's header is compat.h's business alone"
    if their == my == "4" and not wait_allows(mine, theirs):
        return "files of wait/ may not include one another"
    return None


def check_c_file(core, path):
    mine = path.relative_to(core).as_posix()
    if layer(mine) is None:
        yield path, 1, "in no room: see LAYERS in tools/check_layers.py"
        return
    for number, line in enumerate(path.read_text().split("\n"), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        theirs = resolve(core, path, found[1]) if found[1] else None
        fault = include_fault(mine, theirs) if theirs else None
        if fault:
            yield path, number, f"{fault}: {found[1]}"
        name = found[1] or found[2]
        if name == "Python.h" and not re.match(r"base/|include/", mine):
            yield path, number, "include base/slp_python.h, not Python.h"
        python = name == "Python.h" or theirs == "base/slp_python.h"
        if python and re.match(NO_PYTHON, mine):
            yield path, number, "no Python in this file"
        if "pycore_" in name and layer(mine) != "1a":
            yield path, number, "CPython's insides are compat/'s business"
    for number, line in enumerate(csource.code_lines(path), 1):
        for pattern, allowed, reason in FORBIDDEN:
            found = re.search(pattern, line)
            if found and not re.match(allowed, mine):
                yield path, number, f"{found[0]}: {reason}"


def check_python_file(path, name):
    """Only CORE_USERS import the extension."""
    if name in CORE_USERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [
                f"{node.module or ''}.{alias.name}" for alias in node.names
            ]
        else:
            continue
        if any("_core" in name.split(".") for name in names):
            yield path, node.lineno, f"_core is for {', '.join(sorted(CORE_USERS))}"


def check(root):
    core = root / csource.CORE
    for path in csource.c_files(root, (".c", ".h", ".S"), [csource.CORE]):
        yield from check_c_file(core, path)
    for name, limit in SHORT.items():
        path = core / name
        if path.exists():
            count = len(path.read_text().splitlines())
            if count > limit:
                yield path, count, f"newcomers read this: {limit} lines"
    package = root / "src/stackless"
    for path in sorted(package.rglob("*.py")):
        yield from check_python_file(
            path, path.relative_to(package).as_posix()
        )


if __name__ == "__main__":
    csource.run(check)
