/* SPDX-License-Identifier: PSF-2.0 */

/* How long does a switch take?  Two stacks that alternate, and rings of many;
 * and making, entering and freeing one.  Best of several rounds; printed, not
 * judged.  Arguments: number of switches per round. */

#include "base/slp_base.h"
#include "fiber.h"

#include <time.h>

#define ROUNDS 7

static double
now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void
yield_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        fiber_yield();
    }
}

/* ns per switch: native to each of `count` stacks and back. */
static double
ring(size_t count, long switches)
{
    struct fiber *fibers = calloc(count, sizeof(*fibers));
    NEED(fibers != NULL);
    for (size_t i = 0; i < count; i++) {
        fiber_start(&fibers[i], slp_cstack_default_size(), yield_for_ever,
                    NULL);
    }
    double best = 1e30;
    for (int round = 0; round <= ROUNDS; round++) {
        double start = now_ns();
        for (long done = 0; done < switches; done += 2 * (long)count) {
            for (size_t i = 0; i < count; i++) {
                fiber_resume(&fibers[i]);
            }
        }
        double taken = (now_ns() - start) / (double)switches;
        if (round > 0 && taken < best) {
            best = taken;
        }
    }
    for (size_t i = 0; i < count; i++) {
        fiber_free(&fibers[i]);
    }
    free(fibers);
    return best;
}

static double
make_enter_free(long count)
{
    double start = now_ns();
    for (long i = 0; i < count; i++) {
        struct fiber fiber;
        fiber_start(&fiber, slp_cstack_default_size(), yield_for_ever, NULL);
        fiber_resume(&fiber);
        fiber_free(&fiber);
    }
    return (now_ns() - start) / (double)count;
}

int
main(int argc, char **argv)
{
    long switches = argc > 1 ? atol(argv[1]) : 2000000;
    fiber_thread_start();
    printf("backend %s\n", slp_cstack_backend());
    size_t counts[] = {1, 10, 100, 1000};
    for (size_t i = 0; i < 4; i++) {
        printf("%5zu stacks: %7.1f ns per switch\n", counts[i],
               ring(counts[i], switches));
    }
    long made = switches / 100 + 1;
    printf("make, enter, free: %8.1f ns cached\n", make_enter_free(made));
    slp_cstack_cache_limit(0);
    printf("                   %8.1f ns mapped anew\n", make_enter_free(made));
    fiber_thread_end();
    return 0;
}
