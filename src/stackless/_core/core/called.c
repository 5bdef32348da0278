/* SPDX-License-Identifier: PSF-2.0 */
/* The calls in C that generators of a built tasklet need: see called.h and
   compat_called.c.

   The dispatcher's gate returns into what lies below the first generator.  From
   there on the interpreter comes to the next gate, one call deeper each time; the
   last one returns into the tasklet's newest frame, and the second half of the
   switch follows, as for any other.  The job is the dispatcher's all the while, and
   so is the data stack. */
#include "called.h"

#if SLP_GENERATORS_ARE_CALLED

#    include "quick.h"

PyObject *
slp_called_begin(slp_thread *st)
{
    slp_task *t = st->job;
    slp_quick_undo(st, t);
    t->uncalled = 0;
    slp_frame_return_into(t->bottom, st->running->dispatcher);
    slp_calls_begin(st->ts, t->top, t->bottom, &t->exc,
                    st->state->called_gate);
    return slp_calls_go_on(st->ts);
}

PyObject *
slp_called_go_on(slp_thread *st)
{
    PyObject *v = slp_calls_go_on(st->ts);
    if (v == NULL) {
        st->current = st->job;
        st->job = NULL;
        st->arriving = true;
    }
    return v;
}

#endif
