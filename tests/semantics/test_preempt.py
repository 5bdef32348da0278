"""preempt() and slow calls: tasklets that others can rely on."""

import gc
import sys
import threading
import time

import pytest
import stackless

from interrupt_support import LOOPS, counting, end, other_threads
from semantics_support import ring, run_program
from tasks import (
    SANITIZED, THREAD_SANITIZER, in_thread, pause, spawn)


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert stackless.preempt(None) is None
    assert stackless.set_slow_call_handler(None, None) == (None, None)


def test_preempt_gives_everybody_turns():
    counters = [[0] for _ in range(3)]
    tasks = [spawn(counting, c) for c in counters]
    assert stackless.preempt(0.002) is None
    turns = 0
    while turns < 5 or not all(c[0] for c in counters):
        stackless.schedule()
        turns += 1
    assert stackless.preempt(None) == 0.002
    assert all(t.scheduled for t in tasks)
    end(*tasks)


def test_a_callback_takes_the_next_one_away(log):
    """Then nobody is interrupted, and what the callback was given is let go."""
    def told(prev, following):
        if following is other and stackless.current is spinning:
            other.remove()
            log.append("removed")

    def spin():
        while not log:
            pass
        stackless.set_schedule_callback(None)
        log.append("went on")

    spinning, other = spawn(spin), spawn(pause)
    stackless.set_schedule_callback(told)
    stackless.preempt(0.001)
    try:
        stackless.run()
    finally:
        stackless.preempt(None)
        stackless.set_schedule_callback(None)
    assert log == ["removed", "went on"]
    other.kill()


def test_preempt_interrupts_the_main_tasklet(log):
    spawn(log.append, "ran")
    stackless.preempt(0.001)
    end = time.monotonic() + 20
    while not log and time.monotonic() < end:
        pass
    stackless.preempt(None)
    assert log == ["ran"]


def test_preempt_respects_atomic(log):
    spawn(log.append, "ran")
    stackless.preempt(0.001)
    with stackless.atomic():
        end = time.monotonic() + 0.03
        while time.monotonic() < end:
            pass
        assert log == []
    end = time.monotonic() + 20
    while not log and time.monotonic() < end:
        pass
    stackless.preempt(None)
    assert log == ["ran"]


@pytest.mark.parametrize("loop", LOOPS)
def test_preempt_interrupts_anything(loop, log):
    t = spawn(loop)
    stackless.preempt(0.001)
    for _ in range(5):
        stackless.schedule()
    stackless.preempt(None)
    assert t.alive
    end(t)
    assert not t.alive


def test_errors_of_preempted_tasklets(log):
    def fails():
        end = time.monotonic() + 0.02
        while time.monotonic() < end:
            pass
        raise KeyError("late")

    spawn(fails)
    spawn(counting, [0])
    stackless.preempt(0.002)
    with pytest.raises(KeyError, match="late"):
        stackless.run()
    stackless.preempt(None)
    end(ring()[1])


@other_threads
def test_preempt_holds_in_all_threads():
    def work():
        counters = [[0], [0]]
        tasks = [spawn(counting, c) for c in counters]
        for _ in range(3):
            stackless.schedule()
        assert all(c[0] for c in counters)
        end(*tasks)

    stackless.preempt(0.002)
    try:
        in_thread(work)
    finally:
        stackless.preempt(None)


@pytest.mark.skipif(SANITIZED or THREAD_SANITIZER, reason="forks")
def test_preempt_goes_on_after_a_fork():
    done = run_program("""
        import os, stackless, warnings
        warnings.simplefilter("ignore")
        def forever():
            while True:
                pass
        t = stackless.tasklet(forever)()
        stackless.preempt(0.002)
        stackless.schedule()
        pid = os.fork()
        for _ in range(3):
            stackless.schedule()
        if pid == 0:
            stackless.preempt(None)
            os._exit(7 if t.alive else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        t.kill()
    """)
    assert (done.stdout, done.stderr) == ("7\n", "")


