/* SPDX-License-Identifier: PSF-2.0 */
/* Frames looked at, visited by the collector and taken apart.

   A softly suspended tasklet is a chain of interpreter frames from its top (a
   point, in the middle of the call of its gate) down to its bottom, whose
   `previous` is NULL.  Each frame knows its stack depth.  In other chains
   only frames below an inlined call do, up to 3.13.

   CPython finishes a frame in _PyFrame_ClearExceptCode() (3.11:
   _PyFrame_Clear()), which 3.15 alone exports; clear_except_code() does the
   same by hand elsewhere. */
#include "compat.h"

#include "internal/pycore_gc.h"

/* ---- looking at frames -------------------------------------------------- */

bool
slp_frames_are_soft(slp_frame *top, slp_frame *dispatcher, slp_frame **bottom)
{
    for (slp_frame *f = top; f != NULL; f = f->previous) {
        if (slp_frame_is_entry(f)) {
            return false;
        }
        if (f->previous == dispatcher) {
            *bottom = f;
            return true;
        }
    }
    return false;
}

slp_frame *
slp_frames_bottom(slp_frame *top, slp_frame *dispatcher)
{
    slp_frame *f = top;
    while (f != NULL && f->previous != dispatcher) {
        f = f->previous;
    }
    return f;
}

int
slp_frames_nesting(slp_frame *top, slp_frame *end)
{
    int n = 0;
    for (slp_frame *f = top; f != NULL && f != end; f = f->previous) {
        if (slp_frame_is_entry(f) && !slp_frame_is_sentinel(f)) {
            n++;
        }
    }
    return n;
}

bool
slp_frames_import(slp_frame *top, slp_frame *end)
{
    for (slp_frame *f = top; f != NULL && f != end; f = f->previous) {
        if (slp_frame_is_python(f)
            && PyUnicode_CompareWithASCIIString(
                   slp_frame_code(f)->co_filename,
                   "<frozen importlib._bootstrap>")
                   == 0) {
            return true;
        }
    }
    return false;
}

static bool
lies_in(slp_frame *f, const char *low, const char *high)
{
    return (const char *)f >= low && (const char *)f < high;
}

int
slp_frames_links(slp_frame *top, const char *low, const char *high,
                 slp_frame_link *links, int room)
{
    int n = 0;
    if (PY_VERSION_HEX < 0x030C0000) {
        return n;
    }
    for (slp_frame *f = slp_frame_python_below(top); f != NULL;
         f = f->previous) {
        SLP_ASSERT(!lies_in(f, low, high));
        slp_frame *entry = f->previous;
        if (!lies_in(entry, low, high)) {
            continue;
        }
        if (n < room) {
            links[n] = (slp_frame_link){.frame = f, .entry = entry};
        }
        n++;
        while (lies_in(f->previous, low, high)) {
            f = f->previous;
        }
    }
    return n;
}

void
slp_frames_unlink(slp_frame_link *links, int n, const char *low,
                  const char *high)
{
    for (int i = 0; i < n; i++) {
        slp_frame *f = links[i].entry;
        while (lies_in(f, low, high)) {
            f = f->previous;
        }
        /* What no other C stack is below of is not looked at: nothing of it may
           be in a cache. */
        while (low == NULL && f != NULL && slp_frame_is_entry(f)
               && !slp_frame_is_sentinel(f)) {
            f = f->previous;
        }
        links[i].frame->previous = f;
    }
}

void
slp_frames_relink(slp_frame_link *links, int n)
{
    for (int i = 0; i < n; i++) {
        links[i].frame->previous = links[i].entry;
    }
}

/* Entry frames have no Python code to ask _PyFrame_IsIncomplete() about. */
static bool
is_visible(slp_frame *f)
{
    return slp_frame_is_python(f) && !_PyFrame_IsIncomplete(f);
}

slp_frame *
slp_frame_visible(slp_frame *f)
{
    while (f != NULL && !is_visible(f)) {
        f = f->previous;
    }
    return f;
}

#if PY_VERSION_HEX >= 0x030F0000

static PyFrameObject *
make_object(PyThreadState *ts, slp_frame *visible)
{
    (void)ts;
    PyFrameObject *object = _PyFrame_GetFrameObject(visible);
    Py_XINCREF(object);
    return object;
}

