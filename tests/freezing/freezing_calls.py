"""Programs that are frozen at every point: calls, classes, expressions."""

import functools
import math
import sys

from freezing_support import note, point, program, story


# --- functions ---------------------------------------------------------------


@program
def all_arguments():
    def callee(a, b=2, /, c=3, *rest, d, e=5, **more):
        point("callee")
        return a, b, c, rest, d, e, more

    return callee(1, d=4), callee(1, 2, 3, 4, 5, d=6, e=7, f=8)


@program
def star_calls():
    positional, named = [1, 2], {"d": 4, "x": 5}
    return star_callee(*positional, 3, **named), star_callee(*"ab", d=1)


def star_callee(a, *rest, d, **more):
    point("callee")
    return a, rest, d, more


@program
def defaults():
    shared = []

    def callee(a=shared, *, b=shared):
        point("callee")
        a.append(len(b))
        return a is b, len(a)

    result = callee(), callee()
    point("end")
    shared.append("mine")
    return result, callee(), len(shared), callee.__defaults__[0] is shared


@program
def function_attributes():
    def callee(a: int, b: "str" = "x") -> None:
        """Its documentation."""

    callee.mark = [1]
    callee.__qualname__ = "renamed"
    point()
    return (
        callee.__name__, callee.__qualname__, callee.__doc__, callee.mark,
        callee.__module__, callee.__annotations__, callee.__defaults__,
    )


@program
def closures():
    n, late = 0, None

    def add(k):
        nonlocal n
        point(("add", k))
        n += k
        return lambda: (n, late)

    def read():
        return n

    first, second = add(1), add(10)
    point("both")
    n += 100
    late = "now"
    return first(), second(), read(), first.__closure__ == second.__closure__


@program
def closure_of_empty_cell():
    def early():
        return later

    point("empty")
    try:
        early()
    except NameError as error:
        told = error.args
    later = 5
    point("full")
    return told, early()


@program
def closure_of_itself():
    def countdown(n):
        point(n)
        return [n, *countdown(n - 1)] if n else []

    return countdown(3)


@program
def cells_of_arguments():
    def outer(a, *b, c=3):
        def inner():
            return a, b, c

        point("outer")
        a += 1
        return inner

    return outer(1, 2)(), outer(5, c=6)()


@program
def deleted_locals():
    a = b = 1
    del a
    point("a")
    try:
        return a
    except UnboundLocalError as error:
        del b
        point("b")
        return error.args, sorted(locals())


@program
def locals_of_the_frame():
    a, b = [1], {2: 3}
    point()
    return {k: v for k, v in locals().items()}


def recursion(n):
    if not n:
        return point("bottom")
    return recursion(n - 1), 1


@program
def recursive():
    result, depth = recursion(900), 0
    while result != "bottom":
        result = result[0]
        depth += 1
    return depth


@program
def mutual_recursion():
    def even(n):
        point(n)
        return not n or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    return even(4), odd(4)


