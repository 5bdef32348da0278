import stackless, threading, sys, random, faulthandler, time, gc

faulthandler.enable()
faulthandler.dump_traceback_later(50, exit=True)
S = stackless
sys.setswitchinterval(1e-5)
end = time.time() + float(sys.argv[2])
seed = int(sys.argv[1])
bag = []
chans = [S.channel() for i in range(3)]
errs = {}


def tc(f):
    return sorted([1, 2], key=lambda x: (f(), x)[1])


def q(f, *a, **k):
    try:
        return f(*a, **k)
    except (RuntimeError, ValueError, AttributeError) as e:
        errs[str(e)[:40]] = errs.get(str(e)[:40], 0) + 1


def worker(sd):
    r = random.Random(sd)
    loc = S.channel()

    def body():
        for i in range(r.randrange(20)):
            k = r.randrange(6)
            if k == 0:
                tc(S.schedule)
            elif k == 1:
                q(loc.send, i)
            elif k == 2:
                q(loc.receive)
            elif k == 3:
                q(r.choice(chans).send, i)
            elif k == 4:
                q(r.choice(chans).receive)
            else:
                S.schedule()

    while time.time() < end:
        t = S.tasklet(body)()
        bag.append(t)
        k = r.randrange(16)
        if k == 0:
            q(S.run)
        elif k == 1:
            q(S.schedule)
        elif bag and k < 12:
            t = r.choice(list(bag) or [S.getcurrent()])
            if k == 2:
                q(t.kill)
            elif k == 3:
                q(t.run)
            elif k == 4:
                q(t.insert)
            elif k == 5:
                q(t.remove)
            elif k == 6:
                q(t.bind, None)
            elif k == 7:
                (
                    q(t.throw, KeyError)
                    if t.thread_id != threading.get_ident()
                    else None
                )
            elif k == 8:
                t.frame
                repr(t)
                t.next
                t.prev
                t.recursion_depth
                t.cstate
                t.nesting_level
                t.context_id
                q(lambda: t.trace_function)
                t.tempval
            elif k == 9:
                q(t.kill, True)
            elif k == 10:
                q(setattr, t, "tempval", 3)
                t.thread_id
            elif k == 11:
                q(t.setup)
                (
                    q(t.switch)
                    if not t.is_current
                    and t.thread_id != threading.get_ident()
                    else None
                )
        elif k == 12 and bag:
            bag and bag.pop()
        elif k == 13:
            del bag[::2]
        elif k == 14:
            S.all_tasklets()
            S.getthreads()
            [q(S.get_thread_info, i) for i in S.getthreads()]
        elif k == 15:
            gc.collect()
        if r.random() < 0.02:
            break


def starter(i):
    n = 0
    while time.time() < end:
        th = threading.Thread(target=worker, args=(seed * 1000 + i * 100 + n,))
        n += 1
        th.start()
        th.join()


sys.unraisablehook = lambda u: (
    None
    if isinstance(
        u.exc_value, (RuntimeError, ValueError, KeyError, TaskletExit)
    )
    else print(u)
)
threading.excepthook = lambda a: (
    None
    if a.exc_type in (KeyError, RuntimeError)
    else sys.__excepthook__(a.exc_type, a.exc_value, a.exc_traceback)
)
L = [threading.Thread(target=starter, args=(i,)) for i in range(6)]
[l.start() for l in L]
[l.join() for l in L]
del bag[:]
gc.collect()
print(
    "ok",
    S.getthreads().__len__(),
    S.get_stats(),
    sorted(errs.items(), key=lambda x: -x[1])[:12],
)
