/* SPDX-License-Identifier: PSF-2.0 */
/* CPython 3.14: accessors that compat.h and the files of this folder use.
   Slots are tagged references; C stacks are limited by address. */
#ifndef SLP_COMPAT_314_H
#define SLP_COMPAT_314_H

#include "internal/pycore_frame.h"
#include "internal/pycore_genobject.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_interpframe_structs.h"
#include "internal/pycore_stackref.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_code.h"
#include "internal/pycore_interp.h"

typedef struct _PyInterpreterFrame slp_frame;

#define SLP_FRAME(ts)       ((ts)->current_frame)
#define SLP_DEPTH_LIMIT(ts) ((ts)->py_recursion_limit)
#define SLP_DEPTH_LEFT(ts)  ((ts)->py_recursion_remaining)

#define SLP_INSTRUMENTATION_VERSION(ts)                                       \
    ((ts)->interp->ceval.instrumentation_version)
#define SLP_INSTRUMENTATION_STEP 256
#define SLP_ASYNCIO_ANY(ts)                                                   \
    ((uintptr_t)((_PyThreadStateImpl *)(ts))->asyncio_running_loop)
#define SLP_ASYNCIO_LOOP(ts)                                                  \
    (((_PyThreadStateImpl *)(ts))->asyncio_running_loop)
#define SLP_ASYNCIO_TASK(ts)                                                  \
    (((_PyThreadStateImpl *)(ts))->asyncio_running_task)
/* Where the frames of a C stack end. */
#define SLP_FRAME_END(ts) NULL

#define SLP_GC_NESTS 0

static inline bool
slp_frame_is_entry(slp_frame *f)
{
    return f->owner >= FRAME_OWNED_BY_INTERPRETER;
}

static inline bool
slp_frame_is_python(slp_frame *f)
{
    return f->owner < FRAME_OWNED_BY_INTERPRETER;
}

/* Chains end in NULL here. */
static inline bool
slp_frame_is_sentinel(slp_frame *f)
{
    (void)f;
    return false;
}

#include "compat_tagged.h"

/* Move the references of a frame that is no longer used, the code's
   included, to its new place in a frame object.  Borrowed ones become owned:
   the frame that they are borrowed from may go first. */
static inline void
slp_frame_move(slp_frame *f, slp_frame *to)
{
    int depth = slp_frame_depth(f);
    memcpy(to, f, offsetof(slp_frame, localsplus));
    to->f_executable = PyStackRef_MakeHeapSafe(f->f_executable);
    to->f_funcobj = PyStackRef_MakeHeapSafe(f->f_funcobj);
    for (int i = 0; i < depth; i++) {
        to->localsplus[i] = PyStackRef_MakeHeapSafe(f->localsplus[i]);
    }
    slp_frame_set_depth(to, depth);
}

static inline void
slp_frame_drop_function(slp_frame *f)
{
    slp_slot_clear(&f->f_funcobj);
}

/* Does a finished generator own the code of its frame (or have its own
   reference in gi_code)? */
#define SLP_GENERATOR_KEEPS_CODE true

/* Not opcode.h, whose names are those of many things; compared with it. */
#define SLP_RETURN_VALUE 35

#endif
