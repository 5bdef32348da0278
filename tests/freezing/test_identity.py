"""Objects of the program are known by identity: nobody asks them for more.

Not for a hash, whether they equal others, for a text or for their class.
"""

import copy
import io
import pickle
import threading
import weakref

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, started, thawed
from stackless._freezing import restoring

pytestmark = pytest.mark.soft


def failing(*_):
    raise ZeroDivisionError("the program was asked")


class Task(stackless.tasklet):
    """Has no hash, as it says what it equals."""

    __eq__ = __bool__ = __len__ = failing


class Same(stackless.tasklet):
    """All are equal."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1


class Channel(stackless.channel):
    __eq__ = __bool__ = failing


class Error(Exception):
    __eq__ = __bool__ = failing


class Meta(type):
    """Classes without a hash."""

    def __eq__(cls, other):
        return NotImplemented


class OfMeta(metaclass=Meta):
    def __init__(self):
        self.value = 1


class Plain:
    __eq__ = __bool__ = failing


def receiving(channel, label):
    value = channel.receive()
    LOG.append((label, value))


def keeping(value):
    stackless.schedule_remove(None)
    LOG.append(value)


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def by_value(value):
    return loads(dumps(value, "value"))


WAYS = [thawed, by_value, pickled]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [Task, Same])
def test_blocked_tasklets_keep_their_order(kind, way):
    channel = Channel()
    tasklets = [kind(receiving)(channel, label) for label in range(4)]
    stackless.run()
    # The pickle meets them in another order.
    again = way([tasklets[2], tasklets[0], channel, *tasklets])
    del again[0], again[0]
    copied, *copies = again
    waiting = copied.queue
    for one in copies:
        assert waiting is one and one.blocked
        waiting = waiting.next
    assert waiting is None
    for number in range(4):
        copied.send(number)
    assert LOG == [(number, number) for number in range(4)]
    for number in range(4):
        channel.send(None)


@pytest.mark.parametrize("way", [*WAYS, copy.deepcopy, Task.clone])
@pytest.mark.parametrize("make", [Error, OfMeta, Plain])
def test_what_is_held_is_not_asked(make, way):
    if make is OfMeta and way is pickled:
        pytest.skip("pickle asks for the hash of each class")
    tasklet = Task(keeping)(make())
    stackless.run()
    made = way(tasklet)
    go(made, tasklet)
    assert [type(value) for value in LOG] == [make] * 2


def test_places_are_forgotten():
    channel = Channel()
    tasklet = Task(receiving)(channel, 1)
    stackless.run()
    before = len(restoring._places._known)
    made = thawed([channel, tasklet])
    assert len(restoring._places._known) == before + 1
    made[0].send(None)
    del made
    assert len(restoring._places._known) == before
    channel.send(None)


# --- in errors ---------------------------------------------------------------


class Refusing:
    def __reduce__(self):
        raise ValueError("not me")


class WithoutText(Refusing):
    __repr__ = __str__ = failing


class WithoutAttributes(Refusing):
    def __getattr__(self, name):
        failing()


class WithoutClass(Refusing):
    __class__ = property(failing)


class WithoutDict(Refusing):
    __slots__ = ()
    __dict__ = property(failing)


class OtherDict(Refusing):
    __slots__ = ()
    __dict__ = 5


class Strange(dict):
    items = __iter__ = failing


class Silent(Exception):
    __str__ = failing


class RaisingSilently:
    def __reduce__(self):
        raise Silent


@pytest.mark.parametrize("make", [
    WithoutText,
    WithoutAttributes,
    WithoutClass,
    WithoutDict,
    OtherDict,
])  # fmt: skip
def test_the_culprit_is_not_asked(make):
    tasklet = started(keeping, [make()])
    error = stackless.check_freezable(tasklet)
    assert (error.variable, error.path) == ("value", "[0]")
    assert error.type == make.__name__
    assert "not me" in str(error)
    go(tasklet)


def test_the_text_of_a_key_fails():
    tasklet = started(keeping, {WithoutText.__new__(WithoutText): None})
    error = stackless.check_freezable(tasklet)
    assert error.type == "WithoutText"
    go(tasklet)
    tasklet = started(keeping, {Key(): threading.Lock()})
    error = stackless.check_freezable(tasklet)
    assert (error.path, error.type) == ("[<Key>]", "lock")
    go(tasklet)


class Key:
    __repr__ = failing


def test_a_dict_that_does_not_show_its_items():
    class Other(Strange):
        def __reduce__(self):
            return dict, (), None, None, iter(dict.items(self))

    tasklet = started(keeping, Other(a=threading.Lock()))
    error = stackless.check_freezable(tasklet)
    assert (error.path, error.type) == ("['a']", "lock")
    go(tasklet)


def test_an_error_that_says_nothing():
    class Pickler(stackless.Pickler):
        pass

    tasklet = started(keeping, RaisingSilently())
    error = stackless.check_freezable(tasklet)
    assert "Silent" in str(error) and error.type == "RaisingSilently"
    with pytest.raises(stackless.FreezeError, match="Silent"):
        Pickler(io.BytesIO()).dump(tasklet)
    go(tasklet)


def test_what_a_proxy_was_for_is_gone():
    proxy = weakref.proxy(Plain())
    tasklet = started(keeping, proxy)
    error = stackless.check_freezable([tasklet])
    assert error.variable == "value" and "ProxyType" in error.type
    tasklet.kill()


class Pretending:
    """As proxies do, it says that it is of another class."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return Pretending, (self.value,)

    __class__ = property(lambda self: type(self.__dict__["value"]))


@pytest.mark.parametrize("make", [
    stackless.tasklet,
    stackless.channel,
    ValueError,
    dict,
])  # fmt: skip
def test_what_says_that_it_is_something_else(make):
    pretending = Pretending(make())
    for way in (thawed, stackless.tasklet.clone):
        tasklet = started(keeping, pretending)
        copied = way(tasklet)
        go(copied)
        assert type(LOG.pop()) is Pretending
        go(tasklet)
        LOG.clear()
    copied = stackless.thaw(stackless.freeze(pretending))
    assert type(copied) is Pretending and type(copied.value) is make
    assert stackless.inspect_frozen(stackless.freeze(pretending))["stack"] == []
