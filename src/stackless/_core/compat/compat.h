/* SPDX-License-Identifier: PSF-2.0 */
/* All that the rest of the project may know of CPython's insides.

   A running tasklet is a chain of interpreter frames on a data stack, plus a
   few words of the thread state.  This header can look at frames, save and
   install those words, and build the little functions ("points") through
   which tasklets are left and entered.  Small accessors that differ between
   versions live in compat_311.h ... compat_315.h, one file per version;
   everything else is shared and stands on them.

   Rules that hold for all functions here unless they say otherwise: the GIL
   is held, no Python code runs, nothing is allocated, nothing fails. */
#ifndef SLP_COMPAT_H
#define SLP_COMPAT_H

#ifndef Py_BUILD_CORE
#    define Py_BUILD_CORE 1
#endif
#include "../base/slp_python.h"
#if PY_VERSION_HEX >= 0x030C0000
#    define SLP_HAS_RAISED_EXCEPTION 1
#else
#    define SLP_HAS_RAISED_EXCEPTION 0
#endif

#undef _PyGC_FINALIZED /* defined twice: cpython/ and internal/ */
#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x03100000
#    error "stackless supports CPython 3.11 to 3.15"
#elif defined(Py_GIL_DISABLED)
#    error "stackless does not support free-threaded builds of CPython"
#elif PY_VERSION_HEX < 0x030C0000
#    include "compat_311.h"
#elif PY_VERSION_HEX < 0x030D0000
#    include "compat_312.h"
#elif PY_VERSION_HEX < 0x030E0000
#    include "compat_313.h"
#elif PY_VERSION_HEX < 0x030F0000
#    include "compat_314.h"
#else
#    include "compat_315.h"
#endif

/* ---- the thread state ---------------------------------------------------- */

/* What differs from a fresh thread only rarely: allocated when needed. */
typedef struct {
    Py_tracefunc tracefunc, profilefunc;
    PyObject *traceobj, *profileobj;
    PyObject *agen_firstiter, *agen_finalizer;
    PyObject *asyncio_loop, *asyncio_task;
    int origin_depth; /* sys.set_coroutine_origin_tracking_depth() */
} slp_extras;

/* The words of the thread state that belong to a tasklet.  Valid while the
   tasklet is suspended; references are then owned by this struct. */
typedef struct {
    PyObject *context;
    slp_extras *extras; /* NULL: all of it as in a fresh thread */
    int depth;          /* frames entered, not what remains: the limit may
                           change meanwhile */
    int excess;         /* depth beyond the recursion limit when installed */
    _PyErr_StackItem *exc_info;
    _PyStackChunk *chunk;
    PyObject **top;
} slp_pystate;

/* The words of the thread state that belong to a C stack. */
typedef struct slp_cstate slp_cstate;
static inline PyThreadState *
slp_ts(void)
{
#if PY_VERSION_HEX < 0x030C0000
    return _PyThreadState_GET();
#elif PY_VERSION_HEX < 0x030D0000
    return _PyThreadState_UncheckedGet();
#else
    return PyThreadState_GetUnchecked();
#endif
}
SLP_INTERNAL unsigned long slp_main_thread_id(void);
static inline bool
slp_is_main_thread(void)
{
    return PyThread_get_thread_ident() == slp_main_thread_id();
}

static inline void
slp_depth_install(PyThreadState *ts, slp_pystate *s)
{
    int left = SLP_DEPTH_LIMIT(ts) - s->depth;
    s->excess = 0;
    if (SLP_UNLIKELY(left < 0)) {
        /* 3.11 dies when less than -50 remain. */
        s->excess = -left;
        left = 0;
    }
    SLP_DEPTH_LEFT(ts) = left;
}

/* Store the running tasklet's words into s.  The context stays visible in
   the thread state until the next install; it is owned by s from now on. */
static inline void
slp_pystate_stash(PyThreadState *ts, slp_pystate *s)
{
    s->chunk = ts->datastack_chunk;
    s->top = ts->datastack_top;
    s->exc_info = ts->exc_info;
    s->depth = SLP_DEPTH_LIMIT(ts) - SLP_DEPTH_LEFT(ts) + s->excess;
    s->context = ts->context;
}

/* Correct s for the frame that is running now, which is going to be popped
   before s is installed again.  It may be the first of its chunk; the chunk
   then goes with it. */
