/* SPDX-License-Identifier: PSF-2.0 */
/* run(), and how long tasklets run before they are interrupted.

   While there is a limit, CPython is asked to call look() between instructions:
   by the clock, several times in the time that a tasklet has, or, for a small
   number of ticks, wherever it can be called.  There the running tasklet is left,
   hard, as from a C function.  Nothing is paid in between.

   An interruption that is not possible at the moment (the tasklet is atomic,
   inside a C call, ...) is put off: look() is called more often then. */
#include "watchdog.h"

#include "dispatch.h"
#include "quick.h"

/* CPython looks for calls where a loop begins anew, when a function begins and
   when one in C ends.  Each is two ticks, as `for i in range(n): pass` cost two per
   pass in Stackless. */
#define TICKS_PER_LOOK 2
/* Looks at once when an interruption had to be put off. */
#define TRIES 64
/* How often the clock asks, in nanoseconds: a part of the time there is, so that
   no tasklet runs much longer; while ticks are counted it only helps out. */
#define PARTS      4
#define MIN_PERIOD (SLP_SECOND / 10000)
#define MAX_PERIOD (SLP_SECOND / 100)
#define COUNTING   (SLP_SECOND / 1000)

/* ---- the clock ----------------------------------------------------------- */

static uint64_t
part_of(uint64_t time)
{
    uint64_t part = time / PARTS;
    return part < MIN_PERIOD   ? MIN_PERIOD
           : part > MAX_PERIOD ? MAX_PERIOD
                               : part;
}

