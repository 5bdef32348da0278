"""Subinterpreters: each has tasklets of its own, and leaves the others' alone.

Both kinds, those with a GIL of their own and those that share the main
interpreter's, from everywhere in a program that uses tasklets.
"""

import functools
import re
import sys

import pytest

from stress_support import HARD, outcome
from subinterpreters_support import (
    ENDED, KINDS, TASKLETS, USED, VISITS_ARE_THREADS, WORKING, WORKS, run,
    run_quietly)

pytestmark = pytest.mark.noleak  # everything runs in subprocesses

each_kind = pytest.mark.parametrize("kind", KINDS)
needs_clock = pytest.mark.skipif(
    sys.version_info < (3, 12),
    reason="CPython 3.11 interrupts the main interpreter's main thread only")
AS_MAIN = ("-m", "stackless")  # the program is a tasklet itself


def has_threads(kind):
    return sys.version_info >= (3, 12) or kind == "shared GIL"


def skip_without_threads(kind):
    if not has_threads(kind):
        pytest.skip("3.11 lets an isolated subinterpreter have no threads")


# --- what works in one -------------------------------------------------------


@functools.cache
def said_inside(kind):
    """What each program of the table says, each in an interpreter anew."""
    sources = {name: source for name, (_, source) in WORKING.items()}
    out = run_quietly(TASKLETS, f"""
        for name, source in {sources!r}.items():
            say("##", name)
            try:
                visit(source)
            except Exception as error:
                say(error)
        say("## end")
        go_on()
        """, kind=kind)
    parts = re.split(r"^## (.*)\n", out, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


@each_kind
@pytest.mark.parametrize("name", WORKING)
def test_works_inside(name, kind):
    assert said_inside(kind)[name] == WORKING[name][0]


@each_kind
def test_main_goes_on_after_all_of_that(kind):
    assert said_inside(kind)["end"] == WORKS + ENDED


# --- from where it is visited ------------------------------------------------

PLACES = {
    "main": "visit()",
    "tasklet": "stackless.tasklet(visit)().run()",
    "tasklet in C": "in_c(visit).run()",
    "thread": "in_threads(1, lambda _: visit())",
    "tasklet of a thread": """
        def work(_):
            stackless.tasklet(visit)()
            in_c(visit)
            stackless.run()
        in_threads(1, work)
        """,
    "atomic section": """
        with stackless.atomic():
            visit()
        """,
    "schedule callback": """
        def callback(before, after):
            stackless.set_schedule_callback(None)
            visit()
        stackless.set_schedule_callback(callback)
        """,
    "destructor": """
        class Visitor:
            def __del__(self):
                visit()
        def wait(visitor):
            stackless.schedule_remove()
        t = stackless.tasklet(wait)(Visitor())
        t.run()
        t.kill()
        """,
    "signal handler": """
        import signal
        signal.signal(signal.SIGUSR1, lambda *_: visit())
        def send():
            os.kill(os.getpid(), signal.SIGUSR1)
            return sum(range(10))
        stackless.tasklet(send)().run()
        """,
    "another one": """
        NESTED = "import sys, threading\\nfor _ in range(2): pass\\n"
        visit(SETTING_UP + "visit()" + USE)
        """,
}


@each_kind
@pytest.mark.parametrize("place", PLACES)
def test_visited_from(place, kind):
    visits = 2 if place in ("tasklet of a thread", "another one") else 1
    out = run_quietly(TASKLETS, PLACES[place], "go_on()\n", kind=kind)
    assert out == visits * USED + WORKS + ENDED
