"""Threads, sections and interruptions together, as long as one likes.

    threads_program.py sections COUNT             read, change, write: none is lost
    threads_program.py exchange THREADS TASKLETS SECONDS
    threads_program.py messages COUNT             between two threads, in order

Prints what was done, and ends with "right". test_threads_together.py runs each for a
moment; how long they have run otherwise is in docs/design/threads.md.
"""

import random
import sys
import threading
import time

import stackless

THREADS, TASKLETS = 4, 100


def in_threads(functions):
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def with_tasklets(function, arguments):
    """Run it in a tasklet for each, while the thread's main tasklet waits."""
    done = stackless.channel()

    def one(argument):
        try:
            function(argument)
        finally:
            done.send(None)

    for argument in arguments:
        stackless.tasklet(one)(argument)
    for _ in arguments:
        done.receive()


# --- sections -----------------------------------------------------------------


def sections(count):
    """Threads take turns as often as they can, tasklets each millisecond."""
    each = count // (THREADS * TASKLETS)
    counter = [0]

    def work(number):
        naps = random.Random(number)
        for _ in range(each):
            with stackless.atomic():
                if naps.random() < 0.0005:
                    time.sleep(1e-5)  # others run; then the section holds again
                value = counter[0]
                for _ in "abc":
                    pass
                counter[0] = value + 1

    sys.setswitchinterval(1e-6)
    stackless.preempt(0.001)
    begun = time.perf_counter()
    in_threads(
        lambda: with_tasklets(work, range(TASKLETS)) for _ in range(THREADS)
    )
    seconds = time.perf_counter() - begun
    stackless.preempt(None)
    made = each * THREADS * TASKLETS
    print(made, "sections in", round(seconds, 1), "s;", made - counter[0], "lost")
    assert counter[0] == made


# --- tasklets of many threads meet at random -----------------------------------


def exchange(threads, tasklets, seconds):
    """Sums of what was sent and what was received."""
    channels = [stackless.channel() for _ in range(threads * tasklets // 8 + 1)]
    sent, received, numbers = [], [], []
    end = time.monotonic() + seconds

    def meet(seed):
        chance = random.Random(seed)
        out = into = count = 0
        try:
            while time.monotonic() < end:
                channel = chance.choice(channels)
                wanted = channel.balance
                if wanted < 0 or (wanted == 0 and chance.random() < 0.5):
                    value = chance.getrandbits(62)
                    channel.send(value)
                    out += value
                    count += 1
                else:
                    into += channel.receive()
        except StopIteration:
            pass
        sent.append(out)
        received.append(into)
        numbers.append(count)

    def release():
        """Whoever is left waiting when the time is over."""
        while len(numbers) < threads * tasklets:
            for channel in channels:
                with stackless.atomic():  # or another thread comes between
                    balance = channel.balance
                    if balance < 0:
                        channel.send_exception(StopIteration)
                    elif balance > 0:
                        received.append(channel.receive())
            time.sleep(0.01)

    def thread(number):
        first = number * tasklets
        with_tasklets(meet, range(first, first + tasklets))

    def until_the_end():
        time.sleep(seconds)
        release()

    works = [lambda number=number: thread(number) for number in range(threads)]
    in_threads([*works, until_the_end])
    print(sum(numbers), "messages of", threads * tasklets, "tasklets in", threads,
          "threads in", seconds, "s")  # fmt: skip
    assert sum(sent) == sum(received)
    assert sum(numbers) > 0


# --- messages -----------------------------------------------------------------


def messages(count):
    channel, received = stackless.channel(), []

    def send():
        for number in range(count):
            channel.send(number)

    def receive():
        for _ in range(count):
            received.append(channel.receive())

    begun = time.perf_counter()
    in_threads([send, receive])
    cost = (time.perf_counter() - begun) / count
    print(count, "messages,", round(cost * 1e6, 2), "us each")
    assert received == list(range(count))


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    program = {"sections": sections, "exchange": exchange, "messages": messages}
    program[what](*map(int, numbers))
    print("right")
