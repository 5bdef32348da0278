/* SPDX-License-Identifier: PSF-2.0 */
/* C API of stackless: the functions of Stackless Python's stackless_api.h.

   Include it after Python.h and call PyStackless_Import() once, usually in
   the module's initialisation; it returns 0, or -1 with ImportError.  Unless
   said otherwise: int results are 0, or -1 with an exception; the GIL must be
   held; arguments are borrowed.  Functions that switch do so hard: the caller's
   C frames stay where they are until the tasklet runs again.  The _nr
   variants ("no recursion") exist for old sources; they never return 1. */
#ifndef STACKLESS_API_H
#define STACKLESS_API_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct slp_tasklet PyTaskletObject;
typedef struct slp_channel PyChannelObject;
typedef int(slp_schedule_hook_func)(PyTaskletObject *from,
                                    PyTaskletObject *to);

#define PY_WATCHDOG_THREADBLOCK    1
#define PY_WATCHDOG_SOFT           2
#define PY_WATCHDOG_IGNORE_NESTING 4
#define PY_WATCHDOG_TOTALTIMEOUT   8

#define STACKLESS_CAPI_NAME    "stackless._core._C_API"
#define STACKLESS_CAPI_VERSION 1

/* Grows at its end only; `size` says how much is there. */
typedef struct {
    int version;
    size_t size;
    /* Make a tasklet bound to func (or NULL); type NULL: stackless.tasklet. */
    PyTaskletObject *(*PyTasklet_New)(PyTypeObject *type, PyObject *func);
    /* As task.setup(*args, **kwds) */
    int (*PyTasklet_Setup)(PyTaskletObject *task, PyObject *args,
                           PyObject *kwds);
    /* As task.bind(func, args, kwargs); NULL is None. */
    int (*PyTasklet_BindEx)(PyTaskletObject *task, PyObject *func,
                            PyObject *args, PyObject *kwargs);
    /* As task.run(); new reference. */
    PyObject *(*PyTasklet_Run)(PyTaskletObject *task);
    /* The same; 0 or -1. */
    int (*PyTasklet_Run_nr)(PyTaskletObject *task);
    /* As task.switch(); new reference. */
    PyObject *(*PyTasklet_Switch)(PyTaskletObject *task);
    /* The same; 0 or -1. */
    int (*PyTasklet_Switch_nr)(PyTaskletObject *task);
    /* As task.insert() */
    int (*PyTasklet_Insert)(PyTaskletObject *task);
    /* As task.remove() */
    int (*PyTasklet_Remove)(PyTaskletObject *task);
    /* As task.raise_exception(klass, *args); one argument or NULL will do for
       the tuple. */
    int (*PyTasklet_RaiseException)(PyTaskletObject *self, PyObject *klass,
                                    PyObject *args);
    /* As task.throw() */
    int (*PyTasklet_Throw)(PyTaskletObject *self, int pending, PyObject *exc,
                           PyObject *val, PyObject *tb);
    /* As task.kill() */
    int (*PyTasklet_Kill)(PyTaskletObject *task);
    /* As task.kill(pending) */
    int (*PyTasklet_KillEx)(PyTaskletObject *task, int pending);
    /* 0 or 1. */
    int (*PyTasklet_GetAtomic)(PyTaskletObject *task);
    /* Returns the old value. */
    int (*PyTasklet_SetAtomic)(PyTaskletObject *task, int flag);
    /* 0 or 1. */
    int (*PyTasklet_GetIgnoreNesting)(PyTaskletObject *task);
    /* Returns the old value. */
    int (*PyTasklet_SetIgnoreNesting)(PyTaskletObject *task, int flag);
    /* 0 or 1. */
    int (*PyTasklet_GetBlockTrap)(PyTaskletObject *task);
    void (*PyTasklet_SetBlockTrap)(PyTaskletObject *task, int value);
    /* Newest frame: new reference, or NULL (without an exception if there is
       none) */
    PyObject *(*PyTasklet_GetFrame)(PyTaskletObject *task);
    /* 0 or 1. */
    int (*PyTasklet_IsMain)(PyTaskletObject *task);
    /* 0 or 1. */
    int (*PyTasklet_IsCurrent)(PyTaskletObject *task);
    int (*PyTasklet_GetRecursionDepth)(PyTaskletObject *task);
    int (*PyTasklet_GetNestingLevel)(PyTaskletObject *task);
    /* 0 or 1. */
    int (*PyTasklet_Alive)(PyTaskletObject *task);
    /* 0 or 1. */
    int (*PyTasklet_Paused)(PyTaskletObject *task);
    /* 0 or 1. */
    int (*PyTasklet_Scheduled)(PyTaskletObject *task);
    /* 0 or 1. */
    int (*PyTasklet_Restorable)(PyTaskletObject *task);
    /* Type NULL: stackless.channel. */
    PyChannelObject *(*PyChannel_New)(PyTypeObject *type);
    /* As channel.send(arg) */
    int (*PyChannel_Send)(PyChannelObject *self, PyObject *arg);
    /* The same. */
    int (*PyChannel_Send_nr)(PyChannelObject *self, PyObject *arg);
    /* As channel.receive(); new reference. */
    PyObject *(*PyChannel_Receive)(PyChannelObject *self);
    /* The same. */
    PyObject *(*PyChannel_Receive_nr)(PyChannelObject *self);
    /* Value: a tuple of arguments, one argument or NULL. */
    int (*PyChannel_SendException)(PyChannelObject *self, PyObject *klass,
                                   PyObject *value);
    /* As channel.send_throw() */
    int (*PyChannel_SendThrow)(PyChannelObject *self, PyObject *exc,
                               PyObject *val, PyObject *tb);
    /* Oldest blocked tasklet or None; new reference. */
    PyObject *(*PyChannel_GetQueue)(PyChannelObject *self);
    void (*PyChannel_Close)(PyChannelObject *self);
    void (*PyChannel_Open)(PyChannelObject *self);
    /* 0 or 1. */
    int (*PyChannel_GetClosing)(PyChannelObject *self);
    /* 0 or 1. */
    int (*PyChannel_GetClosed)(PyChannelObject *self);
    /* -1, 0 or 1. */
    int (*PyChannel_GetPreference)(PyChannelObject *self);
    /* Clamped to -1 .. 1. */
    void (*PyChannel_SetPreference)(PyChannelObject *self, int val);
    /* 0 or 1. */
    int (*PyChannel_GetScheduleAll)(PyChannelObject *self);
    void (*PyChannel_SetScheduleAll)(PyChannelObject *self, int val);
    int (*PyChannel_GetBalance)(PyChannelObject *self);
    /* As schedule(retval) or schedule_remove(retval); new reference. */
    PyObject *(*PyStackless_Schedule)(PyObject *retval, int remove);
    /* The same; 0 or -1. */
    int (*PyStackless_Schedule_nr)(PyObject *retval, int remove);
    /* -1 with an exception. */
    int (*PyStackless_GetRunCount)(void);
    /* New reference. */
    PyObject *(*PyStackless_GetCurrent)(void);
    /* Identifies the running tasklet among those alive. */
    unsigned long (*PyStackless_GetCurrentId)(void);
    /* Timeout must be 0 in this version. */
    PyObject *(*PyStackless_RunWatchdog)(long timeout);
    /* Flags: PY_WATCHDOG_*; ValueError outside 0 .. 255. */
    PyObject *(*PyStackless_RunWatchdogEx)(long timeout, int flags);
    /* NULL or None: none. */
    int (*PyStackless_SetChannelCallback)(PyObject *callable);
    /* NULL or None: none. */
    int (*PyStackless_SetScheduleCallback)(PyObject *callable);
    /* Called before each switch; must not run Python code; NULL: none. */
    void (*PyStackless_SetScheduleFastcallback)(slp_schedule_hook_func *func);
    /* Call func as the main tasklet's program. */
    PyObject *(*PyStackless_Call_Main)(PyObject *func, PyObject *args,
                                       PyObject *kwds);
    /* 0 or 1. */
    int (*PyTasklet_Check)(PyObject *op);
    /* 0 or 1. */
    int (*PyTasklet_CheckExact)(PyObject *op);
    /* 0 or 1. */
    int (*PyChannel_Check)(PyObject *op);
    /* 0 or 1. */
    int (*PyChannel_CheckExact)(PyObject *op);
    /* As task.bind_thread(thread_id); -1: the calling one. */
    int (*PyTasklet_BindThread)(PyTaskletObject *task, long long thread_id);
} stackless_capi;

