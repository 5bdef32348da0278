/* SPDX-License-Identifier: PSF-2.0 */
/* Module state and per-thread state: made, found, taken down.

   A thread's scheduler is made on its first use.  A "keeper" object in the
   thread's dict tells us when the thread ends.  The structs of ended threads
   are kept for reuse, unless they end while they wait, and never freed: another
   OS thread may still hold a stale pointer to one, which slp_thread_peek() must
   be able to look at. */
#include "state.h"

#include <pthread.h>

#include "dispatch.h"
#include "quick.h"
#include "sleep.h"
#include "watchdog.h"

#define STATE_KEY  "_stackless.state"
#define THREAD_KEY "_stackless.thread"
#define WATCH_KEY  "_stackless.watch"

SLP_TLS slp_thread *slp_this_thread;

/* What the interpreters of a process share, whatever GILs they have.  The mutex
   is a leaf, and held across fork. */
static struct {
    pthread_mutex_t mutex;
    slp_state *states;
    slp_thread *unused;
    uint64_t generation; /* each interpreter numbers its threads from one */
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};
/* The thread that has ended here; its destructors may still run. */
static SLP_TLS struct {
    uint64_t generation, id;
} ended_thread;

/* ---- module state -------------------------------------------------------- */

slp_state *
slp_state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

void
slp_state_init(slp_state *s, PyObject *module)
{
    s->interp = PyInterpreterState_Get();
    s->module = module;
    s->all.all_next = s->all.all_prev = &s->all;
    s->softswitch = true;
    s->idle_limit = 64;
    s->carrier_limit = 1024;
}

static void
make_orphan(slp_thread *st)
{
    st->ts = NULL;
    st->quick_sp = 0;
    st->quick_usual = false;
    st->orphan = true;
}

static void
lock_shared(void)
{
    pthread_mutex_lock(&shared.mutex);
}

static void
unlock_shared(void)
{
    pthread_mutex_unlock(&shared.mutex);
}

static pthread_key_t at_end; /* of an OS thread */

static void
forget_chunks(void *Py_UNUSED(value))
{
    slp_pop_keep_chunks(false);
    slp_chunks_keep(false);
}

static void
set_up(void)
{
    pthread_atfork(lock_shared, unlock_shared, unlock_shared);
    if (pthread_key_create(&at_end, forget_chunks) != 0) {
        Py_FatalError("stackless: no key for what threads keep");
    }
}

int
slp_state_exists(PyInterpreterState *interp)
{
    PyObject *dict = PyInterpreterState_GetDict(interp);
    PyObject *key = dict ? PyUnicode_FromString(STATE_KEY) : NULL;
    int r = key ? PyDict_Contains(dict, key) : -1;
    Py_XDECREF(key);
    if (r < 0 && !PyErr_Occurred()) { /* checked: there is no dict */
        PyErr_SetString(PyExc_ImportError,
                        "stackless: the interpreter has no dict");
    }
    return r;
}

/* The interpreter ends and its module is not freed: somebody has leaked it. */
static void
interpreter_ends(PyObject *capsule)
{
    slp_state *s = PyCapsule_GetPointer(capsule, STATE_KEY);
    s->end = NULL;
    slp_state_gone(s);
}

int
slp_state_publish(slp_state *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    PyObject *dict = PyInterpreterState_GetDict(s->interp);
    PyObject *end = PyCapsule_New(s, STATE_KEY, interpreter_ends);
    if (end == NULL) {
        return -1;
    }
    s->end = end;
    int r = PyDict_SetItemString(dict, STATE_KEY, end);
    Py_DECREF(end);
    if (r < 0) {
        return -1;
    }
    pthread_once(&once, set_up);
    lock_shared();
    s->generation = ++shared.generation;
    s->next_state = shared.states;
    shared.states = s;
    s->published = true;
    unlock_shared();
    return 0;
}

static void
unpublish(slp_state *s)
{
    lock_shared();
    slp_state **link = &shared.states;
    while (*link != s) {
        link = &(*link)->next_state;
    }
    *link = s->next_state;
    s->published = false;
    unlock_shared();
}

