/* SPDX-License-Identifier: PSF-2.0 */
/* Tasklets as values, and made from them.

   A suspended tasklet is its frames, from the first one on, but for those of our
   own functions: the one on top is in the middle of the call that suspends, and
   goes on as if that had been left in one go (quick.c), the one at the bottom
   only passes arguments on.  In place of a generator's frame stands the
   generator. */
#include "frozen.h"

#include "../core/atomic.h"
#include "../core/bomb.h"
#include "../core/dispatch.h"
#include "../core/soften.h"
#include "../wait/channel.h"

slp_task *
slp_tasklet_arg(slp_state *s, PyObject *op)
{
    if (!PyObject_TypeCheck(op, s->tasklet_type)) {
        PyErr_Format(PyExc_TypeError, "a tasklet is needed, not %.100s",
                     Py_TYPE(op)->tp_name);
        return NULL;
    }
    return slp_task_of(op);
}

/* ---- from a tasklet ------------------------------------------------------ */

const char *
slp_why_not(slp_task *t, bool hard_too)
{
    return t->is_main                             ? "is a main tasklet"
           : t->thread && t->thread->current == t ? "is running"
           : t->carrier != NULL && !hard_too      ? "has C state"
           : t->carrier != NULL && !t->gated      ? "was left by C code"
           : t->watchdog                          ? "is inside run()"
           : t->doomed                            ? "is being killed"
           : t->sleeper                           ? "is the engine's"
                                                  : NULL;
}

/* Slots of f that are in use.  Where f does not know, extent_of(code, offset)
   tells how far the stack reaches, and how many of its items are unsure.  -1 with
   an exception. */
static int
extent_of_frame(slp_frame *f, PyObject *extent_of, slp_extent *e)
{
    if (slp_frame_has_depth(f)) {
        *e = (slp_extent){.depth = slp_frame_depth(f)};
        return 0;
    }
    PyCodeObject *code = slp_frame_code(f);
    PyObject *v = PyObject_CallFunction(extent_of, "Oi", code,
                                        slp_frame_offset(f));
    bool good = v != NULL && PyTuple_Check(v)
                && PyArg_ParseTuple(v, "ii", &e->depth, &e->unsure)
                && e->unsure >= 0 && e->unsure <= e->depth
                && e->depth <= code->co_stacksize;
    Py_XDECREF(v);
    if (good) {
        e->depth += code->co_nlocalsplus;
        return 0;
    }
    if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_RuntimeError, "the stack of %U is not known",
                     code->co_qualname);
    }
    return -1;
}

/* A new reference to what stands for frame f; NULL with an exception. */
static PyObject *
value_of_frame(slp_state *s, slp_frame *f, PyObject *extent_of)
{
    slp_extent e;
    PyObject *gen = slp_frame_owner(f);
    if (gen != NULL) {
        return Py_NewRef(gen);
    }
    return extent_of_frame(f, extent_of, &e) < 0
               ? NULL
               : slp_frame_state(f, e, s->init_function);
}

static int
append_new(PyObject *list, PyObject *v)
{
    int r = v ? PyList_Append(list, v) : -1;
    Py_XDECREF(v);
    return r;
}

/* All frames down to the tasklet's end, the last one first, with None where C is
   between two of them; -1 with an exception. */
static int
append_frames(slp_state *s, slp_task *t, PyObject *frames, PyObject *extent_of)
{
    slp_carrier *c = t->carrier;
    slp_frame *f = c != NULL ? slp_carrier_frame(c) : t->top;
    slp_frame *end = c != NULL ? c->dispatcher : NULL;

    bool ours = true, by_c = false; /* the first ones; C has called it */
    for (; f != NULL && f != end; f = slp_frame_below(f)) {
        slp_frame *below = slp_frame_below(f);
        if (slp_frame_is_python(f)) {
            ours = ours && slp_frame_is_ours(f)
                   && !slp_frame_is_of(f, s->interrupted_function);
            bool last = below == NULL || below == end;
            if (ours || (last && slp_frame_is_ours(f))) {
                by_c = slp_frame_is_entry(f) || slp_carrier_cut_below(c, f);
                continue;
            }
            if ((by_c && append_new(frames, Py_NewRef(Py_None)) < 0)
                || append_new(frames, value_of_frame(s, f, extent_of)) < 0) {
                return -1;
            }
            by_c = false;
        }
        by_c = by_c || slp_frame_is_entry(f) || slp_carrier_cut_below(c, f);
    }
    if (PyList_GET_SIZE(frames) > 0) {
        return 0;
    }
    if (by_c) {
        PyErr_SetString(PyExc_ValueError,
                        "C code is running that no Python code has called");
        return -1;
    }
    /* Its function is one of ours. */
    return append_new(frames, slp_value_state(s->value_function));
}

