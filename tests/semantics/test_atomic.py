"""Atomic sections: no other tasklet, no other thread, unless one lets go."""

import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
import time

import pytest
import stackless

from semantics_support import run_program
from tasks import (
    THREAD_SANITIZER, in_thread, pause, running, spawn, through_c)

LINUX = sys.platform == "linux"


@pytest.fixture
def interval():
    """Threads that switch as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Spinner:
    """A thread that counts as fast as it can."""

    def __enter__(self):
        self.count = 0
        self.stop = False
        self.thread = threading.Thread(target=self.spin)
        self.thread.start()
        return self

    def spin(self):
        while not self.stop:
            self.count += 1

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def run_well(source):
    done = run_program(source, timeout=50)
    assert (done.returncode, done.stderr) == (0, ""), done


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def stands_still(spinner, seconds=0.05):
    """Whether it does not count meanwhile."""
    before = spinner.count
    busy(seconds)
    return spinner.count == before


def goes_on(spinner):
    """Whether it counts again, sooner or later."""
    before, end = spinner.count, time.monotonic() + 20
    while spinner.count == before and time.monotonic() < end:
        pass
    return spinner.count != before


@contextlib.contextmanager
def flag():
    stackless.current.set_atomic(1)
    yield
    stackless.current.set_atomic(0)


@pytest.mark.parametrize("section", [stackless.atomic, flag])
def test_no_other_thread_runs_inside(section, interval):
    with Spinner() as spinner:
        for _ in range(3):
            with section():
                assert stands_still(spinner)
            assert goes_on(spinner)


def test_nested():
    with Spinner() as spinner:
        with stackless.atomic():
            with stackless.atomic():
                assert stands_still(spinner)
            assert stands_still(spinner)
            stackless.current.set_atomic(1)
            assert stands_still(spinner)
        assert not stackless.current.atomic
        assert goes_on(spinner)


def lost_updates(section, threads=4, times=1500, nap=0, tasklets=0):
    """How many of so many unprotected read-modify-writes are lost."""
    counter = [0]

    def work(times):
        for number in range(times):
            with section():
                if nap and number % nap == 0:
                    time.sleep(1e-4)
                value = counter[0]
                for _ in range(100):
                    pass
                counter[0] = value + 1
            if tasklets:
                stackless.schedule(None)

    def run():
        for _ in range(tasklets):
            spawn(work, times // tasklets)
        stackless.run() if tasklets else work(times)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return threads * times - counter[0]


@pytest.mark.parametrize("nap", [0, 50])
@pytest.mark.parametrize("tasklets", [0, 10])
def test_no_update_is_lost(interval, nap, tasklets):
    assert lost_updates(stackless.atomic, nap=nap, tasklets=tasklets) == 0


def test_without_it_updates_are_lost(interval):
    """That the test above can fail."""
    assert any(lost_updates(contextlib.nullcontext, times=20000)
               for _ in range(10))


def test_who_lets_go_inside_comes_back():
    """Others have their turns meanwhile; then the section holds again."""
    late = []
    with Spinner() as one, Spinner() as other:
        for _ in range(10):
            with stackless.atomic():
                before = one.count, other.count
                start = time.perf_counter()
                time.sleep(0.02)
                late.append(time.perf_counter() - start - 0.02)
                assert one.count > before[0] or other.count > before[1]
                assert stands_still(one, 0.01) and stands_still(other, 0.01)
    late.sort()
    assert late[len(late) // 2] < 0.2, late  # benchmarks measure it


def test_a_thread_that_is_always_inside_does_not_starve_others():
    """It is asked for the GIL as soon as it is outside."""
    with Spinner() as spinner:
        end = time.monotonic() + 20
        before, turns = spinner.count, 0
        while turns < 5 and time.monotonic() < end:
            for _ in range(1000):
                with stackless.atomic():
                    busy(1e-4)
                if spinner.count != before:
                    before = spinner.count
                    turns += 1
        assert turns >= 5


def test_others_do_not_wait_for_a_sleeper_inside():
    """One that is alone with a sleeper in a section goes on at full speed."""
    def sleep():
        with stackless.atomic():
            ready.set()
            time.sleep(1)

    ready = threading.Event()
    thread = threading.Thread(target=sleep)
    thread.start()
    ready.wait()
    worst, last = 0, time.perf_counter()
    while thread.is_alive() and last < time.perf_counter() + 2:
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    thread.join()
    assert worst < 0.5


def test_an_exception_leaves_the_section():
    with Spinner() as spinner:
        with pytest.raises(ZeroDivisionError):
            with stackless.atomic():
                1 / 0
        assert not stackless.current.atomic
        assert goes_on(spinner)


@pytest.mark.parametrize("call", [lambda f, *a: f(*a), through_c],
                         ids=["plain", "through C"])
def test_a_section_belongs_to_its_tasklet(call):
    """Others that run while it waits are not inside; it is, when it is back."""
    def body():
        with stackless.atomic():
            log.append(stands_still(spinner, 0.02))
            call(stackless.schedule, None)
            log.append(stands_still(spinner, 0.02))
            call(pause)
            log.append(stands_still(spinner, 0.02))
        log.append(stackless.current.atomic)

    log = []
    with Spinner() as spinner:
        task = spawn(body)
        task.run()
        assert not stackless.current.atomic
        assert goes_on(spinner)
        stackless.schedule(None)
        assert goes_on(spinner)
        task.run()
        assert log == [True, True, True, False]
        assert goes_on(spinner)


def test_set_from_outside():
    """On one that waits, and on one that has not run yet."""
    def waits():
        stackless.schedule_remove(None)
        log.append(stands_still(spinner, 0.02))

    def new():
        log.append(stands_still(spinner, 0.02))

    log = []
    with Spinner() as spinner:
        for function in waits, new:
            task = spawn(function)
            if function is waits:
                stackless.run()
            assert task.set_atomic(1) is False
            assert goes_on(spinner)
            task.run()
        assert goes_on(spinner)
    assert log == [True, True]


@pytest.mark.parametrize("end", ["return", "raise", "kill", "drop"])
def test_a_tasklet_that_ends_inside(end):
    def body():
        stackless.current.set_atomic(1)
        if end == "raise":
            raise KeyError
        if end != "return":
            stackless.schedule_remove(None)

    with Spinner() as spinner:
        task = spawn(body)
        with pytest.raises(KeyError) if end == "raise" \
                else contextlib.nullcontext():
            stackless.run()
        if end == "kill":
            task.kill()
        del task
        assert not stackless.current.atomic
        assert goes_on(spinner)


def test_one_that_waits_inside_is_killed_when_nobody_can_reach_it():
    """At once: what it is inside of does not keep it."""
    def body():
        with stackless.atomic():
            try:
                stackless.schedule_remove(None)
            finally:
                log.append(stackless.current.atomic)

    log = []
    task = spawn(body)
    stackless.run()
    gc.disable()  # enabled by a fixture
    del task
    assert log == [True]


def test_left_when_the_one_inside_has_gone():
    def body():
        section.__enter__()

    section = stackless.atomic()
    spawn(body)
    stackless.run()
    assert section.__exit__(None, None, None) is None
    assert not stackless.current.atomic
    with section:
        assert stackless.current.atomic


def test_a_thread_that_ends_inside():
    def body():
        stackless.current.set_atomic(1)

    with Spinner() as spinner:
        for _ in range(3):
            in_thread(body)
        assert goes_on(spinner)
    assert sys.getswitchinterval() < 1


def test_the_switch_interval_is_the_programs():
    before = sys.getswitchinterval()
    try:
        with stackless.atomic():
            assert sys.getswitchinterval() == before
            sys.setswitchinterval(0.25)
            assert sys.getswitchinterval() == 0.25
            with pytest.raises(ValueError):
                sys.setswitchinterval(-1)
            with Spinner() as spinner:
                assert stands_still(spinner, 0.4)
            assert sys.getswitchinterval() == 0.25
        assert sys.getswitchinterval() == 0.25
    finally:
        sys.setswitchinterval(before)


def test_another_threads_section_does_not_show():
    def inside():
        with stackless.atomic():
            ready.set()
            time.sleep(0.1)

    before = sys.getswitchinterval()
    ready = threading.Event()
    thread = threading.Thread(target=inside)
    thread.start()
    ready.wait()
    assert sys.getswitchinterval() == before
    thread.join()


@pytest.mark.skipif(THREAD_SANITIZER, reason="cannot do that")
@pytest.mark.skipif(not LINUX, reason="counts threads in /proc")
@pytest.mark.noleak
def test_no_thread_is_made_where_there_is_none():
    run_well("""
        import os, threading, time, stackless

        def threads():
            return len(os.listdir("/proc/self/task"))

        assert threads() == 1
        for _ in range(100):
            with stackless.atomic():
                pass
        assert threads() == 1, threads()

        # One that begins inside has its turns, and the section holds.
        stop, count = False, 0
        def spin():
            global count
            while not stop:
                count += 1

        with stackless.atomic():
            thread = threading.Thread(target=spin)
            thread.start()
            assert threads() == 3, threads()
            time.sleep(0.05)
            before = count
            end = time.perf_counter() + 0.05
            while time.perf_counter() < end:
                pass
            assert count == before > 0
        stop = True
        thread.join()
    """)


@pytest.mark.noleak
def test_threads_come_while_the_atomic_tasklet_waits():
    """It was made atomic when there was none; it comes back all the same."""
    run_well("""
        import threading, time
        stop, late = False, []

        def spin():
            while not stop:
                pass

        def body():
            with stackless.atomic():
                stackless.schedule_remove(None)
                begun = time.perf_counter()
                time.sleep(0.01)
                late.append(time.perf_counter() - begun)

        task = stackless.tasklet(body)()
        stackless.run()
        threads = [threading.Thread(target=spin) for _ in range(2)]
        for thread in threads:
            thread.start()
        task.run()
        stop = True
        for thread in threads:
            thread.join()
        assert late[0] < 20, late
    """)


@pytest.mark.noleak
def test_a_second_copy_of_the_module_is_refused_inside():
    run_well("""
        import sys, threading
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        with stackless.atomic():
            del sys.modules["stackless._core"]
            try:
                import stackless._core
            except ImportError:
                pass
            else:
                raise AssertionError("it was loaded again")
        with stackless.atomic():
            pass
        over.set()
        thread.join()
    """)


@pytest.mark.skipif(THREAD_SANITIZER, reason="cannot do that")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("inside", [False, True])
def test_fork(inside):
    """The child keeps the section of the thread that lives on, no other."""
    def other():
        with stackless.atomic():
            ready.set()
            done.wait()

    before = sys.getswitchinterval()
    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    with stackless.atomic() if inside else contextlib.nullcontext():
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(20)
                assert sys.getswitchinterval() == before
                with Spinner() as spinner:
                    time.sleep(0.02)
                    assert stands_still(spinner) == inside
                    with stackless.atomic():
                        assert stands_still(spinner)
                    stackless.current.set_atomic(0)
                    assert goes_on(spinner)
                assert sys.getswitchinterval() == before
                status = 0
            finally:
                os._exit(status)
    done.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.noleak
@pytest.mark.parametrize("how", ["end", "exit", "daemon", "tasklet"])
def test_the_program_ends_inside(how):
    run_well(f"""
        import sys, threading, time, stackless
        how = {how!r}

        def spin():
            while True:
                pass

        def inside():
            stackless.current.set_atomic(1)
            ready.set()
            while True:
                time.sleep(0.001)

        ready = threading.Event()
        for target in [spin, inside] if how == "daemon" else [spin]:
            threading.Thread(target=target, daemon=True).start()
        if how == "daemon":
            ready.wait()
        if how == "tasklet":
            def body():
                with stackless.atomic():
                    stackless.schedule_remove(None)
            task = stackless.tasklet(body)()
            task.run()
        stackless.current.set_atomic(1)
        if how == "exit":
            sys.exit(0)
    """)


def test_what_a_section_does_not_hold_back():
    """Signal handlers run inside, as docs/api.md says; so do destructors."""
    def handler(*_):
        log.append("signal")

    log = []
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with stackless.atomic():
            os.kill(os.getpid(), signal.SIGUSR1)
            busy(0.01)
            assert log == ["signal"]
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def often():
    """Interrupted as often as possible; nothing is left behind."""
    stackless.preempt(3e-5)
    yield
    stackless.preempt(None)


def run_bit_by_bit():
    while stackless.runcount > 1:
        task = stackless.run(1000)
        if task is not None:
            task.insert()


def test_others_stay_outside_while_interruptions_are_asked_for(often):
    """CPython's lock around the calls that it makes between instructions lets go
    of the GIL if two want it, from 3.13 on: the clock and one that is inside."""
    counters, broken = [0, 0, 0], []
    end = time.monotonic() + 2

    def work(mine):
        while time.monotonic() < end:
            with stackless.atomic():
                before = list(counters)
                for _ in range(1000):
                    pass
                if counters != before:
                    broken.append(mine)
                counters[mine] += 1
            for _ in range(1000):
                counters[mine] += 1

    def run(mine):
        for _ in range(3):
            spawn(work, mine)
        if mine == 0 or sys.version_info >= (3, 12):
            run_bit_by_bit()
        else:
            stackless.run()

    with running(run, 1), running(run, 2):
        run(0)
    assert all(counters)
    assert broken == []


def test_interrupted_between_two_sections(often):
    """However little time there is between them."""
    log = []

    def work(name):
        for _ in range(100):
            with stackless.atomic():
                busy(0.001)
                log.append(name)

    spawn(work, "a")
    spawn(work, "b")
    stackless.run()
    assert len(log) == 200
    turns = sum(before != after for before, after in itertools.pairwise(log))
    assert turns > 20


def test_a_long_section_is_no_slow_call():
    """It has looked, though nothing was asked of it."""
    log = []

    def work():
        with stackless.atomic():
            for _ in range(5):
                busy(0.15)
                time.sleep(0.001)  # here others see it

    spawn(work)
    waits = spawn(pause)
    stackless.set_slow_call_handler(0.5, lambda *args: log.append(args))
    stackless.run()
    stackless.set_slow_call_handler(None, None)
    assert log == []
    waits.kill()


def test_atomic_in_a_thread_without_tasklets(interval):
    def work():
        with stackless.atomic():
            log.append(stands_still(spinner))

    log = []
    with Spinner() as spinner:
        in_thread(work)
    assert log == [True]
