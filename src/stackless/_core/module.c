/* SPDX-License-Identifier: PSF-2.0 */
/* The module stackless._core: functions that never switch, set-up and
   take-down. */
#include "core/check.h"
#include "core/dispatch.h"
#include "core/host.h"
#include "core/newstack.h"
#include "core/quick.h"
#include "core/sched.h"
#include "core/sleep.h"
#include "core/watchdog.h"
#include "module.h"
#include "pickle/frozen.h"
#include "pickle/hooks.h"
#include "pickle/packed.h"
#include "types/types.h"

#define PICKLE_FLAGS 15 /* the bits that are defined */

/* ---- who runs ------------------------------------------------------------ */

PyDoc_STRVAR(getcurrent_doc,
             "getcurrent()\n--\n\nThe tasklet that is running.");

static PyObject *
mod_getcurrent(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    return st ? Py_NewRef(st->current->self) : NULL;
}

PyDoc_STRVAR(getmain_doc, "getmain()\n--\n\nThe main tasklet of this thread.");

static PyObject *
mod_getmain(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    return st ? Py_NewRef(st->main->self) : NULL;
}

PyDoc_STRVAR(getruncount_doc,
             "getruncount()\n--\n\n"
             "int: number of tasklets in this thread's ring, the current one "
             "included.");

static PyObject *
mod_getruncount(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    return st ? PyLong_FromSsize_t(st->runcount) : NULL;
}

PyDoc_STRVAR(getcurrentid_doc,
             "getcurrentid()\n--\n\n"
             "int: identifies the running tasklet among those alive; the "
             "thread's id for main.");

static PyObject *
mod_getcurrentid(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (st->current == st->main) {
        return PyLong_FromUnsignedLong(st->ident);
    }
    return PyLong_FromVoidPtr(st->current->self);
}

PyDoc_STRVAR(getthreads_doc,
             "getthreads()\n--\n\n"
             "list of the ids (int) of all threads that have used tasklets, "
             "the main thread\nfirst.");

/* At the front. */
static int
insert_id(PyObject *list, unsigned long id)
{
    PyObject *op = PyLong_FromUnsignedLong(id);
    int r = op ? PyList_Insert(list, 0, op) : -1;
    Py_XDECREF(op);
    return r;
}

static PyObject *
mod_getthreads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    PyObject *list = st ? PyList_New(0) : NULL;
    if (list == NULL) {
        return NULL;
    }
    /* The newest comes first in the list of states. */
    for (slp_thread *t = st->state->threads; t; t = t->next_thread) {
        if (t->ident != slp_main_thread_id()
            && insert_id(list, t->ident) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    slp_thread *t = st->state->threads;
    while (t != NULL && t->ident != slp_main_thread_id()) {
        t = t->next_thread;
    }
    if (t != NULL && insert_id(list, t->ident) < 0) {
        Py_DECREF(list);
        return NULL;
    }
    return list;
}

PyDoc_STRVAR(
    get_thread_info_doc,
    "get_thread_info(thread_id=-1, flags=0, /)\n--\n\n"
    "(main, current, runcount) of a thread, -1 meaning this one.\n\n"
    "RuntimeError for an unknown id, OverflowError for one below -1.");

static slp_thread *
thread_by_id(slp_thread *st, long long id)
{
    if (id < -1) {
        PyErr_SetString(PyExc_OverflowError, "thread id out of range");
        return NULL;
    }
    if (id == -1) {
        return st;
    }
    slp_thread *t = st->state->threads;
    while (t != NULL && t->ident != (unsigned long)id) {
        t = t->next_thread;
    }
    if (t == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Thread id not found");
    }
    return t;
}

/* The upstream tests' flags: more about the thread. */
#define INFO_SERIALS   (1UL << 30)
#define INFO_WATCHDOGS (1UL << 31)

static PyObject *
append_watchdogs(slp_thread *t, PyObject *info)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < t->watchdog_count; i++) {
        if (PyList_Append(list, t->watchdogs[i]->self) < 0) {
            Py_CLEAR(list);
        }
    }
    PyObject *more = list ? Py_BuildValue("(N)", list) : NULL;
    PyObject *r = more ? PySequence_Concat(info, more) : NULL;
    Py_XDECREF(more);
    Py_DECREF(info);
    return r;
}

