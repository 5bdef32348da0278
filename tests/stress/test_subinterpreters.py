"""Subinterpreters: each has tasklets of its own, and leaves the others' alone.

Both kinds, those with a GIL of their own and those that share the main
interpreter's, from everywhere in a program that uses tasklets.  What programs
are made of is in subinterpreters_support.py.
"""

import functools
import os
import re
import sys

import pytest

from subinterpreters_support import (
    CONTINUE, COUNT, ENDED, FINALLY, HARD, HOLD, INSIDE, KINDS, LEAVE, LEFT,
    LIMITS, OWN, POOL, SAY_DEADLOCK, SPIN, TASKLETS, THREADS, USE, USED, WORK,
    WORKING, WORKS, growth, interpreters, lines, program, run, run_quietly)

pytestmark = [
    pytest.mark.noleak,  # everything runs in subprocesses
    pytest.mark.skipif(interpreters is None,
                       reason="this CPython has no module for them"),
]

# Each visit has a thread state of its own: what waits there in C ends with the
# visit.  Before, all visits have the same one.
VISITS_ARE_THREADS = sys.version_info >= (3, 13)

each_kind = pytest.mark.parametrize("kind", KINDS)
needs_3_14 = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="new in 3.14")
needs_clock = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="not in subinterpreters of 3.11")


def skip_without_threads(kind):
    if sys.version_info < (3, 12) and kind == "own GIL":
        pytest.skip("3.11 lets an isolated subinterpreter have no threads")


def freezing_crashes(kind):
    return sys.version_info[:2] == (3, 12) and kind == "own GIL"


def skip_where_freezing_crashes(kind):
    if freezing_crashes(kind):
        pytest.skip("plain CPython 3.12 crashes: hashlib in subinterpreters "
                    "with a GIL of their own")


# --- what works in one -------------------------------------------------------


@functools.cache
def said_inside(kind):
    """What each program of the table says, each in an interpreter anew."""
    sources = {name: source for name, (_, source) in WORKING.items()
               if name != "copies" or not freezing_crashes(kind)}
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
    if name == "copies":
        skip_where_freezing_crashes(kind)
    assert said_inside(kind)[name] == WORKING[name][0]


@each_kind
def test_main_goes_on_after_all_of_that(kind):
    assert said_inside(kind)["end"] == WORKS + ENDED


