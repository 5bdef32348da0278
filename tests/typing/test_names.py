"""The names of the package: who they say they are, and the odd module."""

import copy
import pickle
import subprocess
import sys
import types

import pytest
import stackless

CONSTANTS = [name for name in stackless.__all__ if name.isupper()]
COMPUTED = ["current", "debug", "main", "pickle_with_tracing_state",
            "runcount", "threads", "uncollectables"]
CALLABLES = [name for name in stackless.__all__
             if name not in {*CONSTANTS, *COMPUTED, "stackless"}]


@pytest.mark.parametrize("name", CALLABLES)
def test_name_belongs_to_the_package(name):
    thing = getattr(stackless, name)
    assert callable(thing)
    assert thing.__name__ == name
    assert thing.__module__ == "stackless"
    assert thing.__doc__
    assert pickle.loads(pickle.dumps(thing)) is thing


@pytest.mark.parametrize("type_name", ["tasklet", "channel", "bomb", "atomic"])
def test_members_are_documented(type_name):
    for name, member in vars(getattr(stackless, type_name)).items():
        if not name.startswith("_"):
            assert member.__doc__, f"{type_name}.{name}"


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_names_are_documented(name):
    assert getattr(type(stackless), name).__doc__


def test_star_import_gives_what_all_says():
    names = {}
    exec("from stackless import *", names)
    assert set(stackless.__all__) <= set(names)
    assert sorted(stackless.__all__) == stackless.__all__


def test_nothing_else_is_public():
    public = {name for name in vars(stackless) if not name.startswith("_")}
    assert public <= set(stackless.__all__)


def test_computed_names():
    assert stackless.current is stackless.getcurrent()
    assert stackless.main is stackless.getmain()
    assert stackless.runcount == stackless.getruncount()
    assert stackless.threads == stackless.getthreads()
    assert stackless.debug is stackless.getdebug()
    assert stackless.uncollectables == stackless.getuncollectables()


def test_computed_names_are_read_only():
    for name in set(COMPUTED) - {"pickle_with_tracing_state"}:
        with pytest.raises(AttributeError):
            setattr(stackless, name, None)


def test_pickle_with_tracing_state_is_a_flag():
    before = stackless.pickle_flags()
    try:
        stackless.pickle_with_tracing_state = True
        assert stackless.pickle_with_tracing_state is True
        assert stackless.pickle_flags() == before | 1
        stackless.pickle_with_tracing_state = False
        assert stackless.pickle_with_tracing_state is False
        assert stackless.pickle_flags() == before & ~1
    finally:
        stackless.pickle_flags(before)


def test_pickle_flags_constants():
    assert [getattr(stackless, name) for name in (
        "PICKLEFLAGS_PRESERVE_TRACING_STATE",
        "PICKLEFLAGS_PRESERVE_AG_FINALIZER",
        "PICKLEFLAGS_RESET_AG_FINALIZER",
        "PICKLEFLAGS_PICKLE_CONTEXT")] == [1, 2, 4, 8]


def test_the_module_is_an_attribute_of_itself():
    assert stackless.stackless is stackless
    assert sys.modules["stackless"] is stackless
    assert isinstance(stackless, types.ModuleType)
    assert type(stackless) is not types.ModuleType


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_module_can_be_pickled(protocol):
    assert pickle.loads(pickle.dumps(stackless, protocol)) is stackless


def test_the_module_can_be_copied():
    assert copy.copy(stackless) is stackless
    assert copy.deepcopy([stackless]) == [stackless]


@pytest.mark.parametrize("type_name, names", [
    ("channel", ["__iter__", "send_sequence", "__deepcopy__"]),
    ("tasklet", ["clone", "__copy__", "__deepcopy__", "__reduce__"]),
])
def test_methods_written_in_python_look_like_the_others(type_name, names):
    for name in names:
        method = getattr(getattr(stackless, type_name), name)
        assert method.__name__ == name
        assert method.__qualname__ == f"{type_name}.{name}"
        assert method.__module__ == "stackless"
        assert method.__doc__


@pytest.mark.noleak
def test_import_is_light():
    """Import time matters: little but ourselves is imported.

    That is a module in C, whose functions are stood in front of.
    """
    program = ("import sys; before = set(sys.modules); import stackless; "
               "print(*sorted(set(sys.modules) - before "
               "- set(sys.builtin_module_names)))")
    printed = subprocess.check_output(
        [sys.executable, "-S", "-c",
         f"import sys; sys.path[:0] = {sys.path!r}; {program}"], text=True)
    others = {"_interpreters", "_xxsubinterpreters"}
    assert sorted({*printed.split()} - others) == [
        "stackless", "stackless._channel_ext", "stackless._core",
        "stackless._tasklet_ext"]
