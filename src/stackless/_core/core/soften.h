/* SPDX-License-Identifier: PSF-2.0 */
/* Interrupted tasklets made soft: soften.c. */
#ifndef SLP_SOFTEN_H
#define SLP_SOFTEN_H

#include "task.h"

/* Is it hard only because it was interrupted, as far as its frames tell?  Not if a C
   function has called Py_MakePendingCalls(): then slp_soften() leaves it as it is. */
SLP_INTERNAL bool slp_is_interrupted(slp_task *t);
/* Make it soft if it is such a one.  Runs Python code.  -1 with an exception; 0 does
   not say that it is soft. */
SLP_INTERNAL int slp_soften(slp_task *t);

#endif
