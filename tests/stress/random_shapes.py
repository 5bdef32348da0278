"""Shapes of code to be suspended in, and to be checked for what they return.

Each a_...(r, d) takes a random.Random and how deep it may nest others.
"""

import functools
import os
import sys
import traceback

import stackless

S = stackless.schedule
V = sys.version_info[:2]
kept = []


class Box:
    pass


box = Box()
box.s = S
box.alt = lambda: S()


def chk(c, *a):
    if not c:
        print("WRONG", sys.argv, a)
        traceback.print_stack()
        sys.stdout.flush()
        os._exit(3)


class Boom(Exception):
    pass


activity = None  # random_program.py sets it


def act(r, d):
    activity(r, d)


# ---- ways to call schedule
def s_global():
    S()


def s_attr():
    box.s()


def s_clos(f=S):
    def g():
        f()

    g()


def s_def(s=S):
    s()


def s_vary(r):
    f = r.choice(
        (S, s_global, box.alt, lambda: None, functools.partial(S), s_def, len)
    )
    if f is len:
        f("")
    else:
        f()


def sw(r):
    k = r.randrange(8)
    if k == 0:
        S()
    elif k == 1:
        s_attr()
    elif k == 2:
        s_clos()
    elif k == 3:
        s_def()
    elif k == 4:
        s_vary(r)
    elif k == 5:
        s_global()
    elif k == 6:
        (lambda: S())()
    else:
        [S() for _ in range(1)]


