/* SPDX-License-Identifier: PSF-2.0 */
/* Iterators as values, and made from them, where they do not tell what they are
   made of.  compat_shapes.c says what is where in each of them.  States are
   checked for all that the iterators rely on. */
#include "compat_iterators.h"

#include <limits.h>

/* NULL with TypeError: it is none of them. */
static const slp_shape *
shape_of(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    for (const slp_shape *s = slp_shapes; s->name != NULL; s++) {
        Py_ssize_t more = type->tp_basicsize - (Py_ssize_t)s->size;
        if (strcmp(type->tp_name, s->name) == 0
            && (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)
            && (s->more ? more >= 0 : more == 0)) {
            return s;
        }
    }
    PyErr_Format(PyExc_TypeError, "%.100s is not known", type->tp_name);
    return NULL;
}

static PyObject **
object_at(PyObject *op, const slp_field *f)
{
    return (PyObject **)((char *)op + f->offset);
}

static Py_ssize_t
number_at(PyObject *op, const slp_field *f)
{
    const void *at = object_at(op, f);
    switch (f->kind) {
        case INT:
            return *(const int *)at;
        case LONG:
            return *(const long *)at;
        case BOOL:
            return *(const unsigned char *)at;
        case PLACE:
            return slp_place_at(op);
        default:
            return *(const Py_ssize_t *)at;
    }
}

static bool
has_number(const slp_field *f)
{
    return f->kind >= NUMBER && f->kind <= PLACE;
}

static Py_ssize_t
length_at(PyObject *op, const slp_shape *s, const slp_field *f)
{
    const slp_field *of = &s->fields[f->length];
    return has_number(of) ? number_at(op, of)
                          : PyTuple_GET_SIZE(*object_at(op, of));
}

/* ---- from an iterator ---------------------------------------------------- */

/* A tuple of objects, None for NULL unless that is to be an error. */
static PyObject *
tuple_of(PyObject *const *items, Py_ssize_t n, bool optional)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple != NULL && i < n; i++) {
        PyObject *item = items[i] || !optional ? items[i] : Py_None;
        if (item == NULL) {
            Py_DECREF(tuple);
            PyErr_SetString(PyExc_TypeError, "the iterator is incomplete");
            return NULL;
        }
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(item));
    }
    return tuple;
}

static PyObject *
array_state(const Py_ssize_t *numbers, Py_ssize_t n)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple != NULL && i < n; i++) {
        PyObject *number = PyLong_FromSsize_t(numbers[i]);
        if (number == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, number);
    }
    return tuple;
}

/* A product that has failed has a tuple with holes, and does not use it. */
static bool
has_holes(PyObject *tuple)
{
    bool holes = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        holes = holes || PyTuple_GET_ITEM(tuple, i) == NULL;
    }
    return holes;
}

static PyObject *
field_state(PyObject *op, const slp_shape *s, const slp_field *f)
{
    if (has_number(f)) {
        return PyLong_FromSsize_t(number_at(op, f));
    }
    PyObject *v = *object_at(op, f);
    switch (f->kind) {
        case OBJECT:
        case ITERATOR:
            return tuple_of(&v, v != NULL, false);
        case TUPLE:
            return tuple_of(&v, v != NULL && !has_holes(v), false);
        case ITERATORS:
            return tuple_of(((PyTupleObject *)v)->ob_item, PyTuple_GET_SIZE(v),
                            true);
        case ITEMS:
            return PyList_AsTuple(v);
        case ARRAY:
            return array_state((const Py_ssize_t *)v, length_at(op, s, f));
        case VALUES:
            return tuple_of(object_at(op, f), length_at(op, s, f), false);
        default:
            return PyLong_FromVoidPtr(v);
    }
}

static int
count_fields(const slp_shape *s)
{
    int n = 0;
    while (n < FIELDS && s->fields[n].kind != END) {
        n++;
    }
    return n;
}

