"""Every defect that an attack found, as small as it gets."""

import subprocess
import sys
import textwrap
import threading
import time

import pytest
import stackless


def run(source, *options, timeout=20):
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


# --- destructors in awkward moments -------------------------------------------


def test_destructor_of_a_threads_locals_uses_tasklets():
    out = run("""
        import threading
        local = threading.local()
        errors = []
        sys.unraisablehook = lambda hint: errors.append(str(hint.exc_value))
        class Late:
            def __del__(self):
                stackless.getcurrent()
        def work():
            stackless.getcurrent()
            local.late = Late()
        for i in range(3):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        print(len(stackless.getthreads()), all("ending" in e for e in errors))
    """)
    assert out == "1 True\n"


def test_new_thread_does_not_get_the_scheduler_of_a_dead_one():
    out = run("""
        import contextvars, threading
        var = contextvars.ContextVar("var")
        class Late:
            def __del__(self):
                stackless.switch_trap(7)
        levels = []
        sys.unraisablehook = lambda hint: None
        def first():
            var.set(Late())
        def second():
            levels.append(stackless.switch_trap(0))
        for work in (first, second) * 3:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        print(levels)
    """)
    assert out == "[0, 0, 0]\n"


def test_destructor_of_an_ending_main_tasklet_uses_tasklets():
    out = run("""
        import threading
        sys.unraisablehook = lambda hint: print(hint.exc_value)
        class Late:
            def __del__(self):
                stackless.getcurrent()
        def work():
            stackless.getmain().tempval = Late()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """)
    assert out == ("stackless is not available in this thread: it is ending\n")


def test_destructor_binds_the_tasklet_that_is_being_killed():
    out = run("""
        class Binds:
            def __del__(self):
                tasklet.bind(print, ("ran",))
            def __call__(self):
                pass
        tasklet = stackless.tasklet()
        tasklet.bind(Binds(), ())
        tasklet.kill()
        tasklet.insert()
        stackless.run()
    """)
    assert out == "ran\n"


@pytest.mark.parametrize("new", ["None", "print, ('new',)"])
def test_destructor_binds_the_tasklet_that_is_being_bound(new):
    out = run(f"""
        class Binds:
            def __del__(self):
                tasklet.bind(print, ("ran",))
                tasklet.insert()
        def body():
            binds = Binds()
            stackless.schedule_remove(None)
        tasklet = stackless.tasklet(body)()
        stackless.run()
        try:
            tasklet.bind({new})
        except RuntimeError as error:
            print(error)
        stackless.run()
    """)
    assert out == "a destructor has bound the tasklet meanwhile\nran\n"


@pytest.mark.parametrize("action", ["bind(None)", "insert()", "run()"])
def test_destructor_changes_the_tasklet_that_is_being_set_up(action):
    run(f"""
        sys.unraisablehook = lambda hint: None
        class Changes:
            def __del__(self):
                tasklet.{action}
        tasklet = stackless.tasklet(lambda: None)
        tasklet.tempval = Changes()
        tasklet()
        stackless.run()
    """)


def test_callback_unbinds_the_watchdog_that_is_to_hear_an_error():
    out = run("""
        def fails():
            raise KeyError("x")
        def watches():
            stackless.tasklet(fails)()
            stackless.run()
        watchdog = stackless.tasklet(watches)()
        def callback(before, after):
            if after is watchdog and watchdog.paused:
                watchdog.bind(None)
        stackless.set_schedule_callback(callback)
        try:
            stackless.run()
        except KeyError:
            print("main hears")
    """)
    assert out == "main hears\n"


