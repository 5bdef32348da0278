/* SPDX-License-Identifier: PSF-2.0 */
/* In front of CPython's allocator of arenas and data stack chunks: gives
   borrowed words back (compat_pop.h) and keeps some chunks for reuse, as one
   costs two system calls. */
#include "compat.h"

SLP_TLS slp_loan slp_lent;

static PyObjectArenaAllocator behind;

/* Chunks of this OS thread that are kept for reuse; no lock is needed, not even
   the GIL. */
#define CHUNK_BYTES ((size_t)16 << 10)
static SLP_TLS struct {
    void *chunks[8];
    int count;
    bool wanted;
} kept;

static void *
arena_alloc(void *Py_UNUSED(ctx), size_t size)
{
    if (size == CHUNK_BYTES && kept.count > 0) {
        return kept.chunks[--kept.count];
    }
    return behind.alloc(behind.ctx, size);
}

void
slp_pop_keep_chunks(bool wanted)
{
    kept.wanted = wanted;
    while (!wanted && kept.count > 0) {
        behind.free(behind.ctx, kept.chunks[--kept.count], CHUNK_BYTES);
    }
}

#ifdef SLP_HAS_CACHED_CHUNK

_PyStackChunk slp_cached_dummy;

static bool
gives_back(void *p, size_t size)
{
    if (SLP_LIKELY(p == &slp_cached_dummy)) {
        *slp_lent.place = slp_lent.word;
        slp_lent.place = NULL;
        return true;
    }
    return size == 0; /* a head that was in the cache */
}

#else

static bool
gives_back(void *p, size_t Py_UNUSED(size))
{
    if (SLP_LIKELY(p == slp_lent.place && p != NULL)) {
        *slp_lent.place = slp_lent.word;
        slp_lent.place = NULL;
        return true;
    }
    return false;
}

#endif

static void
arena_free(void *Py_UNUSED(ctx), void *p, size_t size)
{
    if (gives_back(p, size)) {
        return;
    }
    if (size == CHUNK_BYTES && kept.wanted
        && kept.count < (int)Py_ARRAY_LENGTH(kept.chunks)) {
        kept.chunks[kept.count++] = p;
        return;
    }
    behind.free(behind.ctx, p, size);
}

#ifdef SLP_HAS_CACHED_CHUNK

void
slp_cached_chunk_free(PyThreadState *ts)
{
    _PyStackChunk *chunk = ts->datastack_cached_chunk;
    ts->datastack_cached_chunk = NULL;
    arena_free(NULL, chunk, chunk->size);
}

#endif

void
slp_pop_setup(void)
{
    PyObjectArenaAllocator now, ours = {NULL, arena_alloc, arena_free};
    slp_setup_lock();
    PyObject_GetArenaAllocator(&now);
    if (behind.free == NULL) {
        behind = now;
    }
    /* A new interpreter may have put the first one back. */
    if (now.free == behind.free) {
        PyObject_SetArenaAllocator(&ours);
    }
    slp_setup_unlock();
}