PyObject *
slp_iterator_state(PyObject *op)
{
    const slp_shape *s = shape_of(op);
    PyObject *state = s ? PyTuple_New(count_fields(s)) : NULL;
    for (int i = 0; state != NULL && i < PyTuple_GET_SIZE(state); i++) {
        PyObject *v = field_state(op, s, &s->fields[i]);
        if (v == NULL) {
            Py_CLEAR(state);
            break;
        }
        PyTuple_SET_ITEM(state, i, v);
    }
    return state;
}

/* ---- is the layout what we take it for? ---------------------------------- */

static bool
is_number(PyObject *v, Py_ssize_t number)
{
    int overflow = 0;
    return PyLong_CheckExact(v)
           && PyLong_AsLongLongAndOverflow(v, &overflow) == number
           && !overflow;
}

static bool
array_fits(const void *array, bool objects, PyObject *v)
{
    bool good = true;
    for (Py_ssize_t i = 0; good && i < PyTuple_GET_SIZE(v); i++) {
        PyObject *item = PyTuple_GET_ITEM(v, i);
        good = objects ? ((PyObject *const *)array)[i] == item
                       : is_number(item, ((const Py_ssize_t *)array)[i]);
    }
    return good;
}

/* Does the word there look like an address?  Only then is it used as one, when all
   other fields are right: their lengths are among those. */
static bool
field_fits(PyObject *op, const slp_shape *s, const slp_field *f, PyObject *v,
           bool arrays)
{
    if (has_number(f)) {
        return is_number(v, number_at(op, f));
    }
    if (!PyTuple_Check(v)) {
        return false;
    }
    PyObject *raw = *object_at(op, f);
    bool values = f->kind == VALUES;
    if (arrays && (values || f->kind == ARRAY)) {
        return length_at(op, s, f) == PyTuple_GET_SIZE(v)
               && array_fits(values ? object_at(op, f) : (void *)raw, values,
                             v);
    }
    if (values || f->kind == ARRAY) {
        return values
               || ((uintptr_t)raw > USHRT_MAX
                   && (uintptr_t)raw % sizeof(void *) == 0);
    }
    return raw == (PyTuple_GET_SIZE(v) ? PyTuple_GET_ITEM(v, 0) : NULL);
}

bool
slp_iterator_fits(PyObject *op, PyObject *words)
{
    const slp_shape *s = shape_of(op);
    if (s == NULL || PyTuple_GET_SIZE(words) != count_fields(s)) {
        PyErr_Clear(); /* checked: it does not fit, then */
        return false;
    }
    bool good = true;
    for (int n = 0; good && n < 2 * count_fields(s); n++) {
        int i = n % count_fields(s);
        good = field_fits(op, s, &s->fields[i], PyTuple_GET_ITEM(words, i),
                          n >= count_fields(s));
    }
    return good;
}

/* ---- to an iterator ------------------------------------------------------ */

static bool
parse_number(const slp_field *f, PyObject *v, Py_ssize_t *number)
{
    int overflow = 0;
    long long n = PyLong_CheckExact(v)
                      ? PyLong_AsLongLongAndOverflow(v, &overflow)
                      : PY_LLONG_MAX;
    *number = (Py_ssize_t)n;
    return PyLong_CheckExact(v) && !overflow && *number == n
           && (f->kind == INT || f->kind == LONG || f->kind == BOOL
                   ? n >= 0 && n <= (f->kind == INT ? INT_MAX : 1)
                   : f->kind == NUMBER || f->kind == PLACE || n == 0);
}

static bool
parse_array(PyObject *v, slp_part *p)
{
    if (!PyTuple_CheckExact(v)) {
        return false;
    }
    p->number = PyTuple_GET_SIZE(v);
    p->array = PyMem_New(Py_ssize_t, p->number);
    if (p->array == NULL) {
        PyErr_NoMemory();
        return false;
    }
    const slp_field number = {NUMBER, false, 0, 0};
    bool good = true;
    for (Py_ssize_t i = 0; good && i < p->number; i++) {
        good = parse_number(&number, PyTuple_GET_ITEM(v, i), &p->array[i]);
    }
    return good;
}

