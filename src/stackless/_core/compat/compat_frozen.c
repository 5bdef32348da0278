/* SPDX-License-Identifier: PSF-2.0 */
/* Frames and generators as values, and made from them.

   Where a frame goes on is an offset from the start of its code: of the call
   that it is in the middle of, up to 3.12 of the end of it.  Specialised,
   instrumented and compiled forms of an instruction move no offset. */
#include "compat.h"

#include "frameobject.h"
#include "internal/pycore_gc.h"
#include "opcode.h"

/* UNSURE: what an instruction in progress has on the stack, as an address. */
enum {
    OBJECT,
    EMPTY,
    NUMBER,
    UNSURE
};

/* ---- frames -------------------------------------------------------------- */

bool
slp_frame_is_ours(slp_frame *f)
{
    return (slp_frame_code(f)->co_flags & SLP_CODE_IS_OURS) != 0;
}

bool
slp_frame_is_of(slp_frame *f, PyObject *function)
{
    /* Those on the C stack have a field for it that nobody has set. */
    return slp_frame_is_python(f) && slp_frame_function(f) == function;
}

/* CPython puts a frame without a function below an inlined __init__. */
static bool
awaits_init(slp_frame *f)
{
    PyObject *function = slp_frame_function(f);
    return function == NULL || function == Py_None;
}

/* What an expression is collecting its values in has no other reference than the
   stack's.  It will be added to, so that no two frames may share it. */
static PyObject *
value_on_stack(slp_slot slot)
{
    PyObject *op = slp_slot_owned(slot);
    if (op != NULL && Py_REFCNT(op) == 1) {
        if (PyList_CheckExact(op)) {
            return PyList_GetSlice(op, 0, PyList_GET_SIZE(op));
        }
        if (PySet_CheckExact(op)) {
            return PySet_New(op);
        }
        if (PyDict_CheckExact(op)) {
            return PyDict_Copy(op);
        }
    }
    return Py_NewRef(slp_slot_object(slot));
}

/* The value of a slot, new reference, and its mark. */
static PyObject *
value_of_slot(slp_slot slot, bool stack, bool unsure, char *mark)
{
    *mark = slp_slot_is_empty(slot)    ? EMPTY
            : unsure                   ? UNSURE
            : slp_slot_is_number(slot) ? NUMBER
                                       : OBJECT;
    switch (*mark) {
        case EMPTY:
            Py_RETURN_NONE;
        case UNSURE:
            return PyLong_FromVoidPtr(slp_slot_peek(slot));
        case NUMBER:
            return PyLong_FromSsize_t(slp_slot_number(slot));
        default:
            return stack ? value_on_stack(slot)
                         : Py_NewRef(slp_slot_object(slot));
    }
}

static PyObject *
marks_and_slots(slp_frame *f, slp_extent e, PyObject **marks)
{
    const slp_slot *slots = f->localsplus;
    int n = e.depth, variables = slp_frame_code(f)->co_nlocalsplus;
    PyObject *tuple = PyTuple_New(n);
    *marks = PyBytes_FromStringAndSize(NULL, 0);
    bool plain = true;
    for (int i = 0; tuple && *marks && i < n; i++) {
        char mark;
        PyObject *v = value_of_slot(slots[i], i >= variables,
                                    i >= n - e.unsure, &mark);
        if (v == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, v);
        if (plain && mark != OBJECT) {
            plain = false;
            Py_SETREF(*marks, PyBytes_FromStringAndSize(NULL, n));
            if (*marks != NULL) {
                memset(PyBytes_AS_STRING(*marks), OBJECT, (size_t)n);
            }
        }
        if (!plain && *marks != NULL) {
            PyBytes_AS_STRING(*marks)[i] = mark;
        }
    }
    if (tuple == NULL || *marks == NULL) {
        Py_CLEAR(tuple);
        Py_CLEAR(*marks);
    }
    return tuple;
}

