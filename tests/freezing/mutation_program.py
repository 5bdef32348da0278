"""Hostile inputs for thaw(), in an interpreter of its own.

    python tests/freezing/mutation_program.py KIND SEED COUNT

signed      frozen data that are damaged in any way; a key is given.  Some are
            signed with it, and their header is damaged.
unsigned    the same without a key, for inspect_frozen().
states      the tuples that C makes tasklets and generators of.  They are
            looked at afterwards, and never run: what they would do then,
            nobody knows.
frames      the same by thaw().  Their functions handle no exceptions, so they
            can be killed.
pickles     pickles of these, damaged in any way.
iterators   states of iterators of itertools and a few others.  Whatever is
            made of them is run.

Prints how often what came of it, and how long the slowest one took, as JSON.
Memory is limited.
"""

import collections
import gc
import hmac
import io
import itertools
import json
import os
import pathlib
import pickle
import pickletools
import random
import resource
import sys
import time
import tracemalloc
import types

import stackless
from stackless import _core
from stackless._freezing import cloning, envelope, iterators, pickling

KEY = bytes(range(32))
NAMED = ("2026-11", KEY)
OTHER = bytes(32)
FIXED = 19  # bytes before the key id
ERRORS = (
    stackless.DamagedFrozenError,
    stackless.UnverifiedFrozenError,
    stackless.IncompatibleFrozenError,
)
ROOM = 1 << 30  # bytes of memory, besides what there is at the beginning
SANITIZED = any(
    name in os.environ.get("LD_PRELOAD", "") for name in ("asan", "tsan")
)


class Wrong(Exception):
    """Something that must not come of any input."""


def limit_memory():
    if not SANITIZED:  # their shadow memory is larger than any limit
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (room, room))


# --- damage ------------------------------------------------------------------


def damaged(r, data, other):
    """Flip, cut, insert, repeat, splice, one after another."""
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 5))):
        at = r.randrange(len(data) + 1)
        to = min(len(data), at + r.choice((1, 2, 4, 8, 50, 1000)))
        way = r.randrange(8)
        if way == 0:
            data = data[:at]
        elif way == 1:
            del data[at:to]
        elif way == 2:
            data[at:at] = r.randbytes(to - at)
        elif way == 3:
            data[at:to] = r.randbytes(to - at)
        elif way == 4:
            start = r.randrange(len(other))
            data[at:to] = other[start : start + to - at]
        elif way == 5:
            data[at:at] = data[at:to]
        elif way == 6 and at < len(data):
            data[at] ^= 1 << r.randrange(8)
        elif at < FIXED and len(data) >= FIXED:
            data[at] = r.choice((0, 1, 127, 128, 255))
        elif at < len(data):
            data[at] = r.choice(b'"\\[]{},:0-e')
    return bytes(data)


def chunks_of(data):
    """A pickle's opcodes with their arguments, without those that only say
    how long the following ones are."""
    found = list(pickletools.genops(data))
    ends = [place for _, _, place in found[1:]] + [len(data)]
    return [
        data[place:end]
        for (opcode, _, place), end in zip(found, ends)
        if opcode.name not in ("FRAME", "PROTO")
    ]


def with_opcodes_damaged(r, chunks, other):
    """A pickle that goes wrong later than most."""
    chunks = list(chunks)
    for _ in range(r.choice((1, 1, 1, 2, 4))):
        at = r.randrange(len(chunks))
        to = at + r.choice((1, 1, 2, 5))
        way = r.randrange(7)
        if way == 0:
            del chunks[at:to]
        elif way == 1:
            start = r.randrange(len(other))
            chunks[at:to] = other[start : start + to - at]
        elif way == 2:
            chunks[at:at] = chunks[at:to]
        elif way == 3:
            to = r.randrange(len(chunks))
            chunks[at], chunks[to] = chunks[to], chunks[at]
        else:  # an argument
            numbers = [n for n, c in enumerate(chunks) if len(c) > 1]
            at = r.choice(numbers)
            chunk = bytearray(chunks[at])
            place = r.randrange(1, len(chunk))
            near = chunk[place] + r.choice((-2, -1, 1, 2)) & 255
            chunk[place] = r.choice((0, near, near, r.randrange(256), 255))
            chunks[at] = bytes(chunk)
        chunks = chunks or list(other)
    return b"\x80\x05" + b"".join(chunks)


