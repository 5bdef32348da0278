"""capi.c: each function of stackless_api.h, called from C.

stackless._coretest has every one of them under its own name; what these
functions do is the business of tests/semantics, here it is that they do it
for a C caller: results, errors, references, and C frames that stay in place.
"""

import pathlib
import re
import sys
import threading

import pytest

import stackless

try:
    from stackless import _coretest as api
except ImportError as error:
    pytest.skip(
        f"no stackless._coretest in this build: {error}",
        allow_module_level=True,
    )

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "src/stackless/_core/include/stackless_api.h"


def slots():
    """Names of the functions in the struct of the header."""
    return re.findall(r"\(\*(Py\w+)\)\(", HEADER.read_text())


def in_ring(*tasklets):
    return [tasklet.scheduled for tasklet in tasklets]


# --- the set -----------------------------------------------------------------


def test_every_function_is_wrapped():
    wrapped = {name for name in dir(api) if name.startswith("Py")}
    assert len(slots()) >= 60
    # This one takes a C function: count_switches() sets it.
    assert set(slots()) - wrapped == {"PyStackless_SetScheduleFastcallback"}


def test_every_function_has_its_macro():
    macros = re.findall(r"# +define (Py\w+)\s", HEADER.read_text())
    assert sorted(macros) == sorted(slots())


TASKLET_ONLY = [
    "Run", "Run_nr", "Switch", "Switch_nr", "Insert", "Remove", "Kill",
    "GetFrame", "IsMain", "Alive",
]  # fmt: skip


@pytest.mark.parametrize("name", TASKLET_ONLY)
def test_the_wrappers_refuse_other_objects(name):
    with pytest.raises(TypeError):
        getattr(api, f"PyTasklet_{name}")(object())


# --- making tasklets ---------------------------------------------------------


class Tasklet(stackless.tasklet):
    pass


class Channel(stackless.channel):
    pass


def test_new_makes_the_type_that_is_asked_for():
    assert type(api.PyTasklet_New(None, print)) is stackless.tasklet
    assert type(api.PyTasklet_New(stackless.tasklet, print)) is (
        stackless.tasklet
    )
    assert type(api.PyTasklet_New(Tasklet, None)) is Tasklet


@pytest.mark.parametrize("wrong", [int, stackless.channel, type])
def test_new_refuses_other_types(wrong):
    with pytest.raises(TypeError, match="subtype"):
        api.PyTasklet_New(wrong, None)
    with pytest.raises(TypeError, match="subtype"):
        api.PyChannel_New(wrong if wrong is int else stackless.tasklet)


def test_new_refuses_what_cannot_be_called():
    with pytest.raises(TypeError):
        api.PyTasklet_New(None, 5)


def test_setup_takes_arguments_and_keywords():
    seen = []
    task = api.PyTasklet_New(None, lambda *a, **k: seen.append((a, k)))
    assert api.PyTasklet_Setup(task, (1, 2), {"x": 3}) == 0
    stackless.run()
    assert seen == [((1, 2), {"x": 3})]


def test_setup_takes_null_for_no_arguments():
    seen = []
    task = api.PyTasklet_New(None, lambda *a, **k: seen.append((a, k)))
    assert api.PyTasklet_Setup(task, None, None) == 0
    stackless.run()
    assert seen == [((), {})]


def test_setup_of_an_unbound_or_living_tasklet_is_an_error():
    task = api.PyTasklet_New(None, None)
    with pytest.raises(RuntimeError):
        api.PyTasklet_Setup(task, (), None)
    task = stackless.tasklet(print)()
    with pytest.raises(RuntimeError, match="alive"):
        api.PyTasklet_Setup(task, (), None)


def test_bind_makes_ready_and_paused():
    seen = []
    task = api.PyTasklet_New(None, None)
    assert api.PyTasklet_BindEx(task, seen.append, (7,), None) == 0
    assert task.alive and task.paused
    assert api.PyTasklet_Insert(task) == 0
    stackless.run()
    assert seen == [7]


def test_bind_without_a_function_unbinds():
    task = stackless.tasklet(print)
    assert api.PyTasklet_BindEx(task, None, None, None) == 0
    with pytest.raises(RuntimeError):
        api.PyTasklet_Setup(task, (), None)


