/* SPDX-License-Identifier: PSF-2.0 */
/* Assembles the little Python functions that the engine is made of.

   point        what users call (`schedule`, `channel.send`, ...).  It calls
                its gate; when it runs again it asks an op for the outcome.
   gate         asks one op and returns.  The op may relink the gate's frame,
                so that it returns into another tasklet.
   dispatcher   endless loop, one per C stack: calls what an op names.

   An "op" is a C iterator.  SEND with None calls its tp_iternext straight from
   the interpreter loop: without a check for signals, collections or hand-over
   of the GIL behind it, and without ever being compiled by the JIT, so that no
   compiled trace runs past a switch.  An op that returns NULL without an
   exception takes SEND's jump: a second way out, for free.  Where there is no
   JIT, FOR_ITER does the same in fewer steps.  What is asked most is asked by
   UNARY_INVERT then, in yet fewer, and sets the instruction behind it.

   None of these functions has a RESUME instruction, which makes them invisible
   to tracers, to sys._getframe() and to tracebacks. */
#include "compat_emit.h"

#if PY_VERSION_HEX >= 0x030C0000
#    define CODE_NEW PyUnstable_Code_NewWithPosOnlyArgs
#else
#    define CODE_NEW PyCode_NewWithPosOnlyArgs
#endif
/* Points leave room for one another's frames: slp_point_push(). */
#define POINT_STACK   3
#define SPREAD_CACHES (PY_VERSION_HEX >= 0x030F0000 ? 1 : 0)
/* "There are keywords"; always so from 3.14. */
#define SPREAD_ARG (PY_VERSION_HEX >= 0x030E0000 ? 0 : 1)

/* ---- code and function objects ------------------------------------------- */

typedef struct {
    const char *name, *qualname, *module;
    PyObject *varnames; /* tuple, borrowed */
    int argcount, positional_only, keyword_only, stacksize, flags;
    PyObject *exceptiontable; /* bytes, borrowed, or NULL */
} code_spec;

/* No event of any tool may come from this code. */
static void
hide(PyCodeObject *code)
{
#if defined(CO_NO_MONITORING_EVENTS)
    code->co_flags |= CO_NO_MONITORING_EVENTS;
#endif
    code->co_flags |= SLP_CODE_IS_OURS;
    code->_co_firsttraceable = (int)Py_SIZE(code);
}

/* Every instruction is on line 1: faulthandler takes a frame without a line for
   the end of the stack. */
static PyObject *
line_table(Py_ssize_t units)
{
    enum {
        NO_COLUMNS = 13,
        LONGEST = 8
    };
    Py_ssize_t size = 2 * ((units + LONGEST - 1) / LONGEST);
    PyObject *table = PyBytes_FromStringAndSize(NULL, size);
    if (table == NULL) {
        return NULL;
    }
    unsigned char *p = (unsigned char *)PyBytes_AS_STRING(table);
    for (; units > 0; units -= LONGEST) {
        Py_ssize_t n = units < LONGEST ? units : LONGEST;
        *p++ = (unsigned char)(0x80 | NO_COLUMNS << 3 | (n - 1));
        *p++ = 0; /* lines further on */
    }
    return table;
}

static PyCodeObject *
new_code(const code_spec *spec, PyObject *bytes, PyObject *consts)
{
    PyCodeObject *code = NULL;
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *lines = line_table(PyBytes_GET_SIZE(bytes) / 2);
    PyObject *none = PyTuple_New(0);
    PyObject *name = PyUnicode_InternFromString(spec->name);
    PyObject *qualname = PyUnicode_InternFromString(spec->qualname);
    PyObject *filename = PyUnicode_InternFromString("<stackless>");
    if (empty && lines && none && name && qualname && filename) {
        PyObject *table = spec->exceptiontable ? spec->exceptiontable : empty;
        code = (PyCodeObject *)CODE_NEW(
            spec->argcount, spec->positional_only, spec->keyword_only,
            (int)PyTuple_GET_SIZE(spec->varnames), spec->stacksize,
            CO_OPTIMIZED | CO_NEWLOCALS | spec->flags, bytes, consts, none,
            spec->varnames, none, none, filename, name, qualname, 1, lines,
            table);
    }
    Py_XDECREF(empty);
    Py_XDECREF(lines);
    Py_XDECREF(none);
    Py_XDECREF(name);
    Py_XDECREF(qualname);
    Py_XDECREF(filename);
    if (code != NULL) {
        hide(code);
    }
    return code;
}