PyObject *
slp_frames_of(slp_state *s, slp_task *t, PyObject *extent_of)
{
    PyObject *frames = PyList_New(0), *tuple = NULL;
    if (frames != NULL && append_frames(s, t, frames, extent_of) == 0
        && PyList_Reverse(frames) == 0) {
        tuple = PyList_AsTuple(frames);
    }
    Py_XDECREF(frames);
    return tuple;
}

static PyObject *
channel_of(slp_task *t)
{
    return t->waitq && t->waitq->owner ? t->waitq->owner : Py_None;
}

void
slp_started_of(slp_task *t, slp_started *s)
{
    s->exc = t->exc.exc_value ? t->exc.exc_value : Py_None;
    s->tempval = t->tempval ? t->tempval : Py_None;
    s->channel = channel_of(t);
    s->kind = (t->bombed ? 1 : 0) | (t->tempval ? 2 : 0);
    s->sending = t->sending;
}

static PyObject *
started_state(slp_state *s, slp_task *t, PyObject *extent_of)
{
    const char *why = slp_why_not(t, extent_of != NULL);
    if (why != NULL) {
        PyObject *name = slp_task_name(t);
        if (name != NULL) {
            PyErr_Format(PyExc_RuntimeError, "tasklet %U %s", name, why);
            Py_DECREF(name);
        }
        return NULL;
    }
    slp_started more = {.frames = slp_frames_of(s, t, extent_of)};
    if (more.frames == NULL) {
        return NULL;
    }
    slp_started_of(t, &more);
    return Py_BuildValue("(NOOiOi)", more.frames, more.exc, more.tempval,
                         more.kind, more.channel, more.sending);
}

enum {
    ATOMIC = 1,
    IGNORE_NESTING = 2,
    BLOCK_TRAP = 4
};

int
slp_flags_of(slp_task *t)
{
    return (t->atomic ? ATOMIC : 0) | (t->ignore_nesting ? IGNORE_NESTING : 0)
           | (t->block_trap ? BLOCK_TRAP : 0);
}

static PyObject *
ready_state(slp_task *t)
{
    PyObject *parts = slp_callable_parts(t->func, t->args);
    return parts ? Py_BuildValue("(NOi)", parts,
                                 t->tempval ? t->tempval : Py_None,
                                 (t->bombed ? 1 : 0) | (t->tempval ? 2 : 0))
                 : NULL;
}

PyDoc_STRVAR(
    tasklet_state_doc,
    "_tasklet_state(tasklet, extent_of=None, /)\n--\n\n"
    "(name or None, flags, life, what else that takes). RuntimeError "
    "if it has none. A hard\ntasklet has none either unless "
    "extent_of(code, offset) tells how far a stack reaches, and how "
    "many of its items\nare unsure: then None stands among its frames "
    "for C code between two.");

static PyObject *
tasklet_state(PyObject *module, PyObject *args)
{
    slp_state *s = slp_state_of(module);
    PyObject *op, *extent_of = NULL;
    if (!PyArg_ParseTuple(args, "O|O:_tasklet_state", &op, &extent_of)) {
        return NULL;
    }
    slp_task *t = slp_tasklet_arg(s, op);
    if (t == NULL || slp_soften(t) < 0) {
        return NULL;
    }
    PyObject *more = t->life == SLP_STARTED ? started_state(s, t, extent_of)
                     : t->life == SLP_READY
                         ? ready_state(t)
                         : Py_NewRef(t->func ? t->func : Py_None);
    return more ? Py_BuildValue("(OiiN)", t->name ? t->name : Py_None,
                                slp_flags_of(t), (int)t->life, more)
                : NULL;
}

/* ---- to a tasklet -------------------------------------------------------- */

