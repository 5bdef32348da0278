/* SPDX-License-Identifier: PSF-2.0 */
/* The data of the engine: a tasklet, a thread's scheduler, a wait queue.
   Data only; who may touch what is said in sched.h and dispatch.h. */
#ifndef SLP_TASK_H
#define SLP_TASK_H

#include "../carrier.h"

typedef struct slp_thread slp_thread;
typedef struct slp_state slp_state;
typedef struct slp_waitq slp_waitq;

/* How far a tasklet is. */
typedef enum {
    SLP_UNBOUND, /* no function: fresh, finished or killed */
    SLP_BOUND,   /* a function, no arguments yet */
    SLP_READY,   /* function and arguments; has not run */
    SLP_STARTED, /* has frames, or is running */
} slp_life;

/* Which list it is in.  The list owns a reference to it. */
typedef enum {
    SLP_FLOATING, /* none */
    SLP_IN_RING,  /* its thread's ring of runnable tasklets */
    SLP_IN_QUEUE, /* a wait queue: blocked */
} slp_place;

/* A tasklet is alive when it is READY or STARTED.  A STARTED tasklet is

     running      thread->current; nothing below is valid but `bottom`
     soft         carrier == NULL: frames from `top` (its point's frame, or if
                  `popped` the caller's) to `bottom`, nothing on any C stack;
                  bottom->previous == NULL
     hard         carrier != NULL: all of it is on that C stack

   and `py` holds its words of the thread state unless it is running.  References
   to a tasklet are references to `self`, which owns this. */
typedef struct slp_task {
    slp_thread *thread; /* NULL once the thread has ended */
    slp_carrier *carrier;
    slp_waitq *waitq;     /* what it is blocked on */
    _PyStackChunk *chunk; /* first chunk of its data stack */
    PyCodeObject *origin; /* where it was made, or NULL */
    PyObject *args;       /* READY: tuple, with what it calls it */
    struct slp_task *all_prev, *prev;
    /* From here on what a switch and a collection read; the chunk follows in memory,
       as a rule. */
    PyObject *self;        /* the tasklet that this is of: see slp_tasklet */
    struct slp_task *next; /* prev, next: in the ring (circular) or in a queue
                              (ends NULL); next also in st->dropped */
    struct slp_task *all_next; /* every tasklet of the interpreter; owns
                                  nothing */
    PyObject *name;            /* str, or NULL: made of the serial */
    PyObject *tempval; /* what its pending switch call will return; NULL:
                          None */
    PyObject *func;    /* BOUND; READY: what the dispatcher calls;
                          popped: what its point held on to, or NULL */
    slp_frame *top, *bottom;
    /* What going on depends on, read as one: see slp_quick_arrives(). */
    union {
        struct {
            unsigned short popped : 1; /* left in one go: quick.c */
            unsigned short
                bombed : 1; /* tempval is an exception, to be raised */
            unsigned short
                watchdog : 1; /* inside run(): on its thread's watchdog
                                           stack */
            unsigned short guarded : 1; /* see slp_frames_traverse() */
            unsigned short
                doomed : 1; /* killed by the collector, in the ring */
            unsigned short
                survived : 1;          /* its finalizer: to be called again */
            unsigned short pinned : 1; /* main: to stay on its C stack */
            unsigned short atomic : 1; /* see atomic.h */
            unsigned short edge : 1;   /* popped at one: compat_pop.h */
            unsigned short
                uncalled : 1; /* has generators that need calls in C: see
                                 called.h */
        };
        unsigned short entry;
    };
    unsigned short origin_at; /* instruction, or SLP_AT_UNKNOWN */
    unsigned char life;       /* slp_life */
    unsigned char place;      /* slp_place */
    unsigned char kills;      /* times it was killed for being unreachable */
    unsigned char is_main : 1;
    unsigned char ignore_nesting : 1;
    unsigned char block_trap : 1;
    unsigned char sending : 1; /* blocked as a sender */
    unsigned char gated : 1;   /* hard: left through a point */
    unsigned char
        interrupted : 1; /* hard: left by look(), and nothing on its way to
                            it: see soften.c */
    unsigned char measured : 1; /* see room.h */
    unsigned char sleeper : 1;  /* see sleep.c */
    _PyErr_StackItem exc;       /* bottom of its exceptions being handled */
    slp_pystate py;
} slp_task;

/* The object that programs have: its pieces would be in the way of collections,
   which go over all objects six times, and look into them in two. */
typedef struct slp_tasklet {
    PyObject_HEAD
    slp_task *task;
    PyObject *weakrefs;
    vectorcallfunc vectorcall; /* of t(...), or NULL */
    uint64_t serial;
} slp_tasklet;

#define SLP_AT_UNKNOWN USHRT_MAX