/* CPython specialises calls of functions that have a version: not of those that
   C code has made, nor of those that were changed. */
static void
set_version(PyObject *function)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyFunctionObject *func = (PyFunctionObject *)function;
    func->func_version = ((PyCodeObject *)func->func_code)->co_version;
#else
    (void)function; /* gets one when it is called */
#endif
}

/* Takes the buffer's memory and a reference to consts. */
static PyObject *
new_function(const code_spec *spec, code_buffer *b, PyObject *consts)
{
    PyObject *function = NULL, *bytes = NULL, *globals = NULL;
    PyCodeObject *code = NULL;
    if (b->failed) {
        PyErr_NoMemory();
    }
    else {
        bytes = PyBytes_FromStringAndSize((char *)b->bytes, b->used);
    }
    /* 3.11 takes these for the globals of who calls a C function. */
    globals = Py_BuildValue("{s:s,s:O}", "__name__", spec->module,
                            "__builtins__", PyEval_GetBuiltins());
    if (bytes && globals && consts) {
        code = new_code(spec, bytes, consts);
    }
    if (code != NULL) {
        function = PyFunction_New((PyObject *)code, globals);
    }
    if (function != NULL) {
        set_version(function);
    }
    PyMem_Free(b->bytes);
    Py_XDECREF(bytes);
    Py_XDECREF(globals);
    Py_XDECREF(consts);
    Py_XDECREF(code);
    return function;
}

PyObject *
slp_new_internal(const char *name, code_buffer *b, PyObject *consts,
                 int locals, int argcount, int stacksize,
                 PyObject *exceptiontable)
{
    static const char *const names[] = {"a", "b", "c"};
    PyObject *varnames = PyTuple_New(locals);
    if (varnames == NULL) {
        PyMem_Free(b->bytes);
        Py_XDECREF(consts);
        return NULL;
    }
    for (int i = 0; i < locals; i++) {
        PyObject *s = PyUnicode_InternFromString(names[i]);
        if (s == NULL) {
            PyMem_Free(b->bytes);
            Py_XDECREF(consts);
            Py_DECREF(varnames);
            return NULL;
        }
        PyTuple_SET_ITEM(varnames, i, s);
    }
    code_spec spec = {
        .name = name,
        .qualname = name,
        .module = "stackless",
        .varnames = varnames,
        .argcount = argcount,
        .stacksize = stacksize,
        .exceptiontable = exceptiontable,
    };
    PyObject *function = new_function(&spec, b, consts);
    Py_DECREF(varnames);
    return function;
}

PyObject *
slp_exception_table(int end)
{
    unsigned char table[8];
    int n = 0;
    table[n++] = 0x80;            /* start 0; first byte of an entry */
    for (int i = 0; i < 2; i++) { /* length, target */
        if (end >= 64) {
            table[n++] = (unsigned char)(0x40 | (end >> 6));
        }
        table[n++] = (unsigned char)(end & 63);
    }
    table[n++] = 0; /* depth 0, no lasti */
    return PyBytes_FromStringAndSize((char *)table, n);
}

void
slp_show_handler(PyObject *function)
{
#if defined(Py_DEBUG) && PY_VERSION_HEX >= 0x030F0000
    if (function != NULL) {
        PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
        code->co_flags &= ~CO_NO_MONITORING_EVENTS;
    }
#else
    (void)function;
#endif
}

/* ---- gate, point, dispatcher --------------------------------------------- */

PyObject *
slp_gate_new(const char *name, PyObject *op)
{
    code_buffer b = {0};
    int place = emit_ask(&b, 1);
    emit_end_ask(&b);
#if SLP_OP_HAS_SEND
    aim(&b, place); /* a shorter way; not taken while there is a tracer */
#else
    (void)place;
#endif
    emit(&b, RETURN_VALUE, 0, 0);
    return slp_new_internal(name, &b, PyTuple_Pack(2, Py_None, op), 0, 0, 3,
                            NULL);
}

