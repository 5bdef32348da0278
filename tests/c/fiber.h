/* SPDX-License-Identifier: PSF-2.0 */

/* A little more than a C stack: a body that may return, and a way back.
 *
 * fiber_resume(f) runs f until it calls fiber_yield() or its body returns;
 * then f->done is set.  Resumption nests: `back` is whoever resumed.  One
 * thread-local pair tells who is running.
 */

#ifndef SLP_TEST_FIBER_H
#define SLP_TEST_FIBER_H

#include "check.h"
#include "cstack/cstack.h"

struct fiber {
    slp_cstack *stack;
    slp_cstack *back;
    struct fiber *resumer; /* NULL: the native stack */
    void (*body)(void *arg);
    void *arg;
    bool done;
};

static _Thread_local slp_cstack *fiber_native;
static _Thread_local struct fiber *fiber_current;

static inline void
fiber_thread_start(void)
{
    fiber_native = slp_cstack_native();
    NEED(fiber_native != NULL);
    fiber_current = NULL;
}

static inline void
fiber_thread_end(void)
{
    slp_cstack_free(fiber_native);
    fiber_native = NULL;
}

static inline void
fiber_yield(void)
{
    struct fiber *self = fiber_current;
    fiber_current = self->resumer;
    slp_cstack_switch(self->stack, self->back);
}

static void
fiber_main(void *arg)
{
    struct fiber *self = (struct fiber *)arg;
    self->body(self->arg);
    self->done = true;
    fiber_yield();
    SLP_FATAL("a finished fiber was resumed");
}

static inline void
fiber_start(struct fiber *self, size_t size, void (*body)(void *), void *arg)
{
    self->stack = slp_cstack_new(size, fiber_main, self);
    NEED(self->stack != NULL);
    self->back = NULL;
    self->resumer = NULL;
    self->body = body;
    self->arg = arg;
    self->done = false;
}

static inline void
fiber_resume(struct fiber *self)
{
    self->resumer = fiber_current;
    self->back = fiber_current ? fiber_current->stack : fiber_native;
    fiber_current = self;
    slp_cstack_switch(self->back, self->stack);
}

static inline void
fiber_free(struct fiber *self)
{
    slp_cstack_free(self->stack);
    self->stack = NULL;
}

#endif /* SLP_TEST_FIBER_H */
