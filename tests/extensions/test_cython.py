"""Code that Cython compiled calls back into Python, which switches."""

import compiling
import pytest
import stackless
from interleaving import Failure, interleave, pause, started, switch


@pytest.fixture
def probe():
    return compiling.load_cython()


@pytest.mark.parametrize("name", ["call", "call_without_gil"])
def test_calls(probe, name):
    function = getattr(probe, name)
    assert interleave(lambda n: function(switch)) == ["back"] * 3


def test_exception_being_handled_stays_with_its_tasklet(probe):
    errors = [Failure(number) for number in range(3)]
    assert interleave(lambda n: probe.handle(switch, errors[n])) == errors


def test_exception_is_raised_again(probe):
    def work(number):
        with pytest.raises(Failure) as caught:
            probe.reraise(switch, Failure(number))
        return caught.value.args[0]

    assert interleave(work) == [0, 1, 2]


def test_error_of_the_callback_comes_through(probe):
    def fail():
        stackless.schedule()
        raise Failure

    def work(number):
        log = []
        with pytest.raises(Failure):
            probe.clean_up(fail, log)
        return log

    assert interleave(work) == [["finally"]] * 3


def test_killed_inside(probe):
    log = []
    tasklets = [started(probe.clean_up, pause, log) for _ in range(3)]
    for tasklet in tasklets:
        tasklet.kill()
    assert log == ["finally"] * 3


def test_dropped_inside(probe):
    log = []
    tasklet = started(probe.clean_up, pause, log)
    del tasklet
    assert log == ["finally"]


def test_generators(probe):
    def work(number):
        return list(probe.generate(switch, 4))

    assert interleave(work) == [[0, 1, 2, 3]] * 3


def test_generator_that_is_shared(probe):
    """While one tasklet is inside it, another cannot be."""
    generator = probe.generate(switch, 4)

    def work(number):
        try:
            return next(generator)
        except ValueError as error:
            return str(error)

    results = interleave(work, 2)
    assert results == [0, "generator already executing"]


def test_coroutines(probe):
    def work(number):
        try:
            probe.run_async(switch, 4).send(None)
        except StopIteration as stop:
            return stop.value

    assert interleave(work) == [6] * 3


def test_extension_types(probe):
    def work(number):
        numbers = [probe.Number(switch, n) for n in (3, 1, 2)]
        numbers.sort()
        return ([each.value for each in numbers], numbers[0] + numbers[1],
                len({each: 1 for each in numbers}), numbers[0].missing)

    assert interleave(work) == [([1, 2, 3], 3, 3, "missing")] * 3


def test_qsort(probe):
    """C's own sort, suspended in the middle of a comparison."""
    def work(number):
        numbers = [(7 * n + number) % 13 for n in range(13)]
        return probe.sort(switch, numbers)

    assert interleave(work) == [list(range(13))] * 3
