"""Those who only look: tracemalloc, faulthandler, inspect, traceback, other
threads; in each state of a tasklet, and while tasklets are switching."""

import gc
import inspect
import linecache
import re
import sys
import threading
import time
import traceback
import tracemalloc

import pytest
import stackless

from tools_support import (STATES, Suspension, in_sort, mode, pause, run_file,
                           write)

states = pytest.mark.parametrize("state", STATES)


@pytest.fixture(autouse=True)
def no_tracemalloc():
    yield
    tracemalloc.stop()


# --- a suspended tasklet, and the same as plain functions --------------------


def outer(wait, log):
    marker = "outer"
    inner(wait, log)
    log.append(marker)


def inner(wait, log):
    for n in generator(wait):
        log.append(n)


def generator(wait):
    yield 1
    try:
        raise KeyError("handled")
    except KeyError:
        wait()
        yield 2
    wait()


def hard_generator(wait):
    yield 1
    in_sort(wait)
    yield 2


CHAIN = ["generator", "inner", "outer"]


def suspended(state, log):
    """A tasklet in that state; who resumes it."""
    suspension = Suspension(state)
    wait = suspension.wait
    if state.startswith("hard"):
        wait = lambda: in_sort(suspension.wait)
    tasklet = stackless.tasklet(outer)(wait, log)
    tasklet.run()
    assert tasklet.alive and log == [1]
    return tasklet, suspension


def chain(frame):
    """The names of the functions of this file, innermost first."""
    names = []
    while frame is not None:
        if frame.f_code.co_filename == __file__:
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return [name for name in names if name != "<lambda>"]


@states
def test_frames_of_a_suspended_tasklet(state):
    """f_back, f_lineno, f_locals, inspect and traceback."""
    log = []
    tasklet, suspension = suspended(state, log)
    assert chain(tasklet.frame) == CHAIN
    stack = traceback.extract_stack(tasklet.frame)
    assert [entry.name for entry in stack][:3] == CHAIN[::-1]
    assert [entry.line for entry in stack][:3] == [
        "inner(wait, log)", "for n in generator(wait):", "wait()"]
    infos = inspect.getouterframes(tasklet.frame)
    assert [info.function for info in infos][-3:] == CHAIN
    bottom = infos[-1].frame
    assert bottom.f_back is None
    assert bottom.f_locals["marker"] == "outer"
    assert bottom.f_locals["log"] is log
    assert inspect.getargvalues(bottom).args == ["wait", "log"]
    walked = [frame for frame, line in traceback.walk_stack(tasklet.frame)]
    assert walked == [info.frame for info in infos]
    while tasklet.alive:
        suspension.resume(tasklet)
    assert log == [1, 2, "outer"]
    assert bottom.f_locals["marker"] == "outer"  # it has outlived the tasklet


@states
def test_generators_of_a_suspended_tasklet(state):
    """They are running, wherever the tasklet is."""
    log, made = [], []

    def body(wait):
        made.append(generator(wait))
        for n in made[0]:
            log.append(n)

    suspension = Suspension(state)
    wait = suspension.wait
    if state.startswith("hard"):
        wait = lambda: in_sort(suspension.wait)
    tasklet = stackless.tasklet(body)(wait)
    tasklet.run()
    (running,) = made
    assert inspect.getgeneratorstate(running) == inspect.GEN_RUNNING
    assert running.gi_frame.f_code is generator.__code__
    assert running.gi_frame.f_back.f_code is body.__code__
    assert inspect.getgeneratorlocals(running)["wait"] is wait
    for touch in (running.close, running.__next__, lambda: running.throw(
            KeyError)):
        with pytest.raises(ValueError, match="already executing"):
            touch()
    while tasklet.alive:
        suspension.resume(tasklet)
    assert log == [1, 2]
    assert inspect.getgeneratorstate(running) == inspect.GEN_CLOSED


