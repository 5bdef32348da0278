"""A model of the specification's scheduler and channels, without tasklets.

A program is a list of bodies; a body is a list of operations. Bodies are
interpreted twice: by real tasklets (test_random_programs.py) and by this
model, which keeps the ring and the channel queues as plain lists and never
switches anything. Both write a log; the logs must be equal.

Limits: no nested run(), no traps, no callbacks, one thread. Main calls run()
until the ring is empty, and serves those who are blocked then.
"""

MAIN = "main"


class Task:
    def __init__(self, name, body):
        self.name = name
        self.body = body
        self.at = 0             # index of the next operation
        self.waiting = None     # the operation it is suspended in
        self.tempval = None
        self.channel = None     # that it is blocked on
        self.direction = 0
        self.alive = False      # bound and scheduled, not ended
        self.begun = False


class Channel:
    def __init__(self, preference, schedule_all):
        self.preference = preference
        self.schedule_all = schedule_all
        self.closing = False
        self.queue = []


class Error(Exception):
    """An operation that fails in the task that tried it."""


class Model:
    """Interprets a program; `log` is what real tasklets must log too."""

    def __init__(self, bodies, channels):
        self.tasks = [Task(i, body) for i, body in enumerate(bodies)]
        self.channels = [Channel(*settings) for settings in channels]
        self.main = Task(MAIN, [])
        self.main.alive = self.main.begun = True
        self.ring = [self.main]         # current first
        self.log = []

    # the ring

    def append(self, task):
        self.ring.append(task)

    def head(self, task):
        at = self.ring.index(task)
        self.ring[:] = self.ring[at:] + self.ring[:at]

    def start(self, task):
        task.alive = True
        self.append(task)

    def run_until_empty(self):
        """main.run(): returns the name of the error that ended it, or None."""
        if self.ring == [self.main]:
            return None
        self.ring.remove(self.main)
        while self.main not in self.ring:
            self.step(self.ring[0])
            if not self.ring:
                self.ring.append(self.main)
        self.head(self.main)
        return self.claim_main()

    def main_does(self, operation):
        """Main's own send or receive, for which a peer must be waiting."""
        self.attempt(self.main, operation)
        while self.ring[0] is not self.main:
            self.step(self.ring[0])
        return self.claim_main()

    def claim_main(self):
        value, self.main.tempval = self.main.tempval, None
        return value.name if isinstance(value, Bomb) else value

    # one task

    def step(self, task):
        """Let the current task do its next operation."""
        value, task.tempval = task.tempval, None
        if task.waiting is not None:
            self.finish(task, value)
            return
        if not task.begun:
            task.begun = True
            if isinstance(value, Bomb):     # thrown at before it began
                self.end(task, value.name)
                return
        if task.at == len(task.body):
            self.end(task, None)
            return
        operation = task.body[task.at]
        task.at += 1
        task.waiting = operation
        try:
            suspended, result = self.attempt(task, operation)
        except Error as error:
            task.tempval = Bomb(error.args[0])
            return
        if not suspended:
            task.tempval = result

    def finish(self, task, value):
        """The operation is over: log its result, or end by its error."""
        operation, task.waiting = task.waiting, None
        if isinstance(value, Bomb):
            self.log.append((task.name, operation, value.name))
            if value.name in ("KeyError", "TaskletExit"):
                self.end(task, value.name)
        else:
            self.log.append((task.name, operation, value))

    def end(self, task, error):
        task.alive = False
        task.waiting = None
        following = self.ring[1:]
        self.ring[:] = following
        if error not in (None, "TaskletExit"):
            self.main.tempval = Bomb(error)
            if self.main not in self.ring:
                self.ring.append(self.main)
            self.head(self.main)

    # operations: (suspended, result)

    def attempt(self, task, operation):
        name, *arguments = operation
        return getattr(self, "do_" + name)(task, *arguments)

    def leave(self, task):
        self.ring.remove(task)

    def do_schedule(self, task, value):
        if len(self.ring) == 1:
            return False, value
        task.tempval = value
        self.head(self.ring[1])
        return True, None

    def do_remove_myself(self, task):
        self.leave(task)
        return True, None

    def do_run(self, task, other):
        other = self.tasks[other]
        self.check_runnable(task, other)
        if other is task:
            return False, None
        if other not in self.ring:
            self.ring.append(other)         # right before the caller
        self.head(other)
        return True, None

    def do_switch(self, task, other):
        target = self.tasks[other]
        self.check_runnable(task, target)
        if target is task:
            return False, None
        suspended = self.do_run(task, other)
        self.leave(task)
        return suspended

    def check_runnable(self, task, other):
        if other.channel is not None or not other.alive:
            raise Error("RuntimeError")

    def do_insert(self, task, other):
        other = self.tasks[other]
        self.check_runnable(task, other)
        if other not in self.ring:
            self.append(other)
        return False, None

    def do_remove(self, task, other):
        other = self.tasks[other]
        if other is task or other.channel is not None:
            raise Error("RuntimeError")
        if other in self.ring:
            self.ring.remove(other)
        return False, None

    def do_throw(self, task, other, error, pending):
        other = self.tasks[other]
        if other is task:
            raise Error(error)
        if not other.alive:
            if error == "TaskletExit":
                return False, None
            raise Error("RuntimeError")
        if other.channel is not None:
            other.channel.queue.remove(other)
            other.channel = None
        if other not in self.ring:
            self.ring.append(other)
        other.tempval = Bomb(error)
        if pending:
            return False, None
        self.head(other)
        return True, None

    def do_spawn(self, task, other):
        other = self.tasks[other]
        if other.alive:
            raise Error("RuntimeError")
        other.at, other.begun = 0, False
        self.start(other)
        return False, None

    def do_send(self, task, channel, value):
        return self.transfer(task, self.channels[channel], 1, value)

    def do_send_error(self, task, channel):
        return self.transfer(task, self.channels[channel], 1,
                             Bomb("LookupError"))

    def do_receive(self, task, channel):
        return self.transfer(task, self.channels[channel], -1, None)

    def transfer(self, task, channel, direction, value):
        if not channel.queue or channel.queue[0].direction == direction:
            if channel.closing:
                raise Error("ValueError")
            task.tempval = value
            self.leave(task)
            channel.queue.append(task)
            task.channel, task.direction = channel, direction
            return True, None
        peer = channel.queue.pop(0)
        peer.channel = None
        task.tempval = value
        task.tempval, peer.tempval = peer.tempval, task.tempval
        if channel.schedule_all:
            self.append(peer)
            self.head(self.ring[1])
        elif channel.preference == -direction:
            self.ring.insert(1, peer)
            self.head(peer)
        else:
            self.append(peer)
        return True, None

    def do_close(self, task, channel):
        self.channels[channel].closing = True
        return False, None

    def do_open(self, task, channel):
        self.channels[channel].closing = False
        return False, None

    def do_look(self, task):
        """What the ring and the channels look like from here."""
        return False, (tuple(t.name for t in self.ring),
                       tuple(self.balance(c) for c in self.channels))

    @staticmethod
    def balance(channel):
        return sum(t.direction for t in channel.queue)


class Bomb:
    """An error on its way, by name."""

    def __init__(self, name):
        self.name = name
