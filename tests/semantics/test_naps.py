"""A thread with nothing to run looks for a moment before it sleeps."""

import os
import random
import resource
import signal
import threading
import time

import pytest
import stackless

from semantics_support import run_program
from tasks import SANITIZED, THREAD_SANITIZER, in_thread, running

coretest = pytest.importorskip("stackless._coretest")

USUAL = 50_000
LONG = 5_000_000

two_processors = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="one processor")


@pytest.fixture(autouse=True)
def usual_spin():
    yield
    coretest.nap_spin(USUAL)


def ping_pong(there, back, messages):
    """In the calling thread; the other one answers."""
    def answer():
        for _ in range(messages):
            back.send(there.receive())

    with running(answer):
        for number in range(messages):
            there.send(number)
            assert back.receive() == number


def switches():
    """Times that the process has gone to sleep."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


@pytest.mark.skipif(THREAD_SANITIZER, reason="its own locks sleep")
@two_processors
def test_short_waits_are_not_slept():
    def count(limit):
        coretest.nap_spin(limit)
        before = switches()
        ping_pong(stackless.channel(), stackless.channel(), 200)
        return switches() - before

    # A machine that has other things to do may let waits become long.
    assert any(2 * count(200_000_000) < count(0) for _ in range(10))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("limit", [0, 1, 10_000, USUAL, LONG])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_wake_up_is_lost(limit, seed):
    """Threads of which each waits for what another one has to send, for any time."""
    threads, rounds = 4, 150
    channels = [stackless.channel() for _ in range(threads)]
    got = []

    def work(number):
        chance = random.Random(f"{seed} {number}")
        into, out = channels[number], channels[(number + 1) % threads]
        for _ in range(rounds):
            value = into.receive()
            what = chance.random()
            if what < 0.2:
                time.sleep(chance.choice([0, 1e-5, 5e-5, 2e-4]))
            elif what < 0.4:
                end = time.perf_counter() + chance.choice([1e-5, 5e-5, 1e-4])
                while time.perf_counter() < end:
                    pass
            got.append(value)
            if len(got) < threads * rounds:
                out.send(value + 1)

    coretest.nap_spin(limit)
    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    channels[0].send(0)
    for worker in workers:
        worker.join()
    assert got == list(range(threads * rounds))


def test_whose_waits_are_long_does_not_look():
    """Processor time of threads that are woken each five milliseconds, after others
    that were worth it."""
    coretest.nap_spin(1_000_000)
    times, wakes = [], 60

    def work(channel):
        ping_pong(stackless.channel(), stackless.channel(), 100)
        ready.send(None)
        begun = time.thread_time()
        for _ in range(wakes):
            channel.receive()
        times.append(time.thread_time() - begun)

    ready = stackless.channel()
    channels = [stackless.channel() for _ in range(2)]
    workers = [threading.Thread(target=work, args=(channel,))
               for channel in channels]
    for worker in workers:
        worker.start()
        ready.receive()
    for _ in range(wakes):
        time.sleep(0.005)
        for channel in channels:
            channel.send(None)
    for worker in workers:
        worker.join()
    assert max(times) < wakes * 0.001 / 2


@pytest.mark.parametrize("limit", [0, USUAL, LONG])
def test_who_is_not_woken_sleeps(limit):
    """Nor does a wake-up that it has had wake it again."""
    coretest.nap_spin(limit)
    channel, times = stackless.channel(), []

    def work():
        ping_pong(stackless.channel(), stackless.channel(), 300)
        begun = time.thread_time()
        channel.receive()
        times.append(time.thread_time() - begun)

    with running(work):
        while channel.balance == 0:
            time.sleep(0.001)
        time.sleep(0.3)
        channel.send(None)
    assert times[0] < 0.1


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_nobody_looks_where_there_is_one_processor(when):
    """Who looked would look in vain, and for long."""
    coretest.nap_spin(1_000_000_000)
    before = os.sched_getaffinity(0)
    times = []

    def restrict():
        os.sched_setaffinity(0, {min(before)})

    def work():
        def answer():
            restrict()
            for _ in range(600):
                back.send(there.receive())

        there, back = stackless.channel(), stackless.channel()
        if when == "before":
            restrict()
        else:
            ping_pong(there, back, 20)
        with running(answer):
            restrict()
            begun = time.process_time()
            for number in range(600):
                there.send(number)
                assert back.receive() == number
            times.append(time.process_time() - begun)

    in_thread(work)
    assert os.sched_getaffinity(0) == before
    assert times[0] < 4


def test_ctrl_c_while_it_looks():
    def interrupt():
        for number in range(50):
            back.send(there.receive())
        os.kill(os.getpid(), signal.SIGINT)
        over.wait()

    coretest.nap_spin(LONG)
    for _ in range(10):
        over = threading.Event()
        there, back = stackless.channel(), stackless.channel()
        with running(interrupt):
            try:
                with pytest.raises(KeyboardInterrupt):
                    for number in range(51):
                        there.send(number)
                        back.receive()
            finally:
                over.set()


@pytest.mark.skipif(SANITIZED or THREAD_SANITIZER, reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_others_look():
    def play():
        while not over.is_set():
            ping_pong(stackless.channel(), stackless.channel(), 20)

    coretest.nap_spin(LONG)
    over = threading.Event()
    with running(play), running(play):
        try:
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    status = 1
                    try:
                        signal.alarm(20)
                        ping_pong(stackless.channel(), stackless.channel(), 20)
                        status = 0
                    finally:
                        os._exit(status)
                assert os.waitpid(pid, 0)[1] == 0
        finally:
            over.set()


@pytest.mark.noleak
@pytest.mark.timeout(120)
@pytest.mark.skipif(THREAD_SANITIZER, reason="cannot do that")
@pytest.mark.parametrize("how", ["end", "exit", "main looks"])
def test_the_program_ends_while_threads_look(how):
    for number in range(5):
        done = run_program(f"""
            import sys, threading, time
            from stackless import _coretest
            _coretest.nap_spin({LONG})
            there, back = stackless.channel(), stackless.channel()

            def ask():
                for number in range(1 << 62):
                    there.send(number)
                    back.receive()

            def answer():
                while True:
                    back.send(there.receive())

            for function in ask, answer:
                threading.Thread(target=function, daemon=True).start()
            time.sleep(0.01 * {number})
            if {how!r} == "exit":
                sys.exit(3)
            if {how!r} == "main looks":
                for _ in range(30):
                    back.send(there.receive())
        """, timeout=20)
        assert done.returncode == (3 if how == "exit" else 0), done
        assert not done.stderr
