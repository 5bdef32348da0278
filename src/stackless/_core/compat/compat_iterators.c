/* SPDX-License-Identifier: PSF-2.0 */
/* Iterators of itertools as values, and made from them: from CPython 3.14 on
   they do not tell any more what they are made of.

   The structures are private to Modules/itertoolsmodule.c.  What is here is a
   copy, which slp_iterator_fits() compares with living objects before any
   other is touched.  States are checked for all that the iterators rely on. */
#include "compat.h"

#include <limits.h>

/* ---- their layout -------------------------------------------------------- */

typedef enum {
    END,
    OBJECT,
    ITERATOR,  /* has a tp_iternext, which is called unseen */
    TUPLE,     /* no subclass */
    ITERATORS, /* its own tuple of them, NULL for those that have ended */
    ITEMS,     /* its own list */
    NUMBER,    /* Py_ssize_t */
    INT,
    LONG,
    BOOL,
    ARRAY,  /* of Py_ssize_t; another field has its length */
    VALUES, /* objects at that place, likewise */
    ADDRESS /* of an object that it does not own */
} kind;

typedef struct {
    kind kind;
    bool optional; /* may be NULL */
    int length;    /* which field has it */
    size_t offset;
} field;

enum {
    FIELDS = 7,
    LINKCELLS = 57
};

/* What is to be put into a field. */
typedef struct {
    PyObject *object;
    Py_ssize_t number; /* also the length of an array */
    Py_ssize_t *array;
} part;

typedef struct {
    const char *name;
    size_t size;
    /* Could an iterator have these? NULL: it is made by a call of its type. */
    bool (*good)(PyObject *op, const part *p);
    field fields[FIELDS];
} shape;

#if PY_VERSION_HEX >= 0x030E0000

typedef struct {
    PyObject_HEAD
    PyObject *total, *it, *binop, *initial;
    void *state;
} accumulate;

typedef struct {
    PyObject_HEAD
    PyObject *it;
    Py_ssize_t size;
    bool strict;
} batched;

typedef struct {
    PyObject_HEAD
    PyObject *source, *active;
} chain;

typedef struct {
    PyObject_HEAD
    PyObject *pool;
    Py_ssize_t *indices;
    PyObject *result;
    Py_ssize_t r;
    int stopped;
} combinations;

typedef struct {
    PyObject_HEAD
    PyObject *data, *selectors;
} compress;

typedef struct {
    PyObject_HEAD
    Py_ssize_t cnt;
    PyObject *long_cnt, *long_step;
} count;

typedef struct {
    PyObject_HEAD
    PyObject *it, *saved;
    Py_ssize_t index; /* -1 as long as `it` goes on */
} cycle;

typedef struct {
    PyObject_HEAD
    PyObject *func, *it;
} filtered;

typedef struct {
    PyObject_HEAD
    PyObject *func, *it;
    long flag;
} whiled;

typedef struct {
    PyObject_HEAD
    PyObject *it, *keyfunc, *tgtkey, *currkey, *currvalue;
    const void *currgrouper;
    void *state;
} groupby;

typedef struct {
    PyObject_HEAD
    PyObject *parent, *tgtkey;
} grouper;

typedef struct {
    PyObject_HEAD
    PyObject *it;
    Py_ssize_t next, stop, step, cnt;
} islice;

typedef struct {
    PyObject_HEAD
    PyObject *it, *old, *result;
} pairwise;

typedef struct {
    PyObject_HEAD
    PyObject *pool;
    Py_ssize_t *indices, *cycles;
    PyObject *result;
    Py_ssize_t r;
    int stopped;
} permutations;

typedef struct {
    PyObject_HEAD
    PyObject *pools;
    Py_ssize_t *indices;
    PyObject *result;
    int stopped;
} product;

typedef struct {
    PyObject_HEAD
    PyObject *element;
    Py_ssize_t cnt;
} repeat;

typedef struct {
    PyObject_HEAD
    PyObject *dataobj;
    int index;
    PyObject *weakrefs;
    void *state;
} tee;

