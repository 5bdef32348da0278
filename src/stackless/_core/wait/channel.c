/* SPDX-License-Identifier: PSF-2.0 */
/* Channels: send and receive are one algorithm with two directions.

   A blocked tasklet keeps the value it sends, or will receive, in its
   tempval; a transfer exchanges the tempvals of the two that meet. */
#include "channel.h"

#include "../core/bomb.h"
#include "../core/check.h"
#include "../core/dispatch.h"

#define SEND    1
#define RECEIVE (-1)

static void
counted(slp_waitq *q, slp_task *t, int change)
{
    slp_channel *ch = (slp_channel *)q->owner;
    ch->balance += t->sending ? change : -change;
}

#ifdef SLP_CHECK
static void
check_queue(const slp_waitq *q, bool sending, Py_ssize_t length)
{
    slp_channel *ch = (slp_channel *)q->owner;
    SLP_ASSERT(ch->balance == (sending ? length : -length));
}
#endif

void
slp_channel_init(slp_channel *ch)
{
#ifdef SLP_CHECK
    slp_check_queue = check_queue;
#endif
    ch->q.counted = counted;
    ch->q.owner = (PyObject *)ch; /* embedded: borrowed */
    ch->preference = -1;
}

/* cb(channel, tasklet, sending, willblock); switching in it is refused. */
static void
run_callback(slp_thread *st, slp_channel *ch, int dir)
{
    bool block = ch->balance * dir >= 0;
    slp_run_callback(
        st, st->state->channel_callback,
        Py_BuildValue("(OOii)", ch, st->current, dir == SEND, block));
}

/* No peer: wait for one.  0, 1 (look again) or -1. */
static int
wait_for_peer(slp_thread *st, slp_entry *e, slp_channel *ch, int dir)
{
    if (ch->closing && !st->current->block_trap) {
        PyErr_SetString(PyExc_ValueError,
                        "Send/receive operation on a closed channel");
        return -1;
    }
    return slp_block(st, e, &ch->q, dir == SEND);
}

static void
exchange(slp_task *a, slp_task *b)
{
    PyObject *value = a->tempval;
    unsigned bombed = a->bombed;
    a->tempval = b->tempval;
    a->bombed = b->bombed;
    b->tempval = value;
    b->bombed = bombed;
}

/* A peer waits: hand over.  0, 1 (look again) or -1. */
static int
meet(slp_thread *st, slp_entry *e, slp_channel *ch, int dir)
{
    slp_task *me = st->current, *peer = ch->q.first;
    slp_task *next = me;
    if (slp_task_own(st, peer, "communicate with") < 0) {
        return -1;
    }
    if (ch->schedule_all) {
        next = me->next != me ? me->next : peer;
    }
    else if (ch->preference == -dir) {
        next = peer;
    }
    if (next != me) {
        int r = slp_switch_prepare(st, e, next);
        if (r != 0) {
            return r;
        }
    }
    slp_wake(&ch->q);
    ch->balance += dir; /* one waiter of the other direction less */
    exchange(me, peer);
    if (next == peer && !ch->schedule_all) {
        slp_ring_after(st, me, peer);
    }
    else {
        slp_ring_append(st, peer);
    }
    if (next != me) {
        slp_switch(st, e, next);
    }
    return 0;
}

/* The caller's tempval holds what it sends. */
static int
transfer(slp_thread *st, slp_entry *e, slp_channel *ch, int dir)
{
    slp_task *me = st->current;
    int r;
    if (st->in_callback) {
        PyErr_SetString(PyExc_RuntimeError,
                        "channel operation inside a schedule or channel "
                        "callback");
        r = -1;
        goto done;
    }
    if (st->state->channel_callback != NULL) {
        run_callback(st, ch, dir);
    }
    do {
        bool peer = dir == SEND ? ch->balance < 0 : ch->balance > 0;
        r = peer ? meet(st, e, ch, dir) : wait_for_peer(st, e, ch, dir);
    } while (r > 0);
done:
    if (r < 0) {
        PyObject *value = me->tempval, *exc = slp_take_exc();
        me->tempval = NULL;
        me->bombed = 0;
        Py_XDECREF(value);
        slp_raise(exc);
    }
    return r;
}

/* Value (stolen, or NULL) into the caller's tempval. */
static void
load(slp_task *me, PyObject *value, bool bombed)
{
    PyObject *old = me->tempval;
    me->tempval = NULL;
    me->bombed = 0;
    Py_XDECREF(old); /* may run code that uses tempval itself */
    me->tempval = value;
    me->bombed = bombed;
}

int
slp_channel_send(slp_thread *st, slp_entry *e, slp_channel *ch,
                 PyObject *value)
{
    load(st->current, Py_NewRef(value), false);
    return transfer(st, e, ch, SEND);
}

int
slp_channel_receive(slp_thread *st, slp_entry *e, slp_channel *ch)
{
    load(st->current, NULL, false);
    return transfer(st, e, ch, RECEIVE);
}

int
slp_channel_throw(slp_thread *st, slp_entry *e, slp_channel *ch, PyObject *exc)
{
    load(st->current, exc, true);
    return transfer(st, e, ch, SEND);
}
