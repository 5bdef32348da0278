/* SPDX-License-Identifier: PSF-2.0 */

/* Unwinders walk a stack from its innermost frame to its entry, and stop
 * there: what C++ exceptions, backtrace(), gdb and profilers rely on. */

#include "base/slp_base.h"
#include "fiber.h"

#if defined(__linux__) && defined(__GLIBC__)
#    include <execinfo.h>
#endif
#include <signal.h>
#include <sys/time.h>
#include <unwind.h>

#define LEVELS 10

struct walk {
    int frames;
    int in_stack;
    char *low;
    char *high;
};

static _Unwind_Reason_Code
count_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    char *cfa = (char *)_Unwind_GetCFA(context);
    walk->frames++;
    if (cfa >= walk->low && cfa <= walk->high) {
        walk->in_stack++;
    }
    return walk->frames < 200 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static _Unwind_Reason_Code last_code;
static struct walk last_walk;

static SLP_NOINLINE int
descend(int level)
{
    volatile int here = level;
    if (level > 0) {
        return descend(level - 1) + here;
    }
    last_code = _Unwind_Backtrace(count_frame, &last_walk);
    return here;
}

static void
walk_body(void *arg)
{
    struct fiber *self = arg;
    memset(&last_walk, 0, sizeof(last_walk));
    slp_cstack_bounds(self->stack, &last_walk.low, &last_walk.high);
    for (int i = 0; i < 2; i++) {
        last_walk.frames = last_walk.in_stack = 0;
        descend(LEVELS);
        fiber_yield();
    }
}

/* descend, walk_body, fiber_main, enter, start: all on this stack, no more. */
static void
unwinding_stops_at_entry(void)
{
    struct fiber fiber;
    fiber_start(&fiber, 0, walk_body, &fiber);
    for (int i = 0; i < 2; i++) {
        fiber_resume(&fiber);
        CHECK(last_code == _URC_END_OF_STACK);
        CHECK(last_walk.frames > LEVELS);
        CHECK(last_walk.frames < LEVELS + 12);
        CHECK(last_walk.frames - last_walk.in_stack <= 1);
    }
    fiber_free(&fiber);
}

#if defined(__linux__) && defined(__GLIBC__)
static int backtrace_depth;

static void
backtrace_body(void *arg)
{
    (void)arg;
    void *frames[100];
    backtrace_depth = backtrace(frames, 100);
}

static void
backtrace_stops_at_entry(void)
{
    struct fiber fiber;
    fiber_start(&fiber, 0, backtrace_body, NULL);
    fiber_resume(&fiber);
    CHECK(backtrace_depth >= 2);
    CHECK(backtrace_depth < 12);
    fiber_free(&fiber);
}
#else
static void
backtrace_stops_at_entry(void)
{
}
#endif

/* A sampling profiler: unwinds from a signal handler, which hits anywhere, the
 * middle of a switch included. */
static volatile sig_atomic_t samples;
static volatile sig_atomic_t endless;

static _Unwind_Reason_Code
count_only(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    return ++*(int *)arg < 200 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void
on_sample(int number)
{
    (void)number;
    int frames = 0;
    _Unwind_Backtrace(count_only, &frames);
    if (frames >= 200) {
        endless = 1;
    }
    samples = samples + 1;
}

static void
spin_body(void *arg)
{
    (void)arg;
    for (;;) {
        fiber_yield();
    }
}

static void
sampling_while_switching(void)
{
    if (WITH_ASAN || WITH_TSAN || running_under("valgrind")
        || running_under("emulator")) {
        return; /* too slow, or signals are delayed to calls */
    }
    struct fiber fiber;
    struct itimerval timer = {{0, 200}, {0, 200}};
    struct itimerval off = {{0, 0}, {0, 0}};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_sample;
    action.sa_flags = SA_RESTART;
    NEED(sigaction(SIGPROF, &action, NULL) == 0);
    fiber_start(&fiber, 0, spin_body, NULL);
    NEED(setitimer(ITIMER_PROF, &timer, NULL) == 0);
    for (long i = 0; i < 100000000 && samples < 50; i++) {
        fiber_resume(&fiber);
    }
    NEED(setitimer(ITIMER_PROF, &off, NULL) == 0);
    CHECK(samples >= 50);
    CHECK(!endless);
    fiber_free(&fiber);
}

int
main(void)
{
    fiber_thread_start();
    RUN(unwinding_stops_at_entry);
    RUN(backtrace_stops_at_entry);
    RUN(sampling_while_switching);
    slp_cstack_cache_limit(0);
    fiber_thread_end();
    return check_result();
}
