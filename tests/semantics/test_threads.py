"""Threads hand over to each other, sleep, are woken, end and are told."""

import contextlib
import gc
import os
import random
import signal
import sys
import threading
import time

import pytest
import stackless

from semantics_support import run_program
from tasks import (
    at_once,
    THREAD_SANITIZER, in_thread, pause, running, spawn, through_c)

WAYS = pytest.mark.parametrize("call", [lambda f, *a: f(*a), through_c],
                               ids=["plain", "through C"])


def when_blocked(tasklet):
    while not tasklet.blocked:
        time.sleep(0.001)


class Owner:
    """A thread whose main tasklet waits for orders in a channel."""

    def __enter__(self):
        self.orders, self.answers = stackless.channel(), stackless.channel()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        self.ident = self.do(threading.get_ident)
        return self

    def work(self):
        while True:
            try:
                function = self.orders.receive()
            except StopIteration:
                return
            except KeyError:  # what its tasklets died of
                continue
            self.answers.send(function())

    def do(self, function, *args):
        self.orders.send(lambda: function(*args))
        return self.answers.receive()

    def __exit__(self, *_):
        self.orders.send_exception(StopIteration)
        self.thread.join()


# ---- channels ---------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("preference", [-1, 0, 1])
@pytest.mark.parametrize("schedule_all", [0, 1])
def test_messages_between_threads(call, preference, schedule_all):
    def send():
        for number in range(300):
            call(channel.send, number)

    channel = stackless.channel()
    channel.preference = preference
    channel.schedule_all = schedule_all
    with running(send):
        assert [call(channel.receive) for _ in range(300)] == list(range(300))
    got = []
    with running(lambda: got.extend(channel.receive() for _ in range(300))):
        send()
    assert got == list(range(300))
    assert channel.balance == 0


def test_each_goes_on_in_its_own_thread():
    def other():
        spawn(work, channel.send)
        stackless.run()

    def work(function, *args):
        before = threading.get_ident()
        function(*args or [None])
        log.append(threading.get_ident() == before)

    log, channel = [], stackless.channel()
    t = spawn(lambda: work(lambda _: channel.receive()))
    stackless.run()
    assert t.blocked
    with running(other):
        pass
    stackless.run()
    assert log == [True, True]


def test_errors_between_threads():
    def other():
        with pytest.raises(KeyError, match="there"):
            channel.receive()
        channel.send_throw(ValueError("back"))

    channel = stackless.channel()
    with running(other):
        channel.send_exception(KeyError, "there")
        with pytest.raises(ValueError, match="back"):
            channel.receive()


@pytest.mark.timeout(120)
def test_many_threads_and_tasklets_exchange_at_random():
    """Nothing is lost, doubled or swapped."""
    threads, tasklets, messages = 8, 20, 30
    channels = [stackless.channel() for _ in range(5)]
    sent, received = [], []
    total = threads * tasklets * messages

    def sender(thread, number):
        r = random.Random((thread, number).__hash__())
        for k in range(messages):
            word = thread, number, k
            r.choice(channels).send(word)
            sent.append(word)

    def receiver(seed):
        r = random.Random(seed)
        while len(received) < total:
            channel = r.choice(channels)
            if channel.balance > 0:
                received.append(channel.receive())
            else:
                stackless.schedule()
                time.sleep(0)

    def work(thread):
        for number in range(tasklets):
            spawn(sender, thread, number)
        receivers = [spawn(receiver, thread)]
        while any(t.alive for t in receivers):
            stackless.run()

    at_once(work, range(threads), 1e-4)
    assert len(received) == total
    assert sorted(received) == sorted(sent)


# ---- another thread's tasklets ----------------------------------------------


def test_set_up_and_inserted_from_outside():
    log = []
    with Owner() as owner:
        t = owner.do(stackless.tasklet, lambda *a: log.append(
            (a, threading.get_ident())))
        assert t.thread_id == owner.ident
        assert t(1, 2) is t
        owner.do(stackless.schedule)
        paused = owner.do(lambda: spawn(lambda: (pause(), log.append(3))))
        owner.do(stackless.schedule)
        assert paused.paused and paused.insert() is paused
        owner.do(stackless.schedule)
    assert log == [((1, 2), owner.ident), 3]