#else

/* _PyFrame_MakeAndSetFrameObject() is not exported, but this public call is
   built on it and starts at the thread's current frame.  3.11 may collect
   garbage when it allocates, and so run Python code on top of a frame that
   is not running: not now. */
static PyFrameObject *
make_object(PyThreadState *ts, slp_frame *visible)
{
    int collecting = PyGC_Disable();
    slp_frame *running = SLP_FRAME(ts);
    SLP_FRAME(ts) = visible;
    PyFrameObject *object = PyThreadState_GetFrame(ts);
    SLP_FRAME(ts) = running;
    if (collecting) {
        PyGC_Enable();
    }
    if (object == NULL) {
        PyErr_NoMemory(); /* it was cleared */
    }
    return object;
}

#endif

PyObject *
slp_frame_object(PyThreadState *ts, slp_frame *top)
{
    slp_frame *visible = slp_frame_visible(top);
    if (visible == NULL) {
        Py_RETURN_NONE;
    }
    if (visible->frame_obj != NULL) {
        return Py_NewRef((PyObject *)visible->frame_obj);
    }
    return (PyObject *)make_object(ts, visible);
}

int
slp_frame_lineno(slp_frame *f)
{
    int byte = slp_frame_lasti(f) * (int)sizeof(_Py_CODEUNIT);
    return PyCode_Addr2Line(slp_frame_code(f), byte);
}

void
slp_caller(PyThreadState *ts, PyCodeObject **code, int *lasti)
{
    *code = NULL;
    *lasti = -1;
    for (slp_frame *f = SLP_FRAME(ts); f != NULL; f = f->previous) {
        if (slp_frame_is_python(f) && !_PyFrame_IsIncomplete(f)) {
            *code = slp_frame_code(f);
            *lasti = slp_frame_lasti(f);
            return;
        }
        if (slp_frame_is_entry(f)) {
            return; /* a point that C called */
        }
    }
}

/* ---- the collector ------------------------------------------------------ */

static inline int
traverse_frame(slp_frame *f, bool soft, visitproc visit, void *arg)
{
    /* The collector may subtract only what is counted: a borrowed slot of
       3.14 and later is not. */
    Py_VISIT(slp_frame_owned_code(f));
    Py_VISIT(slp_frame_owned_function(f));
    Py_VISIT(f->f_locals);
    Py_VISIT((PyObject *)f->frame_obj);
    int n = slp_frame_code(f)->co_nlocalsplus;
    if (soft) {
        assert(slp_frame_depth(f) >= n);
        n = slp_frame_depth(f);
    }
    for (int i = 0; i < n; i++) {
        Py_VISIT(slp_slot_owned(f->localsplus[i]));
    }
    return 0;
}

/* Before it clears garbage, the collector has every generator in it closed.
   That is an error for one that is in the middle of a suspended chain ("is
   already executing"), and would be reported as unraisable.  So such ones
   count as closed from the first collection that meets them until the chain
   runs again. */
int
slp_frames_traverse(slp_frame *top, slp_frame *bottom, bool soft,
                    bool *guarded, visitproc visit, void *arg)
{
    for (slp_frame *f = top; f != NULL; f = f->previous) {
        if (SLP_UNLIKELY(f->owner == FRAME_OWNED_BY_GENERATOR)) {
            /* It visits its frame itself, also while it runs. */
            _PyGC_SET_FINALIZED((PyObject *)slp_frame_generator(f));
            *guarded = true;
        }
        else if (slp_frame_is_python(f)) {
            int r = traverse_frame(f, soft, visit, arg);
            if (r != 0) {
                return r;
            }
        }
        if (f == bottom) {
            break;
        }
    }
    return 0;
}

void
slp_frames_unguard(slp_frame *top, slp_frame *bottom)
{
    for (slp_frame *f = top; f != NULL; f = f->previous) {
        if (f->owner == FRAME_OWNED_BY_GENERATOR) {
            slp_gc_unfinalize((PyObject *)slp_frame_generator(f));
        }
        if (f == bottom) {
            break;
        }
    }
}

/* ---- taking a chain apart ----------------------------------------------- */

