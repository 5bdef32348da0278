"""Programs interpreted by tasklets, and compared with the model's log.

No variable of a function that may be suspended refers to a tasklet: somebody
may keep the frame.
Each operation is executed by a small Python function, called from Python: so
what the engine can do softly is done softly.

Of several threads one has the baton and goes on; each of the others waits for it
in the tasklet that it runs, or sleeps as the engine does.  A thread that is woken
may change its ring before it comes to where it waits: meanwhile nobody else does
anything.
"""

import collections
import contextvars
import gc
import operator
import os
import sys
import threading
import time
import traceback
import weakref
from _thread import start_new_thread  # a Thread enters a context, from 3.14 on

import frozen
import stackless
from common import ERRORS, HOLDING, SWALLOWED, describe
from shapes import SHAPES, by_frame, recurse
from stress import HELPER

# Seconds; long enough for a thread that is on its way to get further.
A_MOMENT = 0.0002
# Who waits for the baton looks that often whether the one that has it sleeps.
OFTEN = 0.002
# run() with a limit that is never reached.
NEVER = 1000.0

VARIABLE = contextvars.ContextVar("VARIABLE", default=None)


def settled():
    """Called after each operation: pending calls run at the latest here."""


def drop_and_collect(holder, reference):
    """Nobody is switched to in between, who would collect in our place.  While
    another thread collects it does nothing."""
    [*map(operator.call, (holder.clear, gc.collect))]
    while reference() is not None:
        gc.collect()


class Gone:
    """Garbage with the next collection."""


class Destroyed:
    def __del__(self):
        self.call()


def wait_for_end_of(main):
    while main.thread_id != -1:
        time.sleep(A_MOMENT)


class Threads:
    """Who has the baton, and who waits for it."""

    def __init__(self, count):
        self.count = count
        self.idents = [threading.get_ident()] + [None] * (count - 1)
        self.baton = 0
        self.waiting = [False] * count
        self.ended = [False] * count
        self.bells = [threading.Lock() for _ in range(count)]
        for bell in self.bells:
            bell.acquire()

    def start(self, main):
        """main(number) is what each of the others does; they wait first."""
        for number in range(1, self.count):
            start_new_thread(self.guarded, (main, number))
            while not self.waiting[number]:
                time.sleep(A_MOMENT)

    def guarded(self, main, number):
        try:
            main(number)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def number(self, ident=None):
        ident = threading.get_ident() if ident is None else ident
        return self.idents.index(ident) if ident in self.idents else -1

    def is_asleep(self, number):
        """Or about to wake up, if it has something to run."""
        if self.ended[number] or self.waiting[number]:
            return False
        info = stackless.get_thread_info(self.idents[number])
        return info[1].name == "sleeper"

    def runs_nothing(self, number):
        return stackless.get_thread_info(self.idents[number])[2] == 1

    def on_the_way(self, but=None):
        """Has somebody been woken, and waits neither for the baton nor for
        somebody else yet?"""
        return any(
            number != but
            and not (self.waiting[number] or self.ended[number])
            and not (self.is_asleep(number) and self.runs_nothing(number))
            for number in range(self.count)
        )

    def give(self, number):
        self.baton = number
        if self.bells[number].locked():
            self.bells[number].release()

    def comes_next(self, me):
        """Does the one with the baton sleep, and are we the next?"""
        if not self.is_asleep(self.baton) or self.on_the_way():
            return False
        order = [(self.baton + i) % self.count for i in range(1, self.count)]
        order = [n for n in order if self.waiting[n]]
        return order[0] == me

    def wait(self, me):
        self.waiting[me] = True
        while self.baton != me:
            if self.comes_next(me):
                time.sleep(A_MOMENT)
                if self.comes_next(me):
                    self.baton = me
                    break
            self.bells[me].acquire(timeout=OFTEN)
        self.waiting[me] = False

    def gate(self):
        me = self.number()
        if self.baton != me:
            # Pending calls, which the first thread makes, are not to go on here.
            stackless.switch_trap(1)
            try:
                self.wait(me)
                for _ in range(8):
                    settled()
            finally:
                stackless.switch_trap(-1)
        while self.on_the_way(me):
            time.sleep(A_MOMENT)

    def end(self, me):
        self.ended[me] = True
        self.give(0)


