/* SPDX-License-Identifier: PSF-2.0 */
/* Leaving and entering tasklets, and the dispatcher at the bottom of each C
   stack, where they start and end.

   A soft switch happens in two halves.  In the first an op, called by a gate,
   relinks the gate's frame (slp_switch).  In the second the point of the
   tasklet arrived at asks for its outcome (slp_resume).  Between them only
   the interpreter loop runs: it pops the gate.  So nothing in the first half
   may run Python code once it has begun to store, and what a list or a
   tempval gave up is released only at the end of the second.

   A hard switch changes the C stack inside the first half; what is said above
   then holds for the tasklet that arrives. */
#include "dispatch.h"

#include "atomic.h"
#include "bomb.h"
#include "called.h"
#include "check.h"
#include "host.h"
#include "quick.h"
#include "raw_op.h"
#include "room.h"
#include "settle.h"
#include "watchdog.h"

/* ---- ops ----------------------------------------------------------------- */

/* The op of a point's gate. */
typedef struct {
    PyObject_HEAD
    slp_op_fn fn;
    int nargs;
} slp_op;

void
slp_failed(slp_thread *st)
{
    slp_extras_abandon(st->ts, &st->current->py);
    if (SLP_UNLIKELY(st->trash_count > 0 || st->dropped != NULL)) {
        PyObject *exc = slp_take_exc();
        slp_release(st);
        if (exc != NULL) {
            slp_raise(exc);
        }
    }
}

/* The outcome of a gate's op that failed.  A gate returns the op that the point
   asks next, in whichever tasklet that is.  Points get theirs by slp_resume();
   a StopIteration, which must not leave SEND, goes that way too. */
static PyObject *
gate_failed(slp_thread *st)
{
    slp_task *me = st->current;
    slp_failed(st);
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyObject *old = me->tempval;
        me->tempval = slp_take_exc();
        me->bombed = 1;
        Py_XDECREF(old);
        slp_tracing_off(st->ts);
        return Py_NewRef(st->state->resume_op);
    }
    slp_tracing_on(st->ts);
    slp_hide_raise(st->ts);
    return NULL;
}

static SLP_INLINE PyObject *
call_op(slp_op *op, uintptr_t sp)
{
    slp_thread *st = slp_thread_get();
    if (SLP_UNLIKELY(st == NULL)) {
        slp_hide_raise(slp_ts());
        return NULL;
    }
    slp_entry e = {.gate = SLP_FRAME(st->ts), .sp = sp};
    PyObject *room[SLP_POINT_ARGS];
    PyObject **args = slp_point_args(slp_point_of(e.gate), op->nargs, room);
    if (SLP_UNLIKELY(op->fn(st, &e, args) < 0)) {
        PyObject *r = gate_failed(st);
        slp_thread_still(st);
        return r;
    }
    slp_thread_still(st);
    slp_tracing_off(st->ts);
    return Py_NewRef(st->state->resume_op);
}

static PyObject *
op_next(PyObject *self)
{
    return call_op((slp_op *)self, SLP_FRAME_ADDRESS());
}

#if SLP_OP_HAS_SEND

static PySendResult
op_send(PyObject *self, PyObject *Py_UNUSED(value), PyObject **result)
{
    *result = call_op((slp_op *)self, SLP_FRAME_ADDRESS());
    return slp_op_sent(result, PYGEN_RETURN); /* the gates' shorter way */
}

#endif

static PyObject *
op_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<stackless op at %p>", self);
}

static void
op_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot op_slots[] = {
    {Py_tp_dealloc, op_dealloc},
    {Py_tp_repr, op_repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, op_next},
#if SLP_OP_HAS_SEND
    {Py_am_send, (void *)op_send},
#endif
    {0, NULL},
};

static PyType_Spec op_spec = {
    .name = "stackless._op",
    .basicsize = sizeof(slp_op),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = op_slots,
};

PyObject *
slp_op_new(slp_state *s, slp_op_fn fn, int nargs)
{
    slp_op *op = PyObject_New(slp_op, s->op_type);
    if (op != NULL) {
        op->fn = fn;
        op->nargs = nargs;
    }
    return (PyObject *)op;
}

/* ---- first half ---------------------------------------------------------- */

