import stackless as S,sys,random,faulthandler,gc,inspect,types,os
faulthandler.enable(); faulthandler.dump_traceback_later(50,exit=True)
r=random.Random(int(sys.argv[1])); N=int(sys.argv[2])
class T(S.tasklet):
    def __init__(s,*a): pass
class T2(S.tasklet):
    def __new__(c,*a,**k): return S.tasklet.__new__(c)
class C(S.channel):
    def __init__(s): pass
class Evil:
    def __eq__(s,o): S.schedule(); return True
    def __hash__(s): S.schedule(); return 1
    def __repr__(s): S.schedule(); return 'evil'
    def __bool__(s): S.schedule(); return True
    def __index__(s): S.schedule(); return 3
    def __iter__(s): S.schedule(); return iter([1])
    def __call__(s,*a,**k): S.schedule()
    def __del__(s):
        try: S.schedule()
        except RuntimeError: pass
    def keys(s): S.schedule(); return ['a']
    def __getitem__(s,k): S.schedule(); return 1
class EvilExc(Exception):
    def __new__(c,*a):
        S.schedule(); return Exception.__new__(c)
    def __init__(s,*a): S.schedule()
class EvilMeta(type(Exception)):
    def __instancecheck__(c,o): S.schedule(); return r.random()<.5
    def __call__(c,*a): S.schedule(); return r.choice((1,Exception()))
class EvilExc2(Exception,metaclass=EvilMeta): pass
def gen():
    while 1: yield S.schedule()
def tb():
    try: 1/0
    except ZeroDivisionError as e: return e.__traceback__
class ST(str): pass
def started():
    t=S.tasklet(S.schedule_remove)(None); return t
c=S.channel()
def pool():
    ch=S.channel(); cc=S.channel(); cc.close()
    dead=S.tasklet(len)('x'); 
    ready=S.tasklet().bind(len,('x',))
    b=S.tasklet(c.receive)()
    return [None,1,-1,2**70,0,1.5,'x',b'x',[],(),{}, {'a':1},{1:2},len,print,S.schedule,S.schedule_remove,S.tasklet,S.channel,c.receive,ch.send,cc.receive,S.getcurrent(),S.getmain(),dead,ready,b,S.tasklet(),S.tasklet.__new__(S.tasklet),T(),T(1),T2(),C(),ch,cc,S.bomb(),S.bomb(KeyError,KeyError(1)),S.atomic(),Evil(),Evil,EvilExc,EvilExc2,EvilExc(),KeyError,KeyError(1),StopIteration,StopIteration(2),GeneratorExit,TaskletExit,SystemExit,tb(),gen(),lambda *a,**k:None,lambda:1,lambda *a: S.schedule(),ST('q'),type,object(),S,sys._getframe(),started(),S.cframe,S.cstack,S.getcurrent().cstate,Ellipsis,True,__import__('contextvars').copy_context(),staticmethod(len),type('X',(),{'__call__':lambda s:S.schedule()})(),functools.partial(S.schedule)]
import functools
skip={'_shutdown','set_c_stacks','_gc_callback','install','print_stacks','test_cframe_nr'}
fns=[getattr(S._core,n) for n in dir(S._core) if not n.startswith('__') and n not in skip and callable(getattr(S._core,n))]
meths=[(cl,n) for cl in (S.tasklet,S.channel,S.bomb,S.atomic,S.cstack,S.cframe) for n in dir(cl) if n not in ('__class__','__subclasshook__','__init_subclass__','__new__','__dict__','__reduce_ex__','__getattribute__','__dir__','__doc__','__sizeof__')]
OK=(Exception,TaskletExit,GeneratorExit)
sys.unraisablehook=lambda u:None
S.set_error_handler(lambda *a:None)
log=[]
ops={}
def one():
    P=pool()
    for i in range(12):
        k=r.randrange(4); a=[r.choice(P) for _ in range(r.randrange(4))]; kw={} if r.random()<.9 else {r.choice(('pending','val','tb','func','args','kwargs','value','exc','retval','timeout')):r.choice(P)}
        try:
            if k==0: f=r.choice(fns); d=(f,a,kw); log.append(d); x=f(*a,**kw); 
            elif k==1:
                cl,n=r.choice(meths); f=getattr(cl,n)
                log.append((cl,n,a)); x=f(*a,**kw) if callable(f) else f.__get__(*a[:2]) if a else None
            elif k==2:
                o=r.choice(P); n=r.choice([n for n in dir(type(o)) if not n.startswith('__')] or ['x']); log.append((type(o),n,a)); x=getattr(o,n)
                if callable(x) and isinstance(o,(S.tasklet,S.channel,S.bomb,S.atomic)): x=x(*a,**kw)
            else:
                o=r.choice([p for p in P if isinstance(p,(S.tasklet,S.channel,S.bomb))]); n=r.choice([n for n in dir(type(o)) if not n.startswith('__')]); log.append((type(o),n,'set',a))
                setattr(o,n,r.choice(P)) if r.random()<.9 else delattr(o,n)
            if r.random()<.3: P.append(x)
            ops[k]=ops.get(k,0)+1
        except OK: pass
        except SystemExit: pass
        except KeyboardInterrupt: pass
    log.clear()
main=S.getmain()
for i in range(N):
    try:
        t=S.tasklet(one)(); S.run()
    except OK: pass
    except SystemExit: pass
    for f in (lambda:S.set_schedule_callback(None),lambda:S.set_channel_callback(None),lambda:S.set_error_handler(lambda *a:None),lambda:S.switch_trap(-S.switch_trap(0)),lambda: S.enable_softswitch(True)):
        try: f()
        except OK: pass
    main.block_trap=False
    if i%10==0:
        sys.settrace(None); sys.setprofile(None)
        for t in S.all_tasklets():
            try:
                if not t.is_main and t.alive: t.kill()
            except OK: pass
            except SystemExit: pass
        gc.collect()
print('ok',ops,S.get_stats())
