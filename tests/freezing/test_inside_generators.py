"""Tasklets that are copied while they are inside of generators.

On 3.11 each generator that runs needs a call in C, which a copy gets when it runs
for the first time: however that comes about.
"""

import gc
import inspect
import sys
import threading
import weakref

import pytest
import stackless
from freezing_support import LOG, dumps, go, started, thawed
from stackless import _core
from stackless._freezing import pickling, softening, unpickling
from tasks import at_once, in_thread, spawn

pytestmark = pytest.mark.soft


def pause(value=None):
    return stackless.schedule_remove(value)


def finish(*tasklets):
    """What they log until they have ended."""
    LOG.clear()
    while tasklets:
        go(*tasklets)
        tasklets = [tasklet for tasklet in tasklets if tasklet.alive]
    logged = LOG[:]
    LOG.clear()
    return logged


def copied(copy, program, *args):
    """A copy made at the first point, and what a whole run logs from there on."""
    tasklet = started(program, *args)
    made = copy(tasklet)
    return made, finish(tasklet)


def by_value(tasklet):
    return thawed(tasklet, "value")


def check_all_points(program, *args, ways=(thawed, by_value, stackless.tasklet.clone)):
    """The copies run when the original has ended."""
    tasklet = started(program, *args)
    copies = []
    while tasklet.alive:
        copies.append((len(LOG), [copy(tasklet) for copy in ways]))
        go(tasklet)
    whole = LOG[:]
    for begun, same in copies:
        for copy in same:
            assert finish(copy) == whole[begun:]
    return whole


def numbers(depth):
    """Each number comes through so many generators."""
    try:
        if depth % 3 == 2:
            yield from numbers(depth - 1)
        elif depth:
            for number in numbers(depth - 1):
                yield number
        else:
            for number in range(2):
                pause()
                yield number
    finally:
        LOG.append(depth)


def going_over(depth):
    total = sum([number + 10 for number in range(depth)])
    for number in numbers(depth):
        total = total * 10 + number
    LOG.append(total)


def by_hand(depth):
    generator = numbers(depth)
    numbered = next(generator), generator.send(None)
    LOG.append(numbered)
    try:
        generator.send(None)
    except StopIteration:
        LOG.append("stopped")


async def awaiting(depth):
    try:
        if depth:
            return await awaiting(depth - 1) + 1
        pause()
        return 100
    finally:
        LOG.append(depth)


def driving(depth):
    try:
        awaiting(depth).send(None)
    except StopIteration as stop:
        LOG.append(stop.value)


PROGRAMS = [going_over, by_hand, driving]
each_program = pytest.mark.parametrize("program", PROGRAMS)
each_depth = pytest.mark.parametrize("depth", [0, 1, 2, 5, 200])


@each_depth
@each_program
def test_any_depth(program, depth):
    check_all_points(program, depth)


@each_program
@pytest.mark.parametrize("copy", [thawed, by_value, stackless.tasklet.clone])
def test_as_deep_as_calls_may_be(program, copy):
    made, expected = copied(copy, program, 800)
    assert finish(made) == expected


@each_program
@pytest.mark.parametrize("copy", [thawed, stackless.tasklet.clone])
def test_a_copy_of_a_copy(program, copy):
    """Before it has run, and each time that it has."""
    tasklet, expected = copied(copy, program, 4)
    logged = []
    while tasklet.alive:
        former, tasklet = tasklet, copy(copy(tasklet))
        finish(former)
        go(tasklet)
        logged += LOG
        LOG.clear()
    assert logged == expected


@each_program
def test_it_looks_like_the_original(program):
    tasklet = started(program, 5)
    copy = thawed(tasklet)
    assert copy.nesting_level == 0 and copy.restorable
    assert names(copy) == names(tasklet)
    go(tasklet, copy)
    assert names(copy) == names(tasklet)
    finish(*(one for one in (tasklet, copy) if one.alive))