@each_kind
@pytest.mark.parametrize("how", ["stackless.tasklet(fails)()", "in_c(fails)"])
def test_error_that_nobody_catches(how, kind):
    """It ends the visit, with the tasklet's calls in its traceback."""
    out = run_quietly(TASKLETS, f"""
        try:
            visit('''
                def fails():
                    raise KeyError("of the tasklet")
                {how}
                stackless.run()
                say("never")
                ''')
        except Exception as error:
            text = str(error)
            say("KeyError" in text, "of the tasklet" in text,
                "in fails" in text or sys.version_info < (3, 13))
        go_on()
        """, kind=kind)
    assert out == "True True True\n" + WORKS + ENDED


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
    "new C stack": "stackless.call_on_new_stack(visit)",
    "schedule callback": """
        def callback(before, after):
            stackless.set_schedule_callback(None)
            visit()
        stackless.set_schedule_callback(callback)
        stackless.schedule()
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
}


@each_kind
@pytest.mark.parametrize("place", PLACES)
def test_visited_from(place, kind):
    out = run_quietly(TASKLETS, PLACES[place], "go_on()", kind=kind)
    visits = 2 if place == "tasklet of a thread" else 1
    assert out == visits * USED + WORKS + ENDED


@each_kind
def test_visited_where_main_is_a_tasklet(kind):
    """Whose C stack is ours, and may be another one later."""
    out = run_quietly(TASKLETS, """
        visit()
        go_on()
        in_c(visit).run()
        go_on()
        sys.stdout.flush()
        os._exit(0)  # two tasklets never end
        """, kind=kind, options=("-m", "stackless"))
    assert out == 2 * (USED + WORKS)


@each_kind
@pytest.mark.parametrize("place", ["tasklet", "tasklet in C", "thread",
                                   "tasklet of a thread"])
def test_visited_where_it_is_not_imported(place, kind):
    """Destructors run, when they should."""
    out = run_quietly(TASKLETS, """
        USE = '''
        import os
        class Says:
            def __init__(self, words):
                self.words = words + bytes([10])
            def __del__(self, write=os.write):
                write(1, self.words)
        Says(b"at once")
        kept = Says(b"at the end")
        '''
        def visit():
            new = create()
            execute(new, USE, before="pass")
            say("left")
            destroy(new)
        """, PLACES[place], "go_on()", kind=kind)
    visits = 2 if place == "tasklet of a thread" else 1
    assert out == (visits * lines("at once", "left", "at the end")
                   + WORKS + ENDED)


@each_kind
def test_visited_from_another_one(kind):
    """Two deep, with tasklets that wait on each level."""
    inner = program(TASKLETS, """
        stackless.tasklet(visit)().run()
        in_c(visit).run()
        go_on()
        """, kind=kind)
    out = run_quietly(TASKLETS, f"""
        stackless.tasklet(visit)({inner!r}).run()
        go_on()
        in_c(lambda: visit({inner!r})).run()
        go_on()
        """, kind=kind)
    assert out == 2 * (2 * USED + WORKS + ENDED + WORKS)


@each_kind
def test_tasklets_run_while_a_thread_is_in_a_subinterpreter(kind):
    if sys.version_info < (3, 12) or (
        sys.version_info < (3, 13) and kind == "shared GIL"
    ):
        pytest.skip("plain CPython hangs: a thread that makes a "
                    "subinterpreter does not get the GIL from one that only "
                    "computes")
    out = run_quietly(TASKLETS, """
        t = threading.Thread(target=visit)
        t.start()
        while t.is_alive():
            stackless.tasklet(sorted)([1], key=stackless.schedule)
            stackless.schedule(None)
        t.join()
        go_on()
        """, kind=kind)
    assert out == USED + WORKS + ENDED


# --- when it is imported -----------------------------------------------------


@each_kind
def test_imported_in_subinterpreters_only(kind):
    out = run_quietly("""
        for _ in range(3):
            visit()
        in_threads(1, lambda _: visit())
        say("stackless" in sys.modules)
        """, kind=kind)
    assert out == 4 * USED + "False\n"


@each_kind
def test_visited_before_the_import_and_after(kind):
    out = run_quietly("""
        visit()
        in_threads(1, lambda _: visit())
        """, TASKLETS, """
        visit()
        go_on()
        in_c(visit).run()
        visit()
        go_on()
        """, kind=kind)
    assert out == 3 * USED + WORKS + 2 * USED + WORKS


@each_kind
def test_imported_in_main_while_one_is_under_way(kind):
    out = run_quietly("resume = beside('pause()', USE)", TASKLETS, """
        go_on()
        resume()
        go_on()
        """, kind=kind)
    assert out == WORKS + USED + WORKS


# --- each has its own --------------------------------------------------------


@each_kind
def test_each_has_its_own_tasklets_and_callbacks(kind):
    """Three at once, two of them in the main thread."""
    out = run_quietly(f"""
        exec(INSIDE)
        OWN = {OWN!r}
        resume = beside("NAME = 'beside'", OWN, "pause()", "look(3)")
        NAME = "main"
        exec(OWN)
        visit("NAME = 'visited'", OWN, "look(5)")
        look(7)
        resume()
        """, kind=kind)
    assert out == lines(
        "visited ['main', 'visited'] True 1 10 True",
        "main ['main'] True 1 14 True",
        "beside ['beside', 'main'] True 1 6 True")


@each_kind
def test_each_has_its_own_settings(kind):
    out = run_quietly("""
        exec(INSIDE)
        stackless.enable_softswitch(False)
        stackless.switch_trap(1)
        stackless.set_error_handler(print)
        stackless.set_schedule_callback(print)
        stackless.set_channel_callback(print)
        stackless.preempt(0.001)
        stackless.set_c_stacks(limit=0)
        stackless.current.set_atomic(True)
        visit(USE, '''
        say(was_soft, stackless.switch_trap(0), stackless.set_error_handler(),
            stackless.get_schedule_callback(),
            stackless.get_channel_callback(), stackless.preempt(None),
            stackless.get_stats()["c_stacks_sliced"],
            stackless.current.atomic)
        ''')
        """, kind=kind)
    assert out == USED + "True 0 None None None None 0 False\n"


@each_kind
def test_a_thread_of_another_one_is_unknown(kind):
    """All that takes the id of a thread looks in its own interpreter only."""
    out = run_quietly("""
        exec(INSIDE)
        me = threading.get_ident()
        stackless.schedule()
        def work(_):
            stackless.schedule()
            visit(f'''
                def attempt(function, *args):
                    try:
                        return function(*args)
                    except (RuntimeError, ValueError) as error:
                        return type(error).__name__
                def wait():
                    stackless.schedule_remove()
                t = stackless.tasklet(wait, ())
                say(attempt(stackless.get_thread_info, {me}),
                    attempt(t.bind_thread, {me}),
                    {me} in stackless.threads)
                ''')
        in_threads(1, work)
        """, kind=kind)
    assert out == "RuntimeError ValueError False\n"


# --- what is left behind -----------------------------------------------------


def left(in_c_only=False):
    return lines(*(name for name in LEFT if HARD or not in_c_only
                   or name.endswith("in C")))


@each_kind
@pytest.mark.parametrize("call", [
    "work()", "stackless.tasklet(work)().run()", "in_c(work).run()"])
def test_tasklets_are_left_behind(call, kind):
    """Their `finally` runs as at the end of a thread, or of a program."""
    out = run_quietly(TASKLETS, f"""
        def work():
            new = create()
            execute(new, LEAVE)
            say("left")
            destroy(new)
        {call}
        go_on()
        """, kind=kind)
    if VISITS_ARE_THREADS:
        said = left(in_c_only=True) + "left\n"
    else:
        said = "left\n" + left()
    assert out == said + WORKS + ENDED


@each_kind
def test_left_behind_as_c_programs_do_it(kind):
    """Who ends the interpreter in its one thread: as at any program's end."""
    skip_without_threads(kind)  # 3.11 has no isolated kind for C programs
    pytest.importorskip("_testcapi")
    out = run_quietly(TASKLETS, """
        for _ in range(2):
            say(run_to_the_end(LEAVE))
            go_on()
        """, kind=kind)
    assert out == 2 * (left() + "0\n" + WORKS)


