"""When everybody waits for somebody: the report.

Two tasklets take two locks in opposite orders.  The program cannot go on, and
the error that says so names everybody who waits, for what, and where.
"""

import stackless


class Lock:
    """A lock is a channel with one token in it."""

    def __init__(self):
        self.token = stackless.channel()
        self.token.preference = 1
        self.release()

    def acquire(self):
        self.token.receive()

    def release(self):
        stackless.tasklet(self.token.send)("token")


def dine(first, second):
    first.acquire()
    stackless.schedule()
    second.acquire()
    print("eats")


fork, spoon, dinner = Lock(), Lock(), stackless.channel()
stackless.run()
for name, locks in ("Plato", (fork, spoon)), ("Kant", (spoon, fork)):
    philosopher = stackless.tasklet(dine)(*locks)
    philosopher.name = name
stackless.run()  # comes back, as nobody is runnable any more

try:
    dinner.receive()
except RuntimeError as error:
    print(error)

# Prints:
#     Deadlock: ...
#     No tasklet is runnable but main, ...deadlock.py:40. Blocked:
#       Plato waits to receive from stackless.channel at 0x...deadlock.py:19
#       Kant waits to receive from stackless.channel at 0x...deadlock.py:19