/* At the very end of the interpreter the module may go before tasklets. */
void
slp_state_gone(slp_state *s)
{
    s->finalizing = true;
    bool ours = s->published; /* not a module that was refused */
    if (ours) {
        unpublish(s);
        if (slp_this_thread != NULL && slp_this_thread->state == s) {
            slp_this_thread = NULL; /* its chunks are kept */
        }
    }
    /* Other OS threads may live on, and meet the next interpreter. */
    for (slp_thread *st = s->threads; st != NULL; st = st->next_thread) {
        slp_section_close(&st->section);
        make_orphan(st);
    }
    while (s->all.all_next != &s->all) {
        slp_task *t = s->all.all_next;
        s->all.all_next = t->all_next;
        t->all_next = t->all_prev = t;
        t->thread = NULL;
    }
    slp_clock_stop(&s->clock);
    if (ours) {
        slp_gil_shutdown(s->interp);
    }
    if (s->end != NULL) {
        (void)PyCapsule_SetDestructor(s->end, NULL);
        s->end = NULL;
    }
    slp_state_clear(s);
}

static slp_state *
find_state(PyInterpreterState *interp)
{
    lock_shared();
    slp_state *s = shared.states;
    while (s != NULL && s->interp != interp) {
        s = s->next_state;
    }
    unlock_shared();
    return s;
}

#define FOR_ALL_OBJECTS(s, DO)                                                \
    DO((s)->tasklet_type);                                                    \
    DO((s)->channel_type);                                                    \
    DO((s)->bomb_type);                                                       \
    DO((s)->atomic_type);                                                     \
    DO((s)->op_type);                                                         \
    DO((s)->keeper_type);                                                     \
    DO((s)->cstack_type);                                                     \
    DO((s)->cframe_type);                                                     \
    DO((s)->default_type);                                                    \
    DO((s)->tasklet_exit);                                                    \
    DO((s)->current_default);                                                 \
    DO((s)->resume_op);                                                       \
    DO((s)->reraise);                                                         \
    DO((s)->dispatcher);                                                      \
    DO((s)->resume_gate);                                                     \
    DO((s)->called_gate);                                                     \
    DO((s)->spread);                                                          \
    DO((s)->resumer);                                                         \
    DO((s)->init_function);                                                   \
    DO((s)->send_function);                                                   \
    DO((s)->await_function);                                                  \
    DO((s)->value_function);                                                  \
    DO((s)->interrupted_function);                                            \
    DO((s)->hooks);                                                           \
    DO((s)->sleep);                                                           \
    DO((s)->points);                                                          \
    DO((s)->channel_callback);                                                \
    DO((s)->schedule_callback);                                               \
    DO((s)->error_handler)

static void
free_memory(PyTypeObject *type, slp_task *t)
{
    type->tp_free(t->self);
    PyMem_RawFree(t);
}

int
slp_state_traverse(slp_state *s, visitproc visit, void *arg)
{
    FOR_ALL_OBJECTS(s, Py_VISIT);
    return 0;
}

void
slp_state_clear(slp_state *s)
{
    slp_task *t;
    while ((t = s->spare) != NULL) {
        s->spare = t->next;
        free_memory(s->tasklet_type, t);
    }
    FOR_ALL_OBJECTS(s, Py_CLEAR);
}

/* ---- memory of tasklets -------------------------------------------------- */

/* The memory of some plain tasklets that have gone is kept for the next ones;
   not where memory errors are looked for. */
#if defined(SLP_CHECK) || defined(Py_DEBUG)
#    define MAX_SPARE 0
#else
#    define MAX_SPARE 256
#endif

static slp_task *
new_memory(PyTypeObject *type)
{
    slp_task *t = PyMem_RawCalloc(1, sizeof(*t));
    if (t == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL) {
        PyMem_RawFree(t);
        return NULL;
    }
    ((slp_tasklet *)self)->task = t;
    t->self = self;
    return t;
}

slp_task *
slp_task_alloc(slp_state *s, PyTypeObject *type)
{
    slp_task *t = s->spare;
    if (t == NULL || type != s->tasklet_type) {
        return new_memory(type);
    }
    s->spare = t->next;
    s->spare_count--;
    slp_tasklet *self = (slp_tasklet *)t->self;
    self->weakrefs = NULL;
    self->vectorcall = NULL;
    size_t size = sizeof(*t);
    __asm__("" : "+r"(size)); /* of a constant gcc makes a slow instruction */
    memset(t, 0, size);
    t->self = (PyObject *)self;
    Py_INCREF(type);
    slp_gc_reuse(t->self);
    return t;
}

void
slp_task_free(slp_state *s, slp_task *t)
{
    PyTypeObject *type = Py_TYPE(t->self);
    if (s != NULL && type == s->tasklet_type && s->spare_count < MAX_SPARE) {
        t->next = s->spare;
        s->spare = t;
        s->spare_count++;
    }
    else {
        free_memory(type, t);
    }
    Py_DECREF(type);
}