@each_kind
def test_what_a_finally_does_at_the_end(kind):
    """As in main: all at the end of a program, less at that of a thread."""
    if sys.version_info >= (3, 15) and hasattr(sys, "gettotalrefcount"):
        pytest.skip("an assertion of CPython 3.15's fails where it reports an "
                    "error of a destructor while a thread state ends")
    out, err = run(TASKLETS, f"""
        new = create()
        execute(new, USE, {FINALLY!r})
        destroy(new)
        go_on()
        """, kind=kind)
    said = ["message", "server"]
    if not VISITS_ARE_THREADS:
        said += [f"started {i}" for i in range(3)]
    assert out == USED + lines(*said) + WORKS + ENDED
    assert re.fullmatch(r"Exception ignored .*\n(.*\n)*?"
                        r"ZeroDivisionError: .*\n\n?", err), err


@each_kind
def test_exit_functions(kind):
    """Those that are registered after the import run before ours."""
    out = run_quietly("""
        new = create()
        execute(new, '''
            import atexit, os
            atexit.register(os.write, 1, b"first one" + bytes([10]))
            ''', before="")
        execute(new, '''
            atexit.register(say, "second one")
            kept = []
            def work():
                say("working")
                kept.append(
                    in_c(lambda: body("finally", stackless.schedule_remove)))
                stackless.tasklet(body)("ended", lambda: 0)
                stackless.run()
            atexit.register(work)
            ''')
        destroy(new)
        """, kind=kind)
    assert out == lines("working", "ended", "second one", "finally",
                        "first one")


