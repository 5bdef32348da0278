/* SPDX-License-Identifier: PSF-2.0 */
/* The C API: what include/stackless_api.h promises, as a capsule. */
#include "core/atomic.h"
#include "core/bomb.h"
#include "core/dispatch.h"
#include "core/quick.h"
#include "core/sched.h"
#include "core/watchdog.h"
#include "module.h"
#include "types/types.h"
#include "wait/channel.h"

#define SLP_CAPI_INTERNAL
#include "include/stackless_api.h"

static const slp_entry from_c = {.gate = NULL};

static int
no_result(PyObject *v)
{
    Py_XDECREF(v);
    return v == NULL ? -1 : 0;
}

/* ---- tasklets ------------------------------------------------------------ */

static PyTaskletObject *
PyTasklet_New(PyTypeObject *type, PyObject *func)
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (type == NULL) {
        type = st->state->tasklet_type;
    }
    if (!PyType_IsSubtype(type, st->state->tasklet_type)) {
        PyErr_SetString(PyExc_TypeError, "not a subtype of tasklet");
        return NULL;
    }
    return (PyTaskletObject *)PyObject_CallFunctionObjArgs((PyObject *)type,
                                                           func, NULL);
}

static int
PyTasklet_Setup(PyTaskletObject *task, PyObject *args, PyObject *kwds)
{
    PyObject *a = args ? Py_NewRef(args) : PyTuple_New(0);
    int r = a ? slp_tasklet_setup_call(task->task, a, kwds) : -1;
    Py_XDECREF(a);
    return r;
}

static int
PyTasklet_BindEx(PyTaskletObject *task, PyObject *func, PyObject *args,
                 PyObject *kwargs)
{
    return slp_tasklet_bind(task->task, func, args, kwargs);
}

static int
PyTasklet_BindThread(PyTaskletObject *task, long long thread_id)
{
    return slp_tasklet_bind_thread(task->task, thread_id);
}

static PyObject *
PyTasklet_Run(PyTaskletObject *task)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    return st ? slp_outcome(st, slp_task_run(st, &e, task->task)) : NULL;
}

static int
PyTasklet_Run_nr(PyTaskletObject *task)
{
    return no_result(PyTasklet_Run(task));
}

static PyObject *
PyTasklet_Switch(PyTaskletObject *task)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    return st ? slp_outcome(st, slp_task_switch(st, &e, task->task)) : NULL;
}

static int
PyTasklet_Switch_nr(PyTaskletObject *task)
{
    return no_result(PyTasklet_Switch(task));
}

static int
PyTasklet_Insert(PyTaskletObject *task)
{
    slp_thread *st = slp_thread_get();
    return st ? slp_task_insert(task->task) : -1;
}

static int
PyTasklet_Remove(PyTaskletObject *task)
{
    slp_thread *st = slp_thread_get();
    return st ? slp_task_remove(task->task) : -1;
}

/* exc: new reference or NULL with an exception. */
static int
throw_exc(PyTaskletObject *task, PyObject *exc, int pending)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    if (exc == NULL || st == NULL) {
        Py_XDECREF(exc);
        return -1;
    }
    return no_result(slp_outcome(
        st, slp_task_throw(st, &e, task->task, exc, pending != 0)));
}

static int
PyTasklet_RaiseException(PyTaskletObject *self, PyObject *klass,
                         PyObject *args)
{
    PyObject *a = args == NULL          ? PyTuple_New(0)
                  : PyTuple_Check(args) ? Py_NewRef(args)
                                        : PyTuple_Pack(1, args);
    PyObject *exc = a ? slp_exc_from_class(klass, a) : NULL;
    Py_XDECREF(a);
    return throw_exc(self, exc, 0);
}

static int
PyTasklet_Throw(PyTaskletObject *self, int pending, PyObject *exc,
                PyObject *val, PyObject *tb)
{
    return throw_exc(self, slp_exc_from_triple(exc, val, tb), pending);
}

static int
PyTasklet_KillEx(PyTaskletObject *task, int pending)
{
    slp_state *s = slp_state_peek();
    if (s == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "stackless is not loaded");
        return -1;
    }
    return PyTasklet_Throw(task, pending, s->tasklet_exit, NULL, NULL);
}

static int
PyTasklet_Kill(PyTaskletObject *task)
{
    return PyTasklet_KillEx(task, 0);
}

#define FLAG(Name, field)                                                     \
    static int PyTasklet_Get##Name(PyTaskletObject *task)                     \
    {                                                                         \
        return (int)task->task->field;                                        \
    }

FLAG(Atomic, atomic)
FLAG(IgnoreNesting, ignore_nesting)
FLAG(BlockTrap, block_trap)

