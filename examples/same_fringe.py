"""Have two trees the same leaves?  With tasklets, beside generators.

The walkers stop at each leaf in the middle of a recursion.  A generator has
to hand every leaf up through all levels by 'yield from', and every function
on the way has to be a generator.  In a tasklet the recursion is an ordinary
one, which just sends.
"""

import itertools

import stackless


def walk_generator(tree):
    if isinstance(tree, tuple):
        for branch in tree:
            yield from walk_generator(branch)
    else:
        yield tree


def walk(tree, leaves):
    if isinstance(tree, tuple):
        for branch in tree:
            walk(branch, leaves)
    else:
        leaves.send(tree)


def leaves_of(tree):
    """A channel on which the leaves come, one by one."""
    leaves = stackless.channel()

    def walk_and_stop():
        walk(tree, leaves)
        leaves.send_exception(StopIteration)

    stackless.tasklet(walk_and_stop)()
    return leaves


def same_fringe(leaves, others):
    missing = object()
    pairs = itertools.zip_longest(leaves, others, fillvalue=missing)
    return all(a == b for a, b in pairs)


one = ((1, 2), (3, (4, 5)))
two = (1, (2, (3, 4)), 5)
three = (1, (2, (3, 4)), 6)

for name, tree in ("two", two), ("three", three):
    print("one and", name, same_fringe(leaves_of(one), leaves_of(tree)),
          same_fringe(walk_generator(one), walk_generator(tree)))

# Prints:
#     one and two True True
#     one and three False False
