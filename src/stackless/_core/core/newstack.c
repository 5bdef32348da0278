/* SPDX-License-Identifier: PSF-2.0 */
/* Calls on a C stack of their own: the tasklet goes on there, and comes back.
   Only what belongs to a C stack changes; frames, exceptions, context and
   depth of recursion are the tasklet's as before.

   What runs there may know addresses on the stack below, as in any call: so
   that one is in its place whenever this one runs. */
#include "newstack.h"

#include "dispatch.h"
#include "quick.h"

typedef struct {
    slp_thread *st;
    PyObject *func, *args; /* borrowed: the caller holds them */
    PyObject *result;      /* NULL with an exception */
} call;

/* First function on the new C stack. */
static void
call_main(void *arg)
{
    call *self = arg;
    slp_thread *st = self->st;
    slp_carrier *c = st->running;
    self->result = slp_cstate_go_on(st->ts, c->below->cstate, self->func,
                                    self->args);
    SLP_ASSERT(st->running == c);
    c->next = st->finished;
    st->finished = c;
    st->running = c->below;
    slp_carrier_leave(st->ts, c, c->below);
}

static void
go_there_and_back(slp_thread *st, slp_carrier *c)
{
    c->below = st->running;
    st->running = c;
    slp_carrier_switch(st->ts, c->below, c, false);
    slp_tracing_on(st->ts); /* it may have been switched on or off there */
    slp_quick_update(st);   /* switches there have ended on that stack */
    slp_carriers_free_finished(st);
}

void
slp_run_natively(void (*fn)(void *), void *arg)
{
    slp_thread *st = slp_thread_peek();
    if (st == NULL || st->running == st->native
        || st->native->errand_back != NULL) { /* it is there already */
        fn(arg);
        return;
    }
    st->switch_trap++;
    slp_quick_update(st);
    slp_carrier_errand(st->ts, st->running, st->native, fn, arg);
    st->switch_trap--;
    slp_quick_update(st);
}

PyObject *
slp_call_on_new_stack(slp_thread *st, PyObject *func, PyObject *args,
                      size_t size)
{
    call self = {.st = st, .func = func, .args = args};
    slp_carrier *c = NULL;
    st->pool.limit = st->state->carrier_limit;
    if (slp_carrier_prepare(st->ts, st->running) == 0) {
        c = slp_carrier_new_fixed(st->ts, &st->pool, size, call_main, &self);
    }
    if (c == NULL) {
        return NULL;
    }
    st->state->carrier_count++;
    go_there_and_back(st, c);
    return self.result;
}
