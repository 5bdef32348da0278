#!/usr/bin/env python3
"""Check the layout of the C files with clang-format 14, or mend it.

    tools/check_format.py            print what is wrong; exit 1 if anything
    tools/check_format.py --fix      rewrite the files in place
    tools/check_format.py --have     exit 0 if clang-format 14 is here

The version is pinned: another one wants another layout.  `pip install
clang-format==14.0.6` (the `lint` extra) brings it.
"""

import pathlib
import shutil
import subprocess
import sys

import csource

VERSION = "version 14."


def formatter():
    beside = pathlib.Path(sys.executable).with_name("clang-format")
    for name in (str(beside), "clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path:
            command = [path, "--version"]
            done = subprocess.run(command, capture_output=True, text=True)
            if VERSION in done.stdout:
                return path
    return None


def main():
    tool = formatter()
    if "--have" in sys.argv:
        sys.exit(tool is None)
    if tool is None:
        sys.exit("clang-format 14 is not installed: make lint installs it")
    how = ["-i"] if "--fix" in sys.argv else ["--dry-run", "--Werror"]
    files = [str(path) for path in csource.c_files(csource.HERE)]
    if files:
        sys.exit(subprocess.run([tool, *how, *files]).returncode)


if __name__ == "__main__":
    main()
