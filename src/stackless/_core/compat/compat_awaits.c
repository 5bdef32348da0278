/* SPDX-License-Identifier: PSF-2.0 */
/* What an asynchronous generator is awaited by, as values: the objects that its
   asend(), athrow() and aclose() return, and what anext() wraps around one.

   Their structures are private to CPython's genobject.c and iterobject.c.  They
   are known by name and size; then an object is asked what it refers to, which
   must be what the fields say. */
#include "compat.h"

#include "opcode.h"

enum {
    INIT,
    ITER,
    CLOSED
};

typedef struct {
    PyObject_HEAD
    PyObject *gen;
    PyObject *value; /* or NULL */
    int state;
} asend_object;

#if PY_VERSION_HEX >= 0x030F0000
#    define THROWN 3 /* type, traceback, value */
#else
#    define THROWN 1 /* a tuple */
#endif

typedef struct {
    PyObject_HEAD
    PyObject *gen;
    PyObject *thrown[THROWN]; /* the first one is NULL for aclose() */
    int state;
} athrow_object;

typedef struct {
    PyObject_HEAD
    PyObject *wrapped, *otherwise;
} anext_object;

typedef struct {
    PyObject_HEAD
    PyObject *value;
} wrapped_object;

/* ---- which one is it ----------------------------------------------------- */

static bool
is_type(PyObject *op, const char *name, size_t size)
{
    PyTypeObject *type = Py_TYPE(op);
    return !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
           && type->tp_traverse != NULL
           && type->tp_basicsize == (Py_ssize_t)size
           && strcmp(type->tp_name, name) == 0;
}

enum {
    MOST_HELD = 1 + 3
};

typedef struct {
    PyObject *held[MOST_HELD]; /* those that are yet to be seen, or NULL */
    bool good;
} expectation;

static int
tick_off(PyObject *op, void *arg)
{
    expectation *e = arg;
    for (int i = 0; i < MOST_HELD; i++) {
        if (e->held[i] == op) {
            e->held[i] = NULL;
            return 0;
        }
    }
    e->good = false;
    return 0;
}

/* Are the words from the head up to `end` all that it refers to? */
static bool
holds(PyObject *op, size_t end)
{
    expectation e = {.good = true};
    PyObject **word = (PyObject **)((char *)op + sizeof(PyObject));
    size_t n = (end - sizeof(PyObject)) / sizeof(PyObject *);
    assert(n <= MOST_HELD);
    memcpy(e.held, word, n * sizeof(PyObject *));
    Py_TYPE(op)->tp_traverse(op, tick_off, &e);
    for (int i = 0; i < MOST_HELD; i++) {
        e.good = e.good && e.held[i] == NULL;
    }
    return e.good;
}

#define IS(op, name, object)                                                  \
    (is_type(op, name, sizeof(object)) && holds(op, offsetof(object, state)))

static asend_object *
as_asend(PyObject *op)
{
    asend_object *o = (asend_object *)op;
    return IS(op, "async_generator_asend", asend_object)
                   && PyAsyncGen_CheckExact(o->gen)
               ? o
               : NULL;
}

static athrow_object *
as_athrow(PyObject *op)
{
    athrow_object *o = (athrow_object *)op;
    return IS(op, "async_generator_athrow", athrow_object)
                   && PyAsyncGen_CheckExact(o->gen)
               ? o
               : NULL;
}

static anext_object *
as_anext(PyObject *op)
{
    return is_type(op, "anext_awaitable", sizeof(anext_object))
                   && holds(op, sizeof(anext_object))
               ? (anext_object *)op
               : NULL;
}

/* ---- as values ----------------------------------------------------------- */

#if PY_VERSION_HEX >= 0x030F0000

static PyObject *
thrown_by(athrow_object *o)
{
    PyObject *value = o->thrown[2] ? o->thrown[2] : Py_None;
    return o->thrown[1]   ? PyTuple_Pack(3, o->thrown[0], value, o->thrown[1])
           : o->thrown[2] ? PyTuple_Pack(2, o->thrown[0], value)
                          : PyTuple_Pack(1, o->thrown[0]);
}

static void
set_thrown(athrow_object *o, PyObject *args)
{
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    static const int places[] = {0, 2, 1};
    for (int i = 0; i < THROWN; i++) {
        PyObject *v = i < n ? PyTuple_GET_ITEM(args, i) : NULL;
        Py_XSETREF(o->thrown[places[i]], Py_XNewRef(v));
    }
}

#else

static PyObject *
thrown_by(athrow_object *o)
{
    return Py_NewRef(o->thrown[0]);
}

