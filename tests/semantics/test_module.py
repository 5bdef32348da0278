"""The surface of the module: names, constants, properties, thread info."""

import sys
import threading
import types

import pytest
import stackless

from semantics_support import pause, run_program, spawn, started

NAMES = """
    run schedule schedule_remove getcurrent getmain getruncount getcurrentid
    getthreads get_thread_info enable_softswitch switch_trap
    set_channel_callback get_channel_callback set_schedule_callback
    get_schedule_callback set_error_handler pickle_flags pickle_flags_default
    getdebug getuncollectables atomic tasklet channel bomb cframe cstack
    test_outside test_cframe_nr
    all_tasklets print_stacks get_stats set_c_stacks
    current main runcount threads debug uncollectables
    pickle_with_tracing_state
    PICKLEFLAGS_PRESERVE_TRACING_STATE PICKLEFLAGS_PRESERVE_AG_FINALIZER
    PICKLEFLAGS_RESET_AG_FINALIZER PICKLEFLAGS_PICKLE_CONTEXT
""".split()


@pytest.mark.parametrize("name", NAMES)
def test_name_is_there(name):
    assert hasattr(stackless, name)


def test_constants():
    assert stackless.PICKLEFLAGS_PRESERVE_TRACING_STATE == 1
    assert stackless.PICKLEFLAGS_PRESERVE_AG_FINALIZER == 2
    assert stackless.PICKLEFLAGS_RESET_AG_FINALIZER == 4
    assert stackless.PICKLEFLAGS_PICKLE_CONTEXT == 8


def test_module_holds_itself():
    assert stackless.stackless is stackless
    assert sys.modules["stackless"] is stackless
    assert isinstance(stackless, types.ModuleType)
    assert stackless.__name__ == "stackless"


def test_star_import():
    space = {}
    exec("from stackless import *", space)
    for name in ("tasklet", "channel", "run", "schedule", "stackless"):
        assert name in space


def test_tasklet_exit_is_installed_in_builtins():
    assert run_program("print(TaskletExit.__mro__[1].__name__)").stdout == (
        "SystemExit\n")


# properties

def test_properties_agree_with_the_functions():
    spawn(lambda: None)
    assert stackless.current is stackless.getcurrent()
    assert stackless.main is stackless.getmain()
    assert stackless.runcount == stackless.getruncount() == 2
    assert stackless.threads == stackless.getthreads()
    assert stackless.debug is stackless.getdebug()
    assert stackless.uncollectables == stackless.getuncollectables()


@pytest.mark.parametrize("name", ["current", "main", "runcount", "threads",
                                  "debug", "uncollectables"])
def test_property_is_read_only(name):
    with pytest.raises(AttributeError):
        setattr(stackless, name, None)


@pytest.mark.parametrize("function", [
    stackless.getcurrent, stackless.getmain, stackless.getruncount,
    stackless.getcurrentid, stackless.getthreads, stackless.getdebug,
    stackless.getuncollectables])
def test_getters_take_no_arguments(function):
    function()
    with pytest.raises(TypeError):
        function(None)


@pytest.mark.parametrize("call", [
    lambda: stackless.schedule(1, 2), lambda: stackless.schedule(nonsense=1),
    lambda: stackless.schedule_remove(1, 2),
    lambda: stackless.run(0, 0, 0, 0, 0, None, 0), lambda: stackless.run("soon"),
    lambda: stackless.run(nonsense=1), lambda: stackless.atomic(1),
    lambda: stackless.enable_softswitch(), lambda: stackless.switch_trap(1, 2),
    lambda: stackless.tasklet().run(1), lambda: stackless.tasklet().insert(1),
    lambda: stackless.tasklet().switch(1),
    lambda: stackless.tasklet().remove(1),
    lambda: stackless.tasklet(print, (), {}, 1)])
def test_wrong_arguments_are_type_errors(call):
    with pytest.raises(TypeError):
        call()


def test_debug_is_a_bool():
    assert isinstance(stackless.debug, bool)


# ids

def test_current_id_of_main_is_the_thread_id():
    assert stackless.getcurrentid() == threading.get_ident()


def test_current_ids_of_tasklets_are_distinct(log):
    for _ in range(3):
        spawn(lambda: (log.append(stackless.getcurrentid()), pause()))
    kept = [stackless.current.next, stackless.current.next.next,
            stackless.current.prev]
    stackless.run()
    assert len(set(log)) == 3 and threading.get_ident() not in log
    assert all(isinstance(i, int) for i in log) and kept


def test_threads_lists_this_thread_first():
    assert stackless.getthreads()[0] == threading.main_thread().ident


# softswitch

