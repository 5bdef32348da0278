"""pickle.dumps(), copy.copy() and copy.deepcopy() of tasklets and channels."""

import abc
import collections
import contextvars
import copy
import dataclasses
import decimal
import enum
import itertools
import pickle
import re
import sys
import threading
import traceback

import freezing_calls  # noqa: F401
import freezing_errors  # noqa: F401
import freezing_loops  # noqa: F401
import pytest
import stackless
from freezing_support import (
    LOG,
    OUTCOME,
    PROGRAMS,
    finish,
    go,
    start,
    thaw,
    whole,
)

pytestmark = [
    pytest.mark.soft,
    pytest.mark.filterwarnings("ignore:Pickle, copy:DeprecationWarning"),
]

ERRORS = pickle.PicklingError, TypeError, AttributeError
PICKLERS = {
    "C, 2": lambda value: pickle.dumps(value, 2),
    "C, 5": lambda value: pickle.dumps(value, 5),
    "Python, 5": lambda value: pickle._dumps(value, 5),
}
# Of 528 points (485 on 3.14 and later) when programs run for the first time.
LEAST = {(3, 11): 460, (3, 12): 460, (3, 13): 460, (3, 14): 420, (3, 15): 420}
# What pickle writes of an exception is not all of it, where no frame refers to it.
LOSE = {"exception_kept"}


class Tasklet(stackless.tasklet):
    pass


class Channel(stackless.channel):
    pass


def waiting(function, *args, of=stackless.tasklet):
    tasklet = of(function)(*args)
    tasklet.run()
    return tasklet


@pytest.mark.parametrize("dumps", PICKLERS.values(), ids=PICKLERS)
def test_programs(dumps):
    pickled = 0
    for name, program in PROGRAMS.items():
        expected = whole(program)
        tasklet = start(program)
        data = []
        while tasklet.alive:
            try:
                data.append(dumps((list(LOG), tasklet)))
            except ERRORS:
                pass
            go(tasklet)
        for each in data:
            assert finish(thaw(each)) == expected or name in LOSE
        pickled += len(data)
    assert pickled >= LEAST[sys.version_info[:2]]


def test_shared_variables_stay_shared():
    def pair():
        count = 0

        def add():
            nonlocal count
            count += stackless.schedule_remove(None)
            return count

        return add

    add = pair()
    tasks = [waiting(add), waiting(add)]
    for one in pickle.loads(pickle.dumps(tasks)), copy.deepcopy(tasks[:1]):
        for number, task in enumerate(one, 1):
            task.tempval = number
            task.insert()
        stackless.run()
        assert not any(task.alive for task in one)
    assert all(task.alive for task in tasks)
    for task in tasks:
        task.kill()


def test_a_channel_and_who_waits():
    log = []

    def receive(number):
        log.append((number, channels[0].receive()))

    channels = [Channel()]
    channels[0].preference = 1
    channels[0].word = "attribute"
    tasks = [waiting(receive, n, of=Tasklet) for n in range(3)]
    for duplicate in (
        lambda value: pickle.loads(pickle.dumps(value)),
        copy.deepcopy,
    ):
        new = duplicate(channels[0])
        assert type(new) is Channel and new.word == "attribute"
        assert (new.preference, new.balance) == (1, -3)
        assert type(new.queue) is Tasklet
        assert new.queue is not tasks[0]
    assert channels[0].balance == -3
    for task in tasks:
        task.kill()


def test_copy_is_a_clone():
    def work():
        return log.append(stackless.schedule_remove(None))

    log = []
    task = waiting(work)
    second = copy.copy(task)
    assert type(second) is stackless.tasklet and second.paused
    for number, each in enumerate([task, second]):
        each.tempval = number
        each.insert()
    stackless.run()
    assert log == [0, 1]


def test_a_channel_cannot_be_copied():
    with pytest.raises(TypeError, match="cannot copy a channel"):
        copy.copy(stackless.channel())


