"""What programs with subinterpreters are made of: test_subinterpreters.py.

Imported by the tests and by the programs that they run, which make both kinds:
those with a GIL of their own, and those that share the main interpreter's.  On
CPython 3.11 all share it; "own GIL" is there what it calls isolated, where no
threads can be started.
"""

import importlib.util
import os
import subprocess
import sys
import textwrap
import threading

from stress_support import HARD, LIMIT

SLICE = os.environ.get("STACKLESS_TEST_SLICE") == "1"
KINDS = ["own GIL", "shared GIL"]
kind = None  # that a program makes

interpreters = None  # no module for subinterpreters
for name in "_interpreters", "_xxsubinterpreters":
    if importlib.util.find_spec(name):
        interpreters = importlib.import_module(name)
        break

# --- what is run in them -----------------------------------------------------

# What comes first.
INSIDE = f"""
import os
import stackless
was_soft = stackless.enable_softswitch({not HARD})
if {SLICE}:
    stackless.set_c_stacks(limit=0)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())

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
gone = []

class Noted:
    def __del__(self):
        gone.append(stackless.current.alive)

def use(messages=20):
    channel, got, noted = stackless.channel(), [], Noted()
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

say("used", use(), attempt(), gone, stackless.runcount,
    len(stackless.all_tasklets()))
"""
USED = "used True True [True] 1 1\n"

# Leaves tasklets in each state behind.
LEAVE = """
channel, kept = stackless.channel(), []

def leave(name, wait):
    kept.append(stackless.tasklet(body)(name, wait))
    kept.append(in_c(lambda: body(name + " in C", wait)))

leave("blocked", channel.receive)
leave("paused", stackless.schedule_remove)
stackless.run()
leave("runnable", stackless.schedule)
stackless.schedule()
leave("never run", stackless.schedule)
"""
LEFT = ["runnable in C", "runnable", "paused in C", "paused", "blocked in C",
        "blocked"]  # newest first

# Looks at what each should have for itself.
OWN = """
import threading
kept = [stackless.tasklet(stackless.schedule_remove)(),
        in_c(stackless.schedule_remove)]
for t in kept:
    t.name = NAME
stackless.run()
switches, transfers = [], []
stackless.set_schedule_callback(lambda *_: switches.append(0))
stackless.set_channel_callback(lambda *_: transfers.append(0))

def look(n):
    channel = stackless.channel()
    for i in range(n):
        stackless.tasklet(channel.send)(i)
    stackless.run()
    got = [channel.receive() for _ in range(n)]
    stackless.run()
    say(NAME, sorted({t.name for t in stackless.all_tasklets()}),
        stackless.threads == [threading.get_ident()], stackless.runcount,
        len(transfers), len(switches) > n)
"""

# What a `finally` may do at the end.
FINALLY = """
messages, kept = stackless.channel(), []

def serve():
    try:
        for message in messages:
            say(message)
    finally:
        say("server")

def wait(then):
    try:
        stackless.schedule_remove()
    finally:
        then()

def sends():
    messages.send("message")

def starts_others():
    for i in range(3):
        stackless.tasklet(say)("started", i)
        in_c(lambda: stackless.schedule())
    stackless.run()

def fails():
    1 / 0

in_c(serve)
for then in sends, starts_others, fails:
    kept.append(in_c(lambda then=then: wait(then)))
    stackless.schedule()
"""

# Messages between threads, each of which has several tasklets.
THREADS = """
import threading
questions, answers = stackless.channel(), stackless.channel()

def work():
    ended = stackless.channel()
    def double():
        while (n := questions.receive()) is not None:
            answers.send(2 * n)
        ended.send(None)
    stackless.tasklet(double)()
    in_c(double)
    stackless.tasklet(double)()
    for _ in range(3):
        ended.receive()

def exchange(n=300):
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(n):
        stackless.tasklet(questions.send)(i)
    total = sum(answers.receive() for _ in range(n))
    for _ in range(9):
        questions.send(None)
    for thread in threads:
        thread.join()
    return total == n * (n - 1)
"""

