import stackless, signal, sys, random, faulthandler, time, gc

faulthandler.enable()
faulthandler.dump_traceback_later(50, exit=True)
mode = sys.argv[1]
r = random.Random(int(sys.argv[2]))
end = time.time() + float(sys.argv[3])
S = stackless


class Boom(Exception):
    pass


n = [0]
c = S.channel()
tasks = []


MODULE = sys._getframe().f_code


def h(s, f):
    n[0] += 1
    if f.f_code is MODULE:
        return  # nobody would catch it there
    if mode == "raise":
        raise Boom
    if mode == "switch":
        S.schedule()
    if mode == "spawn":
        S.tasklet(lambda: n.append(1) if len(n) < 5 else None)()
    if mode == "kill" and tasks:
        t = r.choice(tasks)
        if t is not S.getcurrent():
            t.kill()
    if mode == "recv":
        if c.balance > 0:
            c.receive()
        elif c.balance < 0:
            c.send(1)
    if mode == "mix":
        k = r.randrange(6)
        if k == 0:
            raise Boom
        if k == 1:
            S.schedule()
        if k == 2:
            S.tasklet(S.schedule)()
        if k == 3 and tasks:
            t = r.choice(tasks)
            t is S.getcurrent() or t.kill()
        if k == 4:
            S.run()
        if k == 5:
            gc.collect(0)


def tc(f):
    return sorted([1, 2], key=lambda x: (f(), x)[1])


def gen():
    for i in range(3):
        S.schedule()
        yield i


def body():
    try:
        while time.time() < end:
            try:
                k = r.randrange(6)
                if k == 0:
                    S.schedule()
                elif k == 1:
                    tc(S.schedule)
                elif k == 2:
                    c.send(1) if c.balance < 1 else S.schedule()
                elif k == 3:
                    c.receive() if c.balance > -1 else S.schedule()
                elif k == 4:
                    for x in gen():
                        pass
                else:
                    for i in range(50):
                        S.schedule()
            except Boom:
                pass
            except RuntimeError:
                S.schedule()
    finally:
        pass


def spawn():
    tasks[:] = [t for t in tasks if t.alive]
    while len(tasks) < 12:
        tasks.append(S.tasklet(body)())


def once():
    spawn()
    S.run()


S.set_error_handler(
    lambda t, e, tb: (
        None if isinstance(e, (Boom, RuntimeError)) else print("ERR", e)
    )
)
sys.unraisablehook = lambda u: None
signal.signal(signal.SIGALRM, h)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
while time.time() < end:
    try:
        once()
    except (Boom, RuntimeError):
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
for t in S.all_tasklets():
    if not t.is_main and t.alive:
        t.kill()
print("ok", n[0], S.get_stats())
