/* SPDX-License-Identifier: PSF-2.0 */

/* slp_cstack_switch: order of control, and what must survive a switch:
 * callee-saved registers (integer and floating point), rounding mode, errno.
 */

#include "base/slp_base.h"
#include "fiber.h"

#include <errno.h>
#include <fenv.h>

/* ---- Control ---- */

static char trace[64];

static void
note(char c)
{
    size_t length = strlen(trace);
    NEED(length + 1 < sizeof(trace));
    trace[length] = c;
}

static void
three_letters(void *arg)
{
    char first = *(char *)arg;
    for (char c = first; c < first + 3; c++) {
        note(c);
        fiber_yield();
    }
}

static void
ping_pong(void)
{
    struct fiber a;
    struct fiber b;
    char upper = 'A';
    char lower = 'a';
    memset(trace, 0, sizeof(trace));
    fiber_start(&a, 0, three_letters, &upper);
    fiber_start(&b, 0, three_letters, &lower);
    note('<');
    while (!a.done) {
        fiber_resume(&a);
        fiber_resume(&b);
    }
    note('>');
    CHECK(strcmp(trace, "<AaBbCc>") == 0);
    CHECK(a.done && b.done);
    fiber_free(&a);
    fiber_free(&b);
}

static void
resume_the_other(void *arg)
{
    struct fiber *other = arg;
    note('(');
    if (other != NULL) {
        fiber_resume(other);
    }
    note(')');
}

static void
nested_resumption(void)
{
    struct fiber chain[4];
    memset(trace, 0, sizeof(trace));
    for (int i = 0; i < 4; i++) {
        fiber_start(&chain[i], 0, resume_the_other,
                    i == 3 ? NULL : &chain[i + 1]);
    }
    fiber_resume(&chain[0]);
    CHECK(strcmp(trace, "(((())))") == 0);
    for (int i = 0; i < 4; i++) {
        CHECK(chain[i].done);
        fiber_free(&chain[i]);
    }
}

/* ---- Registers ---- */

/* All values are live across the yield, and too many of them for scratch
 * registers: the compiler keeps them in callee-saved ones or spills them. */
