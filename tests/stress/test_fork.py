"""os.fork() with tasklets alive: both processes go on as if alone.

fork_program.py forks in one of several places with a tasklet in each state
around; the child goes on with the tasklet that forked, and all others can be
run, killed, collected in it.  The parent does the same afterwards.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from fork_program import ACTIONS, PLACES
from stress_support import HARD, LIMIT, outcome

HERE = pathlib.Path(__file__).parent

pytestmark = [
    pytest.mark.noleak,  # everything runs in subprocesses
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork()"),
]

IN_C = ["blocked in C", "paused in C", "runnable in C"]
NEWEST_FIRST = ["being killed", "blocked in C", "blocked", "paused in C",
                "paused", "runnable in C", "runnable"]

# What each process says of each action.
SAID = {
    "wake": "woken: all 7\nend\n",
    "kill": "killed: all 7\nend\n",
    "drop": "dropped: all 5\nend\n",
    "collect": "collected: 6 of 6 zoo None\nend\n",
    "start_more": "more: 21 in a thread\nend\n",
}


def said_at_the_end(place):
    """A thread's end kills what is bound to a C stack, and no more."""
    killed = IN_C if "thread" in place and not HARD else NEWEST_FIRST
    return "end\n" + "".join(f"{name}: killed\n" for name in killed)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("place", PLACES)
def test_fork(place, action):
    done = subprocess.run(
        [sys.executable, str(HERE / "fork_program.py"), place, action],
        capture_output=True, text=True, timeout=LIMIT)
    said = SAID.get(action) or said_at_the_end(place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == said + "child: 0\n" + said


def run(source, status=0):
    """What it prints.  Threads make CPython warn of forks."""
    code, out, err = outcome(source, "-W", "ignore")
    assert (code, err) == (status, ""), out
    return out


FORK = """
def wait(pid):
    print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
          flush=True)
def body():
    try:
        stackless.schedule_remove(None)
    finally:
        print("finally", flush=True)
def in_c():
    sorted([1], key=lambda _: body())
kept = [stackless.tasklet(f)() for f in (body, in_c)]
stackless.run()
"""


@pytest.mark.parametrize("call, status, out", [
    ("sys.exit(3)", 3, "finally\nfinally\n"),
    ("stackless.tasklet(sys.exit)(3).run()", 3, "finally\nfinally\n"),
    ("sorted([1], key=lambda _: stackless.tasklet(sys.exit)(3).run())", 3,
     "finally\nfinally\n"),
    ("os._exit(4)", 4, ""),
    ("os.kill(os.getpid(), 9)", -9, ""),
])
def test_child_ends_on_its_own(call, status, out):
    assert run(FORK + f"""
pid = os.fork()
if not pid:
    {call}
wait(pid)
""") == out + f"child {status}\nfinally\nfinally\n"


def test_child_of_a_child():
    assert run(FORK + """
def generation(n):
    if n:
        pid = os.fork()
        if pid:
            wait(pid)
        else:
            sorted([n - 1], key=generation)
t = stackless.tasklet(generation)(3)
t.run()
""") == "finally\nfinally\n" + 3 * "child 0\nfinally\nfinally\n"


def test_fork_at_exit():
    """In a `finally` that the end of the program runs."""
    if sys.version_info[:2] == (3, 12):
        pytest.skip("3.12 refuses to fork at interpreter shutdown")
    assert run(FORK + """
def fork():
    try:
        stackless.schedule_remove(None)
    finally:
        pid = os.fork()
        if pid:
            wait(pid)
kept.append(stackless.tasklet(fork)())
stackless.run()
""") == "finally\nfinally\nchild 0\nfinally\nfinally\n"


@pytest.mark.parametrize("callback", ["schedule", "channel"])
def test_fork_in_a_callback(callback):
    """In the middle of an operation, which both processes complete."""
    assert run(FORK + f"""
pids = []
def callback(*args):
    if not pids:
        pids.append(os.fork())
        if pids[0]:
            wait(pids[0])
stackless.set_{callback}_callback(callback)
c = stackless.channel()
stackless.tasklet(c.send)(5)
print(c.receive(), flush=True)
""") == "5\nfinally\nfinally\nchild 0\n5\nfinally\nfinally\n"


def test_fork_hooks_may_switch():
    assert run(FORK + """
def say(words):
    stackless.tasklet(print)(words, flush=True)
    stackless.run()
os.register_at_fork(before=lambda: say("before"),
                    after_in_child=lambda: say("in the child"),
                    after_in_parent=lambda: None)
pid = os.fork()
if pid:
    wait(pid)
""") == ("before\nin the child\nfinally\nfinally\nchild 0\n"
         "finally\nfinally\n")


def test_multiprocessing():
    """A child ends without killing what it got from its parent."""
    assert run(FORK + """
import multiprocessing
def work(channel, queue):
    stackless.tasklet(sorted)([1], key=lambda _: queue.put(channel.receive()))
    stackless.run()
    channel.send("through a channel")
    for t in kept:
        t.kill()
def main():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    for _ in range(2):
        child = context.Process(target=work,
                                args=(stackless.channel(), queue))
        stackless.tasklet(child.start)()
        stackless.run()
        received = queue.get()
        child.join()
        print(received, child.exitcode, flush=True)
main()
""") == 2 * "finally\nfinally\nthrough a channel 0\n" + "finally\nfinally\n"


def test_pool_of_forked_processes():
    assert run(FORK + """
import multiprocessing
def square(n):
    c = stackless.channel()
    stackless.tasklet(sorted)([n], key=lambda n: c.send(n * n))
    return c.receive()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(square, range(10)), flush=True)
""") == f"{[n * n for n in range(10)]}\nfinally\nfinally\n"


def test_subprocess_in_a_tasklet():
    """vfork, where subprocess uses it."""
    assert run(FORK + """
import subprocess
def call(words):
    subprocess.run([sys.executable, "-S", "-c", f"print({words!r})"])
for words in "one", "two":
    stackless.tasklet(sorted)([words], key=call)
    stackless.run()
""") == "one\ntwo\nfinally\nfinally\n"


def test_tasklets_of_other_threads_in_the_child():
    """Their thread is gone: they cannot run.  What C holds cannot go."""
    out = run(FORK + """
import threading
ready, end = threading.Event(), threading.Event()
others = []
def work():
    others.extend(stackless.tasklet(f)() for f in (body, in_c))
    stackless.run()
    ready.set()
    end.wait()
thread = threading.Thread(target=work)
thread.start()
ready.wait()
pid = os.fork()
if not pid:
    def attempt(f):
        try:
            f()
        except RuntimeError as error:
            print(f.__name__, "refused", flush=True)
        else:
            print(f.__name__, "done", flush=True)
    for t in others:
        print(t.alive, t.thread_id, flush=True)
        attempt(t.run)
        attempt(t.kill)
    for t in kept:
        t.kill()
    os._exit(0)
wait(pid)
end.set()
thread.join()
for t in kept:
    t.kill()
""")
    child, parent = out.split("child 0\n")
    soft = "refused" if HARD else "done"
    assert child == (
        f"False -1\nrun refused\nkill {soft}\n"
        "False -1\nrun refused\nkill refused\nfinally\nfinally\n")
    # The thread's end kills what is bound to a C stack.
    assert parent == "finally\n" * (4 if HARD else 3)


def test_fork_leaves_the_counters_alone():
    assert run("""
stackless.tasklet(stackless.schedule_remove)(None)
stackless.run()
before = stackless.get_stats()
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
print(stackless.get_stats() == before, flush=True)
""") == "True\nTrue\n"