def plain_decorator(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        point("wrapper")
        return function(*args, **kwargs)

    return wrapper


def decorator_without_name(function):
    return lambda *args: ("decorated", function(*args))


@program
@plain_decorator
def decorated():
    return point("inside")


@decorator_without_name
@decorator_without_name
def hidden(n):
    """The module only leads to the outermost lambda."""
    return point(n)


@program
def decorated_twice():
    return hidden(1), hidden(2)


@program
def partials():
    partial = functools.partial(star_callee, 1, d=2)
    method = functools.partialmethod
    return partial(3), partial(x=4), functools.partial(point, 5)(), method


@program
def reduced():
    return functools.reduce(adding, [1, 2, 3])


def adding(a, b):
    return point(a) + b


@program
def lambdas():
    chain = (lambda f: lambda x: f(point(x)) + 1)(lambda x: point(x * 2))
    return chain(1), (lambda *a, k=point("k"): (a, k))(1)


@program
def code_made_by_exec():
    namespace = {"point": point, "__name__": "made"}
    exec("def made(n):\n    m = n * 2\n    return point(m) + n", namespace)
    return namespace["made"](1), namespace["made"](2)


# --- expressions -------------------------------------------------------------

def pair():
    return [point("pair"), 8]


@program
def half_evaluated():
    return three(1, three(2, point(3)), *pair()), 1 + point(4) * (
        3 + point(5)
    ) - len({point(6): point(7)})


def three(*args):
    point(("three", len(args)))
    return args


@program
def half_evaluated_displays():
    return (
        [point(1), {point(2), 3}, (point(4), *[point(5)])],
        {"a": point(6), **{"b": point(7)}, point("c"): 8},
        f"{point(9)!r:>{point(4)}} and {point('text')}",
    )


@program
def half_evaluated_calls():
    return star_callee(
        point("a"), *[point("b")], d=point("d"), **{"e": point("e")}
    )


@program
def half_evaluated_stores():
    table = {}
    table[point("key")], [*table["rest"]] = point("value"), [point("r")]
    table["n"] = 1
    table["n"] += point(5)
    table.setdefault(point("set"), point("default"))
    return table


@program
def comparisons():
    return (
        1 < point(2) < point(3) < point(1) < point(9),
        point(0) or point("") or point("or"),
        point(1) and point(2),
        point(5) if point(0) else point(6),
        not point(1),
        2 in (1, point(2)),
        [0, 1, 2, 3][point(1) : point(3)],
    )


@program
def match_statement():
    return [matched(x) for x in ({"k": 1, "r": 2}, [1, 2, 3], "s", Point(3), 9)]


class Point:
    __match_args__ = ("x",)

    def __init__(self, x):
        self.x = x


def matched(subject):
    match subject:
        case {"k": value, **rest} if point(value):
            return value, rest
        case [first, *rest] if point("no") == "yes":
            return None
        case [1, *rest]:
            return point(rest)
        case str() as text if point(True):
            return text
        case Point(x):
            return point(x)
        case _:
            return point("default")


@program
def walrus():
    seen = []
    while (n := point(len(seen))) < 2:
        seen.append(n)
    return seen, [m for i in range(3) if (m := point(i) % 2)], m


@program
def many_locals_and_constants():
    return big(1), big(2)


# Bytecode with EXTENDED_ARG in jumps and variables.
exec(
    "def big(i):\n    "
    + "; ".join(f"x{j} = {j} + i" for j in range(300))
    + "\n    for n in (1, 2):\n        "
    + "; ".join(f"x{j} += {j + 1000}" for j in range(300))
    + "\n        point(x299)"
    + "\n    return point(x299) + x298"
)


@program
def values_of_all_kinds():
    values = (
        None, ..., NotImplemented, True, -5, 2**100, 1.5, math.inf, 2j, "s",
        b"b", bytearray(b"a"), (), (1,), frozenset((1,)), slice(1, 2), range(3),
        int, list[int], int | str, len, math, sys, Point, print,
        complex.real, str.upper, functools.partial(int, base=2), type(None),
    )
    point()
    return [repr(value) for value in values]


@program
def shared_objects():
    a = []
    b, c = [a, a], {"a": a}
    b.append(b)
    point("cycle")
    a.append(1)
    return b[0] is b[1] is c["a"] is a, b[2] is b, len(a)


@program
def views_of_dictionaries():
    table = {"a": 1, "b": 2}
    keys, values, items = table.keys(), table.values(), table.items()
    point()
    table["c"] = 3
    return list(keys), list(values), list(items)


@program
def modules_as_locals():
    import json
    import os.path

    point()
    return json.dumps(os.path.basename("a/b")), json is sys.modules["json"]


@program
def ordinary_slots():
    a = type("Made", (), {})  # not importable, and gone by then
    name = a.__name__
    del a
    point()
    return name


# --- classes -----------------------------------------------------------------

class Thing:
    def __init__(self, n):
        point(("init", n))
        self.n = n
        point(("made", n))

    def method(self, k):
        self.n += point(k)
        return self

    @property
    def doubled(self):
        return point(self.n) * 2

    @doubled.setter
    def doubled(self, value):
        self.n = point(value) // 2

    def __getitem__(self, key):
        return point(key) + self.n

    def __setitem__(self, key, value):
        point(("setitem", key))
        self.n = value

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return point(name)

    def __add__(self, other):
        return point(other)

    def __call__(self, x):
        return point(x)

    def __contains__(self, x):
        return point(x)

    def __len__(self):
        return point(3)

    def __eq__(self, other):
        return point("eq") == other

    __hash__ = None

    @classmethod
    def made_by_class(cls, n):
        return cls.__name__, point(n)

    @staticmethod
    def static(n):
        return point(n)


class Derived(Thing):
    def __init__(self, n):
        super().__init__(n)
        point("derived")

    def method(self, k):
        return super().method(k).n


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


@program
def instances():
    made = []
    for n in range(2):
        made.append(Thing(n).n)
    return made


@program
def derived_instances():
    return Derived(1).method(2), [Derived(n).n for n in (1, 2)]


@program
def methods():
    thing = Thing(1)
    bound = thing.method
    point("bound")
    bound(2).method(3)
    return thing.n, bound.__self__ is thing, thing.made_by_class(1), (
        Thing.static(2)
    )


@program
def special_methods():
    thing = Thing(1)
    thing["k"] = 5
    thing.doubled = 8
    return (
        thing.doubled, thing[1], thing.other, thing + 2, thing(3), 4 in thing,
        len(thing), thing == "eq",
    )


@program
def slotted_instances():
    thing = Slotted([1])
    thing.b = thing.a
    point()
    return thing.a is thing.b, thing.a


@program
def class_made_after():
    point("before")

    class Local:
        a = 5

        def m(self):
            return super().__hash__ is not None, __class__ is Local

    return Local.a, Local().m()


@program
def namespaces_of_classes():
    """A class body runs in C code up to its end."""
    class Local:
        a = point("in the body")

    value = Local.a
    del Local
    point("after")
    return value


# --- coroutines --------------------------------------------------------------

def drive(coroutine, *values):
    """Send it the values; what it has yielded, and what it returns."""
    seen = []
    try:
        for value in (None, *values):
            seen.append(coroutine.send(value))
            point("driver")
    except StopIteration as stop:
        return seen, stop.value


class Awaitable:
    def __init__(self, n):
        self.n = n

    def __await__(self):
        point(("await", self.n))
        return (yield self.n)


async def waits(n):
    point(("coroutine", n))
    return await Awaitable(n), n


@program
def coroutines():
    async def both():
        return await waits(1), await waits(2)

    return drive(both(), "a", "b")


@program
def coroutine_at_rest():
    coroutine = waits(5)
    first = coroutine.send(None)
    point("at rest")
    try:
        coroutine.send("value")
    except StopIteration as stop:
        return first, stop.value


class AsyncCountdown:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.n -= 1
        point(("anext", self.n))
        if self.n < 0:
            raise StopAsyncIteration
        return await Awaitable(self.n)


async def async_numbers(n):
    for i in range(n):
        point(("async generator", i))
        yield await Awaitable(i)


@program
def async_for():
    async def loops():
        seen = []
        async for item in AsyncCountdown(2):
            seen.append(item)
        seen.append([item async for item in AsyncCountdown(1)])
        return seen

    return drive(loops(), *range(5))


@program
def async_for_generator():
    """Where it is driven, an object without a name is on the stack."""
    async def loops():
        seen = []
        async for item in async_numbers(2):
            seen.append(point(item))
        return seen

    return drive(loops(), *range(3))


class AsyncManager:
    async def __aenter__(self):
        point("aenter")
        return await Awaitable("enter")

    async def __aexit__(self, kind, error, traceback):
        point("aexit")
        await Awaitable("exit")
        return kind is not None


@program
def async_with():
    async def enters():
        async with AsyncManager() as manager:
            point("inside")
            raise KeyError(manager)
        return story(sys.exception())

    return drive(enters(), 1, 2)


@program
def async_generator_at_rest():
    generator = async_numbers(2)
    step = generator.__anext__()
    seen = [step.send(None)]
    try:
        step.send("first")
    except StopIteration as stop:
        seen.append(stop.value)
    del step
    point("at rest")
    step = generator.__anext__()
    seen.append(step.send(None))
    return seen