/* Is the running tasklet's C stack free of C but for the dispatcher's loop?
   An op called at the same depth as the dispatcher's own is; else walk. */
static bool
can_leave_softly(slp_thread *st, slp_entry *e, slp_task *me)
{
    slp_carrier *c = st->running;
    if (e->gate == NULL || c->dispatcher == NULL || !st->state->softswitch
        || !st->state->soft_possible || slp_pinned(me)) {
        return false;
    }
    if (e->sp == c->sp && me->bottom != NULL) {
#ifdef SLP_CHECK
        slp_frame *bottom = NULL;
        SLP_ASSERT(slp_frames_are_soft(e->gate, c->dispatcher, &bottom));
        SLP_ASSERT(bottom == me->bottom);
#endif
        return true;
    }
    return slp_frames_are_soft(e->gate, c->dispatcher, &me->bottom);
}

void
slp_run_callback(slp_thread *st, PyObject *callback, PyObject *args)
{
    slp_task *me = st->current;
    PyObject *tempval = Py_XNewRef(me->tempval);
    bool bombed = me->bombed;
    Py_INCREF(callback);
    st->in_callback++;
    PyObject *r = args ? PyObject_Call(callback, args, NULL) : NULL;
    st->in_callback--;
    if (r == NULL) {
        PyErr_WriteUnraisable(callback);
    }
    Py_XDECREF(r);
    Py_XDECREF(args);
    Py_DECREF(callback);
    if (me->tempval == NULL) {
        /* Used up by an operation inside. */
        me->tempval = tempval;
        me->bombed = bombed;
    }
    else {
        Py_XDECREF(tempval);
    }
}

static void
run_schedule_callback(slp_thread *st, slp_task *prev, slp_task *next)
{
    slp_run_callback(st, st->state->schedule_callback,
                     PyTuple_Pack(2, prev->self, next->self));
}

/* The C API's; all is prepared, and must stay so. */
static inline void
call_hook(slp_thread *st, slp_task *from, slp_task *to)
{
    if (SLP_UNLIKELY(st->state->schedule_hook != NULL)) {
        st->in_callback++;
        st->state->schedule_hook((slp_tasklet *)from->self,
                                 (slp_tasklet *)to->self);
        st->in_callback--;
    }
}

/* A callback that changes who is next each time is not asked for ever. */
#define MAX_CALLBACKS 4

static int
check_switch(slp_thread *st)
{
    if (st->in_callback) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot switch tasklets inside a schedule or channel "
                        "callback");
        return -1;
    }
    if (st->switch_trap) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Cannot schedule when switch_trap level is non-zero");
        return -1;
    }
    if (st->state->finalizing) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot switch tasklets: the interpreter is shutting "
                        "down");
        return -1;
    }
    if (SLP_UNLIKELY(slp_collecting(st))
        && (st->collecting > 0 || st->state->collections == 0)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot switch tasklets in a destructor that the "
                        "garbage collector runs");
        return -1;
    }
    return 0;
}

/* What may run Python code before a switch.  0, 1 or -1 as prepare.  The
   callback comes first: an operation inside it may fail and undo what this one
   has prepared. */
static int
prepare_slowly(slp_thread *st, slp_entry *e, slp_task *me, slp_task *next)
{
    int r = 0;
    if (st->state->schedule_callback != NULL && e->announced != next
        && e->callbacks < MAX_CALLBACKS) {
        e->announced = next;
        e->callbacks++;
        slp_task_hold(next);
        run_schedule_callback(st, me, next);
        slp_defer(st, next->self);
        r = 1;
    }
    if (slp_extras_any(st->ts) && me->py.extras == NULL) {
        if (slp_extras_prepare(st->ts, &me->py) < 0) {
            return -1;
        }
        r = 1;
    }
    return r;
}

/* All the memory that a hard switch may need. */
static int
prepare_hard(slp_thread *st, slp_task *next)
{
    st->pool.limit = st->state->carrier_limit;
    if (slp_carrier_prepare(st->ts, st->running) < 0) {
        return -1;
    }
    if (next->carrier == NULL && st->idle == NULL) {
        slp_carrier *c = slp_carrier_idle(st);
        if (c == NULL) {
            return -1;
        }
        slp_carrier_put_idle(st, c); /* slp_switch() will find it */
    }
    return 0;
}

