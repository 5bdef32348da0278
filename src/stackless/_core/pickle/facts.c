/* SPDX-License-Identifier: PSF-2.0 */
/* What is looked up for each frame that is frozen or thawed: the digest of its
   code, and whether that can go on from there.  Python code finds it out, once for
   each code object; see _freezing/codes.py and softening.py. */
#include "frozen.h"

/* The code of a frame's function; NULL if `frame` is none. */
static PyObject *
code_of(PyObject *frame)
{
    PyObject *function = PyTuple_CheckExact(frame)
                                 && PyTuple_GET_SIZE(frame) == SLP_FRAME_ITEMS
                             ? PyTuple_GET_ITEM(frame, 0)
                             : NULL;
    return function && PyFunction_Check(function)
               ? PyFunction_GET_CODE(function)
               : NULL;
}

/* *known, asked of find(code) the first time; NULL with an exception.  Nothing may
   be known of the code that is not of this type. */
static PyObject *
fact(PyObject **known, PyObject *code, PyObject *find, PyTypeObject *type)
{
    if (*known == NULL) {
        PyObject *v = PyObject_CallOneArg(find, code);
        if (v != NULL && !Py_IS_TYPE(v, type)) {
            PyErr_Format(PyExc_TypeError, "%.50s is needed, not %.50s",
                         type->tp_name, Py_TYPE(v)->tp_name);
            Py_CLEAR(v);
        }
        PyObject *old = *known; /* find() may have been here */
        *known = v;
        Py_XDECREF(old);
    }
    return *known;
}

/* Borrowed: SLP_DIGEST_SIZE bytes. */
static const char *
digest_of(slp_state *s, PyObject *code, PyObject *find)
{
    slp_code_facts *facts = slp_code_facts_of(code, s->facts_index);
    PyObject *v = facts ? fact(&facts->digest, code, find, &PyBytes_Type)
                        : NULL;
    if (v == NULL) {
        return NULL;
    }
    if (PyBytes_GET_SIZE(v) != SLP_DIGEST_SIZE) {
        Py_CLEAR(facts->digest);
        PyErr_SetString(PyExc_ValueError, "not a digest");
        return NULL;
    }
    return PyBytes_AS_STRING(v);
}

PyDoc_STRVAR(
    frame_digests_doc,
    "_frame_digests(frames, digest, /)\n--\n\n"
    "The digests of their code, one after the other, or None if there "
    "are others than frames\namong them. digest(code) is asked for "
    "those that are not known yet.");

static PyObject *
frame_digests(PyObject *module, PyObject *args)
{
    PyObject *frames, *find;
    return PyArg_ParseTuple(args, "O!O:_frame_digests", &PyTuple_Type, &frames,
                            &find)
               ? slp_frame_digests(slp_state_of(module), frames, find)
               : NULL;
}

PyObject *
slp_frame_digests(slp_state *s, PyObject *frames, PyObject *find)
{
    Py_ssize_t n = PyTuple_GET_SIZE(frames);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (code_of(PyTuple_GET_ITEM(frames, i)) == NULL) {
            Py_RETURN_NONE;
        }
    }
    PyObject *all = PyBytes_FromStringAndSize(NULL, n * SLP_DIGEST_SIZE);
    for (Py_ssize_t i = 0; all && i < n; i++) {
        PyObject *code = code_of(PyTuple_GET_ITEM(frames, i));
        const char *d = digest_of(s, code, find);
        if (d == NULL) {
            Py_CLEAR(all);
            break;
        }
        memcpy(PyBytes_AS_STRING(all) + i * SLP_DIGEST_SIZE, d,
               SLP_DIGEST_SIZE);
    }
    return all;
}

PyDoc_STRVAR(code_digest_doc,
             "_code_digest(code, digest, /)\n--\n\n"
             "What digest(code) is, asked once.");

static PyObject *
code_digest(PyObject *module, PyObject *args)
{
    PyObject *code, *find;
    if (!PyArg_ParseTuple(args, "O!O:_code_digest", &PyCode_Type, &code,
                          &find)) {
        return NULL;
    }
    const char *d = digest_of(slp_state_of(module), code, find);
    return d ? PyBytes_FromStringAndSize(d, SLP_DIGEST_SIZE) : NULL;
}

/* Is what the frame says one of the places of its code?  -1 with an exception;
   0 may also mean that others have to tell. */
