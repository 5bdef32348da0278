/* SPDX-License-Identifier: PSF-2.0 */

/* cstack_mem.c: sizes and bounds, use of the whole stack, thousands of stacks,
 * the cache, memory given back, failure.
 */

#include "base/slp_base.h"
#include "fiber.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static void
do_nothing(void *arg)
{
    (void)arg;
}

static struct slp_cstack_stats
stats_now(void)
{
    struct slp_cstack_stats stats;
    slp_cstack_stats(&stats);
    return stats;
}

static void
empty_cache(void)
{
    int limit = slp_cstack_cache_limit(0);
    slp_cstack_cache_limit(limit);
    NEED(stats_now().cached == 0);
}

/* ---- Sizes ---- */

static void
with_stack_limit(rlim_t soft, size_t expected)
{
    struct rlimit old;
    struct rlimit new;
    NEED(getrlimit(RLIMIT_STACK, &old) == 0);
    new = old;
    new.rlim_cur = soft;
    if (setrlimit(RLIMIT_STACK, &new) < 0) {
        return;
    }
    NEED(getrlimit(RLIMIT_STACK, &new) == 0);
    if (new.rlim_cur == soft) { /* qemu-user only pretends to set it */
        CHECK(slp_cstack_default_size() == expected);
    }
    NEED(setrlimit(RLIMIT_STACK, &old) == 0);
}

static void
default_size_follows_limit(void)
{
    with_stack_limit(16 * MIB, 16 * MIB);
    with_stack_limit(1 * MIB, 1 * MIB);
    with_stack_limit(512 * KIB, 8 * MIB);
    with_stack_limit(256 * MIB, 8 * MIB);
    with_stack_limit(RLIM_INFINITY, 8 * MIB);
}

static void
bounds_and_rounding(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t sizes[] = {0, 1, 64 * KIB + 1, 1 * MIB - 5, 8 * MIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *low;
        char *high;
        slp_cstack *stack = slp_cstack_new(sizes[i], do_nothing, NULL);
        NEED(stack != NULL);
        slp_cstack_bounds(stack, &low, &high);
        CHECK((uintptr_t)low % page == 0);
        CHECK((uintptr_t)high % page == 0);
        CHECK((size_t)(high - low) >= sizes[i]);
        CHECK((size_t)(high - low) >= 64 * KIB);
        CHECK((size_t)(high - low) < sizes[i] + 64 * KIB + page);
        CHECK(slp_cstack_used(stack) > 0);
        CHECK(slp_cstack_used(stack) < 1024);
        slp_cstack_free(stack);
    }
}

static void
native_bounds(void)
{
    char *low;
    char *high;
    slp_cstack_bounds(fiber_native, &low, &high);
    char *here = (char *)__builtin_frame_address(0);
    CHECK(low < here && here < high);
    CHECK(slp_cstack_used(fiber_native) == 0);
    slp_cstack_free(NULL);
}

/* ---- Depth ---- */

/* Recurses until less than `reserve` bytes are left, yields there, and checks
 * on the way back that every frame is as it was. */
static SLP_NOINLINE unsigned
dive(char *low, size_t reserve, unsigned depth)
{
    volatile unsigned mark[64];
    for (unsigned i = 0; i < 64; i++) {
        mark[i] = depth + i;
    }
    unsigned deepest = depth;
    if ((size_t)((char *)__builtin_frame_address(0) - low) > reserve) {
        deepest = dive(low, reserve, depth + 1);
    }
    else {
        fiber_yield();
    }
    for (unsigned i = 0; i < 64; i++) {
        NEED(mark[i] == depth + i);
    }
    return deepest;
}

struct diver {
    struct fiber fiber;
    size_t reserve;
    unsigned depth;
};

static void
dive_body(void *arg)
{
    struct diver *self = arg;
    char *low;
    char *high;
    slp_cstack_bounds(self->fiber.stack, &low, &high);
    self->depth = dive(low, self->reserve, 0);
}