@pytest.mark.parametrize("bad", [(5, None, None), (len, 5, None), (len, (), 5)])
def test_bind_checks_types(bad):
    task = stackless.tasklet()
    with pytest.raises(TypeError):
        api.PyTasklet_BindEx(task, *bad)


# --- switching ---------------------------------------------------------------


def test_run_keeps_the_caller_in_the_ring():
    seen = []

    def body():
        seen.append(in_ring(main))

    main = stackless.getcurrent()
    task = stackless.tasklet(body)()
    assert api.PyTasklet_Run(task) is None
    assert seen == [[True]]
    assert not task.alive


def test_switch_takes_the_caller_out():
    seen = []

    def body():
        seen.append(in_ring(main))
        main.insert()

    main = stackless.getcurrent()
    task = stackless.tasklet(body)()
    assert api.PyTasklet_Switch(task) is None
    assert seen == [[False]]


@pytest.mark.parametrize("name", ["Run", "Switch"])
def test_the_nr_variants_return_zero(name):
    seen = []

    def body():
        seen.append(1)
        main.insert()

    main = stackless.getcurrent()
    task = stackless.tasklet(body)()
    assert getattr(api, f"PyTasklet_{name}_nr")(task) == 0
    assert seen == [1]


@pytest.mark.parametrize("name", ["Run", "Run_nr", "Switch", "Switch_nr"])
def test_a_dead_or_blocked_tasklet_cannot_run(name):
    call = getattr(api, f"PyTasklet_{name}")
    with pytest.raises(RuntimeError, match="dead"):
        call(stackless.tasklet())
    channel = stackless.channel()
    blocked = stackless.tasklet(channel.receive)()
    stackless.run()
    with pytest.raises(RuntimeError, match="blocked"):
        call(blocked)


def test_run_returns_what_was_put_into_tempval():
    def body():
        main.tempval = "sent"

    main = stackless.getcurrent()
    task = stackless.tasklet(body)()
    assert api.PyTasklet_Run(task) == "sent"


def test_insert_and_remove():
    task = stackless.tasklet(print)()
    assert api.PyTasklet_Remove(task) == 0
    assert not task.scheduled
    assert api.PyTasklet_Remove(task) == 0
    assert api.PyTasklet_Insert(task) == 0
    assert task.scheduled
    with pytest.raises(RuntimeError, match="current"):
        api.PyTasklet_Remove(stackless.getcurrent())
    with pytest.raises(RuntimeError, match="dead"):
        api.PyTasklet_Insert(stackless.tasklet())
    task.kill()


def test_switches_from_c_leave_c_frames_in_place():
    """A tasklet blocks below C frames of its own; they are compared."""
    channel = stackless.channel()
    seen = []

    def body(n):
        seen.append(api.deep_c(n, lambda: api.PyChannel_Receive(channel)))

    for n in range(1, 6):
        stackless.tasklet(body)(n)
    stackless.run()
    stats = stackless.get_stats()
    hard = stats["c_stacks"] + stats["c_stacks_sliced"]
    assert hard >= 5
    for n in range(1, 6):
        assert api.PyChannel_Send(channel, n) == 0
        stackless.run()
    assert seen == [1, 2, 3, 4, 5]


def test_a_tasklet_can_be_a_c_function_that_switches():
    channel = stackless.channel()
    stackless.tasklet(api.PyChannel_Send)(channel, "from C")
    assert api.PyChannel_Receive(channel) == "from C"
    stackless.run()


# --- throwing ----------------------------------------------------------------


def catcher(log):
    try:
        stackless.schedule_remove()
    except BaseException as error:
        log.append(error)


def started(log):
    task = stackless.tasklet(catcher)(log)
    task.run()
    return task


def test_raise_exception():
    log = []
    assert api.PyTasklet_RaiseException(started(log), KeyError, (1, 2)) == 0
    assert type(log[0]) is KeyError and log[0].args == (1, 2)
    with pytest.raises(TypeError):
        api.PyTasklet_RaiseException(started(log), 5, ())


def test_raise_exception_without_arguments():
    log = []
    assert api.PyTasklet_RaiseException(started(log), KeyError, None) == 0
    assert type(log[0]) is KeyError and log[0].args == ()