# All at once, with results that can be told.
WORK = """
import gc

def work(n):
    channel, got, shared, sums = stackless.channel(), [], [0], []
    def send():
        for i in range(n):
            channel.send(i)
    def receive():
        for _ in range(n):
            got.append(channel.receive())
    def add():
        for _ in range(n // 8):
            with stackless.atomic():
                value = shared[0]
                gc.get_count()
                shared[0] = value + 1
            stackless.schedule()
    def sort():
        for i in range(n // 8):
            sums.append(sum(sorted([1, 2], key=lambda _: (
                stackless.schedule(), 0)[1])))
    def litter():
        def wait(me):
            me.append(stackless.current)
            stackless.schedule_remove()
        for _ in range(n // 50):
            stackless.tasklet(wait)([])
            in_c(lambda: wait([]))
            stackless.schedule()
            gc.collect(0)
    for function in send, receive, add, add, sort, sort, litter:
        stackless.tasklet(function)()
    stackless.run()
    gc.collect()
    stackless.run()
    return (got == list(range(n)), shared == [n // 8 * 2],
            sums == [3] * (n // 8 * 2), len(stackless.all_tasklets()))
"""

# Behind THREADS, when they have ended.
SAY_DEADLOCK = """
def consume():
    answers.receive()
waiting = stackless.tasklet(consume)()
waiting.name = "the consumer"
stackless.run()
try:
    answers.receive()
except RuntimeError as error:
    say(str(error).partition(":")[0],
        "the consumer waits to receive" in str(error))
"""

# Atomic until the other one has written, or for long.
HOLD = """
import mmap
def hold(number):
    memory = mmap.mmap(number, 2)
    with stackless.atomic():
        memory[0] = 1
        for _ in range(N):
            if memory[1]:
                break
        seen = memory[1]
    memory[0] = 0
    return seen
"""

SPIN = """
import threading, time
def spin():
    while True:
        pass
"""

# Behind SPIN; each says True twice.
LIMITS = {
    "seconds": """
        t = stackless.tasklet(spin)()
        say(stackless.run(seconds=0.02) is t, t.alive)
        t.kill()
        """,
    "ticks": """
        t = stackless.tasklet(spin)()
        say(stackless.run(1000) is t, t.alive)
        t.kill()
        """,
    "many ticks": """
        t = stackless.tasklet(spin)()
        say(stackless.run(1000000) is t, t.alive)
        t.kill()
        """,
    "soft": """
        def turns():
            while True:
                stackless.schedule()
        t = stackless.tasklet(turns)()
        say(stackless.run(seconds=0.02, soft=True) is None, t.alive)
        t.kill()
        """,
    "turns": """
        done = []
        def wait():
            while not done:
                pass
        stackless.preempt(0.002)
        first, second = stackless.tasklet(wait)(), in_c(wait)
        stackless.tasklet(done.append)(1)
        stackless.run()
        say(stackless.preempt(None) == 0.002, not first.alive)
        """,
    "in a thread": """
        def work():
            t = stackless.tasklet(spin)()
            say(stackless.run(seconds=0.02) is t, t.alive)
            t.kill()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
}

# Tasklets that go on whenever CONTINUE is run.
COUNT = """
log = []
def count():
    for i in range(100):
        log.append(i)
        stackless.schedule_remove()
counting = [stackless.tasklet(count)(), in_c(count)]
stackless.run()
"""
CONTINUE = """
for t in counting:
    if t.thread_id == -1 and t.restorable:
        t.bind_thread()
    if t.alive:
        t.insert()
stackless.run()
"""

# For CPython's pool: a module's functions.
POOL = """
from concurrent.futures import InterpreterPoolExecutor

def work(n):
    import stackless
    channel = stackless.channel()
    def square(i):
        stackless.schedule()
        channel.send(i * i)
    for i in range(n):
        stackless.tasklet(square)(i)
        stackless.tasklet(sorted)([i], key=square)
    return sum(channel.receive() for _ in range(2 * n))

def fails(n):
    import stackless
    def fail():
        raise KeyError(n)
    stackless.tasklet(fail)()
    stackless.run()
"""

# --- what is run in the main interpreter, or in one that makes others --------

# Tasklets that wait, in Python and in C, and that are always under way.
TASKLETS = INSIDE + """
channel = stackless.channel()
turns = [0, 0]

def receive():
    try:
        say(channel.receive())
    finally:
        say("finally")

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
    say([now - then for now, then in zip(turns, before)])
    if channel.balance:
        channel.send(words)
"""
WORKS = "[100, 100]\nstill works\nfinally\n"  # each of the first two times
ENDED = "finally\n"  # of the other one, at the end


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def create():
    if sys.version_info < (3, 13):
        return interpreters.create(isolated=kind == "own GIL")
    names = {"own GIL": "isolated", "shared GIL": "legacy"}
    return interpreters.create(names[kind])


def joined(parts):
    return "\n".join(map(textwrap.dedent, parts))


def execute(new, *code, before=INSIDE):
    """Run it there; what it raises is an error here."""
    exec_ = getattr(interpreters, "exec", interpreters.run_string)
    failure = exec_(new, joined([before, *code]))
    if failure is not None:
        raise RuntimeError(getattr(failure, "errdisplay", failure))


def destroy(new):
    interpreters.destroy(new)


def visit(*code):
    new = create()
    try:
        execute(new, *(code or [USE]))
    finally:
        destroy(new)


def run_to_the_end(*code):
    """As C programs do it: all of it in one thread state, then the end.

    -1 where there was an error.
    """
    code = joined([INSIDE, *code])
    if kind == "shared GIL":
        import _testcapi
        return _testcapi.run_in_subinterp(code)
    if sys.version_info < (3, 13):
        import _testcapi
        return _testcapi.run_in_subinterp_with_config(
            code, gil=2, use_main_obmalloc=False, allow_fork=False,
            allow_exec=False, allow_threads=True, allow_daemon_threads=False,
            check_multi_interp_extensions=True)
    import _testinternalcapi
    config = interpreters.new_config("isolated")
    return _testinternalcapi.run_in_subinterp_with_config(code, config)


def in_threads(n, function):
    threads = [threading.Thread(target=function, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def beside(*code):
    """Run it in a thread and an interpreter of its own, up to a pause().

    What this returns lets it go on, and waits for its end.
    """
    here, there = os.pipe(), os.pipe()
    pause = f"""
def pause():
    os.write({here[1]}, b"x")
    os.read({there[0]}, 1)
"""

    def work():
        try:
            visit(pause, *code)
        finally:
            os.write(here[1], b"x")

    def go_on():
        os.write(there[1], b"x")
        thread.join()

    thread = threading.Thread(target=work)
    thread.start()
    os.read(here[0], 1)
    return go_on


def program(*parts, kind):
    """The parts, behind an import of all this."""
    here = os.path.dirname(os.path.abspath(__file__))
    first = f"""
import sys
sys.path.insert(0, {here!r})
import subinterpreters_support
subinterpreters_support.kind = {kind!r}
from subinterpreters_support import *
"""
    return joined([first, *parts])


# --- what runs programs -----------------------------------------------------


def lines(*words):
    return "".join(word + "\n" for word in words)


def run(*parts, kind=None, options=(), status=0):
    """What the program prints, to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, *options, "-c", program(*parts, kind=kind)],
        capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def run_quietly(*parts, **kwargs):
    """What it prints to stdout, if it prints nothing to stderr."""
    out, err = run(*parts, **kwargs)
    assert err == "", out + err
    return out


