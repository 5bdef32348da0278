/* SPDX-License-Identifier: PSF-2.0 */

/* C stacks: make, free, switch, measure.  No Python.
 *
 * A C stack is a piece of mapped memory on which C code can run, and which can
 * be left in the middle of any call and returned to later.  Nothing is copied:
 * switching stores the callee-saved registers on the stack that is left, and
 * loads those of the stack that is entered.  Only where stacks share memory
 * (see slp_region) is the used part of one copied away to make room for another.
 *
 *     high ->  +--------------------+
 *              | entry frame        |  the unwinder stops here
 *              | frames ...         |
 *       sp ->  +--------------------+  stored while the stack is suspended
 *              | not touched yet:   |
 *              | address space only |
 *      low ->  +--------------------+
 *              | guard              |  a touch is a SIGSEGV
 *              +--------------------+
 *
 * Life of a stack: `new` (nothing has run), entered for the first time by a
 * switch (`entry(arg)` is called), suspended and resumed any number of times,
 * freed while suspended.  A stack has no end of its own: `entry` never
 * returns, it switches away for the last time and somebody else frees it.
 * Frames that are on a freed stack are simply forgotten; nothing is unwound.
 *
 * Threads: all functions may be called from any thread, without the GIL; one
 * stack is used by one thread at a time.  A stack that was entered belongs to
 * the thread that entered it first, as compilers keep addresses of
 * thread-local variables across calls; a new one and the memory of a freed one
 * belong to nobody.
 *
 * What travels with a stack: callee-saved registers, floating-point control
 * (rounding mode, exception masks), errno, and the exceptions that C++ code on
 * it is handling.  What does not: the signal mask, thread-local variables, the
 * floating-point status flags.
 *
 * Limits.  C++ exceptions travel for one runtime: a shared libstdc++,
 * libc++abi or libcxxrt; a copy that is linked into some library statically
 * cannot be found.  Hardware shadow stacks (CET, GCS) are not switched: the
 * process runs without them, because our objects do not claim to support them.
 * LeakSanitizer does not look for pointers on suspended stacks.
 */

#ifndef SLP_CSTACK_H
#define SLP_CSTACK_H

#include "../base/slp_base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct slp_cstack slp_cstack;

/* The first function on a new stack.  It must never return. */
typedef void (*slp_cstack_entry)(void *arg);

/* The size that makes a stack as large as the main thread's: the soft limit
 * RLIMIT_STACK if it is from 1 to 64 MiB, else 8 MiB.  CPython counts C calls
 * on the assumption that a stack is that large. */
SLP_INTERNAL size_t slp_cstack_default_size(void);

/* Returns a new stack with at least `size` usable bytes (rounded up to whole
 * pages, and to a minimum), on which nothing runs yet; the first switch to it
 * calls entry(arg).  Its floating-point control is the caller's.
 * Address space is reserved, memory is used as it is touched.
 * Returns NULL if there is no memory, with errno as malloc or mmap set it. */
SLP_INTERNAL slp_cstack *slp_cstack_new(size_t size, slp_cstack_entry entry,
                                        void *arg);

/* A piece of stack memory.  Several stacks of one thread may share it: the one
 * that is in it is its holder, the others are out: what they use is kept in
 * the heap, and is copied back to the same addresses before they run.  So
 * nothing outside a stack may point into it while it is out. */
typedef struct slp_region slp_region;
struct slp_region {
    char *low, *high;   /* the usable bytes */
    slp_cstack *holder; /* NULL: nobody's contents are here */
    int users;          /* stacks that belong here, in or out */
    char *dirty;        /* what is below is as the last holder left it */
    char *spare;        /* memory for moving the holder out */
    size_t spare_size;
    slp_region *next, *prev; /* for whoever keeps lists of regions */
};

/* The memory of the stack; NULL for a native one. */
SLP_INTERNAL slp_region *slp_cstack_region(const slp_cstack *stack);

/* Can stacks share memory in this build?  Not under AddressSanitizer and
 * ThreadSanitizer, which cannot be told of it, and not with ucontext, which
 * does not say how far a stack is used. */
SLP_INTERNAL bool slp_cstack_can_share(void);

/* As slp_cstack_new(), in the memory of a region that has no holder.  NULL: there
 * is no memory for the description. */
SLP_INTERNAL slp_cstack *slp_cstack_join(slp_region *region,
                                         slp_cstack_entry entry, void *arg);

/* A word for the user: what the stack belongs to. */
SLP_INTERNAL void slp_cstack_set_owner(slp_cstack *stack, void *owner);
SLP_INTERNAL void *slp_cstack_owner(const slp_cstack *stack);

/* Makes sure that the stack can be moved out when it uses up to `bytes`.
 * false: there is no memory. */
