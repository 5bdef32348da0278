/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: the functions that the engine is made of; compat_code.c
   makes them. */
#ifndef SLP_COMPAT_POINTS_H
#define SLP_COMPAT_POINTS_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

/* ---- points, gates, dispatcher: see compat_code.c ------------------------ */

#define SLP_CODE_IS_OURS  0x40000000 /* in co_flags: no bit of CPython's */
#define SLP_POINT_ARGS    6
#define SLP_DISPATCH_ARGS 6

/* From 3.13 on CPython is slow to call a function that has a default and gets no
   argument.  There such a point takes none, but *args; see slp_call_shorten(). */
#define SLP_SHORT_CALLS (PY_VERSION_HEX >= 0x030D0000)

typedef struct {
    const char *name;     /* "send" */
    const char *qualname; /* "channel.send" */
    const char *module;
    const char *doc;
    const char
        *params; /* "self value *args": space separated, * for varargs */
    int positional_only;
    bool optional; /* there is one parameter, which is usually left out */
} slp_point_spec;

/* A function that calls a gate, in which `op` decides and relinks, and then
   returns or raises what another op gives: the one that the gate returned.
   First it asks `quick`, if that is not NULL, whose value is the function's at
   once.  defaults: tuple or NULL.  What of an optional parameter is in the
   frame, slp_point_optional() tells. */
SLP_INTERNAL PyObject *slp_point_new(const slp_point_spec *spec,
                                     PyObject *quick, PyObject *op,
                                     PyObject *reraise, PyObject *defaults);
/* Is `quick` asked by its nb_invert?  Then it gives None for no, and says which it
   is by the point's next instruction, as there is no cheaper way: first of all
   slp_point_returns(), for no slp_point_goes_on().  Else it is asked by tp_iternext,
   and gives NULL without an exception for no.  Where nb_invert is called from lies
   *offset bytes above where the others are.  -1 with an exception. */
SLP_INTERNAL int slp_points_invert(ptrdiff_t *offset);
/* Point f is in the middle of its first question, and returns what comes out. */
static inline void
slp_point_returns(slp_frame *f)
{
    unsigned char *next = (unsigned char *)(f->SLP_POSITION_FIELD + 1);
    if (SLP_UNLIKELY(next[0] != SLP_RETURN_VALUE)) {
        const unsigned char unit[sizeof(_Py_CODEUNIT)] = {SLP_RETURN_VALUE};
        memcpy(next, unit, sizeof(unit));
    }
}
/* Likewise; it calls its gate. */
SLP_INTERNAL void slp_point_goes_on(slp_frame *f);
/* A function like the rest of a point, for slp_point_push(). */
SLP_INTERNAL PyObject *slp_resumer_new(PyObject *reraise);
/* Above `top`, on the data stack of s up to the recorded top of its last chunk,
   put a frame of the resumer, which waits for what a gate returns and owns
   `held` (stolen; or NULL).  s must have been left by a point with an argument,
   so there is room.  Returns the frame. */
SLP_INTERNAL slp_frame *slp_point_push(PyThreadState *ts, slp_pystate *s,
                                       slp_frame *top, PyObject *resumer,
                                       PyObject *held);
/* A function of no arguments that returns what `op` gives. */
SLP_INTERNAL PyObject *slp_gate_new(const char *name, PyObject *op);
/* The endless loop: call what `next` returns with the arguments that `arg`
   gives, until `next` ends or a call raises.  Asked by nb_invert, `next` calls
   slp_dispatcher_aim() to say how many those are, or SLP_DISPATCHER_ENDS; by
   tp_iternext NULL without an exception stands for the end of each.

   What a call raises takes the dispatcher's frame with it, unseen by tools,
   though the data stack of the tasklet that has ended is still installed:
   that is sound, but debug builds assert that it is not done, and on 3.12
   tools see it: the end of a call whose beginning they have not seen.  There
   the dispatcher catches, which tools see, too, but which hurts none of them;
   slp_dispatcher_exc() gives the exception (new reference or NULL). */
