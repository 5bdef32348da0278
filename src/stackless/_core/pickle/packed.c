/* SPDX-License-Identifier: PSF-2.0 */
/* A tasklet as a pickle has it: a flat tuple.  Its first item is bytes, with all
   that is no object; the objects follow, in the order in which the bytes speak of
   them:

       life + flags * 4 + kind * 32 + sending * 128
       which of these follow: name, exception, tempval, context (as the last
           object of all), attributes, channel; then, if that does, the place in
           its queue

   and if the tasklet has not started, what it is bound to.  Otherwise all else is
   frames, the first one first.  0 is a generator, and any other number

       1 + marked + locals * 2 + digest * 4 + slots * 8
       offset
       return offset
       the digest of the code, unless it is that of the frame before
       marks of the slots, if marked

   followed by function, locals and slots.  Numbers from place on have seven bits
   in a byte, the lowest first; 128 is added where more follow.

   Tuples in tuples would be as good, and cost pickle twice the time. */
#include "packed.h"

enum {
    NAME = 1,
    EXC = 2,
    TEMPVAL = 4,
    CONTEXT = 8,
    ATTRIBUTES = 16,
    CHANNEL = 32,
    KNOWN = 63
};
enum {
    MARKED = 1,
    LOCALS = 2,
    DIGEST = 4,
    SLOTS = 8
};
enum {
    HEAD = 2,
    LONGEST = 10 /* bytes of a number */
};
/* Items of a frame; see compat_frozen.h. */
enum {
    FUNCTION,
    LOCALS_ITEM,
    OFFSET,
    RETURN_OFFSET,
    MARKS,
    SLOTS_ITEM
};

static int
bad(void)
{
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "not the state of a tasklet");
    }
    return -1;
}

/* ---- written ------------------------------------------------------------- */

typedef struct {
    char *p;
    PyObject *tuple;
    Py_ssize_t used;    /* items */
    const char *digest; /* of the frame before */
} writer;

static void
put_number(writer *w, size_t n)
{
    while (n >= 128) {
        *w->p++ = (char)(n | 128);
        n >>= 7;
    }
    *w->p++ = (char)n;
}

static void
put_bytes(writer *w, const char *bytes, Py_ssize_t n)
{
    memcpy(w->p, bytes, (size_t)n);
    w->p += n;
}

static void
put(writer *w, PyObject *op)
{
    PyTuple_SET_ITEM(w->tuple, w->used++, Py_NewRef(op));
}

static bool
is_frame(PyObject *v)
{
    return PyTuple_CheckExact(v) && PyTuple_GET_SIZE(v) == SLP_FRAME_ITEMS
           && PyBytes_CheckExact(PyTuple_GET_ITEM(v, MARKS))
           && PyTuple_CheckExact(PyTuple_GET_ITEM(v, SLOTS_ITEM));
}

static Py_ssize_t
size_of_marks(PyObject *frame)
{
    return PyBytes_GET_SIZE(PyTuple_GET_ITEM(frame, MARKS));
}

static int
put_frame(writer *w, PyObject *frame, const char *digest)
{
    PyObject **item = &PyTuple_GET_ITEM(frame, 0);
    PyObject *slots = item[SLOTS_ITEM];
    Py_ssize_t n = PyTuple_GET_SIZE(slots), marks = size_of_marks(frame);
    long offset = PyLong_AsLong(item[OFFSET]);
    long back = PyLong_AsLong(item[RETURN_OFFSET]);
    if (offset < 0 || back < 0 || (marks != 0 && marks != n)) {
        return bad();
    }
    bool locals = item[LOCALS_ITEM] != Py_None;
    bool known = w->digest != NULL
                 && memcmp(w->digest, digest, SLP_DIGEST_SIZE) == 0;
    put_number(w, 1 + (marks != 0 ? MARKED : 0) + (locals ? LOCALS : 0)
                      + (known ? 0 : DIGEST) + (size_t)n * SLOTS);
    put_number(w, (size_t)offset);
    put_number(w, (size_t)back);
    if (!known) {
        put_bytes(w, digest, SLP_DIGEST_SIZE);
    }
    put_bytes(w, PyBytes_AS_STRING(item[MARKS]), marks);
    put(w, item[FUNCTION]);
    if (locals) {
        put(w, item[LOCALS_ITEM]);
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        put(w, PyTuple_GET_ITEM(slots, i));
    }
    w->digest = digest;
    return 0;
}

