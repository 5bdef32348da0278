/* SPDX-License-Identifier: PSF-2.0 */
/* Joins C stacks, which know nothing of Python, with the thread state, which
   knows nothing of C stacks.  The only user of cstack.h. */
#include "carrier.h"

#include "cstack/cstack.h"

/* Room for the dispatcher's frame, the frame of its gate and what destructors
   of the engine's own calls may need before CPython adds a chunk. */
#define CHUNK_SIZE 496

/* One to run on, and one to make a new stack in. */
#define MIN_REGIONS 2

/* How much deeper the switch may be than slp_carrier_prepare(). */
#ifdef __OPTIMIZE__
#    define SLACK ((size_t)2048)
#else
#    define SLACK ((size_t)4096)
#endif

static slp_carrier *
carrier_alloc(void)
{
    slp_carrier *c = PyMem_Calloc(1, sizeof(*c));
    if (c != NULL) {
        c->cstate = slp_cstate_new();
        if (c->cstate == NULL) {
            PyMem_Free(c);
            c = NULL;
        }
    }
    if (c == NULL) {
        PyErr_NoMemory();
    }
    return c;
}

slp_carrier *
slp_carrier_native(void)
{
    slp_carrier *c = carrier_alloc();
    if (c == NULL) {
        return NULL;
    }
    c->native = true;
    c->stack = slp_cstack_native();
    if (c->stack == NULL) {
        slp_carrier_free(c);
        PyErr_NoMemory();
        return NULL;
    }
    return c;
}

/* ---- the pool ------------------------------------------------------------ */

static void
pool_unlink(slp_pool *pool, slp_region *region)
{
    *(region->prev ? &region->prev->next : &pool->oldest) = region->next;
    *(region->next ? &region->next->prev : &pool->newest) = region->prev;
    region->next = region->prev = NULL;
}

static void
pool_add_newest(slp_pool *pool, slp_region *region)
{
    region->prev = pool->newest;
    region->next = NULL;
    *(region->prev ? &region->prev->next : &pool->oldest) = region;
    pool->newest = region;
}

static void
pool_add_oldest(slp_pool *pool, slp_region *region)
{
    region->next = pool->oldest;
    region->prev = NULL;
    *(region->next ? &region->next->prev : &pool->newest) = region;
    pool->oldest = region;
}

/* A stack has been made in that region. */
static void
pool_take(slp_pool *pool, slp_region *region)
{
    if (region->users == 1) {
        pool->regions++;
    }
    else {
        pool_unlink(pool, region);
    }
    pool_add_newest(pool, region);
}

static bool
pool_has_mover(slp_pool *pool)
{
    if (pool->mover == NULL) {
        pool->mover = slp_cstack_mover();
    }
    return pool->mover != NULL;
}

void
slp_pool_clear(slp_pool *pool)
{
    slp_cstack_free(pool->mover);
    pool->mover = NULL;
}

/* ---- slicing ------------------------------------------------------------- */

/* What lies between `top`, the newest frame, and the end of the C stack can be
   moved, if not more than `bytes` of it are used. */
static bool
get_ready(slp_carrier *c, slp_frame *top, size_t bytes)
{
    char *low, *high;
    slp_cstack_bounds(c->stack, &low, &high);
    int n = slp_frames_links(top, low, high, c->links, c->link_room);
    if (n > c->link_room) {
        slp_frame_link *links = PyMem_RawMalloc((size_t)n * sizeof(*links));
        if (links == NULL) {
            return false;
        }
        PyMem_RawFree(c->links);
        c->links = links;
        c->link_room = n;
        n = slp_frames_links(top, low, high, links, n);
    }
    c->link_count = n;
    return slp_cstack_reserve(c->stack, bytes);
}

/* One that comes and goes is copied, the others are packed: those may wait for
   long.  Beyond so many all are packed. */
#define MAX_COPIES 40000

static slp_cstack_fate
fate_of(const slp_carrier *c)
{
    bool copy = c->returned && c->pool->sliced < MAX_COPIES;
    return copy ? SLP_STACK_COPIED : SLP_STACK_PACKED;
}

