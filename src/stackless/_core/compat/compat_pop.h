/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: a switch in one go, by the pop of the frame that asks for
   it.

   When a frame returns, the interpreter pops it from the data stack.  If it is
   the first one of its chunk, the thread goes on with the chunk before: with
   its recorded top.  So a frame that is to return into another data stack gets
   the head of a chunk put right below it, which names the other stack as the
   one before.  The head's words may be in use by the frame below: they are on
   loan.  `previous` is put back while the frame is popped, as CPython then
   gives "the chunk" back to an allocator that we stand in front of.

   Where the thread state caches a popped chunk (SLP_HAS_CACHED_CHUNK), the
   allocator is called for the one cached before, so a dummy is put there; what
   is cached then is the head, whose size must stay zero until it is taken out
   again, or it would be used.  The word that holds it must be a dead one.

   A frame that really is the first one of its chunk, at the edge, has the true
   head there.  The chunk stays with who is left so, empty, until the frame gets
   a successor, or slp_stack_close_edge() has been called. */
#ifndef SLP_COMPAT_POP_H
#define SLP_COMPAT_POP_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

#if PY_VERSION_HEX < 0x030C0000
/* Version of sys.modules, if it is watched: now, and as it was seen last. */
typedef struct {
    const uint64_t *now;
    uint64_t then;
    PyDictObject *modules; /* borrowed: another interpreter may run */
} slp_modules;
SLP_INTERNAL extern slp_modules slp_watched;
SLP_INTERNAL void slp_import_look(void);
/* True if something was imported. */
static inline bool
slp_import_poll(void)
{
    if (SLP_LIKELY(slp_watched.now == NULL
                   || *slp_watched.now == slp_watched.then)) {
        return false;
    }
    slp_import_look();
    return true;
}
#else
static inline bool
slp_import_poll(void)
{
    return false;
}
#endif

/* The word on loan, of this OS thread. */
typedef struct {
    void **place; /* NULL: none */
    void *word;
} slp_loan;

SLP_INTERNAL extern SLP_TLS slp_loan slp_lent;

/* Stand in front of the allocator of arenas and chunks. */
SLP_INTERNAL void slp_pop_setup(void);
/* Keep some of CPython's chunks, or no more, for the calling OS thread: at the
   edge of one each call would map one anew, which takes system calls. */
SLP_INTERNAL void slp_pop_keep_chunks(bool wanted);

#ifdef SLP_HAS_CACHED_CHUNK
SLP_INTERNAL extern _PyStackChunk slp_cached_dummy;
/* What the thread caches is neither the dummy nor `head`, the last head. */
SLP_INTERNAL void slp_cached_chunk_free(PyThreadState *ts);

/* The stack of the frame below f leaves the size word of a head alone.  That
   frame is the caller's, or if generators call, whose frames lie elsewhere, of
   who runs the outermost one. */
static inline bool
slp_pop_words_free(slp_frame *f)
{
    slp_frame *below = f->previous;
    while (SLP_UNLIKELY(below->owner == FRAME_OWNED_BY_GENERATOR)) {
        below = below->previous;
    }
    return below->owner == FRAME_OWNED_BY_THREAD
           && (void **)(below->localsplus + slp_frame_depth(below))
                  <= (void **)f - 2;
}
#else
static inline bool
slp_pop_words_free(slp_frame *f)
{
    (void)f;
    return true;
}
#endif

/* Is f, which is running, the first one of its chunk? */
static inline bool
slp_pop_at_edge(PyThreadState *ts, slp_frame *f)
{
    return (PyObject **)f == &ts->datastack_chunk->data[0];
}

/* Store the running tasklet's words into s, as they will be when f, which is
   running, has been popped; of the data stack only what slp_pystate_pop_into()
   and slp_point_push() need.  The context stays visible and is owned by s.
   True if f was at the edge. */
static inline bool
slp_pystate_stash_popped(PyThreadState *ts, slp_frame *f, slp_pystate *s)
{
    _PyStackChunk *chunk = ts->datastack_chunk;
    s->chunk = chunk;
    size_t top = (size_t)((PyObject **)f - &chunk->data[0]);
    chunk->top = top;
    s->exc_info = ts->exc_info;
    s->context = ts->context;
    s->depth = SLP_DEPTH_LIMIT(ts) - SLP_DEPTH_LEFT(ts) - 1;
    if (SLP_LIKELY(top != 0)) {
        return false;
    }
#ifdef SLP_HAS_CACHED_CHUNK
    chunk->top = chunk->size; /* which is zero while it is a head */
#endif
    return true;
}

/* s was stashed at the edge; its chunk is no head any more. */
static inline void
slp_pystate_leave_edge(slp_pystate *s)
{
#ifdef SLP_HAS_CACHED_CHUNK
    s->chunk->size = s->chunk->top;
    s->chunk->top = 0;
#else
    (void)s;
#endif
}

/* Is the limit for recursion above that of s? */
static inline bool
slp_depth_fits(PyThreadState *ts, const slp_pystate *s)
{
    return SLP_DEPTH_LIMIT(ts) > s->depth;
}

/* Can f, which is running, return into another data stack? */
static inline bool
slp_pop_possible(PyThreadState *ts, slp_frame *f)
{
    return slp_pop_words_free(f) || slp_pop_at_edge(ts, f);
}

/* A head that was cached is forgotten: the stack that it lies on is going to
   be used or freed. */
static inline void
slp_pop_settle(PyThreadState *ts, void **head)
{
#ifdef SLP_HAS_CACHED_CHUNK
    if (ts->datastack_cached_chunk == (_PyStackChunk *)head) {
        ts->datastack_cached_chunk = NULL;
    }
#else
    (void)ts;
    (void)head;
#endif
}

/* Let the pop of f, which is about to return, make `chunk` the thread's.  *head is
   the last head, and then this one. */
static inline void
slp_pop_lend(PyThreadState *ts, slp_frame *f, _PyStackChunk *chunk,
             void ***head)
{
    void **words = (void **)f - 3;
    slp_lent.place = words;
    slp_lent.word = words[0];
    words[0] = chunk;
#ifdef SLP_HAS_CACHED_CHUNK
    words[1] = NULL;
    if (SLP_UNLIKELY(ts->datastack_cached_chunk != (_PyStackChunk *)*head
                     && ts->datastack_cached_chunk != NULL)) {
        slp_cached_chunk_free(ts);
    }
    ts->datastack_cached_chunk = &slp_cached_dummy;
    *head = words;
#else
    (void)head;
#endif
    ts->datastack_chunk = (_PyStackChunk *)words;
}

/* f, which is about to return, is at the edge: its chunk is not to go with it.
   Who runs next installs a data stack. */
static inline void
slp_pop_keep_edge(PyThreadState *ts, slp_frame *f, void ***head)
{
    slp_pop_lend(ts, f, ts->datastack_chunk->previous, head);
}

/* Make s, stashed like that, the thread's from when f, which is about to return,
   is popped; it owns nothing afterwards. */
static inline void
slp_pystate_pop_into(PyThreadState *ts, slp_frame *f, slp_pystate *s,
                     void ***head)
{
    slp_pop_lend(ts, f, s->chunk, head);
    ts->exc_info = s->exc_info;
    SLP_DEPTH_LEFT(ts) = SLP_DEPTH_LIMIT(ts) - s->depth - 1;
    if (ts->context != s->context) {
        ts->context = s->context;
        ts->context_ver++;
    }
    s->context = NULL;
}

#endif
