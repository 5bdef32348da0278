"""No room for another C stack: MemoryError, and all goes on.

The address space is limited, or the kernel has no more mappings to give.
Each program runs in a process of its own.
"""

import os
import subprocess
import sys
import textwrap

import pytest

from tasks import SANITIZED

pytestmark = [
    pytest.mark.noleak,  # subprocesses
    pytest.mark.skipif(sys.platform != "linux", reason="Linux"),
]
HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")

PRELUDE = f"""
import contextlib, ctypes, gc, resource, sys, threading
import stackless
try:
    from stackless import _coretest
except ImportError:
    _coretest = None

stackless.enable_softswitch({not HARD})
main = stackless.getcurrent()
kept = []

def call(function):
    return function()

def through_c(function):
    return list(map(call, [function]))[0]

def pause():
    stackless.schedule_remove(None)

def wait_in_c():
    through_c(pause)
    kept.append("went on")

def check():
    assert stackless.getcurrent() is main
    assert stackless.getruncount() == 1, stackless.getruncount()
    if _coretest:
        _coretest.check()

def give_up(tasklet):
    '''It was not started, or could not leave its C stack and ended.'''
    if tasklet.alive:
        tasklet.remove()

def fill(limit=300):
    '''Hard tasklets, until there is no room, or enough of them.'''
    made = []
    try:
        ballast = bytearray(8 << 20)  # what the test itself needs then
    except MemoryError:
        return made
    tasklet = None
    try:
        for _ in range(limit):
            tasklet = None
            tasklet = stackless.tasklet(wait_in_c)()
            # Not by run(): the first to be refused is left in the ring.
            stackless.schedule()
            made.append(tasklet)
    except MemoryError:
        del ballast
        if tasklet is not None:
            give_up(tasklet)
    return made

def go_on(tasklets):
    '''Those that were there go on to their end.'''
    kept.clear()
    for tasklet in tasklets:
        tasklet.insert()
    stackless.run()
    assert kept == ["went on"] * len(tasklets)
    assert not any(tasklet.alive for tasklet in tasklets)

def operations():
    '''What needs no C stack, or has one; each works.'''
    channel = stackless.channel()
    receiver = stackless.tasklet(lambda: kept.append(channel.receive()))()
    while not receiver.blocked:
        stackless.schedule()
    channel.send("received")
    stackless.run()
    assert kept.pop() == "received"
    soft = stackless.tasklet(pause)()
    stackless.run()
    soft.kill()
    assert not soft.alive

def mapped():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

@contextlib.contextmanager
def little_room(mebibytes):
    '''So much address space more than there is now.'''
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = mapped() + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
"""


def run(source):
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert not done.stderr
    return done.stdout


needs_limit = pytest.mark.skipif(
    SANITIZED, reason="sanitizers themselves need more room")


@needs_limit
@pytest.mark.parametrize("mebibytes", [40, 100, 300])
def test_address_space_ends(mebibytes):
    """Those that have a C stack go on; later there is room for more."""
    run(f"""
        with little_room({mebibytes}):
            made = fill()
            check()
            assert made
            go_on(made[:3])  # they leave their C stacks
            operations()
            made = made[3:] + fill()
            check()
            for _ in range(3):  # again and again
                tasklet = stackless.tasklet(wait_in_c)()
                try:
                    tasklet.run()
                except MemoryError:
                    give_up(tasklet)
                    check()
            go_on(made)
            check()
            made = fill()
            for tasklet in made:
                tasklet.kill()
            check()
        made = [stackless.tasklet(wait_in_c)() for _ in range(50)]
        stackless.run()
        go_on(made)
        check()
    """)


