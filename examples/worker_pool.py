"""A pool of three workers that take jobs from one channel.

Nobody hands out the jobs: an idle worker waits on the channel, and the next
job goes to whoever has waited longest.
"""

import stackless


def work(name, jobs, results):
    for job in jobs:
        for _ in range(job):
            stackless.schedule()  # a long job lets the others go on
        results.send((name, job))


jobs, results = stackless.channel(), stackless.channel()
for name in ("ann", "bob", "cid"):
    stackless.tasklet(work)(name, jobs, results)

lengths = [5, 1, 1, 4, 1, 1, 1]
stackless.tasklet(jobs.send_sequence)(lengths)

done = [results.receive() for _ in lengths]
for name in ("ann", "bob", "cid"):
    print(name, "did", [job for who, job in done if who == name])

# The workers wait for more.  StopIteration ends the loop of one of them.
for _ in range(3):
    jobs.send_exception(StopIteration)
stackless.run()
print("waiting workers:", -jobs.balance)

# Prints:
#     ann did [5, 1]
#     bob did [1, 4]
#     cid did [1, 1, 1]
#     waiting workers: 0
