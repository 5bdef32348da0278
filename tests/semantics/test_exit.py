"""The end of the program: exit status, Ctrl-C, what is printed."""

import os
import signal
import sys

import pytest
import stackless

from semantics_support import WAITS, run_program, spawn, through_c


def outcome(source, *options):
    done = run_program(source, *options)
    return done.returncode, done.stdout, done.stderr


# exit status

@pytest.mark.parametrize("call, status, message", [
    ("sys.exit(3)", 3, ""),
    ("sys.exit()", 0, ""),
    ("sys.exit(0)", 0, ""),
    ("sys.exit('farewell')", 1, "farewell\n"),
    ("sys.exit(True)", 1, ""),
    ("exec('raise SystemExit(7)')", 7, ""),
])
@pytest.mark.parametrize("wait", [
    "stackless.run()", "stackless.schedule()", "stackless.channel().receive()",
    "stackless.schedule_remove(None)"])
def test_exit_in_a_tasklet_ends_the_program(call, status, message, wait):
    assert outcome(f"""
        import sys
        stackless.tasklet(lambda: {call})()
        {wait}
        print("not reached")
    """) == (status, "", message)


def test_exit_deep_in_a_tasklet_through_c():
    assert outcome("""
        import sys
        def f(x):
            stackless.schedule()
            sys.exit(3)
        stackless.tasklet(lambda: sorted([1], key=f))()
        stackless.run()
    """) == (3, "", "")


def test_exit_runs_the_finally_blocks_on_its_way():
    assert outcome("""
        import sys
        def f():
            try:
                sys.exit(3)
            finally:
                print("tasklet")
        stackless.tasklet(f)()
        try:
            stackless.run()
        finally:
            print("main")
    """) == (3, "tasklet\nmain\n", "")


def test_main_may_catch_the_exit():
    assert outcome("""
        import sys
        stackless.tasklet(sys.exit)(3)
        try:
            stackless.run()
        except SystemExit as error:
            print("caught", error.code)
    """) == (0, "caught 3\n", "")


def test_exit_of_a_nested_tasklet():
    assert outcome("""
        import sys
        def outer():
            stackless.tasklet(sys.exit)(4)
            stackless.schedule()
            print("not reached")
        stackless.tasklet(outer)()
        stackless.run()
    """) == (4, "", "")


def test_exit_by_main_with_tasklets_alive():
    assert outcome("""
        import sys
        stackless.tasklet(stackless.channel().receive)()
        stackless.tasklet(print)("never")
        stackless.schedule()
        stackless.tasklet(print)("never either")
        sys.exit(5)
    """) == (5, "never\n", "")


def test_uncaught_error_prints_one_traceback():
    status, out, err = outcome("""
        def failing():
            raise KeyError("the reason")
        stackless.tasklet(failing)()
        stackless.run()
    """)
    assert status == 1 and out == ""
    assert err.count("Traceback") == 1
    assert "in failing" in err and "KeyError: 'the reason'" in err
    assert "stackless" not in err.replace("stackless.run()", "")


def test_uncaught_deadlock_prints_the_report():
    status, out, err = outcome("""
        def waits_for_ever(channel):
            channel.receive()
        t = stackless.tasklet(waits_for_ever)(stackless.channel())
        t.name = "consumer"
        stackless.run()
        stackless.channel().receive()
    """)
    assert status == 1 and "Deadlock" in err and "consumer" in err


def test_tasklet_exit_in_main_ends_the_program_quietly():
    assert outcome("raise TaskletExit")[0] == 0


def test_interactive_style_program_from_a_file(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("import stackless, sys\n"
                    "stackless.tasklet(sys.exit)(6)\nstackless.run()\n")
    import subprocess
    assert subprocess.run([sys.executable, str(path)]).returncode == 6


# Ctrl-C

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass


posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
INTERRUPTED = {
    **WAITS,
    "through C": lambda: through_c(stackless.channel().receive),
}


@posix
@pytest.mark.parametrize("wait", INTERRUPTED.values(), ids=INTERRUPTED)
def test_interrupt_reaches_main_wherever_it_waits(wait):
    t = spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        wait()
    assert not t.alive
    assert stackless.runcount == 1


@posix
def test_interrupt_of_busy_tasklets():
    """A timer strikes anywhere in a loop of switches."""
    def busy():
        while True:
            stackless.schedule()

    def raise_interrupt(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, raise_interrupt)
    try:
        for _ in range(20):
            for _ in range(3):
                spawn(busy)
            with pytest.raises(KeyboardInterrupt):
                # Again and again: 3.12 may lose a signal, also without us.
                signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
                stackless.run()
            assert stackless.runcount == 3
            while stackless.runcount > 1:
                stackless.current.next.kill()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@posix
def test_interrupt_may_be_caught_in_the_tasklet(log):
    def body():
        try:
            interrupt()
        except KeyboardInterrupt:
            log.append("caught")

    spawn(body)
    stackless.run()
    assert log == ["caught"]


@posix
def test_interrupted_program_dies_of_the_signal():
    done = run_program("""
        import os, signal
        def f():
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                stackless.schedule()
        stackless.tasklet(f)()
        stackless.channel().receive()
    """)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


@posix
def test_signal_handler_may_use_the_scheduler(log):
    def handler(number, frame):
        spawn(log.append, "spawned")
        stackless.schedule()
        log.append("handler")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000):
            pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log == ["spawned", "handler"]