typedef struct {
    PyObject_HEAD
    PyObject *it;
    int numread, running;
    PyObject *nextlink, *values[LINKCELLS];
} tee_data;

typedef struct {
    PyObject_HEAD
    Py_ssize_t tuplesize, numactive;
    PyObject *ittuple, *result, *fillvalue;
} zip_longest;

/* ---- what they rely on --------------------------------------------------- */

/* The next two: all fields have been checked one by one. */
static bool
good_any(PyObject *Py_UNUSED(op), const part *Py_UNUSED(p))
{
    return true;
}

static bool
good_accumulate(PyObject *Py_UNUSED(op), const part *p)
{
    return p[0].object == NULL || p[3].object == Py_None;
}

static bool
good_batched(PyObject *Py_UNUSED(op), const part *p)
{
    return p[1].number == -1 || (p[1].number > 0 && p[0].object != NULL);
}

/* The last tuple that it has returned, which it may write to. */
static bool
good_result(const part *result, Py_ssize_t size)
{
    return result->object == NULL || PyTuple_GET_SIZE(result->object) == size;
}

static bool
good_combinations(PyObject *Py_UNUSED(op), const part *p)
{
    Py_ssize_t n = PyTuple_GET_SIZE(p[0].object), r = p[3].number;
    if (r < 0 || p[1].number != r || !good_result(&p[2], r)) {
        return false;
    }
    bool good = p[4].number || r <= n;
    for (Py_ssize_t i = 0; good && !p[4].number && i < r; i++) {
        Py_ssize_t least = i > 0 ? p[1].array[i - 1] + 1 : 0;
        good = p[1].array[i] >= least && p[1].array[i] <= i + n - r;
    }
    return good;
}

static bool
good_repeating(PyObject *Py_UNUSED(op), const part *p)
{
    Py_ssize_t n = PyTuple_GET_SIZE(p[0].object), r = p[3].number;
    bool good = r >= 0 && p[1].number == r && good_result(&p[2], r);
    for (Py_ssize_t i = 0; good && !p[4].number && i < r; i++) {
        Py_ssize_t index = p[1].array[i];
        good = index >= 0 && index < n && (index == 0 || p[2].object);
    }
    return good;
}

/* Is each number below n there?  Those that were seen are negative for a while. */
static bool
is_permutation(Py_ssize_t *numbers, Py_ssize_t n)
{
    bool good = true;
    for (Py_ssize_t i = 0; good && i < n; i++) {
        good = numbers[i] >= 0 && numbers[i] < n;
    }
    for (Py_ssize_t i = 0; good && i < n; i++) {
        Py_ssize_t v = numbers[i] < 0 ? ~numbers[i] : numbers[i];
        good = numbers[v] >= 0;
        numbers[v] = good ? ~numbers[v] : numbers[v];
    }
    for (Py_ssize_t i = 0; good && i < n; i++) {
        numbers[i] = ~numbers[i];
    }
    return good;
}

static bool
good_permutations(PyObject *Py_UNUSED(op), const part *p)
{
    Py_ssize_t n = PyTuple_GET_SIZE(p[0].object), r = p[4].number;
    if (r < 0 || p[1].number != n || p[2].number != r
        || !good_result(&p[3], r)) {
        return false;
    }
    bool good = p[5].number || (r <= n && is_permutation(p[1].array, n));
    for (Py_ssize_t i = 0; good && !p[5].number && i < r; i++) {
        good = p[2].array[i] > 0 && p[2].array[i] <= n - i;
    }
    return good;
}

static bool
good_product(PyObject *Py_UNUSED(op), const part *p)
{
    Py_ssize_t n = PyTuple_GET_SIZE(p[0].object);
    bool good = p[1].number == n && good_result(&p[2], n);
    for (Py_ssize_t i = 0; good && i < n; i++) {
        PyObject *pool = PyTuple_GET_ITEM(p[0].object, i);
        Py_ssize_t index = p[1].array[i];
        good = PyTuple_CheckExact(pool)
               && (p[3].number
                   || (p[2].object
                           ? index >= 0 && index < PyTuple_GET_SIZE(pool)
                           : index == 0));
    }
    return good;
}