static int
is_known_place(slp_state *s, PyObject *frame, PyObject *places_of)
{
    PyObject *code = code_of(frame);
    slp_code_facts *facts = slp_code_facts_of(code, s->facts_index);
    PyObject *places = facts ? fact(&facts->places, code, places_of,
                                    &PyDict_Type)
                             : NULL;
    if (places == NULL) {
        return -1;
    }
    PyObject *offset = PyTuple_GET_ITEM(frame, 2);
    PyObject *back = PyTuple_GET_ITEM(frame, 3);
    PyObject *slots = PyTuple_GET_ITEM(frame, 5);
    if (!PyLong_CheckExact(offset) || !PyLong_CheckExact(back)
        || !PyTuple_CheckExact(slots)) {
        return 0;
    }
    PyObject *place = PyDict_GetItemWithError(places, offset);
    if (place == NULL) {
        return PyErr_Occurred() ? -1 : 0; /* checked: only by WithError */
    }
    if (!PyTuple_CheckExact(place) || PyTuple_GET_SIZE(place) != 2) {
        PyErr_SetString(PyExc_TypeError, "a place is a pair");
        return -1;
    }
    Py_ssize_t size = PyLong_AsSsize_t(PyTuple_GET_ITEM(place, 0));
    if (size < 0) {
        return PyErr_Occurred() ? -1 : 0; /* checked: no place has that size */
    }
    if (size != PyTuple_GET_SIZE(slots)) {
        return 0;
    }
    return PySequence_Contains(PyTuple_GET_ITEM(place, 1), back);
}

/* One whose code has this digest; -1 with an exception. */
static int
check_frame(const slp_asked *a, PyObject *frame, const char *digest,
            PyObject *changed)
{
    PyObject *code = code_of(frame);
    if (code == NULL) {
        PyErr_SetString(PyExc_ValueError, "not the state of a frame");
        return -1;
    }
    const char *present = digest_of(a->s, code, a->digest);
    if (present == NULL) {
        return -1;
    }
    if (memcmp(present, digest, SLP_DIGEST_SIZE) != 0) {
        return PyList_Append(changed, PyTuple_GET_ITEM(frame, 0));
    }
    if (a->places == Py_None || PyList_GET_SIZE(changed) > 0) {
        return 0;
    }
    int r = is_known_place(a->s, frame, a->places);
    if (r == 0) {
        PyObject *v = PyObject_CallOneArg(a->check, frame);
        Py_XDECREF(v);
        r = v ? 0 : -1;
    }
    return r < 0 ? -1 : 0;
}

PyDoc_STRVAR(
    check_frames_doc,
    "_check_frames(frames, digests, digest, places, check, /)\n--\n\n"
    "A list of the functions whose code is not what the digests say; "
    "generators among the\nframes have none. Unless places is None, "
    "frames are also seen to be where their code\ncan go on: "
    "places(code) is a dict, {offset: (slots, set of return offsets)}, "
    "and what\nis not found there is left to check(frame), which may "
    "raise.");

static PyObject *
check_frames(PyObject *module, PyObject *args)
{
    PyObject *frames, *digests;
    slp_asked a = {.s = slp_state_of(module)};
    return PyArg_ParseTuple(args, "O!SOOO:_check_frames", &PyTuple_Type,
                            &frames, &digests, &a.digest, &a.places, &a.check)
               ? slp_check_frames(&a, frames, digests)
               : NULL;
}

PyObject *
slp_check_frames(const slp_asked *a, PyObject *frames, PyObject *digests)
{
    Py_ssize_t n = PyTuple_GET_SIZE(frames), used = 0;
    Py_ssize_t size = PyBytes_GET_SIZE(digests);
    PyObject *changed = PyList_New(0);
    for (Py_ssize_t i = 0; changed && i < n; i++) {
        PyObject *frame = PyTuple_GET_ITEM(frames, i);
        if (!PyTuple_CheckExact(frame)) {
            continue;
        }
        if (used + SLP_DIGEST_SIZE > size) {
            used = size + 1; /* too many frames */
            break;
        }
        const char *digest = PyBytes_AS_STRING(digests) + used;
        used += SLP_DIGEST_SIZE;
        if (check_frame(a, frame, digest, changed) < 0) {
            Py_CLEAR(changed);
        }
    }
    if (changed != NULL && used != size) {
        PyErr_SetString(PyExc_ValueError, "a frame or a digest is missing");
        Py_CLEAR(changed);
    }
    return changed;
}

PyMethodDef slp_facts_methods[] = {
    {"_code_digest", code_digest, METH_VARARGS, code_digest_doc},
    {"_frame_digests", frame_digests, METH_VARARGS, frame_digests_doc},
    {"_check_frames", check_frames, METH_VARARGS, check_frames_doc},
    {NULL, NULL, 0, NULL},
};
