"""Subinterpreters: stackless refuses them, and they leave it alone.

Both kinds, those with a GIL of their own and those that share the main
interpreter's, from everywhere in a program that uses tasklets.
"""

import subprocess
import sys
import textwrap

import pytest

from stress_support import HARD, LIMIT

pytestmark = pytest.mark.noleak  # everything runs in subprocesses


def run(source, *args):
    command = [sys.executable, "-c", textwrap.dedent(source), *args]
    done = subprocess.run(command, capture_output=True, text=True,
                          timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    if "no subinterpreters" in done.stdout:
        pytest.skip("this CPython has no module for subinterpreters")
    return done.stdout, done.stderr


SETTING_UP = """
import importlib, os, sys, threading
for name in "_interpreters", "_xxsubinterpreters":
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
else:
    sys.exit(print("no subinterpreters"))

def create(kind):
    if sys.version_info < (3, 13):
        return interpreters.create(isolated=kind == "own GIL")
    names = {"own GIL": "isolated", "shared GIL": "legacy"}
    return interpreters.create(names[kind])

CODE = '''
import gc
def deep():
    return sorted([1], key=lambda _: deep())
for attempt in range(2):
    try:
        import stackless
    except ImportError as error:
        print("refused:", error, flush=True)
try:
    deep()
except RecursionError:
    print("RecursionError", flush=True)
gc.collect()
'''

def visit(kind):
    new = create(kind)
    exec_ = getattr(interpreters, "exec", interpreters.run_string)
    failure = exec_(new, CODE)
    if failure is not None:
        print(failure)
    interpreters.destroy(new)

TASKLETS = '''
import stackless
stackless.enable_softswitch(%r)
channel = stackless.channel()

def body():
    try:
        print(channel.receive(), flush=True)
    finally:
        print("finally", flush=True)

stackless.tasklet(body)()
stackless.tasklet(sorted)([1], key=lambda _: body())
stackless.run()
'''
""" % (not HARD)

PLACES = {
    "main": "visit(kind)",
    "tasklet": "stackless.tasklet(visit)(kind).run()",
    "tasklet in C":
        "stackless.tasklet(sorted)([kind], key=visit).run()",
    "thread":
        "t = threading.Thread(target=visit, args=(kind,))\n"
        "t.start()\nt.join()",
    "tasklet of a thread":
        "f = lambda: stackless.tasklet(sorted)([kind], key=visit).run()\n"
        "t = threading.Thread(target=f)\nt.start()\nt.join()",
}


def refused(kind):
    """What a subinterpreter prints."""
    if kind == "own GIL" and sys.version_info >= (3, 12):
        words = "module stackless._core does not support loading in "
        words += "subinterpreters"
    else:
        words = "stackless cannot be used in a subinterpreter yet: "
        words += "import it in the main interpreter"
    return 2 * f"refused: {words}\n" + "RecursionError\n"


WORKS = "still works\nfinally\nfinally\n"  # the other one is killed at the end


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["own GIL", "shared GIL"])
def test_visited_from(place, kind):
    out, err = run(SETTING_UP + f"kind = {kind!r}\nexec(TASKLETS)\n"
                   + PLACES[place] + '\nchannel.send("still works")\n')
    assert (out, err) == (refused(kind) + WORKS, "")


@pytest.mark.parametrize("kind", ["own GIL", "shared GIL"])
def test_visited_before_the_import(kind):
    out, err = run(SETTING_UP + f"""
visit({kind!r})
exec(TASKLETS)
visit({kind!r})
channel.send("still works")
""")
    assert (out, err) == (2 * refused(kind) + WORKS, "")


@pytest.mark.parametrize("kind", ["own GIL", "shared GIL"])
def test_left_alive_at_the_end(kind):
    """The exit says what it says without stackless, and no more."""
    create = SETTING_UP + f"new = create({kind!r})\n"
    out, err = run(create + "exec(TASKLETS)\n"
                   + 'channel.send("still works")\n')
    assert out == WORKS
    assert err == run(create)[1]


@pytest.mark.parametrize("kind", ["own GIL", "shared GIL"])
def test_tasklets_run_while_a_thread_is_in_a_subinterpreter(kind):
    if sys.version_info < (3, 12) or (
        sys.version_info < (3, 13) and kind == "shared GIL"
    ):
        pytest.skip("plain CPython hangs: a thread that makes a "
                    "subinterpreter does not get the GIL from one that only "
                    "computes")
    out, err = run(SETTING_UP + f"""
exec(TASKLETS)
t = threading.Thread(target=visit, args=({kind!r},))
t.start()
while t.is_alive():
    stackless.tasklet(sorted)([1], key=stackless.schedule)
    stackless.schedule(None)
t.join()
channel.send("still works")
stackless.run()
""")
    assert (out, err) == (refused(kind) + WORKS, "")


@pytest.mark.skipif(sys.version_info < (3, 14),
                    reason="concurrent.interpreters is new in 3.14")
@pytest.mark.parametrize("place", ["visit()", "spawn(visit)().run()",
                                   "spawn(sorted)([1], key=visit).run()"])
def test_public_module(place):
    out, err = run(f"""
        import stackless
        from concurrent import interpreters
        stackless.enable_softswitch({not HARD})
        spawn = stackless.tasklet

        def visit(_=None):
            new = interpreters.create()
            try:
                new.exec("import stackless")
            except interpreters.ExecutionFailed as error:
                print("ImportError" in str(error), flush=True)
            queue = interpreters.create_queue()
            new.prepare_main(queue=queue)
            new.exec("queue.put(len('four'))")
            print(queue.get(), flush=True)
            new.close()

        {place}
        spawn(print)("still works")
        stackless.run()
    """)
    assert (out, err) == ("True\n4\nstill works\n", "")


@pytest.mark.skipif(sys.version_info < (3, 14),
                    reason="InterpreterPoolExecutor is new in 3.14")
def test_pool_of_interpreters():
    out, err = run(f"""
        import stackless
        from concurrent.futures import InterpreterPoolExecutor
        stackless.enable_softswitch({not HARD})
        answers = stackless.channel()

        def work(_=None):
            with InterpreterPoolExecutor(2) as pool:
                answers.send(list(pool.map(pow, range(5), range(5))))

        stackless.tasklet(work)()
        stackless.tasklet(sorted)([1], key=work)
        print(answers.receive(), answers.receive())
    """)
    assert (out, err) == ("[1, 1, 4, 27, 256] [1, 1, 4, 27, 256]\n", "")
