#!/usr/bin/env python3
"""Check commit subjects: `area: Sentence.`, 72 columns at most.

    tools/check_commits.py [RANGE]      default: all of HEAD's history

Merges are let through.
"""

import re
import shutil
import subprocess
import sys

SUBJECT = re.compile(r"[a-z0-9_.*/+, -]+: [^a-z\s].*\.")


def main():
    if not shutil.which("git"):
        print("no git here, nothing to check")
        return
    command = ["git", "log", "--no-merges", "--format=%h %s", *sys.argv[1:2]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr.strip() or "no commits yet")
        return
    faults = 0
    for line in done.stdout.splitlines():
        commit, _, subject = line.partition(" ")
        fits = len(subject) <= 72 and SUBJECT.fullmatch(subject)
        if not fits:
            faults += 1
            print(f"{commit}: want `area: Sentence.` in 72 columns: {subject}")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