static uint64_t
shorter(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t
period_for(slp_state *s, slp_watch *w)
{
    uint64_t p = s->look_interval;
    if (s->preempt != 0) {
        p = shorter(p, part_of(s->preempt));
    }
    if (w->owner != NULL && !w->soft_due) {
        p = shorter(p, w->slice != 0 ? part_of(w->slice) : COUNTING);
    }
    return p;
}

/* NULL, or why that cannot be. */
static const char *
set_clock(slp_state *s)
{
    uint64_t in_main = 0, in_others = 0;
    bool has_main = s->interp == PyInterpreterState_Main();
    for (slp_thread *st = s->threads; st != NULL; st = st->next_thread) {
        uint64_t p = period_for(s, &st->watch);
        if (has_main && st->ident == slp_main_thread_id()) {
            in_main = shorter(in_main, p);
        }
        else {
            in_others = shorter(in_others, p);
        }
    }
    return slp_clock_set(&s->clock, in_main,
                         SLP_PENDING_ANYWHERE ? in_others : 0);
}

void
slp_watch_threads(slp_state *s)
{
    if (s->preempt != 0 || s->look_interval != 0) {
        (void)set_clock(s); /* if there can be no thread now: later */
    }
}

static int
change(slp_state *s, uint64_t *what, uint64_t value)
{
    uint64_t before = *what;
    *what = value;
    const char *error = set_clock(s);
    if (error != NULL) {
        *what = before;
        PyErr_SetString(PyExc_RuntimeError, error);
        return -1;
    }
    return 0;
}

int
slp_preempt(slp_state *s, uint64_t interval)
{
    return change(s, &s->preempt, interval);
}

int
slp_look_often(slp_state *s, uint64_t interval)
{
    return change(s, &s->look_interval, interval);
}

/* ---- is it time ----------------------------------------------------------- */

/* Time and ticks begin anew when there was a switch. */
static void
notice_switches(slp_thread *st, uint64_t now)
{
    slp_watch *w = &st->watch;
    uint64_t switches = st->switches + st->quick_switches;
    if (switches != w->seen) {
        w->seen = switches;
        w->since = now;
        if (!w->total) {
            w->left = w->ticks;
            w->due = false;
        }
    }
}

static uint64_t
run_since(slp_watch *w)
{
    return w->total || w->begun > w->since ? w->begun : w->since;
}

static bool
limit_reached(slp_watch *w, uint64_t now)
{
    if (w->owner == NULL || w->soft_due) {
        return false;
    }
    return w->slice != 0 ? now - run_since(w) >= w->slice : w->left <= 0;
}

/* Not in the middle of an import: the locks of modules belong to threads, so
   another tasklet would get a module that is half made. */
static bool
turn_is_over(slp_thread *st, uint64_t now)
{
    uint64_t interval = st->state->preempt;
    return interval != 0 && st->current->next != st->current
           && now - st->watch.since >= interval
           && !slp_frames_import(SLP_FRAME(st->ts), st->running->dispatcher);
}

/* Can the running tasklet be left here?  nested: from inside C calls, too. */
static bool
can_leave(slp_thread *st, bool nested)
{
    slp_task *me = st->current;
    slp_frame *f = slp_frame_python_below(SLP_FRAME(st->ts));
    if (me->atomic || me->sleeper || st->in_callback || st->switch_trap != 0
        || st->arriving || st->job != NULL || slp_collecting(st) || f == NULL
        || slp_frame_is_sentinel(f) || slp_frame_is_ours(f)) {
        return false;
    }
    return nested || me->ignore_nesting
           || slp_carrier_nesting(st->running, f) == 0;
}

/* ---- the interruption ------------------------------------------------------ */

/* The owner of the limit goes on, and its run() returns who was running. */
static void
hand_over(slp_thread *st, slp_task *me, slp_task *owner)
{
    if (owner->place == SLP_FLOATING) {
        slp_task_hold(owner);
        slp_ring_before(st, me, owner);
    }
    if (owner->bombed) {
        return;
    }
    slp_defer(st, owner->tempval);
    owner->tempval = Py_NewRef(me->self);
    st->watch.victim = me;
    slp_ring_remove(st, me);
    slp_drop_later(st, me);
}

/* For tests; see the header. */
static slp_task *visitor;

static bool
is_visited(slp_thread *st)
{
    slp_task *t = visitor;
    return t != NULL && t->thread == st && slp_task_paused(t)
           && t != st->current && st->doomed == 0 && st->dropped == NULL
           && st->trash_count == 0 && st->state->schedule_hook == NULL
           && can_leave(st, true);
}

/* Leave the running tasklet; 0 when it goes on, or at once if it cannot be left
   after all, -1 with an exception that was thrown at it meanwhile. */
static int
leave(slp_thread *st, slp_task *const *to)
{
    slp_task *me = st->current, *next;
    slp_entry e = {.gate = NULL};
    /* Set by the program, or of an operation in whose middle Python code runs. */
    PyObject *tempval = me->tempval;
    bool bombed = me->bombed;
    int r;
    me->tempval = NULL;
    me->bombed = 0;
    do {
        next = *to; /* a callback may change it */
        r = next == NULL || next == me ? -1 : slp_switch_prepare(st, &e, next);
    } while (r > 0);
    if (r < 0) {
        slp_failed(st);
        PyErr_Clear(); /* not now */
        me->tempval = tempval;
        me->bombed = bombed;
        return 0;
    }
    if (to == &st->watch.owner) {
        hand_over(st, me, next);
    }
    else if (next->place == SLP_FLOATING) {
        slp_task_hold(next);
        slp_ring_before(st, me, next);
    }
    st->watch.since = slp_now();
    st->watch.seen = st->switches + st->quick_switches + 1;
    me->interrupted = tempval == NULL && !bombed;
    slp_switch(st, &e, next);
    me->interrupted = 0;
    PyObject *v = slp_resume(st);
    Py_XSETREF(me->tempval, tempval);
    me->bombed = bombed;
    Py_XDECREF(v); /* it has not asked for anything */
    return v == NULL ? -1 : 0;
}

static int look(void *arg);
static char again; /* its address: look() has asked for itself */

/* Call look() at the next occasion; inside: called by look(). */
static void
ask_again(slp_thread *st, bool inside)
{
    if (!st->watch.asked
        && (SLP_PENDING_ANYWHERE || slp_handles_signals(st->ts))) {
        st->watch.asked = slp_pending_again(st->ts, look, &again, inside);
    }
}

/* What look() has found, at a place where a C stack can be left. */
static int
act(void)
{
    slp_thread *st = slp_thread_peek();
    if (st == NULL) {
        return 0;
    }
    slp_watch *w = &st->watch;
    if (!SLP_PENDING_ANYWHERE && ((w->owner && w->slice == 0) || visitor)) {
        ask_again(st, false); /* look() could not */
    }
    if (w->due && w->owner != NULL && can_leave(st, w->ignore_nesting)) {
        w->due = false;
        return leave(st, &w->owner);
    }
    if (is_visited(st)) {
        return leave(st, &visitor);
    }
    return turn_is_over(st, slp_now()) && can_leave(st, true)
               ? leave(st, &st->current->next)
               : 0;
}

/* What one thread asks for may be made in another one, but in the main thread: then
   it has to ask again. */
static void
note_answer(slp_watch *w, bool asked_again)
{
    if (asked_again) {
        w->answers++;
        w->asked = false;
    }
    else if (!slp_handles_signals(slp_ts())) {
        w->asked = w->asked && w->answers > 0;
        w->answers = 0;
    }
}

static void
answer_clock(slp_thread *st, bool main)
{
    slp_state *s = st ? st->state : slp_state_peek();
    if (s != NULL && !main && s->watcher_id == PyThreadState_GetID(slp_ts())) {
        slp_clock_missed(&s->clock);
    }
    else if (s != NULL) {
        slp_clock_answered(&s->clock, main);
    }
}

/* By CPython, between two instructions, in whatever thread. */
static int
look(void *arg)
{
    slp_thread *st = slp_thread_peek();
    if (arg != &again) {
        answer_clock(st, arg != NULL);
    }
    else if (slp_pending_repeated(slp_ts(), look, arg)) {
        return 0;
    }
    if (slp_clock_is_lost()) {
        slp_watch_after_fork();
    }
    if (st == NULL || st->state->finalizing) {
        return 0;
    }
    st->looks++;
    slp_watch *w = &st->watch;
    note_answer(w, arg == &again);
    uint64_t now = slp_now();
    bool counts = w->owner != NULL && w->slice == 0;
    notice_switches(st, now);
    bool repeats = slp_pending_can_repeat(st->ts);
    /* It was left here: what is interrupted always gets on. */
    bool old = w->repeats != NULL && w->repeats == SLP_FRAME(st->ts);
    w->repeats = NULL;
    if (counts && !old) {
        w->left -= repeats ? TICKS_PER_LOOK : w->left;
    }
    if (!old && limit_reached(w, now) && !w->due) {
        w->due = true;
        w->tries = TRIES;
    }
    if (w->due && w->soft) {
        w->due = false;
        w->soft_due = true;
        slp_quick_update(st);
        (void)set_clock(st->state); /* it runs already */
    }
    bool now_possible = !old && w->due && can_leave(st, w->ignore_nesting);
    if (w->due && !now_possible) {
        w->tries = arg == &again ? w->tries - 1 : TRIES;
    }
    bool wants = w->due && !now_possible ? w->tries > 0
                                         : (counts && !w->soft_due) || visitor;
    if (wants && repeats) {
        ask_again(st, true);
    }
    else if (arg == &again) {
        slp_pending_enough(st->ts);
    }
    bool over = !old && turn_is_over(st, now);
    w->missed = over && !can_leave(st, true);
    if (now_possible || over || (!old && is_visited(st))) {
        return slp_pending_go(st->ts, act);
    }
    return 0;
}

void
slp_watch_again(slp_thread *st)
{
    if (st->ts == slp_ts()) {
        st->watch.missed = false;
        st->watch.tries = TRIES;
        ask_again(st, false);
    }
}

void
slp_watch_repeats(slp_thread *st, slp_frame *f)
{
    st->watch.repeats = f;
}

void
slp_watch_visit(slp_thread *st, slp_task *t)
{
    slp_task *old = visitor;
    visitor = t;
    if (t != NULL) {
        slp_task_hold(t);
        ask_again(st, false);
    }
    if (old != NULL) {
        slp_task_release(old);
    }
}

bool
slp_watch_asleep(slp_thread *st, uint64_t *left)
{
    slp_watch *w = &st->watch;
    *left = 0;
    if (w->owner == NULL || w->slice == 0) {
        return false;
    }
    uint64_t end = run_since(w) + w->slice, now = slp_now();
    if (now < end) {
        *left = end - now;
        return false;
    }
    if (w->owner->place == SLP_FLOATING) {
        slp_ring_append(st, slp_task_hold(w->owner));
    }
    return true;
}

/* ---- run() ---------------------------------------------------------------- */

static int
watchdog_room(slp_thread *st)
{
    if (st->watchdog_count < st->watchdog_room) {
        return 0;
    }
    Py_ssize_t room = st->watchdog_room ? 2 * st->watchdog_room : 8;
    slp_task **all = PyMem_Realloc(st->watchdogs, (size_t)room * sizeof(*all));
    if (all == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    st->watchdogs = all;
    st->watchdog_room = room;
    return 0;
}

/* me is going to wait inside run() with a limit. */
static int
set_limit(slp_thread *st, slp_task *me, const slp_limit *limit)
{
    slp_watch *w = &st->watch;
    if (!SLP_PENDING_ANYWHERE && !slp_handles_signals(st->ts)) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "run() with a limit in another thread than the main "
                        "one, or in a subinterpreter, needs CPython 3.12 or "
                        "later");
        return -1;
    }
    bool counted = limit->period == 0 && limit->ticks <= SLP_COUNTED_TICKS;
    w->ticks = w->left = limit->ticks;
    w->slice = limit->period != 0 ? limit->period
               : counted          ? 0
                                  : (uint64_t)limit->ticks * SLP_TICK;
    w->total = limit->total;
    w->soft = limit->soft;
    w->threadblock = limit->threadblock;
    w->ignore_nesting = limit->ignore_nesting;
    w->due = w->soft_due = false;
    w->begun = w->since = slp_now();
    w->seen = st->switches + st->quick_switches + 1; /* with ours */
    w->owner = me;
    const char *error = set_clock(st->state);
    if (error != NULL) {
        slp_watch_end(st);
        PyErr_SetString(PyExc_RuntimeError, error);
        return -1;
    }
    if (counted) {
        ask_again(st, false);
    }
    return 0;
}

