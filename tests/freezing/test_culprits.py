"""What a FreezeError says of what cannot be frozen."""

import array
import collections
import functools
import gc
import itertools
import linecache
import pickle
import sys
import threading
import types

import pytest
import stackless
from freezing_support import sorting, started
from tasks import pause, spawn, through_c


pytestmark = pytest.mark.soft


def refused(value):
    """The error, which is the same by each way to it."""
    with pytest.raises(stackless.FreezeError) as info:
        stackless.freeze(value)
    error = stackless.check_freezable(value)
    assert type(error) is stackless.FreezeError
    assert str(error) == str(info.value)
    assert vars(error) == vars(info.value)
    return info.value


def where(error):
    """(function, source line, variable, path)."""
    qualname, file, line = error.frame
    assert file in (__file__, sorting.__code__.co_filename)
    assert f"{file}:{line}" in str(error) and qualname in str(error)
    name = qualname.rpartition(".")[2]
    source = linecache.getline(file, line).strip()
    return name, source, error.variable, error.path


def lock():
    return threading.Lock()


class Holder:
    def __init__(self, inner):
        self.inner = inner


def test_nothing_is_wrong():
    assert stackless.check_freezable(started(pause)) is None
    assert stackless.check_freezable([1, {"a": stackless.channel()}]) is None


def in_variable():
    held = lock()
    pause()
    return held


def test_local_variable():
    error = refused(started(in_variable))
    assert where(error) == ("in_variable", "pause()", "held", "")
    assert error.type == "lock"
    assert "held" in str(error) and "lock" in str(error)


def outer():
    inside = [lock()]
    inner()
    return inside


def inner():
    fine = [1]
    pause()
    return fine


def test_variable_of_a_caller():
    error = refused(started(outer))
    assert where(error) == ("outer", "inner()", "inside", "[0]")


def on_stack():
    return [lock(), pause()]


def test_stack_position():
    error = refused(started(on_stack))
    name, source, variable, path = where(error)
    assert (name, source) == ("on_stack", "return [lock(), pause()]")
    assert variable.startswith("stack position ")
    assert variable.rpartition(" ")[2].isdigit()
    assert (path, error.type) == ("", "lock")


def in_cell():
    shared = lock()
    (lambda: shared)()
    pause()


def test_closure_cell():
    error = refused(started(in_cell))
    assert where(error) == ("in_cell", "pause()", "shared", "")
    assert error.type == "lock"


def in_outer_cell():
    shared = lock()

    def function():
        pause()
        return shared

    function()


def test_closure_cell_of_a_caller():
    error = refused(started(in_outer_cell))
    assert where(error) == (
        "in_outer_cell", "function()", "function", ".shared"
    )


def made_elsewhere(value):
    return lambda: value


def with_closure():
    function = made_elsewhere(lock())
    pause()
    return function


def test_closure_of_another_function():
    error = refused(started(with_closure))
    assert where(error) == ("with_closure", "pause()", "function", ".value")


def in_path():
    config = {"a": [0, Holder({"key": (1, lock())})]}
    pause()
    return config


def test_path():
    error = refused(started(in_path))
    assert where(error) == (
        "in_path", "pause()", "config", "['a'][1].inner['key'][1]"
    )
    assert error.type == "lock"


def test_path_without_a_frame():
    error = refused([{"a": Holder(lock())}])
    assert (error.frame, error.variable) == (None, None)
    assert error.path == "[0]['a'].inner"
    assert error.type == "lock"


def generate():
    inside = lock()
    yield 1
    yield inside


def with_generator():
    generator = generate()
    next(generator)
    pause()
    return generator


class Slotted:
    __slots__ = ("one", "two")

    def __init__(self, two):
        self.two = two


@pytest.mark.parametrize("make, path", [
    (lambda part: Slotted([part]), ".two[0]"),
    (lambda part: collections.deque([1, part]), "[1]"),
    (lambda part: functools.partial(print, 1, part), ".args[1]"),
    (lambda part: types.SimpleNamespace(a=part), ".a"),
    (lambda part: types.MappingProxyType({"a": part}), "['a']"),
    (lambda part: {"a": part}.values(), "['a']"),
    (lambda part: slice(part), ".stop"),
    (lambda part: iter([1, part]), "[1]"),
    (lambda part: map(print, [part]), "[0]"),
    (lambda part: itertools.chain([1], [part]), "[1][0]"),
    (lambda part: zip([1], [part]), "[1][0]"),
    (lambda part: [part].append, ".__self__[0]"),
])  # fmt: skip
def test_path_through(make, path):
    made = make(lock())
    tasklet = started(keeping, made)
    error = refused(tasklet)
    assert error.type == "lock" and error.variable == "made"
    assert error.path == path or (path[0] == "[" and error.path)
    tasklet.kill()


def keeping(made):
    pause()
    return made


def test_suspended_generator():
    error = refused(started(with_generator))
    name, source, variable, path = where(error)
    assert (name, source) == ("generate", "yield 1")
    assert (variable, path) == ("inside", "")


def generate_and_pause():
    inside = lock()
    yield pause()
    return inside


def over_generator():
    for _ in generate_and_pause():
        pass


def test_generator_that_is_run():
    error = refused(started(over_generator))
    assert where(error) == (
        "generate_and_pause", "yield pause()", "inside", ""
    )


def receive(channel):
    inside = lock()
    channel.receive()
    return inside


def test_tasklet_in_a_queue():
    channel = stackless.channel()
    tasklet = started(receive, channel)
    error = refused(channel)
    assert where(error) == ("receive", "channel.receive()", "inside", "")
    tasklet.kill()
    assert stackless.check_freezable(channel) is None


