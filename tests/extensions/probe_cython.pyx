# cython: language_level=3
"""Compiled by test_cython.py: Python called back from C that Cython wrote."""

from libc.stdlib cimport qsort


def call(function):
    return function()


def call_without_gil(function):
    cdef object result
    with nogil:
        with gil:
            result = function()
    return result


def handle(function, error):
    """Call while an exception is being handled."""
    try:
        raise error
    except Exception as caught:
        function()
        return caught


def reraise(function, error):
    try:
        raise error
    except Exception:
        function()
        raise


def clean_up(function, log):
    try:
        return function()
    finally:
        log.append("finally")


def generate(function, count):
    for index in range(count):
        function()
        yield index


async def run_async(function, count):
    total = 0
    for index in range(count):
        function()
        total += index
    return total


cdef class Number:
    """An extension type, whose methods call back."""

    cdef object function
    cdef public int value

    def __init__(self, function, value):
        self.function = function
        self.value = value

    def __getattr__(self, name):
        self.function()
        return name

    def __add__(self, other):
        self.function()
        return self.value + other.value

    def __lt__(self, other):
        self.function()
        return self.value < other.value

    def __hash__(self):
        self.function()
        return self.value

    def __dealloc__(self):
        self.function = None


cdef object comparing = None


cdef int compare(const void *one, const void *other) noexcept with gil:
    cdef int a = (<const int *> one)[0]
    cdef int b = (<const int *> other)[0]
    comparing()
    return (a > b) - (a < b)


def sort(function, numbers):
    """qsort() with a comparison in Python; one caller's function at a time."""
    global comparing
    cdef int values[64]
    cdef int count = len(numbers)
    for index in range(count):
        values[index] = numbers[index]
    comparing = function
    qsort(values, count, sizeof(int), compare)
    return [values[index] for index in range(count)]
