/* SPDX-License-Identifier: PSF-2.0 */

/* Memory of C stacks: mapping, guard, cache, bounds.
 *
 * A mapping is reserved address space with an inaccessible guard at its low
 * end; the kernel gives it memory page by page as the stack grows down.  Free
 * mappings go to a process-wide cache, most recently used first, because that
 * one's top pages are still in the CPU's caches.
 *
 * What an idle mapping keeps: how deep a stack has been is known to nobody
 * but the page tables (its stored stack pointers tell of switches only, not of
 * a recursion between two of them).  So whenever a mapping enters the cache,
 * all but its top KEEP_BYTES are given back with one madvise.  Where nothing
 * was touched this costs about a microsecond, and mapping anew ten times
 * that; asking first (mincore) is slower than doing it.
 *
 * The lock is a leaf: nothing is called under it, and it is held across fork
 * so that a child finds the cache whole.
 */

#include "cstack_internal.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#define DEFAULT_SIZE (8 * MIB)
#define MIN_SIZE     (64 * KIB)
#define GUARD_BYTES  (64 * KIB)
#define KEEP_BYTES   (64 * KIB)

#define DEFAULT_CACHE_LIMIT 64

#ifdef MAP_NORESERVE
#    define MAP_NORESERVE_FLAG MAP_NORESERVE
#else
#    define MAP_NORESERVE_FLAG 0
#endif
#ifdef MAP_STACK
#    define MAP_STACK_FLAG MAP_STACK
#else
#    define MAP_STACK_FLAG 0
#endif

/* A mapping in the cache describes itself, at its high end, which is in memory
 * anyway. */
struct cached {
    struct cached *next;
    char *low;   /* of the usable part; it ends behind this struct */
    size_t size; /* of the usable part */
};

static struct {
    pthread_mutex_t lock;
    struct cached *first; /* most recently freed first */
    int count;            /* in the cache; <= limit but during a trim */
    int limit;
    size_t mapped;       /* mappings that exist, cached ones included */
    size_t bytes;        /* their sizes with guards */
    long fail_countdown; /* requests until one fails; -1 is off */
} cache = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .limit = DEFAULT_CACHE_LIMIT,
    .fail_countdown = -1,
};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void
lock_cache(void)
{
    pthread_mutex_lock(&cache.lock);
}

static void
unlock_cache(void)
{
    pthread_mutex_unlock(&cache.lock);
}

static void
install_fork_handlers(void)
{
    pthread_atfork(lock_cache, unlock_cache, unlock_cache);
}

/* ---- Sizes ---- */

static size_t
page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

static size_t
round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* The guard is one page more than a round number: stacks of a round size that
 * lie side by side then do not compete for the same few TLB entries. */
static size_t
guard_size(void)
{
    size_t page = page_size();
    return round_up(GUARD_BYTES, page) + page;
}

size_t
slp_cstack_default_size(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
        && limit.rlim_cur >= 1 * MIB && limit.rlim_cur <= 64 * MIB) {
        return (size_t)limit.rlim_cur;
    }
    return DEFAULT_SIZE;
}

/* ---- Mapping and unmapping ---- */

/* Returns the low end of `size` usable bytes with a guard below, or NULL with
 * errno set. */
static char *
map_stack(size_t size)
{
    size_t guard = guard_size();
    char *map = mmap(
        NULL, guard + size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE_FLAG | MAP_STACK_FLAG, -1,
        0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(map, guard, PROT_NONE) < 0) {
        int error = errno;
        munmap(map, guard + size);
        errno = error;
        return NULL;
    }
#ifdef MADV_NOHUGEPAGE
    /* Else, where huge pages are always on, the first push takes 2 MiB.  Newer
     * kernels understand MAP_STACK that way; failure does not matter. */
    madvise(map + guard, size, MADV_NOHUGEPAGE);
#endif
    return map + guard;
}

static void
unmap_stack(char *low, size_t size)
{
    size_t guard = guard_size();
    munmap(low - guard, guard + size);
}

/* Unmaps a chain that was taken out of the cache; call without the lock. */
static void
unmap_chain(struct cached *item)
{
    while (item != NULL) {
        struct cached *next = item->next;
        unmap_stack(item->low, item->size);
        item = next;
    }
}

/* ---- Cache; the functions with "locked" in their names want the lock ---- */

/* True if the test knob wants this request to fail. */
static bool
must_fail_locked(void)
{
    if (cache.fail_countdown < 0) {
        return false;
    }
    if (cache.fail_countdown > 1) {
        cache.fail_countdown--;
        return false;
    }
    cache.fail_countdown = -1;
    return true;
}

/* Takes a mapping of exactly that size out of the cache, or returns NULL. */
static char *
take_locked(size_t size)
{
    for (struct cached **link = &cache.first; *link != NULL;
         link = &(*link)->next) {
        struct cached *item = *link;
        if (item->size == size) {
            *link = item->next;
            cache.count--;
            return item->low;
        }
    }
    return NULL;
}

/* Takes the oldest ones out until the limit is kept; returns them as a chain
 * for the caller to unmap without the lock. */
static struct cached *
trim_locked(void)
{
    struct cached **link = &cache.first;
    for (int kept = 0; kept < cache.limit && *link != NULL; kept++) {
        link = &(*link)->next;
    }
    struct cached *surplus = *link;
    *link = NULL;
    for (struct cached *item = surplus; item != NULL; item = item->next) {
        cache.count--;
        cache.mapped--;
        cache.bytes -= item->size + guard_size();
    }
    return surplus;
}

