"""100,000 tasklets blocked inside sorted(), with 64 C stacks."""

import subprocess
import sys

import pytest
import stackless

PROGRAM = """
import gc, sys, stackless

# Debug builds of CPython are slow.
N = 20_000 if hasattr(sys, "gettotalrefcount") else 100_000
STACKS = 64
stackless.set_c_stacks(idle=STACKS, limit=STACKS)
channel = stackless.channel()
done = 0

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def key(number):
    return channel.receive() if number == 2 else number

def work(i):
    global done
    right = sorted([3, 2, 1], key=key) == [1, 3, 2]
    done += right

some = [stackless.tasklet(work)(i) for i in range(STACKS + 1)]
stackless.run()
if stackless.get_stats()["c_stacks_sliced"] == 0:
    print("cannot slice")
    sys.exit()
for task in some:
    task.kill()

gc.collect()
before = resident()
tasks = [stackless.tasklet(work)(i) for i in range(N)]
stackless.run()
each = (resident() - before) / N
stats = stackless.get_stats()
assert all(task.alive for task in tasks) and channel.balance == -N
assert stats["c_stacks"] == STACKS, stats
assert stats["c_stacks_sliced"] == N - STACKS, stats
for i in range(N):
    channel.send(4)
stackless.run()
assert done == N and not any(task.alive for task in tasks)
assert stackless.get_stats()["c_stacks_sliced"] == 0
print("bytes each:", round(each))
"""


@pytest.mark.noleak
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(240)
def test_many():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if done.stdout == "cannot slice\n":
        pytest.skip("this build cannot slice C stacks")
    # Debug builds of CPython and of ours are not made to be small.
    if not hasattr(sys, "gettotalrefcount") and not stackless.getdebug():
        assert int(done.stdout.split()[-1]) <= 4096, done.stdout
