#!/usr/bin/env python3
"""Check sizes: no C function over 60 lines, no file over 1,000.

    tools/check_functions.py [ROOT]

A function that must be longer has a comment directly above it that gives the
reason: /* Long: one case per opcode */ (or `Long:` inside its contract).
"""

import csource

FUNCTION_LIMIT = 60
FILE_LIMIT = 1000
FOLDERS = ["src", "tests", "tools", "benchmarks", "examples"]


def excused(lines, first):
    """Whether the comment above the function says why it is long."""
    number = first - 1
    while number >= 0 and not lines[number].rstrip().endswith("*/"):
        # Up to here: return type, attributes.  A blank line or the end of
        # something else: no comment belongs to this function.
        if not lines[number].strip() or lines[number][0] in "}#":
            return False
        number -= 1
    while number >= 0:
        if "Long:" in lines[number]:
            return True
        if "/*" in lines[number]:
            return False
        number -= 1
    return False


def check(root):
    for path in csource.c_files(root):
        lines = path.read_text().split("\n")
        for first, last in csource.functions(csource.code_lines(path)):
            size = last - first + 1
            if size > FUNCTION_LIMIT and not excused(lines, first):
                name = lines[first].split("(")[0].split()[-1]
                text = f"{name}() has {size} lines, {FUNCTION_LIMIT} at most"
                yield path, first + 1, text
    for path in csource.c_files(
        root, (".c", ".h", ".S", ".py", ".pyi"), FOLDERS
    ):
        size = len(path.read_text().splitlines())
        if size > FILE_LIMIT:
            text = f"{size} lines, {FILE_LIMIT} at most: split by subject"
            yield path, size, text


if __name__ == "__main__":
    csource.run(check)
