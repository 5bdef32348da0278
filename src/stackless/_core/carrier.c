/* SPDX-License-Identifier: PSF-2.0 */
/* Joins C stacks, which know nothing of Python, with the thread state, which
   knows nothing of C stacks.  The only user of cstack.h. */
#include "carrier.h"

#include "cstack/cstack.h"

/* Room for the dispatcher's frame, the frame of its gate and what destructors
   of the engine's own calls may need before CPython adds a chunk. */
#define CHUNK_SIZE 2048

static slp_carrier *
carrier_alloc(void)
{
    slp_carrier *c = PyMem_Calloc(1, sizeof(*c));
    if (c != NULL) {
        c->cstate = slp_cstate_new();
        if (c->cstate == NULL) {
            PyMem_Free(c);
            c = NULL;
        }
    }
    if (c == NULL) {
        PyErr_NoMemory();
    }
    return c;
}

slp_carrier *
slp_carrier_native(void)
{
    slp_carrier *c = carrier_alloc();
    if (c == NULL) {
        return NULL;
    }
    c->native = true;
    c->stack = slp_cstack_native();
    if (c->stack == NULL) {
        slp_carrier_free(c);
        PyErr_NoMemory();
        return NULL;
    }
    return c;
}

slp_carrier *
slp_carrier_new(PyThreadState *ts, size_t size, slp_carrier_main main,
                void *arg)
{
    slp_carrier *c = carrier_alloc();
    if (c == NULL) {
        return NULL;
    }
    c->chunk = slp_chunk_new_base(CHUNK_SIZE);
    c->stack = c->chunk == NULL
                   ? NULL
                   : slp_cstack_new(size ? size : slp_cstack_default_size(),
                                    main, arg);
    if (c->stack == NULL) {
        slp_carrier_free(c);
        PyErr_SetString(PyExc_MemoryError, "no room for another C stack");
        return NULL;
    }
    char *low, *high;
    slp_cstack_bounds(c->stack, &low, &high);
    slp_cstate_init(ts, c->cstate, low, high);
    slp_pystate_fresh(&c->py, c->chunk, &c->exc);
    return c;
}

void
slp_carrier_free(slp_carrier *c)
{
    if (c->stack != NULL) {
        slp_cstack_free(c->stack);
    }
    if (c->chunk != NULL) {
        slp_chunk_free_base(c->chunk);
    }
    slp_cstate_free(c->cstate);
    PyMem_Free(c);
}

void
slp_carrier_switch(PyThreadState *ts, slp_carrier *from, slp_carrier *to)
{
    to->started = true;
    slp_cstate_save(ts, from->cstate);
    slp_cstate_load(ts, to->cstate);
    slp_cstack_switch(from->stack, to->stack);
}

PyObject *
slp_carrier_dispatch(PyThreadState *ts, slp_carrier *c, PyObject *dispatcher)
{
    (void)c;
    return slp_cstate_enter(ts, dispatcher);
}

slp_frame *
slp_carrier_frame(slp_carrier *c)
{
    return slp_cstate_frame(c->cstate);
}

size_t
slp_carrier_default_size(void)
{
    return slp_cstack_default_size();
}

size_t
slp_carrier_used(slp_carrier *c)
{
    return c->native ? 0 : slp_cstack_used(c->stack);
}

int
slp_carrier_cache_limit(int limit)
{
    return slp_cstack_cache_limit(limit);
}

void
slp_carrier_fail_after(long n)
{
    slp_cstack_fail_after(n);
}
