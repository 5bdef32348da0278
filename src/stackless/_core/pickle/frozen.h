/* SPDX-License-Identifier: PSF-2.0 */
/* What stackless.freeze() and its relatives need of the engine. */
#ifndef SLP_FROZEN_H
#define SLP_FROZEN_H

#include "../core/state.h"

SLP_INTERNAL extern PyMethodDef slp_frozen_methods[], slp_facts_methods[];
SLP_INTERNAL int slp_frozen_setup(slp_state *s);

#endif
