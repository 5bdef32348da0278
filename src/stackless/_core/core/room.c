/* SPDX-License-Identifier: PSF-2.0 */
#include "room.h"

/* Beyond this CPython's own chunks waste little. */
#define LARGEST 4096
#define ROUND   64

/* Codes are compared only; one may lie where another lay: then somebody has more
   room than needed, or less.  Two of the same hash do not drive each other out,
   three do. */
static slp_room *
rooms_of(slp_state *s, const void *code)
{
    uintptr_t hash = (uintptr_t)code >> 5;
    hash ^= hash >> 8;
    return s->rooms[hash % Py_ARRAY_LENGTH(s->rooms)];
}

/* NULL if nothing is known. */
static slp_room *
find(slp_state *s, const void *code)
{
    slp_room *rooms = rooms_of(s, code);
    return rooms[0].code == code   ? &rooms[0]
           : rooms[1].code == code ? &rooms[1]
                                   : NULL;
}

static void
remember(slp_state *s, const void *code, size_t size)
{
    slp_room *rooms = rooms_of(s, code);
    if (rooms[0].code != code) {
        rooms[1] = rooms[0];
    }
    rooms[0] = (slp_room){.code = code, .size = size};
}

void
slp_room_make(slp_state *s, slp_task *t, PyObject *func)
{
    if (!PyFunction_Check(func)) {
        return;
    }
    const void *code = PyFunction_GET_CODE(func);
    slp_room *room = find(s, code);
    if (room == NULL || room->size <= t->chunk->size) {
        return;
    }
    _PyStackChunk *chunk = slp_chunk_new(room->size);
    if (chunk != NULL) {
        slp_chunk_free(t->chunk);
        t->chunk = chunk;
    }
}

void
slp_room_learn(slp_thread *st, slp_frame *bottom)
{
    st->current->measured = 1;
    size_t size = slp_stack_size(st->ts) + ROUND - 1;
    size -= size % ROUND;
    const void *code = slp_frame_code(bottom);
    if (size > st->current->chunk->size && size <= LARGEST) {
        remember(st->state, code, size);
        return;
    }
    slp_room *room = find(st->state, code);
    if (room != NULL && size < room->size / 2) {
        room->size = size; /* one that needed more was an exception */
    }
}
