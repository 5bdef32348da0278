"""Stress: suspended tasklets are frozen, thawed and cloned.

The program is not to notice.  A thawed copy has a Shadow instead of the Real
that interprets the program: it does no more operations.  So it can be run:
what it was in the middle of comes to its end, and each shape of code checks
that its frames have come back as they were.
"""

import copyreg
import gc
import os
import random
import traceback
import weakref

import shapes
import stackless
from stackless import _core

KEY = b"k" * 32
CLOSED = ["ValueError", "Send/receive operation on a closed channel"]
# Why a tasklet cannot be frozen; anything else is a fault.
REFUSED = (
    "has C state",
    "is inside run()",
    "is being killed",
    "is running",
    "is a main tasklet",
    "was left by C code",
)
# What has been done, by the process.
DONE = dict.fromkeys(("frozen", "refused", "thawed", "run", "cloned"), 0)
HEARD = []  # what Shadows have noted: (tasklet, operation, outcome)


def fault(*what):
    print(*what, flush=True)
    os._exit(3)


def object_from(call):
    return shapes.Object(call)


# Its own __reduce__() is a shape.
copyreg.pickle(shapes.Object, lambda value: (object_from, (value.call,)))


def stack_of(task):
    """Where it is: (file, line, function) of its frames."""
    frame = task.frame
    found = []
    while frame is not None:
        code = frame.f_code
        found.append((code.co_filename, frame.f_lineno, code.co_qualname))
        frame = frame.f_back
    return found


def look_of(task):
    """What a copy has in common with the original."""
    return [
        task.name,
        task.alive,
        task.atomic,
        task.ignore_nesting,
        task.block_trap,
        stack_of(task),
    ]


class Freezer:
    """What is done to the tasklets of a program, now and then."""

    def __init__(self, seed, helper):
        self.r = random.Random(seed)
        self.helper = helper
        self.copies = weakref.WeakSet()

    def suspended(self):
        me = stackless.current
        return [
            task
            for task in stackless.all_tasklets()
            if task.thread_id == me.thread_id
            and not (task.is_main or task.is_current)
            and task.name != self.helper
        ]

    def act(self):
        """Somebody is frozen, or a few; copies are looked at and dropped."""
        me = stackless.current
        before = me.tempval
        found = self.suspended()
        some = self.r.sample(found, min(len(found), self.r.choice((1, 1, 2))))
        del found
        # Where each allocation is to collect, this would take too long.
        thresholds = gc.get_threshold()
        gc.set_threshold(max(thresholds[0], self.r.randrange(100, 400)))
        try:
            if some and self.r.random() < 0.3:
                self.clone(some[0])
            elif some:
                self.freeze(some)
        except BaseException:
            fault(traceback.format_exc())
        some.clear()
        gc.set_threshold(*thresholds)
        if me.tempval is not before:
            me.tempval = before

    def tried(self, function, *args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (stackless.FreezeError, RuntimeError) as error:
            if not any(text in str(error) for text in REFUSED):
                fault("refused:", error)
        DONE["refused"] += 1
        return None

    def clone(self, task):
        copy = self.tried(task.clone)
        if copy is not None:
            DONE["cloned"] += 1
            self.copies.add(copy)
            # What it sends is the original's.
            sending = task.blocked and task.waiting_for.balance > 0
            self.compare(task, copy, with_value=not sending)
            copy.bind()

    def freeze(self, some):
        how = {
            "key": self.r.choice((None, KEY, ("name", KEY))),
            "code": self.r.choice(("reference", "value")),
        }
        data = self.tried(stackless.freeze, some, **how)
        if data is None:
            return
        DONE["frozen"] += 1
        if stackless.inspect_frozen(data, key=how["key"])["size"] != len(data):
            fault("inspect_frozen")
        if self.r.random() < 0.1:
            return
        known = set(map(id, self.suspended()))
        copies = stackless.thaw(data, key=how["key"])
        DONE["thawed"] += 1
        for task, copy in zip(some, copies, strict=True):
            self.compare(task, copy)
            if copy.blocked != task.blocked:
                fault("blocked:", task, copy)
        del task, copy
        # With those that wait for the same channels.
        made = [t for t in self.suspended() if id(t) not in known]
        made += copies
        copies.clear()
        for copy in made:
            copy.name = self.helper
            self.copies.add(copy)
        del copy
        self.end(made)

    def compare(self, task, copy, with_value=True):
        wanted, found = look_of(task), look_of(copy)
        if with_value:
            wanted.append(type(task.tempval))
            found.append(type(copy.tempval))
        if wanted != found:
            fault("copied:", wanted, "as:", found)

    def end(self, made):
        """They are run, or dropped."""
        while made:
            discard(made.pop())

    def check_all_gone(self):
        HEARD.clear()
        gc.collect()
        if self.copies:
            fault("left over:", *self.copies)


class Between(Freezer):
    """The same where tasklets can be switched: thawed copies are run."""

    def end(self, made):
        before = stackless.set_error_handler(lambda *error: None)
        try:
            while made:
                if self.r.random() < 0.7:
                    self.run(made[-1])
                discard(made.pop())
        finally:
            stackless.set_error_handler(before)

    def run(self, copy):
        started, blocked = copy.frame is not None, copy.blocked
        bombed = type(copy.tempval) is stackless.bomb
        if not copy.alive or bombed or exits(copy):
            return
        HEARD.clear()
        value = self.r.randrange(1000, 2000)
        copy.tempval = copy.tempval if copy.blocked else value
        try:
            for _ in range(5):  # a sequence of values may be left to send
                if copy.blocked:
                    serve(copy, value)
                if copy.alive:
                    copy.run()
        except RuntimeError:
            if copy.alive:
                return  # where switching is not possible
            raise
        DONE["run"] += 1
        if copy.alive:
            fault("it has not ended:", copy)
        heard = [entry[1:] for entry in HEARD if entry[0] is copy]
        HEARD.clear()
        for name, outcome in heard:
            if isinstance(outcome, list) and outcome[:1] == ["SystemError"]:
                fault(name, outcome)
        if started and heard:
            self.check(*heard[0], blocked, value)

    def check(self, name, outcome, blocked, value):
        """What it was in the middle of."""
        wanted = value
        if name == "sequence":
            if not blocked and outcome == CLOSED:
                return  # it was between two values, and serve() opens nothing
            wanted = 3
        elif blocked and name not in ("receive", "next"):
            wanted = None
        if outcome != wanted:
            fault(name, "is", outcome, "instead of", wanted)


def exits(copy):
    """Whether it may end with SystemExit, which is not for the handler."""
    try:
        frames = _core._tasklet_state(copy)[3]
    except RuntimeError:
        return True
    if copy.frame is None:
        return False
    for frame in frames[0]:
        if type(frame) is not tuple:
            frame = _core._generator_state(frame)[0]
        if any(isinstance(value, SystemExit) for value in frame[5]):
            return True
    return False


def serve(copy, value):
    """Send or receive, so that it goes on."""
    channel = copy.waiting_for
    channel.open()
    channel.preference = 0
    channel.schedule_all = False
    while copy.blocked:
        before = channel.balance
        try:
            if before < 0:
                channel.send(value)
            else:
                channel.receive()
        except BaseException:
            if channel.balance == before:
                raise  # it is not what was sent


def discard(copy):
    """Drop its frames: nothing of it runs."""
    if copy.blocked:
        copy.kill(pending=True)
    if copy.scheduled:
        copy.remove()
    copy.bind()
