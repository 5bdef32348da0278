"""A model of the specification's scheduler and channels, without tasklets.

The rings, the queues and the stacks of run() are plain lists.  What a task does
is a Python generator; it yields None when the head of the ring is another one,
and is resumed when it is the head again.  Functions called plan_...() do what an
operation does to the lists, and return whether it switches; then do() waits
for the outcome.

Of several threads one has the baton and goes on; the others wait for it at a
gate (their task yields GATE), or sleep (ASLEEP).  A thread that is woken goes on
to the next gate while the one that woke it waits at its own.

Limits: a callback's exceptions and operations that would switch in one are
refused, as in the engine.
"""

MAX_KILLS = 10
MAX_CALLBACKS = 4
GATE, ASLEEP, ENDED = "at the gate", "asleep", "ended"


class Bomb:
    """An exception on its way."""

    def __init__(self, error):
        self.error = error


class GivenBomb(Bomb):
    """One that the program has put there: nothing to who has not started."""


class Task:
    def __init__(self, name, slot, thread):
        self.name = name
        self.slot = slot
        self.thread = thread
        self.life = "unbound"  # unbound, bound, ready, started
        self.place = None  # None (floating), "ring" or a Channel
        self.sending = False
        self.tempval = None
        self.code = None  # the generator
        self.context = None
        self.watchdog = self.doomed = self.finalizing = False
        self.sleeper = False
        self.block_trap = self.atomic = self.ignore_nesting = False
        self.kills = 0
        self.holders = 0  # operations that have it as an argument

    @property
    def alive(self):
        return self.life in ("ready", "started")

    @property
    def blocked(self):
        return isinstance(self.place, Channel)


class Channel:
    def __init__(self, preference, schedule_all):
        self.preference = preference
        self.schedule_all = schedule_all
        self.closing = False
        self.queue = []

    @property
    def balance(self):
        return sum(1 if t.sending else -1 for t in self.queue)


class Entry:
    """One operation: what its schedule callback has heard of."""

    def __init__(self):
        self.announced = None
        self.callbacks = 0


class Thread:
    """The scheduler of one thread."""

    def __init__(self, number):
        self.number = number
        name = f"main{number}" if number else "main"
        self.main = Task(name, number, self)
        self.main.life, self.main.place = "started", "ring"
        self.ring = [self.main]  # the running one first
        self.watchdogs = []
        self.dropped = []
        self.switch_trap = self.in_callback = self.doomed = 0
        self.in_collector = False  # inside a destructor that it runs
        self.asleep = self.woken = self.ended = False
        self.sleeper = None  # the next one, if it is made already

    @property
    def current(self):
        return self.ring[0]


def of_thread(name):
    """What the thread that goes on has of that name."""

    def get(self):
        return getattr(self.here, name)

    def put(self, value):
        setattr(self.here, name, value)

    return property(get, put)


