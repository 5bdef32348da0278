/* SPDX-License-Identifier: PSF-2.0 */
/* What must hold whenever a tasklet is about to switch or has arrived: the
   ring, the queues, what each tasklet's state says of its fields (task.h),
   C stacks and counters.  A violation prints the tasklet and aborts.

   Only builds with SLP_CHECK have the walkers.  They run no Python code, and
   look at other threads' tasklets only as members of lists: the threads may
   stand anywhere. */
#include "check.h"

#include "sleep.h"
#include "watchdog.h"

#if defined(SLP_CHECK) || defined(SLP_CORETEST)
static int check_every;
#endif

#ifdef SLP_CHECK

/* More tasklets than this are walked each SELDOM-th time only. */
#    define MANY   200
#    define SELDOM 256

void (*slp_check_queue)(const slp_waitq *q, bool sending, Py_ssize_t length);

SLP_NORETURN static void
violated(int line, const char *what, slp_task *t)
{
    if (t != NULL) {
        fprintf(stderr,
                "tasklet #%llu at %p: life %d place %d%s%s%s%s%s\n"
                "  next %p prev %p top %p bottom %p carrier %p waitq %p\n"
                "  chunk %p; py: chunk %p top %p depth %d\n",
                (unsigned long long)slp_task_serial(t), (void *)t, t->life,
                t->place, t->is_main ? " main" : "",
                t->bombed ? " bombed" : "", t->watchdog ? " watchdog" : "",
                t->doomed ? " doomed" : "",
                t->thread && t->thread->current == t ? " current" : "",
                (void *)t->next, (void *)t->prev, (void *)t->top,
                (void *)t->bottom, (void *)t->carrier, (void *)t->waitq,
                (void *)t->chunk, (void *)t->py.chunk, (void *)t->py.top,
                t->py.depth);
    }
    slp_fatal(__FILE__, line, what);
}

