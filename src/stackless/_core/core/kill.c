/* SPDX-License-Identifier: PSF-2.0 */
/* How tasklets end without returning: killed because nobody can reach them,
   at the end of their thread or of the interpreter, or taken apart.

   One rule: a tasklet that has started and that nobody can reach is killed
   (TaskletExit, `finally` runs), whether it is suspended softly or hard.
   By a reference count that happens at once; the garbage collector must not
   be left by a switch, so there it is put into the ring and killed as soon as
   the collector is done. */
#include "sched.h"

#include "bomb.h"
#include "dispatch.h"
#include "host.h"
#include "sleep.h"
#include "soften.h"
#include "watchdog.h"

/* A tasklet that survives being killed is killed again each time it becomes
   unreachable, but not for ever. */
#define MAX_KILLS 10

/* ---- after a switch ------------------------------------------------------ */

/* What a tasklet holds besides its frames. */
typedef struct {
    PyObject *held[5];
} belongings;

/* Make it as good as new.  Destructors of what it held may bind it again, so
   they run when nobody looks at it any more. */
static inline belongings
strip(slp_task *t)
{
    belongings b = {
        {t->exc.exc_value, t->func, t->args, t->tempval, t->py.context},
    };
    if (t->chunk != NULL) {
        slp_chunk_free(t->chunk);
    }
    t->popped = t->edge = t->uncalled = 0;
    if (t->doomed && t->thread != NULL) {
        t->thread->doomed--;
    }
    t->doomed = t->survived = t->bombed = 0;
    t->chunk = NULL;
    t->exc.previous_item = NULL;
    t->exc.exc_value = t->func = t->args = t->tempval = t->py.context = NULL;
    return b;
}

static inline void
release(belongings b)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(b.held); i++) {
        Py_XDECREF(b.held[i]);
    }
}

void
slp_release(slp_thread *st)
{
    while (st->dropped != NULL || st->trash_count > 0) {
        if (st->dropped == NULL) {
            PyObject *op = st->trash[--st->trash_count];
            Py_DECREF(op);
            continue;
        }
        /* First: destructors may use these, and their links. */
        slp_task *t = st->dropped;
        st->dropped = t->next;
        t->next = NULL;
        if (t->life == SLP_UNBOUND
            && (Py_REFCNT(t->self) > 1
                || !Py_IS_TYPE(t->self, st->state->tasklet_type))) {
            release(strip(t)); /* else that is done where t goes */
        }
        slp_task_release(t);
    }
}

/* ---- taken apart --------------------------------------------------------- */

static void
leave_watchdogs(slp_task *t)
{
    slp_thread *st = t->thread;
    t->watchdog = 0;
    if (st == NULL) {
        return;
    }
    if (st->watch.owner == t) {
        slp_watch_end(st);
    }
    Py_ssize_t keep = 0, found = 0;
    for (Py_ssize_t i = 0; i < st->watchdog_count; i++) {
        if (st->watchdogs[i] != t) {
            st->watchdogs[keep++] = st->watchdogs[i];
        }
        else {
            found++;
        }
    }
    st->watchdog_count = keep;
    while (found-- > 0) {
        slp_task_release(t); /* the caller holds another one */
    }
}

int
slp_task_discard(slp_task *t)
{
    slp_frame *top = t->top, *bottom = t->bottom;
    if (t->life == SLP_UNBOUND && t->chunk == NULL && t->func == NULL
        && t->args == NULL && t->tempval == NULL && t->exc.exc_value == NULL
        && t->py.context == NULL && t->py.extras == NULL && t->entry == 0) {
        return 0; /* as good as new */
    }
    if (t->life == SLP_STARTED && t->carrier != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "tasklet has C state on its stack");
        return -1;
    }
    if (t->watchdog) {
        leave_watchdogs(t);
    }
    t->top = t->bottom = NULL;
    if (t->life != SLP_STARTED || top == NULL) {
        t->life = SLP_UNBOUND;
        slp_pystate py = t->py;
        t->py.extras = NULL;
        release(strip(t));
        slp_extras_drop(slp_ts(), &py);
        return 0;
    }
    slp_pystate py = t->py;
    _PyStackChunk *root = t->chunk;
    if (t->popped && t->thread != NULL) {
        slp_pop_settle(t->thread->ts, t->thread->head);
    }
    if (t->edge) {
        slp_pystate_leave_edge(&py);
    }
    t->life = SLP_UNBOUND;
    t->chunk = NULL;
    t->py.extras = NULL;
    belongings b = strip(t);
    slp_frames_drop(top, bottom);
    slp_chunks_drop(py.chunk, root);
    slp_chunk_free(root);
    slp_extras_drop(slp_ts(), &py);
    release(b);
    return 0;
}