def test_one_that_sleeps_wakes_up_for_it():
    with Owner() as owner:
        done = threading.Event()
        t = owner.do(stackless.tasklet, done.set)
        time.sleep(0.02)  # it sleeps by now
        t()
        assert done.wait(20)


def test_removed_from_outside():
    log = []
    with Owner() as owner:
        t = owner.do(lambda: stackless.tasklet().bind(log.append, (1,)))
        with stackless.atomic():
            t.insert()
            assert t.remove() is t
        owner.do(stackless.schedule)
        assert not log and t.paused


def test_run_from_outside_comes_next():
    log = []
    with Owner() as owner:
        a, b, c = owner.do(lambda: [
            stackless.tasklet().bind(log.append, (word,)) for word in "abc"])
        current = stackless.getcurrent()
        with stackless.atomic():
            a.insert()
            b.insert()
            assert c.run() is None and b.run() is None
            assert stackless.getcurrent() is current
        owner.do(stackless.schedule)
    assert log == ["b", "c", "a"]


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("how", ["throw", "kill"])
@pytest.mark.parametrize("state", ["paused", "blocked", "runnable", "new"])
@WAYS
def test_thrown_at_from_outside(how, pending, state, call):
    log = []

    def body(channel):
        try:
            call(channel.receive if state == "blocked" else pause)
        except BaseException as error:
            log.append((type(error), threading.get_ident()))
        log.append("end")

    with Owner() as owner:
        def make():
            t = spawn(body, stackless.channel())
            if state != "new":
                t.run()
            return t.remove() if state == "new" else t

        t = owner.do(make)
        with stackless.atomic():
            if state in ("runnable", "new"):
                t.insert()
            if how == "kill":
                t.kill(pending)
            else:
                t.throw(KeyError, pending=pending)
        # What has not begun dies of it, and so its main is told, instead of
        # whatever it was given meanwhile.
        while state == "new" and t.alive:
            time.sleep(0.001)
        owner.do(owner_turns)
        if state == "new":
            assert log == [] and not t.alive
        else:
            kind = TaskletExit if how == "kill" else KeyError
            assert log == [(kind, owner.ident), "end"]


def owner_turns():
    for _ in range(3):
        with contextlib.suppress(KeyError):
            stackless.schedule()


def test_main_of_a_sleeping_thread_is_thrown_at():
    def other():
        mains.append(stackless.getmain())
        ready.set()
        with pytest.raises(KeyError):
            stackless.channel().receive()

    mains, ready = [], threading.Event()
    with running(other):
        ready.wait()
        when_blocked(mains[0])
        mains[0].throw(KeyError)


def test_what_is_refused():
    def sleep():
        running_now.set()
        over.wait()

    running_now, over = threading.Event(), threading.Event()
    with Owner() as owner:
        paused = owner.do(lambda: spawn(pause))
        owner.do(stackless.schedule)
        with pytest.raises(RuntimeError, match="different thread"):
            paused.switch()
        owner.orders.send(sleep)
        running_now.wait()
        main, current, _ = stackless.get_thread_info(owner.ident)
        assert main is current
        for refused in (lambda: main.throw(KeyError), main.kill,
                        lambda: main.kill(pending=True),
                        lambda: main.raise_exception(KeyError)):
            with pytest.raises(RuntimeError, match="different thread"):
                refused()
        with pytest.raises(RuntimeError, match="current"):
            main.remove()
        assert main.run() is None and main.insert() is main
        over.set()
        owner.answers.receive()


# ---- moving -----------------------------------------------------------------


def identify(log, wait):
    for _ in range(3):
        log.append(threading.get_ident())
        wait()


@pytest.mark.soft
@pytest.mark.parametrize("state", ["new", "ready", "paused", "blocked"])
def test_moved_to_another_thread(state):
    log, channel = [], stackless.channel()
    wait = channel.receive if state == "blocked" else pause
    t = stackless.tasklet(identify)
    if state != "new":
        t.bind(None, (log, wait))
    if state in ("paused", "blocked"):
        t.insert()
        stackless.run()

    def go_on():
        assert t.bind_thread() is None
        assert t.thread_id == threading.get_ident()
        if state == "new":
            t(log, wait)
        while t.alive:
            if t.blocked:
                channel.send(None)
            else:
                t.insert()
            stackless.run()
        log.append(threading.get_ident())

    in_thread(go_on)
    here = threading.get_ident()
    started = state in ("paused", "blocked")
    assert log.count(here) == started and len(log) == 4
    assert len(set(log)) == 1 + started