static PyObject *
mod_get_thread_info(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long id = -1;
    unsigned long flags = 0;
    slp_thread *st = slp_thread_get();
    if (st == NULL
        || !PyArg_ParseTuple(args, "|Lk:get_thread_info", &id, &flags)) {
        return NULL;
    }
    slp_thread *t = thread_by_id(st, id);
    if (t == NULL) {
        return NULL;
    }
    PyObject *info;
    if (flags & INFO_SERIALS) {
        info = Py_BuildValue("(OOnKKO)", t->main->self, t->current->self,
                             t->runcount, t->switches + t->quick_switches,
                             t->switches + t->quick_switches, Py_None);
    }
    else {
        info = Py_BuildValue("(OOn)", t->main->self, t->current->self,
                             t->runcount);
    }
    if (info != NULL && (flags & INFO_WATCHDOGS)) {
        info = append_watchdogs(t, info);
    }
    return info;
}

/* ---- switches and traps -------------------------------------------------- */

PyDoc_STRVAR(
    enable_softswitch_doc,
    "enable_softswitch(flag, /)\n--\n\n"
    "Allow (True) or forbid (False) switches that leave nothing on the C "
    "stack, for the\nwhole interpreter; returns the old setting. None only "
    "asks whether they are\npossible now: allowed, proved to work in this "
    "interpreter, and no frame evaluator\n(PEP 523) installed.");

static PyObject *
mod_enable_softswitch(PyObject *Py_UNUSED(module), PyObject *flag)
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    slp_state *s = st->state;
    bool old = s->softswitch && s->soft_possible
               && !slp_evaluator_installed(st->ts);
    if (flag != Py_None) {
        int on = PyObject_IsTrue(flag);
        if (on < 0) {
            return NULL;
        }
        s->softswitch = on;
        slp_quick_update_all(s);
    }
    return PyBool_FromLong(old);
}

PyDoc_STRVAR(switch_trap_doc,
             "switch_trap(change=0, /)\n--\n\n"
             "Add change (int) to this thread's trap level; returns the old "
             "level. While it is\nnot zero, a switch raises RuntimeError.");

static PyObject *
mod_switch_trap(PyObject *Py_UNUSED(module), PyObject *args)
{
    long change = 0;
    slp_thread *st = slp_thread_get();
    if (st == NULL || !PyArg_ParseTuple(args, "|l:switch_trap", &change)) {
        return NULL;
    }
    long old = st->switch_trap;
    st->switch_trap = (long)((unsigned long)old + (unsigned long)change);
    slp_quick_update(st);
    slp_watch_permit(st);
    return PyLong_FromLong(old);
}

static PyObject *
swap_callback(slp_state *s, PyObject **slot, PyObject *value, const char *what)
{
    if (value != Py_None && !PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be callable or None", what);
        return NULL;
    }
    PyObject *old = *slot;
    *slot = value == Py_None ? NULL : Py_NewRef(value);
    slp_quick_update_all(s);
    return old ? old : Py_NewRef(Py_None);
}

static PyObject *
get_callback(PyObject *value)
{
    return Py_NewRef(value ? value : Py_None);
}

PyDoc_STRVAR(set_schedule_callback_doc,
             "set_schedule_callback(callable, /)\n--\n\n"
             "callable(prev, next) is called before each switch; None: "
             "nothing is. Returns the\nprevious one or None.");

static PyObject *
mod_set_schedule_callback(PyObject *module, PyObject *value)
{
    slp_state *s = slp_state_of(module);
    return swap_callback(s, &s->schedule_callback, value, "schedule callback");
}

