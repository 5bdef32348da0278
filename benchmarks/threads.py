"""What do threads and atomic sections cost?

A section: what set_atomic() costs more where it opens and closes one than where
it changes nothing.  Messages: between two threads, by a channel and by
queue.SimpleQueue ("thread").  A channel has no room: who sends waits until it is
received, so the fair comparison is a queue whose messages are answered; with many
tasklets on each side many messages are handed over in one turn of a thread.
"""

import itertools
import queue
import sys
import threading
import time

import _bench

QUESTION = "What do threads and atomic sections cost?"


def sections(times, others=False):
    """One entered and left, in a process with one thread, or with another."""
    import stackless

    over = threading.Event()
    if others:
        thread = threading.Thread(target=over.wait)
        thread.start()
    set_atomic = stackless.current.set_atomic

    def changes():
        for _ in itertools.repeat(None, times):
            set_atomic(1)
            set_atomic(0)

    def does_not():
        for _ in itertools.repeat(None, times):
            set_atomic(0)
            set_atomic(0)

    cost = _bench.nanoseconds(changes, times)
    cost -= _bench.nanoseconds(does_not, times)
    if others:
        over.set()
        thread.join()
    return max(cost, 0)


def back_from_sleep(times):
    """How late one comes back that sleeps inside; the worst time, in ms."""
    import stackless

    def spin():
        while not over:
            pass

    over, worst = [], 0
    threads = [threading.Thread(target=spin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(times):
        with stackless.atomic():
            begun = time.perf_counter()
            time.sleep(0.01)
            worst = max(worst, time.perf_counter() - begun - 0.01)
    over.append(True)
    for thread in threads:
        thread.join()
    return worst * 1e3


def between(sender, receiver, times):
    """Both in threads of their own; nanoseconds per message."""
    def work():
        threads = [threading.Thread(target=function)
                   for function in (sender, receiver)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _bench.nanoseconds(work, times)


def channel_messages(times, tasklets=1):
    import stackless

    channel = stackless.channel()
    each, received = times // tasklets, []

    def many(function):
        """Run it in so many tasklets, while main waits for them."""
        def one():
            function()
            done.send(None)

        done = stackless.channel()
        for _ in range(tasklets):
            stackless.tasklet(one)()
        for _ in range(tasklets):
            done.receive()

    def send():
        for number in range(each):
            channel.send(number)

    def receive():
        for _ in range(each):
            received.append(channel.receive())

    cost = between(lambda: many(send), lambda: many(receive), times)
    _bench.check(sum(received), tasklets * sum(range(each)))
    return cost


def queue_messages(times, answered=False):
    there, back, received = queue.SimpleQueue(), queue.SimpleQueue(), []

    def send():
        for number in range(times):
            there.put(number)
            if answered:
                back.get()

    def receive():
        for _ in range(times):
            received.append(there.get())
            if answered:
                back.put(None)

    cost = between(send, receive, times)
    _bench.check(received, list(range(times)))
    return cost


def rows(quick):
    times = 1_000 if quick else 10_000
    return [
        _bench.Row("a section, in a process with one thread", {
            "stackless": lambda: sections(times),
        }, (_bench.at_most(25),), alone=True),
        _bench.Row("a section, in a process with two threads", {
            "stackless": lambda: sections(times, others=True),
        }, (_bench.at_most(100),), alone=True),
        _bench.Row("back from a sleep inside, beside two busy threads", {
            "stackless": lambda: back_from_sleep(2 if quick else 20),
        }, (_bench.at_most(30),), unit="ms", alone=True, rounds=3),
        _bench.Row("a message between threads, answered", {
            "stackless": lambda: channel_messages(times),
            "thread": lambda: queue_messages(times, answered=True),
        }, (_bench.at_most(0.5, "thread", name="SimpleQueue"),), rounds=5),
        _bench.Row("a message between threads, 100 tasklets in each", {
            "stackless": lambda: channel_messages(times, tasklets=100),
            "thread": lambda: queue_messages(times),
        }, (_bench.at_most(0.5, "thread", name="SimpleQueue"),), rounds=5),
    ]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