def names(tasklet):
    found, frame = [], tasklet.frame
    while frame is not None:
        found.append((frame.f_code.co_name, frame.f_lineno))
        frame = frame.f_back
    return found


# --- ways to go on, and not to -------------------------------------------------


@each_program
def test_killed(program):
    copy, _ = copied(thawed, program, 5)
    copy.kill()
    assert not copy.alive and LOG == [0, 1, 2, 3, 4, 5]


@each_program
def test_thrown_into(program):
    copy, _ = copied(thawed, program, 5)
    with pytest.raises(KeyError):
        copy.throw(KeyError, 1)
    assert not copy.alive and LOG == [0, 1, 2, 3, 4, 5]


@each_program
def test_taken_apart(program):
    copy, _ = copied(thawed, program, 5)
    copy.bind()
    assert not copy.alive and LOG == []


def test_nobody_has_it():
    copy, _ = copied(thawed, going_over, 5)
    gone = weakref.ref(copy)
    del copy
    gc.collect()
    assert gone() is None and LOG == [0, 1, 2, 3, 4, 5]


def garbage():
    """It refers to itself, by way of a generator's variable."""
    me = stackless.current

    def generate():
        try:
            pause(me)
            yield
        finally:
            LOG.append("closed")

    for _ in generate():
        pass


def test_garbage():
    copy, logged = copied(thawed, garbage)
    assert logged == ["closed"]
    del copy
    gc.collect()
    stackless.run()
    assert LOG == ["closed"]


def by_callback(copy):
    stackless.set_schedule_callback(lambda *_: None)
    try:
        go(copy)
    finally:
        stackless.set_schedule_callback(None)


def by_hard_switch(copy):
    stackless.enable_softswitch(False)
    try:
        go(copy)
    finally:
        stackless.enable_softswitch(True)


def from_soft(copy):
    spawn(copy.run)
    stackless.run()


def from_hard(copy):
    spawn(lambda: sorted([1], key=lambda _: copy.run()))
    stackless.run()


def from_end(copy):
    spawn(lambda: None)
    go(copy)


def by_switch(copy):
    spawn(lambda: copy.switch())
    stackless.run()


def interrupted(copy):
    copy.insert()
    stackless.run(1, soft=True)
    stackless.run()


def beside_a_sliced_stack(copy):
    stackless.set_c_stacks(limit=0)
    try:
        spawn(sorted, [2, 1], key=lambda _: pause()).run()
        go(copy)
    finally:
        stackless.set_c_stacks(limit=1024)


def by_evaluator(copy):
    coretest = pytest.importorskip("stackless._coretest")
    coretest.set_evaluator(True)
    try:
        go(copy)
    finally:
        coretest.set_evaluator(False)


def by_tracer(copy):
    events = []

    def trace(frame, event, _):
        events.append(frame.f_code.co_filename)
        return trace

    copy.trace_function = trace
    go(copy)
    assert "<stackless>" not in events


WAYS = [
    by_callback, by_hard_switch, from_soft, from_hard, from_end, by_switch,
    interrupted, beside_a_sliced_stack, by_evaluator, by_tracer,
]  # fmt: skip


@each_program
@pytest.mark.parametrize("copy", [thawed, stackless.tasklet.clone])
@pytest.mark.parametrize("way", WAYS)
def test_entered(way, copy, program):
    made, expected = copied(copy, program, 4)
    way(made)
    logged = LOG[:]
    assert logged + (finish(made) if made.alive else []) == expected


@each_program
def test_in_another_thread(program):
    data, expected = copied(dumps, program, 4)
    found = []
    in_thread(lambda: found.append(finish(unpickling.loads(data))))
    assert found == [expected]


def test_many_that_take_turns():
    made, expected = copied(
        lambda tasklet: [thawed(tasklet) for _ in range(5)], going_over, 4
    )
    logged = finish(*made)
    assert sorted(logged) == sorted(expected * 5)


