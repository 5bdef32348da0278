/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: frames, generators and iterators as values, and made from
   them.

   The functions that make something allocate, and fail with an exception. */
#ifndef SLP_COMPAT_FROZEN_H
#define SLP_COMPAT_FROZEN_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

/* Is f a frame of our own functions?  They are no part of a frozen program. */
SLP_INTERNAL bool slp_frame_is_ours(slp_frame *f);
SLP_INTERNAL bool slp_frame_is_of(slp_frame *f, PyObject *function);
/* How many slots of a frame are in use.  The last ones are `unsure` if an
   instruction is in the middle of them: it may have released what they hold. */
typedef struct {
    int depth, unsure;
} slp_extent;
/* A suspended frame as (function, locals or None, offset, return offset, marks,
   slots): offsets in code units, one byte of marks for each slot, or none if all
   hold objects.  Of slots that are unsure it has the addresses.  `init` stands for
   what CPython puts below an inlined __init__. */
SLP_INTERNAL PyObject *slp_frame_state(slp_frame *f, slp_extent e,
                                       PyObject *init);
enum {
    SLP_FRAME_ITEMS = 6
};
/* That tuple of new references, which it takes; NULL if one is, with its
   exception. */
SLP_INTERNAL PyObject *slp_frame_tuple(PyObject **parts);
SLP_INTERNAL int slp_frame_offset(slp_frame *f);
/* Does it know how far its stack reaches?  Up to 3.13 not in the middle of a call
   of C. */
SLP_INTERNAL bool slp_frame_has_depth(slp_frame *f);
/* Words of data stack that such a frame takes; -1 with ValueError: it is none. */
SLP_INTERNAL Py_ssize_t slp_frame_state_size(PyObject *state);
/* Make it at f, above `below`; the state is a good one, so nothing fails.
   Returns that size. */
SLP_INTERNAL Py_ssize_t slp_frame_build(PyThreadState *ts, slp_frame *f,
                                        PyObject *state, slp_frame *below);
/* What slp_frame_state() calls init: a function whose frame awaits the value of an
   __init__ and returns check(self, value). */
SLP_INTERNAL PyObject *slp_init_function_new(PyObject *check);
/* A function whose frame returns what it gets; where it stands meanwhile is as for
   that one: at its first instruction. */
SLP_INTERNAL PyObject *slp_value_function_new(void);
SLP_INTERNAL PyObject *slp_value_state(PyObject *function);
/* From 3.14 on a frame that was left between two instructions, where CPython looks
   for signals and the like, is complete.  To go on softly it gets a frame of this
   function above, which takes the value on top of its stack, so that it can
   return that: `op` is to call slp_interruption_end(). */
#define SLP_INTERRUPTIONS_ARE_SOFT (PY_VERSION_HEX >= 0x030E0000)
/* None where they are not. */
SLP_INTERNAL PyObject *slp_interrupted_function_new(PyObject *op);
/* Put one above `top`, the newest frame of the stack of s, where there is room for
   it; `top` goes on so many code units behind the one at the offset.  Returns it. */
SLP_INTERNAL slp_frame *slp_interruption_push(PyThreadState *ts,
                                              slp_pystate *s, slp_frame *top,
                                              PyObject *function, int offset,
                                              int return_offset);
/* How many words that takes. */
SLP_INTERNAL Py_ssize_t slp_interruption_size(PyObject *function);
/* Is CPython going to look again, at the same place? */
SLP_INTERNAL bool slp_interruption_end(slp_frame *f);
/* An exception is going to leave it. */
SLP_INTERNAL void slp_interruption_raises(slp_frame *f);
#define SLP_SEND_CACHES (PY_VERSION_HEX >= 0x030C0000 ? 1 : 0)
/* Where a frame stands that has sent something. */
typedef struct {
    int offset, return_offset;
} slp_send_place;
/* A function whose frame runs a generator, which is on its stack, as a call of its
   send() does: it returns what that yields, and when it has returned what
   returned(None, value) does. */
SLP_INTERNAL PyObject *slp_send_function_new(PyObject *returned,
                                             slp_send_place *at);
/* A function whose frame runs one on behalf of an awaitable, its first variable:
   it returns what one of these makes of (awaitable, value). */
SLP_INTERNAL PyObject *slp_await_function_new(PyObject *yielded,
                                              PyObject *returned,
                                              PyObject *raised,
                                              slp_send_place *at);
/* Words that slp_point_push() needs above the newest frame, and some more. */
SLP_INTERNAL Py_ssize_t slp_frame_room(PyObject *resumer);

/* A frame object for a traceback. */
SLP_INTERNAL PyObject *slp_frame_object_new(PyObject *code, PyObject *globals);

/* A generator, coroutine or asynchronous generator as (frame state or None,
   state, exception being handled or None, name, qualname, flags). */
SLP_INTERNAL PyObject *slp_generator_state(PyObject *gen, slp_extent e,
                                           PyObject *init);
/* Its frame; NULL if it has finished. */
SLP_INTERNAL slp_frame *slp_generator_frame(PyObject *gen);
/* Is it running, but in a soft chain? */
SLP_INTERNAL bool slp_generator_runs(PyObject *gen);
/* Is it running, or its tasklet suspended inside of it? */
SLP_INTERNAL bool slp_generator_executes(PyObject *gen);
/* Has it not begun? */
SLP_INTERNAL bool slp_generator_is_fresh(PyObject *gen);
/* Make one that nothing runs a finished one, without running it.  One that is
   running, or has finished, stays as it is.  Runs destructors. */