/* The function of a frame whose function has got other code since. */
static PyObject *
function_of(slp_frame *f)
{
    PyObject *code = (PyObject *)slp_frame_code(f);
    PyObject *function = slp_frame_function(f);
    if (!PyFunction_Check(function)) {
        PyErr_Format(PyExc_TypeError, "a frame of %U is not of a function",
                     slp_frame_code(f)->co_qualname);
        return NULL;
    }
    if (PyFunction_GET_CODE(function) == code) {
        return Py_NewRef(function);
    }
    return PyFunction_New(code, PyFunction_GET_GLOBALS(function));
}

/* The function's first instruction stands for the call. */
static PyObject *
init_state(slp_frame *f, PyObject *init)
{
    static const char marks[] = {OBJECT, EMPTY};
    PyObject *self = slp_slot_peek(f->localsplus[0]);
    return Py_BuildValue("(OOiiy#(OO))", init, Py_None, 0,
                         SLP_POSITION_IS_CALL, marks,
                         (Py_ssize_t)sizeof(marks), self, Py_None);
}

PyObject *
slp_value_state(PyObject *function)
{
    return Py_BuildValue("(OOiiy#())", function, Py_None, 0,
                         SLP_POSITION_IS_CALL, "", (Py_ssize_t)0);
}

int
slp_frame_offset(slp_frame *f)
{
    return (int)(f->SLP_POSITION_FIELD - _PyCode_CODE(slp_frame_code(f)));
}

bool
slp_frame_has_depth(slp_frame *f)
{
    return awaits_init(f) || slp_frame_depth(f) >= 0;
}

PyObject *
slp_frame_tuple(PyObject **parts)
{
    PyObject *tuple = PyTuple_New(SLP_FRAME_ITEMS);
    for (int i = 0; i < SLP_FRAME_ITEMS; i++) {
        if (tuple == NULL || parts[i] == NULL) {
            Py_CLEAR(tuple);
            Py_XDECREF(parts[i]);
            continue;
        }
        PyTuple_SET_ITEM(tuple, i, parts[i]);
    }
    return tuple;
}

static PyObject *
frame_state_of(slp_frame *f, slp_extent e, int return_offset, PyObject *init)
{
    if (awaits_init(f)) {
        return init_state(f, init);
    }
    PyObject *marks, *function = function_of(f);
    PyObject *slots = marks_and_slots(f, e, &marks);
    if (function == NULL || slots == NULL) {
        Py_XDECREF(function);
        Py_XDECREF(slots);
        Py_XDECREF(marks);
        return NULL;
    }
    PyObject *parts[SLP_FRAME_ITEMS] = {
        function,
        Py_NewRef(f->f_locals ? f->f_locals : Py_None),
        PyLong_FromLong(slp_frame_offset(f)),
        PyLong_FromLong(return_offset),
        marks,
        slots,
    };
    return slp_frame_tuple(parts);
}

PyObject *
slp_frame_state(slp_frame *f, slp_extent e, PyObject *init)
{
    return frame_state_of(f, e, SLP_RETURN_OFFSET(f), init);
}

typedef struct {
    PyObject *function, *locals;
    int offset, return_offset;
    const char *marks; /* NULL: all are objects */
    PyObject *slots;
} frame_state;

static PyCodeObject *
code_of(const frame_state *s)
{
    return (PyCodeObject *)PyFunction_GET_CODE(s->function);
}

/* Could a slot hold it as a number, where there are such slots? */
static bool
is_good_number_slot(PyObject *v)
{
    slp_slot slot;
    intptr_t number = PyLong_CheckExact(v) ? PyLong_AsSsize_t(v) : -1;
    if (PyErr_Occurred()) { /* checked: too large */
        PyErr_Clear();
        return false;
    }
    return PyLong_CheckExact(v) && slp_slot_fill_number(&slot, number);
}

/* Is a variable that is a cell put aside for a while?  From 3.12 on, by a
   comprehension that has one of that name, without a call of its own. */