/* ---- killed -------------------------------------------------------------- */

static bool
may_switch_now(slp_thread *st)
{
    return !st->in_callback && !st->switch_trap && st->job == NULL
           && !st->state->finalizing && st->current != NULL
           && !slp_collecting(st);
}

static PyObject *
new_tasklet_exit(slp_state *s)
{
    PyObject *none = PyTuple_New(0);
    PyObject *exc = none ? slp_exc_from_class(s->tasklet_exit, none) : NULL;
    Py_XDECREF(none);
    return exc;
}

/* What the current tasklet was given last: it may be in the middle of an
   operation of its own when others are killed on its way. */
typedef struct {
    PyObject *tempval;
    bool bombed;
} given;

static given
put_aside(slp_task *me)
{
    given aside = {me->tempval, me->bombed};
    me->tempval = NULL;
    me->bombed = 0;
    return aside;
}

static void
put_back(slp_task *me, given aside)
{
    Py_XSETREF(me->tempval, aside.tempval);
    me->bombed = aside.bombed;
}

/* After an operation that gave r: wait for the outcome.  1: there is one; 0: it
   did not take place; -1: the outcome is an exception.  At 0 and -1 there is
   an exception set. */
static int
come_back(slp_thread *st, int r)
{
    if (r < 0) {
        slp_failed(st);
        return 0;
    }
    PyObject *v = slp_resume(st);
    Py_XDECREF(v);
    return v == NULL ? -1 : 1;
}

/* Kill t now; the caller goes on when t has ended or blocked.  1: done; 0: it
   could not be; -1: done, and another's exception has reached the caller.  At
   0 and -1 there is an exception set. */
static int
kill_now(slp_thread *st, slp_task *t)
{
    slp_entry e = {.gate = NULL};
    slp_task *me = st->current;
    given aside = put_aside(me);
    PyObject *exc = new_tasklet_exit(st->state);
    int r = exc ? slp_task_throw(st, &e, t, exc, false) : -1;
    r = come_back(st, r);
    put_back(me, aside);
    return r;
}

static int
reap_here(void)
{
    slp_thread *st = slp_thread_peek();
    if (st != NULL && st->doomed > 0 && may_switch_now(st)) {
        return slp_reap(st);
    }
    return 0;
}

static int
reap_pending(void *Py_UNUSED(arg))
{
    /* As an interruption, so that there can be others meanwhile; where that would
       come later, without. */
    return SLP_PENDING_ANYWHERE ? slp_pending_go(slp_ts(), reap_here)
                                : reap_here();
}

/* Have t killed by its own thread, soon. */
static void
kill_later(slp_task *t)
{
    slp_thread *st = t->thread;
    PyObject *exc = new_tasklet_exit(st->state);
    if (exc == NULL) {
        PyErr_WriteUnraisable(NULL);
        return;
    }
    PyObject *old = t->tempval;
    t->tempval = NULL;
    slp_task_bomb(st, t, exc, true);
    slp_thread_wake(st);
    if (!t->doomed) {
        t->doomed = 1;
        st->doomed++;
    }
    Py_XDECREF(old);
    /* If the queue is full the ring will do. */
    (void)Py_AddPendingCall(reap_pending, NULL);
}

/* Run t, which is in the ring with an exception in its way.  1: done;
   0: not now; -1: an exception that is for the current tasklet. */
static int
reap_one(slp_thread *st, slp_task *t)
{
    slp_entry e = {.gate = NULL};
    slp_task *me = st->current;
    t->doomed = 0;
    st->doomed--;
    slp_ring_remove(st, t);
    slp_ring_before(st, me, t);
    given aside = put_aside(me);
    int r = slp_task_run(st, &e, t);
    r = come_back(st, r);
    if (r == 0) {
        PyErr_Clear(); /* gone meanwhile, or its turn comes later */
    }
    put_back(me, aside);
    return r;
}

int
slp_reap(slp_thread *st)
{
    slp_task *t = st->current->prev;
    while (st->doomed > 0 && t != st->current) {
        if (!t->doomed) {
            t = t->prev;
            continue;
        }
        int r = reap_one(st, t);
        if (r <= 0) {
            return r;
        }
        t = st->current->prev;
    }
    return 0;
}

