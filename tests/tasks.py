"""What tests of several folders do with tasklets."""

import contextlib
import os
import sys
import threading

import stackless

# Under AddressSanitizer memory is used again late, and address space is short.
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
# It has a thread of its own, cannot follow a fork, and ends a process in which a
# thread is ended on another C stack.
THREAD_SANITIZER = "tsan" in os.environ.get("LD_PRELOAD", "")


def through_c(function, *args):
    """Call `function` with a C frame between it and the caller."""
    return next(map(lambda _: function(*args), (None,)))


def spawn(function, *args, **kwargs):
    return stackless.tasklet(function)(*args, **kwargs)


def pause():
    """Leave the ring. No argument would store the tasklet in itself."""
    return stackless.schedule_remove(None)


def asleep(n, function=through_c, *args):
    """n tasklets that wait on a C stack each, unless `function` does not."""
    tasks = [spawn(function, pause, *args) for _ in range(n)]
    stackless.run()
    return tasks


def wake(tasks):
    for task in tasks:
        task.insert()
    stackless.run()


@contextlib.contextmanager
def running(function, *args):
    """A thread that calls it; what it raises is raised at the end."""
    errors = []

    def work():
        try:
            function(*args)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    if errors:
        raise errors[0]


def at_once(function, arguments, interval):
    """Call it in a thread for each argument; they take turns after that time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        with contextlib.ExitStack() as threads:
            for argument in arguments:
                threads.enter_context(running(function, argument))
    finally:
        sys.setswitchinterval(before)


def in_thread(function, *args):
    """Call it in a thread; what it raises is raised here."""
    with running(function, *args):
        pass