@pytest.mark.soft
def test_moved_to_a_thread_by_its_id():
    log = []
    with Owner() as owner:
        t = spawn(identify, log, pause)
        stackless.run()
        t.bind_thread(owner.ident)
        for _ in range(3):
            t.insert()
            owner.do(stackless.schedule)
    assert log == [threading.get_ident(), owner.ident, owner.ident]


@pytest.mark.soft
def test_one_whose_thread_has_ended_goes_on_elsewhere():
    made, log, channel = [], [], stackless.channel()

    def work():
        made.append(spawn(identify, log, channel.receive))
        stackless.run()

    in_thread(work)
    t = made[0]
    assert t.thread_id == -1 and not t.alive and t.blocked
    t.bind_thread()
    assert t.alive
    for _ in range(3):
        channel.send(None)
    assert not t.alive and len(log) == 3 and len(set(log)) == 2


@pytest.mark.soft
def test_moved_at_every_stop_between_threads():
    """Its frames, its exception and its context go along."""
    import contextvars
    variable = contextvars.ContextVar("variable")

    def inner(n):
        try:
            raise KeyError(n)
        except KeyError:
            pause()
            assert isinstance(sys.exc_info()[1], KeyError)
        return n

    def body():
        variable.set("mine")
        for n in range(40):
            total.append(inner(n))
            assert variable.get() == "mine"
            for _ in (pause() for _ in range(2)):
                pass

    total = []
    with Owner() as one, Owner() as two:
        t = spawn(body)
        stackless.run()
        owners = [one, two]
        while t.alive:
            owner = owners[len(total) % 2]
            if t.nesting_level:  # a generator's call site that is cold
                t.insert()
                owners[0].do(stackless.schedule) \
                    if t.thread_id == one.ident else None
                if t.thread_id == two.ident:
                    two.do(stackless.schedule)
                elif t.thread_id == threading.get_ident():
                    stackless.run()
                continue
            t.bind_thread(owner.ident)
            t.insert()
            owner.do(stackless.schedule)
    assert total == list(range(40))


@pytest.mark.soft
def test_tools_see_one_whose_thread_had_ended():
    """They came while it belonged to no thread."""
    def body():
        channel.receive()
        inner()

    def inner():
        channel.receive()

    def work():
        made.append(spawn(body))
        stackless.run()

    made, names, channel = [], [], stackless.channel()
    in_thread(work)
    t = made.pop()

    def trace(frame, event, arg):
        names.append((event, frame.f_code.co_name))
        return trace

    sys.settrace(trace)
    try:
        t.bind_thread()
        t.trace_function = trace
        channel.send(1)
    finally:
        sys.settrace(None)
    channel.send(2)
    assert ("call", "inner") in names
    assert not t.alive


def test_what_cannot_be_moved():
    t = spawn(pause)
    with pytest.raises(RuntimeError, match="runnable"):
        t.bind_thread()
    with pytest.raises(RuntimeError, match="runnable"):
        stackless.current.bind_thread()
    hard = spawn(through_c, pause)
    stackless.run()
    with pytest.raises(RuntimeError, match="C state"):
        hard.bind_thread()
    t = stackless.tasklet(pause)
    with pytest.raises(ValueError):
        t.bind_thread(1)
    with pytest.raises(OverflowError):
        t.bind_thread(-2)
    with pytest.raises(TypeError):
        t.bind_thread("no")


# ---- sleep, deadlock, the end -----------------------------------------------


def test_a_deadlock_without_other_threads_is_told_at_once():
    with pytest.raises(RuntimeError, match="Deadlock"):
        stackless.channel().receive()


@WAYS
@pytest.mark.parametrize("used", [False, True])
def test_the_last_thread_that_could_wake_main_ends(call, used):
    def other():
        if used:
            stackless.schedule()
        when_blocked(main)

    main, channel = stackless.getmain(), stackless.channel()
    with running(other):
        with pytest.raises(RuntimeError, match="no thread is left") as info:
            call(channel.receive)
        assert "waits to receive" in str(info.value)
    assert channel.balance == 0


def test_a_thread_that_was_started_by_the_last_one_counts():
    def first():
        threads.append(threading.Thread(target=second))
        threads[0].start()

    def second():
        time.sleep(0.05)
        channel.send(1)

    threads, channel = [], stackless.channel()
    with running(first):
        assert channel.receive() == 1
    threads[0].join()


