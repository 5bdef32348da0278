/* SPDX-License-Identifier: PSF-2.0 */
/* stackless._coretest: what tests cannot do from Python.

   Calls through C, with small and large C frames; each function of the C API
   under its own name; knobs that make C stacks and memory run out; the
   invariant walkers of core/check.c; a frame evaluator (PEP 523).  Built for
   tests only, never shipped.

   The functions named as in stackless_api.h take what those take; None stands
   for NULL where NULL is allowed. */
#include "../core/check.h"

#include "../include/stackless_api.h"

static slp_test_api *engine;

/* ---- arguments and results ----------------------------------------------- */

static PyObject *
null_if_none(PyObject *op)
{
    return op == Py_None ? NULL : op;
}

static PyTaskletObject *
as_task(PyObject *op)
{
    if (!PyTasklet_Check(op)) {
        PyErr_SetString(PyExc_TypeError, "a tasklet is required");
        return NULL;
    }
    return (PyTaskletObject *)op;
}

static PyChannelObject *
as_channel(PyObject *op)
{
    if (!PyChannel_Check(op)) {
        PyErr_SetString(PyExc_TypeError, "a channel is required");
        return NULL;
    }
    return (PyChannelObject *)op;
}

/* Takes 0 or -1; other values are passed on to be seen. */
static PyObject *
status(int r)
{
    return r == -1 ? NULL : PyLong_FromLong(r);
}

/* Parse op (a tasklet or channel) and further arguments. */
#define PARSE(as, self, args, format, ...)                                    \
    PyObject *first;                                                          \
    if (!PyArg_ParseTuple((args), "O" format, &first, __VA_ARGS__)) {         \
        return NULL;                                                          \
    }                                                                         \
    if (((self) = as(first)) == NULL) {                                       \
        return NULL;                                                          \
    }

/* name(self); name is pasted, so these macros cannot stand on others. */
#define TASK(name, result)                                                    \
    static PyObject *call_##name(PyObject *Py_UNUSED(module), PyObject *op)   \
    {                                                                         \
        PyTaskletObject *self = as_task(op);                                  \
        return self ? result(name(self)) : NULL;                              \
    }
#define CHANNEL(name, result)                                                 \
    static PyObject *call_##name(PyObject *Py_UNUSED(module), PyObject *op)   \
    {                                                                         \
        PyChannelObject *self = as_channel(op);                               \
        return self ? result(name(self)) : NULL;                              \
    }
#define CHANNEL_VOID(name)                                                    \
    static PyObject *call_##name(PyObject *Py_UNUSED(module), PyObject *op)   \
    {                                                                         \
        PyChannelObject *self = as_channel(op);                               \
        if (self == NULL) {                                                   \
            return NULL;                                                      \
        }                                                                     \
        name(self);                                                           \
        Py_RETURN_NONE;                                                       \
    }
/* name(self, int) */
#define SETTER(name, type, as)                                                \
    static PyObject *call_##name(PyObject *Py_UNUSED(module), PyObject *args) \
    {                                                                         \
        type *self;                                                           \
        int value;                                                            \
        PARSE(as, self, args, "i", &value)                                    \
        return PyLong_FromLong(name(self, value));                            \
    }
#define SETTER_VOID(name, type, as)                                           \
    static PyObject *call_##name(PyObject *Py_UNUSED(module), PyObject *args) \
    {                                                                         \
        type *self;                                                           \
        int value;                                                            \
        PARSE(as, self, args, "i", &value)                                    \
        name(self, value);                                                    \
        Py_RETURN_NONE;                                                       \
    }

/* ---- C API: tasklets ----------------------------------------------------- */

