"""Random operations from everywhere; the walkers of core/check.c look on.

    python chaos_program.py SEED HARD MEMORY

Tasklets, callbacks, error handlers, destructors and C frames all do the same:
one operation of the engine chosen at random, on tasklets and channels that
they share.  HARD forces hard switches, MEMORY makes requests for memory fail
too (which CPython itself does not always survive).  What comes out does not
matter, that it goes on does.
"""

import gc
import random
import sys

import stackless
from stackless import _coretest as ct

SEED, HARD, MEMORY = map(int, sys.argv[1:])
STEPS = 1500
R = random.Random(SEED)

main = stackless.getcurrent()
channels = [stackless.channel() for _ in range(4)]
pool = []
steps = 0


def any_task():
    return R.choice(pool) if pool else main


class Destructor:
    def __del__(self):
        try:
            R.choice(
                [
                    stackless.schedule,
                    lambda: any_task().kill(),
                    lambda: channels[0].balance < 0 and channels[0].send(1),
                    *[lambda: None] * 4,
                ]
            )()
        except BaseException:
            pass


def callback(*args):
    R.choice(
        [
            lambda: any_task().remove(),
            lambda: any_task().insert(),
            lambda: any_task().kill(pending=True),
            lambda: any_task().bind(None),
            lambda: 1 / 0,
            *[lambda: None] * 10,
        ]
    )()


def handler(*args):
    if R.random() < 0.3:
        stackless.schedule()
    if R.random() < 0.1:
        raise KeyError


def generator():
    step()
    yield 1
    step()


def body(n):
    own = Destructor()
    for _ in range(n):
        try:
            step()
        except Exception:
            pass
    if R.random() < 0.1:
        raise KeyError
    return own


def unreachable():
    cycle = [stackless.tasklet(body)(1)]
    cycle.append(cycle)
    cycle[0].run()


# (weight, operation of a tasklet t and a channel c)
OPERATIONS = [
    (15, lambda t, c: pool.append(stackless.tasklet(body)(R.randrange(4)))),
    (3, lambda t, c: pool.append(stackless.tasklet(body, (2,)))),
    (2, lambda t, c: pool.append(
        stackless.tasklet(ct.call_through_c)(body, 2))),
    (10, lambda t, c: stackless.schedule()),
    (3, lambda t, c: stackless.schedule_remove()),
    (7, lambda t, c: c.send(Destructor())),
    (7, lambda t, c: c.receive()),
    (5, lambda t, c: t.run()),
    (3, lambda t, c: t.switch()),
    (3, lambda t, c: t.kill()),
    (2, lambda t, c: t.kill(pending=True)),
    (2, lambda t, c: t.throw(KeyError, pending=R.random() < 0.5)),
    (2, lambda t, c: c.send_exception(ValueError, 1)),
    (2, lambda t, c: t.remove()),
    (2, lambda t, c: t.insert()),
    (2, lambda t, c: t.bind(body, (1,))),
    (2, lambda t, c: stackless.run()),
    (4, lambda t, c: ct.call_through_c(step)),
    (2, lambda t, c: ct.deep_c(3, step)),
    (2, lambda t, c: ct.PyStackless_Schedule(None, R.randrange(2))),
    (2, lambda t, c: ct.PyChannel_Receive(c)),
    (2, lambda t, c: ct.PyChannel_Send(c, Destructor())),
    (2, lambda t, c: ct.PyTasklet_Run(t)),
    (1, lambda t, c: ct.PyTasklet_Kill(t)),
    (1, lambda t, c: gc.collect()),
    (1, lambda t, c: pool and pool.pop(R.randrange(len(pool)))),
    (1, lambda t, c: stackless.set_schedule_callback(
        R.choice([None, callback]))),
    (1, lambda t, c: stackless.set_channel_callback(
        R.choice([None, callback]))),
    (1, lambda t, c: stackless.set_error_handler(R.choice([None, handler]))),
    (1, lambda t, c: setattr(c, "preference", R.choice([-1, 0, 1]))),
    (1, lambda t, c: setattr(c, "schedule_all", R.random() < 0.5)),
    (1, lambda t, c: stackless.set_c_stacks(idle=R.randrange(5))),
    (1, lambda t, c: stackless.enable_softswitch(
        not HARD and R.random() < 0.7)),
    (1, lambda t, c: next(generator())),
    (1, lambda t, c: ct.set_evaluator(R.random() < 0.3)),
    (1, lambda t, c: sys.settrace(R.choice([None, lambda *args: None]))),
    (1, lambda t, c: sys.setprofile(R.choice([None, lambda *args: None]))),
    (1, lambda t, c: unreachable()),
    (1, lambda t, c: (repr(t), t.frame, t.recursion_depth, t.restorable)),
    (1, lambda t, c: R.choice([c.close, c.open])()),
]  # fmt: skip
WEIGHTS = [weight for weight, _ in OPERATIONS]


def step():
    global steps
    steps += 1
    ((_, operation),) = R.choices(OPERATIONS, WEIGHTS)
    t, c = any_task(), R.choice(channels)
    if MEMORY and R.random() < 0.15:
        ct.fail_memory(R.randrange(1, 30))
    if R.random() < 0.05:
        ct.fail_c_stacks_after(R.randrange(1, 3))
    try:
        operation(t, c)
    finally:
        ct.fail_c_stacks_after(-1)
        if MEMORY:
            ct.fail_memory(0)


sys.unraisablehook = lambda *args: None
stackless.enable_softswitch(not HARD)
while steps < STEPS:
    if len(pool) > 60:
        del pool[:40]
    try:
        step()
    except (Exception, SystemExit):
        pass
    assert stackless.getcurrent() is main
ct.set_evaluator(False)
sys.settrace(None)
sys.setprofile(None)