@each_kind
@pytest.mark.parametrize("status", [0, 3])
def test_left_alive_at_the_end(status, kind):
    """The exit says what it says without stackless, and no more."""
    leave = "new = create()\nexecute(new, {})\nsys.exit({})\n"
    # CPython 3.11 ends the program's own thread, with status 0, where code
    # that it runs for the other interpreter lets go of the GIL, to print say.
    quiet = sys.version_info < (3, 12)
    code = "USE, 'say = lambda *_: 0', LEAVE" if quiet else "USE, LEAVE"
    out, err = run(TASKLETS, "go_on()", leave.format(code, status),
                   kind=kind, status=status)
    if quiet:
        expected = USED + ENDED
    elif VISITS_ARE_THREADS:
        expected = USED + left(in_c_only=True) + ENDED
    else:
        expected = USED + ENDED + left()
    assert out == WORKS + expected
    plain = leave.format("'pass', before=''", status)
    assert err == run(plain, kind=kind, status=status)[1]


# --- one visit after the other ----------------------------------------------


@each_kind
def test_tasklets_go_on_in_the_next_visit(kind):
    """From wherever.

    Where each visit is a thread, bind_thread() takes them over, and those that
    wait in C have ended with theirs.
    """
    out = run_quietly(TASKLETS, f"""
        new = create()
        next_visit = lambda *_: execute(new, {CONTINUE!r})
        execute(new, {COUNT!r})
        next_visit()
        in_threads(1, next_visit)
        stackless.tasklet(next_visit)().run()
        in_c(next_visit).run()
        in_threads(1, lambda _: in_c(next_visit).run())
        go_on()
        next_visit()
        execute(new, "say(log)")
        destroy(new)
        """, kind=kind)
    if not VISITS_ARE_THREADS:
        log = [i for i in range(7) for _ in range(2)]
    elif HARD:
        log = [0, 0]
    else:
        log = [0, *range(7)]
    assert out == WORKS + f"{log}\n" + ENDED


@each_kind
def test_visits_in_turns(kind):
    """Two interpreters and main, each with tasklets, many times."""
    out = run_quietly(TASKLETS, """
        both = create(), create()
        for new in both:
            execute(new, USE, LEAVE)
        say("start")
        def visit_both():
            for new in both:
                execute(new, "assert use() and attempt()")
        for _ in range(4):
            visit_both()
            stackless.tasklet(visit_both)().run()
            in_c(visit_both).run()
            stackless.schedule()
        in_threads(1, lambda _: visit_both())
        say("end")
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        for new in both:
            destroy(new)
        """, kind=kind)
    assert out.partition("start\n")[2].split("\n")[-2] == "end"


# The callback holds what holds the module.
CYCLE = """
stackless.set_channel_callback(lambda *args: kept)
stackless.set_schedule_callback(lambda *args: kept)
"""


@each_kind
def test_many_one_after_the_other(kind):
    """What they leave in memory is what CPython leaves there."""
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("no /proc")
    with open("/proc/self/maps") as maps:
        if "libasan" in maps.read():
            pytest.skip("AddressSanitizer keeps what is freed")
    plain, plain_maps = growth(kind, "import os, gc, threading, functools")
    ours, our_maps = growth(kind, INSIDE, USE, LEAVE, CYCLE)
    # 3.11 collects once at the end: what a cycle with tasklets holds stays.
    most = 250 if sys.version_info < (3, 12) else 50
    assert ours < 1.2 * plain + most
    assert our_maps < plain_maps + 1  # a C stack is one


# --- threads -----------------------------------------------------------------


@each_kind
def test_threads_inside(kind):
    """Messages between them, and to tasklets of each.

    When they have ended nobody can send any more: main's do not count.
    """
    skip_without_threads(kind)
    out = run_quietly(TASKLETS, f"""
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        exchange = "for _ in range(3): say(exchange(), stackless.threads[1:])"
        visit({THREADS!r}, exchange, {SAY_DEADLOCK!r})
        go_on()
        end.set()
        thread.join()
        """, kind=kind)
    assert out == 3 * "True []\n" + "Deadlock True\n" + WORKS + ENDED


# --- several at once ---------------------------------------------------------