def test_throw_now_and_pending():
    log = []
    error = ValueError("mine")
    assert api.PyTasklet_Throw(started(log), 0, error, None, None) == 0
    assert log == [error]
    task = started(log)
    assert api.PyTasklet_Throw(task, 1, KeyError, "value", None) == 0
    assert len(log) == 1
    stackless.run()
    assert type(log[1]) is KeyError and log[1].args == ("value",)


def test_throw_refuses_what_is_no_exception():
    with pytest.raises(TypeError):
        api.PyTasklet_Throw(started([]), 0, 5, None, None)


def test_throw_to_a_dead_tasklet():
    with pytest.raises(RuntimeError, match="dead"):
        api.PyTasklet_Throw(stackless.tasklet(), 0, KeyError, None, None)


def test_throw_to_oneself():
    me = stackless.getcurrent()
    with pytest.raises(KeyError):
        api.PyTasklet_Throw(me, 0, KeyError, None, None)
    with pytest.raises(TaskletExit):
        api.PyTasklet_Kill(me)


def test_kill():
    log = []
    task = started(log)
    assert api.PyTasklet_Kill(task) == 0
    assert type(log[0]) is TaskletExit and not task.alive
    assert api.PyTasklet_Kill(task) == 0  # it has ended already
    task = started(log)
    assert api.PyTasklet_KillEx(task, 1) == 0
    assert task.alive and len(log) == 1
    stackless.run()
    assert type(log[1]) is TaskletExit
    task = started(log)
    assert api.PyTasklet_KillEx(task, 0) == 0
    assert len(log) == 3


# --- asking ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Atomic", "IgnoreNesting"])
def test_flags_return_the_old_value(name):
    task = stackless.tasklet(print)
    get = getattr(api, f"PyTasklet_Get{name}")
    put = getattr(api, f"PyTasklet_Set{name}")
    assert get(task) == 0
    assert put(task, 7) == 0
    assert get(task) == 1
    assert put(task, 0) == 1
    assert get(task) == 0


def test_block_trap():
    task = stackless.tasklet(print)
    assert api.PyTasklet_SetBlockTrap(task, 5) is None
    assert api.PyTasklet_GetBlockTrap(task) == 1 and task.block_trap
    api.PyTasklet_SetBlockTrap(task, 0)
    assert api.PyTasklet_GetBlockTrap(task) == 0


STATES = ["IsMain", "IsCurrent", "Alive", "Paused", "Scheduled"]


def states(task):
    return {name: getattr(api, f"PyTasklet_{name}")(task) for name in STATES}


def state(**true):
    return {name: int(true.get(name, False)) for name in STATES}


def test_states():
    main = stackless.getmain()
    assert states(main) == state(
        IsMain=True, IsCurrent=True, Alive=True, Scheduled=True
    )
    task = stackless.tasklet()
    assert states(task) == state()
    task.bind(stackless.schedule_remove, (None,))
    assert states(task) == state(Alive=True, Paused=True)
    task.insert()
    assert states(task) == state(Alive=True, Scheduled=True)
    task.run()
    assert states(task) == state(Alive=True, Paused=True)
    task.kill()
    assert states(task) == state()


def test_frame_depth_and_nesting():
    def body():
        stackless.schedule_remove(None)

    task = stackless.tasklet(body)
    assert api.PyTasklet_GetFrame(task) is None
    task()
    task.run()
    frame = api.PyTasklet_GetFrame(task)
    assert frame.f_code is body.__code__
    assert api.PyTasklet_GetRecursionDepth(task) == task.recursion_depth
    assert api.PyTasklet_GetNestingLevel(task) == task.nesting_level
    assert api.PyTasklet_Restorable(task) == task.restorable
    del frame
    task.kill()


@pytest.mark.soft
def test_a_tasklet_in_c_is_nested_and_not_restorable():
    task = stackless.tasklet(api.call_through_c)(
        lambda: stackless.schedule_remove(None)
    )
    task.run()
    assert api.PyTasklet_GetNestingLevel(task) > 0
    assert api.PyTasklet_Restorable(task) == 0
    assert task in stackless.getuncollectables()
    task.kill()