static bool
good_count(PyObject *Py_UNUSED(op), const part *p)
{
    return p[1].object == NULL ? PyLong_Check(p[2].object)
                               : p[0].number == PY_SSIZE_T_MAX;
}

static bool
good_cycle(PyObject *Py_UNUSED(op), const part *p)
{
    Py_ssize_t index = p[2].number;
    return p[0].object
               ? index == -1
               : index == 0
                     || (index > 0 && index < PyList_GET_SIZE(p[1].object));
}

static bool
good_groupby(PyObject *Py_UNUSED(op), const part *p)
{
    return (p[3].object == NULL) == (p[4].object == NULL) && p[5].number == 0;
}

/* `next` is -1 when it would have been too large, and nothing stops it. */
static bool
good_islice(PyObject *Py_UNUSED(op), const part *p)
{
    Py_ssize_t next = p[1].number, stop = p[2].number;
    return stop >= -1 && next >= (stop == -1 ? -1 : 0) && p[3].number > 0;
}

static bool
good_repeat(PyObject *Py_UNUSED(op), const part *p)
{
    return p[1].number >= -1;
}

/* It was made for that many. */
static bool
good_zip(PyObject *op, const part *p)
{
    Py_ssize_t n = PyTuple_GET_SIZE(p[2].object), active = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        active += PyTuple_GET_ITEM(p[2].object, i) != NULL;
    }
    return p[0].number == n && ((zip_longest *)op)->tuplesize == n
           && (p[1].number == 0 || p[1].number == active);
}

static bool
is_tee_data(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    return type->tp_basicsize == (Py_ssize_t)sizeof(tee_data)
           && (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)
           && strcmp(type->tp_name, "itertools._tee_dataobject") == 0;
}

static bool
good_tee(PyObject *Py_UNUSED(op), const part *p)
{
    return is_tee_data(p[0].object)
           && p[1].number <= ((tee_data *)p[0].object)->numread;
}

/* The next link comes when there is no more room. */
static bool
good_tee_data(PyObject *Py_UNUSED(op), const part *p)
{
    return p[1].number <= LINKCELLS && p[2].number == 0
           && PyTuple_GET_SIZE(p[4].object) == p[1].number
           && (p[3].object == NULL
               || (p[1].number == LINKCELLS && is_tee_data(p[3].object)));
}

/* ---- all of them --------------------------------------------------------- */

#    define NEEDED(kind, type, name)                                          \
        {                                                                     \
            kind, false, 0, offsetof(type, name)                              \
        }
#    define OPTIONAL(kind, type, name)                                        \
        {                                                                     \
            kind, true, 0, offsetof(type, name)                               \
        }
#    define LONG_AS(kind, type, name, length)                                 \
        {                                                                     \
            kind, false, length, offsetof(type, name)                         \
        }
#    define COMBINED(name, good)                                              \
        {                                                                     \
            name, sizeof(combinations), good,                                 \
            {                                                                 \
                NEEDED(TUPLE, combinations, pool),                            \
                    LONG_AS(ARRAY, combinations, indices, 3),                 \
                    OPTIONAL(TUPLE, combinations, result),                    \
                    NEEDED(NUMBER, combinations, r),                          \
                    NEEDED(INT, combinations, stopped)                        \
            }                                                                 \
        }
#    define FILTERED(name)                                                    \
        {                                                                     \
            name, sizeof(filtered), good_any,                                 \
            {                                                                 \
                NEEDED(OBJECT, filtered, func),                               \
                    NEEDED(ITERATOR, filtered, it)                            \
            }                                                                 \
        }
#    define WHILED(name)                                                      \
        {                                                                     \
            name, sizeof(whiled), good_any,                                   \
            {                                                                 \
                NEEDED(OBJECT, whiled, func), NEEDED(ITERATOR, whiled, it),   \
                    NEEDED(LONG, whiled, flag)                                \
            }                                                                 \
        }