int
slp_switch_prepare(slp_thread *st, slp_entry *e, slp_task *next)
{
    slp_task *me = st->current;
    slp_check_point(st, false);
    slp_pending_forget(st->ts);
    if (check_switch(st) < 0) {
        return -1;
    }
    if (SLP_UNLIKELY(st->state->schedule_callback != NULL
                     || slp_extras_any(st->ts))) {
        int r = prepare_slowly(st, e, me, next);
        if (r != 0) {
            return r;
        }
    }
    st->soft = can_leave_softly(st, e, me);
    if (!st->soft && prepare_hard(st, next) < 0) {
        slp_extras_abandon(st->ts, &me->py);
        return -1;
    }
    return 0;
}

static void
go_to_carrier(slp_thread *st, slp_carrier *to, bool prepared)
{
    slp_carrier *from = st->running;
    st->running = to;
    slp_carrier_switch(st->ts, from, to, prepared);
    SLP_ASSERT(st->running == from);
    slp_quick_update(st);
    if (SLP_UNLIKELY(st->finished != NULL)) {
        slp_carriers_free_finished(st);
    }
}

void
slp_carrier_go(slp_thread *st, slp_carrier *to)
{
    go_to_carrier(st, to, false);
}

static void
install(slp_thread *st, slp_task *t)
{
    slp_pystate_install(st->ts, &t->py);
    if (SLP_UNLIKELY(t->py.extras != NULL)) {
        slp_extras_install(st->ts, &t->py);
    }
}

static void
switch_softly(slp_thread *st, slp_entry *e, slp_task *me, slp_task *next)
{
    slp_frame *gate = e->gate;
    slp_pystate_pop(&me->py, gate);
    me->top = slp_frame_below(gate);
    slp_frame_return_into(me->bottom, NULL);
    if (SLP_LIKELY(next->life == SLP_STARTED && next->carrier == NULL)
        && !slp_uncalled(next)) {
        slp_quick_undo(st, next);
        slp_frame_return_into(gate, next->top);
        slp_frame_return_into(next->bottom, st->running->dispatcher);
        st->current = next;
        st->arriving = true;
    }
    else {
        slp_frame_return_into(gate, st->running->dispatcher);
        st->job = next;
    }
    st->state->soft_switches++;
}

/* Beyond some C stacks nothing of a tasklet is in a cache when its turn comes:
   what those that come soon will need, each a step further on. */
static SLP_NOINLINE void
fetch_ahead(slp_task *t)
{
    slp_task *coming[4];
    for (int i = 0; i < 4; i++) {
        t = t->next;
        if (t == NULL) {
            return;
        }
        coming[i] = t;
    }
    __builtin_prefetch(&coming[3]->carrier);
    __builtin_prefetch(&coming[3]->self);
    __builtin_prefetch(&coming[3]->py);
    slp_carrier_fetch(coming[2]->carrier, 0);
    __builtin_prefetch(coming[1]->py.chunk);
    slp_carrier_fetch(coming[1]->carrier, 1);
    slp_carrier_fetch(coming[0]->carrier, 2);
}

static void
switch_hard(slp_thread *st, slp_entry *e, slp_task *me, slp_task *next)
{
    slp_carrier *to = next->carrier;
    me->carrier = st->running;
    me->gated = e->gate != NULL;
    if (to != NULL) {
        st->current = next;
    }
    else {
        to = slp_carrier_idle(st);
        st->job = next;
    }
    st->state->hard_switches++;
    if (st->pool.sliced > 0) {
        fetch_ahead(next);
    }
    go_to_carrier(st, to, true);
    SLP_ASSERT(st->current == me && st->job == NULL);
    me->carrier = NULL;
    install(st, me);
}

static void
learn_room(slp_thread *st, slp_entry *e)
{
    slp_frame *bottom = st->current->bottom;
    if (bottom == NULL && e->gate != NULL && st->running->dispatcher != NULL) {
        bottom = slp_frames_bottom(e->gate, st->running->dispatcher);
    }
    if (bottom != NULL) {
        slp_room_learn(st, bottom);
    }
}

