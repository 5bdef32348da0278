/* SPDX-License-Identifier: PSF-2.0 */
/* A tasklet that was interrupted is on a C stack on which nothing is but the
   interpreter's loop, and the call that has left it.  From CPython 3.14 on the loop
   has all that it needs in the frame by then.  So such a C stack can be given up,
   when the tasklet is to be moved or frozen: it goes on as if its newest frame had
   made a call, of a function of ours that returns to it.

   Before the check a RESUME and a JUMP_BACKWARD have done nothing, and are
   repeated.  A call is complete: the frame goes on behind it.  A return puts a
   value on the stack, in both cases one too many; so what is on top of the stack
   is taken off before, and is that value. */
#include "soften.h"

#include "quick.h"

bool
slp_is_interrupted(slp_task *t)
{
    slp_carrier *c = t->carrier;
    return SLP_INTERRUPTIONS_ARE_SOFT && t->interrupted && c != NULL
           && t->thread != NULL && t->thread->current != t
           && t->thread->in_callback == 0 /* it may be the next one there */
           && c->dispatcher != NULL && c->below == NULL && !t->is_main
           && slp_cstate_is_plain(c->cstate)
           && slp_carrier_nesting(c, slp_carrier_frame(c)) == 0;
}

/* Where the frame goes on: 1; 0 if that is not known; -1 with an exception. */
static int
find_place(slp_frame *f, int *offset, int *return_offset)
{
    PyCodeObject *code = slp_frame_code(f);
    PyObject *m = PyImport_ImportModule("stackless._freezing.softening");
    PyObject *place = m ? PyObject_CallMethod(
                          m, "interruption", "Oii", code, slp_frame_offset(f),
                          slp_frame_depth(f) - code->co_nlocalsplus)
                        : NULL;
    int r = place == NULL                                          ? -1
            : place == Py_None                                     ? 0
            : PyArg_ParseTuple(place, "ii", offset, return_offset) ? 1
                                                                   : -1;
    Py_XDECREF(m);
    Py_XDECREF(place);
    return r;
}

/* Nothing returns into the dispatcher of c any more. */
static void
give_up(slp_state *s, slp_carrier *c)
{
    slp_frames_drop(c->dispatcher, c->dispatcher);
    slp_carrier_free(c);
    s->carrier_count--;
}

int
slp_soften(slp_task *t)
{
    if (!slp_is_interrupted(t)) {
        return 0;
    }
    slp_state *s = t->thread->state;
    slp_carrier *c = t->carrier;
    slp_frame *top = slp_carrier_frame(c);
    int at = slp_frame_offset(top), depth = slp_frame_depth(top);
    int offset, return_offset;
    int r = find_place(top, &offset, &return_offset);
    if (r <= 0) {
        return r;
    }
    if (!slp_is_interrupted(t) || t->carrier != c
        || slp_carrier_frame(c) != top || slp_frame_offset(top) != at
        || slp_frame_depth(top) != depth) {
        return 0; /* it has run meanwhile */
    }
    Py_ssize_t words = slp_interruption_size(s->interrupted_function)
                       + slp_frame_room(s->resumer);
    if (slp_pystate_room(&t->py, words) < 0) {
        return -1;
    }
    t->bottom = slp_frames_bottom(top, c->dispatcher);
    t->top = slp_interruption_push(
        slp_ts(), &t->py, top, s->interrupted_function, offset, return_offset);
    slp_frame_return_into(t->bottom, NULL);
    t->carrier = NULL;
    t->interrupted = 0;
    t->popped = 1;
    if (t->py.extras != NULL || t->py.excess != 0) {
        slp_quick_undo(t->thread, t); /* they are not asked for otherwise */
    }
    give_up(s, c);
    return 0;
}
