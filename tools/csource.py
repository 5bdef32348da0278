"""Reading the project's C files, for the checkers beside this one.

A checker is a program `check_x.py [ROOT]` that prints one line per fault,
`path:line: what is wrong`, and exits 1 if there was any.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
CORE = pathlib.Path("src/stackless/_core")

TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.VERBOSE | re.DOTALL,
)


def blank(match):
    """Spaces for a comment, an empty pair for a literal; lines stay."""
    text = match[0]
    if text[0] in "\"'":
        return text[0] * 2
    return re.sub(r"[^\n]", " ", text)


def code_lines(path):
    """The lines of a file with comments and literals blanked out."""
    return TOKEN.sub(blank, path.read_text()).split("\n")


def functions(lines):
    """Function definitions as (first line, last line), counted from 0.

    The layout is PEP 7's, kept by clang-format: the braces of a function are
    alone at the left margin.  The first line is the one that opens the
    parameter list.
    """
    start = None
    for number, line in enumerate(lines):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start is not None:
            first = start
            while first > 0 and not re.match(r"\w.*\(", lines[first]):
                first -= 1
            yield first, number
            start = None


def c_files(root, suffixes=(".c", ".h"), folders=(CORE, "tests/c")):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def run(check):
    """Call `check(root)`, an iterator of (path, line, text); report; exit."""
    root = pathlib.Path(sys.argv[1]).resolve() if sys.argv[1:] else HERE
    count = 0
    for path, line, text in check(root):
        count += 1
        print(f"{path.relative_to(root)}:{line}: {text}")
    sys.exit(count > 0)
