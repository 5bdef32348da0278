/* SPDX-License-Identifier: PSF-2.0 */
/* Is the running interpreter laid out like the one we were built for?

   The headers of this folder compile offsets of CPython's private structures
   into the binary.  They change with every minor version, and now and then
   within one: 3.13.18 has a larger PyThreadState than 3.13.0, and a binary
   built for the one would write into the wrong words of the other.  Wheels
   are chosen by minor version alone, so this is asked at import.

   From 3.13 on the interpreter says where its fields are
   (_PyRuntime.debug_offsets, in front of everything else).  Not all of ours
   are listed; sizes stand for the rest.  On all versions values that public
   calls give are then looked for where we expect them: fields in between two
   that were found are in their place too. */
#include "compat.h"

#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#if PY_VERSION_HEX >= 0x030E0000
#    include "internal/pycore_debug_offsets.h"
#    include "internal/pycore_dict.h"
#    include "internal/pycore_gc.h"
#endif

/* What tests/unit/test_layout.py overrides to see the messages. */
#ifndef SLP_BUILT_VERSION
#    define SLP_BUILT_VERSION PY_VERSION_HEX
#endif
#ifndef SLP_BUILT_SHIFT
#    define SLP_BUILT_SHIFT 0 /* pretend that fields lie elsewhere */
#endif
#ifndef SLP_BUILT_DEBUG
#    ifdef Py_DEBUG
#        define SLP_BUILT_DEBUG 1
#    else
#        define SLP_BUILT_DEBUG 0
#    endif
#endif

/* ---- tripwires: what must hold within a version ------------------------- */

/* Read Include/cpython/pystate.h: slp_pystate_pop() and slp_chunk_new() know
   how a chunk begins. */
static_assert(offsetof(_PyStackChunk, data) == 3 * sizeof(void *),
              "head of _PyStackChunk");
/* Read push_chunk() in Python/pystate.c: the three words are stashed and
   installed together. */
static_assert(offsetof(PyThreadState, datastack_limit)
                  == offsetof(PyThreadState, datastack_chunk)
                         + 2 * sizeof(void *),
              "PyThreadState.datastack_*");
/* Read pycore_frame.h or pycore_interpframe_structs.h: a frame is its
   specials and then slots of one word each. */
static_assert(sizeof(slp_slot) == sizeof(PyObject *), "size of a slot");
static_assert(offsetof(slp_frame, localsplus)
                  == FRAME_SPECIALS_SIZE * sizeof(PyObject *),
              "FRAME_SPECIALS_SIZE");
/* Read frame.c, take_ownership(): a frame is copied whole into its object. */
static_assert(offsetof(PyFrameObject, _f_frame_data) % sizeof(void *) == 0,
              "PyFrameObject._f_frame_data");
/* Read genobject.h: one layout for generators, coroutines and asynchronous
   generators. */
static_assert(offsetof(PyGenObject, gi_exc_state)
                  == offsetof(PyAsyncGenObject, ag_exc_state),
              "PyAsyncGenObject");
static_assert(offsetof(PyGenObject, gi_iframe)
                  == offsetof(PyCoroObject, cr_iframe),
              "PyCoroObject");
#if PY_VERSION_HEX >= 0x030D0000
/* Read pycore_tstate.h: what is private follows what is public. */
static_assert(offsetof(_PyThreadStateImpl, base) == 0, "_PyThreadStateImpl");
#    if PY_VERSION_HEX >= 0x030F0000
/* Read pycore_tstate.h: is_jit_slack() stands on it. */
static_assert(offsetof(_PyThreadStateImpl, lazy_imports) + sizeof(PyObject *)
                  == sizeof(_PyThreadStateImpl),
              "end of _PyThreadStateImpl");
#    endif
/* Read pycore_runtime.h: outside tools rely on it as we do. */
static_assert(offsetof(_PyRuntimeState, debug_offsets) == 0, "_PyRuntime");
#endif

