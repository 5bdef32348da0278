"""A prime sieve of channels: a filter for each prime, one behind the other.

Numbers enter at one end; each filter drops the multiples of its prime.  What
comes out of the last one is prime, and gets a filter of its own.  A zero
follows the last number and ends all of them.
"""

import sys

import _bench
import _peers
import _programs

NAME = "prime sieve"
GO = "sieve"
QUESTION = f"{NAME}: a filter for each prime"
ROUNDS = 20


def by_channels(column, limit):
    kit = _peers.kit(column)

    def numbers(send):
        for number in range(2, limit):
            send(number)
        send(0)

    def sift(prime, receive, send):
        while True:
            number = receive()
            if number == 0:
                break
            if number % prime:
                send(number)
        send(0)

    def main():
        outlet, last, count = kit.channel(), 0, 0
        kit.spawn(numbers, outlet.send)
        while True:
            prime = outlet.receive()
            if prime == 0:
                return outcome(count, last)
            last, count, inlet = prime, count + 1, outlet
            outlet = kit.channel()
            kit.spawn(sift, prime, inlet.receive, outlet.send)

    return kit.run(main)


def by_greenlet(limit):
    """Whoever wants a number switches to its source, and says who it is."""
    import greenlet

    def numbers(taker):
        for number in range(2, limit):
            taker = taker.switch(number)
        taker.switch(0)

    def sift(prime, source):
        def body(taker):
            me = greenlet.getcurrent()
            number = source(me)
            while number:
                if number % prime:
                    taker = taker.switch(number)
                number = source(me)
            taker.switch(0)

        return greenlet.greenlet(body).switch

    me, last, count = greenlet.getcurrent(), 0, 0
    source = greenlet.greenlet(numbers).switch
    while True:
        prime = source(me)
        if prime == 0:
            return outcome(count, last)
        last, count = prime, count + 1
        source = sift(prime, source)


def by_asyncio(column, limit):
    import asyncio

    async def numbers(outlet):
        for number in range(2, limit):
            await outlet.put(number)
        await outlet.put(0)

    async def sift(prime, inlet, outlet):
        while True:
            number = await inlet.get()
            if number == 0:
                break
            if number % prime:
                await outlet.put(number)
        await outlet.put(0)

    async def main():
        # Unbounded queues would hold whole lists instead of a stream.
        outlet, last, count = asyncio.Queue(1), 0, 0
        tasks = [asyncio.create_task(numbers(outlet))]
        while True:
            prime = await outlet.get()
            if prime == 0:
                return outcome(count, last)
            last, count, inlet = prime, count + 1, outlet
            outlet = asyncio.Queue(1)
            tasks.append(asyncio.create_task(sift(prime, inlet, outlet)))

    return _peers.run_async(column, main)


def outcome(count, last):
    """How many primes and the last one, in one number."""
    return count * 1_000_000 + last


def by_division(limit):
    """The outcome as anybody else would compute it."""
    primes = []
    for number in range(2, limit):
        if all(number % prime for prime in primes):
            primes.append(number)
    return outcome(len(primes), primes[-1])


def rows(quick):
    limit = 500 if quick else 2_500
    return [_programs.row(sys.modules[__name__], limit, by_division(limit),
                          switching=True)]


if __name__ == "__main__":
    _bench.main(sys.modules["__main__"])
