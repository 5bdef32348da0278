/* SPDX-License-Identifier: PSF-2.0 */
/* The words of the thread state that travel with a tasklet only when they are
   set (extras: tracers, hooks, a running asyncio loop) and those that travel
   with a C stack (cstate).  docs/design/hard-switch.md has the table. */
#include "compat.h"

#include "internal/pycore_context.h"
#if PY_VERSION_HEX >= 0x030E0000 && PY_VERSION_HEX < 0x030F0000
#    include "internal/pycore_optimizer.h"
#endif
#include "internal/pycore_runtime.h"
#if PY_VERSION_HEX >= 0x030E0000
#    include "internal/pycore_pythonrun.h"
#endif

/* Loop of asyncio: in the thread state from 3.13, before that known to the
   _asyncio module only. */
#define LOOP_IN_MODULE (PY_VERSION_HEX < 0x030D0000)

unsigned long
slp_main_thread_id(void)
{
    return _PyRuntime.main_thread;
}

PyObject *
slp_context_current(PyThreadState *ts)
{
    if (ts->context == NULL) {
        ts->context = PyContext_New();
        ts->context_ver++;
    }
    return Py_XNewRef(ts->context);
}

PyObject *
slp_context_swap(PyThreadState *ts, PyObject *context)
{
    PyObject *old = ts->context;
    ts->context = context;
    ts->context_ver++;
    return old;
}

bool
slp_context_entered(PyObject *context)
{
    return ((PyContext *)context)->ctx_entered != 0;
}

/* ---- extras -------------------------------------------------------------- */

#if LOOP_IN_MODULE

/* Set the running loop to `loop` (NULL: none); returns the old one in *old,
   NULL for none.  Does nothing while _asyncio was not imported. */
static int
swap_loop(PyObject *loop, PyObject **old)
{
    *old = NULL;
    PyObject *name = PyUnicode_FromString("_asyncio");
    if (name == NULL) {
        return -1;
    }
    PyObject *module = PyImport_GetModule(name);
    Py_DECREF(name);
    if (module == NULL) {
        return PyErr_Occurred() ? -1 : 0; /* checked: NULL says both */
    }
    PyObject *now = PyObject_CallMethod(module, "_get_running_loop", NULL);
    int r = -1;
    if (now != NULL) {
        PyObject *set = PyObject_CallMethod(module, "_set_running_loop", "O",
                                            loop ? loop : Py_None);
        r = set == NULL ? -1 : 0;
        Py_XDECREF(set);
    }
    Py_DECREF(module);
    if (r < 0 || now == Py_None) {
        Py_CLEAR(now);
    }
    *old = now;
    return r;
}

#endif

int
slp_extras_prepare(PyThreadState *ts, slp_pystate *s)
{
    slp_extras *e = PyMem_Calloc(1, sizeof(*e));
    if (e == NULL) {
        PyErr_NoMemory();
        return -1;
    }
#if LOOP_IN_MODULE
    /* Event loops install their hooks and become "running" together. */
    if (ts->async_gen_firstiter != NULL || ts->async_gen_finalizer != NULL) {
        if (swap_loop(NULL, &e->asyncio_loop) < 0) {
            PyMem_Free(e);
            return -1;
        }
    }
#else
    (void)ts;
#endif
    s->extras = e;
    return 0;
}

/* Give a loop that was taken off back to the thread. */
static void
put_loop_back(slp_extras *e)
{
#if LOOP_IN_MODULE
    if (e->asyncio_loop != NULL) {
        PyObject *old, *type, *value, *tb;
        PyErr_Fetch(&type, &value, &tb);
        if (swap_loop(e->asyncio_loop, &old) < 0) {
            PyErr_WriteUnraisable(e->asyncio_loop);
        }
        Py_XDECREF(old);
        Py_CLEAR(e->asyncio_loop);
        PyErr_Restore(type, value, tb);
    }
#else
    (void)e;
#endif
}

void
slp_extras_abandon(PyThreadState *ts, slp_pystate *s)
{
    (void)ts;
    if (s->extras != NULL) {
        put_loop_back(s->extras);
        PyMem_Free(s->extras);
        s->extras = NULL;
    }
}

#if PY_VERSION_HEX < 0x030C0000

/* 3.11 calls trace and profile functions for code of ours too, also in the
   middle of a switch.  A filter stands in front of them while they are
   installed; what it hides is kept per thread. */
