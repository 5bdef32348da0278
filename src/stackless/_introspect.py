"""What all tasklets are doing, as text: print_stacks().

Imported when it is first used.  Only reads tasklets' public attributes.
"""

import os
import sys
import traceback

import stackless

# The frames below the program's own, when 'python -m stackless' runs it.
_CLI_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                         "__main__.py")


def state(tasklet):
    """One word or two on what the tasklet is doing."""
    if tasklet.is_current:
        return "current"
    if tasklet.blocked:
        sending = tasklet.waiting_for.balance > 0
        return "blocked sending" if sending else "blocked receiving"
    if tasklet.scheduled:
        return "runnable"
    return "paused" if tasklet.alive else "not alive"


def headline(tasklet):
    """The line that introduces a tasklet."""
    parts = [f"tasklet {tasklet.name!r} at {id(tasklet):#x}: {state(tasklet)}"]
    if tasklet.waiting_for is not None:
        parts.append(f"on {tasklet.waiting_for!r}")
    if tasklet.created_at is not None:
        parts.append(f"(created at {tasklet.created_at})")
    return " ".join(parts)


def rank(tasklet):
    """Sort key: the running tasklet first, then main, then the others."""
    return not tasklet.is_current, not tasklet.is_main


def stack(tasklet, skip=0):
    """The tasklet's Python stack, outermost call first.

    'skip' is the number of innermost frames to leave out: those by which
    the running tasklet asks.
    """
    # No variable for the frame: it may be this one, and all that the frames
    # below refer to would live until the next collection.
    if tasklet.frame is None:
        return []
    summary = traceback.StackSummary.extract(
        traceback.walk_stack(tasklet.frame))
    frames = list(reversed(summary[skip:]))
    for index in range(len(frames) - 1, -1, -1):
        if frames[index].filename == _CLI_FILE:
            return frames[index + 1:]
    return frames


def print_stacks(file=None, skip=1):
    """See stackless.print_stacks; 'skip' counts this function's callers."""
    lines = []
    for tasklet in sorted(stackless.all_tasklets(), key=rank):
        lines.append(headline(tasklet) + "\n")
        frames = stack(tasklet, skip + 1 if tasklet.is_current else 0)
        lines.extend(traceback.format_list(frames)
                     or ["  (no Python frame: not yet started)\n"])
    print("".join(lines), end="", file=sys.stderr if file is None else file)