static void
unlink_frames(slp_carrier *c)
{
    char *low = NULL, *high = NULL;
    if (c->below == NULL) {
        slp_cstack_bounds(c->stack, &low, &high);
    }
    slp_frames_unlink(c->links, c->link_count, low, high);
}

/* A suspended one that is ready. */
static void
slice(slp_carrier *c)
{
    unlink_frames(c);
    slp_cstack_move_out(c->stack, fate_of(c));
    c->sliced = true;
    c->pool->sliced++;
}

static bool
has_size(slp_region *region, size_t size)
{
    return (size_t)(region->high - region->low) == size;
}

/* Can the region's holder make room for a new stack of that size? */
static bool
can_vacate(slp_region *region, slp_carrier *running, size_t size)
{
    if (!has_size(region, size)) {
        return false;
    }
    if (region->holder == NULL) {
        return true;
    }
    slp_carrier *c = slp_cstack_owner(region->holder);
    return c != running && c != slp_carrier_base(running) && c->started
           && !c->fixed;
}

/* New stacks that have to share join two regions by turns, so many in a row.
   Tasklets that are made one after the other often run so too: what is copied
   then stays in the processor's caches. */
#define IN_A_ROW 32

static slp_region *
region_to_join(slp_pool *pool, slp_carrier *running, size_t size)
{
    slp_joining *oldest = &pool->joining[0];
    for (int i = 0; i < 2; i++) {
        slp_joining *joining = &pool->joining[i];
        if (joining->left > 0 && can_vacate(joining->region, running, size)) {
            joining->left--;
            return joining->region;
        }
        if (joining->left < oldest->left) {
            oldest = joining;
        }
    }
    slp_region *region = pool->oldest;
    while (region != NULL && !can_vacate(region, running, size)) {
        region = region->next;
    }
    oldest->region = region;
    oldest->left = region != NULL ? IN_A_ROW : 0;
    return region;
}

/* A region for a new stack: vacant, or made so by slicing who is in it.  NULL:
   there is none, or no memory. */
static slp_region *
find_region(slp_pool *pool, slp_carrier *running, size_t size)
{
    if (!slp_cstack_can_share() || !pool_has_mover(pool)) {
        return NULL;
    }
    slp_region *region = region_to_join(pool, running, size);
    if (region != NULL && region->holder != NULL) {
        slp_carrier *c = slp_cstack_owner(region->holder);
        if (!get_ready(c, slp_cstate_frame(c->cstate),
                       slp_cstack_used(region->holder))) {
            return NULL;
        }
        slice(c);
    }
    return region;
}

/* How many of the oldest regions are asked whether they are vacant. */
#define VACANT_TRIES 4

static slp_region *
vacant_region(slp_pool *pool, size_t size)
{
    slp_region *region = pool->oldest;
    for (int i = 0; region != NULL && i < VACANT_TRIES; i++) {
        if (region->holder == NULL && has_size(region, size)) {
            return region;
        }
        region = region->next;
    }
    return NULL;
}

/* In a region of its own as long as the limit and the system allow that. */
static slp_cstack *
new_stack(slp_pool *pool, slp_carrier *running, size_t size,
          slp_carrier_main main, void *arg)
{
    long limit = pool->limit < MIN_REGIONS ? MIN_REGIONS : pool->limit;
    slp_region *region = vacant_region(pool, size);
    bool map = region == NULL && pool->regions < limit;
    if (map) {
        slp_cstack *stack = slp_cstack_new(size, main, arg);
        if (stack != NULL) {
            return stack;
        }
    }
    if (region == NULL) {
        region = find_region(pool, running, size);
    }
    if (region != NULL) {
        return slp_cstack_join(region, main, arg);
    }
    return map ? NULL : slp_cstack_new(size, main, arg);
}

