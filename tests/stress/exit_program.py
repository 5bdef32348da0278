"""End the interpreter in some way while tasklets are in some state.

    python tests/stress/exit_program.py STATE ENDING [PLACE]

STATES, ENDINGS and PLACES are the tables; test_shutdown.py runs what they
span, and says what must come of it.  A new state is one function here.
"""

import atexit
import gc
import importlib.util
import os
import signal
import sys
import threading
import types
import warnings

import stackless

STATES, ENDINGS, PLACES = {}, {}, {}
kept = []  # what would go too early otherwise


def say(*words):
    print(*words, flush=True)


class State:
    """A function that brings tasklets into a state.

    `before`: what it prints; `killed`: what the tasklets print when they are
    killed at the end, newest first.
    """

    def __init__(self, function, before, killed):
        self.bring_about = function
        self.before = before
        self.killed = killed


def state(before=(), killed=()):
    def register(function):
        STATES[function.__name__] = State(function, before, killed)
        return function

    return register


class Ending:
    """A function that ends the program, with what must come of it.

    `error`: the last line of the one traceback on stderr, if there is one.
    `abrupt`: nothing of Python's own exit takes place.
    """

    def __init__(self, function, status, error, abrupt):
        self.end = function
        self.status = status
        self.error = error
        self.abrupt = abrupt


def ending(status=0, error=None, abrupt=False):
    def register(function):
        ENDINGS[function.__name__] = Ending(function, status, error, abrupt)
        return function

    return register


class Place:
    """A function that calls what ends the program.

    `report`: how a report begins of an error that gets no further.
    """

    def __init__(self, function, report):
        self.call = function
        self.report = report


def place(report=None):
    def register(function):
        PLACES[function.__name__] = Place(function, report)
        return function

    return register


# --- states ------------------------------------------------------------------


def pause():
    return stackless.schedule_remove(None)


def new_channel():
    kept.append(stackless.channel())
    return kept[-1]


def through_c(function):
    """Call it with C in between: it blocks hard."""
    sorted([1], key=lambda _: function())


def body(wait, name="finally"):
    try:
        wait()
        say("woken")
    finally:
        say(name)


def started(function, *args):
    """A tasklet that has run up to its first suspension."""
    t = stackless.tasklet(function)(*args)
    t.run()
    return t


@state()
def never_run():
    stackless.tasklet(body)(pause)


@state()
def never_run_and_kept():
    kept.append(stackless.tasklet().bind(body, (pause,)))


@state(killed=["finally"])
def runnable():
    started(body, lambda: stackless.schedule(None))


@state(killed=["finally"])
def runnable_before_one_that_never_ran():
    """The one's end does not start the other."""
    started(body, lambda: stackless.schedule(None))
    stackless.tasklet(say)("ran after all")


@state(killed=["finally"])
def runnable_in_c():
    started(body, lambda: through_c(lambda: stackless.schedule(None)))


@state(killed=["finally"])
def blocked_soft():
    started(body, new_channel().receive)


@state(killed=["finally"])
def blocked_hard():
    receive = new_channel().receive
    started(body, lambda: through_c(receive))


@state(killed=["third", "second", "first"])
def sliced():
    """Their C stacks are in the heap."""
    stackless.set_c_stacks(limit=0)
    for name in ("first", "second", "third"):
        receive = new_channel().receive
        started(body, lambda receive=receive: through_c(receive), name)


@state(before=["killed"], killed=["finally"])
def being_killed_sliced():
    stackless.set_c_stacks(limit=0)
    t = started(stubborn, lambda: through_c(pause))
    t.kill()
    kept.append(t)


@state(killed=["finally"])
def on_a_new_stack():
    receive = new_channel().receive
    started(body, lambda: stackless.call_on_new_stack(receive))


@state(killed=["finally"])
def blocked_sending():
    send = new_channel().send
    started(body, lambda: send("never received"))