/* Read Modules/itertoolsmodule.c.  Left out is what a call of the type sets, and
   what has no meaning: tuples to be used again. */
static const shape shapes[] = {
    {"accumulate",
     sizeof(accumulate),
     good_accumulate,
     {OPTIONAL(OBJECT, accumulate, total), NEEDED(ITERATOR, accumulate, it),
      OPTIONAL(OBJECT, accumulate, binop),
      NEEDED(OBJECT, accumulate, initial)}},
    {"batched",
     sizeof(batched),
     good_batched,
     {OPTIONAL(ITERATOR, batched, it), NEEDED(NUMBER, batched, size),
      NEEDED(BOOL, batched, strict)}},
    {"chain",
     sizeof(chain),
     good_any,
     {OPTIONAL(ITERATOR, chain, source), OPTIONAL(ITERATOR, chain, active)}},
    COMBINED("combinations", good_combinations),
    COMBINED("combinations_with_replacement", good_repeating),
    {"compress",
     sizeof(compress),
     good_any,
     {NEEDED(ITERATOR, compress, data),
      NEEDED(ITERATOR, compress, selectors)}},
    {"count",
     sizeof(count),
     good_count,
     {NEEDED(NUMBER, count, cnt), OPTIONAL(OBJECT, count, long_cnt),
      NEEDED(OBJECT, count, long_step)}},
    {"cycle",
     sizeof(cycle),
     good_cycle,
     {OPTIONAL(ITERATOR, cycle, it), NEEDED(ITEMS, cycle, saved),
      NEEDED(NUMBER, cycle, index)}},
    WHILED("dropwhile"),
    FILTERED("filterfalse"),
    {"groupby",
     sizeof(groupby),
     good_groupby,
     {NEEDED(ITERATOR, groupby, it), NEEDED(OBJECT, groupby, keyfunc),
      OPTIONAL(OBJECT, groupby, tgtkey), OPTIONAL(OBJECT, groupby, currkey),
      OPTIONAL(OBJECT, groupby, currvalue),
      NEEDED(ADDRESS, groupby, currgrouper)}},
    {"_grouper",
     sizeof(grouper),
     NULL,
     {NEEDED(OBJECT, grouper, parent), NEEDED(OBJECT, grouper, tgtkey)}},
    {"islice",
     sizeof(islice),
     good_islice,
     {OPTIONAL(ITERATOR, islice, it), NEEDED(NUMBER, islice, next),
      NEEDED(NUMBER, islice, stop), NEEDED(NUMBER, islice, step),
      NEEDED(NUMBER, islice, cnt)}},
    {"pairwise",
     sizeof(pairwise),
     good_any,
     {OPTIONAL(ITERATOR, pairwise, it), OPTIONAL(OBJECT, pairwise, old)}},
    {"permutations",
     sizeof(permutations),
     good_permutations,
     {NEEDED(TUPLE, permutations, pool),
      LONG_AS(ARRAY, permutations, indices, 0),
      LONG_AS(ARRAY, permutations, cycles, 4),
      OPTIONAL(TUPLE, permutations, result), NEEDED(NUMBER, permutations, r),
      NEEDED(INT, permutations, stopped)}},
    {"product",
     sizeof(product),
     good_product,
     {NEEDED(TUPLE, product, pools), LONG_AS(ARRAY, product, indices, 0),
      OPTIONAL(TUPLE, product, result), NEEDED(INT, product, stopped)}},
    {"repeat",
     sizeof(repeat),
     good_repeat,
     {NEEDED(OBJECT, repeat, element), NEEDED(NUMBER, repeat, cnt)}},
    FILTERED("starmap"),
    WHILED("takewhile"),
    {"_tee",
     sizeof(tee),
     good_tee,
     {NEEDED(OBJECT, tee, dataobj), NEEDED(INT, tee, index)}},
    {"_tee_dataobject",
     sizeof(tee_data),
     good_tee_data,
     {NEEDED(ITERATOR, tee_data, it), NEEDED(INT, tee_data, numread),
      NEEDED(INT, tee_data, running), OPTIONAL(OBJECT, tee_data, nextlink),
      LONG_AS(VALUES, tee_data, values, 1)}},
    {"zip_longest",
     sizeof(zip_longest),
     good_zip,
     {NEEDED(NUMBER, zip_longest, tuplesize),
      NEEDED(NUMBER, zip_longest, numactive),
      NEEDED(ITERATORS, zip_longest, ittuple),
      NEEDED(OBJECT, zip_longest, fillvalue)}},
    {NULL, 0, NULL, {{END, false, 0, 0}}},
};

