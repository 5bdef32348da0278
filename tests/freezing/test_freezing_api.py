"""freeze(), thaw() and what belongs to them, as a program uses them."""

import collections
import importlib
import io
import os
import pickle
import subprocess
import sys
import types
import textwrap
import threading

import pytest
import stackless
from freezing_support import started
from stackless._freezing import containers, envelope
from tasks import in_thread, pause, spawn

KEY = bytes(range(32))
OTHER = bytes(32)
LOADED = []  # what witnesses have said
VERSION = sys.version_info[:2]

# Forced hard, no suspended tasklet can be frozen.
pytestmark = pytest.mark.soft


def finish(tasklet):
    turns = 0
    while tasklet.alive:
        tasklet.insert()
        stackless.run()
        turns += 1
    return turns


def count(log, turns):
    """Has something in each kind of place that a frame has."""
    total = 0

    def add(number):
        nonlocal total
        total += number

    for number in range(turns):
        add(number)
        log.append([number, pause()])
    log.append(total)


def counting(turns=3):
    log = []
    return started(count, log, turns), log


def wait_for(channel, log):
    log.append(channel.receive())


def send_to(channel, value):
    channel.send(value)


EXPECTED = [[0, None], [1, None], [2, None], 3]


def witness(name):
    LOADED.append(name)
    return name


class Witness:
    """Says that it is unpickled."""

    def __reduce__(self):
        return witness, ("loaded",)


@pytest.fixture(autouse=True)
def nothing_loaded():
    LOADED.clear()
    yield
    LOADED.clear()


# --- there and back ----------------------------------------------------------


@pytest.mark.parametrize("code", ["reference", "value"])
def test_a_thawed_tasklet_goes_on(code):
    tasklet, log = counting()
    data = stackless.freeze((tasklet, log), code=code)
    assert type(data) is bytes
    copy, copied = stackless.thaw(data)
    assert copy.paused and copied == []
    assert finish(copy) == 3
    assert copied == EXPECTED and log == []


def test_the_original_is_left_as_it_is():
    tasklet, log = counting()
    tasklet.name = "original"
    frame = tasklet.frame
    before = (tasklet.paused, frame.f_lineno, tasklet.recursion_depth)
    for _ in range(3):
        stackless.freeze(tasklet)
        stackless.freeze(tasklet, key=KEY, code="value")
        assert stackless.check_freezable(tasklet) is None
        assert tasklet.frame is frame
        assert frame.f_back.f_locals["log"] is log
        assert before == (
            tasklet.paused, frame.f_lineno, tasklet.recursion_depth
        )
    finish(tasklet)
    assert log == EXPECTED


def test_one_frozen_tasklet_can_be_thawed_often():
    tasklet, log = counting()
    data = stackless.freeze((tasklet, log))
    tasklet.kill()
    pairs = [stackless.thaw(data) for _ in range(5)]
    for copy, copied in reversed(pairs):
        finish(copy)
        assert copied == EXPECTED


def test_it_can_be_frozen_at_each_of_its_turns():
    tasklet, log = counting()
    for _ in range(3):
        frozen = stackless.freeze((tasklet, log))
        tasklet.kill()
        tasklet, log = stackless.thaw(frozen)
        tasklet.insert()
        stackless.run()
    assert not tasklet.alive and log == EXPECTED


def test_what_is_shared_stays_shared():
    channel, log = stackless.channel(), []
    tasklets = [started(wait_for, channel, log) for _ in range(3)]
    copies, other, copied = stackless.thaw(
        stackless.freeze((tasklets, channel, log))
    )
    assert other.balance == -3 and channel.balance == -3
    assert other.queue is copies[0]
    for value in range(3):
        other.send(value)
    stackless.run()
    assert copied == [0, 1, 2] and log == []
    assert not any(copy.alive for copy in copies)


def test_a_runnable_tasklet_is_thawed_paused():
    log = []
    tasklet = spawn(count, log, 1)
    copy, copied = stackless.thaw(stackless.freeze((tasklet, log)))
    assert tasklet.scheduled and copy.paused
    assert finish(copy) == 2
    assert copied == [[0, None], 0]


