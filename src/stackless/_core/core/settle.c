/* SPDX-License-Identifier: PSF-2.0 */
/* A tasklet has ended: with what, and who is to hear of it. */
#include "settle.h"

#include "bomb.h"
#include "sched.h"
#include "sleep.h"

/* What becomes of the exception that left the running tasklet.  Runs the
   error handler.  Returns the exception for main or the watchdog, or NULL;
   *to_main says that it is for main. */
static PyObject *
judge(slp_thread *st, PyObject *exc, bool *to_main)
{
    slp_state *s = st->state;
    *to_main = false;
    if (PyErr_GivenExceptionMatches(exc, s->tasklet_exit)) {
        slp_defer(st, exc);
        return NULL;
    }
    if (PyErr_GivenExceptionMatches(exc, PyExc_SystemExit)) {
        if (!slp_is_main_thread()) {
            slp_defer(st, exc);
            return NULL;
        }
        *to_main = true;
        return exc;
    }
    if (s->error_handler == NULL) {
        return exc;
    }
    PyObject *handler = Py_NewRef(s->error_handler);
    PyObject *tb = PyException_GetTraceback(exc);
    PyObject *r = PyObject_CallFunctionObjArgs(
        handler, (PyObject *)Py_TYPE(exc), exc, tb ? tb : Py_None, NULL);
    Py_XDECREF(tb);
    Py_DECREF(handler);
    slp_defer(st, exc);
    if (r == NULL) {
        return slp_take_exc();
    }
    slp_defer(st, r);
    return NULL;
}

PyObject *
slp_blocked_for_ever(slp_thread *st, slp_task *w)
{
    bool changed;
    slp_task *sleeper = slp_sleeper(
        st,
        w->sending
            ? "the main tasklet is sending without a receiver available."
            : "the main tasklet is receiving without a sender available.",
        true, &changed);
    return sleeper == NULL ? slp_take_exc() : NULL;
}

PyObject *
slp_take_failure(slp_thread *st)
{
    PyObject *exc = st->failure;
    st->failure = NULL;
    if (SLP_DISPATCHER_CATCHES && exc == NULL) {
        exc = slp_dispatcher_exc(st->running->dispatcher);
    }
    return exc;
}

PyObject *
slp_settle(slp_thread *st, slp_task *me, slp_task **target)
{
    bool to_main = false;
    PyObject *error = NULL, *exc = slp_take_failure(st);
    if (me->sleeper && exc != NULL) {
        /* Of a signal handler: no tasklet's error. */
        to_main = PyErr_GivenExceptionMatches(exc, PyExc_SystemExit);
        error = exc;
    }
    else if (exc != NULL) {
        error = judge(st, exc, &to_main);
    }
    if (error != NULL
        && PyErr_GivenExceptionMatches(error, st->state->tasklet_exit)) {
        slp_defer(st, error); /* the handler was killed */
        error = NULL;
        to_main = false;
    }
    if (slp_extras_any(st->ts)) {
        slp_extras_end(st->ts);
    }
    *target = to_main ? st->main : slp_watchdog(st);
    if (error == NULL && me->next == me && (*target)->place == SLP_IN_QUEUE) {
        error = slp_blocked_for_ever(st, *target);
    }
    return error;
}
