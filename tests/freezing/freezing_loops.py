"""Programs that are frozen at every point: loops and generators."""

import io
import itertools
import operator
import sys

from freezing_support import note, point, program, story


# --- loops -------------------------------------------------------------------


@program
def nothing_but_a_point():
    point()


@program
def while_loop():
    n = 0
    while n < 3:
        point(n)
        n += 1
    else:
        point("else")
    return n


@program
def while_break_continue():
    seen, n = [], 5
    while True:
        n -= 1
        if n == 3:
            point("continue")
            continue
        if not n:
            break
        seen.append(point(n))
    return seen


@program
def for_list():
    return sum_up([1, 2, 3])


def sum_up(iterable):
    seen = []
    for item in iterable:
        point(item)
        seen.append(item)
    else:
        point("else")
    return seen


@program
def for_list_that_grows():
    items, seen = [1, 2, 3], []
    for item in items:
        point(item)
        if item < 3:
            items.append(item + 3)
        seen.append(item)
    return seen, items


@program
def for_list_that_shrinks():
    items, seen = list(range(6)), []
    for item in items:
        point(item)
        items.pop()
        seen.append(item)
    return seen, items


@program
def for_tuple():
    return sum_up((1, (2,), 3))


@program
def for_string():
    return sum_up("aß\U0001f40d")


@program
def for_ascii_string():
    return sum_up("abc")


@program
def for_bytes():
    return sum_up(b"ab"), sum_up(bytearray(b"cd"))


@program
def for_range():
    return sum_up(range(3)), sum_up(range(9, 0, -4))


@program
def for_long_range():
    return sum_up(range(2**70, 2**70 + 3))


@program
def for_dict():
    return sum_up({"a": 1, "b": 2, "c": 3})


@program
def for_keys():
    return sum_up({"a": 1, "b": 2}.keys())


@program
def for_values():
    return sum_up({"a": 1, "b": 2}.values())


@program
def for_items():
    seen = []
    for key, value in {"a": 1, "b": [2]}.items():
        value = point(value)
        seen.append((key, value))
    return seen


@program
def for_dict_that_changes_values():
    table = dict.fromkeys("abc", 0)
    for key in table:
        point(key)
        table[key] += 1
    return table


@program
def for_dict_with_a_hole():
    table = dict.fromkeys("abcd", 0)
    del table["b"]
    return sum_up(table), sum_up(table.items())


@program
def for_dict_that_grows():
    table, seen = {"a": 1, "b": 2}, []
    try:
        for key in table:
            seen.append(point(key))
            table[key * 2] = 1
    except RuntimeError as error:
        return seen, error.args


@program
def for_set():
    return sorted(sum_up({3, 1, 2})), sorted(sum_up(frozenset((4, 5))))


@program
def for_set_of_strings():
    seen = []
    for item in {"one", "two", "three"}:
        point()
        seen.append(item)
    return sorted(seen)


@program
def for_enumerate():
    return sum_up(enumerate("ab", 7)), sum_up(enumerate([1], 2**70))


@program
def for_zip():
    return sum_up(zip([1, 2, 3], "ab", {5: 6, 7: 8})), list(
        sum_up(zip([1], [2], strict=True))
    )


@program
def for_map():
    return sum_up(map(str, [1, 2])), sum_up(map(divmod, (7, 8), (2, 3)))


@program
def for_map_of_python_function():
    return sum_up(map(lambda a: a * 2, (1, 2, 3)))


@program
def for_filter():
    return sum_up(filter(None, [0, 1, 2])), sum_up(filter(bool, [3, 0]))


@program
def for_reversed():
    return sum_up(reversed([1, 2, 3])), sum_up(reversed(range(2)))


@program
def for_reversed_dict():
    table = {"a": 1, "b": 2, "c": 3}
    return sum_up(reversed(table)), sum_up(reversed(table.items()))


@program
def for_callable_iterator():
    return sum_up(iter([1, 2, 0, 5].pop, 0))


class Indexed:
    def __getitem__(self, index):
        if index == 3:
            raise IndexError(index)
        return index * 10


@program
def for_sequence_protocol():
    return sum_up(Indexed()), sum_up(reversed([Indexed()[2]]))


@program
def for_nested_iterators():
    return sum_up(enumerate(zip(reversed([1, 2]), map(abs, [-1, -2]))))


@program
def for_shared_iterator():
    iterator = iter([1, 2, 3, 4])
    seen = []
    for item in iterator:
        point()
        seen.append((item, next(iterator)))
    return seen


@program
def for_itertools_count():
    seen = []
    for n in itertools.count(5, 5):
        if n > 15:
            return seen
        seen.append(point(n))


