"""Small programs in interpreters of their own, in the mode the tests run in."""

import os
import subprocess
import sys
import textwrap

HARD = os.environ.get("STACKLESS_TEST_HARD") == "1"
LIMIT = 30  # seconds for one program

PROLOGUE = "import stackless, os, sys\n"
if HARD:
    PROLOGUE += "stackless.enable_softswitch(False)\n"


def outcome(source, *options, before=""):
    """(status, stdout, stderr); `before` runs before stackless is imported."""
    source = before + PROLOGUE + textwrap.dedent(source)
    done = subprocess.run(
        [sys.executable, *options, "-c", source],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return done.returncode, done.stdout, done.stderr