@pytest.mark.parametrize("function", [
    pickle.dumps, copy.deepcopy, copy.copy, stackless.tasklet.__reduce__
])
def test_what_runs_is_refused(function):
    with pytest.raises(
        (pickle.PicklingError, RuntimeError), match="is a main tasklet"
    ):
        function(stackless.current)


def test_protocols_are_numbers():
    for thing in stackless.channel(), stackless.tasklet():
        with pytest.raises(TypeError):
            thing.__reduce_ex__("2")


def test_new_and_dead_ones():
    log = []
    new = stackless.tasklet().bind(log.append, (1,))
    for each in pickle.loads(pickle.dumps([new, stackless.tasklet()])):
        assert type(each) is stackless.tasklet
    assert pickle.loads(pickle.dumps(new)).alive
    new.run()
    assert not pickle.loads(pickle.dumps(new)).alive


def test_a_pickle_after_one_that_has_failed():
    """Nothing of the first attempt is left over."""

    def numbers():
        for number in range(4):
            yield stackless.schedule_remove(number)

    def work(lock):
        log = []
        for number in numbers():
            log.append(number)
            lock = None
        return seen.append(log)

    seen = []
    task = waiting(work, threading.Lock())
    assert stackless.check_freezable(task).variable == "lock"
    with pytest.raises(TypeError) as failure:
        pickle.dumps(task)
    go(task)
    go(task)
    copied = pickle.loads(pickle.dumps(task))
    go(copied)
    go(copied)
    assert not copied.alive
    task.kill()
    assert failure


@pytest.mark.parametrize("thing", [stackless.tasklet, stackless.channel])
def test_bad_arguments(thing):
    for method, arguments in (
        (thing.__copy__, ()),
        (thing.__deepcopy__, ({},)),
        (thing.__reduce__, ()),
        (thing.__reduce_ex__, (2,)),
    ):
        with pytest.raises(TypeError):
            method(None, *arguments)
    with pytest.raises(TypeError, match="memo is a dict"):
        thing().__deepcopy__([])
    memo = {}
    one = thing()
    assert one.__deepcopy__(memo) is memo[id(one)]


# --- what is made inside functions -------------------------------------------

def plain_class():
    class Thing:
        def described(self):
            return type(self).__name__, __class__ is Thing

    one, other = Thing(), Thing()
    one.itself, other.kind, other.one = one, Thing, one
    stackless.schedule_remove(None)
    assert one.itself is one is other.one
    assert other.kind is Thing is type(one) is type(other)
    return one.described()


def data_class():
    @dataclasses.dataclass
    class Point:
        x: int = 1
        tags: list = dataclasses.field(default_factory=list)

    point = Point(5)
    stackless.schedule_remove(None)
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "tags"]
    assert Point().tags is not point.tags
    return (
        dataclasses.asdict(point),
        dataclasses.replace(point, x=7).x,
        point == Point(5),
        repr(Point()),
    )


def data_class_with_slots():
    @dataclasses.dataclass(slots=True, frozen=True)
    class Point:
        x: int = 1

    point = Point(5)
    stackless.schedule_remove(None)
    return point == Point(5), dataclasses.replace(point, x=7).x


def enumerations():
    class Color(enum.Enum):
        RED = 1
        BLUE = 2

        def is_red(self):
            return self is Color.RED

    class Flags(enum.IntFlag):
        A = 1
        B = 2

    color, flags = Color.RED, Flags.A | Flags.B
    stackless.schedule_remove(None)
    assert color is Color.RED is Color(1) is Color["RED"]
    return color.is_red(), len(Color), flags == Flags(3), Flags.A in flags


def named_tuples():
    Pair = collections.namedtuple("Pair", "a b")
    pair = Pair(1, 2)
    stackless.schedule_remove(None)
    assert type(pair) is Pair
    return pair, pair.a, pair._replace(b=3)


