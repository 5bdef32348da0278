"""carrier.c and the pool of C stacks: get_stats(), set_c_stacks()."""

import gc
import threading

import pytest

import stackless

from tasks import asleep, pause, through_c, wake

try:
    from stackless import _coretest
except ImportError:
    _coretest = None


@pytest.fixture(autouse=True)
def settings_restored():
    before = stackless.get_stats()["c_stack_size"]
    stackless.set_c_stacks(limit=1024)
    yield
    stackless.set_c_stacks(size=before, idle=64)


def stats(*names):
    now = stackless.get_stats()
    return tuple(now[name] for name in names)


def test_keys():
    assert set(stackless.get_stats()) == {
        "soft_switches", "quick_switches", "hard_switches", "tasklets",
        "c_stacks",
        "c_stacks_idle", "c_stacks_sliced", "c_stack_size",
    }  # fmt: skip
    assert all(type(v) is int for v in stackless.get_stats().values())


def test_each_tasklet_in_c_has_a_stack_of_its_own():
    stackless.set_c_stacks(idle=0)
    (before,) = stats("c_stacks")
    tasks = asleep(10)
    used, idle = stats("c_stacks", "c_stacks_idle")
    assert used - idle == before + 10
    assert set(stackless.getuncollectables()) >= set(tasks)
    wake(tasks)
    assert stats("c_stacks_idle") == (0,)
    assert stats("c_stacks") == (before,)


def test_idle_stacks_are_used_again():
    stackless.set_c_stacks(idle=64)
    wake(asleep(5))
    mapped, idle = stats("c_stacks", "c_stacks_idle")
    assert idle >= 5
    tasks = asleep(5)
    assert stats("c_stacks") == (mapped,)
    wake(tasks)
    assert stats("c_stacks", "c_stacks_idle") == (mapped, idle)


def test_no_more_are_kept_than_wanted():
    stackless.set_c_stacks(idle=3)
    wake(asleep(10))
    assert stats("c_stacks_idle")[0] <= 3


def test_a_lower_limit_takes_effect_at_once():
    stackless.set_c_stacks(idle=64)
    wake(asleep(10))
    stackless.set_c_stacks(idle=2)
    assert stats("c_stacks_idle") == (2,)
    stackless.set_c_stacks(idle=0)
    assert stats("c_stacks", "c_stacks_idle") == (0, 0)


def test_a_new_size_holds_from_now_on():
    stackless.set_c_stacks(size=1 << 20, idle=64)
    assert stats("c_stack_size") == (1 << 20,)
    tasks = asleep(2)
    stackless.set_c_stacks(size=256 << 10)
    assert stats("c_stack_size", "c_stacks_idle") == (256 << 10, 0)
    more = asleep(2)
    wake(tasks + more)


def test_none_leaves_a_setting_alone():
    stackless.set_c_stacks(size=1 << 20)
    stackless.set_c_stacks(idle=7)
    stackless.set_c_stacks()
    assert stats("c_stack_size") == (1 << 20,)


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": 65535}, {"size": -1}, {"idle": -1},
              {"size": 1 << 62}, {"idle": 1 << 40}]
)  # fmt: skip
def test_values_out_of_range(wrong):
    before = stats("c_stack_size")
    with pytest.raises(ValueError):
        stackless.set_c_stacks(**wrong)
    assert stats("c_stack_size") == before


def test_types_are_checked():
    with pytest.raises(TypeError):
        stackless.set_c_stacks(size="large")
    with pytest.raises(TypeError):
        stackless.set_c_stacks(number=1)


def test_tasklets_are_counted():
    gc.collect()
    (before,) = stats("tasklets")
    tasks = [stackless.tasklet() for _ in range(5)]
    assert stats("tasklets") == (before + 5,)
    del tasks
    gc.collect()
    assert stats("tasklets") == (before,)


def test_a_thread_gives_its_stacks_back():
    stackless.set_c_stacks(idle=64)
    (before,) = stats("c_stacks")

    def thread():
        wake(asleep(5))

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    assert stats("c_stacks") == (before,)


def test_a_thread_that_ends_with_tasklets_in_c_gives_them_back():
    (before,) = stats("c_stacks")
    ended = []

    def sleeper():
        try:
            through_c(pause)
        finally:
            ended.append(1)

    def thread():
        kept.extend(stackless.tasklet(sleeper)() for _ in range(5))
        stackless.run()

    kept = []
    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    assert len(ended) == 5
    assert stats("c_stacks") == (before,)


@pytest.mark.skipif(_coretest is None, reason="no stackless._coretest here")
def test_large_c_frames_on_small_stacks():
    """CPython itself needs some of it: 512 KiB will do."""
    stackless.set_c_stacks(size=512 << 10)
    results = []

    def body(n):
        results.append(_coretest.deep_c(n, lambda: stackless.schedule() and n))

    for n in range(20):
        stackless.tasklet(body)(n)
    stackless.run()
    assert len(results) == 20


@pytest.mark.skipif(_coretest is None, reason="no stackless._coretest here")
def test_counts_agree():
    stackless.set_c_stacks(idle=4)
    tasks = asleep(6)
    _, used, mapped = _coretest.count()
    assert used == 6
    assert (mapped, mapped - used) == stats("c_stacks", "c_stacks_idle")
    wake(tasks)
    assert _coretest.count()[:2] == (0, 0)


@pytest.mark.skipif(_coretest is None, reason="needs stackless._coretest")
def test_stack_below_is_in_its_place():
    """C code on a new stack may know addresses on the one below."""
    def read(address):
        for _ in range(3):
            stackless.schedule()
            seen.append(_coretest.borrowed(address))

    def body(i):
        _coretest.lend(
            i, lambda address: stackless.call_on_new_stack(read, address))

    seen = []
    stackless.set_c_stacks(limit=4)
    try:
        for i in range(12):
            stackless.tasklet(body)(i)
        stackless.run()
    finally:
        stackless.set_c_stacks(limit=1024)
    assert sorted(seen) == sorted(3 * list(range(12)))