static bool
is_put_aside(PyCodeObject *code, Py_ssize_t variable)
{
    bool found = false;
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *bytes = PyCode_GetCode(code);
    if (bytes == NULL) {
        PyErr_Clear(); /* checked: no memory */
        return false;
    }
    const unsigned char *op = (unsigned char *)PyBytes_AS_STRING(bytes);
    Py_ssize_t arg = 0;
    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(bytes); i += 2) {
        arg |= op[i + 1];
        found = found || (op[i] == LOAD_FAST_AND_CLEAR && arg == variable);
        arg = op[i] == EXTENDED_ARG ? arg << 8 : 0;
    }
    Py_DECREF(bytes);
#else
    (void)code;
    (void)variable;
#endif
    return found;
}

/* Variables that are cells must hold cells, those from outside in any case: code
   relies on it.  Only the stack has numbers. */
static bool
are_good_slots(const frame_state *s)
{
    PyCodeObject *code = code_of(s);
    Py_ssize_t n = PyTuple_GET_SIZE(s->slots);
    if (n < code->co_nlocalsplus
        || n > code->co_nlocalsplus + code->co_stacksize) {
        return false;
    }
    const char *kinds = PyBytes_AS_STRING(code->co_localspluskinds);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *v = PyTuple_GET_ITEM(s->slots, i);
        char mark = s->marks ? s->marks[i] : OBJECT;
        int kind = i < code->co_nlocalsplus ? kinds[i] : 0;
        bool cell = kind & (CO_FAST_CELL | CO_FAST_FREE);
        bool good = mark == OBJECT
                        ? !cell || PyCell_Check(v) || is_put_aside(code, i)
                    : mark == EMPTY ? !(kind & CO_FAST_FREE)
                    : mark == NUMBER
                        ? i >= code->co_nlocalsplus && is_good_number_slot(v)
                        : false;
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Returns -1 with ValueError, or with the MemoryError that there is. */
static int
bad_state(const char *what)
{
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Format(PyExc_ValueError, "not the state of %s", what);
    }
    return -1;
}

/* An int that fits; -1: it does not, or is none. */
static int
small_number(PyObject *v, int most)
{
    long n = PyLong_CheckExact(v) ? PyLong_AsLong(v) : -1;
    if (n == -1) {
        PyErr_Clear();
    }
    return n >= 0 && n <= most ? (int)n : -1;
}

/* Does each part have its type?  *n: how many marks. */
static bool
take_apart(PyObject *state, frame_state *s, Py_ssize_t *n)
{
    if (!PyTuple_CheckExact(state) /* or nobody has looked at it */
        || PyTuple_GET_SIZE(state) != SLP_FRAME_ITEMS) {
        return false;
    }
    PyObject **item = &PyTuple_GET_ITEM(state, 0);
    if (!PyFunction_Check(item[0]) || !PyBytes_Check(item[4])
        || !PyTuple_Check(item[5])) {
        return false;
    }
    *s = (frame_state){.function = item[0],
                       .locals = item[1],
                       .offset = small_number(item[2], INT_MAX),
                       .return_offset = small_number(item[3], UINT16_MAX),
                       .marks = PyBytes_AS_STRING(item[4]),
                       .slots = item[5]};
    *n = PyBytes_GET_SIZE(item[4]);
    return true;
}

static int
parse(PyObject *state, frame_state *s)
{
    Py_ssize_t n;
    if (take_apart(state, s, &n)) {
        PyCodeObject *code = code_of(s);
        bool marked = n != 0;
        bool fits = !marked || n == PyTuple_GET_SIZE(s->slots);
        s->marks = marked ? s->marks : NULL;
        if (fits && s->offset >= 0 && s->offset < Py_SIZE(code)
            && s->return_offset >= 0
            && s->offset + s->return_offset < Py_SIZE(code)
            && are_good_slots(s)) {
            return 0;
        }
    }
    return bad_state("a frame");
}

Py_ssize_t
slp_frame_state_size(PyObject *state)
{
    frame_state s;
    return parse(state, &s) < 0 ? -1 : slp_code_words(code_of(&s));
}

Py_ssize_t
slp_frame_room(PyObject *resumer)
{
    enum {
        A_SMALL_CALL = 32
    };
    return slp_code_words((PyCodeObject *)PyFunction_GET_CODE(resumer))
           + A_SMALL_CALL;
}

