"""Helpers of the behaviour tests: workers that log, C frames, subprocesses."""

import os
import subprocess
import sys
import textwrap
import traceback

import stackless

from tasks import pause, spawn, through_c


def paused(function, *args):
    """A tasklet that is ready to run, but in no list."""
    return stackless.tasklet().bind(function, args)


def started(function, *args):
    """Spawn, and let it run up to its first suspension."""
    t = spawn(function, *args)
    t.run()
    return t


# What main may wait in, by name.
WAITS = {
    "run()": stackless.run,
    "receive": lambda: stackless.channel().receive(),
    "send": lambda: stackless.channel().send(1),
    "schedule_remove": pause,
    "schedule": stackless.schedule,
}


def ring():
    """The runnable tasklets, current first."""
    members = [stackless.current]
    t = stackless.current.next
    while t is not members[0]:
        members.append(t)
        t = t.next
    return members


def queued(channel):
    """The tasklets blocked on a channel, first come first."""
    members = []
    t = channel.queue
    while t is not None:
        members.append(t)
        t = t.next
    return members


def counting(log, name, rounds):
    """Log name0, name1 ..., yielding after each."""
    for i in range(rounds):
        log.append(f"{name}{i}")
        stackless.schedule()


def function_names(tb):
    return [entry.name for entry in traceback.extract_tb(tb)]


def run_program(source, *options, timeout=60, before="", **kwargs):
    """Run source in a fresh interpreter, in the mode the tests run in; `before`
    it, without stackless."""
    prologue = textwrap.dedent(before) + "import stackless\n"
    if os.environ.get("STACKLESS_TEST_HARD") == "1":
        prologue += "stackless.enable_softswitch(False)\n"
    return subprocess.run(
        [sys.executable, *options, "-c", prologue + textwrap.dedent(source)],
        capture_output=True, text=True, timeout=timeout, **kwargs)