/* ---- messages ----------------------------------------------------------- */

static PyObject *
version_string(unsigned long hex)
{
    static const char *const levels[] = {"a", "b", "rc"};
    int level = (int)(hex >> 4 & 0xF);
    PyObject *s = PyUnicode_FromFormat("%d.%d.%d", (int)(hex >> 24 & 0xFF),
                                       (int)(hex >> 16 & 0xFF),
                                       (int)(hex >> 8 & 0xFF));
    if (s == NULL || level < 0xA || level > 0xC) {
        return s;
    }
    PyObject *full = PyUnicode_FromFormat("%U%s%d", s, levels[level - 0xA],
                                          (int)(hex & 0xF));
    Py_DECREF(s);
    return full;
}

/* Set the ImportError; `why` is a reference that is taken over, or NULL with
   an exception set.  Returns -1. */
static int
refuse(PyObject *why)
{
    PyObject *built = version_string(SLP_BUILT_VERSION);
    PyObject *running = version_string(Py_Version);
    if (why != NULL && built != NULL && running != NULL) {
        PyErr_Format(
            PyExc_ImportError,
            "this stackless was built for CPython %U%s and cannot be used "
            "with the running CPython %U: %U.  stackless works on private "
            "structures of the interpreter, which may change with any "
            "release.  Build it for this interpreter: python -m pip install "
            "--force-reinstall --no-binary stackless --no-cache-dir "
            "stackless",
            built, SLP_BUILT_DEBUG ? " (debug)" : "", running, why);
    }
    Py_XDECREF(why);
    Py_XDECREF(built);
    Py_XDECREF(running);
    return -1;
}

static int
misplaced(const char *field)
{
    return refuse(PyUnicode_FromFormat("%s is not where it was", field));
}

#define EXPECT(condition, field)                                              \
    do {                                                                      \
        if (!(condition)) {                                                   \
            return misplaced(field);                                          \
        }                                                                     \
    } while (0)

/* ---- version and ABI ---------------------------------------------------- */

static int
check_version(void)
{
    if (Py_Version >> 16 != SLP_BUILT_VERSION >> 16) {
        return refuse(PyUnicode_FromString("another minor version"));
    }
    /* Only debug builds have it. */
    int debug = PySys_GetObject("gettotalrefcount") != NULL;
    if (debug != SLP_BUILT_DEBUG) {
        return refuse(PyUnicode_FromString(debug ? "it is a debug build"
                                                 : "it is not a debug build"));
    }
    return 0;
}

#if PY_VERSION_HEX >= 0x030D0000

#    if PY_VERSION_HEX >= 0x030E0000

static const _Py_DebugOffsets built = _Py_DebugOffsets_INIT(_Py_Debug_Cookie);

#    else

/* 3.13 has these values inside a larger initialiser only. */
static const _Py_DebugOffsets built = {
    .interpreter_state =
        {
            .size = sizeof(PyInterpreterState),
            .id = offsetof(PyInterpreterState, id),
            .next = offsetof(PyInterpreterState, next),
            .threads_head = offsetof(PyInterpreterState, threads.head),
            .gc = offsetof(PyInterpreterState, gc),
            .ceval_gil = offsetof(PyInterpreterState, ceval.gil),
        },
    .thread_state =
        {
            .size = sizeof(PyThreadState),
            .interp = offsetof(PyThreadState, interp),
            .current_frame = offsetof(PyThreadState, current_frame),
            .thread_id = offsetof(PyThreadState, thread_id),
            .datastack_chunk = offsetof(PyThreadState, datastack_chunk),
        },
    .interpreter_frame =
        {
            .size = sizeof(_PyInterpreterFrame),
            .previous = offsetof(_PyInterpreterFrame, previous),
            .executable = offsetof(_PyInterpreterFrame, f_executable),
            .instr_ptr = offsetof(_PyInterpreterFrame, instr_ptr),
            .localsplus = offsetof(_PyInterpreterFrame, localsplus),
            .owner = offsetof(_PyInterpreterFrame, owner),
        },
    .code_object =
        {
            .size = sizeof(PyCodeObject),
            .qualname = offsetof(PyCodeObject, co_qualname),
            .co_code_adaptive = offsetof(PyCodeObject, co_code_adaptive),
        },
    .pyobject = {.size = sizeof(PyObject)},
    .gc =
        {
            .size = sizeof(struct _gc_runtime_state),
            .collecting = offsetof(struct _gc_runtime_state, collecting),
        },
};

