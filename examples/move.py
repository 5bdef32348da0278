"""A computation that moves to and fro between two processes, over pipes.

The tasklet travels in the middle of its recursion, with all that its variables
refer to.  A module's globals stay where they are: each process has its HERE.
What arrives is thawed only if it is signed with the right key, and what has left
is dropped; bind() without arguments runs no `finally` block.
"""

import subprocess
import sys

import stackless

KEY = b"a real one comes from os.urandom"  # both have it
HERE = "child" if sys.argv[1:] else "parent"


def queens(size, columns, found):
    """All ways to put queens on a chess board; moves on after each one."""
    if (row := len(columns)) == size:
        found.append((HERE, columns))
        stackless.schedule_remove(None)
        return
    for column in range(size):
        if not any(
            abs(column - taken) in (0, row - other)
            for other, taken in enumerate(columns)
        ):
            queens(size, columns + (column,), found)


def report(size):
    found = []
    queens(size, (), found)
    for where, columns in found:
        print(f"{where:6}", *columns)


def send(pipe, task):
    data = stackless.freeze(task, key=KEY)
    task.bind()
    pipe.write(len(data).to_bytes(4, "little") + data)
    pipe.flush()


def receive(pipe):
    size = int.from_bytes(pipe.read(4), "little")
    return stackless.thaw(pipe.read(size), key=KEY) if size else None


def go_on(task):
    task.insert()
    stackless.run()


def parent():
    command = [sys.executable, __file__, "child"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as other:
        task = stackless.tasklet(report, (6,))
        go_on(task)
        while task.alive:
            send(other.stdin, task)
            task = receive(other.stdout)
            go_on(task)


def child():
    while task := receive(sys.stdin.buffer):
        go_on(task)
        send(sys.stdout.buffer, task)


child() if sys.argv[1:] else parent()

# Prints:
#     parent 1 3 5 0 2 4
#     child  2 5 1 4 0 3
#     parent 3 0 4 1 5 2
#     child  4 2 0 5 3 1
