"""Code objects of all kinds, for test_codes.py: CODES, and where they are.

HIDDEN are those that only the module's file leads to.
"""

import functools
import sys
import types


def plain(a, b=1, *rest, c, **more):
    return a, b, rest, c, more


def outer():
    first = "a constant before"

    def middle():
        return [lambda: first, (x for x in first)]

    return middle


def comprehension(items):
    return [item for item in items if item]


def generator_expression(items):
    return (item for item in items)


def generator():
    yield 1


async def coroutine():
    return 1


def with_class():
    class Local:
        def method(self):
            return self

    return Local


named_lambda = lambda x: x * 2


class Class:
    def method(self):
        return super().__init__()

    def __private(self):
        return "private"

    @staticmethod
    def static():
        return "static"

    @classmethod
    def class_method(cls):
        return cls

    @property
    def value(self):
        return "get"

    @value.setter
    def value(self, new):
        self.set = new

    @functools.cached_property
    def cached(self):
        return "cached"

    def base(self, x):
        return x

    part = functools.partialmethod(base, 1)

    @functools.partialmethod
    def hidden_part(self):
        return "partialmethod"

    @functools.singledispatchmethod
    def dispatched(self, x):
        return "dispatched"

    class Nested:
        def method(self):
            return "nested"

        class Deeper:
            @classmethod
            def method(cls):
                return "deeper"


def polite(function):
    @functools.wraps(function)
    def polite_wrapper(*args):
        return function(*args)

    return polite_wrapper


def silent(function):
    def silent_wrapper(*args):
        return function(*args)

    return silent_wrapper


class Wrapping:
    """As a decorator, it leaves an object in the function's place."""

    def __init__(self, function):
        functools.update_wrapper(self, function)


class Slotted:
    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function


@polite
def wrapped():
    return "wrapped"


@polite
@polite
@silent
def wrapped_thrice():
    return "wrapped_thrice"


@silent
def in_a_cell():
    return "in_a_cell"


@functools.partial
def in_partial():
    return "in_partial"


@functools.lru_cache
def in_cache():
    return "in_cache"


@Wrapping
@functools.cache
def in_object():
    return "in_object"


@functools.singledispatch
def dispatched(x):
    return "dispatched"


@dispatched.register(int)
def dispatched_int(x):
    return "dispatched_int"


@Slotted
def opaque():
    def inside():
        return "inside"

    return inside


table = {"key": [lambda: "in a table"]}

bound = Class().method

thrice_code = wrapped_thrice
for _ in range(2):
    thrice_code = thrice_code.__wrapped__
thrice_code = thrice_code.__closure__[0].cell_contents.__code__


def nested(code, *names):
    """The code of that name in another's constants, and so on."""
    for name in names:
        code, = (
            constant
            for constant in code.co_consts
            if isinstance(constant, types.CodeType)
            and constant.co_name == name
        )
    return code


CODES = {
    "plain": plain.__code__,
    "outer": outer.__code__,
    "nested function": outer().__code__,
    "nested lambda": nested(outer.__code__, "middle", "<lambda>"),
    "nested generator expression": nested(
        outer.__code__, "middle", "<genexpr>"
    ),
    "generator expression": generator_expression(()).gi_code,
    "generator": generator.__code__,
    "coroutine": coroutine.__code__,
    "class body in a function": nested(with_class.__code__, "Local"),
    "method of a class in a function": with_class().method.__code__,
    "lambda": named_lambda.__code__,
    "method": Class.method.__code__,
    "private method": Class._Class__private.__code__,
    "static method": Class.static.__code__,
    "class method": Class.class_method.__code__,
    "getter": Class.value.fget.__code__,
    "setter": Class.value.fset.__code__,
    "cached property": vars(Class)["cached"].func.__code__,
    "function of a partialmethod": Class.base.__code__,
    "partialmethod": vars(Class)["hidden_part"].func.__code__,
    "singledispatchmethod": vars(Class)["dispatched"].func.__code__,
    "method of a nested class": Class.Nested.method.__code__,
    "method nested deeper": Class.Nested.Deeper.method.__code__,
    "wrapper": wrapped.__code__,
    "wrapped": wrapped.__wrapped__.__code__,
    "wrapped thrice": thrice_code,
    "in a cell": in_a_cell.__closure__[0].cell_contents.__code__,
    "in a partial": in_partial.func.__code__,
    "in a cache": in_cache.__wrapped__.__code__,
    "in an object": in_object.__wrapped__.__wrapped__.__code__,
    "singledispatch": dispatched.__wrapped__.__code__,
    "registered": dispatched_int.__code__,
}

if sys.version_info < (3, 12):
    CODES["comprehension"] = nested(comprehension.__code__, "<listcomp>")

HIDDEN = {
    "opaque": opaque.function.__code__,
    "inside opaque": opaque.function().__code__,
    "in a table": table["key"][0].__code__,
}