@states
def test_collector_finds_who_refers_to_a_suspended_frame(state):
    """gc.get_referrers() and get_referents() walk what they find."""
    log = []
    tasklet, suspension = suspended(state, log)
    frame = tasklet.frame
    for each in traceback.walk_stack(frame):
        gc.get_referrers(each[0])
        gc.get_referents(each[0])
    assert any(referent is log for referent in gc.get_referents(tasklet))
    assert any(referrer is tasklet for referrer in gc.get_referrers(log))
    del frame, each
    while tasklet.alive:
        suspension.resume(tasklet)
    assert log == [1, 2, "outer"]


@states
def test_exception_being_handled_is_the_tasklets_own(state):
    """sys.exception() and sys._current_exceptions(), while another one waits
    inside an except clause."""
    tasklet, suspension = suspended(state, [])
    me = threading.get_ident()

    def mine():
        error = sys._current_exceptions()[me]
        return error if sys.version_info >= (3, 12) else error and error[1]

    assert sys.exc_info()[1] is None and mine() is None
    try:
        raise ValueError("main")
    except ValueError as error:
        assert mine() is error
        seen = []
        stackless.tasklet(lambda: seen.append(mine()))().run()
        assert seen == [None]
        suspension.resume(tasklet)
        assert mine() is error
    assert mine() is None
    while tasklet.alive:
        suspension.resume(tasklet)


@states
def test_traceback_of_an_error_that_crossed_switches(state):
    """It names the tasklet's functions, from a thrown error and its own."""
    tasklet, suspension = suspended(state, [])
    try:
        tasklet.throw(ValueError, "thrown")
    except ValueError as error:
        names = [entry.name for entry in
                 traceback.extract_tb(error.__traceback__)]
    here = sys._getframe().f_code.co_name
    names = [name for name in names if name in (*CHAIN, here)]
    assert names == [here, *CHAIN[::-1]]


@states
def test_line_of_a_suspended_frame_can_not_be_set(state):
    """Not by somebody who traces nothing, as for any other frame."""
    log = []
    tasklet, suspension = suspended(state, log)
    for frame, line in traceback.walk_stack(tasklet.frame):
        with pytest.raises(ValueError):
            frame.f_lineno = line
        assert frame.f_lineno == line
    while tasklet.alive:
        suspension.resume(tasklet)
    assert log == [1, 2, "outer"]


@states
def test_locals_of_a_suspended_frame_can_be_changed(state):
    """From 3.13 on f_locals writes through (PEP 667)."""
    log = []
    tasklet, suspension = suspended(state, log)
    bottom = [frame for frame, _ in traceback.walk_stack(tasklet.frame)][-1]
    bottom.f_locals["marker"] = "changed"
    bottom.f_locals["new"] = 1
    while tasklet.alive:
        suspension.resume(tasklet)
    changed = "changed" if sys.version_info >= (3, 13) else "outer"
    assert log == [1, 2, changed]


# --- tracemalloc -------------------------------------------------------------

HERE = sys._getframe().f_code.co_filename


def allocate(kept):
    kept.append(bytearray(5000))


def allocating(wait, kept):
    allocate(kept)
    wait()
    allocate(kept)
    in_sort(wait)
    allocate(kept)


def places(thing):
    """The source lines at which it was made, innermost last."""
    found = tracemalloc.get_object_traceback(thing)
    return [linecache.getline(frame.filename, frame.lineno).strip()
            for frame in found if frame.filename == HERE]


@states
def test_tracemalloc_knows_where_tasklets_allocate(state):
    """Their own functions, no deeper; also of one suspended meanwhile."""
    tracemalloc.start(20)
    suspension, kept = Suspension(state), []
    tasklet = stackless.tasklet(allocating)(suspension.wait, kept)
    while tasklet.alive:
        suspension.resume(tasklet)
        snapshot = tracemalloc.take_snapshot()
    line = "kept.append(bytearray(5000))"
    assert [places(thing) for thing in kept] == [
        ["allocate(kept)", line]] * 3
    statistics = snapshot.filter_traces(
        [tracemalloc.Filter(True, HERE)]).statistics("lineno")
    assert sum(each.size for each in statistics if linecache.getline(
        HERE, each.traceback[0].lineno).strip() == line) >= 15000