class Scheduler:
    """Lists, and the operations on them; bodies come from a subclass."""

    def __init__(self, threads=1, fault=None):
        self.fault = fault  # a deliberate mistake, to test the attack with
        self.threads = [Thread(number) for number in range(threads)]
        self.here = self.baton = self.threads[0]
        self.everyone = [thread.main for thread in self.threads]
        self.garbage = []
        self.pending_calls = 0  # the first thread makes them
        self.in_pending_call = False
        self.schedule_callback = self.channel_callback = None

    main = of_thread("main")
    ring = of_thread("ring")
    current = of_thread("current")
    watchdogs = of_thread("watchdogs")
    dropped = of_thread("dropped")
    switch_trap = of_thread("switch_trap")
    in_callback = of_thread("in_callback")

    # What a subclass adds.

    def referenced(self, task):
        """Whether the program itself holds a reference."""
        raise NotImplementedError

    def body(self, task):
        raise NotImplementedError

    def handle_error(self, error):
        """Error handler: the exception that goes on, or None."""
        raise NotImplementedError

    def unraisable(self, error):
        raise NotImplementedError

    # Lists.

    def append(self, task):
        """To the ring of its thread, which wakes up if it slept."""
        self.put(task, len(task.thread.ring))

    def put(self, task, at):
        task.thread.ring.insert(at, task)
        task.place = "ring"
        task.thread.woken = task.thread.asleep

    def put_there(self, task, at_end):
        self.put(task, len(task.thread.ring) if at_end else 1)

    def unlink(self, task):
        task.thread.ring.remove(task)
        task.place = None

    def head(self, task):
        at = self.ring.index(task)
        self.ring[:] = self.ring[at:] + self.ring[:at]

    def cancel(self, task):
        task.place.queue.remove(task)
        task.place = None

    def watching(self):
        """Innermost task inside run(), or main."""
        return self.watchdogs[-1] if self.watchdogs else self.main

    def successor(self, me):
        if len(self.ring) > 1:
            return self.ring[1]
        w = self.watching()
        return w if w is not me and w.place is None else None

    def leave(self, me, following):
        if following.place is None:
            self.append(following)
        if following is self.here.sleeper:
            self.here.sleeper = None
        self.unlink(me)
        self.head(following)

    # The two halves of an operation.

    def do(self, plan, *args):
        """An operation as its caller sees it."""
        me = self.current
        try:
            switches = plan(me, *args)
        except BaseException:
            yield from self.release()
            raise
        if switches:
            yield
        return (yield from self.arrive(me))

    def arrive(self, me):
        value, me.tempval = me.tempval, None
        if me.doomed:
            me.doomed = False
            self.here.doomed -= 1
        if me.watchdog:
            self.watchdog_leave(me)
            if not isinstance(value, Bomb):
                value = None
        yield from self.release()
        if isinstance(value, Bomb):
            raise value.error
        return value

    def watchdog_leave(self, me):
        while True:
            w = self.watchdogs.pop()
            w.watchdog = False
            if w.place is None:
                self.append(w)
            if w is me:
                return

    def check_switch(self):
        if self.in_callback:
            raise RuntimeError(
                "cannot switch tasklets inside a schedule or channel callback"
            )
        if self.switch_trap:
            raise RuntimeError(
                "Cannot schedule when switch_trap level is non-zero"
            )
        if self.here.in_collector:
            raise RuntimeError(
                "cannot switch tasklets in a destructor that the garbage "
                "collector runs"
            )

    def prepare(self, entry, following):
        """True: a callback ran, plan again."""
        self.check_switch()
        if (
            self.schedule_callback is None
            or entry.announced is following
            or entry.callbacks >= MAX_CALLBACKS
        ):
            return False
        entry.announced = following
        entry.callbacks += 1
        self.call_back(self.schedule_callback, self.current, following)
        return True

    def call_back(self, callback, *args):
        me = self.current
        tempval = me.tempval
        self.in_callback += 1
        try:
            callback(*args)
        except BaseException as error:
            self.in_callback -= 1
            self.unraisable(error)
        else:
            self.in_callback -= 1
        if me.tempval is None:
            me.tempval = tempval

    # Operations.

    def plan_schedule(self, me, value, remove=False):
        me.tempval = value
        entry = Entry()
        while True:
            if remove:
                following = self.successor(me)
            else:
                following = self.ring[1] if len(self.ring) > 1 else me
            if following is me or (following is None and me is self.main):
                return False
            try:
                if following is None:
                    following = self.sleeper(
                        "the last runnable tasklet cannot be removed."
                    )
                if self.prepare(entry, following):
                    continue
            except RuntimeError:
                me.tempval = None
                raise
            if remove:
                self.leave(me, following)
                self.dropped.append(me)
            else:
                self.head(following)
            return True

    def check_runnable(self, task, what):
        if task.blocked:
            raise RuntimeError(f"You cannot {what} a blocked tasklet")
        if not task.alive:
            raise RuntimeError(f"You cannot {what} an unbound(dead) tasklet")

    def plan_run(self, me, task, leave=False):
        me.tempval = None
        if task.thread is not self.here and not leave:
            return self.run_there(task)
        entry = Entry()
        while True:
            self.check_runnable(task, "switch to" if leave else "run")
            self.check_own(task, "switch to")
            if task is me:
                return False
            if self.prepare(entry, task):
                continue
            if task.place is None:
                self.append(task)
            if leave:
                self.unlink(me)
                self.dropped.append(me)
            self.head(task)
            return True

    def check_own(self, task, what):
        if task.thread is not self.here:
            raise RuntimeError(
                f"cannot {what} this tasklet: it belongs to a different "
                "thread ()"
            )

    def run_there(self, task):
        """It is the next one that runs in its thread."""
        self.check_runnable(task, "run")
        if task is not task.thread.current:
            if task.place is not None:
                self.unlink(task)
            self.put_there(task, at_end=self.fault == "run there")
        return False

    def plan_insert(self, me, task):
        self.check_runnable(task, "run")
        if task.place is None:
            self.append(task)
        return False

    def plan_remove(self, me, task):
        if task.blocked:
            raise RuntimeError("You cannot remove a blocked tasklet.")
        if task.place is None:
            return False
        if task is task.thread.current:
            raise RuntimeError("You cannot remove the current tasklet.")
        self.unlink(task)
        return False

    def bomb(self, task, error):
        if task.blocked:
            self.cancel(task)
        if task.place is None:
            self.append(task)
        task.tempval = Bomb(error)

    def plan_throw(self, me, task, error, pending=False):
        if task is me:
            raise error
        me.tempval = None
        entry = Entry()
        while True:
            if not task.alive:
                if isinstance(error, TaskletExit):
                    return False
                raise RuntimeError("You cannot throw to a dead tasklet")
            if task.thread is not self.here:
                return self.throw_there(task, error, pending)
            if not pending and self.prepare(entry, task):
                continue
            self.bomb(task, error)
            if not pending:
                self.head(task)
            return not pending

    def throw_there(self, task, error, pending):
        if task is task.thread.current:
            raise RuntimeError(
                "cannot throw to this tasklet: it is running in a different "
                "thread"
            )
        if not pending and task.place == "ring":
            self.unlink(task)
        if task.blocked:
            self.cancel(task)
        if task.place is None:
            self.put_there(task, pending or self.fault == "throw there")
        task.tempval = Bomb(error)
        return False

    def plan_run_all(self, me):
        me.tempval = None
        entry = Entry()
        while True:
            if len(self.ring) == 1:
                return False
            if self.prepare(entry, self.ring[1]):
                continue
            self.unlink(me)
            self.watchdogs.append(me)
            me.watchdog = True
            return True

    # Channels.

    def plan_transfer(self, me, channel, sending, value):
        me.tempval = value
        entry = Entry()
        try:
            if self.in_callback:
                raise RuntimeError(
                    "channel operation inside a schedule or channel callback"
                )
            if self.channel_callback is not None:
                queue = channel.queue
                block = not queue or queue[0].sending == sending
                self.call_back(
                    self.channel_callback, channel, me, sending, block
                )
            while True:
                if not channel.queue or channel.queue[0].sending == sending:
                    switches = self.wait_for_peer(entry, me, channel, sending)
                else:
                    switches = self.meet(entry, me, channel, sending)
                if switches is not None:
                    return switches
        except BaseException:
            me.tempval = None
            raise

    def wait_for_peer(self, entry, me, channel, sending):
        if channel.closing and not me.block_trap:
            raise ValueError("Send/receive operation on a closed channel")
        if me.block_trap:
            raise RuntimeError("this tasklet does not like to be blocked.")
        following = self.successor(me)
        if following is None:
            following = self.sleeper(
                "the last runnable tasklet cannot be blocked."
            )
        if self.prepare(entry, following):
            return None
        self.leave(me, following)
        me.sending, me.place = sending, channel
        channel.queue.append(me)
        return True

    def meet(self, entry, me, channel, sending):
        peer = channel.queue[0]
        following = me
        elsewhere = peer.thread is not self.here
        if elsewhere:
            pass  # that comes to it
        elif channel.schedule_all:
            following = self.ring[1] if len(self.ring) > 1 else peer
        elif channel.preference == (-1 if sending else 1):
            following = peer
        if following is not me and self.prepare(entry, following):
            return None
        channel.queue.pop(0)
        peer.tempval, me.tempval = me.tempval, peer.tempval
        if elsewhere:
            self.put_there(peer, at_end=self.fault != "meet there")
        elif following is peer and not channel.schedule_all:
            self.put(peer, 1)
        else:
            self.append(peer)
        if following is not me:
            self.head(following)
        return following is not me

    def deadlock(self, what):
        lines = [
            f"\n  {t.name} waits to {'send' if t.sending else 'receive'}"
            for t in self.everyone
            if t.blocked and t.thread is self.here
        ]
        return RuntimeError(f"Deadlock: {what}" + "".join(lines))

    # Begin and end of a task.

    def start(self, task):
        """What makes a task ready; it is in no list yet."""
        task.life = "ready"
        task.tempval = None
        task.kills = 0
        task.code = self.life_of(task)

    def life_of(self, task):
        task.life = "started"
        value, task.tempval = task.tempval, None
        error = None
        try:
            yield from self.release()
            if type(value) is Bomb:
                raise value.error
            yield from self.body(task)
        except BaseException as e:
            error = e
        yield from self.end(task, error)

    def judge(self, error):
        """The error that goes on to another task, or None."""
        if error is None or isinstance(error, TaskletExit):
            return None
        if isinstance(error, SystemExit):
            return error if self.here is self.threads[0] else None
        if not self.current.sleeper:
            error = yield from self.handle_error(error)
            if isinstance(error, TaskletExit):
                return None
        return error

    def for_ever(self, w):
        verb = (
            "sending without a receiver"
            if w.sending
            else "receiving without a sender"
        )
        return f"the main tasklet is {verb} available."

    def blocked_for_ever(self, w):
        """The error for w, whom nobody but the ending task could wake."""
        if len(self.ring) > 1 or not w.blocked:
            return None
        try:
            self.sleeper(self.for_ever(w))
        except RuntimeError as error:
            return error
        return None

    def end(self, me, raised):
        error = yield from self.judge(raised)
        to_main = isinstance(raised, SystemExit) and error is not None
        w = self.main if to_main else self.watching()
        if error is None:
            error = self.blocked_for_ever(w)
        if self.schedule_callback is not None:
            alone = error is not None or len(self.ring) == 1
            self.call_back(
                self.schedule_callback, me, w if alone else self.ring[1]
            )
        if w is not self.main:
            w = self.watching()
        if error is None:  # the callback may have emptied the ring
            error = self.blocked_for_ever(w)
        following = self.ring[1] if len(self.ring) > 1 else me
        if error is None and following is me and w.blocked:
            following, self.here.sleeper = self.here.sleeper, None
            self.append(following)
        elif error is not None or following is me:
            if w.blocked:
                self.cancel(w)
            if w.place is None:
                self.append(w)
            following = w
        if error is not None:
            w.tempval = Bomb(error)
        self.unlink(me)
        self.head(following)
        me.life = "unbound"
        me.context = None
        self.dropped.append(me)

    # References and what becomes of the unreachable.

    def held(self, task):
        return (
            task.place is not None
            or task.holders > 0
            or task.watchdog
            or task in self.garbage
            or self.referenced(task)
        )

    def release(self):
        """What lists gave up is released once the switch is complete."""
        while self.dropped:
            yield from self.unreference(self.dropped.pop())

    def unreference(self, task):
        """A reference has gone; kill the task if it was the last one."""
        dying = task.finalizing or task.life != "started"
        if not dying and not self.held(task):
            yield from self.finalize(task)

    def may_switch(self):
        """Somebody may be killed at once."""
        in_collector = any(thread.in_collector for thread in self.threads)
        return not (self.in_callback or self.switch_trap or in_collector)

    def finalize(self, task, collecting=False):
        task.finalizing = True
        try:
            yield from self.kill_unreachable(task, collecting)
        finally:
            task.finalizing = False

    def kill_unreachable(self, task, collecting):
        while True:
            if task.kills >= MAX_KILLS:
                self.garbage.append(task)
                return
            task.kills += 1
            there = task.thread is not self.here
            if there or collecting or not self.may_switch():
                self.kill_later(task)
                return
            done = yield from self.kill_now(task)
            if not done:
                self.kill_later(task)
                return
            if task.life != "started" or self.held(task):
                return

    def kill_now(self, task):
        return (
            yield from self.interrupt(self.plan_throw, task, TaskletExit())
        )

    def interrupt(self, plan, *args):
        """An operation in the middle of another one; False: it failed."""
        me = self.current
        aside, me.tempval = me.tempval, None
        try:
            switches = plan(me, *args)
        except RuntimeError:
            me.tempval = aside
            return False
        if switches:
            yield
        try:
            yield from self.arrive(me)
        except BaseException as error:
            self.unraisable(error)
        me.tempval = aside
        return True

    def kill_later(self, task):
        self.bomb(task, TaskletExit())
        if not task.doomed:
            task.doomed = True
            task.thread.doomed += 1
        self.pending_calls += 1

    def settle(self):
        """Pending calls run, as after each operation of the real one."""
        while (
            self.pending_calls
            and not self.in_pending_call
            and self.here is self.threads[0]
        ):
            self.pending_calls -= 1
            if self.here.doomed and self.may_switch():
                self.in_pending_call = True
                try:
                    yield from self.reap()
                finally:
                    self.in_pending_call = False

    def reap(self):
        me = self.current
        at = len(self.ring) - 1
        while self.here.doomed and at > 0:
            task = self.ring[at]
            if not task.doomed:
                at -= 1
                continue
            task.doomed = False
            self.here.doomed -= 1
            self.ring.append(self.ring.pop(at))
            aside, me.tempval = me.tempval, None
            try:
                if self.plan_run(me, task):
                    yield
            except RuntimeError:
                me.tempval = aside
                return
            try:
                yield from self.arrive(me)
            finally:
                me.tempval = aside
            at = len(self.ring) - 1

    # Threads.

    def may_be_woken(self):
        return any(
            not thread.ended and (thread.woken or not thread.asleep)
            for thread in self.threads
            if thread is not self.here
        )

    def sleeper(self, what):
        """The task that runs while the thread sleeps."""
        if not self.may_be_woken() or self.fault == "sleep":
            raise self.deadlock(what)
        if self.here.sleeper is None:
            task = self.here.sleeper = Task("sleeper", None, self.here)
            self.start(task)
            task.context, task.sleeper = self.current.context, True
        return self.here.sleeper

    def sleep(self):
        """What a sleeper does."""
        here = self.here
        while True:
            yield from self.settle()
            if len(here.ring) > 1:
                return
            w = self.watching()
            if w.place is None:
                return
            if not self.may_be_woken():
                raise self.deadlock(self.for_ever(w))
            here.asleep, here.woken = True, False
            yield ASLEEP

    def gate(self):
        """Other threads may go on here, and one with the baton does."""
        if len(self.threads) == 1:
            return
        if self.here is self.baton:
            self.let_wake()
        while self.here is not self.baton:
            yield GATE
            if self.here is self.threads[0] and not self.in_pending_call:
                self.pending_calls = 0  # made under a trap, in vain

    def let_wake(self):
        """Who was woken goes on to its gate, or sleeps again."""
        for thread in self.threads:
            while thread.woken:
                thread.asleep = thread.woken = False
                self.go_on(thread)

    # All of it.

    def go_on(self, thread):
        """The thread goes on until it waits for something or has ended."""
        before, self.here = self.here, thread
        while True:
            me = thread.current
            try:
                waits = me.code.send(None)
            except StopIteration:
                if me is not thread.main:
                    continue
                waits, thread.ended = ENDED, True
            if waits:
                self.here = before
                return waits

    def run(self, codes):
        """Run the mains, and with them all others, until the first one has
        ended."""
        for thread, code in zip(self.threads, codes, strict=True):
            thread.main.code = code
        while not self.threads[0].ended:
            thread = self.baton
            waits = self.go_on(thread)
            if waits is ASLEEP:
                self.let_wake()
                order = self.threads[thread.number:] + self.threads
                self.baton = next(
                    t for t in order if not (t.asleep or t.ended)
                )