static bool
is_fresh(slp_task *t)
{
    return t->life == SLP_UNBOUND && t->chunk == NULL && !t->is_main
           && t->place == SLP_FLOATING && t->tempval == NULL && t->func == NULL
           && t->thread != NULL;
}

/* Words of data stack for all frames; -1 with an exception. */
static Py_ssize_t
words_for(slp_state *s, PyObject *frames)
{
    Py_ssize_t words = slp_frame_room(s->resumer);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(frames); i++) {
        PyObject *v = PyTuple_GET_ITEM(frames, i);
        Py_ssize_t n = slp_is_generator(v) && i > 0 ? 0
                                                    : slp_frame_state_size(v);
        if (n < 0) {
            return -1;
        }
        words += n;
    }
    return words;
}

typedef struct {
    PyObject **place; /* of the next frame */
    slp_frame *top, *bottom;
    _PyErr_StackItem *exc_info;
    int depth;
    int called; /* generators that need a call in C */
} tower;

/* Put the next frame on top; false with an exception. */
static bool
build(PyThreadState *ts, tower *w, PyObject *v)
{
    slp_frame *f;
    if (slp_is_generator(v)) {
        f = slp_generator_link(v, w->top, &w->exc_info);
        if (f == NULL) {
            return false;
        }
        w->called += SLP_GENERATORS_ARE_CALLED;
    }
    else {
        f = (slp_frame *)w->place;
        w->place += slp_frame_build(ts, f, v, w->top);
    }
    w->bottom = w->bottom ? w->bottom : f;
    w->top = f;
    w->depth++;
    return true;
}

/* C stacks are large enough for the calls that the limit allows; false with an
   exception if there are more. */
static bool
has_room(const tower *w)
{
    if (w->called == 0) {
        return true;
    }
    int limit = Py_GetRecursionLimit();
    if (w->called > limit) {
        PyErr_Format(PyExc_RecursionError,
                     "the tasklet is inside of more than %d generators",
                     limit);
    }
    return w->called <= limit;
}

/* The tasklet gets frames; -1 with an exception. */
static int
build_all(slp_thread *st, slp_task *t, PyObject *frames)
{
    PyObject *context = PyContext_CopyCurrent();
    /* Nothing runs from here on: functions keep the code that is measured. */
    Py_ssize_t words = context ? words_for(st->state, frames) : -1;
    if (words < 0) {
        Py_XDECREF(context);
        return -1;
    }
    size_t size = sizeof(_PyStackChunk) + (size_t)words * sizeof(PyObject *);
    _PyStackChunk *chunk = slp_chunk_new(size);
    if (chunk == NULL) {
        Py_DECREF(context);
        PyErr_NoMemory();
        return -1;
    }
    slp_pystate_fresh(&t->py, chunk, &t->exc);
    tower w = {.place = t->py.top, .exc_info = &t->exc};
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(frames); i++) {
        if (!build(st->ts, &w, PyTuple_GET_ITEM(frames, i)) || !has_room(&w)) {
            PyObject *exc = slp_take_exc();
            slp_frames_drop(w.top, w.bottom);
            slp_chunk_free(chunk);
            Py_DECREF(context);
            slp_raise(exc);
            return -1;
        }
    }
    chunk->top = (size_t)(w.place - &chunk->data[0]);
    t->py.exc_info = w.exc_info;
    t->py.depth = w.depth;
    t->py.context = context;
    t->chunk = chunk;
    t->top = w.top;
    t->bottom = w.bottom;
    t->popped = 1;
    t->uncalled = w.called > 0;
    t->measured = 1;
    t->life = SLP_STARTED;
    /* Tools may be on that have not seen this code. */
    st->state->instrumented = slp_instrumentation_unseen(st->ts);
    return 0;
}

int
slp_parse_started(PyObject *more, slp_started *s)
{
    if (PyTuple_Check(more)
        && PyArg_ParseTuple(more, "O!OOiOi", &PyTuple_Type, &s->frames,
                            &s->exc, &s->tempval, &s->kind, &s->channel,
                            &s->sending)
        && s->kind >= 0 && s->kind <= 3) {
        return 0;
    }
    PyErr_SetString(PyExc_ValueError, "not the state of a tasklet");
    return -1;
}

