/* SPDX-License-Identifier: PSF-2.0 */
/* Operations that need no gate: quick.c. */
#ifndef SLP_QUICK_H
#define SLP_QUICK_H

#include "check.h"
#include "sched.h"

/* How an operation is called by its point. */
typedef enum {
    SLP_QUICK_STAYS,     /* from where it may not switch */
    SLP_QUICK_GOES,      /* where the dispatcher calls its ops */
    SLP_QUICK_GOES_NEXT, /* likewise, of an op that is asked by tp_iternext */
    SLP_QUICK_SLOWLY,    /* likewise, and all that takes calls is done, too */
} slp_quick_mode;

static inline bool
slp_quick_goes(slp_quick_mode mode)
{
    return mode == SLP_QUICK_GOES || mode == SLP_QUICK_GOES_NEXT;
}

/* An operation done at once, or not at all.  Its point's frame `f` runs; it returns
   the outcome: of the caller, or after a switch, if it may, of who runs next.  NULL
   without an exception: the point's gate is to do it, and nothing has changed. */
typedef PyObject *(*slp_quick_fn)(slp_thread *st, slp_frame *f,
                                  slp_quick_mode mode);

/* Is that C stack address where the dispatcher is called?  Then its thread state is
   the one. */
static inline bool
slp_quick_is_usual(slp_thread *st, uintptr_t sp)
{
    if (SLP_UNLIKELY(st == NULL || st->quick_sp != sp)) {
        return false;
    }
    SLP_ASSERT(st->ts == slp_ts() && slp_lent.place == NULL);
    slp_check_point(st, true);
    return !slp_tracing_sees(st->ts);
}

/* Do points ask by nb_invert?  See slp_points_invert(). */
SLP_INTERNAL extern bool slp_quick_inverts;
/* A point that does is to go on with its gate. */
SLP_INTERNAL PyObject *slp_quick_no(void);

/* For the op of fn, called at C stack address sp, if that is anything else, or if
   fn cannot do without calls: the tasklet's first frame is unknown, say. */
static SLP_INLINE PyObject *
slp_quick_begin_slowly(slp_thread *st, uintptr_t sp, slp_quick_fn fn)
{
    if (st == NULL || (st->quick_sp == sp && slp_tracing_sees(st->ts))) {
        return NULL;
    }
    bool at_once = st->quick_sp == sp;
    if (!at_once
        && (!st->quick_usual || st->in_callback || st->ts != slp_ts()
            || slp_tracing_sees(st->ts))) {
        return NULL;
    }
    slp_frame *f = SLP_FRAME(st->ts);
    if (slp_quick_inverts) {
        slp_point_returns(f);
    }
    return fn(st, f, at_once ? SLP_QUICK_SLOWLY : SLP_QUICK_STAYS);
}

/* What an op of fn gives, if it is asked where slp_quick_begin_slowly() decides. */
#define SLP_QUICK_SLOW(fn)                                                    \
    static SLP_NOINLINE PyObject *fn##_slowly(slp_thread *st, uintptr_t sp)

/* The same, and never NULL if the mode says so: then the caller calls nothing else,
   and need save no register.  The usual way calls nothing at all. */
static SLP_INLINE PyObject *
slp_quick_given(PyObject *given, slp_quick_mode mode)
{
    if (mode == SLP_QUICK_GOES && given == NULL) {
        __builtin_unreachable();
    }
    return given;
}

#define SLP_QUICK_BEGIN(fn)                                                   \
    SLP_QUICK_SLOW(fn)                                                        \
    {                                                                         \
        PyObject *r = slp_quick_begin_slowly(st, sp, fn);                     \
        return r == NULL && slp_quick_inverts ? slp_quick_no() : r;           \
    }                                                                         \
    static SLP_INLINE PyObject *fn##_begin(uintptr_t sp, slp_quick_mode mode) \
    {                                                                         \
        slp_thread *st = slp_this_thread;                                     \
        if (SLP_UNLIKELY(!slp_quick_is_usual(st, sp)                          \
                         || st->current->bottom == NULL)) {                   \
            return slp_quick_given(fn##_slowly(st, sp), mode);                \
        }                                                                     \
        slp_frame *f = SLP_FRAME(st->ts);                                     \
        if (mode == SLP_QUICK_GOES) {                                         \
            slp_point_returns(f);                                             \
        }                                                                     \
        return fn(st, f, mode);                                               \
    }

/* Defines slp_quick_<fn>, the type of an op: each has a C function of its
   own, into which fn is inlined. */
#define SLP_QUICK_OP(fn)                                                      \
    SLP_QUICK_BEGIN(fn)                                                       \
    static PyObject *fn##_invert(PyObject *Py_UNUSED(self))                   \
    {                                                                         \
        PyObject *r = fn##_begin(SLP_FRAME_ADDRESS(), SLP_QUICK_GOES);        \
        return SLP_LIKELY(r != NULL) ? r : slp_quick_no();                    \
    }                                                                         \
    static PyObject *fn##_next(PyObject *Py_UNUSED(self))                     \
    {                                                                         \
        return fn##_begin(SLP_FRAME_ADDRESS(), SLP_QUICK_GOES_NEXT);          \
    }                                                                         \
    static PyType_Slot fn##_slots[] = {                                       \
        {Py_tp_iter, PyObject_SelfIter},                                      \
        {Py_tp_iternext, fn##_next},                                          \
        {Py_nb_invert, fn##_invert},                                          \
        {0, NULL},                                                            \
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
static SLP_INLINE bool
slp_quick_leaves(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    slp_task *me = st->current;
    PyThreadState *ts = st->ts;
    if (mode == SLP_QUICK_STAYS || me->tempval != NULL || me->py.excess != 0
        || slp_extras_any(ts)
        || slp_instrumentation_changed(ts, st->state->instrumented)
        || slp_import_poll() || !slp_pop_possible(ts, f)) {
        return false;
    }
    if (mode == SLP_QUICK_SLOWLY && me->bottom == NULL) {
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
slp_quick_leave(PyThreadState *ts, slp_frame *f, slp_task *me)
{
    if (SLP_UNLIKELY(slp_pystate_stash_popped(ts, f, &me->py))) {
        me->edge = 1;
    }
    me->top = slp_frame_below(f);
    me->popped = 1;
    slp_frame_return_into(me->bottom, NULL);
}

/* A reference that is not the last one is released. */
static inline void
slp_decref_others(PyObject *op)
{
    SLP_ASSERT(Py_REFCNT(op) > 1);
#ifdef Py_REF_DEBUG
    Py_DECREF(op);
#else
    Py_SET_REFCNT(op, Py_REFCNT(op) - 1);
#endif
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
        slp_decref_others(held);
    }
    return v != NULL ? v : Py_NewRef(Py_None);
}

/* The same of one that was left at the edge of a chunk, which is tidied up if so. */
SLP_INTERNAL bool slp_quick_arrives_at_edge(slp_thread *st, slp_task *t);

/* The caller, which has been left, gives way to `next`, whatever that is: by way
   of the dispatcher, unless that was left at an edge. */
SLP_INTERNAL PyObject *slp_quick_go_slowly(slp_thread *st, slp_frame *f,
                                           slp_task *next)
    __attribute__((returns_nonnull));

/* Leave the caller, of which slp_quick_leaves() was true, for `next`. */
static SLP_INLINE PyObject *
slp_quick_go(slp_thread *st, slp_frame *f, slp_task *next)
{
    slp_quick_leave(st->ts, f, st->current);
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
