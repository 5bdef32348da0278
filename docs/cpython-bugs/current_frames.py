"""sys._current_frames() looks into interpreters whose GIL it does not hold."""
import importlib
import sys
import threading
import time

try:
    interpreters = importlib.import_module("_interpreters")
except ImportError:
    interpreters = importlib.import_module("_xxsubinterpreters")
run = getattr(interpreters, "exec", interpreters.run_string)
end = time.monotonic() + 5
WORK = f"""
import time
def calls(n):
    return [(lambda y: [y, *y])((i, str(i))) for i in range(n)]
while time.monotonic() < {end}:
    calls(50)
"""


def work():
    if sys.version_info < (3, 13):
        new = interpreters.create(isolated=True)
    else:
        new = interpreters.create("isolated")
    run(new, WORK)
    interpreters.destroy(new)


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
while time.monotonic() < end:
    sys._current_frames()
    time.sleep(0.001)
for thread in threads:
    thread.join()
