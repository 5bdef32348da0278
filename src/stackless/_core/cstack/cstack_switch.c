/* SPDX-License-Identifier: PSF-2.0 */

/* Switching between C stacks: everything that is not a register.
 *
 * The assembly (arch/) or ucontext moves the stack pointer and registers; this
 * file wraps it with what else belongs to a stack: errno, the C++ runtime's
 * state, the tools' view of where we are, and checks.
 */

#include "cstack_internal.h"

#include <errno.h>
#include <stdatomic.h>

#if !defined(SLP_CSTACK_STATIC)
#    include <dlfcn.h>
#    include <link.h>
#endif

/* ---- C++ exceptions being handled ----
 *
 * Each thread has a `struct __cxa_eh_globals`: the chain of exceptions that
 * are being handled (whose catch block is open) and the number of those in
 * flight.  Both describe the frames of one stack, and must be swapped with it:
 * else a `throw;` on one stack rethrows, and a closing catch block frees, what
 * another one caught.
 *
 * We are not linked to a C++ runtime.  One may have been there from the start,
 * or come at any time with a library that is dlopened, RTLD_LOCAL as a rule:
 * dlsym(RTLD_DEFAULT) does not find it then, dlopen(RTLD_NOLOAD) by name does.
 * That search is repeated only if the loader has loaded something since, which
 * its counter tells exactly, for some 10 ns; once found, it is a plain call.
 * The search may wait for a dlopen that is in progress in another thread.
 *
 * Roads not taken: looking at every 100th switch only would be cheaper, and
 * would corrupt the one exception that is handled before it; loading the
 * runtime ourselves would force the system's upon libraries that bring a
 * newer one.
 */

typedef void *(*eh_getter)(void);

#if defined(__GNUC__)
extern void *__cxa_get_globals(void) __attribute__((weak));
#    define LINKED_EH_GETTER (&__cxa_get_globals)
#else
#    define LINKED_EH_GETTER NULL
#endif

static _Atomic(eh_getter) eh_get; /* NULL until found, then fixed */

#if defined(SLP_CSTACK_STATIC)

/* A static program: what it has was linked into it. */
static eh_getter
eh_search(void)
{
    return LINKED_EH_GETTER;
}

#else

/* How many objects the loader had ever loaded when we searched last.  Two
 * threads may search at once: they find the same. */
static _Atomic unsigned long long eh_loads_seen;

static int
store_loads(struct dl_phdr_info *info, size_t size, void *arg)
{
    if (size >= offsetof(struct dl_phdr_info, dlpi_adds)
                    + sizeof(info->dlpi_adds)) {
        *(unsigned long long *)arg = info->dlpi_adds;
    }
    return 1; /* no need to see the others */
}

static eh_getter
eh_search_loaded(void)
{
    static const char *const names[] = {
        "libstdc++.so.6",
        "libc++abi.so.1",
        "libcxxrt.so.1",
    };
    void *found = dlsym(RTLD_DEFAULT, "__cxa_get_globals");
    for (size_t i = 0; found == NULL && i < sizeof(names) / sizeof(*names);
         i++) {
        void *handle = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
        if (handle != NULL) {
            /* Never closed: it must stay as long as we may call it. */
            found = dlsym(handle, "__cxa_get_globals");
        }
    }
    return (eh_getter)found;
}

static SLP_NOINLINE eh_getter
eh_search(void)
{
    unsigned long long loads = 0;
    dl_iterate_phdr(store_loads, &loads);
    if (loads != 0 && loads == atomic_load(&eh_loads_seen)) {
        return NULL;
    }
    eh_getter found = LINKED_EH_GETTER;
    if (found == NULL) {
        found = eh_search_loaded();
    }
    if (found != NULL) {
        atomic_store(&eh_get, found); /* never back to NULL */
    }
    atomic_store(&eh_loads_seen, loads);
    return found;
}

#endif /* SLP_CSTACK_STATIC */

/* Puts away the running stack's state and installs that of `to`. */
static inline void
eh_swap(slp_cstack *from, slp_cstack *to)
{
    eh_getter get = atomic_load_explicit(&eh_get, memory_order_acquire);
    if (SLP_UNLIKELY(get == NULL)) {
        get = eh_search();
        if (get == NULL) {
            return;
        }
    }
    uintptr_t *words = get();
    from->eh[0] = words[0];
    from->eh[1] = words[1];
    words[0] = to->eh[0];
    words[1] = to->eh[1];
}

/* ---- First steps on a new stack ---- */

/* Runs as the first C function of each new stack. */
SLP_NO_ASAN SLP_NORETURN static void
enter(void *arg)
{
    slp_cstack *self = arg;
    slp_san_arrive(&self->san, &self->from->san);
    self->entry(self->arg);
    SLP_FATAL("the entry of a C stack has returned");
}

#if SLP_ARCH_UCONTEXT

/* makecontext passes ints only: the pointer comes in two halves. */
static void
enter_halves(unsigned high, unsigned low)
{
    uint64_t both = ((uint64_t)high << 32) | low;
    enter((void *)(uintptr_t)both);
}

void
slp_cstack_prepare(slp_cstack *self)
{
    uint64_t both = (uintptr_t)self;
    getcontext(&self->context);
    self->context.uc_stack.ss_sp = self->low;
    self->context.uc_stack.ss_size = (size_t)(self->high - self->low);
    self->context.uc_link = NULL;
    makecontext(&self->context, (void (*)(void))enter_halves, 2,
                (unsigned)(both >> 32), (unsigned)both);
    self->sp = self->high - 64; /* about: the C library knows */
}

/* swapcontext also saves the signal mask, with a system call: slow, but only
 * for machines without a file in arch/.  Here `sp` is but a near guess. */
SLP_NO_ASAN static inline void
jump(slp_cstack *from, slp_cstack *to)
{
    to->sp = NULL;
    from->sp = __builtin_frame_address(0);
    if (swapcontext(&from->context, &to->context) < 0) {
        SLP_FATAL("swapcontext failed");
    }
}

#else

void
slp_cstack_prepare(slp_cstack *self)
{
    self->sp = slp_arch_init(self->high, enter, self);
}

SLP_NO_ASAN static inline void
jump(slp_cstack *from, slp_cstack *to)
{
    void *sp = to->sp;
    to->sp = NULL;
    slp_arch_jump(&from->sp, sp);
}

#endif

/* ---- The switch ---- */

/* Nothing may be read from before the jump but locals and `from`: memory that
 * another stack shares may have changed. */
SLP_NO_ASAN void
slp_cstack_switch(slp_cstack *from, slp_cstack *to)
{
    SLP_ASSERT(from != to);
    SLP_ASSERT(from->sp == NULL);
    SLP_ASSERT(to->sp != NULL);
    SLP_ASSERT(from->native
               || ((char *)__builtin_frame_address(0) >= from->low
                   && (char *)__builtin_frame_address(0) < from->high));
    int saved_errno = errno;
    to->from = from;
    eh_swap(from, to);
    slp_san_leave(&from->san, &to->san);
    jump(from, to);
    slp_san_arrive(&from->san, &from->from->san);
    errno = saved_errno;
}

const char *
slp_cstack_backend(void)
{
#if SLP_ARCH_X86_64_SYSV
    return "x86_64-sysv";
#elif SLP_ARCH_AARCH64_SYSV
    return "aarch64-sysv";
#else
    return "ucontext";
#endif
}

void
slp_cstack_relax(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}