static int
append_name(PyObject *names, const char *name)
{
    PyObject *text = PyUnicode_FromString(name);
    int r = text ? PyList_Append(names, text) : -1;
    Py_XDECREF(text);
    return r;
}

/* Parse "self value *args" into the spec. */
static int
parse_params(const slp_point_spec *spec, code_spec *code)
{
    PyObject *text = PyUnicode_FromString(spec->params);
    PyObject *parts = text ? PyUnicode_Split(text, NULL, -1) : NULL;
    Py_XDECREF(text);
    if (parts == NULL) {
        return -1;
    }
    Py_ssize_t n = PyList_GET_SIZE(parts);
    code->argcount = (int)n;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *name = PyList_GET_ITEM(parts, i);
        if (PyUnicode_READ_CHAR(name, 0) == '*') {
            PyObject *bare = PyUnicode_Substring(name, 1,
                                                 PyUnicode_GET_LENGTH(name));
            if (bare == NULL || PyList_SetItem(parts, i, bare) < 0) {
                Py_DECREF(parts);
                return -1;
            }
            code->flags |= CO_VARARGS;
            code->argcount = (int)n - 1;
        }
    }
    /* "args" is empty, unless the point is a short one. */
    if ((SLP_SHORT_CALLS && spec->optional && append_name(parts, "args") < 0)
        || (SLP_HIDE_BY_TRACING && append_name(parts, ".restore") < 0)) {
        Py_DECREF(parts);
        return -1;
    }
    code->varnames = PyList_AsTuple(parts);
    Py_DECREF(parts);
    return code->varnames == NULL ? -1 : 0;
}

static int
set_doc(PyObject *function, const char *doc)
{
    PyObject *text = PyUnicode_FromString(doc);
    if (text == NULL) {
        return -1;
    }
    int r = PyObject_SetAttrString(function, "__doc__", text);
    Py_DECREF(text);
    return r;
}

/* What follows the gate's call: the op that it has returned is on the stack.
   Constant 1 is reraise(). */
static void
emit_outcome(code_buffer *b)
{
    int place = emit_ask_top(b);
    emit_return(b);
    /* A StopIteration cannot leave an op: SEND takes it for a return. */
    land(b, place);
    emit_call_const(b, 1);
    emit(b, RETURN_VALUE, 0, 0);
}

/* With these parameters. */
static PyObject *
new_point(const slp_point_spec *spec, const code_spec *cs, PyObject *quick,
          PyObject *gate, PyObject *reraise)
{
    code_buffer b = {0};
    if (quick != NULL && by_invert()) {
        emit(&b, LOAD_CONST, 3, 0);
        emit(&b, UNARY_INVERT, 0, 0);
        emit(&b, RETURN_VALUE, 0, 0); /* or POP_TOP */
    }
    else if (quick != NULL) {
        int place = emit_ask(&b, 3);
        emit_return(&b);
        land(&b, place);
    }
    emit_call_const(&b, 2);
    emit_outcome(&b);
    PyObject *consts = PyTuple_Pack(4, Py_None, reraise, gate,
                                    quick ? quick : Py_None);
    PyObject *point = new_function(cs, &b, consts);
    if (point != NULL && set_doc(point, spec->doc) < 0) {
        Py_CLEAR(point);
    }
    return point;
}

#if SLP_SHORT_CALLS

/* From "retval", of `plain`, make "*args, retval"; inspect.signature() shows that
   of `plain`. */
static PyObject *
new_short_point(const slp_point_spec *spec, const code_spec *plain_spec,
                PyObject *quick, PyObject *gate, PyObject *reraise,
                PyObject *plain)
{
    code_spec cs = *plain_spec;
    cs.argcount = 0;
    cs.keyword_only = 1;
    cs.flags |= CO_VARARGS;
    PyObject *value = PyTuple_GET_ITEM(PyFunction_GET_DEFAULTS(plain), 0);
    /* Interned, as the name in the code is: found at once. */
    PyObject *name = PyUnicode_InternFromString(spec->params);
    PyObject *keyword = name ? PyDict_New() : NULL;
    PyObject *point = NULL;
    if (keyword && PyDict_SetItem(keyword, name, value) == 0) {
        point = new_point(spec, &cs, quick, gate, reraise);
    }
    if (point != NULL
        && (PyFunction_SetKwDefaults(point, keyword) < 0
            || PyObject_SetAttrString(point, "__wrapped__", plain) < 0)) {
        Py_CLEAR(point);
    }
    Py_XDECREF(keyword);
    Py_XDECREF(name);
    return point;
}

