"""What a tasklet tells about itself in each state; tempval."""

import pytest
import stackless

from semantics_support import pause, paused, spawn, started, through_c


def finished():
    t = spawn(lambda: None)
    stackless.run()
    return t


def killed():
    t = started(pause)
    t.kill()
    return t


def receiving():
    return started(stackless.channel().receive)


def sending():
    return started(stackless.channel().send, "value")


def in_ring():
    return started(stackless.schedule, "retval")


def waiting_in_run():
    """A tasklet that is a watchdog; main keeps the ring busy."""
    t = spawn(stackless.run)
    t.run()
    return t


# state: (make, alive, paused, scheduled, blocked, tempval)
STATES = {
    "unbound": (stackless.tasklet, 0, 0, 0, 0, None),
    "finished": (finished, 0, 0, 0, 0, None),
    "killed": (killed, 0, 0, 0, 0, None),
    "bound": (lambda: stackless.tasklet(print), 0, 0, 0, 0, print),
    "ready": (lambda: paused(print), 1, 1, 0, 0, None),
    "paused": (lambda: started(pause), 1, 1, 0, 0, None),
    "paused with a value": (
        lambda: started(stackless.schedule_remove, 5), 1, 1, 0, 0, 5),
    "paused in C": (lambda: started(through_c, pause), 1, 1, 0, 0, None),
    "new in ring": (lambda: spawn(print), 1, 0, 1, 0, None),
    "in ring": (in_ring, 1, 0, 1, 0, "retval"),
    "current": (stackless.getcurrent, 1, 0, 1, 0, None),
    "receiving": (receiving, 1, 0, 1, 1, None),
    "sending": (sending, 1, 0, 1, 1, "value"),
    "waiting in run()": (waiting_in_run, 1, 1, 0, 0, None),
}


@pytest.mark.parametrize("state", STATES)
def test_state_table(state):
    make, alive, is_paused, scheduled, blocked, tempval = STATES[state]
    t = make()
    assert t.alive is bool(alive)
    assert t.paused is bool(is_paused)
    assert t.scheduled is bool(scheduled)
    assert t.blocked is bool(blocked)
    assert t.tempval == tempval


FLAGS = ["alive", "paused", "blocked", "scheduled", "restorable", "atomic",
         "ignore_nesting", "is_main", "is_current"]


@pytest.mark.parametrize("state", STATES)
def test_flags_are_bools(state):
    t = STATES[state][0]()
    for name in FLAGS:
        assert type(getattr(t, name)) is bool


@pytest.mark.parametrize("name", FLAGS + [
    "thread_id", "next", "prev", "frame", "recursion_depth", "nesting_level",
    "_channel", "waiting_for", "created_at"])
def test_attribute_is_read_only(name):
    t = paused(print)
    with pytest.raises(AttributeError):
        setattr(t, name, None)


def test_main_and_current():
    main = stackless.main
    assert main.is_main and main.is_current and main.alive
    t = spawn(lambda: None)
    assert not t.is_main and not t.is_current


def test_is_current_inside_a_tasklet(log):
    def body():
        log.append((t.is_current, stackless.current is t,
                    stackless.main.is_current, stackless.main.is_main))
    t = spawn(body)
    stackless.run()
    assert log == [(True, True, False, True)]


def test_main_waiting_in_run_is_paused(log):
    spawn(lambda: log.append((stackless.main.paused,
                              stackless.main.scheduled)))
    stackless.run()
    assert log == [(True, False)]


def test_main_blocked_on_a_channel(log):
    channel = stackless.channel()

    def body():
        main = stackless.main
        log.append((main.blocked, main.scheduled, main._channel is channel))
        channel.send(1)

    spawn(body)
    channel.receive()
    assert log == [(True, True, True)]


def test_channel_of_a_blocked_tasklet():
    channel = stackless.channel()
    t = started(channel.receive)
    assert t._channel is channel
    assert t.waiting_for is channel
    channel.send(None)
    assert t._channel is None
    assert t.waiting_for is None


def test_thread_id():
    import threading
    assert stackless.main.thread_id == threading.get_ident()
    assert spawn(print).thread_id == threading.get_ident()


def test_flags_of_a_new_tasklet_are_clear():
    stackless.current.set_atomic(True)
    stackless.current.set_ignore_nesting(True)
    t = paused(print)
    assert not t.atomic and not t.ignore_nesting and not t.block_trap


@pytest.mark.parametrize("setter, name", [
    ("set_atomic", "atomic"), ("set_ignore_nesting", "ignore_nesting")])
