// SPDX-License-Identifier: PSF-2.0

// C++ code that throws, catches, and yields in the middle of it: compiled into
// test_cxx.cc, and into a library that test_cxx_late.c loads at run time.
// `yield` comes from outside; each function returns the number of failures.

#ifndef SLP_TEST_CXX_BODY_H
#define SLP_TEST_CXX_BODY_H

#ifdef __cplusplus

#    include <cstdio>
#    include <exception>
#    include <stdexcept>
#    include <string>

namespace cxx_body {

typedef void (*yielder)();

inline int
expect(bool condition, const char *what)
{
    if (!condition) {
        std::fprintf(stderr, "cxx_body: %s\n", what);
        return 1;
    }
    return 0;
}

struct Noted {
    int *count;
    explicit Noted(int *where) : count(where)
    {
        ++*count;
    }
    ~Noted()
    {
        --*count;
    }
};

inline void
throw_deep(int level, int *alive, const std::string &text)
{
    Noted noted(alive);
    if (level == 0) {
        throw std::runtime_error(text);
    }
    throw_deep(level - 1, alive, text);
}

// Yields inside a catch block, and inside one nested in it; then `throw;`
// must rethrow what *this* stack is handling.
inline int
yield_in_catch(yielder yield, const char *name)
{
    int failures = 0;
    int alive = 0;
    for (int round = 0; round < 5; round++) {
        std::string text = std::string(name) + std::to_string(round);
        try {
            try {
                throw_deep(5, &alive, text);
            } catch (const std::runtime_error &outer) {
                failures += expect(alive == 0, "destructors ran");
                yield();
                failures += expect(outer.what() == text, "outer text");
                try {
                    throw std::logic_error(text + "!");
                } catch (const std::logic_error &inner) {
                    yield();
                    failures += expect(inner.what() == text + "!", "inner");
                    failures += expect(std::uncaught_exceptions() == 0,
                                       "none in flight");
                }
                yield();
                throw;
            }
        } catch (const std::exception &again) {
            failures += expect(again.what() == text, "rethrown is ours");
            yield();
        }
        failures += expect(std::current_exception() == nullptr,
                           "none handled");
        yield();
    }
    return failures;
}

// Yields in a destructor while an exception is in flight.
struct Yielding {
    yielder yield;
    int *seen;
    ~Yielding()
    {
        yield();
        *seen = std::uncaught_exceptions();
    }
};

inline int
yield_in_flight(yielder yield)
{
    int failures = 0;
    for (int round = 0; round < 5; round++) {
        int seen = -1;
        try {
            Yielding guard = {yield, &seen};
            throw round;
        } catch (int value) {
            failures += expect(value == round, "value in flight");
            failures += expect(seen == 1, "one in flight");
        }
        failures += expect(std::uncaught_exceptions() == 0, "landed");
    }
    return failures;
}

}  // namespace cxx_body

#endif  // __cplusplus
#endif  // SLP_TEST_CXX_BODY_H
