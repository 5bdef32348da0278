"""tasklet.clone(): its variables are its own, other objects are shared."""

import contextlib
import gc
import itertools
import sys
import threading

import pytest
import stackless
from freezing_support import LOG, go, sorting, started
from tasks import in_thread, pause, spawn


pytestmark = pytest.mark.soft


def finish(*tasklets):
    for tasklet in tasklets:
        while tasklet.alive:
            tasklet.insert()
            stackless.run()


def count(log, name=None):
    """Each copy adds up for itself; the log is shared."""
    total = 0

    def add(number):
        nonlocal total
        total += number

    for number in range(4):
        add(number)
        pause()
    log.append(total)


def test_variables_are_its_own():
    log = []
    tasklet = started(count, log)
    copies = []
    for _ in range(3):
        copies.append(tasklet.clone())
        tasklet.insert()
        stackless.run()
    finish(tasklet, *copies)
    assert log == [6] * 4


def test_it_is_paused_and_the_original_stays():
    tasklet = started(count, [])
    copy = tasklet.clone()
    assert copy is not tasklet and type(copy) is stackless.tasklet
    assert copy.paused and tasklet.paused
    assert copy.next is copy.prev is None
    frames = [each.frame.f_back for each in (tasklet, copy)]
    assert frames[0] is not frames[1]
    assert frames[0].f_lineno == frames[1].f_lineno
    assert frames[0].f_code is frames[1].f_code
    assert copy.recursion_depth == tasklet.recursion_depth


def test_a_clone_of_a_clone():
    log = []
    tasklet = started(count, log)
    family = [tasklet]
    for _ in range(4):
        family.append(family[-1].clone())
    tasklet.kill()
    assert [each.alive for each in family] == [False] + [True] * 4
    finish(*reversed(family))
    assert log == [6] * 4


def test_a_clone_at_each_turn():
    """One run of each prefix goes on."""
    log = []
    tasklet = started(count, log)
    while tasklet.alive:
        copy = tasklet.clone()
        tasklet.kill()
        copy.insert()
        stackless.run()
        tasklet = copy
    assert log == [6]


def with_cells(log):
    first, shared = 0, []

    def get():
        return first

    def both():
        nonlocal first
        first += 1
        return get()

    pause()
    log.append((both(), get(), first))
    pause()
    log.append((both(), get(), first))
    shared.append(1)


def test_cells_are_its_own():
    log = []
    tasklet = started(with_cells, log)
    copy = tasklet.clone()
    copy.insert()
    stackless.run()
    again = copy.clone()
    assert log == [(1, 1, 1)]
    finish(tasklet, copy, again)
    assert log[1:] == [(1, 1, 1)] + [(2, 2, 2)] * 3


def iterate(log, iterator):
    taken = []
    for value in iterator:
        taken.append(value)
        log.append(value)
        pause()


ITERATORS = {
    "list": lambda: iter(list("abcd")),
    "tuple": lambda: iter(tuple("abcd")),
    "str": lambda: iter("abcd"),
    "wide str": lambda: iter("a\u1234cd"),
    "range": lambda: iter(range(4)),
    "long range": lambda: iter(range(1 << 70, (1 << 70) + 4)),
    "bytes": lambda: iter(b"abcd"),
    "reversed": lambda: reversed(list("abcd")),
    "dict": lambda: iter(dict.fromkeys("abcd")),
    "dict values": lambda: iter(dict(a=1, b=2, c=3, d=4).values()),
    "dict items": lambda: iter(dict(a=1, b=2, c=3, d=4).items()),
    "set": lambda: iter({1, 2, 3, 4}),
    "enumerate": lambda: enumerate("abcd"),
    "zip": lambda: zip("abcd", iter([1, 2, 3, 4])),
    "map": lambda: map(str, iter([1, 2, 3, 4])),
    "filter": lambda: filter(None, iter([1, 2, 3, 4])),
    "nested": lambda: zip(enumerate(iter("abcd")), map(ord, iter("abcd"))),
    "generator": lambda: (value for value in iter("abcd")),
    "reversed dict": lambda: reversed(dict.fromkeys("abcd")),
    "reversed values": lambda: reversed(dict(a=1, b=2, c=3, d=4).values()),
    "reversed items": lambda: reversed(dict(a=1, b=2, c=3, d=4).items()),
}


@pytest.mark.parametrize("name", ITERATORS)
def test_iterators_are_its_own(name):
    expected = list(ITERATORS[name]())
    log = []
    tasklet = started(iterate, log, ITERATORS[name]())
    tasklet.insert()
    stackless.run()
    copies = [tasklet.clone(), tasklet.clone()]
    for each in tasklet, *copies:
        log.clear()
        finish(each)
        assert log == expected[2:]