void
slp_call_shorten(slp_frame *f)
{
    slp_frame *caller = f->previous;
    if (!slp_frame_is_python(caller)
        || (slp_frame_code(caller)->co_flags & SLP_CODE_IS_OURS)) {
        return;
    }
    _Py_CODEUNIT *call = (_Py_CODEUNIT *)caller->instr_ptr;
    if (call->op.code == CALL_PY_GENERAL && call->op.arg == 0 && !has_jit()) {
        call->op.code = CALL_PY_EXACT_ARGS; /* of that function, as before */
    }
}

#else

void
slp_call_shorten(slp_frame *Py_UNUSED(f))
{
}

#endif

PyObject *
slp_point_new(const slp_point_spec *spec, PyObject *quick, PyObject *op,
              PyObject *reraise, PyObject *defaults)
{
    code_spec cs = {
        .name = spec->name,
        .qualname = spec->qualname,
        .module = spec->module,
        .positional_only = spec->positional_only,
        .stacksize = POINT_STACK,
    };
    PyObject *gate = slp_gate_new(spec->name, op);
    if (gate == NULL || parse_params(spec, &cs) < 0) {
        Py_XDECREF(gate);
        return NULL;
    }
    PyObject *point = new_point(spec, &cs, quick, gate, reraise);
    if (point != NULL && defaults != NULL
        && PyFunction_SetDefaults(point, defaults) < 0) {
        Py_CLEAR(point);
    }
#if SLP_SHORT_CALLS
    if (point != NULL && spec->optional) {
        Py_SETREF(point,
                  new_short_point(spec, &cs, quick, gate, reraise, point));
    }
#endif
    if (point != NULL) {
        set_version(point);
    }
    Py_DECREF(gate);
    Py_DECREF(cs.varnames);
    return point;
}

static_assert(SLP_RETURN_VALUE == RETURN_VALUE, "number of RETURN_VALUE");

void
slp_point_goes_on(slp_frame *f)
{
    const unsigned char unit[sizeof(_Py_CODEUNIT)] = {POP_TOP};
    memcpy(f->SLP_POSITION_FIELD + 1, unit, sizeof(unit));
}

/* Two questions to an op that notes where it is called from. */
static SLP_TLS uintptr_t asked_at[2];

static PyObject *
note_next(PyObject *Py_UNUSED(self))
{
    asked_at[0] = SLP_FRAME_ADDRESS();
    return Py_NewRef(Py_None);
}

static PyObject *
note_invert(PyObject *Py_UNUSED(self))
{
    asked_at[1] = SLP_FRAME_ADDRESS();
    return Py_NewRef(Py_None);
}

#if SLP_OP_HAS_SEND
static PySendResult
note_send(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(value),
          PyObject **result)
{
    asked_at[0] = SLP_FRAME_ADDRESS();
    *result = Py_NewRef(Py_None);
    return PYGEN_NEXT;
}
#endif

static PyType_Slot note_slots[] = {
    {Py_tp_iter, PyObject_SelfIter}, {Py_tp_iternext, note_next},
#if SLP_OP_HAS_SEND
    {Py_am_send, (void *)note_send},
#endif
    {Py_nb_invert, note_invert},     {0, NULL},
};

static PyType_Spec note_spec = {
    .name = "stackless._op",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = note_slots,
};

static PyObject *
new_asking(PyObject *op)
{
    code_buffer b = {0};
    int place = emit_ask(&b, 1);
    emit_end_ask(&b);
    emit(&b, POP_TOP, 0, 0);
    emit(&b, LOAD_CONST, 1, 0);
    emit(&b, UNARY_INVERT, 0, 0);
    emit(&b, RETURN_VALUE, 0, 0);
    land(&b, place); /* it never says no */
    emit(&b, LOAD_CONST, 0, 0);
    emit(&b, RETURN_VALUE, 0, 0);
    return slp_new_internal("asking", &b, PyTuple_Pack(2, Py_None, op), 0, 0,
                            3, NULL);
}

