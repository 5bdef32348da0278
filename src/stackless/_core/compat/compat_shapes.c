/* SPDX-License-Identifier: PSF-2.0 */
/* The structures of iterators that do not tell what they are made of, and what
   each of them relies on.

   They are private to CPython's modules.  What is here is a copy, which
   slp_iterator_fits() compares with living objects before any other is
   touched. */
#include "compat_iterators.h"

/* ---- their layout -------------------------------------------------------- */

/* What some of those of itertools end with. */
#if PY_VERSION_HEX >= 0x030C0000
#    define MODULE_STATE void *state;
#else
#    define MODULE_STATE
#endif

typedef struct {
    PyObject_HEAD
    PyObject *total, *it, *binop, *initial;
    MODULE_STATE
} accumulate;

typedef struct {
    PyObject_HEAD
    PyObject *it;
    Py_ssize_t size;
#if PY_VERSION_HEX >= 0x030D0000
    bool strict;
#endif
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
    Py_ssize_t index; /* from 3.14 on -1 as long as `it` goes on */
#if PY_VERSION_HEX < 0x030E0000
    int firstpass; /* all are saved already */
#endif
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
    MODULE_STATE
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
    PyObject *it, *old;
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *result;
#endif
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
    MODULE_STATE
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

typedef struct {
    PyObject_HEAD
    PyObject *dict; /* NULL at the end */
    Py_ssize_t used, pos;
    PyObject *result;
    Py_ssize_t len;
} dict_iterator;

typedef struct {
    PyObject_HEAD
    int kind;
    PyObject *dict; /* NULL at the end */
    Py_ssize_t size;
    size_t state;
    PyObject *result, *current;
} odict_iterator;

typedef struct {
    PyObject_HEAD
    PyObject *set; /* NULL at the end */
    Py_ssize_t used, pos, len;
} set_iterator;

typedef struct {
    PyObject_HEAD
    void *block;
    Py_ssize_t index;
    PyObject *deque;
    size_t state;
    Py_ssize_t counter;
} deque_iterator;

typedef struct {
    PyObject_HEAD
    Py_ssize_t index;
    PyObject *view; /* NULL at the end */
    Py_ssize_t length;
    const char *format;
} memory_iterator;

typedef struct {
    PyObject_HEAD
    PyObject *input, *dialect, *fields;
    int state; /* in the middle of a row */
    Py_UCS4 *field;
    Py_ssize_t field_size, field_len;
    int as_number;
    unsigned long line_num;
} csv_reader;

typedef struct {
    PyObject_HEAD
    PyObject *pattern;
    const char *ptr, *beginning, *start, *end; /* start: NULL at the end */
    PyObject *string;
    Py_buffer buffer;
    Py_ssize_t pos, endpos;
    int isbytes, charsize, match_all, must_advance;
} scanner;

typedef struct {
    PyObject_HEAD
    PyObject *context, *variable, *old; /* NULL: there was none */
    int used;
} token;

typedef struct {
    PyObject_HEAD
    PyObject *local, *global;
} local_decimals;

/* ---- what they rely on --------------------------------------------------- */

/* The next two: all fields have been checked one by one. */
static bool
good_any(PyObject *Py_UNUSED(op), const slp_part *Py_UNUSED(p))
{
    return true;
}

static bool
good_accumulate(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return p[0].object == NULL || p[3].object == Py_None;
}

static bool
good_batched(PyObject *Py_UNUSED(op), const slp_part *p)
{
#if PY_VERSION_HEX >= 0x030E0000
    return p[1].number == -1 || (p[1].number > 0 && p[0].object != NULL);
#else
    return p[1].number > 0;
#endif
}

/* The last tuple that it has returned, which it may write to. */
static bool
good_result(const slp_part *result, Py_ssize_t size)
{
    return result->object == NULL || PyTuple_GET_SIZE(result->object) == size;
}

static bool
good_combinations(PyObject *Py_UNUSED(op), const slp_part *p)
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
good_repeating(PyObject *Py_UNUSED(op), const slp_part *p)
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
good_permutations(PyObject *Py_UNUSED(op), const slp_part *p)
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
good_product(PyObject *Py_UNUSED(op), const slp_part *p)
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
good_count(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return p[1].object == NULL ? PyLong_Check(p[2].object)
                               : p[0].number == PY_SSIZE_T_MAX;
}

static bool
good_cycle(PyObject *Py_UNUSED(op), const slp_part *p)
{
    Py_ssize_t index = p[2].number;
    bool good = index == 0
                || (index > 0 && index < PyList_GET_SIZE(p[1].object));
#if PY_VERSION_HEX >= 0x030E0000
    good = p[0].object ? index == -1 : good;
#endif
    return good;
}

static bool
good_groupby(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return (p[3].object == NULL) == (p[4].object == NULL) && p[5].number == 0;
}

/* `next` is -1 when it would have been too large, and nothing stops it. */
static bool
good_islice(PyObject *Py_UNUSED(op), const slp_part *p)
{
    Py_ssize_t next = p[1].number, stop = p[2].number;
    return stop >= -1 && next >= (stop == -1 ? -1 : 0) && p[3].number > 0;
}

static bool
good_repeat(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return p[1].number >= -1;
}

/* It was made for that many. */
static bool
good_zip(PyObject *op, const slp_part *p)
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
good_tee(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return is_tee_data(p[0].object)
           && p[1].number <= ((tee_data *)p[0].object)->numread;
}

/* The next link comes when there is no more room. */
static bool
good_tee_data(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return p[1].number <= LINKCELLS && p[2].number == 0
           && PyTuple_GET_SIZE(p[4].object) == p[1].number
           && (p[3].object == NULL
               || (p[1].number == LINKCELLS && is_tee_data(p[3].object)));
}

/* It was made for that dict.  The size that the dict had is compared first. */
static bool
good_over_dict(PyObject *op, const slp_part *p)
{
    PyObject *dict = p[0].object;
    return (dict == NULL || dict == ((dict_iterator *)op)->dict)
           && p[1].number >= -1 && p[2].number >= 0;
}

/* Nothing compares the place then: of a dict of that size it is there, and of what
   the dict is now one that a fresh iterator would come to. */
static bool
good_back_over_dict(PyObject *op, const slp_part *p)
{
    dict_iterator *it = (dict_iterator *)op;
    Py_ssize_t used = p[1].number, pos = p[2].number;
    return (p[0].object == NULL || p[0].object == it->dict) && used >= -1
           && pos >= -1 && (used < 0 || pos < used || pos <= it->pos);
}

/* It was made for that set. */
static bool
good_over_set(PyObject *op, const slp_part *p)
{
    return (p[0].object == NULL || p[0].object == ((set_iterator *)op)->set)
           && p[1].number >= -1 && p[2].number >= 0;
}

/* It was made for that view. */
static bool
good_memory_iterator(PyObject *op, const slp_part *p)
{
    memory_iterator *it = (memory_iterator *)op;
    return p[0].object == NULL
           || (p[0].object == it->view && p[1].number >= 0
               && p[1].number <= it->length);
}

static bool
good_csv_reader(PyObject *op, const slp_part *p)
{
    return p[1].object == ((csv_reader *)op)->dialect && p[2].object == NULL
           && p[3].number == 0 && p[4].number >= 0;
}

Py_ssize_t
slp_place_at(PyObject *op)
{
    scanner *s = (scanner *)op;
    bool none = s->start == NULL || s->charsize <= 0;
    return none ? -1 : (s->start - s->beginning) / s->charsize;
}

void
slp_set_place(PyObject *op, Py_ssize_t place)
{
    scanner *s = (scanner *)op;
    s->start = place < 0 ? NULL : s->beginning + place * s->charsize;
}

/* It was made for that pattern and string. */
static bool
good_scanner(PyObject *op, const slp_part *p)
{
    scanner *s = (scanner *)op;
    Py_ssize_t place = p[4].number;
    return p[0].object == s->pattern && p[1].object == s->string
           && p[2].number == s->pos && p[3].number == s->endpos
           && (place == -1 || place == s->pos
               || (place > s->pos && place <= s->endpos))
           && p[5].number <= 1;
}

/* It was made with contexts, of a type that only decimal knows. */
static bool
good_local_decimals(PyObject *op, const slp_part *p)
{
    PyTypeObject *context = Py_TYPE(((local_decimals *)op)->local);
    return PyObject_TypeCheck(p[0].object, context)
           && PyObject_TypeCheck(p[1].object, context);
}

static bool
good_token(PyObject *Py_UNUSED(op), const slp_part *p)
{
    return PyContext_CheckExact(p[0].object)
           && PyContextVar_CheckExact(p[1].object) && p[3].number <= 1;
}

/* ---- all of them --------------------------------------------------------- */

#define NEEDED(kind, type, name)                                              \
    {                                                                         \
        kind, false, 0, offsetof(type, name)                                  \
    }
#define OPTIONAL(kind, type, name)                                            \
    {                                                                         \
        kind, true, 0, offsetof(type, name)                                   \
    }
#define LONG_AS(kind, type, name, length)                                     \
    {                                                                         \
        kind, false, length, offsetof(type, name)                             \
    }
#define COMBINED(name, good)                                                  \
    {                                                                         \
        "itertools." name, sizeof(combinations), false, good,                 \
        {                                                                     \
            NEEDED(TUPLE, combinations, pool),                                \
                LONG_AS(ARRAY, combinations, indices, 3),                     \
                OPTIONAL(TUPLE, combinations, result),                        \
                NEEDED(NUMBER, combinations, r),                              \
                NEEDED(INT, combinations, stopped)                            \
        }                                                                     \
    }
#define FILTERED(name)                                                        \
    {                                                                         \
        "itertools." name, sizeof(filtered), false, good_any,                 \
        {                                                                     \
            NEEDED(OBJECT, filtered, func), NEEDED(ITERATOR, filtered, it)    \
        }                                                                     \
    }
#define WHILED(name)                                                          \
    {                                                                         \
        "itertools." name, sizeof(whiled), false, good_any,                   \
        {                                                                     \
            NEEDED(OBJECT, whiled, func), NEEDED(ITERATOR, whiled, it),       \
                NEEDED(LONG, whiled, flag)                                    \
        }                                                                     \
    }

#define OVER_DICT(name, good)                                                 \
    {                                                                         \
        "dict_" name, sizeof(dict_iterator), false, good,                     \
        {                                                                     \
            OPTIONAL(OBJECT, dict_iterator, dict),                            \
                NEEDED(NUMBER, dict_iterator, used),                          \
                NEEDED(NUMBER, dict_iterator, pos),                           \
                NEEDED(NUMBER, dict_iterator, len)                            \
        }                                                                     \
    }
#if PY_VERSION_HEX >= 0x030C0000
#    define SLP_DEQUE_MODULE "collections."
#else
#    define SLP_DEQUE_MODULE "_collections."
#endif
#define OVER_DEQUE(name)                                                      \
    {                                                                         \
        SLP_DEQUE_MODULE name, sizeof(deque_iterator), false, NULL,           \
        {                                                                     \
            NEEDED(OBJECT, deque_iterator, deque),                            \
                NEEDED(NUMBER, deque_iterator, state),                        \
                NEEDED(NUMBER, deque_iterator, counter)                       \
        }                                                                     \
    }

/* Read Modules/itertoolsmodule.c.  Left out is what a call of the type sets, and
   what has no meaning: tuples to be used again. */
const slp_shape slp_shapes[] = {
    {"itertools.accumulate",
     sizeof(accumulate),
     false,
     good_accumulate,
     {OPTIONAL(OBJECT, accumulate, total), NEEDED(ITERATOR, accumulate, it),
      OPTIONAL(OBJECT, accumulate, binop),
      NEEDED(OBJECT, accumulate, initial)}},
    {"itertools.batched",
     sizeof(batched),
     false,
     good_batched,
     {OPTIONAL(ITERATOR, batched, it), NEEDED(NUMBER, batched, size),
#if PY_VERSION_HEX >= 0x030D0000
      NEEDED(BOOL, batched, strict)
#endif
     }},
    {"itertools.chain",
     sizeof(chain),
     false,
     good_any,
     {OPTIONAL(ITERATOR, chain, source), OPTIONAL(ITERATOR, chain, active)}},
    COMBINED("combinations", good_combinations),
    COMBINED("combinations_with_replacement", good_repeating),
    {"itertools.compress",
     sizeof(compress),
     false,
     good_any,
     {NEEDED(ITERATOR, compress, data),
      NEEDED(ITERATOR, compress, selectors)}},
    {"itertools.count",
     sizeof(count),
     false,
     good_count,
     {NEEDED(NUMBER, count, cnt), OPTIONAL(OBJECT, count, long_cnt),
      NEEDED(OBJECT, count, long_step)}},
    {"itertools.cycle",
     sizeof(cycle),
     false,
     good_cycle,
     {OPTIONAL(ITERATOR, cycle, it), NEEDED(ITEMS, cycle, saved),
      NEEDED(NUMBER, cycle, index),
#if PY_VERSION_HEX < 0x030E0000
      NEEDED(INT, cycle, firstpass)
#endif
     }},
    WHILED("dropwhile"),
    FILTERED("filterfalse"),
    {"itertools.groupby",
     sizeof(groupby),
     false,
     good_groupby,
     {NEEDED(ITERATOR, groupby, it), NEEDED(OBJECT, groupby, keyfunc),
      OPTIONAL(OBJECT, groupby, tgtkey), OPTIONAL(OBJECT, groupby, currkey),
      OPTIONAL(OBJECT, groupby, currvalue),
      NEEDED(ADDRESS, groupby, currgrouper)}},
    {"itertools._grouper",
     sizeof(grouper),
     false,
     NULL,
     {NEEDED(OBJECT, grouper, parent), NEEDED(OBJECT, grouper, tgtkey)}},
    {"itertools.islice",
     sizeof(islice),
     false,
     good_islice,
     {OPTIONAL(ITERATOR, islice, it), NEEDED(NUMBER, islice, next),
      NEEDED(NUMBER, islice, stop), NEEDED(NUMBER, islice, step),
      NEEDED(NUMBER, islice, cnt)}},
    {"itertools.pairwise",
     sizeof(pairwise),
     false,
     good_any,
     {OPTIONAL(ITERATOR, pairwise, it), OPTIONAL(OBJECT, pairwise, old)}},
    {"itertools.permutations",
     sizeof(permutations),
     false,
     good_permutations,
     {NEEDED(TUPLE, permutations, pool),
      LONG_AS(ARRAY, permutations, indices, 0),
      LONG_AS(ARRAY, permutations, cycles, 4),
      OPTIONAL(TUPLE, permutations, result), NEEDED(NUMBER, permutations, r),
      NEEDED(INT, permutations, stopped)}},
    {"itertools.product",
     sizeof(product),
     false,
     good_product,
     {NEEDED(TUPLE, product, pools), LONG_AS(ARRAY, product, indices, 0),
      OPTIONAL(TUPLE, product, result), NEEDED(INT, product, stopped)}},
    {"itertools.repeat",
     sizeof(repeat),
     false,
     good_repeat,
     {NEEDED(OBJECT, repeat, element), NEEDED(NUMBER, repeat, cnt)}},
    FILTERED("starmap"),
    WHILED("takewhile"),
    {"itertools._tee",
     sizeof(tee),
     false,
     good_tee,
     {NEEDED(OBJECT, tee, dataobj), NEEDED(INT, tee, index)}},
    {"itertools._tee_dataobject",
     sizeof(tee_data),
     false,
     good_tee_data,
     {NEEDED(ITERATOR, tee_data, it), NEEDED(INT, tee_data, numread),
      NEEDED(INT, tee_data, running), OPTIONAL(OBJECT, tee_data, nextlink),
      LONG_AS(VALUES, tee_data, values, 1)}},
    {"itertools.zip_longest",
     sizeof(zip_longest),
     false,
     good_zip,
     {NEEDED(NUMBER, zip_longest, tuplesize),
      NEEDED(NUMBER, zip_longest, numactive),
      NEEDED(ITERATORS, zip_longest, ittuple),
      NEEDED(OBJECT, zip_longest, fillvalue)}},
    OVER_DICT("keyiterator", good_over_dict),
    OVER_DICT("valueiterator", good_over_dict),
    OVER_DICT("itemiterator", good_over_dict),
    OVER_DICT("reversekeyiterator", good_back_over_dict),
    OVER_DICT("reversevalueiterator", good_back_over_dict),
    OVER_DICT("reverseitemiterator", good_back_over_dict),
    OVER_DEQUE("_deque_iterator"),
    OVER_DEQUE("_deque_reverse_iterator"),
    {"odict_iterator",
     sizeof(odict_iterator),
     false,
     NULL,
     {NEEDED(INT, odict_iterator, kind),
      OPTIONAL(OBJECT, odict_iterator, dict),
      NEEDED(NUMBER, odict_iterator, size)}},
    {"set_iterator",
     sizeof(set_iterator),
     false,
     good_over_set,
     {OPTIONAL(OBJECT, set_iterator, set), NEEDED(NUMBER, set_iterator, used),
      NEEDED(NUMBER, set_iterator, pos), NEEDED(NUMBER, set_iterator, len)}},
    {"memory_iterator",
     sizeof(memory_iterator),
     false,
     good_memory_iterator,
     {OPTIONAL(OBJECT, memory_iterator, view),
      NEEDED(NUMBER, memory_iterator, index)}},
    {"_csv.reader",
     sizeof(csv_reader),
     false,
     good_csv_reader,
     {NEEDED(ITERATOR, csv_reader, input), NEEDED(OBJECT, csv_reader, dialect),
      OPTIONAL(OBJECT, csv_reader, fields), NEEDED(INT, csv_reader, state),
      NEEDED(NUMBER, csv_reader, line_num)}},
    {"_sre.SRE_Scanner",
     sizeof(scanner),
     true,
     good_scanner,
     {NEEDED(OBJECT, scanner, pattern), NEEDED(OBJECT, scanner, string),
      NEEDED(NUMBER, scanner, pos), NEEDED(NUMBER, scanner, endpos),
      NEEDED(PLACE, scanner, start), NEEDED(INT, scanner, must_advance)}},
    {"_contextvars.Token",
     sizeof(token),
     false,
     good_token,
     {NEEDED(OBJECT, token, context), NEEDED(OBJECT, token, variable),
      OPTIONAL(OBJECT, token, old), NEEDED(INT, token, used)}},
    {"decimal.ContextManager",
     sizeof(local_decimals),
     false,
     good_local_decimals,
     {NEEDED(OBJECT, local_decimals, local),
      NEEDED(OBJECT, local_decimals, global)}},
    {NULL, 0, false, NULL, {{END, false, 0, 0}}},
};