PyDoc_STRVAR(get_schedule_callback_doc,
             "get_schedule_callback()\n--\n\nThe schedule callback or None.");

static PyObject *
mod_get_schedule_callback(PyObject *module, PyObject *Py_UNUSED(args))
{
    return get_callback(slp_state_of(module)->schedule_callback);
}

PyDoc_STRVAR(set_channel_callback_doc,
             "set_channel_callback(callable, /)\n--\n\n"
             "callable(channel, tasklet, sending, willblock) is called before "
             "each transfer;\nNone: nothing is. Returns the previous one or "
             "None.");

static PyObject *
mod_set_channel_callback(PyObject *module, PyObject *value)
{
    slp_state *s = slp_state_of(module);
    return swap_callback(s, &s->channel_callback, value, "channel callback");
}

PyDoc_STRVAR(get_channel_callback_doc,
             "get_channel_callback()\n--\n\nThe channel callback or None.");

static PyObject *
mod_get_channel_callback(PyObject *module, PyObject *Py_UNUSED(args))
{
    return get_callback(slp_state_of(module)->channel_callback);
}

PyDoc_STRVAR(set_error_handler_doc,
             "set_error_handler(handler=None, /)\n--\n\n"
             "handler(type, value, traceback) is called in a tasklet that "
             "ends by an error; if it\nreturns, the error is forgotten, if it "
             "raises, that error goes to main instead.\nReturns the previous "
             "handler or None.");

static PyObject *
mod_set_error_handler(PyObject *module, PyObject *args)
{
    PyObject *handler = Py_None;
    if (!PyArg_ParseTuple(args, "|O:set_error_handler", &handler)) {
        return NULL;
    }
    slp_state *s = slp_state_of(module);
    PyObject *old = s->error_handler;
    s->error_handler = handler == Py_None ? NULL : Py_NewRef(handler);
    return old ? old : Py_NewRef(Py_None);
}

/* ---- settings ------------------------------------------------------------ */

static PyObject *
change_flags(long *flags, PyObject *args, PyObject *kwargs, const char *format)
{
    static const char *const names[] = {"new", "mask", NULL};
    long new_flags = -1, mask = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, SLP_KWLIST(names),
                                     &new_flags, &mask)) {
        return NULL;
    }
    if (new_flags < -1 || (new_flags != -1 && (new_flags & ~PICKLE_FLAGS))
        || (mask != -1 && (mask & ~PICKLE_FLAGS))) {
        PyErr_SetString(PyExc_ValueError, "undefined pickle flag");
        return NULL;
    }
    long old = *flags;
    if (new_flags != -1) {
        *flags = (old & ~mask) | (new_flags & mask);
    }
    return PyLong_FromLong(old);
}

PyDoc_STRVAR(pickle_flags_doc,
             "pickle_flags(new=-1, mask=-1)\n--\n\n"
             "Set this thread's PICKLEFLAGS_* bits (int) that are in mask; "
             "returns the old ones.\nValueError for undefined bits.");

static PyObject *
mod_pickle_flags(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    slp_thread *st = slp_thread_get();
    return st ? change_flags(&st->pickle_flags, args, kwargs,
                             "|ll:pickle_flags")
              : NULL;
}

PyDoc_STRVAR(pickle_flags_default_doc,
             "pickle_flags_default(new=-1, mask=-1)\n--\n\n"
             "As pickle_flags(), for threads that use tasklets later.");

static PyObject *
mod_pickle_flags_default(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return change_flags(&slp_state_of(module)->pickle_flags_default, args,
                        kwargs, "|ll:pickle_flags_default");
}

PyDoc_STRVAR(getdebug_doc,
             "getdebug()\n--\n\nbool: built with internal checks.");

static PyObject *
mod_getdebug(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
#ifdef SLP_CHECK
    Py_RETURN_TRUE;
#else
    Py_RETURN_FALSE;
#endif
}

