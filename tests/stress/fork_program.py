"""Fork while tasklets are in all states, and go on in both processes.

    python tests/stress/fork_program.py PLACE ACTION

The process forks at PLACE; child and parent then do ACTION with tasklets
that were there before, and say what came of it.  The child is first.
"""

import gc
import os
import sys
import threading
import warnings
import weakref

import stackless

PLACES, ACTIONS = {}, {}


def listed(table):
    def register(function):
        table[function.__name__] = function
        return function

    return register


def say(*words):
    print(*words, flush=True)


def pause():
    return stackless.schedule_remove(None)


def through_c(function):
    return sorted([1], key=lambda _: function())


# --- the tasklets ------------------------------------------------------------


class Zoo:
    """One tasklet in each state; each logs what becomes of it."""

    def __init__(self):
        self.log = []
        self.channel = stackless.channel()
        self.tasklets = {}
        for name, wait in {
            "runnable": lambda: stackless.schedule(None),
            "paused": pause,
            "blocked": self.channel.receive,
        }.items():
            self.add(name, self.body, wait)
            self.add(name + " in C", self.body, lambda w=wait: through_c(w))
        self.add("being killed", self.survive, pause)
        self.tasklets["being killed"].kill()

    def add(self, name, body, wait):
        """Start it in a ring where nobody else is."""
        waiting = self.take_others()
        t = self.tasklets[name] = stackless.tasklet(body)(name, wait)
        stackless.schedule(None)
        for each in waiting:
            each.insert()

    def take_others(self):
        others = []
        while stackless.current.next is not stackless.current:
            others.append(stackless.current.next.remove())
        return others

    def body(self, name, wait):
        try:
            wait()
            self.log.append(f"{name}: woken")
        except TaskletExit:
            self.log.append(f"{name}: killed")

    def survive(self, name, wait):
        try:
            wait()
        finally:
            self.body(name, wait)

    def told(self, what, names=None):
        """Whether exactly that became of each of them."""
        expected = [f"{name}: {what}" for name in names or self.tasklets]
        same = sorted(self.log) == sorted(expected)
        return f"all {len(expected)}" if same else self.log


zoo = None  # global: no frame is to keep it


# --- what is done with them --------------------------------------------------


@listed(ACTIONS)
def wake():
    """Each is run to its end."""
    for name, t in zoo.tasklets.items():
        if name.startswith("blocked"):
            zoo.channel.send(None)
        else:
            t.insert()
    while stackless.getruncount() > 1:
        stackless.schedule(None)
    say("woken:", zoo.told("woken"))


@listed(ACTIONS)
def kill():
    zoo.take_others()
    for t in zoo.tasklets.values():
        t.kill()
    say("killed:", zoo.told("killed"))


@listed(ACTIONS)
def drop():
    """The last reference goes; those that are blocked stay."""
    zoo.take_others()
    names = [each for each in zoo.tasklets if "blocked" not in each]
    blocked = {each: zoo.tasklets[each] for each in zoo.tasklets.keys() - names}
    zoo.tasklets.clear()
    say("dropped:", zoo.told("killed", names))
    zoo.tasklets = blocked


@listed(ACTIONS)
def collect():
    """Their frames lead to the zoo and back; C keeps one of the cycles."""
    global zoo
    zoo.take_others()
    names = [each for each in zoo.tasklets if each != "blocked in C"]
    zoo.tasklets["blocked in C"].kill()
    log, found = zoo.log, weakref.ref(zoo)
    log.clear()
    zoo = None
    gc.collect()
    while stackless.getruncount() > 1:
        stackless.schedule(None)
    gc.collect()
    say("collected:", len(log), "of", len(names), "zoo", found())


@listed(ACTIONS)
def start_more():
    """New tasklets and C stacks, and a thread with a scheduler of its own."""
    zoo.take_others()
    channel, answers = stackless.channel(), []

    def body():
        answers.append(through_c(channel.receive))

    for _ in range(20):
        stackless.tasklet(body)()
    while stackless.getruncount() > 1:
        stackless.schedule(None)
    for i in range(20):
        channel.send(i)

    def work():
        stackless.tasklet(through_c)(pause)
        stackless.tasklet(answers.append)("in a thread")
        stackless.run()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    say("more:", len(answers), answers[-1])


@listed(ACTIONS)
def end():
    """What is alive is killed by the end of the program."""

    class Log(list):
        append = print

    zoo.log = Log()


# --- where the process forks -------------------------------------------------


@listed(PLACES)
def main(fork):
    fork()


def in_tasklet(call):
    """Main is blocked until that tasklet has ended."""
    channel = stackless.channel()

    def body():
        call()
        channel.send(None)

    stackless.tasklet(body)()
    channel.receive()


@listed(PLACES)
def tasklet(fork):
    in_tasklet(fork)


@listed(PLACES)
def tasklet_in_c(fork):
    in_tasklet(lambda: through_c(fork))


class Destructor:
    def __init__(self, function):
        self.function = function

    def __del__(self):
        self.function()


@listed(PLACES)
def destructor(fork):
    in_tasklet(lambda: Destructor(fork))


@listed(PLACES)
def finally_block(fork):
    """Of a tasklet that is being killed."""

    channel = stackless.channel()

    def body():
        try:
            pause()
        finally:
            through_c(fork)
            channel.send(None)

    t = stackless.tasklet(body)()
    t.run()
    stackless.tasklet(t.kill)()
    channel.receive()


def in_thread(call):
    """The child goes on with that thread only, and ends with it."""
    worker = threading.Thread(target=call)
    worker.start()
    worker.join()


@listed(PLACES)
def thread(fork):
    in_thread(fork)


@listed(PLACES)
def tasklet_in_a_thread(fork):
    in_thread(lambda: in_tasklet(lambda: through_c(fork)))


def run(place, action):
    def fork():
        global zoo
        zoo = Zoo()
        pid = os.fork()
        if pid:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            say("child:", status)
        ACTIONS[action]()
        say("end")

    PLACES[place](fork)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # forks of a process with threads
    sys.stdout.reconfigure(line_buffering=True)
    if os.environ.get("STACKLESS_TEST_HARD") == "1":
        stackless.enable_softswitch(False)
    run(*sys.argv[1:])