def test_checks():
    tasks = [stackless.tasklet(), Tasklet()]
    channels = [stackless.channel(), Channel()]
    each = [*tasks, *channels, 5, None, int]

    def table(name):
        return [getattr(api, name)(op) for op in each]

    assert table("PyTasklet_Check") == [1, 1, 0, 0, 0, 0, 0]
    assert table("PyTasklet_CheckExact") == [1, 0, 0, 0, 0, 0, 0]
    assert table("PyChannel_Check") == [0, 0, 1, 1, 0, 0, 0]
    assert table("PyChannel_CheckExact") == [0, 0, 1, 0, 0, 0, 0]


# --- channels ----------------------------------------------------------------


def test_channel_new():
    assert type(api.PyChannel_New(None)) is stackless.channel
    assert type(api.PyChannel_New(Channel)) is Channel


@pytest.mark.parametrize("nr", ["", "_nr"])
def test_send_and_receive(nr):
    send = getattr(api, f"PyChannel_Send{nr}")
    receive = getattr(api, f"PyChannel_Receive{nr}")
    channel = stackless.channel()
    log = []
    stackless.tasklet(lambda: log.append(receive(channel)))()
    stackless.run()
    assert channel.balance == api.PyChannel_GetBalance(channel) == -1
    assert send(channel, "value") == 0
    stackless.run()
    assert log == ["value"]
    stackless.tasklet(lambda: log.append(send(channel, "back")))()
    stackless.run()
    assert api.PyChannel_GetBalance(channel) == 1
    assert receive(channel) == "back"
    stackless.run()
    assert log == ["value", 0]


def test_a_deadlock_is_an_error():
    channel = stackless.channel()
    with pytest.raises(RuntimeError, match="Deadlock"):
        api.PyChannel_Receive(channel)
    with pytest.raises(RuntimeError, match="Deadlock"):
        api.PyChannel_Send(channel, 1)
    assert channel.balance == 0


def receiver(channel, log):
    try:
        log.append(channel.receive())
    except Exception as error:
        log.append((type(error), error.args))


@pytest.mark.parametrize(
    "value, arguments",
    [(None, ()), ((1, 2), (1, 2)), (5, (5,))],
    ids=["NULL", "tuple", "one"],
)
def test_send_exception(value, arguments):
    channel, log = stackless.channel(), []
    stackless.tasklet(receiver)(channel, log)
    stackless.run()
    assert api.PyChannel_SendException(channel, KeyError, value) == 0
    stackless.run()
    assert log == [(KeyError, arguments)]


def test_send_exception_needs_a_class():
    for wrong in (5, KeyError(1), int):
        with pytest.raises(TypeError):
            api.PyChannel_SendException(stackless.channel(), wrong, None)


def test_send_throw():
    channel, log = stackless.channel(), []
    stackless.tasklet(receiver)(channel, log)
    stackless.run()
    assert api.PyChannel_SendThrow(channel, KeyError(1), None, None) == 0
    stackless.run()
    assert log == [(KeyError, (1,))]
    with pytest.raises(TypeError):
        api.PyChannel_SendThrow(channel, 5, None, None)


def test_queue():
    channel = stackless.channel()
    assert api.PyChannel_GetQueue(channel) is None
    tasks = [stackless.tasklet(channel.receive)() for _ in range(2)]
    stackless.run()
    assert api.PyChannel_GetQueue(channel) is tasks[0]


def test_closing():
    channel = stackless.channel()
    task = stackless.tasklet(channel.send)(1)
    stackless.run()
    api.PyChannel_Close(channel)
    assert api.PyChannel_GetClosing(channel) == 1
    assert api.PyChannel_GetClosed(channel) == 0
    assert channel.receive() == 1
    assert api.PyChannel_GetClosed(channel) == 1
    with pytest.raises(ValueError, match="closed"):
        api.PyChannel_Receive(channel)
    with pytest.raises(ValueError, match="closed"):
        api.PyChannel_Send(channel, 1)
    api.PyChannel_Open(channel)
    assert api.PyChannel_GetClosing(channel) == 0
    stackless.run()
    assert not task.alive


