"""All ways a game may go: where there is a choice, one clone for each move.

The game is a straight function that is played once.  choose() pauses it, and
returns another move in each of its clones.  A clone has variables of its own,
but shares the objects in them: so the heaps are a tuple that is replaced, not
a list that is changed.
"""

import stackless


def choose(player, moves):
    return stackless.schedule_remove((player, moves))


def nim(heaps):
    """Take any number from one heap; who takes the last one wins."""
    player, other = "first", "second"
    while any(heaps):
        moves = [
            (heap, count)
            for heap, size in enumerate(heaps)
            for count in range(1, size + 1)
        ]
        heap, count = choose(player, moves)
        left = heaps[heap] - count
        heaps = heaps[:heap] + (left,) + heaps[heap + 1 :]
        player, other = other, player
    stackless.schedule_remove((other, []))  # the one who has moved last


def go_on(game):
    game.insert()
    stackless.run()  # until the next choice, or the end
    return game


def after(game, move):
    """The game as it goes on with that move."""
    copy = game.clone()
    copy.tempval = move
    return go_on(copy)


def winner(game):
    """Who wins if both play well.  The game is still there afterwards."""
    global positions
    positions += 1
    player, moves = game.tempval
    if not moves:
        return player
    outcomes = {winner(after(game, move)) for move in moves}
    return player if player in outcomes else outcomes.pop()


for heaps in [(1, 1), (1, 2), (1, 2, 3), (2, 2, 2)]:
    positions = 0
    game = go_on(stackless.tasklet(nim, (heaps,)))
    player, moves = game.tempval
    good = [move for move in moves if winner(after(game, move)) == player]
    print(heaps, "of", positions, "positions; good moves:", good or "none")

# Prints:
#     (1, 1) of 4 positions; good moves: none
#     (1, 2) of 11 positions; good moves: [(1, 1)]
#     (1, 2, 3) of 446 positions; good moves: none
#     (2, 2, 2) of 549 positions; good moves: [(0, 2), (1, 2), (2, 2)]
