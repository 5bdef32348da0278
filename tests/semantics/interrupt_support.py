"""Helpers of the tests of interruptions: tasklets that never let go."""

import contextlib
import itertools
import sys

import pytest
import stackless

other_threads = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="CPython 3.11 has no way to do that")


def forever():
    while True:
        pass


def counting(counter):
    while True:
        counter[0] += 1


def by_comprehension():
    [None for _ in itertools.count()]


def by_generator():
    def numbers():
        while True:
            yield 1

    for _ in numbers():
        pass


def by_recursion():
    def deeper(n):
        if n:
            deeper(n - 1)

    while True:
        deeper(20)


def by_calls():
    while True:
        len("")


def by_exceptions():
    while True:
        try:
            raise KeyError
        except KeyError:
            pass


def by_sorting():
    while True:
        sorted(range(100), key=lambda n: -n)


def by_with():
    while True:
        with contextlib.nullcontext():
            pass


def end(*tasks):
    """Kill them; none of the others runs meanwhile."""
    for t in tasks:
        t.remove()
    for t in tasks:
        t.kill()


def interrupt(until, limit):
    """Run until that is true; who was interrupted then. On a slow machine it may
    be somebody who has hardly begun."""
    while True:
        t = stackless.run(**limit)
        if until():
            return t
        t.insert()


LOOPS = [forever, by_comprehension, by_generator, by_recursion, by_calls,
         by_exceptions, by_sorting, by_with]
