"""Programs that make subinterpreters, for test_subinterpreters.py.

Both kinds of them, those with a GIL of their own and those that share the main
interpreter's.  On CPython 3.11 all share it; "own GIL" is there the kind that
it calls isolated, in which no threads can be started.
"""

import os
import subprocess
import sys
import textwrap

import pytest

from stress_support import HARD, LIMIT

KINDS = ["own GIL", "shared GIL"]
# Each visit has a thread state of its own: what waits there in C ends with the
# visit.  Before, all visits have the same one.
VISITS_ARE_THREADS = sys.version_info >= (3, 13)

# What code in a subinterpreter begins with.
INSIDE = f"""
import stackless
stackless.enable_softswitch({not HARD})

def say(*words):
    print(*words, flush=True)

def in_c(function):
    # Calls it with C in between: it waits hard.
    return stackless.tasklet(sorted)([0], key=lambda _: function())

def body(name, wait):
    try:
        wait()
    finally:
        say(name)
"""

# Uses everything that the engine has two ways for, and cleans up.
USE = """
import gc

def use(messages=20):
    channel, got = stackless.channel(), []
    def receive():
        for value in channel:
            got.append(value)
    def receive_twice():
        got.append(channel.receive())
        got.append(channel.receive())
    def send():
        for value in range(messages):
            channel.send(value)
            stackless.schedule()
    receiver = stackless.tasklet(receive)()
    in_c(receive_twice)
    stackless.tasklet(send)()
    stackless.run()
    receiver.kill()
    with stackless.atomic():
        in_c(lambda: got.append(-1))
        stackless.run()
    stackless.tasklet(body)("never", lambda: 0).kill()
    gc.collect()
    return sorted(got) == list(range(-1, messages))

def deep():
    return sorted([1], key=lambda _: deep())

def attempt():
    try:
        deep()
    except RecursionError:
        return True

say("used", use(), attempt(), stackless.runcount,
    len(stackless.all_tasklets()))
"""
USED = "used True True 1 1\n"

# Each part of a program is a string, so these can be told apart by their name.
SETTING_UP = f"""
import importlib, os, sys, threading
for name in "_interpreters", "_xxsubinterpreters":
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
else:
    sys.exit(print("no subinterpreters"))
INSIDE = {INSIDE!r}
USE = {USE!r}

def say(*words):
    print(*words, flush=True)

def create():
    if sys.version_info < (3, 13):
        return interpreters.create(isolated=KIND == "own GIL")
    names = {{"own GIL": "isolated", "shared GIL": "legacy"}}
    return interpreters.create(names[KIND])

def execute(new, code):
    # Runs it there; what it raises is an error here.
    exec_ = getattr(interpreters, "exec", interpreters.run_string)
    failure = exec_(new, INSIDE + code)
    if failure is not None:
        raise RuntimeError(getattr(failure, "errdisplay", failure))

def visit(code=USE):
    new = create()
    try:
        execute(new, code)
    finally:
        interpreters.destroy(new)

def in_threads(n, function):
    threads = [threading.Thread(target=function, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""

# Tasklets of the main interpreter: one waits in Python, one in C, two are
# always under way.
TASKLETS = INSIDE + """
channel = stackless.channel()
turns = [0, 0]

def receive():
    try:
        print(channel.receive(), flush=True)
    finally:
        print("finally", flush=True)

def turn(i):
    while True:
        turns[i] += 1
        stackless.schedule()

stackless.tasklet(receive)()
in_c(receive)
stackless.tasklet(turn)(0)
in_c(lambda: turn(1))
stackless.schedule()

def go_on(words="still works"):
    # After whatever has been between.
    before = list(turns)
    for _ in range(100):
        stackless.schedule()
    print([now - then for now, then in zip(turns, before)], flush=True)
    if channel.balance:
        channel.send(words)
"""
WORKS = "[100, 100]\nstill works\nfinally\n"
ENDED = "finally\n"  # the other one is killed at the end


def program(*parts, kind=None):
    parts = [f"KIND = {kind!r}\n" + SETTING_UP, *parts]
    return "".join(textwrap.dedent(part) for part in parts)


def run(*parts, kind=None, options=(), **environ):
    """What the program prints, to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, *options, "-c", program(*parts, kind=kind)],
        capture_output=True, text=True, timeout=LIMIT,
        env={**os.environ, **environ})
    assert done.returncode == 0, done.stdout + done.stderr
    if "no subinterpreters" in done.stdout:
        pytest.skip("this CPython has no module for subinterpreters")
    return done.stdout, done.stderr