TASK(PyTasklet_Run, )
TASK(PyTasklet_Run_nr, status)
TASK(PyTasklet_Switch, )
TASK(PyTasklet_Switch_nr, status)
TASK(PyTasklet_Insert, status)
TASK(PyTasklet_Remove, status)
TASK(PyTasklet_Kill, status)
TASK(PyTasklet_GetAtomic, PyLong_FromLong)
TASK(PyTasklet_GetIgnoreNesting, PyLong_FromLong)
TASK(PyTasklet_GetBlockTrap, PyLong_FromLong)
TASK(PyTasklet_IsMain, PyLong_FromLong)
TASK(PyTasklet_IsCurrent, PyLong_FromLong)
TASK(PyTasklet_GetRecursionDepth, PyLong_FromLong)
TASK(PyTasklet_GetNestingLevel, PyLong_FromLong)
TASK(PyTasklet_Alive, PyLong_FromLong)
TASK(PyTasklet_Paused, PyLong_FromLong)
TASK(PyTasklet_Scheduled, PyLong_FromLong)
TASK(PyTasklet_Restorable, PyLong_FromLong)
SETTER(PyTasklet_SetAtomic, PyTaskletObject, as_task)
SETTER(PyTasklet_SetIgnoreNesting, PyTaskletObject, as_task)
SETTER_VOID(PyTasklet_SetBlockTrap, PyTaskletObject, as_task)

static PyObject *
call_PyTasklet_New(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *type, *func;
    if (!PyArg_ParseTuple(args, "OO", &type, &func)) {
        return NULL;
    }
    return (PyObject *)PyTasklet_New((PyTypeObject *)null_if_none(type),
                                     null_if_none(func));
}

static PyObject *
call_PyTasklet_Setup(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTaskletObject *self;
    PyObject *a, *k;
    PARSE(as_task, self, args, "OO", &a, &k)
    return status(PyTasklet_Setup(self, null_if_none(a), null_if_none(k)));
}

static PyObject *
call_PyTasklet_BindEx(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTaskletObject *self;
    PyObject *f, *a, *k;
    PARSE(as_task, self, args, "OOO", &f, &a, &k)
    return status(PyTasklet_BindEx(self, null_if_none(f), null_if_none(a),
                                   null_if_none(k)));
}

static PyObject *
call_PyTasklet_BindThread(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTaskletObject *self;
    long long id;
    PARSE(as_task, self, args, "L", &id)
    return status(PyTasklet_BindThread(self, id));
}

static PyObject *
call_PyTasklet_RaiseException(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTaskletObject *self;
    PyObject *klass, *a;
    PARSE(as_task, self, args, "OO", &klass, &a)
    return status(PyTasklet_RaiseException(self, klass, null_if_none(a)));
}

static PyObject *
call_PyTasklet_Throw(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTaskletObject *self;
    int pending;
    PyObject *exc, *val, *tb;
    PARSE(as_task, self, args, "iOOO", &pending, &exc, &val, &tb)
    return status(PyTasklet_Throw(self, pending, exc, null_if_none(val),
                                  null_if_none(tb)));
}

static PyObject *
call_PyTasklet_KillEx(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTaskletObject *self;
    int pending;
    PARSE(as_task, self, args, "i", &pending)
    return status(PyTasklet_KillEx(self, pending));
}

static PyObject *
call_PyTasklet_GetFrame(PyObject *Py_UNUSED(module), PyObject *op)
{
    PyTaskletObject *self = as_task(op);
    if (self == NULL) {
        return NULL;
    }
    PyObject *frame = PyTasklet_GetFrame(self);
    return frame ? frame : Py_NewRef(Py_None);
}

/* ---- C API: channels ----------------------------------------------------- */

CHANNEL(PyChannel_Receive, )
CHANNEL(PyChannel_Receive_nr, )
CHANNEL(PyChannel_GetQueue, )
CHANNEL(PyChannel_GetClosing, PyLong_FromLong)
CHANNEL(PyChannel_GetClosed, PyLong_FromLong)
CHANNEL(PyChannel_GetPreference, PyLong_FromLong)
CHANNEL(PyChannel_GetScheduleAll, PyLong_FromLong)
CHANNEL(PyChannel_GetBalance, PyLong_FromLong)
CHANNEL_VOID(PyChannel_Close)
CHANNEL_VOID(PyChannel_Open)
SETTER_VOID(PyChannel_SetPreference, PyChannelObject, as_channel)
SETTER_VOID(PyChannel_SetScheduleAll, PyChannelObject, as_channel)

