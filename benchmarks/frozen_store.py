"""Frozen tasklets in an SQLite file, finished by four processes, each once.

Each program waits in two frames, signed.  A process takes some at a time in a
transaction, thaws and runs each to its end, and writes what came of them in
another one, together with taking the next.  Every program must have ended
once, with the right result.

What is told is the cost in the best thousand of the last half: there what
grows has grown, and other work on the machine comes in phases.  Processes
start before.  Plain pickle, unsigned, stores and finishes the same values: so
much of it is SQLite's.
"""

import atexit
import contextlib
import functools
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import _bench
import stackless

QUESTION = "Does a stored tasklet cost more when there are many?"
SECONDS = 120
KEY = b"a real one comes from os.urandom"
PROCESSES = 4
BATCH = 20
SOME = 1_000
SCHEMA = """
pragma journal_mode = wal;
create table program (id integer primary key, data blob);
create table done (id integer, worker integer, result integer, at integer);
create table claimed (upto integer);
insert into claimed values (0);
"""

# --- what is frozen ----------------------------------------------------------

RESULTS = []


def program(number):
    total = 0
    for step in (1, 2, 3):
        total += work(number, step)
    RESULTS.append(total)


def work(number, step):
    if step == 2:
        stackless.schedule_remove(None)
    return number * step


class Tasklets:
    """A program is a tasklet that waits in the second of its three steps."""

    def freeze(self, number):
        task = stackless.tasklet(program)(number)
        task.run()
        data = stackless.freeze(task, key=KEY)
        task.bind()
        return data

    def finish(self, data):
        task = stackless.thaw(data, key=KEY)
        task.run()
        _bench.check(task.alive, False)
        return RESULTS.pop()


class Pickles:
    """A program is what it has to know to go on."""

    def freeze(self, number):
        return pickle.dumps((number, 2, number))

    def finish(self, data):
        number, step, total = pickle.loads(data)
        for step in range(step, 4):
            total += number * step
        return total


KINDS = {"stackless": Tasklets, "pickle": Pickles}


# --- the store ---------------------------------------------------------------

def connect(path):
    """Transactions are ended explicitly; several may want to write."""
    base = sqlite3.connect(path, timeout=60, isolation_level=None)
    base.execute("pragma synchronous = normal")
    return contextlib.closing(base)


@contextlib.contextmanager
def transaction(base):
    base.execute("begin immediate")
    try:
        yield
    except BaseException:
        base.execute("rollback")
        raise
    base.execute("commit")


