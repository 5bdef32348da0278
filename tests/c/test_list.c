/* SPDX-License-Identifier: PSF-2.0 */

/* slp_list.h: order, removal, splicing, and a long random run checked against
 * a plain array. */

#include "base/slp_base.h"
#include "base/slp_list.h"
#include "check.h"

struct item {
    int value;
    struct slp_list link;
};

static struct item items[64];

static void
reset_items(void)
{
    for (int i = 0; i < 64; i++) {
        items[i].value = i;
        slp_list_init(&items[i].link);
    }
}

static int
value_of(const struct slp_list *node)
{
    return SLP_LIST_ENTRY(node, struct item, link)->value;
}

/* Does the list hold exactly these values, both ways round? */
static bool
holds(const struct slp_list *head, const int *values, size_t count)
{
    if (slp_list_check(head) != count) {
        return false;
    }
    const struct slp_list *node;
    size_t i = 0;
    SLP_LIST_FOR_EACH (node, head) {
        if (value_of(node) != values[i++]) {
            return false;
        }
    }
    for (node = head->prev; node != head; node = node->prev) {
        if (value_of(node) != values[--i]) {
            return false;
        }
    }
    return true;
}

static void
empty_list(void)
{
    struct slp_list head = SLP_LIST_INIT(head);
    CHECK(slp_list_is_empty(&head));
    CHECK(slp_list_first(&head) == NULL);
    CHECK(slp_list_last(&head) == NULL);
    CHECK(slp_list_pop_first(&head) == NULL);
    CHECK(slp_list_check(&head) == 0);
    struct slp_list *node;
    SLP_LIST_FOR_EACH (node, &head) {
        CHECK(!"reached");
    }
}

static void
order_of_insertion(void)
{
    struct slp_list head;
    reset_items();
    slp_list_init(&head);
    slp_list_append(&head, &items[2].link);
    slp_list_append(&head, &items[4].link);
    slp_list_prepend(&head, &items[0].link);
    slp_list_insert_before(&items[2].link, &items[1].link);
    slp_list_insert_after(&items[2].link, &items[3].link);
    CHECK(holds(&head, (int[]){0, 1, 2, 3, 4}, 5));
    CHECK(value_of(slp_list_first(&head)) == 0);
    CHECK(value_of(slp_list_last(&head)) == 4);
}

static void
removal(void)
{
    struct slp_list head;
    reset_items();
    slp_list_init(&head);
    for (int i = 0; i < 5; i++) {
        slp_list_append(&head, &items[i].link);
    }
    slp_list_remove(&items[2].link);
    slp_list_remove(&items[0].link);
    slp_list_remove(&items[4].link);
    CHECK(holds(&head, (int[]){1, 3}, 2));
    CHECK(slp_list_is_empty(&items[2].link));
    slp_list_remove(&items[2].link); /* twice is harmless */
    CHECK(holds(&head, (int[]){1, 3}, 2));
    CHECK(value_of(slp_list_pop_first(&head)) == 1);
    CHECK(value_of(slp_list_pop_first(&head)) == 3);
    CHECK(slp_list_is_empty(&head));
}

static void
removal_while_walking(void)
{
    struct slp_list head;
    struct slp_list *node;
    struct slp_list *ahead;
    reset_items();
    slp_list_init(&head);
    for (int i = 0; i < 7; i++) {
        slp_list_append(&head, &items[i].link);
    }
    SLP_LIST_FOR_EACH_SAFE (node, ahead, &head) {
        if (value_of(node) % 2 == 0) {
            slp_list_remove(node);
        }
    }
    CHECK(holds(&head, (int[]){1, 3, 5}, 3));
}

static void
splicing(void)
{
    struct slp_list left;
    struct slp_list right;
    reset_items();
    slp_list_init(&left);
    slp_list_init(&right);
    slp_list_splice(&left, &right);
    CHECK(slp_list_is_empty(&left));
    slp_list_append(&right, &items[0].link);
    slp_list_append(&right, &items[1].link);
    slp_list_splice(&left, &right);
    CHECK(slp_list_is_empty(&right));
    slp_list_append(&right, &items[2].link);
    slp_list_splice(&left, &right);
    CHECK(holds(&left, (int[]){0, 1, 2}, 3));
    CHECK(slp_list_check(&right) == 0);
}

/* A ring without a head, as the run queue is. */
static void
ring_without_head(void)
{
    reset_items();
    struct slp_list *current = &items[0].link;
    slp_list_insert_before(current, &items[1].link);
    slp_list_insert_before(current, &items[2].link);
    for (int i = 0; i < 6; i++) {
        CHECK(value_of(current) == i % 3);
        current = current->next;
    }
}

static unsigned
next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) & 0x7fff;
}

static void
random_against_array(void)
{
    struct slp_list head;
    int model[64];
    size_t count = 0;
    unsigned seed = 1;
    reset_items();
    slp_list_init(&head);
    for (int step = 0; step < 20000; step++) {
        int i = (int)(next_random(&seed) % 64);
        struct slp_list *link = &items[i].link;
        if (!slp_list_is_empty(link) || (count == 1 && model[0] == i)) {
            size_t at = 0;
            while (model[at] != i) {
                at++;
            }
            memmove(model + at, model + at + 1,
                    (--count - at) * sizeof(*model));
            slp_list_remove(link);
        }
        else if (next_random(&seed) % 2) {
            memmove(model + 1, model, count++ * sizeof(*model));
            model[0] = i;
            slp_list_prepend(&head, link);
        }
        else {
            model[count++] = i;
            slp_list_append(&head, link);
        }
        NEED(holds(&head, model, count));
    }
}

int
main(void)
{
    RUN(empty_list);
    RUN(order_of_insertion);
    RUN(removal);
    RUN(removal_while_walking);
    RUN(splicing);
    RUN(ring_without_head);
    RUN(random_against_array);
    return check_result();
}