/* Not killable: remembered where unreachable things of old were. */
static void
give_up(slp_task *t)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *garbage = gc ? PyObject_GetAttrString(gc, "garbage") : NULL;
    if (garbage == NULL || PyList_Append(garbage, t->self) < 0) {
        PyErr_WriteUnraisable(t->self);
        slp_task_hold(t);
    }
    Py_XDECREF(garbage);
    Py_XDECREF(gc);
}

/* Kill t, which nobody can reach.  false: it is not suspended somewhere for
   ever, or it is none of our business any more. */
static bool
kill_unreachable(slp_task *t)
{
    slp_thread *owner = t->thread, *st = slp_thread_peek();
    if (t->life != SLP_STARTED || owner->current == t) {
        return false;
    }
    if (t->kills >= MAX_KILLS) {
        give_up(t);
        return false;
    }
    t->kills++;
    if (st != owner || !may_switch_now(st)) {
        kill_later(t);
        return false;
    }
    int r = kill_now(st, t);
    if (r == 0) {
        PyErr_Clear(); /* no memory for the switch */
        kill_later(t);
        return false;
    }
    if (r < 0) {
        PyErr_WriteUnraisable(t->self);
    }
    return t->life == SLP_STARTED && t->place == SLP_FLOATING;
}

void
slp_task_finalize(slp_task *t)
{
    if (t->life != SLP_STARTED || t->is_main || t->thread == NULL
        || t->thread->state->finalizing) {
        return;
    }
    PyObject *pending = slp_take_exc();
    /* One that survives is unreachable again, if nobody took it. */
    Py_ssize_t references = Py_REFCNT(t->self);
    while (kill_unreachable(t) && Py_REFCNT(t->self) <= references) {
    }
    t->survived = t->life == SLP_STARTED;
    if (pending != NULL) {
        slp_raise(pending);
    }
}

/* ---- the end of a thread, of the interpreter ----------------------------- */

/* The tasklets of the thread that have started and can be killed, newest
   first, as a list.  hard: only those bound to a C stack. */