@state(killed=["finally"])
def unreachable():
    """The collector has not found it when the program ends."""
    gc.disable()
    started(body, stackless.channel().receive)


@state(killed=["finally"])
def paused():
    kept.append(started(body, pause))


@state(killed=["finally"])
def inside_run():
    """In the middle of a run() of its own."""

    def outer():
        stackless.tasklet(stackless.schedule)(None)
        body(stackless.run)

    kept.append(stackless.tasklet(outer)())
    stackless.schedule(None)


@state(killed=["finally"])
def kill_pending():
    t = started(body, pause)
    t.kill(pending=True)
    kept.append(t)


def stubborn(wait):
    try:
        body(wait, "killed")
    finally:
        body(wait)


@state(before=["killed"], killed=["finally"])
def being_killed_soft():
    t = started(stubborn, pause)
    t.kill()
    kept.append(t)


@state(before=["killed"], killed=["finally"])
def being_killed_hard():
    t = started(stubborn, lambda: through_c(pause))
    t.kill()
    kept.append(t)


@state(killed=["killed", "finally"])
def refusing_to_die():
    """Catches what kills it, and blocks again."""

    def refuse():
        try:
            body(pause, "killed")
        except TaskletExit:
            body(pause)

    kept.append(started(refuse))


def endless():
    while True:
        try:
            stackless.schedule(None)
        except BaseException:
            pass


@state()
def never_ending():
    kept.append(started(endless))


@state()
def never_ending_in_c():
    """Debug builds would say that it is left in gc.garbage."""
    warnings.simplefilter("ignore", ResourceWarning)
    started(through_c, endless)


class Speaker:
    def __init__(self, words):
        self.words = words
        self.say = say

    def __del__(self):
        self.say(self.words)


@state(killed=["finally", "module gone"])
def last_reference_to_a_module():
    """Its function's globals, too, are those of a module nobody else has."""
    module = types.ModuleType("temporary")
    sys.modules["temporary"] = module
    module.say, module.wait = say, new_channel().receive
    module.speaker = Speaker("module gone")
    source = """
def body():
    import temporary as module
    import sys
    del sys.modules["temporary"]
    try:
        wait()
    finally:
        say("finally")
"""
    exec(source, module.__dict__)
    started(module.body)


@state(killed=["finally"])
def inside_a_generator():
    def generate():
        with open(os.devnull):
            yield stackless.channel().receive()

    kept.append(generate())
    started(body, lambda: next(kept[-1]))


@state(killed=["finally"])
def handling_an_error():
    def handle():
        try:
            raise KeyError(sys._getframe())
        except KeyError as error:
            kept.append(error)
            pause()

    kept.append(started(body, handle))


@state(killed=["second", "first"])
def several():
    for name in "first", "second":
        kept.append(started(body, pause, name))


@state(killed=["finally"] * 300)
def many():
    for _ in range(100):
        kept.append(started(body, pause))
        started(body, new_channel().receive)
        kept.append(started(body, lambda: through_c(pause)))


def in_thread(function, *, daemon=True):
    """Run it in a thread that sleeps then, or ends if it is no daemon."""
    ready = threading.Event()

    def work():
        function()
        ready.set()
        if daemon:
            threading.Event().wait()

    thread = threading.Thread(target=work, daemon=daemon)
    thread.start()
    ready.wait()
    if not daemon:
        thread.join()


def one_of_each():
    kept.append(stackless.tasklet(body)(pause))
    kept.append(started(body, pause, "soft"))
    kept.append(started(body, lambda: through_c(pause), "hard"))


@state(before=["hard"])
def thread_that_has_ended():
    """Its tasklets cannot run any more; those in C are killed with it."""
    if stackless.enable_softswitch(None):
        in_thread(one_of_each, daemon=False)
    else:
        in_thread(lambda: kept.append(started(body, pause, "hard")),
                  daemon=False)


@state()
def thread_that_sleeps():
    in_thread(one_of_each)