def test_callback_lets_another_thread_block_on_the_channel():
    out = run("""
        import threading
        channel = stackless.channel()
        go, there = threading.Event(), threading.Event()
        def other():
            go.wait()
            stackless.tasklet(channel.send)(1)
            stackless.run()
            there.set()
            go.clear()
            end.wait()
        end = threading.Event()
        thread = threading.Thread(target=other)
        thread.start()
        def callback(before, after):
            stackless.set_schedule_callback(None)
            go.set()
            there.wait()
        def receives():
            stackless.set_schedule_callback(callback)
            print(channel.receive())
        stackless.tasklet(receives)()
        stackless.tasklet(lambda: None)()
        stackless.run()
        stackless.set_schedule_callback(None)
        end.set()
        thread.join()
    """)
    assert out == "1\n"


def test_main_of_an_ended_thread_is_not_bound():
    out = run("""
        import threading
        mains = []
        thread = threading.Thread(
            target=lambda: mains.append(stackless.getmain()))
        thread.start()
        thread.join()
        try:
            mains[0].bind(print, ())
        except RuntimeError as error:
            print(error)
    """)
    assert out == "can't bind the main tasklet of another thread\n"


def test_audit_hook_runs_the_tasklet_whose_tracer_is_set():
    run("""
        def body():
            sys.settrace(lambda *args: None)
            stackless.schedule_remove(None)
        tasklet = stackless.tasklet(body)()
        stackless.run()
        def hook(event, args):
            if event == "sys.settrace" and tasklet.paused:
                tasklet.run()
        sys.addaudithook(hook)
        try:
            tasklet.trace_function = None
        except RuntimeError:
            pass
    """)


@pytest.mark.parametrize("hard", [False, True])
def test_rescued_before_its_start_and_dropped_later(hard):
    out = run(f"""
        import gc
        rescued = []
        class Rescues:
            def __del__(self):
                rescued.append(self.tasklet)
        def pause():
            stackless.schedule_remove(None)
        def body():
            try:
                sorted([1], key=lambda x: pause()) if {hard} else pause()
            finally:
                print("finally")
        rescuer = Rescues()
        class Subclass(stackless.tasklet):
            pass
        rescuer.tasklet = Subclass().bind(body, ())
        rescuer.tasklet.rescuer = rescuer
        del rescuer
        gc.collect()
        rescued.pop().run()
        gc.collect()
        print("end", stackless.get_stats()["c_stacks"]
              - stackless.get_stats()["c_stacks_idle"])
    """)
    assert out == "finally\nend 0\n"


def test_forked_child_has_no_garbage():
    out = run("""
        import gc, os, threading, warnings
        warnings.simplefilter("ignore")
        ready, end = threading.Event(), threading.Event()
        def work():
            def body():
                while True:
                    stackless.schedule(None)
            stackless.tasklet(body)()
            stackless.schedule(None)
            ready.set()
            end.wait()
        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        pid = os.fork()
        if pid == 0:
            gc.collect()
            os._exit(len(gc.garbage))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        end.set()
        thread.join()
    """)
    assert out == "0\n"


def test_thread_ends_with_a_switch_trap():
    out = run("""
        import threading
        def body():
            try:
                sorted([1], key=lambda x: stackless.schedule_remove(None))
            finally:
                print("finally")
        kept = []
        def work():
            kept.append(stackless.tasklet(body)())
            stackless.run()
            stackless.switch_trap(1)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """)
    assert out == "finally\n"


def test_error_behind_a_kill_is_reported():
    out = run("""
        sys.unraisablehook = lambda hint: print("heard", hint.exc_value)
        def fails():
            raise ValueError("lost?")
        def body():
            try:
                stackless.schedule_remove(None)
            except TaskletExit:
                stackless.tasklet(fails)().switch()
        tasklet = stackless.tasklet(body)()
        stackless.run()
        del tasklet
        print("dropped")
    """)
    assert out == "heard lost?\ndropped\n"