static PyObject *
list_started(slp_thread *st, bool hard)
{
    slp_state *s = st->state;
    PyObject *list = PyList_New(0);
    for (slp_task *t = s->all.all_prev; list && t != &s->all;
         t = t->all_prev) {
        if (t->thread == st && t->life == SLP_STARTED && !t->is_main
            && t != st->current && Py_REFCNT(t->self) > 0
            && (!hard || t->carrier != NULL)
            && PyList_Append(list, t->self) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* A `finally` may hand over to others, start some and wait for them; but it
   may not go on for ever. */
#define MAX_TURNS 100

static void
give_turns(slp_thread *st)
{
    slp_task *me = st->current;
    for (int i = 0; me == st->main && st->runcount > 1 && i < MAX_TURNS; i++) {
        slp_entry e = {.gate = NULL};
        given aside = put_aside(me);
        int r = come_back(st, slp_schedule(st, &e, Py_None, false));
        put_back(me, aside);
        if (r <= 0) {
            PyErr_WriteUnraisable(NULL);
        }
        if (r == 0) {
            return;
        }
    }
}

/* Some may block again, start others or be started by them: several rounds. */
static void
kill_started(slp_thread *st, bool hard)
{
    for (int round = 0; round < MAX_KILLS; round++) {
        PyObject *list = list_started(st, hard);
        Py_ssize_t n = list ? PyList_GET_SIZE(list) : 0;
        for (Py_ssize_t i = 0; i < n; i++) {
            slp_task *t = slp_task_of(PyList_GET_ITEM(list, i));
            if (t->thread != st) {
                continue; /* others have run, and moved it */
            }
            if (t->place == SLP_IN_RING) {
                /* What is behind it is not to run when it has ended. */
                slp_ring_remove(st, t);
                slp_ring_before(st, st->current, t);
            }
            if (hard && slp_soften(t) < 0) {
                PyErr_WriteUnraisable(t->self);
            }
            if (hard && t->carrier == NULL) {
                continue;
            }
            if (t->life == SLP_STARTED && kill_now(st, t) <= 0) {
                PyErr_WriteUnraisable(t->self);
            }
        }
        if (list == NULL) {
            PyErr_WriteUnraisable(NULL);
        }
        Py_XDECREF(list);
        if (n == 0) {
            return;
        }
        if (!hard) {
            give_turns(st);
        }
    }
}

/* Take everything but the running tasklet out of the ring. */
static void
empty_ring(slp_thread *st)
{
    slp_task *t;
    while ((t = st->current->next) != st->current) {
        slp_ring_remove(st, t);
        slp_task_release(t);
    }
}

/* Take out what has not run and is not going to. */
static void
drop_new(slp_thread *st)
{
    slp_task *t = st->current->next;
    while (t != st->current) {
        slp_task *next = t->next;
        if (t->life != SLP_STARTED) {
            slp_ring_remove(st, t);
            /* Its arguments' destructors may do anything. */
            slp_task_release(t);
            next = st->current->next;
        }
        t = next;
    }
}

void
slp_kill_all(slp_thread *st)
{
    st->switch_trap = 0;
    if (!may_switch_now(st)) {
        return;
    }
    PyObject *pending = slp_take_exc();
    drop_new(st);
    kill_started(st, false);
    empty_ring(st);
    slp_carriers_trim(st, 0);
    if (pending != NULL) {
        slp_raise(pending);
    }
}

/* No tasklet belongs to the thread any more. */
static void
orphan_all(slp_thread *st)
{
    slp_state *s = st->state;
    for (slp_task *t = s->all.all_next; t != &s->all; t = t->all_next) {
        if (t->thread == st) {
            t->thread = NULL;
        }
    }
}

/* Its own scheduler is gone, and it cannot run any more: after a fork, or at
   exit while the thread sleeps.  What it was running stays as it is. */
static void
abandon(slp_thread *st)
{
    slp_task *me = st->current;
    orphan_all(st); /* first: nothing is killed */
    empty_ring(st);
    slp_ring_remove(st, me); /* its reference stays with it */
    slp_host_forget(st);
    me->life = SLP_UNBOUND;
    me->top = me->bottom = NULL;
    me->py.context = NULL;
    st->current = st->main = NULL;
}

void
slp_thread_end(slp_thread *st)
{
    slp_task *main = st->main;
    if (st->current != main || st->host != NULL || slp_ts() != st->ts) {
        abandon(st);
        return;
    }
    PyObject *pending = slp_take_exc();
    st->switch_trap = 0;
    if (may_switch_now(st)) {
        kill_started(st, true);
    }
    /* Those that nobody else holds are killed now, the others are orphans. */
    slp_watch_end(st);
    while (st->watchdog_count > 0) {
        slp_task *w = st->watchdogs[--st->watchdog_count];
        w->watchdog = 0;
        slp_task_release(w);
    }
    empty_ring(st);
    orphan_all(st);
    slp_carriers_trim(st, 0);
    slp_ring_remove(st, main);
    main->life = SLP_UNBOUND;
    /* Destructors find no scheduler from here on. */
    slp_thread_forget(st);
    st->current = st->main = NULL;
    slp_task_release(main);
    slp_task_release(main);
    slp_release(st);
    PyMem_Free(st->watchdogs);
    st->watchdogs = NULL;
    slp_carrier_free(st->native);
    st->native = st->running = NULL;
    slp_pool_clear(&st->pool);
    if (pending != NULL) {
        slp_raise(pending);
    }
}

/* ---- the collector ------------------------------------------------------- */

static void
begin_collection(slp_state *s, slp_thread *st, Py_ssize_t others)
{
    if (others == 0) { /* forget those whose end was not told */
        s->collections = 0;
        for (slp_thread *t = s->threads; t != NULL; t = t->next_thread) {
            t->collecting = 0;
        }
    }
    s->collections++;
    if (st != NULL) {
        st->collecting++;
    }
    else { /* it may get a scheduler meanwhile */
        s->collector_id = PyThreadState_GetID(slp_ts());
    }
}

static void
end_collection(slp_state *s, slp_thread *st)
{
    if (s->collections > 0) {
        s->collections--;
    }
    if (st != NULL && st->collecting > 0) {
        st->collecting--;
    }
    if (s->collector_id == PyThreadState_GetID(slp_ts())) {
        s->collector_id = 0;
    }
}

PyObject *
slp_gc_callback(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *phase = PyTuple_Size(args) > 0 ? PyTuple_GET_ITEM(args, 0)
                                             : NULL;
    slp_thread *st = slp_thread_peek();
    slp_state *s = slp_state_peek();
    if (s != NULL && phase != NULL && PyUnicode_Check(phase)) {
        bool start = PyUnicode_CompareWithASCIIString(phase, "start") == 0;
        PyThreadState *ts = slp_ts();
        Py_ssize_t ended = slp_gc_ended(ts);
        bool nested = SLP_GC_NESTS && s->begun > ended;
        Py_ssize_t others = nested ? s->begun - ended : 0;
        if (start) {
            begin_collection(s, st, others);
            s->begun = ended + others + 1;
        }
        else {
            end_collection(s, st);
        }
    }
    Py_RETURN_NONE;
}