#ifndef SLP_CAPI_INTERNAL

static stackless_capi *slp_capi_pointer;

static inline int
PyStackless_Import(void)
{
    PyObject *stackless = PyImport_ImportModule("stackless");
    if (stackless == NULL) {
        return -1;
    }
    Py_DECREF(stackless);
    slp_capi_pointer = (stackless_capi *)PyCapsule_Import(STACKLESS_CAPI_NAME,
                                                          0);
    if (slp_capi_pointer == NULL) {
        return -1;
    }
    if (slp_capi_pointer->version != STACKLESS_CAPI_VERSION
        || slp_capi_pointer->size < sizeof(stackless_capi)) {
        PyErr_SetString(PyExc_ImportError,
                        "this extension needs a newer stackless");
        slp_capi_pointer = NULL;
        return -1;
    }
    return 0;
}

#    define PyTasklet_New        (slp_capi_pointer->PyTasklet_New)
#    define PyTasklet_Setup      (slp_capi_pointer->PyTasklet_Setup)
#    define PyTasklet_BindEx     (slp_capi_pointer->PyTasklet_BindEx)
#    define PyTasklet_BindThread (slp_capi_pointer->PyTasklet_BindThread)
#    define PyTasklet_Run        (slp_capi_pointer->PyTasklet_Run)
#    define PyTasklet_Run_nr     (slp_capi_pointer->PyTasklet_Run_nr)
#    define PyTasklet_Switch     (slp_capi_pointer->PyTasklet_Switch)
#    define PyTasklet_Switch_nr  (slp_capi_pointer->PyTasklet_Switch_nr)
#    define PyTasklet_Insert     (slp_capi_pointer->PyTasklet_Insert)
#    define PyTasklet_Remove     (slp_capi_pointer->PyTasklet_Remove)
#    define PyTasklet_RaiseException                                          \
        (slp_capi_pointer->PyTasklet_RaiseException)
