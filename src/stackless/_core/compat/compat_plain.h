/* SPDX-License-Identifier: PSF-2.0 */
/* Frames whose slots are plain references: CPython 3.11 to 3.13.  The
   version's header names SLP_CODE_FIELD, SLP_FUNCTION_FIELD and
   SLP_POSITION_FIELD. */
#ifndef SLP_COMPAT_PLAIN_H
#define SLP_COMPAT_PLAIN_H

static inline PyCodeObject *
slp_frame_code(slp_frame *f)
{
    return (PyCodeObject *)f->SLP_CODE_FIELD;
}

static inline PyObject *
slp_frame_function(slp_frame *f)
{
    return (PyObject *)f->SLP_FUNCTION_FIELD;
}

static inline int
slp_frame_lasti(slp_frame *f)
{
    return _PyInterpreterFrame_LASTI(f);
}

/* ---- slots of a frame: plain references ---------------------------------- */

typedef PyObject *slp_slot;

static inline bool
slp_slot_is_empty(slp_slot slot)
{
    return slot == NULL;
}

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

/* What is in a slot that is not empty. */
static inline PyObject *
slp_slot_object(slp_slot slot)
{
    return slot;
}

/* Let an empty slot own op. */
static inline void
slp_slot_fill(slp_slot *slot, PyObject *op)
{
    *slot = op;
}

static inline void
slp_slot_make_empty(slp_slot *slot)
{
    *slot = NULL;
}

/* Slots that hold a number and no object: later versions only. */
static inline bool
slp_slot_is_number(slp_slot slot)
{
    (void)slot;
    return false;
}

static inline intptr_t
slp_slot_number(slp_slot slot)
{
    (void)slot;
    return 0;
}

static inline bool
slp_slot_fill_number(slp_slot *slot, intptr_t number)
{
    (void)slot;
    (void)number;
    return false;
}

/* Its reference is the caller's; the slot is empty then. */
static inline PyObject *
slp_slot_steal(slp_slot *slot)
{
    PyObject *op = *slot;
    *slot = NULL;
    return op;
}

static inline int
slp_frame_depth(slp_frame *f)
{
    return f->stacktop; /* -1 while the frame runs or is in a C call */
}

/* A frame of func (stolen) that has not begun, above `previous`. */
static inline void
slp_frame_init(PyThreadState *ts, slp_frame *f, PyFunctionObject *func,
               slp_frame *previous)
{
    PyCodeObject *code = (PyCodeObject *)func->func_code;
    (void)ts;
#if PY_VERSION_HEX >= 0x030C0000
    _PyFrame_Initialize(f, func, NULL, code, 0);
#else
    _PyFrame_InitializeSpecials(f, func, NULL, code->co_nlocalsplus);
    for (int i = 0; i < code->co_nlocalsplus; i++) {
        f->localsplus[i] = NULL;
    }
#endif
    f->previous = previous;
}

/* ---- frames taken apart: see compat_frame.c ----------------------------- */

static inline PyGenObject *
slp_frame_generator(slp_frame *f)
{
    return _PyFrame_GetGenerator(f);
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
    Py_CLEAR(f->SLP_FUNCTION_FIELD);
}

static inline void
slp_frame_drop_code(slp_frame *f)
{
    Py_CLEAR(f->SLP_CODE_FIELD);
}

#endif
