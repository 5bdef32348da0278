/* SPDX-License-Identifier: PSF-2.0 */
/* Ops of the engine's own code, for dispatch.c. */
#ifndef SLP_RAW_OP_H
#define SLP_RAW_OP_H

#include "state.h"

/* What one does; st is the thread that is switching, sp the address of the op's
   C frame.  NULL without an exception: "no more". */
typedef PyObject *(*slp_raw_op)(slp_thread *st, uintptr_t sp);

/* Only what programs do may lead to another interpreter and back, and leave
   slp_this_thread behind.  Raw ops follow others at once, but for the one that a
   tasklet ends in.  Nothing else is called where that one is. */
static inline slp_thread *
slp_thread_of_switch(uintptr_t sp)
{
    (void)sp;
    return slp_this_thread;
}

static inline slp_thread *
slp_thread_of_end(uintptr_t sp)
{
    slp_thread *st = slp_this_thread;
    if (SLP_LIKELY(st != NULL && st->quick_sp == sp)) {
        return st;
    }
    return slp_thread_peek();
}

static SLP_INLINE PyObject *
slp_call_raw(slp_raw_op fn, slp_thread *st, uintptr_t sp)
{
    SLP_ASSERT(st->ts == slp_ts());
    PyObject *r = fn(st, sp);
    slp_thread_still(st);
    return r;
}

#if SLP_OP_HAS_SEND

/* What SEND makes of an op's result; kind: of one that is not NULL. */
static inline PySendResult
slp_op_sent(PyObject **result, PySendResult kind)
{
    if (SLP_LIKELY(*result != NULL)) {
        return kind;
    }
    if (PyErr_Occurred()) { /* checked: NULL alone means the jump */
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

#    define SLP_RAW_OP_SEND(fn, thread)                                       \
        static PySendResult fn##_send(PyObject *Py_UNUSED(self),              \
                                      PyObject *Py_UNUSED(value),             \
                                      PyObject **result)                      \
        {                                                                     \
            uintptr_t sp = SLP_FRAME_ADDRESS();                               \
            *result = slp_call_raw(fn, thread(sp), sp);                       \
            return slp_op_sent(result, PYGEN_NEXT);                           \
        }
#    define SLP_RAW_OP_SEND_SLOT(fn) {Py_am_send, (void *)fn##_send},
#else
#    define SLP_RAW_OP_SEND(fn, thread)
#    define SLP_RAW_OP_SEND_SLOT(fn)
#endif

/* Defines <fn>_spec, the type of an op, for slp_quick_op_new(): each has a C
   function of its own, into which fn is inlined.  thread: one of the two above;
   more: slots. */
#define SLP_RAW_OP_WITH(fn, thread, ...)                                      \
    static PyObject *fn##_next(PyObject *Py_UNUSED(self))                     \
    {                                                                         \
        uintptr_t sp = SLP_FRAME_ADDRESS();                                   \
        return slp_call_raw(fn, thread(sp), sp);                              \
    }                                                                         \
    SLP_RAW_OP_SEND(fn, thread)                                               \
    static PyType_Slot fn##_slots[] = {                                       \
        {Py_tp_iter, PyObject_SelfIter},                                      \
        {Py_tp_iternext, fn##_next},                                          \
        SLP_RAW_OP_SEND_SLOT(fn) __VA_ARGS__,                                 \
    };                                                                        \
    static PyType_Spec fn##_spec = {                                          \
        .name = "stackless._op",                                              \
        .basicsize = sizeof(PyObject),                                        \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,      \
        .slots = fn##_slots,                                                  \
    }
#define SLP_RAW_OP(fn, thread) SLP_RAW_OP_WITH(fn, thread, {0, NULL})
/* It can also be asked by nb_invert, which is that function. */
#define SLP_RAW_OP_INVERTED(fn, thread, invert)                               \
    SLP_RAW_OP_WITH(fn, thread, {Py_nb_invert, invert}, {0, NULL})

#endif