void
slp_switch(slp_thread *st, slp_entry *e, slp_task *next)
{
    slp_task *me = st->current;
    call_hook(st, me, next);
    slp_pop_settle(st->ts, st->head);
    slp_pystate_stash(st->ts, &me->py);
    if (!me->is_main && SLP_UNLIKELY(slp_room_is_wrong(me))) {
        learn_room(st, e);
    }
    if (SLP_UNLIKELY(me->py.extras != NULL)) {
        slp_extras_stash(st->ts, &me->py);
    }
    st->switches++;
    if (st->soft) {
        switch_softly(st, e, me, next);
    }
    else {
        switch_hard(st, e, me, next);
    }
}

/* ---- second half --------------------------------------------------------- */

/* Steps that arriving takes only now and then. */
static void
arrive_slowly(slp_thread *st)
{
    if (st->evaluator != NULL) {
        slp_evaluator_put(st->ts, st->evaluator);
        st->evaluator = NULL;
    }
    if (slp_instrumentation_changed(st->ts, st->state->instrumented)) {
        slp_update_instrumentation(st);
    }
}

static inline void
arrive(slp_thread *st)
{
    if (SLP_UNLIKELY(st->evaluator != NULL)
        || SLP_UNLIKELY(
            slp_instrumentation_changed(st->ts, st->state->instrumented))) {
        arrive_slowly(st);
    }
    slp_tracing_on(st->ts);
}

void
slp_arrive(slp_thread *st)
{
    slp_tracing_off(st->ts); /* it may have been switched off elsewhere */
    arrive(st);
}

/* An exception that a program put there itself. */
static PyObject *
defuse(PyObject *v)
{
    PyObject *type = PyObject_GetAttrString(v, "type");
    PyObject *value = type ? PyObject_GetAttrString(v, "value") : NULL;
    PyObject *tb = value ? PyObject_GetAttrString(v, "traceback") : NULL;
    PyObject *exc = tb ? slp_exc_from_triple(type, value, tb) : NULL;
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(tb);
    Py_DECREF(v);
    return exc;
}

/* What was left on a tasklet that runs again, by the collector as a rule. */
static void
clear_marks(slp_thread *st, slp_task *me)
{
    if (me->guarded) {
        slp_frames_unguard(SLP_FRAME(st->ts), st->running->dispatcher);
    }
    if (me->survived) {
        slp_gc_unfinalize(me->self);
    }
    if (me->pinned) {
        me->bottom = NULL; /* see host.c */
    }
    st->doomed -= (int)me->doomed;
    me->guarded = me->survived = me->doomed = 0;
}

PyObject *
slp_resume(slp_thread *st)
{
    slp_task *me = st->current;
    if (st->arriving) {
        st->arriving = false;
        install(st, me);
    }
    arrive(st);
    slp_atomic_arrive(st);
    PyObject *v = me->tempval;
    bool bombed = me->bombed;
    me->tempval = NULL;
    me->bombed = 0;
    if (SLP_UNLIKELY(me->py.extras != NULL)) {
        slp_extras_abandon(st->ts, &me->py); /* prepared, but no switch */
    }
    if (SLP_UNLIKELY(me->guarded | me->survived | me->doomed | me->pinned)) {
        clear_marks(st, me);
    }
    if (SLP_UNLIKELY(me->watchdog)) {
        PyObject *kept = slp_watchdog_leave(st, me, bombed ? NULL : v);
        v = bombed ? v : kept;
    }
    if (SLP_UNLIKELY(st->dropped != NULL || st->trash_count > 0)) {
        slp_release(st);
    }
    slp_check_point(st, true);
    if (v == NULL) {
        Py_RETURN_NONE;
    }
    if (SLP_UNLIKELY(bombed || Py_IS_TYPE(v, st->state->bomb_type))) {
        PyObject *exc = bombed ? v : defuse(v);
        if (exc != NULL) {
            slp_raise(exc);
        }
        return NULL;
    }
    return v;
}

PyObject *
slp_outcome(slp_thread *st, int r)
{
    if (r < 0) {
        slp_failed(st);
        return NULL;
    }
    return slp_resume(st);
}

/* The point's op after its gate. */
static PyObject *
resume_op(slp_thread *st, uintptr_t Py_UNUSED(sp))
{
    PyObject *v = slp_resume(st);
    if (SLP_LIKELY(v != NULL)) {
        return v;
    }
    slp_frame *caller = slp_frame_below(SLP_FRAME(st->ts));
    if (caller != NULL
        && slp_frame_is_of(caller, st->state->interrupted_function)) {
        slp_interruption_raises(caller);
    }
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        Py_XSETREF(st->stop, slp_take_exc());
        return NULL; /* without an exception: SEND jumps to reraise() */
    }
    slp_hide_raise(st->ts);
    return NULL;
}

