#!/usr/bin/env python3
"""Mistakes made once, or known from other extensions, as greps.

    tools/check_mistakes.py [ROOT]

Where the rule is wrong for once, a comment on the line says so:
`/* checked: reason */`.
"""

import re
import subprocess

import csource

# In code lines of C files: (pattern, what is wrong).
C_LINES = [
    (
        r"\bPy_X?DECREF\(self->",
        "a destructor may see the dead field: Py_CLEAR or Py_XSETREF",
    ),
    (
        r"\b(if|while|return)\b\s*\(?\s*PyErr_Occurred\(\)",
        "PyErr_Occurred as control flow: use what the call returned",
    ),
    (
        r"\b(sprintf|strcpy|strcat|gets|alloca|atoi|setjmp|longjmp)\s*\(",
        "use a bounded or plainer way",
    ),
    (
        r"^(static\s+)?(PyObject\s*\*|PyTypeObject\s)\s*\w+\s*(=.*)?;",
        "process-global Python object: it belongs in the module state",
    ),
]

# In any text file of the project.  Split, so that this file passes.
TEXT = [
    (r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", "debt goes to the issue list"),
    (
        r"(?<![\w.])/(roo" r"t|wor" r"k|hom" r"e)/",
        "an absolute path of one machine",
    ),
    (
        r"https?://[\w.-]*(pythonhosted|pypi|debian|crates|npmjs)\.",
        "a registry's host name",
    ),
]
TEXT_SUFFIXES = {
    "", ".c", ".h", ".S", ".py", ".pyi", ".md", ".toml", ".build", ".options",
    ".ini", ".txt", ".supp", ".sh", ".yml", ".cfg",
}  # fmt: skip

# Opens, closes: a return in between leaves the thread state behind.
PAIRS = [
    (r"\bPy_BEGIN_ALLOW_THREADS\b", r"\bPy_END_ALLOW_THREADS\b"),
    (r"\bPyEval_SaveThread\(", r"\bPyEval_RestoreThread\("),
]


def check_function(path, lines, first, last):
    """Faults that only a whole function shows."""
    body = "\n".join(lines[first : last + 1])
    if (
        "Py_EnterRecursiveCall(" in body
        and "Py_LeaveRecursiveCall(" not in body
    ):
        yield path, first + 1, "Py_EnterRecursiveCall without its Leave"
    for opening, closing in PAIRS:
        inside = False
        for number in range(first, last + 1):
            if re.search(opening, lines[number]):
                inside = True
            if re.search(closing, lines[number]):
                inside = False
            if inside and re.search(r"\breturn\b", lines[number]):
                yield path, number + 1, "return without the thread state"


def project_files(root):
    """Tracked files, and new ones that are not ignored."""
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True
        )
        names = done.stdout.splitlines()
    except (
        OSError,
        subprocess.CalledProcessError,
    ):  # no git, or no repository
        made = {
            ".git",
            ".venv",
            "build",
            "__pycache__",
            ".pytest_cache",
            ".mypy_cache",
        }
        paths = (path.relative_to(root) for path in sorted(root.rglob("*")))
        names = [path for path in paths if not made & set(path.parts)]
    return [root / name for name in names if (root / name).is_file()]


def check_text(root):
    for path in project_files(root):
        if path.suffix not in TEXT_SUFFIXES:
            continue
        try:
            lines = path.read_text().split("\n")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            for pattern, fault in TEXT:
                found = re.search(pattern, line)
                if found:
                    yield path, number, f"{found[0]}: {fault}"


def check(root):
    for path in csource.c_files(root, (".c", ".h", ".S")):
        text = path.read_text().split("\n")
        if "SPDX-License-Identifier: PSF-2.0" not in text[0]:
            yield path, 1, "first line: /* SPDX-License-Identifier: PSF-2.0 */"
        lines = csource.code_lines(path)
        faults = []
        for number, line in enumerate(lines, 1):
            for pattern, fault in C_LINES:
                if re.search(pattern, line):
                    faults.append((path, number, fault))
        for first, last in csource.functions(lines):
            faults += check_function(path, lines, first, last)
        for path, number, fault in faults:
            if "checked:" not in text[number - 1]:
                yield path, number, fault
    yield from check_text(root)


if __name__ == "__main__":
    csource.run(check)
