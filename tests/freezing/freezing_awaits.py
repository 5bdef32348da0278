"""Programs that are frozen at every point: asynchronous generators that run."""

import contextlib

from freezing_calls import Awaitable, async_numbers, drive
from freezing_support import note, point, program, story


async def careful(n):
    """Waits wherever an asynchronous generator can."""
    try:
        for i in range(n):
            got = yield await Awaitable(i)
            point(("got", got))
    except ValueError as error:
        point("handler")
        yield await Awaitable(("caught", *error.args))
    finally:
        point("finally")
        await Awaitable("last")
        note("out")


@program
def async_comprehensions():
    async def loops():
        numbers = [point(n) async for n in async_numbers(2)]
        table = {n: n async for n in async_numbers(2) if n == point(n)}
        return numbers, table, [n async for n in (m async for m in careful(2))]

    return drive(loops(), *range(20))


async def doubled(n):
    async for item in careful(n):
        yield point(item) * 2


async def chained(n):
    async for item in doubled(n):
        yield item + 1
        await Awaitable("between")


@program
def async_generators_nested():
    async def loops():
        return [item async for item in chained(2)]

    return drive(loops(), *range(20))


@program
def async_generator_left_by_break():
    async def loops():
        generator = careful(3)
        async for item in generator:
            point(item)
            break
        await generator.aclose()
        return [item async for item in generator]

    return drive(loops(), *range(9))


@program
def async_generator_closed_in_time():
    async def loops():
        try:
            async with contextlib.aclosing(careful(3)) as generator:
                async for item in generator:
                    if point(item):
                        raise KeyError(item)
        except KeyError as error:
            return story(error)

    return drive(loops(), *range(9))


@program
def async_generator_thrown_into():
    async def throws():
        generator = careful(3)
        seen = [await generator.asend(None), await generator.asend("second")]
        seen.append(await generator.athrow(ValueError("thrown")))
        point("thrown")
        try:
            await generator.asend("last")
        except StopAsyncIteration as stop:
            seen.append(story(stop))
        try:
            await generator.athrow(ValueError("late"))
        except ValueError as error:
            seen.append(error.args)
        return seen

    return drive(throws(), *range(20))


@program
def async_generator_that_raises():
    async def wrong():
        yield await Awaitable(1)
        point("wrong")
        raise KeyError(await Awaitable(2))

    async def loops():
        seen = []
        try:
            async for item in wrong():
                seen.append(item)
        except KeyError as error:
            return seen, story(error)

    return drive(loops(), *range(9))


@program
def async_generator_ignores_closing():
    async def stubborn():
        for last in (False, True):
            try:
                yield await Awaitable("item")
            except GeneratorExit:
                if last:
                    raise
                point("ignored")
                await Awaitable("still here")

    async def closes():
        generator = stubborn()
        await anext(generator)
        try:
            await generator.aclose()
        except RuntimeError as error:
            return error.args

    return drive(closes(), *range(9))


@program
def anext_with_default():
    async def takes():
        generator = careful(1)
        return [await anext(generator, point("none")) for _ in range(3)]

    return drive(takes(), *range(9))


class Counted:
    """Its __anext__() is a coroutine."""

    def __init__(self):
        self.count = 0

    async def __anext__(self):
        self.count += 1
        point(("anext", self.count))
        if self.count > 1:
            raise StopAsyncIteration
        return await Awaitable(self.count)


@program
def anext_of_a_class():
    async def takes():
        counted = Counted()
        return await anext(counted, "none"), await anext(counted, "none")

    return drive(takes(), *range(9))


class Wrapped:
    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return self.coroutine.__await__()


@program
def coroutine_wrapped():
    async def inner(n):
        point(("inner", n))
        return await Awaitable(n)

    async def outer():
        wrapper = inner(3).__await__()
        point("wrapper")
        seen = [await Wrapped(inner(1)), await Wrapped(inner(2))]
        return seen, drive(wrapper, "value")

    return drive(outer(), *range(9))


@program
def awaitables_in_variables():
    """Fresh, waiting and finished ones, driven by hand."""
    generator = careful(2)
    fresh, other = generator.asend(None), generator.asend("other")
    point("fresh")
    seen = [fresh.send(None), generator.ag_running]
    point("waiting")
    for late in (generator.asend(None), generator.aclose(), other):
        try:
            late.send(None)
        except RuntimeError as error:
            seen.append(error.args)
    try:
        fresh.send("value")
    except StopIteration as stop:
        seen.append((stop.value, generator.ag_running))
    point("finished")
    try:
        fresh.send(None)
    except RuntimeError as error:
        seen.append(error.args)
    closing = generator.aclose()
    point("closing")
    seen.append(closing.send(None))
    point("closing waits")
    try:
        closing.send(None)
    except StopIteration as stop:
        seen.append(stop.value)
    return seen, generator.ag_running


@program
def thrown_by_hand():
    generator = careful(2)
    try:
        step = generator.asend(None)
        step.send(None)
        step.send(None)
    except StopIteration as stop:
        seen = [stop.value]
    throwing = generator.athrow(ValueError("thrown"))
    point("fresh")
    seen.append(throwing.send(None))
    point("waiting")
    try:
        throwing.send(None)
    except StopIteration as stop:
        seen.append(stop.value)
    point("at rest")
    closing = generator.aclose()
    seen.append(closing.send(None))
    point("closing")
    try:
        closing.throw(KeyError("thrown"))
    except KeyError as error:
        seen.append(error.args)
    return seen
