"""The main tasklet of python -m stackless is soft, and one among others."""

import os

import pytest

pytestmark = pytest.mark.noleak

GATES = os.environ.get("STACKLESS_GATE") == "return"
soft = pytest.mark.soft

# Each does ROUNDS switches from main, and as many back.
OPERATIONS = {
    "schedule": """
        stackless.tasklet(lambda: [schedule(None) for _ in rounds])()
        for _ in rounds:
            schedule(None)
        """,
    "send": """
        stackless.tasklet(lambda: [receive() for _ in rounds])()
        for number in rounds:
            channel.send(number)
        """,
    "receive": """
        def send():
            for number in rounds:
                channel.send(number)
        stackless.tasklet(send)()
        for number in rounds:
            assert receive() == number
        """,
    "run": """
        for _ in rounds:
            stackless.tasklet(int)()
            stackless.run()
        """,
    "tasklet.run": """
        for _ in rounds:
            stackless.tasklet(int)().run()
        """,
    "schedule_remove": """
        def insert():
            for _ in rounds:
                stackless.main.insert()
                schedule(None)
        stackless.tasklet(insert)()
        for _ in rounds:
            stackless.schedule_remove(None)
        """,
}
COUNT = """
import stackless
rounds = range(50)
channel = stackless.channel()
schedule, receive = stackless.schedule, channel.receive
def counters():
    stats = stackless.get_stats()
    return [stats[kind + "_switches"] for kind in ("soft", "quick", "hard")]
before = counters()
{}
print(*(now - then for now, then in zip(counters(), before)))
"""


def counted(runner, operation, *options):
    """How many switches of each kind the program made."""
    lines = [line[8:] for line in OPERATIONS[operation].splitlines()]
    runner.program(COUNT.format("\n".join(lines)), options=options)
    runner.ends(0)
    return map(int, runner.out.split())


class TestSwitches:
    @soft
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_of_main_are_soft(self, runner, operation):
        softly, quickly, hard = counted(runner, operation)
        assert hard == 0
        assert softly >= 50
        if not GATES and "run" not in operation:
            assert quickly >= 50

    @soft
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_of_main_are_hard_if_asked_for(self, runner, operation):
        _, _, hard = counted(runner, operation, "--hard-main")
        assert hard >= 50

    @soft
    def test_are_soft_anywhere_in_plain_python(self, runner):
        runner.program("""\
            import stackless
            def spin():
                while True:
                    stackless.schedule()
            stackless.tasklet(spin)()
            before = stackless.get_stats()["hard_switches"]
            def function(depth):
                return stackless.schedule(depth) if depth == 0 else (
                    function(depth - 1) + 1)
            assert function(100) == 100
            assert [stackless.schedule(n) for n in range(3)] == [0, 1, 2]
            try:
                1 / 0
            except ZeroDivisionError as error:
                stackless.schedule()
                assert error is not None
            print(stackless.get_stats()["hard_switches"] - before)
            raise SystemExit
            """)
        runner.ends(0, "0\n")

    def test_below_c_code_are_hard(self, runner):
        runner.program("""\
            import stackless
            log = []
            def spin():
                for number in range(5):
                    log.append(number)
                    stackless.schedule()
            stackless.tasklet(spin)()
            before = stackless.get_stats()["hard_switches"]
            class Body:
                value = stackless.schedule(7)
            assert Body.value == 7
            def generator():
                for number in 3, 1, 2:
                    stackless.schedule()
                    yield number
            print(sorted(generator(), key=stackless.schedule), log)
            assert stackless.get_stats()["hard_switches"] > before
            """)
        runner.ends(0, "[1, 2, 3] [0, 1, 2, 3, 4]\n")

    def test_in_a_module_that_main_imports(self, runner):
        runner.write("waits.py", """\
            import builtins
            value = builtins.channel.receive()
            """)
        runner.program("""\
            import builtins, stackless
            builtins.channel = stackless.channel()
            stackless.tasklet(channel.send)("sent")
            import waits
            print(waits.value)
            """)
        runner.ends(0, "sent\n")

    def test_forbidden_and_allowed_while_main_runs(self, runner):
        runner.program("""\
            import stackless
            log = []
            def spin():
                for number in range(6):
                    log.append(number)
                    stackless.schedule()
            stackless.tasklet(spin)()
            for allowed in False, True, False:
                stackless.enable_softswitch(allowed)
                stackless.schedule()
                stackless.schedule()
            print(log)
            """)
        runner.ends(0, "[0, 1, 2, 3, 4, 5]\n")


