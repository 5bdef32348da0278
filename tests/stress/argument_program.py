"""Everything public called with anything: no crash, whatever the error.

    argument_program.py SEED ROUNDS
"""

import contextvars
import faulthandler
import functools
import gc
import random
import sys

import stackless as S

faulthandler.enable()
faulthandler.dump_traceback_later(50, exit=True)
r = random.Random(int(sys.argv[1]))
N = int(sys.argv[2])


class T(S.tasklet):
    def __init__(s, *a):
        pass


class T2(S.tasklet):
    def __new__(c, *a, **k):
        return S.tasklet.__new__(c)


class C(S.channel):
    def __init__(s):
        pass


class Evil:
    def __eq__(s, o):
        S.schedule()
        return True

    def __hash__(s):
        S.schedule()
        return 1

    def __repr__(s):
        S.schedule()
        return "evil"

    def __bool__(s):
        S.schedule()
        return True

    def __index__(s):
        S.schedule()
        return 3

    def __iter__(s):
        S.schedule()
        return iter([1])

    def __call__(s, *a, **k):
        S.schedule()

    def __del__(s):
        try:
            S.schedule()
        except RuntimeError:
            pass

    def keys(s):
        S.schedule()
        return ["a"]

    def __getitem__(s, k):
        S.schedule()
        return 1


class EvilExc(Exception):
    def __new__(c, *a):
        S.schedule()
        return Exception.__new__(c)

    def __init__(s, *a):
        S.schedule()


class EvilMeta(type(Exception)):
    def __instancecheck__(c, o):
        S.schedule()
        return r.random() < 0.5

    def __call__(c, *a):
        S.schedule()
        return r.choice((1, Exception()))


class EvilExc2(Exception, metaclass=EvilMeta):
    pass


def gen():
    while 1:
        yield S.schedule()


def tb():
    try:
        1 / 0
    except ZeroDivisionError as e:
        return e.__traceback__


class ST(str):
    pass


def started():
    t = S.tasklet(S.schedule_remove)(None)
    return t


c = S.channel()


def pool():
    ch = S.channel()
    cc = S.channel()
    cc.close()
    dead = S.tasklet(len)("x")
    ready = S.tasklet().bind(len, ("x",))
    b = S.tasklet(c.receive)()
    return [
        None,
        1,
        -1,
        2**70,
        0,
        1.5,
        "x",
        b"x",
        [],
        (),
        {},
        {"a": 1},
        {1: 2},
        len,
        print,
        S.schedule,
        S.schedule_remove,
        S.tasklet,
        S.channel,
        c.receive,
        ch.send,
        cc.receive,
        S.getcurrent(),
        S.getmain(),
        dead,
        ready,
        b,
        S.tasklet(),
        S.tasklet.__new__(S.tasklet),
        T(),
        T(1),
        T2(),
        C(),
        ch,
        cc,
        S.bomb(),
        S.bomb(KeyError, KeyError(1)),
        S.atomic(),
        Evil(),
        Evil,
        EvilExc,
        EvilExc2,
        EvilExc(),
        KeyError,
        KeyError(1),
        StopIteration,
        StopIteration(2),
        GeneratorExit,
        TaskletExit,
        SystemExit,
        tb(),
        gen(),
        lambda *a, **k: None,
        lambda: 1,
        lambda *a: S.schedule(),
        ST("q"),
        type,
        object(),
        S,
        sys._getframe(),
        started(),
        S.cframe,
        S.cstack,
        S.getcurrent().cstate,
        Ellipsis,
        True,
        contextvars.copy_context(),
        staticmethod(len),
        type("X", (), {"__call__": lambda s: S.schedule()})(),
        functools.partial(S.schedule),
    ]


