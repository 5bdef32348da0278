"""Many tasklets in one pickle: each costs as much as one of a few."""

import contextvars
import sys

import pytest

import stackless
from stackless._freezing import pickling, unpickling


def receiving(channel):
    return channel.receive()


def sending(channel):
    channel.send(1)


def pausing(channel):
    return stackless.schedule_remove(None)


class Subclass(stackless.tasklet):
    pass


def waiting(function, count, kind=stackless.tasklet):
    channel = stackless.channel()
    tasklets = [kind(function)(channel) for _ in range(count)]
    for tasklet in tasklets:
        tasklet.set_context(contextvars.Context())  # nothing of decimal's
    stackless.run()
    return tasklets


def lines(function, *args):
    """How many lines of Python code that runs, and what it returns."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        value = function(*args)
    finally:
        sys.settrace(before)
    return count, value


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("function", [receiving, sending, pausing])
def test_the_cost_does_not_grow_with_their_number(function, reverse):
    costs = []
    for count in (20, 200):
        tasklets = waiting(function, count, Subclass)
        if reverse:
            tasklets.reverse()
        written, data = lines(pickling.dumps, tasklets)
        read, copies = lines(unpickling.loads, data)
        assert len(copies) == count
        costs.append((written / count, read / count))
        for tasklet in tasklets + copies:
            tasklet.kill()
    for few, many in zip(*costs):
        assert many <= 1.1 * few


@pytest.mark.soft
def test_plain_ones_need_no_python_code():
    """But for what is done once."""
    costs = []
    for count in (1, 50):
        tasklets = waiting(pausing, count)
        unpickling.loads(pickling.dumps(tasklets))  # code is looked at once
        written, data = lines(pickling.dumps, tasklets)
        read, _ = lines(unpickling.loads, data)
        costs.append((written, read))
    assert costs[0] == costs[1]


@pytest.mark.parametrize("function", [receiving, sending])
def test_they_wait_in_the_same_order(function):
    tasklets = waiting(function, 7)
    for n, tasklet in enumerate(tasklets):
        tasklet.name = str(n)
    chosen = tasklets[3:] + tasklets[:3]
    copies = unpickling.loads(pickling.dumps(chosen))
    names = []
    each = copies[0].waiting_for.queue
    while each is not None:
        names.append(each.name)
        each = each.next
    assert names == [str(n) for n in range(7)]
