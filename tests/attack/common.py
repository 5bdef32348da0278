"""What the model and the real interpretation of programs have in common."""

import re

import stackless  # noqa: F401  (it makes TaskletExit)


class Boom(Exception):
    pass


ERRORS = {
    error.__name__: error
    for error in (
        Boom, KeyError, ValueError, TaskletExit, SystemExit, Exception,
        BaseException,
    )
}  # fmt: skip
# Swallowed where they arrive; all others end what is going on.
SWALLOWED = (RuntimeError, ValueError)
# They hold on to the tasklet that they are called of, while they last.
HOLDING = {"run", "switch", "throw", "kill", "context_run"}


def describe(error):
    """Type and message, without addresses; for a deadlock, who is blocked."""
    text = str(error)
    blocked = re.findall(r"\n  (\S+) waits to (\w+)", text)
    line = re.sub(r"<.*>", "<>", text.split("\n")[0])
    line = re.sub(r"\(\d+, this is \d+\)", "()", line)
    return [type(error).__name__, line, *map(list, blocked)]
