"""What does it cost to hand over one object?

A sender and a receiver, one message after the other, each of which needs the
other one to run.  Beside it: the same with two greenlets (a switch there and
one back), with a generator, with asyncio's queue, and with two threads.
"""

import itertools
import queue
import sys
import threading

import _bench
import stackless

QUESTION = "What does it cost to hand over one object?"
UNIT = "ns"
OURS = "stackless: send() and receive()"

greenlet = _bench.optional("greenlet")


def stackless_pair(times, receiver):
    channel = stackless.channel()

    def sender():
        send = channel.send
        for _ in itertools.repeat(None, times):
            send(None)

    stackless.tasklet(receiver)(channel, times)
    stackless.tasklet(sender)()
    return _bench.nanoseconds(stackless.run, times)


def by_receive(channel, times):
    receive = channel.receive
    for _ in itertools.repeat(None, times):
        receive()


def by_for(channel, times):
    left = times
    for _ in channel:
        left -= 1
        if not left:
            break


def by_greenlet(times):
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


def by_asyncio(times):
    import asyncio

    async def receiver(channel):
        for _ in itertools.repeat(None, times):
            await channel.get()

    async def work():
        channel = asyncio.Queue(1)
        other = asyncio.create_task(receiver(channel))
        for _ in itertools.repeat(None, times):
            await channel.put(None)
        await other

    return _bench.nanoseconds(lambda: asyncio.run(work()), times)


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


def cases(quick):
    times = 5_000 if quick else 20_000
    found = {
        OURS: lambda: stackless_pair(times, by_receive),
        "stackless: for value in channel":
            lambda: stackless_pair(times, by_for),
        "generator.send()": lambda: by_generator(times),
        "asyncio.Queue(1)": lambda: by_asyncio(times // 20),
        "two threads, queue.SimpleQueue": lambda: by_threads(times // 50),
    }
    if greenlet:
        found["greenlet: switch() there and back"] = (
            lambda: by_greenlet(times))
    return found


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
