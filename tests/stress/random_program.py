"""Random programs: tasklets that do anything in any shape of code.

random_program.py SEED [TASKLETS [STEPS [MODE]]]
"""

import faulthandler
import gc
import os
import random
import sys
import traceback
import weakref

import random_shapes
import stackless
from random_shapes import (
    Boom,
    S,
    V,
    a_big,
    a_class,
    a_co,
    a_compr,
    a_deco,
    a_exc,
    a_frame,
    a_gen,
    a_hard,
    a_init,
    a_kept,
    a_mut,
    a_rec,
    a_rec2,
    a_recerr,
    a_shared,
    a_stack,
    a_throw,
    a_va,
    a_with,
    chk,
    gen,
    kept,
    rec,
    sw,
    thrower,
    va,
)

seed = int(sys.argv[1])
NT = int(sys.argv[2]) if len(sys.argv) > 2 else 25
STEPS = int(sys.argv[3]) if len(sys.argv) > 3 else 30
mode = sys.argv[4] if len(sys.argv) > 4 else "all"
R = random.Random(seed)
alive = [0]

faulthandler.enable()
faulthandler.dump_traceback_later(
    float(os.environ.get("LIMIT", "100")), exit=True
)


kept2 = []
tasks = []
chans = [stackless.channel() for _ in range(4)]
counts = {}


def spawn(sd, steps):
    alive[0] += 1
    t = stackless.tasklet(body)(sd, steps)
    tasks.append(t)
    return t


def a_spawn(r, d):
    if alive[0] < NT * 3:
        spawn(r.randrange(1 << 30), r.randrange(STEPS))


def a_gc(r, d):
    gc.collect(r.randrange(3))
    (gc.get_referrers(kept) if r.random() < 0.1 else None)
    sys._current_frames()


def a_lim(r, d):
    sys.setrecursionlimit(r.choice((1000, 1500, 3000, 2000)))


def a_tm(r, d):
    import tracemalloc

    if tracemalloc.is_tracing():
        tracemalloc.stop()
    else:
        tracemalloc.start(r.choice((1, 20)))


# CPython 3.15.2's JIT crashes when tools come and go, with no tasklet in sight
# (in _PyTuple_FromStackRefStealOnSuccess()).
TRACEABLE = not (V == (3, 15) and sys._jit.is_enabled())


def a_trace(r, d):
    if not TRACEABLE:
        return
    k = r.randrange(5)

    def tr(f, e, a):
        return tr

    def tr2(f, e, a):
        f.f_trace_opcodes = True
        return tr2

    def tr3(f, e, a):
        f.f_locals
        f.f_back
        return tr3

    if k == 0:
        sys.settrace(tr)
    elif k == 1:
        sys.settrace(None)
    elif k == 2:
        sys.setprofile(tr)
    elif k == 3:
        sys.setprofile(None)
    else:
        sys.settrace(r.choice((tr3 if V == (3, 12) else tr2, tr3)))


def a_mon(r, d):
    if V < (3, 12) or not TRACEABLE:
        return
    m = sys.monitoring
    E = m.events
    T = r.choice((1, 2, 3))
    names = [
        n
        for n in dir(E)
        if n.isupper() and n not in ("NO_EVENTS", "C_RETURN", "C_RAISE")
    ]
    loc = [
        n
        for n in names
        if n
        in (
            "PY_START",
            "PY_RESUME",
            "PY_RETURN",
            "PY_YIELD",
            "CALL",
            "LINE",
            "INSTRUCTION",
            "JUMP",
            "BRANCH",
            "BRANCH_LEFT",
            "BRANCH_RIGHT",
            "STOP_ITERATION",
        )
    ]
    if m.get_tool(T) is None:
        m.use_tool_id(T, "x")
        dis = [0]
        for n in names:

            def cb(*a, n=n):
                dis[0] += 1
                return m.DISABLE if n in loc and dis[0] % 7 == 0 else None

            try:
                m.register_callback(T, getattr(E, n), cb)
            except ValueError:
                pass
    k = r.randrange(4)
    if k == 0:
        m.set_events(T, 0)
        m.free_tool_id(T)
    elif k == 1:
        ev = 0
        for n in r.sample(names, 4):
            ev |= getattr(E, n)
        m.set_events(T, ev)
    elif k == 2:
        f = r.choice((sw, gen, rec, thrower, a_gen, a_class, body, act, va))
        ev = 0
        for n in r.sample(loc, 3):
            ev |= getattr(E, n)
        m.set_local_events(T, f.__code__, ev)
    else:
        m.restart_events()


acts = [
    a_big,
    a_stack,
    a_rec,
    a_rec2,
    a_gen,
    a_shared,
    a_co,
    a_exc,
    a_throw,
    a_class,
    a_init,
    a_hard,
    a_va,
    a_deco,
    a_compr,
    a_frame,
    a_kept,
    a_mut,
    a_spawn,
    a_gc,
]


def a_with2(r, d):
    try:
        a_with(r, d)
    except KeyError:
        pass


