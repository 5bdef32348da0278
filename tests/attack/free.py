"""Programs whose tasklets are interrupted wherever they are, in threads that run
at the same time.

Nobody can say in which order they do things.  So there is no log; after every
operation what always holds is checked instead: rings and queues are consistent,
each tasklet runs in its own thread, no message comes twice or from nowhere, and
in a gentle program, where nothing is killed or thrown, all arrive; inside an
atomic section nobody else runs.
"""

import contextlib
import itertools
import random
import sys
import threading
import time
import traceback

import stackless
from by_tasklets import Real, Threads, start_new_thread, wait_for_end_of

TURN = 0.0003  # seconds: shorter than most operations of some length
ROUGH = {
    "kill", "throw", "tempval", "drop", "bind", "raise", "send_error",
    "throw_into", "close_generator", "destroy", "on_error", "on_schedule",
    "on_channel",
}  # fmt: skip
# Mistakes that it can be told to make.
FAULTS = ["doubled", "section", "lost"]
COUNTS = 1 << 30  # flag of get_thread_info()
# Elsewhere only the main thread can be interrupted.
ANY_THREAD = sys.version_info >= (3, 12)


class Free(Real):
    def __init__(self, program, report, fault=None, stress=None):
        super().__init__(program, None, stress)
        self.threads = self.threads or Threads(1)
        self.report = report
        self.fault = fault
        self.r = random.Random(program["steps"])
        self.gentle = program["gentle"]
        self.serials = itertools.count()
        self.last_message = None
        self.turns = 0
        self.kept = []
        self.sent, self.delivered, self.received = set(), set(), set()

    # Threads.

    def gate(self):
        pass

    def has_baton(self):
        return True

    def whole(self):
        count = self.threads.count
        self.idents_known = threading.Barrier(count)
        for number in range(1, count):
            start_new_thread(self.guarded, (number,))
        self.idents_known.wait()
        stackless.current.set_atomic(True)
        self.hook()
        before = stackless.preempt(TURN)
        self.part(0)
        self.on_schedule = None
        self.hook()
        stackless.set_channel_callback(None)
        stackless.set_error_handler(None)
        for _ in range(20):
            self.one_turn(0)
        self.left = 0
        self.over = True
        while not all(self.threads.ended[1:]):
            self.one_turn(0)
        self.end_all(0)
        stackless.preempt(before)
        for main in self.slots[1:count]:
            wait_for_end_of(main)
        stackless.current.set_atomic(False)
        self.check_messages()

    def guarded(self, number):
        try:
            self.threads.idents[number] = threading.get_ident()
            self.become_main(number)
            stackless.current.set_atomic(True)
            self.idents_known.wait()
            self.part(number)
            while not self.over:
                self.one_turn(number)
            self.end_all(number)
            self.threads.ended[number] = True
        except BaseException:
            self.report(traceback.format_exc())

    def part(self, number):
        """A main may be given an error wherever it is interrupted: it is not,
        but in its operations."""
        for op in self.program["bodies"][number]:
            try:
                try:
                    stackless.current.set_atomic(False)
                    self.step(op)
                finally:
                    stackless.current.set_atomic(True)
            except BaseException:
                pass
            stackless.current.set_atomic(True)

    def one_turn(self, number):
        """A thread that has nothing to do itself."""
        self.run_all()
        with stackless.atomic():
            for k in range(self.threads.count):
                asleep = k != number and self.threads.is_asleep(k)
                if asleep and self.threads.runs_nothing(k):
                    if self.slots[k].paused:  # perhaps it has a message
                        self.slots[k].insert()
                    else:
                        self.slots[k].kill(pending=True)
        time.sleep(0.0005)

    def run_all(self):
        try:
            stackless.run()
        except BaseException:  # of whoever has ended
            pass

    def end_all(self, number):
        """Those of this thread do nothing any more, and end."""
        ident = self.threads.idents[number]
        while self.others(ident):
            with stackless.atomic():
                waiting = stackless.runcount == 1
                for t in self.others(ident):
                    if t.paused:
                        t.insert()
                        waiting = False
                if waiting:
                    for t in self.others(ident):
                        t.kill(pending=True)
            self.run_all()

    # What always holds.

    def note(self, what, outcome):
        self.turns += 1
        if stackless.current.thread_id != threading.get_ident():
            self.wrong("it runs in another thread than its own")
        with stackless.atomic():
            found = [*self.wrong_in_rings(), *self.wrong_in_queues()]
        if found:
            self.wrong(*found)

    def wrong(self, *what):
        self.report(" ".join(map(str, what)))

    def wrong_in_rings(self):
        for number, ident in enumerate(self.threads.idents):
            if self.threads.ended[number]:
                continue
            _, current, count = stackless.get_thread_info(ident)
            t = current
            for _ in range(count):
                if not (t.alive and t.scheduled) or t.blocked or t.paused:
                    yield "in a ring:", t
                following = t.next
                if following is None:
                    yield "not in a ring:", t
                    break
                if t.thread_id != ident or following.prev is not t:
                    yield "in a wrong ring:", t
                t = following
            if t is not current:
                yield "a ring of", count, "does not end with", t

    def wrong_in_queues(self):
        for channel in self.channels:
            t, found = channel.queue, 0
            while t is not None:
                if not t.blocked or t.waiting_for is not channel:
                    yield "in a queue:", t
                t = t.next
                found += 1
            if found != abs(channel.balance):
                yield "balance", channel.balance, "but waiting:", found

    # Messages.

    def message(self):
        serial = next(self.serials)
        if self.fault == "doubled" and serial % 10 == 9:
            return self.last_message
        self.last_message = f"message {serial}"
        self.sent.add(self.last_message)
        return f"message {serial}"

    def arrived(self, message):
        if not str(message).startswith("message"):
            return  # the end, or one of a helper
        if message not in self.sent or message in self.received:
            self.wrong("received:", message)
        if self.fault != "lost":
            self.received.add(message)

    def check_messages(self):
        lost = self.delivered - self.received
        if self.gentle and lost:
            self.wrong("lost:", *lost)
        if self.received - self.sent:
            self.wrong("invented:", *(self.received - self.sent))

    def do_send(self, op):
        message = self.message()
        self.channels[op[1]].send(message)
        self.delivered.add(message)

    def do_receive(self, op):
        self.arrived(self.channels[op[1]].receive())

    def do_next(self, op):
        self.arrived(next(self.channels[op[1]], "stop"))

    def do_sequence(self, op):
        def messages():
            for _ in op[2]:
                message = self.message()
                yield message
                self.delivered.add(message)

        self.channels[op[1]].send_sequence(messages())

    # What is done otherwise.

    def fresh(self, i):
        t = super().fresh(i)
        if self.gentle:
            self.kept.append(t)  # two may use a slot at the same time
        return t

    def step(self, op):
        if not (self.gentle and op[0] in ROUGH):
            super().step(op)

    def do_flag(self, op):
        if op[2] != "atomic" or not self.task(op[1]).is_main:
            super().do_flag(op)

    def do_hand(self, op):
        time.sleep(0)

    def do_move(self, op):
        self.task(op[1]).bind_thread(self.threads.idents[op[2]])

    def do_atomic(self, op):
        section = stackless.atomic()
        if self.fault == "section":
            section = contextlib.nullcontext()
        with section:
            before = self.turns, stackless.get_thread_info(-1, COUNTS)[3]
            for _ in range(20000):
                pass
            after = self.turns, stackless.get_thread_info(-1, COUNTS)[3]
            # Elsewhere somebody may be killed, as he is unreachable.
            if self.gentle and before != after:
                self.wrong("somebody else has run in an atomic section")
            self.block(op[1])

    def do_run_all(self, op):
        if self.threads.number() and not ANY_THREAD:
            return super().do_run_all([op[0], op[1] is True])
        with stackless.atomic():
            victim = stackless.run(
                self.r.choice([2, 50, 500, 5000, 50000]),
                soft=self.r.random() < 0.3,
                ignore_nesting=self.r.random() < 0.5,
                totaltimeout=self.r.random() < 0.3,
                threadblock=op[1] == "block",
            )
            if victim is not None:
                alone = self.gentle and self.threads.count == 1
                if alone and (victim.atomic or not victim.paused):
                    self.wrong("interrupted:", victim)
                victim.insert()
        return None

    def do_throw_into(self, op):
        with self.nobody_between():
            return super().do_throw_into(op)

    def do_close_generator(self, op):
        with self.nobody_between():
            super().do_close_generator(op)

    def nobody_between(self):
        """Up to 3.12 CPython may crash where the generator is running."""
        if sys.version_info < (3, 13):
            return stackless.atomic()
        return contextlib.nullcontext()

    OPERATIONS = Real.OPERATIONS | {
        name.removeprefix("do_"): function
        for name, function in list(vars().items())
        if name.startswith("do_")
    }


def run(program, report, fault=None, stress=None):
    """report(text) is called where something is wrong, and does not return.
    Returns the number of operations."""
    free = Free(program, report, fault, stress)
    hooked, sys.unraisablehook = sys.unraisablehook, lambda error: None
    free.whole()
    sys.unraisablehook = hooked
    stackless.set_schedule_callback(None)
    if free.others() or stackless.runcount != 1:
        report(f"left over: {free.others()}")
    return free.turns
