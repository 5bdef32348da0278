"""asyncio.run() in several tasklets of one thread at once.

The running loop and task belong to the tasklet.  A tasklet that blocks in a
coroutine stops its own loop; a loop that waits for time or files stops the
thread.
"""

import asyncio
import contextvars

import pytest
import stackless
from interleaving import Failure, interleave, started, switch
from operations import through_c

variable = contextvars.ContextVar("variable", default=None)


async def talk(number, log):
    """Tasks, a queue, a time-out and switches of tasklets."""
    queue = asyncio.Queue(1)

    async def produce():
        for index in range(5):
            await queue.put((number, index))
            stackless.schedule()

    async def consume():
        got = []
        for _ in range(5):
            got.append(await queue.get())
            assert asyncio.get_running_loop() is loop
            log.append(number)
        return got

    loop = asyncio.get_running_loop()
    _, got = await asyncio.gather(produce(), consume())
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    assert asyncio.current_task() in asyncio.all_tasks()
    return got


def test_loops_run_in_turns():
    log = []
    results = interleave(lambda number: asyncio.run(talk(number, log)))
    assert results == [[(n, i) for i in range(5)] for n in range(3)]
    assert sorted(log) == sorted(5 * [0, 1, 2]) and log != sorted(log)


def test_loops_run_in_turns_below_c():
    results = []
    interleave(lambda number: through_c(
        lambda: results.append(asyncio.run(talk(number, [])))))
    assert sorted(results) == [[(n, i) for i in range(5)] for n in range(3)]


def test_loops_talk_through_channels():
    """One loop waits, as a tasklet does, for what another sends."""
    channel = stackless.channel()
    got = []

    async def send():
        for index in range(5):
            channel.send(index)
            await asyncio.sleep(0)

    async def receive():
        for _ in range(5):
            got.append(channel.receive())
            await asyncio.sleep(0)

    stackless.tasklet(asyncio.run)(receive())
    stackless.tasklet(asyncio.run)(send())
    stackless.run()
    assert got == list(range(5))


def test_tasks_of_a_loop_may_not_switch_to_each_other_but_by_await():
    """A task that blocks blocks the whole loop: its tasklet is paused."""
    log = []

    async def block():
        log.append("blocked")
        stackless.schedule_remove(None)
        log.append("woken")

    async def main():
        other = asyncio.create_task(asyncio.sleep(0, "slept"))
        await block()
        log.append(await other)

    tasklet = started(lambda: asyncio.run(main()))
    assert log == ["blocked"] and tasklet.paused
    tasklet.run()
    assert log == ["blocked", "woken", "slept"] and not tasklet.alive


def test_run_inside_run_is_refused_in_one_tasklet_only():
    log = []

    async def inner():
        log.append("inner")

    async def outer():
        coroutine = inner()
        with pytest.raises(RuntimeError):
            asyncio.run(coroutine)
        coroutine.close()
        tasklet = stackless.tasklet(asyncio.run)(inner())
        tasklet.run()
        stackless.schedule()
        log.append("outer")

    asyncio.run(outer())
    assert log == ["inner", "outer"]


def test_errors_and_kills():
    async def fail():
        stackless.schedule()
        raise Failure

    def work(number):
        with pytest.raises(Failure):
            asyncio.run(fail())
        return asyncio._get_running_loop()

    assert interleave(work) == [None] * 3


def test_killed_tasklet_closes_its_loop():
    log = []

    async def wait():
        try:
            stackless.schedule_remove(None)
        finally:
            log.append(asyncio.get_running_loop())

    tasklet = started(lambda: asyncio.run(wait()))
    tasklet.kill()
    assert not tasklet.alive
    assert [loop.is_closed() for loop in log] == [True]
    assert asyncio._get_running_loop() is None


def test_contexts():
    async def set_and_get(number):
        variable.set(number)
        stackless.schedule()
        await asyncio.sleep(0)
        switch()
        return variable.get()

    results = interleave(lambda number: asyncio.run(set_and_get(number)))
    assert results == [0, 1, 2] and variable.get() is None


def test_asynchronous_generators_are_closed_by_their_loop():
    log = []

    async def generate(number):
        try:
            while True:
                stackless.schedule()
                yield number
        finally:
            log.append((number, asyncio.get_running_loop()))

    async def main(number):
        generator = generate(number)
        value = await anext(generator)
        del generator
        await asyncio.sleep(0)
        return value, asyncio.get_running_loop()

    results = interleave(lambda number: asyncio.run(main(number)))
    assert sorted(log, key=lambda each: each[0]) == results


def test_threads_of_a_loop():
    """to_thread() and call_soon_threadsafe() wake the loop they came from."""
    async def main(number):
        def work():
            loop.call_soon_threadsafe(woken.set)
            return number

        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        stackless.schedule()
        result = await asyncio.to_thread(work)
        await woken.wait()
        stackless.schedule()
        return result

    assert interleave(lambda number: asyncio.run(main(number))) == [0, 1, 2]