/* ---- looking around ------------------------------------------------------ */

/* List of the tasklets that pass; strong references. */
static PyObject *
list_tasklets(slp_state *s, bool hard_only)
{
    PyObject *list = PyList_New(s->task_count);
    if (list == NULL) {
        return NULL;
    }
    Py_ssize_t n = 0;
    for (slp_task *t = s->all.all_next; t != &s->all; t = t->all_next) {
        bool wanted = hard_only ? t->carrier != NULL && !t->is_main
                                : slp_task_alive(t) && !t->sleeper;
        if (wanted && Py_REFCNT(t->self) > 0 && n < PyList_GET_SIZE(list)) {
            PyList_SET_ITEM(list, n++, Py_NewRef(t->self));
        }
    }
    PyObject *exact = PyList_GetSlice(list, 0, n);
    Py_DECREF(list);
    return exact;
}

PyDoc_STRVAR(all_tasklets_doc,
             "all_tasklets()\n--\n\n"
             "list of all tasklets of the interpreter that are alive, oldest "
             "first, whatever\nthread they belong to. Nothing is kept alive "
             "by being listed here.");

static PyObject *
mod_all_tasklets(PyObject *module, PyObject *Py_UNUSED(args))
{
    /* The main tasklet belongs to the list from the start. */
    return slp_thread_get() ? list_tasklets(slp_state_of(module), false)
                            : NULL;
}

PyDoc_STRVAR(getuncollectables_doc,
             "getuncollectables()\n--\n\n"
             "list of the suspended tasklets that own a C stack: what C holds "
             "there is unknown to\nthe garbage collector.");

static PyObject *
mod_getuncollectables(PyObject *module, PyObject *Py_UNUSED(args))
{
    return list_tasklets(slp_state_of(module), true);
}

PyDoc_STRVAR(
    get_stats_doc,
    "get_stats()\n--\n\n"
    "dict of int counters: soft_switches and hard_switches since import, "
    "quick_switches\namong the soft ones (their point was left without a "
    "gate), tasklets that exist, c_stacks mapped and c_stacks_idle among them "
    "(without the threads' own),\nc_stacks_sliced that are kept in the heap, "
    "c_stack_size in bytes.");

static PyObject *
mod_get_stats(PyObject *module, PyObject *Py_UNUSED(args))
{
    slp_state *s = slp_state_of(module);
    int idle = 0;
    long mapped = 0, sliced = 0;
    uint64_t quick = s->quick_switches;
    for (slp_thread *t = s->threads; t != NULL; t = t->next_thread) {
        idle += t->idle_count;
        mapped += t->pool.regions;
        sliced += t->pool.sliced;
        quick += t->quick_switches;
    }
    size_t size = s->carrier_size ? s->carrier_size
                                  : slp_carrier_default_size();
    return Py_BuildValue("{s:K,s:K,s:K,s:n,s:l,s:i,s:l,s:n}", "soft_switches",
                         s->soft_switches + quick, "quick_switches", quick,
                         "hard_switches", s->hard_switches, "tasklets",
                         s->task_count, "c_stacks", mapped, "c_stacks_idle",
                         idle, "c_stacks_sliced", sliced, "c_stack_size",
                         (Py_ssize_t)size);
}

PyDoc_STRVAR(set_c_stacks_doc,
             "set_c_stacks(size=None, idle=None, limit=None)\n--\n\n"
             "size: bytes of C stacks made from now on (at least 128 KiB); "
             "idle: number of unused\nones that each thread keeps; limit: "
             "number that each thread maps before it moves those that\nwere "
             "left longest ago to the heap; 0: it moves each one that it "
             "leaves, for tests. None\nleaves a setting as it is. ValueError "
             "if out of range.");