def over_generator(log):
    def generate(stop):
        got = 0
        for number in range(stop):
            got += (yield number) or 0
            log.append(got)
        return got

    def outer():
        result = yield from generate(4)
        yield result

    generator = outer()
    value = next(generator)
    while True:
        pause()
        try:
            value = generator.send(value + 1)
        except StopIteration:
            break
    log.append("end")


def test_generators_are_its_own():
    log = []
    finish(started(over_generator, log))
    expected = list(log)
    log.clear()
    tasklet = started(over_generator, log)
    tasklet.insert()
    stackless.run()
    before = list(log)
    copies = [tasklet.clone(), tasklet.clone()]
    for each in copies[0], tasklet, copies[1]:
        log[:] = before
        finish(each)
        assert log == expected


def pause_in_generator(log):
    def generate():
        for number in range(3):
            pause()
            yield number

    for number in generate():
        log.append(number)


def test_generators_that_are_run_are_its_own():
    log = []
    tasklet = started(pause_in_generator, log)
    tasklet.insert()
    stackless.run()
    assert log == [0]
    copy = tasklet.clone()
    finish(copy)
    assert log == [0, 1, 2] and tasklet.alive
    finish(tasklet)
    assert log == [0, 1, 2, 1, 2]


def collected(kind):
    """What only the expression has that collects it."""
    numbers = range(3)
    if kind == "list":
        return [pause() or number for number in numbers]
    if kind == "set":
        return {pause() or number for number in numbers}
    if kind == "dict":
        return {number: pause() for number in numbers}
    if kind == "nested":
        return [[pause() or number for number in numbers] for _ in numbers]
    if kind == "display":
        return [*numbers, pause(), *numbers, pause()]
    if kind == "merged":
        return {**{"a": 1}, "b": pause(), **{"c": pause()}, "d": pause()}
    if kind == "positional":
        return (lambda *args: args)(*numbers, pause(), *numbers, pause())
    if kind == "keywords":
        return (lambda **kwargs: kwargs)(a=pause(), **{"b": pause()}, c=pause())
    if kind == "generator":
        return [number for number in generate_numbers()]
    try:
        try:
            raise ExceptionGroup("", [KeyError(1), ValueError(2)])
        except* KeyError as error:
            raise IndexError(pause()) from error
        except* ValueError as error:
            raise TypeError(pause()) from error
    except ExceptionGroup as error:
        return repr(error)


def generate_numbers():
    for number in [pause() or number for number in range(3)]:
        yield number


def keep_collected(kind, found):
    found.append(collected(kind))


@pytest.mark.parametrize("kind", [
    "list", "set", "dict", "nested", "display", "merged", "positional",
    "keywords", "generator", "exceptions",
])  # fmt: skip
def test_what_is_being_collected_is_its_own(kind):
    expected, found, copies = [], [], []
    finish(started(keep_collected, kind, expected))
    tasklet = started(keep_collected, kind, found)
    while tasklet.alive:
        copies.append(tasklet.clone())
        tasklet.insert()
        stackless.run()
    finish(*copies)
    assert len(found) > 2 and found == expected * len(found)


def test_a_variable_on_the_stack_is_shared():
    def add(to, log):
        to.append(pause())
        log.append(to)

    found, log = [], []
    tasklet = started(add, found, log)
    copy = tasklet.clone()
    del found
    finish(tasklet, copy)
    assert log == [[None, None]] * 2 and log[0] is log[1]


class Thing:
    pass


def hold(log, thing, mapping):
    local, both = Thing(), [thing]
    pause()
    log.append((local, both, thing, mapping))


def test_other_objects_are_shared():
    log, thing, mapping = [], Thing(), {"key": [Thing()]}
    tasklet = started(hold, log, thing, mapping)
    finish(tasklet.clone(), tasklet)
    for one, other in zip(*log):
        assert one is other
    assert log[0][2] is thing and log[0][3] is mapping


def finally_log(log):
    try:
        pause()
    except TaskletExit:
        log.append("killed")
        raise
    finally:
        log.append("finally")


def test_each_is_ended_by_itself():
    log = []
    tasklet = started(finally_log, log)
    copy, third = tasklet.clone(), tasklet.clone()
    copy.kill()
    assert log == ["killed", "finally"]
    finish(tasklet)
    assert log[2:] == ["finally"]
    third.throw(KeyError, pending=True)
    third.insert()
    with pytest.raises(KeyError):
        stackless.run()
    assert log[3:] == ["finally"]


def handle(log):
    try:
        raise KeyError("key")
    except KeyError:
        pause()
        log.append(sys.exc_info()[1])
        try:
            raise
        except KeyError as error:
            log.append(error)