#    define CHECK(t, cond)                                                    \
        (SLP_LIKELY(cond) ? (void)0                                           \
                          : violated(__LINE__, "violated: " #cond, (t)))

/* What is found on the way, to be compared with the counters. */
typedef struct {
    Py_ssize_t tasks, in_ring, watchdogs;
    long carriers;
    int doomed;
} tally;

/* ---- lists --------------------------------------------------------------- */

static void
check_ring(slp_thread *st)
{
    Py_ssize_t n = 0;
    slp_task *t = st->current;
    CHECK(t, t != NULL && t->thread == st);
    do {
        CHECK(t, t->place == SLP_IN_RING && t->thread == st);
        CHECK(t, t->next != NULL && t->next->prev == t);
        CHECK(t, slp_task_alive(t) && t->waitq == NULL);
        CHECK(t, Py_REFCNT(t->self) > 0);
        n++;
        CHECK(t, n <= st->runcount);
        t = t->next;
    } while (t != st->current);
    CHECK(t, n == st->runcount);
}

/* t is the first one of its queue. */
static void
check_queue(slp_task *t)
{
    slp_waitq *q = t->waitq;
    bool sending = t->sending;
    Py_ssize_t n = 0;
    CHECK(t, q->first == t);
    for (slp_task *prev = NULL; t != NULL; prev = t, t = t->next) {
        CHECK(t, t->waitq == q && t->place == SLP_IN_QUEUE);
        CHECK(t, t->prev == prev && t->sending == sending);
        CHECK(t, t->next != NULL || q->last == t);
        n++;
    }
    if (slp_check_queue != NULL) {
        slp_check_queue(q, sending, n);
    }
}

static void
check_watchdogs(slp_thread *st)
{
    CHECK(NULL, st->watchdog_count <= st->watchdog_room);
    CHECK(st->watch.owner,
          st->watch.owner == NULL || st->watch.owner->watchdog);
    for (Py_ssize_t i = 0; i < st->watchdog_count; i++) {
        slp_task *w = st->watchdogs[i];
        CHECK(w, w->watchdog && w->thread == st);
        CHECK(w, w->life == SLP_STARTED && w != st->current);
        CHECK(w, Py_REFCNT(w->self) > 0);
    }
}

static void
check_place(slp_task *t, bool settled)
{
    switch (t->place) {
        case SLP_FLOATING:
            CHECK(t, t->waitq == NULL && t->prev == NULL);
            CHECK(t, !settled || t->next == NULL);
            break;
        case SLP_IN_RING:
            CHECK(t, t->thread != NULL && t->next->prev == t);
            break;
        case SLP_IN_QUEUE:
            CHECK(t, t->waitq != NULL && t->life == SLP_STARTED);
            CHECK(t, t->prev ? t->prev->next == t : t->waitq->first == t);
            CHECK(t, t->next ? t->next->prev == t : t->waitq->last == t);
            if (t->prev == NULL) {
                check_queue(t);
            }
            break;
        default:
            violated(__LINE__, "no such place", t);
    }
}

/* Is it bound to the thread's own stack? */
static bool
is_native(slp_task *t)
{
    return t->is_main && t->thread->host == NULL;
}

/* ---- a tasklet's state --------------------------------------------------- */

/* Its data stack goes down to its first chunk, its exceptions to its own; one
   that an exception has ended is on those of its C stack's dispatcher. */
static void
check_words(slp_task *t)
{
    slp_carrier *c = t->carrier ? slp_carrier_base(t->carrier) : NULL;
    _PyStackChunk *chunk = t->py.chunk;
    CHECK(t, t->py.depth >= 0);
    CHECK(t, chunk != NULL);
    CHECK(t, t->popped || !t->edge);
    if (t->edge) {
        CHECK(t, chunk->previous != NULL);
    }
    else if (t->popped) {
        CHECK(t,
              (char *)&chunk->data[chunk->top] < (char *)chunk + chunk->size);
        CHECK(t, t->py.extras == NULL && t->py.excess == 0);
    }
    else {
        CHECK(t, t->py.top >= &chunk->data[0]);
        CHECK(t, (char *)t->py.top <= (char *)chunk + chunk->size);
    }
    if (is_native(t)) {
        return;
    }
    while (chunk->previous != NULL) {
        chunk = chunk->previous;
    }
    bool ended = c != NULL && t->bottom == NULL && chunk == c->chunk;
    CHECK(t, chunk == t->chunk || ended);
    _PyErr_StackItem *exc = t->py.exc_info;
    while (exc->previous_item != NULL) {
        exc = exc->previous_item;
    }
    CHECK(t, exc == (ended ? &c->exc : &t->exc));
}

static void
check_soft(slp_task *t)
{
    CHECK(t, !is_native(t) && t->top != NULL && t->bottom != NULL);
    slp_frame *f = t->top;
    while (f != t->bottom) {
        CHECK(t, f != NULL && slp_frame_is_python(f));
        f = slp_frame_below(f);
    }
    CHECK(t, slp_frame_is_python(f) && slp_frame_below(f) == NULL);
    check_words(t);
}

static void
check_hard(slp_thread *st, slp_task *t)
{
    slp_carrier *c = t->carrier;
    CHECK(t, c != st->running && !c->quit);
    CHECK(t, c->fixed || c->native == is_native(t));
    CHECK(t, t->is_main || slp_carrier_frame(c) != NULL); /* at exit */
    for (slp_carrier *i = st->idle; i != NULL; i = i->next) {
        CHECK(t, i != c);
    }
    check_words(t);
}

static void
check_running(slp_thread *st, slp_task *t)
{
    slp_carrier *c = st->running;
    CHECK(t, t->life == SLP_STARTED && t->carrier == NULL);
    CHECK(t, !t->popped);
    CHECK(t, c->fixed || c->native == is_native(t));
    CHECK(t, c->fixed || c->native || c->dispatcher != NULL);
    /* Not `bottom`: a result's destructor runs after that frame is gone. */
}

/* t belongs to st. */
static void
check_state(slp_thread *st, slp_task *t)
{
    if (t == st->current) {
        check_running(st, t);
        return;
    }
    if (t->life == SLP_STARTED) {
        if (t->carrier != NULL) {
            check_hard(st, t);
        }
        else {
            check_soft(t);
        }
        return;
    }
    CHECK(t, t->carrier == NULL && t->top == NULL && t->bottom == NULL);
    CHECK(t, !t->watchdog && t->place != SLP_IN_QUEUE);
    if (t->life == SLP_UNBOUND) {
        CHECK(t, t->place == SLP_FLOATING);
        return;
    }
    CHECK(t, t->func != NULL);
    CHECK(t, (t->life == SLP_READY) == (t->chunk != NULL));
    CHECK(t, t->life != SLP_READY || PyTuple_Check(t->args));
}

static void
check_task(slp_thread *st, slp_task *t, bool settled, tally *n)
{
    CHECK(t, t->all_next->all_prev == t && t->all_prev->all_next == t);
    CHECK(t, slp_task_of(t->self) == t);
    n->tasks++;
    n->carriers += t->carrier != NULL && !t->carrier->native;
    if (Py_REFCNT(t->self) == 0) {
        return; /* on its way out */
    }
    check_place(t, settled && t->thread == st);
    if (t->thread == st) {
        n->in_ring += t->place == SLP_IN_RING;
        n->watchdogs += t->watchdog;
        n->doomed += t->doomed;
        check_state(st, t);
    }
}

/* ---- everything ---------------------------------------------------------- */

static void
check_carriers(slp_thread *st, tally *n)
{
    for (slp_thread *o = st->state->threads; o != NULL; o = o->next_thread) {
        int idle = 0;
        for (slp_carrier *c = o->idle; c != NULL; c = c->next) {
            CHECK(NULL, !c->native && !c->quit && c != o->running);
            idle++;
        }
        CHECK(NULL, idle == o->idle_count);
        n->carriers += idle;
        /* Another thread's may be in its tasklet's hands already. */
        n->carriers += o == st && !o->running->native;
    }
    CHECK(NULL, n->carriers <= st->state->carrier_count);
    const char *fault = slp_pool_fault(&st->pool);
    if (fault != NULL) {
        violated(__LINE__, fault, NULL);
    }
    CHECK(NULL, st->job == NULL && !st->arriving);
}

void
slp_check_thread(slp_thread *st, bool settled)
{
    slp_state *s = st->state;
    tally n = {0};
    CHECK(NULL, st->ts == slp_ts() && st == slp_thread_peek());
    CHECK(NULL, st->trash_count >= 0
                    && st->trash_count <= (int)Py_ARRAY_LENGTH(st->trash));
    CHECK(NULL, !settled || (st->dropped == NULL && st->trash_count == 0));
    CHECK(st->main, st->main->is_main && st->main->thread == st);
    check_ring(st);
    check_watchdogs(st);
    for (slp_task *t = s->all.all_next; t != &s->all; t = t->all_next) {
        check_task(st, t, settled, &n);
        CHECK(t, n.tasks <= s->task_count);
    }
    CHECK(NULL, n.tasks == s->task_count);
    CHECK(NULL, n.in_ring == st->runcount);
    CHECK(NULL, n.watchdogs == st->watchdog_count);
    CHECK(NULL, n.doomed <= st->doomed);
    check_carriers(st, &n);
}

void
slp_check_point(slp_thread *st, bool settled)
{
    static int since;
    int every = check_every;
    if (every == 0) {
        every = st->state->task_count < MANY ? 1 : SELDOM;
    }
    if (every > 0 && ++since >= every) {
        since = 0;
        slp_check_thread(st, settled);
    }
}

#endif /* SLP_CHECK */

/* ---- the capsule --------------------------------------------------------- */

#if defined(SLP_CHECK) || defined(SLP_CORETEST)

static bool
check_now(void)
{
#    ifdef SLP_CHECK
    slp_thread *st = slp_thread_peek();
    if (st != NULL) {
        slp_check_thread(st, false);
    }
    return st != NULL;
#    else
    return false;
#    endif
}

static void
count(long *chunks, long *used, long *mapped)
{
    slp_thread *st = slp_thread_peek();
    *chunks = *used = *mapped = 0;
    if (st == NULL) {
        return;
    }
    slp_state *s = st->state;
    for (slp_task *t = s->all.all_next; t != &s->all; t = t->all_next) {
        *chunks += t->chunk != NULL;
        *used += t->carrier != NULL && !t->carrier->native;
    }
    *used += !st->running->native;
    *mapped = s->carrier_count;
}

static int
visit(slp_tasklet *t)
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return -1;
    }
    slp_watch_visit(st, t ? t->task : NULL);
    return 0;
}

static slp_test_api api = {
    .size = sizeof(api),
    .check_every = &check_every,
    .check_now = check_now,
    .fail_c_stacks_after = slp_carrier_fail_after,
    .count = count,
    .sleep_never = &slp_sleep_never,
    .nap_spin = &slp_nap_spin,
    .visit = visit,
};

int
slp_check_setup(PyObject *module)
{
    PyObject *capsule = PyCapsule_New(&api, SLP_TEST_API_NAME, NULL);
    int r = capsule ? PyObject_SetAttrString(module, "_C_TEST", capsule) : -1;
    Py_XDECREF(capsule);
    return r;
}

#else

int
slp_check_setup(PyObject *Py_UNUSED(module))
{
    return 0;
}

#endif