def test_flag_setters_return_the_old_value(setter, name):
    t = stackless.current
    assert getattr(t, setter)(True) is False
    assert getattr(t, name) is True
    assert getattr(t, setter)(1) is True
    assert getattr(t, setter)(0) is True
    assert getattr(t, name) is False
    with pytest.raises(TypeError):
        getattr(t, setter)("yes")
    with pytest.raises(TypeError):
        getattr(t, setter)(None)


def test_atomic_context_manager():
    t = stackless.current
    with stackless.atomic():
        assert t.atomic
        with stackless.atomic():
            assert t.atomic
        assert t.atomic
    assert not t.atomic


def test_atomic_context_manager_restores_after_an_error():
    with pytest.raises(KeyError):
        with stackless.atomic():
            raise KeyError
    assert not stackless.current.atomic


def test_atomic_belongs_to_the_tasklet_and_allows_voluntary_switches(log):
    def body():
        log.append(stackless.current.atomic)
    spawn(body)
    with stackless.atomic():
        stackless.schedule()
        assert stackless.current.atomic
    assert log == [False]


# frames

def here():
    stackless.schedule_remove(None)


def calls_here():
    here()


def test_frame_is_the_users_topmost():
    t = started(calls_here)
    assert t.frame.f_code is here.__code__
    assert t.frame.f_back.f_code is calls_here.__code__
    assert t.frame.f_back.f_back is None


def test_frame_of_a_blocked_tasklet():
    channel = stackless.channel()

    def body():
        channel.receive()

    t = started(body)
    assert t.frame.f_code is body.__code__
    assert t.frame.f_lineno == body.__code__.co_firstlineno + 1
    assert t.frame.f_back is None


def test_no_frame_before_the_start_and_after_the_end():
    t = spawn(print)
    assert t.frame is None
    t.kill()
    assert t.frame is None
    assert stackless.tasklet().frame is None


def test_frame_of_the_current_tasklet():
    assert stackless.current.frame.f_code is (
        test_frame_of_the_current_tasklet.__code__)


def test_frame_of_main_seen_from_a_tasklet(log):
    spawn(lambda: log.append(stackless.main.frame.f_code))
    stackless.run()
    assert log == [test_frame_of_main_seen_from_a_tasklet.__code__]


def test_frame_through_c_shows_the_whole_chain():
    def outer():
        through_c(here)

    t = started(outer)
    names, frame = [], t.frame
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    assert names[0] == "here" and names[-1] == "outer"
    assert names[-2] == "through_c"


def test_locals_of_a_suspended_frame_can_be_read():
    def body():
        secret = 42
        stackless.schedule_remove(None)
        return secret

    t = started(body)
    assert t.frame.f_locals["secret"] == 42


def test_recursion_depth_counts_frames():
    def nested(n):
        if n:
            nested(n - 1)
        else:
            pause()

    assert paused(print).recursion_depth == 0
    shallow, deep = started(nested, 1), started(nested, 51)
    assert shallow.recursion_depth >= 3
    assert deep.recursion_depth - shallow.recursion_depth == 50
    shallow.kill()
    assert shallow.recursion_depth == 0
    assert stackless.current.recursion_depth > 0


@pytest.mark.soft
def test_plain_calls_leave_the_nesting_level_at_zero(log):
    def body():
        log.append(stackless.current.nesting_level)
        calls_here()

    t = started(body)
    assert log == [0]
    assert t.nesting_level == 0 and t.restorable


@pytest.mark.soft
def test_recursion_depth_of_a_soft_tasklet_is_its_frames(log):
    def inner():
        log.append(stackless.current.recursion_depth)
        stackless.schedule_remove(None)

    def outer():
        log.append(stackless.current.recursion_depth)
        inner()

    assert started(outer).recursion_depth == 2
    assert log == [1, 2]


def test_c_calls_raise_the_nesting_level(log):
    def body():
        log.append(stackless.current.nesting_level)
        through_c(inner)

    def inner():
        log.append(stackless.current.nesting_level)
        pause()

    t = started(body)
    assert log[1] > log[0]
    assert t.nesting_level >= 1 and not t.restorable
    t.run()
    assert t.nesting_level == 0


def test_new_and_finished_tasklets_have_no_nesting():
    assert paused(print).nesting_level == 0
    assert finished().nesting_level == 0


def test_forced_hard_tasklets_tell_the_truth():
    stackless.enable_softswitch(False)
    t = started(calls_here)
    assert t.nesting_level > 0 and not t.restorable


# tempval

def test_schedule_returns_its_argument():
    spawn(lambda: None)
    assert stackless.schedule(5) == 5


def test_schedule_alone_returns_its_argument():
    assert stackless.schedule(5) == 5
    assert stackless.schedule(None) is None


