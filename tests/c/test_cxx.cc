// SPDX-License-Identifier: PSF-2.0

// C++ exceptions: thrown and caught within a stack, and several stacks that
// switch in the middle of handling theirs, interleaved.

#include "cstack/cstack.h"

#include "cxx_body.h"

#include <cstdlib>

namespace {

int failures;
slp_cstack *native;
slp_cstack *current;

void
yield_to_native()
{
    slp_cstack *self = current;
    slp_cstack_switch(self, native);
}

void
resume(slp_cstack *stack)
{
    current = stack;
    slp_cstack_switch(native, stack);
}

struct Job {
    const char *name;
    bool flight;
    bool done;
};

void
entry(void *arg)
{
    Job *job = static_cast<Job *>(arg);
    failures += job->flight ? cxx_body::yield_in_flight(yield_to_native)
                            : cxx_body::yield_in_catch(yield_to_native,
                                                       job->name);
    job->done = true;
    for (;;) {
        yield_to_native();
    }
}

void
do_not_yield()
{
}

void
throw_within(void *arg)
{
    failures += cxx_body::yield_in_catch(do_not_yield, "alone");
    failures += cxx_body::yield_in_flight(do_not_yield);
    *static_cast<bool *>(arg) = true;
    for (;;) {
        yield_to_native();
    }
}

slp_cstack *
make(slp_cstack_entry function, void *arg)
{
    slp_cstack *stack = slp_cstack_new(0, function, arg);
    if (stack == nullptr) {
        std::abort();
    }
    return stack;
}

void
within_one_stack()
{
    bool done = false;
    slp_cstack *stack = make(throw_within, &done);
    resume(stack);
    failures += cxx_body::expect(done, "ran through");
    slp_cstack_free(stack);
}

// While the native stack handles an exception of its own.
void
interleaved(bool with_native)
{
    Job jobs[4] = {{"a", false, false},
                   {"b", false, false},
                   {"c", true, false},
                   {"d", true, false}};
    slp_cstack *stacks[4];
    for (int i = 0; i < 4; i++) {
        stacks[i] = make(entry, &jobs[i]);
    }
    while (!jobs[0].done || !jobs[1].done || !jobs[2].done ||
           !jobs[3].done) {
        for (int i = 0; i < 4; i++) {
            if (!with_native) {
                resume(stacks[i]);
                continue;
            }
            try {
                try {
                    throw i;
                } catch (int) {
                    resume(stacks[i]);
                    throw;
                }
            } catch (int value) {
                failures += cxx_body::expect(value == i, "native's own");
            }
        }
    }
    for (int i = 0; i < 4; i++) {
        slp_cstack_free(stacks[i]);
    }
}

}  // namespace

int
main()
{
    native = slp_cstack_native();
    if (native == nullptr) {
        return 1;
    }
    within_one_stack();
    interleaved(false);
    interleaved(true);
    slp_cstack_free(native);
    slp_cstack_cache_limit(0);
    std::printf("%s C++ exceptions\n", failures == 0 ? "ok  " : "FAIL");
    return failures == 0 ? 0 : 1;
}