class Named(stackless.tasklet):
    __slots__ = ("slot", "__dict__")


def test_name_flags_and_attributes_are_kept():
    tasklet = Named(count)([], 1)
    stackless.run()
    tasklet.name = "worker 7"
    tasklet.slot, tasklet.label = 1, ["text"]
    tasklet.set_atomic(True)
    tasklet.set_ignore_nesting(True)
    tasklet.block_trap = True
    copy = stackless.thaw(stackless.freeze(tasklet))
    assert type(copy) is Named
    assert copy.name == "worker 7"
    assert (copy.slot, copy.label) == (1, ["text"])
    assert copy.atomic and copy.ignore_nesting and copy.block_trap
    for each in tasklet, copy:
        each.set_atomic(False)
        each.set_ignore_nesting(False)
        each.block_trap = False
        finish(each)


def test_tasklets_without_a_frame():
    """They have called a C function, softly."""
    channel = stackless.channel()
    receiver = started(channel.receive)
    paused = started(stackless.schedule_remove, 1)
    copies = stackless.thaw(stackless.freeze([channel, receiver, paused]))
    other, *tasklets = copies
    assert other.balance == -1 and other.queue is tasklets[0]
    other.send(1)
    finish(tasklets[1])
    assert not any(each.alive for each in tasklets)


def test_new_and_ended_tasklets():
    ended = started(int)
    bound = stackless.tasklet(int)
    new = stackless.tasklet()
    copies = stackless.thaw(stackless.freeze([ended, bound, new]))
    assert [copy.alive for copy in copies] == [False] * 3
    copies[1]("5").run()


def down(depth, log):
    if depth:
        down(depth - 1, log)
        log[0] += 1
    else:
        pause()


def test_deep_recursion():
    log = [0]
    depth = 1000
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3000)
    try:
        tasklet = started(down, depth, log)
        copy, copied = stackless.thaw(stackless.freeze((tasklet, log)))
        finish(copy)
        assert copied == [depth] and log == [0]
        tasklet.kill()
    finally:
        sys.setrecursionlimit(limit)


def test_bad_code_option():
    for function in stackless.freeze, stackless.Pickler:
        with pytest.raises(ValueError, match="'source'"):
            function(io.BytesIO(), code="source")


@pytest.mark.parametrize("make", [bytearray, memoryview])
def test_any_buffer_can_be_thawed(make):
    data = stackless.freeze([1, "two"])
    assert stackless.thaw(make(data)) == [1, "two"]
    assert stackless.inspect_frozen(make(data))["size"] == len(data)


def test_what_is_no_buffer_is_refused():
    for function in stackless.thaw, stackless.inspect_frozen:
        for value in "text", None, 1:
            with pytest.raises(TypeError):
                function(value)


def test_max_size():
    data = stackless.freeze(list(range(100)))
    assert stackless.thaw(data, max_size=len(data)) == list(range(100))
    with pytest.raises(stackless.DamagedFrozenError, match="allowed"):
        stackless.thaw(data, max_size=len(data) - 1)


# --- signatures --------------------------------------------------------------

