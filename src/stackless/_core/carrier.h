/* SPDX-License-Identifier: PSF-2.0 */
/* A carrier is a C stack on which Python runs: the stack, the words of the
   thread state that belong to it, and the dispatcher at its bottom.

   The memory of C stacks is a cache.  A thread's pool maps regions, one for each
   stack, up to a limit.  Beyond it stacks share: the one that was left longest
   ago is sliced, which is to say that its used part is moved to the heap, and
   another one takes the region.  Three rules make sure that resuming a sliced
   stack never needs memory:

   - whoever is suspended in a shared region was prepared for being sliced;
   - an idle carrier has a region of its own;
   - the running one, if it is in the way, is moved by the pool's mover. */
#ifndef SLP_CARRIER_H
#define SLP_CARRIER_H

#include "compat/compat.h"

/* Which region new stacks join, and how many more of them. */
typedef struct {
    struct slp_region *region;
    int left;
} slp_joining;

/* A thread's regions. */
typedef struct {
    struct slp_region *oldest, *newest; /* by when they were left; vacant ones
                                         are old */
    struct slp_cstack *mover;
    slp_joining joining[2];
    long regions;
    long sliced;
    long limit; /* beyond it stacks are sliced; 0: at every hard switch */
} slp_pool;

typedef struct slp_carrier {
    struct slp_cstack *stack;
    slp_cstate *cstate;    /* valid while another carrier runs */
    slp_frame *dispatcher; /* its frame; NULL on the thread's own stack and
                                before the first turn */
    uintptr_t sp;          /* where ops are called at dispatcher level */
    slp_pystate py;        /* the dispatcher's own data stack and the rest */
    slp_pystate idle;      /* the same once the dispatcher's frame is there */
    _PyStackChunk *chunk;
    _PyErr_StackItem exc;
    struct slp_carrier *below; /* fixed: whose tasklet goes on here */
    struct slp_carrier *next;  /* in a list of idle or finished ones */
    slp_pool *pool;            /* NULL: native */
    slp_frame_link *links; /* valid if prepared: where frames return into */
    int link_count;        /* entry frames on this C stack */
    int link_room;
    /* What somebody on another stack has this one do; native only. */
    void (*errand)(void *);
    void *errand_arg;
    struct slp_cstack *errand_back; /* who waits for it; NULL: nobody */
    bool native;
    bool sliced;    /* its stack is in the heap */
    bool returned;  /* it was sliced, and has run since */
    bool fixed;     /* for one call; never sliced */
    bool started;   /* somebody has switched to it */
    bool slice_now; /* prepared to be sliced as it is left */
    bool quit;      /* told to leave its dispatcher */
} slp_carrier;

/* It will be switched to soon: bring its parts into the cache, first itself (step
   0), then what that refers to, and so on.  Does nothing for NULL. */
SLP_INTERNAL void slp_carrier_fetch(slp_carrier *c, int step);

/* Called on a fresh carrier; must end with slp_carrier_exit(). */
typedef void (*slp_carrier_main)(void *arg);

/* The thread's own stack.  NULL with MemoryError. */
SLP_INTERNAL slp_carrier *slp_carrier_native(void);
/* A new C stack of `size` bytes (0: as large as the main thread's), in a region
   of its own or, if the pool's limit is reached, in a shared one; what `running`
   needs stays in its place.  NULL with MemoryError. */
SLP_INTERNAL slp_carrier *slp_carrier_new(PyThreadState *ts,
                                          slp_carrier *running, slp_pool *pool,
                                          size_t size, slp_carrier_main main,
                                          void *arg);
/* The same for one call, on which a tasklet that runs elsewhere goes on: in a
   region of its own, without a dispatcher. */
SLP_INTERNAL slp_carrier *slp_carrier_new_fixed(PyThreadState *ts,
                                                slp_pool *pool, size_t size,
                                                slp_carrier_main main,
                                                void *arg);
/* Not the running one, and nothing of interest on it. */
SLP_INTERNAL void slp_carrier_free(slp_carrier *c);
/* The caller is about to leave the running carrier and to come back: make sure
   that it can be sliced, if that may happen.  -1 with MemoryError. */
SLP_INTERNAL int slp_carrier_prepare(PyThreadState *ts, slp_carrier *c);
/* Leave `from`, which runs, for `to`.  Returns when somebody comes back.  One
   that was not prepared must have a region of its own, and is not sliced if
   nobody is made before it runs again. */
SLP_INTERNAL void slp_carrier_switch(PyThreadState *ts, slp_carrier *from,
                                     slp_carrier *to, bool prepared);
/* The same, and never return: `from` is to be freed. */
SLP_INTERNAL void slp_carrier_leave(PyThreadState *ts, slp_carrier *from,
                                    slp_carrier *to);
/* Call fn(arg), which may not switch, on the thread's own stack, which is
   suspended; `from` runs. */
SLP_INTERNAL void slp_carrier_errand(PyThreadState *ts, slp_carrier *from,
                                     slp_carrier *native, void (*fn)(void *),
                                     void *arg);
/* The one that a call on a new stack began on; else c. */
static inline slp_carrier *
slp_carrier_base(slp_carrier *c)
{
    while (SLP_UNLIKELY(c->below != NULL)) {
        c = c->below;
    }
    return c;
}
/* Does it share its region?  Then it cannot be idle. */
SLP_INTERNAL bool slp_carrier_shares(slp_carrier *c);
/* Is C between f and the frame below it, on a stack that is sliced, so that frames
   do not tell?  c may be NULL. */
SLP_INTERNAL bool slp_carrier_cut_below(slp_carrier *c, slp_frame *f);
/* Number of C calls of the interpreter between `top`, the newest frame of the
   tasklet on c, and the dispatcher. */
SLP_INTERNAL int slp_carrier_nesting(slp_carrier *c, slp_frame *top);
/* Can stacks be sliced in this build? */
SLP_INTERNAL bool slp_carrier_can_slice(void);
/* What is wrong with the pool's structures, or NULL; for the walkers of debug
   builds. */
SLP_INTERNAL const char *slp_pool_fault(const slp_pool *pool);
/* When the last carrier of the pool is gone. */
SLP_INTERNAL void slp_pool_clear(slp_pool *pool);
/* Call the dispatcher function at the bottom of the running carrier. */
SLP_INTERNAL PyObject *slp_carrier_dispatch(PyThreadState *ts, slp_carrier *c,
                                            PyObject *dispatcher);
SLP_INTERNAL slp_frame *slp_carrier_frame(slp_carrier *c);
SLP_INTERNAL size_t slp_carrier_default_size(void);
/* Bytes that a suspended carrier's stack uses. */
SLP_INTERNAL size_t slp_carrier_used(slp_carrier *c);
/* Number of mappings kept for reuse; -1 asks.  Returns the old one. */
SLP_INTERNAL int slp_carrier_cache_limit(int limit);
/* See slp_cstack_relax(). */
SLP_INTERNAL void slp_carrier_relax(void);
/* Make the n-th mapping from now on fail (tests); -1: none. */
SLP_INTERNAL void slp_carrier_fail_after(long n);

#endif