def run_quietly(*parts, **kwargs):
    """What it prints to stdout, if it prints nothing to stderr."""
    out, err = run(*parts, **kwargs)
    assert err == "", out
    return out


# What works in a subinterpreter: what a program says there, and the program.
WORKING = {}


def works(name, says, source):
    WORKING[name] = (says + "\n", textwrap.dedent(source))


works("alone", "True 1 1 True", """
    import threading
    main = stackless.getmain()
    say(stackless.current is main, stackless.runcount,
        len(stackless.all_tasklets()),
        main.thread_id == stackless.threads[0] == threading.get_ident())
""")
works("soft switches", f"{not HARD} True True", """
    def count():
        for _ in range(20):
            stackless.schedule()
    for _ in range(2):
        stackless.tasklet(count)()
    stackless.run()
    stats, soft = stackless.get_stats(), stackless.enable_softswitch(None)
    say(soft, (stats["soft_switches"] > 30) == soft,
        (stats["hard_switches"] < 10) == soft)
""")
works("hard switches", "[1, 1, 2, 2, 3, 3] [3, 2, 1] True", """
    came, sorted_ = [], []
    def key(n):
        came.append(n)
        stackless.schedule()
        return -n
    for _ in range(2):
        in_c(lambda: sorted_.append(sorted([1, 2, 3], key=key)))
    stackless.run()
    say(came, sorted_[1],
        stackless.get_stats()["hard_switches"] >= 6)
""")
works("channels", "['sent', 1] ['received 2', 'sent'] [3, 4, 5]", """
    channel, log = stackless.channel(), []
    def send():
        channel.send(1)
        log.append("sent")
    channel.preference = 1
    stackless.tasklet(send)()
    log.append(channel.receive())
    first, log[:] = list(log), []

    channel.preference = -1
    def receive():
        log.append(f"received {channel.receive()}")
    stackless.tasklet(receive)()
    stackless.run()
    channel.send(2)
    log.append("sent")
    second = list(log)

    def send_all():
        channel.send_sequence([3, 4, 5])
        channel.close()
    stackless.tasklet(send_all)()
    channel.preference = 1
    say(first, second, list(channel))
""")
works("exceptions", "KeyError('in Python') KeyError('in C') ['inner']", """
    import traceback
    channel = stackless.channel()
    def inner():
        raise KeyError("in Python")
    def outer():
        inner()
    try:
        stackless.tasklet(outer)()
        stackless.run()
    except KeyError as error:
        first = error
        names = [f.name for f in traceback.extract_tb(error.__traceback__)]
    in_c(lambda: channel.send_exception(KeyError, "in C"))
    try:
        channel.receive()
    except KeyError as error:
        say(repr(first), repr(error), names[-1:])
""")
works("kill", "['exit', 'exit'] builtins [False, False]", """
    import builtins
    log = []
    def wait():
        try:
            stackless.schedule_remove()
        except TaskletExit:
            log.append("exit")
            raise
    tasklets = [stackless.tasklet(wait)(), in_c(wait)]
    stackless.run()
    for t in tasklets:
        t.kill()
    say(log, builtins.TaskletExit.__module__,
        [t.alive for t in tasklets])
""")
works("atomic sections", "False True True False", """
    me, seen = stackless.current, []
    seen.append(me.atomic)
    with stackless.atomic():
        seen.append(me.atomic)
        t = in_c(lambda: stackless.schedule())
        stackless.run()
        seen.append(me.atomic)
    seen.append(me.atomic)
    say(*seen)
""")
works("deadlock", "Deadlock True True", """
    channel = stackless.channel()
    def consumer():
        channel.receive()
    stackless.tasklet(consumer)().name = "the consumer"
    in_c(consumer).name = "in C"
    stackless.run()
    try:
        channel.receive()
    except RuntimeError as error:
        text = str(error)
        say(text.partition(":")[0], "the consumer waits to receive" in text,
            "in C waits to receive" in text)
""")
works("callbacks", "2 [(1, 0), (1, 1)] handled ValueError", """
    switches, transfers = [], []
    stackless.set_schedule_callback(lambda *args: switches.append(args))
    stackless.set_channel_callback(
        lambda c, t, sending, blocks: transfers.append((sending, blocks)))
    channel = stackless.channel()
    stackless.tasklet(channel.receive)()
    stackless.run()
    transfers[:], before = [], len(switches)
    stackless.tasklet(stackless.schedule)()
    stackless.run()
    made = len(switches) - before
    stackless.tasklet(channel.send)(0)
    stackless.run()
    stackless.tasklet(channel.send)(0)
    stackless.run()
    stackless.set_error_handler(
        lambda kind, value, tb: say(made, transfers, "handled",
                                    kind.__name__))
    def fail():
        raise ValueError
    stackless.tasklet(fail)()
    stackless.run()
""")
works("recursion", "True [True, True] 3000", """
    import sys
    def deep():
        return sorted([1], key=lambda _: deep())
    def attempt():
        try:
            deep()
        except RecursionError:
            return True
    def plain(n):
        return n and 1 + plain(n - 1)
    results = []
    stackless.tasklet(lambda: results.append(attempt()))()
    in_c(lambda: results.append(attempt()))
    stackless.run()
    first = attempt()
    sys.setrecursionlimit(4000)
    stackless.tasklet(lambda: say(first, results, plain(3000)))()
    stackless.run()
""")
works("contexts", "['a', 'b'] none", """
    import contextvars
    variable, seen = contextvars.ContextVar("v", default="none"), []
    def show(value):
        stackless.current.set_context(contextvars.copy_context())
        variable.set(value)
        stackless.schedule()
        seen.append(variable.get())
    stackless.tasklet(show)("a")
    in_c(lambda: show("b"))
    stackless.run()
    say(seen, variable.get())
""")
works("collector", "['hard', 'soft']", """
    import gc
    log = []
    def wait(name, me):
        me.append(stackless.current)
        try:
            stackless.schedule_remove()
        finally:
            log.append(name)
    def spawn():
        stackless.tasklet(wait)("soft", [])
        in_c(lambda: wait("hard", []))
    spawn()
    stackless.run()
    gc.collect()
    stackless.run()
    say(sorted(log))
""")
works("moved C stacks", "[0, 1, 2, 3, 4] True", """
    stackless.set_c_stacks(limit=0)
    log = []
    def wait(n):
        stackless.schedule_remove()
        log.append(n)
    tasklets = [in_c(lambda n=n: wait(n)) for n in range(5)]
    stackless.run()
    sliced = stackless.get_stats()["c_stacks_sliced"] > 0
    for t in tasklets:
        t.insert()
    stackless.run()
    say(log, sliced)
""")
works("new stack", "True 7", """
    def call():
        stackless.schedule()
        return 7
    t = in_c(lambda: stackless.schedule())
    value = stackless.call_on_new_stack(call)
    say(isinstance(value, int), value)
""")
works("trace functions", "['first', 'first', 'second', 'second'] None", """
    import sys
    lines = []
    def trace(frame, event, arg):
        if event == "line":
            lines.append(frame.f_code.co_name)
        return trace
    def traced(name):
        f = lambda: stackless.schedule()
        f.__code__ = f.__code__.replace(co_name=name)
        sys.settrace(trace)
        f()
        f()
        sys.settrace(None)
    stackless.tasklet(traced)("first")
    in_c(lambda: traced("second"))
    stackless.tasklet(lambda: stackless.schedule())()
    stackless.run()
    say(sorted(lines), sys.gettrace())
""")
works("copies", "[0, 0, 1, 1, 2, 2]" if not HARD else "FreezeError", """
    def steps(log):
        for n in range(3):
            stackless.schedule_remove(n)
            log.append(n)
    log = []
    t = stackless.tasklet(steps)(log)
    stackless.run()
    try:
        copy, thawed = t.clone(), stackless.thaw(
            stackless.freeze(t, code="value"))
    except stackless.FreezeError:
        say("FreezeError")
    else:
        for _ in range(3):
            for each in t, copy, thawed:
                each.insert()
            stackless.run()
        say(log)
""")
works("reports", "True True", """
    import io
    def waits_here():
        stackless.schedule_remove()
    kept = [stackless.tasklet(waits_here)(), in_c(waits_here)]
    stackless.run()
    file = io.StringIO()
    stackless.print_stacks(file)
    say(file.getvalue().count("in waits_here") == 2, "main" in file.getvalue())
""")
works("second import", "True still here", """
    import sys
    ours = stackless
    for name in [n for n in sys.modules if n.startswith("stackless")]:
        del sys.modules[name]
    try:
        import stackless
    except ImportError as error:
        answer = "already loaded" in str(error)
    ours.tasklet(say)(answer, "still here")
    ours.run()
""")
works("many", "5000 500", """
    channel, total = stackless.channel(), []
    for n in range(5000):
        stackless.tasklet(channel.send)(1)
    for n in range(500):
        in_c(lambda: total.append(stackless.schedule() is not None))
    stackless.run()
    say(sum(channel.receive() for _ in range(5000)), len(total))
""")
