"""A collection begins inside a destructor that another one runs; when it ends,
the interpreter's mark of a collection is gone."""
import gc

depth = deepest = 0


def watch(phase, info):
    global depth, deepest
    depth += 1 if phase == "start" else -1
    deepest = max(deepest, depth)


class Busy:
    def __del__(self):
        for i in range(10):
            [[] for _ in range(5)]


gc.callbacks.append(watch)
gc.set_threshold(1)
for i in range(50):
    busy = Busy()
    busy.me = busy
    del busy
    more = [[], []]
    gc.collect()
assert deepest == 1, deepest
