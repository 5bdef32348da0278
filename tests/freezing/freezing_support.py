"""What the tests of freezing share: how to freeze, and programs that suspend.

The only place that knows by which names freezing is called.
"""

import contextlib
import pickle

import stackless
from stackless._freezing import pickling, unpickling
from tasks import pause, spawn

# Some programs warn of what they do, or are killed in the middle of it: what to
# ignore.  (This module does without pytest: other releases have none.)
WARNINGS = (
    "ignore:Pickle, copy:DeprecationWarning",
    "ignore:coroutine :RuntimeWarning",  # asynchronous generators
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

# What a program has passed, and what has come of it.  In this module, so that
# they are not frozen along with the program.
LOG = []
OUTCOME = []


PROGRAMS = {}


def program(function):
    """Decorator: a program, which returns plain data that tells how it went."""
    PROGRAMS[function.__name__] = function
    return function


def dumps(value, code="reference"):
    return pickling.dumps(value, code=code)


def loads(data):
    return unpickling.loads(data)


def thawed(value, code="reference"):
    return loads(dumps(value, code))


def started(function, *args):
    tasklet = spawn(function, *args)
    stackless.run()
    return tasklet


def pausing_key(value):
    pause()
    return value


def sorting():
    return sorted([2, 1], key=pausing_key)


def note(what):
    LOG.append(what)


def point(label=None):
    """A place at which a program can be frozen."""
    LOG.append(label)
    stackless.schedule_remove(None)
    return label


def body(program):
    """What the tasklet of a program runs."""
    try:
        value = program()
        OUTCOME.append(("returned", value))  # not fetched before: it is global
    except Exception as error:
        OUTCOME.append(("raised", type(error), error.args))


def start(program):
    """Its tasklet, at the first point."""
    LOG.clear()
    OUTCOME.clear()
    tasklet = stackless.tasklet(body)(program)
    stackless.run()
    return tasklet


def go(*tasklets):
    """To the next point."""
    for tasklet in tasklets:
        tasklet.insert()
    stackless.run()


def finish(tasklet):
    while tasklet.alive:
        go(tasklet)
    return list(OUTCOME), list(LOG)


def whole(program):
    """The outcome and the log of a run that is not frozen."""
    return finish(start(program))


def freeze(tasklet, code="reference"):
    """The bytes of a program and its log; None if there is C code in it."""
    try:
        return dumps((list(LOG), tasklet), code)
    except (RuntimeError, pickle.PicklingError) as error:
        if "has C state" not in str(error):
            raise
        return None


def thaw(data):
    LOG[:], tasklet = loads(data)
    OUTCOME.clear()
    return tasklet


def freeze_all(program, code="reference"):
    """(outcome and log of the run, what was frozen at each point)."""
    tasklet = start(program)
    data = []
    while tasklet.alive:
        data.append(freeze(tasklet, code))
        go(tasklet)
    return (list(OUTCOME), list(LOG)), data


def relay(program, code="reference"):
    """Run it; at each point a copy takes over."""
    tasklet = start(program)
    while tasklet.alive:
        data = freeze(tasklet, code)
        if data is not None:
            tasklet.remove()
            RETIRED.append(tasklet)
            tasklet = thaw(data)
        go(tasklet)
    return list(OUTCOME), list(LOG)


# Originals that copies have replaced.  They are not to be killed in a program's
# run: their `finally` would write to its log.
RETIRED = []


def retire():
    """Kill them, and forget what they do."""
    while RETIRED:
        tasklet = RETIRED.pop()
        for _ in range(10):
            if tasklet.alive:
                with contextlib.suppress(BaseExceptionGroup):  # of except*
                    tasklet.kill()
    LOG.clear()
    OUTCOME.clear()


def story(error):
    """All there is to know about an exception, as plain data."""
    if error is None:
        return None
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines.append((code.co_name, traceback.tb_lineno, traceback.tb_lasti))
        traceback = traceback.tb_next
    return (
        type(error).__name__,
        repr(error.args),
        lines,
        story(error.__cause__),
        story(error.__context__),
        error.__suppress_context__,
        getattr(error, "__notes__", None),
    )