#    endif

#    define FIELD(path)                                                       \
        {                                                                     \
#            path, offsetof(_Py_DebugOffsets, path)                           \
        }

static const struct {
    const char *name;
    size_t place; /* in _Py_DebugOffsets */
} fields[] = {
    FIELD(thread_state.size),
    FIELD(thread_state.interp),
    FIELD(thread_state.current_frame),
    FIELD(thread_state.thread_id),
    FIELD(thread_state.datastack_chunk),
    FIELD(interpreter_frame.size),
    FIELD(interpreter_frame.previous),
    FIELD(interpreter_frame.executable),
    FIELD(interpreter_frame.instr_ptr),
    FIELD(interpreter_frame.localsplus),
    FIELD(interpreter_frame.owner),
    FIELD(interpreter_state.size),
    FIELD(interpreter_state.id),
    FIELD(interpreter_state.next),
    FIELD(interpreter_state.threads_head),
    FIELD(interpreter_state.gc),
    FIELD(interpreter_state.ceval_gil),
    FIELD(code_object.size),
    FIELD(code_object.qualname),
    FIELD(code_object.co_code_adaptive),
    FIELD(pyobject.size),
    FIELD(gc.size),
    FIELD(gc.collecting),
#    if PY_VERSION_HEX >= 0x030E0000
    FIELD(interpreter_frame.stackpointer),
    FIELD(gen_object.size),
    FIELD(gen_object.gi_iframe),
    FIELD(gen_object.gi_frame_state),
#    endif
#    if PY_VERSION_HEX >= 0x030F0000
    FIELD(thread_state.base_frame),
    FIELD(thread_state.last_profiled_frame),
    FIELD(thread_state.current_exception),
    FIELD(thread_state.exc_state),
    FIELD(err_stackitem.exc_value),
#    endif
};

static uint64_t
read_field(const _Py_DebugOffsets *offsets, size_t place)
{
    uint64_t value;
    memcpy(&value, (const char *)offsets + place, sizeof(value));
    return value;
}

/* An interpreter with a JIT was compiled with _Py_TIER2, a flag that no
   extension gets to see.  On 3.15 it makes one pointer more in the first
   thread's state, at the end of the interpreter state: all fields of ours lie
   in front of it. */
static bool
is_jit_slack(size_t place, uint64_t here, uint64_t there)
{
#    if PY_VERSION_HEX >= 0x030F0000 && (!defined(_Py_TIER2) || !_Py_TIER2)
    return place == offsetof(_Py_DebugOffsets, interpreter_state.size)
           && there == here + sizeof(struct _PyJitTracerState *);
#    else
    (void)place;
    (void)here;
    (void)there;
    return false;
#    endif
}

/* What the interpreter itself says.  The list has one layout per minor
   version. */
static int
check_offsets(void)
{
    const _Py_DebugOffsets *running = &_PyRuntime.debug_offsets;
    if (memcmp(running->cookie, _Py_Debug_Cookie, 8) != 0
        || running->version >> 16 != PY_VERSION_HEX >> 16) {
        return misplaced("_PyRuntime.debug_offsets");
    }
    if (running->free_threaded) {
        return refuse(PyUnicode_FromString("it is a free-threaded build"));
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(fields); i++) {
        uint64_t here = read_field(&built, fields[i].place) + SLP_BUILT_SHIFT;
        uint64_t there = read_field(running, fields[i].place);
        if (here != there && !is_jit_slack(fields[i].place, here, there)) {
            return refuse(PyUnicode_FromFormat(
                "%s is %llu, and was %llu", fields[i].name,
                (unsigned long long)there, (unsigned long long)here));
        }
    }
    return 0;
}

