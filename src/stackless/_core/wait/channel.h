/* SPDX-License-Identifier: PSF-2.0 */
/* Channels: tasklets meet and hand over a value. */
#ifndef SLP_CHANNEL_H
#define SLP_CHANNEL_H

#include "../core/sched.h"

/* balance > 0: that many senders wait in q; < 0: receivers. */
typedef struct slp_channel {
    PyObject_HEAD
    slp_waitq q;
    PyObject *weakrefs;
    Py_ssize_t balance;
    signed char preference; /* -1 receiver, 0 neither, 1 sender */
    bool closing;
    bool schedule_all;
} slp_channel;

SLP_INTERNAL void slp_channel_init(slp_channel *ch);
/* These may switch; see sched.h for what they return. */
SLP_INTERNAL int slp_channel_send(slp_thread *st, slp_entry *e,
                                  slp_channel *ch, PyObject *value);
SLP_INTERNAL int slp_channel_receive(slp_thread *st, slp_entry *e,
                                     slp_channel *ch);
/* The receiver gets exc (an instance, stolen) raised. */
SLP_INTERNAL int slp_channel_throw(slp_thread *st, slp_entry *e,
                                   slp_channel *ch, PyObject *exc);

/* Quick ops of the points: see quick.h. */
SLP_INTERNAL extern PyType_Spec slp_quick_send, slp_quick_receive;

#endif