static int
to_size(PyObject *op, Py_ssize_t low, Py_ssize_t high, Py_ssize_t *value)
{
    if (op == Py_None) {
        return 0;
    }
    Py_ssize_t n = PyNumber_AsSsize_t(op, PyExc_ValueError);
    if (n == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (n < low || n > high) {
        PyErr_Format(PyExc_ValueError, "%zd is not in the range %zd to %zd", n,
                     low, high);
        return -1;
    }
    *value = n;
    return 0;
}

static PyObject *
mod_set_c_stacks(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"size", "idle", "limit", NULL};
    PyObject *size = Py_None, *idle = Py_None, *limit = Py_None;
    slp_state *s = slp_state_of(module);
    Py_ssize_t new_size = -1, new_idle = -1, new_limit = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:set_c_stacks",
                                     SLP_KWLIST(names), &size, &idle, &limit)
        || to_size(size, 128 << 10, (Py_ssize_t)1 << 40, &new_size) < 0
        || to_size(idle, 0, 1 << 20, &new_idle) < 0
        || to_size(limit, 0, (Py_ssize_t)1 << 30, &new_limit) < 0) {
        return NULL;
    }
    if (new_limit >= 0) {
        s->carrier_limit = (long)new_limit;
    }
    if (new_size >= 0) {
        s->carrier_size = (size_t)new_size;
    }
    slp_thread *st = slp_thread_peek();
    if (new_idle >= 0) {
        s->idle_limit = (int)new_idle;
    }
    if (st != NULL && (new_size >= 0 || new_idle >= 0)) {
        slp_carriers_trim(st, new_size >= 0 ? 0 : s->idle_limit);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    call_on_new_stack_doc,
    "call_on_new_stack(function, /, *args, size=None)\n--\n\n"
    "function(*args) on a C stack of its own, in the tasklet that calls. "
    "size: bytes of it, at\nleast 128 KiB; None: as large as the main "
    "thread's. For recursion through C code that is\ndeeper than a C stack "
    "allows; sys.setrecursionlimit() holds as ever. Returns or raises\nwhat "
    "the function does; ValueError if size is out of range, MemoryError.");

static PyObject *
mod_call_on_new_stack(PyObject *Py_UNUSED(module), PyObject *args,
                      PyObject *kwargs)
{
    static const char *const names[] = {"size", NULL};
    Py_ssize_t n = PyTuple_GET_SIZE(args), bytes = 0;
    if (n < 1 || !PyCallable_Check(PyTuple_GET_ITEM(args, 0))) {
        PyErr_SetString(PyExc_TypeError,
                        "call_on_new_stack() needs a callable first");
        return NULL;
    }
    PyObject *size = Py_None, *none = PyTuple_New(0), *rest = NULL;
    PyObject *result = NULL;
    slp_thread *st = slp_thread_get();
    if (none != NULL && st != NULL
        && PyArg_ParseTupleAndKeywords(none, kwargs, "|$O:call_on_new_stack",
                                       SLP_KWLIST(names), &size)
        && to_size(size, 128 << 10, (Py_ssize_t)1 << 40, &bytes) == 0
        && (rest = PyTuple_GetSlice(args, 1, n)) != NULL) {
        result = slp_call_on_new_stack(st, PyTuple_GET_ITEM(args, 0), rest,
                                       (size_t)bytes);
    }
    Py_XDECREF(rest);
    Py_XDECREF(none);
    return result;
}

/* ---- python -m stackless ------------------------------------------------ */

PyDoc_STRVAR(run_main_doc,
             "_run_main(function, /)\n--\n\n"
             "function() as the main tasklet, which calls: soft like all "
             "others while that runs.");

static PyObject *
mod_run_main(PyObject *Py_UNUSED(module), PyObject *func)
{
    slp_thread *st = slp_thread_get();
    return st ? slp_host_call(st, func) : NULL;
}

/* ---- upstream's test helpers --------------------------------------------- */

PyDoc_STRVAR(test_cframe_nr_doc,
             "test_cframe_nr(n=1)\n--\n\nschedule() n times, from C.");