def test_threads_at_once():
    """Each has others in the middle of it, at every switch."""
    data, expected = copied(dumps, going_over, 3)

    def work(_):
        for _ in range(50):
            tasklet = unpickling.loads(data)
            while tasklet.alive:
                tasklet.insert()
                stackless.run()

    at_once(work, range(4), 1e-6)
    assert len(LOG) == 4 * 50 * len(expected)


# --- what there is around them --------------------------------------------------


def failing(depth):
    """Each handles an exception of its own."""
    try:
        raise KeyError(depth)
    except KeyError:
        if depth:
            yield from failing(depth - 1)
        else:
            yield pause()
        LOG.append(repr(sys.exc_info()[1]))
        yield sys.exc_info()[1].args[0]
        try:
            raise
        except KeyError as error:
            LOG.append(error.args)


def handling():
    try:
        raise ValueError
    except ValueError:
        for number in failing(3):
            LOG.append((number, repr(sys.exc_info()[1])))
            pause()
        LOG.append(repr(sys.exc_info()[1]))
    LOG.append(sys.exc_info()[1])


def test_exceptions_that_are_handled():
    logged = check_all_points(handling)
    assert "ValueError()" in logged and logged[-1] is None


def long_function(name, lines):
    """A loop that jumps so far that its instruction has an EXTENDED_ARG."""
    body = "\n".join(f"        LOG.append({n})" for n in range(lines))
    exec(
        f"def {name}():\n"
        f"    for _ in numbers(1):\n{body}\n"
        f"    LOG.append('end')\n",
        globals(),
    )
    return globals()[name]


def test_a_long_loop():
    assert "end" in check_all_points(long_function("long", 40))


def test_a_loop_that_is_longer_than_a_return_can_jump():
    """From 3.12 on; it is refused when it is frozen, not when it is thawed."""
    program = long_function("longer", 4000)
    if sys.version_info < (3, 12):
        assert "end" in check_all_points(program)
        return
    tasklet = started(program)
    error = stackless.check_freezable(tasklet)
    assert "C code is running" in str(error)
    with pytest.raises(stackless.FreezeError, match="C code is running"):
        tasklet.clone()
    assert "end" in finish(tasklet)


def test_deeper_than_the_limit():
    """C stacks have no room for so many calls, perhaps."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10000)
    try:
        data, _ = copied(dumps, driving, 300)
        sys.setrecursionlimit(len(inspect.stack()) + 150)
        if sys.version_info < (3, 12):
            with pytest.raises(RecursionError, match="generators"):
                unpickling.loads(data)
            return
        copy = unpickling.loads(data)
    finally:
        sys.setrecursionlimit(limit)
    copy.kill()
    assert LOG == list(range(301))


# --- data that are not right -----------------------------------------------------


def states():
    tasklet = started(going_over, 1)
    frames, generators = softening.soften(
        _core._tasklet_state(tasklet, softening.extent_of)[3][0]
    )
    copies = []
    for frame in frames:
        if type(frame) is tuple:
            copies.append(frame)
            continue
        state = generators[id(frame)]
        copy = pickling._generator(state[0][0])
        _core._set_generator_state(copy, state)
        copies.append(copy)
    finish(tasklet)
    return copies


def refused(frames):
    with pytest.raises(ValueError):
        _core._set_tasklet_state(
            stackless.tasklet(), (tuple(frames), None, None, 0, None, 0)
        )


def test_a_generator_that_is_not_run_there():
    first, *others = states()
    function, space, offset, back, marks, slots = first
    for wrong in slots[:-1], (*slots[:-1], None), (*slots, None):
        refused([(function, space, offset, back, b"", wrong), *others])
    generators = [one for one in others if type(one) is not tuple]
    assert len(generators) == 2
    for generator in generators:
        refused([first, generator, generator])
    refused(others)
