/* SPDX-License-Identifier: PSF-2.0 */
/* The scheduler's policy: order of the ring, blocking, run().

   The ring is circular; the running tasklet is its head.  "Append" links
   right before the head, that is, at the far end.  Each operation that
   switches goes the same way: plan, prepare (which may run callbacks and
   fail; then plan again or give up), change the lists, switch. */
#include "sched.h"

#include "dispatch.h"
#include "sleep.h"
#include "watchdog.h"

/* ---- who is next --------------------------------------------------------- */

slp_task *
slp_watchdog(slp_thread *st)
{
    return st->watchdog_count > 0 ? st->watchdogs[st->watchdog_count - 1]
                                  : st->main;
}

slp_task *
slp_successor(slp_thread *st, slp_task *me)
{
    if (me->next != me) {
        return me->next;
    }
    if (st->watch.threadblock && slp_may_be_woken(st)) {
        return NULL;
    }
    slp_task *w = slp_watchdog(st);
    return w != me && w->place == SLP_FLOATING ? w : NULL;
}

/* next, who may be floating, is right behind me. */
static void
link_next(slp_thread *st, slp_task *me, slp_task *next)
{
    if (next->place == SLP_FLOATING) {
        slp_task_hold(next);
        slp_ring_after(st, me, next);
        slp_sleeper_taken(st, next);
    }
}

/* me leaves the ring; its reference to me is the caller's. */
static void
leave_ring(slp_thread *st, slp_task *me, slp_task *next)
{
    link_next(st, me, next);
    slp_ring_remove(st, me);
}

/* ---- block, wake, cancel ------------------------------------------------- */

int
slp_block(slp_thread *st, slp_entry *e, slp_waitq *q, bool sending)
{
    slp_task *me = st->current;
    if (me->block_trap) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this tasklet does not like to be blocked.");
        return -1;
    }
    slp_task *owner = slp_watch_soft(st);
    slp_task *next = owner ? owner : slp_successor(st, me);
    if (next == NULL) {
        bool changed;
        next = slp_sleeper(st, "the last runnable tasklet cannot be blocked.",
                           false, &changed);
        if (next == NULL) {
            return -1;
        }
        if (changed) {
            return 1;
        }
    }
    int r = slp_switch_prepare(st, e, next);
    if (r != 0) {
        return r;
    }
    leave_ring(st, me, next);
    me->sending = sending;
    slp_waitq_append(q, me);
    q->counted(q, me, 1);
    slp_switch(st, e, next);
    return 0;
}

slp_task *
slp_wake(slp_waitq *q)
{
    return slp_waitq_take_first(q);
}

void
slp_cancel(slp_task *t)
{
    slp_waitq *q = t->waitq;
    slp_waitq_remove(q, t);
    q->counted(q, t, -1);
}

/* ---- schedule, run, switch ----------------------------------------------- */

void
slp_set_outcome(slp_task *me, PyObject *v)
{
    PyObject *old = me->tempval;
    me->bombed = 0;
    if (SLP_UNLIKELY(old != NULL)) {
        me->tempval = NULL;
        Py_DECREF(old); /* may run code that uses tempval itself */
    }
    me->tempval = v;
}

int
slp_schedule(slp_thread *st, slp_entry *e, PyObject *retval, bool remove)
{
    slp_task *me = st->current;
    slp_set_outcome(me, Py_NewRef(retval));
    for (;;) {
        slp_task *owner = slp_watch_soft(st);
        slp_task *next = owner    ? owner
                         : remove ? slp_successor(st, me)
                                  : me->next;
        if (next == me || (next == NULL && me == st->main)) {
            return 0;
        }
        if (next == NULL) {
            bool changed;
            next = slp_sleeper(st,
                               "the last runnable tasklet cannot be removed.",
                               false, &changed);
            if (next != NULL && changed) {
                continue;
            }
        }
        int r = next ? slp_switch_prepare(st, e, next) : -1;
        if (r > 0) {
            continue;
        }
        if (r < 0) {
            slp_set_outcome(me, NULL);
            return -1;
        }
        link_next(st, me, next);
        if (remove) {
            slp_ring_remove(st, me);
            slp_drop_later(st, me);
        }
        slp_switch(st, e, next);
        return 0;
    }
}

