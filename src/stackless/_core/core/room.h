/* SPDX-License-Identifier: PSF-2.0 */
/* How large a tasklet's first chunk is to be: as large as the last tasklet of
   that function needed where it blocked first.  With too little room CPython
   adds chunks of 16 KiB. */
#ifndef SLP_ROOM_H
#define SLP_ROOM_H

#include "state.h"

/* t, which is about to start with func, gets a larger chunk if its function is
   known to need one and there is memory. */
SLP_INTERNAL void slp_room_make(slp_state *s, slp_task *t, PyObject *func);
/* The running tasklet, whose first frame is `bottom`, blocks: was that right? */
SLP_INTERNAL void slp_room_learn(slp_thread *st, slp_frame *bottom);
/* Is there anything to learn from t, which has been stashed?  Once each time that
   it is started. */
static inline bool
slp_room_is_wrong(const slp_task *t)
{
    return !t->measured
           && (t->py.chunk != t->chunk || t->chunk->size != SLP_CHUNK_SIZE);
}

#endif