def test_tracemalloc_on_and_off_at_every_switch():
    kept, turns = [], []

    def toggle(previous, following):
        turns.append(1)
        if tracemalloc.is_tracing():
            if len(turns) % 8 == 1:
                tracemalloc.take_snapshot()
            tracemalloc.stop()
        else:
            tracemalloc.start(len(turns) % 5 + 1)

    def repeat(wait):
        for i in range(10):
            allocating(wait, kept)

    channel = stackless.channel()
    stackless.set_schedule_callback(toggle)
    for wait in stackless.schedule, stackless.schedule, channel.receive:
        stackless.tasklet(repeat)(wait)
    stackless.run()
    while channel.balance:
        channel.send(None)
    stackless.set_schedule_callback(None)
    tracemalloc.stop()
    assert len(kept) == 90 and len(turns) > 60


# --- while tasklets are switching --------------------------------------------

SWITCHING = """
    import faulthandler, signal, sys, time

    def leaf(n):
        if n:
            leaf(n - 1)
        else:
            stackless.schedule()

    def soft_worker():
        while not done:
            leaf(switches[0] % 40)  # over the edges of chunks
            switches[0] += 1

    def hard_worker():
        while not done:
            sorted([1], key=lambda x: leaf(3))

    def short_worker():
        pass

    def spawner():
        while not done:
            stackless.tasklet(short_worker)()
            stackless.schedule()

    def passes(channel):
        while not done:
            channel.send(leaf(0)) if channel.balance < 0 else channel.receive()

    def stop_after(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            stackless.schedule()
        done.append(1)

    done, switches = [], [0]
    channel = stackless.channel()
    for i in range(3):
        for function in soft_worker, hard_worker, spawner:
            stackless.tasklet(function)()
    stackless.tasklet(passes)(channel)
    stackless.tasklet(passes)(channel)
    stackless.tasklet(stop_after)(0.8)
    dumps = open(sys.argv[1], "w")
    {start}
    try:
        stackless.run()
    finally:
        {stop}
        for t in stackless.all_tasklets():
            t.is_main or t.kill()
    print("end", switches[0] >= 99)
"""
LINE = re.compile(r"""
    \s+File\ "[^"]*",\ line\ (?:-?\d+|\?\?\?)\ in\ (?:[\w<>. ]+|\?\?\?)
    | Stack\ \(most\ recent\ call\ first\):
    | (?:Current\ t|T)hread\ 0x[0-9a-f]+.*\(most\ recent\ call\ first\):
    | \s+\.\.\. | \s+<invalid\ frame> | Timeout\ \(.*\)! | \s*
    | \s*(?:Current\ thread's\ C\ stack\ trace|Binary\ file\ ).*
    | \s*<no\ Python\ frame> | \s*Extension\ modules:.* | \s*Garbage.*
""", re.VERBOSE)


def dumped(tmp_path, start, stop):
    """What faulthandler wrote while tasklets were switching."""
    path = write(tmp_path / "switching.py",
                 SWITCHING.replace("{start}", start).replace("{stop}", stop))
    path.write_text(mode() + path.read_text())
    out = run_file(path, tmp_path / "dumps")
    assert out == "end True\n"
    text = (tmp_path / "dumps").read_text()
    odd = [line for line in text.splitlines() if not LINE.fullmatch(line)]
    assert odd == []
    return text


