"""Shapes of code: ways to call a function, through C and through Python.

Each takes a function, calls it once, and lets its exceptions through.  What
the shape itself computes is checked: SystemError if it is wrong.
"""

import asyncio
import contextlib
import copy
import functools
import itertools
import json
import operator
import re

import stackless


def check(condition):
    if not condition:
        raise SystemError("a frame came back with other values than it had")


def plain(call):
    call()


def by_lambda(call):
    (lambda: call())()


def by_sorted(call):
    def key(x):
        if x == 2:
            call()
        return x

    check(sorted([3, 2, 1], key=key) == [1, 2, 3])


def by_map(call):
    check(list(map(lambda x: (call(), x)[1], [7])) == [7])


def values(call):
    yield 1
    call()
    yield 2


def by_for(call):
    total = 0
    for value in values(call):
        total += value
    check(total == 3)


def by_list(call):
    check(list(values(call)) == [1, 2])


def by_sum(call):
    check(sum(x for x in values(call)) == 3)


def delegate(call):
    yield from values(call)


def by_delegation(call):
    check([x for x in delegate(call)] == [1, 2])


def by_comprehension(call):
    check([(x, call())[0] for x in (5,)] == [5])
    check({x: x for x in (5,)} == {5: 5})


def by_partial(call):
    functools.partial(call)()


def by_exec(call):
    space = {"call": call}
    exec("x = 1\ncall()\nx += 1", space)
    check(space["x"] == 2)


def by_eval(call):
    check(eval("(call(), 3)[1]", {"call": call}) == 3)


class Object:
    """Special methods that call."""

    def __init__(self, call):
        self.call = call

    def __getattr__(self, name):
        self.call()
        return name

    @property
    def property(self):
        self.call()
        return 4

    def __getitem__(self, index):
        self.call()
        return index

    def __add__(self, other):
        self.call()
        return other

    def __eq__(self, other):
        self.call()
        return True

    __hash__ = None

    def __bool__(self):
        self.call()
        return False

    def __iter__(self):
        self.call()
        return iter((1, 2))

    def __contains__(self, item):
        self.call()
        return True

    def __call__(self, *args, **kwargs):
        self.call()
        return args

    def __str__(self):
        self.call()
        return "text"

    def __reduce__(self):
        self.call()
        return int, ()


def by_getattr(call):
    check(Object(call).anything == "anything")


def by_property(call):
    check(Object(call).property == 4)


def by_item(call):
    check(Object(call)[6] == 6)


def by_operators(call):
    check(Object(call) + 7 == 7)


def by_equality(call):
    check([Object(call)].index(1) == 0)


def by_truth(call):
    check(not Object(call))


class Sized:
    def __init__(self, call):
        self.call = call

    def __len__(self):
        self.call()
        return 5


def by_length(call):
    check(len(Sized(call)) == 5)


def by_iter(call):
    check([*Object(call)] == [1, 2])


def by_in(call):
    check(9 in Object(call))


def by_call(call):
    check(Object(call)(1, a=2) == (1,))


def by_str(call):
    check(f"{Object(call)}" == "text")


def by_copy(call):
    check(copy.copy(Object(call)) == 0)


class Made:
    def __init__(self, call):
        self.before = 1
        call()
        self.after = 2


class Derived(Made):
    def __init__(self, call):
        super().__init__(call)
        self.own = 3


def by_init(call):
    made = Derived(call)
    check(made.before + made.after + made.own == 6)


class Enter:
    def __init__(self, call):
        self.call = call

    def __enter__(self):
        self.call()
        return 8

    def __exit__(self, *args):
        return False


class Exit(Enter):
    def __enter__(self):
        return 8

    def __exit__(self, *args):
        self.call()


def by_enter(call):
    with Enter(call) as value:
        check(value == 8)


def by_exit(call):
    with Exit(call) as value:
        check(value == 8)