#else

static int
check_offsets(void)
{
    return 0;
}

#endif

/* ---- known values: the thread state ------------------------------------- */

/* Fields that are compared and not followed. */
static int
check_thread_values(PyThreadState *ts)
{
    EXPECT(ts->interp == PyInterpreterState_Get(), "PyThreadState.interp");
    EXPECT(ts->id == PyThreadState_GetID(ts) + SLP_BUILT_SHIFT,
           "PyThreadState.id");
    PyObject *dict = PyThreadState_GetDict(); /* makes it when needed */
    EXPECT(ts->dict == dict, "PyThreadState.dict");
    EXPECT(SLP_DEPTH_LIMIT(ts) == Py_GetRecursionLimit()
               && SLP_DEPTH_LEFT(ts) <= SLP_DEPTH_LIMIT(ts),
           "recursion limit of PyThreadState");
    int tracing = ts->tracing;
    PyThreadState_EnterTracing(ts);
    bool found = ts->tracing == tracing + 1;
    PyThreadState_LeaveTracing(ts);
    EXPECT(found && ts->tracing == tracing, "PyThreadState.tracing");
    _PyStackChunk *chunk = ts->datastack_chunk;
    if (chunk != NULL) {
        /* A chunk that CPython uses again may be larger than asked for. */
        uintptr_t start = (uintptr_t)chunk, top = (uintptr_t)ts->datastack_top,
                  limit = (uintptr_t)ts->datastack_limit;
        EXPECT(start % sizeof(void *) == 0 && start < top && top <= limit
                   && limit - start <= chunk->size,
               "PyThreadState.datastack_chunk");
    }
#if PY_VERSION_HEX >= 0x030E0000
    /* Public calls do not show these; they are far from being small numbers
       or pointers to objects. */
    _PyThreadStateImpl *impl = (_PyThreadStateImpl *)ts;
    EXPECT(impl->c_stack_hard_limit < impl->c_stack_soft_limit
               && impl->c_stack_soft_limit < impl->c_stack_top,
           "_PyThreadStateImpl.c_stack_top");
#endif
    return 0;
}

static int
check_origin_depth(PyThreadState *ts)
{
    PyObject *set = PySys_GetObject("set_coroutine_origin_tracking_depth");
    if (set == NULL) {
        return 0;
    }
    int old = ts->coroutine_origin_tracking_depth;
    PyObject *r = PyObject_CallFunction(set, "i", 7);
    bool found = ts->coroutine_origin_tracking_depth == 7;
    Py_XDECREF(r);
    if (r == NULL) {
        return -1;
    }
    EXPECT(found, "PyThreadState.coroutine_origin_tracking_depth");
    ts->coroutine_origin_tracking_depth = old;
    return 0;
}

static int
check_context(PyThreadState *ts)
{
    PyObject *context = PyContext_New();
    if (context == NULL) {
        return -1;
    }
    uint64_t version = ts->context_ver;
    if (PyContext_Enter(context) < 0) {
        Py_DECREF(context);
        return -1;
    }
    bool found = ts->context == context && ts->context_ver == version + 1;
    int r = PyContext_Exit(context);
    Py_DECREF(context);
    if (r < 0) {
        return -1;
    }
    EXPECT(found, "PyThreadState.context");
    return 0;
}

/* The handled exception: set one, see it, put the old one back. */
static int
check_exc_info(PyThreadState *ts)
{
    PyObject *exc = PyObject_CallNoArgs(PyExc_ImportError);
    if (exc == NULL) {
        return -1;
    }
    PyObject *old = Py_XNewRef(ts->exc_info->exc_value);
    PyErr_SetHandledException(exc);
    bool found = ts->exc_info->exc_value == exc;
    if (found) {
        Py_XSETREF(ts->exc_info->exc_value, old);
    }
    Py_DECREF(exc);
    EXPECT(found, "PyThreadState.exc_info");
    return 0;
}