static int
put_frames(writer *w, const slp_parts *p)
{
    PyObject *frames = p->started.frames;
    const char *digest = PyBytes_AS_STRING(p->digests);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(frames); i++) {
        PyObject *frame = PyTuple_GET_ITEM(frames, i);
        if (!is_frame(frame)) {
            put_number(w, 0);
            put(w, frame);
            continue;
        }
        if (put_frame(w, frame, digest) < 0) {
            return -1;
        }
        digest += SLP_DIGEST_SIZE;
    }
    return 0;
}

typedef struct {
    PyObject *objects[6]; /* in the order of the enum above */
    unsigned there;       /* which of them are not None */
    int count;            /* of those */
} following;

static following
what_follows(const slp_parts *p)
{
    const slp_started *s = &p->started;
    following f = {.objects = {p->name, s->exc, s->tempval, p->context,
                               p->attributes, s->channel}};
    for (int i = 0; i < 6; i++) {
        if (f.objects[i] != Py_None) {
            f.there |= 1u << i;
            f.count++;
        }
    }
    return f;
}

/* How many bytes at most, and how many objects in frames. */
static int
measure(const slp_parts *p, Py_ssize_t *bytes, Py_ssize_t *objects)
{
    *bytes = HEAD + LONGEST;
    *objects = 0;
    Py_ssize_t digests = 0;
    PyObject *frames = p->started.frames;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(frames); i++) {
        PyObject *frame = PyTuple_GET_ITEM(frames, i);
        *bytes += 1;
        *objects += 1;
        if (is_frame(frame)) {
            PyObject **item = &PyTuple_GET_ITEM(frame, 0);
            digests += SLP_DIGEST_SIZE;
            *bytes += 3 * LONGEST + SLP_DIGEST_SIZE + size_of_marks(frame);
            *objects += PyTuple_GET_SIZE(item[SLOTS_ITEM])
                        + (item[LOCALS_ITEM] != Py_None ? 1 : 0);
        }
    }
    return digests == PyBytes_GET_SIZE(p->digests) ? 0 : bad();
}

static void
put_head(writer *w, const slp_parts *p, const following *f)
{
    const slp_started *s = &p->started;
    *w->p++ = (char)(p->life | p->flags << 2 | s->kind << 5
                     | (s->sending ? 128 : 0));
    *w->p++ = (char)f->there;
    for (int i = 0; i < 6; i++) {
        if ((f->there & ~CONTEXT) >> i & 1) {
            put(w, f->objects[i]);
        }
    }
    if (f->there & CHANNEL) {
        put_number(w, (size_t)p->place);
    }
}

PyObject *
slp_pack(const slp_parts *p)
{
    Py_ssize_t bytes, objects;
    if (measure(p, &bytes, &objects) < 0) {
        return NULL;
    }
    following f = what_follows(p);
    bool started = p->life == SLP_STARTED;
    objects += 1 + f.count + (started ? 0 : 1);
    PyObject *numbers = PyBytes_FromStringAndSize(NULL, bytes);
    writer w = {.tuple = numbers ? PyTuple_New(objects) : NULL, .used = 1};
    if (w.tuple == NULL) {
        Py_XDECREF(numbers);
        return NULL;
    }
    w.p = PyBytes_AS_STRING(numbers);
    put_head(&w, p, &f);
    int r = started ? put_frames(&w, p) : 0;
    if (!started) {
        put(&w, p->bound);
    }
    if (f.there & CONTEXT) {
        put(&w, p->context);
    }
    bytes = w.p - PyBytes_AS_STRING(numbers);
    if (r < 0 || _PyBytes_Resize(&numbers, bytes) < 0) {
        Py_XDECREF(numbers);
        Py_CLEAR(w.tuple);
        return NULL;
    }
    PyTuple_SET_ITEM(w.tuple, 0, numbers);
    return w.tuple;
}

/* ---- read ---------------------------------------------------------------- */

typedef struct {
    const unsigned char *p, *end;
    PyObject *tuple;
    Py_ssize_t used;
    const char *digest; /* of the frame before */
    bool bad;           /* something is missing */
} reader;

/* From 0 to most; 0 if it is bad. */
static Py_ssize_t
take_number(reader *r, Py_ssize_t most)
{
    size_t n = 0;
    for (int shift = 0; shift < 63; shift += 7) {
        if (r->p == r->end) {
            break;
        }
        unsigned char byte = *r->p++;
        n |= (size_t)(byte & 127) << shift;
        if (byte < 128) {
            if (n <= (size_t)most) {
                return (Py_ssize_t)n;
            }
            break;
        }
    }
    r->bad = true;
    return 0;
}