static void
set_thrown(athrow_object *o, PyObject *args)
{
    Py_XSETREF(o->thrown[0], Py_NewRef(args));
}

#endif

PyObject *
slp_await_state(PyObject *op)
{
    asend_object *sent = as_asend(op);
    if (sent != NULL) {
        return Py_BuildValue("(OiiO)", sent->gen, SLP_ASEND, sent->state,
                             sent->value ? sent->value : Py_None);
    }
    athrow_object *thrown = as_athrow(op);
    if (thrown != NULL) {
        if (thrown->thrown[0] == NULL) {
            return Py_BuildValue("(OiiO)", thrown->gen, SLP_ACLOSE,
                                 thrown->state, Py_None);
        }
        PyObject *args = thrown_by(thrown);
        return args ? Py_BuildValue("(OiiN)", thrown->gen, SLP_ATHROW,
                                    thrown->state, args)
                    : NULL;
    }
    anext_object *next = as_anext(op);
    if (next != NULL) {
        return Py_BuildValue("(OiiO)", next->wrapped, SLP_ANEXT, INIT,
                             next->otherwise);
    }
    PyErr_Format(PyExc_TypeError, "%.100s is nothing that is known to await",
                 Py_TYPE(op)->tp_name);
    return NULL;
}

static PyObject *
call_method(PyObject *gen, int kind)
{
    return kind == SLP_ASEND ? PyObject_CallMethod(gen, "asend", "O", Py_None)
           : kind == SLP_ACLOSE
               ? PyObject_CallMethod(gen, "aclose", NULL)
               : PyObject_CallMethod(gen, "athrow", "O", PyExc_GeneratorExit);
}

PyObject *
slp_await_new(PyObject *gen, int kind)
{
    if (!PyAsyncGen_CheckExact(gen) || kind < SLP_ASEND || kind > SLP_ATHROW) {
        PyErr_SetString(PyExc_ValueError, "not of an asynchronous generator");
        return NULL;
    }
    /* Nobody is told that the generator begins. */
    PyAsyncGenObject *agen = (PyAsyncGenObject *)gen;
    char inited = agen->ag_hooks_inited;
    agen->ag_hooks_inited = 1;
    PyObject *op = call_method(gen, kind);
    agen->ag_hooks_inited = inited;
    if (op == NULL) {
        return NULL;
    }
    asend_object *sent = as_asend(op);
    athrow_object *thrown = as_athrow(op);
    if (sent != NULL) {
        sent->state = CLOSED;
    }
    else if (thrown != NULL) {
        thrown->state = CLOSED;
    }
    else {
        PyErr_Format(PyExc_RuntimeError,
                     "the structure of %.100s is not known",
                     Py_TYPE(op)->tp_name);
        Py_CLEAR(op);
    }
    return op;
}

int
slp_await_set_state(PyObject *op, int state, PyObject *value)
{
    asend_object *sent = as_asend(op);
    athrow_object *thrown = as_athrow(op);
    bool throws = thrown != NULL && thrown->thrown[0] != NULL;
    Py_ssize_t n = PyTuple_Check(value) ? PyTuple_GET_SIZE(value) : 0;
    if (state < INIT || state > CLOSED
        || !(sent ? sent->state == CLOSED
             : throws
                 ? thrown->state == CLOSED && n >= 1 && n <= 3
                 : thrown && thrown->state == CLOSED && value == Py_None)) {
        PyErr_SetString(PyExc_ValueError, "not the state of this awaitable");
        return -1;
    }
    if (sent != NULL) {
        sent->state = state;
        Py_XSETREF(sent->value, Py_NewRef(value));
        return 0;
    }
    thrown->state = state;
    if (throws) {
        set_thrown(thrown, value);
    }
    return 0;
}

/* ---- when the generator has run ------------------------------------------- */

PyObject *
slp_stop_with(PyObject *value)
{
    if (value == Py_None) {
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    }
    PyObject *exc = PyObject_CallOneArg(PyExc_StopIteration, value);
    if (exc != NULL) {
        PyErr_SetObject(PyExc_StopIteration, exc);
        Py_DECREF(exc);
    }
    return NULL;
}

static bool
is_wrapped(PyObject *op)
{
    return is_type(op, "async_generator_wrapped_value", sizeof(wrapped_object))
           && holds(op, sizeof(wrapped_object));
}

static bool
generator_is_left(void)
{
    return PyErr_ExceptionMatches(PyExc_StopAsyncIteration)
           || PyErr_ExceptionMatches(PyExc_GeneratorExit);
}

