"""Undo for any program: a snapshot before each step, thawed to go back.

Where the adventurer is, is where the program is: each place is a function, and
the way there the stack of calls.  None of it knows of the undo.  Lists are as
they were, too, since a thawed copy shares nothing with the others.
"""

import stackless


def ask(text):
    """Returns the next command."""
    return stackless.schedule_remove(text)


def house():
    bag = []
    while (word := ask(f"You are in the house and have {bag}.")) != "leave":
        if word == "down":
            cellar(bag)
    ask(f"You have left with {bag}. The end.")


def cellar(bag):
    things = ["lamp", "rope"]
    while (word := ask(f"You are in the cellar and see {things}.")) != "up":
        if word in things:
            things.remove(word)
            bag.append(word)
        elif word == "down":
            while True:
                ask("You have fallen into a well.")


def go_on(task):
    task.insert()
    stackless.run()  # until it asks
    return task


task = go_on(stackless.tasklet(house, ()))
print(task.tempval)
snapshots = []
commands = ["down", "lamp", "down", "undo", "rope", "up"]
for command in [*commands, "undo", "undo", "up", "leave"]:
    if command == "undo":
        task.bind()  # drops this one; a kill() would run its `finally` blocks
        task = stackless.thaw(snapshots.pop())
    else:
        snapshots.append(stackless.freeze(task))
        task.tempval = command
        go_on(task)
    print(f"> {command}\n{task.tempval}")

# Prints:
#     You are in the house and have [].
#     > down
#     You are in the cellar and see ['lamp', 'rope'].
#     > lamp
#     You are in the cellar and see ['rope'].
#     > down
#     You have fallen into a well.
#     > undo
#     You are in the cellar and see ['rope'].
#     > rope
#     You are in the cellar and see [].
#     > up
#     You are in the house and have ['lamp', 'rope'].
#     > undo
#     You are in the cellar and see [].
#     > undo
#     You are in the cellar and see ['rope'].
#     > up
#     You are in the house and have ['lamp'].
#     > leave
#     You have left with ['lamp']. The end.