static const char *
take_bytes(reader *r, Py_ssize_t n)
{
    if (r->end - r->p < n) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return (const char *)r->p - n;
}

/* Borrowed; None if it is bad. */
static PyObject *
take(reader *r)
{
    if (r->used == PyTuple_GET_SIZE(r->tuple)) {
        r->bad = true;
        return Py_None;
    }
    return PyTuple_GET_ITEM(r->tuple, r->used++);
}

/* A new reference to the tuple; NULL if it is bad, or with an exception. */
static PyObject *
take_frame(reader *r, Py_ssize_t head)
{
    Py_ssize_t n = head / SLOTS;
    Py_ssize_t offset = take_number(r, INT_MAX);
    Py_ssize_t back = take_number(r, INT_MAX);
    if (head & DIGEST) {
        r->digest = take_bytes(r, SLP_DIGEST_SIZE);
    }
    Py_ssize_t size = head & MARKED ? n : 0;
    const char *marks = take_bytes(r, size);
    PyObject *function = take(r);
    PyObject *locals = head & LOCALS ? take(r) : Py_None;
    if (r->bad || r->digest == NULL
        || n > PyTuple_GET_SIZE(r->tuple) - r->used) {
        r->bad = true;
        return NULL;
    }
    PyObject *slots = PyTuple_GetSlice(r->tuple, r->used, r->used + n);
    r->used += n;
    PyObject *parts[SLP_FRAME_ITEMS] = {
        Py_NewRef(function),
        Py_NewRef(locals),
        PyLong_FromSsize_t(offset),
        PyLong_FromSsize_t(back),
        PyBytes_FromStringAndSize(marks, size),
        slots,
    };
    return slp_frame_tuple(parts);
}

/* How many frames follow. */
static Py_ssize_t
count_frames(reader r)
{
    Py_ssize_t count = 0;
    while (r.p < r.end && !r.bad) {
        count++;
        Py_ssize_t head = take_number(&r, PY_SSIZE_T_MAX) - 1;
        if (head >= 0) {
            take_number(&r, INT_MAX);
            take_number(&r, INT_MAX);
            take_bytes(&r, head & DIGEST ? SLP_DIGEST_SIZE : 0);
            take_bytes(&r, head & MARKED ? head / SLOTS : 0);
        }
    }
    return count;
}

static int
take_frames(reader *r, slp_parts *p)
{
    Py_ssize_t count = count_frames(*r);
    PyObject *frames = p->started.frames = PyTuple_New(count);
    PyObject *digests = PyBytes_FromStringAndSize(NULL,
                                                  count * SLP_DIGEST_SIZE);
    if (frames == NULL || digests == NULL) {
        Py_XDECREF(digests);
        return -1;
    }
    char *digest = PyBytes_AS_STRING(digests);
    p->digests = digests;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t head = take_number(r, PY_SSIZE_T_MAX) - 1;
        PyObject *frame = head < 0 ? Py_NewRef(take(r)) : take_frame(r, head);
        if (frame == NULL || r->bad) {
            Py_XDECREF(frame);
            return -1;
        }
        PyTuple_SET_ITEM(frames, i, frame);
        if (head >= 0) {
            memcpy(digest, r->digest, SLP_DIGEST_SIZE);
            digest += SLP_DIGEST_SIZE;
        }
    }
    return _PyBytes_Resize(&p->digests, digest - PyBytes_AS_STRING(digests));
}

static void
take_head(reader *r, slp_parts *p)
{
    slp_started *s = &p->started;
    const char *head = take_bytes(r, HEAD);
    unsigned what = head ? (unsigned char)head[0] : 0;
    unsigned there = head ? (unsigned char)head[1] : KNOWN + 1;
    PyObject **follow[] = {&p->name,    &s->exc,        &s->tempval,
                           &p->context, &p->attributes, &s->channel};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(follow); i++) {
        *follow[i] = (there & ~CONTEXT) >> i & 1 ? take(r) : Py_None;
    }
    p->context = there & CONTEXT ? NULL : Py_None; /* it comes later */
    p->place = there & CHANNEL ? take_number(r, PY_SSIZE_T_MAX) : 0;
    p->life = (int)(what & 3);
    p->flags = (int)(what >> 2 & 7);
    s->kind = (int)(what >> 5 & 3);
    s->sending = (int)(what >> 7);
    r->bad = r->bad || there > KNOWN
             || (p->name != Py_None && !PyUnicode_Check(p->name));
}