SLP_INTERNAL void slp_generator_drop(PyObject *gen);
/* Make a fresh one of the same code what the state says. */
SLP_INTERNAL int slp_generator_set_state(PyObject *gen, PyObject *state);
SLP_INTERNAL bool slp_is_generator(PyObject *op);
/* The generator that f is a frame of, or NULL; borrowed. */
SLP_INTERNAL PyObject *slp_frame_owner(slp_frame *f);
/* Put the frame of a generator that runs above `below`, which is running it;
   *exc_info is the innermost exception being handled, before and afterwards.
   NULL with an exception if it cannot be. */
SLP_INTERNAL slp_frame *slp_generator_link(PyObject *gen, slp_frame *below,
                                           _PyErr_StackItem **exc_info);

/* On 3.11 a generator's frame must be the first one in a call of the interpreter's
   function, and chains that were built have no calls in C: see compat_called.c. */
#if PY_VERSION_HEX < 0x030C0000
#    define SLP_GENERATORS_ARE_CALLED 1
/* Is f in the middle of an instruction that runs gen, and can run it once more? */
SLP_INTERNAL bool slp_frame_can_call(slp_frame *f, PyObject *gen);
/* A chain with generators in it is going to run, exceptions that it handles begin
   with exc.  The calls will enter frames of `gate`, a function. */
SLP_INTERNAL void slp_calls_begin(PyThreadState *ts, slp_frame *top,
                                  slp_frame *bottom, _PyErr_StackItem *exc,
                                  PyObject *gate);
/* The running gate returns into the next part of the chain; what it has to return
   there, a new reference, or NULL: that is the last one. */
SLP_INTERNAL PyObject *slp_calls_go_on(PyThreadState *ts);
#else
#    define SLP_GENERATORS_ARE_CALLED 0
#endif

/* What is remembered of a code object, as long as that lives; NULL: not known yet.
   The module asks once for the index; -1 with an exception: there is none left. */
typedef struct {
    PyObject *digest; /* bytes, SLP_DIGEST_SIZE of them */
    PyObject *places; /* dict: where a frame can wait */
} slp_code_facts;
enum {
    SLP_DIGEST_SIZE = 8
};
SLP_INTERNAL Py_ssize_t slp_code_facts_index(void);
/* NULL with an exception. */
SLP_INTERNAL slp_code_facts *slp_code_facts_of(PyObject *code,
                                               Py_ssize_t index);
/* Borrowed. */
static inline PyObject *
slp_function_qualname(PyObject *function)
{
    return ((PyFunctionObject *)function)->func_qualname;
}

/* Is it an iterator, something that runs by itself, or a function or cell with
   variables that it may share with frames?  True for too many things. */
SLP_INTERNAL bool slp_may_belong_to_frame(PyObject *op);

/* An iterator of itertools, or another object that compat_shapes.c knows, as a tuple
   with one item for each of its fields: a number; numbers or objects; or an object
   in a tuple, which is empty for NULL. TypeError: it is not known. */
SLP_INTERNAL PyObject *slp_iterator_state(PyObject *op);
/* Make a fresh one, which is nowhere in use, what the state says; -1 with
   ValueError if one could not go on from there. */
SLP_INTERNAL int slp_iterator_set_state(PyObject *op, PyObject *state);
/* Is it laid out as these functions take it for? If not, it must not be given to
   them. `words` are the fields that it should have: a number, numbers, or an object
   in a tuple. */
SLP_INTERNAL bool slp_iterator_fits(PyObject *op, PyObject *words);

/* What an asynchronous generator is awaited by. */
enum {
    SLP_ASEND,
    SLP_ACLOSE,
    SLP_ATHROW,
    SLP_ANEXT /* anext() with two arguments */
};
/* As (generator or what anext() wraps, kind, state, value); TypeError for anything
   else, and where its structure is not known. */
SLP_INTERNAL PyObject *slp_await_state(PyObject *op);
/* One that is closed; nobody is told that the generator begins. */
SLP_INTERNAL PyObject *slp_await_new(PyObject *gen, int kind);
/* Give a closed one a state.  -1 with ValueError: it cannot be in that. */
SLP_INTERNAL int slp_await_set_state(PyObject *op, int state, PyObject *value);
/* *below: the frame below the calling one, which runs a generator for it, if that
   is awaiting it, or NULL.  -1 with an exception. */
SLP_INTERNAL int slp_await_below(PyThreadState *ts, slp_frame **below);
/* The generator has returned: NULL with the exception that says so. */
SLP_INTERNAL PyObject *slp_await_return(PyObject *awaitable, PyObject *value);
/* What C does for an awaitable when its generator has run: takes a reference to the
   result, or NULL with an exception.  Without a frame that awaits the value is that
   of a call of send(); that frame is told whether it has been yielded or returned. */
SLP_INTERNAL PyObject *slp_await_finish(PyObject *awaitable, PyObject *result,
                                        slp_frame *below);
/* Returns NULL with StopIteration. */
SLP_INTERNAL PyObject *slp_stop_with(PyObject *value);

/* What slp_instrumentation_changed() takes for another version than the present
   one, if there are tools at all. */
static inline uintptr_t
slp_instrumentation_unseen(PyThreadState *ts)
{
    uintptr_t version = SLP_INSTRUMENTATION_VERSION(ts);
    (void)ts; /* 3.11 */
    return version == 0 ? version : ~version;
}

#endif