@pytest.mark.parametrize(
    "value, kept", [(-5, -1), (-1, -1), (0, 0), (1, 1), (200, 1), (256, 1)]
)
def test_preference_is_clamped(value, kept):
    channel = stackless.channel()
    assert api.PyChannel_SetPreference(channel, value) is None
    assert api.PyChannel_GetPreference(channel) == channel.preference == kept


def test_schedule_all():
    channel = stackless.channel()
    api.PyChannel_SetScheduleAll(channel, 256)
    assert api.PyChannel_GetScheduleAll(channel) == 1
    api.PyChannel_SetScheduleAll(channel, 0)
    assert api.PyChannel_GetScheduleAll(channel) == 0


# --- the scheduler -----------------------------------------------------------


def test_schedule():
    seen = []
    stackless.tasklet(seen.append)(1)
    assert api.PyStackless_Schedule("value", 0) == "value"
    assert seen == [1]
    stackless.tasklet(seen.append)(2)
    assert api.PyStackless_Schedule_nr("value", 0) == 0
    assert seen == [1, 2]


def test_schedule_remove():
    main = stackless.getcurrent()
    stackless.tasklet(main.insert)()
    assert api.PyStackless_Schedule("value", 1) == "value"
    stackless.tasklet(main.insert)()
    assert api.PyStackless_Schedule_nr("value", 1) == 0


def test_who_runs():
    assert api.PyStackless_GetCurrent() is stackless.getcurrent()
    assert api.PyStackless_GetRunCount() == stackless.getruncount()
    assert api.PyStackless_GetCurrentId() == stackless.getcurrentid()
    ids = []
    task = stackless.tasklet(
        lambda: ids.append(api.PyStackless_GetCurrentId())
    )()
    stackless.run()
    assert ids == [id(task)] and ids[0] != threading.get_ident()


@pytest.mark.parametrize("ex", [False, True])
def test_run_watchdog(ex):
    seen = []
    for i in range(3):
        stackless.tasklet(seen.append)(i)
    if ex:
        assert api.PyStackless_RunWatchdogEx(0, 0) is None
    else:
        assert api.PyStackless_RunWatchdog(0) is None
    assert seen == [0, 1, 2]


def test_run_watchdog_passes_errors_on():
    stackless.tasklet(lambda: 1 / 0)()
    with pytest.raises(ZeroDivisionError):
        api.PyStackless_RunWatchdog(0)


@pytest.mark.parametrize("flags", [-1, 256])
def test_flags_out_of_range(flags):
    with pytest.raises(ValueError):
        api.PyStackless_RunWatchdogEx(0, flags)


def test_a_tasklet_moves_to_another_thread():
    seen = []
    task = stackless.tasklet().bind(
        lambda: seen.append(threading.get_ident()), ())

    def work():
        assert api.PyTasklet_BindThread(task, -1) == 0
        task.run()

    thread = threading.Thread(target=work)
    thread.start()
    ident = thread.ident
    thread.join()
    assert seen == [ident]
    with pytest.raises(OverflowError):
        api.PyTasklet_BindThread(task, -2)
    with pytest.raises(RuntimeError):
        api.PyTasklet_BindThread(stackless.getmain(), -1)


@pytest.mark.parametrize("flags", [None, 0, 8])
def test_a_timeout_interrupts(flags):
    def forever():
        while True:
            pass

    t = stackless.tasklet(forever)()
    t.set_ignore_nesting(1)
    if flags is None:
        assert api.PyStackless_RunWatchdog(1000) is t
    else:
        assert api.PyStackless_RunWatchdogEx(1000, flags) is t
    t.kill()


@pytest.mark.parametrize("kind", ["Channel", "Schedule"])
def test_callbacks(kind):
    put = getattr(api, f"PyStackless_Set{kind}Callback")
    get = getattr(stackless, f"get_{kind.lower()}_callback")
    assert put(print) == 0
    assert get() is print
    with pytest.raises(TypeError):
        put(5)
    assert get() is print
    assert put(None) == 0
    assert get() is None
    assert put(print) == 0
    assert put("NULL") == 0
    assert get() is None