static int
PyTasklet_SetAtomic(PyTaskletObject *task, int flag)
{
    int old = (int)task->task->atomic;
    return slp_task_set_atomic(task->task, flag != 0) < 0 ? -1 : old;
}

static int
PyTasklet_SetIgnoreNesting(PyTaskletObject *task, int flag)
{
    int old = (int)task->task->ignore_nesting;
    slp_task_set_ignore_nesting(task->task, flag != 0);
    return old;
}

static void
PyTasklet_SetBlockTrap(PyTaskletObject *task, int value)
{
    task->task->block_trap = value != 0;
}

static PyObject *
PyTasklet_GetFrame(PyTaskletObject *task)
{
    PyObject *f = slp_tasklet_frame(task->task);
    if (f == Py_None) {
        Py_CLEAR(f);
    }
    return f;
}

static int
PyTasklet_IsMain(PyTaskletObject *task)
{
    return (int)task->task->is_main;
}

static int
PyTasklet_IsCurrent(PyTaskletObject *task)
{
    return task->task->thread != NULL
           && task->task->thread->current == task->task;
}

static int
PyTasklet_GetRecursionDepth(PyTaskletObject *task)
{
    return slp_tasklet_depth(task->task);
}

static int
PyTasklet_GetNestingLevel(PyTaskletObject *task)
{
    return slp_tasklet_nesting(task->task);
}

static int
PyTasklet_Alive(PyTaskletObject *task)
{
    return slp_task_alive(task->task) && task->task->thread != NULL;
}

static int
PyTasklet_Paused(PyTaskletObject *task)
{
    return slp_task_paused(task->task) && task->task->thread != NULL;
}

static int
PyTasklet_Scheduled(PyTaskletObject *task)
{
    return task->task->place != SLP_FLOATING;
}

static int
PyTasklet_Restorable(PyTaskletObject *task)
{
    return slp_tasklet_restorable(task->task);
}

/* ---- channels ------------------------------------------------------------ */

static PyChannelObject *
PyChannel_New(PyTypeObject *type)
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (type == NULL) {
        type = st->state->channel_type;
    }
    if (!PyType_IsSubtype(type, st->state->channel_type)) {
        PyErr_SetString(PyExc_TypeError, "not a subtype of channel");
        return NULL;
    }
    return (PyChannelObject *)PyObject_CallNoArgs((PyObject *)type);
}

static int
PyChannel_Send(PyChannelObject *self, PyObject *arg)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    return st ? no_result(slp_outcome(st, slp_channel_send(st, &e, self, arg)))
              : -1;
}

static int
PyChannel_Send_nr(PyChannelObject *self, PyObject *arg)
{
    return PyChannel_Send(self, arg);
}

static PyObject *
PyChannel_Receive(PyChannelObject *self)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    return st ? slp_outcome(st, slp_channel_receive(st, &e, self)) : NULL;
}

static PyObject *
PyChannel_Receive_nr(PyChannelObject *self)
{
    return PyChannel_Receive(self);
}

static int
PyChannel_SendThrow(PyChannelObject *self, PyObject *exc, PyObject *val,
                    PyObject *tb)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    PyObject *instance = st ? slp_exc_from_triple(exc, val, tb) : NULL;
    if (instance == NULL) {
        return -1;
    }
    return no_result(
        slp_outcome(st, slp_channel_throw(st, &e, self, instance)));
}

static int
PyChannel_SendException(PyChannelObject *self, PyObject *klass,
                        PyObject *value)
{
    if (!PyExceptionClass_Check(klass)) {
        PyErr_SetString(PyExc_TypeError,
                        "channel.send_exception needs an exception class");
        return -1;
    }
    return PyChannel_SendThrow(self, klass, value, NULL);
}

static PyObject *
PyChannel_GetQueue(PyChannelObject *self)
{
    return Py_NewRef(self->q.first ? self->q.first->self : Py_None);
}

static void
PyChannel_Close(PyChannelObject *self)
{
    self->closing = true;
}

static void
PyChannel_Open(PyChannelObject *self)
{
    self->closing = false;
}

static int
PyChannel_GetClosing(PyChannelObject *self)
{
    return self->closing;
}

static int
PyChannel_GetClosed(PyChannelObject *self)
{
    return self->closing && self->balance == 0;
}

static int
PyChannel_GetPreference(PyChannelObject *self)
{
    return self->preference;
}

static void
PyChannel_SetPreference(PyChannelObject *self, int val)
{
    self->preference = (signed char)(val > 0 ? 1 : val < 0 ? -1 : 0);
}

static int
PyChannel_GetScheduleAll(PyChannelObject *self)
{
    return self->schedule_all;
}