static uint64_t
churn_integers(uint64_t seed)
{
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7;
    uint64_t e = seed * 11, f = seed * 13, g = seed * 17, h = seed * 19;
    for (int i = 0; i < 50; i++) {
        fiber_yield();
        a += b ^ i;
        b += c;
        c ^= d + 1;
        d += e;
        e ^= f;
        f += g;
        g ^= h;
        h += a;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

static double
churn_doubles(double seed)
{
    double a = seed, b = seed / 3, c = seed / 5, d = seed / 7;
    double e = seed / 11, f = seed / 13, g = seed / 17, h = seed / 19;
    for (int i = 0; i < 50; i++) {
        fiber_yield();
        a = a * 0.5 + b;
        b = b * 0.5 + c;
        c = c * 0.5 + d;
        d = d * 0.5 + e;
        e = e * 0.5 + f;
        f = f * 0.5 + g;
        g = g * 0.5 + h;
        h = h * 0.5 + a;
    }
    return a + b + c + d + e + f + g + h;
}

struct churn {
    uint64_t seed;
    uint64_t integers;
    double doubles;
};

static void
churn_body(void *arg)
{
    struct churn *self = arg;
    self->integers = churn_integers(self->seed);
    self->doubles = churn_doubles((double)self->seed);
}

/* The same computations, each alone, then eight of them interleaved. */
static void
registers_survive(void)
{
    struct fiber fibers[8];
    struct churn alone[8];
    struct churn mixed[8];
    for (uint64_t i = 0; i < 8; i++) {
        alone[i].seed = mixed[i].seed = i * 0x9e3779b9 + 1;
        fiber_start(&fibers[i], 0, churn_body, &alone[i]);
        while (!fibers[i].done) {
            fiber_resume(&fibers[i]);
        }
        fiber_free(&fibers[i]);
        fiber_start(&fibers[i], 0, churn_body, &mixed[i]);
    }
    while (!fibers[7].done) {
        for (int i = 0; i < 8; i++) {
            fiber_resume(&fibers[i]);
        }
    }
    for (int i = 0; i < 8; i++) {
        CHECK(fibers[i].done);
        CHECK(alone[i].integers == mixed[i].integers);
        CHECK(memcmp(&alone[i].doubles, &mixed[i].doubles, sizeof(double))
              == 0);
        fiber_free(&fibers[i]);
    }
}

/* The registers of switch_with_full_registers(): to the compiler, all are read
   and changed here. */
#if defined(__aarch64__)
#    define KEEP_IN_REGISTERS()                                               \
        do {                                                                  \
            __asm__ volatile(""                                               \
                             : "+w"(d8), "+w"(d9), "+w"(d10), "+w"(d11),      \
                               "+w"(d12), "+w"(d13), "+w"(d14), "+w"(d15));   \
            __asm__ volatile(""                                               \
                             : "+r"(x19), "+r"(x20), "+r"(x21), "+r"(x22),    \
                               "+r"(x23), "+r"(x24), "+r"(x27), "+r"(x28));   \
        } while (0)
#elif defined(__x86_64__)
#    define KEEP_IN_REGISTERS()                                               \
        __asm__ volatile(""                                                   \
                         : "+r"(rbx), "+r"(r12), "+r"(r13), "+r"(r14),        \
                           "+r"(r15))
#endif

/* The compiler may or may not use a register above; here each callee-saved one
 * gets a value of its own, by hand, on both sides of the switch. */
static void
switch_with_full_registers(uint64_t base)
{
#if defined(__aarch64__)
    register double d8 __asm__("d8") = (double)base + 8;
    register double d9 __asm__("d9") = (double)base + 9;
    register double d10 __asm__("d10") = (double)base + 10;
    register double d11 __asm__("d11") = (double)base + 11;
    register double d12 __asm__("d12") = (double)base + 12;
    register double d13 __asm__("d13") = (double)base + 13;
    register double d14 __asm__("d14") = (double)base + 14;
    register double d15 __asm__("d15") = (double)base + 15;
    register uint64_t x19 __asm__("x19") = base + 19;
    register uint64_t x20 __asm__("x20") = base + 20;
    register uint64_t x21 __asm__("x21") = base + 21;
    register uint64_t x22 __asm__("x22") = base + 22;
    register uint64_t x23 __asm__("x23") = base + 23;
    register uint64_t x24 __asm__("x24") = base + 24;
    register uint64_t x27 __asm__("x27") = base + 27;
    register uint64_t x28 __asm__("x28") = base + 28;
    KEEP_IN_REGISTERS();
    fiber_yield();
    KEEP_IN_REGISTERS();
    double b = (double)base;
    CHECK(d8 == b + 8 && d9 == b + 9 && d10 == b + 10 && d11 == b + 11);
    CHECK(d12 == b + 12 && d13 == b + 13 && d14 == b + 14 && d15 == b + 15);
    CHECK(x19 == base + 19 && x20 == base + 20 && x21 == base + 21);
    CHECK(x22 == base + 22 && x23 == base + 23 && x24 == base + 24);
    CHECK(x27 == base + 27 && x28 == base + 28);
#elif defined(__x86_64__)
    register uint64_t rbx __asm__("rbx") = base + 1;
    register uint64_t r12 __asm__("r12") = base + 12;
    register uint64_t r13 __asm__("r13") = base + 13;
    register uint64_t r14 __asm__("r14") = base + 14;
    register uint64_t r15 __asm__("r15") = base + 15;
    KEEP_IN_REGISTERS();
    fiber_yield();
    KEEP_IN_REGISTERS();
    CHECK(rbx == base + 1 && r12 == base + 12 && r13 == base + 13);
    CHECK(r14 == base + 14 && r15 == base + 15);
#else
    (void)base;
    fiber_yield();
#endif
}

static void
fill_body(void *arg)
{
    uint64_t base = *(uint64_t *)arg;
    for (int i = 0; i < 10; i++) {
        switch_with_full_registers(base + (uint64_t)i * 100);
    }
}

static void
each_register_survives(void)
{
    struct fiber a;
    struct fiber b;
    uint64_t base_a = 1000000;
    uint64_t base_b = 2000000;
    fiber_start(&a, 0, fill_body, &base_a);
    fiber_start(&b, 0, fill_body, &base_b);
    while (!a.done) {
        fiber_resume(&a);
        fiber_resume(&b);
    }
    CHECK(b.done);
    fiber_free(&a);
    fiber_free(&b);
}

/* ---- Floating-point control ---- */

static volatile double one = 1.0;
static volatile double three = 3.0;

/* On x86-64, fegetround reads the x87 control word and the division goes by
 * that of SSE: both are looked at. */
static bool
rounds(int mode)
{
    double third = one / three;
    bool up = third > 0x1.5555555555555p-2;
    return fegetround() == mode && up == (mode == FE_UPWARD);
}

static void
upward_body(void *arg)
{
    (void)arg;
    CHECK(rounds(FE_TONEAREST));
    fesetround(FE_UPWARD);
    for (int i = 0; i < 5; i++) {
        CHECK(rounds(FE_UPWARD));
        fiber_yield();
    }
    CHECK(rounds(FE_UPWARD));
}

static void
downward_body(void *arg)
{
    (void)arg;
    fesetround(FE_DOWNWARD);
    for (int i = 0; i < 5; i++) {
        CHECK(fegetround() == FE_DOWNWARD);
        fiber_yield();
        CHECK(fegetround() == FE_DOWNWARD);
    }
}

static void
rounding_mode_travels(void)
{
    struct fiber a;
    struct fiber b;
    if (running_under("valgrind")) {
        return; /* it divides to nearest, whatever MXCSR says */
    }
    fiber_start(&a, 0, upward_body, NULL);
    fiber_start(&b, 0, downward_body, NULL);
    while (!a.done) {
        fiber_resume(&a);
        CHECK(rounds(FE_TONEAREST));
        fiber_resume(&b);
        CHECK(rounds(FE_TONEAREST));
    }
    CHECK(b.done);
    fiber_free(&a);
    fiber_free(&b);
}

static void
inherited_body(void *arg)
{
    *(int *)arg = fegetround();
}

static void
rounding_mode_is_inherited(void)
{
    struct fiber a;
    int seen = -1;
    fesetround(FE_TOWARDZERO);
    fiber_start(&a, 0, inherited_body, &seen);
    fesetround(FE_TONEAREST);
    fiber_resume(&a);
    CHECK(seen == FE_TOWARDZERO);
    CHECK(fegetround() == FE_TONEAREST);
    fiber_free(&a);
}

#if defined(__x86_64__)
static unsigned
get_mxcsr(void)
{
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void
set_mxcsr(unsigned value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

/* MXCSR alone changes: what numeric libraries do for flush-to-zero. */
static void
flush_to_zero_body(void *arg)
{
    (void)arg;
    set_mxcsr(get_mxcsr() | 0x8040);
    fiber_yield();
    CHECK((get_mxcsr() & 0x8040) == 0x8040);
}

static void
flush_to_zero_travels(void)
{
    struct fiber a;
    if (running_under("valgrind")) {
        return; /* its MXCSR holds the rounding mode and no more */
    }
    fiber_start(&a, 0, flush_to_zero_body, NULL);
    for (int i = 0; i < 2; i++) {
        fiber_resume(&a);
        CHECK((get_mxcsr() & 0x8040) == 0);
    }
    fiber_free(&a);
}
#else
static void
flush_to_zero_travels(void)
{
}
#endif

/* ---- errno ---- */

static void
errno_body(void *arg)
{
    errno = *(int *)arg;
    for (int i = 0; i < 3; i++) {
        fiber_yield();
        CHECK(errno == *(int *)arg);
    }
}

static void
errno_travels(void)
{
    struct fiber a;
    struct fiber b;
    int mine[2] = {EPIPE, ECHILD};
    fiber_start(&a, 0, errno_body, &mine[0]);
    fiber_start(&b, 0, errno_body, &mine[1]);
    errno = EDOM;
    while (!a.done) {
        fiber_resume(&a);
        CHECK(errno == EDOM);
        fiber_resume(&b);
        CHECK(errno == EDOM);
    }
    fiber_free(&a);
    fiber_free(&b);
    CHECK(errno == EDOM);
}

static void
backend_is_named(void)
{
    const char *name = slp_cstack_backend();
#if defined(SLP_CSTACK_UCONTEXT)
    CHECK(strcmp(name, "ucontext") == 0);
#elif defined(__x86_64__)
    CHECK(strcmp(name, "x86_64-sysv") == 0);
#elif defined(__aarch64__)
    CHECK(strcmp(name, "aarch64-sysv") == 0);
#endif
    printf("     backend %s\n", name);
}

int
main(void)
{
    fiber_thread_start();
    RUN(backend_is_named);
    RUN(ping_pong);
    RUN(nested_resumption);
    RUN(registers_survive);
    RUN(each_register_survives);
    RUN(rounding_mode_travels);
    RUN(rounding_mode_is_inherited);
    RUN(flush_to_zero_travels);
    RUN(errno_travels);
    fiber_thread_end();
    return check_result();
}