@pytest.mark.parametrize("threads", [False, True])
def test_faulthandler_in_the_middle_of_every_switch(tmp_path, threads):
    """Its handler runs at once, on the C stack of whoever gets the signal:
    here in the schedule callback, and before and after each switch."""
    text = dumped(
        tmp_path,
        "faulthandler.register(signal.SIGALRM, file=dumps, "
        f"all_threads={threads}); "
        "stackless.set_schedule_callback(lambda previous, following: "
        "signal.raise_signal(signal.SIGALRM) or len(done) or switches[0] < 99"
        " or done.append(1))",
        "stackless.set_schedule_callback(None)")
    assert text.count("most recent call first") > 100
    for name in "soft_worker", "hard_worker", "leaf":
        assert f" in {name}\n" in text


@pytest.mark.skipif(
    sys.version_info < (3, 13, 1),
    reason="crashes without us, too (docs/cpython-bugs.md)")
@pytest.mark.parametrize("threads", [False, True])
def test_faulthandler_in_a_storm_of_signals(tmp_path, threads):
    """At any instruction, a dump shows whole frames of those who run."""
    text = dumped(
        tmp_path,
        "faulthandler.register(signal.SIGALRM, file=dumps, "
        f"all_threads={threads});"
        "signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)",
        "signal.setitimer(signal.ITIMER_REAL, 0)")
    assert text.count("most recent call first") > 100
    for name in "soft_worker", "hard_worker", "leaf":
        assert f" in {name}\n" in text


@pytest.mark.parametrize("worker", ["soft_worker", "hard_worker"])
def test_faulthandler_shows_where_a_tasklet_hangs(tmp_path, worker):
    """dump_traceback_later() and its thread; at rest, as it takes no care of
    frames that come and go."""
    path = write(tmp_path / "hangs.py", f"""
        import faulthandler, os, sys, time

        def hangs():
            stackless.schedule()
            print("hangs")
            faulthandler.dump_traceback_later(0.05, file=dumps)
            while not os.fstat(dumps.fileno()).st_size:
                time.sleep(0.01)  # nothing here has a frame in Python
            faulthandler.cancel_dump_traceback_later()  # it waits for the end

        def soft_worker():
            hangs()

        def hard_worker():
            sorted([1], key=lambda x: hangs())

        dumps = open({str(tmp_path / "dumps")!r}, "w")
        stackless.tasklet({worker})()
        stackless.run()
    """)
    path.write_text(mode() + path.read_text())
    assert run_file(path) == "hangs\n"
    names = re.findall(r" in (.+)", (tmp_path / "dumps").read_text())
    names = [name for name in names if name != "<interpreter trampoline>"]
    below = ["<lambda>"] if worker == "hard_worker" else []
    assert names == ["hangs", *below, worker, "dispatcher"]


def read_frames(seen):
    """Every thread's frames, as far as they go."""
    for ident, frame in sys._current_frames().items():
        for each, line in traceback.walk_stack(frame):
            seen.add(each.f_code.co_name)
            assert each.f_lineno is None or each.f_lineno > 0
            dict(each.f_locals)
    sys._current_exceptions()


def test_another_thread_reads_frames_while_tasklets_switch():
    """sys._current_frames(), f_back, f_locals: never one of ours."""
    done, seen, failures = [], set(), []

    def reader():
        try:
            while not done:
                read_frames(seen)
        except BaseException as error:
            failures.append(error)

    def soft(n):
        if n:
            soft(n - 1)
        else:
            stackless.schedule()

    def soft_worker(n):
        while not done:
            soft(n)

    def hard_worker():
        while not done:
            in_sort(stackless.schedule)

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=reader)
    for n in 0, 3, 40:
        stackless.tasklet(soft_worker)(n)
        stackless.tasklet(hard_worker)()
    sys.setswitchinterval(0.00001)
    thread.start()
    try:
        end = time.perf_counter() + 0.6
        while time.perf_counter() < end and not failures:
            stackless.schedule()
    finally:
        done.append(1)
        thread.join()
        sys.setswitchinterval(interval)
    stackless.run()
    assert failures == []
    assert {"soft_worker", "hard_worker", "in_sort"} <= seen
    assert not {"dispatcher", "schedule", "resume_gate"} & seen