@needs_limit
@pytest.mark.parametrize("operation", [
    "stackless.schedule()",
    "stackless.run()",
    "through_c(stackless.schedule)",
    "stackless.schedule_remove(None)",
    "stackless.channel().receive()",
    "stackless.channel().send(1)",
    "new.run()",
    "new.switch()",
    "stackless.test_outside()",
    "stackless.test_cframe_nr()",
    "new.kill()",
    "new.throw(KeyError)",
])
@pytest.mark.parametrize("where", ["in main", "in a tasklet"])
def test_each_switch_that_finds_no_room(operation, where):
    """It raises MemoryError, or needs none; then it works."""
    out = run(f"""
        def attempt(new):
            before = stackless.getruncount()
            try:
                {operation}
            except MemoryError:
                assert stackless.getruncount() == before
                assert not stackless.getcurrent().blocked
                return "MemoryError"
            except (RuntimeError, KeyError):
                pass  # a deadlock, and what was thrown
            return "no error"

        def in_tasklet(new):
            outcomes.append(through_c(lambda: attempt(new)))

        def act():
            new = stackless.tasklet(call)(int)
            if {where == "in main"}:
                outcomes.append(attempt(new))
            else:
                stackless.tasklet(in_tasklet)(new).insert()
                with contextlib.suppress(MemoryError, KeyError):
                    stackless.run()
                for tasklet in stackless.all_tasklets():
                    if not tasklet.is_main and tasklet not in made:
                        with contextlib.suppress(MemoryError):
                            tasklet.kill()
                        if not tasklet.blocked:
                            tasklet.remove()
            new.remove() if new.scheduled and not new.blocked else None

        outcomes = []
        with little_room(40):
            made = fill()
            if {where == "in a tasklet"}:  # it needs one to start
                go_on(made[:1])
                del made[:1]
            act()
            check()
        go_on(made)
        made = []
        act()
        stackless.run()
        check()
        print(outcomes)
    """)
    # One that is left waiting, and is killed, has no outcome.
    outcomes = eval(out)
    assert len(outcomes) <= 2
    assert set(outcomes) <= {"MemoryError", "no error"}
    assert "MemoryError" not in outcomes[1:]


@needs_limit
def test_threads_that_start_when_there_is_no_room():
    """A thread has its scheduler, and no C stack beside its own."""
    run("""
        threading.stack_size(256 << 10)

        def work(index):
            tasklet = stackless.tasklet(wait_in_c)()
            try:
                stackless.run()
            except MemoryError:
                outcomes.append("MemoryError")
            else:
                outcomes.append("ran")
            tasklet.kill() if not tasklet.scheduled else tasklet.remove()
            assert stackless.getruncount() == 1
            operations_without_stacks()

        def operations_without_stacks():
            stackless.schedule()
            assert stackless.getmain() is stackless.getcurrent()

        def start():
            try:
                thread = threading.Thread(target=work, args=(1,))
                thread.start()
            except (RuntimeError, MemoryError):  # no room for its own stack
                return False
            thread.join()
            return True

        outcomes = []
        with little_room(60):
            made = fill()
            started = [start() for _ in range(10)]
            check()
            go_on(made)
        assert set(outcomes) <= {"MemoryError", "ran"}, outcomes
        assert len(outcomes) == sum(started)
        outcomes.clear()
        assert all([start() for _ in range(10)])
        assert outcomes == ["ran"] * 10, outcomes
        check()
    """)


@needs_limit
@pytest.mark.parametrize("spare", [0, 1, 2, 3, 5, 20])
def test_kernel_has_no_more_mappings(spare):
    """vm.max_map_count: a C stack takes two mappings, itself and a guard."""
    with open("/proc/sys/vm/max_map_count") as file:
        if int(file.read()) > 1_000_000:
            pytest.skip("vm.max_map_count is too large to be reached here")
    run(f"""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                              ctypes.c_int, ctypes.c_int, ctypes.c_long]
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t,
                                  ctypes.c_int]
        libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        page = resource.getpagesize()
        with open("/proc/sys/vm/max_map_count") as file:
            pages = 2 * int(file.read())

        def splits(area):
            '''Give every other page another protection: each is a mapping.'''
            for index in range(1, pages, 2):
                if libc.mprotect(area + index * page, page, 1):
                    return index
            sys.exit("there is no limit")

        stackless.set_c_stacks(idle=0)
        area = libc.mmap(None, pages * page, 0, 0x4022, -1, 0)
        last = splits(area)
        for index in range(last - 2 * {spare}, last, 2):
            libc.mprotect(area + index * page, page, 0)
        made = fill(200)
        check()
        assert len(made) <= {spare} + 2, len(made)
        go_on(made)
        libc.munmap(area, pages * page)
        made = [stackless.tasklet(wait_in_c)() for _ in range(50)]
        stackless.run()
        go_on(made)
        check()
    """)
