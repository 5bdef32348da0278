/* SPDX-License-Identifier: PSF-2.0 */
/* Frames whose slots are tagged references: CPython 3.14 and 3.15. */
#ifndef SLP_COMPAT_TAGGED_H
#define SLP_COMPAT_TAGGED_H

#define SLP_POSITION_FIELD instr_ptr
/* A frame is at the call that it is in the middle of: where that returns to, is
   in it, too. */
#define SLP_POSITION_IS_CALL         1
#define SLP_RETURN_OFFSET(f)         ((int)(f)->return_offset)
#define SLP_SET_RETURN_OFFSET(f, to) ((f)->return_offset = (uint16_t)(to))

static inline PyCodeObject *
slp_frame_code(slp_frame *f)
{
    return (PyCodeObject *)PyStackRef_AsPyObjectBorrow(f->f_executable);
}

static inline PyObject *
slp_frame_function(slp_frame *f)
{
    return PyStackRef_IsNull(f->f_funcobj)
               ? NULL
               : PyStackRef_AsPyObjectBorrow(f->f_funcobj);
}

static inline int
slp_frame_lasti(slp_frame *f)
{
    return _PyInterpreterFrame_LASTI(f);
}

/* ---- slots of a frame: tagged references --------------------------------- */

typedef _PyStackRef slp_slot;

static inline bool
slp_slot_is_empty(slp_slot slot)
{
    return PyStackRef_IsNull(slot);
}

static inline PyObject *
slp_slot_peek(slp_slot slot)
{
    if (PyStackRef_IsNull(slot) || PyStackRef_IsTaggedInt(slot)) {
        return NULL;
    }
    return PyStackRef_AsPyObjectBorrow(slot);
}

/* The reference that the slot owns, if any: borrowed slots own none. */
static inline PyObject *
slp_slot_owned(slp_slot slot)
{
    if (PyStackRef_IsNull(slot) || PyStackRef_IsTaggedInt(slot)
        || !PyStackRef_RefcountOnObject(slot)) {
        return NULL;
    }
    return PyStackRef_AsPyObjectBorrow(slot);
}

static inline void
slp_slot_clear(slp_slot *slot)
{
    _PyStackRef old = *slot;
    *slot = PyStackRef_NULL;
    PyStackRef_XCLOSE(old);
}

/* What is in a slot that is not empty. */
static inline PyObject *
slp_slot_object(slp_slot slot)
{
    return PyStackRef_AsPyObjectBorrow(slot);
}

/* Let an empty slot own op. */
static inline void
slp_slot_fill(slp_slot *slot, PyObject *op)
{
    *slot = PyStackRef_FromPyObjectSteal(op);
}

static inline void
slp_slot_make_empty(slp_slot *slot)
{
    *slot = PyStackRef_NULL;
}

static inline bool
slp_slot_is_number(slp_slot slot)
{
    return PyStackRef_IsTaggedInt(slot);
}

static inline intptr_t
slp_slot_number(slp_slot slot)
{
    return PyStackRef_UntagInt(slot);
}

static inline bool
slp_slot_fill_number(slp_slot *slot, intptr_t number)
{
    if ((intptr_t)((uintptr_t)number << 2) >> 2 != number) {
        return false; /* the tag needs the bits */
    }
    *slot = PyStackRef_TagInt(number);
    return true;
}

/* Its reference, or one more, is the caller's; the slot owns none then. */
static inline PyObject *
slp_slot_steal(slp_slot *slot)
{
    _PyStackRef ref = *slot;
    *slot = PyStackRef_NULL;
    return PyStackRef_AsPyObjectSteal(ref);
}

static inline int
slp_frame_depth(slp_frame *f)
{
    return (int)(f->stackpointer - f->localsplus);
}

/* A frame of func (stolen) that has not begun, above `previous`. */
static inline void
slp_frame_init(PyThreadState *ts, slp_frame *f, PyFunctionObject *func,
               slp_frame *previous)
{
    _PyFrame_Initialize(ts, f, PyStackRef_FromPyObjectSteal((PyObject *)func),
                        NULL, (PyCodeObject *)func->func_code, 0, previous);
}

/* ---- frames taken apart: see compat_frame.c ----------------------------- */

static inline PyGenObject *
slp_frame_generator(slp_frame *f)
{
    return _PyGen_GetGeneratorFromFrame(f);
}

static inline void
slp_frame_set_depth(slp_frame *f, int depth)
{
    f->stackpointer = f->localsplus + depth;
}

/* References of the frame besides its slots, for the collector. */
static inline PyObject *
slp_frame_owned_code(slp_frame *f)
{
    return slp_slot_owned(f->f_executable);
}

static inline PyObject *
slp_frame_owned_function(slp_frame *f)
{
    return slp_slot_owned(f->f_funcobj);
}

static inline void
slp_frame_drop_code(slp_frame *f)
{
    slp_slot_clear(&f->f_executable);
}

#endif