static void
whole_stack_is_usable(void)
{
    struct diver divers[3];
    for (int i = 0; i < 3; i++) {
        divers[i].reserve = 8 * KIB;
        fiber_start(&divers[i].fiber, 512 * KIB, dive_body, &divers[i]);
    }
    for (int i = 0; i < 3; i++) {
        fiber_resume(&divers[i].fiber);
    }
    for (int i = 0; i < 3; i++) {
        size_t used = slp_cstack_used(divers[i].fiber.stack);
        CHECK(used > 480 * KIB && used <= 512 * KIB);
        fiber_resume(&divers[i].fiber);
        CHECK(divers[i].fiber.done);
        CHECK(divers[i].depth > 100);
        CHECK(slp_cstack_used(divers[i].fiber.stack) < 16 * KIB);
        fiber_free(&divers[i].fiber);
    }
}

/* Freed while hundreds of frames are on it; the next user of the memory must
 * not be disturbed by what is left there (red zones of AddressSanitizer). */
static void
abandoned_frames(void)
{
    for (int i = 0; i < 10; i++) {
        struct diver diver;
        char *low;
        char *high;
        diver.reserve = (size_t)(i + 1) * 16 * KIB;
        fiber_start(&diver.fiber, 256 * KIB, dive_body, &diver);
        slp_cstack_bounds(diver.fiber.stack, &low, &high);
        memset(low, 0xaa, 256 * KIB - slp_cstack_used(diver.fiber.stack));
        fiber_resume(&diver.fiber);
        if (i % 2) {
            fiber_resume(&diver.fiber);
        }
        fiber_free(&diver.fiber);
    }
}

/* ---- Many ---- */

static void
count_body(void *arg)
{
    int *count = arg;
    for (;;) {
        (*count)++;
        fiber_yield();
    }
}

static void
thousands_of_stacks(void)
{
    size_t many = 5000;
    if (WITH_TSAN || WITH_ASAN || running_under("valgrind")
        || running_under("emulator")) {
        many = 500; /* their own tables are small or slow */
    }
    struct fiber *fibers = calloc(many, sizeof(*fibers));
    int *counts = calloc(many, sizeof(*counts));
    NEED(fibers != NULL && counts != NULL);
    for (size_t i = 0; i < many; i++) {
        fiber_start(&fibers[i], 8 * MIB, count_body, &counts[i]);
    }
    CHECK(stats_now().mapped >= many);
    CHECK(stats_now().bytes >= many * 8 * MIB);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < many; i++) {
            fiber_resume(&fibers[i]);
        }
    }
    for (size_t i = 0; i < many; i++) {
        CHECK(counts[i] == 3);
        fiber_free(&fibers[i]);
    }
    free(fibers);
    free(counts);
}

/* ---- Cache ---- */

static void
cache_keeps_and_trims(void)
{
    slp_cstack *stacks[8];
    empty_cache();
    size_t before = stats_now().mapped;
    int old = slp_cstack_cache_limit(5);
    CHECK(slp_cstack_cache_limit(-1) == 5);
    for (int i = 0; i < 8; i++) {
        stacks[i] = slp_cstack_new(1 * MIB, do_nothing, NULL);
        NEED(stacks[i] != NULL);
    }
    CHECK(stats_now().mapped == before + 8);
    for (int i = 0; i < 8; i++) {
        slp_cstack_free(stacks[i]);
    }
    CHECK(stats_now().cached == 5);
    CHECK(stats_now().mapped == before + 5);
    CHECK(slp_cstack_cache_limit(2) == 5);
    CHECK(stats_now().cached == 2);
    CHECK(slp_cstack_cache_limit(0) == 2);
    CHECK(stats_now().cached == 0);
    CHECK(stats_now().mapped == before);
    CHECK(slp_cstack_cache_limit(old) == 0);
}

static void
cache_reuses_same_size(void)
{
    char *low[2];
    char *high;
    empty_cache();
    size_t before = stats_now().mapped;
    slp_cstack *a = slp_cstack_new(1 * MIB, do_nothing, NULL);
    slp_cstack *b = slp_cstack_new(2 * MIB, do_nothing, NULL);
    NEED(a != NULL && b != NULL);
    slp_cstack_bounds(a, &low[0], &high);
    slp_cstack_free(a);
    slp_cstack_free(b);
    CHECK(stats_now().cached == 2);
    a = slp_cstack_new(1 * MIB, do_nothing, NULL); /* not the newest */
    NEED(a != NULL);
    slp_cstack_bounds(a, &low[1], &high);
    CHECK(low[0] == low[1]);
    CHECK(stats_now().cached == 1);
    b = slp_cstack_new(3 * MIB, do_nothing, NULL); /* no such size */
    CHECK(stats_now().cached == 1);
    CHECK(stats_now().mapped == before + 3);
    slp_cstack_free(a);
    slp_cstack_free(b);
    empty_cache();
    CHECK(stats_now().mapped == before);
}