/* All of these take a reference to the result, or NULL with an exception. */

static PyObject *
unwrapped(PyObject *gen, int *state, PyObject *result)
{
    PyAsyncGenObject *agen = (PyAsyncGenObject *)gen;
    if (result != NULL && !is_wrapped(result)) {
        return result;
    }
    *state = CLOSED;
    agen->ag_running_async = 0;
    if (result == NULL) {
        agen->ag_closed = agen->ag_closed || generator_is_left();
        return NULL;
    }
    slp_stop_with(((wrapped_object *)result)->value);
    Py_DECREF(result);
    return NULL;
}

static PyObject *
finish_closing(athrow_object *o, PyObject *result)
{
    if (result != NULL && !is_wrapped(result)) {
        return result;
    }
    o->state = CLOSED;
    ((PyAsyncGenObject *)o->gen)->ag_running_async = 0;
    if (result != NULL) {
        Py_DECREF(result);
        PyErr_SetString(PyExc_RuntimeError,
                        "async generator ignored GeneratorExit");
    }
    else if (generator_is_left()) {
        PyErr_Clear();
        PyErr_SetNone(PyExc_StopIteration);
    }
    return NULL;
}

static PyObject *
finish(PyObject *op, PyObject *result)
{
    asend_object *sent = as_asend(op);
    if (sent != NULL) {
        return unwrapped(sent->gen, &sent->state, result);
    }
    athrow_object *thrown = as_athrow(op);
    if (thrown != NULL) {
        return thrown->thrown[0] != NULL
                   ? unwrapped(thrown->gen, &thrown->state, result)
                   : finish_closing(thrown, result);
    }
    anext_object *next = as_anext(op);
    if (next != NULL && as_anext(next->wrapped) == NULL) {
        result = finish(next->wrapped, result);
        if (result == NULL
            && PyErr_ExceptionMatches(PyExc_StopAsyncIteration)) {
            PyErr_Clear();
            return slp_stop_with(next->otherwise);
        }
    }
    return result; /* a coroutine's is handed on */
}

PyObject *
slp_await_return(PyObject *awaitable, PyObject *value)
{
    anext_object *next = as_anext(awaitable);
    PyObject *inner = next ? next->wrapped : awaitable;
    if (as_asend(inner) == NULL && as_athrow(inner) == NULL) {
        return slp_stop_with(value);
    }
    PyErr_SetNone(PyExc_StopAsyncIteration);
    return NULL;
}

int
slp_await_below(PyThreadState *ts, slp_frame **below)
{
    slp_frame *caller = SLP_FRAME(ts);
    slp_frame *f = slp_frame_python_below(caller->previous);
    *below = NULL;
    if (f == NULL || !slp_frame_is_python(f) || !slp_frame_is_ours(caller)
        || !slp_frame_has_depth(f)) {
        return 0;
    }
    PyObject *code = PyCode_GetCode(slp_frame_code(f));
    if (code == NULL) {
        return -1;
    }
    Py_ssize_t at = 2 * slp_frame_offset(f);
    at -= SLP_POSITION_IS_CALL ? 0 : 2 * SLP_SEND_CACHES;
    if (at >= 0 && (unsigned char)PyBytes_AS_STRING(code)[at] == SEND) {
        *below = f;
    }
    Py_DECREF(code);
    return 0;
}

#if SLP_GENERATORS_ARE_CALLED

static void
await_goes_on(slp_frame *Py_UNUSED(below))
{
}

/* What SEND does then: it jumps, and the value takes the receiver's place. */
static void
await_ends(slp_frame *below)
{
    int depth = slp_frame_depth(below) - 1;
    PyObject *receiver = slp_slot_steal(&below->localsplus[depth]);
    slp_frame_set_depth(below, depth);
    below->prev_instr += _Py_OPARG(*below->prev_instr);
    Py_DECREF(receiver);
}

#else

static void
await_goes_on(slp_frame *below)
{
    SLP_SET_RETURN_OFFSET(below,
                          SLP_POSITION_IS_CALL ? 1 + SLP_SEND_CACHES : 0);
}

/* The frame returns where the generator would have. */
static void
await_ends(slp_frame *Py_UNUSED(below))
{
}

#endif

PyObject *
slp_await_finish(PyObject *awaitable, PyObject *result, slp_frame *below)
{
    result = finish(awaitable, result);
    if (below == NULL) {
        return result;
    }
    if (result != NULL) {
        await_goes_on(below);
        return result;
    }
    if (_PyGen_FetchStopIterationValue(&result) < 0) {
        return NULL;
    }
    await_ends(below);
    return result;
}
