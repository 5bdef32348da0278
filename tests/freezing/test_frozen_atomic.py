"""A tasklet that waits inside `with stackless.atomic()` is frozen there."""

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, started, thawed

pytestmark = pytest.mark.soft


def inside():
    with stackless.atomic():
        with stackless.atomic() as inner:
            stackless.schedule_remove(inner)
            note()
        note()
    note()


def note():
    LOG.append(stackless.current.atomic)


def rest(task):
    LOG.clear()
    go(task)
    return list(LOG)


@pytest.mark.parametrize("copied", [thawed, stackless.tasklet.clone])
def test_in_a_with_block(copied):
    original = started(inside)
    one, other = copied(original), copied(original)
    assert one.atomic and other.atomic
    for task in one, original, other:
        assert rest(task) == [True, True, False]
        assert not task.atomic and not task.alive


def test_the_object_is_that_of_the_copy():
    original = started(inside)
    copy = thawed(original)
    with pytest.raises(RuntimeError, match="already entered"):
        copy.tempval.__enter__()
    copy.tempval.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="not entered"):
        copy.tempval.__exit__(None, None, None)
    assert original.atomic and copy.atomic
    copy.bind()
    assert rest(original) == [True, True, False]


def test_one_that_nobody_is_in():
    copy = thawed(stackless.atomic())
    with copy:
        note()
    note()
    assert LOG == [True, False]


def test_one_that_another_tasklet_is_in():
    """A clone shares it."""
    other = started(inside)

    def holding(atomic):
        stackless.schedule_remove(None)
        LOG.append(atomic is other.tempval)

    task = stackless.tasklet(holding)(other.tempval)
    stackless.run()
    assert rest(task.clone()) == [True]


@pytest.mark.parametrize("state", [
    None, (), (1, 0), (None, 0), [stackless.getmain(), 0],
    (stackless.getmain(),),
])  # fmt: skip
def test_bad_states(state):
    with pytest.raises(TypeError):
        stackless.atomic().__setstate__(state)


def test_a_state_takes_the_place_of_another():
    with stackless.atomic() as atomic:
        atomic.__setstate__((stackless.getcurrent(), 1))
    assert stackless.getcurrent().set_atomic(0)


def test_data_are_plain():
    data = dumps(started(inside))
    assert b"atomic" in data
    assert rest(loads(data)) == [True, True, False]
