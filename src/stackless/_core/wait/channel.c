/* SPDX-License-Identifier: PSF-2.0 */
/* Channels: send and receive are one algorithm with two directions.

   A blocked tasklet keeps the value it sends, or will receive, in its
   tempval; a transfer exchanges the tempvals of the two that meet. */
#include "channel.h"

#include "../core/bomb.h"
#include "../core/check.h"
#include "../core/dispatch.h"
#include "../core/quick.h"

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
        Py_BuildValue("(OOii)", ch, st->current->self, dir == SEND, block));
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
    bool here = peer->thread == st;
    if (slp_task_reach(peer, "communicate with") < 0) {
        return -1;
    }
    if (!here) {
        /* Its thread comes to it; no preference counts. */
    }
    else if (ch->schedule_all) {
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
    if (!here) {
        slp_task_give(peer, true);
    }
    else if (next == peer && !ch->schedule_all) {
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

/* ---- without a gate ------------------------------------------------------ */

/* What a point was called with. */
static inline slp_channel *
quick_channel(slp_frame *f)
{
    return (slp_channel *)slp_slot_object(f->localsplus[0]);
}

/* It may be of a subclass. */
static SLP_INLINE bool
is_of_type(slp_thread *st, slp_channel *ch, slp_quick_mode mode)
{
    PyTypeObject *type = st->state->channel_type;
    return slp_quick_goes(mode) ? Py_IS_TYPE(ch, type)
                                : PyObject_TypeCheck(ch, type);
}

static inline bool
is_plain(slp_thread *st, slp_channel *ch)
{
    return !ch->schedule_all && st->current->tempval == NULL;
}

/* The point's reference to the channel goes when its frame is popped, and the
   peer's: neither may be the last one. */
static SLP_INLINE bool
can_go_to_peer(slp_thread *st, slp_frame *f, slp_channel *ch,
               slp_quick_mode mode)
{
    return Py_REFCNT(ch) > 2 && slp_quick_leaves(st, f, mode);
}

static inline bool
is_bomb(slp_thread *st, PyObject *v)
{
    return Py_IS_TYPE(v, st->state->bomb_type);
}

/* Nobody is there: wait, with `value` to send or NULL. */
static SLP_INLINE bool
can_wait(slp_thread *st, slp_frame *f, slp_channel *ch, slp_quick_mode mode)
{
    slp_task *me = st->current, *next = me->next;
    return next != me && !ch->closing && !me->block_trap
           && slp_quick_leaves(st, f, mode);
}

static SLP_INLINE PyObject *
wait_quickly(slp_thread *st, slp_frame *f, slp_channel *ch, int dir)
{
    slp_task *me = st->current, *next = me->next;
    SLP_ASSERT(me->func == NULL);
    me->func = slp_slot_steal(&f->localsplus[0]); /* keeps the channel */
    me->sending = dir == SEND;
    slp_ring_remove(st, me);
    slp_waitq_append(&ch->q, me);
    ch->balance += dir;
    return slp_quick_go(st, f, next);
}

SLP_QUICK_SLOW(send);

static SLP_INLINE PyObject *
send(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    slp_channel *ch = quick_channel(f);
    slp_task *me = st->current;
    slp_slot *value = &f->localsplus[1];
    if (SLP_UNLIKELY(!is_of_type(st, ch, mode))) {
        return slp_quick_goes(mode)
                   ? slp_quick_given(send_slowly(st, st->quick_sp), mode)
                   : NULL;
    }
    if (SLP_UNLIKELY(!is_plain(st, ch))) {
        return NULL;
    }
    if (ch->balance >= 0) {
        if (!can_wait(st, f, ch, mode)) {
            return NULL;
        }
        me->tempval = slp_slot_steal(value);
        return wait_quickly(st, f, ch, SEND);
    }
    slp_task *peer = ch->q.first;
    bool go = ch->preference == -SEND;
    if (SLP_UNLIKELY(peer->thread != st || peer->tempval != NULL)
        || (go && !can_go_to_peer(st, f, ch, mode))
        || SLP_UNLIKELY(is_bomb(st, slp_slot_object(*value)))) {
        return NULL;
    }
    slp_waitq_take_first(&ch->q);
    ch->balance++;
    peer->tempval = slp_slot_steal(value);
    if (!go) {
        slp_ring_append(st, peer);
        return Py_NewRef(Py_None);
    }
    slp_ring_after(st, me, peer);
    return slp_quick_go(st, f, peer);
}

SLP_QUICK_OP(send);

SLP_QUICK_SLOW(receive);

static SLP_INLINE PyObject *
receive(slp_thread *st, slp_frame *f, slp_quick_mode mode)
{
    slp_channel *ch = quick_channel(f);
    slp_task *me = st->current;
    if (SLP_UNLIKELY(!is_of_type(st, ch, mode))) {
        return slp_quick_goes(mode)
                   ? slp_quick_given(receive_slowly(st, st->quick_sp), mode)
                   : NULL;
    }
    if (SLP_UNLIKELY(!is_plain(st, ch))) {
        return NULL;
    }
    if (ch->balance <= 0) {
        return can_wait(st, f, ch, mode) ? wait_quickly(st, f, ch, RECEIVE)
                                         : NULL;
    }
    slp_task *peer = ch->q.first;
    PyObject *value = peer->tempval;
    bool go = ch->preference == -RECEIVE;
    if (SLP_UNLIKELY(peer->thread != st || peer->bombed || value == NULL
                     || is_bomb(st, value))
        || (go && !can_go_to_peer(st, f, ch, mode))) {
        return NULL;
    }
    slp_waitq_take_first(&ch->q);
    ch->balance--;
    peer->tempval = NULL;
    if (!go) {
        slp_ring_append(st, peer);
        return value;
    }
    me->tempval = value;
    slp_ring_after(st, me, peer);
    return slp_quick_go(st, f, peer);
}

SLP_QUICK_OP(receive);
