"""faulthandler's signal handler reads frames that are being made: crash."""
import faulthandler
import os
import signal
import time


def leaf(n):
    if n:
        leaf(n - 1)


faulthandler.register(signal.SIGALRM, file=open(os.devnull, "w"))
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
end = time.monotonic() + 2
while time.monotonic() < end:
    for n in range(40):
        sorted([n], key=leaf)
signal.setitimer(signal.ITIMER_REAL, 0)