/* The frame is as it is before its first instruction. */
static void
fill(slp_frame *f, const frame_state *s)
{
    Py_ssize_t n = PyTuple_GET_SIZE(s->slots);
    f->f_locals = s->locals == Py_None ? NULL : Py_NewRef(s->locals);
    f->SLP_POSITION_FIELD = _PyCode_CODE(code_of(s)) + s->offset;
    SLP_SET_RETURN_OFFSET(f, s->return_offset);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *v = PyTuple_GET_ITEM(s->slots, i);
        char mark = s->marks ? s->marks[i] : OBJECT;
        if (mark == OBJECT) {
            slp_slot_fill(&f->localsplus[i], Py_NewRef(v));
        }
        else if (mark == NUMBER) {
            slp_slot_fill_number(&f->localsplus[i], PyLong_AsSsize_t(v));
        }
        else {
            slp_slot_make_empty(&f->localsplus[i]);
        }
    }
    slp_frame_set_depth(f, (int)n);
}

Py_ssize_t
slp_frame_build(PyThreadState *ts, slp_frame *f, PyObject *state,
                slp_frame *below)
{
    frame_state s;
    Py_ssize_t marks;
    take_apart(state, &s, &marks);
    s.marks = marks ? s.marks : NULL;
    slp_frame_init(ts, f, (PyFunctionObject *)Py_NewRef(s.function), below);
    fill(f, &s);
    return slp_code_words(code_of(&s));
}

/* ---- interruptions ------------------------------------------------------- */

Py_ssize_t
slp_interruption_size(PyObject *function)
{
    return slp_code_words((PyCodeObject *)PyFunction_GET_CODE(function));
}

slp_frame *
slp_interruption_push(PyThreadState *ts, slp_pystate *s, slp_frame *top,
                      PyObject *function, int offset, int return_offset)
{
    slp_frame *f = (slp_frame *)s->top;
    slp_frame_init(ts, f, (PyFunctionObject *)Py_NewRef(function), top);
    SLP_SET_RETURN_OFFSET(f, SLP_POSITION_IS_CALL);
    top->SLP_POSITION_FIELD = _PyCode_CODE(slp_frame_code(top)) + offset;
    SLP_SET_RETURN_OFFSET(top, return_offset);
    s->top += slp_interruption_size(function);
    s->depth++;
    s->chunk->top = (size_t)(s->top - &s->chunk->data[0]);
    return f;
}

#if SLP_INTERRUPTIONS_ARE_SOFT

/* The word below a frame's slots says whose the frame is.  When that is what a
   return writes it stays so. */
static slp_slot
word_below(slp_frame *f)
{
    static_assert(offsetof(slp_frame, return_offset) + sizeof(slp_slot)
                      == offsetof(slp_frame, localsplus),
                  "what lies below the slots");
    slp_frame like = *f;
    uint32_t word;
    like.return_offset = 0;
    memcpy(&word, &like.return_offset, sizeof(word));
    return PyStackRef_TagInt(word >> 2);
}

/* Where the stack is empty the last variable will do: it lies below. */
bool
slp_interruption_end(slp_frame *f)
{
    slp_frame *below = f->previous;
    int depth = slp_frame_depth(below) - 1;
    slp_slot *from = &below->localsplus[depth], *to = &f->localsplus[0];
    if (depth < 0) {
        *to = word_below(below);
    }
    else {
        *to = *from;
        slp_slot_make_empty(from);
    }
    slp_frame_set_depth(below, depth);
    return SLP_RETURN_OFFSET(below) == 0;
}

/* CPython looks for the handler of what a call raises one code unit in front of the
   call, where its arguments come from.  Nothing need be in front of a jump that
   belongs to the same `try`, or of the beginning of a generator. */
