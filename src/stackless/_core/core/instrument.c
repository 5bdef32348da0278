/* SPDX-License-Identifier: PSF-2.0 */
/* What sys.settrace() and friends change of running code, done to the frames of
   suspended tasklets, which are on no thread's stack. */
#include "dispatch.h"

#include "bomb.h"

typedef struct {
    slp_thread *thread; /* the next one whose host is to be looked at */
    slp_task *task;     /* the last one looked at */
} position;

static slp_frame *
next_suspended(void *arg, slp_frame **bottom)
{
    position *pos = arg;
    slp_state *s = slp_state_peek();
    while (pos->thread != NULL) {
        slp_thread *st = pos->thread;
        pos->thread = st->next_thread;
        if (st->host != NULL) {
            slp_frame *top = slp_carrier_frame(st->native);
            *bottom = slp_frames_bottom(top, NULL);
            return top;
        }
    }
    for (slp_task *t = pos->task->all_next; t != &s->all; t = t->all_next) {
        pos->task = t;
        if (t->life != SLP_STARTED
            || (t->thread != NULL && t->thread->current == t)) {
            continue;
        }
        if (t->carrier == NULL) {
            if (t->top != NULL) {
                *bottom = t->bottom;
                return t->top;
            }
        }
        else if (t->thread != NULL && t->carrier != t->thread->running) {
            slp_frame *top = slp_carrier_frame(t->carrier);
            *bottom = slp_frames_bottom(top, NULL);
            if (top != NULL) {
                return top;
            }
        }
    }
    return NULL;
}

void
slp_update_instrumentation(slp_thread *st)
{
    slp_state *s = st->state;
    position pos = {s->threads, &s->all};
    PyObject *exc = slp_take_exc();
    if (slp_instrument(st->ts, next_suspended, &pos, s->dispatcher,
                       &s->instrumented)
        < 0) {
        PyErr_WriteUnraisable(st->current->self);
    }
    if (exc != NULL) {
        slp_raise(exc);
    }
}
