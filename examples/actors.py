"""A game loop: each creature is a tasklet that lives from tick to tick.

schedule() means "that is all for now": everybody else has a turn, then we go
on from here.  A creature's state is in its local variables, and where it is
in its life is where it is in its code: there is no state machine.
"""

import stackless


class World:
    def __init__(self):
        self.tick = 0
        self.grass = 4

    def say(self, text):
        print(f"tick {self.tick}: {text}")


def sheep(world, name):
    while world.grass:
        world.grass -= 1
        world.say(f"{name} eats, {world.grass} left")
        for _ in range(2):  # digest for two ticks
            stackless.schedule()
    world.say(f"{name} is hungry and leaves")


def rain(world):
    for _ in range(3):
        stackless.schedule()
    world.grass += 1
    world.say("rain, grass grows")


world = World()
stackless.tasklet(sheep)(world, "Dolly")
stackless.tasklet(sheep)(world, "Shaun")
stackless.tasklet(rain)(world)
while stackless.runcount > 1:  # main is one of them
    world.tick += 1
    stackless.schedule()
print("nobody left after tick", world.tick)

# Prints:
#     tick 1: Dolly eats, 3 left
#     tick 1: Shaun eats, 2 left
#     tick 3: Dolly eats, 1 left
#     tick 3: Shaun eats, 0 left
#     tick 4: rain, grass grows
#     tick 5: Dolly eats, 0 left
#     tick 5: Shaun is hungry and leaves
#     tick 7: Dolly is hungry and leaves
#     nobody left after tick 7