int
slp_restore_started(slp_thread *st, slp_task *t, const slp_started *s)
{
    bool has_value = s->kind & 2, bombed = s->kind & 1;
    if (!is_fresh(t) || t->thread != st) {
        PyErr_SetString(PyExc_ValueError, "not a fresh tasklet");
        return -1;
    }
    if (PyTuple_GET_SIZE(s->frames) == 0
        || (s->exc != Py_None && !PyExceptionInstance_Check(s->exc))
        || (bombed
            && (!has_value || !PyExceptionInstance_Check(s->tempval)))) {
        PyErr_SetString(PyExc_ValueError, "not the state of a tasklet");
        return -1;
    }
    if (build_all(st, t, s->frames) < 0) {
        return -1;
    }
    t->exc.exc_value = s->exc == Py_None ? NULL : Py_NewRef(s->exc);
    t->tempval = has_value ? Py_NewRef(s->tempval) : NULL;
    t->bombed = bombed;
    t->sending = s->sending != 0;
    return 0;
}

PyDoc_STRVAR(set_tasklet_state_doc,
             "_set_tasklet_state(tasklet, state, /)\n--\n\n"
             "Make a fresh tasklet, which has been given its name and flags, "
             "a suspended one:\npaused. state is what follows life in "
             "_tasklet_state(). ValueError if it is none.");

static PyObject *
set_tasklet_state(PyObject *module, PyObject *args)
{
    slp_state *s = slp_state_of(module);
    slp_thread *st = slp_thread_get();
    PyObject *op, *more;
    if (st == NULL
        || !PyArg_ParseTuple(args, "OO!:_set_tasklet_state", &op,
                             &PyTuple_Type, &more)) {
        return NULL;
    }
    slp_task *t = slp_tasklet_arg(s, op);
    if (t == NULL) {
        return NULL;
    }
    slp_started started;
    return slp_parse_started(more, &started) < 0
                   || slp_restore_started(st, t, &started) < 0
               ? NULL
               : Py_NewRef(Py_None);
}

PyDoc_STRVAR(begin_state_doc,
             "_begin_state(tasklet, name, flags, /)\n--\n\n"
             "Give a fresh tasklet its name, unless that is None, and flags, "
             "as of\n_tasklet_state(). Nobody knows any more where it was "
             "made.");

PyDoc_STRVAR(set_bomb_doc,
             "_set_bomb(tasklet, exception, /)\n--\n\n"
             "What a tasklet that is ready to run is to raise.");

int
slp_label(slp_task *t, PyObject *name, int flags)
{
    Py_CLEAR(t->origin);
    if (name != Py_None) {
        Py_XSETREF(t->name, Py_NewRef(name));
    }
    t->ignore_nesting = (flags & IGNORE_NESTING) != 0;
    t->block_trap = (flags & BLOCK_TRAP) != 0;
    return flags & ATOMIC ? slp_task_set_atomic(t, true) : 0;
}

static PyObject *
begin_state(PyObject *module, PyObject *args)
{
    PyObject *op, *name;
    int flags;
    if (!PyArg_ParseTuple(args, "OOi:_begin_state", &op, &name, &flags)) {
        return NULL;
    }
    slp_task *t = slp_tasklet_arg(slp_state_of(module), op);
    if (t == NULL) {
        return NULL;
    }
    if (name != Py_None && !PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "name must be a str, not %.100s",
                     Py_TYPE(name)->tp_name);
        return NULL;
    }
    return slp_label(t, name, flags) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
