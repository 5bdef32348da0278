/* SPDX-License-Identifier: PSF-2.0 */
/* Instructions put one after the other: for compat_code.c and
   compat_stand_ins.c, which make functions of them. */
#ifndef SLP_COMPAT_EMIT_H
#define SLP_COMPAT_EMIT_H

#include "compat.h"

#include "opcode.h"

#define HAS_END_SEND (PY_VERSION_HEX >= 0x030C0000)
#define HAS_PRECALL  (PY_VERSION_HEX < 0x030C0000)
/* Where the empty "self" slot of a call lies: below the callable or above. */
#define NULL_FIRST (PY_VERSION_HEX < 0x030D0000)
/* SEND keeps a slot between the receiver and the value. */
#define SEND_HAS_GAP (PY_VERSION_HEX >= 0x030F0000)

#if PY_VERSION_HEX >= 0x030C0000
#    define CALL_CACHES 3
#else
#    define PRECALL_CACHES 1
#    define CALL_CACHES    4
#endif

/* FOR_ITER calls tp_iternext from where SEND does.  On 3.11 SEND makes one C call
   more, on 3.15 FOR_ITER does; it is SEND there. */
#define MAY_FOR_ITER                                                          \
    (PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030F0000)

#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
/* Only builds with the JIT have it. */
#    pragma weak _Py_GetOptimizer
#endif

/* Can code that runs be compiled, in this process? */
static inline bool
has_jit(void)
{
#if PY_VERSION_HEX >= 0x030E0000
    return slp_ts()->interp->jit;
#elif PY_VERSION_HEX >= 0x030D0000
    return _Py_GetOptimizer != NULL;
#else
    return false;
#endif
}

static inline bool
by_for_iter(void)
{
    return MAY_FOR_ITER && !has_jit();
}

/* ---- a buffer of instructions -------------------------------------------- */

typedef struct {
    unsigned char *bytes;
    int used, size; /* in bytes */
    bool failed;
} code_buffer;

static inline void
emit_byte_pair(code_buffer *b, int op, int arg)
{
    if (b->used + 2 > b->size) {
        int size = b->size ? 2 * b->size : 256;
        unsigned char *bytes = PyMem_Realloc(b->bytes, (size_t)size);
        if (bytes == NULL) {
            b->failed = true;
            return;
        }
        b->bytes = bytes;
        b->size = size;
    }
    b->bytes[b->used++] = (unsigned char)op;
    b->bytes[b->used++] = (unsigned char)arg;
}

static inline void
emit(code_buffer *b, int op, int arg, int caches)
{
    if (arg > 0xffff) {
        emit_byte_pair(b, EXTENDED_ARG, (arg >> 16) & 0xff);
    }
    if (arg > 0xff) {
        emit_byte_pair(b, EXTENDED_ARG, (arg >> 8) & 0xff);
    }
    emit_byte_pair(b, op, arg & 0xff);
    for (int i = 0; i < caches; i++) {
        emit_byte_pair(b, CACHE, 0);
    }
}

/* Are quick ops and the dispatcher's asked by UNARY_INVERT?  It does less than those
   two, but knows no second way out: see slp_point_goes_on(). */
static inline bool
by_invert(void)
{
    return !has_jit();
}

/* Send None to what is on the stack. */
static inline int
emit_send(code_buffer *b)
{
#if SEND_HAS_GAP
    emit(b, PUSH_NULL, 0, 0);
#endif
    emit(b, LOAD_CONST, 0, 0);
    int place = b->used;
    emit(b, SEND, 0, SLP_SEND_CACHES);
    return place;
}

/* Ask the op on the stack.  The op and its value are there then; if it gave none
   there is a jump, to where land() says.  Constant 0 is None. */
static inline int
emit_ask_top(code_buffer *b)
{
    if (by_for_iter()) {
        int place = b->used;
        emit(b, FOR_ITER, 0, SLP_SEND_CACHES);
        return place;
    }
    return emit_send(b);
}

/* The same of the op in constant `op`. */
static inline int
emit_ask(code_buffer *b, int op)
{
    emit(b, LOAD_CONST, op, 0);
    return emit_ask_top(b);
}

/* The op gave a value: leave just that on the stack. */
static inline void
emit_end_ask(code_buffer *b)
{
#if HAS_END_SEND
    emit(b, END_SEND, 0, 0);
#else
    emit(b, SWAP, 2, 0);
    emit(b, POP_TOP, 0, 0);
#endif
}

/* The op gave a value: return it. */
static inline void
emit_return(code_buffer *b)
{
#ifndef Py_DEBUG
    bool clean = false; /* the op goes with the frame */
#else
    bool clean = true; /* checked */
#endif
    if (clean || !by_for_iter()) {
        emit_end_ask(b);
    }
    emit(b, RETURN_VALUE, 0, 0);
}

/* The jump at `place` leads to here. */
static inline void
aim(code_buffer *b, int place)
{
    if (!b->failed) {
        int from = place + 2 + 2 * SLP_SEND_CACHES;
        b->bytes[place + 1] = (unsigned char)((b->used - from) / 2);
    }
}

/* Likewise; nothing is left on the stack. */
static inline void
land(code_buffer *b, int place)
{
    aim(b, place);
#if MAY_FOR_ITER
    if (by_for_iter()) {
        /* The jump goes one further, on 3.13 two. */
        emit(b, END_FOR, 0, 0);
        if (PY_VERSION_HEX >= 0x030D0000) {
            emit(b, POP_TOP, 0, 0);
        }
        return;
    }
#endif
#if HAS_END_SEND
    emit(b, END_SEND, 0, 0);
#endif
    emit(b, POP_TOP, 0, 0);
}

static inline void
emit_call_prologue(code_buffer *b)
{
    if (NULL_FIRST) {
        emit(b, PUSH_NULL, 0, 0);
    }
}

/* After the callable. */
static inline void
emit_call_self(code_buffer *b)
{
    if (!NULL_FIRST) {
        emit(b, PUSH_NULL, 0, 0);
    }
}

static inline void
emit_call(code_buffer *b, int nargs)
{
#if HAS_PRECALL
    /* 3.11 makes code adaptive in RESUME, which ours has not. */
    emit(b, PRECALL_ADAPTIVE, nargs, PRECALL_CACHES);
    emit(b, CALL_ADAPTIVE, nargs, CALL_CACHES);
#else
    emit(b, CALL, nargs, CALL_CACHES);
#endif
}

static inline void
emit_call_const(code_buffer *b, int index)
{
    emit_call_prologue(b);
    emit(b, LOAD_CONST, index, 0);
    emit_call_self(b);
    emit_call(b, 0);
}

static inline void
emit_jump_back(code_buffer *b, int target)
{
    emit(b, JUMP_BACKWARD_NO_INTERRUPT, (b->used - target) / 2 + 1, 0);
}

/* ---- functions ----------------------------------------------------------- */

/* One of ours that programs do not see.  Takes the buffer's memory and a reference
   to consts.  The first `argcount` of its variables are parameters. */
SLP_INTERNAL PyObject *slp_new_internal(const char *name, code_buffer *b,
                                        PyObject *consts, int locals,
                                        int argcount, int stacksize,
                                        PyObject *exceptiontable);
/* One entry over [0, end): on an exception go to `end` with an empty stack. */
SLP_INTERNAL PyObject *slp_exception_table(int end);
/* What handles an exception must be seen to be instrumented, where that is
   asserted. */
SLP_INTERNAL void slp_show_handler(PyObject *function);

#endif
