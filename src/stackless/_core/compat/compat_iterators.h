/* SPDX-License-Identifier: PSF-2.0 */
/* Of compat_iterators.c and compat_shapes.c: what iterators and a few other
   objects consist of. */
#ifndef SLP_COMPAT_ITERATORS_H
#define SLP_COMPAT_ITERATORS_H

#include "compat.h"

typedef enum {
    END,
    OBJECT,
    ITERATOR,  /* has a tp_iternext, which is called unseen */
    TUPLE,     /* no subclass */
    ITERATORS, /* its own tuple of them, NULL for those that have ended */
    ITEMS,     /* its own list */
    NUMBER,    /* Py_ssize_t */
    INT,
    LONG,
    BOOL,
    PLACE,  /* in the string of a scanner, from its beginning; -1: NULL */
    ARRAY,  /* of Py_ssize_t; another field has its length */
    VALUES, /* objects at that place, likewise */
    ADDRESS /* of an object that it does not own */
} slp_field_kind;

typedef struct {
    slp_field_kind kind;
    bool optional; /* may be NULL */
    int length;    /* which field has it */
    size_t offset;
} slp_field;

enum {
    FIELDS = 7,
    LINKCELLS = 57
};

/* What is to be put into a field. */
typedef struct {
    PyObject *object;
    Py_ssize_t number; /* also the length of an array */
    Py_ssize_t *array;
} slp_part;

typedef struct {
    const char *name; /* tp_name */
    size_t size;
    bool more; /* larger than that: what follows is not looked at */
    /* Could one have these? NULL: it is made by a call of its type. */
    bool (*good)(PyObject *op, const slp_part *p);
    slp_field fields[FIELDS];
} slp_shape;

/* Where a scanner is; -1: at the end. */
SLP_INTERNAL Py_ssize_t slp_place_at(PyObject *op);
SLP_INTERNAL void slp_set_place(PyObject *op, Py_ssize_t place);

/* Ends with one without a name. */
SLP_INTERNAL extern const slp_shape slp_shapes[];

#endif
