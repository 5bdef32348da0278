/* SPDX-License-Identifier: PSF-2.0 */
/* Calls that CPython makes between two instructions of a running program, where
   it would also let another thread run. */
#ifndef SLP_COMPAT_PENDING_H
#define SLP_COMPAT_PENDING_H

/* Does every thread make them, or only the main thread? */
#define SLP_PENDING_ANYWHERE (PY_VERSION_HEX >= 0x030C0000)

typedef int (*slp_pending_fn)(void *arg); /* -1 with an exception */

/* Does this thread handle signals?  No thread of a subinterpreter does.  Without the
   GIL ts may be gone, unless it is the main thread's. */
static inline bool
slp_handles_signals(PyThreadState *ts)
{
    return slp_is_main_thread() && ts->interp == PyInterpreterState_Main();
}

/* Have fn(arg) called soon: in the main thread, or in the first thread that comes
   by.  Called from any thread, with the GIL or without.  False: not now. */
SLP_INTERNAL bool slp_pending_add(PyInterpreterState *interp, bool main,
                                  slp_pending_fn fn, void *arg);
#if PY_VERSION_HEX >= 0x030D0000
/* The same, but it never lets go of the GIL, and nobody is told yet. */
SLP_INTERNAL bool slp_pending_try(PyInterpreterState *interp, bool main,
                                  slp_pending_fn fn, void *arg);
/* Has to be without a thread state. */
SLP_INTERNAL void slp_pending_tell(PyInterpreterState *interp, bool main);
/* Tell it, though there may be none: has it come by since it was told?  It holds
   the GIL, and does not let go. */
SLP_INTERNAL bool slp_pending_none(PyThreadState *ts);
#endif
/* Have fn(arg) called in the calling thread, and it is the only call that is made
   there: who asks for itself is called once at each place.  `inside`: inside such
   a call.  False: not now. */
SLP_INTERNAL bool slp_pending_again(PyThreadState *ts, slp_pending_fn fn,
                                    void *arg, bool inside);
/* Such a call that was asked for so: is it the same place as before?  It is going
   to be made again. */
SLP_INTERNAL bool slp_pending_repeated(PyThreadState *ts, slp_pending_fn fn,
                                       void *arg);
/* Can it be called at each place? */
static inline bool
slp_pending_can_repeat(PyThreadState *ts)
{
#if PY_VERSION_HEX < 0x030C0000
    /* When tracing, 3.11 does not go on from the beginning of a function as long as
       there are calls to be made. */
    return ts->cframe->use_tracing == 0;
#else
    (void)ts;
    return true;
#endif
}
/* It does not ask for itself any more. */
SLP_INTERNAL void slp_pending_enough(PyThreadState *ts);
/* In the child, before anything else of this. */
SLP_INTERNAL void slp_pending_after_fork(PyThreadState *ts);
/* Inside such a call: run go(), which may leave the C stack.  Its result, which is
   to be that of the call.  On 3.11 it runs a little later. */
SLP_INTERNAL int slp_pending_go(PyThreadState *ts, int (*go)(void));
/* The tasklet is left otherwise before go() has run: it is not going to. */
#if PY_VERSION_HEX < 0x030C0000
SLP_INTERNAL int slp_pending_trap(PyObject *, PyFrameObject *, int,
                                  PyObject *);
SLP_INTERNAL void slp_pending_untrap(PyThreadState *ts);
static inline void
slp_pending_forget(PyThreadState *ts)
{
    if (SLP_UNLIKELY(ts->c_tracefunc == slp_pending_trap)) {
        slp_pending_untrap(ts);
    }
}
#else
#    define slp_pending_forget(ts) ((void)(ts))
#endif

#endif