# Not called: they end the engine, or are about the tests themselves.
SKIPPED_FUNCTIONS = {
    "_shutdown",
    "set_c_stacks",
    "_gc_callback",
    "install",
    "print_stacks",
    "test_cframe_nr",
}
SKIPPED_NAMES = {
    "__class__",
    "__subclasshook__",
    "__init_subclass__",
    "__new__",
    "__dict__",
    "__reduce_ex__",
    "__getattribute__",
    "__dir__",
    "__doc__",
    "__sizeof__",
}
if sys.version_info[:2] in ((3, 12), (3, 13)):
    # There f(*a_list) releases the list twice if f is a C function and the
    # profile function raises, with no tasklet in sight.
    SKIPPED_NAMES |= {"profile_function"}


def names(type_, special=False):
    return [
        n
        for n in dir(type_)
        if n not in SKIPPED_NAMES and (special or not n.startswith("__"))
    ]


FUNCTIONS = [
    getattr(S._core, n)
    for n in names(S._core)
    if n not in SKIPPED_FUNCTIONS and callable(getattr(S._core, n))
]
METHODS = [
    (type_, n)
    for type_ in (S.tasklet, S.channel, S.bomb, S.atomic, S.cstack, S.cframe)
    for n in names(type_, special=True)
]
KEYWORDS = (
    "pending",
    "val",
    "tb",
    "func",
    "args",
    "kwargs",
    "value",
    "exc",
    "retval",
    "timeout",
)
EXPECTED = (Exception, TaskletExit, GeneratorExit, SystemExit)
sys.unraisablehook = lambda u: None
S.set_error_handler(lambda *a: None)
counts = dict.fromkeys(range(4), 0)


def call_function(values, args, kwargs):
    return r.choice(FUNCTIONS)(*args, **kwargs)


def call_unbound(values, args, kwargs):
    type_, name = r.choice(METHODS)
    attribute = getattr(type_, name)
    if callable(attribute):
        return attribute(*args, **kwargs)
    return attribute.__get__(*args[:2]) if args else None


def call_bound(values, args, kwargs):
    o = r.choice(values)
    value = getattr(o, r.choice(names(type(o)) or ["x"]))
    ours = isinstance(o, (S.tasklet, S.channel, S.bomb, S.atomic))
    return value(*args, **kwargs) if ours and callable(value) else value


def change(values, args, kwargs):
    ours = (S.tasklet, S.channel, S.bomb)
    o = r.choice([v for v in values if isinstance(v, ours)])
    name = r.choice(names(type(o)))
    if r.random() < 0.9:
        setattr(o, name, r.choice(values))
    else:
        delattr(o, name)


ACTIONS = [call_function, call_unbound, call_bound, change]


def one():
    values = pool()
    for _ in range(12):
        kind = r.randrange(4)
        args = [r.choice(values) for _ in range(r.randrange(4))]
        kwargs = {}
        if r.random() > 0.9:
            kwargs[r.choice(KEYWORDS)] = r.choice(values)
        try:
            result = ACTIONS[kind](values, args, kwargs)
            if r.random() < 0.3:
                values.append(result)
            counts[kind] += 1
        except (*EXPECTED, KeyboardInterrupt):
            pass


def attack():
    S.tasklet(one)()
    S.run()


def reset():
    sys.settrace(None)
    sys.setprofile(None)
    S.set_schedule_callback(None)
    S.set_channel_callback(None)
    S.set_error_handler(lambda *a: None)
    S.switch_trap(-S.switch_trap(0))
    S.enable_softswitch(True)
    S.getmain().block_trap = False


for i in range(N):
    try:
        attack()
    except EXPECTED:
        pass
    for _ in range(5):  # a tracer that raises is gone afterwards
        try:
            reset()
            break
        except EXPECTED:
            pass
    if i % 10 == 0:
        for t in S.all_tasklets():
            try:
                if not t.is_main and t.alive:
                    t.kill()
            except EXPECTED:
                pass
        gc.collect()
assert min(counts.values()) > N // 20, counts
print("ok", counts, S.get_stats())
