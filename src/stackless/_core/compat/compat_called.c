/* SPDX-License-Identifier: PSF-2.0 */
/* Chains that were built have no calls in C, which generators need on 3.11.

   There YIELD_VALUE leaves the interpreter's function, whoever drives the
   generator, so that its frame must be the first one of such a call.  The calls are
   made anew when the chain is to run: each frame below a generator does the
   instruction once more that runs it, FOR_ITER or SEND, and that leads to
   gen_send_ex() and to the interpreter, as ever.  Only, for the generator's frame
   the interpreter enters a gate's, by way of the hook of PEP 523; that frame
   returns into the newest one which belongs to this call.

   Between two of these steps is an instruction that calls a generator straight: no
   Python code, nothing that allocates, no hand-over of the GIL.  So the hook meets
   nobody else. */
#include "compat.h"

#if SLP_GENERATORS_ARE_CALLED

#    include "opcode.h"

static SLP_TLS struct {
    PyObject *gate;    /* borrowed */
    slp_frame *newest; /* of the next call */
    slp_frame
        *generator; /* the first one of that, or NULL: it has been made */
    slp_frame *top; /* of the last one */
} calls;

bool
slp_frame_can_call(slp_frame *f, PyObject *gen)
{
    int depth = slp_frame_depth(f);
    int op = _Py_OPCODE(*f->prev_instr);
    return depth > slp_frame_code(f)->co_nlocalsplus
           && f->localsplus[depth - 1] == gen
           && (op == SEND || (op == FOR_ITER && PyGen_CheckExact(gen)));
}

static bool
extends_argument(_Py_CODEUNIT unit)
{
    int op = _Py_OPCODE(unit);
    return op == EXTENDED_ARG || op == EXTENDED_ARG_QUICK;
}

/* f, which is in the middle of an instruction, is to begin it anew. */
static void
rewind_frame(slp_frame *f)
{
    _Py_CODEUNIT *start = _PyCode_CODE(slp_frame_code(f));
    do {
        f->prev_instr--;
    } while (f->prev_instr >= start && extends_argument(*f->prev_instr));
}

void
slp_calls_begin(PyThreadState *ts, slp_frame *top, slp_frame *bottom,
                _PyErr_StackItem *exc, PyObject *gate)
{
    ts->exc_info = exc;
    calls.gate = gate;
    calls.generator = NULL;
    calls.newest = calls.top = top;
    for (slp_frame *f = top, *below; f != bottom; f = below) {
        below = f->previous;
        if (f->owner == FRAME_OWNED_BY_GENERATOR) {
            slp_frame_generator(f)->gi_frame_state = FRAME_SUSPENDED;
            f->previous = calls.newest; /* until it is called */
            calls.newest = below;
        }
    }
}

/* In place of the generator's frame, which has got a value sent. */
static PyObject *
enter_gate(PyThreadState *ts, slp_frame *f, int throwflag)
{
    ts->interp->eval_frame = NULL;
    SLP_ASSERT(f == calls.generator);
    slp_frame_set_depth(f, slp_frame_depth(f) - 1);
    slp_slot_clear(&f->localsplus[slp_frame_depth(f)]);
    slp_frame *gate = (slp_frame *)ts->datastack_top;
    PyFunctionObject *func = (PyFunctionObject *)calls.gate;
    slp_frame_init(ts, gate, (PyFunctionObject *)Py_NewRef(func), NULL);
    PyCodeObject *code = (PyCodeObject *)func->func_code;
    ts->datastack_top =
        &gate->localsplus[code->co_nlocalsplus + code->co_stacksize];
    SLP_ASSERT(ts->datastack_top <= ts->datastack_limit);
    return _PyEval_EvalFrameDefault(ts, gate, throwflag);
}

PyObject *
slp_calls_go_on(PyThreadState *ts)
{
    slp_frame *gate = SLP_FRAME(ts), *f = calls.newest;
    if (calls.generator != NULL) {
        gate->is_entry = false;
        calls.generator->is_entry = true;
    }
    gate->previous = f;
    if (f == calls.top) {
        calls.gate = NULL;
        calls.newest = calls.generator = calls.top = NULL;
        return NULL;
    }
    int last = slp_frame_depth(f) - 1;
    PyObject *gen = f->localsplus[last];
    calls.generator = (slp_frame *)((PyGenObject *)gen)->gi_iframe;
    calls.newest = calls.generator->previous;
    bool sends = _Py_OPCODE(*f->prev_instr) == SEND;
    rewind_frame(f);
    ts->interp->eval_frame = enter_gate;
    if (sends) {
        return Py_NewRef(Py_None);
    }
    slp_frame_set_depth(f, last); /* it gets that back */
    return slp_slot_steal(&f->localsplus[last]);
}

#endif
