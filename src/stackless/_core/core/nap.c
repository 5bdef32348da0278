/* SPDX-License-Identifier: PSF-2.0 */
/* Waiting without the GIL: first by looking, then asleep.

   Putting a thread to sleep and waking it takes longer than most threads need to
   answer.  So a thread that has nothing to run looks for a moment at the word that
   whoever wakes it sets, st->nap, then at the GIL until that is free, and takes it
   without a system call of anybody.  If the moment passes it sleeps: on that word, a
   futex, or, as signals are to end its sleep, the main thread on a file descriptor.
   The step from looking to sleeping is one compare-and-swap, so whoever wakes it knows
   whether a system call is needed.

   A processor that looks does nothing else.  Therefore a thread looks only when some
   short waits have shown that it pays; if it was in vain, not again before twice as
   many as the last time.  Whose waits are long never looks, and there are always fewer
   that look than processors.

   A thread's record is never freed, and not used again if the interpreter ends while it
   waits: st->nap may be used without the GIL. */
#include "nap.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t slp_nap_spin = 50000;
/* Looks between two at the clock. */
#define LOOKS 16
/* Before a thread looks, so many of its waits have to be short: two to the power of
   how often it was in vain. */
#define FIRST_VAIN 1
#define MOST_VAIN  8

static int spinning;    /* threads that are SLP_SPINS, of all interpreters */
static int process = 1; /* counts forks */

static void
uncount(void)
{
    __atomic_sub_fetch(&spinning, 1, __ATOMIC_RELAXED);
}

static void
put_off(slp_thread *st, int vain)
{
    st->spin_vain = vain;
    st->spin_skip = 1 << vain;
    st->spin_cpus = 0; /* to be counted anew: that may have changed */
}

/* ---- the descriptor ------------------------------------------------------- */

void
slp_nap_forget(slp_thread *st)
{
    if (st->wake_open) {
        close(st->wake_fd);
        st->wake_open = false;
    }
}

/* The child of a fork must not share its parent's, and its thread is its main
   thread. */
int
slp_nap_prepare(slp_thread *st)
{
    if (SLP_LIKELY(st->wake_process == process)) {
        return 0;
    }
    slp_nap_forget(st);
    if (slp_is_main_thread()) {
        st->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (st->wake_fd < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        st->wake_open = true;
    }
    st->wake_process = process;
    put_off(st, FIRST_VAIN);
    return 0;
}

void
slp_thread_wake_up(slp_thread *st)
{
    if (!slp_thread_naps(st)) {
        return;
    }
    int nap = __atomic_exchange_n(&st->nap, SLP_WOKEN, __ATOMIC_ACQ_REL);
    if (st->wake_process != process) {
        return; /* it is not in this one */
    }
    if (nap == SLP_SPINS) {
        uncount();
    }
    else if (nap == SLP_SLEEPS) {
        st->woken_at = slp_now();
        if (st->wake_open) {
            eventfd_write(st->wake_fd, 1);
        }
        else {
            syscall(SYS_futex, &st->nap, FUTEX_WAKE_PRIVATE, 1);
        }
    }
}

/* ---- is it worth while? --------------------------------------------------- */

/* Processors that the calling thread may use. */
static int
count_cpus(void)
{
    cpu_set_t set;
    /* More than a set has room for: not one, at any rate. */
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;
}

/* If so it counts as spinning. */
static bool
may_spin(slp_thread *st, uint64_t limit)
{
    if (limit == 0 || st->spin_skip > 0) {
        return false;
    }
    if (st->spin_cpus == 0) {
        st->spin_cpus = count_cpus();
    }
    if (st->spin_cpus == 1) {
        put_off(st, MOST_VAIN);
        return false;
    }
    if (__atomic_add_fetch(&spinning, 1, __ATOMIC_RELAXED) < st->spin_cpus) {
        return true;
    }
    uncount();
    return false;
}

/* It has waited so many ns. */
static void
learn(slp_thread *st, uint64_t limit, bool spun, uint64_t waited)
{
    if (!spun) {
        st->spin_skip -= st->spin_skip > 0 && waited < 2 * limit;
    }
    else if (waited < limit) {
        st->spin_vain -= st->spin_vain > 0;
    }
    else {
        put_off(st, st->spin_vain + (st->spin_vain < MOST_VAIN));
    }
}

/* ---- waiting -------------------------------------------------------------- */

/* Look until the word is not SLP_SPINS, then until the GIL can be had. */
static void
spin(slp_thread *st, struct slp_hold *gil, uint64_t until)
{
    bool woken = false;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (!woken) {
                woken = __atomic_load_n(&st->nap, __ATOMIC_ACQUIRE)
                        != SLP_SPINS;
            }
            if (woken && !slp_gil_is_worth_waiting(gil)) {
                return;
            }
            slp_carrier_relax();
        }
    } while (slp_now() < until);
}

/* Is it SLP_SLEEPS from now on?  False: it was woken. */
static bool
may_sleep(slp_thread *st)
{
    int nap = SLP_SPINS;
    if (__atomic_compare_exchange_n(&st->nap, &nap, SLP_SLEEPS, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        uncount();
        return true;
    }
    return nap == SLP_SLEEPS;
}

static void
sleep_on_futex(slp_thread *st, uint64_t most)
{
    long time[] = {(long)(most / SLP_SECOND), (long)(most % SLP_SECOND)};
    syscall(SYS_futex, &st->nap, FUTEX_WAIT_PRIVATE, SLP_SLEEPS,
            most ? time : NULL);
}

/* Signals are let in by ppoll() only, so that none comes between the look for it and
   the sleep. */
static void
sleep_on_fd(PyThreadState *ts, int fd, uint64_t most)
{
    struct timespec time = {.tv_sec = (time_t)(most / SLP_SECOND),
                            .tv_nsec = (long)(most % SLP_SECOND)};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!slp_signals_pending(ts)) {
        ppoll(&p, 1, most ? &time : NULL, &before);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
slp_nap(slp_thread *st, uint64_t most)
{
    PyThreadState *ts = st->ts;
    struct slp_hold *gil = slp_gil_of(ts);
    uint64_t limit = __atomic_load_n(&slp_nap_spin, __ATOMIC_RELAXED);
    uint64_t begun = slp_now();
    bool spins = may_spin(st, limit), slept = !spins;
    int fd = st->wake_open ? st->wake_fd : -1;
    __atomic_store_n(&st->nap, spins ? SLP_SPINS : SLP_SLEEPS,
                     __ATOMIC_RELEASE);
    Py_BEGIN_ALLOW_THREADS
    if (spins) {
        spin(st, gil, begun + limit);
    }
    if (may_sleep(st)) {
        slept = true;
        if (fd >= 0) {
            sleep_on_fd(ts, fd, most);
        }
        else {
            sleep_on_futex(st, most);
        }
    }
    Py_END_ALLOW_THREADS
    bool woken = slp_nap_look(st) == SLP_WOKEN;
    __atomic_store_n(&st->nap, SLP_AWAKE, __ATOMIC_RELAXED);
    if (slept && woken && fd >= 0) {
        eventfd_t count;
        eventfd_read(fd, &count);
    }
    if (spins || woken) {
        learn(st, limit, spins, (spins ? slp_now() : st->woken_at) - begun);
    }
}

/* ---- set-up ---------------------------------------------------------------- */

static void
in_child(void)
{
    process++;
    spinning = 0;
}

static void
set_up(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

void
slp_nap_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
}