static inline void
slp_pystate_pop(slp_pystate *s, slp_frame *frame)
{
    _PyStackChunk *chunk = s->chunk;
    s->depth--;
    if (SLP_UNLIKELY((PyObject **)frame == &chunk->data[0])) {
        chunk = chunk->previous;
        s->chunk = chunk;
        s->top = &chunk->data[chunk->top];
    }
    else {
        s->top = (PyObject **)frame;
    }
}

/* Make s the thread's; it owns nothing afterwards. */
static inline void
slp_pystate_install(PyThreadState *ts, slp_pystate *s)
{
    _PyStackChunk *chunk = s->chunk; /* NULL: a thread without frames */
    ts->datastack_chunk = chunk;
    ts->datastack_top = s->top;
    ts->datastack_limit = chunk ? (PyObject **)((char *)chunk + chunk->size)
                                : NULL;
    ts->exc_info = s->exc_info;
    slp_depth_install(ts, s);
    if (ts->context != s->context) {
        ts->context = s->context;
        ts->context_ver++; /* or ContextVar.get() uses its cache */
    }
    s->context = NULL;
}

/* Is there anything that slp_extras would have to hold? */
static inline bool
slp_extras_any(PyThreadState *ts)
{
    uintptr_t any = (uintptr_t)ts->c_tracefunc | (uintptr_t)ts->c_profilefunc;
    any |= (uintptr_t)ts->async_gen_firstiter | SLP_ASYNCIO_ANY(ts);
    any |= (uintptr_t)ts->async_gen_finalizer;
    return (any | (unsigned)ts->coroutine_origin_tracking_depth) != 0;
}

/* First half of leaving with extras: allocates s->extras and takes a running
   asyncio loop off the thread.  -1 with an exception: nothing changed. */
SLP_INTERNAL int slp_extras_prepare(PyThreadState *ts, slp_pystate *s);
/* Undo it, when the switch does not take place after all. */
SLP_INTERNAL void slp_extras_abandon(PyThreadState *ts, slp_pystate *s);
/* Second half: move the words out of the thread. */
SLP_INTERNAL void slp_extras_stash(PyThreadState *ts, slp_pystate *s);
/* Move them back and free s->extras. */
SLP_INTERNAL void slp_extras_install(PyThreadState *ts, slp_pystate *s);
/* Drop what a tasklet that is not running holds.  Runs destructors. */
SLP_INTERNAL void slp_extras_drop(PyThreadState *ts, slp_pystate *s);
SLP_INTERNAL int slp_extras_traverse(slp_extras *, visitproc, void *);
/* A running tasklet ends: no tracer or hook may outlive it.  May run Python
   code (audit hooks, destructors). */
SLP_INTERNAL void slp_extras_end(PyThreadState *ts);
/* Trace or profile function of a suspended tasklet; -1 on error. */
SLP_INTERNAL int slp_extras_set_trace(PyThreadState *ts, slp_pystate *s,
                                      PyObject *func, bool profile);
SLP_INTERNAL PyObject *slp_extras_get_trace(slp_pystate *s, bool profile);

/* The thread's context: new reference, made if there is none. */
SLP_INTERNAL PyObject *slp_context_current(PyThreadState *ts);
/* Install another one (stolen); returns the old one, perhaps NULL. */
SLP_INTERNAL PyObject *slp_context_swap(PyThreadState *ts, PyObject *context);
/* Is it inside Context.run()? */
SLP_INTERNAL bool slp_context_entered(PyObject *context);

/* ---- C stacks ------------------------------------------------------------ */

SLP_INTERNAL slp_cstate *slp_cstate_new(void); /* NULL: out of memory */
SLP_INTERNAL void slp_cstate_free(slp_cstate *);
/* A C stack on which nothing has run yet. */
SLP_INTERNAL void slp_cstate_init(PyThreadState *ts, slp_cstate *c, char *low,
                                  char *high);
/* How large one should be for CPython's limit of C calls, and must be. */
SLP_INTERNAL size_t slp_cstate_size(size_t *minimum);
SLP_INTERNAL void slp_cstate_save(PyThreadState *ts, slp_cstate *c);
SLP_INTERNAL void slp_cstate_load(PyThreadState *ts, slp_cstate *c);
/* Only how far the C stack goes. */
SLP_INTERNAL void slp_cstate_load_limits(PyThreadState *ts, slp_cstate *c);
/* Is nothing on it but the interpreter's loop, as far as its words tell? */
SLP_INTERNAL bool slp_cstate_is_plain(slp_cstate *c);
/* Newest frame of Python code of a saved C stack. */
SLP_INTERNAL slp_frame *slp_cstate_frame(slp_cstate *c);
/* Call the function (no arguments) as the first one of a fresh C stack. */
SLP_INTERNAL PyObject *slp_cstate_enter(PyThreadState *ts, PyObject *func);
/* The same for func(*args), as part of what runs on `below`. */
SLP_INTERNAL PyObject *slp_cstate_go_on(PyThreadState *ts, slp_cstate *below,
                                        PyObject *func, PyObject *args);