/* Release slots from the end down to `keep`, so that a borrowed one goes
   before the one it is borrowed from.  Runs destructors: the frame owns what
   lies below its depth at any time. */
static void
drop_slots(slp_frame *f, int keep)
{
    for (int i = slp_frame_depth(f) - 1; i >= keep; i--) {
        slp_frame_set_depth(f, i);
        slp_slot_clear(&f->localsplus[i]);
    }
}

#if PY_VERSION_HEX >= 0x030F0000

static void
clear_except_code(slp_frame *f)
{
    _PyFrame_ClearExceptCode(f);
}

#else

/* The caller's frame object, for f_back; NULL if there is none or it cannot
   be made: then a traceback ends here, as in CPython. */
static PyFrameObject *
back_object(slp_frame *f)
{
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyObject *back = slp_frame_object(slp_ts(), f->previous);
    if (back == Py_None) {
        Py_CLEAR(back);
    }
    PyErr_Restore(type, value, tb);
    return (PyFrameObject *)back;
}

/* Somebody looks at the frame through its object (a traceback, say): let the
   object keep what the frame holds.  frame.c: take_ownership(). */
static void
hand_over(slp_frame *f, PyFrameObject *object)
{
    assert(object->f_back == NULL);
    object->f_back = back_object(f);
    slp_frame *to = (slp_frame *)object->_f_frame_data;
    Py_XINCREF(slp_frame_owned_code(f)); /* our caller drops f's */
    slp_frame_move(f, to);
    to->previous = NULL;
    to->owner = FRAME_OWNED_BY_FRAME_OBJECT;
    object->f_frame = to;
    if (!PyObject_GC_IsTracked((PyObject *)object)) {
        PyObject_GC_Track(object);
    }
}

static void
clear_except_code(slp_frame *f)
{
    PyFrameObject *object = f->frame_obj;
    if (object != NULL) {
        f->frame_obj = NULL;
        if (Py_REFCNT(object) > 1) {
            hand_over(f, object);
            Py_DECREF(object);
            return;
        }
        Py_DECREF(object);
    }
    drop_slots(f, 0);
    Py_CLEAR(f->f_locals);
    slp_frame_drop_function(f);
}

#endif

static bool
is_generator(slp_frame *f)
{
    return f->owner == FRAME_OWNED_BY_GENERATOR;
}

/* Let generators look finished before any destructor can ask them: close()
   on one that is running is an error.  Each is kept alive until its frame
   has been dropped. */
static void
finish_generators(slp_frame *top)
{
    for (slp_frame *f = top; f != NULL; f = f->previous) {
        if (!is_generator(f)) {
            continue;
        }
        PyGenObject *gen = slp_frame_generator(f);
        Py_INCREF(gen);
        gen->gi_frame_state = FRAME_CLEARED;
        gen->gi_exc_state.previous_item = NULL;
        if (PyAsyncGen_CheckExact((PyObject *)gen)) {
            PyAsyncGenObject *agen = (PyAsyncGenObject *)gen;
            agen->ag_closed = 1;
            agen->ag_running_async = 0;
        }
    }
}

static void
drop_generator(slp_frame *f)
{
    PyGenObject *gen = slp_frame_generator(f);
    Py_CLEAR(gen->gi_exc_state.exc_value);
    clear_except_code(f);
    if (!SLP_GENERATOR_KEEPS_CODE) {
        slp_frame_drop_code(f);
    }
    f->previous = NULL;
    Py_DECREF(gen);
}

/* 3.15: a sampling profiler takes an address that it has seen for a frame
   that is still there.  Whose sample it was cannot be known. */
static void
forget_profiled(void)
{
#if PY_VERSION_HEX >= 0x030F0000
    PyThreadState *ts = PyInterpreterState_ThreadHead(slp_ts()->interp);
    for (; ts != NULL; ts = PyThreadState_Next(ts)) {
        _PyThreadState_UpdateLastProfiledFrame(ts, ts->last_profiled_frame,
                                               NULL);
    }
#endif
}

