/* SPDX-License-Identifier: PSF-2.0 */

/* Stacks that share memory: what is on them comes back as it was, whoever was
 * there meanwhile, and however it was copied.
 */

#include "base/slp_base.h"
#include "fiber.h"

#define SIZE (256 * 1024)

static unsigned seed = 1;

static unsigned
draw(unsigned below)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % below;
}

/* ---- Bodies ---- */

/* A chain of frames that point at each other, each with room it does not use,
 * with zeros and with values of its own. */
struct link {
    struct link *below;
    unsigned long id;
    unsigned long unused[64];
    unsigned long values[9];
};

static void
fill(struct link *self, struct link *below, unsigned long id)
{
    self->below = below;
    self->id = id;
    for (unsigned long i = 0; i < 9; i++) {
        self->values[i] = i % 3 == 0 ? 0 : id * 1000 + i;
    }
}

static bool
is_whole(const struct link *top, unsigned long id, int depth)
{
    for (const struct link *l = top; l != NULL; l = l->below, depth--) {
        for (unsigned long i = 0; i < 9; i++) {
            if (l->values[i] != (i % 3 == 0 ? 0 : id * 1000 + i)) {
                return false;
            }
        }
        if (l->id != id) {
            return false;
        }
    }
    return depth == 0;
}

static SLP_NOINLINE void
descend(struct link *below, unsigned long id, int depth, int to)
{
    struct link here;
    fill(&here, below, id);
    fiber_yield();
    CHECK(is_whole(&here, id, depth));
    if (depth < to) {
        descend(&here, id, depth + 1, to);
    }
    fiber_yield();
    CHECK(is_whole(&here, id, depth));
}

struct job {
    unsigned long id;
    int depth;
};

static void
dig(void *arg)
{
    struct job *job = arg;
    double before = 1.0 / (double)(job->id + 1);
    descend(NULL, job->id, 1, job->depth);
    CHECK(before == 1.0 / (double)(job->id + 1));
}

/* ---- A scheduler with fewer regions than stacks ---- */

enum {
    REGIONS = 3,
    FIBERS = 40
};

static slp_cstack *mover;
static struct fiber fibers[FIBERS];
static struct job jobs[FIBERS];

static slp_cstack_fate
any_fate(void)
{
    return draw(2) ? SLP_STACK_PACKED : SLP_STACK_COPIED;
}

static void
put_out(slp_cstack *stack)
{
    NEED(slp_cstack_reserve(stack, slp_cstack_used(stack)));
    slp_cstack_move_out(stack, any_fate());
    CHECK(!slp_cstack_is_in(stack));
}

static void
bring_in(slp_cstack *stack)
{
    slp_cstack *holder = slp_cstack_region(stack)->holder;
    if (holder != NULL && holder != stack) {
        put_out(holder);
    }
    if (!slp_cstack_is_in(stack)) {
        slp_cstack_move_in(stack);
    }
    CHECK(slp_cstack_is_in(stack));
}

static void
start_all(void)
{
    for (unsigned i = 0; i < FIBERS; i++) {
        struct fiber *f = &fibers[i];
        jobs[i] = (struct job){.id = i + 1, .depth = 1 + (int)draw(12)};
        if (i < REGIONS) {
            fiber_start(f, SIZE, dig, &jobs[i]);
            continue;
        }
        slp_region *region = slp_cstack_region(fibers[i % REGIONS].stack);
        if (region->holder != NULL) {
            put_out(region->holder);
        }
        *f = (struct fiber){.body = dig, .arg = &jobs[i]};
        f->stack = slp_cstack_join(region, fiber_main, f);
        NEED(f->stack != NULL);
        CHECK(region->users == (int)(i / REGIONS) + 1);
    }
}

static void
free_all(void)
{
    for (unsigned i = 0; i < FIBERS; i++) {
        CHECK(fibers[i].done);
        fiber_free(&fibers[i]);
    }
}

/* Resume any one until all are done. */
static void
run_all(void)
{
    int left = FIBERS;
    while (left > 0) {
        struct fiber *f = &fibers[draw(FIBERS)];
        if (!f->done) {
            bring_in(f->stack);
            fiber_resume(f);
            left -= f->done;
        }
    }
}

static void
moved_from_outside(void)
{
    start_all();
    run_all();
    free_all();
}

static void
moved_without_memory_for_copies(void)
{
    slp_cstack_fail_copies(true);
    moved_from_outside();
    slp_cstack_fail_copies(false);
}

/* ---- One that runs where the other one belongs ---- */

static slp_cstack *ring[2];
static int rounds;

static void
hand_over(void *arg)
{
    int me = *(int *)arg;
    struct link here;
    fill(&here, NULL, (unsigned long)me + 1);
    while (rounds-- > 0) {
        slp_cstack *self = ring[me];
        NEED(slp_cstack_reserve(self, SIZE / 4));
        slp_cstack_switch_by(mover, self, ring[1 - me], ring[1 - me],
                             any_fate());
        CHECK(is_whole(&here, (unsigned long)me + 1, 1));
        CHECK(slp_cstack_is_in(ring[me]) && !slp_cstack_is_in(ring[1 - me]));
    }
    slp_cstack_switch(ring[me], fiber_native);
    SLP_FATAL("resumed after the end");
}

static void
moved_by_a_mover(void)
{
    static int names[2] = {0, 1};
    mover = slp_cstack_mover();
    NEED(mover != NULL);
    rounds = 1000;
    ring[0] = slp_cstack_new(SIZE, hand_over, &names[0]);
    NEED(ring[0] != NULL);
    put_out(ring[0]);
    ring[1] = slp_cstack_join(slp_cstack_region(ring[0]), hand_over,
                              &names[1]);
    NEED(ring[1] != NULL);
    slp_cstack_switch(fiber_native, ring[1]);
    CHECK(rounds < 0);
    slp_cstack_free(ring[0]);
    slp_cstack_free(ring[1]);
    slp_cstack_free(mover);
}

/* ---- The end of one that is in the way ---- */

static void
end_at_once(void *arg)
{
    slp_cstack **pair = arg;
    slp_cstack_switch_by(mover, pair[0], pair[1], pair[1], SLP_STACK_LOST);
}

static void
go_home(void *arg)
{
    slp_cstack **pair = arg;
    slp_cstack_switch(pair[1], fiber_native);
}

static void
left_for_good(void)
{
    slp_cstack *pair[2];
    mover = slp_cstack_mover();
    NEED(mover != NULL);
    pair[1] = slp_cstack_new(SIZE, go_home, pair);
    NEED(pair[1] != NULL);
    put_out(pair[1]);
    pair[0] = slp_cstack_join(slp_cstack_region(pair[1]), end_at_once, pair);
    NEED(pair[0] != NULL);
    slp_cstack_switch(fiber_native, pair[0]);
    CHECK(slp_cstack_is_in(pair[1]) && !slp_cstack_is_in(pair[0]));
    slp_cstack_free(pair[0]);
    CHECK(slp_cstack_region(pair[1])->users == 1);
    slp_cstack_free(pair[1]);
    slp_cstack_free(mover);
}

int
main(void)
{
    if (!slp_cstack_can_share()) {
        printf("stacks cannot share memory in this build\n");
        return SKIP;
    }
    fiber_thread_start();
    RUN(moved_from_outside);
    RUN(moved_without_memory_for_copies);
    RUN(moved_by_a_mover);
    RUN(left_for_good);
    fiber_thread_end();
    return check_result();
}
