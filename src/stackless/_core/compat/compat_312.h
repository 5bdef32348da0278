/* SPDX-License-Identifier: PSF-2.0 */
/* CPython 3.12: accessors that compat.h and the files of this folder use.
   Entry frames lie on the C stack between C and Python. */
#ifndef SLP_COMPAT_312_H
#define SLP_COMPAT_312_H

#include "internal/pycore_frame.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_code.h"
#include "internal/pycore_interp.h"

typedef struct _PyInterpreterFrame slp_frame;

#define SLP_FRAME(ts)       ((ts)->cframe->current_frame)
#define SLP_DEPTH_LIMIT(ts) ((ts)->py_recursion_limit)
#define SLP_DEPTH_LEFT(ts)  ((ts)->py_recursion_remaining)

/* The running loop of asyncio is in the thread's dict and set together with
   the hooks for asynchronous generators. */
#define SLP_INSTRUMENTATION_VERSION(ts)                                       \
    ((uintptr_t)(ts)->interp->monitoring_version)
#define SLP_INSTRUMENTATION_STEP 1
#define SLP_ASYNCIO_ANY(ts)      (0)
#define SLP_FRAME_END(ts)        NULL

static inline bool
slp_frame_is_entry(slp_frame *f)
{
    return f->owner == FRAME_OWNED_BY_CSTACK;
}

static inline bool
slp_frame_is_python(slp_frame *f)
{
    return f->owner != FRAME_OWNED_BY_CSTACK;
}

static inline PyCodeObject *
slp_frame_code(slp_frame *f)
{
    return f->f_code;
}

static inline PyObject *
slp_frame_function(slp_frame *f)
{
    return f->f_funcobj;
}

static inline int
slp_frame_lasti(slp_frame *f)
{
    return _PyInterpreterFrame_LASTI(f);
}

/* ---- slots of a frame: plain references ---------------------------------- */

typedef PyObject *slp_slot;

static inline PyObject *
slp_slot_peek(slp_slot slot)
{
    return slot;
}

/* The reference that the slot owns, if any. */
static inline PyObject *
slp_slot_owned(slp_slot slot)
{
    return slot;
}

static inline void
slp_slot_clear(slp_slot *slot)
{
    Py_CLEAR(*slot);
}

static inline int
slp_frame_depth(slp_frame *f)
{
    return f->stacktop; /* -1 while the frame runs or is in a C call */
}

/* ---- frames taken apart: see compat_frame.c ----------------------------- */

static inline PyGenObject *
slp_frame_generator(slp_frame *f)
{
    return _PyFrame_GetGenerator(f);
}

/* Chains end in NULL here. */
static inline bool
slp_frame_is_sentinel(slp_frame *f)
{
    (void)f;
    return false;
}

static inline void
slp_frame_set_depth(slp_frame *f, int depth)
{
    f->stacktop = depth;
}

/* References of the frame besides its slots, for the collector. */
static inline PyObject *
slp_frame_owned_code(slp_frame *f)
{
    return (PyObject *)slp_frame_code(f);
}

static inline PyObject *
slp_frame_owned_function(slp_frame *f)
{
    return slp_frame_function(f);
}

/* Move the references of a frame that is no longer used, the code's
   included, to its new place in a frame object. */
static inline void
slp_frame_move(slp_frame *f, slp_frame *to)
{
    size_t slots = (size_t)slp_frame_depth(f) * sizeof(slp_slot);
    memcpy(to, f, offsetof(slp_frame, localsplus) + slots);
}

static inline void
slp_frame_drop_function(slp_frame *f)
{
    Py_CLEAR(f->f_funcobj);
}

static inline void
slp_frame_drop_code(slp_frame *f)
{
    Py_CLEAR(f->f_code);
}

/* Does a finished generator own the code of its frame (or have its own
   reference in gi_code)? */
#define SLP_GENERATOR_KEEPS_CODE true

#endif
