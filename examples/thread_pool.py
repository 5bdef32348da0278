"""Tasklets on several threads work on one channel of jobs.

A channel serves whoever waits, whatever thread that is.  Each thread has a
scheduler of its own; one in which all tasklets wait sleeps until it is woken.
"""

import threading

import stackless

THREADS, WORKERS, JOBS = 3, 4, 24

jobs, results = stackless.channel(), stackless.channel()


def worker():
    for number in jobs:  # until StopIteration is sent
        results.send((number, number**2, threading.get_ident()))


def serve():
    """The main tasklet of a thread waits, too: for the word to stop."""
    for _ in range(WORKERS):
        stackless.tasklet(worker)()
    stop.receive()


def feed():
    for number in range(JOBS):
        jobs.send(number)


stop = stackless.channel()
threads = [threading.Thread(target=serve) for _ in range(THREADS)]
for thread in threads:
    thread.start()

stackless.tasklet(feed)()
answers = [results.receive() for _ in range(JOBS)]
print(sum(square for _, square, _ in answers))
print(sorted(number for number, _, _ in answers) == list(range(JOBS)))
print({ident for _, _, ident in answers} <= {t.ident for t in threads})

for _ in range(THREADS * WORKERS):
    jobs.send_exception(StopIteration)
for thread in threads:
    stop.send(None)
for thread in threads:
    thread.join()

# Nobody is left who could send: that is said, instead of waiting for ever.
try:
    results.receive()
except RuntimeError as error:
    print(str(error).split("\n")[0])

# Prints:
#     4324
#     True
#     True
#     Deadlock: ...