static PyObject *
mod_test_cframe_nr(PyObject *Py_UNUSED(module), PyObject *args,
                   PyObject *kwargs)
{
    static const char *const names[] = {"n", NULL};
    int n = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i:test_cframe_nr",
                                     SLP_KWLIST(names), &n)) {
        return NULL;
    }
    slp_thread *st = slp_thread_get();
    for (int i = 0; st != NULL && i < n; i++) {
        slp_entry e = {.gate = NULL};
        PyObject *v = slp_outcome(st, slp_schedule(st, &e, Py_None, false));
        if (v == NULL) {
            return NULL;
        }
        Py_DECREF(v);
    }
    return st ? Py_NewRef(Py_None) : NULL;
}

PyDoc_STRVAR(test_outside_doc,
             "test_outside()\n--\n\n"
             "Run all runnable tasklets, as a program does that embeds the "
             "interpreter.");

static PyObject *
mod_test_outside(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    slp_entry e = {.gate = NULL};
    slp_limit limit = {.ticks = 0};
    return st ? slp_outcome(st, slp_run_watchdog(st, &e, &limit)) : NULL;
}

/* ---- set-up -------------------------------------------------------------- */

/* They lead back to the module, by tasklets whose type the collector does not see:
   with them neither would go. */
static void
drop_callbacks(slp_state *s)
{
    Py_CLEAR(s->channel_callback);
    Py_CLEAR(s->schedule_callback);
    Py_CLEAR(s->error_handler);
    Py_CLEAR(s->hooks);
    slp_quick_update_all(s);
}

static PyObject *
mod_shutdown(PyObject *module, PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_peek();
    slp_state *s = slp_state_of(module);
    slp_watch_stop(s);
    if (st != NULL) {
        slp_kill_all(st);
    }
    slp_clock_stop(&s->clock);
    drop_callbacks(s);
    Py_RETURN_NONE;
}

#define METHOD(name, flags)                                                   \
    {                                                                         \
#        name, _PyCFunction_CAST(mod_##name), flags, name##_doc               \
    }
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