static bool
parse_iterators(PyObject *v, slp_part *p)
{
    bool good = PyTuple_CheckExact(v);
    Py_ssize_t n = good ? PyTuple_GET_SIZE(v) : 0;
    p->object = good ? PyTuple_New(n) : NULL;
    good = p->object != NULL;
    for (Py_ssize_t i = 0; good && i < n; i++) {
        PyObject *item = PyTuple_GET_ITEM(v, i);
        good = item == Py_None || PyIter_Check(item);
        if (item != Py_None && good) {
            PyTuple_SET_ITEM(p->object, i, Py_NewRef(item));
        }
    }
    return good;
}

/* An object or NULL: in a tuple. */
static bool
parse_object(const slp_field *f, PyObject *v, slp_part *p)
{
    if (!PyTuple_CheckExact(v) || PyTuple_GET_SIZE(v) > 1) {
        return false;
    }
    if (PyTuple_GET_SIZE(v) == 0) {
        return f->optional;
    }
    p->object = Py_NewRef(PyTuple_GET_ITEM(v, 0));
    return f->kind == ITERATOR ? PyIter_Check(p->object)
           : f->kind == TUPLE  ? PyTuple_CheckExact(p->object)
                               : true;
}

/* False without an exception as well: it is nothing for that field. */
static bool
parse(const slp_field *f, PyObject *v, slp_part *p)
{
    switch (f->kind) {
        case OBJECT:
        case ITERATOR:
        case TUPLE:
            return parse_object(f, v, p);
        case ITERATORS:
            return parse_iterators(v, p);
        case ITEMS:
            p->object = PyTuple_CheckExact(v) ? PySequence_List(v) : NULL;
            return p->object != NULL;
        case ARRAY:
            return parse_array(v, p);
        case VALUES:
            p->object = Py_NewRef(v);
            return PyTuple_CheckExact(v);
        default:
            return parse_number(f, v, &p->number);
    }
}

/* Takes over what is in the part, and leaves there what was in the field. */
static void
store(PyObject *op, const slp_field *f, slp_part *p)
{
    PyObject **at = object_at(op, f), *old;
    switch (f->kind) {
        case NUMBER:
        case ADDRESS:
            *(Py_ssize_t *)at = p->number;
            break;
        case INT:
            *(int *)at = (int)p->number;
            break;
        case LONG:
            *(long *)at = (long)p->number;
            break;
        case BOOL:
            *(bool *)at = p->number != 0;
            break;
        case PLACE:
            slp_set_place(op, p->number);
            break;
        case ARRAY:
            old = *at;
            *at = (PyObject *)p->array;
            p->array = (Py_ssize_t *)old;
            break;
        case VALUES:
            for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(p->object); i++) {
                at[i] = Py_NewRef(PyTuple_GET_ITEM(p->object, i));
            }
            break;
        default:
            old = *at;
            *at = p->object;
            p->object = old;
    }
}

static const char *
short_name(const slp_shape *s)
{
    const char *dot = strrchr(s->name, '.');
    return dot == NULL ? s->name : dot + 1;
}

int
slp_iterator_set_state(PyObject *op, PyObject *state)
{
    const slp_shape *s = shape_of(op);
    if (s == NULL) {
        return -1;
    }
    int n = count_fields(s);
    slp_part parts[FIELDS] = {{NULL, 0, NULL}};
    bool good = s->good != NULL && PyTuple_CheckExact(state)
                && PyTuple_GET_SIZE(state) == n;
    for (int i = 0; good && i < n; i++) {
        good = parse(&s->fields[i], PyTuple_GET_ITEM(state, i), &parts[i]);
    }
    good = good && s->good(op, parts);
    for (int i = 0; good && i < n; i++) {
        store(op, &s->fields[i], &parts[i]);
    }
    if (!good && !PyErr_Occurred()) { /* checked: no memory */
        PyErr_Format(PyExc_ValueError, "not the state of a %s", short_name(s));
    }
    for (int i = 0; i < n; i++) {
        PyMem_Free(parts[i].array);
        Py_XDECREF(parts[i].object);
    }
    return good ? 0 : -1;
}