class Real:
    """Interprets the program; `compare` hears each entry of the log."""

    def __init__(self, program, compare, stress=None, between=None):
        self.program = program
        self.compare = compare
        self.stress = stress  # called at every switch
        self.between = between  # called before every operation
        self.left = program["steps"]
        self.channels = []
        for preference, schedule_all in program["channels"]:
            channel = stackless.channel()
            channel.preference = preference
            channel.schedule_all = schedule_all
            self.channels.append(channel)
        self.slots = [None] * len(program["bodies"])
        self.begun = set()
        self.moved = []  # attempts to move a started one: successful?
        self.over = False
        self.threads = None
        self.ident = threading.get_ident()
        self.become_main(0)
        if program["threads"] > 1:
            self.threads = Threads(program["threads"])
        for i in range(program["threads"], len(program["bodies"])):
            t = stackless.tasklet()
            t.name = f"{i}.0"
            self.slots[i] = t
        self.named = [1] * len(self.slots)
        self.generators = {}
        self.contexts = [contextvars.Context() for _ in range(3)]
        self.on_schedule = None
        self.quiet = 0  # inside a callback
        self.collecting = self.in_collector = False
        self.holding_on = collections.Counter()

    def become_main(self, number):
        main = self.slots[number] = stackless.getmain()
        main.name = f"main{number}" if number else "main"
        main.set_atomic(False)
        main.set_ignore_nesting(False)
        main.block_trap = False
        main.set_context(contextvars.Context())
        self.begun.add(main.name)

    # Threads.

    def gate(self):
        """Where another thread may have the baton."""
        if self.threads and not self.quiet:
            self.threads.gate()

    def idents(self):
        return self.threads.idents if self.threads else [self.ident]

    def has_baton(self):
        return not self.threads or self.threads.baton == self.threads.number()

    # The log.

    def note(self, what, outcome):
        if not self.has_baton():
            return  # on the way to the gate
        name = stackless.current.name
        self.compare([name, what, outcome, self.snapshot()])

    def snapshot(self):
        handled = None if self.quiet else sys.exception()
        return [
            self.rings(),
            [[c.balance, c.closing, self.queue(c)] for c in self.channels],
            [t and self.flags(t) for t in self.slots if self.shows(t)],
            stackless.switch_trap(0),
            VARIABLE.get(),
            handled and type(handled).__name__,
        ]

    def shows(self, t):
        """Not what others do who are on the way; a callback, in whose middle they
        may come there, does nothing to them."""
        if t is None or not self.quiet or not self.threads:
            return True
        return t.thread_id == threading.get_ident()

    def rings(self):
        """Ours first; not the others' where somebody may be on the way."""
        rings = [self.ring(*stackless.get_thread_info()[1:])]
        if self.threads and not self.quiet:
            me = self.threads.number()
            for number, ident in enumerate(self.threads.idents):
                if self.threads.ended[number]:
                    rings.append([])
                elif number != me:
                    info = stackless.get_thread_info(ident)
                    rings.append(self.ring(*info[1:]))
        return rings

    @staticmethod
    def ring(first, count):
        t = first
        names = []
        while True:
            names.append(t.name)
            t = t.next
            if t is first:
                break
        if len(names) != count:
            names.append(f"runcount is {count}")
        return names

    @staticmethod
    def queue(channel):
        names = []
        t = channel.queue
        while t is not None:
            names.append(t.name)
            t = t.next
        return names

    def flags(self, t):
        threads = self.threads
        return (
            t.alive
            + 2 * t.paused
            + 4 * t.blocked
            + 8 * t.scheduled
            + 16 * t.atomic
            + 32 * t.ignore_nesting
            + 64 * t.block_trap
            + 128 * (threads.number(t.thread_id) if threads else 0)
        )

    def unraisable(self, error):
        """sys.unraisablehook."""
        self.quiet += 1
        self.note("unraisable", error.exc_type.__name__)
        self.quiet -= 1

    # Interpretation.

    def whole(self):
        """The first main's part."""
        if self.threads:
            self.threads.start(self.other_thread)
        self.hook()
        self.part(0)
        self.finish()

    def part(self, number):
        for op in self.program["bodies"][number]:
            try:
                self.step(op)
            except BaseException as error:
                self.note("main", describe(error))

    def other_thread(self, number):
        """Another main's: its part, then its tasklets' until they have ended."""
        self.threads.idents[number] = threading.get_ident()
        self.become_main(number)
        self.gate()
        self.part(number)
        while not self.over:
            self.last("run", stackless.run)
            if not self.left:
                self.kill_all()
            if self.threads.is_asleep(0):
                self.last("wake", self.slots[0].kill)
            self.last("hand", self.do_hand, ["hand", 0])
        self.threads.end(number)

    def finish(self):
        self.on_schedule = None
        self.hook()
        stackless.set_channel_callback(None)
        stackless.set_error_handler(None)
        for turn in range(1000):
            if turn == 30:
                self.left = 0
            self.last("run", stackless.run)
            if stackless.runcount > 1:
                continue
            self.visit_threads()
            if turn < 20 and self.serve(turn):
                continue
            self.left = 0
            self.kill_all()
            if not self.others():
                break
        self.left = 0
        self.over = True
        self.visit_threads()
        for g in self.generators:
            try:
                self.throwable(g).close()
            except (RuntimeError, ValueError):
                pass

    def visit_threads(self):
        for number in range(1, self.threads.count if self.threads else 1):
            if self.threads.is_asleep(number):
                self.last("wake", self.slots[number].kill)
            self.last("hand", self.do_hand, ["hand", number])

    def serve(self, value):
        """Let one who waits go on; False if there is none."""
        for channel in self.channels:
            if channel.balance > 0:
                return self.last("receive", channel.receive)
            if channel.balance < 0:
                return self.last("send", channel.send, value)
        for i, t in enumerate(self.slots):
            if t and t.alive and i:
                del t
                return self.last("insert", self.do_insert, ["insert", i])
        return False

    def kill_all(self):
        """Those of this thread."""
        ident = threading.get_ident()
        while self.others(ident):
            self.last("kill", lambda: self.others(ident).pop().kill())

    def others(self, ident=None):
        idents = self.idents()
        return [
            t
            for t in stackless.all_tasklets()
            if not t.is_main
            and t.name != HELPER
            and t.thread_id in (idents if ident is None else [ident])
        ]

    def last(self, name, function, *args):
        try:
            result = function(*args)
            self.gate()
            settled()
        except BaseException as error:
            self.gate()
            result = describe(error)
        self.note("last " + name, result)
        return True

    def body(self, i):
        self.begun.add(stackless.current.name)
        self.gate()
        self.block(self.program["bodies"][i])

    def block(self, ops):
        for op in ops:
            self.step(op)

    def step(self, op):
        if not self.left:
            return
        self.left -= 1
        if self.between:
            self.between()
        me = stackless.current.name
        self.holding_on[me] += op[0] in HOLDING
        try:
            result = self.OPERATIONS[op[0]](self, op)
            settled()
            self.gate()
        except SWALLOWED as error:
            settled()
            self.gate()
            self.note(op[0], describe(error))
        except BaseException as error:
            settled()
            self.gate()
            self.note(op[0], describe(error))
            raise
        else:
            self.note(op[0], result)
        finally:
            self.holding_on[me] -= op[0] in HOLDING

    def task(self, i):
        t = self.slots[i]
        if t is None:
            raise ValueError("no tasklet")
        if not self.shows(t):
            raise ValueError("elsewhere")
        return t

    # Tasklets.

    def fresh(self, i):
        if self.slots[i] is not None and self.slots[i].alive:
            raise RuntimeError("alive")
        self.slots[i] = stackless.tasklet(self.body)
        self.slots[i].name = f"{i}.{self.named[i]}"
        self.named[i] += 1
        return self.slots[i]

    def do_make(self, op):
        self.fresh(op[1])

    def do_spawn(self, op):
        self.fresh(op[1])(op[1])

    def do_setup(self, op):
        self.task(op[1]).setup(op[1])

    def do_bind(self, op):
        if self.started_and_paused(self.task(op[1])):
            return "started"
        self.task(op[1]).bind(self.body, (op[1],))
        self.begun.discard(self.task(op[1]).name)

    def started_and_paused(self, t):
        return t.alive and not t.scheduled and t.name in self.begun

    def do_schedule(self, op):
        return stackless.schedule(op[1])

    def do_cframe(self, op):
        return stackless.test_cframe_nr(op[1])

    def do_remove_me(self, op):
        return stackless.schedule_remove(None)

    def do_run_all(self, op):
        if op[1] == "block" and not self.threads:
            return stackless.run(seconds=NEVER, threadblock=True)
        if op[1] is True:
            return stackless.test_outside()
        return stackless.run()

    def do_run(self, op):
        return self.task(op[1]).run()

    def do_switch(self, op):
        return self.task(op[1]).switch()

    def do_insert(self, op):
        self.task(op[1]).insert()

    def do_remove(self, op):
        self.task(op[1]).remove()

    def do_throw(self, op):
        _, i, name, pending, raising = op
        if raising and not pending:
            return self.task(i).raise_exception(ERRORS[name], i)
        return self.task(i).throw(ERRORS[name], i, pending=pending)

    def do_kill(self, op):
        return self.task(op[1]).kill(op[2])

    def do_drop(self, op):
        _, i, cycle = op
        busy = self.collecting or self.in_collector
        t = self.task(i)
        kept = t.is_main or t.scheduled or busy
        del t
        if kept:
            return "kept"
        self.collecting = True
        try:
            if cycle and not self.holding_on[self.slots[i].name]:
                self.drop_cycle(i)
            else:
                self.slots[i] = None
            settled()
        finally:
            self.collecting = False

    def drop_cycle(self, i):
        gone = Gone()
        gone.cycle = [self.slots[i], gone]
        self.slots[i] = None
        holder, reference = [gone], weakref.ref(gone)
        del gone
        drop_and_collect(holder, reference)

    # Threads.

    def do_hand(self, op):
        number = op[1]
        if number == self.threads.number():
            return "ours"
        if self.threads.is_asleep(number):
            return "asleep"
        self.threads.give(number)
        self.gate()
        if self.threads.ended[number]:
            wait_for_end_of(self.slots[number])
        return None

    def do_move(self, op):
        _, i, number = op
        t = self.task(i)
        ident = self.threads.idents[number]
        floats = t.blocked or t.paused
        if t.is_main or not floats or t.name not in self.begun:
            return t.bind_thread(ident)
        hard = t.nesting_level > 0
        try:
            t.bind_thread(ident)
            moved = True
        except RuntimeError as error:
            moved = "C state" not in str(error)
            raise
        finally:
            self.moved.append(moved)
            if moved == hard:
                self.note("move", f"hard: {hard}, moved: {moved}")

    def do_atomic(self, op):
        with stackless.atomic():
            self.block(op[1])

    def do_block_trap(self, op):
        self.task(op[1]).block_trap = op[2]

    def do_flag(self, op):
        _, i, name, on = op
        return getattr(self.task(i), "set_" + name)(on)

    # Channels.

    def do_send(self, op):
        return self.channels[op[1]].send(op[2])

    def do_receive(self, op):
        return self.channels[op[1]].receive()

    def do_send_error(self, op):
        _, c, name, throw = op
        if throw:
            return self.channels[c].send_throw(ERRORS[name], c)
        return self.channels[c].send_exception(ERRORS[name], c)

    def do_next(self, op):
        return next(self.channels[op[1]], "stop")

    def do_sequence(self, op):
        values = self.gated(op[2]) if self.threads else op[2]
        return self.channels[op[1]].send_sequence(values)

    def gated(self, values):
        for value in values:
            yield value
            self.gate()

    def do_close(self, op):
        self.channels[op[1]].close()

    def do_open(self, op):
        self.channels[op[1]].open()

    def do_prefer(self, op):
        self.channels[op[1]].preference = op[2]

    def do_schedule_all(self, op):
        self.channels[op[1]].schedule_all = op[2]

    # Hooks.

    def hook(self):
        """Install what is to be called at every switch."""
        wanted = self.stress or self.on_schedule is not None
        stackless.set_schedule_callback(self.switching if wanted else None)

    def switching(self, previous, following):
        if previous.thread_id not in self.idents():
            return
        if HELPER in (previous.name, following.name):
            return
        if self.stress:
            self.stress()
        if self.on_schedule is not None and self.has_baton():
            self.quiet += 1
            try:
                names = [previous.name, following.name]
                self.note("on_schedule", names)
                self.block(self.on_schedule)
            finally:
                self.quiet -= 1

    def do_on_schedule(self, op):
        self.on_schedule = op[1]
        self.hook()

    def do_on_channel(self, op):
        ops = op[1]

        def callback(channel, t, sending, block):
            if channel not in self.channels:
                return  # a helper's
            self.quiet += 1
            try:
                index = self.channels.index(channel)
                outcome = [index, t.name, bool(sending), bool(block)]
                self.note("on_channel", outcome)
                self.block(ops)
            finally:
                self.quiet -= 1

        stackless.set_channel_callback(None if ops is None else callback)

    def do_on_error(self, op):
        _, name, ops = op

        def handler(kind, error, tb):
            self.gate()
            # Also of one that was killed before its body could say so.
            self.begun.add(stackless.current.name)
            self.note("on_error", describe(error))
            self.block(ops)
            if name is not None:
                raise ERRORS[name]("handler")

        stackless.set_error_handler(None if ops is None else handler)

    # Contexts.

    def do_set_var(self, op):
        VARIABLE.set(op[1])

    def do_set_context(self, op):
        self.task(op[1]).set_context(self.contexts[op[2]])

    def do_context_run(self, op):
        self.task(op[1]).context_run(self.block, op[2])

    def do_enter_context(self, op):
        self.contexts[op[1]].run(self.block, op[2])

    # Blocks.

    def do_nest(self, op):
        SHAPES[op[1]](lambda: self.block(op[2]))

    def do_frame(self, op):
        by_frame(op[1], lambda: self.block(op[2]))

    def do_recurse(self, op):
        recurse(op[1], lambda: self.block(op[2]))

    def do_try(self, op):
        _, body, name, handler, final = op
        try:
            self.block(body)
        except ERRORS[name] as error:
            self.note("caught", describe(error))
            self.block(handler)
        finally:
            self.block(final)

    def do_trapped(self, op):
        stackless.switch_trap(1)
        try:
            self.block(op[1])
        finally:
            stackless.switch_trap(-1)

    def do_destroy(self, op):
        _, cycle, ops = op
        gone = Destroyed()
        gone.call = lambda: self.block(ops)
        if not cycle or self.in_collector:
            return None
        gone.me = gone
        self.in_collector = True
        holder, reference = [gone], weakref.ref(gone)
        del gone
        drop_and_collect(holder, reference)
        self.in_collector = False

    def do_tempval(self, op):
        _, i, value, name = op
        if name is not None:
            value = stackless.bomb(ERRORS[name], value)
        self.task(i).tempval = value

    def do_raise(self, op):
        raise ERRORS[op[1]]("raised")

    def do_collect(self, op):
        gc.collect(op[1])

    # Generators.

    def generate(self, ops, final):
        try:
            for op in ops:
                if op[0] == "yield":
                    try:
                        yield op[1]
                    except GeneratorExit:
                        raise
                    except ERRORS[op[2]] as error:
                        self.note("caught", describe(error))
                else:
                    self.step(op)
        finally:
            self.block(final)

    def generator(self, g):
        found = self.generators.get(g)
        if found is None or (found.gi_frame is None):
            found = self.generate(*self.program["generators"][g])
            self.generators[g] = found
        return found

    def do_advance(self, op):
        _, g, how = op
        if how == "next":
            return next(self.generator(g), "stop")
        if how == "send":
            try:
                return self.generator(g).send(None)
            except StopIteration:
                return "stop"
        for value in self.generator(g):
            return value
        return "stop"

    def throwable(self, g):
        """Up to 3.12 CPython may crash where the generator is running."""
        generator = self.generator(g)
        if sys.version_info < (3, 13) and generator.gi_running:
            raise ValueError("generator already executing")
        return generator

    def do_throw_into(self, op):
        try:
            return self.throwable(op[1]).throw(ERRORS[op[2]](op[1]))
        except StopIteration:
            return "stop"

    def do_close_generator(self, op):
        self.throwable(op[1]).close()

    OPERATIONS = {
        name.removeprefix("do_"): function
        for name, function in list(vars().items())
        if name.startswith("do_")
    }

    def __reduce__(self):
        return Shadow, ()


