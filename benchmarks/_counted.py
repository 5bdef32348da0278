"""The operations whose instructions tools/count_instructions.py counts.

    python _counted.py FEWER MORE

It runs this under callgrind.  Each operation is prepared, and done FEWER and
then MORE times between two calls of os.getpriority(), at which callgrind
writes down what it has counted since the last one.  Printed: the extension's
file, and the names of the operations in their order.

No two operations share a loop, because CPython specialises code for what runs
there first.
"""

import gc
import itertools
import os
import sys

import stackless

WARM = 400
BATCH = 100


def by_calls(times):
    def empty():
        pass

    def work():
        for _ in itertools.repeat(None, times):
            empty()

    return work


def by_schedule(many):
    def prepare(times):
        def member():
            schedule = stackless.schedule
            for _ in itertools.repeat(None, times // many):
                schedule()

        for _ in range(many):
            stackless.tasklet(member)()
        return stackless.run

    return prepare


def by_sorted(many):
    def prepare(times):
        def member():
            sorted(
                range(times // many),
                key=lambda _: stackless.schedule() is None,
            )

        for _ in range(many):
            stackless.tasklet(member)()
        return stackless.run

    return prepare


def by_message(times):
    """Each finds the receiver blocked, which runs at once."""
    channel = stackless.channel()

    def receiver():
        receive = channel.receive
        for _ in itertools.repeat(None, times):
            receive()

    def sender():
        send = channel.send
        for _ in itertools.repeat(None, times):
            send(None)

    stackless.tasklet(receiver)()
    stackless.tasklet(sender)()
    return stackless.run


def by_send(times):
    """A receiver is blocked for each; the sender goes on."""
    channel = stackless.channel()
    channel.preference = 1
    for _ in range(times):
        stackless.tasklet(lambda: channel.receive())()
    stackless.run()

    def work():
        send = channel.send
        for _ in itertools.repeat(None, times):
            send(None)

    return work


def by_receive(times):
    """A sender is blocked for each; the receiver goes on."""
    channel = stackless.channel()
    channel.preference = -1
    for _ in range(times):
        stackless.tasklet(lambda: channel.send(None))()
    stackless.run()

    def work():
        receive = channel.receive
        for _ in itertools.repeat(None, times):
            receive()

    return work


def by_tasklets(times):
    """In batches, so that the memory of the last one serves the next."""
    def nothing():
        pass

    def work():
        tasklet, run = stackless.tasklet, stackless.run
        for _ in itertools.repeat(None, times // BATCH):
            for _ in itertools.repeat(None, BATCH):
                tasklet(nothing)()
            run()

    return work


# How to prepare it; soft and hard switches of each.
OPERATIONS = {
    "empty call": (by_calls, 0, 0),
    "schedule(), 2 tasklets": (by_schedule(2), 1, 0),
    "schedule(), 100 tasklets": (by_schedule(100), 1, 0),
    "message to a blocked receiver": (by_message, 2, 0),
    "send() without a switch": (by_send, 0, 0),
    "receive() without a switch": (by_receive, 0, 0),
    "make, run and end": (by_tasklets, 0, 0),
    "hard switch, 2 tasklets": (by_sorted(2), 0, 1),
    "hard switch, 100 tasklets": (by_sorted(100), 0, 1),
}


def mark():
    os.getpriority(os.PRIO_PROCESS, 0)


def switches():
    stats = stackless.get_stats()
    return stats["soft_switches"], stats["hard_switches"]


def count(name, times):
    """Do it between two marks."""
    prepare, *expected = OPERATIONS[name]
    work = prepare(times)
    before = switches()
    mark()
    work()
    mark()
    for old, new, each in zip(before, switches(), expected):
        # Starting and ending may take some more.
        if not 0 <= new - old - each * times <= times / 50:
            raise RuntimeError(f"{name}: switches are not what they were")
    stackless.run()


def main():
    gc.disable()
    for name, (prepare, *_) in OPERATIONS.items():
        prepare(WARM)()
        stackless.run()
        for times in sys.argv[1:]:
            count(name, int(times))
    extension = os.path.realpath(stackless._core.__file__)
    print(extension, *OPERATIONS, sep="\n")


if __name__ == "__main__":
    main()
