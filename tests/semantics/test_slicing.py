"""C stacks as a cache: those that were left longest ago wait in the heap."""

import functools
import gc
import random
import sys
import threading
import traceback
import weakref

import pytest
import stackless

from tasks import asleep, pause, spawn, through_c, wake

SIZE = 1 << 20


@pytest.fixture(autouse=True)
def few_stacks():
    """So few that nearly everybody is sliced.  Sanitizers can slice nothing."""
    stackless.set_c_stacks(size=SIZE, idle=2, limit=4)
    if not can_slice():
        stackless.set_c_stacks(size=8 << 20, idle=64, limit=1024)
        pytest.skip("this build cannot slice C stacks")
    yield
    stackless.set_c_stacks(size=8 << 20, idle=64, limit=1024)


def can_slice():
    tasks = [spawn(through_c, pause) for _ in range(6)]
    stackless.run()
    sliced = stats("c_stacks_sliced")
    for task in tasks:
        task.kill()
    return sliced > 0


def stats(name):
    return stackless.get_stats()[name]


def test_stacks_beyond_the_limit_are_sliced():
    tasks = asleep(50)
    assert stats("c_stacks") <= 4
    assert stats("c_stacks_sliced") == 46
    assert all(task.alive and task.paused for task in tasks)
    wake(tasks)
    assert not any(task.alive for task in tasks)
    assert stats("c_stacks_sliced") == 0


def test_the_one_that_was_left_longest_ago_goes_first():
    first, second, third, fourth = asleep(4)
    first.insert()
    before = stats("c_stacks_sliced")
    through_c(stackless.schedule)  # it runs, and ends
    again = spawn(through_c, pause)
    stackless.run()
    assert stats("c_stacks_sliced") == before
    one_more = spawn(through_c, pause)
    stackless.run()
    assert stats("c_stacks_sliced") == before + 1
    wake([second, third, fourth, again, one_more])


def test_limit_is_a_setting_for_what_comes():
    stackless.set_c_stacks(limit=10)
    tasks = asleep(12)
    assert stats("c_stacks") == 10 and stats("c_stacks_sliced") == 2
    stackless.set_c_stacks(limit=4)
    assert stats("c_stacks") == 10
    wake(tasks)


@pytest.mark.parametrize("order", ["same", "reversed", "random"])
def test_all_come_back_in_any_order(order):
    rng = random.Random(order)
    channels = [stackless.channel() for _ in range(100)]
    results = []

    def body(i):
        results.append(sorted(
            [3, 1, 2],
            key=lambda x: channels[i].receive() if x == 1 else x,
        ))

    for i in range(100):
        spawn(body, i)
    stackless.run()
    numbers = list(range(100))
    if order == "reversed":
        numbers.reverse()
    elif order == "random":
        rng.shuffle(numbers)
    for i in numbers:
        channels[i].send(i)
    stackless.run()
    assert results == [
        sorted([3, 1, 2], key=lambda x: i if x == 1 else x) for i in numbers
    ]


def test_hand_over_in_a_ring():
    """Each resumes the next; often the one that runs is in its way."""
    n, rounds, seen = 12, 20, []
    channels = [stackless.channel() for _ in range(n)]
    end = stackless.channel()

    def relay(i):
        for _ in range(rounds):
            token = through_c(channels[i].receive)
            seen.append(token)
            follower = end if token + 1 == n * rounds else channels[(i + 1) % n]
            through_c(follower.send, token + 1)

    for i in range(n):
        spawn(relay, i)
    stackless.run()
    channels[0].send(0)
    assert end.receive() == n * rounds
    stackless.run()
    assert seen == list(range(n * rounds))