#include "compat_frames.h"
#include "compat_frozen.h"
#include "compat_gil.h"
#include "compat_pending.h"
#include "compat_points.h"
#include "compat_visits.h"

/* ---- tools --------------------------------------------------------------- */

/* sys.settrace and friends rewrite the code on the stack of every thread.
   `seen` is the version that all suspended frames were last brought to. */
static inline bool
slp_instrumentation_changed(PyThreadState *ts, uintptr_t seen)
{
    (void)ts; /* 3.11 */
    return SLP_INSTRUMENTATION_VERSION(ts) != seen;
}
typedef slp_frame *(*slp_next_chain)(void *arg, slp_frame **bottom);
/* Bring all chains that `next` yields up to date, and the dispatcher where
   tools see it; -1 with an exception. */
SLP_INTERNAL int slp_instrument(PyThreadState *ts, slp_next_chain next,
                                void *arg, PyObject *dispatcher,
                                uintptr_t *seen);

/* 3.11 fires trace and profile functions where no code of ours may be seen.
   off: in the first half of a switch; on: the user's code follows.
   Elsewhere these do nothing. */
#if PY_VERSION_HEX < 0x030C0000
SLP_INTERNAL void slp_tracing_install(PyThreadState *ts);
static inline void
slp_tracing_off(PyThreadState *ts)
{
    ts->cframe->use_tracing = 0;
}
/* Would it see the running point return? */
static inline bool
slp_tracing_sees(PyThreadState *ts)
{
    return ts->cframe->use_tracing != 0;
}
static inline void
slp_tracing_on(PyThreadState *ts)
{
    if (SLP_UNLIKELY(ts->c_tracefunc != NULL || ts->c_profilefunc != NULL)) {
        slp_tracing_install(ts);
    }
}
#else
#    define slp_tracing_off(ts)  ((void)(ts))
#    define slp_tracing_sees(ts) ((void)(ts), false)
#    define slp_tracing_on(ts)   ((void)(ts))
#endif
/* An attribute of sys, new reference; an error says if there is no memory. */
SLP_INTERNAL PyObject *slp_sys_attribute(const char *name);
/* seen() is called when a module of that name is put into sys.modules, until the
   watcher goes; one at a time.  On 3.11 by the next slp_import_poll(). */
SLP_INTERNAL int slp_import_watch(const char *name, void (*seen)(void));
SLP_INTERNAL void slp_import_unwatch(int watcher);
/* Once per interpreter, at import; -1 with an exception. */
SLP_INTERNAL int slp_tools_setup(PyThreadState *ts);

/* A PEP 523 evaluator stops calls from being inlined.  Take it off; returns
   it for slp_evaluator_put(). */
SLP_INTERNAL void *slp_evaluator_take(PyThreadState *ts);
SLP_INTERNAL void slp_evaluator_put(PyThreadState *ts, void *evaluator);
SLP_INTERNAL bool slp_evaluator_installed(PyThreadState *ts);

/* Let the finaliser of an object run again. */
SLP_INTERNAL void slp_gc_unfinalize(PyObject *op);
/* The memory of an object that was deallocated, but not freed, is used again:
   tracked, with one reference. */
SLP_INTERNAL void slp_gc_reuse(PyObject *op);
static inline bool
slp_gc_collecting(PyThreadState *ts)
{
    return ts->interp->gc.collecting != 0;
}
/* Collections that have ended, as of 3.12: they can be nested there. */
SLP_INTERNAL Py_ssize_t slp_gc_ended(PyThreadState *ts);

/* Is the running interpreter laid out like the one we were built for?
   -1 with an ImportError that says what differs. */
SLP_INTERNAL int slp_layout_check(void);

/* Slots of the module definition that depend on the version. */
#if PY_VERSION_HEX >= 0x030C0000
#    define SLP_MODULE_SLOTS                                                  \
        {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#else
#    define SLP_MODULE_SLOTS
#endif

#endif