#    define PyTasklet_Throw     (slp_capi_pointer->PyTasklet_Throw)
#    define PyTasklet_Kill      (slp_capi_pointer->PyTasklet_Kill)
#    define PyTasklet_KillEx    (slp_capi_pointer->PyTasklet_KillEx)
#    define PyTasklet_GetAtomic (slp_capi_pointer->PyTasklet_GetAtomic)
#    define PyTasklet_SetAtomic (slp_capi_pointer->PyTasklet_SetAtomic)
#    define PyTasklet_GetIgnoreNesting                                        \
        (slp_capi_pointer->PyTasklet_GetIgnoreNesting)
#    define PyTasklet_SetIgnoreNesting                                        \
        (slp_capi_pointer->PyTasklet_SetIgnoreNesting)
#    define PyTasklet_GetBlockTrap (slp_capi_pointer->PyTasklet_GetBlockTrap)
#    define PyTasklet_SetBlockTrap (slp_capi_pointer->PyTasklet_SetBlockTrap)
#    define PyTasklet_GetFrame     (slp_capi_pointer->PyTasklet_GetFrame)
#    define PyTasklet_IsMain       (slp_capi_pointer->PyTasklet_IsMain)
#    define PyTasklet_IsCurrent    (slp_capi_pointer->PyTasklet_IsCurrent)
#    define PyTasklet_GetRecursionDepth                                       \
        (slp_capi_pointer->PyTasklet_GetRecursionDepth)
