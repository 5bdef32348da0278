/* SPDX-License-Identifier: PSF-2.0 */
/* Which tasklet runs a generator, and copies that are not to run: when the rest of
   a pickle cannot be read, what has been made of it so far goes without running
   anything, no `finally` either. */
#include "frozen.h"

#include "../core/sched.h"

/* ---- who runs a generator ------------------------------------------------ */

/* Where the chain of a suspended tasklet ends; NULL: that is not known. */
static slp_frame *
end_of(slp_task *t)
{
    return t->carrier ? slp_carrier_base(t->carrier)->dispatcher : t->bottom;
}

/* The suspended tasklet that f is a frame of; borrowed, or NULL. */
static slp_task *
tasklet_of(slp_state *s, slp_frame *f)
{
    slp_frame *end = NULL;
    for (; f != NULL; f = slp_frame_below(f)) {
        if (slp_frame_is_python(f)) {
            end = f;
            if (slp_frame_is_of(f, s->dispatcher)) {
                break;
            }
        }
    }
    for (slp_task *t = s->all.all_next; t != &s->all; t = t->all_next) {
        bool runs = t->thread && t->thread->current == t;
        if (t->life == SLP_STARTED && !runs && end != NULL
            && end_of(t) == end) {
            return t;
        }
    }
    return NULL;
}

PyDoc_STRVAR(runner_of_doc,
             "_runner_of(generator, /)\n--\n\n"
             "The suspended tasklet that is inside of it, or None.");

static PyObject *
runner_of(PyObject *module, PyObject *gen)
{
    slp_task *t = slp_is_generator(gen) && slp_generator_executes(gen)
                      ? tasklet_of(slp_state_of(module),
                                   slp_generator_frame(gen))
                      : NULL;
    return Py_NewRef(t ? t->self : Py_None);
}

/* ---- copies -------------------------------------------------------------- */

PyDoc_STRVAR(is_fresh_doc,
             "_is_fresh(generator, /)\n--\n\n"
             "Has it not begun? A copy has not been given its state then.");

static PyObject *
is_fresh(PyObject *Py_UNUSED(module), PyObject *op)
{
    return PyBool_FromLong(slp_is_generator(op) && slp_generator_is_fresh(op));
}

/* Nobody is to run it; what the program has put into the ring, or lets run, stays.
   Runs destructors. */
static void
give_up_tasklet(slp_task *t)
{
    if (t->life != SLP_STARTED || t->is_main || t->carrier != NULL
        || t->thread != slp_thread_peek() || t->thread->current == t
        || t->place == SLP_IN_RING || t->watchdog) {
        return;
    }
    bool queued = t->place == SLP_IN_QUEUE;
    if (queued) {
        slp_cancel(t);
    }
    slp_task_hold(t);
    slp_task_discard(t);
    if (queued) {
        slp_task_release(t);
    }
    slp_task_release(t);
}

PyDoc_STRVAR(give_up_doc,
             "_give_up(copy, /)\n--\n\n"
             "Drop the frames of a tasklet or a generator that is suspended, "
             "without running them. Anything\nelse stays as it is.");

static PyObject *
give_up(PyObject *module, PyObject *op)
{
    if (slp_is_generator(op)) {
        slp_generator_drop(op);
    }
    else if (PyObject_TypeCheck(op, slp_state_of(module)->tasklet_type)) {
        give_up_tasklet(slp_task_of(op));
    }
    Py_RETURN_NONE;
}

PyMethodDef slp_copies_methods[] = {
    {"_runner_of", runner_of, METH_O, runner_of_doc},
    {"_is_fresh", is_fresh, METH_O, is_fresh_doc},
    {"_give_up", give_up, METH_O, give_up_doc},
    {NULL, NULL, 0, NULL},
};
