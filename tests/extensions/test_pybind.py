"""C++ calls back into Python, which switches, while exceptions are alive."""

import compiling
import pytest
import stackless
from interleaving import Failure, interleave, pause, started, switch


@pytest.fixture
def module():
    return compiling.load_pybind()


@pytest.fixture
def probe():
    """The module, whose calls may return in any order."""
    module = compiling.load_pybind()
    module.follow_tasklets(True)
    yield module
    module.follow_tasklets(False)


def test_calls_that_return_in_reverse_order(module):
    """These need no hook: pybind11's list of calls is a stack."""
    def work(depth):
        if not depth:
            return 0
        inner = stackless.tasklet(lambda: results.append(work(depth - 1)))()
        module.call(inner.run)
        return depth + results.pop()

    results = []
    assert work(5) == 15


@pytest.mark.parametrize("name", ["call", "call_without_gil"])
def test_calls(probe, name):
    function = getattr(probe, name)
    assert interleave(lambda n: function(switch)) == ["back"] * 3


def test_exception_being_handled_stays_with_its_tasklet(probe):
    """C++ keeps a stack of those per thread: it goes with the C stack."""
    results = interleave(lambda n: probe.handle(switch, f"error {n}"))
    assert results == [f"error {n}/error {n}/error {n}" for n in range(3)]


def test_nested_exceptions(probe):
    results = interleave(lambda n: probe.nested(switch, str(n)))
    assert results == [
        "/".join([*[f"{n} inner"] * 3, *[f"{n} outer"] * 2])
        for n in range(3)]


def test_other_tasklets_handle_nothing(probe):
    seen = []
    tasklet = started(probe.handle, pause, "error")
    seen.append(probe.handled())
    stackless.tasklet(lambda: seen.append(probe.handled()))()
    stackless.run()
    tasklet.run()
    seen.append(probe.handled())
    tasklet.run()
    assert seen == ["none"] * 3


def test_destructors_of_an_exception(probe):
    results = interleave(lambda n: probe.unwind(switch))
    assert results == [[1, 1, 0]] * 3


def test_exceptions_thrown_through_python(probe):
    def work(number):
        with pytest.raises(probe.Error) as caught:
            probe.throw_after(switch, f"error {number}")
        return str(caught.value)

    assert interleave(work) == ["error 0", "error 1", "error 2"]


def test_python_exceptions_caught_in_c(probe):
    def fail(number):
        stackless.schedule()
        raise Failure(number)

    def work(number):
        error = probe.catch_python(lambda: fail(number), switch)
        return error.args[0]

    assert interleave(work) == [0, 1, 2]


def test_kill_unwinds_c_plus_plus(probe):
    """TaskletExit goes through C++ like any error; C++ could catch it."""
    seen = []

    def wait():
        try:
            pause()
        finally:
            seen.append("finally")

    tasklets = [started(probe.handle, wait, "error") for _ in range(3)]
    for tasklet in tasklets:
        tasklet.kill()
    assert seen == ["finally"] * 3
    assert probe.handled() == "none"


def test_catching_the_kill(probe):
    seen = []
    tasklet = started(
        lambda: seen.append(probe.catch_python(pause, switch)))
    tasklet.kill()
    stackless.run()
    assert [type(error) for error in seen] == [TaskletExit]


def test_sort(probe):
    def less(one, other):
        stackless.schedule()
        return one < other

    results = interleave(lambda n: probe.sort([3, 1, 2, n], less))
    assert results == [sorted([3, 1, 2, n]) for n in range(3)]


@pytest.mark.noleak  # pybind11 keeps something of each class
def test_virtual_methods_overridden_in_python(probe):
    class Worker(probe.Base):
        def work(self, n):
            stackless.schedule()
            return 2 * n

    assert interleave(lambda n: probe.add_up(Worker(), 5)) == [20] * 3