static int
check_current_frame(PyThreadState *ts)
{
    PyFrameObject *object = PyThreadState_GetFrame(ts);
    if (object == NULL) {
        return 0; /* imported by C code, from no Python code at all */
    }
    PyCodeObject *code = PyFrame_GetCode(object);
    slp_frame *frame = object->f_frame;
    bool found = slp_frame_code(frame) == code;
    if (found) {
        found = slp_frame_visible(SLP_FRAME(ts)) == frame
                && frame->frame_obj == object;
    }
    Py_DECREF(code);
    Py_DECREF(object);
    EXPECT(found, "current frame of PyThreadState");
    return 0;
}

static int
check_thread(void)
{
    PyThreadState *ts = PyThreadState_Get();
    if (check_thread_values(ts) < 0 || check_origin_depth(ts) < 0
        || check_context(ts) < 0 || check_exc_info(ts) < 0) {
        return -1;
    }
    return check_current_frame(ts);
}

/* ---- known values: the interpreter state -------------------------------- */

static int
check_interpreter(void)
{
    PyInterpreterState *interp = PyInterpreterState_Get();
    EXPECT(interp->id == PyInterpreterState_GetID(interp),
           "PyInterpreterState.id");
    EXPECT(interp->next == PyInterpreterState_Next(interp),
           "PyInterpreterState.next");
    EXPECT(interp->threads.head == PyInterpreterState_ThreadHead(interp),
           "PyInterpreterState.threads");
    EXPECT(interp->gc.enabled == PyGC_IsEnabled(), "PyInterpreterState.gc");
    EXPECT(interp->ceval.recursion_limit == Py_GetRecursionLimit(),
           "PyInterpreterState.ceval");
    PyObject *dict = PyInterpreterState_GetDict(interp); /* makes it */
    EXPECT(interp->dict == dict, "PyInterpreterState.dict");
    EXPECT(interp->eval_frame == NULL
               || interp->eval_frame
                      == _PyInterpreterState_GetEvalFrameFunc(interp),
           "PyInterpreterState.eval_frame");
    return 0;
}

/* ---- known values: code, functions, generators, frames ------------------ */

/* 1 if the attribute has this value, 0 if not, -1 on error. */
static int
attribute_is(PyObject *op, const char *name, long long value)
{
    PyObject *attribute = PyObject_GetAttrString(op, name);
    if (attribute == NULL) {
        return -1;
    }
    long long found = PyLong_AsLongLong(attribute);
    Py_DECREF(attribute);
    if (found == -1 && PyErr_Occurred()) {
        return -1;
    }
    return found == value;
}

static int
check_code(PyCodeObject *code)
{
    const struct {
        const char *name;
        int value;
    } attributes[] = {
        {"co_flags", code->co_flags},
        {"co_stacksize", code->co_stacksize},
        {"co_firstlineno", code->co_firstlineno},
        {"co_argcount", code->co_argcount},
        {"co_nlocals", code->co_nlocalsplus}, /* no cells here */
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(attributes); i++) {
        int r = attribute_is((PyObject *)code, attributes[i].name,
                             attributes[i].value);
        if (r < 0) {
            return -1;
        }
        EXPECT(r, attributes[i].name);
    }
#if PY_VERSION_HEX >= 0x030C0000
    EXPECT(
        code->co_framesize
            == code->co_nlocalsplus + code->co_stacksize + FRAME_SPECIALS_SIZE,
        "size of _PyInterpreterFrame");
#endif
    PyObject *bytes = PyCode_GetCode(code);
    if (bytes == NULL) {
        return -1;
    }
    Py_ssize_t units = PyBytes_GET_SIZE(bytes) / 2;
    /* It starts with an instruction that has no other forms. */
    bool found = units == Py_SIZE(code)
                 && memcmp(PyBytes_AS_STRING(bytes), _PyCode_CODE(code), 2)
                        == 0;
    Py_DECREF(bytes);
    EXPECT(found, "PyCodeObject.co_code_adaptive");
    EXPECT(code->_co_firsttraceable > 0 && code->_co_firsttraceable < units,
           "PyCodeObject._co_firsttraceable");
    return 0;
}