def test_the_fast_callback_sees_each_switch():
    channel = stackless.channel()
    task = stackless.tasklet(channel.receive)()
    main = stackless.getcurrent()
    api.count_switches(True)
    try:
        task.run()
        count, source, target = api.count_switches(True)
        # To the tasklet, and back when it blocked.
        assert (count, source, target) == (2, id(task), id(main))
        channel.send(None)
        stackless.run()
    finally:
        count, _, _ = api.count_switches(False)
    assert count >= 1
    stackless.tasklet(print)
    stackless.schedule()
    assert api.count_switches(False)[0] == 0


def test_the_fast_callback_sees_the_end_of_a_tasklet():
    def work():
        api.count_switches(True)

    task = stackless.tasklet(work)()
    try:
        stackless.run()
        count, source, target = api.count_switches(False)
    finally:
        api.count_switches(False)
    main = stackless.getcurrent()
    assert (count, source, target) == (1, id(task), id(main))


def test_call_main():
    def f(*args, **kwargs):
        return args, kwargs

    assert api.PyStackless_Call_Main(f, (1,), {"a": 2}) == ((1,), {"a": 2})
    assert api.PyStackless_Call_Main(f, None, None) == ((), {})
    with pytest.raises(ZeroDivisionError):
        api.PyStackless_Call_Main(lambda: 1 / 0, None, None)


def test_switch_trap_holds_for_c_too():
    task = stackless.tasklet(print)()
    stackless.switch_trap(1)
    try:
        for call in (
            lambda: api.PyTasklet_Run(task),
            lambda: api.PyStackless_Schedule(None, 0),
            lambda: api.PyStackless_RunWatchdog(0),
            lambda: api.PyTasklet_Kill(task),
        ):
            with pytest.raises(RuntimeError, match="switch_trap"):
                call()
    finally:
        stackless.switch_trap(-1)
    task.kill()


def test_a_thread_of_its_own():
    """The first call of a thread makes its scheduler."""
    seen = []

    def thread():
        current = api.PyStackless_GetCurrent()
        seen.append(api.PyTasklet_IsMain(current))
        seen.append(api.PyStackless_GetRunCount())
        task = api.PyTasklet_New(None, seen.append)
        api.PyTasklet_Setup(task, ("ran",), None)
        api.PyStackless_RunWatchdog(0)

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    assert seen == [1, 1, "ran"]


# --- references --------------------------------------------------------------


def exercise(argument):
    """All that takes references, with errors."""
    channel = api.PyChannel_New(None)
    task = api.PyTasklet_New(None, None)
    api.PyTasklet_BindEx(task, lambda *a, **k: a, (argument,), {"k": argument})
    api.PyTasklet_Run(task)
    task = api.PyTasklet_New(None, api.PyChannel_Receive)
    api.PyTasklet_Setup(task, (channel,), {})
    stackless.run()
    api.PyChannel_GetQueue(channel)
    api.PyChannel_Send(channel, argument)
    task = stackless.tasklet(receiver)(channel, [])
    stackless.run()
    api.PyChannel_SendException(channel, KeyError, (argument,))
    stackless.tasklet(receiver)(channel, [])
    stackless.run()
    api.PyChannel_SendThrow(channel, KeyError, argument, None)
    api.PyStackless_Schedule(argument, 0)
    api.PyStackless_GetCurrent()
    for name in ("Channel", "Schedule"):
        put = getattr(api, f"PyStackless_Set{name}Callback")
        put(argument)
        put(None)
    for wrong in (
        lambda: api.PyTasklet_Run(stackless.tasklet()),
        lambda: api.PyChannel_Receive(channel),
        lambda: api.PyTasklet_Throw(
            stackless.tasklet(), 0, ValueError, argument, None
        ),
        lambda: api.PyChannel_SendThrow(channel, argument, None, None),
        lambda: api.PyChannel_SendException(channel, KeyError, argument),
        lambda: api.PyChannel_Send(channel, argument),
    ):
        with pytest.raises((TypeError, RuntimeError)):
            wrong()
    stackless.run()


def test_arguments_keep_their_references():
    def argument(*args):
        pass

    for _ in range(3):
        exercise(argument)
    before = sys.getrefcount(argument)
    for _ in range(50):
        exercise(argument)
    assert sys.getrefcount(argument) == before
