/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: chains of frames looked at, visited, taken apart. */
#ifndef SLP_COMPAT_FRAMES_H
#define SLP_COMPAT_FRAMES_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

/* ---- frames -------------------------------------------------------------- */

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
/* Skip what is no Python code of the user's. */
SLP_INTERNAL slp_frame *slp_frame_visible(slp_frame *f);
/* New reference to the newest visible frame object of a chain, or None. */
SLP_INTERNAL PyObject *slp_frame_object(PyThreadState *ts, slp_frame *top);
SLP_INTERNAL int slp_frame_lineno(slp_frame *f);
/* The references of the frames from top to bottom, both included.  With
   soft == false their stacks are not known: only locals are visited. */
SLP_INTERNAL int slp_frames_traverse(slp_frame *top, slp_frame *bottom,
                                     bool soft, visitproc visit, void *arg);
/* Keep the collector from closing generators that the chain is inside of: it
   would only complain that they are executing.  Called from tp_traverse;
   true: slp_frames_unguard() before the chain runs again. */
SLP_INTERNAL bool slp_frames_guard(slp_frame *top, slp_frame *bottom);
SLP_INTERNAL void slp_frames_unguard(slp_frame *top, slp_frame *bottom);
/* Take a softly suspended chain apart without running it: frame objects that
   are still held take over their frame, generators are closed where they
   stand.  Runs destructors. */
SLP_INTERNAL void slp_frames_drop(slp_frame *top, slp_frame *bottom);
/* After slp_frames_drop(): give the chunks above root back. */
SLP_INTERNAL void slp_chunks_drop(_PyStackChunk *top, _PyStackChunk *root);
/* Where the calling Python code stands; both NULL/-1 if it is C. */
SLP_INTERNAL void slp_caller(PyThreadState *ts, PyCodeObject **code,
                             int *lasti);

#endif
