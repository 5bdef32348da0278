"""A dialogue that outlives its processes: each answer comes to another one.

The dialogue is a straight function.  ask() pauses its tasklet with the
question as tempval, and returns what is put there afterwards.  In between the
program freezes the tasklet to SQLite and exits; the next process thaws it.

An answer counts when the transaction is committed: a process that dies before
has changed nothing, and the same question is asked again.
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile

import stackless

KEY = b"a real one comes from os.urandom"


def ask(question):
    return stackless.schedule_remove(question)


def order():
    name = ask("Who are you?")
    pizzas = []
    while (pizza := ask(f"Which pizza, {name}?")) != "-":
        pizzas.append(pizza)
    print(f"  {name} gets", *pizzas)


def step(path, answer):
    """What one process does: thaw, answer, freeze, exit."""
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("create table if not exists dialogue (frozen blob)")
        base.execute("begin immediate")  # nobody else takes this step
        row = base.execute("select frozen from dialogue").fetchone()
        if row is None:
            task = stackless.tasklet(order, ())
        else:
            task = stackless.thaw(row[0], key=KEY)
            task.tempval = answer
        task.insert()
        stackless.run()

        base.execute("delete from dialogue")
        if task.alive:
            frozen = stackless.freeze(task, key=KEY)
            base.execute("insert into dialogue values (?)", [frozen])
            print("  asks:", task.tempval)
        if answer == "crash":
            sys.stdout.flush()
            os._exit(1)  # nothing is committed


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "base")
        for answer in ["", "Ada", "crash", "diavola", "-"]:
            print(f"answer {answer!r}:", flush=True)
            subprocess.run([sys.executable, __file__, path, answer])


step(*sys.argv[1:]) if sys.argv[1:] else main()

# Prints:
#     answer '':
#       asks: Who are you?
#     answer 'Ada':
#       asks: Which pizza, Ada?
#     answer 'crash':
#       asks: Which pizza, Ada?
#     answer 'diavola':
#       asks: Which pizza, Ada?
#     answer '-':
#       Ada gets diavola