set_bomb(PyObject *module, PyObject *args)
{
    PyObject *op, *exc;
    if (!PyArg_ParseTuple(args, "OO:_set_bomb", &op, &exc)) {
        return NULL;
    }
    slp_task *t = slp_tasklet_arg(slp_state_of(module), op);
    if (t == NULL) {
        return NULL;
    }
    if (t->life != SLP_READY || !PyExceptionInstance_Check(exc)) {
        PyErr_SetString(PyExc_ValueError, "not the state of a tasklet");
        return NULL;
    }
    PyObject *old = t->tempval;
    t->tempval = Py_NewRef(exc);
    t->bombed = 1;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(clone_plain_doc,
             "_clone_plain(tasklet, types, /)\n--\n\n"
             "A copy of a suspended one, or None: it is hard, of a subclass, "
             "or holds something that\nmay be its own, as what is of one of "
             "these types.");

/* Does it belong to one tasklet?  The __exit__() of a `with` stands for its object;
   what an expression is collecting in has copies of its own. */
static bool
is_of_one(slp_state *s, PyObject *op, PyObject *types)
{
    PyObject *self = PyCFunction_Check(op) ? PyCFunction_GET_SELF(op)
                     : PyMethod_Check(op)  ? PyMethod_GET_SELF(op)
                                           : op;
    bool found = slp_may_belong_to_frame(op)
                 || (self != NULL && Py_IS_TYPE(self, s->atomic_type));
    if (self == NULL
        || !PyType_HasFeature(Py_TYPE(self), Py_TPFLAGS_HEAPTYPE)) {
        return found;
    }
    for (Py_ssize_t i = 0; !found && i < PyTuple_GET_SIZE(types); i++) {
        found = (PyObject *)Py_TYPE(self) == PyTuple_GET_ITEM(types, i);
    }
    return found;
}

static bool
is_collecting(PyObject *op)
{
    return Py_REFCNT(op) == 1
           && (PyList_CheckExact(op) || PySet_CheckExact(op)
               || PyDict_CheckExact(op));
}

/* Are all these objects that its copy may share?  Generators hold frames. */
static bool
are_shared(slp_state *s, PyObject *frames, PyObject *types)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(frames); i++) {
        PyObject *frame = PyTuple_GET_ITEM(frames, i);
        if (!PyTuple_CheckExact(frame)) {
            return false;
        }
        PyObject *slots = PyTuple_GET_ITEM(frame, SLP_FRAME_ITEMS - 1);
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(slots); k++) {
            PyObject *op = PyTuple_GET_ITEM(slots, k);
            if (is_collecting(op) || is_of_one(s, op, types)) {
                return false;
            }
        }
    }
    return true;
}

static int
copy_started(slp_thread *st, slp_task *t, slp_task *copy, PyObject *frames)
{
    if (slp_label(copy, t->name ? t->name : Py_None, slp_flags_of(t)) < 0
        || build_all(st, copy, frames) < 0) {
        return -1;
    }
    copy->exc.exc_value = Py_XNewRef(t->exc.exc_value);
    if (!slp_task_blocked(t) || !t->sending) { /* what it sends is the
                                                 original's */
        copy->tempval = Py_XNewRef(t->tempval);
        copy->bombed = t->bombed;
    }
    return 0;
}

static PyObject *
clone_plain(PyObject *module, PyObject *args)
{
    slp_state *s = slp_state_of(module);
    slp_thread *st = slp_thread_get();
    PyObject *op, *types;
    if (st == NULL
        || !PyArg_ParseTuple(args, "OO!:_clone_plain", &op, &PyTuple_Type,
                             &types)) {
        return NULL;
    }
    slp_task *t = slp_tasklet_arg(s, op);
    if (t == NULL) {
        return NULL;
    }
    if (t->life != SLP_STARTED || t->carrier != NULL || slp_why_not(t, false)
        || !Py_IS_TYPE(op, s->tasklet_type)) {
        Py_RETURN_NONE;
    }
    PyObject *frames = slp_frames_of(s, t, NULL);
    if (frames == NULL || !are_shared(s, frames, types)) {
        Py_XDECREF(frames);
        return frames ? Py_NewRef(Py_None) : NULL;
    }
    PyObject *copy = s->tasklet_type->tp_new(s->tasklet_type, NULL, NULL);
    if (copy != NULL && copy_started(st, t, slp_task_of(copy), frames) < 0) {
        Py_CLEAR(copy);
    }
    Py_DECREF(frames);
    return copy;
}

PyDoc_STRVAR(last_waiting_doc,
             "_last_waiting(channel, /)\n--\n\n"
             "The tasklet at the end of its queue, or None.");

static PyObject *
last_waiting(PyObject *module, PyObject *op)
{
    if (!PyObject_TypeCheck(op, slp_state_of(module)->channel_type)) {
        PyErr_Format(PyExc_TypeError, "a channel is needed, not %.100s",
                     Py_TYPE(op)->tp_name);
        return NULL;
    }
    slp_task *last = ((slp_channel *)op)->q.last;
    return Py_NewRef(last ? last->self : Py_None);
}

PyDoc_STRVAR(join_doc,
             "_join(tasklet, channel, sending, before, /)\n--\n\n"
             "Let a paused tasklet wait for a channel, before another one or "
             "(None) as the last.\nValueError if others wait for the "
             "opposite.");