static void
PyChannel_SetScheduleAll(PyChannelObject *self, int val)
{
    self->schedule_all = val != 0;
}

static int
PyChannel_GetBalance(PyChannelObject *self)
{
    return (int)self->balance;
}

/* ---- scheduler ----------------------------------------------------------- */

static PyObject *
PyStackless_Schedule(PyObject *retval, int remove)
{
    slp_entry e = from_c;
    slp_thread *st = slp_thread_get();
    return st ? slp_outcome(st, slp_schedule(st, &e, retval, remove != 0))
              : NULL;
}

static int
PyStackless_Schedule_nr(PyObject *retval, int remove)
{
    return no_result(PyStackless_Schedule(retval, remove));
}

static int
PyStackless_GetRunCount(void)
{
    slp_thread *st = slp_thread_get();
    return st ? (int)st->runcount : -1;
}

static PyObject *
PyStackless_GetCurrent(void)
{
    slp_thread *st = slp_thread_get();
    return st ? Py_NewRef(st->current->self) : NULL;
}

static unsigned long
PyStackless_GetCurrentId(void)
{
    slp_thread *st = slp_thread_peek();
    if (st == NULL || st->current == st->main) {
        return PyThread_get_thread_ident();
    }
    return (unsigned long)(uintptr_t)st->current->self;
}

static PyObject *
PyStackless_RunWatchdogEx(long timeout, int flags)
{
    slp_entry e = from_c;
    if (flags < 0 || flags > 255) {
        PyErr_SetString(PyExc_ValueError, "flags must be in [0..255]");
        return NULL;
    }
    slp_limit limit = {.ticks = timeout,
                       .threadblock = flags & PY_WATCHDOG_THREADBLOCK,
                       .soft = flags & PY_WATCHDOG_SOFT,
                       .ignore_nesting = flags & PY_WATCHDOG_IGNORE_NESTING,
                       .total = flags & PY_WATCHDOG_TOTALTIMEOUT};
    slp_thread *st = slp_thread_get();
    return st ? slp_outcome(st, slp_run_watchdog(st, &e, &limit)) : NULL;
}

static PyObject *
PyStackless_RunWatchdog(long timeout)
{
    return PyStackless_RunWatchdogEx(timeout, 0);
}

static int
set_callback(PyObject *callable, bool channel)
{
    slp_thread *st = slp_thread_get();
    if (callable == Py_None) {
        callable = NULL;
    }
    if (callable != NULL && !PyCallable_Check(callable)) {
        PyErr_SetString(PyExc_TypeError, "callback must be callable");
        return -1;
    }
    if (st == NULL) {
        return -1;
    }
    PyObject **slot = channel ? &st->state->channel_callback
                              : &st->state->schedule_callback;
    Py_XSETREF(*slot, Py_XNewRef(callable));
    slp_quick_update_all(st->state);
    return 0;
}

static int
PyStackless_SetChannelCallback(PyObject *callable)
{
    return set_callback(callable, true);
}

static int
PyStackless_SetScheduleCallback(PyObject *callable)
{
    return set_callback(callable, false);
}

static void
PyStackless_SetScheduleFastcallback(slp_schedule_hook_func *func)
{
    slp_state *s = slp_state_peek();
    if (s != NULL) {
        s->schedule_hook = func;
        slp_quick_update_all(s);
    }
}

/* The thread's program is its main tasklet already. */
static PyObject *
PyStackless_Call_Main(PyObject *func, PyObject *args, PyObject *kwds)
{
    if (slp_thread_get() == NULL) {
        return NULL;
    }
    PyObject *a = args ? Py_NewRef(args) : PyTuple_New(0);
    PyObject *r = a ? PyObject_Call(func, a, kwds) : NULL;
    Py_XDECREF(a);
    return r;
}

static int
is_instance(PyObject *op, bool channel, bool exact)
{
    slp_state *s = slp_state_peek();
    if (s == NULL) {
        return 0;
    }
    PyTypeObject *type = channel ? s->channel_type : s->tasklet_type;
    return exact ? Py_IS_TYPE(op, type) : PyObject_TypeCheck(op, type);
}

static int
PyTasklet_Check(PyObject *op)
{
    return is_instance(op, false, false);
}

static int
PyTasklet_CheckExact(PyObject *op)
{
    return is_instance(op, false, true);
}

static int
PyChannel_Check(PyObject *op)
{
    return is_instance(op, true, false);
}

static int
PyChannel_CheckExact(PyObject *op)
{
    return is_instance(op, true, true);
}

/* ---- the capsule --------------------------------------------------------- */