KEYS = {
    "bytes": (KEY, KEY),
    "a pair": (("id", KEY), ("id", KEY)),
    "a pair and bytes": (("id", KEY), KEY),
    "a pair and a mapping": (("id", KEY), {"x": OTHER, "id": KEY}),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_right_key(name):
    key, wanted = KEYS[name]
    data = stackless.freeze(Witness(), key=key)
    assert stackless.thaw(data, key=wanted) == "loaded"
    assert stackless.inspect_frozen(data, key=wanted)["verified"] is True


WRONG = {
    "another": (KEY, OTHER),
    "almost the same": (KEY, KEY[:-1] + b"!"),
    "longer": (KEY, KEY + b"!"),
    "of that id": (("id", KEY), ("id", OTHER)),
    "of another id": (("id", KEY), ("other", KEY)),
    "not in the mapping": (("id", KEY), {"other": KEY}),
    "an empty mapping": (("id", KEY), {}),
    "no id, a mapping": (KEY, {"id": KEY}),
    "not signed": (None, KEY),
    "not signed, a mapping": (None, {"id": KEY}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_key(name):
    """Nothing of the data has been used."""
    key, other = WRONG[name]
    data = stackless.freeze(Witness(), key=key)
    asked = []
    for call in (
        lambda: stackless.thaw(
            data, key=other, find_class=lambda *args: asked.append(args)
        ),
        lambda: stackless.inspect_frozen(data, key=other),
    ):
        with pytest.raises(stackless.UnverifiedFrozenError):
            call()
    assert LOADED == [] and asked == []


def test_keys_are_replaced_one_after_the_other():
    """Both are known for a while."""
    old, new = ("2026-10", OTHER), ("2026-11", KEY)
    data = [stackless.freeze(name, key=key) for name, key in
            (("old", old), ("new", new))]
    both = dict([old, new])
    assert [stackless.thaw(each, key=both) for each in data] == ["old", "new"]
    with pytest.raises(stackless.UnverifiedFrozenError, match="2026-10"):
        stackless.thaw(data[0], key=dict([new]))
    assert stackless.thaw(data[1], key=dict([new])) == "new"


def test_without_a_key_a_signature_is_not_looked_at():
    data = stackless.freeze([1], key=("id", KEY))
    assert stackless.thaw(data) == [1]
    told = stackless.inspect_frozen(data)
    assert told["verified"] is False and told["key_id"] == "id"


@pytest.mark.parametrize("key, error", [
    (b"short", ValueError),
    (b"", ValueError),
    (("id", b"short"), ValueError),
    (("", KEY), ValueError),
    (("x" * 256, KEY), ValueError),
    ("text" * 10, TypeError),
    (bytearray(KEY), TypeError),
    (("id", "text" * 10), TypeError),
    ((1, KEY), TypeError),
    (("id", KEY, 1), TypeError),
    (1, TypeError),
])
def test_bad_keys(key, error):
    data = stackless.freeze(None)
    with pytest.raises(error):
        stackless.freeze(None, key=key)
    for function in stackless.thaw, stackless.inspect_frozen:
        with pytest.raises(error):
            function(data, key=key)


def damaged(data):
    """Each byte changed in several ways, left out, doubled; cut short."""
    for index, byte in enumerate(data):
        before, after = data[:index], data[index + 1:]
        for other in byte ^ 1, byte ^ 0x80, byte ^ 0xFF, 0:
            if other != byte:
                yield before + bytes([other]) + after
        yield before
        yield before + after
        yield before + bytes([byte, byte]) + after
    yield data + b"\0"


def test_nothing_but_an_error_comes_of_damaged_data():
    tasklet, log = counting()
    data = stackless.freeze((tasklet, Witness()), key=("id", KEY))
    refused = 0
    for bad in damaged(data):
        for key in KEY, {"id": KEY}:
            with pytest.raises(stackless.ThawError):
                stackless.thaw(bad, key=key)
            refused += 1
        with pytest.raises(stackless.ThawError):
            stackless.inspect_frozen(bad, key=KEY)
    assert refused > 10 * len(data)
    assert LOADED == []


# --- what frozen data tell ---------------------------------------------------


def tell(tasklet):
    return stackless.inspect_frozen(stackless.freeze(tasklet))


def test_what_is_told_of_the_interpreter():
    told = tell(stackless.tasklet(int))
    assert told["python"] == "%d.%d.%d" % sys.version_info[:3]
    assert told["byteorder"] == sys.byteorder
    assert told["implementation"] == "cpython"
    assert told["stackless"] == stackless.__version__
    magic = importlib.util.MAGIC_NUMBER
    assert told["magic"] == int.from_bytes(magic[:2], "little")


def test_what_is_told_of_a_paused_tasklet():
    tasklet, log = counting()
    tasklet.name = "counter"
    told = tell(tasklet)
    assert (told["name"], told["reason"]) == ("counter", "paused")
    (first, second) = told["stack"] if len(told["stack"]) == 2 else (
        told["stack"][0], None
    )
    file, line, qualname, digest = first
    assert (os.path.samefile(file, __file__), qualname) == (True, "count")
    assert line == tasklet.frame.f_back.f_lineno
    assert len(bytes.fromhex(digest)) == 8
    assert second[2] == "pause"


def test_what_is_told_of_blocked_tasklets():
    channel = stackless.channel()
    receiver = started(wait_for, channel, [])
    told = tell(receiver)
    assert told["reason"] == "receiving"
    assert [call[2] for call in told["stack"]] == ["wait_for"]
    receiver.kill()
    sender = started(send_to, channel, 1)
    assert tell(sender)["reason"] == "sending"


def test_what_is_told_of_others():
    runnable = spawn(count, [], 1)
    told = tell(runnable)
    assert (told["reason"], told["stack"]) == ("runnable", [])
    assert tell(stackless.tasklet().bind(int, ()))["reason"] == "paused"
    for dead in stackless.tasklet(), stackless.tasklet(int), started(int):
        told = tell(dead)
        assert (told["reason"], told["stack"]) == ("dead", [])


def test_what_is_told_of_other_values():
    told = tell([counting()[0]])
    assert told["name"] is told["reason"] is None
    assert told["stack"] == []
    assert told["verified"] is False and told["key_id"] is None


def test_inspecting_unpickles_nothing(monkeypatch):
    data = stackless.freeze(Witness(), key=KEY)
    monkeypatch.setattr(pickle, "Unpickler", None)
    for key in None, KEY:
        assert stackless.inspect_frozen(data, key=key)["size"] == len(data)
    broken = bytearray(stackless.freeze(Witness()))
    broken[-20:] = bytes(20)
    stackless.inspect_frozen(broken)
    assert LOADED == []


# --- what is refused ---------------------------------------------------------


def test_find_class_is_asked():
    """For code too: what it returns for that is not used."""
    asked = set()

    def find(module, name):
        asked.add((module, name))
        return getattr(sys.modules[module], name, None)

    tasklet = started(count, collections.deque(), 2)
    data = stackless.freeze((tasklet, collections.Counter("aab"), Witness()))
    copy, counter, loaded = stackless.thaw(data, find_class=find)
    assert counter == {"a": 2, "b": 1} and loaded == "loaded"
    assert ("collections", "deque") in asked
    assert ("collections", "Counter") in asked
    assert (__name__, "witness") in asked
    assert (__name__, "count.<locals>.add") in asked
    assert finish(copy) == 2


def test_a_refused_global():
    def find(module, name):
        if (module, name) == (__name__, "witness"):
            raise KeyError(f"{name} is forbidden")
        return getattr(sys.modules[module], name)

    data = stackless.freeze(["text", Witness()])
    with pytest.raises(stackless.ThawError, match="forbidden") as info:
        stackless.thaw(data, find_class=find)
    assert type(info.value) is stackless.ThawError
    assert type(info.value.__cause__) is KeyError
    assert LOADED == []


def test_an_error_of_an_object():
    data = stackless.freeze(Witness())
    renamed = data.replace(b"witness", b"missing")
    with pytest.raises(stackless.ThawError) as info:
        stackless.thaw(renamed)
    assert type(info.value.__cause__) is AttributeError


def pack(payload):
    return envelope.pack({}, payload, None)


def calling(module, name, argument):
    """A pickle that calls a global."""
    def text(value):
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return (b"\x80\x05" + text(module) + text(name) + b"\x93"
            + text(argument) + b"\x85R.")


@pytest.mark.parametrize("name", ["importlib.import_module", "sys.intern"])
def test_find_class_has_no_way_around(name):
    """Not by what our own modules have imported."""
    asked = []

    def find(module, name):
        asked.append((module, name))
        raise KeyError(name)

    data = pack(calling("stackless._freezing.pickling", name, "wsgiref"))
    with pytest.raises(stackless.ThawError):
        stackless.thaw(data, find_class=find)
    assert "wsgiref" not in sys.modules


def test_find_class_is_asked_before_a_module_is_imported():
    def find(module, name):
        raise KeyError(name)

    data = pack(calling("stackless._freezing.pickling", "_module", "wsgiref"))
    with pytest.raises(stackless.ThawError):
        stackless.thaw(data, find_class=find)
    assert "wsgiref" not in sys.modules


def test_find_class_is_asked_for_types_that_make_code():
    asked = []

    def find(module, name):
        asked.append((module, name))
        raise KeyError(name)

    data = pack(calling("stackless._freezing.others", "_type", "CodeType"))
    with pytest.raises(stackless.ThawError):
        stackless.thaw(data, find_class=find)
    assert asked == [("types", "CodeType")]
    assert stackless.thaw(data) is types.CodeType


class Calling:
    """Has a method of an object called by a function of ours."""

    def __reduce__(self):
        return containers._view, ([1], "clear")


def test_find_class_is_asked_for_methods():
    asked = []
    with pytest.raises(stackless.ThawError):
        stackless.thaw(
            pack(pickle.dumps(Calling())),
            find_class=lambda *args: asked.append(args),
        )


@pytest.mark.parametrize("field, value", [
    ("python", "3.2.0"), ("magic", 3000), ("byteorder", "middle"),
    ("implementation", "pypy"),
])
def test_another_interpreter(monkeypatch, field, value):
    local = envelope.local_header
    monkeypatch.setattr(
        envelope, "local_header", lambda: {**local(), field: value}
    )
    data = stackless.freeze(Witness(), key=KEY)
    monkeypatch.undo()
    with pytest.raises(stackless.IncompatibleFrozenError) as info:
        stackless.thaw(data, key=KEY)
    assert str(value) in str(info.value)
    assert stackless.inspect_frozen(data, key=KEY)[field] == value
    assert LOADED == []


def test_another_patch_release_is_compatible(monkeypatch):
    local = envelope.local_header
    other = "%d.%d.99" % VERSION
    monkeypatch.setattr(
        envelope, "local_header", lambda: {**local(), "python": other}
    )
    data = stackless.freeze([1])
    monkeypatch.undo()
    assert stackless.thaw(data) == [1]


def test_the_errors_are_pickles_errors():
    assert issubclass(stackless.FreezeError, pickle.PicklingError)
    assert issubclass(stackless.ThawError, pickle.UnpicklingError)
    for name in "Damaged", "Unverified", "Incompatible":
        kind = getattr(stackless, f"{name}FrozenError")
        assert issubclass(kind, stackless.ThawError)
    assert issubclass(stackless.ChangedCodeError, stackless.ThawError)


def test_errors_can_be_pickled():
    error = stackless.ChangedCodeError(["a.b", "c.d"])
    copy = pickle.loads(pickle.dumps(error))
    assert copy.changed == ["a.b", "c.d"] and str(copy) == str(error)
    error = stackless.FreezeError("text", ("f", "f.py", 1), "x", "[0]", "lock")
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error) and copy.args == error.args == ("text",)


# --- changed code ------------------------------------------------------------

PROGRAM = """
import stackless

def work(log):
    log.append("before")
    stackless.schedule_remove(None)
    log.append("after")

def unused():
    return 1
"""
FREEZE = """
import stackless, changing
log = []
tasklet = stackless.tasklet(changing.work)(log)
stackless.run()
for code in "reference", "value":
    with open(code, "wb") as file:
        file.write(stackless.freeze((tasklet, log), code=code))
"""
THAW = """
import stackless, sys
try:
    with open(sys.argv[1], "rb") as file:
        tasklet, log = stackless.thaw(file.read())
except stackless.ChangedCodeError as error:
    print("ChangedCodeError", error.changed)
else:
    tasklet.run()
    print(*log)
"""


def run_in(folder, program, *args):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(folder), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(program), *args],
        cwd=folder, env=env, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


CHANGES = {
    "nothing": (lambda text: text, "before after"),
    "another function": (
        lambda text: text.replace("return 1", "return 2"), "before after"
    ),
    "lines": (lambda text: "\n# comment\n" + text, "before after"),
    "the function": (
        lambda text: text.replace('"after"', '"changed"'),
        "ChangedCodeError ['changing.work']",
    ),
    "gone": (
        lambda text: text.replace("def work", "def worker"),
        "ChangedCodeError ['changing.work']",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_code(tmp_path, name):
    """By value the frames keep theirs."""
    change, expected = CHANGES[name]
    module = tmp_path / "changing.py"
    module.write_text(PROGRAM)
    run_in(tmp_path, FREEZE)
    module.write_text(change(PROGRAM))
    assert run_in(tmp_path, THAW, "reference") == expected
    assert run_in(tmp_path, THAW, "value") == "before after"


# --- threads, traces, turns --------------------------------------------------


def test_it_belongs_to_the_thread_that_thaws_it():
    tasklet, log = counting()
    data = stackless.freeze((tasklet, log))
    seen = []

    def work():
        copy, copied = stackless.thaw(data)
        seen.append(copy.thread_id == threading.get_ident())
        finish(copy)
        seen.append(copied)

    in_thread(work)
    assert seen == [True, EXPECTED]
    assert tasklet.thread_id == threading.get_ident() and log == []


def test_tasklets_of_other_threads_can_be_frozen():
    made = []
    in_thread(lambda: made.extend(counting()))
    copy, copied = stackless.thaw(stackless.freeze(tuple(made)))
    assert made[0].thread_id == -1
    assert copy.thread_id == threading.get_ident()
    finish(copy)
    assert copied == EXPECTED


class Lines:
    """A tracer of count(): the lines that it is told of."""

    def __init__(self):
        self.seen = []

    def __call__(self, frame, event, argument):
        if frame.f_code is count.__code__ and event == "line":
            self.seen.append(frame.f_lineno)
        return self


def trace(lines):
    sys.settrace(lines)
    return lambda: sys.settrace(None)


def profile(lines):
    sys.setprofile(lines)
    return lambda: sys.setprofile(None)


def monitor(lines):
    monitoring = sys.monitoring
    tool = 4
    monitoring.use_tool_id(tool, "lines")

    def line(code, number):
        if code is count.__code__:
            lines.seen.append(number)

    monitoring.register_callback(tool, monitoring.events.LINE, line)
    monitoring.set_events(tool, monitoring.events.LINE)

    def stop():
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)

    return stop


WATCHERS = [trace, profile]
if VERSION >= (3, 12):
    WATCHERS.append(monitor)


@pytest.mark.parametrize("watch", WATCHERS)
def test_frozen_while_watched(watch):
    stop = watch(Lines())
    try:
        tasklet, log = counting()
        tasklet.insert()
        stackless.run()
        frozen = stackless.freeze((tasklet, log))
        again = stackless.freeze((tasklet, log), code="value")
    finally:
        stop()
    finish(tasklet)
    for data in frozen, again:
        copy, copied = stackless.thaw(data)
        assert copied == EXPECTED[:1]
        assert finish(copy) == 2
        assert copied == EXPECTED


@pytest.mark.parametrize("watch", WATCHERS)
@pytest.mark.parametrize("code", ["reference", "value"])
def test_thawed_while_watched(watch, code):
    tasklet, log = counting()
    data = stackless.freeze((tasklet, log), code=code)
    stop = watch(Lines())
    try:
        copy, copied = stackless.thaw(data)
        finish(copy)
    finally:
        stop()
    assert copied == EXPECTED


def remaining_lines(tasklet, lines):
    """What the tracer of a suspended tasklet is told when it goes on."""
    frame = tasklet.frame
    while frame is not None:
        frame.f_trace = lines
        frame = frame.f_back
    tasklet.trace_function = lines
    finish(tasklet)
    return lines.seen


def test_a_tracer_sees_the_remaining_lines():
    tasklet, log = counting()
    copy = stackless.thaw(stackless.freeze(tasklet))
    expected = remaining_lines(tasklet, Lines())
    first = count.__code__.co_firstlineno
    assert expected[-1] - first == 11 and len(expected) > 5
    assert remaining_lines(copy, Lines()) == expected


@pytest.mark.skipif(VERSION < (3, 12), reason="no sys.monitoring")
def test_monitoring_sees_the_remaining_lines():
    tasklet, log = counting()
    data = stackless.freeze(tasklet)
    seen = []
    for each in tasklet, stackless.thaw(data):
        lines = Lines()
        stop = monitor(lines)
        try:
            finish(each)
        finally:
            stop()
        seen.append(lines.seen)
    assert seen[0] == seen[1] and len(seen[0]) > 5


def spin(stop):
    while not stop:
        pass


@pytest.mark.skipif(
    VERSION < (3, 12), reason="turns are for the main thread only"
)
def test_while_turns_are_given():
    stop = []
    tasklet, log = counting(turns=30)
    stackless.preempt(0.0005)
    try:
        others = [spawn(spin, stop) for _ in range(3)]
        for _ in range(30):
            frozen = stackless.freeze((tasklet, log))
            tasklet, log = stackless.thaw(frozen)
            tasklet.run()
    finally:
        stackless.preempt(None)
        stop.append(1)
    stackless.run()
    assert not tasklet.alive and len(log) == 31
    assert not any(other.alive for other in others)


def test_interrupted_tasklets():
    """By a time limit; if it is refused, then for its C state."""
    log = []
    tasklet = spawn(spin, log)
    assert stackless.run(1000) is tasklet
    try:
        data = stackless.freeze((tasklet, log))
    except stackless.FreezeError as error:
        assert " C " in str(error)
    else:
        copy, copied = stackless.thaw(data)
        copied.append(1)
        finish(copy)
    log.append(1)
    finish(tasklet)


# --- Pickler and Unpickler ---------------------------------------------------


class File:
    """No more than is needed."""

    def __init__(self):
        self.data = bytearray()
        self.place = 0

    def write(self, data):
        self.data += data

    def read(self, size=-1):
        end = len(self.data) if size < 0 else self.place + size
        data = bytes(self.data[self.place:end])
        self.place += len(data)
        return data

    def readline(self):
        return self.read(self.data.index(b"\n", self.place) + 1 - self.place)


@pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
@pytest.mark.parametrize("make", [io.BytesIO, File])
@pytest.mark.parametrize("code", ["reference", "value"])
def test_pickler(protocol, make, code):
    tasklet, log = counting()
    file = make()
    stackless.Pickler(file, protocol, code=code).dump((tasklet, log))
    data = file.getvalue() if make is io.BytesIO else bytes(file.data)
    assert data[:2] == bytes([0x80, protocol or 5])
    if make is io.BytesIO:
        file.seek(0)
    copy, copied = stackless.Unpickler(file).load()
    finish(copy)
    assert copied == EXPECTED


def test_pickler_writes_several_values_to_one_file(tmp_path):
    with open(tmp_path / "file", "wb+") as file:
        for turns in 1, 2:
            stackless.Pickler(file).dump(counting(turns))
        file.seek(0)
        for turns in 1, 2:
            copy, copied = stackless.Unpickler(file).load()
            assert finish(copy) == turns
            assert len(copied) == turns + 1


def test_pickler_refuses():
    pickler = stackless.Pickler(io.BytesIO())
    with pytest.raises(stackless.FreezeError) as info:
        pickler.dump({"key": [threading.Lock()]})
    assert (info.value.path, info.value.type) == ("['key'][0]", "lock")
    with pytest.raises(TypeError):
        stackless.Pickler(None)
    with pytest.raises(ValueError):
        stackless.Pickler(io.BytesIO(), 99)


class Persistent(stackless.Pickler):
    def persistent_id(self, value):
        return "file" if value is sys.stdout else None


class Finding(stackless.Unpickler):
    def persistent_load(self, ident):
        return {"file": sys.stdout}[ident]


def hold(value, log):
    pause()
    log.append(value is sys.stdout)


def test_pickler_subclass():
    log = []
    tasklet = started(hold, sys.stdout, log)
    file = io.BytesIO()
    Persistent(file).dump((tasklet, log))
    file.seek(0)
    copy, copied = Finding(file).load()
    finish(copy)
    assert copied == [True]


def test_unpickler_asks_find_class():
    file = io.BytesIO()
    stackless.Pickler(file).dump(Witness())
    file.seek(0)
    unpickler = stackless.Unpickler(file, find_class=lambda *args: "".join)
    assert unpickler.load() == "loaded"
    assert LOADED == []