/* ---- threads ------------------------------------------------------------- */

/* NULL: it has none now. */
void
slp_thread_again(slp_thread *st)
{
    slp_this_thread = st;
    slp_pop_keep_chunks(st != NULL);
    slp_chunks_keep(st != NULL);
    (void)pthread_setspecific(at_end, st);
}

static slp_task *
new_main(slp_state *s, slp_thread *st)
{
    slp_task *t = slp_task_new(s, st, s->tasklet_type);
    if (t != NULL) {
        t->life = SLP_STARTED;
        t->is_main = 1;
    }
    return t;
}

static slp_thread *
alloc_thread(void)
{
    lock_shared();
    slp_thread *st = shared.unused;
    if (st != NULL) {
        shared.unused = st->next_thread;
    }
    unlock_shared();
    if (st == NULL) {
        return PyMem_RawCalloc(1, sizeof(*st));
    }
    memset(st, 0, sizeof(*st));
    return st;
}

static void
free_thread(slp_thread *st)
{
    st->ts = NULL;
    if (slp_nap_look(st) != SLP_AWAKE) {
        return; /* a daemon thread of an interpreter that ends waits on it */
    }
    lock_shared();
    st->next_thread = shared.unused;
    shared.unused = st;
    unlock_shared();
}

static int
init_thread(slp_state *s, slp_thread *st)
{
    st->state = s;
    st->pickle_flags = s->pickle_flags_default;
    st->native = st->running = slp_carrier_native();
    st->main = st->native ? new_main(s, st) : NULL;
    if (st->main == NULL) {
        return -1;
    }
    st->current = st->main;
    st->main->next = st->main->prev = st->main;
    st->main->place = SLP_IN_RING;
    Py_INCREF(st->main->self);
    st->runcount = 1;
    return 0;
}

void
slp_thread_forget(slp_thread *st)
{
    slp_thread **link = &st->state->threads;
    while (*link != NULL && *link != st) {
        link = &(*link)->next_thread;
    }
    if (*link != NULL) {
        *link = st->next_thread;
    }
    slp_watch_threads(st->state);
    slp_section_close(&st->section);
    slp_sleep_forget(st);
    st->state->quick_switches += st->quick_switches;
    st->quick_switches = 0;
    st->quick_sp = 0;
    st->quick_usual = false;
    if (st->ts == slp_ts()) {
        ended_thread.generation = st->state->generation;
        ended_thread.id = st->ts_id;
    }
    if (slp_this_thread == st) {
        slp_thread_again(NULL);
    }
    st->ts = NULL;
}

typedef struct {
    PyObject_HEAD
    slp_thread *thread; /* NULL: was never attached, or only watches */
    PyThreadState *ts;  /* st->ts is reset when the module goes */
    uint64_t ts_id;
} keeper;

