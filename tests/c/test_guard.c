/* SPDX-License-Identifier: PSF-2.0 */

/* Below a stack nothing can be written: an overflow dies of SIGSEGV, in a
 * forked child, wherever in the guard it hits. */

#include "base/slp_base.h"
#include "fiber.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1024)

/* Runs `body` on a stack in a child; returns its wait status. */
static int
status_of_child(void (*body)(void *arg))
{
    fflush(NULL);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL); /* sanitizers catch it */
        struct fiber fiber;
        fiber_start(&fiber, 128 * KIB, body, &fiber);
        fiber_resume(&fiber);
        _exit(0);
    }
    int status;
    NEED(waitpid(pid, &status, 0) == pid);
    return status;
}

static bool
died_of_segv(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static size_t offset_below;

/* Address arithmetic through integers: the compiler must not know. */
static void
write_below(void *arg)
{
    struct fiber *self = arg;
    char *low;
    char *high;
    slp_cstack_bounds(self->stack, &low, &high);
    *(volatile char *)((uintptr_t)low - offset_below) = 1;
}

static void
lowest_byte_is_usable(void)
{
    offset_below = 0;
    int status = status_of_child(write_below);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
guard_catches_writes(void)
{
    size_t offsets[] = {1, 4096, 32 * KIB, 64 * KIB};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        offset_below = offsets[i];
        CHECK(died_of_segv(status_of_child(write_below)));
    }
}

static volatile bool enough; /* never set; the compiler must not know */

static SLP_NOINLINE int
recurse_for_ever(volatile char *above)
{
    volatile char block[512];
    block[0] = (char)(above[0] + 1);
    if (enough) {
        return block[0];
    }
    return recurse_for_ever(block) + block[0];
}

static void
overflow_body(void *arg)
{
    (void)arg;
    volatile char start[1] = {0};
    recurse_for_ever(start);
}

static void
endless_recursion_dies(void)
{
    CHECK(died_of_segv(status_of_child(overflow_body)));
}

int
main(void)
{
    if (running_under("valgrind")) {
        printf("skipped: valgrind reports the faults that are wanted here\n");
        return SKIP;
    }
    fiber_thread_start();
    RUN(lowest_byte_is_usable);
    RUN(guard_catches_writes);
    RUN(endless_recursion_dies);
    fiber_thread_end();
    return check_result();
}
