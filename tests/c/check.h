/* SPDX-License-Identifier: PSF-2.0 */

/* The smallest test harness that serves: CHECK, a named list, one main.
 *
 * A test program is a number of `static void name(void)` functions; its main
 * calls each with RUN(name) and ends in `return check_result();`.  A failing CHECK is
 * printed and counted, and the function goes on; whatever cannot go on after
 * it uses NEED, which ends the program.  Exit status: 0 all passed, 1 a check
 * failed, 77 skipped (return SKIP).
 */

#ifndef SLP_TEST_CHECK_H
#define SLP_TEST_CHECK_H

#include "base/slp_base.h"

#include <string.h>

#define SKIP 77

static int check_failures;

#define CHECK(cond)                                                           \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #cond); \
            check_failures++;                                                 \
        }                                                                     \
    } while (0)

#define NEED(cond)                                                            \
    do {                                                                      \
        if (!(cond)) {                                                        \
            SLP_FATAL(#cond);                                                 \
        }                                                                     \
    } while (0)

/* Runs a test function and prints how it went. */
#define RUN(test)                                                             \
    do {                                                                      \
        int before = check_failures;                                          \
        test();                                                               \
        printf("%s %s\n", before == check_failures ? "ok  " : "FAIL", #test); \
    } while (0)

static inline int
check_result(void)
{
    return check_failures == 0 ? 0 : 1;
}

/* Where are we?  Tests that map much, fork or overflow ask. */
#if defined(__SANITIZE_ADDRESS__)
#    define WITH_ASAN 1
#else
#    define WITH_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#    define WITH_TSAN 1
#else
#    define WITH_TSAN 0
#endif

/* run.py says what surrounds the program: "valgrind", "emulator" or "". */
static inline bool
running_under(const char *what)
{
    const char *under = getenv("SLP_TEST_UNDER");
    return under != NULL && strcmp(under, what) == 0;
}

#endif /* SLP_TEST_CHECK_H */