@each_kind
def test_in_parallel(kind):
    """Each in a thread of main's, beside main's own tasklets."""
    out = run_quietly(TASKLETS, f"""
        work = '''say(*work(2000))
        stats = stackless.get_stats()
        assert stats["hard_switches"] + stats["soft_switches"] > 4000'''
        in_threads(4, lambda _: visit({WORK!r}, work))
        go_on()
        """, kind=kind)
    assert out == 4 * "True True True 1\n" + WORKS + ENDED


@each_kind
def test_made_and_destroyed_in_parallel(kind):
    """While they are imported, used, and left with tasklets."""
    out = run_quietly("""
        null, out = os.open(os.devnull, os.O_WRONLY), os.dup(1)
        os.dup2(null, 1)
        done = []
        def work(i):
            for _ in range(5):
                visit(USE, LEAVE)
                done.append(i)
        in_threads(4, work)
        os.dup2(out, 1)
        say(len(done))
        """, kind=kind)
    assert out == "20\n"


@each_kind
def test_atomic_sections(kind):
    """They hold back whoever has the same GIL, and nobody else."""
    if sys.version_info < (3, 12):
        kind = "shared GIL"
    out = run_quietly("""
        exec(INSIDE)
        import mmap, tempfile, time
        file = tempfile.TemporaryFile()
        file.write(bytes(2))
        file.flush()
        memory = mmap.mmap(file.fileno(), 2)
        number = os.dup(file.fileno())
        """, f"""
        HOLD = {HOLD!r}
        rounds = {2_000_000 if kind == "shared GIL" else 10**9}
        thread = threading.Thread(target=visit, args=(
            f"N = {{rounds}}", HOLD, f"say(hold({{number}}))"))
        thread.start()
        while thread.is_alive():
            if memory[0]:
                memory[1] = 1
            else:
                time.sleep(0.001)
        thread.join()
        file.close()
        """, kind=kind)
    assert out == ("1\n" if kind == "own GIL" else "0\n")


# --- limits to how long tasklets run -----------------------------------------


@needs_clock
@each_kind
def test_limits(kind):
    """Each in an interpreter anew; and all of that in a thread of main's."""
    out = run_quietly(TASKLETS, f"""
        def work(_=None):
            for name, source in {LIMITS!r}.items():
                say(name)
                visit({SPIN!r}, source)
        work()
        go_on()
        in_threads(1, work)
        """, kind=kind)
    said = "".join(f"{name}\nTrue True\n" for name in LIMITS)
    assert out == said + WORKS + said + ENDED


@each_kind
def test_no_slow_calls_are_told(kind):
    """That needs a daemon thread, which main alone may have for long."""
    out = run_quietly(TASKLETS, """
        visit('''
            stackless.set_slow_call_handler(None, None)
            try:
                stackless.set_slow_call_handler(0.1, print)
            except NotImplementedError as error:
                say(error)
            import threading
            say(threading.active_count())
            ''')
        go_on()
        """, kind=kind)
    message = "set_slow_call_handler() needs the main interpreter: others "
    message += "have no daemon threads"
    assert out == lines(message, "1") + WORKS + ENDED


@needs_clock
@each_kind
def test_limits_in_several_at_once(kind):
    """Main has one too, and its ends first."""
    out = run_quietly("exec(INSIDE)", f"exec({SPIN!r})", f"""
        lock = threading.Lock()
        def work(i):
            visit({SPIN!r}, f"N = {{i}}", '''
        t = stackless.tasklet(spin)()
        for _ in range(3):
            assert stackless.run(seconds=0.01 + N * 0.02) is t
            t.insert()
        stackless.preempt(0.001)
        u = stackless.tasklet(spin)()
        stackless.tasklet(say)("end")
        stackless.tasklet(t.kill)()
        stackless.tasklet(u.kill)()
        stackless.run()
        ''')
        threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            t = stackless.tasklet(spin)()
            assert stackless.run(seconds=0.01) is t
            t.kill()
        for thread in threads:
            thread.join()
        t = stackless.tasklet(spin)()
        assert stackless.run(1000) is t
        """, kind=kind)
    assert out == 3 * "end\n"