int
slp_points_invert(ptrdiff_t *offset)
{
    *offset = 0;
    if (!by_invert()) {
        return 0;
    }
    PyObject *type = PyType_FromSpec(&note_spec);
    PyObject *op = type ? PyObject_New(PyObject, (PyTypeObject *)type) : NULL;
    PyObject *asking = op ? new_asking(op) : NULL;
    PyObject *r = asking ? PyObject_CallNoArgs(asking) : NULL;
    if (r != NULL) {
        *offset = (ptrdiff_t)(asked_at[1] - asked_at[0]);
    }
    Py_XDECREF(type);
    Py_XDECREF(op);
    Py_XDECREF(asking);
    Py_XDECREF(r);
    return r == NULL ? -1 : 1;
}

PyObject *
slp_resumer_new(PyObject *reraise)
{
    code_buffer b = {0};
    emit_outcome(&b);
    return slp_new_internal("resumed", &b, PyTuple_Pack(2, Py_None, reraise),
                            1 + SLP_HIDE_BY_TRACING, 0, POINT_STACK, NULL);
}

slp_frame *
slp_point_push(PyThreadState *ts, slp_pystate *s, slp_frame *top,
               PyObject *resumer, PyObject *held)
{
    PyFunctionObject *func = (PyFunctionObject *)Py_NewRef(resumer);
    PyCodeObject *code = (PyCodeObject *)func->func_code;
    _PyStackChunk *chunk = s->chunk;
    slp_frame *f = (slp_frame *)&chunk->data[chunk->top];
    slp_frame_init(ts, f, func, top);
    if (held != NULL) {
        slp_slot_fill(&f->localsplus[0], held);
    }
    s->top = (PyObject **)f + slp_code_words(code);
    assert(s->top <= (PyObject **)((char *)chunk + chunk->size));
    s->depth++;
    return f;
}

#if SLP_DISPATCHER_CATCHES

static PyObject *
catching(code_buffer *b)
{
    int handler = b->used / 2;
    emit(b, STORE_FAST, 0, 0);
    emit_jump_back(b, 0);
    return slp_exception_table(handler);
}

PyObject *
slp_dispatcher_exc(slp_frame *dispatcher)
{
    PyObject *exc = Py_XNewRef(slp_slot_peek(dispatcher->localsplus[0]));
    slp_slot_clear(&dispatcher->localsplus[0]);
    return exc;
}

#else

static PyObject *
catching(code_buffer *Py_UNUSED(b))
{
    return PyBytes_FromStringAndSize(NULL, 0);
}

PyObject *
slp_dispatcher_exc(slp_frame *Py_UNUSED(dispatcher))
{
    return NULL;
}

#endif

/* The callable is on the stack. */
static void
emit_self_slot(code_buffer *b)
{
    emit(b, PUSH_NULL, 0, 0);
    if (NULL_FIRST) {
        emit(b, SWAP, 2, 0); /* not earlier: POP_TOP takes no NULL */
    }
}

static void
emit_call_and_loop(code_buffer *b, int nargs)
{
    emit_call(b, nargs);
    emit(b, POP_TOP, 0, 0);
    emit_jump_back(b, 0);
}

/* Where the jump behind the dispatcher's question leads to: for each number of
   arguments, and for the end.  The same in all interpreters. */
static unsigned char dispatcher_jumps[SLP_DISPATCH_ARGS + 2];

static void
note_jump(int which, int bytes)
{
    unsigned char distance = (unsigned char)(bytes / 2);
    if (dispatcher_jumps[which] != distance) { /* another one may read it */
        dispatcher_jumps[which] = distance;
    }
}

static void
emit_dispatcher(code_buffer *b)
{
    emit(b, LOAD_CONST, 1, 0);
    emit(b, UNARY_INVERT, 0, 0);
    emit(b, JUMP_FORWARD, 0, 0); /* see slp_dispatcher_aim() */
    int from = b->used;
    for (int n = 0; n <= SLP_DISPATCH_ARGS; n++) {
        note_jump(n, b->used - from);
        emit_self_slot(b);
        for (int i = 0; i < n; i++) {
            emit(b, LOAD_CONST, 2, 0);
            emit(b, UNARY_INVERT, 0, 0);
        }
        emit_call_and_loop(b, n);
    }
    note_jump(SLP_DISPATCHER_ENDS, b->used - from);
    emit(b, POP_TOP, 0, 0);
}

