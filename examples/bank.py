"""Transfers that neither another tasklet nor another thread can interrupt.

stackless.atomic() keeps the GIL: what is read inside is still true when it is
written back, without any lock.
"""

import random
import sys
import threading

import stackless

ACCOUNTS, TRANSFERS, THREADS = 10, 2_000, 4

accounts = dict.fromkeys(range(ACCOUNTS), 100)


def transfer(source, target, amount):
    with stackless.atomic():
        left, there = accounts[source], accounts[target]
        if left < amount or source == target:
            return
        for _ in range(20):  # a moment in which others would like to run
            pass
        accounts[source], accounts[target] = left - amount, there + amount


def clerk(seed):
    dice = random.Random(seed)
    for _ in range(TRANSFERS):
        transfer(dice.randrange(ACCOUNTS), dice.randrange(ACCOUNTS),
                 dice.randrange(50))


sys.setswitchinterval(1e-6)  # threads take turns as often as they can
threads = [threading.Thread(target=clerk, args=(n,)) for n in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

print(sum(accounts.values()), min(accounts.values()) >= 0)

# A section ends whatever happens, and the exception goes on.
try:
    with stackless.atomic():
        accounts["nobody"] += 1
except KeyError as error:
    print("no account", error, stackless.current.atomic)

# Prints:
#     1000 True
#     no account 'nobody' False