/* Memory for a stack, from the cache or the system; NULL with errno set. */
static char *
acquire(size_t size)
{
    pthread_once(&fork_once, install_fork_handlers);
    lock_cache();
    if (must_fail_locked()) {
        unlock_cache();
        errno = ENOMEM;
        return NULL;
    }
    char *low = take_locked(size);
    unlock_cache();
    if (low != NULL) {
        return low;
    }
    low = map_stack(size);
    if (low != NULL) {
        lock_cache();
        cache.mapped++;
        cache.bytes += size + guard_size();
        unlock_cache();
    }
    return low;
}

static void
release(char *low, size_t size)
{
    if (size > KEEP_BYTES) {
        madvise(low, size - KEEP_BYTES, MADV_DONTNEED);
    }
    struct cached *item = (struct cached *)(void *)(low + size) - 1;
    item->low = low;
    item->size = size;
    lock_cache();
    item->next = cache.first;
    cache.first = item;
    cache.count++;
    struct cached *surplus = NULL;
    if (cache.count > cache.limit) {
        surplus = trim_locked();
    }
    unlock_cache();
    unmap_chain(surplus);
}

int
slp_cstack_cache_limit(int new_limit)
{
    struct cached *surplus = NULL;
    lock_cache();
    int old_limit = cache.limit;
    if (new_limit >= 0) {
        cache.limit = new_limit;
        surplus = trim_locked();
    }
    unlock_cache();
    unmap_chain(surplus);
    return old_limit;
}

void
slp_cstack_stats(struct slp_cstack_stats *stats)
{
    lock_cache();
    stats->mapped = cache.mapped;
    stats->cached = (size_t)cache.count;
    stats->bytes = cache.bytes;
    unlock_cache();
}

void
slp_cstack_fail_after(long n)
{
    lock_cache();
    cache.fail_countdown = n;
    unlock_cache();
}

/* ---- Stacks ---- */

/* A new stack in `region`, which becomes its holder. */
static slp_cstack *
stack_in(slp_region *region, slp_cstack_entry entry, void *arg)
{
    slp_cstack *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->low = region->low;
    self->high = region->high;
    self->entry = entry;
    self->arg = arg;
    self->region = region;
    region->holder = self;
    region->users++;
    slp_san_map(&self->san, self->low, (size_t)(self->high - self->low));
    if (region->users > 1) {
        slp_region_clear(region, region->high);
    }
    slp_cstack_prepare(self);
    return self;
}

static slp_region *
region_new(size_t size)
{
    slp_region *region = calloc(1, sizeof(*region));
    if (region == NULL) {
        return NULL;
    }
    region->low = acquire(size);
    if (region->low == NULL) {
        int error = errno;
        free(region);
        errno = error;
        return NULL;
    }
    region->high = region->dirty = region->low + size;
    return region;
}

static void
region_free(slp_region *region)
{
    release(region->low, (size_t)(region->high - region->low));
    free(region->spare);
    free(region);
}

slp_cstack *
slp_cstack_new(size_t size, slp_cstack_entry entry, void *arg)
{
    if (size > PTRDIFF_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    if (size < MIN_SIZE) {
        size = MIN_SIZE;
    }
    slp_region *region = region_new(round_up(size, page_size()));
    if (region == NULL) {
        return NULL;
    }
    slp_cstack *self = stack_in(region, entry, arg);
    if (self == NULL) {
        region_free(region);
        errno = ENOMEM;
    }
    return self;
}

slp_cstack *
slp_cstack_join(slp_region *region, slp_cstack_entry entry, void *arg)
{
    SLP_ASSERT(slp_cstack_can_share() && region->holder == NULL);
    return stack_in(region, entry, arg);
}

slp_region *
slp_cstack_region(const slp_cstack *self)
{
    return self->region;
}

void
slp_cstack_set_owner(slp_cstack *self, void *owner)
{
    self->owner = owner;
}

void *
slp_cstack_owner(const slp_cstack *self)
{
    return self->owner;
}

/* The range of the calling thread's own stack, as far as the system tells. */
static void
find_native_bounds(slp_cstack *self)
{
#if defined(__linux__)
    pthread_attr_t attr;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        int failed = pthread_attr_getstack(&attr, &low, &size);
        pthread_attr_destroy(&attr);
        if (failed == 0) {
            self->low = low;
            self->high = (char *)low + size;
            return;
        }
    }
#endif
    /* A guess that holds this frame. */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    self->high = (char *)round_up(here + 1, 16 * page_size());
    self->low = self->high - slp_cstack_default_size();
}

slp_cstack *
slp_cstack_native(void)
{
    slp_cstack *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->native = true;
    find_native_bounds(self);
    slp_san_native(&self->san);
    return self;
}

void
slp_cstack_free(slp_cstack *self)
{
    if (self == NULL) {
        return;
    }
    int saved_errno = errno;
    slp_region *region = self->region;
    if (region != NULL) {
        SLP_ASSERT(self->sp != NULL);
        if (region->holder == self) {
            slp_region_vacate(self);
        }
        if (--region->users == 0) {
            slp_san_unmap(&self->san);
            region_free(region);
        }
        else {
            slp_san_leave_to_others(&self->san);
        }
        free(self->copy);
        free(self->mover);
    }
    free(self);
    errno = saved_errno;
}

void
slp_cstack_bounds(const slp_cstack *self, char **low, char **high)
{
    *low = self->low;
    *high = self->high;
}

size_t
slp_cstack_used(const slp_cstack *self)
{
    if (self->sp == NULL) {
        return 0;
    }
    return (size_t)(self->high - (char *)self->sp);
}