def test_the_second_one_in_a_queue():
    channel = stackless.channel()
    started(channel.receive)
    started(receive, channel)
    error = refused({"all": channel})
    assert where(error) == ("receive", "channel.receive()", "inside", "")


def test_argument_of_a_new_tasklet():
    error = refused(spawn(print, 1, lock()))
    assert error.frame is None and error.type == "lock"


def test_attribute_of_a_tasklet():
    tasklet = type("Named", (stackless.tasklet,), {})
    globals()["Named"] = tasklet
    tasklet.__module__, tasklet.__qualname__ = __name__, "Named"
    try:
        each = tasklet(pause)()
        stackless.run()
        each.label = lock()
        error = refused(each)
    finally:
        del globals()["Named"]
    assert (error.path, error.type) == (".label", "lock")


def test_an_iterator_without_a_pickle():
    def work():
        view = memoryview(array.array("i"))
        pause()
        return view

    error = refused(started(work))
    assert where(error) == ("work", "pause()", "view", "")
    assert error.type == "memoryview"


def test_hard_tasklet():
    """The error names the call through C."""
    tasklet = started(sorting)
    error = refused(tasklet)
    assert "sorted([2, 1], key=pausing_key)" in str(error)
    name, source, variable, path = where(error)
    assert (name, source) == (
        "sorting", "return sorted([2, 1], key=pausing_key)"
    )
    while tasklet.alive:
        tasklet.insert()
        stackless.run()


def test_hard_tasklet_among_others():
    error = refused([1, {"x": started(sorting)}])
    assert "sorted([2, 1], key=pausing_key)" in str(error)


def test_hard_tasklet_without_a_frame():
    tasklet = started(list, map(stackless.schedule_remove, [None]))
    assert "C" in str(refused(tasklet))


def test_the_current_tasklet():
    main = stackless.getcurrent()
    assert "main tasklet" in str(refused(main))
    errors = []

    def work():
        errors.append(refused(stackless.getcurrent()))

    started(work)
    assert "current" in str(errors[0]) or "running" in str(errors[0])


def test_main_from_another_tasklet():
    main = stackless.getcurrent()
    errors = []
    started(lambda: errors.append(refused(main)))
    assert "main" in str(errors[0])


def test_tasklet_inside_run():
    errors = []

    def other(runner):
        errors.append(refused(runner))

    def run():
        spawn(other, stackless.getcurrent())
        stackless.run()

    started(run)
    assert errors and "run()" in str(errors[0])


def test_running_generator():
    errors = []

    def generate():
        errors.append(refused(generator))
        yield

    generator = generate()
    next(generator)
    assert "running" in str(errors[0])
    assert "generate" in str(errors[0])


def over_paused_generator(made):
    generator = generate_without_lock()
    made.append(generator)
    for _ in generator:
        pass


def generate_without_lock():
    yield pause()


def test_generator_that_another_tasklet_runs():
    """It can be frozen with that tasklet, and not alone."""
    made = []
    tasklet = started(over_paused_generator, made)
    assert "running" in str(refused(made))
    copy, copies = stackless.thaw(stackless.freeze((tasklet, made)))
    copy.insert()
    stackless.run()
    assert not copy.alive and copies[0].gi_frame is None
    assert tasklet.alive


def test_the_original_survives_a_refusal():
    tasklet = started(in_variable)
    frame = tasklet.frame.f_back
    for _ in range(3):
        refused(tasklet)
        refused([tasklet, lock()])
    assert tasklet.paused and frame.f_locals["held"]
    tasklet.insert()
    stackless.run()
    assert not tasklet.alive


def test_the_cause_is_told():
    with pytest.raises(stackless.FreezeError) as info:
        stackless.freeze(started(in_variable))
    assert isinstance(info.value.__cause__, TypeError)


def test_the_error_can_be_pickled():
    error = refused(started(in_path))
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error) and str(copy) == str(error)


class Nameless:
    """Cannot be shown."""

    def __repr__(self):
        raise ZeroDivisionError

    def __reduce__(self):
        raise TypeError("not to be pickled")


def test_what_cannot_be_shown():
    error = refused([{Nameless(): 1}])
    assert error.type == "Nameless"


class Failing:
    def __reduce__(self):
        raise ZeroDivisionError("by hand")


def test_errors_of_objects_are_told():
    error = refused([Failing()])
    assert "by hand" in str(error)
    assert (error.path, error.type) == ("[0]", "Failing")


class Interrupting:
    def __reduce__(self):
        raise KeyboardInterrupt


def test_an_interrupt_is_no_error():
    with pytest.raises(KeyboardInterrupt):
        stackless.freeze([Interrupting()])


def test_a_cycle_with_something_bad():
    cycle = [1]
    cycle += [cycle, {"bad": lock()}]
    error = refused(cycle)
    assert (error.path, error.type) == ("[2]['bad']", "lock")


def test_a_cycle_that_is_not_the_culprit():
    whole = {}
    whole["back"] = [whole]
    whole["bad"] = lock()
    error = refused(whole)
    assert (error.path, error.type) == ("['bad']", "lock")


def test_a_method():
    error = refused(Holder(lock()).__init__)
    assert (error.path, error.type) == (".__self__.inner", "lock")


def test_c_code_calls():
    """A tasklet that is suspended there is refused, whatever it has."""
    tasklet = started(through_c, pause)
    assert "through_c" in str(refused(tasklet))


def test_nothing_is_kept():
    """Without a collection, as everything else that is dropped."""
    tasklet = started(in_variable)
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(tasklet)
        for action in stackless.check_freezable, stackless.freeze:
            try:
                action([tasklet])
            except stackless.FreezeError:
                pass
        assert sys.getrefcount(tasklet) == before
    finally:
        gc.enable()
