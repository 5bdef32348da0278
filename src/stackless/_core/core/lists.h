/* SPDX-License-Identifier: PSF-2.0 */
/* The ring and the wait queues as lists.  A list owns a reference to each of its
   members. */
#ifndef SLP_LISTS_H
#define SLP_LISTS_H

#include "task.h"

/* Link t, whose reference moves to the ring, before/after a member. */
static inline void
slp_ring_before(slp_thread *st, slp_task *pos, slp_task *t)
{
    SLP_ASSERT(t->place == SLP_FLOATING);
    t->next = pos;
    t->prev = pos->prev;
    pos->prev->next = t;
    pos->prev = t;
    t->place = SLP_IN_RING;
    st->runcount++;
}

static inline void
slp_ring_after(slp_thread *st, slp_task *pos, slp_task *t)
{
    slp_ring_before(st, pos->next, t);
}

/* At the far end. */
static inline void
slp_ring_append(slp_thread *st, slp_task *t)
{
    slp_ring_before(st, st->current, t);
}

/* Unlink; the reference is the caller's. */
static inline void
slp_ring_remove(slp_thread *st, slp_task *t)
{
    SLP_ASSERT(t->place == SLP_IN_RING);
    t->next->prev = t->prev;
    t->prev->next = t->next;
    t->next = t->prev = NULL;
    t->place = SLP_FLOATING;
    st->runcount--;
}

static inline void
slp_waitq_append(slp_waitq *q, slp_task *t)
{
    SLP_ASSERT(t->place == SLP_FLOATING);
    t->next = NULL;
    t->prev = q->last;
    if (q->last != NULL) {
        q->last->next = t;
    }
    else {
        q->first = t;
    }
    q->last = t;
    t->waitq = q;
    t->place = SLP_IN_QUEUE;
}

/* Before a member, or (NULL) as the last. */
static inline void
slp_waitq_insert(slp_waitq *q, slp_task *before, slp_task *t)
{
    if (before == NULL) {
        slp_waitq_append(q, t);
        return;
    }
    SLP_ASSERT(t->place == SLP_FLOATING && before->waitq == q);
    t->next = before;
    t->prev = before->prev;
    if (before->prev != NULL) {
        before->prev->next = t;
    }
    else {
        q->first = t;
    }
    before->prev = t;
    t->waitq = q;
    t->place = SLP_IN_QUEUE;
}

static inline void
slp_waitq_remove(slp_waitq *q, slp_task *t)
{
    SLP_ASSERT(t->waitq == q && t->place == SLP_IN_QUEUE);
    if (t->prev != NULL) {
        t->prev->next = t->next;
    }
    else {
        q->first = t->next;
    }
    if (t->next != NULL) {
        t->next->prev = t->prev;
    }
    else {
        q->last = t->prev;
    }
    t->next = t->prev = NULL;
    t->waitq = NULL;
    t->place = SLP_FLOATING;
}

/* The oldest member, which is there, leaves; its reference is the caller's. */
static inline slp_task *
slp_waitq_take_first(slp_waitq *q)
{
    slp_task *t = q->first, *next = t->next;
    SLP_ASSERT(t->waitq == q && t->place == SLP_IN_QUEUE && t->prev == NULL);
    q->first = next;
    if (next != NULL) {
        next->prev = NULL;
    }
    else {
        q->last = NULL;
    }
    t->next = NULL;
    t->waitq = NULL;
    t->place = SLP_FLOATING;
    return t;
}

/* The reference that a list held is released after the switch. */
static inline void
slp_drop_later(slp_thread *st, slp_task *t)
{
    SLP_ASSERT(t->place == SLP_FLOATING);
    t->next = st->dropped;
    st->dropped = t;
}

#endif