@pytest.mark.parametrize("change, error", [
    ("channel.close()", "ValueError"),
    ("stackless.switch_trap(1)", "RuntimeError"),
    ("receiver.block_trap = True", "RuntimeError"),
])
def test_callback_makes_the_planned_operation_impossible(change, error):
    out = run(f"""
        channel = stackless.channel()
        def receives():
            try:
                channel.receive()
            except Exception as error:
                print(type(error).__name__)
        def callback(before, after):
            if before is receiver:
                {change}
                stackless.set_schedule_callback(None)
        receiver = stackless.tasklet(receives)()
        stackless.tasklet(lambda: None)()
        stackless.set_schedule_callback(callback)
        try:
            stackless.run()
        except RuntimeError:
            pass
        stackless.switch_trap(-stackless.switch_trap(0))
        stackless.run()
    """)
    assert out.splitlines()[0] == error


def test_c_function_that_imports_is_the_function_of_a_tasklet():
    out = run("""
        import time
        got = stackless.channel()
        def take():
            print(got.receive().tm_year)
        stackless.tasklet(take)()
        stackless.tasklet(time.strptime)("2020", "%Y")
        stackless.run()
        print("fine")
        got.send(time.strptime("2020", "%Y"))
    """)
    assert out == "fine\n2020\n"


@pytest.mark.skipif(sys.version_info < (3, 12),
                    reason="3.11 does not count C calls")
@pytest.mark.parametrize("kib", [128, 256, 1024])
@pytest.mark.parametrize("depth", [20, 50, 300, 900])
def test_recursion_through_c_on_a_small_stack(kib, depth):
    run(f"""
        stackless.set_c_stacks({kib} << 10)
        def deeper(n):
            return n and sorted([1], key=lambda x: deeper(n - 1))
        def body():
            try:
                deeper({depth})
            except RecursionError:
                pass
        stackless.tasklet(body)()
        stackless.run()
    """)


def test_callback_hears_of_each_switch_of_test_cframe_nr():
    """Found by tests/attack."""
    out = run("""
        def body():
            while True:
                stackless.schedule()
        stackless.tasklet(body)()
        stackless.set_schedule_callback(
            lambda a, b: print("to", "main" if b.is_main else "body"))
        stackless.test_cframe_nr(3)
        stackless.set_schedule_callback(None)
    """)
    assert out == "to body\nto main\n" * 3


def test_destructor_after_a_collection_nested_in_the_collection():
    """Found by tests/attack: 3.12 nests them, and forgets the outer one."""
    out = run("""
        import gc
        outcomes = set()
        class Destructor:
            def __del__(self):
                (lambda: None)()  # CPython looks at what is due
                try:
                    stackless.schedule()
                    outcomes.add("switched")
                except RuntimeError as error:
                    outcomes.add(str(error))
        def body():
            while True:
                stackless.schedule()
        stackless.tasklet(body)()
        gc.set_threshold(1)
        for i in range(4):
            d = Destructor()
            d.me = d
            del d
            keep = [[], []]  # a collection is due
            gc.collect()
        gc.set_threshold(0)
        print(*outcomes)
    """)
    assert out == ("cannot switch tasklets in a destructor that the garbage "
                   "collector runs\n")


def test_print_stacks_keeps_nothing_alive():
    """Found by tests/attack."""
    out = run("""
        import gc, io
        gc.disable()
        def body():
            try:
                stackless.schedule_remove(None)
            finally:
                print("ends")
        t = stackless.tasklet(body)()
        stackless.run()
        stackless.print_stacks(io.StringIO())
        del t
        print("deleted")
    """)
    assert out == "ends\ndeleted\n"


def test_error_handler_that_calls_on_a_new_stack_and_blocks():
    """The tasklet has ended: its data stack is its C stack's."""
    channel = stackless.channel()

    def handler(*args):
        stackless.call_on_new_stack(channel.send, 1)

    def fail():
        raise KeyError

    before = stackless.set_error_handler(handler)
    try:
        stackless.tasklet(fail)()
        stackless.run()
        for _ in range(3):
            stackless.schedule()  # debug builds walk all
        assert channel.receive() == 1
        stackless.run()
    finally:
        stackless.set_error_handler(before)
