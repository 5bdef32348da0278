/* SPDX-License-Identifier: PSF-2.0 */
/* The main tasklet as one like all others: its function is started by a
   dispatcher, so what it calls stands on Python frames only, and it is left
   and entered softly.

   Meanwhile the thread's own stack is the host: it waits, as in the call of a
   function, and nothing else runs there.  st->host are the words that it goes
   on with.  Nobody switches tasklets in between: main is the running one before
   and after, and all that a tasklet has (context, tracers) goes with it.  Main
   may end on another C stack than it began on. */
#include "host.h"

#include "bomb.h"
#include "check.h"
#include "dispatch.h"

/* Room as in a thread without tasklets.  Not the size of CPython's own chunks,
   which arena_free() would keep. */
#define CHUNK_SIZE ((size_t)16 << 10 | (size_t)512)

/* Main gets what a tasklet has that is ready; -1 without an exception. */
static int
make_ready(slp_task *me, PyObject *func)
{
    PyObject *args = PyTuple_New(0);
    me->chunk = args ? slp_chunk_new(CHUNK_SIZE) : NULL;
    if (me->chunk == NULL) {
        Py_XDECREF(args);
        PyErr_Clear();
        return -1;
    }
    Py_XSETREF(me->func, Py_NewRef(func));
    Py_XSETREF(me->args, args);
    return 0;
}

static slp_thread *hosted; /* whose main that is; under the GIL of the main
                              interpreter, the only one that has one */

/* greenlet keeps parts of C stacks, by address: from now on main is left hard,
   so that it stays where it is or comes next. */
static void
pin(void)
{
    if (hosted == NULL) {
        return; /* its thread is gone: in the child of a fork */
    }
    slp_task *main = hosted->main;
    main->pinned = 1;
    if (hosted->current == main) {
        main->bottom = NULL; /* it is looked at again before a quick switch */
    }
}

static PyObject *
go_there_and_back(slp_thread *st, slp_carrier *c)
{
    slp_task *me = st->current;
    slp_pystate host = me->py;
    slp_pystate_stash(st->ts, &host);
    me->py.context = host.context;
    me->life = SLP_READY;
    st->host = &host;
    st->job = me;
    hosted = st;
    int watcher = slp_import_watch("greenlet", pin);
    slp_carrier_go(st, c);

    slp_import_unwatch(watcher);
    hosted = NULL;
    me->pinned = 0;
    st->host = NULL;
    me->carrier = NULL;
    host.context = st->ts->context;
    me->py = host;
    slp_pystate_install(st->ts, &me->py);
    slp_chunk_free(me->chunk);
    me->chunk = NULL;
    PyObject *exc = st->failure;
    st->failure = NULL;
    slp_arrive(st);
    slp_defer(st, me->exc.exc_value);
    me->exc.exc_value = NULL;
    slp_release(st);
    slp_check_point(st, true);
    if (exc != NULL) {
        slp_raise(exc);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
slp_host_call(slp_thread *st, PyObject *func)
{
    slp_task *me = st->current;
    bool first = st->state->interp == PyInterpreterState_Main();
    if (first && hosted == NULL && me == st->main
        && st->running == st->native) {
        st->pool.limit = st->state->carrier_limit;
        slp_carrier *c = slp_carrier_idle(st);
        if (c != NULL && make_ready(me, func) == 0) {
            return go_there_and_back(st, c);
        }
        if (c != NULL) {
            slp_carrier_put_idle(st, c);
        }
        PyErr_Clear(); /* no room for one more stack: main stays here */
    }
    return PyObject_CallNoArgs(func);
}

void
slp_host_forget(slp_thread *st)
{
    if (hosted == st) {
        hosted = NULL;
    }
}

void
slp_host_ends(slp_thread *st, PyObject *exc)
{
    SLP_ASSERT(st->host != NULL && st->current == st->main);
    slp_pop_settle(st->ts, st->head);
    slp_tracing_off(st->ts); /* here: main takes its tracers along */
    st->failure = exc;
    st->main->carrier = st->native;
}
