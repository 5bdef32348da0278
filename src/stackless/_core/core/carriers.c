/* SPDX-License-Identifier: PSF-2.0 */
/* C stacks of a thread on which nothing goes on: new, idle, or left for good. */
#include "dispatch.h"

#include "bomb.h"

/* First function on a fresh C stack.  An exception that ends a tasklet takes
   the dispatcher's frame with it: catching it there would be an event for
   tools. */
static void
carrier_main(void *arg)
{
    slp_thread *st = arg;
    slp_carrier *c = st->running;
    PyObject *r;
    do {
        slp_pystate fresh = c->py;
        fresh.context = st->ts->context;
        slp_pystate_install(st->ts, &fresh);
        c->dispatcher = NULL;
        r = slp_carrier_dispatch(st->ts, c, st->state->dispatcher);
        if (r == NULL) {
            /* On 3.11 an exception may be made only when it is taken. */
            fresh = c->py;
            fresh.context = st->ts->context;
            slp_pystate_install(st->ts, &fresh);
            st->failure = slp_take_exc();
        }
    } while (r == NULL);
    Py_DECREF(r); /* None */
    c->next = st->finished;
    st->finished = c;
    slp_carrier *to = st->current->carrier;
    st->running = to;
    slp_carrier_leave(st->ts, c, to);
    Py_UNREACHABLE();
}

slp_carrier *
slp_carrier_idle(slp_thread *st)
{
    slp_carrier *c = st->idle;
    if (c != NULL) {
        st->idle = c->next;
        st->idle_count--;
        c->next = NULL;
        return c;
    }
    c = slp_carrier_new(st->ts, st->running, &st->pool,
                        st->state->carrier_size, carrier_main, st);
    if (c != NULL) {
        st->state->carrier_count++;
    }
    return c;
}

void
slp_carrier_put_idle(slp_thread *st, slp_carrier *c)
{
    c->next = st->idle;
    st->idle = c;
    st->idle_count++;
}

void
slp_carriers_free_finished(slp_thread *st)
{
    slp_carrier *c;
    while ((c = st->finished) != NULL) {
        st->finished = c->next;
        slp_carrier_free(c);
        st->state->carrier_count--;
    }
}

void
slp_carriers_trim(slp_thread *st, int keep)
{
    slp_task *me = st->current;
    if (me->carrier != NULL || st->job != NULL) {
        return;
    }
    slp_carrier *c;
    while (st->idle_count > keep && (c = slp_carrier_idle(st)) != NULL) {
        if (!c->started) {
            slp_carrier_free(c);
            st->state->carrier_count--;
            continue;
        }
        c->quit = true;
        slp_pystate_stash(st->ts, &me->py);
        me->carrier = st->running;
        slp_carrier_go(st, c);
        me->carrier = NULL;
        slp_pystate_install(st->ts, &me->py);
    }
}