def test_deep_stacks():
    def dive(depth, bottom):
        if depth == 0:
            return bottom()
        return max([depth], key=lambda _: dive(depth - 1, bottom) or 0)

    tasks = [
        spawn(dive, depth, pause)
        for depth in (1, 60, 2, 50, 1, 40, 3, 30, 60, 1)
    ]
    stackless.run()
    assert stats("c_stacks_sliced") >= 6
    for _ in range(3):
        for task in tasks:
            assert task.paused
        gc.collect()
    wake(reversed(tasks))
    assert not any(task.alive for task in tasks)


def test_look_at_sliced_tasklets():
    def outer(marker):
        return through_c(inner)

    def inner():
        pause()

    tasks = [spawn(outer, i) for i in range(20)]
    stackless.run()
    for i, task in enumerate(tasks):
        names = []
        frame = task.frame
        while frame is not None:
            names.append(frame.f_code.co_name)
            if frame.f_code.co_name == "outer":
                assert frame.f_locals["marker"] == i
            frame = frame.f_back
        assert [n for n in names if n in ("inner", "outer")] == [
            "inner", "outer"]
        assert "inner" in "".join(traceback.format_stack(task.frame))
        assert task.nesting_level == tasks[-1].nesting_level
        assert task.recursion_depth == tasks[-1].recursion_depth
        assert not task.restorable
    wake(tasks)


def test_kill_throw_and_drop_sliced_tasklets():
    log = []

    def body(i):
        try:
            through_c(pause)
        except KeyError:
            log.append(("thrown", i))
        finally:
            log.append(("finally", i))

    tasks = [spawn(body, i) for i in range(20)]
    stackless.run()
    assert stats("c_stacks_sliced") == 16
    tasks[3].kill()
    tasks[4].throw(KeyError)
    del tasks[0], tasks[6]  # numbers 0 and 7: nobody can reach them
    gc.collect()
    assert log == [
        ("finally", 3), ("thrown", 4), ("finally", 4),
        ("finally", 0), ("finally", 7),
    ]
    wake([task for task in tasks if task.alive])
    assert len(log) == 21


def test_exceptions_being_handled_stay():
    def body(i):
        try:
            raise KeyError(i)
        except KeyError:
            through_c(pause)
            assert sys.exc_info()[1].args == (i,)
            try:
                raise
            except KeyError as e:
                done.append(e.args[0])

    done = []
    tasks = [spawn(body, i) for i in range(20)]
    stackless.run()
    wake(tasks[::-1])
    assert done == list(range(20))[::-1]


def test_trace_functions_of_sliced_tasklets():
    """Switched on while they sleep, they see what comes after that."""
    seen = []

    def body():
        through_c(pause)
        return after()

    def after():
        return 1

    def tracer(frame, event, arg):
        if frame.f_code is after.__code__:
            seen.append(event)
        return tracer

    tasks = [spawn(body) for _ in range(10)]
    stackless.run()
    for task in tasks:
        task.trace_function = tracer
    wake(tasks)
    assert seen == ["call", "line", "return"] * 10


def test_threads_have_stacks_of_their_own():
    def run():
        tasks = asleep(20)
        counts.append(all(task.paused for task in tasks))
        wake(tasks)
        counts.append(any(task.alive for task in tasks))

    counts = []
    tasks = asleep(20)
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.count(True) == 3 and counts.count(False) == 3
    wake(tasks)


def test_a_thread_ends_with_sliced_tasklets():
    def body():
        try:
            through_c(pause)
        finally:
            log.append(threading.get_ident())

    def run():
        keep.extend(spawn(body) for _ in range(20))
        stackless.run()

    log, keep = [], []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(log) == 20 and len(set(log)) == 1
    assert not any(task.alive for task in keep)


def test_slices_are_small():
    """What was never written on a C stack takes no room."""
    import tracemalloc
    tracemalloc.start()
    try:
        wake(asleep(200))  # what is kept for reuse is there now
        before = tracemalloc.get_traced_memory()[0]
        tasks = asleep(200)
        now = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Slices themselves are not Python's memory; this is all the rest.
    assert (now - before) / 200 < 3000
    wake(tasks)