static _Thread_local Py_tracefunc real_trace, real_profile;

static bool
is_ours(PyFrameObject *frame)
{
    return (frame->f_frame->f_code->co_flags & SLP_CODE_IS_OURS) != 0;
}

static int
filter_trace(PyObject *obj, PyFrameObject *frame, int what, PyObject *arg)
{
    return is_ours(frame) ? 0 : real_trace(obj, frame, what, arg);
}

static int
filter_profile(PyObject *obj, PyFrameObject *frame, int what, PyObject *arg)
{
    return is_ours(frame) ? 0 : real_profile(obj, frame, what, arg);
}

static void
unfilter(PyThreadState *ts)
{
    if (ts->c_tracefunc == filter_trace) {
        ts->c_tracefunc = real_trace;
    }
    if (ts->c_profilefunc == filter_profile) {
        ts->c_profilefunc = real_profile;
    }
}

void
slp_tracing_install(PyThreadState *ts)
{
    if (ts->c_profilefunc && ts->c_profilefunc != filter_profile) {
        real_profile = ts->c_profilefunc;
        ts->c_profilefunc = filter_profile;
    }
    if (ts->c_tracefunc && ts->c_tracefunc != filter_trace) {
        real_trace = ts->c_tracefunc;
        ts->c_tracefunc = filter_trace;
    }
    bool on = ts->tracing <= 0 && (ts->c_tracefunc || ts->c_profilefunc);
    ts->cframe->use_tracing = on ? 255 : 0;
}

#else

static void
unfilter(PyThreadState *Py_UNUSED(ts))
{
}

#endif

#define MOVE(to, from)                                                        \
    do {                                                                      \
        (to) = (from);                                                        \
        (from) = NULL;                                                        \
    } while (0)

void
slp_extras_stash(PyThreadState *ts, slp_pystate *s)
{
    slp_extras *e = s->extras;
    unfilter(ts);
    MOVE(e->tracefunc, ts->c_tracefunc);
    MOVE(e->profilefunc, ts->c_profilefunc);
    MOVE(e->traceobj, ts->c_traceobj);
    MOVE(e->profileobj, ts->c_profileobj);
    MOVE(e->agen_firstiter, ts->async_gen_firstiter);
    MOVE(e->agen_finalizer, ts->async_gen_finalizer);
    e->origin_depth = ts->coroutine_origin_tracking_depth;
    ts->coroutine_origin_tracking_depth = 0;
#ifdef SLP_ASYNCIO_LOOP
    MOVE(e->asyncio_loop, SLP_ASYNCIO_LOOP(ts));
#endif
#ifdef SLP_ASYNCIO_TASK
    MOVE(e->asyncio_task, SLP_ASYNCIO_TASK(ts));
#endif
    slp_tracing_off(ts);
}

void
slp_extras_install(PyThreadState *ts, slp_pystate *s)
{
    slp_extras *e = s->extras;
    s->extras = NULL;
    ts->c_tracefunc = e->tracefunc;
    ts->c_profilefunc = e->profilefunc;
    ts->c_traceobj = e->traceobj;
    ts->c_profileobj = e->profileobj;
    ts->async_gen_firstiter = e->agen_firstiter;
    ts->async_gen_finalizer = e->agen_finalizer;
    ts->coroutine_origin_tracking_depth = e->origin_depth;
#ifdef SLP_ASYNCIO_LOOP
    SLP_ASYNCIO_LOOP(ts) = e->asyncio_loop;
#endif
#ifdef SLP_ASYNCIO_TASK
    SLP_ASYNCIO_TASK(ts) = e->asyncio_task;
#endif
    put_loop_back(e);
    PyMem_Free(e);
}

/* No function traces or profiles this thread state any more, and the
   interpreter's count of threads that do is right. */
static void
end_tracing(PyThreadState *ts)
{
    if (ts->c_tracefunc != NULL) {
        PyEval_SetTrace(NULL, NULL);
    }
    if (ts->c_profilefunc != NULL) {
        PyEval_SetProfile(NULL, NULL);
    }
}