# ---- activities: each takes (r, depth) and checks its result
def mkbig(n, c):
    src = (
        "def big(r,d):\n"
        + "".join(f"  v{i}={i}\n" for i in range(n))
        + "  def inner(): return ("
        + ",".join(f"v{i}" for i in range(min(c, n)))
        + ",)\n  sw(r)\n  if d: act(r,d-1)\n  sw(r)\n  return sum(inner())+"
        + "+".join(f"v{i}" for i in range(0, n, max(1, n // 20)))
    )
    ns = globals()
    loc = {}
    exec(src, ns, loc)
    f = loc["big"]
    want = sum(range(min(c, n))) + sum(range(0, n, max(1, n // 20)))

    def run(r, d):
        chk(f(r, d) == want, "big", n, c)

    return run


bigs = [
    mkbig(n, c)
    for n, c in (
        (3, 1),
        (20, 20),
        (60, 10),
        (150, 1),
        (260, 200),
        (700, 3),
        (2100, 1),
    )
]


def a_big(r, d):
    r.choice(bigs)(r, d)


def mkstack(n):
    src = (
        "def st(r,d,x):\n  return ("
        + ",".join(["x"] * n)
        + ", sw(r), act(r,d), *("
        + ",".join(["x"] * 5)
        + ",))"
    )
    loc = {}
    exec(src, globals(), loc)
    f = loc["st"]

    def run(r, d):
        o = object()
        t = f(r, d - 1 if d else 0, o) if d else f(r, 0, o)
        chk(len(t) == n + 7 and t[0] is o and t[-1] is o)

    return run


stacks = [mkstack(n) for n in (5, 28, 29, 100, 900)]


def a_stack(r, d):
    r.choice(stacks)(r, d)


def rec(r, n, d, x):
    y = [x]
    if n == 0:
        sw(r)
        act(r, d) if d else None
    else:
        rec(r, n - 1, d, x + 1)
    if r.random() < 0.05:
        sw(r)
    chk(y == [x])
    return x


def a_rec(r, d):
    rec(r, r.randrange(120), max(0, d - 1), r.randrange(99))


def rec2(r, n, a, b, c, d, e, f, g, h):
    if n == 0:
        sw(r)
    else:
        try:
            rec2(r, n - 1, a, b, c, d, e, f, g, h)
        finally:
            chk((a, b, c, d, e, f, g, h) == (1, 2, 3, 4, 5, 6, 7, 8))


def a_rec2(r, d):
    rec2(r, r.randrange(90), 1, 2, 3, 4, 5, 6, 7, 8)


def a_recerr(r, d):
    def inf(n):
        if r.random() < 0.002:
            sw(r)
        return inf(n + 1) + 1

    try:
        inf(0)
    except RecursionError:
        sw(r)
    else:
        chk(0)


def gen(r, n, d):
    for i in range(n):
        if r.random() < 0.5:
            sw(r)
        try:
            x = yield i
        except KeyError:
            sw(r)
            yield "k"
        if d and r.random() < 0.2:
            act(r, d - 1)
    return n


def gen2(r, n, d):
    x = yield from gen(r, n, d)
    chk(x == n)
    sw(r)
    return x


def a_gen(r, d):
    n = r.randrange(8)
    k = r.randrange(6)
    G = r.choice((gen, gen2))
    if k == 0:
        chk([i for i in G(r, n, d)] == list(range(n)))
    elif k == 1:
        chk(list(G(r, n, d)) == list(range(n)))
    elif k == 2:
        g = G(r, n, d)
        out = []
        try:
            out.append(next(g))
            while 1:
                out.append(g.send(None))
                sw(r)
        except StopIteration as e:
            chk(e.value == n)
        chk(out == list(range(n)))
    elif k == 3 and n:
        g = G(r, n, d)
        next(g)
        chk(g.throw(KeyError) == "k")
        g.close()
    elif k == 4:
        chk(sum(x for x in G(r, n, d)) == n * (n - 1) // 2)
    else:
        t = 0
        for i in G(r, n, d):
            t += i
            sw(r)
        chk(t == n * (n - 1) // 2)


shared = []


def a_shared(r, d):
    if not shared or r.random() < 0.3:
        shared.append(gen(r, 10, 0))
    g = r.choice(shared)
    for _ in range(4):
        try:
            next(g) if r.random() < 0.5 else [g.send(None)]
        except ValueError as e:
            chk("already executing" in str(e), e)
            sw(r)
        except StopIteration:
            if g in shared:
                shared.remove(g)
            break


async def co(r, n, d):
    t = 0
    for i in range(n):
        t += await aw(r, i)
        sw(r)
    async for x in ag(r, n):
        t += x
    async with ACM(r) as v:
        t += v
    t += sum([y async for y in ag(r, 3)])
    return t


async def aw(r, i):
    sw(r)
    await Y()
    return i


class Y:
    def __await__(self):
        yield "y"


class ACM:
    def __init__(self, r):
        self.r = r

    async def __aenter__(self):
        sw(self.r)
        return 1

    async def __aexit__(self, *a):
        sw(self.r)


async def ag(r, n):
    for i in range(n):
        if r.random() < 0.5:
            sw(r)
        yield i
        if r.random() < 0.3:
            await Y()


def a_co(r, d):
    n = r.randrange(4)
    c = co(r, n, d)
    try:
        while 1:
            c.send(None)
            sw(r)
    except StopIteration as e:
        chk(e.value == n * (n - 1) // 2 * 2 + 1 + 3, e.value)


class CM:
    def __init__(self, r, sup):
        self.r = r
        self.sup = sup
        sw(r)

    def __enter__(self):
        sw(self.r)
        return self

    def __exit__(self, *a):
        sw(self.r)
        return self.sup


def a_with(r, d):
    e = None
    with CM(r, True) as c, CM(r, False):
        sw(r)
        act(r, d - 1) if d else None
        raise KeyError(c)


def a_exc(r, d):
    try:
        try:
            1 / 0
        except ZeroDivisionError as e:
            sw(r)
            chk(sys.exc_info()[1] is e)
            act(r, d - 1) if d else None
            chk(sys.exc_info()[1] is e)
            try:
                raise KeyError(r)
            except KeyError as e2:
                sw(r)
                chk(sys.exc_info()[1] is e2 and e2.__context__ is e)
            chk(sys.exc_info()[1] is e)
            raise OSError
        finally:
            sw(r)
    except OSError as e3:
        chk(type(e3.__context__) is ZeroDivisionError)
        kept.append(e3) if r.random() < 0.3 else None


def thrower(r, n):
    x = [n]
    if n == 0:
        sw(r)
        raise LookupError(n)
    try:
        thrower(r, n - 1)
    finally:
        sw(r) if r.random() < 0.1 else None
        chk(x == [n])


def a_throw(r, d):
    n = r.randrange(60)
    try:
        thrower(r, n)
    except LookupError as e:
        k = 0
        tb = e.__traceback__
        while tb:
            k += 1
            tb = tb.tb_next
        chk(k >= n + 2, k, n)
        sw(r)
        if r.random() < 0.3:
            kept.append(e)


def a_class(r, d):
    class K:
        sw(r)
        x = 1

        def __init__(self, r, a, *b, **k):
            sw(r)
            self.a = a
            act(r, d - 1) if d else None
            sw(r)

        @property
        def p(self):
            sw(r)
            return self.a

        def __getattr__(self, n):
            sw(r)
            return n

        def __getitem__(self, i):
            sw(r)
            return i

        def __call__(self, *a):
            sw(r)
            return a

        def __add__(self, o):
            sw(r)
            return 7

        def __eq__(self, o):
            sw(r)
            return True

        def __hash__(self):
            sw(r)
            return 3

        def __bool__(self):
            sw(r)
            return False

        def __iter__(self):
            sw(r)
            return iter((1, 2))

        def __contains__(self, x):
            sw(r)
            return True

    class L(K):
        def __init__(self, *a, **k):
            super().__init__(*a, **k)
            sw(r)

        def m(self):
            return super().p

        def __getattribute__(self, n):
            sw(r) if r.random() < 0.05 else None
            return super().__getattribute__(n)

    for _ in range(r.choice((1, 3, 12))):
        o = r.choice((K, L))(r, 5, 6, z=7)
        chk(o.a == 5)
        chk(o.p == 5)
        chk(o.zz == "zz")
        chk(o[4] == 4)
        chk(o(1, 2) == (1, 2))
        chk(o + 1 == 7)
        chk(not o)
        chk([*o] == [1, 2])
        chk(9 in o)
        {o: 1}
        o == o
        if type(o) is L:
            chk(o.m() == 5)


class Q0:
    def __init__(self, r, n):
        self.n = n
        sw(r)


class Q1(Q0):
    def __init__(self, r, n):
        super().__init__(r, n)
        self.m = n
        sw(r)


def a_init(r, d):
    for i in range(12):
        o = Q1(r, i)
        chk(o.n == i == o.m)
        chk(Q0(r, i).n == i)


def a_hard(r, d):
    k = r.randrange(7)
    if k == 0:
        chk(sorted([3, 1, 2], key=lambda x: (sw(r), x)[1]) == [1, 2, 3])
    elif k == 1:
        chk(list(map(lambda x: (sw(r), x + 1)[1], range(4))) == [1, 2, 3, 4])
    elif k == 2:
        chk(
            functools.partial(
                lambda a, b: (sw(r), act(r, d - 1) if d else 0, a + b)[2], 1
            )(2)
            == 3
        )
    elif k == 3:
        ns = {"sw": sw, "r": r}
        exec("sw(r)\nx=1\nsw(r)", ns)
        chk(eval("(sw(r),x)[1]", ns) == 1)
    elif k == 4:
        chk(functools.reduce(lambda a, b: (sw(r), a + b)[1], range(5)) == 10)
    elif k == 5:
        chk(sum(x for x in gen(r, 4, 0)) == 6)
    else:
        chk(max([1, 2, 3], key=lambda x: (sw(r), -x)[1]) == 1)


def va(*a, **k):
    sw(k["r"])
    return len(a), len(k)


def a_va(r, d):
    n = r.randrange(60)
    chk(va(*range(n), r=r, **{f"k{i}": i for i in range(n)}) == (n, n + 1))
    chk(va(1, 2, r=r) == (2, 1))


def deco(f):
    @functools.wraps(f)
    def w(*a, **k):
        sw(a[0])
        return f(*a, **k)

    return w


@deco
def decd(r, x):
    sw(r)
    return x


def a_deco(r, d):
    chk(decd(r, 5) == 5)


def a_compr(r, d):
    chk([(sw(r), i)[1] for i in range(4)] == [0, 1, 2, 3])
    chk({i: (sw(r), i)[1] for i in range(3)} == {0: 0, 1: 1, 2: 2})
    chk(len({(sw(r), i) for i in range(3)}) == 3)


def a_frame(r, d):
    x = 1
    f = sys._getframe()
    kept.append(f)
    sw(r)
    if V >= (3, 13):

        def poke():
            f.f_locals["x"] = 2
            f.f_locals["extra"] = 3

        poke()
        sw(r)
        chk(x == 2)
    k = 0
    g = f
    while g:
        k += 1
        g.f_lineno
        g.f_locals if r.random() < 0.1 else 0
        g = g.f_back
    sw(r)


def a_kept(r, d):
    if V == (3, 11):
        return
    if len(kept) > 40:
        del kept[r.randrange(20) :]
    if kept:
        o = r.choice(kept)
        f = o if not isinstance(o, BaseException) else o.__traceback__.tb_frame
        while f:
            f.f_lineno
            f.f_lasti
            f.f_code.co_name
            if r.random() < 0.2:
                try:
                    dict(f.f_locals)
                except Exception as e:
                    chk(0, e)
            f = f.f_back
        if not isinstance(o, BaseException) and r.random() < 0.3:
            try:
                o.clear()
            except RuntimeError:
                pass


def mut1(r, x):
    sw(r)
    sw(r)
    return x


def mut2(r, x):
    sw(r)
    return x


def mut3(r, x, y=0):
    v = [x, y]
    sw(r)
    return v[0]


def mutated(r, x):
    sw(r)
    return x


def a_mut(r, d):
    mutated.__code__ = r.choice((mut1, mut2, mut3)).__code__
    mutated.__defaults__ = (0,)
    sw(r)
    chk(mutated(r, 4) == 4)
    box.s = r.choice((S, box.alt, s_global))
