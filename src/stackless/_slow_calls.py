"""Who holds up a thread's tasklets: calls of C functions that take long.

A thread of its own looks, a few times in the time that a call may last, whether
the other threads have come by a place where tasklets can be interrupted.
"""

import os
import sys
import threading
import time
import traceback

from stackless import _core

PARTS = 4  # how often to look in the time that a call may last

_watcher = None


class Watcher(threading.Thread):
    def __init__(self, seconds, callback):
        super().__init__(name="stackless slow calls", daemon=True)
        self.seconds = seconds
        self.callback = callback
        self.stopped = threading.Event()

    def run(self):
        _core._only_watches()
        seen = {}  # of a thread: number of looks, since when, if reported
        pause = min(self.seconds / PARTS, threading.TIMEOUT_MAX)
        while not self.stopped.wait(pause):
            now = time.monotonic()
            before, seen = seen, {}
            for ident, task, looks in _core._looks():
                count, since, reported = before.get(ident, (None, now, False))
                if count != looks:
                    since, reported = now, False
                if now - since >= self.seconds and not reported:
                    self.report(ident, task, now - since)
                    reported = True
                seen[ident] = looks, since, reported

    def report(self, ident, task, seconds):
        stack = traceback.StackSummary()
        frame = sys._current_frames().get(ident)
        if frame is not None:  # Python code calls it
            stack = traceback.extract_stack(frame)
        try:
            self.callback(task, stack, seconds)
        except Exception:
            threading.excepthook(
                threading.ExceptHookArgs((*sys.exc_info(), self))
            )


def look_often(seconds):
    _core._look_often(None if seconds is None else seconds / PARTS)


def set_handler(seconds, callback):
    """See stackless.set_slow_call_handler()."""
    global _watcher
    if (seconds is None) != (callback is None):
        raise TypeError("seconds and callback must both be given, or both None")
    before, watcher = _watcher, None
    if callback is None:
        look_often(None)
    else:
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {callback!r}")
        if not seconds > 0:
            raise ValueError(f"seconds must be positive, not {seconds!r}")
        seconds = float(seconds)
        look_often(seconds)
        try:
            watcher = Watcher(seconds, callback)
            watcher.start()
        except RuntimeError:
            look_often(before and before.seconds)
            raise
    _watcher = watcher
    if before is None:
        return None, None
    before.stopped.set()
    return before.seconds, before.callback


def _after_fork():
    global _watcher
    watcher, _watcher = _watcher, None  # its thread is not in the child
    if watcher is not None:
        set_handler(watcher.seconds, watcher.callback)


os.register_at_fork(after_in_child=_after_fork)
