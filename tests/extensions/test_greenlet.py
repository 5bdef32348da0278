"""Greenlets and gevent in the same process: the shapes that work.

A greenlet keeps its part of the C stack by address.  So greenlets may switch
among themselves on one C stack; docs/extensions.md says what may not be.
"""

import importlib.util
import subprocess
import sys
import textwrap
import threading

import pytest
import stackless
from interleaving import Failure, pause, started, switch
from operations import through_c

if hasattr(sys, "gettotalrefcount"):
    pytest.skip("wheels are for release builds", allow_module_level=True)
greenlet = pytest.importorskip("greenlet").greenlet
needs_gevent = pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="no gevent")


def in_thread(function):
    """What the function gives in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results.pop()


def ping_pong(rounds=20):
    """Greenlets that hand a number to each other and add to it."""
    def adder(number):
        while True:
            number = greenlet.getcurrent().parent.switch(number + 1)

    adders = [greenlet(adder) for _ in range(3)]
    number = 0
    for _ in range(rounds):
        for each in adders:
            number = each.switch(number)
    for each in adders:
        each.throw()
    return number


def tasklets_at_work(log):
    def work(name, wait):
        for index in range(10):
            wait(switch)
            log.append((name, index))

    return [stackless.tasklet(work)("soft", lambda f: f()),
            stackless.tasklet(work)("hard", through_c)]


EXPECTED = sorted((name, n) for name in ("soft", "hard") for n in range(10))


def test_in_another_thread():
    log = []
    tasklets_at_work(log)
    results = []
    thread = threading.Thread(
        target=lambda: results.extend(ping_pong() for _ in range(20)))
    thread.start()
    while stackless.getruncount() > 1:
        stackless.schedule()
    thread.join()
    assert results == [60] * 20 and sorted(log) == EXPECTED


def test_on_the_main_tasklets_stack():
    """Each greenlet may run the tasklets; they come back to it."""
    log = []
    tasklets_at_work(log)

    def turn(number):
        while True:
            stackless.schedule()
            through_c(switch)
            number = greenlet.getcurrent().parent.switch(number + 1)

    greenlets = [greenlet(turn) for _ in range(3)]
    number = 0
    for _ in range(5):
        for each in greenlets:
            number = each.switch(number)
        stackless.schedule()
    for each in greenlets:
        each.throw()
    assert number == 15 and sorted(log) == EXPECTED


def test_main_receives_in_a_greenlet():
    channel = stackless.channel()

    def sender():
        for index in range(5):
            channel.send(index)

    stackless.tasklet(sender)()
    stackless.tasklet(through_c)(lambda: channel.send("from C"))
    received = []
    inner = greenlet(lambda: received.extend(
        channel.receive() for _ in range(6)))
    inner.switch()
    assert received == [0, "from C", 1, 2, 3, 4]


def test_error_of_a_tasklet_arrives_in_the_greenlet_that_runs_it():
    def fail():
        raise Failure

    def run():
        stackless.tasklet(fail)()
        with pytest.raises(Failure):
            stackless.run()
        return "caught"

    assert greenlet(run).switch() == "caught"


def test_greenlets_inside_one_tasklet():
    """On its C stack, which it does not leave meanwhile."""
    results = []

    def work(name):
        for _ in range(3):
            results.append(ping_pong())
            stackless.schedule()

    for name in "abc":
        stackless.tasklet(work)(name)
    stackless.run()
    assert results == [60] * 9


def test_tasklets_suspended_in_each_way_while_greenlets_run():
    tasklets = [started(pause), started(through_c, pause),
                started(stackless.channel().receive)]
    assert ping_pong() == 60
    for tasklet in tasklets:
        tasklet.kill()
        assert not tasklet.alive
    assert ping_pong() == 60


@needs_gevent
@pytest.mark.noleak  # gevent keeps something of each thread
def test_gevent_in_another_thread():
    import gevent
    import gevent.queue

    def serve():
        queue = gevent.queue.Queue()
        producer = gevent.spawn(lambda: [queue.put(n) for n in range(10)])
        consumer = gevent.spawn(
            lambda: [(gevent.sleep(0), queue.get())[1] for _ in range(10)])
        gevent.joinall([producer, consumer], raise_error=True)
        gevent.get_hub().destroy()
        return consumer.value

    log = []
    tasklets_at_work(log)
    assert in_thread(serve) == list(range(10))
    stackless.run()
    assert sorted(log) == EXPECTED


@needs_gevent
def test_gevent_on_the_main_tasklets_stack():
    """A greenlet runs the tasklets in turns with the other greenlets."""
    import gevent

    log, slept = [], []
    tasklets_at_work(log)

    def run_tasklets():
        while stackless.getruncount() > 1:
            stackless.schedule()
            gevent.sleep(0)

    def sleep():
        for index in range(5):
            gevent.sleep(0.001)
            slept.append(index)

    gevent.joinall([gevent.spawn(run_tasklets), gevent.spawn(sleep)],
                   raise_error=True)
    assert slept == list(range(5)) and sorted(log) == EXPECTED


IMPORTS = {
    "by main": "import greenlet, stackless",
    "late": "import stackless\nfor _ in range(9): stackless.schedule()\n"
    "import greenlet",
    "by a tasklet": "import stackless\n"
    "stackless.tasklet(__import__)('greenlet')\nstackless.schedule()\n"
    "import greenlet",
}


@pytest.mark.parametrize("options", [(), ("--hard-main",)])
@pytest.mark.parametrize("how", IMPORTS)
def test_in_main_of_the_command_line(tmp_path, how, options):
    """A tasklet waits in C where main's suspended greenlets have been."""
    program = tmp_path / "program.py"
    program.write_text(IMPORTS[how] + textwrap.dedent("""
        channel = stackless.channel()
        def in_c():
            sorted(range(3), key=lambda _: channel.receive())
        def count():
            for number in range(9):
                max([0], key=lambda _: greenlet.getcurrent().parent.switch(
                    number))
        counters = [greenlet.greenlet(count) for _ in range(3)]
        for _ in range(4):
            stackless.tasklet(in_c)()
            stackless.run()
            print(*[counter.switch() for counter in counters])
        while channel.balance < 0:
            channel.send(0)
        """))
    done = subprocess.run(
        [sys.executable, "-m", "stackless", *options, program],
        capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout) == (
        0, "".join(f"{n} {n} {n}\n" for n in range(4))), done.stderr
