// SPDX-License-Identifier: PSF-2.0

// The library of test_cxx_late.c: brings the C++ runtime with it.

#include "cxx_body.h"

extern "C" __attribute__((visibility("default"))) int
late_yield_in_catch(void (*yield)(), const char *name)
{
    return cxx_body::yield_in_catch(yield, name) +
           cxx_body::yield_in_flight(yield);
}
