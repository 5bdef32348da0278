"""Delta debugging: the smallest program that still fails."""

import copy
import time


def is_block(argument):
    return isinstance(argument, list) and all(
        isinstance(op, list) for op in argument
    )


def lists_of(program):
    """Every list of operations in the program, outer ones first."""
    found = list(program["bodies"])
    for ops, final in program["generators"]:
        found += [ops, final]
    for ops in found:  # grows
        for op in ops:
            found += [a for a in op[1:] if is_block(a) and a]
    return found


def count(program):
    return sum(map(len, lists_of(program)))


def edited(program, index, edit):
    """A copy, with edit(list) applied to the list of that index."""
    smaller = copy.deepcopy(program)
    edit(lists_of(smaller)[index])
    return smaller


def cut(program, fails):
    """Take out runs of operations, long runs first."""
    index = 0
    while index < len(lists_of(program)):
        size = len(lists_of(program)[index])
        while size:
            start = 0
            while start < len(lists_of(program)[index]):

                def edit(ops, start=start, size=size):
                    del ops[start : start + size]

                smaller = edited(program, index, edit)
                if fails(smaller):
                    program = smaller
                    if index >= len(lists_of(program)):
                        break
                else:
                    start += size
            if index >= len(lists_of(program)):
                break
            size //= 2
        index += 1
    return program


def hoisted(program):
    """Programs with a block instead of the operation that holds it."""
    for index, ops in enumerate(lists_of(program)):
        for at, op in enumerate(ops):
            for argument in op[1:]:
                if is_block(argument) and argument:

                    def edit(ops, at=at, argument=argument):
                        ops[at : at + 1] = copy.deepcopy(argument)

                    yield edited(program, index, edit)


SIMPLER = {"frame": 0, "recurse": 0, "nest": "plain"}


def simplified(program):
    """Programs with simpler arguments."""
    for index, ops in enumerate(lists_of(program)):
        for at, op in enumerate(ops):
            if op[0] in SIMPLER and op[1] != SIMPLER[op[0]]:

                def edit(ops, at=at, value=SIMPLER[op[0]]):
                    ops[at][1] = value

                yield edited(program, index, edit)


def first(candidates, fails):
    return next((smaller for smaller in candidates if fails(smaller)), None)


class OutOfTime(Exception):
    pass


def shrink(program, fails, seconds=60):
    """fails(program) tells whether it still does; it does for this one."""
    end = time.monotonic() + seconds
    smallest = program

    def checked(smaller):
        nonlocal smallest
        if time.monotonic() > end:
            raise OutOfTime
        if not fails(smaller):
            return False
        smallest = smaller
        return True

    try:
        before = None
        while smallest is not before:
            before = smallest
            cut(smallest, checked)
            for candidates in (hoisted, simplified):
                while first(candidates(smallest), checked):
                    pass
    except OutOfTime:
        pass
    return smallest
