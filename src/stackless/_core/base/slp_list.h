/* SPDX-License-Identifier: PSF-2.0 */

/* An intrusive ring: run queue, channel queues, waiters.
 *
 * A `struct slp_list` is embedded in every element, and one more of them, in
 * no element, is the head.  The head and its elements form one closed ring:
 *
 *     head.next -> first -> ... -> last -> head.next
 *
 * so that no operation has a special case for the ends, and an element can be
 * removed without knowing in which list it is.  Inserting "before the head"
 * appends; inserting "after the head" prepends.  Stackless's run queue is such
 * a ring without a head: any element can serve as the position.
 *
 * Invariants: node->next->prev == node and node->prev->next == node, always.
 * An element that is in no list is a ring of one: it points to itself.  Hence
 * an element must be initialised before its first use, and removing it twice
 * is harmless.
 *
 * The list owns nothing.  Nothing here may fail, allocate or call out.
 */

#ifndef SLP_LIST_H
#define SLP_LIST_H

#include "slp_base.h"

struct slp_list {
    struct slp_list *next;
    struct slp_list *prev;
};

/* For a head with static storage: struct slp_list l = SLP_LIST_INIT(l); */
#define SLP_LIST_INIT(name)                                                   \
    {                                                                         \
        &(name), &(name)                                                      \
    }

/* The element of type `type` that embeds `node` as its field `member`. */
#define SLP_LIST_ENTRY(node, type, member) SLP_CONTAINER_OF(node, type, member)

/* Walks from the first to the last node.  The body may neither remove `pos`
 * nor whatever could free it; use the _SAFE form for that. */
#define SLP_LIST_FOR_EACH(pos, head)                                          \
    for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

/* As above, but the body may remove `pos`.  It may not remove `ahead`, the
 * next one: a body that runs foreign code wants a loop over slp_list_first. */
#define SLP_LIST_FOR_EACH_SAFE(pos, ahead, head)                              \
    for ((pos) = (head)->next, (ahead) = (pos)->next; (pos) != (head);        \
         (pos) = (ahead), (ahead) = (pos)->next)

static inline void
slp_list_init(struct slp_list *node)
{
    node->next = node;
    node->prev = node;
}

/* For a head: has the list no element?  For an element: is it in no list? */
static inline bool
slp_list_is_empty(const struct slp_list *node)
{
    return node->next == node;
}

/* `node` must be in no list. */
static inline void
slp_list_insert_after(struct slp_list *pos, struct slp_list *node)
{
    SLP_ASSERT(slp_list_is_empty(node));
    SLP_ASSERT(pos->next->prev == pos && pos->prev->next == pos);
    node->prev = pos;
    node->next = pos->next;
    pos->next->prev = node;
    pos->next = node;
}

/* `node` must be in no list. */
static inline void
slp_list_insert_before(struct slp_list *pos, struct slp_list *node)
{
    slp_list_insert_after(pos->prev, node);
}

static inline void
slp_list_prepend(struct slp_list *head, struct slp_list *node)
{
    slp_list_insert_after(head, node);
}

static inline void
slp_list_append(struct slp_list *head, struct slp_list *node)
{
    slp_list_insert_before(head, node);
}

/* Leaves `node` initialised, in no list. */
static inline void
slp_list_remove(struct slp_list *node)
{
    SLP_ASSERT(node->next->prev == node && node->prev->next == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    slp_list_init(node);
}

/* The first node, or NULL. */
static inline struct slp_list *
slp_list_first(const struct slp_list *head)
{
    return head->next == head ? NULL : head->next;
}

/* The last node, or NULL. */
static inline struct slp_list *
slp_list_last(const struct slp_list *head)
{
    return head->prev == head ? NULL : head->prev;
}

/* Removes and returns the first node, or NULL. */
static inline struct slp_list *
slp_list_pop_first(struct slp_list *head)
{
    struct slp_list *node = slp_list_first(head);
    if (node != NULL) {
        slp_list_remove(node);
    }
    return node;
}

/* Moves all elements of `from` to the end of `to`; `from` becomes empty.
 * Constant time. */
static inline void
slp_list_splice(struct slp_list *to, struct slp_list *from)
{
    if (slp_list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    slp_list_init(from);
}

/* Counts the elements, and asserts the invariant on each: for checks and
 * tests, not for policy (it walks the list). */
static inline size_t
slp_list_check(const struct slp_list *head)
{
    size_t count = 0;
    const struct slp_list *node = head;
    do {
        SLP_ASSERT(node->next->prev == node);
        SLP_ASSERT(node->prev->next == node);
        node = node->next;
        count++;
    } while (node != head);
    return count - 1;
}

#endif /* SLP_LIST_H */
