"""Programs interpreted by the model: what real tasklets must log too."""

import collections
import sys

from common import ERRORS, HOLDING, SWALLOWED, describe
from scheduler_model import Bomb, Channel, GivenBomb, Scheduler, Task


# Mistakes that the model can be told to make, one for each kind of operation.
FAULTS = [
    "preference", "atomic", "hand", "move", "run there", "throw there",
    "meet there", "sleep",
]  # fmt: skip


class Context:
    """contextvars.Context, with one variable."""

    def __init__(self):
        self.value = None
        self.entered = False


class Generator:
    """A generator of the program; its code yields (value,) where the program's
    yields, and else what a task does."""

    def __init__(self, code):
        self.code = code
        self.running = self.done = False

    def advance(self, error=None):
        if self.running:
            raise ValueError("generator already executing")
        if self.done:
            if error is not None:
                raise error
            return "stop"
        self.running = True
        try:
            if error is None:
                item = self.code.send(None)
            else:
                item = self.code.throw(error)
            while not isinstance(item, tuple):
                yield item
                item = self.code.send(None)
            return item[0]
        except StopIteration:
            self.done = True
            return "stop"
        except BaseException:
            self.done = True
            raise
        finally:
            self.running = False

    def close(self):
        if self.running:
            raise ValueError("generator already executing")
        try:
            value = yield from self.advance(GeneratorExit())
        except GeneratorExit:
            return None
        if not self.done:
            raise RuntimeError("generator ignored GeneratorExit")
        return value and None


