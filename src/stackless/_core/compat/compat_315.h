/* SPDX-License-Identifier: PSF-2.0 */
/* CPython 3.15: accessors that compat.h and the files of this folder use.
   As 3.14; every chain of frames ends in a sentinel of the thread. */
#ifndef SLP_COMPAT_315_H
#define SLP_COMPAT_315_H

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
#define SLP_FRAME_END(ts) ((ts)->base_frame)

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

/* Is it the end of a C stack's chain (some thread's SLP_FRAME_END)? */
static inline bool
slp_frame_is_sentinel(slp_frame *f)
{
    return slp_frame_is_entry(f) && f->previous == NULL;
}

#include "compat_tagged.h"

/* Does a finished generator own the code of its frame (or have its own
   reference in gi_code)? */
#define SLP_GENERATOR_KEEPS_CODE true

/* Not opcode.h, whose names are those of many things; compared with it. */
#define SLP_RETURN_VALUE 33

#endif