@each_kind
def test_main_takes_turns_while_one_is_visited(kind):
    """The visit is a call of C code for main's; it is not interrupted."""
    out = run_quietly(TASKLETS, f"""
        execute_all = lambda: visit({SPIN!r}, '''
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass
        ''', USE)
        done = []
        def wait():
            while not done:
                pass
        stackless.preempt(0.005)
        stackless.tasklet(wait)()
        in_c(execute_all)
        execute_all()
        stackless.tasklet(done.append)(1)
        for _ in range(5):
            stackless.schedule()
        stackless.preempt(None)
        go_on()
        """, kind=kind)
    assert out == 2 * USED + WORKS + ENDED


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="works there")
@each_kind
def test_no_limits_before_3_12(kind):
    out = run_quietly(TASKLETS, f"""
        visit({SPIN!r}, '''
        t = stackless.tasklet(spin)()
        for call in (lambda: stackless.run(seconds=0.01),
                     lambda: stackless.run(1000),
                     lambda: stackless.preempt(0.01)):
            try:
                call()
            except NotImplementedError as error:
                say(error)
        stackless.preempt(None)
        t.kill()
        ''')
        go_on()
        """, kind=kind)
    in_run = ("run() with a limit in another thread than the main one, or in "
              "a subinterpreter, needs CPython 3.12 or later")
    in_preempt = "preempt() in a subinterpreter needs CPython 3.12 or later"
    assert out == lines(in_run, in_run, in_preempt) + WORKS + ENDED


# --- forks -------------------------------------------------------------------


@each_kind
def test_fork_after_visits(kind):
    """Each process goes on with its tasklets, and may make other ones.

    Where one is left, plain CPython crashes or hangs in the child, in all its
    versions.
    """
    out = run_quietly(TASKLETS, """
        visit(LEAVE)
        in_c(visit).run()
        pid = os.fork()
        if not pid:
            go_on("child")
            visit()
            in_c(visit)
            stackless.tasklet(visit)()
            stackless.schedule()
            sys.exit(4)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        go_on("parent")
        visit()
        """, kind=kind)
    child = "[100, 100]\nchild\nfinally\n" + 3 * USED + ENDED
    parent = "[100, 100]\nparent\nfinally\n" + USED + ENDED
    first = left(in_c_only=VISITS_ARE_THREADS) + USED
    assert out == first + child + "4\n" + parent


@each_kind
def test_other_programs_are_run_meanwhile(kind):
    """By a fork of C's, while threads are everywhere in other interpreters."""
    out = run_quietly(TASKLETS, """
        import subprocess
        subprocess._USE_VFORK = False
        resume = [beside(LEAVE, "pause()", "say = lambda *_: 0")
                  for _ in range(2)]
        def call(words="from main"):
            command = [sys.executable, "-S", "-c", f"print({words!r})"]
            subprocess.run(command, check=True)
        call()
        in_c(call).run()
        stackless.tasklet(call)().run()
        go_on()
        for f in resume:
            f()
        """, kind=kind)
    assert out == 3 * "from main\n" + WORKS + ENDED


# --- from one to the other ---------------------------------------------------

STEPS = """
def steps(names):
    import stackless
    for i in range(3):
        names.append(stackless.schedule_remove(i))
    return names
"""


@each_kind
def test_frozen_in_one_and_thawed_in_the_other(kind, tmp_path):
    """Main, two subinterpreters, main: a step in each."""
    skip_where_freezing_crashes(kind)
    file = tmp_path / "frozen"
    step = f"""
        with open({str(file)!r}, "rb") as file:
            t = stackless.thaw(file.read())
        t.tempval = NAME
        t.insert()
        stackless.run()
        say(NAME, t.alive, t.tempval)
        with open({str(file)!r}, "wb") as file:
            file.write(stackless.freeze(t, code="value"))
        t.kill()
        """
    out = run_quietly("exec(INSIDE)", STEPS, f"""
        t = stackless.tasklet(steps)([])
        stackless.run()
        with open({str(file)!r}, "wb") as file:
            file.write(stackless.freeze(t, code="value"))
        visit("NAME = 'first'", {step!r})
        visit("NAME = 'second'", {step!r})
        with open({str(file)!r}, "rb") as file:
            copy = stackless.thaw(file.read())
        names = copy.frame.f_locals["names"]
        copy.tempval = "main"
        copy.insert()
        stackless.run()
        say(names, copy.alive, t.alive)
        """, kind=kind)
    assert out == lines("first True 1", "second True 2",
                        "['first', 'second', 'main'] False True")