static PyObject *
join(PyObject *module, PyObject *args)
{
    slp_state *s = slp_state_of(module);
    PyObject *op, *where, *other;
    int sending;
    if (!PyArg_ParseTuple(args, "OO!pO:_join", &op, s->channel_type, &where,
                          &sending, &other)) {
        return NULL;
    }
    slp_channel *ch = (slp_channel *)where;
    slp_task *t = slp_tasklet_arg(s, op);
    slp_task *before = other == Py_None || !t ? NULL
                                              : slp_tasklet_arg(s, other);
    if (t == NULL || (other != Py_None && before == NULL)) {
        return NULL;
    }
    Py_ssize_t change = sending ? 1 : -1;
    if (!slp_task_paused(t) || t->life != SLP_STARTED || t->carrier != NULL
        || ch->balance * change < 0
        || (before != NULL && before->waitq != &ch->q)) {
        PyErr_SetString(PyExc_ValueError,
                        "the tasklet cannot wait for the channel");
        return NULL;
    }
    t->sending = sending != 0;
    slp_waitq_insert(&ch->q, before, slp_task_hold(t));
    ch->q.counted(&ch->q, t, 1);
    if (t->popped && t->func == NULL) {
        t->func = Py_NewRef(ch);
    }
    Py_RETURN_NONE;
}

/* ---- generators ---------------------------------------------------------- */

PyDoc_STRVAR(generator_state_doc,
             "_generator_state(generator, extent_of=None, /)\n--\n\n"
             "(frame or None, state, exception or None, name, qualname, "
             "flags). ValueError if it\nis running, but by a soft tasklet, or "
             "by one that is known to be suspended: then with\nextent_of, as "
             "for _tasklet_state().");

static PyObject *
generator_state(PyObject *module, PyObject *args)
{
    PyObject *gen, *extent_of = NULL;
    if (!PyArg_ParseTuple(args, "O|O:_generator_state", &gen, &extent_of)) {
        return NULL;
    }
    if (!slp_is_generator(gen)) {
        PyErr_Format(PyExc_TypeError, "a generator is needed, not %.100s",
                     Py_TYPE(gen)->tp_name);
        return NULL;
    }
    if (extent_of == NULL && slp_generator_runs(gen)) {
        PyErr_Format(PyExc_ValueError, "generator %R is running", gen);
        return NULL;
    }
    slp_frame *f = slp_generator_frame(gen);
    slp_extent e = {.depth = 0};
    if (f != NULL && extent_of_frame(f, extent_of, &e) < 0) {
        return NULL;
    }
    return slp_generator_state(gen, e, slp_state_of(module)->init_function);
}

PyDoc_STRVAR(set_generator_state_doc,
             "_set_generator_state(generator, state, /)\n--\n\n"
             "Make a fresh generator of the same function what the state "
             "says.");

