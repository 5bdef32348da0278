import stackless,weakref,signal,faulthandler,sys,random,gc,functools,traceback,contextlib,os,threading
seed=int(sys.argv[1]); NT=int(sys.argv[2]) if len(sys.argv)>2 else 25; STEPS=int(sys.argv[3]) if len(sys.argv)>3 else 30
mode=sys.argv[4] if len(sys.argv)>4 else 'all'
R=random.Random(seed); S=stackless.schedule
V=sys.version_info[:2]
kept=[]; alive=[0]
class Box: pass
box=Box(); box.s=S; box.alt=lambda: S()
def chk(c,*a):
    if not c:
        print('WRONG',seed,a); traceback.print_stack(); sys.stdout.flush(); os._exit(3)

faulthandler.enable(); faulthandler.dump_traceback_later(float(os.environ.get('LIMIT','100')),exit=True)
class Boom(Exception): pass
kept2=[]; tasks=[]; chans=[stackless.channel() for _ in range(4)]
counts={}
def spawn(sd,steps):
    alive[0]+=1; t=stackless.tasklet(body)(sd,steps); tasks.append(t); return t
# ---- ways to call schedule
def s_global(): S()
def s_attr(): box.s()
def s_clos(f=S):
    def g(): f()
    g()
def s_def(s=S): s()
def s_vary(r):
    f=r.choice((S,s_global,box.alt,lambda: None,functools.partial(S),s_def,len))
    if f is len: f('')
    else: f()
def sw(r):
    k=r.randrange(8)
    if k==0: S()
    elif k==1: s_attr()
    elif k==2: s_clos()
    elif k==3: s_def()
    elif k==4: s_vary(r)
    elif k==5: s_global()
    elif k==6: (lambda: S())()
    else: [S() for _ in range(1)]