void
slp_interruption_raises(slp_frame *f)
{
    slp_frame *below = f->previous;
    int at = slp_frame_offset(below);
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *bytes = PyCode_GetCode(slp_frame_code(below));
    if (bytes != NULL) {
        const unsigned char *op = (unsigned char *)PyBytes_AS_STRING(bytes);
        int n = at;
        while (op[2 * n] == EXTENDED_ARG) {
            n++;
        }
        if (op[2 * n] == JUMP_BACKWARD
            || (op[2 * n] == RESUME && op[2 * n + 1] == 0 && n > 0
                && op[2 * n - 2] == POP_TOP)) {
            below->instr_ptr += n + 1 - at;
        }
        Py_DECREF(bytes);
    }
    PyErr_SetRaisedException(exc); /* instead of one there may be */
}

#else

void
slp_interruption_raises(slp_frame *Py_UNUSED(f))
{
}

bool
slp_interruption_end(slp_frame *Py_UNUSED(f))
{
    return false;
}

#endif

PyObject *
slp_frame_object_new(PyObject *code, PyObject *globals)
{
    return (PyObject *)PyFrame_New(slp_ts(), (PyCodeObject *)code, globals,
                                   NULL);
}

bool
slp_may_belong_to_frame(PyObject *op)
{
    return PyIter_Check(op) || PyCell_Check(op) || PyCoro_CheckExact(op)
           || PyAsyncGen_CheckExact(op)
           || (PyFunction_Check(op) && PyFunction_GET_CLOSURE(op) != NULL);
}

/* ---- what is remembered of code ------------------------------------------ */

#if PY_VERSION_HEX < 0x030C0000
#    define REQUEST_INDEX _PyEval_RequestCodeExtraIndex
#    define GET_EXTRA     _PyCode_GetExtra
#    define SET_EXTRA     _PyCode_SetExtra
#else
#    define REQUEST_INDEX PyUnstable_Eval_RequestCodeExtraIndex
#    define GET_EXTRA     PyUnstable_Code_GetExtra
#    define SET_EXTRA     PyUnstable_Code_SetExtra
#endif

static void
forget_facts(void *p)
{
    slp_code_facts *facts = p;
    if (facts != NULL) {
        Py_XDECREF(facts->digest);
        Py_XDECREF(facts->places);
        PyMem_Free(facts);
    }
}

Py_ssize_t
slp_code_facts_index(void)
{
    Py_ssize_t index = REQUEST_INDEX(forget_facts);
    if (index < 0) {
        PyErr_SetString(PyExc_ImportError,
                        "no room is left at code objects: too many others "
                        "keep something there");
    }
    return index;
}

slp_code_facts *
slp_code_facts_of(PyObject *code, Py_ssize_t index)
{
    void *facts = NULL;
    if (GET_EXTRA(code, index, &facts) < 0) {
        return NULL;
    }
    if (facts == NULL) {
        facts = PyMem_Calloc(1, sizeof(slp_code_facts));
        if (facts == NULL) {
            PyErr_NoMemory();
        }
        else if (SET_EXTRA(code, index, facts) < 0) {
            PyMem_Free(facts);
            if (!PyErr_Occurred()) {
                PyErr_NoMemory();
            }
            facts = NULL;
        }
    }
    return facts;
}

/* ---- generators ---------------------------------------------------------- */

#if PY_VERSION_HEX >= 0x030F0000
#    define IS_FINISHED(gen) ((gen)->gi_frame_state == FRAME_CLEARED)
#else
#    define IS_FINISHED(gen) ((gen)->gi_frame_state >= FRAME_COMPLETED)
#endif
#define FRAME_OF(gen) ((slp_frame *)&(gen)->gi_iframe)

bool
slp_is_generator(PyObject *op)
{
    return PyGen_CheckExact(op) || PyCoro_CheckExact(op)
           || PyAsyncGen_CheckExact(op);
}

PyObject *
slp_frame_owner(slp_frame *f)
{
    return f->owner == FRAME_OWNED_BY_GENERATOR
               ? (PyObject *)slp_frame_generator(f)
               : NULL;
}

/* Does a suspended tasklet run it, without C in between? */
static bool
runs_in_soft_chain(slp_frame *f)
{
    while (f != NULL && !slp_frame_is_entry(f)) {
        f = f->previous;
    }
    return f == NULL;
}