/* Resident pages in a range. */
static size_t
resident(char *low, char *high)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t count = (size_t)(high - low) / page;
    unsigned char *map = malloc(count);
    NEED(map != NULL);
    NEED(mincore(low, count * page, map) == 0);
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += map[i] & 1u;
    }
    free(map);
    return sum * page;
}

static void
idle_memory_is_given_back(void)
{
    struct diver diver;
    char *low;
    char *high;
    if (running_under("emulator")) {
        return; /* qemu-user's mincore is a stub */
    }
    empty_cache();
    diver.reserve = 64 * KIB;
    fiber_start(&diver.fiber, 4 * MIB, dive_body, &diver);
    slp_cstack_bounds(diver.fiber.stack, &low, &high);
    CHECK(resident(low, high) <= 64 * KIB); /* touched lazily */
    fiber_resume(&diver.fiber);
    fiber_resume(&diver.fiber);
    CHECK(resident(low, high) > 3 * MIB);
    fiber_free(&diver.fiber);
    CHECK(stats_now().cached == 1);
    CHECK(resident(low, high) <= 64 * KIB);
    empty_cache();
}

/* ---- Failure ---- */

static void
injected_failure(void)
{
    for (int cached = 0; cached < 2; cached++) {
        struct slp_cstack_stats before = stats_now();
        slp_cstack_fail_after(2);
        slp_cstack *first = slp_cstack_new(1 * MIB, do_nothing, NULL);
        CHECK(first != NULL);
        errno = 0;
        CHECK(slp_cstack_new(1 * MIB, do_nothing, NULL) == NULL);
        CHECK(errno == ENOMEM);
        slp_cstack *third = slp_cstack_new(1 * MIB, do_nothing, NULL);
        CHECK(third != NULL);
        errno = EDOM;
        slp_cstack_free(first);
        slp_cstack_free(third);
        CHECK(errno == EDOM);
        CHECK(stats_now().mapped - stats_now().cached
              == before.mapped - before.cached);
    }
    slp_cstack_fail_after(1);
    slp_cstack_fail_after(-1);
    slp_cstack *stack = slp_cstack_new(1 * MIB, do_nothing, NULL);
    CHECK(stack != NULL);
    slp_cstack_free(stack);
}

static void
absurd_sizes(void)
{
    size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2,
                      (size_t)1 << 62};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        errno = 0;
        CHECK(slp_cstack_new(sizes[i], do_nothing, NULL) == NULL);
        CHECK(errno == ENOMEM);
    }
}

/* A real refusal: the address space of a child is limited. */
static void
refused_by_the_system(void)
{
    if (WITH_ASAN || WITH_TSAN || running_under("valgrind")
        || running_under("emulator")) {
        return; /* these need address space themselves */
    }
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {64 * MIB, 64 * MIB};
        if (setrlimit(RLIMIT_AS, &limit) < 0) {
            _exit(0);
        }
        empty_cache();
        size_t made = 0;
        while (slp_cstack_new(8 * MIB, do_nothing, NULL) != NULL) {
            made++;
        }
        _exit(errno == ENOMEM && made < 8 && stats_now().mapped == made ? 0
                                                                        : 1);
    }
    int status;
    NEED(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
    fiber_thread_start();
    RUN(default_size_follows_limit);
    RUN(bounds_and_rounding);
    RUN(native_bounds);
    RUN(whole_stack_is_usable);
    RUN(abandoned_frames);
    RUN(cache_keeps_and_trims);
    RUN(cache_reuses_same_size);
    RUN(idle_memory_is_given_back);
    RUN(injected_failure);
    RUN(absurd_sizes);
    RUN(refused_by_the_system);
    RUN(thousands_of_stacks);
    empty_cache();
    CHECK(stats_now().mapped == 0);
    CHECK(stats_now().bytes == 0);
    fiber_thread_end();
    return check_result();
}
