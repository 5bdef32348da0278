"""Every operation, repeated: references, blocks, maps, tasklets stay level."""
# ruff: noqa
import contextvars
import gc
import sys

import pytest
import stackless as S

VAR = contextvars.ContextVar("v")


def cleanup():
    for t in S.all_tasklets():
        if not t.is_main and t.alive:
            try: t.kill()
            except BaseException as e: pass
def call(f): f()
def notrace(*a): pass
def through_c(f): return sorted([f],key=call)
def op_schedule():
    t=S.tasklet(len)("x")
    yield
    S.schedule()
def op_schedule_hard():
    t=S.tasklet(lambda: through_c(S.schedule))(); 
    yield
    S.run()
def op_schedule_remove():
    t=S.tasklet(S.schedule_remove)(None)
    yield
    S.run()
def op_new():
    yield
    t=S.tasklet(len)
def op_call():
    t=S.tasklet(len)
    yield
    t("x"); S.run()
def op_callkw():
    def f(a,*,k): pass
    t=S.tasklet(f)
    yield
    t(1,k=2); S.run()
def op_bind():
    t=S.tasklet()
    yield
    t.bind(len,("x",)); t.insert(); S.run()
def op_bindmethod():
    t=S.tasklet()
    yield
    t.bind([].append,("x",)).run(); 
def op_send_wait():
    c=S.channel(); 
    yield
    S.tasklet(c.send)(1); S.schedule(); assert c.receive()==1
def op_recv_wait():
    c=S.channel(); t=S.tasklet(c.receive)()
    yield
    S.run(); c.send(2)
def op_send_nobody():
    c=S.channel()
    yield
    try: c.send(1)
    except RuntimeError: pass
def op_iter():
    c=S.channel(); S.tasklet(c.send)(1)
    yield
    next(c)
def op_kill():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    t.kill(); assert not t.alive
def op_kill_pending():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    t.kill(pending=True); S.run(); 
def op_kill_hard():
    c=S.channel(); t=S.tasklet(through_c)(c.receive); S.run()
    yield
    t.kill(); assert not t.alive
def op_throw():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    try: t.throw(KeyError,1)
    except KeyError: pass
def op_sendexc():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    try: c.send_exception(KeyError,1); S.run()
    except KeyError: pass
def op_sendthrow():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    try: c.send_throw(KeyError,1); S.run()
    except KeyError: pass
def op_error_end():
    def f(): raise KeyError
    t=S.tasklet(f)()
    yield
    try: S.run()
    except KeyError: pass
def op_error_handler():
    def f(): raise KeyError
    t=S.tasklet(f)(); S.set_error_handler(lambda *a: None)
    yield
    S.run()
def op_frames():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    (t.frame and t.frame.f_locals); repr(t); t.cstate; t.name; t.created_at; t.context_id; t.recursion_depth; S.all_tasklets(); S.get_stats(); S.getthreads(); S.get_thread_info(); t.waiting_for
def op_drop():
    def f():
        try: S.schedule_remove(None)
        finally: pass
    t=S.tasklet(f)(); S.run()
    yield
    del t
def op_drop_hard():
    t=S.tasklet(through_c)(lambda: S.schedule_remove(None)); S.run()
    yield
    del t
def op_unbind():
    def f(): S.schedule_remove(None)
    t=S.tasklet(f)(); S.run()
    fr=t.frame
    yield
    t.bind(None); fr.f_locals
def op_unbind_gen():
    def g(): yield S.schedule_remove(None)
    gg=[]
    def f():
        x=g(); gg.append(x)
        for i in x: pass
    for i in range(3):
        t=S.tasklet(f)(); S.run(); 
        if i<2: t.kill()
    yield
    try: t.bind(None)
    except RuntimeError: pass
    gg.clear()
def op_trace():
    c=S.channel(); t=S.tasklet(c.receive)()
    sys.settrace(notrace)
    yield
    S.run(); c.send(1); S.run()
def op_settrace_after():
    c=S.channel(); t=S.tasklet(c.receive)(); S.run()
    yield
    sys.settrace(notrace)
    c.send(1); S.run()
def op_callback():
    S.set_schedule_callback(lambda a,b:None); S.set_channel_callback(lambda *a:None)
    c=S.channel(); t=S.tasklet(c.receive)()
    yield
    S.run(); c.send(1)
def op_gc():
    def f():
        x=[]; x.append(x); c=S.channel(); me=S.getcurrent()
        c.receive()
    t=S.tasklet(f)(); S.run()
    del t
    yield
    gc.collect(); S.run()
def op_gc_hard():
    def f():
        c=S.channel(); me=S.getcurrent()
        through_c(c.receive)
    t=S.tasklet(f)(); S.run()
    del t
    yield
    gc.collect(); S.run()
def op_gc_gen():
    def g():
        me=S.getcurrent(); c=S.channel()
        yield c.receive()
    def f():
        for x in g(): pass
    for i in range(3):
        t=S.tasklet(f)(); S.run()
    del t
    yield
    gc.collect(); S.run()
def op_ctx():
    v=VAR
    def f(): v.set(1); S.schedule(); assert v.get()==1
    t=S.tasklet(f)()
    yield
    S.run()
def op_deadlock():
    c=S.channel(); L=[S.tasklet(c.receive)() for i in range(3)]
    S.run()
    yield
    try: S.channel().receive()
    except RuntimeError: pass
def op_switch():
    me=S.getcurrent()
    t=S.tasklet(lambda: me.insert())()
    yield
    t.switch()
def op_deep():
    def r(n): 
        if n: r(n-1)
        else: S.schedule()
    t=S.tasklet(r)(100)
    yield
    S.run()
def op_watch():
    def f(): S.run()
    L=[S.tasklet(f)() for i in range(12)]
    yield
    S.run()
def op_exc_context():
    def f():
        try: 1/0
        except ZeroDivisionError:
            S.schedule()
    S.tasklet(f)()
    yield
    S.run()
def op_finexc():
    def f():
        try: S.schedule_remove(None)
        finally: raise KeyError
    t=S.tasklet(f)(); S.run()
    yield
    del t


OPS = {k[3:]: v for k, v in list(globals().items()) if k.startswith("op_")}


def repeat(op, n):
    for _ in range(n):
        try:
            for _ in op():
                pass
        except (KeyError, RuntimeError):
            pass
        sys.settrace(None)
        S.set_schedule_callback(None)
        S.set_channel_callback(None)
        S.set_error_handler(None)
    cleanup()
    gc.collect()
    S.run()
    gc.collect()
    with open("/proc/self/maps") as f:
        maps = len(f.readlines())
    references = getattr(sys, "gettotalrefcount", int)()
    return references, sys.getallocatedblocks(), maps, len(S.all_tasklets())


@pytest.mark.noleak
@pytest.mark.parametrize("name", OPS)
def test_stays_level(name, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    repeat(OPS[name], 60)
    counts = [repeat(OPS[name], 100) for _ in range(4)]
    for column, limit in zip(zip(*counts), (50, 50, 5, 1)):
        steps = [b - a for a, b in zip(column, column[1:])]
        assert min(steps) < limit, (name, counts)