#else

/* They tell it by themselves. */
static const shape shapes[] = {{NULL, 0, NULL, {{END, false, 0, 0}}}};

#endif

/* NULL with TypeError: it is none of them. */
static const shape *
shape_of(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    for (const shape *s = shapes; s->name != NULL; s++) {
        if (strncmp(type->tp_name, "itertools.", 10) == 0
            && strcmp(type->tp_name + 10, s->name) == 0
            && (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)
            && type->tp_basicsize == (Py_ssize_t)s->size) {
            return s;
        }
    }
    PyErr_Format(PyExc_TypeError, "%.100s is not known", type->tp_name);
    return NULL;
}

static PyObject **
object_at(PyObject *op, const field *f)
{
    return (PyObject **)((char *)op + f->offset);
}

static Py_ssize_t
number_at(PyObject *op, const field *f)
{
    const void *at = object_at(op, f);
    switch (f->kind) {
        case INT:
            return *(const int *)at;
        case LONG:
            return *(const long *)at;
        case BOOL:
            return *(const unsigned char *)at;
        default:
            return *(const Py_ssize_t *)at;
    }
}

static bool
has_number(const field *f)
{
    return f->kind >= NUMBER && f->kind <= BOOL;
}

static Py_ssize_t
length_at(PyObject *op, const shape *s, const field *f)
{
    const field *of = &s->fields[f->length];
    return has_number(of) ? number_at(op, of)
                          : PyTuple_GET_SIZE(*object_at(op, of));
}

/* ---- from an iterator ---------------------------------------------------- */

/* A tuple of objects, None for NULL unless that is to be an error. */
static PyObject *
tuple_of(PyObject *const *items, Py_ssize_t n, bool optional)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple != NULL && i < n; i++) {
        PyObject *item = items[i] || !optional ? items[i] : Py_None;
        if (item == NULL) {
            Py_DECREF(tuple);
            PyErr_SetString(PyExc_TypeError, "the iterator is incomplete");
            return NULL;
        }
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(item));
    }
    return tuple;
}

static PyObject *
array_state(const Py_ssize_t *numbers, Py_ssize_t n)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple != NULL && i < n; i++) {
        PyObject *number = PyLong_FromSsize_t(numbers[i]);
        if (number == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, number);
    }
    return tuple;
}

/* A product that has failed has a tuple with holes, and does not use it. */
static bool
has_holes(PyObject *tuple)
{
    bool holes = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        holes = holes || PyTuple_GET_ITEM(tuple, i) == NULL;
    }
    return holes;
}

static PyObject *
field_state(PyObject *op, const shape *s, const field *f)
{
    if (has_number(f)) {
        return PyLong_FromSsize_t(number_at(op, f));
    }
    PyObject *v = *object_at(op, f);
    switch (f->kind) {
        case OBJECT:
        case ITERATOR:
            return tuple_of(&v, v != NULL, false);
        case TUPLE:
            return tuple_of(&v, v != NULL && !has_holes(v), false);
        case ITERATORS:
            return tuple_of(((PyTupleObject *)v)->ob_item, PyTuple_GET_SIZE(v),
                            true);
        case ITEMS:
            return PyList_AsTuple(v);
        case ARRAY:
            return array_state((const Py_ssize_t *)v, length_at(op, s, f));
        case VALUES:
            return tuple_of(object_at(op, f), length_at(op, s, f), false);
        default:
            return PyLong_FromVoidPtr(v);
    }
}

