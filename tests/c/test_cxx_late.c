/* SPDX-License-Identifier: PSF-2.0 */

/* The C++ runtime arrives with a library that is loaded RTLD_LOCAL after many
 * switches, as an extension module in Python: the very first switch inside a
 * catch block must already be right.  run.py builds the library and gives its
 * path in SLP_TEST_CXX_LATE. */

#include "base/slp_base.h"
#include "fiber.h"

#if defined(SLP_CSTACK_STATIC)

int
main(void)
{
    printf("skipped: a static program loads nothing\n");
    return SKIP;
}

#else

#    include <dlfcn.h>

typedef int (*late_function)(void (*yield)(void), const char *name);

static late_function late;

struct job {
    const char *name;
    int failures;
};

static void
late_body(void *arg)
{
    struct job *job = arg;
    job->failures = late(fiber_yield, job->name);
}

static void
yield_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        fiber_yield();
    }
}

static void
switch_without_runtime(void)
{
    struct fiber fiber;
    fiber_start(&fiber, 0, yield_often, NULL);
    while (!fiber.done) {
        fiber_resume(&fiber);
    }
    fiber_free(&fiber);
}

static void
runtime_comes_late(void)
{
    struct job jobs[3] = {{"x", 0}, {"y", 0}, {"z", 0}};
    struct fiber fibers[3];
    for (int i = 0; i < 3; i++) {
        fiber_start(&fibers[i], 0, late_body, &jobs[i]);
    }
    while (!fibers[2].done) {
        for (int i = 0; i < 3; i++) {
            fiber_resume(&fibers[i]);
        }
    }
    for (int i = 0; i < 3; i++) {
        CHECK(jobs[i].failures == 0);
        fiber_free(&fibers[i]);
    }
}

int
main(void)
{
    const char *path = getenv("SLP_TEST_CXX_LATE");
    if (path == NULL) {
        printf("skipped: no C++ library\n");
        return SKIP;
    }
    fiber_thread_start();
    RUN(switch_without_runtime);
    if (dlsym(RTLD_DEFAULT, "__cxa_get_globals") != NULL) {
        printf("     a C++ runtime was here before (UBSan brings one)\n");
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    late = (late_function)dlsym(library, "late_yield_in_catch");
    NEED(late != NULL);
    RUN(runtime_comes_late);
    slp_cstack_cache_limit(0);
    fiber_thread_end();
    return check_result();
}

#endif /* SLP_CSTACK_STATIC */