NUMBERS = [-(1 << 63), -1, 0, 1, 2, 3, 4, 5, 7, 255, 65535, 65536]
NUMBERS += [(1 << 31) - 1, 1 << 31, (1 << 61) + 1, 1 << 63, 1 << 70]


def something(r):
    """Any object, which may be where another one should be."""
    return r.choice([
        None, True, 0, 5, -1, 1 << 70, 1.5, "total", b"\0\1", (), (1,),
        [], [1], {}, int, OSError, pickle, len, summing, values,
        types.CellType(), types.CellType(1), iter([1]), KeyError("key"),
        values(1), stackless.channel(), stackless.tasklet(),
        stackless.tasklet(summing)(1), summing.__code__,
    ])  # fmt: skip


def changed(r, value, other):
    """A tuple of a state with one thing in it, or more, changed."""
    if type(value) is tuple and value:
        return changed_tuple(r, value, other)
    if type(value) is bytes and r.random() < 0.9:
        n = max(0, len(value) + r.choice((-1, 0, 0, 0, 1)))
        marks = bytes(r.choice((0, 0, 0, 1, 1, 2, 3, 255)) for _ in range(n))
        near = bytearray(value)
        if near:
            near[r.randrange(len(near))] = r.choice((0, 1, 2, 3, 4, 128))
        return r.choice((b"", marks, bytes(near), bytes(near)))
    if type(value) is int and r.random() < 0.9:
        near = value + r.choice((-4, -3, -2, -1, 1, 2, 3, 4))
        return r.choice((near, near, r.randrange(100), r.choice(NUMBERS)))
    return something(r)


def changed_tuple(r, value, other):
    items = list(value)
    at = r.randrange(len(items))
    way = r.randrange(24)
    if way == 0:
        del items[at]
    elif way == 1:
        items.insert(at, items[at])
    elif way == 2:
        to = r.randrange(len(items))
        items[at], items[to] = items[to], items[at]
    elif way == 3:
        del items[at:]
    elif way == 4:
        items.insert(at, something(r))
    elif way == 5:
        return r.choice((list(value), something(r)))
    elif way < 9 and type(other) is tuple and other:
        items[at] = other[at % len(other)]
    else:
        inner = None
        if type(other) is tuple and at < len(other):
            inner = other[at]
        items[at] = changed(r, items[at], inner)
        if way > 20:
            return changed_tuple(r, tuple(items), other)
    return tuple(items)


# --- programs that are frozen ------------------------------------------------

# Without `try`, `with`, and what is compiled to that.


def summing(number):
    total = 0
    for n in [1, 2, number]:
        total += pausing(n, text="text")
    return total


def pausing(n, *more, text):
    unbound = n
    del unbound
    return (n, [text, *more], stackless.schedule_remove(n))[2]


def closing_over(number):
    count = number

    def add(more):
        nonlocal count
        count += more
        return stackless.schedule_remove(count)

    return add(1) + add(2)


def receiving(channel):
    return channel.receive() + 1


def sending(channel):
    local = [channel]
    channel.send((1, local))
    return local


def values(n):
    yield n
    yield stackless.schedule_remove(n)


def more_values(n):
    for value in values(n):
        yield value
    yield from values(n)


def iterating(n):
    total = 0
    for value in more_values(n):
        total += value
    return total


def holding(n):
    generator = more_values(n)
    return next(generator), stackless.schedule_remove(generator), generator


def iterating_over_others(n):
    over = itertools.islice(itertools.product("ab", repeat=n), 1, None)
    groups = itertools.groupby(itertools.permutations("abc"), len)
    branches = itertools.tee(itertools.combinations("abcd", n))
    ways = [next(groups), *map(next, branches), next(over)]
    for way in itertools.chain(over, itertools.zip_longest(*branches)):
        ways.append(stackless.schedule_remove(way))
    return ways