def growth(kind, *code):
    """KiB, and mappings, that each of the later interpreters adds."""
    out = run_quietly(f"""
        def measure():
            with open("/proc/self/status") as file:
                rss = file.read().partition("VmRSS:")[2].split()[0]
            with open("/proc/self/maps") as file:
                return int(rss), len(file.readlines())
        null, out = os.open(os.devnull, os.O_WRONLY), os.dup(1)
        os.dup2(null, 1)
        for i in range(30):
            if i == 10:
                before = measure()
            new = create()
            execute(new, *{code!r}, before="")
            destroy(new)
        after = measure()
        os.dup2(out, 1)
        say(*((b - a) / 20 for a, b in zip(before, after)))
        """, kind=kind)
    return map(float, out.split())


# --- what works in one -------------------------------------------------------

# What a program says there, and the program.
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
works("moved C stacks", "[0, 1, 2, 3, 4]", """
    stackless.set_c_stacks(limit=0)
    log = []
    def wait(n):
        stackless.schedule_remove()
        log.append(n)
    tasklets = [in_c(lambda n=n: wait(n)) for n in range(5)]
    stackless.run()
    for t in tasklets:
        t.insert()
    stackless.run()
    say(log)
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
works("copies", "[0, 0, 1, 1, 2, 2]", """
    def steps(log):
        for n in range(3):
            stackless.schedule_remove(n)
            log.append(n)
    log = []
    t = stackless.tasklet(steps)(log)
    stackless.run()
    copy = t.clone()
    thawed = stackless.thaw(stackless.freeze(t, code="value"))
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