void
slp_extras_end(PyThreadState *ts)
{
    end_tracing(ts);
    ts->coroutine_origin_tracking_depth = 0;
#if LOOP_IN_MODULE
    if (ts->async_gen_firstiter != NULL || ts->async_gen_finalizer != NULL) {
        PyObject *old;
        if (swap_loop(NULL, &old) < 0) {
            PyErr_WriteUnraisable(NULL);
        }
        Py_XDECREF(old);
    }
#endif
    Py_CLEAR(ts->async_gen_firstiter);
    Py_CLEAR(ts->async_gen_finalizer);
#ifdef SLP_ASYNCIO_LOOP
    Py_CLEAR(SLP_ASYNCIO_LOOP(ts));
#endif
#ifdef SLP_ASYNCIO_TASK
    Py_CLEAR(SLP_ASYNCIO_TASK(ts));
#endif
}

/* Exchange the tracers of the thread with those of e. */
static void
swap_tracers(PyThreadState *ts, slp_extras *e)
{
    slp_extras old = *e;
    unfilter(ts);
    e->tracefunc = ts->c_tracefunc;
    e->traceobj = ts->c_traceobj;
    e->profilefunc = ts->c_profilefunc;
    e->profileobj = ts->c_profileobj;
    ts->c_tracefunc = old.tracefunc;
    ts->c_traceobj = old.traceobj;
    ts->c_profilefunc = old.profilefunc;
    ts->c_profileobj = old.profileobj;
}

void
slp_extras_drop(PyThreadState *ts, slp_pystate *s)
{
    slp_extras *e = s->extras;
    if (e == NULL) {
        return;
    }
    s->extras = NULL;
    if (e->tracefunc != NULL || e->profilefunc != NULL) {
        swap_tracers(ts, e);
        end_tracing(ts);
        swap_tracers(ts, e);
        slp_tracing_on(ts);
    }
    Py_CLEAR(e->traceobj);
    Py_CLEAR(e->profileobj);
    Py_CLEAR(e->agen_firstiter);
    Py_CLEAR(e->agen_finalizer);
    Py_CLEAR(e->asyncio_loop);
    Py_CLEAR(e->asyncio_task);
    PyMem_Free(e);
}

int
slp_extras_traverse(slp_extras *e, visitproc visit, void *arg)
{
    if (e != NULL) {
        Py_VISIT(e->traceobj);
        Py_VISIT(e->profileobj);
        Py_VISIT(e->agen_firstiter);
        Py_VISIT(e->agen_finalizer);
        Py_VISIT(e->asyncio_loop);
        Py_VISIT(e->asyncio_task);
    }
    return 0;
}

PyObject *
slp_extras_get_trace(slp_pystate *s, bool profile)
{
    PyObject *obj = NULL;
    if (s->extras != NULL) {
        obj = profile ? s->extras->profileobj : s->extras->traceobj;
    }
    return Py_NewRef(obj ? obj : Py_None);
}

