"""Things that belong to a thread, used by several of its tasklets.

Each statement of docs/thread-bound.md, in its order.  What would wait for
ever is shown with a lock that is not waited for.
"""

import asyncio
import contextlib
import contextvars
import decimal
import importlib
import io
import logging
import pathlib
import queue
import re
import sys
import threading
import time

import pytest
import stackless

from semantics_support import pause, run_program, spawn, started, through_c


def other_thread(function, *args):
    """Call it in another thread; what it returns."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function(*args)))
    thread.start()
    thread.join()
    return answers[0]


def try_lock(lock):
    """Whether it can be had now; it is not kept."""
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return True


SHORT = 0.01  # seconds that a thread waits in vain


# locks

@pytest.fixture(params=["soft", "in C"])
def call(request):
    """How the tasklet that holds something calls what makes it wait."""
    return (lambda f: f()) if request.param == "soft" else through_c


def holding(lock, call):
    """A tasklet that is suspended inside `with lock`."""
    def body():
        with lock:
            call(pause)

    return started(body)


def test_lock_held_by_a_suspended_tasklet(call):
    lock = threading.Lock()
    holder = holding(lock, call)
    assert lock.locked()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=SHORT)
    holder.run()
    assert not lock.locked()


def test_waiting_for_a_lock_stops_all_tasklets_of_the_thread(log):
    lock = threading.Lock()
    lock.acquire()

    def wait():
        log.append("waits")
        assert not lock.acquire(timeout=SHORT)
        log.append("gave up")

    spawn(wait)
    spawn(log.append, "another")
    stackless.run()
    assert log == ["waits", "gave up", "another"]


def test_lock_may_be_released_by_another_tasklet(call):
    lock = threading.Lock()
    t = started(lambda: (lock.acquire(), call(pause)))
    spawn(lock.release)
    stackless.run()
    assert not lock.locked()
    t.run()


def test_lock_is_released_by_what_ends_the_tasklet(call):
    lock = threading.Lock()
    holder = holding(lock, call)
    holder.kill()
    assert not lock.locked()
    holder = holding(lock, call)
    del holder
    assert not lock.locked()


def test_rlock_lets_every_tasklet_of_the_thread_in(call, log):
    """It excludes other threads, and nobody else."""
    lock = threading.RLock()

    def body(name):
        with lock:
            log.append("in " + name)
            call(pause)
            log.append("out " + name)

    a, b = started(body, "a"), started(body, "b")
    assert log == ["in a", "in b"]
    assert not other_thread(try_lock, lock)
    a.run()  # counted: two times in, one time out
    assert not other_thread(try_lock, lock)
    b.run()
    assert log == ["in a", "in b", "out a", "out b"]
    assert other_thread(try_lock, lock)


def test_rlock_may_be_released_by_another_tasklet(call):
    lock = threading.RLock()
    t = started(lambda: (lock.acquire(), call(pause)))
    lock.release()
    assert other_thread(try_lock, lock)
    with pytest.raises(RuntimeError, match="un-?acquired"):
        lock.release()
    t.run()


def test_rlock_is_released_by_what_ends_the_tasklet(call):
    lock = threading.RLock()
    holder, other = holding(lock, call), holding(lock, call)
    del holder
    assert not other_thread(try_lock, lock)
    other.kill()
    assert other_thread(try_lock, lock)


def test_waiting_for_a_condition_releases_the_locks_of_others(log):
    """Of all tasklets of the thread: it has one RLock."""
    condition = threading.Condition()
    holder = holding(condition, lambda f: f())

    def enter():
        with condition:
            log.append("entered")
            condition.notify()

    thread = threading.Thread(target=enter)
    with condition:
        thread.start()
        assert condition.wait(timeout=10)
    assert log == ["entered"]
    thread.join()
    holder.run()


def test_blocking_calls_stop_the_thread(log):
    """Events, queues, sleep: no other tasklet runs meanwhile."""
    spawn(log.append, "another")

    def get():
        with pytest.raises(queue.Empty):
            queue.Queue().get(timeout=SHORT)

    for wait in (lambda: threading.Event().wait(SHORT), get,
                 lambda: time.sleep(SHORT),
                 lambda: threading.Semaphore(0).acquire(timeout=SHORT)):
        wait()
    assert log == []
    stackless.run()


def test_another_thread_may_wake_the_thread(log):
    """A tasklet that waits for a thread gets what that thread gives."""
    jobs, answers = queue.Queue(), queue.Queue()

    def work():
        while (job := jobs.get()) is not None:
            spawn(answers.put, job * 2)
            stackless.run()

    thread = threading.Thread(target=work)
    thread.start()

    def ask(n):
        jobs.put(n)
        log.append(answers.get(timeout=10))

    for n in range(3):
        spawn(ask, n)
    stackless.run()
    jobs.put(None)
    thread.join()
    assert log == [0, 2, 4]


def example():
    """The class that docs/thread-bound.md gives."""
    page = pathlib.Path(__file__).parents[2] / "docs/thread-bound.md"
    source = re.search(r"```python\n(.*?)```", page.read_text("utf-8"), re.S)
    namespace = {"stackless": stackless}
    exec(source[1], namespace)
    return namespace["TaskletLock"]


def test_lock_made_of_a_channel(call, log):
    lock = example()()

    def body(name):
        with lock:
            log.append("in " + name)
            call(stackless.schedule)
            log.append("out " + name)

    for name in "abc":
        spawn(body, name)
    stackless.run()
    assert log == ["in a", "out a", "in b", "out b", "in c", "out c"]
    assert not lock.held


# files and logging

class SlowFile(io.RawIOBase):
    """Its writes let other tasklets run."""

    def __init__(self):
        self.written = []

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        stackless.schedule(None)
        self.written.append(data)
        return len(data)


def test_buffered_file_refuses_a_second_tasklet_in_the_middle_of_a_write():
    raw = SlowFile()
    file = io.BufferedWriter(raw, 16)
    errors = []

    def write(data):
        try:
            file.write(data)
            file.flush()
        except RuntimeError as error:
            errors.append(str(error))

    spawn(write, b"a" * 20)
    spawn(write, b"b" * 20)
    stackless.run()
    assert b"".join(raw.written) == b"a" * 20
    assert len(errors) == 1 and "reentrant call" in errors[0]
    file.close()


def test_logging_handler_that_switches_is_entered_by_all(log):
    """Its RLock lets them in: records may mingle inside the handler."""
    class Handler(logging.Handler):
        def emit(self, record):
            log.append("begin " + record.getMessage())
            stackless.schedule(None)
            log.append("end " + record.getMessage())

    logger = logging.Logger("name")
    logger.addHandler(Handler())
    for name in "ab":
        spawn(logger.warning, name)
    stackless.run()
    assert log == ["begin a", "begin b", "end a", "end b"]


# imports

@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Write modules of these sources; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            names.append(name)
        importlib.invalidate_caches()

    yield write
    for name in names:
        sys.modules.pop(name, None)


WAITS = """
import stackless
early = 1
stackless.schedule_remove(None)
late = 2
"""


def import_(name):
    return importlib.import_module(name)


def test_module_being_imported_by_a_suspended_tasklet(modules):
    """It is as in a circular import: there, and not finished."""
    modules(slow=WAITS)
    t = started(import_, "slow")
    module = import_("slow")
    assert module is sys.modules["slow"]
    assert module.early == 1 and not hasattr(module, "late")
    with pytest.raises(ImportError, match="partially initialized"):
        exec("from slow import late")
    with pytest.raises(AttributeError, match="partially initialized"):
        module.late
    t.run()
    assert module.late == 2
    exec("from slow import late")


def test_module_being_imported_by_two_other_tasklets(modules, log):
    modules(slow=WAITS)
    first = started(import_, "slow")
    for name in "ab":
        spawn(lambda: log.append(import_("slow")))
    stackless.run()
    first.run()
    assert log == [sys.modules["slow"]] * 2
    assert log[0].late == 2


def test_circular_import_across_tasklets(modules):
    modules(
        left="import stackless\nstackless.schedule_remove(None)\n"
             "import right\nname = 'left'\n",
        right="import stackless\nstackless.schedule_remove(None)\n"
              "import left\nname = 'right'\n")
    a, b = started(import_, "left"), started(import_, "right")
    a.run()  # finds right, which is not finished
    b.run()  # finds left, which is
    assert (sys.modules["left"].name, sys.modules["right"].name) == (
        "left", "right")
    assert sys.modules["left"].right is sys.modules["right"]
    assert sys.modules["right"].left is sys.modules["left"]


def test_import_that_fails_after_others_have_the_module(modules):
    modules(slow=WAITS + "1 / 0\n")

    def body():
        with pytest.raises(ZeroDivisionError):
            import_("slow")

    t = started(body)
    module = import_("slow")
    t.run()
    assert "slow" not in sys.modules
    assert module.late == 2


def test_import_in_a_tasklet_that_is_killed(modules):
    modules(slow=WAITS)
    t = started(import_, "slow")
    t.kill()
    assert "slow" not in sys.modules
    t = started(import_, "slow")
    t.run()
    assert sys.modules["slow"].late == 2


def test_other_threads_wait_for_the_import(modules):
    """As for any import; the tasklet must get its turn."""
    modules(slow=WAITS)
    t = started(import_, "slow")
    asked, answers = threading.Event(), []

    def work():
        asked.set()
        answers.append(import_("slow").late)

    thread = threading.Thread(target=work)
    thread.start()
    asked.wait()
    thread.join(SHORT)
    assert answers == []
    t.run()
    thread.join()
    assert answers == [2]


def test_two_threads_with_tasklets_that_import_each_others_modules(modules):
    """CPython's detection of deadlocks holds: one gets a half module."""
    modules(
        left="import stackless\nstackless.schedule_remove(None)\n"
             "import right\nname = 'left'\n",
        right="import stackless\nstackless.schedule_remove(None)\n"
              "import left\nname = 'right'\n")
    barrier = threading.Barrier(2, timeout=20)
    names = []

    def work(name):
        t = started(import_, name)
        barrier.wait()
        t.run()
        names.append(sys.modules[name].name)

    threads = [threading.Thread(target=work, args=(name,))
               for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["left", "right"]


# what tasklets share, and what they have of their own

def test_thread_local_is_shared(call):
    local = threading.local()

    def body():
        local.x = "theirs"
        call(pause)
        assert local.x == "mine"

    t = started(body)
    assert local.x == "theirs"
    local.x = "mine"
    t.run()
    assert not other_thread(hasattr, local, "x")


def test_thread_is_the_same():
    def body():
        return threading.current_thread(), threading.get_ident()

    answers = []
    spawn(lambda: answers.append(body()))
    stackless.run()
    assert answers == [body()]


def test_context_is_that_of_whoever_bound_the_tasklet(call):
    """The same context, no copy: what one sets the other sees."""
    variable = contextvars.ContextVar("variable", default="unset")

    def body():
        variable.set("theirs")
        call(pause)
        assert variable.get() == "mine"

    def both():
        t = started(body)
        assert variable.get() == "theirs"
        variable.set("mine")
        t.run()

    contextvars.copy_context().run(both)


def test_context_of_its_own(call):
    variable = contextvars.ContextVar("variable", default="unset")

    def body():
        variable.set("theirs")
        call(pause)
        assert variable.get() == "theirs"

    t = contextvars.copy_context().run(stackless.tasklet, body)
    t()
    t.run()
    assert variable.get() == "unset"
    t.run()
    t = stackless.tasklet(body)
    t.set_context(contextvars.copy_context())
    t()
    t.run()
    assert variable.get() == "unset"
    t.run()


def test_decimal_context_is_part_of_the_context(call):
    def body(log):
        with decimal.localcontext() as context:
            context.prec = 3
            call(pause)
            log.append(str(decimal.Decimal(1) / 3))

    def third():
        return str(decimal.Decimal(1) / 3)

    def shared(log):
        t = started(body, log)
        assert third() == "0.333"  # the tasklet's, as it is suspended
        t.run()
        assert len(third()) > 20

    def separate(log):
        t = contextvars.copy_context().run(stackless.tasklet, body)
        t(log)
        t.run()
        assert len(third()) > 20
        t.run()

    for case in shared, separate:
        log = []
        contextvars.copy_context().run(case, log)
        assert log == ["0.333"]


def test_exceptions_being_handled_are_its_own(call):
    def body():
        try:
            raise KeyError("theirs")
        except KeyError as error:
            call(pause)
            assert sys.exc_info()[1] is error

    t = started(body)
    assert sys.exc_info()[1] is None
    try:
        raise ValueError("mine")
    except ValueError as error:
        t.run()
        assert sys.exc_info()[1] is error


def test_suspended_with_block_is_not_left(call, log):
    """What a `with` set for the process stays set until it is left."""
    @contextlib.contextmanager
    def entered():
        log.append("entered")
        yield
        log.append("left")

    def body():
        with entered():
            call(pause)

    t = started(body)
    assert log == ["entered"]
    t.run()
    assert log == ["entered", "left"]


def test_redirected_output_is_redirected_for_all(call):
    file = io.StringIO()

    def body():
        with contextlib.redirect_stdout(file):
            call(pause)

    t = started(body)
    print("printed by main")
    t.run()
    assert file.getvalue() == "printed by main\n"


# asyncio

def test_each_tasklet_has_its_own_running_loop(log):
    async def main(name):
        mine = asyncio.get_running_loop(), asyncio.current_task()
        for i in range(3):
            stackless.schedule(None)
            await asyncio.sleep(0)
            now = asyncio.get_running_loop(), asyncio.current_task()
            assert now == mine
        log.append(name)
        return name

    for name in "abc":
        spawn(lambda name=name: log.append(asyncio.run(main(name)).upper()))
    stackless.run()
    assert sorted(log) == ["A", "B", "C", "a", "b", "c"]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_loop_that_runs_in_one_tasklet_cannot_be_run_by_another():
    loop = asyncio.new_event_loop()

    async def main():
        stackless.schedule_remove(None)
        return "done"

    answers = []
    t = started(lambda: answers.append(loop.run_until_complete(main())))
    coroutine = main()
    with pytest.raises(RuntimeError, match="already running"):
        loop.run_until_complete(coroutine)
    coroutine.close()
    t.run()
    assert answers == ["done"]
    loop.close()


def test_tasklet_that_waits_in_a_coroutine_stops_its_loop():
    """The loop's other tasks wait, other tasklets run."""
    log = []

    async def stop(channel):
        log.append(channel.receive())

    async def other():
        log.append("other task")

    async def main(channel):
        await asyncio.gather(stop(channel), other())

    channel = stackless.channel()
    t = started(lambda: asyncio.run(main(channel)))
    spawn(log.append, "other tasklet")
    stackless.run()
    assert log == ["other tasklet"]
    channel.send("received")
    while t.alive:
        stackless.run()
    assert log == ["other tasklet", "received", "other task"]


# the end of the program

def test_lock_held_at_the_end_of_the_program():
    done = run_program("""
        import threading
        lock, rlock = threading.Lock(), threading.RLock()
        def body(lock, name):
            with lock:
                try:
                    stackless.schedule_remove(None)
                finally:
                    print(name, "free", flush=True)
        kept = [stackless.tasklet(body)(lock, "Lock"),
                stackless.tasklet(body)(rlock, "RLock"),
                stackless.tasklet(sorted)([1], key=lambda _:
                                          body(rlock, "RLock in C"))]
        stackless.run()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (
        0, "RLock in C free\nRLock free\nLock free\n", "")