def with_class(n):
    class Local:
        __slots__ = ("number",)
        shared = [n]

        @property
        def more(self):
            return self.number, Local

    local = Local()
    local.number = n
    return stackless.schedule_remove(n), local.more


# These two cannot be killed when they have been changed.


def handling(n):
    for _ in range(2):
        try:
            {}["key"]
        except KeyError as error:
            stackless.schedule_remove(error)
        finally:
            n += 1


class Manager:
    def __enter__(self):
        return stackless.schedule_remove(self)

    def __exit__(self, *error):
        stackless.schedule_remove(error)


def managing(n):
    with Manager() as one, Manager() as other:
        return n, one, other


def suspended(function, argument):
    task = stackless.tasklet(function)(argument)
    stackless.run()
    return task


def harmless():
    """Suspended tasklets."""
    channel, other = stackless.channel(), stackless.channel()
    found = [
        suspended(summing, 3),
        suspended(closing_over, 3),
        suspended(receiving, channel),
        suspended(receiving, channel),
        suspended(sending, other),
        suspended(holding, 3),
        suspended(with_class, 3),
        suspended(iterating, 3),
        suspended(iterating_over_others, 3),
    ]
    return found


def others():
    within = suspended(managing, 3)
    within.insert()
    stackless.run()
    return [suspended(handling, 3), suspended(managing, 3), within]


# --- what is done to them ----------------------------------------------------

OUTCOMES = collections.Counter()
KEPT = []  # what must not be closed: it would run
LOADED = []


class Witness:
    def __setstate__(self, state):
        LOADED.append(state)


def counted(function, *args, allowed, **kwargs):
    """What it returns, if it does; counts what came of it."""
    try:
        value = function(*args, **kwargs)
    except allowed as error:
        if isinstance(error.__cause__, SystemError):
            raise Wrong from error
        OUTCOMES[type(error).__name__] += 1
        return None
    OUTCOMES["worked"] += 1
    return value


def look_at(frame):
    seen = 0
    while frame is not None and seen < 20:
        repr(frame)
        frame.f_lineno, frame.f_lasti
        try:
            dict(frame.f_locals)
        except Exception:
            pass
        frame = frame.f_back
        seen += 1


def look(value):
    """Whatever reads, and does not run, what has been made; returns what a
    tasklet has on its stack."""
    if type(value) in pickling._GENERATORS:
        repr(value)
        _, name = pickling._GENERATORS[type(value)]
        look_at(getattr(value, name))
    elif isinstance(value, stackless.tasklet):
        repr(value)
        look_at(value.frame)
        value.alive, value.blocked, value.paused, value.waiting_for
    gc.get_referents(value)
    return slots_of(value)


def slots_of(value):
    try:
        if type(value) in pickling._GENERATORS:
            frames = _core._generator_state(value)[:1]
        else:
            frames = _core._tasklet_state(value)[3][0]
    except (RuntimeError, TypeError, ValueError):  # running; not a tasklet
        return []
    return [
        slot
        for frame in frames
        for slot in (frame[5] if type(frame) is tuple else [frame])
    ]


class Kind:
    """A kind of inputs: the next one, and what is done with it."""

    def __init__(self, r):
        self.r = r
        self.set_up()


