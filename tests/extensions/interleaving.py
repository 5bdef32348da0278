"""Work done by several tasklets in turns, switching inside callbacks."""

import stackless


class Failure(Exception):
    """What callbacks raise."""


def pause():
    """Leave the ring.  Without an argument the tasklet would keep itself."""
    return stackless.schedule_remove(None)


def switch(*args):
    return stackless.schedule("back")


def started(function, *args):
    """A tasklet that has run up to its first suspension, or its end."""
    tasklet = stackless.tasklet(function)(*args)
    tasklet.run()
    return tasklet


def interleave(work, count=3):
    """What work(n) gave in as many tasklets, which ran in turns."""
    results = {}

    def body(number):
        results[number] = work(number)

    tasklets = [stackless.tasklet(body)(number) for number in range(count)]
    stackless.run()
    assert not any(tasklet.alive for tasklet in tasklets)
    return [results[number] for number in range(count)]