@pytest.mark.skipif(SANITIZED or THREAD_SANITIZER, reason="forks")
@other_threads
def test_preempt_in_the_child_of_a_thread_that_forks():
    """Main is another thread there, which CPython has to be told."""
    done = run_program("""
        import os, threading, warnings
        warnings.simplefilter("ignore")
        def child():
            counter = [0]
            def count():
                while True:
                    counter[0] += 1
            stackless.tasklet(count)()
            stackless.preempt(0.001)
            while not counter[0]:
                pass
            os._exit(7)
        def work():
            pid = os.fork()
            if pid == 0:
                child()
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """)
    assert (done.stdout, done.stderr) == ("7\n", "")


@pytest.mark.skipif(SANITIZED or THREAD_SANITIZER, reason="forks")
def test_preempted_inside_the_fork():
    """In the child, in a hook that is called before ours."""
    done = run_program("""
        import os
        def forever():
            while True:
                pass
        def fork():
            pid = os.fork()
            if pid == 0:
                os._exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            os._exit(0)
        for _ in range(2):
            stackless.tasklet(forever)()
        stackless.preempt(0.001)
        stackless.tasklet(fork)()
        stackless.run()
    """, before="""
        import functools, os
        def loop():
            for _ in range(1000):
                pass
        os.register_at_fork(before=functools.partial(sum, range(10**6)),
                            after_in_child=loop)
    """)
    assert (done.stdout, done.stderr) == ("7\n", "")


@pytest.mark.skipif(SANITIZED or THREAD_SANITIZER, reason="forks")
@pytest.mark.parametrize("thread", [False, True])
def test_nothing_of_ours_makes_a_fork_warn(thread):
    """CPython warns of processes with threads, from 3.12 on."""
    done = run_program(f"""
        import os, threading, time, warnings
        def fork():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                os.waitpid(pid, 0)
            return len(caught)
        def forever():
            while True:
                pass
        if {thread}:  # the guardian of atomic sections lives on
            t = threading.Thread(target=time.sleep, args=(0.05,))
            t.start()
            with stackless.atomic():
                time.sleep(0.01)
            t.join()
        t = stackless.tasklet(forever)()
        stackless.preempt(0.001)
        for _ in range(3):
            stackless.schedule()
        warned = []
        for _ in range(5):  # the kernel may still be at the end of a thread
            warned.append(fork())
            for _ in range(3):
                stackless.schedule()
        print(min(warned), t.alive)
        t.kill()
    """)
    assert (done.stdout, done.stderr) == ("0 True\n", "")


@other_threads
def test_who_the_collector_kills_can_be_preempted(log):
    def victim(box):
        try:
            stackless.schedule()
        finally:
            while not log:
                pass

    def other():
        for _ in range(100_000):
            pass
        log.append("other")

    box = []
    t = spawn(victim, box)
    box.append((t, box))
    stackless.schedule()
    t.remove()
    spawn(other)
    stackless.preempt(0.001)
    del t, box
    gc.collect()
    while not log:
        pass
    stackless.preempt(None)
    stackless.run()


def test_no_turn_ends_in_the_middle_of_an_import(tmp_path, monkeypatch, log):
    (tmp_path / "slowly_made.py").write_text(
        "for _ in range(500_000): pass\nready = True\n")
    monkeypatch.syspath_prepend(tmp_path)

    def work():
        import slowly_made

        log.append(slowly_made.ready)

    spawn(work)
    spawn(work)
    stackless.preempt(0.001)
    stackless.run()
    stackless.preempt(None)
    sys.modules.pop("slowly_made")
    assert log == [True, True]


def test_opcodes_are_traced_under_preempt():
    """3.11 interrupts in a trace function, in front of the program's."""
    lines = [0]

    def tracer(frame, event, arg):
        frame.f_trace_opcodes = True
        lines[0] += event == "line"
        return tracer

    def work():
        for _ in range(300):
            pass

    def traced(counts):
        for _ in range(20):
            lines[0] = 0
            sys.settrace(tracer)
            work()
            sys.settrace(None)
            counts.add(lines[0])

    expected, counts = set(), set()
    traced(expected)
    tasks = [spawn(counting, [0]) for _ in range(2)]
    t = spawn(traced, counts)
    stackless.preempt(0.0005)
    while t.alive:
        stackless.schedule()
    stackless.preempt(None)
    assert counts == expected
    end(*tasks)