static slp_carrier *
carrier_new(PyThreadState *ts, slp_carrier *running, slp_pool *pool,
            size_t size, bool fixed, slp_carrier_main main, void *arg)
{
    slp_carrier *c = carrier_alloc();
    if (c == NULL) {
        return NULL;
    }
    c->pool = pool;
    c->fixed = fixed;
    size_t minimum;
    slp_cstate_size(&minimum);
    if (size == 0) {
        size = slp_carrier_default_size();
    }
    else if (size < minimum) {
        size = minimum;
    }
    if (fixed) {
        c->stack = slp_cstack_new(size, main, arg);
    }
    else if ((c->chunk = slp_chunk_new_base(CHUNK_SIZE)) != NULL) {
        c->stack = new_stack(pool, running, size, main, arg);
    }
    if (c->stack == NULL) {
        slp_carrier_free(c);
        PyErr_SetString(PyExc_MemoryError, "no room for another C stack");
        return NULL;
    }
    pool_take(pool, slp_cstack_region(c->stack));
    slp_cstack_set_owner(c->stack, c);
    char *low, *high;
    slp_cstack_bounds(c->stack, &low, &high);
    slp_cstate_init(ts, c->cstate, low, high);
    return c;
}

slp_carrier *
slp_carrier_new(PyThreadState *ts, slp_carrier *running, slp_pool *pool,
                size_t size, slp_carrier_main main, void *arg)
{
    slp_carrier *c = carrier_new(ts, running, pool, size, false, main, arg);
    if (c != NULL) {
        slp_pystate_fresh(&c->py, c->chunk, &c->exc);
    }
    return c;
}

slp_carrier *
slp_carrier_new_fixed(PyThreadState *ts, slp_pool *pool, size_t size,
                      slp_carrier_main main, void *arg)
{
    return carrier_new(ts, NULL, pool, size, true, main, arg);
}

void
slp_carrier_free(slp_carrier *c)
{
    slp_region *region = c->stack ? slp_cstack_region(c->stack) : NULL;
    if (region != NULL && (region->users == 1 || slp_cstack_is_in(c->stack))) {
        pool_unlink(c->pool, region);
        if (region->users == 1) {
            c->pool->regions--;
            for (int i = 0; i < 2; i++) {
                if (c->pool->joining[i].region == region) {
                    c->pool->joining[i] = (slp_joining){NULL, 0};
                }
            }
        }
        else { /* vacant from now on */
            pool_add_oldest(c->pool, region);
        }
    }
    if (c->sliced) {
        c->pool->sliced--;
    }
    slp_cstack_free(c->stack);
    if (c->chunk != NULL) {
        slp_chunk_free_base(c->chunk);
    }
    PyMem_RawFree(c->links);
    slp_cstate_free(c->cstate);
    PyMem_Free(c);
}

int
slp_carrier_prepare(PyThreadState *ts, slp_carrier *c)
{
    slp_carrier *base = slp_carrier_base(c);
    bool ready = true;
    c->slice_now = false;
    if (base->native) {
        return 0;
    }
    if (base != c) { /* suspended already: its links are right */
        ready = !slp_carrier_shares(base)
                || slp_cstack_reserve(base->stack,
                                      slp_cstack_used(base->stack));
    }
    else {
        c->slice_now = c->pool->limit == 0 && slp_cstack_can_share();
        if (c->slice_now || slp_carrier_shares(c)) {
            char *low, *high;
            slp_cstack_bounds(c->stack, &low, &high);
            const char *here = __builtin_frame_address(0);
            ready = get_ready(c, SLP_FRAME(ts), (size_t)(high - here) + SLACK)
                    && pool_has_mover(c->pool);
        }
    }
    if (!ready) {
        PyErr_SetString(PyExc_MemoryError, "no memory to slice a C stack");
        return -1;
    }
    return 0;
}

/* ---- checking ------------------------------------------------------------ */

