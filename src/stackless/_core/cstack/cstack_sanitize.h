/* SPDX-License-Identifier: PSF-2.0 */

/* What checking tools must be told about stacks, all in one place.
 *
 * AddressSanitizer wants to know before and after each switch on which stack
 * the thread will be, ThreadSanitizer knows stacks as "fibers", valgrind wants
 * their ranges.  Each of them is told by the same calls:
 *
 *     slp_san_map       memory has become a stack's
 *     slp_san_unmap     it is no stack's any more; forget what was on it
 *     slp_san_leave_to_others  likewise, but others share the memory
 *     slp_san_read      its contents are about to be copied,
 *     slp_san_write     or replaced
 *     slp_san_native    a thread's own stack is about to be used in switches
 *     slp_san_leave     just before a switch, on the old stack
 *     slp_san_arrive    just after it, on the new stack
 *
 * In a plain build, all but the valgrind registration is nothing, and that is
 * a few instructions without effect outside of valgrind; SLP_NO_VALGRIND
 * leaves them out.  Knows addresses and sizes only, not struct slp_cstack.
 */

#ifndef SLP_CSTACK_SANITIZE_H
#define SLP_CSTACK_SANITIZE_H

#include "../base/slp_base.h"

#define SLP_ASAN     0
#define SLP_TSAN     0
#define SLP_VALGRIND 0

#ifdef __SANITIZE_ADDRESS__
#    undef SLP_ASAN
#    define SLP_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#    undef SLP_TSAN
#    define SLP_TSAN 1
#endif
#ifdef __has_feature
#    if __has_feature(address_sanitizer)
#        undef SLP_ASAN
#        define SLP_ASAN 1
#    endif
#    if __has_feature(thread_sanitizer)
#        undef SLP_TSAN
#        define SLP_TSAN 1
#    endif
#endif

#if !defined(SLP_NO_VALGRIND) && !SLP_ASAN && !SLP_TSAN
#    ifdef __has_include
#        if __has_include(<valgrind/valgrind.h>) && \
    __has_include(<valgrind/memcheck.h>)
#            undef SLP_VALGRIND
#            define SLP_VALGRIND 1
#        endif
#    endif
#endif

/* The functions that switch: ASan must not put their frames on a fake stack,
 * as they begin on one stack and end on another. */
#if SLP_ASAN
#    define SLP_NO_ASAN __attribute__((no_sanitize_address))
#else
#    define SLP_NO_ASAN
#endif

#if SLP_ASAN
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
#endif
#if SLP_TSAN
#    include <sanitizer/tsan_interface.h>
#endif
#if SLP_VALGRIND
#    include <valgrind/memcheck.h>
#    include <valgrind/valgrind.h>
#endif

struct slp_san {
    const void *bottom;   /* ASan: range of the stack; of a native one it is */
    size_t size;          /* known once the stack has been left */
    void *fake_stack;     /* ASan: for use-after-return, while suspended */
    void *fiber;          /* TSan */
    unsigned valgrind_id; /* valgrind */
};

/* [low, low + size) becomes a stack.  What an earlier stack left there is
 * garbage now, not poison and not data. */
static inline void
slp_san_map(struct slp_san *san, char *low, size_t size)
{
    san->bottom = low;
    san->size = size;
#if SLP_TSAN
    san->fiber = __tsan_create_fiber(0);
#endif
#if SLP_VALGRIND
    VALGRIND_MAKE_MEM_UNDEFINED(low, size);
    san->valgrind_id = VALGRIND_STACK_REGISTER(low, low + size - 1);
#endif
}

/* Frees the fake stack of a stack that will not be resumed.  Only the thread
 * that runs on a stack can do that, by leaving it for good: so we pretend to
 * go there and back. */
SLP_NO_ASAN static inline void
slp_san_drop_fake_stack(struct slp_san *san)
{
#if SLP_ASAN
    if (san->fake_stack != NULL) {
        void *mine;
        const void *bottom;
        size_t size;
        __sanitizer_start_switch_fiber(&mine, san->bottom, san->size);
        __sanitizer_finish_switch_fiber(san->fake_stack, &bottom, &size);
        __sanitizer_start_switch_fiber(NULL, bottom, size);
        __sanitizer_finish_switch_fiber(mine, NULL, NULL);
        san->fake_stack = NULL;
    }
#else
    (void)san;
#endif
}

/* The stack is never resumed; its memory is kept or unmapped next. */
static inline void
slp_san_unmap(struct slp_san *san)
{
    slp_san_drop_fake_stack(san);
#if SLP_ASAN
    /* Red zones of the frames that were left on it. */
    __asan_unpoison_memory_region(san->bottom, san->size);
#endif
#if SLP_TSAN
    __tsan_destroy_fiber(san->fiber);
#endif
#if SLP_VALGRIND
    VALGRIND_STACK_DEREGISTER(san->valgrind_id);
    VALGRIND_MAKE_MEM_UNDEFINED(san->bottom, san->size);
#endif
}

/* The stack is never resumed; others use its memory. */
static inline void
slp_san_leave_to_others(struct slp_san *san)
{
#if SLP_VALGRIND
    VALGRIND_STACK_DEREGISTER(san->valgrind_id);
#endif
    (void)san;
}

/* [low, low + size) is about to be copied, by somebody who does not know what
 * it means. */
static inline void
slp_san_read(void *low, size_t size)
{
#if SLP_VALGRIND
    VALGRIND_MAKE_MEM_DEFINED(low, size);
#endif
    (void)low;
    (void)size;
}

/* It is about to be written, though no stack pointer has been there yet. */
static inline void
slp_san_write(void *low, size_t size)
{
#if SLP_VALGRIND
    VALGRIND_MAKE_MEM_UNDEFINED(low, size);
#endif
    (void)low;
    (void)size;
}

static inline void
slp_san_native(struct slp_san *san)
{
#if SLP_TSAN
    san->fiber = __tsan_get_current_fiber();
#else
    (void)san;
#endif
}

SLP_NO_ASAN static inline void
slp_san_leave(struct slp_san *from, struct slp_san *to)
{
#if SLP_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#if SLP_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from;
    (void)to;
}

/* `from` is the stack that was left: ASan tells its range now, which is how
 * that of a native stack is learnt. */
SLP_NO_ASAN static inline void
slp_san_arrive(struct slp_san *self, struct slp_san *from)
{
#if SLP_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &from->bottom,
                                    &from->size);
    self->fake_stack = NULL;
#endif
    (void)self;
    (void)from;
}

#endif /* SLP_CSTACK_SANITIZE_H */