class Signed(Kind):
    key = KEY
    keys = [KEY, NAMED, {None: KEY, "2026-11": KEY}]

    def set_up(self):
        task = suspended(summing, 3)
        everything = [task, Witness()]
        self.sources = [
            stackless.freeze(value, key=key)
            for value in (everything, [Witness(), bytes(3000)])
            for key in (None, KEY, NAMED, OTHER)
        ]
        self.sources.append(stackless.freeze(Witness(), key=KEY))
        self.good = set(self.sources)
        self.payload = pickle.dumps([1])
        head = json.loads(envelope.pack({
            "stack": [["a.py", 3, "f", "00ff"], ["a.py", None, "g", "0a0b"]],
            "name": "name", "own": [1.5, {"x": None}],
        }, b"", None)[FIXED:])  # fmt: skip
        self.heads = [json.dumps(head).encode()]
        self.heads.append(self.heads[0].replace(b" ", b""))

    def make(self):
        r = self.r
        if r.random() < 0.1:
            head = damaged(r, r.choice(self.heads), r.choice(self.heads))
            return self.sealed(head)
        while True:
            data = damaged(r, r.choice(self.sources), r.choice(self.sources))
            if data not in self.good:
                return data

    def sealed(self, head):
        """With right lengths and signature, so that it is parsed."""
        payload = self.payload
        fixed = envelope._FIXED.pack(
            envelope.MAGIC, envelope.FORMAT, self.key is not None, 0,
            len(head), len(payload),
        )  # fmt: skip
        data = fixed + head + payload
        if self.key is not None:
            data += hmac.digest(self.key, data, "sha256")
        return data

    def attack(self, data):
        """Only what is signed is unpickled."""
        key = self.r.choice(self.keys)
        value = counted(stackless.thaw, data, key=key, allowed=ERRORS)
        if value not in (None, [1]) or LOADED:
            raise Wrong(data)


class Unsigned(Signed):
    key = None

    def attack(self, data):
        """Whatever is told has its type."""
        told = counted(stackless.inspect_frozen, data, allowed=ERRORS)
        if LOADED:
            raise Wrong(data)
        if told is None:
            return
        good = not told["verified"] and type(told["magic"]) is int
        for file, line, qualname, digest in told["stack"]:
            good = good and type(file) is type(qualname) is str
            good = good and (line is None or type(line) is int)
            good = good and (digest is None or type(digest) is str)
        if not good:
            raise Wrong(data)


class States(Kind):
    allowed = TypeError, ValueError

    def set_up(self):
        self.tasks = harmless() + others()
        self.soft = [task for task in self.tasks if task.restorable]

    def frames_of(self, task):
        """With generators that are copies, which nothing runs."""
        copier = cloning._Copier()
        frames, *rest = _core._tasklet_state(task)[3]
        copier.cells(frames)
        return (tuple(map(copier.frame, frames)), *rest)

    def generators_in(self, frames):
        for frame in frames:
            for value in frame[5] if type(frame) is tuple else [frame]:
                if type(value) in pickling._GENERATORS:
                    yield value

    def make(self):
        r = self.r
        state = self.frames_of(r.choice(self.soft))
        other = self.frames_of(r.choice(self.soft))
        found = list(self.generators_in(state[0] + other[0]))
        if found and r.random() < 0.4:
            generator = r.choice(found)
            state = _core._generator_state(generator)
            again = _core._generator_state(r.choice(found))
            function = state[0][0]
            return function, changed_tuple(r, state, again)
        if r.random() < 0.9:
            frames = changed_tuple(r, state[0], other[0])
            return None, (frames, *state[1:])
        return None, changed_tuple(r, state, other)

    def attack(self, made):
        function, state = made
        if function is not None:
            generator = pickling._generator(function)
            KEPT.append(generator)
            counted(
                _core._set_generator_state, generator, state,
                allowed=self.allowed,
            )  # fmt: skip
            look(generator)
            return
        task = stackless.tasklet()
        before = OUTCOMES["worked"]
        counted(_core._set_tasklet_state, task, state, allowed=self.allowed)
        if OUTCOMES["worked"] > before:
            look(task)
            task.bind()


class Changing(pickling.Pickler):
    """Writes one of the states, or more, changed."""

    def __init__(self, file, r):
        super().__init__(file)
        self.r = r
        self.seen = None

    def reducer_override(self, value):
        reduced = super().reducer_override(value)
        if type(value) in (stackless.tasklet, types.GeneratorType):
            make, args, state, *rest = reduced
            for _ in range(self.r.choice((0, 1, 1, 2))):
                state = changed_tuple(self.r, state, self.seen)
            self.seen = state
            self._kept.append(state)
            return make, args, state, *rest
        return reduced


