/* SPDX-License-Identifier: PSF-2.0 */
/* CPython 3.13: accessors that compat.h and the files of this folder use.
   The frame chain hangs directly on the thread state. */
#ifndef SLP_COMPAT_313_H
#define SLP_COMPAT_313_H

#include "internal/pycore_frame.h"
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
#define SLP_FRAME_END(ts) NULL

#define SLP_GC_NESTS 0

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

/* A frame is at the call that it is in the middle of: where that returns to, is
   in it, too. */
#define SLP_POSITION_IS_CALL         1
#define SLP_RETURN_OFFSET(f)         ((int)(f)->return_offset)
#define SLP_SET_RETURN_OFFSET(f, to) ((f)->return_offset = (uint16_t)(to))

#define SLP_CODE_FIELD     f_executable
#define SLP_POSITION_FIELD instr_ptr
#define SLP_FUNCTION_FIELD f_funcobj
#include "compat_plain.h"

/* Does a finished generator own the code of its frame (or have its own
   reference in gi_code)? */
#define SLP_GENERATOR_KEEPS_CODE true

/* Not opcode.h, whose names are those of many things; compared with it. */
#define SLP_RETURN_VALUE 36

#endif
