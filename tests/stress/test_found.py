"""Every defect that an attack found, as small as it gets."""

import subprocess
import sys
import textwrap
import threading
import time

import pytest
import stackless


def run(source, *options, timeout=60):
    done = subprocess.run(
        [sys.executable, *options, "-c",
         "import stackless, sys\n" + textwrap.dedent(source)],
        capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def test_stop_iteration_thrown_at_a_tasklet_that_has_not_run():
    out = run("""
        for pending in False, True:
            t = stackless.tasklet(print)("ran")
            try:
                t.throw(StopIteration, 5, None, pending)
                stackless.run()
            except StopIteration as error:
                print("raised", error.value)
    """)
    assert out == "raised 5\nraised 5\n"


@pytest.mark.parametrize("state", ["ready", "started"])
@pytest.mark.parametrize("how", ["run", "switch", "throw", "kill"])
def test_schedule_callback_unbinds_the_next_tasklet(state, how):
    out = run(f"""
        t = stackless.tasklet()
        t.bind(lambda: stackless.schedule_remove(None), ())
        if {state!r} == "started":
            t.run()
        def callback(previous, following):
            if following is t:
                t.bind(None)
        stackless.set_schedule_callback(callback)
        args = (KeyError,) if {how!r} == "throw" else ()
        try:
            t.{how}(*args)
        except RuntimeError:
            pass
        print("alive", t.alive)
    """)
    assert out == "alive False\n"


def test_callback_and_switches_that_fail_for_lack_of_memory():
    """What a failed operation put off is released."""
    out = run("""
        import resource
        stackless.set_c_stacks(size=1 << 40)
        stackless.set_schedule_callback(lambda a, b: None)
        with open("/proc/self/statm") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        limit = mapped + (1 << 32)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        failures = 0
        for i in range(100):
            t = stackless.tasklet(print)("ran")
            try:
                stackless.schedule()
            except MemoryError:
                failures += 1
            t.remove()
        print(failures)
    """)
    assert out == "100\n"


def test_frame_kept_from_the_bottom_of_a_tasklet_has_no_caller():
    out = run("""
        kept = []
        def body():
            kept.append(sys._getframe())
        for i in range(3):
            stackless.tasklet(body)()
        stackless.run()
        stackless.set_c_stacks(idle=0)
        garbage = [bytes([255]) * n for n in (2020, 2048) * 100]
        print([frame.f_back for frame in kept])
    """)
    assert out == "[None, None, None]\n"


def test_fork_while_another_thread_is_inside_a_tasklet():
    out = run("""
        import os, threading, warnings
        warnings.simplefilter("ignore")
        inside, done = threading.Event(), threading.Event()
        def body():
            inside.set()
            done.wait(20)
        def thread():
            stackless.tasklet(body)()
            stackless.run()
        t = threading.Thread(target=thread)
        t.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            for task in stackless.all_tasklets():
                repr(task), task.thread_id, task.frame, task.alive
                task.recursion_depth, task.nesting_level
                if not task.is_main:
                    try:
                        task.kill()
                    except RuntimeError:
                        pass
            def again():
                stackless.tasklet(len)("x")
                stackless.run()
                [task.thread_id for task in stackless.all_tasklets()]
            t = threading.Thread(target=again)
            t.start()
            t.join()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        done.set()
        t.join()
    """)
    assert out == "7\n"


def test_failing_operation_in_a_callback_keeps_trace_functions_apart():
    seen = []

    def callback(previous, following):
        try:
            stackless.schedule()
        except RuntimeError:
            pass

    def trace(frame, event, arg):
        return None

    stackless.tasklet(lambda: seen.append(sys.gettrace()))()
    before = sys.gettrace()
    stackless.set_schedule_callback(callback)
    sys.settrace(trace)
    try:
        stackless.schedule()
        mine = sys.gettrace()
    finally:
        sys.settrace(before)
    assert mine is trace and seen == [None]


def test_tasklet_that_the_collector_killed_is_killed_first_by_another():
    """gc.collect() does not raise what only the engine could know."""
    out = run("""
        import gc
        class Killer:
            def __del__(self):
                t = stackless.current.prev
                if t is not stackless.current and not t.is_main:
                    t.kill()
        def body():
            me = stackless.current
            stackless.schedule_remove(None)
        for i in range(5):
            stackless.tasklet(body)()
            stackless.run()
            stackless.set_schedule_callback(lambda a, b: Killer())
            gc.collect()
            for j in range(100):
                pass
            stackless.set_schedule_callback(None)
        print("fine")
    """)
    assert out == "fine\n"


def test_thread_that_ends_inside_run_returns_its_c_stacks():
    def work():
        stackless.tasklet(stackless.run)()
        stackless.tasklet(lambda: [stackless.schedule(None) for i in "abc"])()
        stackless.schedule(None)

    def count():
        for i in range(5):
            t = threading.Thread(target=work)
            t.start()
            t.join()
        return stackless.get_stats()["c_stacks"]

    first = count()
    assert count() <= first


@pytest.mark.skipif(stackless.getdebug(),
                    reason="internal checks walk all tasklets")
def test_killing_all_at_exit_takes_linear_time():
    def seconds(n):
        out = run(f"""
            import time
            from stackless import _core
            c = stackless.channel()
            kept = [stackless.tasklet(c.receive)() for i in range({n})]
            stackless.run()
            start = time.perf_counter()
            _core._shutdown()
            print(time.perf_counter() - start)
        """)
        return float(out)

    assert seconds(40000) < 10 * seconds(10000) + 0.05


def test_kill_by_the_collector_after_a_tracer_has_gone():
    out = run("""
        import gc

        def trace(*args):
            pass

        def work(channel):
            sys.settrace(trace)
            channel.send(1)
            stackless.run()

        def cycle():
            channel = stackless.channel()
            me = stackless.getcurrent()
            channel.receive()

        for i in range(2):
            channel = stackless.channel()
            tasklet = stackless.tasklet(channel.receive)()
            stackless.run()
            work(channel)
            sys.settrace(None)
        gc.collect()
        stackless.run()
        gc.collect()
        for i in range(2):
            stackless.tasklet(cycle)()
            stackless.run()
            gc.collect()
            stackless.run()
        print("fine")
    """)
    assert out == "fine\n"
