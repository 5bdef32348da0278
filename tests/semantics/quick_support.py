"""Helpers of the tests of points that are left in one go.

Whether the quick way was taken is told by a counter, which stays 0 when every
switch is forced hard or STACKLESS_GATE=return takes that way off.
"""

import os

import stackless

from tasks import spawn

QUICK = (os.environ.get("STACKLESS_GATE") != "return"
         and os.environ.get("STACKLESS_TEST_HARD") != "1")


def count():
    return stackless.get_stats()["quick_switches"]


class quick:
    """The block has at least `least` quick switches, if there are any."""

    def __init__(self, least=1):
        self.least = least

    def __enter__(self):
        self.before = count()

    def __exit__(self, error, *ignored):
        if error is None:
            n = count() - self.before
            assert n >= self.least if QUICK else n == 0


class Noisy:
    """Says when it dies."""

    def __init__(self, log, what="dead"):
        self.log, self.what = log, what

    def __del__(self):
        self.log.append(self.what)


def forever(*held):
    """Yields until it is killed."""
    while True:
        stackless.schedule(None)


def pausing():
    while True:
        stackless.schedule_remove(None)


def turns(n=1):
    """All others run n times; from main this is a hard switch."""
    for _ in range(n):
        stackless.schedule(None)


def left_quickly(function=forever, *args):
    """A tasklet in the ring that was left quickly, as the last one."""
    with quick():
        t = spawn(function, *args)
        turns()
    return t


def deep(n):
    return 1 + deep(n - 1) if n else 0


def litter():
    """Memory that was just freed gets other contents."""
    for size in range(380, 800, 16):
        for _ in range(20):
            bytes(size) + b"\xff" * size