if (
    hasattr(sys, "gettotalrefcount")
    and V >= (3, 14)
    and mode in ("all", "trace")
):
    acts.remove(a_co)  # CPython's own assert END_ASYNC_FOR
acts = [a for a in acts if a] + [a_with2]
if mode in ("all", "notrace"):
    acts += [a_lim, a_recerr, a_tm]
if mode in ("all", "trace"):
    acts += [a_trace, a_mon, a_mon]
if mode == "soft":
    acts = [
        a_big,
        a_stack,
        a_rec,
        a_rec2,
        a_gen,
        a_exc,
        a_throw,
        a_init,
        a_compr,
        a_frame,
        a_kept,
        a_va,
    ]


def pick(r):
    tasks[:] = [t for t in tasks if t.alive][-200:]
    return r.choice(tasks) if tasks else stackless.getcurrent()


def quiet(f, *a):
    try:
        return f(*a)
    except (RuntimeError, ValueError):
        return None


def a_sendrecv(r, d):
    c = r.choice(chans)
    o = object()
    k = r.randrange(8)
    c.preference = r.choice((-1, 0, 1))
    c.schedule_all = r.random() < 0.2
    if k == 0:
        quiet(c.send, ("v", r.random()))
    elif k == 1:
        v = quiet(c.receive)
        chk(v is None or v[0] == "v", v)
    elif k == 2 and c.balance < 0:
        quiet(c.send_exception, Boom, 1)
    elif k == 3 and c.balance < 0:
        quiet(c.send_throw, Boom(2))
    elif k == 4 and c.balance > 0:
        v = quiet(next, c, None)
        chk(v is None or v[0] == "v", v)
    elif k == 5 and c.balance < 0:
        c.send(("v", 2))
    elif k == 6 and c.balance > 0:
        chk(c.receive()[0] == "v")
    elif k == 7:
        c2 = stackless.channel()
        st = stackless.tasklet(lambda: c2.send(("p", o)))()
        chk(quiet(c2.receive) in (None, ("p", o)))


def a_kill(r, d):
    t = pick(r)
    if t is not stackless.getcurrent() and not t.is_main:
        quiet(t.kill, r.random() < 0.3)


def a_throw2(r, d):
    t = pick(r)
    if t.is_main:
        return
    k = r.randrange(4)
    if k == 0:
        quiet(t.throw, Boom("x"))
    elif k == 1:
        quiet(t.raise_exception, Boom, 1, 2)
    elif k == 2:
        quiet(lambda: t.throw(Boom, 5, None, True))
    else:
        quiet(t.throw, Boom("y"))


def a_ring(r, d):
    t = pick(r)
    k = r.randrange(6)
    if t.is_main:
        return
    if k == 0:
        quiet(t.run)
    elif k == 1:
        stackless.getcurrent().tempval = None
        me = stackless.getcurrent()
        t2 = stackless.tasklet(lambda: quiet(me.insert))()
        quiet(t.switch)
    elif k == 2:
        quiet(t.remove)
    elif k == 3:
        quiet(t.insert)
    elif k == 4:
        me = stackless.getcurrent()
        stackless.tasklet(lambda: quiet(me.insert))()
        quiet(stackless.schedule_remove, None)
    else:
        quiet(stackless.run)


def a_drop(r, d):
    """unreachable in many ways"""

    def victim(r, c):
        x = [c]
        x.append(x)
        try:
            sw(r)
            r.choice(acts)(r, 0) if r.random() < 0.5 else None
            stackless.schedule_remove(None)
        finally:
            counts["fin"] = counts.get("fin", 0) + 1
            sw(r) if r.random() < 0.3 else None

    t = stackless.tasklet(victim)(r, stackless.channel())
    quiet(t.run)
    k = r.randrange(4)
    quiet(t.remove)
    if k == 0:
        quiet(t.bind, None)
    elif k == 1:
        l = [t]
        l.append(l)
    elif k == 2:
        w = weakref.ref(t, lambda x: stackless.all_tasklets())
    del t
    if k == 1:
        del l
        gc.collect()


class Del:
    def __init__(self, r, self_ref=False):
        self.r = r
        self.me = self if self_ref else None

    def __del__(self):
        r = self.r
        k = r.randrange(6)
        try:
            if k == 0:
                S()
            elif k == 1:
                spawn(r.randrange(1 << 30), 2)
            elif k == 2:
                a_sendrecv(r, 0)
            elif k == 3:
                a_kill(r, 0)
            elif k == 4:
                kept2.append(self)
                del kept2[:-20]
            else:
                a_ring(r, 0)
        except (RuntimeError, Boom):
            pass
        except TaskletExit:
            pass


def a_del(r, d):
    x = Del(r, r.random() < 0.5)
    sw(r)
    del x
    sw(r)
    c = r.choice(chans)
    if c.balance < 0 and r.random() < 0.3:
        quiet(c.send, ("v", Del(r)))