static PyObject *
set_state(PyObject *args, const char *format,
          int (*set)(PyObject *op, PyObject *state))
{
    PyObject *op, *state;
    if (!PyArg_ParseTuple(args, format, &op, &state) || set(op, state) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
set_generator_state(PyObject *Py_UNUSED(module), PyObject *args)
{
    return set_state(args, "OO:_set_generator_state", slp_generator_set_state);
}

/* ---- iterators ------------------------------------------------------------ */

PyDoc_STRVAR(
    iterator_state_doc,
    "_iterator_state(iterator, /)\n--\n\n"
    "The fields of an iterator that is known. TypeError if it is not.");

static PyObject *
iterator_state(PyObject *Py_UNUSED(module), PyObject *op)
{
    return slp_iterator_state(op);
}

PyDoc_STRVAR(set_iterator_state_doc,
             "_set_iterator_state(iterator, state, /)\n--\n\n"
             "Make a fresh iterator of the same type what the state says.");

static PyObject *
set_iterator_state(PyObject *Py_UNUSED(module), PyObject *args)
{
    return set_state(args, "OO:_set_iterator_state", slp_iterator_set_state);
}

PyDoc_STRVAR(iterator_fits_doc,
             "_iterator_fits(iterator, fields, /)\n--\n\n"
             "Has it these fields, at the places where the functions above "
             "look for them?");

static PyObject *
iterator_fits(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *op, *words;
    if (!PyArg_ParseTuple(args, "OO!:_iterator_fits", &op, &PyTuple_Type,
                          &words)) {
        return NULL;
    }
    return PyBool_FromLong(slp_iterator_fits(op, words));
}

/* ---- awaitables ----------------------------------------------------------- */

PyDoc_STRVAR(await_state_doc,
             "_await_state(awaitable, /)\n--\n\n"
             "(generator, kind, state, value) of what an asynchronous "
             "generator is awaited by. TypeError\nfor anything else.");

static PyObject *
await_state(PyObject *Py_UNUSED(module), PyObject *op)
{
    return slp_await_state(op);
}

PyDoc_STRVAR(await_doc,
             "_await(generator, kind, /)\n--\n\n"
             "What it can be awaited by: closed.");

static PyObject *
await_new(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *gen;
    int kind;
    return PyArg_ParseTuple(args, "Oi:_await", &gen, &kind)
               ? slp_await_new(gen, kind)
               : NULL;
}

PyDoc_STRVAR(set_await_state_doc,
             "_set_await_state(awaitable, state, value, /)\n--\n\n"
             "Give a closed one another state.");

static PyObject *
set_await_state(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *op, *value;
    int state;
    if (!PyArg_ParseTuple(args, "OiO:_set_await_state", &op, &state, &value)
        || slp_await_set_state(op, state, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- tracebacks ----------------------------------------------------------- */

PyDoc_STRVAR(frame_doc,
             "_frame(code, globals, /)\n--\n\n"
             "A frame object for a traceback.");

static PyObject *
frame(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *code, *globals;
    if (!PyArg_ParseTuple(args, "O!O!:_frame", &PyCode_Type, &code,
                          &PyDict_Type, &globals)) {
        return NULL;
    }
    return slp_frame_object_new(code, globals);
}

/* ---- set-up -------------------------------------------------------------- */

/* What a call of a class does after its __init__. */
static PyObject *
init_result(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *self, *value;
    if (!PyArg_ParseTuple(args, "OO", &self, &value)) {
        return NULL;
    }
    if (value != Py_None) {
        PyErr_Format(PyExc_TypeError,
                     "__init__() should return None, not '%.200s'",
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    return Py_NewRef(self);
}

/* What a call of a generator's send() does when that has returned. */
static PyObject *
send_result(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *none, *value;
    return PyArg_ParseTuple(args, "OO", &none, &value) ? slp_stop_with(value)
                                                       : NULL;
}

typedef enum {
    YIELDED,
    RETURNED,
    RAISED
} await_outcome;

/* What C does for an awaitable after its generator has run. */
static PyObject *
finish_await(await_outcome outcome, PyObject *args)
{
    PyObject *awaitable, *value, *result = NULL;
    slp_frame *below;
    if (!PyArg_ParseTuple(args, "OO", &awaitable, &value)
        || slp_await_below(slp_ts(), &below) < 0) {
        return NULL;
    }
    if (outcome == RAISED && PyExceptionInstance_Check(value)) {
        slp_raise(Py_NewRef(value));
    }
    else if (outcome == RAISED) {
        PyErr_SetString(PyExc_TypeError, "an exception is needed");
    }
    else {
        result = outcome == YIELDED ? Py_NewRef(value)
                                    : slp_await_return(awaitable, value);
    }
    return slp_await_finish(awaitable, result, below);
}

static PyObject *
await_yielded(PyObject *Py_UNUSED(module), PyObject *args)
{
    return finish_await(YIELDED, args);
}

static PyObject *
await_returned(PyObject *Py_UNUSED(module), PyObject *args)
{
    return finish_await(RETURNED, args);
}

static PyObject *
await_raised(PyObject *Py_UNUSED(module), PyObject *args)
{
    return finish_await(RAISED, args);
}

static PyMethodDef init_result_def = {"_init_result", init_result,
                                      METH_VARARGS, NULL};
static PyMethodDef send_result_def = {"_send_result", send_result,
                                      METH_VARARGS, NULL};
static PyMethodDef await_defs[] = {
    {"_await_yielded", await_yielded, METH_VARARGS, NULL},
    {"_await_returned", await_returned, METH_VARARGS, NULL},
    {"_await_raised", await_raised, METH_VARARGS, NULL},
};

static PyObject *
init_function(PyObject *module, PyObject *Py_UNUSED(args))
{
    return Py_NewRef(slp_state_of(module)->init_function);
}

static PyObject *
send_function(PyObject *module, PyObject *Py_UNUSED(args))
{
    return Py_NewRef(slp_state_of(module)->send_function);
}

static PyObject *
await_function(PyObject *module, PyObject *Py_UNUSED(args))
{
    return Py_NewRef(slp_state_of(module)->await_function);
}

static PyObject *
value_function(PyObject *module, PyObject *Py_UNUSED(args))
{
    return Py_NewRef(slp_state_of(module)->value_function);
}

static PyObject *
interrupted_function(PyObject *module, PyObject *Py_UNUSED(args))
{
    return Py_NewRef(slp_state_of(module)->interrupted_function);
}

static PyObject *
send_position(PyObject *module, PyObject *Py_UNUSED(args))
{
    slp_state *s = slp_state_of(module);
    return Py_BuildValue("(ii)", s->send_place.offset,
                         s->send_place.return_offset);
}

static PyObject *
await_position(PyObject *module, PyObject *Py_UNUSED(args))
{
    slp_state *s = slp_state_of(module);
    return Py_BuildValue("(ii)", s->await_place.offset,
                         s->await_place.return_offset);
}

PyMethodDef slp_frozen_methods[] = {
    {"_tasklet_state", tasklet_state, METH_VARARGS, tasklet_state_doc},
    {"_set_tasklet_state", set_tasklet_state, METH_VARARGS,
     set_tasklet_state_doc},
    {"_begin_state", begin_state, METH_VARARGS, begin_state_doc},
    {"_clone_plain", clone_plain, METH_VARARGS, clone_plain_doc},
    {"_set_bomb", set_bomb, METH_VARARGS, set_bomb_doc},
    {"_last_waiting", last_waiting, METH_O, last_waiting_doc},
    {"_join", join, METH_VARARGS, join_doc},
    {"_generator_state", generator_state, METH_VARARGS, generator_state_doc},
    {"_set_generator_state", set_generator_state, METH_VARARGS,
     set_generator_state_doc},
    {"_iterator_state", iterator_state, METH_O, iterator_state_doc},
    {"_set_iterator_state", set_iterator_state, METH_VARARGS,
     set_iterator_state_doc},
    {"_iterator_fits", iterator_fits, METH_VARARGS, iterator_fits_doc},
    {"_await_state", await_state, METH_O, await_state_doc},
    {"_await", await_new, METH_VARARGS, await_doc},
    {"_set_await_state", set_await_state, METH_VARARGS, set_await_state_doc},
    {"_frame", frame, METH_VARARGS, frame_doc},
    {"_init_function", init_function, METH_NOARGS, NULL},
    {"_send_function", send_function, METH_NOARGS, NULL},
    {"_value_function", value_function, METH_NOARGS, NULL},
    {"_await_function", await_function, METH_NOARGS, NULL},
    {"_interrupted_function", interrupted_function, METH_NOARGS, NULL},
    {"_send_position", send_position, METH_NOARGS, NULL},
    {"_await_position", await_position, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *
new_await_function(slp_send_place *at)
{
    PyObject *finish[3] = {NULL}, *function = NULL;
    bool good = true;
    for (int i = 0; i < 3; i++) {
        finish[i] = PyCFunction_New(&await_defs[i], NULL);
        good = good && finish[i] != NULL;
    }
    if (good) {
        function = slp_await_function_new(finish[0], finish[1], finish[2], at);
    }
    for (int i = 0; i < 3; i++) {
        Py_XDECREF(finish[i]);
    }
    return function;
}

int
slp_frozen_setup(slp_state *s)
{
    PyObject *check = PyCFunction_New(&init_result_def, NULL);
    s->init_function = check ? slp_init_function_new(check) : NULL;
    Py_XDECREF(check);
    PyObject *finish = PyCFunction_New(&send_result_def, NULL);
    s->send_function = finish ? slp_send_function_new(finish, &s->send_place)
                              : NULL;
    Py_XDECREF(finish);
    s->await_function = new_await_function(&s->await_place);
    s->value_function = slp_value_function_new();
    s->facts_index = slp_code_facts_index();
    return s->init_function && s->send_function && s->await_function
                   && s->value_function && s->facts_index >= 0
               ? 0
               : -1;
}