class Shadow(Real):
    """Stands for it in a copy of one of its tasklets: all operations that are
    left do nothing."""

    def __init__(self):
        self.program = {"bodies": collections.defaultdict(list)}
        self.left = self.quiet = 0
        self.threads = None
        self.channels = []
        self.slots = []
        self.begun = set()
        self.generators = {}
        self.contexts = []
        self.holding_on = collections.Counter()
        self.collecting = self.in_collector = False

    def note(self, what, outcome):
        frozen.HEARD.append((stackless.current, what, outcome))


class Comparison:
    """Compares entry by entry; `report` is told of the first difference."""

    def __init__(self, expected, report):
        self.expected = expected
        self.report = report
        self.at = 0

    def __call__(self, entry):
        at = self.at
        self.at += 1
        wanted = self.expected[at] if at < len(self.expected) else "the end"
        if entry != wanted:
            lines = [f"step {at}:"]
            for earlier in self.expected[max(0, at - 3) : at]:
                lines.append(f"  before   {earlier}")
            lines.append(f"  expected {wanted}")
            lines.append(f"  got      {entry}")
            self.report("\n".join(lines))


class Record(list):
    """A log that is compared when the program has ended."""

    __call__ = list.append


def run(program, expected, report, stress=None, between=None):
    """expected(moved) is the log that the model makes; report(text) is called
    where tasklets do not what is expected, and does not return."""
    together = program["threads"] > 1
    compare = Record() if together else Comparison(expected(()), report)
    real = Real(program, compare, stress, between)
    hooked, sys.unraisablehook = sys.unraisablehook, real.unraisable
    interval = sys.getswitchinterval()
    if together:
        sys.setswitchinterval(NEVER)
    real.whole()
    sys.setswitchinterval(interval)
    sys.unraisablehook = hooked
    stackless.set_schedule_callback(None)
    stackless.set_channel_callback(None)
    stackless.set_error_handler(None)
    if together:
        log, compare = compare, Comparison(expected(real.moved), report)
        for entry in log:
            compare(entry)
    if compare.at != len(compare.expected):
        compare("the end")
    left = [(t.name, repr(t), t.frame) for t in real.others()]
    if left or stackless.runcount != 1:
        report(f"left over: {left}")
    gc.garbage.clear()
