/* SPDX-License-Identifier: PSF-2.0 */
/* Operations that need no gate.

   A point first asks an op whether all is as usual: nothing traced, no callback
   set, nothing but Python between here and the dispatcher.  Then the point
   itself is left: its frame is popped, and what it returns goes to the caller
   of the next tasklet's point, whose data stack the pop has installed
   (compat_pop.h); if that tasklet was not left the same way, to the dispatcher.
   Of a tasklet that is left so only the program's own frames remain.

   In all other cases the op says no, and the point's gate takes over
   (dispatch.c).  What was left in one go gets a frame back there. */
#include "quick.h"

#include "dispatch.h"
#include "room.h"

/* The default of the schedule functions is the caller; borrowed. */
static inline PyObject *
retval_of(slp_thread *st, PyObject *given)
{
    return given == st->state->current_default ? st->current->self : given;
}

static SLP_INLINE PyObject *
schedule_with(slp_thread *st, slp_frame *f, PyObject *retval,
              slp_quick_mode mode)
{
    slp_task *me = st->current, *next = me->next;
    if (SLP_UNLIKELY(next == me)) {
        return me->tempval == NULL ? Py_NewRef(retval) : NULL;
    }
    if (SLP_UNLIKELY(!slp_quick_leaves(st, f, mode))) {
        return NULL;
    }
    me->tempval = Py_NewRef(retval);
    return slp_quick_go(st, f, next);
}

#if SLP_SHORT_CALLS

/* NULL: there is more than one value, as the gate will say. */
static SLP_NOINLINE PyObject *
schedule_long(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    PyObject *positional = slp_slot_peek(f->localsplus[1]);
    if (positional != NULL && PyTuple_GET_SIZE(positional) == 0) {
        slp_call_shorten(f);
    }
    PyObject *given = slp_point_optional(slp_slot_peek(f->localsplus[0]),
                                         positional,
                                         st->state->current_default);
    return given == NULL ? NULL
                         : schedule_with(st, f, retval_of(st, given), mode);
}

static SLP_INLINE PyObject *
schedule(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    if (SLP_UNLIKELY(!slp_slot_is_empty(f->localsplus[0]))) {
        return schedule_long(st, f, mode);
    }
    return schedule_with(st, f, st->current->self, mode);
}

#else

static SLP_INLINE PyObject *
schedule(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    return schedule_with(st, f, retval_of(st, f->localsplus[0]), mode);
}

#endif

SLP_QUICK_OP(schedule);

static SLP_INLINE PyObject *
schedule_remove(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    slp_task *me = st->current, *next = me->next;
    if (next == me || Py_REFCNT(me->self) < 2
        || !slp_quick_leaves(st, f, mode)) {
        return NULL;
    }
    me->tempval = Py_NewRef(retval_of(st, slp_slot_object(f->localsplus[0])));
    slp_ring_remove(st, me);
    slp_decref_others(me->self);
    return slp_quick_go(st, f, next);
}

SLP_QUICK_OP(schedule_remove);

bool
slp_quick_first(slp_thread *st, slp_frame *f)
{
    slp_task *me = st->current;
    if (me->pinned
        || !slp_frames_are_soft(f, st->running->dispatcher, &me->bottom)) {
        return false;
    }
    slp_room_learn(st, me->bottom);
    return me->bottom != f;
}

/* ---- at the edge of a chunk, by way of the dispatcher --------------------- */

bool
slp_quick_arrives_at_edge(slp_thread *st, slp_task *t)
{
    if (!t->edge) {
        return false;
    }
    t->edge = 0;
    if (!slp_quick_arrives(st, t)) {
        t->edge = 1;
        return false;
    }
    slp_pop_settle(st->ts, st->head);
    slp_pystate_leave_edge(&t->py);
    slp_stack_close_edge(&t->py, &t->top, &t->bottom);
    return true;
}

PyObject *
slp_quick_go_slowly(slp_thread *st, slp_frame *f, slp_task *next)
{
    if (slp_quick_arrives_at_edge(st, next)) {
        return slp_quick_enter(st, f, next);
    }
    if (st->current->edge) {
        slp_pop_keep_edge(st->ts, f, &st->head);
    }
    slp_frame_return_into(f, st->running->dispatcher);
    st->job = next;
    return Py_NewRef(Py_None);
}

bool slp_quick_inverts;

PyObject *
slp_quick_no(void)
{
    slp_point_goes_on(SLP_FRAME(slp_ts()));
    return Py_NewRef(Py_None);
}

/* ---- conditions ---------------------------------------------------------- */

void
slp_quick_update(slp_thread *st)
{
    slp_state *s = st->state;
    slp_carrier *c = st->running;
    bool usual = s->quick_possible && s->softswitch && s->soft_possible
                 && !s->finalizing && s->schedule_callback == NULL
                 && s->schedule_hook == NULL && s->channel_callback == NULL
                 && st->switch_trap == 0 && !st->watch.soft_due;
    st->quick_usual = usual;
    bool at_once = usual && c->dispatcher != NULL
                   && !slp_section_is_open(&st->section);
    st->quick_sp = at_once ? c->sp + (uintptr_t)s->quick_offset : 0;
}

void
slp_quick_update_all(slp_state *s)
{
    for (slp_thread *st = s->threads; st != NULL; st = st->next_thread) {
        slp_quick_update(st);
    }
}

void
slp_quick_undo(slp_thread *st, slp_task *t)
{
    if (t->popped) {
        slp_pop_settle(st->ts, st->head); /* t may be freed unsettled now */
        if (t->edge) {
            slp_pystate_leave_edge(&t->py);
            t->edge = 0;
        }
        t->top = slp_point_push(st->ts, &t->py, t->top, st->state->resumer,
                                t->func);
        t->func = NULL;
        t->popped = 0;
    }
}

PyObject *
slp_quick_op_new(PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    PyObject *op = type ? PyObject_New(PyObject, (PyTypeObject *)type) : NULL;
    Py_XDECREF(type);
    return op;
}