@pytest.mark.skipif(THREAD_SANITIZER, reason="cannot do that")
def test_exit_with_run_in_a_daemon_thread():
    done = run_program("""
        import sys, threading
        def forever():
            while True:
                pass
        def work():
            t = stackless.tasklet(forever)()
            try:
                while True:
                    stackless.run(seconds=0.001).insert()
            except (RuntimeError, NotImplementedError):
                pass  # the interpreter is shutting down
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        t = stackless.tasklet(forever)()
        for _ in range(5):
            stackless.run(seconds=0.001).insert()
        print("over")
    """)
    assert (done.stdout, done.returncode) == ("over\n", 0)


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "t.kill()"])
def test_exit_while_preempting(end):
    done = run_program(f"""
        import stackless
        def forever():
            while True:
                pass
        t = stackless.tasklet(forever)()
        stackless.preempt(0.001)
        for _ in range(3):
            stackless.schedule()
        print("over")
        {end}
    """)
    assert (done.stdout, done.stderr) == ("over\n", "")


def test_tracing_sees_nothing_of_it():
    events = []

    def tracer(frame, event, arg):
        events.append((event, frame.f_code.co_name, frame.f_lineno
                       - frame.f_code.co_firstlineno))
        return tracer

    def work(n):
        total = 0
        for i in range(n):
            total += i
        return total

    def traced():
        sys.settrace(tracer)
        work(20_000)
        sys.settrace(None)

    def run_it():
        events.clear()
        t = spawn(traced)
        while t.alive:
            stackless.schedule()
        return list(events)

    expected = run_it()
    t = spawn(counting, [0])
    stackless.preempt(0.001)
    try:
        assert run_it() == expected
    finally:
        stackless.preempt(None)
    t.kill()


# --- slow calls ---------------------------------------------------------------


def test_a_slow_call_is_reported(log):
    def slow():
        time.sleep(0.8)

    called = threading.Event()

    def handler(*args):
        log.append((*args, threading.current_thread(), time.monotonic()))
        called.set()

    t = spawn(slow)
    other = spawn(pause)
    assert stackless.set_slow_call_handler(0.05, handler) == (None, None)
    stackless.run()
    end = time.monotonic()
    assert stackless.set_slow_call_handler(None, None) == (0.05, handler)
    assert called.is_set()
    [(task, stack, seconds, thread, when)] = log
    assert task is t and seconds >= 0.05
    assert stack[-1].name == "slow" and "sleep" in stack[-1].line
    assert thread is not threading.current_thread()
    assert when < end
    other.kill()


def test_loops_are_no_slow_calls(log):
    def busy():
        end = time.monotonic() + 0.8
        while time.monotonic() < end:
            pass

    spawn(busy)
    stackless.set_slow_call_handler(0.5, lambda *args: log.append(args))
    stackless.run()
    stackless.set_slow_call_handler(None, None)
    assert log == []


def test_error_of_the_handler_goes_to_the_hook_of_threads(monkeypatch):
    caught = []
    monkeypatch.setattr(threading, "excepthook", caught.append)

    def handler(*args):
        raise KeyError("handler")

    spawn(time.sleep, 0.8)
    spawn(pause)
    stackless.set_slow_call_handler(0.05, handler)
    stackless.run()
    stackless.set_slow_call_handler(None, None)
    assert [type(c.exc_value) for c in caught] == [KeyError]
    assert caught[0].thread.name == "stackless slow calls"


def test_slow_call_handler_does_not_hide_a_deadlock():
    stackless.set_slow_call_handler(0.05, print)
    try:
        with pytest.raises(RuntimeError, match="Deadlock"):
            stackless.channel().receive()
    finally:
        stackless.set_slow_call_handler(None, None)


@pytest.mark.parametrize("args", [(1, None), (None, print), (1, 5),
                                  ("x", print)])
def test_bad_arguments_of_the_handler(args):
    before = set(threading.enumerate())
    with pytest.raises(TypeError):
        stackless.set_slow_call_handler(*args)
    assert set(threading.enumerate()) <= before