class TestTasklets:
    """Main among others."""

    def test_values_on_their_way(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def answer():
                while True:
                    channel.send(channel.receive() * 2)
            stackless.tasklet(answer)()
            def ask(n):
                channel.send(n)
                return channel.receive()
            print([ask(n) for n in range(3)], ask(1) + ask(2) * ask(3))
            """)
        runner.ends(0, "[0, 2, 4] 26\n")

    def test_error_of_a_tasklet_reaches_main(self, runner):
        runner.program("""\
            import stackless
            def fail():
                raise ValueError(stackless.main.blocked)
            for wait in stackless.run, stackless.channel().receive:
                stackless.tasklet(fail)()
                try:
                    wait()
                except ValueError as error:
                    print("caught", error)
            """)
        runner.ends(0, "caught False\ncaught True\n")

    def test_error_thrown_at_main(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def throw():
                stackless.main.throw(KeyError, 3)
                print("goes on")
            stackless.tasklet(throw)()
            try:
                channel.receive()
            except KeyError as error:
                print(repr(error), channel.balance)
            """)
        runner.ends(0, "KeyError(3) 0\ngoes on\n")

    def test_main_is_killed(self, runner):
        runner.program("""\
            import stackless
            stackless.tasklet(lambda: stackless.main.kill())()
            try:
                stackless.channel().receive()
            finally:
                print("finally")
            """)
        runner.ends(0, "finally\n")

    def test_deadlock(self, runner):
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def wait():
                channel.receive()
            stackless.tasklet(wait)()
            try:
                channel.receive()
            except RuntimeError as error:
                print(str(error).splitlines()[0])
            stackless.tasklet(int)()
            channel.receive()
            """)
        runner.ends(1)
        assert "Deadlock: the last runnable tasklet cannot" in runner.out
        assert "Deadlock: the main tasklet is receiving" in runner.err

    def test_main_is_not_rebound(self, runner):
        runner.program("""\
            import stackless
            def rebind():
                for args in (), (None,), (print, ("other",)):
                    try:
                        stackless.main.bind(*args)
                    except RuntimeError:
                        print("refused")
            stackless.tasklet(rebind)()
            stackless.run()
            print("main goes on")
            """)
        runner.ends(0, "refused\n" * 3 + "main goes on\n")

    def test_attributes_of_main(self, runner):
        runner.program("""\
            import stackless
            def look():
                main = stackless.main
                print(main.alive, main.is_main, main.is_current, main.paused,
                      main.frame.f_code.co_name, main.frame.f_back.f_back,
                      main.restorable, main.name)
            def wait():
                stackless.run()
            stackless.tasklet(look)()
            wait()
            main = stackless.current
            print(main is stackless.main, main.nesting_level, main.restorable,
                  main.recursion_depth, main.frame.f_code.co_name)
            """)
        runner.ends(0, "True True False True wait None False main\n"
                       "True 0 False 1 <module>\n")

    def test_contexts(self, runner):
        runner.program("""\
            import contextvars, stackless
            variable = contextvars.ContextVar("variable", default=0)
            variable.set(1)
            context = contextvars.copy_context()
            def change():
                variable.set(2)
            stackless.tasklet(change).set_context(context)().run()
            print(variable.get())
            stackless.tasklet(lambda: variable.set(3))().run()
            print(variable.get())
            def late():
                print(variable.get())
            stackless.tasklet(late)()
            variable.set(4)
            """)
        runner.ends(0, "1\n3\n4\n")

    def test_main_goes_on_on_another_c_stack(self, runner):
        """A tasklet keeps the one that main began on."""
        runner.program("""\
            import stackless
            channel = stackless.channel()
            def through_c():
                print(list(map(lambda _: channel.receive(), [0, 1])))
            def work(n):
                stackless.tasklet(through_c)()
                stackless.run()
                return n + (work(n - 1) if n else 0)
            print(work(5), channel.balance)
            for number in range(6):
                channel.send(number)
            def late():
                for number in range(6, 12):
                    channel.send(number)
            stackless.tasklet(late)()
            print("main ends")
            """)
        runner.ends(0, "15 -6\nmain ends\n" + "".join(
            f"[{n}, {n + 6}]\n" for n in range(6)))

    @pytest.mark.parametrize("settings", ["idle=0", "limit=0", "limit=2",
                                          "idle=0, limit=0"])
    def test_c_stacks_are_few(self, runner, settings):
        runner.program(f"""\
            import stackless
            stackless.set_c_stacks({settings})
            channel = stackless.channel()
            def through_c(n):
                for _ in map(lambda _: channel.receive(), range(3)):
                    pass
            for n in range(10):
                stackless.tasklet(through_c)(n)
            stackless.run()
            def in_c(n):
                return sorted(range(10), key=lambda n: channel.send(n) or -n)
            print(in_c(0))
            for n in range(20):
                channel.send(n)
            print(channel.balance)
            """)
        runner.ends(0, f"{list(range(9, -1, -1))}\n0\n")

    def test_no_memory_for_a_c_stack(self, runner):
        pytest.importorskip("stackless._coretest")
        runner.python("-c", """if 1:
            import runpy, sys, stackless
            from stackless import _coretest
            stackless.set_c_stacks(idle=0)
            _coretest.fail_c_stacks_after(0)
            sys.argv = ["stackless", "-c", "import sys; "
                        "print(sys._getframe().f_back.f_code.co_name)"]
            runpy.run_module("stackless", run_name="__main__", alter_sys=True)
            """)
        runner.ends(0, "main\n")  # it stays on the thread's own stack

    def test_within_itself(self, runner):
        runner.write("inner.py", """\
            import stackless
            stackless.tasklet(print)("inner tasklet")
            stackless.schedule()
            print("inner")
            """)
        runner.program("""\
            import runpy, stackless, sys
            sys.argv = ["stackless", "inner.py"]
            runpy.run_module("stackless", run_name="__main__", alter_sys=True)
            stackless.tasklet(print)("outer tasklet")
            stackless.schedule()
            print("outer")
            """)
        runner.ends(0, "inner tasklet\ninner\nouter tasklet\nouter\n")

    def test_started_in_a_tasklet_or_a_thread(self, runner):
        runner.write("inner.py", """\
            import stackless
            stackless.tasklet(print)("tasklet")
            stackless.schedule()
            print("inner", stackless.current is stackless.main)
            """)
        runner.python("-c", """if 1:
            import runpy, stackless, sys, threading
            def inner():
                sys.argv = ["stackless", "inner.py"]
                runpy.run_module("stackless", run_name="__main__")
            stackless.tasklet(inner)()
            stackless.run()
            thread = threading.Thread(target=inner)
            thread.start()
            thread.join()
            """)
        runner.ends(0, "tasklet\ninner False\ntasklet\ninner True\n")


COMES = "sys.modules['greenlet'] = types.ModuleType('greenlet')"


class TestPinned:
    """Main stays on its C stack once greenlet is there."""

    def test_greenlet_in_the_child_of_a_fork_in_a_thread(self, runner):
        """There main has gone with its thread."""
        runner.program(f"""
            import os, stackless, sys, threading, types
            def work():
                stackless.schedule()
                pid = os.fork()
                if pid == 0:
                    {COMES}
                    stackless.tasklet(stackless.schedule)()
                    stackless.run()
                    os._exit(7)
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            """)
        runner.ends(0, "7\n")

    def test_within_a_thread_of_itself(self, runner):
        """The inner one has a main of its own, which does not count."""
        runner.program(f"""
            import runpy, stackless, sys, threading, types
            def work():
                sys.argv = ["stackless", "-c", "print('inner')"]
                runpy.run_module("stackless", run_name="__main__")
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            def switches():
                stackless.tasklet(stackless.schedule)()
                before = stackless.get_stats()["hard_switches"]
                stackless.schedule()
                return stackless.get_stats()["hard_switches"] - before
            switches()
            {COMES}
            stackless.schedule()
            print(switches() > 0)
            """)
        runner.ends(0, "inner\nTrue\n")

    def test_a_module_that_looks_alive(self, runner):
        """Looking for it runs no code of its own."""
        runner.program("""
            import stackless, sys
            def work():
                for i in range(3):
                    stackless.schedule()
            class Evil:
                @property
                def __spec__(self):
                    global tasklet
                    tasklet.kill()
                    tasklet = None
            stackless.set_schedule_callback(lambda previous, next: None)
            tasklet = stackless.tasklet(work)()
            stackless.schedule()
            sys.modules["greenlet"] = Evil()
            stackless.schedule()
            print(tasklet.alive)
            """)
        runner.ends(0, "True\n")


class TestGarbage:
    def test_what_waiting_main_refers_to_is_seen(self, runner):
        runner.program("""\
            import gc, stackless, weakref
            class Thing: pass
            def cycle():
                thing = Thing()
                thing.itself = thing
                return thing
            channel = stackless.channel()
            def collect(number):
                gc.collect()
                print([thing() is not None for thing in things])
                channel.send(number)
            def wait(local, *rest):
                things.append(weakref.ref(local))
                kept = weakref.ref(cycle())
                number = channel.receive()
                return number, kept() is None, local is things[0]()
            things = []
            stackless.tasklet(collect)(1)
            print(wait(cycle(), [cycle()]))
            gc.collect()
            print([thing() is not None for thing in things])
            """)
        runner.ends(0, "[True]\n(1, True, True)\n[False]\n")

    def test_generator_that_main_waits_in(self, runner):
        runner.program("""\
            import gc, stackless
            channel = stackless.channel()
            def collect(number):
                gc.collect()
                channel.send(number)
            def generator():
                try:
                    yield channel.receive()
                    yield channel.receive()
                finally:
                    print("closed")
            for number in 1, 2:
                stackless.tasklet(collect)(number)
            for number in generator():
                print(number)
            """)
        runner.ends(0, "1\n2\nclosed\n")

    def test_destructor_that_switches_as_main_ends(self, runner):
        runner.program("""\
            import stackless
            class Noisy:
                def __del__(self):
                    stackless.schedule()
                    print("destructor")
            def function():
                noisy = Noisy()
                raise ValueError
            stackless.tasklet(print)("tasklet")
            try:
                function()
            except ValueError:
                print("caught")
            noisy = Noisy()
            del noisy
            print("end")
            """)
        runner.ends(0, "caught\ntasklet\ndestructor\ndestructor\nend\n")