class Frames(Kind):
    def set_up(self):
        self.tasks = harmless()

    def make(self):
        task = self.r.choice(self.tasks)
        file = io.BytesIO()
        try:
            Changing(file, self.r).dump(task)
        except stackless.FreezeError:  # not everything can be written
            return self.make()
        return file.getvalue()

    def attack(self, payload):
        """ThawError is promised for all that goes wrong while thawing."""
        data = envelope.pack({}, payload, None)
        value = counted(
            stackless.thaw, data, allowed=(stackless.ThawError, MemoryError)
        )
        for slot in look(value):
            if type(slot) is types.GeneratorType:
                look(slot)
                slot.gi_yieldfrom
        if isinstance(value, stackless.tasklet) and self.r.random() < 0.5:
            try:
                value.bind()
            except RuntimeError:  # it waits for a channel
                pass


class Pickles(Frames):
    def set_up(self):
        super().set_up()
        self.pickles = [pickling.dumps(task) for task in self.tasks]
        self.pickles.append(pickling.dumps(self.tasks))
        self.chunks = [chunks_of(data) for data in self.pickles]

    def make(self):
        r = self.r
        if r.random() < 0.3:
            return damaged(r, r.choice(self.pickles), r.choice(self.pickles))
        return with_opcodes_damaged(
            r, r.choice(self.chunks), r.choice(self.chunks)
        )


class Iterators(Kind):
    allowed = TypeError, ValueError

    def set_up(self):
        self.kinds = sorted(iterators.TYPES, key=str)

    def state(self):
        """A type, and the state of a fresh one of its samples."""
        kind = self.r.choice(self.kinds)
        samples = iterators._TYPES[kind][1]()
        for sample, _ in samples:
            state = iterators.state_of(sample)
            if self.r.random() < 0.5:
                break
        return state

    def make(self):
        kind, state = self.state()
        _, other = self.state()
        if self.r.random() < 0.1:
            return self.r.choice((self.r.choice(self.kinds), int)), state
        return kind, changed_tuple(self.r, state, other)

    def attack(self, made):
        kind, state = made
        iterator = counted(
            iterators.make, kind, state, allowed=self.allowed
        )
        if iterator is None:
            return
        gc.get_referents(iterator)
        sys.getsizeof(iterator)
        for _ in range(60):
            try:
                next(iterator)
            except TypeError:  # not all are iterators, and not all callable
                break
            except Exception as error:
                if isinstance(error, SystemError):
                    raise Wrong(made) from error
        again = iterators.state_of(iterator)
        iterators.make(*again)


KINDS = {
    "iterators": Iterators,
    "signed": Signed,
    "unsigned": Unsigned,
    "states": States,
    "frames": Frames,
    "pickles": Pickles,
}


def attack(kind, data):
    """The seconds that it took."""
    begun = time.process_time()
    kind.attack(data)
    return time.process_time() - begun


def attack_and_measure(kind, data):
    """See that memory is at most ten times the input, and a constant.

    Whatever is made once, compiled code say, is there the next time.
    """
    for _ in range(3):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        kind.attack(data)
        peak = tracemalloc.get_traced_memory()[1] - before
        if peak <= 10 * len(data) + 30_000:
            return
    raise Wrong(f"{peak} bytes for {data}")


def main(name, seed, count):
    kind = KINDS[name](random.Random(seed))
    limit_memory()
    slowest = 0
    if isinstance(kind, Signed):
        tracemalloc.start()
        for _ in range(count // 10):
            attack_and_measure(kind, kind.make())
        tracemalloc.stop()
        count -= count // 10
    for _ in range(count):
        slowest = max(slowest, attack(kind, kind.make()))
    print(json.dumps({"outcomes": OUTCOMES, "slowest": slowest}), flush=True)
    os._exit(0)  # nothing of it is closed


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