static PyObject *
call_PyChannel_New(PyObject *Py_UNUSED(module), PyObject *type)
{
    return (PyObject *)PyChannel_New((PyTypeObject *)null_if_none(type));
}

static PyObject *
call_PyChannel_Send(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyChannelObject *self;
    PyObject *value;
    PARSE(as_channel, self, args, "O", &value)
    return status(PyChannel_Send(self, value));
}

static PyObject *
call_PyChannel_Send_nr(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyChannelObject *self;
    PyObject *value;
    PARSE(as_channel, self, args, "O", &value)
    return status(PyChannel_Send_nr(self, value));
}

static PyObject *
call_PyChannel_SendException(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyChannelObject *self;
    PyObject *klass, *value;
    PARSE(as_channel, self, args, "OO", &klass, &value)
    return status(PyChannel_SendException(self, klass, null_if_none(value)));
}

static PyObject *
call_PyChannel_SendThrow(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyChannelObject *self;
    PyObject *exc, *val, *tb;
    PARSE(as_channel, self, args, "OOO", &exc, &val, &tb)
    return status(
        PyChannel_SendThrow(self, exc, null_if_none(val), null_if_none(tb)));
}

/* ---- C API: scheduler ---------------------------------------------------- */

static PyObject *
call_PyStackless_Schedule(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *retval;
    int remove;
    if (!PyArg_ParseTuple(args, "Oi", &retval, &remove)) {
        return NULL;
    }
    return PyStackless_Schedule(retval, remove);
}

static PyObject *
call_PyStackless_Schedule_nr(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *retval;
    int remove;
    if (!PyArg_ParseTuple(args, "Oi", &retval, &remove)) {
        return NULL;
    }
    return status(PyStackless_Schedule_nr(retval, remove));
}

static PyObject *
call_PyStackless_GetRunCount(PyObject *Py_UNUSED(module),
                             PyObject *Py_UNUSED(args))
{
    return status(PyStackless_GetRunCount());
}

static PyObject *
call_PyStackless_GetCurrent(PyObject *Py_UNUSED(module),
                            PyObject *Py_UNUSED(args))
{
    return PyStackless_GetCurrent();
}

static PyObject *
call_PyStackless_GetCurrentId(PyObject *Py_UNUSED(module),
                              PyObject *Py_UNUSED(args))
{
    return PyLong_FromUnsignedLong(PyStackless_GetCurrentId());
}

