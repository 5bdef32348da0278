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

#define SLP_GC_NESTS 1

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

/* Chains end in NULL here. */
static inline bool
slp_frame_is_sentinel(slp_frame *f)
{
    (void)f;
    return false;
}

/* A frame is at the end of the call that it is in the middle of. */
#define SLP_POSITION_IS_CALL         0
#define SLP_RETURN_OFFSET(f)         ((int)(f)->return_offset)
#define SLP_SET_RETURN_OFFSET(f, to) ((f)->return_offset = (uint16_t)(to))

#define SLP_CODE_FIELD     f_code
#define SLP_POSITION_FIELD prev_instr
#define SLP_FUNCTION_FIELD f_funcobj
#include "compat_plain.h"

/* Does a finished generator own the code of its frame (or have its own
   reference in gi_code)? */
#define SLP_GENERATOR_KEEPS_CODE true

/* Not opcode.h, whose names are those of many things; compared with it. */
#define SLP_RETURN_VALUE 83

#endif