@program
def for_itertools_chain():
    return sum_up(itertools.chain([1, 2], "a", {3: 4}))


@program
def for_itertools_islice_cycle():
    return sum_up(itertools.islice(itertools.cycle("ab"), 4))


@program
def for_itertools_products():
    return (
        sum_up(itertools.product([1, 2], repeat=2)),
        sum_up(itertools.permutations([1, 2])),
        sum_up(itertools.combinations([1, 2, 3], 2)),
    )


@program
def for_itertools_others():
    return (
        sum_up(itertools.repeat(7, 2)),
        sum_up(itertools.accumulate([1, 2, 3])),
        sum_up(itertools.starmap(pow, [(2, 3), (3, 2)])),
        sum_up(itertools.takewhile(bool, [1, 0])),
        sum_up(itertools.zip_longest([1, 2], "a")),
        sum_up(itertools.compress([1, 2, 3], [1, 0, 1])),
        sum_up(itertools.dropwhile(bool, [1, 0, 1])),
        sum_up(itertools.filterfalse(bool, [1, 0, 0])),
        sum_up(itertools.combinations_with_replacement("ab", 2)),
    )


if sys.version_info >= (3, 14):

    @program
    def for_itertools_without_reduce():
        pairs = itertools.batched(itertools.pairwise("abcdef"), 2)
        return sum_up(pairs)


@program
def for_itertools_nested():
    lists = itertools.chain.from_iterable(map(list, ["ab", "cd"]))
    pairs = zip(itertools.count(), itertools.islice(lists, 1, None))
    return sum_up(itertools.starmap(operator.mul, pairs))


@program
def for_itertools_groups():
    seen = []
    for key, group in itertools.groupby("aabc", str.upper):
        point(key)
        for item in group:
            seen.append((key, point(item)))
    return seen


@program
def for_itertools_tee():
    first, second = itertools.tee(iter("abc"))
    seen = [next(first), point(next(first))]
    for pair in zip(second, first):
        seen.append(point(pair))
    return seen, list(first), list(second)


@program
def for_itertools_over_a_generator():
    def numbers(n):
        for number in range(n):
            yield number * n

    generator = numbers(6)
    even = itertools.takewhile(lambda n: n < 20, generator)
    seen = sum_up(itertools.accumulate(even, initial=3))
    return seen, list(generator)


@program
def for_string_io():
    file = io.StringIO("one\ntwo\nthree\n")
    lines = sum_up(file)
    return lines, file.tell()


@program
def string_io_written():
    file = io.StringIO()
    file.write("ab")
    point()
    file.write("cd")
    point()
    return file.getvalue(), file.tell()


@program
def bytes_io():
    file = io.BytesIO(b"one\ntwo\nthree")
    head = file.read(2)
    point()
    middle = file.readline()
    return head, middle, sum_up(file)


class Countdown:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        point(("next", self.n))
        if not self.n:
            raise StopIteration
        self.n -= 1
        return self.n


@program
def for_python_next():
    seen = []
    for n in Countdown(3):
        seen.append(n)
    return seen


@program
def for_python_next_around():
    seen = []
    iterator = Countdown(2)
    for n in iterator:
        point("body")
        seen.append((n, iterator.n))
    return seen


@program
def loops_in_loops():
    seen = []
    for a in (1, 2):
        for b in [a, 3]:
            for c in range(b):
                if c == 2:
                    break
                seen.append(point((a, b, c)))
            else:
                point("else")
                continue
    return seen


# --- generators --------------------------------------------------------------


def numbers(n):
    for i in range(n):
        point(("before", i))
        yield i
        point(("after", i))
    return "end"


def delegating(n):
    result = yield from numbers(n)
    point("delegated")
    yield result


@program
def for_generator():
    return [*loop(numbers(3))]


def loop(iterable):
    seen = []
    for item in iterable:
        seen.append(item)
        point(("loop", item))
    return seen


@program
def for_yield_from():
    seen = []
    for item in delegating(2):
        seen.append(item)
    return seen


@program
def for_nested_generators():
    def outer():
        for a in inner(2):
            for b in inner(a + 1):
                yield a, b

    def inner(n):
        for i in range(n):
            point(i)
            yield i

    seen = []
    for pair in outer():
        seen.append(pair)
    return seen


@program
def generator_by_next():
    generator = numbers(2)
    first = next(generator)
    point("between")
    second = next(generator)
    try:
        next(generator)
    except StopIteration as stop:
        return first, second, stop.value