def test_main_is_woken_and_removed_before_it_goes_on():
    """Nothing else is left to run in its thread, so it does."""
    def other():
        mains.append(stackless.getmain())
        got.append(channel.receive())

    mains, got, channel = [], [], stackless.channel()
    with running(other):
        while not mains:
            time.sleep(0.001)
        when_blocked(mains[0])
        with stackless.atomic():
            channel.send(1)
            mains[0].remove()
    assert got == [1]


@pytest.mark.skipif(sys.version_info < (3, 12),
                    reason="limits in the main thread only")
def test_a_thread_that_sleeps_until_its_limit_counts():
    """It goes on, and wakes whoever it likes."""
    def other():
        spawn(channel.receive)
        ready.set()
        stackless.run(seconds=0.2, threadblock=True)
        main_channel.send(1)

    ready, channel, main_channel = (
        threading.Event(), stackless.channel(), stackless.channel())
    with running(other):
        ready.wait()
        time.sleep(0.05)  # it sleeps by now
        assert main_channel.receive() == 1


def test_threads_that_wait_for_each_other():
    """The last one is told, and the first one when that has ended."""
    def other():
        when_blocked(main)
        with pytest.raises(RuntimeError, match="Deadlock"):
            stackless.channel().receive()
        log.append("other")

    log, main = [], stackless.getmain()
    with running(other):
        with pytest.raises(RuntimeError, match="no thread is left"):
            stackless.channel().receive()
        log.append("main")
    assert log == ["other", "main"]


@WAYS
def test_tasklets_end_while_main_waits(call):
    """Main's thread sleeps; it is not told of a deadlock."""
    def other():
        when_blocked(main)
        time.sleep(0.02)
        channel.send(5)

    log, channel, main = [], stackless.channel(), stackless.getmain()
    with running(other):
        spawn(log.append, 1)
        spawn(call, stackless.schedule)
        assert call(channel.receive) == 5
    assert log == [1]


def test_a_tasklet_blocks_while_main_waits():
    def other():
        time.sleep(0.02)
        inner.send(1)
        outer.send(2)

    log, inner, outer = [], stackless.channel(), stackless.channel()
    with running(other):
        spawn(lambda: log.append(inner.receive()))
        assert outer.receive() == 2
    assert log == [1]


def test_block_trap_and_closed_channels_as_ever():
    channel = stackless.channel()
    with running(time.sleep, 0.1):
        stackless.current.block_trap = True
        with pytest.raises(RuntimeError, match="block"):
            channel.receive()
        stackless.current.block_trap = False
        channel.close()
        with pytest.raises(ValueError):
            channel.receive()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_who_sleeps_uses_no_time():
    def other():
        before = time.process_time()
        time.sleep(0.3)
        used.append(time.process_time() - before)
        channel.send(None)

    used, channel = [], stackless.channel()
    with running(other):
        channel.receive()
    assert used[0] < 0.1


@WAYS
def test_ctrl_c_wakes_main(call):
    def interrupt():
        when_blocked(main)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
        over.wait()

    sent, over, main = [], threading.Event(), stackless.getmain()
    channel = stackless.channel()
    with running(interrupt):
        with pytest.raises(KeyboardInterrupt):
            call(channel.receive)
        late = time.perf_counter() - sent[0]
        over.set()
    assert late < 0.5 and channel.balance == 0


def test_signal_handlers_run_while_main_sleeps():
    """They may do what main waits for."""
    def handler(*_):
        log.append(stackless.getcurrent().name)
        channel.send(7)

    def interrupt():
        when_blocked(main)
        os.kill(os.getpid(), signal.SIGUSR1)
        over.wait()

    log, over, channel = [], threading.Event(), stackless.channel()
    main = stackless.getmain()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with running(interrupt):
            assert channel.receive() == 7
            over.set()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log == ["sleeper"]


def test_a_handler_that_kills_the_sleeper_ends_nothing_else():
    """It is not listed; the thread sleeps on with another one."""
    def handler(*_):
        log.append(stackless.getcurrent() in stackless.all_tasklets())
        stackless.getcurrent().kill()

    def interrupt():
        when_blocked(main)
        for number in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
            while len(log) == number:
                time.sleep(0.001)
        channel.send(7)

    log, channel, main = [], stackless.channel(), stackless.getmain()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with running(interrupt):
            assert channel.receive() == 7
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log == [False] * 3


