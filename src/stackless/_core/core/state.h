/* SPDX-License-Identifier: PSF-2.0 */
/* State of the module (one per interpreter) and of each thread. */
#ifndef SLP_STATE_H
#define SLP_STATE_H

#include "clock.h"

/* See room.h. */
typedef struct {
    const void *code;
    size_t size; /* bytes */
} slp_room;

/* Everything the module holds.  Python objects are owned. */
struct slp_state {
    PyInterpreterState *interp;
    slp_state *next_state; /* of another interpreter */
    uint64_t generation;   /* no other state has the same */
    bool published;
    PyObject *end; /* borrowed from the interpreter's dict: goes with that */
    slp_clock clock;
    PyObject *module; /* borrowed: the module owns this */

    PyTypeObject *tasklet_type, *channel_type, *bomb_type, *atomic_type;
    PyTypeObject *op_type, *keeper_type, *cstack_type, *cframe_type;
    PyTypeObject *default_type;
    PyObject *tasklet_exit;    /* builtins.TaskletExit */
    PyObject *current_default; /* stands for "the current tasklet" */

    PyObject *resume_op, *reraise; /* second half of every point */
    PyObject *dispatcher, *resume_gate, *spread, *resumer;
    PyObject *called_gate; /* 3.11 */
    /* See compat_frozen.h. */
    PyObject *init_function, *send_function, *await_function, *value_function;
    PyObject *interrupted_function;
    slp_send_place send_place, await_place;
    Py_ssize_t facts_index;
    PyObject *hooks;  /* tuple, or NULL: see pickle/hooks.c */
    PyObject *points; /* list: they may not go while they are called */

    PyObject *channel_callback, *schedule_callback, *error_handler;
    int (*schedule_hook)(slp_tasklet *from,
                         slp_tasklet *to); /* of the C API */
    long pickle_flags_default;
    bool softswitch;     /* wanted by the program */
    bool soft_possible;  /* proved by the self-check */
    bool quick_possible; /* wanted and proved: see quick.c */
    bool finalizing;     /* interpreter exit: nothing is switched any more */
    ptrdiff_t quick_offset;

    slp_task all;    /* head of the list of all tasklets; not an object */
    slp_task *spare; /* memory for the next ones: see slp_task_alloc() */
    int spare_count;
    Py_ssize_t task_count;
    uint64_t task_serial;
    slp_thread *threads;
    int collections;        /* that go on, as far as we were told */
    uint64_t collector_id;  /* thread that has begun one without a scheduler;
                               or 0 */
    Py_ssize_t begun;       /* collections; compare with slp_gc_ended() */
    uintptr_t instrumented; /* version that suspended frames are brought to */

    size_t carrier_size; /* 0: as large as the main thread's */
    int idle_limit;      /* C stacks kept per thread for later */
    long carrier_limit;  /* C stacks mapped per thread before one is sliced;
                            0: slice at every hard switch */
    long carrier_count;
    uint64_t
        preempt; /* ns that a tasklet runs before another one's turn; or 0 */
    uint64_t look_interval; /* ns, for slow calls; or 0 */
    uint64_t watcher_id;    /* thread that looks after them */
    PyObject *sleep;        /* what a sleeper does */
    uint64_t ended[64];     /* ids of the threads that have ended last */
    size_t ended_count;
    uint64_t soft_switches, hard_switches; /* by gates */
    uint64_t quick_switches;               /* of threads that have ended */
    slp_room rooms[128][2]; /* by hash of the code; the newest first */
};

SLP_INTERNAL slp_state *slp_state_of(PyObject *module);
SLP_INTERNAL void slp_state_init(slp_state *s, PyObject *module);
SLP_INTERNAL int slp_state_traverse(slp_state *s, visitproc visit, void *arg);
SLP_INTERNAL void slp_state_clear(slp_state *s);
/* 1: the interpreter has one; 0: none; -1 with an exception. */
SLP_INTERNAL int slp_state_exists(PyInterpreterState *interp);
/* Threads of its interpreter find it from now on; -1 with an exception. */
SLP_INTERNAL int slp_state_publish(slp_state *s);

/* An object of that type, tracked, zeroed but for its head; NULL with MemoryError.
   Not in the list of all tasklets. */
SLP_INTERNAL slp_task *slp_task_alloc(slp_state *s, PyTypeObject *type);
/* The same as a new tasklet of the thread. */
static inline slp_task *
slp_task_new(slp_state *s, slp_thread *st, PyTypeObject *type)
{
    slp_task *t = slp_task_alloc(s, type);
    if (t == NULL) {
        return NULL;
    }
    t->thread = st;
    ((slp_tasklet *)t->self)->serial = ++s->task_serial;
    t->all_next = &s->all;
    t->all_prev = s->all.all_prev;
    t->all_prev->all_next = t;
    s->all.all_prev = t;
    s->task_count++;
    return t;
}
/* The last step of its deallocation; s may be NULL. */
SLP_INTERNAL void slp_task_free(slp_state *s, slp_task *t);

/* slp_sleepers_look() is called when that thread, which has no scheduler, ends.
   0: it is already; 1: from now on, but other threads may have run, and that one
   may have ended; -1 with an exception. */
SLP_INTERNAL int slp_thread_watch(slp_state *s, PyThreadState *ts);
/* Nobody finds st any more, and its thread gets no other one. */
SLP_INTERNAL void slp_thread_forget(slp_thread *st);
/* Called when the module's memory goes. */
SLP_INTERNAL void slp_state_gone(slp_state *s);

/* The calling OS thread's scheduler as far as it is known; look at it through
   the functions below.  SLP_TLS: no call is needed to find it. */
SLP_INTERNAL extern SLP_TLS slp_thread *slp_this_thread;

/* st is the calling OS thread's scheduler again, whatever Python code that it has
   run since did in other interpreters. */
SLP_INTERNAL void slp_thread_again(slp_thread *st);
static inline void
slp_thread_still(slp_thread *st)
{
    if (SLP_UNLIKELY(slp_this_thread != st)) {
        slp_thread_again(st);
    }
}

SLP_INTERNAL slp_thread *slp_thread_find_or_make(void);

/* The calling thread's scheduler; makes it on first use.  NULL with an
   exception.  May run a collection on first use only. */
static inline slp_thread *
slp_thread_get(void)
{
    slp_thread *st = slp_this_thread;
    if (SLP_LIKELY(st != NULL && st->ts == slp_ts())) {
        return st;
    }
    return slp_thread_find_or_make();
}
/* The same if there is one, else NULL without an exception. */
SLP_INTERNAL slp_thread *slp_thread_peek(void);
/* For types: the state of the module they belong to. */
SLP_INTERNAL slp_state *slp_state_peek(void);

/* Release a reference once the switch in progress is complete. */
static inline void
slp_defer(slp_thread *st, PyObject *op)
{
    if (op == NULL) {
        return;
    }
    SLP_ASSERT(st->trash_count < (int)Py_ARRAY_LENGTH(st->trash));
    if (SLP_LIKELY(st->trash_count < (int)Py_ARRAY_LENGTH(st->trash))) {
        st->trash[st->trash_count++] = op;
    }
    /* else: it leaks, which is the lesser evil */
}

#endif
