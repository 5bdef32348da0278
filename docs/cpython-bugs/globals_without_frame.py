"""globals() as the function of a thread: no Python frame is there, and it
returns NULL without an error, which debug builds assert against."""
import _thread
import time

_thread.start_new_thread(globals, ())
time.sleep(1)  # nothing tells when such a thread has ended
