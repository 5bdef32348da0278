/* SPDX-License-Identifier: PSF-2.0 */
/* Operations that need no gate: quick.c. */
#ifndef SLP_QUICK_H
#define SLP_QUICK_H

#include "check.h"
#include "sched.h"

/* An operation done at once, or not at all.  It is called by its point, whose
   frame `f` runs, and returns the outcome: of the caller, or after a switch, if
   it may, of who runs next.  NULL without an exception: the point's gate is to
   do it, and nothing has changed. */
typedef PyObject *(*slp_quick_fn)(slp_thread *st, slp_frame *f, bool switches);

/* For the op of fn, called at C stack address sp. */
static inline PyObject *
slp_quick_begin(uintptr_t sp, slp_quick_fn fn)
{
    slp_thread *st = slp_this_thread;
    if (SLP_UNLIKELY(st == NULL)) {
        return NULL;
    }
    if (SLP_LIKELY(st->quick_sp == sp)) {
        /* Where the dispatcher is called, so its thread state is the one. */
        SLP_ASSERT(st->ts == slp_ts() && slp_lent.place == NULL);
        slp_check_point(st, true);
        return slp_tracing_sees(st->ts) ? NULL
                                        : fn(st, SLP_FRAME(st->ts), true);
    }
    if (!st->quick_usual || st->in_callback || st->ts != slp_ts()
        || slp_tracing_sees(st->ts)) {
        return NULL;
    }
    return fn(st, SLP_FRAME(st->ts), false);
}

#if SLP_OP_HAS_SEND
#    define SLP_QUICK_SEND(fn)                                                \
        static PySendResult fn##_send(PyObject *Py_UNUSED(self),              \
                                      PyObject *Py_UNUSED(value),             \
                                      PyObject **result)                      \
        {                                                                     \
            *result = slp_quick_begin((uintptr_t)__builtin_frame_address(0),  \
                                      fn);                                    \
            if (SLP_LIKELY(*result != NULL)) {                                \
                return PYGEN_NEXT;                                            \
            }                                                                 \
            *result = Py_NewRef(Py_None);                                     \
            return PYGEN_RETURN;                                              \
        }
#    define SLP_QUICK_SEND_SLOT(fn) {Py_am_send, (void *)fn##_send},
#else
#    define SLP_QUICK_SEND(fn)
#    define SLP_QUICK_SEND_SLOT(fn)
#endif

/* Defines slp_quick_<fn>, the type of an op: each has a C function of its
   own, into which fn is inlined. */
#define SLP_QUICK_OP(fn)                                                      \
    static PyObject *fn##_next(PyObject *Py_UNUSED(self))                     \
    {                                                                         \
        return slp_quick_begin((uintptr_t)__builtin_frame_address(0), fn);    \
    }                                                                         \
    SLP_QUICK_SEND(fn)                                                        \
    static PyType_Slot fn##_slots[] = {                                       \
        {Py_tp_iter, PyObject_SelfIter},                                      \
        {Py_tp_iternext, fn##_next},                                          \
        SLP_QUICK_SEND_SLOT(fn){0, NULL},                                     \
    };                                                                        \
    PyType_Spec slp_quick_##fn = {                                            \
        .name = "stackless._op",                                              \
        .basicsize = sizeof(PyObject),                                        \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,      \
        .slots = fn##_slots,                                                  \
    }

SLP_INTERNAL extern PyType_Spec slp_quick_schedule, slp_quick_schedule_remove;

/* Find the caller's first frame; false if there is C in between or it is f. */
SLP_INTERNAL bool slp_quick_first(slp_thread *st, slp_frame *f);

/* Has t to stay on its C stack?  See host.c. */
static inline bool
slp_pinned(slp_task *t)
{
    slp_import_poll();
    return t->pinned;
}

/* May the caller be left, in one go?  Not if anything is out of the ordinary. */
static inline bool
slp_quick_leaves(slp_thread *st, slp_frame *f)
{
    slp_task *me = st->current;
    if (me->tempval != NULL || me->py.excess != 0 || slp_extras_any(st->ts)
        || slp_instrumentation_changed(st->ts, st->state->instrumented)
        || slp_import_poll() || !slp_pop_possible(st->ts, f)) {
        return false;
    }
    if (SLP_UNLIKELY(me->bottom == NULL)) {
        return slp_quick_first(st, f);
    }
    return me->bottom != f;
}

/* Can t, which is suspended, go on by a pop? */
static inline bool
slp_quick_arrives(slp_thread *st, slp_task *t)
{
    static const slp_task plain = {.popped = 1};
    PyObject *v = t->tempval, *held = t->func;
    return t->entry == plain.entry && slp_depth_fits(st->ts, &t->py)
           && (v == NULL || !Py_IS_TYPE(v, st->state->bomb_type))
           && (held == NULL || Py_REFCNT(held) > 1);
}

/* The caller is left: what it will return is in its tempval, what it holds on
   to meanwhile in its func. */
static inline void
slp_quick_leave(slp_thread *st, slp_frame *f)
{
    slp_task *me = st->current;
    if (SLP_UNLIKELY(slp_pystate_stash_popped(st->ts, f, &me->py))) {
        me->edge = 1;
    }
    me->top = slp_frame_below(f);
    me->popped = 1;
    slp_frame_return_into(me->bottom, NULL);
}

/* f returns into t, of which slp_quick_arrives() was true; returns what. */
static inline PyObject *
slp_quick_enter(slp_thread *st, slp_frame *f, slp_task *t)
{
    PyObject *v = t->tempval, *held = t->func;
    slp_frame_return_into(f, t->top);
    slp_frame_return_into(t->bottom, st->running->dispatcher);
    slp_pystate_pop_into(st->ts, f, &t->py, &st->head);
    t->popped = 0;
    t->tempval = NULL;
    st->current = t;
    if (held != NULL) {
        t->func = NULL;
        Py_DECREF(held); /* not the last one */
    }
    return v != NULL ? v : Py_NewRef(Py_None);
}

/* The same of one that was left at the edge of a chunk, which is tidied up if so. */
SLP_INTERNAL bool slp_quick_arrives_at_edge(slp_thread *st, slp_task *t);

/* The caller, which has been left, gives way to `next`, whatever that is: by way
   of the dispatcher, unless that was left at an edge. */
SLP_INTERNAL PyObject *slp_quick_go_slowly(slp_thread *st, slp_frame *f,
                                           slp_task *next);

/* Leave the caller, of which slp_quick_leaves() was true, for `next`. */
static inline PyObject *
slp_quick_go(slp_thread *st, slp_frame *f, slp_task *next)
{
    slp_quick_leave(st, f);
    st->quick_switches++;
    if (SLP_UNLIKELY(!slp_quick_arrives(st, next))) {
        return slp_quick_go_slowly(st, f, next);
    }
    return slp_quick_enter(st, f, next);
}

/* Conditions have changed: may operations be quick now? */
SLP_INTERNAL void slp_quick_update(slp_thread *st);
SLP_INTERNAL void slp_quick_update_all(slp_state *s);
/* If t was left in one go it gets its point's frame back, for all ways of going
   on but slp_quick_enter(). */
SLP_INTERNAL void slp_quick_undo(slp_thread *st, slp_task *t);
/* The op of that type: new reference, or NULL with an exception. */
SLP_INTERNAL PyObject *slp_quick_op_new(PyType_Spec *spec);

#endif