#if defined(Py_DEBUG)                                                         \
    || (PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000)
#    define SLP_DISPATCHER_CATCHES 1
#else
#    define SLP_DISPATCHER_CATCHES 0
#endif
/* 3.12 reports exceptions that leave a frame to tools whatever its code says,
   unless the thread is inside a tool. */
#define SLP_HIDE_BY_TRACING                                                   \
    (PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000)
SLP_INTERNAL PyObject *slp_dispatcher_exc(slp_frame *dispatcher);
SLP_INTERNAL PyObject *slp_dispatcher_new(PyObject *next, PyObject *arg);
#define SLP_DISPATCHER_ENDS (SLP_DISPATCH_ARGS + 1)
SLP_INTERNAL void slp_dispatcher_aim(slp_frame *dispatcher, int which);
/* Something that the dispatcher can call inline with at most
   SLP_DISPATCH_ARGS arguments and that calls func(*args, **kwargs).  Returns
   the callable and replaces *args.  NULL with an exception. */
SLP_INTERNAL PyObject *slp_callable_for(PyObject *func, PyObject *kwargs,
                                        PyObject **args, PyObject *spread);
/* The same where nothing has to be done, with func itself. */
static inline bool
slp_callable_is_plain(PyObject *func, PyObject *kwargs, PyObject *args)
{
    return Py_IS_TYPE(func, &PyFunction_Type) && kwargs == NULL
           && PyTuple_GET_SIZE(args) <= SLP_DISPATCH_ARGS;
}
/* (func, args, kwargs) of what it has made: new reference or NULL. */
SLP_INTERNAL PyObject *slp_callable_parts(PyObject *call, PyObject *args);
/* func(args, kwargs) -> func(*args, **kwargs); NULL on 3.11. */
SLP_INTERNAL PyObject *slp_spread_new(void);
/* Before an exception leaves the running point or gate: keep it from tools. */
SLP_INTERNAL void slp_hide_raise(PyThreadState *ts);
/* The point that called the gate: right below, unless a frame evaluator had
   the call go through C. */
static inline slp_frame *
slp_point_of(slp_frame *gate)
{
    slp_frame *point = gate->previous;
    return SLP_LIKELY(slp_frame_is_python(point)) ? point : point->previous;
}

/* Borrowed arguments of a point's frame: where they are, or copied. */
static inline PyObject **
slp_point_args(slp_frame *point, int n, PyObject **room)
{
#if PY_VERSION_HEX < 0x030E0000
    (void)n;
    (void)room;
    return point->localsplus;
#else
    for (int i = 0; i < n; i++) {
        room[i] = slp_slot_peek(point->localsplus[i]);
    }
    return room;
#endif
}

#define SLP_OPTIONAL_SLOTS (1 + SLP_SHORT_CALLS)

/* Which value of its optional parameter a point was given: borrowed, `by_default`
   if none, NULL if there was more than one.  The default is by_default, too.  The
   slots are `keyword` and, if SLP_SHORT_CALLS, a tuple, `positional`; both are
   NULL after a short call. */
static inline PyObject *
slp_point_optional(PyObject *keyword, PyObject *positional,
                   PyObject *by_default)
{
    if (keyword == NULL) {
        return by_default;
    }
    if (positional == NULL || PyTuple_GET_SIZE(positional) == 0) {
        return keyword;
    }
    return keyword == by_default && PyTuple_GET_SIZE(positional) == 1
               ? PyTuple_GET_ITEM(positional, 0)
               : NULL;
}

/* Point f, which has an optional parameter, got nothing by position: let the
   instruction that called it do so faster from now on, as CPython's own
   specialisation would, if the point had no parameters at all. */
SLP_INTERNAL void slp_call_shorten(slp_frame *f);

/* On 3.11 SEND reaches an op faster through this slot of its type. */
#if PY_VERSION_HEX < 0x030C0000
#    define SLP_OP_HAS_SEND 1
#else
#    define SLP_OP_HAS_SEND 0
#endif

#include "compat_pop.h"

#endif
