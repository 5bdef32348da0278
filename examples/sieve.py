"""The sieve of Eratosthenes as a chain of tasklets.

One tasklet for each prime found so far.  It drops the multiples of its prime
and passes all other numbers on; the first number that reaches the end of the
chain is a new prime, and makes the chain longer.
"""

import itertools

import stackless


def count(output):
    for number in itertools.count(2):
        output.send(number)


def sift(prime, source, output):
    for number in source:
        if number % prime:
            output.send(number)


def primes():
    source = stackless.channel()
    stackless.tasklet(count)(source)
    while True:
        prime = source.receive()
        yield prime
        rest = stackless.channel()
        stackless.tasklet(sift)(prime, source, rest)
        source = rest


print(*itertools.islice(primes(), 20))

# Prints:
#     2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71