SLP_RAW_OP(resume_op, slp_thread_of_switch);

static PyObject *
reraise(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_peek();
    PyObject *exc = st ? st->stop : NULL;
    if (exc == NULL) {
        Py_RETURN_NONE;
    }
    st->stop = NULL;
    slp_raise(exc);
    slp_hide_raise(st->ts);
    return NULL;
}

static PyMethodDef reraise_def = {"_reraise", reraise, METH_NOARGS, NULL};

/* ---- the end of a tasklet ------------------------------------------------ */

static inline PyObject *
settle(slp_thread *st, slp_task *me, slp_task **target)
{
    if (SLP_DISPATCHER_CATCHES || st->failure != NULL || me->next == me
        || slp_extras_any(st->ts)) {
        return slp_settle(st, me, target);
    }
    *target = slp_watchdog(st);
    return NULL;
}

/* The running tasklet has returned or raised: settle that and choose who is
   next.  It still counts as running while Python code runs here (error
   handler, tracer's end, callback), so that may even switch. */
static slp_task *
end_current(slp_thread *st)
{
    slp_task *me = st->current, *w;
    me->bottom = me->top = NULL;
    slp_pending_forget(st->ts);
    slp_tracing_on(st->ts);
    slp_extras_abandon(st->ts, &me->py);
    if (me == st->main) {
        slp_host_ends(st, slp_take_failure(st));
        return me; /* it goes on there */
    }
    PyObject *error = settle(st, me, &w);
    if (st->state->schedule_callback != NULL) {
        slp_task *to = error == NULL && me->next != me ? me->next : w;
        slp_task_hold(to);
        run_schedule_callback(st, me, to);
        slp_defer(st, to->self);
    }
    if (w != st->main) {
        w = slp_watchdog(st); /* perhaps another one by now */
    }
    if (error == NULL && me->next == me && w->place == SLP_IN_QUEUE) {
        error = slp_blocked_for_ever(st, w);
    }
    /* No Python code from here on. */
    slp_pystate_stash(st->ts, &me->py);
    slp_task *next = error == NULL ? slp_watch_next(st) : me->next;
    if (error == NULL && next == me && w->place == SLP_IN_QUEUE
        && st->sleeper != NULL) {
        next = st->sleeper;
        slp_ring_append(st, next); /* with our reference */
        st->sleeper = NULL;
    }
    else if (error != NULL || next == me) {
        if (w->place == SLP_IN_QUEUE) {
            slp_cancel(w);
            slp_ring_append(st, w);
        }
        else if (w->place == SLP_FLOATING) {
            slp_task_hold(w);
            slp_ring_append(st, w);
        }
        next = w;
    }
    if (error != NULL) {
        slp_defer(st, w->tempval);
        w->tempval = error;
        w->bombed = 1;
    }
    call_hook(st, me, next);
    slp_ring_remove(st, me);
    me->life = SLP_UNBOUND;
    me->next = st->dropped;
    st->dropped = me;
    st->switches++;
    return next;
}

/* ---- the dispatcher ------------------------------------------------------ */

/* Enter t, which has not run: its data stack is installed, so that the frame
   lands there.  Returns what the dispatcher is to call; NULL if there is an
   error, st->failure, with which t ends. */
static PyObject *
start(slp_thread *st, slp_task *t)
{
    t->life = SLP_STARTED;
    t->survived = 0;
    slp_gc_unfinalize(t->self); /* it may have been garbage before */
    st->current = t;
    st->arriving = false;
    t->measured = 0;
    if (t->func != NULL) {
        slp_room_make(st->state, t, t->func);
    }
    slp_pystate_fresh(&t->py, t->chunk, &t->exc);
    t->bottom = NULL;
    install(st, t);
    arrive(st);
    slp_atomic_arrive(st);
    if (t->bombed) {
        PyObject *exc = t->tempval;
        t->tempval = NULL;
        t->bombed = 0;
        slp_release(st); /* many may end so, one after the other */
        st->failure = exc;
        return NULL;
    }
    st->argument = 0;
    PyObject *func = t->func;
    t->func = NULL;
    return func;
}