void
slp_dispatcher_aim(slp_frame *dispatcher, int which)
{
    unsigned char *jump = (unsigned char *)(dispatcher->SLP_POSITION_FIELD
                                            + 1);
    if (SLP_UNLIKELY(jump[1] != dispatcher_jumps[which])) {
        jump[1] = dispatcher_jumps[which];
    }
}

static void
emit_dispatcher_by_next(code_buffer *b)
{
    int place[SLP_DISPATCH_ARGS];
    int leave = emit_ask(b, 1);
    emit_end_ask(b);
    emit_self_slot(b);
    for (int i = 0; i < SLP_DISPATCH_ARGS; i++) {
        place[i] = emit_ask(b, 2);
        emit_end_ask(b);
    }
    for (int n = SLP_DISPATCH_ARGS; n >= 0; n--) {
        if (n < SLP_DISPATCH_ARGS) {
            land(b, place[n]);
        }
        emit_call_and_loop(b, n);
    }
    land(b, leave);
}

PyObject *
slp_dispatcher_new(PyObject *next, PyObject *arg)
{
    code_buffer b = {0};
    if (by_invert()) {
        emit_dispatcher(&b);
    }
    else {
        emit_dispatcher_by_next(&b);
    }
    emit(&b, LOAD_CONST, 0, 0);
    emit(&b, RETURN_VALUE, 0, 0);
    PyObject *table = catching(&b);
    PyObject *function = slp_new_internal("dispatcher", &b,
                                          PyTuple_Pack(3, Py_None, next, arg),
                                          1, 0, SLP_DISPATCH_ARGS + 5, table);
    Py_XDECREF(table);
    slp_show_handler(function);
    return function;
}

/* ---- calls with many arguments or keywords ------------------------------- */

PyObject *
slp_spread_new(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    code_buffer b = {0};
    emit_call_prologue(&b);
    emit(&b, LOAD_FAST, 0, 0);
    emit_call_self(&b);
    emit(&b, LOAD_FAST, 1, 0);
    emit(&b, LOAD_FAST, 2, 0);
    emit(&b, CALL_FUNCTION_EX, SPREAD_ARG, SPREAD_CACHES);
    emit(&b, RETURN_VALUE, 0, 0);
    return slp_new_internal("call", &b, PyTuple_Pack(1, Py_None), 3, 3, 5,
                            NULL);
#else
    return Py_NewRef(Py_None); /* see spread_call() */
#endif
}

#if PY_VERSION_HEX >= 0x030C0000

static PyObject *
spread_call(PyObject *func, PyObject *kwargs, PyObject **args,
            PyObject *spread)
{
    PyObject *kw = kwargs ? Py_NewRef(kwargs) : PyDict_New();
    if (kw == NULL) {
        return NULL;
    }
    PyObject *packed = PyTuple_Pack(3, func, *args, kw);
    Py_DECREF(kw);
    if (packed == NULL) {
        return NULL;
    }
    Py_SETREF(*args, packed);
    return Py_NewRef(spread);
}

#else

/* 3.11 never inlines f(*args): a function of its own for this call, with
   everything in its constants. */