int
slp_task_reach(slp_task *t, const char *what)
{
    if (t->thread != NULL) {
        return 0;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "cannot %s this tasklet: tasklet has no thread (its thread "
                 "has ended)",
                 what);
    return -1;
}

int
slp_task_own(slp_thread *st, slp_task *t, const char *what)
{
    if (t->thread == st) {
        return 0;
    }
    if (slp_task_reach(t, what) < 0) {
        return -1;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "cannot %s this tasklet: it belongs to a different thread "
                 "(%lu, this is %lu)",
                 what, t->thread->ident, st->ident);
    return -1;
}

void
slp_task_give(slp_task *t, bool at_end)
{
    slp_thread *owner = t->thread;
    if (at_end) {
        slp_ring_append(owner, t);
    }
    else {
        slp_ring_after(owner, owner->current, t);
    }
    slp_thread_wake(owner);
}

/* Can t be run, by its thread? */
static int
check_runnable(slp_task *t, const char *what)
{
    if (t->place == SLP_IN_QUEUE) {
        PyErr_Format(PyExc_RuntimeError, "You cannot %s a blocked tasklet",
                     what);
        return -1;
    }
    if (!slp_task_alive(t)) {
        PyErr_Format(PyExc_RuntimeError,
                     "You cannot %s an unbound(dead) tasklet", what);
        return -1;
    }
    return slp_task_reach(t, what);
}

/* Run t at once; the current tasklet stays behind it in the ring, or leaves
   it. */
static int
run_now(slp_thread *st, slp_entry *e, slp_task *t, bool leave)
{
    slp_task *me = st->current;
    slp_set_outcome(me, NULL);
    for (;;) {
        const char *what = leave ? "switch to" : "run";
        if (check_runnable(t, what) < 0 || slp_task_own(st, t, what) < 0) {
            return -1;
        }
        if (t == me) {
            return 0;
        }
        int r = slp_switch_prepare(st, e, t);
        if (r > 0) {
            continue;
        }
        if (r < 0) {
            return -1;
        }
        if (t->place == SLP_FLOATING) {
            slp_task_hold(t);
            slp_ring_before(st, me, t);
        }
        if (leave) {
            slp_ring_remove(st, me);
            slp_drop_later(st, me);
        }
        slp_switch(st, e, t);
        return 0;
    }
}

/* t, of another thread, is the next one that runs there. */
static int
run_there(slp_thread *st, slp_task *t)
{
    slp_set_outcome(st->current, NULL);
    if (check_runnable(t, "run") < 0) {
        return -1;
    }
    if (t == t->thread->current) {
        return 0;
    }
    if (t->place == SLP_IN_RING) {
        slp_ring_remove(t->thread, t);
    }
    else {
        slp_task_hold(t);
    }
    slp_task_give(t, false);
    return 0;
}

int
slp_task_run(slp_thread *st, slp_entry *e, slp_task *t)
{
    return t->thread == st ? run_now(st, e, t, false) : run_there(st, t);
}

int
slp_task_switch(slp_thread *st, slp_entry *e, slp_task *t)
{
    return run_now(st, e, t, true);
}

int
slp_task_insert(slp_task *t)
{
    if (check_runnable(t, "run") < 0) {
        return -1;
    }
    if (t->place == SLP_FLOATING) {
        slp_task_hold(t);
        slp_task_give(t, true);
    }
    return 0;
}

