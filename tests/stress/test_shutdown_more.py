"""The end of the interpreter, where several things come together.

What one tasklet does while it is killed, threads, signals, hooks, exit
functions: small programs, and the whole of what they print.
"""

import importlib.util
import re
import sys

import pytest

from stress_support import outcome

pytestmark = pytest.mark.noleak  # everything runs in subprocesses

needs_ctypes = pytest.mark.skipif(
    importlib.util.find_spec("_ctypes") is None, reason="no ctypes")

# Two tasklets that wait, one of them in C, until the program ends.
WAITING = """
import threading

def say(*words):
    print(*words, flush=True)

def wait(then=lambda: say("finally")):
    try:
        stackless.schedule_remove(None)
    finally:
        then()

def both(then=lambda: say("finally")):
    new = [stackless.tasklet(wait)(then),
           stackless.tasklet(sorted)([then], key=wait)]
    stackless.run()
    return new
"""
REPORT = r"Exception ignored .*\n(.*\n)*?{}(:.*)?\n\n?"


def run(source, **kwargs):
    return outcome(WAITING + source, **kwargs)


def reports(*errors):
    """A pattern of errors that nobody was there to hear, in this order."""
    return "".join(REPORT.format(error) for error in errors)


def test_errors_in_finally():
    """Reported, each; none ends the program, which is ending."""
    status, out, err = run("""
both_a = both(lambda: sys.exit(3))
both_b = both(lambda: 1 / 0)
fine = both()
""")
    assert (status, out) == (0, "finally\nfinally\n")
    errors = ["ZeroDivisionError"] * 2 + ["SystemExit"] * 2
    assert re.fullmatch(reports(*errors), err), err


def test_destructors_of_locals():
    status, out, err = run("""
class Exits:
    def __del__(self):
        sys.exit(3)

class Switches:
    def __del__(self):
        stackless.tasklet(say)("spawned")
        stackless.run()

def body():
    exits, switches = Exits(), Switches()
    wait()

t = stackless.tasklet(body)()
stackless.run()
""")
    assert (status, out) == (0, "finally\nspawned\n")
    assert re.fullmatch(reports("SystemExit"), err), err


def test_finally_that_uses_channels():
    """Newest first: who waited for it before is still there.

    What it waits for itself does not come: it is killed once more.
    """
    assert run("""
messages, nobody = stackless.channel(), stackless.channel()

def serve():
    try:
        for message in messages:
            say(message)
    finally:
        say("server")

stackless.tasklet(serve)()
stackless.run()

def then():
    messages.send("message")
    try:
        nobody.receive()
        say("never")
    finally:
        say("last")

kept = both(then)
""") == (0, "message\nmessage\nserver\nlast\nlast\n", "")


def test_finally_that_starts_others():
    """They run; what had not run before the end does not."""
    assert run("""
answers = stackless.channel()

def then():
    stackless.tasklet(answers.send)("answer")
    say(answers.receive())
    for i in range(10):
        stackless.schedule(None)
    sorted([1], key=lambda _: stackless.schedule(None))
    say("end")

kept = both(then)
stackless.tasklet(say)("never")
""") == (0, "answer\nanswer\nend\nend\n", "")


def test_finally_that_ends_the_process():
    assert run("kept = both(lambda: os._exit(9))") == (9, "", "")


def test_finally_that_is_interrupted():
    status, out, err = run("""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)

def then():
    os.kill(os.getpid(), signal.SIGINT)
    for i in range(1000):
        pass

kept = both(), both(then), both()
""")
    assert (status, out) == (0, 4 * "finally\n")
    assert re.fullmatch(2 * reports("KeyboardInterrupt"), err), err


def test_finally_that_starts_a_thread():
    """3.12 refuses; else the thread has a scheduler of its own."""
    status, out, err = run("""
def work():
    stackless.tasklet(say)("thread")
    stackless.run()

def then():
    t = threading.Thread(target=work)
    try:
        t.start()
        t.join()
    except RuntimeError as error:
        say("shutdown" in str(error))

kept = both(then)
""")
    assert (status, err) == (0, "")
    assert out == ("True\nTrue\n" if sys.version_info[:2] == (3, 12)
                   else "thread\nthread\n")


def test_thread_inside_its_own_run():
    """The program waits for it; then main's tasklets are killed."""
    assert run("""
def count():
    for i in range(500):
        total[0] += 1
        stackless.schedule(None)

def work():
    for i in range(3):
        stackless.tasklet(count)()
    stackless.tasklet(sorted)([1], key=lambda _: count())
    stackless.run()
    say(total)

total = [0]
threading.Thread(target=work).start()
kept = both()
sys.exit(2)
""") == (2, "[2000]\nfinally\nfinally\n", "")


def test_thread_that_outlives_main_cannot_kill_its_tasklets():
    assert run("""
def work():
    threading.main_thread().join()
    for t in kept:
        t.kill()
    say("asked")

kept = both()
threading.Thread(target=work).start()
""") == (0, "asked\nfinally\nfinally\n", "")


def test_daemon_threads_that_switch_all_the_time():
    assert run("""
def then():
    for i in range(10):
        stackless.schedule(None)

def busy():
    while True:
        sorted([1], key=lambda _: stackless.schedule(None))

def work():
    stackless.tasklet(busy)()
    stackless.tasklet(busy)()
    stackless.run()

sys.setswitchinterval(1e-5)
kept = [both(then) for i in range(50)]
for i in range(3):
    threading.Thread(target=work, daemon=True).start()
stackless.tasklet(sys.exit)(5)
stackless.run()
""") == (5, "", "")