/* c waits, while the tasklet on another C stack runs, until there is a job
   for it.  false: it has none and is to be left. */
static bool
park(slp_thread *st, slp_carrier *c, slp_task *next)
{
    st->job = NULL;
    st->current = next;
    if (st->idle_count < st->state->idle_limit && !slp_carrier_shares(c)) {
        slp_carrier_put_idle(st, c);
        go_to_carrier(st, next->carrier, false);
        if (!c->quit) {
            return true;
        }
        c->idle.context = st->ts->context;
        slp_pystate_install(st->ts, &c->idle);
    }
    return false;
}

static PyObject *
dispatch_op(slp_thread *st, uintptr_t sp)
{
    PyThreadState *ts = st->ts;
    slp_carrier *c = st->running;
    slp_pop_settle(ts, st->head);
    if (c->dispatcher == NULL) {
        c->sp = sp - (uintptr_t)st->state->quick_offset;
        c->dispatcher = SLP_FRAME(ts);
        slp_pystate_stash(ts, &c->idle);
        c->idle.context = NULL;
        slp_quick_update(st);
    }
    SLP_ASSERT(c->sp == sp - (uintptr_t)st->state->quick_offset);
    if (st->job == NULL) {
        st->job = end_current(st);
    }
    for (;;) {
        slp_task *next = st->job;
        if (next->life == SLP_READY) { /* its data stack comes at once */
            st->job = NULL;
            PyObject *func = start(st, next);
            if (SLP_LIKELY(func != NULL)) {
                return func;
            }
            st->job = end_current(st); /* killed before it has run */
            continue;
        }
        /* Never run on the data stack of one who has left. */
        c->idle.context = ts->context;
        slp_pystate_install(ts, &c->idle);
        if (next->carrier != NULL) {
            if (!park(st, c, next)) {
                return NULL; /* without an exception: the loop ends */
            }
            continue;
        }
        st->evaluator = slp_evaluator_take(ts);
        return Py_NewRef(st->state->resume_gate);
    }
}

/* The end of the second half of the switch to a new tasklet, which is the running
   one by now.  What it was called with is on the dispatcher's stack. */
static inline void
end_start(slp_thread *st, slp_task *t)
{
    PyObject *args = t->args, *tempval = t->tempval;
    t->args = t->tempval = NULL;
    if (st->dropped != NULL || st->trash_count > 0) {
        slp_release(st);
    }
    Py_DECREF(args);
    Py_XDECREF(tempval);
}

static PyObject *
dispatch_op_invert(PyObject *Py_UNUSED(self))
{
    uintptr_t sp = SLP_FRAME_ADDRESS();
    slp_thread *st = slp_thread_of_end(sp);
    PyObject *func = slp_call_raw(dispatch_op, st, sp);
    int which = 0; /* resume_gate takes no argument */
    if (SLP_UNLIKELY(func == NULL)) {
        which = SLP_DISPATCHER_ENDS;
        func = Py_NewRef(Py_None);
    }
    else if (st->job == NULL) {
        which = (int)PyTuple_GET_SIZE(st->current->args);
        SLP_ASSERT(which <= SLP_DISPATCH_ARGS);
        if (which == 0) {
            end_start(st, st->current);
            slp_thread_still(st);
        }
    }
    slp_dispatcher_aim(SLP_FRAME(st->ts), which); /* at last: others may run */
    return func;
}

/* The next argument for the function that is being started. */
static PyObject *
argument_op_invert(PyObject *Py_UNUSED(self))
{
    slp_thread *st = slp_this_thread;
    slp_task *t = st->current;
    PyObject *v = Py_NewRef(PyTuple_GET_ITEM(t->args, st->argument++));
    if (st->argument == PyTuple_GET_SIZE(t->args)) {
        end_start(st, t);
        slp_thread_still(st);
    }
    return v;
}

/* The same asked by tp_iternext: NULL without an exception after the last one. */
static PyObject *
argument_op(slp_thread *st, uintptr_t Py_UNUSED(sp))
{
    if (st->job != NULL) {
        return NULL;
    }
    slp_task *t = st->current;
    if (st->argument < PyTuple_GET_SIZE(t->args)) {
        return Py_NewRef(PyTuple_GET_ITEM(t->args, st->argument++));
    }
    end_start(st, t);
    return NULL;
}