def by_with(call):
    with Exit(int) as value:
        call()
    check(value == 8)


@contextlib.contextmanager
def manager(call):
    call()
    yield 9


def by_manager(call):
    with manager(call) as value:
        check(value == 9)


def by_class_body(call):
    class Body:
        x = 1
        call()
        y = 2

    check(Body.x + Body.y == 3)


def by_reduce(call):
    check(functools.reduce(lambda a, b: (call(), a + b)[1], [1, 2]) == 3)


def by_max(call):
    check(max([1], [2], key=lambda x: (x == [2] and call(), x)[1]) == [2])


def by_join(call):
    check("".join("ab" if x == 1 else "c" for x in values(call)) == "abc")


def by_regex(call):
    check(re.sub("b", lambda match: (call(), "x")[1], "abc") == "axc")


def by_json(call):
    def default(value):
        call()
        return "y"

    check(json.dumps([set()], default=default) == '["y"]')


def by_accumulate(call):
    added = itertools.accumulate([1, 2], lambda a, b: (call(), a + b)[1])
    check(list(added) == [1, 3])


def by_operator(call):
    operator.methodcaller("__call__")(call)


def star(*args, **kwargs):
    args[0]()
    return len(args), len(kwargs)


def by_star(call):
    check(star(*[call] * 3) == (3, 0))


def by_keywords(call):
    check(star(call, **{"a": 1, "b": 2}) == (1, 2))


async def waits(call):
    await asyncio.sleep(0)
    call()
    return 3


async def coroutine(call):
    check(await waits(call) == 3)


def by_coroutine(call):
    running = coroutine(call)
    try:
        while True:
            running.send(None)
    except StopIteration:
        pass
    finally:
        running.close()


async def asynchronous(call):
    yield 1
    call()
    yield 2


async def loop(call):
    check([x async for x in asynchronous(call)] == [1, 2])


def by_async_for(call):
    running = loop(call)
    try:
        running.send(None)
    except StopIteration:
        pass


def decorated(call):
    @functools.wraps(call)
    def wrapper(*args):
        return call(*args)

    return wrapper


def by_decorator(call):
    decorated(decorated(call))()


def by_cache(call):
    functools.lru_cache(lambda: call())()


def by_closure(call):
    cell = []

    def inner():
        cell.append(1)
        call()
        cell.append(2)

    inner()
    check(cell == [1, 2])


def by_new_stack(call):
    def function(value):
        call()
        return value

    check(stackless.call_on_new_stack(function, 3, size=1 << 21) == 3)


def by_large_stack(call):
    x = 5
    made = (x, x, x, x, [x, x, (x, call(), x)[0]], *range(5))
    check(made == (5, 5, 5, 5, [5, 5, 5], 0, 1, 2, 3, 4))


SHAPES = {
    name.removeprefix("by_"): shape
    for name, shape in sorted(globals().items())
    if name.startswith("by_") or name == "plain"
}


# Frames of any size: their data stack comes in chunks of 16 KiB.

SIZES = [0, 1, 5, 20, 60, 150, 300, 500, 900, 1200, 1600]
SIZES += range(1880, 2060, 12)  # the edge of the first chunk


@functools.cache
def frame(size):
    """A function with so many locals, which calls one argument."""
    lines = ["def large(call):"]
    lines += [f" v{i} = {i}" for i in range(size)]
    lines += [" call()", " return 0"]
    lines += [f"  + v{i}" for i in range(0, size, max(1, size // 40))]
    lines[-1] += ")"
    source = "\n".join(lines).replace("return 0", "return (0")
    space = {}
    exec(source, globals(), space)
    return space["large"]


def by_frame(size, call):
    numbers = range(0, size, max(1, size // 40))
    check(frame(size)(call) == sum(numbers))


def recurse(depth, call):
    own = [depth]
    if depth:
        check(recurse(depth - 1, call) == depth - 1)
    else:
        call()
    check(own == [depth])
    return depth