static int
check_generator(PyGenObject *gen, PyFunctionObject *func, PyObject *argument)
{
    slp_frame *f = (slp_frame *)&gen->gi_iframe;
    PyCodeObject *code = (PyCodeObject *)func->func_code;
    EXPECT(slp_frame_code(f) == code, "PyGenObject.gi_iframe");
    EXPECT(gen->gi_frame_state == FRAME_CREATED, "gi_frame_state");
    EXPECT(gen->gi_exc_state.exc_value == NULL
               && gen->gi_exc_state.previous_item == NULL,
           "PyGenObject.gi_exc_state");
    EXPECT(f->owner == FRAME_OWNED_BY_GENERATOR, "_PyInterpreterFrame.owner");
    EXPECT(slp_frame_function(f) == (PyObject *)func,
           "function of _PyInterpreterFrame");
    EXPECT(f->f_globals == func->func_globals && f->f_locals == NULL,
           "_PyInterpreterFrame.f_globals");
    EXPECT(slp_slot_peek(f->localsplus[0]) == argument,
           "_PyInterpreterFrame.localsplus");
    EXPECT(slp_frame_depth(f) == code->co_nlocalsplus,
           "stack depth of _PyInterpreterFrame");
    PyObject *object = PyObject_GetAttrString((PyObject *)gen, "gi_frame");
    if (object == NULL) {
        return -1;
    }
    bool found = (PyObject *)f->frame_obj == object
                 && ((PyFrameObject *)object)->f_frame == f;
    int r = 0;
    if (found) {
        r = attribute_is(object, "f_lasti",
                         slp_frame_lasti(f) * (int)sizeof(_Py_CODEUNIT));
    }
    Py_DECREF(object);
    if (r < 0) {
        return -1;
    }
    EXPECT(found, "PyFrameObject.f_frame");
    EXPECT(r, "position of _PyInterpreterFrame");
    return 0;
}

static int
check_function(PyFunctionObject *func, PyObject *globals)
{
    EXPECT(func->func_code == PyFunction_GetCode((PyObject *)func),
           "PyFunctionObject.func_code");
    EXPECT(func->func_globals == globals, "PyFunctionObject.func_globals");
    EXPECT(func->func_defaults == PyFunction_GetDefaults((PyObject *)func),
           "PyFunctionObject.func_defaults");
    if (check_code((PyCodeObject *)func->func_code) < 0) {
        return -1;
    }
    PyObject *gen = PyObject_CallOneArg((PyObject *)func, globals);
    if (gen == NULL) {
        return -1;
    }
    int r = check_generator((PyGenObject *)gen, func, globals);
    Py_DECREF(gen);
    return r;
}

static int
check_objects(void)
{
    static const char source[] =
        "def probe(a, b=None):\n"
        "    c = yield a\n";
    int r = -1;
    PyObject *globals = PyDict_New();
    if (globals == NULL) {
        return -1;
    }
    PyObject *none = PyRun_String(source, Py_file_input, globals, globals);
    if (none != NULL) {
        PyObject *func = PyDict_GetItemString(globals, "probe");
        r = check_function((PyFunctionObject *)func, globals);
        Py_DECREF(none);
    }
    PyDict_Clear(globals); /* the function refers to it */
    Py_DECREF(globals);
    return r;
}

int
slp_layout_check(void)
{
    if (check_version() < 0 || check_offsets() < 0 || check_thread() < 0
        || check_interpreter() < 0) {
        return -1;
    }
    return check_objects();
}