@program
def generator_by_send():
    def echo():
        got = None
        while got != "stop":
            got = yield point(got)
        return "stopped"

    generator = echo()
    seen = [generator.send(None), generator.send(1)]
    point("between")
    seen.append(generator.send(2))
    try:
        generator.send("stop")
    except StopIteration as stop:
        seen.append(stop.value)
    return seen


@program
def generators_at_rest():
    """In every state, none in the tasklet's chain."""
    def echo(n):
        try:
            while n:
                n = yield n
        finally:
            note("closed")

    fresh, waiting, ended, closed = echo(1), echo(2), echo(0), echo(3)
    next(waiting), list(ended), next(closed), closed.close()
    point("first")
    seen = [next(fresh), waiting.send(5), list(ended), list(closed)]
    point("second")
    waiting.close()
    point("third")
    return seen, list(waiting), list(fresh)


@program
def generator_with_exception():
    def handler():
        try:
            raise ValueError("inner")
        except ValueError:
            yield 1
            yield story(sys.exception())

    generator = handler()
    next(generator)
    try:
        raise KeyError("outer")
    except KeyError:
        point("first")
        inner = next(generator)
        point("second")
        return inner, story(sys.exception())


@program
def generator_throw():
    def catching():
        try:
            yield 1
        except ValueError as error:
            point("caught")
            yield error.args

    generator = catching()
    next(generator)
    point("before")
    return generator.throw(ValueError("thrown"))


@program
def generator_half_evaluated():
    def two():
        yield [point(1), (yield 2), point(3)]

    generator = two()
    first = next(generator)
    point("between")
    return first, generator.send(5), [*generator]


@program
def generator_shared():
    """Two names for one generator: it must not become two."""
    generator = iter(plain_numbers(4))
    both = [generator, generator]
    next(both[0])
    point()
    return next(both[0]), next(both[1]), list(generator)


def plain_numbers(n):
    for i in range(n):
        yield i


@program
def generator_names():
    generator = plain_numbers(1)
    generator.__name__ = "other"
    point()
    return generator.__name__, generator.__qualname__, list(generator)


class Tree:
    def __init__(self, value, *children):
        self.value, self.children = value, children

    def walk(self):
        yield point(self.value)
        for child in self.children:
            yield from child.walk()


@program
def generator_tree():
    seen = []
    tree = Tree(1, Tree(2, Tree(3)), Tree(4))
    for value in tree.walk():
        seen.append(value)
    return seen


@program
def through_list():
    """C code that no one can freeze: refused inside, and goes on."""
    first = list(numbers(1))
    point("outside")
    return first, sorted([2, 1], key=point)


# --- comprehensions ----------------------------------------------------------


@program
def list_comprehension():
    return [point(i) for i in range(3) if i != 1]


@program
def dict_comprehension():
    return {point(k): point(v) for k, v in [("a", 1), ("b", 2)]}


@program
def set_comprehension():
    return {point(i) for i in (1, 2, 1)}


@program
def nested_comprehension():
    return [[point((a, b)) for a in range(b)] for b in range(3)]


@program
def comprehension_with_closure():
    return [f() for f in [lambda: point(i) for i in (1, 2)]]


@program
def comprehension_shadows():
    i = "outside"
    seen = [point(i) for i in (1, 2)]
    return i, seen


@program
def generator_expression():
    seen = []
    for item in (point(i) for i in range(3)):
        seen.append(item)
    return seen


@program
def generator_expression_at_rest():
    expression = (i * 2 for i in [1, 2, 3])
    first = next(expression)
    point()
    return first, list(expression)


@program
def comprehension_of_a_closure_name():
    """From 3.12 on its variable has the place of a cell of the function."""
    x = 5

    def count():
        nonlocal x
        x += 1
        return x

    seen = [point(x) for x in range(2)], count(), x
    nested = [
        (point(x), [point(x) + y for y in range(2) if (lambda: x)() == y])
        for x in range(2)
    ]
    return seen, nested, count(), [lambda: x for x in (1, point(2))][1]()


@program
def comprehension_of_closures():
    made = [lambda: (x, y) for x in range(2) for y in [point(x)]]
    return [f() for f in made], [x for x in [point(y) for y in range(2)]]


@program
def comprehension_in_a_generator():
    def generator():
        x = 1
        get = lambda: x  # noqa: E731
        yield [point(x) for x in range(2)]
        yield get()

    numbers = generator()
    return next(numbers), point(), next(numbers)


@program
def comprehension_in_try():
    try:
        return [point(1 // i) for i in (1, 0)]
    except ZeroDivisionError:
        return [point(i) for i in "ab"]