int
slp_unpack(PyObject *packed, slp_parts *p)
{
    *p = (slp_parts){.bound = Py_None};
    if (!PyTuple_Check(packed) || PyTuple_GET_SIZE(packed) == 0
        || !PyBytes_Check(PyTuple_GET_ITEM(packed, 0))) {
        return bad();
    }
    PyObject *numbers = PyTuple_GET_ITEM(packed, 0);
    const char *begin = PyBytes_AS_STRING(numbers);
    reader r = {.p = (const unsigned char *)begin, .tuple = packed, .used = 1};
    r.end = r.p + PyBytes_GET_SIZE(numbers);
    take_head(&r, p);
    int done = 0;
    if (p->life == SLP_STARTED) {
        done = r.bad ? -1 : take_frames(&r, p);
    }
    else {
        p->bound = take(&r);
        p->started.frames = PyTuple_New(0);
        p->digests = PyBytes_FromStringAndSize(NULL, 0);
        done = p->started.frames && p->digests ? 0 : -1;
    }
    if (p->context == NULL) {
        p->context = take(&r);
    }
    if (done < 0 || r.bad || r.p != r.end
        || r.used != PyTuple_GET_SIZE(packed)) {
        slp_unpacked_clear(p);
        return bad();
    }
    return 0;
}

void
slp_unpacked_clear(slp_parts *p)
{
    Py_CLEAR(p->started.frames);
    Py_CLEAR(p->digests);
}

/* ---- for Python code ------------------------------------------------------ */

PyObject *
slp_parts_tuple(PyObject *tasklet, const slp_parts *p)
{
    const slp_started *s = &p->started;
    PyObject *more = p->life == SLP_STARTED ? Py_BuildValue(
                         "(OOOiOi)", s->frames, s->exc, s->tempval, s->kind,
                         s->channel, s->sending)
                     : p->life == SLP_READY ? Py_BuildValue(
                           "(OOi)", p->bound, s->tempval, s->kind)
                                            : Py_NewRef(p->bound);
    return more == NULL ? NULL
                        : Py_BuildValue("(O(OiiN)OnOO)", tasklet, p->name,
                                        p->flags, p->life, more, p->digests,
                                        p->place, p->context, p->attributes);
}

/* What _tasklet_state() has given; borrowed. */
static int
parse_state(PyObject *name, int flags, int life, PyObject *more, slp_parts *p)
{
    slp_started *s = &p->started;
    p->name = name;
    p->flags = flags & 7;
    p->life = life & 3;
    p->bound = more;
    if (life == SLP_STARTED) {
        return slp_parse_started(more, s);
    }
    s->exc = s->tempval = s->channel = Py_None;
    if (life == SLP_READY
        && (!PyTuple_Check(more)
            || !PyArg_ParseTuple(more, "OOi", &p->bound, &s->tempval,
                                 &s->kind))) {
        return bad();
    }
    return 0;
}

PyDoc_STRVAR(pack_tasklet_doc,
             "_pack_tasklet(state, digests, place, context, attributes, /)\n"
             "--\n\n"
             "What tasklet.__setstate__() takes. state: as of "
             "_tasklet_state(); anything may stand for the\nfunction of a "
             "frame. digests: of the code of all frames that are tuples. "
             "place: in the queue\nof the channel. None: there is none.");

static PyObject *
pack_tasklet(PyObject *Py_UNUSED(module), PyObject *args)
{
    slp_parts p = {.place = 0};
    PyObject *name, *more, *packed = NULL;
    int flags, life;
    if (!PyArg_ParseTuple(args, "(OiiO)SnOO:_pack_tasklet", &name, &flags,
                          &life, &more, &p.digests, &p.place, &p.context,
                          &p.attributes)) {
        return NULL;
    }
    PyObject *none = PyTuple_New(0);
    if (none != NULL) {
        p.started.frames = none;
        if (p.place < 0) {
            bad();
        }
        else if (parse_state(name, flags, life, more, &p) == 0) {
            packed = slp_pack(&p);
        }
        Py_DECREF(none);
    }
    return packed;
}

PyMethodDef slp_packed_methods[] = {
    {"_pack_tasklet", pack_tasklet, METH_VARARGS, pack_tasklet_doc},
    {NULL, NULL, 0, NULL},
};
