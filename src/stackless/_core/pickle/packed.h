/* SPDX-License-Identifier: PSF-2.0 */
/* The parts of a tasklet, and the tuple that a pickle has of them. */
#ifndef SLP_PACKED_H
#define SLP_PACKED_H

#include "frozen.h"

/* No field is NULL; Py_None: there is none. */
typedef struct {
    PyObject *name, *context, *attributes;
    PyObject *bound;     /* unless it has started */
    slp_started started; /* if it is READY only tempval and kind */
    PyObject *digests;   /* bytes, of the frames that are tuples */
    Py_ssize_t place;    /* in the queue of the channel */
    int flags, life;
} slp_parts;

/* A new tuple. */
SLP_INTERNAL PyObject *slp_pack(const slp_parts *p);
/* The inverse; -1 with ValueError if it is none.  The name is a str or None; all
   other objects may be anything, and the frames are tuples that only have the
   right length. */
SLP_INTERNAL int slp_unpack(PyObject *packed, slp_parts *p);
/* Releases what that has made. */
SLP_INTERNAL void slp_unpacked_clear(slp_parts *p);
/* The tasklet and what _pack_tasklet() takes, as a new tuple. */
SLP_INTERNAL PyObject *slp_parts_tuple(PyObject *tasklet, const slp_parts *p);

SLP_INTERNAL extern PyMethodDef slp_packed_methods[];

#endif
