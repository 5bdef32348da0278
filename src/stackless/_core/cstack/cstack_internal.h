/* SPDX-License-Identifier: PSF-2.0 */

/* What the files here share: the struct behind slp_cstack.
 * Nobody else includes this.
 */

#ifndef SLP_CSTACK_INTERNAL_H
#define SLP_CSTACK_INTERNAL_H

#include "cstack.h"
#include "cstack_arch.h"
#include "cstack_sanitize.h"

#if SLP_ARCH_UCONTEXT
#    include <ucontext.h>
#endif

/* One C stack.  Lives in the heap, not on the stack it describes: tools find
 * its misuse there, and the slicer may copy the whole stack away.
 *
 * Exactly one stack of a thread is running; its `sp` is NULL, that of all
 * others is not.  [low, high) is fixed for life. */
struct slp_cstack {
    void *sp;                /* stack pointer while new or suspended */
    char *low;               /* usable memory: first byte */
    char *high;              /* and the one behind the last */
    bool native;             /* the thread's own: memory is not ours */
    slp_region *region;      /* the memory; NULL if native */
    char *copy;              /* its used part while it is out */
    bool packed;             /* the copy is */
    void *owner;             /* the user's word */
    struct slp_mover *mover; /* it is one; freed with it */
    slp_cstack_entry entry;  /* what to call first */
    void *arg;
    uintptr_t eh[2];    /* C++: contents of __cxa_get_globals() */
    slp_cstack *from;   /* who switched to us last */
    struct slp_san san; /* what the checking tools know of us */
#if SLP_ARCH_UCONTEXT
    ucontext_t context;
#endif
};

/* What a mover is to do next; behind its slp_cstack. */
struct slp_mover {
    slp_cstack *self;
    slp_cstack *from, *in, *to;
    slp_cstack_fate fate; /* of `from` */
};

/* The suspended holder of a region gives it up. */
SLP_INTERNAL void slp_region_vacate(slp_cstack *holder);
/* Clears what the last holder of a region has left, from there up to `end`. */
SLP_INTERNAL void slp_region_clear(slp_region *region, char *end);

/* Makes the first switch to `self` call its entry.  Sets self->sp. */
SLP_INTERNAL void slp_cstack_prepare(slp_cstack *self);

#endif /* SLP_CSTACK_INTERNAL_H */