#    define PyTasklet_GetNestingLevel                                         \
        (slp_capi_pointer->PyTasklet_GetNestingLevel)
#    define PyTasklet_Alive         (slp_capi_pointer->PyTasklet_Alive)
#    define PyTasklet_Paused        (slp_capi_pointer->PyTasklet_Paused)
#    define PyTasklet_Scheduled     (slp_capi_pointer->PyTasklet_Scheduled)
#    define PyTasklet_Restorable    (slp_capi_pointer->PyTasklet_Restorable)
#    define PyChannel_New           (slp_capi_pointer->PyChannel_New)
#    define PyChannel_Send          (slp_capi_pointer->PyChannel_Send)
#    define PyChannel_Send_nr       (slp_capi_pointer->PyChannel_Send_nr)
#    define PyChannel_Receive       (slp_capi_pointer->PyChannel_Receive)
#    define PyChannel_Receive_nr    (slp_capi_pointer->PyChannel_Receive_nr)
#    define PyChannel_SendException (slp_capi_pointer->PyChannel_SendException)
#    define PyChannel_SendThrow     (slp_capi_pointer->PyChannel_SendThrow)
#    define PyChannel_GetQueue      (slp_capi_pointer->PyChannel_GetQueue)
#    define PyChannel_Close         (slp_capi_pointer->PyChannel_Close)
#    define PyChannel_Open          (slp_capi_pointer->PyChannel_Open)
#    define PyChannel_GetClosing    (slp_capi_pointer->PyChannel_GetClosing)
#    define PyChannel_GetClosed     (slp_capi_pointer->PyChannel_GetClosed)
#    define PyChannel_GetPreference (slp_capi_pointer->PyChannel_GetPreference)
#    define PyChannel_SetPreference (slp_capi_pointer->PyChannel_SetPreference)
#    define PyChannel_GetScheduleAll                                          \
        (slp_capi_pointer->PyChannel_GetScheduleAll)
#    define PyChannel_SetScheduleAll                                          \
        (slp_capi_pointer->PyChannel_SetScheduleAll)
#    define PyChannel_GetBalance    (slp_capi_pointer->PyChannel_GetBalance)
#    define PyStackless_Schedule    (slp_capi_pointer->PyStackless_Schedule)
#    define PyStackless_Schedule_nr (slp_capi_pointer->PyStackless_Schedule_nr)
#    define PyStackless_GetRunCount (slp_capi_pointer->PyStackless_GetRunCount)
#    define PyStackless_GetCurrent  (slp_capi_pointer->PyStackless_GetCurrent)
#    define PyStackless_GetCurrentId                                          \
        (slp_capi_pointer->PyStackless_GetCurrentId)
#    define PyStackless_RunWatchdog (slp_capi_pointer->PyStackless_RunWatchdog)
#    define PyStackless_RunWatchdogEx                                         \
        (slp_capi_pointer->PyStackless_RunWatchdogEx)
#    define PyStackless_SetChannelCallback                                    \
        (slp_capi_pointer->PyStackless_SetChannelCallback)
#    define PyStackless_SetScheduleCallback                                   \
        (slp_capi_pointer->PyStackless_SetScheduleCallback)
#    define PyStackless_SetScheduleFastcallback                               \
        (slp_capi_pointer->PyStackless_SetScheduleFastcallback)
#    define PyStackless_Call_Main (slp_capi_pointer->PyStackless_Call_Main)
#    define PyTasklet_Check       (slp_capi_pointer->PyTasklet_Check)
#    define PyTasklet_CheckExact  (slp_capi_pointer->PyTasklet_CheckExact)
#    define PyChannel_Check       (slp_capi_pointer->PyChannel_Check)
#    define PyChannel_CheckExact  (slp_capi_pointer->PyChannel_CheckExact)

#endif

#ifdef __cplusplus
}
#endif

#endif