void
slp_watch_end(slp_thread *st)
{
    slp_watch *w = &st->watch;
    bool was_soft = w->soft_due;
    w->owner = NULL;
    w->due = w->soft_due = w->threadblock = w->total = false;
    if (was_soft) {
        slp_quick_update(st);
    }
    (void)set_clock(st->state); /* it has run until now */
}

int
slp_run_watchdog(slp_thread *st, slp_entry *e, const slp_limit *limit)
{
    slp_task *me = st->current;
    slp_set_outcome(me, NULL);
    if (watchdog_room(st) < 0) {
        return -1;
    }
    for (;;) {
        slp_task *next = me->next;
        if (next == me) {
            return 0;
        }
        int r = slp_switch_prepare(st, e, next);
        if (r > 0) {
            continue;
        }
        if (r == 0 && (limit->ticks > 0 || limit->period != 0)
            && st->watch.owner == NULL) {
            r = set_limit(st, me, limit);
        }
        if (r < 0) {
            return -1;
        }
        slp_ring_remove(st, me);
        st->watchdogs[st->watchdog_count++] = me; /* with the reference */
        me->watchdog = 1;
        slp_switch(st, e, next);
        return 0;
    }
}

PyObject *
slp_watchdog_leave(slp_thread *st, slp_task *t, PyObject *v)
{
    bool found = false;
    while (st->watchdog_count > 0 && !found) {
        slp_task *w = st->watchdogs[--st->watchdog_count];
        found = w == t;
        w->watchdog = 0;
        if (w == st->watch.owner) {
            slp_watch_end(st);
        }
        if (w->place != SLP_FLOATING) {
            slp_task_release(w); /* not the last one: a list holds another */
        }
        else if (!slp_task_alive(w)) {
            slp_drop_later(st, w);
        }
        else {
            /* A deeper run() is released; it finds itself off the stack. */
            slp_ring_append(st, w);
        }
    }
    slp_task *victim = st->watch.victim;
    st->watch.victim = NULL;
    if (v == NULL || (victim != NULL && victim->self == v)
        || Py_IS_TYPE(v, st->state->bomb_type)) {
        return v;
    }
    slp_defer(st, v); /* run() returns None */
    return NULL;
}

/* ---- set-up ---------------------------------------------------------------- */

void
slp_watch_setup(slp_state *s)
{
    slp_clock_setup(&s->clock, s->interp, look);
}

void
slp_watch_before_fork(void)
{
    slp_clock_pause();
    slp_gil_before_fork();
}

static int
go_on(void *Py_UNUSED(arg))
{
    slp_clock_go_on();
    return 0;
}

void
slp_watch_in_parent(slp_state *s)
{
    /* CPython counts threads only after its own calls are made. */
    bool main = slp_handles_signals(slp_ts());
    if (!slp_pending_add(s->interp, main, go_on, NULL)) {
        slp_clock_go_on();
    }
}

void
slp_watch_after_fork(void)
{
    slp_pending_after_fork(slp_ts());
    slp_clock_go_on();
}

void
slp_watch_stop(slp_state *s)
{
    s->preempt = s->look_interval = 0;
    (void)set_clock(s); /* not more than before */
}
