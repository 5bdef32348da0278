"""Hostile inputs: 120,000 envelopes and 20,000 frozen programs, damaged.

Signed, or not unpickled: nothing but a typed error comes of them, in little
time and memory.  What is unpickled unsigned is code, and can do anything; but
what is not the state of a tasklet is none, and to look at one, or to drop it,
is safe.  See mutation_program.py.
"""

import contextvars
import json
import os
import pathlib
import subprocess
import sys

import pytest
import stackless
from mutation_program import SANITIZED
from stackless import _core
from stackless._freezing import codes, envelope, pickling

PROGRAM = pathlib.Path(__file__).with_name("mutation_program.py")
HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")
DEBUG = hasattr(sys, "gettotalrefcount")
SEED = 20261129
KEY = bytes(range(32))

pytestmark = [
    pytest.mark.noleak,
    pytest.mark.timeout(240),
    pytest.mark.skipif(HARD, reason="soft tasklets are what it damages"),
]


def outcomes(kind, count):
    """How often what came of it, in a process of its own, which survives."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), kind, str(SEED), str(count)],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=220,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    told = json.loads(done.stdout)
    assert told["slowest"] < 2
    return told["outcomes"]


def test_signed():
    """Only what is signed is unpickled, whatever the others look like."""
    count = 20_000 if DEBUG else 100_000
    found = outcomes("signed", count)
    assert sum(found.values()) >= count
    assert found["DamagedFrozenError"] > count / 2
    assert found["UnverifiedFrozenError"] > count / 10
    assert found["IncompatibleFrozenError"] > count / 1000
    # What tells its name, say, is another one.
    assert count / 1000 < found["worked"] < count / 100


def test_unsigned_envelopes():
    found = outcomes("unsigned", 20_000)
    assert sum(found.values()) >= 20_000
    assert found["DamagedFrozenError"] > 10_000
    assert found["worked"] > 1000


def test_states():
    found = outcomes("states", 10_000)
    assert found["ValueError"] > 1000
    assert found["worked"] > 1000


def test_iterators():
    count = 1_000 if SANITIZED else 10_000
    found = outcomes("iterators", count)
    assert sum(found.values()) == count
    assert found["ValueError"] > count / 10
    assert found["worked"] > count / 10


@pytest.mark.parametrize("kind", ["frames", "pickles"])
def test_frozen_programs(kind):
    if SANITIZED:
        pytest.skip("without a limit pickle takes all memory that there is")
    found = outcomes(kind, 5_000)
    assert sum(found.values()) == 5_000
    assert found["ThawError"] > 1000
    assert found["worked"] > 100


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
@pytest.mark.parametrize("change", [-100, -50, 1, 50])
def test_another_magic(monkeypatch, change, key):
    """The pickle is not even looked at."""
    local = envelope.local_header()
    local["magic"] += change
    monkeypatch.setattr(envelope, "local_header", lambda: local)
    data = envelope.pack({}, b"no pickle", key)
    monkeypatch.undo()
    with pytest.raises(stackless.IncompatibleFrozenError, match="magic"):
        stackless.thaw(data, key=key)


# --- found by these ----------------------------------------------------------


def suspending(n):
    def inner():
        stackless.schedule_remove(None)
        return n

    return inner


def frame_of(function):
    task = stackless.tasklet(function)()
    stackless.run()
    (frame,), *rest = _core._tasklet_state(task)[3]
    return frame, rest


def refused(frame, rest):
    task = stackless.tasklet()
    with pytest.raises(ValueError, match="not the state of a frame"):
        _core._set_tasklet_state(task, ((frame,), *rest))
    assert not task.alive


def test_the_slot_of_a_closure_is_not_empty():
    (*head, _, slots), rest = frame_of(suspending(1))
    assert len(slots) == 1
    refused((*head, b"\1", slots), rest)


def test_no_variable_is_a_number():
    def function(n=1):
        stackless.schedule_remove(None)

    (*head, _, slots), rest = frame_of(function)
    refused((*head, b"\2", slots), rest)


@pytest.mark.parametrize("number", [
    1 << 61, -(1 << 61) - 1, 1 << 62, 1 << 63, 1 << 70, -(1 << 70), True,
])
def test_numbers_on_the_stack_have_fewer_bits_than_a_word(number):
    def function():
        return 1, stackless.schedule_remove(None)

    (*head, _, slots), rest = frame_of(function)
    refused((*head, b"\2", (number,)), rest)


def delegating():
    yield from iter([1, 2])


@pytest.mark.parametrize("by", [-1, 1])
def test_a_generator_waits_where_one_can(by):
    generator = delegating()
    next(generator)
    (frame, *rest) = _core._generator_state(generator)
    function, names, offset, *more = frame
    frame = (function, names, offset + by, *more)
    copy = pickling._generator(delegating)
    digest = codes.digest(delegating.__code__)
    with pytest.raises(ValueError, match="cannot go on from there"):
        pickling._set_generator(copy, (frame, *rest, digest))


def test_a_generator_waits_for_something():
    generator = delegating()
    next(generator)
    (frame, *rest) = _core._generator_state(generator)
    *head, _, slots = frame
    frame = (*head, b"\1" * len(slots), slots)
    copy = pickling._generator(delegating)
    digest = codes.digest(delegating.__code__)
    with pytest.raises(ValueError, match="not the state of this generator"):
        pickling._set_generator(copy, (frame, *rest, digest))


# What a pickle has of a tasklet; see packed.c.


def pausing(value):
    stackless.schedule_remove(value)


def packed(name="name"):
    """(numbers, objects): name, tempval, function, variables."""
    task = stackless.tasklet(pausing)("value")
    task.name = name
    task.set_context(contextvars.Context())  # decimal may have set something
    stackless.run()
    numbers, *objects = pickling.Reducers().reducer_override(task)[2]
    assert objects == [name, "value", pausing, "value"]
    return numbers, objects


def changed_bytes(numbers):
    """One byte has another value, is missing, or is there twice."""
    for n in range(len(numbers)):
        for value in 0, 1, 2, 127, 128, 255, numbers[n] ^ 4, numbers[n] ^ 128:
            yield numbers[:n] + bytes([value]) + numbers[n + 1 :]
        yield numbers[:n] + numbers[n + 1 :]
        yield numbers[:n] + numbers[n : n + 1] + numbers[n:]
        yield numbers[:n]


def restored(state):
    """The tasklet, or None and it is as it was."""
    task = stackless.tasklet()
    try:
        task.__setstate__(state)
    except (TypeError, ValueError, stackless.ThawError):
        assert not task.alive
        return None
    repr(task)
    return task


def test_a_state_is_for_a_fresh_tasklet():
    numbers, objects = packed()
    task = restored((numbers, *objects))
    assert task.name == "name"
    assert task.tempval == "value"
    assert task.paused
    for used in task, stackless.current, stackless.main:
        with pytest.raises(ValueError, match="not a fresh tasklet"):
            used.__setstate__((numbers, *objects))
    assert task.paused


def test_no_byte_of_a_state_is_taken_for_good():
    numbers, objects = packed()
    changed = {*changed_bytes(numbers)} - {numbers}
    done = [restored((each, *objects)) for each in changed]
    assert done.count(None) > len(done) * 0.8
    for task in filter(None, done):
        task.bind()


@pytest.mark.parametrize("change", [
    lambda objects: objects[:-1],
    lambda objects: [*objects, None],
    lambda objects: [1, *objects[1:]],  # a name
    lambda objects: [*objects[:2], len, *objects[3:]],
    lambda objects: [],
], ids=["fewer", "more", "name", "function", "none"])
def test_the_objects_of_a_state_are_looked_at(change):
    numbers, objects = packed()
    task = stackless.tasklet()
    with pytest.raises(ValueError, match="not the state of a"):
        task.__setstate__((numbers, *change(objects)))
    assert not task.alive


@pytest.mark.parametrize("state", [
    None, (), [], ("",), (b"",), (b"\3",), (b"\3\0",), (b"\0\0",), (b"\0\x40", 1),
    (b"\3\0" + b"\xff" * 20,), (b"\3\0" + b"\xff" * 8 + b"\x7f",),
])  # fmt: skip
def test_what_is_no_state(state):
    task = stackless.tasklet()
    with pytest.raises(ValueError, match="not the state of a tasklet"):
        task.__setstate__(state)
    assert not task.alive


def test_a_frame_is_a_plain_tuple():
    """Others would not be looked at before they are built."""
    class Frame(tuple):
        pass

    task = stackless.tasklet(pausing)("value")
    stackless.run()
    name, flags, life, (frames, *more) = _core._tasklet_state(task)
    strange = Frame((*frames[0][:2], 5, 0, *frames[0][4:]))
    state = name, flags, life, ((strange,), *more)
    copy = stackless.tasklet()
    with pytest.raises(ValueError):
        copy.__setstate__(_core._pack_tasklet(state, b"", 0, None, None))
    assert not copy.alive