def bases_and_metaclass():
    class Meta(abc.ABCMeta):
        def shout(cls):
            return cls.__name__.upper()

    class Base(metaclass=Meta):
        @abc.abstractmethod
        def name(self): ...

        @property
        def number(self):
            return 5

        @classmethod
        def own(cls):
            return cls.__name__

        @staticmethod
        def word():
            return "word"

    class Sub(Base):
        __slots__ = ("value",)

        def name(self):
            return super().own()

    sub = Sub()
    sub.value = [1]
    stackless.schedule_remove(None)
    assert isinstance(sub, Base)
    return Sub.shout(), sub.name(), sub.number, sub.word(), sub.value


def local_errors():
    class Failure(Exception):
        def __init__(self, reason, more):
            super().__init__(reason)
            self.more = more

    try:
        raise Failure("reason", [1])
    except Failure as error:
        stackless.schedule_remove(None)
        assert type(error) is Failure
        return error.args, error.more


def nested_iterators():
    factor, log = 3, []
    numbers = map(lambda n: n * factor, (n for n in range(3)))
    for item in enumerate(zip(numbers, re.finditer(".", "abc"))):
        stackless.schedule_remove(None)
        log.append(str(item))
    return log


def local_decimals():
    with decimal.localcontext(decimal.Context(4)):
        stackless.schedule_remove(None)
        third = decimal.Decimal(1) / 3
    return str(third)


MADE_INSIDE = [
    plain_class,
    data_class,
    data_class_with_slots,
    enumerations,
    named_tuples,
    bases_and_metaclass,
    local_errors,
    nested_iterators,
    local_decimals,
]


@pytest.mark.parametrize("program", MADE_INSIDE)
def test_made_inside_a_function(program):
    expected = contextvars.Context().run(whole, program)
    task = contextvars.Context().run(start, program)
    ways = [*PICKLERS.values(), copy.deepcopy]
    while task.alive:
        for way in ways:
            copied = way((list(LOG), task))
            if isinstance(copied, bytes):
                copied = pickle.loads(copied)
            log = list(LOG), list(OUTCOME)
            LOG[:], each = copied
            OUTCOME.clear()
            assert finish(each) == expected
            LOG[:], OUTCOME[:] = log
        go(task)
    assert expected[0][0][0] == "returned"


def test_two_tasklets_share_a_class():
    class Thing:
        pass

    def work(thing):
        stackless.schedule_remove(None)
        return seen.append((thing, Thing))

    seen = []
    tasks = [waiting(work, Thing()) for _ in range(2)]
    for task in pickle.loads(pickle.dumps(tasks)):
        frames = stackless._core._tasklet_state(task)[3][0]
        thing, = (s for s in frames[0][5] if type(s).__name__ == "Thing")
        seen.append(type(thing))
    assert seen[0] is seen[1] is not Thing
    for task in tasks:
        task.kill()


def test_a_class_inside_another_object():
    class Thing:
        pass

    def work(things):
        stackless.schedule_remove(None)
        return things

    for things in [Thing], [Thing()], {"a": Thing}:
        task = waiting(work, things)
        with pytest.raises(ERRORS, match="Thing"):
            pickle.dumps(task)
        assert copy.deepcopy(task).alive
        task.kill()


# --- what frames and other objects have --------------------------------------

class Holder:
    pass


def shared_iterators(holder):
    values, words = [1, 2, 3, 4], {"a": 1, "b": 2}
    it, back, over = iter(values), reversed(values), iter(words)
    next(it), next(back), next(over)
    mapped, zipped = map(str, it), zip(it, back)
    worded = enumerate(over)
    holder.parts = [it, mapped, back, zipped]
    stackless.schedule_remove(None)
    same = [a is b for a, b in zip(holder.parts, [it, mapped, back, zipped])]
    taken = next(it), next(mapped), next(zipped), next(worded), [*over]
    return same, taken


def shared_error(holder):
    try:
        try:
            raise KeyError("key")
        except KeyError as cause:
            raise ValueError("value", holder) from cause
    except ValueError as error:
        holder.errors = [error]
        error.note = holder
        holder.cause = error.__cause__
        stackless.schedule_remove(None)
        assert holder.errors[0] is error and holder.cause is error.__cause__
        assert error.note is holder is error.args[1]
        lines = traceback.extract_tb(error.__traceback__)
        return [line.name for line in lines], repr(error.__cause__)