static PyObject *
spread_call(PyObject *func, PyObject *kwargs, PyObject **args,
            PyObject *Py_UNUSED(spread))
{
    Py_ssize_t n = PyTuple_GET_SIZE(*args);
    Py_ssize_t k = kwargs ? PyDict_GET_SIZE(kwargs) : 0;
    PyObject *consts = PyTuple_New(n + k + 3), *names = PyTuple_New(k);
    PyObject *empty = PyTuple_New(0);
    if (!consts || !names || !empty) {
        Py_XDECREF(consts);
        Py_XDECREF(names);
        Py_XDECREF(empty);
        return NULL;
    }
    PyTuple_SET_ITEM(consts, 0, names);
    PyTuple_SET_ITEM(consts, 1, Py_NewRef(Py_None));
    PyTuple_SET_ITEM(consts, 2, Py_NewRef(func));
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTuple_SET_ITEM(consts, i + 3, Py_NewRef(PyTuple_GET_ITEM(*args, i)));
    }
    Py_ssize_t pos = 0;
    PyObject *key, *value;
    for (Py_ssize_t i = 0; k && PyDict_Next(kwargs, &pos, &key, &value); i++) {
        PyTuple_SET_ITEM(names, i, Py_NewRef(key));
        PyTuple_SET_ITEM(consts, n + 3 + i, Py_NewRef(value));
    }
    code_buffer b = {0};
    emit(&b, PUSH_NULL, 0, 0);
    for (int i = 2; i < (int)(n + k + 3); i++) {
        emit(&b, LOAD_CONST, i, 0);
    }
    if (k) {
        emit(&b, KW_NAMES, 0, 0);
    }
    emit_call(&b, (int)(n + k));
    emit(&b, RETURN_VALUE, 0, 0);
    PyObject *call = slp_new_internal("call", &b, consts, 0, 0,
                                      (int)(n + k) + 2, NULL);
    if (call == NULL) {
        Py_DECREF(empty);
        return NULL;
    }
    Py_SETREF(*args, empty);
    return call;
}

#endif

/* Bound methods of Python functions are called inline only as function and
   first argument. */
static int
unpack_method(PyObject **func, PyObject **args)
{
    if (!PyMethod_Check(*func)) {
        return 0;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(*args);
    PyObject *all = PyTuple_New(n + 1);
    if (all == NULL) {
        return -1;
    }
    PyTuple_SET_ITEM(all, 0, Py_NewRef(PyMethod_GET_SELF(*func)));
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTuple_SET_ITEM(all, i + 1, Py_NewRef(PyTuple_GET_ITEM(*args, i)));
    }
    Py_SETREF(*args, all);
    *func = PyMethod_GET_FUNCTION(*func);
    return 0;
}

PyObject *
slp_callable_for(PyObject *func, PyObject *kwargs, PyObject **args,
                 PyObject *spread)
{
    if (unpack_method(&func, args) < 0) {
        return NULL;
    }
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) == 0) {
        kwargs = NULL;
    }
    if (kwargs == NULL && PyTuple_GET_SIZE(*args) <= SLP_DISPATCH_ARGS) {
        return Py_NewRef(func);
    }
    return spread_call(func, kwargs, args, spread);
}

#if PY_VERSION_HEX >= 0x030C0000

static PyObject *
spread_parts(PyObject *Py_UNUSED(call), PyObject *args)
{
    return Py_NewRef(args);
}

#else

static PyObject *
spread_parts(PyObject *call, PyObject *Py_UNUSED(none))
{
    PyObject *consts = ((PyCodeObject *)PyFunction_GET_CODE(call))->co_consts;
    PyObject *names = PyTuple_GET_ITEM(consts, 0);
    Py_ssize_t n = PyTuple_GET_SIZE(consts), k = PyTuple_GET_SIZE(names);
    PyObject *args = PyTuple_GetSlice(consts, 3, n - k);
    PyObject *kwargs = args ? PyDict_New() : NULL, *parts = NULL;
    bool good = kwargs != NULL;
    for (Py_ssize_t i = 0; good && i < k; i++) {
        good = PyDict_SetItem(kwargs, PyTuple_GET_ITEM(names, i),
                              PyTuple_GET_ITEM(consts, n - k + i))
               == 0;
    }
    if (good) {
        parts = PyTuple_Pack(3, PyTuple_GET_ITEM(consts, 2), args, kwargs);
    }
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return parts;
}

#endif

PyObject *
slp_callable_parts(PyObject *call, PyObject *args)
{
    if (PyFunction_Check(call)
        && ((PyCodeObject *)PyFunction_GET_CODE(call))->co_flags
               & SLP_CODE_IS_OURS) {
        return spread_parts(call, args);
    }
    PyObject *kwargs = PyDict_New();
    PyObject *parts = kwargs ? PyTuple_Pack(3, call, args, kwargs) : NULL;
    Py_XDECREF(kwargs);
    return parts;
}