static int
count_fields(const shape *s)
{
    int n = 0;
    while (n < FIELDS && s->fields[n].kind != END) {
        n++;
    }
    return n;
}

PyObject *
slp_iterator_state(PyObject *op)
{
    const shape *s = shape_of(op);
    PyObject *state = s ? PyTuple_New(count_fields(s)) : NULL;
    for (int i = 0; state != NULL && i < PyTuple_GET_SIZE(state); i++) {
        PyObject *v = field_state(op, s, &s->fields[i]);
        if (v == NULL) {
            Py_CLEAR(state);
            break;
        }
        PyTuple_SET_ITEM(state, i, v);
    }
    return state;
}

/* ---- is the layout what we take it for? ---------------------------------- */

static bool
is_number(PyObject *v, Py_ssize_t number)
{
    int overflow = 0;
    return PyLong_CheckExact(v)
           && PyLong_AsLongLongAndOverflow(v, &overflow) == number
           && !overflow;
}

static bool
array_fits(const void *array, bool objects, PyObject *v)
{
    bool good = true;
    for (Py_ssize_t i = 0; good && i < PyTuple_GET_SIZE(v); i++) {
        PyObject *item = PyTuple_GET_ITEM(v, i);
        good = objects ? ((PyObject *const *)array)[i] == item
                       : is_number(item, ((const Py_ssize_t *)array)[i]);
    }
    return good;
}

/* Does the word there look like an address?  Only then is it used as one. */
static bool
field_fits(PyObject *op, const field *f, PyObject *v, bool arrays)
{
    if (has_number(f)) {
        return is_number(v, number_at(op, f));
    }
    if (!PyTuple_Check(v)) {
        return false;
    }
    PyObject *raw = *object_at(op, f);
    if (f->kind == ARRAY) {
        return arrays ? array_fits(raw, false, v)
                      : (uintptr_t)raw > USHRT_MAX
                            && (uintptr_t)raw % sizeof(void *) == 0;
    }
    if (f->kind == VALUES) {
        return array_fits(object_at(op, f), true, v);
    }
    return raw == (PyTuple_GET_SIZE(v) ? PyTuple_GET_ITEM(v, 0) : NULL);
}

bool
slp_iterator_fits(PyObject *op, PyObject *words)
{
    const shape *s = shape_of(op);
    if (s == NULL || PyTuple_GET_SIZE(words) != count_fields(s)) {
        PyErr_Clear(); /* checked: it does not fit, then */
        return false;
    }
    bool good = true;
    for (int n = 0; good && n < 2 * count_fields(s); n++) {
        int i = n % count_fields(s);
        good = field_fits(op, &s->fields[i], PyTuple_GET_ITEM(words, i),
                          n >= count_fields(s));
    }
    return good;
}

/* ---- to an iterator ------------------------------------------------------ */

static bool
parse_number(const field *f, PyObject *v, Py_ssize_t *number)
{
    int overflow = 0;
    long long n = PyLong_CheckExact(v)
                      ? PyLong_AsLongLongAndOverflow(v, &overflow)
                      : PY_LLONG_MAX;
    *number = (Py_ssize_t)n;
    return PyLong_CheckExact(v) && !overflow && *number == n
           && (f->kind == INT || f->kind == LONG || f->kind == BOOL
                   ? n >= 0 && n <= (f->kind == INT ? INT_MAX : 1)
                   : f->kind == NUMBER || n == 0);
}

static bool
parse_array(PyObject *v, part *p)
{
    if (!PyTuple_CheckExact(v)) {
        return false;
    }
    p->number = PyTuple_GET_SIZE(v);
    p->array = PyMem_New(Py_ssize_t, p->number);
    if (p->array == NULL) {
        PyErr_NoMemory();
        return false;
    }
    const field number = {NUMBER, false, 0, 0};
    bool good = true;
    for (Py_ssize_t i = 0; good && i < p->number; i++) {
        good = parse_number(&number, PyTuple_GET_ITEM(v, i), &p->array[i]);
    }
    return good;
}

