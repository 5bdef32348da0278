/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: chains of frames looked at, visited, taken apart; what they
   lie on. */
#ifndef SLP_COMPAT_FRAMES_H
#define SLP_COMPAT_FRAMES_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

/* ---- frames -------------------------------------------------------------- */

/* What a frame of it takes on a data stack. */
static inline Py_ssize_t
slp_code_words(PyCodeObject *code)
{
    return (Py_ssize_t)FRAME_SPECIALS_SIZE + code->co_nlocalsplus
           + code->co_stacksize;
}

/* Is there nothing but Python between top and the dispatcher's frame?  Then
   *bottom is the tasklet's first frame. */
SLP_INTERNAL bool slp_frames_are_soft(slp_frame *top, slp_frame *dispatcher,
                                      slp_frame **bottom);
/* The tasklet's first frame in a chain that ends at its dispatcher's frame. */
SLP_INTERNAL slp_frame *slp_frames_bottom(slp_frame *top,
                                          slp_frame *dispatcher);
/* The frame that f returns into. */
static inline slp_frame *
slp_frame_below(slp_frame *f)
{
    return f->previous;
}
static inline void
slp_frame_return_into(slp_frame *f, slp_frame *below)
{
    f->previous = below;
}
/* Number of C calls of the interpreter between top and end. */
SLP_INTERNAL int slp_frames_nesting(slp_frame *top, slp_frame *end);
/* Is a module being imported in one of them? */
SLP_INTERNAL bool slp_frames_import(slp_frame *top, slp_frame *end);
/* f, or if it is no frame of Python code, the next one that is (or the end of
   the chain).  A function that returns to C leaves an entry frame on top while
   its locals are released. */
static inline slp_frame *
slp_frame_python_below(slp_frame *f)
{
    while (f != NULL && !slp_frame_is_python(f) && !slp_frame_is_sentinel(f)) {
        f = f->previous;
    }
    return f;
}
/* From 3.12 the interpreter keeps entry frames on the C stack.  A link says
   which frame returns into one. */
typedef struct {
    slp_frame *frame, *entry;
} slp_frame_link;
/* Store up to `room` links into the C stack [low, high) of the chain that starts
   with the first frame of Python code from top on.  Returns how many there
   are. */
SLP_INTERNAL int slp_frames_links(slp_frame *top, const char *low,
                                  const char *high, slp_frame_link *links,
                                  int room);
/* Let frames return into the next Python frame instead, as the C stack goes
   away; and as they were.  [low, high): the C stack if no other one is below it, else
   NULL. */
SLP_INTERNAL void slp_frames_unlink(slp_frame_link *links, int n,
                                    const char *low, const char *high);
SLP_INTERNAL void slp_frames_relink(slp_frame_link *links, int n);
/* Skip what is no Python code of the user's. */
SLP_INTERNAL slp_frame *slp_frame_visible(slp_frame *f);
/* New reference to the newest visible frame object of a chain, or None. */
SLP_INTERNAL PyObject *slp_frame_object(PyThreadState *ts, slp_frame *top);
SLP_INTERNAL int slp_frame_lineno(slp_frame *f);
/* The references of the frames from top to bottom, both included.  With
   soft == false their stacks are not known: only locals are visited.  It also
   keeps the collector from closing generators that the chain is inside of: it
   would only complain that they are executing.  *guarded is set then, which
   means: slp_frames_unguard() before the chain runs again. */
SLP_INTERNAL int slp_frames_traverse(slp_frame *top, slp_frame *bottom,
                                     bool soft, bool *guarded, visitproc visit,
                                     void *arg);
SLP_INTERNAL void slp_frames_unguard(slp_frame *top, slp_frame *bottom);
/* Take a softly suspended chain apart without running it: frame objects that
   are still held take over their frame, generators are closed where they
   stand.  Runs destructors. */
SLP_INTERNAL void slp_frames_drop(slp_frame *top, slp_frame *bottom);
/* Make room for so many words above the newest frame of a suspended stack: -1 with
   MemoryError. */
SLP_INTERNAL int slp_pystate_room(slp_pystate *s, Py_ssize_t words);
/* After slp_frames_drop(): give the chunks above root back. */
SLP_INTERNAL void slp_chunks_drop(_PyStackChunk *top, _PyStackChunk *root);
/* The last chunk of s, of a softly suspended chain, is empty, and the chain may go
   on only when it is not, or has gone: else the next pop would be taken for one in
   that chunk.  The newest frame on the data stack moves there, if it can. */
SLP_INTERNAL void slp_stack_close_edge(slp_pystate *s, slp_frame **top,
                                       slp_frame **bottom);
/* The thread state goes, and nothing returns into its frames any more.
   CPython is not to unmap what they lie on: the first chunk is ours. */
static inline void
slp_chunks_forget(PyThreadState *ts)
{
    ts->datastack_chunk = NULL;
    ts->datastack_top = ts->datastack_limit = NULL;
}
/* Where the calling Python code stands; both NULL/-1 if it is C. */
SLP_INTERNAL void slp_caller(PyThreadState *ts, PyCodeObject **code,
                             int *lasti);

/* ---- first chunks of data stacks ----------------------------------------- */

/* A data stack of one chunk that CPython never gives back; most are of one
   size, with room for a small function and a point. */
#define SLP_CHUNK_SIZE ((size_t)408)
SLP_INTERNAL _PyStackChunk *slp_chunk_new_large(size_t size);
/* Those of the usual size are kept for reuse, by each OS thread: interpreters may
   have GILs of their own. */
typedef struct {
    _PyStackChunk *first;
    int count, limit;
} slp_spare_chunks;
SLP_INTERNAL extern SLP_TLS slp_spare_chunks slp_chunks;
static inline _PyStackChunk *
slp_chunk_new(size_t size)
{
    _PyStackChunk *chunk = slp_chunks.first;
    if (SLP_UNLIKELY(chunk == NULL || size != SLP_CHUNK_SIZE)) {
        return slp_chunk_new_large(size);
    }
    slp_chunks.first = chunk->previous;
    slp_chunks.count--;
    chunk->previous = NULL;
    chunk->top = 0;
    return chunk;
}
static inline void
slp_chunk_free(_PyStackChunk *chunk)
{
    slp_spare_chunks *spare = &slp_chunks;
    if (SLP_UNLIKELY(chunk->size != SLP_CHUNK_SIZE
                     || spare->count >= spare->limit)) {
        PyMem_RawFree(chunk);
        return;
    }
    chunk->previous = spare->first;
    spare->first = chunk;
    spare->count++;
}
/* Keep some of these, or no more, for the calling OS thread. */
SLP_INTERNAL void slp_chunks_keep(bool wanted);
/* Bytes that the thread's data stack would need in one chunk. */
SLP_INTERNAL size_t slp_stack_size(PyThreadState *ts);
/* The same for a dispatcher.  On 3.11 a frame object that outlives its call may
   walk through the dispatcher's frame: the memory serves dispatchers only. */
SLP_INTERNAL _PyStackChunk *slp_chunk_new_base(size_t size);
SLP_INTERNAL void slp_chunk_free_base(_PyStackChunk *chunk);
static inline void
slp_pystate_fresh(slp_pystate *s, _PyStackChunk *chunk,
                  _PyErr_StackItem *exc_info)
{
    s->chunk = chunk;
    s->top = (PyObject **)&chunk->data[1]; /* data[0] keeps it a root */
    s->exc_info = exc_info;
    s->depth = 0;
    s->excess = 0;
}

#endif
