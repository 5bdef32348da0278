/* SPDX-License-Identifier: PSF-2.0 */

/* Stacks that share memory: moved to the heap, and back to where they were. */

#include "cstack_internal.h"

#include <string.h>

#define KIB ((size_t)1024)

bool
slp_cstack_can_share(void)
{
    return !SLP_ASAN && !SLP_TSAN && !SLP_ARCH_UCONTEXT;
}

bool
slp_cstack_is_in(const slp_cstack *self)
{
    return self->region == NULL || self->region->holder == self;
}

/* ---- Moving ---- */

/* Most of a stack in use is room that was never written: CPython's sort, for
 * one, takes 5 KB and uses little of it.  So words that are zero are not kept,
 * and what a stack leaves behind is cleared before another one comes.
 *
 * A packed stack is a byte for each block of eight words, whose bits say which
 * of them are not zero, and then those. */

#define WORD        sizeof(uint64_t)
#define BLOCK       8
#define BELOW_BYTES KIB /* what calls have left below the stack pointer */
#define MAX_CLEAR   (64 * KIB)

/* Blocks of a stack; the lowest may reach below it. */
static size_t
blocks_of(size_t used)
{
    return (used + BLOCK * WORD - 1) / (BLOCK * WORD);
}

/* At most this becomes of it. */
static size_t
packed_limit(size_t used)
{
    return blocks_of(used) * (1 + BLOCK * WORD);
}

/* Packs the blocks that end at `high`; returns the bytes written. */
static size_t
pack(const char *high, size_t blocks, char *to)
{
    unsigned char *masks = (unsigned char *)to;
    char *next = to + blocks;
    const char *block = high - blocks * BLOCK * WORD;
    for (size_t b = 0; b < blocks; b++, block += BLOCK * WORD) {
        uint64_t words[BLOCK], any = 0;
        memcpy(words, block, sizeof(words));
        for (unsigned i = 0; i < BLOCK; i++) {
            any |= words[i];
        }
        masks[b] = 0;
        if (any == 0) {
            continue;
        }
        unsigned mask = 0;
        for (unsigned i = 0; i < BLOCK; i++) {
            memcpy(next, &words[i], WORD);
            mask |= (unsigned)(words[i] != 0) << i;
            next += words[i] != 0 ? WORD : 0;
        }
        masks[b] = (unsigned char)mask;
    }
    return (size_t)(next - to);
}

static void
unpack(const char *from, size_t blocks, char *high)
{
    const unsigned char *masks = (const unsigned char *)from;
    const char *next = from + blocks;
    char *block = high - blocks * BLOCK * WORD;
    for (size_t b = 0; b < blocks; b++, block += BLOCK * WORD) {
        uint64_t words[BLOCK] = {0};
        for (unsigned mask = masks[b]; mask != 0; mask &= mask - 1) {
            memcpy(&words[__builtin_ctz(mask)], next, WORD);
            next += WORD;
        }
        memcpy(block, words, sizeof(words));
    }
}

void
slp_region_vacate(slp_cstack *self)
{
    slp_region *region = self->region;
    char *left = (char *)self->sp - BELOW_BYTES;
    region->dirty = left > region->low ? left : region->low;
    region->holder = NULL;
}

void
slp_region_clear(slp_region *region, char *end)
{
    size_t size = (size_t)(end - region->dirty);
    if (region->dirty < end && size <= MAX_CLEAR) {
        slp_san_write(region->dirty, size);
        memset(region->dirty, 0, size);
    }
    region->dirty = region->high;
}

/* More than this is given back when it is not needed any more. */
#define MAX_SPARE (256 * KIB)

bool
slp_cstack_reserve(slp_cstack *self, size_t bytes)
{
    slp_region *region = self->region;
    bytes = packed_limit(bytes) + WORD; /* pack() writes a word too many */
    bool waste = region->spare_size > MAX_SPARE
                 && region->spare_size > 4 * bytes;
    if (bytes <= region->spare_size && !waste) {
        return true;
    }
    char *spare = malloc(bytes);
    if (spare == NULL) {
        return waste;
    }
    free(region->spare);
    region->spare = spare;
    region->spare_size = bytes;
    return true;
}

