"""Programs that are frozen at every point: exceptions, `with`."""

import contextlib
import io
import sys
import warnings

from freezing_support import note, point, program, story


# --- exceptions --------------------------------------------------------------


@program
def try_everywhere():
    seen = []
    for divisor in (1, 0):
        try:
            point("try")
            1 / divisor
        except ZeroDivisionError:
            point("except")
            seen.append(story(sys.exception()))
        else:
            point("else")
        finally:
            point("finally")
    return seen, sys.exception()


@program
def except_alive():
    try:
        fail("deep", 3)
    except ValueError as error:
        point("first")
        assert error is sys.exception()
        told = story(error)
        point("second")
        return told, story(sys.exception())


def fail(why, depth):
    if depth:
        fail(why, depth - 1)
    raise ValueError(why, depth)


@program
def except_with_cause():
    try:
        try:
            fail("cause", 1)
        except ValueError as error:
            point("cause")
            raise KeyError("effect") from error
    except KeyError:
        point("effect")
        return story(sys.exception())


@program
def except_with_context():
    try:
        try:
            fail("context", 0)
        finally:
            point("in finally")
            {}["missing"]
    except KeyError as error:
        point("effect")
        error.add_note("a note")
        point("noted")
        return story(error)


@program
def raise_from_none():
    try:
        try:
            fail("hidden", 0)
        except ValueError:
            point("caught")
            raise OSError(2, "no such thing", "file") from None
    except OSError as error:
        point("again")
        return story(error), error.errno, error.filename


@program
def reraise():
    try:
        try:
            fail("again", 1)
        except ValueError:
            point("first")
            raise
    except ValueError as error:
        point("second")
        return story(error)


@program
def exceptions_on_exceptions():
    """Each handler has its own, and gets it back."""
    told = []
    try:
        fail("one", 0)
    except ValueError:
        try:
            fail("two", 0)
        except ValueError:
            point("inner")
            handled_elsewhere(told)
            told.append(story(sys.exception()))
        point("outer")
        told.append(story(sys.exception()))
    point("none")
    told.append(sys.exception())
    return told


def handled_elsewhere(told):
    point("callee")
    told.append(story(sys.exception()))
    try:
        fail("three", 0)
    except ValueError:
        point("callee's own")
        told.append(story(sys.exception()))


@program
def except_star():
    told = []
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(2), OSError(3)])
    except* ValueError as group:
        point("first")
        told.append(repr(group))
    except* (KeyError, OSError) as group:
        point("second")
        told.append(repr(group.exceptions))
    finally:
        point("finally")
    return told


@program
def except_star_rest():
    try:
        try:
            raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
        except* ValueError:
            point("caught")
            raise TypeError("new")
    except ExceptionGroup as group:
        point("rest")
        return group.message, [repr(e) for e in group.exceptions]


@program
def except_star_naked():
    try:
        fail("naked", 0)
    except* ValueError as group:
        point("group")
        return_value = repr(group.exceptions)
    return return_value


@program
def finally_returns():
    def inner():
        try:
            return point("try")
        finally:
            point("finally")

    return inner(), swallowing()


# CPython 3.14 warns of it.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)
    exec("""def swallowing():
    while True:
        try:
            fail("swallowed", 0)
        finally:
            point("swallow")
            break
    return story(sys.exception())""")


@program
def finally_in_loops():
    seen = []
    for i in range(3):
        try:
            if i == 1:
                continue
            seen.append(point(i))
        finally:
            seen.append(point(("finally", i)))
    return seen


@program
def uncaught():
    try:
        point("try")
        fail("uncaught", 1)
    finally:
        point("finally")


class Failure(Exception):
    """With more than arguments."""

    def __init__(self, code, *, text):
        super().__init__(code)
        self.text = text

    def __reduce__(self):
        return _failure, (*self.args, self.text)


def _failure(code, text):
    return Failure(code, text=text)


@program
def own_exception():
    try:
        raise Failure(7, text="seven")
    except Failure as failure:
        point()
        return story(failure), failure.text, failure is sys.exception()


@program
def exception_kept():
    kept = []
    try:
        fail("kept", 2)
    except ValueError as error:
        kept.append(error)
    point("kept")
    try:
        raise kept[0]
    except ValueError as error:
        point("raised again")
        return story(error), error is kept[0]


@program
def exception_in_a_cycle():
    try:
        fail("cycle", 0)
    except ValueError as error:
        error.me = [error]
        point()
        return error.me[0] is error, story(error)


@program
def exception_of_c():
    try:
        int("x")
    except ValueError as error:
        point()
        told = story(error)
    try:
        None.missing
    except AttributeError as error:
        point()
        return told, story(error), error.name, error.obj


@program
def import_error():
    try:
        import freezing_no_such_module  # noqa: F401
    except ImportError as error:
        point()
        return error.name, error.msg


# --- with --------------------------------------------------------------------


class Manager:
    def __init__(self, name, swallow=False):
        self.name, self.swallow = name, swallow

    def __enter__(self):
        note(("enter", self.name))
        return self

    def __exit__(self, kind, error, traceback):
        note(("exit", self.name, kind and kind.__name__))
        return self.swallow


class Suspending(Manager):
    def __enter__(self):
        point("entering")
        return super().__enter__()

    def __exit__(self, *what):
        point("leaving")
        return super().__exit__(*what)


@program
def with_nested():
    with Manager(1) as a, Manager(2) as b:
        point("inside")
        with Manager(3):
            point("deeper")
        point("out again")
    return a.name + b.name


@program
def with_swallowed():
    with Manager(1, swallow=True):
        point("before")
        with Manager(2):
            fail("in with", 0)
    point("after")
    return sys.exception()


@program
def with_suspending():
    with Suspending(1) as manager:
        point("inside")
    with Suspending(2, swallow=True), Suspending(3):
        fail(point("failing"), 0)
    return manager.name


@program
def with_return():
    def inner():
        with Manager("m"):
            for i in (1, 2):
                with Manager(i):
                    if i == 2:
                        return point(i)
                    point(i)

    return inner()


@program
def with_stdlib():
    with contextlib.suppress(ValueError):
        point("suppress")
        fail("suppressed", 0)
    with contextlib.closing(io.StringIO("text")) as file:
        point("closing")
        text = file.read()
    closed = file.closed
    del file  # a closed one cannot be pickled
    with contextlib.nullcontext(5) as five:
        point("null")
    return text, five, closed


@program
def with_exit_stack():
    with contextlib.ExitStack() as stack:
        stack.enter_context(Manager(1))
        stack.callback(note, "callback")
        point("inside")
        stack.enter_context(Manager(2))
        point("inside")


@contextlib.contextmanager
def managing(name):
    note(("enter", name))
    try:
        yield name
    finally:
        note(("exit", name))


@program
def with_contextmanager():
    with managing(1) as one:
        point("inside")
        with managing(2):
            point("deeper")
    return one


@program
def with_literals():
    """Methods and stacks of literals, the `with` in the middle of them."""
    return [1, *with_value(2), with_value(3)]


def with_value(n):
    with Manager(n):
        return (point(n), n)