# ---- activities: each takes (r, depth) and checks its result
def mkbig(n,c):
    src="def big(r,d):\n"+"".join(f"  v{i}={i}\n" for i in range(n))+"  def inner(): return ("+",".join(f"v{i}" for i in range(min(c,n)))+",)\n  sw(r)\n  if d: act(r,d-1)\n  sw(r)\n  return sum(inner())+"+"+".join(f"v{i}" for i in range(0,n,max(1,n//20)))
    ns=globals(); loc={}; exec(src,ns,loc); f=loc['big']
    want=sum(range(min(c,n)))+sum(range(0,n,max(1,n//20)))
    def run(r,d): chk(f(r,d)==want,'big',n,c)
    return run
bigs=[mkbig(n,c) for n,c in ((3,1),(20,20),(60,10),(150,1),(260,200),(700,3),(2100,1))]
def a_big(r,d): r.choice(bigs)(r,d)
def mkstack(n):
    src="def st(r,d,x):\n  return ("+",".join(["x"]*n)+", sw(r), act(r,d), *("+",".join(["x"]*5)+",))"
    loc={}; exec(src,globals(),loc); f=loc['st']
    def run(r,d):
        o=object(); t=f(r,d-1 if d else 0,o) if d else f(r,0,o); chk(len(t)==n+7 and t[0] is o and t[-1] is o)
    return run
stacks=[mkstack(n) for n in (5,28,29,100,900)]
def a_stack(r,d): r.choice(stacks)(r,d)
def rec(r,n,d,x):
    y=[x]
    if n==0: sw(r); act(r,d) if d else None
    else: rec(r,n-1,d,x+1)
    if r.random()<.05: sw(r)
    chk(y==[x]); return x
def a_rec(r,d): rec(r,r.randrange(120),max(0,d-1),r.randrange(99))
def rec2(r,n,a,b,c,d,e,f,g,h):
    if n==0: sw(r)
    else:
        try: rec2(r,n-1,a,b,c,d,e,f,g,h)
        finally: chk((a,b,c,d,e,f,g,h)==(1,2,3,4,5,6,7,8))
def a_rec2(r,d): rec2(r,r.randrange(90),1,2,3,4,5,6,7,8)
def a_recerr(r,d):
    def inf(n):
        if r.random()<.002: sw(r)
        return inf(n+1)+1
    try: inf(0)
    except RecursionError: sw(r)
    else: chk(0)
def gen(r,n,d):
    for i in range(n):
        if r.random()<.5: sw(r)
        try: x=yield i
        except KeyError: sw(r); yield 'k'
        if d and r.random()<.2: act(r,d-1)
    return n
def gen2(r,n,d): x=yield from gen(r,n,d); chk(x==n); sw(r); return x
def a_gen(r,d):
    n=r.randrange(8); k=r.randrange(6); G=r.choice((gen,gen2))
    if k==0: chk([i for i in G(r,n,d)]==list(range(n)))
    elif k==1: chk(list(G(r,n,d))==list(range(n)))
    elif k==2:
        g=G(r,n,d); out=[]
        try:
            out.append(next(g))
            while 1: out.append(g.send(None)); sw(r)
        except StopIteration as e: chk(e.value==n)
        chk(out==list(range(n)))
    elif k==3 and n:
        g=G(r,n,d); next(g); chk(g.throw(KeyError)=='k'); g.close()
    elif k==4: chk(sum(x for x in G(r,n,d))==n*(n-1)//2)
    else:
        t=0
        for i in G(r,n,d): t+=i; sw(r)
        chk(t==n*(n-1)//2)
shared=[]
def a_shared(r,d):
    if not shared or r.random()<.3: shared.append(gen(r,10,0))
    g=r.choice(shared)
    for _ in range(4):
        try: next(g) if r.random()<.5 else [g.send(None)]
        except ValueError as e: chk('already executing' in str(e),e); sw(r)
        except StopIteration:
            if g in shared: shared.remove(g)
            break
async def co(r,n,d):
    t=0
    for i in range(n): t+=await aw(r,i); sw(r)
    async for x in ag(r,n): t+=x
    async with ACM(r) as v: t+=v
    t+=sum([y async for y in ag(r,3)])
    return t
async def aw(r,i): sw(r); await Y(); return i
class Y:
    def __await__(self): yield 'y'
class ACM:
    def __init__(self,r): self.r=r
    async def __aenter__(self): sw(self.r); return 1
    async def __aexit__(self,*a): sw(self.r)
async def ag(r,n):
    for i in range(n):
        if r.random()<.5: sw(r)
        yield i
        if r.random()<.3: await Y()
def a_co(r,d):
    n=r.randrange(4); c=co(r,n,d)
    try:
        while 1: c.send(None); sw(r)
    except StopIteration as e: chk(e.value==n*(n-1)//2*2+1+3,e.value)
class CM:
    def __init__(self,r,sup): self.r=r; self.sup=sup; sw(r)
    def __enter__(self): sw(self.r); return self
    def __exit__(self,*a): sw(self.r); return self.sup
def a_with(r,d):
    e=None
    with CM(r,True) as c, CM(r,False):
        sw(r); act(r,d-1) if d else None
        raise KeyError(c)
def a_exc(r,d):
    try:
        try: 1/0
        except ZeroDivisionError as e:
            sw(r); chk(sys.exc_info()[1] is e); act(r,d-1) if d else None; chk(sys.exc_info()[1] is e)
            try: raise KeyError(r)
            except KeyError as e2:
                sw(r); chk(sys.exc_info()[1] is e2 and e2.__context__ is e)
            chk(sys.exc_info()[1] is e)
            raise OSError
        finally: sw(r)
    except OSError as e3: chk(type(e3.__context__) is ZeroDivisionError); kept.append(e3) if r.random()<.3 else None
def thrower(r,n):
    x=[n]
    if n==0: sw(r); raise LookupError(n)
    try: thrower(r,n-1)
    finally: sw(r) if r.random()<.1 else None; chk(x==[n])
def a_throw(r,d):
    n=r.randrange(60)
    try: thrower(r,n)
    except LookupError as e:
        k=0; tb=e.__traceback__
        while tb: k+=1; tb=tb.tb_next
        chk(k>=n+2,k,n); sw(r)
        if r.random()<.3: kept.append(e)
def a_class(r,d):
    class K:
        sw(r); x=1
        def __init__(self,r,a,*b,**k): sw(r); self.a=a; act(r,d-1) if d else None; sw(r)
        @property
        def p(self): sw(r); return self.a
        def __getattr__(self,n): sw(r); return n
        def __getitem__(self,i): sw(r); return i
        def __call__(self,*a): sw(r); return a
        def __add__(self,o): sw(r); return 7
        def __eq__(self,o): sw(r); return True
        def __hash__(self): sw(r); return 3
        def __bool__(self): sw(r); return False
        def __iter__(self): sw(r); return iter((1,2))
        def __contains__(self,x): sw(r); return True
    class L(K):
        def __init__(self,*a,**k): super().__init__(*a,**k); sw(r)
        def m(self): return super().p
        def __getattribute__(self,n): sw(r) if r.random()<.05 else None; return super().__getattribute__(n)
    for _ in range(r.choice((1,3,12))):
        o=r.choice((K,L))(r,5,6,z=7); chk(o.a==5); chk(o.p==5); chk(o.zz=='zz'); chk(o[4]==4); chk(o(1,2)==(1,2)); chk(o+1==7); chk(not o); chk([*o]==[1,2]); chk(9 in o); {o:1}; o==o
        if type(o) is L: chk(o.m()==5)
class Q0:
    def __init__(self,r,n): self.n=n; sw(r)
class Q1(Q0):
    def __init__(self,r,n): super().__init__(r,n); self.m=n; sw(r)
def a_init(r,d):
    for i in range(12): o=Q1(r,i); chk(o.n==i==o.m); chk(Q0(r,i).n==i)
def a_hard(r,d):
    k=r.randrange(7)
    if k==0: chk(sorted([3,1,2],key=lambda x:(sw(r),x)[1])==[1,2,3])
    elif k==1: chk(list(map(lambda x:(sw(r),x+1)[1],range(4)))==[1,2,3,4])
    elif k==2: chk(functools.partial(lambda a,b:(sw(r),act(r,d-1) if d else 0,a+b)[2],1)(2)==3)
    elif k==3: ns={'sw':sw,'r':r}; exec("sw(r)\nx=1\nsw(r)",ns); chk(eval("(sw(r),x)[1]",ns)==1)
    elif k==4: chk(functools.reduce(lambda a,b:(sw(r),a+b)[1],range(5))==10)
    elif k==5: chk(sum(x for x in gen(r,4,0))==6)
    else: chk(max([1,2,3],key=lambda x:(sw(r),-x)[1])==1)
def va(*a,**k): sw(k['r']); return len(a),len(k)
def a_va(r,d):
    n=r.randrange(60); chk(va(*range(n),r=r,**{f'k{i}':i for i in range(n)})==(n,n+1)); chk(va(1,2,r=r)==(2,1))
def deco(f):
    @functools.wraps(f)
    def w(*a,**k): sw(a[0]); return f(*a,**k)
    return w
@deco
def decd(r,x): sw(r); return x
def a_deco(r,d): chk(decd(r,5)==5)
def a_compr(r,d): chk([(sw(r),i)[1] for i in range(4)]==[0,1,2,3]); chk({i:(sw(r),i)[1] for i in range(3)}=={0:0,1:1,2:2}); chk(len({(sw(r),i) for i in range(3)})==3)
def a_frame(r,d):
    x=1; f=sys._getframe(); kept.append(f); sw(r)
    if V>=(3,13):
        def poke(): f.f_locals['x']=2; f.f_locals['extra']=3
        poke(); sw(r); chk(x==2)
    k=0; g=f
    while g: k+=1; g.f_lineno; g.f_locals if r.random()<.1 else 0; g=g.f_back
    sw(r)
def a_kept(r,d):
    if V==(3,11): return
    if len(kept)>40: del kept[r.randrange(20):]
    if kept:
        o=r.choice(kept)
        f=o if not isinstance(o,BaseException) else o.__traceback__.tb_frame
        while f:
            f.f_lineno; f.f_lasti; f.f_code.co_name
            if r.random()<.2:
                try: dict(f.f_locals)
                except Exception as e: chk(0,e)
            f=f.f_back
        if not isinstance(o,BaseException) and r.random()<.3:
            try: o.clear()
            except RuntimeError: pass
def mut1(r,x): sw(r); sw(r); return x
def mut2(r,x): sw(r); return x
def mut3(r,x,y=0): v=[x,y]; sw(r); return v[0]
def mutated(r,x): sw(r); return x
def a_mut(r,d):
    mutated.__code__=r.choice((mut1,mut2,mut3)).__code__; mutated.__defaults__=(0,)
    sw(r); chk(mutated(r,4)==4)
    box.s=r.choice((S,box.alt,s_global))
def a_spawn(r,d):
    if alive[0]<NT*3: spawn(r.randrange(1<<30),r.randrange(STEPS))
def a_gc(r,d): gc.collect(r.randrange(3)); (gc.get_referrers(kept) if r.random()<.1 else None); sys._current_frames()
def a_lim(r,d): sys.setrecursionlimit(r.choice((1000,1500,3000,2000)))
def a_tm(r,d):
    import tracemalloc
    if tracemalloc.is_tracing(): tracemalloc.stop()
    else: tracemalloc.start(r.choice((1,20)))
def a_trace(r,d):
    k=r.randrange(5)
    def tr(f,e,a): return tr
    def tr2(f,e,a): f.f_trace_opcodes=True; return tr2
    def tr3(f,e,a): f.f_locals; f.f_back; return tr3
    if k==0: sys.settrace(tr)
    elif k==1: sys.settrace(None)
    elif k==2: sys.setprofile(tr)
    elif k==3: sys.setprofile(None)
    else: sys.settrace(r.choice((tr3 if V==(3,12) else tr2,tr3)))
def a_mon(r,d):
    if V<(3,12): return
    m=sys.monitoring; E=m.events; T=r.choice((1,2,3))
    names=[n for n in dir(E) if n.isupper() and n not in('NO_EVENTS','C_RETURN','C_RAISE')]
    loc=[n for n in names if n in('PY_START','PY_RESUME','PY_RETURN','PY_YIELD','CALL','LINE','INSTRUCTION','JUMP','BRANCH','BRANCH_LEFT','BRANCH_RIGHT','STOP_ITERATION')]
    if m.get_tool(T) is None:
        m.use_tool_id(T,'x')
        dis=[0]
        for n in names:
            def cb(*a,n=n):
                dis[0]+=1
                return m.DISABLE if n in loc and dis[0]%7==0 else None
            try: m.register_callback(T,getattr(E,n),cb)
            except ValueError: pass
    k=r.randrange(4)
    if k==0: m.set_events(T,0); m.free_tool_id(T)
    elif k==1:
        ev=0
        for n in r.sample(names,4): ev|=getattr(E,n)
        m.set_events(T,ev)
    elif k==2:
        f=r.choice((sw,gen,rec,thrower,a_gen,a_class,body,act,va))
        ev=0
        for n in r.sample(loc,3): ev|=getattr(E,n)
        m.set_local_events(T,f.__code__,ev)
    else: m.restart_events()
acts=[a_big,a_stack,a_rec,a_rec2,a_gen,a_shared,a_co,a_exc,a_throw,a_class,a_init,a_hard,a_va,a_deco,a_compr,a_frame,a_kept,a_mut,a_spawn,a_gc]
def a_with2(r,d):
    try: a_with(r,d)
    except KeyError: pass
if hasattr(sys,'gettotalrefcount') and V>=(3,14) and mode in('all','trace'): acts.remove(a_co)   # CPython's own assert END_ASYNC_FOR
acts=[a for a in acts if a]+[a_with2]
if mode in('all','notrace'): acts+=[a_lim,a_recerr,a_tm]
if mode in('all','trace'): acts+=[a_trace,a_mon,a_mon]
if mode=='soft': acts=[a_big,a_stack,a_rec,a_rec2,a_gen,a_exc,a_throw,a_init,a_compr,a_frame,a_kept,a_va]

def pick(r):
    tasks[:]=[t for t in tasks if t.alive][-200:]
    return r.choice(tasks) if tasks else stackless.getcurrent()
def quiet(f,*a):
    try: return f(*a)
    except (RuntimeError,ValueError): return None
def a_sendrecv(r,d):
    c=r.choice(chans); o=object()
    k=r.randrange(8)
    c.preference=r.choice((-1,0,1)); c.schedule_all=r.random()<.2
    if k==0: quiet(c.send,('v',r.random()))
    elif k==1:
        v=quiet(c.receive); chk(v is None or v[0]=='v',v)
    elif k==2 and c.balance<0: quiet(c.send_exception,Boom,1)
    elif k==3 and c.balance<0: quiet(c.send_throw,Boom(2))
    elif k==4 and c.balance>0: v=quiet(next,c,None); chk(v is None or v[0]=='v',v)
    elif k==5 and c.balance<0: c.send(('v',2))
    elif k==6 and c.balance>0: chk(c.receive()[0]=='v')
    elif k==7:
        c2=stackless.channel(); st=stackless.tasklet(lambda: c2.send(('p',o)))()
        chk(quiet(c2.receive) in (None,('p',o)))
def a_kill(r,d):
    t=pick(r)
    if t is not stackless.getcurrent() and not t.is_main: quiet(t.kill,r.random()<.3)
def a_throw2(r,d):
    t=pick(r)
    if t.is_main: return
    k=r.randrange(4)
    if k==0: quiet(t.throw,Boom('x'))
    elif k==1: quiet(t.raise_exception,Boom,1,2)
    elif k==2: quiet(lambda: t.throw(Boom,5,None,True))
    else: quiet(t.throw,Boom("y"))
def a_ring(r,d):
    t=pick(r); k=r.randrange(6)
    if t.is_main: return
    if k==0: quiet(t.run)
    elif k==1:
        stackless.getcurrent().tempval=None; me=stackless.getcurrent()
        t2=stackless.tasklet(lambda: quiet(me.insert))(); quiet(t.switch)
    elif k==2: quiet(t.remove)
    elif k==3: quiet(t.insert)
    elif k==4:
        me=stackless.getcurrent(); stackless.tasklet(lambda: quiet(me.insert))(); quiet(stackless.schedule_remove,None)
    else: quiet(stackless.run)
def a_drop(r,d):
    """unreachable in many ways"""
    def victim(r,c):
        x=[c]; x.append(x)
        try:
            sw(r); r.choice(acts)(r,0) if r.random()<.5 else None; stackless.schedule_remove(None)
        finally: counts['fin']=counts.get('fin',0)+1; sw(r) if r.random()<.3 else None
    t=stackless.tasklet(victim)(r,stackless.channel())
    quiet(t.run); k=r.randrange(4)
    quiet(t.remove)
    if k==0: quiet(t.bind,None)
    elif k==1: l=[t]; l.append(l)
    elif k==2: w=weakref.ref(t,lambda x: stackless.all_tasklets()); 
    del t
    if k==1: del l; gc.collect()
class Del:
    def __init__(self,r,self_ref=False): self.r=r; self.me=self if self_ref else None
    def __del__(self):
        r=self.r; k=r.randrange(6)
        try:
            if k==0: S()
            elif k==1: spawn(r.randrange(1<<30),2)
            elif k==2: a_sendrecv(r,0)
            elif k==3: a_kill(r,0)
            elif k==4: kept2.append(self); del kept2[:-20]
            else: a_ring(r,0)
        except (RuntimeError,Boom): pass
        except TaskletExit: pass
def a_del(r,d):
    x=Del(r,r.random()<.5); sw(r); del x; sw(r)
    c=r.choice(chans)
    if c.balance<0 and r.random()<.3: quiet(c.send,('v',Del(r)))
def a_insp(r,d):
    t=pick(r); t.frame; repr(t); t.recursion_depth; t.nesting_level; t.cstate; t.next; t.prev; t.tempval; t.context_id; t.restorable
    f=t.frame
    while f and V!=(3,11): f.f_lineno; f.f_locals if r.random()<.2 else 0; f=f.f_back
    if t.frame and r.random()<.3: kept.append(t.frame)
    stackless.all_tasklets(); stackless.get_stats()
def a_cb(r,d):
    k=r.randrange(5)
    def scb(a,b):
        if r.random()<.1: quiet(S)
        if r.random()<.05: stackless.tasklet(len)('x')
        if r.random()<.05 : pick(r).name
        if r.random()<.02: sys.settrace(None)
        if r.random()<.02: raise Boom
        return Del(r) if r.random()<.02 else None
    def ccb(c,t,s,w):
        if r.random()<.1: quiet(S)
        if r.random()<.05: gc.collect()
        if r.random()<.02: raise Boom
    if k==0: stackless.set_schedule_callback(scb)
    elif k==1: stackless.set_channel_callback(ccb)
    elif k==2: stackless.set_schedule_callback(None)
    elif k==3: stackless.set_channel_callback(None)
    else: stackless.enable_softswitch(r.random()<.7)
def a_caps(r,d):
    stackless.set_c_stacks(idle=r.choice((0,1,64)))
def a_gcth(r,d): gc.set_threshold(*r.choice(((1,),(700,),(5,1,1),(0,))))
sys.unraisablehook=lambda u: None if isinstance(u.exc_value,(Boom,RuntimeError,TaskletExit,StopIteration,ValueError,RecursionError,LookupError)) else (print('UNRAISABLE',seed,u), traceback.print_exception(u.exc_value))
acts+=[a_sendrecv]*3+[a_insp,a_ring]
if mode in ('kill','all','notrace'): acts+=[a_kill,a_throw2,a_drop,a_drop,a_del,a_del,a_cb,a_caps,a_gcth]
if mode in ('cb',): acts+=[a_cb,a_trace]
if mode=='noise': acts=[a_sendrecv,a_ring,a_kill,a_throw2,a_drop,a_del,a_gcth,a_gc,a_insp]
bad=[]
nacts=[0]
def act(r,d):
    nacts[0]+=1
    r.choice(acts)(r,d)
def body(sd,steps):
    r=random.Random(sd)
    try:
        for i in range(steps):
            try: act(r,r.randrange(3)); sw(r)
            except Boom: pass
            except RecursionError: pass
            except (LookupError,StopIteration,ValueError,RuntimeError) as e:
                if not (isinstance(e,StopIteration) or 'StopIteration' in str(e) or 'reentrant' in str(e) or 'callback' in str(e) or 'already executing' in str(e) or 'Deadlock' in str(e) or 'generator ignored' in str(e) or 'garbage' in str(e) or 'already running' in str(e) or 'unbound(dead)' in str(e)): raise
    finally: alive[0]-=1
def handler(t,e,tb):
    if not isinstance(e,(RecursionError,Boom,StopIteration)) : bad.append(e)
stackless.set_error_handler(handler)

for i in range(NT): spawn(R.randrange(1<<30),STEPS)
rounds=0
while alive[0]>0 and rounds<3000:
    rounds+=1
    try:
        if R.random()<.5: stackless.run()
        else: stackless.schedule()
        if stackless.runcount==1:
            for t in [t for t in stackless.all_tasklets() if t.alive and not t.is_main]:
                k=R.randrange(3)
                if t.blocked: t.kill() if k else t.throw(Boom)
                elif t.paused: t.insert()
    except (Boom,RecursionError) : pass
    except RuntimeError as e:
        if 'eadlock' not in str(e) and 'runnable' not in str(e) and 'callback' not in str(e): bad.append(e)
sys.settrace(None); sys.setprofile(None); stackless.set_schedule_callback(None); stackless.set_channel_callback(None); gc.set_threshold(700,10,10)
kept.clear(); tasks.clear()
for i in range(30):
    for t in [t for t in stackless.all_tasklets() if t.alive and not t.is_main]:
        try: t.kill()
        except (Boom,RuntimeError,RecursionError): pass
gc.collect()
left=[t for t in stackless.all_tasklets() if t.alive and not t.is_main]
print(sys.version[:7],'seed',seed,mode,'ok' if not bad else 'BAD',nacts[0],stackless.get_stats(),'left',len(left),'alive',alive[0],[repr(b)[:200] for b in bad[:3]])
for e in bad[:1]: traceback.print_exception(e)