# --- CPython's own modules for them ------------------------------------------


@needs_3_14
@pytest.mark.parametrize("place", ["visit()", "spawn(visit)().run()",
                                   "spawn(sorted)([1], key=visit).run()"])
def test_public_module(place):
    out = run_quietly(TASKLETS, """
        from concurrent import interpreters
        spawn = stackless.tasklet

        def visit(_=None):
            new = interpreters.create()
            questions = interpreters.create_queue()
            answers = interpreters.create_queue()
            new.prepare_main(questions=questions, answers=answers)
            new.exec(INSIDE)
            new.exec(USE)
            questions.put(20)
            questions.put(22)
            new.exec(textwrap.dedent('''
                channel = stackless.channel()
                in_c(lambda: channel.send(questions.get()))
                stackless.tasklet(lambda: channel.send(questions.get()))()
                answers.put(channel.receive() + channel.receive())
                '''))
            say(answers.get())
            try:
                new.exec(textwrap.dedent('''
                    def fails():
                        raise KeyError("of a tasklet")
                    stackless.tasklet(fails)()
                    stackless.run()
                    '''))
            except interpreters.ExecutionFailed as error:
                say("of a tasklet" in str(error))
            new.close()

        """, place, "go_on()")
    assert out == USED + "42\nTrue\n" + WORKS + ENDED


@needs_3_14
def test_calls_by_the_public_module():
    """call() and call_in_thread(), of functions that use tasklets there."""
    out = run_quietly(TASKLETS, """
        from concurrent import interpreters

        def sums(n):
            import stackless
            channel = stackless.channel()
            def add(i):
                channel.send(i + channel.receive())
            for i in range(n):
                stackless.tasklet(add)(i)
            stackless.tasklet(sorted)([n], key=add)
            stackless.run()
            channel.send(0)
            return channel.receive()

        def put(queue, n):
            import stackless
            stackless.tasklet(queue.put)(n)
            stackless.tasklet(sorted)([n + 1], key=queue.put)
            stackless.run()

        new = interpreters.create()
        queue = interpreters.create_queue()
        say(new.call(sums, 1))
        in_c(lambda: say(new.call(sums, 1))).run()
        more = [interpreters.create() for _ in range(3)]
        threads = [each.call_in_thread(put, queue, n)
                   for each, n in zip(more, (1, 3, 5))]
        say(sum(queue.get() for _ in range(6)))
        for thread in threads:
            thread.join()
        for each in new, *more:
            each.close()
        go_on()
        """)
    assert out == lines("1", "1", "21") + WORKS + ENDED


SQUARES = [sum(2 * i * i for i in range(n)) for n in range(20)]


@needs_3_14
def test_visit_while_another_one_is_prepared():
    """By code that pickles arguments, in main, wherever that is."""
    out = run_quietly(TASKLETS, """
        from concurrent import interpreters

        class Visits:
            def __reduce__(self):
                with_new(str, 5)
                return int, (7,)

        def with_new(function, argument):
            new = interpreters.create()
            say(function.__name__, new.call(function, argument))
            new.close()

        work = lambda: with_new(int, Visits())
        work()
        stackless.tasklet(work)().run()
        in_c(work).run()
        go_on()
        """)
    assert out == 3 * lines("str 5", "int 7") + WORKS + ENDED


@needs_3_14
def test_pool_of_interpreters():
    """Tasklets in the workers, and in main: the pool is used by several."""
    out = run_quietly(TASKLETS, POOL, """
        answers = stackless.channel()

        def use_pool(_=None):
            with InterpreterPoolExecutor(2) as pool:
                results = pool.map(work, range(20))
                failure = pool.submit(fails, 5).exception()
                answers.send((list(results), str(failure)))

        stackless.tasklet(use_pool)()
        stackless.tasklet(sorted)([1], key=use_pool)
        for _ in range(2):
            say(*answers.receive())
        go_on()
        """)
    assert out == 2 * f"{SQUARES} 5\n" + WORKS + ENDED