def test_schedule_returns_the_current_tasklet_by_default(log):
    assert stackless.schedule() is stackless.current
    t = spawn(lambda: log.append(stackless.schedule()))
    stackless.run()
    assert log == [t]


def test_schedule_takes_a_keyword():
    assert stackless.schedule(retval=3) == 3


def test_schedule_remove_by_main_alone_returns_at_once():
    assert stackless.schedule_remove(5) == 5
    assert stackless.schedule_remove() is stackless.current
    assert stackless.runcount == 1


def test_retval_can_be_seen_while_waiting(log):
    main = stackless.main
    spawn(lambda: log.append(main.tempval))
    stackless.schedule("mine")
    assert log == ["mine"]


def test_schedule_remove_without_argument_keeps_the_tasklet_itself():
    t = started(stackless.schedule_remove)
    assert t.tempval is t
    t.kill()


def test_tempval_set_by_others_is_returned(log):
    t = started(lambda: log.append(pause()))
    t.tempval = "gift"
    t.insert()
    assert t.tempval == "gift"
    stackless.run()
    assert log == ["gift"]


def test_tempval_replaces_the_preset_of_schedule(log):
    t = started(lambda: log.append(stackless.schedule("mine")))
    t.tempval = "other"
    stackless.run()
    assert log == ["other"]


def test_tempval_is_empty_after_resuming(log):
    def body():
        pause()
        log.append(stackless.current.tempval)
        pause()

    t = started(body)
    t.tempval = "gift"
    t.run()
    assert log == [None]
    assert t.tempval is None


def test_bomb_in_tempval_explodes(log):
    def body():
        with pytest.raises(KeyError) as caught:
            pause()
        log.append(caught.value.args)

    t = started(body)
    t.tempval = stackless.bomb(KeyError, KeyError("boom"), None)
    t.run()
    assert log == [("boom",)]


def test_run_of_another_returns_the_callers_tempval():
    main = stackless.main

    def body():
        main.tempval = "gift"

    assert spawn(body).run() == "gift"
    assert main.tempval is None


def test_switch_returns_the_callers_tempval():
    main = stackless.main

    def body():
        main.tempval = "gift"
        main.insert()

    assert spawn(body).switch() == "gift"


def test_module_run_drops_a_wake_up_value():
    main = stackless.main

    def body():
        main.tempval = "dropped"
        main.insert()

    spawn(body)
    assert stackless.run() is None
    assert main.tempval is None


def test_return_value_of_the_function_is_discarded():
    t = spawn(lambda: "result")
    stackless.run()
    assert t.tempval is None


def test_tempval_can_be_set_before_the_start():
    t = paused(print)
    t.tempval = 1
    assert t.tempval == 1


def test_sent_value_reaches_the_receivers_tempval_only():
    channel = stackless.channel()
    channel.preference = 1
    t = started(channel.receive)
    channel.send("parcel")
    assert t.tempval == "parcel"
    assert stackless.main.tempval is None
    stackless.run()


# introspection

def test_default_names_are_distinct():
    a, b = stackless.tasklet(), stackless.tasklet()
    assert isinstance(a.name, str) and a.name.startswith("tasklet-")
    assert a.name != b.name


def test_name_is_writable():
    t = stackless.tasklet()
    t.name = "worker"
    assert t.name == "worker"
    with pytest.raises(TypeError):
        t.name = 42
    assert t.name == "worker"


def test_created_at_is_file_and_line():
    t = stackless.tasklet(print)
    line = test_created_at_is_file_and_line.__code__.co_firstlineno + 1
    assert t.created_at == f"{__file__}:{line}"


def test_all_tasklets_lists_the_living_of_every_state():
    made = [paused(print), spawn(print), receiving(), started(pause)]
    listed = stackless.all_tasklets()
    assert isinstance(listed, list)
    for t in made + [stackless.main]:
        assert any(t is other for other in listed)


def test_all_tasklets_keeps_nothing_alive(log):
    import weakref
    t = paused(print)
    r = weakref.ref(t)
    stackless.all_tasklets()
    del t
    assert r() is None


def test_print_stacks_shows_each_tasklet():
    import io
    t = started(calls_here)
    t.name = "sleeper"
    out = io.StringIO()
    stackless.print_stacks(out)
    text = out.getvalue()
    assert "sleeper" in text
    assert "calls_here" in text and "in here" in text


def test_print_stacks_writes_to_stderr_by_default(capsys):
    t = started(calls_here)
    t.name = "sleeper"
    stackless.print_stacks()
    assert "sleeper" in capsys.readouterr().err


def test_repr_is_a_text():
    for t in (stackless.tasklet(), stackless.main, spawn(print)):
        assert "tasklet" in repr(t)
    assert "channel" in repr(stackless.channel())