int
slp_extras_set_trace(PyThreadState *ts, slp_pystate *s, PyObject *func,
                     bool profile)
{
    if (s->extras == NULL) {
        if (func == Py_None) {
            return 0;
        }
        s->extras = PyMem_Calloc(1, sizeof(*s->extras));
        if (s->extras == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    /* The C functions behind sys.settrace() have no names: let sys install
       them, as if the tasklet were running. */
    PyObject *set = slp_sys_attribute(profile ? "setprofile" : "settrace");
    if (set == NULL) {
        return -1;
    }
    slp_extras *e = s->extras;
    swap_tracers(ts, e);
    PyObject *r = PyObject_CallOneArg(set, func);
    swap_tracers(ts, e);
    slp_tracing_on(ts);
    Py_DECREF(set);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* ---- C stacks ------------------------------------------------------------ */

struct slp_cstate {
#if PY_VERSION_HEX < 0x030D0000
    _PyCFrame *cframe; /* on the C stack */
#endif
    slp_frame *frame;  /* the newest one */
    slp_frame *python; /* the newest of Python code: not on the C stack */
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
    int c_recursion_remaining;
#endif
#if PY_VERSION_HEX >= 0x030E0000
    uintptr_t stack_top, stack_soft, stack_hard;
    PyObject *executor;
#elif PY_VERSION_HEX >= 0x030D0000
    PyObject *executor;
#endif
#if PY_VERSION_HEX >= 0x030F0000
    struct _PyExitData *jit_exit;
#endif
    int tracing, event;
#if PY_VERSION_HEX < 0x030D0000
    int trash_nesting;
#else
    uintptr_t critical_section;
#endif
    PyObject *trash_later;
};

#if PY_VERSION_HEX < 0x030C0000
#    define EVENT(ts)         ((ts)->tracing_what)
#    define TRASH_NESTING(ts) ((ts)->trash_delete_nesting)
#    define TRASH_LATER(ts)   ((ts)->trash_delete_later)
#elif PY_VERSION_HEX < 0x030D0000
#    define EVENT(ts)         ((ts)->what_event)
#    define TRASH_NESTING(ts) ((ts)->trash.delete_nesting)
#    define TRASH_LATER(ts)   ((ts)->trash.delete_later)
#else
#    define EVENT(ts)       ((ts)->what_event)
#    define TRASH_LATER(ts) ((ts)->delete_later)
#endif
#if PY_VERSION_HEX >= 0x030E0000
#    define EXECUTOR(ts) ((ts)->current_executor)
#elif PY_VERSION_HEX >= 0x030D0000
#    define EXECUTOR(ts) ((ts)->previous_executor)
#endif

slp_cstate *
slp_cstate_new(void)
{
    return PyMem_Calloc(1, sizeof(slp_cstate));
}

/* What the JIT has compiled is freed while a C stack is in the middle of it, if
   no thread is.  So such a C stack owns it. */
#if PY_VERSION_HEX >= 0x030E0000

static void
hold_executor(PyThreadState *ts, slp_cstate *c)
{
    PyObject *executor = EXECUTOR(ts);
#    if PY_VERSION_HEX < 0x030F0000
    if (executor != NULL && Py_REFCNT(executor) == 0) {
        /* It waits to be freed, and more references would not help: it never is. */
        _PyExecutorObject **link = &ts->interp->executor_deletion_list_head;
        while (*link != NULL && (PyObject *)*link != executor) {
            link = &(*link)->vm_data.links.next;
        }
        if (*link != NULL) {
            *link = (*link)->vm_data.links.next;
        }
        Py_SET_REFCNT(executor, 1);
    }
#    endif
    c->executor = Py_XNewRef(executor);
}

static void
put_executor(PyThreadState *ts, slp_cstate *c)
{
    PyObject *executor = c->executor;
    c->executor = NULL;
    EXECUTOR(ts) = executor; /* from now on the thread is in it */
    Py_XDECREF(executor);
}

#elif PY_VERSION_HEX >= 0x030D0000

static void
hold_executor(PyThreadState *ts, slp_cstate *c)
{
    c->executor = EXECUTOR(ts);
}

static void
put_executor(PyThreadState *ts, slp_cstate *c)
{
    EXECUTOR(ts) = c->executor;
}

#endif

void
slp_cstate_free(slp_cstate *c)
{
#if PY_VERSION_HEX >= 0x030E0000
    Py_XDECREF(c->executor);
#endif
    PyMem_Free(c);
}

/* 3.12 and 3.13 count C calls, with a limit that is the same for all stacks.
   Ours are large enough for it, which 3.13's main thread is not, or get as many
   calls as they can do for certain.  3.11 counts them together with Python's:
   no stack may be too small for that limit (unless it was raised to what
   nobody's would be enough for). */
#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
#    define C_CALLS ((size_t)Py_C_RECURSION_LIMIT)
#elif PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
#    define C_CALLS ((size_t)C_RECURSION_LIMIT)
#elif PY_VERSION_HEX < 0x030C0000
#    define MAX_C_CALLS 100000
#    define C_CALLS     ((size_t)Py_MIN(Py_GetRecursionLimit(), MAX_C_CALLS))
#else
#    define C_CALLS ((size_t)0)
#endif
#define C_CALL_SIZE ((size_t)2560)
#define C_RESERVE   ((size_t)16 << 10)

size_t
slp_cstate_size(size_t *minimum)
{
    size_t wanted = C_CALLS > 0 ? C_CALLS * C_CALL_SIZE + C_RESERVE : 0;
    *minimum = 0;
#if PY_VERSION_HEX < 0x030C0000
    *minimum = wanted;
#elif PY_VERSION_HEX >= 0x030E0000
    /* What deep structures leave for later is freed with room to spare only. */
    *minimum = (size_t)16 * _PyOS_STACK_MARGIN_BYTES;
#elif PY_VERSION_HEX >= 0x030D0000
    *minimum = (size_t)200 * C_CALL_SIZE + C_RESERVE; /* likewise */
#endif
    return wanted;
}

#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
static int
c_calls_for(size_t size)
{
    size_t calls = (size - C_RESERVE) / C_CALL_SIZE;
    return calls < INT_MAX ? (int)calls : INT_MAX;
}
#endif

void
slp_cstate_init(PyThreadState *ts, slp_cstate *c, char *low, char *high)
{
    memset(c, 0, sizeof(*c));
    (void)ts;
    (void)low;
    (void)high;
#if PY_VERSION_HEX < 0x030D0000
    c->cframe = &ts->root_cframe;
    c->frame = NULL;
#else
    c->frame = SLP_FRAME_END(ts);
#endif
    c->python = c->frame;
#if PY_VERSION_HEX >= 0x030E0000
    c->stack_top = (uintptr_t)high;
    c->stack_hard = (uintptr_t)low + _PyOS_STACK_MARGIN_BYTES;
    c->stack_soft = (uintptr_t)low + 2 * _PyOS_STACK_MARGIN_BYTES;
#elif PY_VERSION_HEX >= 0x030C0000
    c->c_recursion_remaining = c_calls_for((size_t)(high - low));
#endif
}

void
slp_cstate_save(PyThreadState *ts, slp_cstate *c)
{
#if PY_VERSION_HEX < 0x030D0000
    c->cframe = ts->cframe;
    c->frame = c->cframe->current_frame;
    c->trash_nesting = TRASH_NESTING(ts);
#else
    c->frame = ts->current_frame;
    hold_executor(ts, c);
    c->critical_section = ts->critical_section;
#endif
    c->python = slp_frame_python_below(c->frame);
#if PY_VERSION_HEX >= 0x030E0000
    _PyThreadStateImpl *impl = (_PyThreadStateImpl *)ts;
    c->stack_top = impl->c_stack_top;
    c->stack_soft = impl->c_stack_soft_limit;
    c->stack_hard = impl->c_stack_hard_limit;
#elif PY_VERSION_HEX >= 0x030C0000
    c->c_recursion_remaining = ts->c_recursion_remaining;
#endif
#if PY_VERSION_HEX >= 0x030F0000
    c->jit_exit = ts->jit_exit;
#endif
    c->tracing = ts->tracing;
    c->event = EVENT(ts);
    c->trash_later = TRASH_LATER(ts);
}

void
slp_cstate_load_limits(PyThreadState *ts, slp_cstate *c)
{
#if PY_VERSION_HEX >= 0x030E0000
    _PyThreadStateImpl *impl = (_PyThreadStateImpl *)ts;
    impl->c_stack_top = c->stack_top;
    impl->c_stack_soft_limit = c->stack_soft;
    impl->c_stack_hard_limit = c->stack_hard;
#else
    (void)ts;
    (void)c;
#endif
}

void
slp_cstate_load(PyThreadState *ts, slp_cstate *c)
{
    slp_cstate_load_limits(ts, c);
#if PY_VERSION_HEX < 0x030D0000
    ts->cframe = c->cframe;
    TRASH_NESTING(ts) = c->trash_nesting;
#else
    ts->current_frame = c->frame;
    put_executor(ts, c);
    ts->critical_section = c->critical_section;
#endif
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
    ts->c_recursion_remaining = c->c_recursion_remaining;
#endif
#if PY_VERSION_HEX >= 0x030F0000
    ts->jit_exit = c->jit_exit;
#endif
    ts->tracing = c->tracing;
    EVENT(ts) = c->event;
    TRASH_LATER(ts) = c->trash_later;
}

bool
slp_cstate_is_plain(slp_cstate *c)
{
#if PY_VERSION_HEX >= 0x030D0000
    if (c->critical_section != 0) {
        return false;
    }
#endif
    return c->tracing == 0 && c->trash_later == NULL;
}

slp_frame *
slp_cstate_frame(slp_cstate *c)
{
    return c->python;
}

PyObject *
slp_cstate_enter(PyThreadState *ts, PyObject *func)
{
#if PY_VERSION_HEX < 0x030D0000
    _PyCFrame cframe = {0};
    cframe.previous = &ts->root_cframe;
    ts->cframe = &cframe;
    PyObject *r = PyObject_CallNoArgs(func);
    ts->cframe = &ts->root_cframe;
    return r;
#else
    (void)ts;
    return PyObject_CallNoArgs(func);
#endif
}

PyObject *
slp_cstate_go_on(PyThreadState *ts, slp_cstate *below, PyObject *func,
                 PyObject *args)
{
    ts->tracing = below->tracing;
    EVENT(ts) = below->event;
#if PY_VERSION_HEX < 0x030D0000
    _PyCFrame cframe = {0};
    cframe.previous = &ts->root_cframe;
    cframe.current_frame = below->python;
    ts->cframe = &cframe;
#else
    ts->current_frame = below->python;
#endif
    slp_tracing_on(ts);
    return PyObject_Call(func, args, NULL);
}

/* Not where memory errors are looked for. */
#ifdef SLP_CHECK
#    define MAX_SPARE 0
#else
#    define MAX_SPARE 256
#endif
SLP_TLS slp_spare_chunks slp_chunks;

_PyStackChunk *
slp_chunk_new_large(size_t size)
{
    _PyStackChunk *chunk = PyMem_RawMalloc(size);
    if (chunk != NULL) {
        chunk->previous = NULL;
        chunk->size = size;
        chunk->top = 0;
    }
    return chunk;
}

void
slp_chunks_keep(bool wanted)
{
    slp_chunks.limit = wanted ? MAX_SPARE : 0;
    while (!wanted && slp_chunks.count > 0) {
        _PyStackChunk *chunk = slp_chunks.first;
        slp_chunks.first = chunk->previous;
        slp_chunks.count--;
        PyMem_RawFree(chunk);
    }
}

size_t
slp_stack_size(PyThreadState *ts)
{
    _PyStackChunk *chunk = ts->datastack_chunk;
    size_t words = (size_t)(ts->datastack_top - &chunk->data[0]);
    while ((chunk = chunk->previous) != NULL) {
        words += chunk->top;
    }
    return offsetof(_PyStackChunk, data) + (words + 1) * sizeof(PyObject *);
}

#if PY_VERSION_HEX < 0x030C0000

static _PyStackChunk *base_chunks; /* under the one GIL; all of one size */

_PyStackChunk *
slp_chunk_new_base(size_t size)
{
    _PyStackChunk *chunk = base_chunks;
    if (chunk == NULL) {
        return slp_chunk_new(size);
    }
    base_chunks = chunk->previous;
    chunk->previous = NULL;
    return chunk;
}

void
slp_chunk_free_base(_PyStackChunk *chunk)
{
    chunk->previous = base_chunks;
    base_chunks = chunk;
}

#else

_PyStackChunk *
slp_chunk_new_base(size_t size)
{
    return slp_chunk_new(size);
}

void
slp_chunk_free_base(_PyStackChunk *chunk)
{
    slp_chunk_free(chunk);
}

#endif

/* ---- evaluators, collector ----------------------------------------------- */

void *
slp_evaluator_take(PyThreadState *ts)
{
    /* Not through _PyInterpreterState_SetEvalFrameFunc(): no Python code runs
       before it is put back, and that call throws compiled code away. */
    void *evaluator = NULL;
    memcpy(&evaluator, &ts->interp->eval_frame, sizeof(evaluator));
    ts->interp->eval_frame = NULL;
    return evaluator;
}

void
slp_evaluator_put(PyThreadState *ts, void *evaluator)
{
    memcpy(&ts->interp->eval_frame, &evaluator, sizeof(evaluator));
}

bool
slp_evaluator_installed(PyThreadState *ts)
{
    return ts->interp->eval_frame != NULL;
}

Py_ssize_t
slp_gc_ended(PyThreadState *ts)
{
    Py_ssize_t n = 0;
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
    for (int i = 0; i < NUM_GENERATIONS; i++) {
        n += ts->interp->gc.generation_stats[i].collections;
    }
#else
    (void)ts;
#endif
    return n;
}

void
slp_gc_unfinalize(PyObject *op)
{
    PyGC_Head *gc = _Py_AS_GC(op);
    gc->_gc_prev &= ~(uintptr_t)_PyGC_PREV_MASK_FINALIZED;
}

void
slp_gc_reuse(PyObject *op)
{
    _Py_AS_GC(op)->_gc_prev = 0;
    _Py_NewReference(op);
    PyObject_GC_Track(op);
}
