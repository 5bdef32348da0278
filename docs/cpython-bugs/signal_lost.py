"""A signal is never handled: the endless loop goes on for ever.  Start several at
once; those where it does not happen end well after ten seconds."""
import faulthandler
import random
import signal
import time


def busy():
    while True:
        pass


def interrupt(number, frame):
    raise KeyboardInterrupt


faulthandler.dump_traceback_later(30, exit=True)
signal.signal(signal.SIGALRM, interrupt)
end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.003))
        busy()
    except KeyboardInterrupt:
        pass