static const char *
region_fault(const slp_pool *pool, const slp_region *region)
{
    if (region->users < 1
        || (region->next ? region->next->prev : pool->newest) != region
        || (region->prev ? region->prev->next : pool->oldest) != region) {
        return "a region is not where it belongs";
    }
    slp_cstack *holder = region->holder;
    if (holder == NULL) {
        return region->users > 1 || pool->sliced > 0
                   ? NULL
                   : "a region has neither a holder nor others";
    }
    const slp_carrier *c = slp_cstack_owner(holder);
    if (c == NULL || c->stack != holder || c->pool != pool || c->sliced
        || slp_cstack_region(holder) != region) {
        return "a region's holder is not there";
    }
    bool suspended = slp_cstack_used(holder) > 0;
    if (suspended && c->started && region->users > 1
        && !slp_cstack_is_reserved(holder)) {
        return "a stack in a shared region was not prepared";
    }
    return NULL;
}

const char *
slp_pool_fault(const slp_pool *pool)
{
    long regions = 0, out = 0;
    const char *fault = NULL;
    for (slp_region *r = pool->oldest; r != NULL && !fault; r = r->next) {
        fault = region_fault(pool, r);
        regions++;
        out += r->users - (r->holder != NULL);
    }
    if (fault == NULL && regions != pool->regions) {
        fault = "regions are not counted right";
    }
    /* One that has been left for good is out as well, until it is freed. */
    if (fault == NULL && pool->sliced > out) {
        fault = "sliced stacks are not counted right";
    }
    return fault;
}

void
slp_carrier_fetch(slp_carrier *c, int step)
{
    if (c == NULL) {
        return;
    }
    if (step == 0) {
        __builtin_prefetch(&c->stack);
        __builtin_prefetch(&c->pool);
        __builtin_prefetch(&c->quit);
    }
    else if (step == 1) {
        slp_cstack_fetch(c->stack, 0);
        __builtin_prefetch(c->cstate);
        __builtin_prefetch(c->links);
    }
    else {
        slp_cstack_fetch(c->stack, 1);
        /* Its frame, and the caller's, which lies below it as a rule. */
        const char *f = (const char *)slp_cstate_frame(c->cstate);
        for (int i = -3; i <= 1; i++) {
            __builtin_prefetch(f + 64 * i);
        }
    }
}

/* ---- switching ----------------------------------------------------------- */

/* `to`, or what is below it, is sliced, or `from` is to be.  keep == false:
   `from` is finished. */
static SLP_NOINLINE void
switch_slowly(slp_carrier *from, slp_carrier *to, bool out, bool keep)
{
    slp_carrier *base = slp_carrier_base(to);
    slp_pool *pool = base->native ? from->pool : base->pool;
    slp_region *region = slp_cstack_region(base->stack);
    if (base->sliced) {
        slp_cstack *holder = region->holder;
        out = out || holder == from->stack;
        if (holder != NULL && holder != from->stack) {
            slice(slp_cstack_owner(holder));
        }
        slp_frames_relink(base->links, base->link_count);
        base->sliced = false;
        base->returned = true;
        pool->sliced--;
    }
    if (!out) {
        slp_cstack_move_in(base->stack);
        slp_cstack_switch(from->stack, to->stack);
        return;
    }
    slp_cstack_fate fate = keep ? fate_of(from) : SLP_STACK_LOST;
    if (keep) {
        unlink_frames(from);
        from->sliced = true;
        pool->sliced++;
    }
    slp_region *left = slp_cstack_region(from->stack);
    if (left != region) { /* it becomes vacant */
        pool_unlink(pool, left);
        pool_add_oldest(pool, left);
    }
    slp_cstack_switch_by(pool->mover, from->stack, base->stack, to->stack,
                         fate);
}

static inline void
switch_words(PyThreadState *ts, slp_carrier *from, slp_carrier *to)
{
    to->started = true;
    slp_cstate_save(ts, from->cstate);
    slp_cstate_load(ts, to->cstate);
    slp_region *region = slp_cstack_region(from->stack);
    if (region != NULL && from->pool->newest != region) {
        pool_unlink(from->pool, region);
        pool_add_newest(from->pool, region);
    }
}

