"""Killing a tasklet: it can clean up, and it can be stopped anywhere.

kill() raises TaskletExit where the tasklet waits.  That is a subclass of
SystemExit, so 'except Exception' lets it pass, and 'finally' and 'with' do
what they always do.  Nobody is told about a tasklet that dies this way.
"""

import stackless


def worker(name, channel):
    try:
        while True:
            print(name, "got", channel.receive())
    except TaskletExit:  # a builtin name; catch it only to look at it
        print(name, "is told to stop")
        raise
    finally:
        print(name, "cleans up")


channel = stackless.channel()
ann = stackless.tasklet(worker)("ann", channel)
bob = stackless.tasklet(worker)("bob", channel)
stackless.run()
channel.send(1)

print("ann is", "alive," if ann.alive else "dead,", "kill her")
ann.kill()
print("ann is", "alive" if ann.alive else "dead")
channel.send(2)
bob.kill()


def sleeper():
    try:
        stackless.schedule_remove(None)  # until somebody inserts it again
    finally:
        print("the sleeper cleans up")


# A tasklet that nobody can reach any more is killed as well.
tasklet = stackless.tasklet(sleeper)()
stackless.run()
print("the sleeper is", "paused" if tasklet.paused else "not paused")
del tasklet
print("end")

# Prints:
#     ann got 1
#     ann is alive, kill her
#     ann is told to stop
#     ann cleans up
#     ann is dead
#     bob got 2
#     bob is told to stop
#     bob cleans up
#     the sleeper is paused
#     the sleeper cleans up
#     end