static stackless_capi api = {
    .version = STACKLESS_CAPI_VERSION,
    .size = sizeof(stackless_capi),
    .PyTasklet_New = PyTasklet_New,
    .PyTasklet_Setup = PyTasklet_Setup,
    .PyTasklet_BindEx = PyTasklet_BindEx,
    .PyTasklet_Run = PyTasklet_Run,
    .PyTasklet_Run_nr = PyTasklet_Run_nr,
    .PyTasklet_Switch = PyTasklet_Switch,
    .PyTasklet_Switch_nr = PyTasklet_Switch_nr,
    .PyTasklet_Insert = PyTasklet_Insert,
    .PyTasklet_Remove = PyTasklet_Remove,
    .PyTasklet_RaiseException = PyTasklet_RaiseException,
    .PyTasklet_Throw = PyTasklet_Throw,
    .PyTasklet_Kill = PyTasklet_Kill,
    .PyTasklet_KillEx = PyTasklet_KillEx,
    .PyTasklet_GetAtomic = PyTasklet_GetAtomic,
    .PyTasklet_SetAtomic = PyTasklet_SetAtomic,
    .PyTasklet_GetIgnoreNesting = PyTasklet_GetIgnoreNesting,
    .PyTasklet_SetIgnoreNesting = PyTasklet_SetIgnoreNesting,
    .PyTasklet_GetBlockTrap = PyTasklet_GetBlockTrap,
    .PyTasklet_SetBlockTrap = PyTasklet_SetBlockTrap,
    .PyTasklet_GetFrame = PyTasklet_GetFrame,
    .PyTasklet_IsMain = PyTasklet_IsMain,
    .PyTasklet_IsCurrent = PyTasklet_IsCurrent,
    .PyTasklet_GetRecursionDepth = PyTasklet_GetRecursionDepth,
    .PyTasklet_GetNestingLevel = PyTasklet_GetNestingLevel,
    .PyTasklet_Alive = PyTasklet_Alive,
    .PyTasklet_Paused = PyTasklet_Paused,
    .PyTasklet_Scheduled = PyTasklet_Scheduled,
    .PyTasklet_Restorable = PyTasklet_Restorable,
    .PyChannel_New = PyChannel_New,
    .PyChannel_Send = PyChannel_Send,
    .PyChannel_Send_nr = PyChannel_Send_nr,
    .PyChannel_Receive = PyChannel_Receive,
    .PyChannel_Receive_nr = PyChannel_Receive_nr,
    .PyChannel_SendException = PyChannel_SendException,
    .PyChannel_SendThrow = PyChannel_SendThrow,
    .PyChannel_GetQueue = PyChannel_GetQueue,
    .PyChannel_Close = PyChannel_Close,
    .PyChannel_Open = PyChannel_Open,
    .PyChannel_GetClosing = PyChannel_GetClosing,
    .PyChannel_GetClosed = PyChannel_GetClosed,
    .PyChannel_GetPreference = PyChannel_GetPreference,
    .PyChannel_SetPreference = PyChannel_SetPreference,
    .PyChannel_GetScheduleAll = PyChannel_GetScheduleAll,
    .PyChannel_SetScheduleAll = PyChannel_SetScheduleAll,
    .PyChannel_GetBalance = PyChannel_GetBalance,
    .PyStackless_Schedule = PyStackless_Schedule,
    .PyStackless_Schedule_nr = PyStackless_Schedule_nr,
    .PyStackless_GetRunCount = PyStackless_GetRunCount,
    .PyStackless_GetCurrent = PyStackless_GetCurrent,
    .PyStackless_GetCurrentId = PyStackless_GetCurrentId,
    .PyStackless_RunWatchdog = PyStackless_RunWatchdog,
    .PyStackless_RunWatchdogEx = PyStackless_RunWatchdogEx,
    .PyStackless_SetChannelCallback = PyStackless_SetChannelCallback,
    .PyStackless_SetScheduleCallback = PyStackless_SetScheduleCallback,
    .PyStackless_SetScheduleFastcallback = PyStackless_SetScheduleFastcallback,
    .PyStackless_Call_Main = PyStackless_Call_Main,
    .PyTasklet_Check = PyTasklet_Check,
    .PyTasklet_CheckExact = PyTasklet_CheckExact,
    .PyChannel_Check = PyChannel_Check,
    .PyChannel_CheckExact = PyChannel_CheckExact,
    .PyTasklet_BindThread = PyTasklet_BindThread,
};

int
slp_capi_setup(PyObject *module)
{
    PyObject *capsule = PyCapsule_New(&api, STACKLESS_CAPI_NAME, NULL);
    if (capsule == NULL) {
        return -1;
    }
    int r = PyObject_SetAttrString(module, "_C_API", capsule);
    Py_DECREF(capsule);
    return r;
}