SLP_INTERNAL bool slp_cstack_reserve(slp_cstack *stack, size_t bytes);

/* Was enough reserved for what a suspended one uses? */
SLP_INTERNAL bool slp_cstack_is_reserved(const slp_cstack *stack);

/* Is it in its memory?  A native stack always is. */
SLP_INTERNAL bool slp_cstack_is_in(const slp_cstack *stack);
/* Bring it into the cache (step 0), and then the copy of one that is out. */
SLP_INTERNAL void slp_cstack_fetch(const slp_cstack *stack, int step);

/* What becomes of a stack that has to leave its memory. */
typedef enum {
    SLP_STACK_LOST,   /* it is never resumed */
    SLP_STACK_COPIED, /* as it is: four times as fast as packed */
    SLP_STACK_PACKED, /* in a fourth of the memory, more or less */
} slp_cstack_fate;

/* Moves a suspended stack away, for which enough was reserved; its region has no
 * holder then.  Neither this nor the next one fails. */
SLP_INTERNAL void slp_cstack_move_out(slp_cstack *stack, slp_cstack_fate fate);
/* Copies it back; its region has no holder. */
SLP_INTERNAL void slp_cstack_move_in(slp_cstack *stack);

/* A stack that copies others while none of them runs; one per thread that
 * needs it.  NULL if there is no memory. */
SLP_INTERNAL slp_cstack *slp_cstack_mover(void);

/* As slp_cstack_switch(), by way of a mover, which moves `from` out and then
 * `in` in, if it is not; that is `to` as a rule. */
SLP_INTERNAL void slp_cstack_switch_by(slp_cstack *mover, slp_cstack *from,
                                       slp_cstack *in, slp_cstack *to,
                                       slp_cstack_fate fate);

/* Returns a description of the calling thread's own stack, to be used in
 * switches from and to it.  Call it once per thread, while the thread runs on
 * its own stack, and free it while it runs there, or once it has ended.
 * Returns NULL if there is no memory. */
SLP_INTERNAL slp_cstack *slp_cstack_native(void);

/* Frees a stack that is new or suspended, never the one that is running (the
 * description of a native one excepted).  NULL is ignored, errno is kept.
 * The memory may go to the cache, see below. */
SLP_INTERNAL void slp_cstack_free(slp_cstack *stack);

/* Leaves `from`, which must be the running stack, and continues on `to`, which
 * must be new or suspended, and in its memory.  Returns when somebody switches back to `from`.
 * Never runs Python code; may take the dynamic loader's list lock for some
 * nanoseconds (see cstack_switch.c). */
SLP_INTERNAL void slp_cstack_switch(slp_cstack *from, slp_cstack *to);

/* Stores the usable range [*low, *high) of the stack; the guard is below
 * *low.  For a native stack these are what the system tells (the main thread's
 * grows on demand and *low is its limit), or a guess if it tells nothing. */
SLP_INTERNAL void slp_cstack_bounds(const slp_cstack *stack, char **low,
                                    char **high);

/* The number of bytes in use on a new or suspended stack: what lies between
 * the stored stack pointer and the high end.  0 for the running one. */
SLP_INTERNAL size_t slp_cstack_used(const slp_cstack *stack);

/* Which code switches: "x86_64-sysv", "aarch64-sysv" or "ucontext". */
SLP_INTERNAL const char *slp_cstack_backend(void);

/* The calling thread is in a loop that waits for another one to change a word:
 * gives the other half of a processor's core, and a hypervisor, a hint. */
SLP_INTERNAL void slp_cstack_relax(void);

/* The process-wide cache of mappings.  To map, touch and unmap a stack costs
 * some 15 microseconds, to take one out of the cache a small part of that. */

/* Sets how many free mappings may be kept, unmaps what is too much, and
 * returns the limit that was in force before; -1 only asks. */
SLP_INTERNAL int slp_cstack_cache_limit(int new_limit);

struct slp_cstack_stats {
    size_t mapped; /* mappings that exist, in use or cached */
    size_t cached; /* those in the cache */
    size_t bytes;  /* address space of all of them, guards included */
};

SLP_INTERNAL void slp_cstack_stats(struct slp_cstack_stats *stats);

/* For tests: makes the n-th request for stack memory from now (1 is the next
 * one) fail with ENOMEM, whether the cache could serve it or not, and then
 * switches itself off.  -1 switches it off at once. */
SLP_INTERNAL void slp_cstack_fail_after(long n);

/* For tests: there is no memory for copies of stacks, but for what was
 * reserved. */
SLP_INTERNAL void slp_cstack_fail_copies(bool fail);

#ifdef __cplusplus
}
#endif

#endif /* SLP_CSTACK_H */