void
slp_frames_drop(slp_frame *top, slp_frame *bottom)
{
    bottom->previous = NULL;
    finish_generators(top);
    forget_profiled();
    /* From the top: a frame may borrow from those below it, and is referred
       to by none of them. */
    for (slp_frame *f = top, *next; f != NULL; f = next) {
        next = f->previous;
        assert(slp_frame_is_python(f));
        /* What an expression had reached is of no use to anybody.  Locals
           are: frame objects show them. */
        drop_slots(f, slp_frame_code(f)->co_nlocalsplus);
        if (is_generator(f)) {
            drop_generator(f);
        }
        else {
            clear_except_code(f);
            slp_frame_drop_code(f);
        }
    }
}

void
slp_chunks_drop(_PyStackChunk *top, _PyStackChunk *root)
{
    /* CPython maps them by _PyObject_VirtualAlloc(), which is this. */
    PyObjectArenaAllocator arena;
    PyObject_GetArenaAllocator(&arena);
    while (top != root && top != NULL) {
        _PyStackChunk *chunk = top;
        top = chunk->previous;
        arena.free(arena.ctx, chunk, chunk->size);
    }
}

/* ---- the edge of a chunk -------------------------------------------------- */

/* Nothing in it runs, and nobody but its object and `link` knows where it is. */
static void
move_frame(slp_frame *f, slp_frame *to, slp_frame **link)
{
    int depth = slp_frame_depth(f);
    memcpy(to, f,
           offsetof(slp_frame, localsplus) + (size_t)depth * sizeof(slp_slot));
    slp_frame_set_depth(to, depth);
    if (to->frame_obj != NULL) {
        to->frame_obj->f_frame = to;
    }
    *link = to;
    forget_profiled();
}

void
slp_stack_close_edge(slp_pystate *s, slp_frame **top, slp_frame **bottom)
{
    _PyStackChunk *chunk = s->chunk, *below = chunk->previous;
    slp_frame **link = top;
    while ((*link)->owner == FRAME_OWNED_BY_GENERATOR) {
        link = &(*link)->previous;
    }
    slp_frame *f = *link, *to = (slp_frame *)&chunk->data[0];
    size_t place = (size_t)((PyObject **)f - &below->data[0]);
    size_t words = (size_t)slp_code_words(slp_frame_code(f));
    assert(chunk->top == 0);
    if (place == 0 || place >= below->top
        || words * sizeof(PyObject *) + sizeof(*chunk) > chunk->size) {
        s->chunk = below;
        slp_chunks_drop(chunk, below);
        return;
    }
    if (*bottom == f) {
        *bottom = to;
    }
    move_frame(f, to, link);
    below->top = place;
    chunk->top = words;
}

/* ---- room ---------------------------------------------------------------- */

int
slp_pystate_room(slp_pystate *s, Py_ssize_t words)
{
    enum {
        SIZE = 16 << 10 /* as CPython's; what is needed is much less */
    };
    _PyStackChunk *chunk = s->chunk;
    if (s->top + words <= (PyObject **)((char *)chunk + chunk->size)) {
        return 0;
    }
    PyObjectArenaAllocator arena;
    PyObject_GetArenaAllocator(&arena);
    _PyStackChunk *more = arena.alloc(arena.ctx, SIZE);
    if (more == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    chunk->top = (size_t)(s->top - &chunk->data[0]);
    more->previous = chunk;
    more->size = SIZE;
    more->top = 0;
    s->chunk = more;
    s->top = &more->data[0];
    return 0;
}

/* ---- what leaves our own frames ------------------------------------------ */

#if SLP_HIDE_BY_TRACING

/* Left in the last local of a frame of ours; it dies with the frame. */
static void
restore(PyObject *Py_UNUSED(capsule))
{
    PyThreadState_Get()->tracing--;
}

void
slp_hide_raise(PyThreadState *ts)
{
    slp_frame *f = SLP_FRAME(ts);
    if (f->f_code->co_nlocalsplus == 0) {
        f = slp_point_of(f); /* a gate: its point leaves with it */
    }
    PyObject **slot = &f->localsplus[f->f_code->co_nlocalsplus - 1];
    if (*slot != NULL) {
        return;
    }
    *slot = PyCapsule_New(ts, NULL, restore);
    if (*slot != NULL) {
        ts->tracing++;
    }
    /* else: tools see one event too many */
}

#else

void
slp_hide_raise(PyThreadState *Py_UNUSED(ts))
{
}

#endif