static int
flags_of(PyGenObject *gen)
{
    if (!PyAsyncGen_CheckExact((PyObject *)gen)) {
        return 0;
    }
    PyAsyncGenObject *agen = (PyAsyncGenObject *)gen;
    return (agen->ag_closed ? 1 : 0) | (agen->ag_running_async ? 2 : 0);
}

slp_frame *
slp_generator_frame(PyObject *op)
{
    PyGenObject *gen = (PyGenObject *)op;
    return IS_FINISHED(gen) ? NULL : FRAME_OF(gen);
}

bool
slp_generator_runs(PyObject *op)
{
    PyGenObject *gen = (PyGenObject *)op;
    return gen->gi_frame_state == FRAME_EXECUTING
           && !runs_in_soft_chain(FRAME_OF(gen));
}

bool
slp_generator_executes(PyObject *op)
{
    return ((PyGenObject *)op)->gi_frame_state == FRAME_EXECUTING;
}

bool
slp_generator_is_fresh(PyObject *op)
{
    return ((PyGenObject *)op)->gi_frame_state == FRAME_CREATED;
}

void
slp_generator_drop(PyObject *op)
{
    PyGenObject *gen = (PyGenObject *)op;
    if (!IS_FINISHED(gen) && gen->gi_frame_state != FRAME_EXECUTING) {
        slp_frames_drop(FRAME_OF(gen), FRAME_OF(gen));
    }
}

PyObject *
slp_generator_state(PyObject *op, slp_extent e, PyObject *init)
{
    PyGenObject *gen = (PyGenObject *)op;
    PyObject *frame = Py_None;
    if (!IS_FINISHED(gen)) {
        slp_frame *f = FRAME_OF(gen);
        bool runs = gen->gi_frame_state == FRAME_EXECUTING;
        frame = frame_state_of(f, e, runs ? SLP_RETURN_OFFSET(f) : 0, init);
        if (frame == NULL) {
            return NULL;
        }
    }
    PyObject *exc = gen->gi_exc_state.exc_value;
    return Py_BuildValue("(NiOOOi)",
                         frame == Py_None ? Py_NewRef(frame) : frame,
                         (int)gen->gi_frame_state, exc ? exc : Py_None,
                         gen->gi_name, gen->gi_qualname, flags_of(gen));
}

static void
set_flags(PyGenObject *gen, int flags)
{
    if (PyAsyncGen_CheckExact((PyObject *)gen)) {
        PyAsyncGenObject *agen = (PyAsyncGenObject *)gen;
        agen->ag_closed = flags & 1;
        agen->ag_running_async = (flags & 2) != 0;
    }
}

/* Would it be taken for one that waits for another generator? */
static bool
is_taken_to_wait(int frame_state_number, const frame_state *s)
{
#if PY_VERSION_HEX >= 0x030D0000
    (void)s;
    return frame_state_number == FRAME_SUSPENDED_YIELD_FROM;
#else
    if (s->offset + 1 >= Py_SIZE(code_of(s))) {
        return false;
    }
    _Py_CODEUNIT next = _PyCode_CODE(code_of(s))[s->offset + 1];
#    if PY_VERSION_HEX >= 0x030C0000
    bool resumes = next.op.code == RESUME
                   || next.op.code == INSTRUMENTED_RESUME;
    return resumes && next.op.arg >= 2 && frame_state_number > FRAME_CREATED;
#    else
    bool resumes = _Py_OPCODE(next) == RESUME
                   || _Py_OPCODE(next) == RESUME_QUICK;
    return resumes && _Py_OPARG(next) >= 2
           && frame_state_number > FRAME_CREATED;
#    endif
#endif
}

/* 3.15 has what SEND calls on top of what it sends to. */
#define SLP_ABOVE_RECEIVER (PY_VERSION_HEX >= 0x030F0000 ? 1 : 0)

/* A generator that waits for another one has that on its stack. */
static bool
is_good_number(int frame_state_number, const frame_state *s)
{
    Py_ssize_t top = PyTuple_GET_SIZE(s->slots) - 1 - SLP_ABOVE_RECEIVER;
    if (is_taken_to_wait(frame_state_number, s)
        && (top < code_of(s)->co_nlocalsplus
            || (s->marks != NULL && s->marks[top] != OBJECT))) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030F0000
    if (frame_state_number == FRAME_SUSPENDED_YIELD_FROM_LOCKED) {
        return false;
    }
#endif
    (void)s;
    return frame_state_number >= FRAME_CREATED
           && frame_state_number <= FRAME_EXECUTING;
}