def test_pool_of_threads_with_tasklets():
    assert run("""
import atexit
from concurrent.futures import ThreadPoolExecutor

def job(i):
    kept.append(both(lambda: None))
    end.wait()

kept, end = [], threading.Event()
pool = ThreadPoolExecutor(3)
for i in range(6):
    pool.submit(job, i)
atexit.register(say, "exit function")
threading._register_atexit(end.set)
""") == (0, "exit function\n", "")


@needs_ctypes
def test_threads_that_python_did_not_start():
    """Each visit is a thread's life to Python."""
    status, out, err = run("""
import ctypes
library = ctypes.CDLL(None)
callback_type = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
kept = []

@callback_type
def visit(argument):
    kept.extend(both(lambda: None))
    return 0

for i in range(3):
    thread = ctypes.c_ulong()
    library.pthread_create(ctypes.byref(thread), None, visit, None)
    library.pthread_join(thread, None)
say(len(kept), {(t.alive, t.thread_id) for t in kept})
""")
    assert (status, out, err) == (0, "6 {(False, -1)}\n", "")


def test_signals_while_tasklets_are_killed():
    stop = "import atexit, signal\n"
    stop += "atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)\n"
    assert run("""
def then():
    for i in range(200):
        stackless.schedule(None)

def handler(number, frame):
    stackless.tasklet(len)("x")
    stackless.schedule(None)

kept = [both(then) for i in range(20)]
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
""", before=stop) == (0, "", "")


def test_hooks_may_use_tasklets():
    assert run("""
def excepthook(*args):
    stackless.tasklet(say)("excepthook", args[0].__name__)
    stackless.run()

def unraisablehook(args):
    stackless.tasklet(say)("unraisablehook", args.exc_type.__name__)
    stackless.run()

sys.excepthook, sys.unraisablehook = excepthook, unraisablehook
kept = both(lambda: {}["key"])
stackless.tasklet(lambda: 1 / 0)()
stackless.run()
""") == (1, "excepthook ZeroDivisionError\n" + 2 * "unraisablehook KeyError\n",
         "")


def test_callbacks_traps_and_handlers_do_not_stop_it():
    assert run("""
kept = both(lambda: 1 / 0)
calls = []
stackless.set_schedule_callback(lambda *args: calls.append(args))
stackless.set_channel_callback(lambda *args: calls.append(args))
stackless.set_error_handler(lambda *args: say("handler", args[0].__name__))
stackless.current.block_trap = True
stackless.switch_trap(3)
""") == (0, 2 * "handler ZeroDivisionError\n", "")


def test_tracers_do_not_stop_it():
    assert run("""
def trace(*args):
    return trace

before = both()
sys.setprofile(lambda *args: None)
sys.settrace(trace)
after = both()
""") == (0, 4 * "finally\n", "")


def test_everything_forgotten():
    """No name leads to the module any more."""
    assert run("""
kept = both()
import gc
for name in [n for n in sys.modules if n.startswith("stackless")]:
    del sys.modules[name]
del wait, both, stackless
gc.collect()
""") == (0, "finally\nfinally\n", "")


def test_finalizers_and_generators():
    assert run("""
import asyncio, weakref

class Thing:
    pass

def finalize():
    stackless.tasklet(say)("weakref.finalize")
    stackless.run()

def generator():
    try:
        yield 1
        stackless.schedule_remove(None)
    finally:
        say("generator")

async def asynchronous():
    try:
        yield 1
    finally:
        say("asynchronous generator")

async def main():
    async for _ in asynchronous():
        stackless.schedule_remove(None)

thing = Thing()
weakref.finalize(thing, finalize)
kept = [stackless.tasklet(list)(generator()),
        stackless.tasklet(lambda: [_ for _ in generator()])(),
        stackless.tasklet(asyncio.run)(main())]
stackless.run()
""") == (0, "weakref.finalize\nasynchronous generator\ngenerator\n"
         "generator\n", "")


def test_subclass_with_a_destructor():
    assert run("""
class Tasklet(stackless.tasklet):
    def __del__(self):
        say("destructor")
        super().__del__()

t = Tasklet(wait)()
u = stackless.tasklet(sorted)([lambda: None], key=wait)
stackless.run()
""") == (0, "finally\ndestructor\n", "")


def test_exit_functions_around_ours():
    """Those registered before the import run after all has been killed.

    They may use tasklets; what they leave alive goes without `finally`.
    """
    before = """
import atexit
def early():
    say("early")
    kept.extend(both(lambda: say("killed")))
    say([t.alive for t in kept])
    kept[0].kill()
    kept.pop()
atexit.register(early)
kept = []
"""
    assert run("""
import atexit
atexit.register(lambda: kept_too.extend(both(lambda: say("late"))))
kept_too = both()
""", before=before) == (
        0, "late\nlate\nfinally\nfinally\nearly\n[True, True]\n"
        "killed\nkilled\n", "")


def test_tasklets_after_the_modules_went():
    """A destructor that the last collection runs: it is told."""
    assert run("""
class Late:
    def __init__(self):
        self.me = self
        self.write = os.write
        self.tasklet = stackless.tasklet
    def __del__(self, RuntimeError=RuntimeError):
        try:
            self.tasklet(len)("x").run()
        except RuntimeError as error:
            self.write(1, b"refused\\n")
import gc
gc.disable()
late = Late()
""") == (0, "refused\n", "")