def test_error_handler_does_not_hear_of_ctrl_c():
    def interrupt():
        when_blocked(main)
        os.kill(os.getpid(), signal.SIGINT)
        over.wait()

    over, main = threading.Event(), stackless.getmain()
    stackless.set_error_handler(lambda *_: None)
    with running(interrupt):
        with pytest.raises(KeyboardInterrupt):
            stackless.channel().receive()
        over.set()


def test_schedule_remove_sleeps_while_main_is_blocked():
    def other():
        while not tasks or not tasks[0].paused:
            time.sleep(0.001)
        tasks[0].insert()

    def body():
        pause()
        log.append(1)
        channel.send(2)

    log, tasks, channel = [], [], stackless.channel()
    with running(other):
        tasks.append(spawn(body))
        assert channel.receive() == 2
    assert log == [1]


def test_a_collection_kills_in_a_sleeping_thread():
    """What becomes unreachable there is killed by its own thread."""
    log = []

    def body(cycle):
        try:
            pause()
        finally:
            log.append(threading.get_ident())

    with Owner() as owner:
        def make():
            cycle = []
            t = spawn(body, cycle)
            cycle.append(t)
            t.run()

        owner.do(make)
        gc.collect()
        for _ in range(1000):
            if log:
                break
            time.sleep(0.001)
        else:
            owner.do(stackless.schedule)
    assert log == [owner.ident]


@pytest.mark.skipif(THREAD_SANITIZER, reason="cannot do that")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_another_thread_sleeps():
    """The child has one thread; it may make others, and sleep itself."""
    with Owner() as owner:
        stackless.channel()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(20)
                with pytest.raises(RuntimeError, match="Deadlock"):
                    stackless.channel().receive()
                channel = stackless.channel()
                with running(channel.send, 3):
                    assert channel.receive() == 3
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        assert owner.do(lambda: 3) == 3


@pytest.mark.noleak
@pytest.mark.parametrize("how", ["end", "exit", "error", "main sleeps"])
def test_the_program_ends_while_threads_sleep(how):
    """Daemon threads; for others it waits, as if they waited for a lock."""
    done = run_program(f"""
        import sys, threading, time
        how = {how!r}
        channel = stackless.channel()

        def work():
            ready.set()
            try:
                channel.receive()
            except RuntimeError as error:
                print("told" if "Deadlock" in str(error) else error)

        ready = threading.Event()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        ready.wait()
        time.sleep(0.02)
        if how == "exit":
            sys.exit(3)
        if how == "error":
            raise KeyError(3)
        if how == "main sleeps":
            try:
                stackless.channel().receive()
            except RuntimeError:
                print("main")
    """, timeout=20)
    status = {"exit": 3, "error": 1}.get(how, 0)
    assert done.returncode == status, done
    assert ("KeyError: 3" in done.stderr) == (how == "error")
    if how != "error":
        assert not done.stderr


def test_a_thread_ends_with_tasklets_that_wait():
    """Hard ones are killed, `finally` runs; soft ones lose their thread."""
    log, kept = [], []

    def body(call, channel):
        try:
            call(channel.receive)
        finally:
            log.append(call is through_c)

    def work():
        for call in through_c, lambda f: f():
            kept.append(spawn(body, call, stackless.channel()))
        stackless.run()

    in_thread(work)
    hard, soft = kept
    assert not hard.alive and True in log
    if len(log) == 1:  # the other one is soft
        assert soft.thread_id == -1 and soft.blocked
        soft.kill()
    del kept[:], hard, soft


def test_descriptors_are_given_back():
    def work():
        with running(time.sleep, 0.01):
            with pytest.raises(RuntimeError):
                stackless.channel().receive()

    def count():
        return len(os.listdir("/proc/self/fd"))

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("reads /proc")
    main = threading.main_thread()
    assert main is threading.current_thread()
    in_thread(lambda: None)
    before = count()
    for _ in range(5):
        in_thread(sleeps_a_moment)
    assert count() == before


def sleeps_a_moment():
    channel = stackless.channel()
    with running(lambda: (time.sleep(0.01), channel.send(1))):
        assert channel.receive() == 1