def test_the_exception_being_handled():
    log = []
    tasklet = started(handle, log)
    copy = tasklet.clone()
    finish(copy, tasklet)
    assert [type(error) for error in log] == [KeyError] * 4
    assert sys.exc_info() == (None, None, None)


def receive(channel, log):
    log.append(channel.receive())


def test_clone_of_a_blocked_tasklet_is_paused():
    """Its call returns None, if nothing is put into tempval."""
    channel, log = stackless.channel(), []
    tasklet = started(receive, channel, log)
    copy, other = tasklet.clone(), tasklet.clone()
    assert tasklet.blocked and not copy.blocked
    assert copy.paused and copy.waiting_for is None
    assert channel.balance == -1 and channel.queue is tasklet
    finish(copy)
    other.tempval = "put"
    finish(other)
    channel.send("sent")
    stackless.run()
    assert log == [None, "put", "sent"]


def send(channel, value, log):
    log.append(channel.send(value))


def test_clone_of_a_sender():
    """It does not send: that is one message, which the original has."""
    channel, log = stackless.channel(), []
    tasklet = started(send, channel, 1, log)
    copy = tasklet.clone()
    assert channel.balance == 1 and channel.queue is tasklet
    finish(copy)
    assert log == [None] and channel.balance == 1
    assert channel.receive() == 1
    stackless.run()
    assert log == [None, None] and channel.balance == 0


def test_clone_of_a_tasklet_without_a_frame():
    channel = stackless.channel()
    for function, *args in (
        (channel.receive,), (channel.send, 1), (stackless.schedule_remove, 1)
    ):
        tasklet = started(function, *args)
        copy = tasklet.clone()
        finish(copy)
        tasklet.kill()


def test_clone_of_a_scheduled_tasklet_is_paused():
    log = []
    tasklet = started(count, log)
    tasklet.insert()
    copy = tasklet.clone()
    assert tasklet.scheduled and copy.paused and not copy.scheduled
    finish(copy, tasklet)
    assert log == [6, 6]


def test_clones_of_tasklets_that_have_not_begun():
    log = []
    for tasklet in spawn(log.append, 1).remove(), stackless.tasklet().bind(
        log.append, (1,)
    ):
        copy = tasklet.clone()
        assert copy.alive and copy.paused
        finish(copy)
        assert log.pop() == 1 and tasklet.alive
        tasklet.kill()
    bound = stackless.tasklet(log.append).clone()
    assert not bound.alive
    bound(2).run()
    assert log == [2]
    for dead in stackless.tasklet(), started(int):
        assert not dead.clone().alive


class Named(stackless.tasklet):
    __slots__ = ("slot", "__dict__")

    def __init__(self, *args):
        self.made = True


def test_class_name_flags_and_attributes():
    shared = ["text"]
    tasklet = Named().bind(count, ([],))
    tasklet.run()
    tasklet.name, tasklet.slot, tasklet.label = "worker", 1, shared
    tasklet.set_atomic(True)
    tasklet.set_ignore_nesting(True)
    tasklet.block_trap = True
    copy = tasklet.clone()
    assert type(copy) is Named and copy.made
    assert (copy.name, copy.slot) == ("worker", 1)
    assert copy.label is shared
    assert copy.__dict__ is not tasklet.__dict__
    assert copy.atomic and copy.ignore_nesting and copy.block_trap
    for each in tasklet, copy:
        each.set_atomic(False)
        each.block_trap = False
        each.kill()


def test_a_name_of_its_own():
    """One that nobody has given is not copied."""
    tasklet = started(count, [])
    assert tasklet.clone().name != tasklet.name


def test_pending_exception():
    log = []
    tasklet = started(finally_log, log)
    tasklet.throw(KeyError("pending"), pending=True)
    tasklet.remove()
    copy = tasklet.clone()
    for each in copy, tasklet:
        each.insert()
        with pytest.raises(KeyError, match="pending"):
            stackless.run()
    assert log == ["finally"] * 2


def test_hard_tasklets_are_refused():
    tasklet = started(sorting)
    with pytest.raises(stackless.FreezeError, match="sorted"):
        tasklet.clone()
    assert tasklet.paused
    finish(tasklet)


def test_hard_tasklets_without_a_frame_are_refused():
    tasklet = started(list, map(stackless.schedule_remove, [None]))
    with pytest.raises(stackless.FreezeError):
        tasklet.clone()
    finish(tasklet)


def test_main_and_current_are_refused():
    main = stackless.getcurrent()
    errors = []

    def work():
        for each in main, stackless.getcurrent():
            with pytest.raises(RuntimeError) as info:
                each.clone()
            errors.append(str(info.value))

    with pytest.raises(RuntimeError, match="main"):
        main.clone()
    started(work)
    assert len(errors) == 2