static void
keeper_dealloc(PyObject *self)
{
    slp_thread *st = ((keeper *)self)->thread;
    PyThreadState *ts = ((keeper *)self)->ts;
    PyTypeObject *type = Py_TYPE(self);
    if (st != NULL && (st->current != st->main || st->host != NULL)
        && ts == slp_ts()) {
        slp_chunks_forget(ts); /* a tasklet ends the interpreter */
    }
    if (st != NULL && st->orphan) {
        free_thread(st);
    }
    else if (st != NULL) {
        /* The last tasklet may take the module, and so the state, along. */
        PyObject *module = Py_NewRef(st->state->module);
        slp_thread_end(st);
        slp_thread_forget(st); /* if that has not */
        free_thread(st);
        Py_DECREF(module);
    }
    slp_state *s = find_state(slp_ts()->interp);
    if (s != NULL && !s->finalizing) {
        slp_sleepers_look(s, ((keeper *)self)->ts_id);
    }
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot keeper_slots[] = {
    {Py_tp_dealloc, keeper_dealloc},
    {0, NULL},
};

PyType_Spec slp_keeper_spec = {
    .name = "stackless._thread_keeper",
    .basicsize = sizeof(keeper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = keeper_slots,
};

/* A keeper in a thread's dict; borrowed, NULL with an exception. */
static keeper *
put_keeper(slp_state *s, PyThreadState *ts, PyObject *dict, const char *key)
{
    keeper *k = PyObject_New(keeper, s->keeper_type);
    if (k == NULL) {
        return NULL;
    }
    k->thread = NULL;
    k->ts = ts;
    k->ts_id = 0;
    int r = PyDict_SetItemString(dict, key, (PyObject *)k);
    Py_DECREF(k);
    if (r < 0) {
        return NULL;
    }
    k->ts_id = ts->id;
    return k;
}

static int
attach_keeper(slp_state *s, slp_thread *st)
{
    PyObject *dict = PyThreadState_GetDict();
    if (dict == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "stackless: this thread has no dict");
        return -1;
    }
    keeper *k = put_keeper(s, PyThreadState_Get(), dict, THREAD_KEY);
    if (k == NULL) {
        return -1;
    }
    k->thread = st;
    return 0;
}

static bool
is_alive(slp_state *s, PyThreadState *ts, uint64_t id)
{
    PyThreadState *t = PyInterpreterState_ThreadHead(s->interp);
    while (t != NULL && t != ts) {
        t = PyThreadState_Next(t);
    }
    return t != NULL && t->id == id;
}

int
slp_thread_watch(slp_state *s, PyThreadState *ts)
{
    if (ts->dict != NULL
        && PyDict_GetItemString(ts->dict, WATCH_KEY) != NULL) {
        return 0;
    }
    /* A collection, on 3.11, may let other threads run. */
    uint64_t id = ts->id;
    PyObject *dict = PyDict_New();
    if (dict == NULL) {
        return -1;
    }
    if (!is_alive(s, ts, id)) {
        Py_DECREF(dict);
        return 1;
    }
    if (ts->dict == NULL) {
        ts->dict = dict; /* as PyThreadState_GetDict() does */
    }
    else {
        Py_DECREF(dict);
    }
    dict = Py_NewRef(ts->dict);
    keeper *k = put_keeper(s, ts, dict, WATCH_KEY);
    Py_DECREF(dict);
    return k == NULL ? -1 : 1;
}

static slp_thread *
new_thread(PyThreadState *ts)
{
    slp_state *s = find_state(ts->interp);
    if (s == NULL || s->finalizing) {
        PyErr_SetString(PyExc_RuntimeError,
                        "stackless is not available in this thread: the "
                        "interpreter is shutting down");
        return NULL;
    }
    if (ended_thread.generation == s->generation
        && ended_thread.id == PyThreadState_GetID(ts)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "stackless is not available in this thread: it is "
                        "ending");
        return NULL;
    }
    slp_thread *st = alloc_thread();
    if (st == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (init_thread(s, st) < 0 || attach_keeper(s, st) < 0) {
        if (st->native != NULL) {
            slp_carrier_free(st->native);
        }
        if (st->main != NULL) {
            st->main->place = SLP_FLOATING;
            st->main->thread = NULL;
            st->main->life = SLP_UNBOUND;
            slp_task_release(st->main);
            slp_task_release(st->main);
        }
        free_thread(st);
        return NULL;
    }
    st->ts = ts;
    st->ts_id = PyThreadState_GetID(ts);
    st->ident = ts->thread_id;
    if (s->collections > 0 && s->collector_id == st->ts_id) {
        st->collecting = 1; /* a destructor makes the scheduler */
    }
    st->next_thread = s->threads;
    s->threads = st;
    slp_quick_update(st);
    slp_thread_again(st);
    slp_watch_threads(s);
    return st;
}

static slp_thread *
find_thread(PyThreadState *ts)
{
    slp_state *s = find_state(ts->interp);
    slp_thread *st = s ? s->threads : NULL;
    uint64_t id = PyThreadState_GetID(ts);
    while (st != NULL && (st->ts != ts || st->ts_id != id)) {
        st = st->next_thread;
    }
    if (st != NULL) {
        slp_thread_again(st);
    }
    return st;
}

slp_thread *
slp_thread_peek(void)
{
    PyThreadState *ts = slp_ts();
    slp_thread *st = slp_this_thread;
    if (SLP_LIKELY(st != NULL && st->ts == ts)) {
        return st;
    }
    return find_thread(ts);
}

slp_thread *
slp_thread_find_or_make(void)
{
    PyThreadState *ts = slp_ts();
    slp_thread *st = find_thread(ts);
    return st ? st : new_thread(ts);
}

slp_state *
slp_state_peek(void)
{
    PyThreadState *ts = slp_ts();
    slp_thread *st = slp_this_thread;
    if (SLP_LIKELY(st != NULL && st->ts == ts)) {
        return st->state;
    }
    return find_state(ts->interp);
}