def a_insp(r, d):
    t = pick(r)
    t.frame
    repr(t)
    t.recursion_depth
    t.nesting_level
    t.cstate
    t.next
    t.prev
    t.tempval
    t.context_id
    t.restorable
    f = t.frame
    while f and V != (3, 11):
        f.f_lineno
        f.f_locals if r.random() < 0.2 else 0
        f = f.f_back
    if t.frame and r.random() < 0.3:
        kept.append(t.frame)
    stackless.all_tasklets()
    stackless.get_stats()


def a_cb(r, d):
    k = r.randrange(5)

    def scb(a, b):
        if r.random() < 0.1:
            quiet(S)
        if r.random() < 0.05:
            stackless.tasklet(len)("x")
        if r.random() < 0.05:
            pick(r).name
        if r.random() < 0.02:
            sys.settrace(None)
        if r.random() < 0.02:
            raise Boom
        return Del(r) if r.random() < 0.02 else None

    def ccb(c, t, s, w):
        if r.random() < 0.1:
            quiet(S)
        if r.random() < 0.05:
            gc.collect()
        if r.random() < 0.02:
            raise Boom

    if k == 0:
        stackless.set_schedule_callback(scb)
    elif k == 1:
        stackless.set_channel_callback(ccb)
    elif k == 2:
        stackless.set_schedule_callback(None)
    elif k == 3:
        stackless.set_channel_callback(None)
    else:
        stackless.enable_softswitch(r.random() < 0.7)


def a_caps(r, d):
    stackless.set_c_stacks(idle=r.choice((0, 1, 64)))


def a_gcth(r, d):
    gc.set_threshold(*r.choice(((1,), (700,), (5, 1, 1), (0,))))


sys.unraisablehook = lambda u: (
    None
    if isinstance(
        u.exc_value,
        (
            Boom,
            RuntimeError,
            TaskletExit,
            StopIteration,
            ValueError,
            RecursionError,
            LookupError,
        ),
    )
    else (print("UNRAISABLE", seed, u), traceback.print_exception(u.exc_value))
)
acts += [a_sendrecv] * 3 + [a_insp, a_ring]
if mode in ("kill", "all", "notrace"):
    acts += [
        a_kill,
        a_throw2,
        a_drop,
        a_drop,
        a_del,
        a_del,
        a_cb,
        a_caps,
        a_gcth,
    ]
if mode in ("cb",):
    acts += [a_cb, a_trace]
if mode == "noise":
    acts = [
        a_sendrecv,
        a_ring,
        a_kill,
        a_throw2,
        a_drop,
        a_del,
        a_gcth,
        a_gc,
        a_insp,
    ]
bad = []
nacts = [0]


def act(r, d):
    nacts[0] += 1
    r.choice(acts)(r, d)


random_shapes.activity = act


def body(sd, steps):
    r = random.Random(sd)
    try:
        for i in range(steps):
            try:
                act(r, r.randrange(3))
                sw(r)
            except Boom:
                pass
            except RecursionError:
                pass
            except (LookupError, StopIteration, ValueError, RuntimeError) as e:
                if not (
                    isinstance(e, StopIteration)
                    or "StopIteration" in str(e)
                    or "reentrant" in str(e)
                    or "callback" in str(e)
                    or "already executing" in str(e)
                    or "Deadlock" in str(e)
                    or "generator ignored" in str(e)
                    or "garbage" in str(e)
                    or "already running" in str(e)
                    or "unbound(dead)" in str(e)
                ):
                    raise
    finally:
        alive[0] -= 1


def handler(t, e, tb):
    if not isinstance(e, (RecursionError, Boom, StopIteration)):
        bad.append(e)


stackless.set_error_handler(handler)

for i in range(NT):
    spawn(R.randrange(1 << 30), STEPS)
rounds = 0
while alive[0] > 0 and rounds < 3000:
    rounds += 1
    try:
        if R.random() < 0.5:
            stackless.run()
        else:
            stackless.schedule()
        if stackless.runcount == 1:
            for t in [
                t
                for t in stackless.all_tasklets()
                if t.alive and not t.is_main
            ]:
                k = R.randrange(3)
                if t.blocked:
                    t.kill() if k else t.throw(Boom)
                elif t.paused:
                    t.insert()
    except (Boom, RecursionError):
        pass
    except RuntimeError as e:
        if (
            "eadlock" not in str(e)
            and "runnable" not in str(e)
            and "callback" not in str(e)
        ):
            bad.append(e)
sys.settrace(None)
sys.setprofile(None)
stackless.set_schedule_callback(None)
stackless.set_channel_callback(None)
gc.set_threshold(700, 10, 10)
kept.clear()
tasks.clear()
for i in range(30):
    for t in [
        t for t in stackless.all_tasklets() if t.alive and not t.is_main
    ]:
        try:
            t.kill()
        except (Boom, RuntimeError, RecursionError):
            pass
gc.collect()
left = [t for t in stackless.all_tasklets() if t.alive and not t.is_main]
print(
    sys.version[:7],
    "seed",
    seed,
    mode,
    "ok" if not bad else "BAD",
    nacts[0],
    stackless.get_stats(),
    "left",
    len(left),
    "alive",
    alive[0],
    [repr(b)[:200] for b in bad[:3]],
)
for e in bad[:1]:
    traceback.print_exception(e)