def test_inside_run_is_refused():
    errors = []

    def other(runner):
        with pytest.raises(RuntimeError) as info:
            runner.clone()
        errors.append(str(info.value))

    def run():
        spawn(other, stackless.getcurrent())
        stackless.run()

    started(run)
    assert "run()" in errors[0]


def test_it_belongs_to_the_calling_thread():
    log = []
    tasklet = started(count, log)
    seen = []

    def work():
        copy = tasklet.clone()
        seen.append(copy.thread_id == threading.get_ident())
        finish(copy)

    in_thread(work)
    assert seen == [True] and log == [6]
    finish(tasklet)
    assert log == [6, 6]


def test_collections_in_between():
    """Clones in cycles with themselves are collected, others are not."""
    log = []
    before = len(stackless.all_tasklets())
    tasklet = started(count, log)
    for turn in range(30):
        copy = tasklet.clone()
        copy_of_copy = copy.clone()
        if turn % 3 == 0:
            gc.collect()
        if turn % 2:
            finish(copy_of_copy)
            gc.collect()
        del copy, copy_of_copy
    gc.collect()
    finish(tasklet)
    assert log == [6] * 16
    del tasklet
    gc.collect()
    assert len(stackless.all_tasklets()) == before


def keep_itself(log):
    myself = stackless.getcurrent()
    pause()
    log.append(myself)


def test_a_tasklet_that_knows_itself():
    log = []
    tasklet = started(keep_itself, log)
    copy = tasklet.clone()
    finish(copy)
    assert log[0] in (tasklet, copy)
    finish(tasklet)


def test_methods_and_defaults_of_inner_functions():
    def work(log):
        number = 1

        def inner(step=2, *, more=3):
            """Text."""
            nonlocal number
            number += step + more
            return number

        inner.label = "label"
        pause()
        log.append((inner(), inner.label, inner.__doc__, inner.__qualname__))

    log = []
    tasklet = started(work, log)
    finish(tasklet.clone(), tasklet)
    assert log[0] == log[1]
    assert log[0][:3] == (6, "label", "Text.")


def test_deep_recursion():
    def down(depth, log):
        if depth:
            down(depth - 1, log)
        else:
            pause()
        log[0] += 1

    log = [0]
    tasklet = started(down, 500, log)
    finish(tasklet.clone(), tasklet)
    assert log == [1002]


def test_items_of_a_cycle_are_shared():
    """Its list is one of the copy's own; what is in there is as in any list."""
    first = iter(range(10))

    def program():
        for each in itertools.cycle([first]):
            LOG.append(next(each))
            stackless.schedule_remove(None)

    task = started(program)
    copy = task.clone()
    go(copy)
    go(task)
    go(copy)
    assert LOG == [0, 1, 2, 3]
    task.kill()
    copy.kill()


# --- what belongs to a `with`, or is being collected --------------------------

@contextlib.contextmanager
def noting(log, name):
    log.append(f"in {name}")
    try:
        yield name
    except KeyError as error:
        log.append(f"{name} has {error!r}")
    finally:
        log.append(f"out {name}")


def managing(log):
    with noting(log, 1), noting(log, 2) as name:
        pause()
        log.append(name)
        raise KeyError(name)


def stacking(log):
    with contextlib.ExitStack() as stack:
        for number in range(2):
            stack.enter_context(noting(log, number))
            pause()
        stack.callback(log.append, "called")
        pause()


def before_it_is_entered(log):
    manager = noting(log, 1)
    pause()
    with manager:
        pause()


@pytest.mark.parametrize("program", [managing, stacking, before_it_is_entered])
def test_managers_are_its_own(program):
    """Each copy leaves its own, once, at any point."""
    points = 0
    whole = []
    tasklet = started(program, whole)
    while tasklet.alive:
        points += 1
        go(tasklet)
    for point in range(points):
        log = []
        tasklet = started(program, log)
        for _ in range(point):
            go(tasklet)
        begun = log[:]
        copies = [tasklet.clone(), tasklet.clone()]
        copies.append(copies[0].clone())
        for one in (*copies, tasklet):
            log[:] = begun
            finish(one)
            assert log == whole


def collecting(log):
    made = [lambda: (x, y) for x in range(2) for y in [pause() or x]]
    numbers = [n for n in range(2) for _ in [pause()]]
    its = [next(i) for i in [iter(numbers) for _ in "ab" if not pause()]]
    log.append(([f() for f in made], numbers, its))


def test_functions_that_are_being_collected():
    """They share variables with the copy."""
    for point in range(6):
        log = []
        tasklet = started(collecting, log)
        for _ in range(point):
            go(tasklet)
        assert tasklet.alive
        copies = [tasklet.clone() for _ in range(2)]
        finish(copies[0], tasklet, copies[1])
        assert log == [([(1, 1), (1, 1)], [0, 1], [0, 0])] * 3
