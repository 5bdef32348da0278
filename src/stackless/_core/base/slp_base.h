/* SPDX-License-Identifier: PSF-2.0 */

/* The first include of every plain C file of the core.
 *
 * Gives the few words that all of them use: fixed-width types, hidden
 * visibility, branch hints and assertions.  It must know neither Python nor
 * the operating system; files that meet Python start with slp_python.h, which
 * includes this one after Python.h.
 *
 * It comes first because it sets the feature test macros: an #include of a
 * system header in front of it would fix them before we can.
 */

#ifndef SLP_BASE_H
#define SLP_BASE_H

#ifndef _GNU_SOURCE
#    define _GNU_SOURCE 1
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A thread-local variable of the extension that is read at every switch.  glibc
 * keeps room for a few words of libraries that are loaded later: no call is
 * needed to find them. */
#if defined(__GLIBC__)
#    define SLP_TLS _Thread_local __attribute__((tls_model("initial-exec")))
#else
#    define SLP_TLS _Thread_local
#endif

/* SLP_INTERNAL marks a function that other files of the core call, and that
 * must not be seen outside of the extension: no clash with another library's
 * symbols, and a direct call instead of one through the PLT. */
#if defined(__GNUC__)
#    define SLP_INTERNAL       __attribute__((visibility("hidden")))
#    define SLP_NORETURN       __attribute__((noreturn))
#    define SLP_NOINLINE       __attribute__((noinline))
#    define SLP_INLINE         inline __attribute__((always_inline))
#    define SLP_LIKELY(cond)   __builtin_expect(!!(cond), 1)
#    define SLP_UNLIKELY(cond) __builtin_expect(!!(cond), 0)
#else
#    define SLP_INTERNAL
#    define SLP_NORETURN _Noreturn
#    define SLP_NOINLINE
#    define SLP_INLINE         inline
#    define SLP_LIKELY(cond)   (cond)
#    define SLP_UNLIKELY(cond) (cond)
#endif

/* Where the C frame of the function begins in which it stands: the same in all
 * that are called from one place.  No register is needed for it. */
#if defined(__GNUC__)
#    define SLP_FRAME_ADDRESS() ((uintptr_t)__builtin_dwarf_cfa())
#endif

/* The struct of type `type` whose field `member` lies at `ptr`.  By way of an
 * integer, so that a pointer to const serves too. */
#define SLP_CONTAINER_OF(ptr, type, member)                                   \
    ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

/* SLP_CHECKED is 1 where assertions and invariant walkers are compiled in:
 * in debug builds, and in optimised ones that ask for it with SLP_CHECK=1. */
#if !defined(NDEBUG)
#    define SLP_CHECKED 1
#elif defined(SLP_CHECK)
#    if SLP_CHECK
#        define SLP_CHECKED 1
#    else
#        define SLP_CHECKED 0
#    endif
#else
#    define SLP_CHECKED 0
#endif

/* Prints where and what, and aborts.  Not assert(): CPython's own flags carry
 * NDEBUG, and <assert.h> can be switched on and off within one file. */
SLP_NORETURN static inline void
slp_fatal(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: stackless: %s\n", file, line, what);
    fflush(stderr);
    abort();
}

#define SLP_FATAL(what) slp_fatal(__FILE__, __LINE__, (what))

#if SLP_CHECKED
#    define SLP_ASSERT(cond)                                                  \
        (SLP_LIKELY(cond) ? (void)0 : SLP_FATAL("assertion failed: " #cond))
#else
/* Not evaluated, but compiled: the names in it stay used and correct. */
#    define SLP_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

#endif /* SLP_BASE_H */