bool
slp_cstack_is_reserved(const slp_cstack *self)
{
    size_t limit = packed_limit(slp_cstack_used(self)) + WORD;
    return limit <= self->region->spare_size;
}

static bool fail_copies;

void
slp_cstack_fail_copies(bool fail)
{
    fail_copies = fail;
}

static char *
copy_memory(size_t size)
{
    return fail_copies ? NULL : malloc(size);
}

static void
keep_packed(slp_cstack *self)
{
    slp_region *region = self->region;
    if (SLP_UNLIKELY(!slp_cstack_is_reserved(self))) {
        SLP_FATAL("too little was reserved for a C stack");
    }
    size_t blocks = blocks_of(slp_cstack_used(self));
    slp_san_read(self->high - blocks * BLOCK * WORD, blocks * BLOCK * WORD);
    size_t size = pack(self->high, blocks, region->spare);
    self->copy = copy_memory(size);
    if (self->copy != NULL) {
        memcpy(self->copy, region->spare, size);
    }
    else {
        self->copy = region->spare;
        region->spare = NULL;
        region->spare_size = 0;
    }
    self->packed = true;
}

static bool
keep_copied(slp_cstack *self)
{
    size_t used = slp_cstack_used(self);
    self->copy = copy_memory(used);
    if (self->copy != NULL) {
        slp_san_read(self->sp, used);
        memcpy(self->copy, self->sp, used);
        self->packed = false;
    }
    return self->copy != NULL;
}

void
slp_cstack_move_out(slp_cstack *self, slp_cstack_fate fate)
{
    SLP_ASSERT(self->region->holder == self && self->sp != NULL);
    if (fate == SLP_STACK_PACKED
        || (fate == SLP_STACK_COPIED && !keep_copied(self))) {
        keep_packed(self);
    }
    slp_region_vacate(self);
}

void
slp_cstack_move_in(slp_cstack *self)
{
    slp_region *region = self->region;
    SLP_ASSERT(region->holder == NULL);
    slp_region_clear(region, self->sp);
    size_t used = slp_cstack_used(self), blocks = blocks_of(used);
    slp_san_write(self->high - blocks * BLOCK * WORD, blocks * BLOCK * WORD);
    if (self->packed) {
        unpack(self->copy, blocks, self->high);
    }
    else {
        memcpy(self->sp, self->copy, used);
    }
    free(self->copy);
    self->copy = NULL;
    region->holder = self;
}

#define LINE      ((size_t)64) /* of a cache */
#define MAX_FETCH (2 * KIB)

void
slp_cstack_fetch(const slp_cstack *self, int step)
{
    if (step == 0) {
        __builtin_prefetch(self);
        __builtin_prefetch((const char *)self + LINE);
    }
    else if (self->copy != NULL) {
        size_t used = slp_cstack_used(self);
        size_t bytes = used < MAX_FETCH ? used : MAX_FETCH;
        for (size_t i = 0; i < bytes; i += LINE) {
            __builtin_prefetch(self->copy + i);
        }
    }
}

/* ---- Movers ---- */

/* The life of a mover.  It touches nothing but heap memory and the two stacks,
 * neither of which runs. */
static void
mover_main(void *arg)
{
    struct slp_mover *m = arg;
    for (;;) {
        slp_cstack_move_out(m->from, m->fate);
        if (!slp_cstack_is_in(m->in)) {
            slp_cstack_move_in(m->in);
        }
        slp_cstack_switch(m->self, m->to);
    }
}

slp_cstack *
slp_cstack_mover(void)
{
    struct slp_mover *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->self = slp_cstack_new(0, mover_main, m);
    if (m->self == NULL) {
        free(m);
        return NULL;
    }
    m->self->mover = m;
    return m->self;
}

void
slp_cstack_switch_by(slp_cstack *mover, slp_cstack *from, slp_cstack *in,
                     slp_cstack *to, slp_cstack_fate fate)
{
    struct slp_mover *m = mover->mover;
    m->from = from;
    m->in = in;
    m->to = to;
    m->fate = fate;
    slp_cstack_switch(from, mover);
}