def several_deep(n):
    """Tasklets that wait in the places of those that were there."""
    def dive(depth):
        if depth:
            return max([depth], key=lambda _: dive(depth - 1))
        pause()
        return 0

    tasks = [spawn(dive, i % 4 + 1) for i in range(n)]
    for task in tasks:
        task.run()
    return tasks


@pytest.mark.parametrize("limit", [0, 2])
def test_switch_while_a_function_returns_to_c(limit):
    """Its locals are released then: the newest frame is the interpreter's own,
    on the C stack that is sliced."""
    stackless.set_c_stacks(limit=limit)
    names, others = [], []

    def body():
        try:
            through_c(pause)
        finally:
            others.extend(several_deep(8))
            frame = me.frame
            while frame is not None:
                names.append(frame.f_code.co_name)
                frame = frame.f_back
            before = sys.gettrace()
            sys.settrace(lambda *args: None)
            others[0].kill()
            sys.settrace(before)

    def last_reference(_):
        task = spawn(body)
        task.run()

    def outer():
        sorted([1], key=last_reference)
        names.append("end")

    me = spawn(outer)
    stackless.run()
    assert names[-2:] == ["outer", "end"]
    for task in others:
        task.kill()


@pytest.mark.parametrize("limit", [0, 2])
def test_new_stack_while_a_function_returns_to_c(limit):
    stackless.set_c_stacks(limit=limit)
    names, references = [], []

    class Local:
        pass

    def release(_):
        local = Local()
        references.append(weakref.ref(local, functools.partial(
            stackless.call_on_new_stack, lambda reference: pause())))

    def outer():
        sorted([1], key=release)
        names.append("end")

    me = spawn(outer)
    me.run()
    others = several_deep(8)
    before = sys.gettrace()
    sys.settrace(lambda *args: None)
    others[0].kill()
    sys.settrace(before)
    frame = me.frame
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    me.run()
    assert names[-2:] == ["outer", "end"]
    for task in others:
        task.kill()


@pytest.mark.parametrize("limit", [0, 2])
def test_deep_stack_below_a_call_on_a_new_one(limit):
    """Somebody shallow shares its region, and wants less room in between."""
    stackless.set_c_stacks(size=8 << 20, limit=limit)
    deep, flat = stackless.channel(), stackless.channel()

    def dive(depth):
        if depth:
            return max([depth], key=lambda _: dive(depth - 1) or 0)
        call = stackless.call_on_new_stack
        call(lambda: [deep.receive() for _ in range(4)])

    def shallow():
        through_c(lambda: [flat.receive() for _ in range(4)])

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        tasks = [spawn(dive, 500), spawn(shallow)]
        stackless.run()
        for i in range(4):
            deep.send(i)
            flat.send(i)
        stackless.run()
    finally:
        sys.setrecursionlimit(before)
    assert not any(task.alive for task in tasks)


def test_another_size_is_not_held_up_by_vacant_regions():
    stackless.set_c_stacks(size=4 * SIZE)
    tasks = asleep(8)
    for task in tasks[4:]:
        task.kill()
    stackless.set_c_stacks(size=5 * SIZE, limit=100)
    before = stats("c_stacks"), stats("c_stacks_sliced")
    more = asleep(10)
    assert stats("c_stacks") == before[0] + 10
    assert stats("c_stacks_sliced") == before[1]
    wake(tasks[:4] + more)


def test_nested_containers_are_freed_on_a_small_stack():
    """3.13 puts them off where few C calls are left."""
    class Nested(list):
        pass

    def body():
        for _ in range(100):
            nested = Nested()
            nested.append(Nested())
            weakref.finalize(nested, freed.append, 1)
            del nested

    freed = []
    stackless.set_c_stacks(size=1 << 17)
    spawn(through_c, body)
    stackless.run()
    stackless.call_on_new_stack(body, size=1 << 17)
    assert len(freed) == 200