SLP_RAW_OP_INVERTED(dispatch_op, slp_thread_of_end, dispatch_op_invert);
SLP_RAW_OP_INVERTED(argument_op, slp_thread_of_switch, argument_op_invert);

/* Of the frame above one that was interrupted. */
static PyObject *
interruption_op(slp_thread *st, uintptr_t Py_UNUSED(sp))
{
    slp_frame *f = SLP_FRAME(st->ts);
    if (slp_interruption_end(f)) {
        slp_watch_repeats(st, slp_frame_below(f));
    }
    Py_RETURN_NONE;
}

SLP_RAW_OP(interruption_op, slp_thread_of_switch);

/* From the dispatcher into a softly suspended tasklet. */
static PyObject *
resume_gate_op(slp_thread *st, uintptr_t Py_UNUSED(sp))
{
    slp_frame *gate = SLP_FRAME(st->ts);
    slp_task *t = st->job;
    slp_tracing_off(st->ts);
#if SLP_GENERATORS_ARE_CALLED
    if (slp_uncalled(t)) {
        return slp_called_begin(st);
    }
#endif
    st->job = NULL;
    if (st->evaluator == NULL && st->quick_sp != 0 && st->dropped == NULL
        && st->trash_count == 0 && slp_pop_words_free(gate)
        && !slp_pop_at_edge(st->ts, gate)
        && !slp_instrumentation_changed(st->ts, st->state->instrumented)
        && (slp_quick_arrives(st, t) || slp_quick_arrives_at_edge(st, t))) {
        return slp_quick_enter(st, gate, t);
    }
    slp_quick_undo(st, t);
    slp_frame_return_into(gate, t->top);
    slp_frame_return_into(t->bottom, st->running->dispatcher);
    st->current = t;
    st->arriving = true;
    return Py_NewRef(st->state->resume_op);
}

SLP_RAW_OP(resume_gate_op, slp_thread_of_switch);

#if SLP_GENERATORS_ARE_CALLED

static PyObject *
called_gate_op(slp_thread *st, uintptr_t Py_UNUSED(sp))
{
    PyObject *v = slp_called_go_on(st);
    return v ? v : Py_NewRef(st->state->resume_op);
}

SLP_RAW_OP(called_gate_op, slp_thread_of_switch);

static int
make_called_gate(slp_state *s)
{
    PyObject *op = slp_quick_op_new(&called_gate_op_spec);
    s->called_gate = op ? slp_gate_new("called", op) : NULL;
    Py_XDECREF(op);
    return s->called_gate ? 0 : -1;
}

#else

static int
make_called_gate(slp_state *Py_UNUSED(s))
{
    return 0;
}

#endif

/* ---- setup --------------------------------------------------------------- */

int
slp_dispatch_setup(slp_state *s)
{
    s->op_type = (PyTypeObject *)PyType_FromSpec(&op_spec);
    if (s->op_type == NULL) {
        return -1;
    }
    PyObject *next = slp_quick_op_new(&dispatch_op_spec);
    PyObject *arg = slp_quick_op_new(&argument_op_spec);
    PyObject *gate = slp_quick_op_new(&resume_gate_op_spec);
    PyObject *end = slp_quick_op_new(&interruption_op_spec);
    s->resume_op = slp_quick_op_new(&resume_op_spec);
    s->reraise = PyCFunction_New(&reraise_def, NULL);
    if (next && arg && gate && end && s->resume_op && s->reraise) {
        s->dispatcher = slp_dispatcher_new(next, arg);
        s->resume_gate = slp_gate_new("resume", gate);
        s->resumer = slp_resumer_new(s->reraise);
        s->interrupted_function = slp_interrupted_function_new(end);
    }
    Py_XDECREF(next);
    Py_XDECREF(arg);
    Py_XDECREF(gate);
    Py_XDECREF(end);
    if (s->dispatcher == NULL || s->resume_gate == NULL || s->resumer == NULL
        || s->interrupted_function == NULL || make_called_gate(s) < 0) {
        return -1;
    }
    s->spread = slp_spread_new();
    return s->spread == NULL ? -1 : 0;
}