static PyMethodDef methods[] = {
    METHOD(getcurrent, METH_NOARGS),
    METHOD(getmain, METH_NOARGS),
    METHOD(getruncount, METH_NOARGS),
    METHOD(getcurrentid, METH_NOARGS),
    METHOD(getthreads, METH_NOARGS),
    METHOD(get_thread_info, METH_VARARGS),
    METHOD(enable_softswitch, METH_O),
    METHOD(switch_trap, METH_VARARGS),
    METHOD(set_schedule_callback, METH_O),
    METHOD(get_schedule_callback, METH_NOARGS),
    METHOD(set_channel_callback, METH_O),
    METHOD(get_channel_callback, METH_NOARGS),
    METHOD(set_error_handler, METH_VARARGS),
    METHOD(pickle_flags, KEYWORDS),
    METHOD(pickle_flags_default, KEYWORDS),
    METHOD(getdebug, METH_NOARGS),
    METHOD(all_tasklets, METH_NOARGS),
    METHOD(getuncollectables, METH_NOARGS),
    METHOD(get_stats, METH_NOARGS),
    METHOD(set_c_stacks, KEYWORDS),
    METHOD(call_on_new_stack, KEYWORDS),
    METHOD(test_cframe_nr, KEYWORDS),
    METHOD(test_outside, METH_NOARGS),
    {"_run_main", mod_run_main, METH_O, run_main_doc},
    {"_shutdown", mod_shutdown, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef gc_callback = {"_gc_callback", slp_gc_callback,
                                  METH_VARARGS, NULL};

/* builtins.TaskletExit, made by whoever comes first. */
static int
add_tasklet_exit(slp_state *s)
{
    PyObject *builtins = PyEval_GetBuiltins();
    PyObject *old = PyDict_GetItemString(builtins, "TaskletExit");
    if (old != NULL && PyExceptionClass_Check(old)) {
        s->tasklet_exit = Py_NewRef(old);
        return 0;
    }
    s->tasklet_exit = PyErr_NewExceptionWithDoc(
        "builtins.TaskletExit",
        "Raised in a tasklet to end it; ends only the tasklet.",
        PyExc_SystemExit, NULL);
    return s->tasklet_exit == NULL
               ? -1
               : PyDict_SetItemString(builtins, "TaskletExit",
                                      s->tasklet_exit);
}

/* Call module.attribute(arg). */
static int
register_with(const char *module, const char *list, const char *method,
              PyObject *arg)
{
    PyObject *m = PyImport_ImportModule(module);
    PyObject *place = m == NULL      ? NULL
                      : list == NULL ? Py_NewRef(m)
                                     : PyObject_GetAttrString(m, list);
    PyObject *r = place ? PyObject_CallMethod(place, method, "O", arg) : NULL;
    Py_XDECREF(m);
    Py_XDECREF(place);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

static int
register_hooks(PyObject *module)
{
    PyObject *callback = PyCFunction_New(&gc_callback, NULL);
    PyObject *shutdown = PyObject_GetAttrString(module, "_shutdown");
    int r = -1;
    if (callback != NULL && shutdown != NULL) {
        r = register_with("gc", "callbacks", "append", callback);
        if (r == 0) {
            r = register_with("atexit", NULL, "register", shutdown);
        }
    }
    Py_XDECREF(callback);
    Py_XDECREF(shutdown);
    return r;
}

/* Switches in the middle of an expression, whose values lie where a pop borrows
   a word. */
static const char check_source[] =
    "lambda schedule, log:"
    " log.append((1, schedule(2), schedule(3)))";

static PyObject *
check_function(void)
{
    PyObject *globals = Py_BuildValue("{s:O}", "__builtins__",
                                      PyEval_GetBuiltins());
    PyObject *f = globals ? PyRun_String(check_source, Py_eval_input, globals,
                                         globals)
                          : NULL;
    Py_XDECREF(globals);
    return f;
}

static bool
is_expected(PyObject *log)
{
    bool right = PyList_GET_SIZE(log) == 2;
    for (Py_ssize_t i = 0; right && i < 2; i++) {
        int a, b, c;
        right = PyArg_ParseTuple(PyList_GET_ITEM(log, i), "iii", &a, &b, &c)
                && a == 1 && b == 2 && c == 3;
    }
    return right;
}

/* Two tasklets call the function; -1 with an exception. */
static int
run_check(slp_state *s, PyObject *module, PyObject *function, PyObject *log)
{
    PyObject *schedule = PyObject_GetAttrString(module, "schedule");
    PyObject *r = schedule ? Py_NewRef(schedule) : NULL;
    for (int i = 0; i < 2 && r != NULL; i++) {
        PyObject *t = PyObject_CallOneArg((PyObject *)s->tasklet_type,
                                          function);
        Py_SETREF(r, t ? PyObject_CallFunctionObjArgs(t, schedule, log, NULL)
                       : NULL);
        Py_XDECREF(t);
    }
    if (r != NULL) {
        /* A frame evaluator (PEP 523) may go again: look at what lies below. */
        PyThreadState *ts = slp_ts();
        void *evaluator = slp_evaluator_take(ts);
        Py_SETREF(r, mod_test_outside(module, NULL));
        slp_evaluator_put(ts, evaluator);
    }
    Py_XDECREF(schedule);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* Do tasklets switch softly here, and can points be left in one go? */
static int
self_check(slp_state *s, PyObject *module)
{
    const char *gate = getenv("STACKLESS_GATE");
    PyObject *function = check_function(), *log = PyList_New(0);
    slp_thread *st = slp_thread_get();
    int r = -1;
    if (function != NULL && log != NULL && st != NULL) {
        uint64_t before = s->soft_switches;
        s->soft_possible = true;
        r = run_check(s, module, function, log);
        s->soft_possible = s->soft_switches > before && is_expected(log);
    }
    if (r == 0 && s->soft_possible && !(gate && strcmp(gate, "return") == 0)) {
        slp_pop_setup();
        s->quick_possible = true;
        PyList_SetSlice(log, 0, PyList_GET_SIZE(log), NULL);
        r = run_check(s, module, function, log);
        s->quick_possible = r == 0 && st->quick_switches > 0
                            && slp_lent.place == NULL && is_expected(log);
        slp_quick_update(st);
        st->quick_switches = 0;
    }
    Py_XDECREF(function);
    Py_XDECREF(log);
    s->soft_switches = s->hard_switches = 0;
    s->task_serial = 0;
    return r;
}

/* The public functions say that they belong to the package. */
static int
name_functions(PyObject *module)
{
    PyObject *package = PyUnicode_InternFromString("stackless");
    int r = package == NULL ? -1 : 0;
    PyMethodDef *tables[] = {
        methods,           slp_interrupt_methods, slp_frozen_methods,
        slp_facts_methods, slp_packed_methods,    slp_hooks_methods,
        slp_copies_methods};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(tables); i++) {
        PyMethodDef *def = tables[i];
        for (; r == 0 && def->ml_name != NULL; def++) {
            PyObject *f = PyCFunction_NewEx(def, module, package);
            r = f ? PyObject_SetAttrString(module, def->ml_name, f) : -1;
            Py_XDECREF(f);
        }
    }
    Py_XDECREF(package);
    return r;
}

static int
module_exec(PyObject *module)
{
    slp_state *s = slp_state_of(module);
    if (slp_layout_check() < 0) {
        return -1;
    }
    slp_state_init(s, module);
    int exists = slp_state_exists(s->interp);
    if (exists < 0) {
        return -1;
    }
    if (exists) {
        PyErr_SetString(PyExc_ImportError,
                        "stackless._core is already loaded in this "
                        "interpreter and cannot be loaded again");
        return -1;
    }
    if (slp_tools_setup(slp_ts()) < 0 || slp_gil_setup(s->interp) < 0
        || slp_visits_setup(slp_run_natively) < 0 || name_functions(module) < 0
        || add_tasklet_exit(s) < 0 || slp_dispatch_setup(s) < 0
        || slp_sleep_setup(s) < 0 || slp_interrupts_setup(s) < 0
        || slp_misc_types_setup(s, module) < 0 || slp_bomb_setup(s, module) < 0
        || slp_tasklet_setup(s, module) < 0 || slp_channel_setup(s, module) < 0
        || slp_points_setup(s, module) < 0 || slp_frozen_setup(s) < 0
        || slp_hooks_setup(s, module) < 0 || slp_state_publish(s) < 0
        || slp_capi_setup(module) < 0 || slp_check_setup(module) < 0
        || register_hooks(module) < 0) {
        return -1;
    }
    return self_check(s, module);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return slp_state_traverse(slp_state_of(module), visit, arg);
}

static int
module_clear(PyObject *module)
{
    /* Tasklets and threads may outlive the module's dict: what they need is
       released with the module itself. */
    slp_state *s = slp_state_of(module);
    s->finalizing = true;
    drop_callbacks(s);
    return 0;
}

static void
module_free(void *module)
{
    slp_state *s = slp_state_of(module);
    if (s != NULL && s->interp != NULL) {
        slp_state_gone(s);
    }
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)module_exec},
    SLP_MODULE_SLOTS{0, NULL},
};

PyDoc_STRVAR(module_doc, "The engine of stackless; use stackless instead.");

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,         .m_name = "stackless._core",
    .m_doc = module_doc,           .m_size = sizeof(slp_state),
    .m_methods = methods,          .m_slots = slots,
    .m_traverse = module_traverse, .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module_def);
}