def best(begun, ends):
    """Nanoseconds for each, in the best SOME of the last half."""
    some = min(SOME, len(ends))
    begins = [begun, *ends]
    last = len(ends) - some
    return min(ends[i + some - 1] - begins[i] for i in range(
        min(len(ends) // 2, last), last + 1, BATCH)) / some


class Store:
    """A file with so many programs: freeze(), then finish()."""

    def __init__(self, kind, count):
        self.kind = kind
        self.count = count
        self.folder = tempfile.mkdtemp(prefix="frozen_store")
        atexit.register(self.close)
        self.path = os.path.join(self.folder, "store.db")

    def close(self):
        atexit.unregister(self.close)
        shutil.rmtree(self.folder, ignore_errors=True)

    def freeze(self):
        freeze = KINDS[self.kind]().freeze
        for number in range(10):
            freeze(number)
        ends = []
        with connect(self.path) as base:
            base.executescript(SCHEMA)
            begun = time.monotonic_ns()
            for first in range(1, self.count + 1, BATCH):
                numbers = range(first, min(first + BATCH, self.count + 1))
                rows = [(number, freeze(number)) for number in numbers]
                with transaction(base):
                    base.executemany(
                        "insert into program values (?, ?)", rows)
                ends += [time.monotonic_ns()] * len(rows)
        self.note("freeze", begun, ends)
        return best(begun, ends)

    def finish(self):
        with contextlib.ExitStack() as stack:
            workers = [self.worker(number) for number in range(PROCESSES)]
            for worker in workers:
                stack.callback(worker.communicate)
                stack.callback(worker.kill)
            for worker in workers:
                _bench.check(worker.stdout.readline(), "ready\n")
            begun = time.monotonic_ns()
            for worker in workers:
                print("go", file=worker.stdin, flush=True)
            for worker in workers:
                _bench.check(worker.stdout.readline(), "done\n")
        with connect(self.path) as base:
            self.check(base)
            ends = base.execute("select at from done order by at").fetchall()
        ends = [end for (end,) in ends]
        self.note("finish", begun, ends)
        self.close()
        return best(begun, ends)

    def worker(self, number):
        command = [sys.executable, __file__, "--worker", self.path, self.kind]
        return subprocess.Popen([*command, str(number)], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def check(self, base):
        """Each has ended once, with its result, in several processes."""
        found = base.execute(
            "select count(*), count(distinct id), min(id), max(id), "
            "sum(result = 6 * id) from done").fetchone()
        count = self.count
        _bench.check(found, (count, count, 1, count, count))
        (took_part,) = base.execute(
            "select count(distinct worker) from done").fetchone()
        _bench.check(took_part > 1 or count < 10_000, True)

    def note(self, what, begun, ends):
        TOTALS[self.kind, self.count, what] = (ends[-1] - begun) / 1e9


# --- the processes -----------------------------------------------------------

def work_for(path, kind, number):
    what = KINDS[kind]()
    for again in range(10):
        what.finish(what.freeze(again))
    with connect(path) as base:
        print("ready", flush=True)
        sys.stdin.readline()
        ended = []
        while taken := take(base, ended):
            ended = [(ident, number, what.finish(data))
                     for ident, data in taken]
        print("done", flush=True)


def take(base, ended):
    """Write what has ended; the next ones, which nobody else gets."""
    with transaction(base):
        now = time.monotonic_ns()
        base.executemany("insert into done values (?, ?, ?, ?)",
                         [(*row, now) for row in ended])
        (first,) = base.execute("select upto from claimed").fetchone()
        base.execute("update claimed set upto = upto + ?", [BATCH])
    return base.execute(
        "select id, data from program where id > ? and id <= ?",
        [first, first + BATCH]).fetchall()


# --- rows --------------------------------------------------------------------

TOTALS = {}  # seconds for all, by kind, count and what
STORES = {}  # filled, by kind and count


def freeze(kind, count):
    if (kind, count) in STORES:
        STORES.pop((kind, count)).close()
    store = Store(kind, count)
    cost = store.freeze()
    STORES[kind, count] = store
    return cost


def finish(kind, count):
    if (kind, count) not in STORES:
        freeze(kind, count)
    return STORES.pop((kind, count)).finish()


def size(kind, count):
    return os.path.getsize(STORES[kind, count].path) / count


def rows(quick):
    counts = (100, 300) if quick else (1_000, 10_000, 100_000)
    rounds = dict(zip(counts, (1, 1) if quick else (20, 4, 1)))

    def row(what, count, function, wanted=(), **more):
        cases = {kind: functools.partial(function, kind, count)
                 for kind in KINDS}
        return _bench.Row(what, cases, wanted, **more)

    def growing(text, function):
        names = [f"{text}, each of {count:,}" for count in counts]
        for name, count in zip(names, counts):
            most = _bench.at_most(1.2, _bench.OURS, names[0],
                                  f"that of {counts[0]:,}")
            yield row(name, count, function,
                      (most,) if count > counts[0] else (),
                      rounds=rounds[count])

    def total(text, what):
        return row(f"{text}, all {counts[-1]:,}", counts[-1],
                   lambda kind, count: TOTALS[kind, count, what],
                   unit="s", rounds=rounds[counts[-1]])

    by_four = f"finish by {PROCESSES} processes"
    return [
        *growing("freeze and store", freeze),
        row("bytes in the file, each", counts[0], size, unit="bytes",
            rounds=1),
        *growing(by_four, finish),
        total("freeze and store", "freeze"),
        total(by_four, "finish"),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work_for(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        _bench.main(sys.modules["__main__"])
