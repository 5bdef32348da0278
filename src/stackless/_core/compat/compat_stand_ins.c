/* SPDX-License-Identifier: PSF-2.0 */
/* Assembles the functions whose frames stand for something else in a tasklet that
   was frozen or made soft: compat_frozen.h. */
#include "compat_emit.h"

PyObject *
slp_value_function_new(void)
{
    code_buffer b = {0};
    emit(&b, NOP, 0, 0);
    emit(&b, RETURN_VALUE, 0, 0);
    return slp_new_internal("value", &b, PyTuple_Pack(1, Py_None), 0, 0, 1,
                            NULL);
}

#if SLP_INTERRUPTIONS_ARE_SOFT

PyObject *
slp_interrupted_function_new(PyObject *op)
{
    code_buffer b = {0};
    emit(&b, NOP, 0, 0); /* it waits here */
    emit_ask(&b, 1);
    emit_end_ask(&b);
    emit(&b, POP_TOP, 0, 0);
    emit(&b, POP_TOP, 0, 0); /* what it was given: nobody has asked */
    emit(&b, LOAD_FAST_AND_CLEAR, 0, 0);
    emit(&b, RETURN_VALUE, 0, 0);
    return slp_new_internal("interrupted", &b, PyTuple_Pack(2, Py_None, op), 1,
                            0, 4, NULL);
}

#else

PyObject *
slp_interrupted_function_new(PyObject *Py_UNUSED(op))
{
    return Py_NewRef(Py_None);
}

#endif

/* Return what constant `finish` makes of the first variable and what is on the
   stack. */
static void
emit_finish(code_buffer *b, int finish)
{
    emit(b, STORE_FAST, 1, 0);
    emit_call_prologue(b);
    emit(b, LOAD_CONST, finish, 0);
    emit_call_self(b);
    emit(b, LOAD_FAST, 0, 0);
    emit(b, LOAD_FAST, 1, 0);
    emit_call(b, 2);
    emit(b, RETURN_VALUE, 0, 0);
}

PyObject *
slp_init_function_new(PyObject *check)
{
    code_buffer b = {0};
    emit(&b, NOP, 0, 0);
    emit_finish(&b, 1);
    return slp_new_internal("init", &b, PyTuple_Pack(2, Py_None, check), 2, 1,
                            4, NULL);
}

/* Sends None to what is on the stack; its value goes to constant 2, if that is
   there, what it returns to constant 1. */
static void
emit_run(code_buffer *b, bool finish_yielded, slp_send_place *at)
{
    emit(b, LOAD_CONST, 0, 0);
    int place = emit_send(b);
    emit_end_ask(b);
    if (finish_yielded) {
        emit_finish(b, 2);
    }
    emit(b, RETURN_VALUE, 0, 0);
    aim(b, place);
#if HAS_END_SEND
    emit(b, END_SEND, 0, 0);
#endif
    emit_finish(b, 1);
    int jump = b->failed ? 0 : b->bytes[place + 1]; /* of SEND */
    at->offset = place / 2 + (SLP_POSITION_IS_CALL ? 0 : SLP_SEND_CACHES);
    at->return_offset = jump
                        + (SLP_POSITION_IS_CALL ? 1 + SLP_SEND_CACHES : 0);
    if (SLP_GENERATORS_ARE_CALLED) {
        at->return_offset = 0; /* SEND jumps by itself */
    }
}

PyObject *
slp_send_function_new(PyObject *returned, slp_send_place *at)
{
    code_buffer b = {0};
    emit_run(&b, false, at);
    return slp_new_internal("generator", &b,
                            PyTuple_Pack(2, Py_None, returned), 2, 0, 4, NULL);
}

PyObject *
slp_await_function_new(PyObject *yielded, PyObject *returned, PyObject *raised,
                       slp_send_place *at)
{
    code_buffer b = {0};
    emit_run(&b, true, at);
    PyObject *table = slp_exception_table(b.used / 2);
    emit_finish(&b, 3);
    PyObject *consts = PyTuple_Pack(4, Py_None, returned, yielded, raised);
    PyObject *function = slp_new_internal("awaitable", &b, consts, 2, 0, 4,
                                          table);
    Py_XDECREF(table);
    slp_show_handler(function);
    return function;
}
