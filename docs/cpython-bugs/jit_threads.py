"""Four threads count, at a switch interval of 10 microseconds, with the JIT
(PYTHON_JIT=1): a few runs of a hundred end with a segmentation fault."""
import sys
import threading

count = 0


def work(n):
    global count
    for k in range(n):
        value = count
        for i in range(2000):
            pass
        count = value + 1


sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work, args=(4000,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