def shared_errors_in_a_ring(holder):
    first, second = ValueError(1), KeyError(2)
    first.other, second.other = second, first
    first.__context__ = second
    holder.first = first
    stackless.schedule_remove(None)
    assert holder.first is first is second.other
    assert first.other is second is first.__context__
    return repr(first), repr(second)


class Numbers(list):
    """Is iterated over in its own way."""

    def __iter__(self):
        yield from super().__iter__()


def another_list(holder):
    values = Numbers([1, 2, 3])
    it = list.__iter__(values)
    next(it)
    stackless.schedule_remove(None)
    return [*it]


@pytest.mark.parametrize("dumps", PICKLERS.values(), ids=PICKLERS)
@pytest.mark.parametrize("program", [
    shared_iterators, shared_error, shared_errors_in_a_ring, another_list
])  # fmt: skip
def test_it_is_one_object(program, dumps):
    def run():
        value = program(Holder())
        LOG.append(value)

    task = waiting(run)
    copies = [pickle.loads(dumps(task)), copy.deepcopy(task)]
    LOG.clear()
    go(*copies)
    go(task)
    assert len(LOG) == 3 and LOG[0] == LOG[1] == LOG[2]


def walking(things, over):
    for thing in over(things):
        LOG.append(type(thing).__name__)
        stackless.schedule_remove(None)


@pytest.mark.parametrize("dumps", PICKLERS.values(), ids=PICKLERS)
@pytest.mark.parametrize("over", [iter, reversed, enumerate])
def test_a_tasklet_in_the_list_that_it_goes_over(over, dumps):
    """The pickle comes to the iterator before the items are there."""
    things = [1, "two", 3.0]
    task = stackless.tasklet(walking)(things, over)
    things.append(task)
    stackless.run()
    go(task)
    copied = pickle.loads(dumps(things))[-1]
    LOG.clear()
    go(copied), go(copied)
    taken = LOG[:]
    LOG.clear()
    go(task), go(task)
    assert taken == LOG and len(LOG) == 2
    task.kill()
    copied.kill()


# --- deep copies ---------------------------------------------------------------

def filling(values, channel):
    values.append(stackless.schedule_remove(None))
    while True:
        value = channel.receive()
        values.append(value)


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_deep_copy_shares_as_the_original_does(kind, order):
    values, channel = [], Channel()
    tasks = [waiting(filling, values, channel) for _ in range(2)]
    go(tasks[0])
    parts = [values, channel, *tasks]
    things = kind(parts[n] for n in order)
    copies = dict(zip(order, copy.deepcopy(things)))
    copied, pipe, first, second = (copies[n] for n in range(4))
    assert copied is not values and pipe is not channel
    assert pipe.queue is first and first is not tasks[0]
    go(second)
    pipe.send(1)
    assert copied == [None, None, 1] and values == [None]
    for task in (*tasks, first, second):
        task.kill()


def test_a_deep_copy_of_an_object_with_a_tasklet():
    holder = Holder()
    holder.task = waiting(filling, [holder], stackless.channel())
    holder.again = holder.task
    copied = copy.deepcopy(holder)
    assert copied.task is copied.again is not holder.task
    frame = copied.task.frame
    while frame.f_code is not filling.__code__:
        frame = frame.f_back
    assert frame.f_locals["values"][0] is copied
    del frame
    holder.task.kill()
    copied.task.kill()


def test_a_deep_copy_with_a_memo():
    values = [1]
    task = waiting(filling, values, stackless.channel())
    memo = {id(values): values}
    copied = copy.deepcopy(task, memo)
    assert memo[id(task)] is copied
    go(copied)
    assert values == [1, None]
    copied.kill()
    task.kill()


def test_where_a_deep_copy_fails():
    task = waiting(filling, [threading.Lock()], stackless.channel())
    with pytest.raises(stackless.FreezeError) as info:
        copy.deepcopy([task])
    assert (info.value.variable, info.value.path) == ("values", "[0]")
    task.kill()
