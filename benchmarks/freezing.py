"""How large is a frozen tasklet, and what does it cost to freeze, thaw and clone one?

Frames have five local variables: two numbers, a text, a list and None.  Plain pickle
writes and reads the same values, in nested tuples.  What has been thawed is
dropped, as these are: nothing of it runs.
"""

import io
import pickle
import sys

import _bench

QUESTION = "How large is a frozen tasklet, and what does it cost?"


def deep(depth):
    number, other, text, values, nothing = depth, 1.5, "text", [1, 2], None
    if depth > 1:
        deep(depth - 1)
    else:
        suspend()
    return number, other, text, values, nothing


def suspend():
    import stackless

    stackless.schedule_remove(None)


def suspended(depth):
    """A tasklet that waits in that many frames, but for the one that suspends."""
    import stackless

    global suspend
    suspend = stackless.schedule_remove
    task = stackless.tasklet(deep)(depth)
    task.run()
    return task


def nested(depth):
    values = ()
    for number in range(1, depth + 1):
        values = number, 1.5, "text", [1, 2], None, values
    return values


def size(depth):
    """Bytes without an envelope."""
    from stackless._freezing import pickling

    task = suspended(depth)
    data = pickling.dumps(task)
    task.kill()
    return len(data)


def envelope(depth):
    """Bytes that the envelope adds."""
    import stackless

    task = suspended(depth)
    data = stackless.freeze(task)
    task.kill()
    return len(data) - size(depth)


def freeze_and_thaw(depth, times):
    from stackless._freezing import pickling, unpickling

    task = suspended(depth)

    def work():
        for _ in range(times):
            unpickling.loads(pickling.dumps(task)).bind()

    cost = _bench.nanoseconds(work, times)
    task.kill()
    return cost


def plain_pickle(depth, times):
    values = nested(depth)

    def work():
        for _ in range(times):
            file = io.BytesIO()
            pickle.Pickler(file, 5).dump(values)
            pickle.loads(file.getvalue())

    return _bench.nanoseconds(work, times)


def clone(depth, times):
    task = suspended(depth)

    def work():
        for _ in range(times):
            task.clone().kill()

    cost = _bench.nanoseconds(work, times)
    task.kill()
    return cost


def empty():
    pass


def call(times):
    def work():
        for _ in range(times):
            empty()

    return _bench.nanoseconds(work, times)


def rows(quick):
    times = 20 if quick else 200
    sizes = [
        _bench.Row(f"bytes at {depth} frames, without envelope", {
            "stackless": lambda depth=depth: size(depth),
        }, (_bench.at_most(limit),), unit="bytes")
        for depth, limit in ((1, 260), (5, 520), (20, 1450))
    ]
    envelopes = [
        _bench.Row(f"bytes of the envelope at {depth} frames", {
            "stackless": lambda depth=depth: envelope(depth),
        }, (_bench.at_most(200 + 40 * depth),), unit="bytes")
        for depth in (1, 5, 20)
    ]
    costs = [
        _bench.Row(f"freeze and thaw at {depth} frames", {
            "stackless": lambda depth=depth: freeze_and_thaw(depth, times),
            "pickle": lambda depth=depth: plain_pickle(depth, times),
        }, (_bench.at_most(limit, "pickle"),))
        for depth, limit in ((1, 8), (20, 3))
    ]
    return [*sizes, *envelopes, *costs, _bench.Row("clone at 5 frames", {
        "stackless": lambda: clone(5, times),
        "call": lambda: call(50 * times),
    }, (_bench.at_most(150, "call"),))]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