static bool
parse_iterators(PyObject *v, part *p)
{
    bool good = PyTuple_CheckExact(v);
    Py_ssize_t n = good ? PyTuple_GET_SIZE(v) : 0;
    p->object = good ? PyTuple_New(n) : NULL;
    good = p->object != NULL;
    for (Py_ssize_t i = 0; good && i < n; i++) {
        PyObject *item = PyTuple_GET_ITEM(v, i);
        good = item == Py_None || PyIter_Check(item);
        if (item != Py_None && good) {
            PyTuple_SET_ITEM(p->object, i, Py_NewRef(item));
        }
    }
    return good;
}

/* An object or NULL: in a tuple. */
static bool
parse_object(const field *f, PyObject *v, part *p)
{
    if (!PyTuple_CheckExact(v) || PyTuple_GET_SIZE(v) > 1) {
        return false;
    }
    if (PyTuple_GET_SIZE(v) == 0) {
        return f->optional;
    }
    p->object = Py_NewRef(PyTuple_GET_ITEM(v, 0));
    return f->kind == ITERATOR ? PyIter_Check(p->object)
           : f->kind == TUPLE  ? PyTuple_CheckExact(p->object)
                               : true;
}

/* False without an exception as well: it is nothing for that field. */
static bool
parse(const field *f, PyObject *v, part *p)
{
    switch (f->kind) {
        case OBJECT:
        case ITERATOR:
        case TUPLE:
            return parse_object(f, v, p);
        case ITERATORS:
            return parse_iterators(v, p);
        case ITEMS:
            p->object = PyTuple_CheckExact(v) ? PySequence_List(v) : NULL;
            return p->object != NULL;
        case ARRAY:
            return parse_array(v, p);
        case VALUES:
            p->object = Py_NewRef(v);
            return PyTuple_CheckExact(v);
        default:
            return parse_number(f, v, &p->number);
    }
}

/* Takes over what is in the part, and leaves there what was in the field. */
static void
store(PyObject *op, const field *f, part *p)
{
    PyObject **at = object_at(op, f), *old;
    switch (f->kind) {
        case NUMBER:
        case ADDRESS:
            *(Py_ssize_t *)at = p->number;
            break;
        case INT:
            *(int *)at = (int)p->number;
            break;
        case LONG:
            *(long *)at = (long)p->number;
            break;
        case BOOL:
            *(bool *)at = p->number != 0;
            break;
        case ARRAY:
            old = *at;
            *at = (PyObject *)p->array;
            p->array = (Py_ssize_t *)old;
            break;
        case VALUES:
            for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(p->object); i++) {
                at[i] = Py_NewRef(PyTuple_GET_ITEM(p->object, i));
            }
            break;
        default:
            old = *at;
            *at = p->object;
            p->object = old;
    }
}

int
slp_iterator_set_state(PyObject *op, PyObject *state)
{
    const shape *s = shape_of(op);
    if (s == NULL) {
        return -1;
    }
    int n = count_fields(s);
    part parts[FIELDS] = {{NULL, 0, NULL}};
    bool good = s->good != NULL && PyTuple_CheckExact(state)
                && PyTuple_GET_SIZE(state) == n;
    for (int i = 0; good && i < n; i++) {
        good = parse(&s->fields[i], PyTuple_GET_ITEM(state, i), &parts[i]);
    }
    good = good && s->good(op, parts);
    for (int i = 0; good && i < n; i++) {
        store(op, &s->fields[i], &parts[i]);
    }
    if (!good && !PyErr_Occurred()) { /* checked: no memory */
        PyErr_Format(PyExc_ValueError, "not the state of a %s", s->name);
    }
    for (int i = 0; i < n; i++) {
        PyMem_Free(parts[i].array);
        Py_XDECREF(parts[i].object);
    }
    return good ? 0 : -1;
}