int
slp_generator_set_state(PyObject *op, PyObject *state)
{
    PyGenObject *gen = (PyGenObject *)op;
    PyObject *frame, *exc, *name, *qualname;
    int frame_state_number, flags;
    frame_state s;
    if (!slp_is_generator(op) || gen->gi_frame_state != FRAME_CREATED
        || !PyTuple_Check(state)) {
        PyErr_SetString(PyExc_ValueError, "not a fresh generator");
        return -1;
    }
    if (!PyArg_ParseTuple(state, "OiOUUi", &frame, &frame_state_number, &exc,
                          &name, &qualname, &flags)
        || (exc != Py_None && !PyExceptionInstance_Check(exc))
        || (frame != Py_None && parse(frame, &s) < 0)) {
        return bad_state("a generator");
    }
    slp_frame *f = FRAME_OF(gen);
    if (frame != Py_None
        && (slp_frame_function(f) != s.function
            || !is_good_number(frame_state_number, &s))) {
        return bad_state("this generator");
    }
    Py_XSETREF(gen->gi_name, Py_NewRef(name));
    Py_XSETREF(gen->gi_qualname, Py_NewRef(qualname));
    set_flags(gen, flags);
    if (frame == Py_None) {
        slp_frames_drop(f, f);
        return 0;
    }
    /* Nothing is destroyed while the frame is in between: it holds arguments
       that mean nothing. */
    PyObject *old = PyTuple_New(slp_frame_depth(f));
    if (old == NULL) {
        return -1;
    }
    for (int i = slp_frame_depth(f) - 1; i >= 0; i--) {
        PyObject *v = slp_slot_is_empty(f->localsplus[i])
                              || slp_slot_is_number(f->localsplus[i])
                          ? NULL
                          : slp_slot_steal(&f->localsplus[i]);
        PyTuple_SET_ITEM(old, i, v ? v : Py_NewRef(Py_None));
    }
    fill(f, &s);
    if (exc != Py_None) {
        gen->gi_exc_state.exc_value = Py_NewRef(exc);
    }
    gen->gi_frame_state = (int8_t)frame_state_number;
    if (frame_state_number == FRAME_EXECUTING) {
        _PyGC_SET_FINALIZED(op); /* not to be closed if nothing ever runs it */
    }
    Py_DECREF(old);
    return 0;
}

#if SLP_GENERATORS_ARE_CALLED

static bool
runs(slp_frame *below, PyObject *op)
{
    return slp_frame_can_call(below, op);
}

static void
see_no_call(slp_frame *f)
{
    f->is_entry = false; /* what it was copied from may have been one */
}

#else

static bool
runs(slp_frame *below, PyObject *op)
{
    int depth = slp_frame_depth(below);
    bool held = false;
    for (int i = depth - 1; i >= 0 && i >= depth - 2; i--) {
        held = held || slp_slot_peek(below->localsplus[i]) == op;
    }
    return held;
}

static void
see_no_call(slp_frame *Py_UNUSED(f))
{
}

#endif

slp_frame *
slp_generator_link(PyObject *op, slp_frame *below, _PyErr_StackItem **exc_info)
{
    PyGenObject *gen = (PyGenObject *)op;
    slp_frame *f = FRAME_OF(gen);
    if (!runs(below, op) || !slp_is_generator(op) || f->previous != NULL
        || gen->gi_frame_state != FRAME_EXECUTING || !_PyGC_FINALIZED(op)) {
        PyErr_SetString(PyExc_ValueError, "a generator that nothing runs");
        return NULL;
    }
    slp_gc_unfinalize(op);
    see_no_call(f);
    f->previous = below;
    gen->gi_exc_state.previous_item = *exc_info;
    *exc_info = &gen->gi_exc_state;
    return f;
}