static inline slp_task *
slp_task_of(PyObject *tasklet)
{
    return ((slp_tasklet *)tasklet)->task;
}
static inline slp_task *
slp_task_hold(slp_task *t)
{
    Py_INCREF(t->self);
    return t;
}
static inline void
slp_task_release(slp_task *t)
{
    Py_DECREF(t->self);
}
static inline uint64_t
slp_task_serial(const slp_task *t)
{
    return ((slp_tasklet *)t->self)->serial;
}

/* Tasklets that wait for the same thing, oldest first.  For the collector the owner
   visits the first one, and each of them the next. */
struct slp_waitq {
    slp_task *first, *last;
    /* Called when t has joined (+1), and when it was taken off for another
       reason than being served (-1). */
    void (*counted)(slp_waitq *q, slp_task *t, int change);
    PyObject *owner; /* what they wait for; borrowed */
};

/* When the running tasklet is to be interrupted: see watchdog.c.  Times are in
   nanoseconds. */
typedef struct {
    slp_task *owner;  /* inside run() with a limit, or NULL; borrowed: it is on
                         the watchdog stack */
    slp_task *victim; /* what the owner's run() is to return; compared only */
    uint64_t slice;   /* the limit, or 0: it is in ticks */
    uint64_t begun;   /* when the limit was set */
    long ticks, left;
    bool total;          /* the limit is for all tasklets together */
    bool soft;           /* wait for the next switch */
    bool threadblock;    /* wait for other threads before giving up */
    bool ignore_nesting; /* inside C calls, too */
    bool due;            /* as soon as it is possible */
    bool soft_due;       /* at the next switch */
    bool missed;         /* a turn was over, and could not be ended */
    int tries;           /* how often to look again at once */
    slp_frame *repeats;  /* compared only: see slp_watch_repeats() */
    bool asked;          /* it is going to look again at once */
    int answers;         /* how often it has, since the clock asked */
    uint64_t since,
        seen; /* the running tasklet has gone on then, after so many
                             switches */
} slp_watch;

/* What a thread's scheduler holds.  `current` is always a member of the ring
   and its head, but for the moment between the end of one tasklet and the
   choice of the next. */
struct slp_thread {
    slp_state *state;
    PyThreadState *ts;
    uint64_t ts_id;      /* another one may come to lie where ts lay */
    unsigned long ident; /* threading.get_ident() */
    slp_task *current;   /* borrowed: the ring owns it */
    slp_task *main;      /* owned */
    Py_ssize_t runcount; /* members of the ring */

    uintptr_t
        quick_sp;     /* where ops are called that may switch quickly; or 0 */
    bool quick_usual; /* no condition is against it: see quick.c */
    void **head;      /* last one lent to slp_pop_into() */
    uint64_t quick_switches;
    slp_carrier *running, *native;
    slp_pystate *host; /* of who waits on `native` for main; NULL: main itself
                          is there */
    slp_section section; /* open while `current` is atomic */
    slp_pool pool;
    slp_carrier *idle;     /* dispatchers that wait for a job */
    slp_carrier *finished; /* C stacks that have been left for good */
    int idle_count;

    Py_ssize_t argument; /* next one to pass to the tasklet being started */
    slp_task *job;     /* for the dispatcher that runs next: start or resume */
    slp_task *dropped; /* lists' references, released after the switch */
    PyObject *trash[16]; /* other references, likewise */
    int trash_count;
    bool arriving;     /* switched softly; the state is not installed yet */
    bool soft;         /* prepare's decision */
    void *evaluator;   /* PEP 523, taken off for a moment */
    PyObject *failure; /* the exception that has just ended a tasklet */
    PyObject *stop;    /* a StopIteration on its way around SEND */

    slp_task **watchdogs; /* tasklets inside run(), innermost last; owned */
    Py_ssize_t watchdog_count, watchdog_room;
    slp_watch watch;
    uint64_t looks; /* how often it has looked whether it is interrupted */
    long switch_trap;
    int in_callback;
    int collecting; /* collections that it has begun and not ended */
    bool orphan;    /* the module's memory is gone, and so is the state */
    int doomed;     /* killed by the collector, to be run soon */
    long pickle_flags;
    uint64_t switches;

    slp_task *sleeper; /* the next one, or NULL; owned */
    int nap;           /* atomic: see nap.h */
    bool timed;        /* it naps, and wakes up by itself */
    int wake_fd;       /* if it is the main thread */
    bool wake_open;
    int wake_process;  /* for which that is */
    uint64_t woken_at; /* if it slept */
    int spin_skip;     /* short waits before it looks again */
    int spin_vain;     /* how often that was in vain lately */
    int spin_cpus;     /* processors for it; 0: to be counted */
    slp_thread *next_thread;
};

#define slp_task_alive(t)   ((t)->life >= SLP_READY)
#define slp_task_blocked(t) ((t)->place == SLP_IN_QUEUE)
#define slp_task_paused(t)  (slp_task_alive(t) && (t)->place == SLP_FLOATING)

#endif