class Model(Scheduler):
    def __init__(self, program, fault=None, moved=()):
        """moved: which attempts to move a started tasklet were successful; where
        there are no answers, all."""
        super().__init__(program["threads"], fault)
        self.program = program
        self.moved = iter(moved)
        self.log = []
        self.quiet = 0  # inside a callback
        self.left = program["steps"]
        self.done = 0
        self.channels = [Channel(*c) for c in program["channels"]]
        self.slots = [thread.main for thread in self.threads]
        made = [
            Task(f"{i}.0", i, self.here)
            for i in range(len(self.slots), self.count)
        ]
        self.slots += made
        self.everyone[1:1] = made  # the other threads begin after that
        self.named = [1] * self.count
        self.generators = {}
        self.contexts = [Context() for _ in range(3)]
        for thread in self.threads:
            thread.main.context = Context()
        self.over = False
        self.handler = None
        self.collecting = self.in_collector = False
        self.holding_on = collections.Counter()

    @property
    def count(self):
        return len(self.program["bodies"])

    # The log.

    def note(self, what, outcome):
        if self.here is not self.baton:
            return  # on the way to the gate
        self.log.append([self.current.name, what, outcome, self.snapshot()])

    def snapshot(self):
        # Between an operation's halves nobody handles anything.
        handled = None if self.quiet else sys.exception()
        return [
            self.rings(),
            [
                [c.balance, c.closing, [t.name for t in c.queue]]
                for c in self.channels
            ],
            [t and self.flags(t) for t in self.slots if self.shows(t)],
            self.switch_trap,
            self.current.context.value,
            handled and type(handled).__name__,
        ]

    def shows(self, t):
        """Not what others do who are on the way."""
        return t is None or not self.quiet or t.thread is self.here

    def rings(self):
        """Ours first; not the others' where somebody may be on the way."""
        threads = self.threads if not self.quiet else []
        others = [t for t in threads if t is not self.here]
        return [
            [task.name for task in thread.ring] if not thread.ended else []
            for thread in [self.here, *others]
        ]

    @staticmethod
    def flags(t):
        return (
            t.alive
            + 2 * (t.alive and t.place is None)
            + 4 * t.blocked
            + 8 * (t.place is not None)
            + 16 * t.atomic
            + 32 * t.ignore_nesting
            + 64 * t.block_trap
            + 128 * (-1 if t.thread.ended else t.thread.number)
        )

    def call_back(self, callback, *args):
        self.quiet += 1
        super().call_back(callback, *args)
        self.quiet -= 1

    def unraisable(self, error):
        self.quiet += 1
        self.note("unraisable", describe(error)[0])
        self.quiet -= 1

    # Interpretation.

    def whole(self):
        """The first main's part."""
        yield from self.part(0)
        yield from self.finish()

    def part(self, number):
        for op in self.program["bodies"][number]:
            try:
                yield from self.step(op)
            except BaseException as error:
                self.note("main", describe(error))

    def other_thread(self, number):
        """Another main's: its part, then its tasklets' until they have ended."""
        yield from self.gate()
        yield from self.part(number)
        while not self.over:
            yield from self.last("run", self.do(self.plan_run_all))
            if not self.left:
                yield from self.kill_all()
            if self.threads[0].asleep:
                kill = self.do(self.plan_throw, self.slots[0], TaskletExit())
                yield from self.last("wake", kill)
            yield from self.last("hand", self.hand_over(0))
        self.here.main.life, self.here.main.place = "unbound", None
        self.baton = self.threads[0]

    def finish(self):
        """All others run; then, without doing anything more, they end."""
        self.schedule_callback = self.channel_callback = self.handler = None
        for turn in range(1000):
            if turn == 30:
                self.left = 0
            yield from self.last("run", self.do(self.plan_run_all))
            if len(self.ring) > 1:
                continue
            yield from self.visit_threads()
            if turn < 20 and (yield from self.serve(turn)):
                continue
            self.left = 0
            yield from self.kill_all()
            if not self.others():
                break
        self.left = 0
        self.over = True
        yield from self.visit_threads()
        for generator in self.generators.values():
            try:
                yield from generator.close()
            except (RuntimeError, ValueError):
                pass

    def visit_threads(self):
        for thread in self.threads[1:]:
            if thread.asleep:
                kill = self.do(self.plan_throw, thread.main, TaskletExit())
                yield from self.last("wake", kill)
            yield from self.last("hand", self.hand_over(thread.number))

    def others(self):
        return [
            t
            for t in self.everyone
            if t is not t.thread.main and t.alive and self.held(t)
        ]

    def serve(self, value):
        for c, channel in enumerate(self.channels):
            if channel.queue:
                verb, sending = "receive", False
                if channel.balance < 0:
                    verb, sending = "send", True
                transfer = self.transfer(c, sending, value if sending else None)
                return (yield from self.last(verb, transfer))
        for i, t in enumerate(self.slots):
            if t and t.alive and i:
                return (yield from self.last("insert", self.do_insert(i)))
        return False

    def kill_all(self):
        """Those of this thread."""
        while True:
            own = [t for t in self.others() if t.thread is self.here]
            if not own:
                return
            kill = self.holding(own[-1], self.plan_throw, TaskletExit())
            yield from self.last("kill", kill)

    def last(self, name, operation):
        try:
            result = yield from operation
            yield from self.pause()
        except BaseException as error:
            yield from self.gate()
            result = describe(error)
        self.note("last " + name, result)
        return True

    def pause(self):
        """Between two operations."""
        yield from self.settle()
        if not self.quiet:
            yield from self.gate()
            yield from self.settle()

    def body(self, task):
        if task.sleeper:
            yield from self.sleep()
            return
        yield from self.gate()
        yield from self.block(self.program["bodies"][task.slot])

    def block(self, ops):
        for op in ops:
            yield from self.step(op)

    def step(self, op):
        if not self.left:
            return
        self.left -= 1
        self.done += 1
        me = self.current.name
        self.holding_on[me] += op[0] in HOLDING
        try:
            result = yield from getattr(self, "do_" + op[0])(*op[1:])
            yield from self.pause()
        except SWALLOWED as error:
            yield from self.pause()
            self.note(op[0], describe(error))
        except BaseException as error:
            yield from self.pause()
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
        if self.quiet and t.thread is not self.here:
            raise ValueError("elsewhere")
        return t

    def holding(self, t, plan, *args):
        """An operation on a task, which keeps it while it lasts."""
        t.holders += 1
        try:
            return (yield from self.do(plan, t, *args))
        finally:
            t.holders -= 1
            yield from self.unreference(t)

    def referenced(self, task):
        return task in self.slots

    # Tasks.

    def fresh(self, i):
        if self.slots[i] is not None and self.slots[i].alive:
            raise RuntimeError("alive")
        t = self.slots[i] = Task(f"{i}.{self.named[i]}", i, self.here)
        self.named[i] += 1
        self.everyone.append(t)
        t.life = "bound"
        t.context = self.current.context
        return t

    def do_make(self, i):
        self.fresh(i)
        return None
        yield

    def do_spawn(self, i):
        self.setup(self.fresh(i))
        return None
        yield

    def setup(self, t):
        self.start(t)
        t.context = t.context or self.current.context
        self.append(t)

    def do_setup(self, i):
        t = self.task(i)
        if t.alive:
            raise RuntimeError("tasklet is alive")
        if t.life != "bound":
            raise RuntimeError(
                "cframe function must be a callable: the tasklet was not "
                "bound to a function"
            )
        self.setup(t)
        return None
        yield

    def do_bind(self, i):
        t = self.task(i)
        if t is t.thread.current:
            raise RuntimeError("can't (re)bind the current tasklet")
        elsewhere = t.thread is not self.here
        if t is t.thread.main and t.place is not None and elsewhere:
            raise RuntimeError("can't bind the main tasklet of another thread")
        if t.place is not None:
            raise RuntimeError("tasklet is scheduled")
        if t.life == "started":
            return "started"
        self.start(t)
        t.thread = self.here
        t.context = self.current.context
        return None
        yield

    def do_schedule(self, value):
        return (yield from self.do(self.plan_schedule, value))

    def do_cframe(self, times):
        for _ in range(times):
            yield from self.do(self.plan_schedule, None)

    def do_remove_me(self):
        return (yield from self.do(self.plan_schedule, None, True))

    def do_run_all(self, how):
        return (yield from self.do(self.plan_run_all))

    def do_run(self, i):
        return (yield from self.holding(self.task(i), self.plan_run))

    def do_switch(self, i):
        return (yield from self.holding(self.task(i), self.plan_run, True))

    def do_insert(self, i):
        self.plan_insert(self.current, self.task(i))
        return None
        yield

    def do_remove(self, i):
        self.plan_remove(self.current, self.task(i))
        return None
        yield

    def do_throw(self, i, name, pending, raising):
        error = ERRORS[name](i)
        return (yield from self.holding(self.task(i), self.plan_throw, error, pending))

    def do_kill(self, i, pending):
        error = TaskletExit()
        return (yield from self.holding(self.task(i), self.plan_throw, error, pending))

    def do_drop(self, i, cycle):
        t = self.task(i)
        busy = self.collecting or self.in_collector
        if i < len(self.threads) or t.place is not None or busy:
            return "kept"
        # With its arguments it would be found in one collection.
        cycle = cycle and not self.holding_on[t.name]
        self.slots[i] = None
        self.collecting = True
        try:
            if t.life == "started" and not self.held(t):
                yield from self.finalize(t, collecting=cycle)
            del t
            yield from self.settle()
        finally:
            self.collecting = False
        return None

    # Threads.

    def do_hand(self, number):
        if self.fault == "hand":
            return None
        return (yield from self.hand_over(number))

    def hand_over(self, number):
        """Another thread goes on instead of this one."""
        thread = self.threads[number]
        if thread is self.here:
            return "ours"
        if thread.asleep:
            return "asleep"
        self.baton = thread
        yield from self.gate()
        return None

    def do_move(self, i, number):
        t = self.task(i)
        if t.place == "ring":
            raise RuntimeError("can't (re)bind a runnable tasklet")
        refused = t is t.thread.main
        if t.life == "started" and not refused:
            refused = not next(self.moved, True)
        if refused:
            raise RuntimeError("tasklet has C state on its stack")
        if t.watchdog:
            raise RuntimeError("can't (re)bind a tasklet inside run()")
        if t.doomed:
            t.thread.doomed -= 1
            self.threads[number].doomed += 1
        if self.fault != "move":
            t.thread = self.threads[number]
        return None
        yield

    def do_atomic(self, ops):
        t = self.current
        before, t.atomic = t.atomic, True
        try:
            yield from self.block(ops)
        finally:
            t.atomic = before if self.fault != "atomic" else False

    def do_block_trap(self, i, on):
        self.task(i).block_trap = on
        return None
        yield

    def do_flag(self, i, name, on):
        t = self.task(i)
        old = getattr(t, name)
        setattr(t, name, on)
        return old
        yield

    # Channels.

    def transfer(self, c, sending, value):
        channel = self.channels[c]
        return self.do(self.plan_transfer, channel, sending, value)

    def do_send(self, c, value):
        return (yield from self.transfer(c, True, value))

    def do_receive(self, c):
        return (yield from self.transfer(c, False, None))

    def do_send_error(self, c, name, throw):
        bomb = Bomb(ERRORS[name](c))
        return (yield from self.transfer(c, True, bomb))

    def do_next(self, c):
        if self.channels[c].closing and self.channels[c].balance <= 0:
            return "stop"
        return (yield from self.transfer(c, False, None))

    def do_sequence(self, c, values):
        for value in values:
            yield from self.transfer(c, True, value)
            yield from self.gate()
        return len(values)

    def do_close(self, c):
        self.channels[c].closing = True
        return None
        yield

    def do_open(self, c):
        self.channels[c].closing = False
        return None
        yield

    def do_prefer(self, c, preference):
        if self.fault != "preference":
            self.channels[c].preference = preference
        return None
        yield

    def do_schedule_all(self, c, on):
        self.channels[c].schedule_all = on
        return None
        yield

    # Hooks.

    def plain_block(self, ops):
        """Operations none of which can switch."""
        for _ in self.block(ops):
            raise AssertionError("a switch in a callback")

    def do_on_schedule(self, ops):
        self.schedule_callback = None if ops is None else self.on_schedule
        self.schedule_ops = ops
        return None
        yield

    def on_schedule(self, prev, following):
        if self.here is not self.baton:
            return
        self.note("on_schedule", [prev.name, following.name])
        self.plain_block(self.schedule_ops)

    def do_on_channel(self, ops):
        self.channel_callback = None if ops is None else self.on_channel
        self.channel_ops = ops
        return None
        yield

    def on_channel(self, channel, task, sending, block):
        index = self.channels.index(channel)
        self.note("on_channel", [index, task.name, sending, block])
        self.plain_block(self.channel_ops)

    def do_on_error(self, name, ops):
        self.handler = None if ops is None else (name, ops)
        return None
        yield

    def handle_error(self, error):
        if self.handler is None:
            return error
        name, ops = self.handler
        yield from self.gate()
        self.note("on_error", describe(error))
        try:
            yield from self.block(ops)
            if name is not None:
                raise ERRORS[name]("handler")
        except BaseException as other:
            return other
        return None

    # Contexts.

    def do_set_var(self, value):
        self.current.context.value = value
        return None
        yield

    def do_set_context(self, i, k):
        t = self.task(i)
        elsewhere = t.thread is not self.here
        if elsewhere and t.place == "ring":
            raise RuntimeError("tasklet is runnable in a different thread")
        if t.context is not None and t.context.entered:
            raise RuntimeError(
                "the current context of the tasklet has been entered"
            )
        t.context = self.contexts[k]
        return None
        yield

    def do_context_run(self, i, ops):
        t = self.task(i)
        me = self.current
        if t is not me and t is t.thread.current:
            self.check_own(t, "use the context of")
        if t.context is None:
            t.context = Context()
        t.holders += 1
        old, me.context = me.context, t.context
        try:
            yield from self.block(ops)
        finally:
            me.context = old
            t.holders -= 1
            yield from self.unreference(t)

    def do_enter_context(self, k, ops):
        context, me = self.contexts[k], self.current
        if context.entered:
            raise RuntimeError("cannot enter context: <> is already entered")
        old, me.context = me.context, context
        context.entered = True
        try:
            yield from self.block(ops)
        finally:
            me.context = old
            context.entered = False

    # Blocks.

    def do_nest(self, shape, ops):
        yield from self.block(ops)

    def do_frame(self, size, ops):
        yield from self.block(ops)

    def do_recurse(self, depth, ops):
        yield from self.block(ops)

    def do_try(self, body, name, handler, final):
        try:
            yield from self.block(body)
        except ERRORS[name] as error:
            self.note("caught", describe(error))
            yield from self.block(handler)
        finally:
            yield from self.block(final)

    def do_trapped(self, ops):
        self.switch_trap += 1
        try:
            yield from self.block(ops)
        finally:
            self.switch_trap -= 1

    def do_destroy(self, cycle, ops):
        """Operations in a destructor, which the collector runs or not."""
        collector = cycle and not self.in_collector
        here = self.here
        if collector:
            self.in_collector = here.in_collector = True
        try:
            yield from self.block(ops)
        except BaseException as error:
            self.unraisable(error)
        if collector:
            self.in_collector = here.in_collector = False

    def do_tempval(self, i, value, name):
        if name is not None:
            value = GivenBomb(ERRORS[name](value))
        self.task(i).tempval = value
        return None
        yield

    def do_raise(self, name):
        raise ERRORS[name]("raised")
        yield

    def do_collect(self, generation):
        return None
        yield

    # Generators.

    def generate(self, ops, final):
        try:
            for op in ops:
                if op[0] == "yield":
                    try:
                        yield (op[1],)
                    except GeneratorExit:
                        raise
                    except ERRORS[op[2]] as error:
                        self.note("caught", describe(error))
                else:
                    yield from self.step(op)
        finally:
            yield from self.block(final)

    def generator(self, g):
        found = self.generators.get(g)
        if found is None or found.done:
            ops, final = self.program["generators"][g]
            found = Generator(self.generate(ops, final))
            self.generators[g] = found
        return found

    def do_advance(self, g, how):
        return (yield from self.generator(g).advance())

    def do_throw_into(self, g, name):
        return (yield from self.generator(g).advance(ERRORS[name](g)))

    def do_close_generator(self, g):
        return (yield from self.generator(g).close())


def expected(program, fault=None, moved=()):
    """The log of the program, and how many operations it took."""
    model = Model(program, fault, moved)
    others = [model.other_thread(t.number) for t in model.threads[1:]]
    model.run([model.whole(), *others])
    assert not model.others()
    return model.log, model.done
