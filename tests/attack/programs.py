"""Random programs as data.

A program is a dict that JSON can hold: `threads`, how many there are; `bodies`,
one list of operations for each tasklet (the first ones are the threads' mains');
`channels`, (preference, schedule_all);
`generators`, (operations, operations in `finally`); `steps`, after how many
operations all that follow do nothing; `gentle`, whether free.py is to leave out
what kills and throws.  An operation is a list: name and
arguments; some arguments are lists of operations.
"""

import random

from shapes import SHAPES, SIZES

SHAPE_NAMES = sorted(SHAPES)
RAISED = ["Boom", "KeyError", "ValueError", "TaskletExit", "SystemExit"]
CAUGHT = ["Boom", "KeyError", "TaskletExit", "Exception", "BaseException"]


class Maker:
    """Makes one program; the methods are the kinds of operations."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.threads = self.r.choice([1, 1, 1, 2, 3])
        self.tasks = self.r.randrange(2, 10) + self.threads - 1
        self.channel_count = self.r.randrange(1, 4)
        self.generator_count = self.r.randrange(1, 3)

    def program(self):
        r = self.r
        spawned = range(self.threads, self.tasks)
        bodies = []
        for number in range(self.threads):
            ops = [["spawn", i] for i in spawned if i % self.threads == number]
            bodies.append(ops + self.ops(r.randrange(10, 60), 3))
        bodies += [self.ops(r.randrange(1, 40), 3) for _ in spawned]
        return {
            "threads": self.threads,
            "bodies": bodies,
            "channels": [
                [r.choice([-1, 0, 1]), r.random() < 0.2]
                for _ in range(self.channel_count)
            ],
            "generators": [
                [self.yielding(), self.ops(r.randrange(2), 1)]
                for _ in range(self.generator_count)
            ],
            "steps": r.choice([100, 300, 1000]),
            "gentle": r.random() < 0.5,
        }

    def yielding(self):
        ops = []
        for i in range(self.r.randrange(1, 5)):
            ops += self.ops(self.r.randrange(3), 1)
            ops.append(["yield", i, self.r.choice(CAUGHT)])
        return ops

    def ops(self, count, depth):
        """So many operations, with blocks in them `depth` deep."""
        return [self.op(depth) for _ in range(count)]

    def op(self, depth):
        names, weights = KINDS[depth > 0, self.threads > 1]
        name = self.r.choices(names, weights)[0]
        return [name, *getattr(self, "make_" + name)(depth - 1)]

    def few(self, depth):
        return self.ops(self.r.randrange(1, 4), depth)

    # Arguments.

    def i(self):
        return self.r.randrange(self.tasks)

    def c(self):
        return self.r.randrange(self.channel_count)

    def g(self):
        return self.r.randrange(self.generator_count)

    def value(self):
        return self.r.randrange(1000)

    def flip(self):
        return self.r.random() < 0.5

    def error(self):
        return self.r.choice(RAISED)

    def callback_ops(self):
        if self.r.random() < 0.4:
            return None
        names = ["insert", "remove", "kill", "throw", "schedule", "send",
                 "receive", "prefer", "flag", "run", "collect", "block_trap",
                 "close", "open", "spawn"]  # fmt: skip
        ops = []
        for name in self.r.choices(names, k=self.r.randrange(3)):
            op = [name, *getattr(self, "make_" + name)(0)]
            if name in ("kill", "throw"):
                op[-1 if name == "kill" else 3] = True  # pending
            ops.append(op)
        return ops

    # Each kind of operation: its arguments.

    def make_schedule(self, depth):
        return [self.value()]

    def make_cframe(self, depth):
        return [self.r.randrange(1, 3)]

    def make_remove_me(self, depth):
        return []

    def make_run_all(self, depth):
        return [self.r.choices([False, True, "block"], [7, 3, 1])[0]]

    def make_i(self, depth):
        return [self.i()]

    make_make = make_spawn = make_setup = make_bind = make_i
    make_run = make_switch = make_insert = make_remove = make_i

    def thread(self):
        return self.r.randrange(self.threads)

    def make_hand(self, depth):
        return [self.thread()]

    def make_move(self, depth):
        return [self.i(), self.thread()]

    def make_atomic(self, depth):
        return [self.few(depth)]

    def make_throw(self, depth):
        return [self.i(), self.error(), self.flip(), self.flip()]

    def make_kill(self, depth):
        return [self.i(), self.flip()]

    make_drop = make_block_trap = make_kill

    def make_flag(self, depth):
        name = self.r.choice(["atomic", "ignore_nesting"])
        return [self.i(), name, self.flip()]

    def make_send(self, depth):
        return [self.c(), self.value()]

    def make_c(self, depth):
        return [self.c()]

    make_receive = make_next = make_close = make_open = make_c

    def make_send_error(self, depth):
        return [self.c(), self.error(), self.flip()]

    def make_sequence(self, depth):
        return [self.c(), [self.value() for _ in range(3)]]

    def make_prefer(self, depth):
        return [self.c(), self.r.choice([-1, 0, 1])]

    def make_schedule_all(self, depth):
        return [self.c(), self.flip()]

    def make_on_schedule(self, depth):
        return [self.callback_ops()]

    make_on_channel = make_on_schedule

    def make_on_error(self, depth):
        ops = None if self.flip() else self.ops(self.r.randrange(2), depth)
        return [self.r.choice([None, None, "Boom", "KeyError"]), ops]

    def make_set_var(self, depth):
        return [self.value()]

    def make_set_context(self, depth):
        return [self.i(), self.r.randrange(3)]

    def make_context_run(self, depth):
        return [self.i(), self.few(depth)]

    def make_enter_context(self, depth):
        return [self.r.randrange(3), self.few(depth)]

    def make_nest(self, depth):
        return [self.r.choice(SHAPE_NAMES), self.few(depth)]

    def make_frame(self, depth):
        return [self.r.choice(SIZES), self.few(depth)]

    def make_recurse(self, depth):
        return [self.r.randrange(100), self.few(depth)]

    def make_try(self, depth):
        return [
            self.few(depth),
            self.r.choice(CAUGHT),
            self.ops(self.r.randrange(2), depth),
            self.ops(self.r.randrange(2), depth),
        ]

    def make_trapped(self, depth):
        return [self.few(depth)]

    def make_destroy(self, depth):
        return [self.flip(), self.few(depth)]

    def make_tempval(self, depth):
        return [self.i(), self.value(), self.r.choice([None, self.error()])]

    def make_raise(self, depth):
        return [self.error()]

    def make_collect(self, depth):
        return [self.r.randrange(2)]

    def make_advance(self, depth):
        return [self.g(), self.r.choice(["next", "send", "for"])]

    def make_throw_into(self, depth):
        return [self.g(), self.error()]

    def make_close_generator(self, depth):
        return [self.g()]


WEIGHTS = {
    "schedule": 14, "cframe": 1, "remove_me": 2, "run_all": 2, "make": 3,
    "spawn": 8, "setup": 2, "bind": 2, "run": 6, "switch": 2, "insert": 6,
    "remove": 2, "throw": 2, "kill": 2, "drop": 2, "block_trap": 0.5,
    "flag": 1, "send": 14, "receive": 14, "send_error": 2, "next": 2,
    "sequence": 1, "close": 0.2, "open": 2, "prefer": 1, "schedule_all": 1,
    "on_schedule": 0.5, "on_channel": 0.5, "on_error": 0.5, "set_var": 1,
    "set_context": 1, "raise": 0.5, "collect": 0.1, "advance": 4,
    "tempval": 1, "throw_into": 0.5, "close_generator": 0.5,
}  # fmt: skip
# In programs of several threads.
BETWEEN_THREADS = {"hand": 14, "move": 6}
NESTING = {
    "nest": 14, "frame": 3, "recurse": 2, "try": 8, "trapped": 0.7,
    "context_run": 1, "enter_context": 1, "destroy": 1, "atomic": 2,
}  # fmt: skip
# (with blocks, of several threads): names and weights.
KINDS = {
    (blocks, threads): tuple(zip(*kinds.items(), strict=True))
    for blocks in (False, True)
    for threads in (False, True)
    for kinds in [
        WEIGHTS
        | (NESTING if blocks else {})
        | (BETWEEN_THREADS if threads else {})
    ]
}


def random_program(seed):
    return Maker(seed).program()