static PyObject *
call_PyStackless_RunWatchdog(PyObject *Py_UNUSED(module), PyObject *op)
{
    long timeout = PyLong_AsLong(op);
    if (timeout == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyStackless_RunWatchdog(timeout);
}

static PyObject *
call_PyStackless_RunWatchdogEx(PyObject *Py_UNUSED(module), PyObject *args)
{
    long timeout;
    int flags;
    if (!PyArg_ParseTuple(args, "li", &timeout, &flags)) {
        return NULL;
    }
    return PyStackless_RunWatchdogEx(timeout, flags);
}

/* "NULL" stands for NULL here: None has a meaning of its own. */
static PyObject *
null_if_said(PyObject *op)
{
    return PyUnicode_Check(op) ? NULL : op;
}

static PyObject *
call_PyStackless_SetChannelCallback(PyObject *Py_UNUSED(module), PyObject *op)
{
    return status(PyStackless_SetChannelCallback(null_if_said(op)));
}

static PyObject *
call_PyStackless_SetScheduleCallback(PyObject *Py_UNUSED(module), PyObject *op)
{
    return status(PyStackless_SetScheduleCallback(null_if_said(op)));
}

static PyObject *
call_PyStackless_Call_Main(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *func, *a, *k;
    if (!PyArg_ParseTuple(args, "OOO", &func, &a, &k)) {
        return NULL;
    }
    return PyStackless_Call_Main(func, null_if_none(a), null_if_none(k));
}

#define CHECKER(name)                                                         \
    static PyObject *call_##name(PyObject *Py_UNUSED(module), PyObject *op)   \
    {                                                                         \
        return PyLong_FromLong(name(op));                                     \
    }

CHECKER(PyTasklet_Check)
CHECKER(PyTasklet_CheckExact)
CHECKER(PyChannel_Check)
CHECKER(PyChannel_CheckExact)

/* ---- the fast callback --------------------------------------------------- */

static struct {
    long count;
    void *from, *to; /* compared only */
} hooked;

static int
count_switch(PyTaskletObject *from, PyTaskletObject *to)
{
    hooked.count++;
    hooked.from = from;
    hooked.to = to;
    return 0;
}

PyDoc_STRVAR(count_switches_doc,
             "count_switches(flag)\n--\n\n"
             "Set or take off a fast schedule callback; returns (number of "
             "switches it has seen,\nid of the last one's source, id of its "
             "destination) and starts again at 0.");

static PyObject *
count_switches(PyObject *Py_UNUSED(module), PyObject *flag)
{
    int on = PyObject_IsTrue(flag);
    if (on < 0) {
        return NULL;
    }
    PyStackless_SetScheduleFastcallback(on ? count_switch : NULL);
    PyObject *r = Py_BuildValue("lNN", hooked.count,
                                PyLong_FromVoidPtr(hooked.from),
                                PyLong_FromVoidPtr(hooked.to));
    hooked.count = 0;
    return r;
}

/* ---- through C ----------------------------------------------------------- */

PyDoc_STRVAR(call_through_c_doc,
             "call_through_c(f, *args)\n--\n\n"
             "f(*args), with a C frame in between.");

static PyObject *
call_through_c(PyObject *Py_UNUSED(module), PyObject *args)
{
    if (PyTuple_GET_SIZE(args) == 0) {
        PyErr_SetString(PyExc_TypeError, "call_through_c(f, *args)");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    PyObject *r = rest ? PyObject_CallObject(PyTuple_GET_ITEM(args, 0), rest)
                       : NULL;
    Py_XDECREF(rest);
    return r;
}

#define LARGE_FRAME 2048

static PyObject *
deepen(long n, PyObject *f)
{
    if (n <= 0) {
        return PyObject_CallNoArgs(f);
    }
    volatile unsigned char room[LARGE_FRAME];
    for (int i = 0; i < LARGE_FRAME; i++) {
        room[i] = (unsigned char)(n + i);
    }
    PyObject *r = deepen(n - 1, f);
    for (int i = 0; i < LARGE_FRAME; i++) {
        if (room[i] != (unsigned char)(n + i)) {
            SLP_FATAL("a C frame has changed while it was suspended");
        }
    }
    return r;
}

PyDoc_STRVAR(lend_doc,
             "lend(value, f)\n--\n\n"
             "f(address) while an int on this C stack, at that address, is "
             "value.");

static PyObject *
lend(PyObject *Py_UNUSED(module), PyObject *args)
{
    int value;
    PyObject *f;
    if (!PyArg_ParseTuple(args, "iO", &value, &f)) {
        return NULL;
    }
    int here = value;
    PyObject *address = PyLong_FromVoidPtr(&here);
    PyObject *r = address ? PyObject_CallOneArg(f, address) : NULL;
    Py_XDECREF(address);
    return r;
}

PyDoc_STRVAR(borrowed_doc, "borrowed(address)\n--\n\nThe int there.");

static PyObject *
borrowed(PyObject *Py_UNUSED(module), PyObject *address)
{
    int *there = PyLong_AsVoidPtr(address);
    return there ? PyLong_FromLong(*there) : NULL;
}

PyDoc_STRVAR(deep_c_doc,
             "deep_c(n, f)\n--\n\n"
             "f(), below n C frames of 2 KiB each, which are compared "
             "afterwards.");

static PyObject *
deep_c(PyObject *Py_UNUSED(module), PyObject *args)
{
    long n;
    PyObject *f;
    if (!PyArg_ParseTuple(args, "lO", &n, &f)) {
        return NULL;
    }
    return deepen(n, f);
}

/* ---- memory that runs out ------------------------------------------------ */

/* The hooks lie over the allocators of all three domains while armed. */
enum {
    DOMAINS = 3
};
static const PyMemAllocatorDomain domains[DOMAINS] = {
    PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
static PyMemAllocatorEx under[DOMAINS];

static struct {
    bool armed;
    unsigned long thread; /* others are not disturbed */
    long left;            /* requests until the one that fails */
    long failures;        /* how many in a row fail from there on */
    long failed;
} shortage;

static bool
refuse(void)
{
    if (shortage.thread != PyThread_get_thread_ident()
        || shortage.failures == 0 || --shortage.left > 0) {
        return false;
    }
    shortage.failures--;
    shortage.failed++;
    return true;
}

static void *
short_malloc(void *ctx, size_t size)
{
    PyMemAllocatorEx *a = ctx;
    return refuse() ? NULL : a->malloc(a->ctx, size);
}

static void *
short_calloc(void *ctx, size_t n, size_t size)
{
    PyMemAllocatorEx *a = ctx;
    return refuse() ? NULL : a->calloc(a->ctx, n, size);
}

static void *
short_realloc(void *ctx, void *p, size_t size)
{
    PyMemAllocatorEx *a = ctx;
    return refuse() ? NULL : a->realloc(a->ctx, p, size);
}

static void
short_free(void *ctx, void *p)
{
    PyMemAllocatorEx *a = ctx;
    a->free(a->ctx, p);
}

static void
disarm(void)
{
    for (int i = 0; shortage.armed && i < DOMAINS; i++) {
        PyMem_SetAllocator(domains[i], &under[i]);
    }
    shortage.armed = false;
}

PyDoc_STRVAR(fail_memory_doc,
             "fail_memory(n, failures=1)\n--\n\n"
             "Make the n-th request for memory by this thread from now on (1: "
             "the next one) and\nthe following ones fail, `failures` in all; "
             "0: none. Returns how many have failed\nsince the last call.");

static PyObject *
fail_memory(PyObject *Py_UNUSED(module), PyObject *args)
{
    long n, failures = 1;
    if (!PyArg_ParseTuple(args, "l|l", &n, &failures)) {
        return NULL;
    }
    disarm();
    PyObject *r = PyLong_FromLong(shortage.failed);
    shortage.failed = 0;
    if (n > 0 && r != NULL) {
        shortage.thread = PyThread_get_thread_ident();
        shortage.left = n;
        shortage.failures = failures;
        for (int i = 0; i < DOMAINS; i++) {
            PyMem_GetAllocator(domains[i], &under[i]);
            PyMemAllocatorEx over = {&under[i], short_malloc, short_calloc,
                                     short_realloc, short_free};
            PyMem_SetAllocator(domains[i], &over);
        }
        shortage.armed = true;
    }
    return r;
}

PyDoc_STRVAR(fail_c_stacks_after_doc,
             "fail_c_stacks_after(n)\n--\n\n"
             "Make the n-th request for the memory of a C stack from now on "
             "fail; -1: none.");

static PyObject *
fail_c_stacks_after(PyObject *Py_UNUSED(module), PyObject *op)
{
    long n = PyLong_AsLong(op);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    engine->fail_c_stacks_after(n);
    Py_RETURN_NONE;
}

/* ---- looking inside ------------------------------------------------------ */

PyDoc_STRVAR(check_doc,
             "check()\n--\n\n"
             "Walk all invariants now, aborting if one does not hold; False: "
             "this build cannot.");

static PyObject *
check(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    return PyBool_FromLong(engine->check_now());
}

PyDoc_STRVAR(check_every_doc,
             "check_every(n)\n--\n\n"
             "Walk them at each n-th switch; 0: each time, or seldom if there "
             "are many tasklets;\n-1: never. Returns the old setting.");

static PyObject *
set_check_every(PyObject *Py_UNUSED(module), PyObject *op)
{
    int old = *engine->check_every;
    long n = PyLong_AsLong(op);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    *engine->check_every = (int)n;
    return PyLong_FromLong(old);
}

PyDoc_STRVAR(count_doc,
             "count()\n--\n\n"
             "(data stacks that tasklets own, C stacks with a tasklet on "
             "them, C stacks in all)");

static PyObject *
count(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    long chunks, used, mapped;
    engine->count(&chunks, &used, &mapped);
    return Py_BuildValue("lll", chunks, used, mapped);
}

/* ---- a frame evaluator --------------------------------------------------- */

static long evaluated;

static PyObject *
evaluate(PyThreadState *ts, slp_frame *frame, int throwflag)
{
    evaluated++;
    return _PyEval_EvalFrameDefault(ts, frame, throwflag);
}

PyDoc_STRVAR(set_evaluator_doc,
             "set_evaluator(flag)\n--\n\n"
             "Install or take off a frame evaluator; returns the number of "
             "frames it has\nevaluated since the last call.");

static PyObject *
set_evaluator(PyObject *Py_UNUSED(module), PyObject *flag)
{
    int on = PyObject_IsTrue(flag);
    if (on < 0) {
        return NULL;
    }
    _PyInterpreterState_SetEvalFrameFunc(
        PyInterpreterState_Get(), on ? evaluate : _PyEval_EvalFrameDefault);
    PyObject *r = PyLong_FromLong(evaluated);
    evaluated = 0;
    return r;
}

/* ---- threads ------------------------------------------------------------- */

PyDoc_STRVAR(sleep_never_doc,
             "sleep_never(flag)\n--\n\n"
             "Whether a thread with nothing to run meets a deadlock although "
             "there are other\nthreads; returns the old value.");

static PyObject *
sleep_never(PyObject *Py_UNUSED(module), PyObject *flag)
{
    int on = PyObject_IsTrue(flag);
    if (on < 0) {
        return NULL;
    }
    bool old = *engine->sleep_never;
    *engine->sleep_never = on;
    return PyBool_FromLong(old);
}

PyDoc_STRVAR(nap_spin_doc,
             "nap_spin(nanoseconds)\n--\n\n"
             "For how long a thread with nothing to run looks before it "
             "sleeps; returns the old\nvalue.");

static PyObject *
nap_spin(PyObject *Py_UNUSED(module), PyObject *arg)
{
    uint64_t ns = PyLong_AsUnsignedLongLong(arg);
    if (ns == (uint64_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t old = __atomic_exchange_n(engine->nap_spin, ns, __ATOMIC_RELAXED);
    return PyLong_FromUnsignedLongLong(old);
}

PyDoc_STRVAR(
    visit_doc,
    "visit(tasklet)\n--\n\n"
    "Wherever this thread could be interrupted, switch to the tasklet, "
    "which is to switch\nback to the next one in the ring; None ends "
    "it.");

static PyObject *
visit(PyObject *Py_UNUSED(module), PyObject *arg)
{
    PyTaskletObject *t = NULL;
    if (arg != Py_None) {
        t = as_task(arg);
        if (t == NULL) {
            return NULL;
        }
    }
    return status(engine->visit(t));
}

/* ---- the module ---------------------------------------------------------- */

#define API(name, flags)                                                      \
    {                                                                         \
#        name, call_##name, flags, NULL                                       \
    }

static PyMethodDef methods[] = {
    API(PyTasklet_New, METH_VARARGS),
    API(PyTasklet_Setup, METH_VARARGS),
    API(PyTasklet_BindEx, METH_VARARGS),
    API(PyTasklet_BindThread, METH_VARARGS),
    API(PyTasklet_Run, METH_O),
    API(PyTasklet_Run_nr, METH_O),
    API(PyTasklet_Switch, METH_O),
    API(PyTasklet_Switch_nr, METH_O),
    API(PyTasklet_Insert, METH_O),
    API(PyTasklet_Remove, METH_O),
    API(PyTasklet_RaiseException, METH_VARARGS),
    API(PyTasklet_Throw, METH_VARARGS),
    API(PyTasklet_Kill, METH_O),
    API(PyTasklet_KillEx, METH_VARARGS),
    API(PyTasklet_GetAtomic, METH_O),
    API(PyTasklet_SetAtomic, METH_VARARGS),
    API(PyTasklet_GetIgnoreNesting, METH_O),
    API(PyTasklet_SetIgnoreNesting, METH_VARARGS),
    API(PyTasklet_GetBlockTrap, METH_O),
    API(PyTasklet_SetBlockTrap, METH_VARARGS),
    API(PyTasklet_GetFrame, METH_O),
    API(PyTasklet_IsMain, METH_O),
    API(PyTasklet_IsCurrent, METH_O),
    API(PyTasklet_GetRecursionDepth, METH_O),
    API(PyTasklet_GetNestingLevel, METH_O),
    API(PyTasklet_Alive, METH_O),
    API(PyTasklet_Paused, METH_O),
    API(PyTasklet_Scheduled, METH_O),
    API(PyTasklet_Restorable, METH_O),
    API(PyChannel_New, METH_O),
    API(PyChannel_Send, METH_VARARGS),
    API(PyChannel_Send_nr, METH_VARARGS),
    API(PyChannel_Receive, METH_O),
    API(PyChannel_Receive_nr, METH_O),
    API(PyChannel_SendException, METH_VARARGS),
    API(PyChannel_SendThrow, METH_VARARGS),
    API(PyChannel_GetQueue, METH_O),
    API(PyChannel_Close, METH_O),
    API(PyChannel_Open, METH_O),
    API(PyChannel_GetClosing, METH_O),
    API(PyChannel_GetClosed, METH_O),
    API(PyChannel_GetPreference, METH_O),
    API(PyChannel_SetPreference, METH_VARARGS),
    API(PyChannel_GetScheduleAll, METH_O),
    API(PyChannel_SetScheduleAll, METH_VARARGS),
    API(PyChannel_GetBalance, METH_O),
    API(PyStackless_Schedule, METH_VARARGS),
    API(PyStackless_Schedule_nr, METH_VARARGS),
    API(PyStackless_GetRunCount, METH_NOARGS),
    API(PyStackless_GetCurrent, METH_NOARGS),
    API(PyStackless_GetCurrentId, METH_NOARGS),
    API(PyStackless_RunWatchdog, METH_O),
    API(PyStackless_RunWatchdogEx, METH_VARARGS),
    API(PyStackless_SetChannelCallback, METH_O),
    API(PyStackless_SetScheduleCallback, METH_O),
    API(PyStackless_Call_Main, METH_VARARGS),
    API(PyTasklet_Check, METH_O),
    API(PyTasklet_CheckExact, METH_O),
    API(PyChannel_Check, METH_O),
    API(PyChannel_CheckExact, METH_O),
    {"count_switches", count_switches, METH_O, count_switches_doc},
    {"call_through_c", call_through_c, METH_VARARGS, call_through_c_doc},
    {"deep_c", deep_c, METH_VARARGS, deep_c_doc},
    {"lend", lend, METH_VARARGS, lend_doc},
    {"borrowed", borrowed, METH_O, borrowed_doc},
    {"fail_memory", fail_memory, METH_VARARGS, fail_memory_doc},
    {"fail_c_stacks_after", fail_c_stacks_after, METH_O,
     fail_c_stacks_after_doc},
    {"check", check, METH_NOARGS, check_doc},
    {"check_every", set_check_every, METH_O, check_every_doc},
    {"count", count, METH_NOARGS, count_doc},
    {"set_evaluator", set_evaluator, METH_O, set_evaluator_doc},
    {"sleep_never", sleep_never, METH_O, sleep_never_doc},
    {"nap_spin", nap_spin, METH_O, nap_spin_doc},
    {"visit", visit, METH_O, visit_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "stackless._coretest",
    .m_doc = "For the tests of stackless.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__coretest(void);

PyMODINIT_FUNC
PyInit__coretest(void)
{
    if (PyStackless_Import() < 0) {
        return NULL;
    }
    engine = (slp_test_api *)PyCapsule_Import(SLP_TEST_API_NAME, 0);
    if (engine == NULL || engine->size != sizeof(*engine)) {
        PyErr_SetString(PyExc_ImportError,
                        "stackless._core was built without SLP_CORETEST, or "
                        "is another build");
        return NULL;
    }
    return PyModule_Create(&module_def);
}