static SLP_NOINLINE void
switch_natively(slp_carrier *from, slp_carrier *to)
{
    if (SLP_LIKELY(!slp_carrier_base(to)->sliced)) {
        slp_cstack_switch(from->stack, to->stack);
    }
    else {
        switch_slowly(from, to, false, true);
    }
    while (from->errand != NULL) {
        void (*fn)(void *) = from->errand;
        struct slp_cstack *back = from->errand_back;
        from->errand = NULL;
        fn(from->errand_arg);
        from->errand_back = NULL;
        slp_cstack_switch(from->stack, back);
    }
}

void
slp_carrier_switch(PyThreadState *ts, slp_carrier *from, slp_carrier *to,
                   bool prepared)
{
    switch_words(ts, from, to);
    bool out = prepared && from->slice_now;
    if (SLP_UNLIKELY(from->native)) {
        switch_natively(from, to);
    }
    else if (SLP_LIKELY(!out && !slp_carrier_base(to)->sliced)) {
        slp_cstack_switch(from->stack, to->stack);
    }
    else {
        switch_slowly(from, to, out, true);
    }
}

void
slp_carrier_errand(PyThreadState *ts, slp_carrier *from, slp_carrier *native,
                   void (*fn)(void *), void *arg)
{
    SLP_ASSERT(native->native && native->errand == NULL);
    native->errand = fn;
    native->errand_arg = arg;
    native->errand_back = from->stack;
    slp_cstate_save(ts, from->cstate);
    slp_cstate_load_limits(ts, native->cstate);
    slp_cstack_switch(from->stack, native->stack);
    slp_cstate_load_limits(ts, from->cstate);
}

void
slp_carrier_leave(PyThreadState *ts, slp_carrier *from, slp_carrier *to)
{
    switch_words(ts, from, to);
    if (!slp_carrier_base(to)->sliced) {
        slp_cstack_switch(from->stack, to->stack);
    }
    else {
        switch_slowly(from, to, false, false);
    }
    Py_UNREACHABLE();
}

bool
slp_carrier_shares(slp_carrier *c)
{
    slp_region *region = slp_cstack_region(c->stack);
    return region != NULL && region->users > 1;
}

bool
slp_carrier_can_slice(void)
{
    return slp_cstack_can_share();
}

bool
slp_carrier_cut_below(slp_carrier *c, slp_frame *f)
{
    slp_carrier *base = c != NULL ? slp_carrier_base(c) : NULL;
    for (int i = 0; base != NULL && base->sliced && i < base->link_count;
         i++) {
        if (base->links[i].frame == f) {
            return true;
        }
    }
    return false;
}

int
slp_carrier_nesting(slp_carrier *c, slp_frame *top)
{
    slp_carrier *base = slp_carrier_base(c);
    int n = slp_frames_nesting(top, base->dispatcher);
    for (int i = 0; base->sliced && i < base->link_count; i++) {
        n += base->links[i].frame != base->dispatcher;
    }
    /* Below main is the interpreter's own entry. */
    return base->native && n > 0 ? n - 1 : n;
}

PyObject *
slp_carrier_dispatch(PyThreadState *ts, slp_carrier *c, PyObject *dispatcher)
{
    (void)c;
    return slp_cstate_enter(ts, dispatcher);
}

slp_frame *
slp_carrier_frame(slp_carrier *c)
{
    return slp_cstate_frame(c->cstate);
}

size_t
slp_carrier_default_size(void)
{
    size_t minimum;
    size_t size = slp_cstack_default_size();
    size_t wanted = slp_cstate_size(&minimum);
    return size > wanted ? size : wanted;
}

size_t
slp_carrier_used(slp_carrier *c)
{
    return c->native ? 0 : slp_cstack_used(c->stack);
}

int
slp_carrier_cache_limit(int limit)
{
    return slp_cstack_cache_limit(limit);
}

void
slp_carrier_relax(void)
{
    slp_cstack_relax();
}

void
slp_carrier_fail_after(long n)
{
    slp_cstack_fail_after(n);
}