int
slp_task_remove(slp_task *t)
{
    if (t->place == SLP_IN_QUEUE) {
        PyErr_SetString(PyExc_RuntimeError,
                        "You cannot remove a blocked tasklet.");
        return -1;
    }
    if (t->place == SLP_FLOATING) {
        return 0;
    }
    if (t == t->thread->current) {
        PyErr_SetString(PyExc_RuntimeError,
                        "You cannot remove the current tasklet.");
        return -1;
    }
    slp_ring_remove(t->thread, t);
    slp_task_release(t); /* the caller holds another one */
    return 0;
}

/* ---- throw --------------------------------------------------------------- */

void
slp_task_bomb(slp_thread *st, slp_task *t, PyObject *exc, bool at_end)
{
    if (t->place == SLP_IN_QUEUE) {
        slp_cancel(t);
    }
    else if (t->place == SLP_FLOATING) {
        slp_task_hold(t);
    }
    if (t->place == SLP_FLOATING) {
        if (at_end) {
            slp_ring_append(st, t);
        }
        else {
            slp_ring_before(st, st->current, t);
        }
    }
    PyObject *old = t->tempval;
    t->tempval = exc;
    t->bombed = 1;
    slp_defer(st, old);
}

/* Killed, but no thread can run it any more: drop what it has. */
static int
kill_threadless(slp_task *t)
{
    bool queued = t->place == SLP_IN_QUEUE;
    if (queued) {
        slp_cancel(t);
    }
    int r = slp_task_discard(t);
    if (queued) {
        slp_task_release(t); /* the caller holds another one */
    }
    return r;
}

/* The same for a tasklet of another thread; at once or not, its thread comes to
   it.  Runs destructors. */
static void
bomb_there(slp_task *t, PyObject *exc, bool pending)
{
    PyObject *old = t->tempval;
    if (t->place == SLP_IN_QUEUE) {
        slp_cancel(t);
    }
    else if (t->place == SLP_FLOATING) {
        slp_task_hold(t);
    }
    else if (!pending) {
        slp_ring_remove(t->thread, t);
    }
    t->tempval = exc;
    t->bombed = 1;
    if (t->place == SLP_FLOATING) {
        slp_task_give(t, pending);
    }
    Py_XDECREF(old);
}

/* 0: throw; 1: nothing to do; -1: error. */
static int
check_throw(slp_thread *st, slp_task *t, PyObject *exc)
{
    if (!slp_task_alive(t)) {
        if (PyErr_GivenExceptionMatches(exc, st->state->tasklet_exit)) {
            return 1;
        }
        PyErr_SetString(PyExc_RuntimeError,
                        "You cannot throw to a dead tasklet");
        return -1;
    }
    if (t->thread == NULL
        && PyErr_GivenExceptionMatches(exc, st->state->tasklet_exit)) {
        return kill_threadless(t) < 0 ? -1 : 1;
    }
    if (slp_task_reach(t, "throw to") < 0) {
        return -1;
    }
    if (t->thread != st && t->thread->current == t) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot throw to this tasklet: it is running in a "
                        "different thread");
        return -1;
    }
    return 0;
}

int
slp_task_throw(slp_thread *st, slp_entry *e, slp_task *t, PyObject *exc,
               bool pending)
{
    slp_task *me = st->current;
    if (t == me) {
        slp_raise(exc);
        return -1;
    }
    slp_set_outcome(me, NULL);
    for (;;) {
        int r = check_throw(st, t, exc);
        bool here = t->thread == st;
        if (r == 0 && here && !pending) {
            r = slp_switch_prepare(st, e, t);
            if (r > 0) {
                continue;
            }
        }
        if (r != 0) {
            Py_DECREF(exc);
            return r < 0 ? -1 : 0;
        }
        if (!here) {
            bomb_there(t, exc, pending);
            return 0;
        }
        slp_task_bomb(st, t, exc, pending);
        if (pending) {
            slp_release(st);
        }
        else {
            slp_switch(st, e, t);
        }
        return 0;
    }
}