@state()
def thread_that_sleeps_in_a_tasklet():
    ready = threading.Event()

    def work():
        one_of_each()
        stackless.tasklet(body)(lambda: (ready.set(),
                                         threading.Event().wait()))
        stackless.run()

    kept.append(threading.Thread(target=work, daemon=True))
    kept[-1].start()
    ready.wait()


@state()
def thread_that_sleeps_in_c_in_a_tasklet():
    ready = threading.Event()

    def sleep():
        ready.set()
        through_c(threading.Event().wait)

    def work():
        one_of_each()
        stackless.tasklet(body)(sleep)
        stackless.run()

    threading.Thread(target=work, daemon=True).start()
    ready.wait()


@state()
def threads_that_switch():
    """Wherever they are when the interpreter ends."""
    sys.setswitchinterval(1e-4)
    ready = threading.Barrier(3)

    def busy():
        while True:
            stackless.schedule(None)

    def work():
        stackless.tasklet(busy)()
        stackless.tasklet(through_c)(busy)
        ready.wait()
        stackless.run()

    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    ready.wait()


# --- ways to end -------------------------------------------------------------


class End(Exception):
    """What ends the program is not caught on its way."""


@ending()
def end_of_program():
    pass


@ending(status=3)
def exit_in_main():
    sys.exit(3)


@ending(status=3)
def exit_in_a_tasklet():
    stackless.tasklet(sys.exit)(3).run()


@ending(status=1, error="End: in main")
def error_in_main():
    raise End("in main")


def fail(words):
    raise End(words)


@ending(status=1, error="End: in a tasklet")
def error_in_a_tasklet():
    stackless.tasklet(fail)("in a tasklet").run()


@ending(status=5, abrupt=True)
def exit_at_once():
    os._exit(5)


@ending(status=-signal.SIGTERM, abrupt=True)
def terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass


@ending(status=-signal.SIGINT, error="KeyboardInterrupt")
def interrupted_in_main():
    interrupt()


@ending(status=-signal.SIGINT, error="KeyboardInterrupt")
def interrupted_in_a_tasklet():
    stackless.tasklet(interrupt)().run()


def has_ctypes():
    return importlib.util.find_spec("_ctypes") is not None


def finalize():
    """As C code does that a tasklet calls."""
    import ctypes

    ctypes.pythonapi.Py_Exit(6)


@ending(status=6)
def finalized_in_a_tasklet():
    stackless.tasklet(finalize)().run()


@ending(abrupt=True)
def replaced_by_another_program():
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", ""])


# --- where it ends -----------------------------------------------------------


@place()
def main(end):
    end()


@place()
def tasklet(end):
    """Main is blocked."""
    stackless.tasklet(end)()
    stackless.channel().receive()


@place()
def tasklet_in_c(end):
    stackless.tasklet(through_c)(end)
    pause()


@place()
def main_in_run(end):
    stackless.tasklet(end)()
    stackless.run()


@place()
def signal_handler(end):
    """That interrupts a tasklet."""

    def handler(number, frame):
        end()

    def raise_signal():
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000):
            pass

    signal.signal(signal.SIGUSR1, handler)
    stackless.tasklet(raise_signal)().run()


class Destructor:
    def __init__(self, function):
        self.function = function

    def __del__(self):
        self.function()


@place(report="Exception ignored .*")
def destructor(end):
    Destructor(end)


@place(report="Exception ignored in atexit callback:? .*")
def exit_function(end):
    atexit.register(end)


@place(report="Exception in thread .*")
def thread(end):
    worker = threading.Thread(target=end)
    worker.start()
    worker.join()


def run(state_name, ending_name, place_name="main"):
    # A background job starts with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    STATES[state_name].bring_about()
    PLACES[place_name].call(ENDINGS[ending_name].end)


if __name__ == "__main__":
    if os.environ.get("STACKLESS_TEST_HARD") == "1":
        stackless.enable_softswitch(False)
    run(*sys.argv[1:])
