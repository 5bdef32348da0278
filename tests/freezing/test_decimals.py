"""decimal.localcontext() of the module in Python: alone, or beside that in C."""

import contextvars
import subprocess
import sys

import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, started, thawed

pytestmark = pytest.mark.soft

_pydecimal = pytest.importorskip("_pydecimal")


def third():
    return str(_pydecimal.Decimal(1) / 3)


def exactly():
    with _pydecimal.localcontext() as outer:
        outer.prec = 5
        with _pydecimal.localcontext() as inner:
            inner.prec = 3
            stackless.schedule_remove(None)
            LOG.append((third(), inner is _pydecimal.getcontext()))
        LOG.append((third(), outer is _pydecimal.getcontext()))
    LOG.append(third())


def both():
    import decimal

    with decimal.localcontext() as one, _pydecimal.localcontext() as other:
        one.prec, other.prec = 4, 2
        stackless.schedule_remove(None)
        LOG.append((str(decimal.Decimal(1) / 3), third()))
    LOG.append(third())


def apart(function):
    return contextvars.Context().run(started, function)


def told(*tasklets):
    LOG.clear()
    go(*tasklets)
    return LOG[:]


USUAL = "0." + "3" * 28
WAYS = [thawed, lambda t: thawed(t, "value"), stackless.tasklet.clone]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program, expected", [
    (exactly, [("0.333", True), ("0.33333", True), USUAL]),
    (both, [("0.3333", "0.33"), USUAL]),
])  # fmt: skip
def test_the_copy_calculates_as_the_original(way, program, expected):
    task = apart(program)
    copy = way(task)
    if program is both and way is WAYS[2]:  # a clone shares what is in C
        assert told(copy) == expected
        task.kill()
    else:
        assert told(copy) == told(task) == expected
    assert third() == USUAL


def test_behind_the_with_nothing_is_kept():
    task = apart(waiting_behind)
    data = dumps(task)
    with _pydecimal.localcontext() as context:
        context.prec = 7
        assert told(loads(data)) == ["0.3333333"]
    task.kill()


def waiting_behind():
    with _pydecimal.localcontext() as context:
        context.prec = 3
    stackless.schedule_remove(None)
    LOG.append(third())


def test_its_numbers():
    for value in (_pydecimal.Decimal("1.5"), _pydecimal.InvalidOperation):
        copy = thawed(value)
        assert copy == value and type(copy) is type(value)


def test_no_context_of_decimal():
    from stackless._freezing import decimals

    for value in (1, (1,), (_pydecimal.Context(), None)):
        with pytest.raises(ValueError, match="no context of decimal"):
            decimals.set_in(started(stackless.schedule_remove, None), value)
    for name in ("getcontext", "ROUND_UP"):
        with pytest.raises((ValueError, TypeError)):
            decimals._python_type(name)


ALONE = """
import sys
sys.modules["_decimal"] = None
import contextvars, decimal, pickle, stackless
assert "_pydecimal" in sys.modules
log = []


def note(value):
    log.append(value)


def program():
    with decimal.localcontext() as context:
        context.prec = 3
        stackless.schedule_remove(None)
        value = str(decimal.Decimal(1) / 3)
        note((value, context is decimal.getcontext()))
    value = str(decimal.Decimal(1) / 3)
    note(len(value))


def start():
    task = stackless.tasklet(program)()
    stackless.run()
    return task

task = contextvars.Context().run(start)
copies = [
    stackless.thaw(stackless.freeze(task)),
    pickle.loads(pickle.dumps(task)),
    task.clone(),
]
for one in (*copies, task):
    one.insert()
    stackless.run()
assert log == [("0.333", True), 30] * 4, log
"""


def test_where_c_is_missing():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
