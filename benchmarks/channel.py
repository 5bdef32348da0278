"""What does it cost to hand over one object?

A receiver that waits and a sender that sends in a loop: each message needs a
switch there and one back.  Beside it: the same with two greenlets, with a
generator, with the channels and queues of others that hold as little as they
can, and with two threads.

Then send() and receive() that need no switch: the partners are blocked
already, and the channel prefers whoever calls.
"""

import functools
import itertools
import queue
import sys
import threading

import _bench
import _peers

READY = 500
QUESTION = "What does it cost to hand over one object?"


def by_channel(column, times):
    """With whatever has channels."""
    def sender(send):
        for _ in itertools.repeat(None, times):
            send(None)

    def receiver(receive):
        for _ in itertools.repeat(None, times):
            receive()
        received.append(times)

    def main():
        channel = kit.channel()
        kit.spawn(receiver, channel.receive)
        sender(channel.send)

    kit, received = _peers.kit(column), []
    cost = _bench.nanoseconds(lambda: kit.run(main), times)
    if column == "stackless":  # others may have one message under way
        _bench.check(received, [times])
    return cost


def by_for(times):
    import stackless

    def receiver():
        left = times
        for _ in channel:
            left -= 1
            if not left:
                break

    def sender():
        send = channel.send
        for _ in itertools.repeat(None, times):
            send(None)

    channel = stackless.channel()
    stackless.tasklet(receiver)()
    stackless.tasklet(sender)()
    cost = _bench.nanoseconds(stackless.run, times)
    _bench.check(channel.balance, 0)
    return cost


def by_greenlet(times):
    import greenlet

    def receiver(_):
        switch = sender.switch
        for _ in itertools.repeat(None, times):
            switch()

    sender = greenlet.getcurrent()
    other = greenlet.greenlet(receiver)

    def work():
        switch = other.switch
        for _ in itertools.repeat(None, times):
            switch(None)

    cost = _bench.nanoseconds(work, times)
    other.switch()
    return cost


def by_generator(times):
    def receiver():
        while True:
            yield

    other = receiver()
    next(other)

    def work():
        send = other.send
        for _ in itertools.repeat(None, times):
            send(None)

    return _bench.nanoseconds(work, times)


def by_asyncio(column, times):
    import asyncio

    async def receiver(channel):
        for _ in itertools.repeat(None, times):
            await channel.get()

    async def work(channel):
        other = asyncio.create_task(receiver(channel))
        for _ in itertools.repeat(None, times):
            await channel.put(None)
        await other

    async def main():
        import time

        channel = asyncio.Queue(1)
        begun = time.perf_counter_ns()
        await work(channel)
        return (time.perf_counter_ns() - begun) / times

    return _peers.run_async(column, main)


def by_threads(times):
    there, back = queue.SimpleQueue(), queue.SimpleQueue()

    def receiver():
        for _ in itertools.repeat(None, times):
            back.put(there.get())

    def work():
        other = threading.Thread(target=receiver)
        other.start()
        for _ in itertools.repeat(None, times):
            there.put(None)
            back.get()
        other.join()

    return _bench.nanoseconds(work, times)


def by_goroutines(times):
    cost, received = _peers.go("channel", times)
    _bench.check(received, times)
    return cost


def calls(times):
    def empty():
        pass

    def work():
        for _ in itertools.repeat(None, times):
            empty()

    return _bench.nanoseconds(work, times)


def without_switch(name, times):
    """send() or receive() while the others are blocked and ready.

    Some hundreds of them at a time; only the calls are measured.
    """
    import stackless

    channel = stackless.channel()
    channel.preference = 1 if name == "send" else -1

    def sends(times):
        send = channel.send
        for _ in itertools.repeat(None, times):
            send(None)

    def receives(times):
        receive = channel.receive
        for _ in itertools.repeat(None, times):
            receive()

    def work():
        for _ in itertools.repeat(None, times // READY):
            for _ in itertools.repeat(None, READY):
                if name == "send":
                    stackless.tasklet(channel.receive)()
                else:
                    stackless.tasklet(channel.send)(None)
            while abs(channel.balance) < READY:
                stackless.schedule()
            call = sends if name == "send" else receives
            costs.append(_bench.nanoseconds(
                functools.partial(call, READY), READY))
            _bench.check(stackless.getruncount(), READY + 1)
            while stackless.getruncount() > 1:
                stackless.schedule()

    costs = []
    stackless.tasklet(work)()
    stackless.run()
    return sum(costs) / len(costs)


def rows(quick):
    times = 5_000 if quick else 20_000
    few = 1_000 if quick else 5_000
    at = functools.partial
    return [
        _bench.Row("channel: a message, receiver waits", {
            "stackless": at(by_channel, "stackless", times),
            "call": at(calls, times),
            "generator": at(by_generator, times),
            "greenlet": at(by_greenlet, times),
            "gevent": at(by_channel, "gevent", times // 10),
            "eventlet": at(by_channel, "eventlet", times // 10),
            "asyncio": at(by_asyncio, "asyncio", times // 20),
            "uvloop": at(by_asyncio, "uvloop", times // 20),
            "thread": at(by_threads, times // 50),
            "go": at(by_goroutines, times * 10),
        }, (_bench.at_most(4.5, "call"), _bench.faster(10, "gevent"),
            _bench.faster(40, "asyncio"), _bench.faster(2, "go"))),
        _bench.Row("channel: a message, received by for", {
            "stackless": at(by_for, times),
            "call": at(calls, times),
        }),
        _bench.Row("channel: send() that need not switch", {
            "stackless": at(without_switch, "send", few),
            "call": at(calls, few),
        }, (_bench.at_most(2, "call"),)),
        _bench.Row("channel: receive() that need not switch", {
            "stackless": at(without_switch, "receive", few),
            "call": at(calls, few),
        }, (_bench.at_most(2, "call"),)),
    ]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