def test_enable_softswitch_returns_the_previous_state():
    now = stackless.enable_softswitch(None)
    assert isinstance(now, bool)
    assert stackless.enable_softswitch(False) is now
    assert stackless.enable_softswitch(None) is False
    assert stackless.enable_softswitch(True) is False
    assert stackless.enable_softswitch(None) is True


def test_enable_softswitch_takes_integers():
    stackless.enable_softswitch(0)
    assert stackless.enable_softswitch(1) is False
    assert stackless.enable_softswitch(None) is True


# thread info

def test_thread_info_of_this_thread():
    spawn(lambda: None)
    info = stackless.get_thread_info()
    assert info == (stackless.main, stackless.current, 2)
    assert info == stackless.get_thread_info(-1)
    assert info == stackless.get_thread_info(threading.get_ident())


def test_thread_info_inside_a_tasklet(log):
    t = spawn(lambda: log.append(stackless.get_thread_info()))
    stackless.run()
    assert log == [(stackless.main, t, 1)]


def test_thread_info_serials():
    info = stackless.get_thread_info(-1, 1 << 30)
    assert len(info) == 6
    assert isinstance(info[3], int) and isinstance(info[4], int)


def test_thread_info_watchdogs(log):
    def watchdogs():
        info = stackless.get_thread_info(-1, 1 << 31)
        assert len(info) == 4
        return [t for t in info[3] or () if t is not None]

    assert watchdogs() == []
    spawn(lambda: log.append(watchdogs()))
    stackless.run()
    assert log == [[stackless.main]]
    assert watchdogs() == []


def test_thread_info_with_both_flags():
    info = stackless.get_thread_info(-1, 3 << 30)
    assert len(info) == 7
    assert info[:3] == stackless.get_thread_info()


def test_thread_info_errors():
    with pytest.raises(RuntimeError):
        stackless.get_thread_info(12345678901)
    with pytest.raises(OverflowError):
        stackless.get_thread_info(-2)
    with pytest.raises(TypeError):
        stackless.get_thread_info("main")
    with pytest.raises(TypeError):
        stackless.get_thread_info(thread_id=-1)


# pickle flags

@pytest.mark.parametrize("function", [
    stackless.pickle_flags, stackless.pickle_flags_default])
def test_pickle_flags(function):
    old = function()
    assert old == 0
    try:
        assert function(1) == 0
        assert function() == 1
        assert function(new=2, mask=2) == 1
        assert function() == 3
        assert function(0, 1) == 3
        assert function() == 2
        assert function(-1) == 2
        assert function() == 2
        assert function(15) == 2
        assert function() == 15
    finally:
        function(0)
    assert function() == 0


@pytest.mark.parametrize("function", [
    stackless.pickle_flags, stackless.pickle_flags_default])
@pytest.mark.parametrize("new", [16, 1 << 20, -2, -100])
def test_undefined_pickle_flags(function, new):
    with pytest.raises(ValueError):
        function(new)
    assert function() == 0


def test_pickle_with_tracing_state_is_bit_zero():
    assert stackless.pickle_with_tracing_state is False
    try:
        stackless.pickle_with_tracing_state = True
        assert stackless.pickle_with_tracing_state is True
        assert stackless.pickle_flags() == 1
        stackless.pickle_with_tracing_state = False
        assert stackless.pickle_flags() == 0
    finally:
        stackless.pickle_flags(0)


# C stacks

def test_stats_count_tasklets():
    before = stackless.get_stats()["tasklets"]
    kept = [started(pause) for _ in range(5)]
    assert stackless.get_stats()["tasklets"] == before + 5
    assert len(kept) == 5


def test_c_stacks_are_as_large_as_the_main_threads():
    assert stackless.get_stats()["c_stack_size"] >= 1 << 20


def test_c_stack_size_can_be_set():
    before = stackless.get_stats()["c_stack_size"]
    try:
        stackless.set_c_stacks(size=2 * before)
        assert stackless.get_stats()["c_stack_size"] == 2 * before
    finally:
        stackless.set_c_stacks(size=before)
    assert stackless.get_stats()["c_stack_size"] == before


@pytest.mark.parametrize("arguments", [
    {"size": -1}, {"idle": -1}, {"size": 0}, {"size": 1}])
def test_c_stack_settings_are_checked(arguments):
    with pytest.raises(ValueError):
        stackless.set_c_stacks(**arguments)


# a thread of one's own

def test_each_thread_has_its_own_main_and_ring(log):
    spawn(log.append, "main thread")

    def other():
        log.append(stackless.main is stackless.current)
        log.append(stackless.runcount)
        spawn(log.append, "other thread")
        stackless.run()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    stackless.run()
    assert log == [True, 1, "other thread", "main thread"]
