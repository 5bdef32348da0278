"""Random programs, run by tasklets and by a model of the specification.

The failing seed is in the test's name. STACKLESS_TEST_SEEDS sets how many
programs each test runs.
"""

import os
import random

import pytest
import stackless

from scheduler_model import MAIN, Model
from semantics_support import through_c

PROGRAMS = int(os.environ.get("STACKLESS_TEST_SEEDS", "40"))
ERRORS = {"KeyError": KeyError, "TaskletExit": TaskletExit}


def random_operation(r, tasks, channels):
    other = r.randrange(tasks)
    channel = r.randrange(channels)
    value = r.randrange(1000)
    return r.choices([
        ("schedule", value), ("remove_myself",), ("run", other),
        ("switch", other), ("insert", other), ("remove", other),
        ("throw", other, r.choice(sorted(ERRORS)), r.random() < 0.5),
        ("spawn", other), ("send", channel, value), ("receive", channel),
        ("send_error", channel), ("close", channel), ("open", channel),
        ("look",)],
        weights=[20, 2, 8, 2, 10, 3, 1.5, 6, 25, 25, 2, 0.1, 2, 6])[0]


def random_program(seed):
    r = random.Random(seed)
    tasks, channels = r.randrange(2, 12), r.randrange(1, 4)
    bodies = [[random_operation(r, tasks, channels)
               for _ in range(r.randrange(1, 60))] for _ in range(tasks)]
    settings = [(r.choice([-1, 0, 1]), r.random() < 0.25)
                for _ in range(channels)]
    return bodies, settings


class Real:
    """The same program, by tasklets."""

    def __init__(self, bodies, channels, call):
        self.bodies = bodies
        self.call = call
        self.log = []
        self.channels = []
        for preference, schedule_all in channels:
            channel = stackless.channel()
            channel.preference = preference
            channel.schedule_all = schedule_all
            self.channels.append(channel)
        self.tasks = [stackless.tasklet() for _ in bodies]
        self.names = {t: i for i, t in enumerate(self.tasks)}
        self.names[stackless.main] = MAIN

    def body(self, me):
        for operation in self.bodies[me]:
            try:
                result = self.call(self.attempt, operation)
            except (KeyError, TaskletExit) as error:
                self.log.append((me, operation, type(error).__name__))
                raise
            except (RuntimeError, ValueError, LookupError) as error:
                self.log.append((me, operation, type(error).__name__))
            else:
                self.log.append((me, operation, result))

    def attempt(self, operation):
        name, *arguments = operation
        return getattr(self, "do_" + name)(*arguments)

    def start(self, index):
        self.tasks[index].bind(self.body, (index,)).insert()

    def do_schedule(self, value):
        return stackless.schedule(value)

    def do_remove_myself(self):
        return stackless.schedule_remove(None)

    def do_run(self, other):
        return self.tasks[other].run()

    def do_switch(self, other):
        return self.tasks[other].switch()

    def do_insert(self, other):
        self.tasks[other].insert()

    def do_remove(self, other):
        self.tasks[other].remove()

    def do_throw(self, other, error, pending):
        self.tasks[other].throw(ERRORS[error], pending=pending)

    def do_spawn(self, other):
        t = self.tasks[other]
        if t.alive:
            raise RuntimeError("alive")
        self.start(other)

    def do_send(self, channel, value):
        return self.channels[channel].send(value)

    def do_send_error(self, channel):
        return self.channels[channel].send_exception(LookupError)

    def do_receive(self, channel):
        return self.channels[channel].receive()

    def do_close(self, channel):
        self.channels[channel].close()

    def do_open(self, channel):
        self.channels[channel].open()

    def do_look(self):
        members = [stackless.current]
        while members[-1].next is not members[0]:
            members.append(members[-1].next)
        return (tuple(self.names[t] for t in members),
                tuple(c.balance for c in self.channels))

    def run_until_empty(self):
        try:
            stackless.run()
        except KeyError:
            return "KeyError"
        return None

    def main_does(self, operation):
        try:
            return self.attempt(operation)
        except (KeyError, LookupError) as error:
            return type(error).__name__

    def state(self, index):
        t = self.tasks[index]
        return t.alive, t.paused, t.blocked


def model_state(model, index):
    t = model.tasks[index]
    blocked = t.channel is not None
    ready = t in model.ring
    return t.alive, t.alive and not blocked and not ready, blocked


def compare(seed, call):
    """Run to the end, restarting what is paused a few times."""
    bodies, settings = random_program(seed)
    model, real = Model(bodies, settings), Real(bodies, settings, call)
    for index in range(len(bodies)):
        model.start(model.tasks[index])
        real.start(index)
    for turn in range(20):
        # Errors end a run() while others are still in the ring.
        while len(model.ring) > 1:
            expected = model.run_until_empty()
            assert real.run_until_empty() == expected
            assert real.log == model.log
        for index, channel in enumerate(model.channels):
            if channel.queue:
                operation = (("receive", index)
                             if model.balance(channel) > 0
                             else ("send", index, -turn))
                expected = model.main_does(operation)
                assert real.main_does(operation) == expected
                assert real.log == model.log
        assert stackless.runcount == len(model.ring)
        states = [model_state(model, i) for i in range(len(bodies))]
        assert [real.state(i) for i in range(len(bodies))] == states
        for index, (alive, paused, blocked) in enumerate(states):
            if paused:
                model.append(model.tasks[index])
                real.tasks[index].insert()


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_plain(seed):
    compare(seed, lambda function, *args: function(*args))


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_through_c(seed):
    compare(seed, through_c)


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_sometimes_through_c(seed):
    r = random.Random(-seed)

    def call(function, *args):
        if r.random() < 0.5:
            return function(*args)
        return through_c(function, *args)

    compare(seed, call)
