"""Random programs, by tasklets and by a model, compared step by step.

    attack.py --minutes N                 fresh seeds, all kinds of stress
    attack.py --first SEED --count N      these programs, in this process
    attack.py --program JSON-OR-FILE      this one

--stress NAME says what is done to the tasklets meanwhile (stress.py), --repeat
N runs each program N times, so that its code is warm.  A failure is shrunk to
the smallest program that fails likewise, and that is printed as a command.
Exit status 1 if anything failed.
"""

import argparse
import faulthandler
import functools
import gc
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import by_model
import by_tasklets
import free
import frozen
import shrink
import stress
from programs import random_program

LIMIT = 60  # seconds for one program; some are slow where all is checked
BATCH = 150  # programs in one process
MISMATCH = 3  # exit status of a worker


# ---- in the process that is attacked -----------------------------------------


def different(text):
    print(text, flush=True)
    os._exit(MISMATCH)


def attack_one(program, options):
    """Run and compare; return the number of operations."""
    faulthandler.dump_traceback_later(options.limit, exit=True)
    operations = 0

    @functools.cache
    def model(moved):
        try:
            return by_model.expected(program, options.fault, moved)
        except Exception:
            different(traceback.format_exc())

    def expected(moved):
        nonlocal operations
        log, done = model(tuple(moved))
        operations += done
        return log

    name = stress.suitable(options.stress, program)
    for turn in range(options.repeat):
        with stress.Stresses(name, turn) as stresses:
            if "free" in name.split("+"):
                operations += free.run(program, different, options.fault,
                                       stresses.at_switch)
                continue
            by_tasklets.run(program, expected, different, stresses.at_switch,
                            stresses.between)
    return operations


def setup():
    faulthandler.enable()
    sys.setrecursionlimit(4000)
    gc.collect()
    gc.freeze()
    # What drops the last reference is killed at once, but not in the middle of
    # a collection: those come where the program or the stress wants them.
    gc.disable()


def work(options):
    """The programs asked for, here; print how many operations they had."""
    setup()
    operations = 0
    if options.program:
        operations = attack_one(load(options.program), options)
    for seed in range(options.first, options.first + options.count):
        if options.note:
            pathlib.Path(options.note).write_text(str(seed))
        operations += attack_one(random_program(seed), options)
    if any(frozen.DONE.values()):
        print(json.dumps(frozen.DONE))
    print(json.dumps(operations))


def serve(options):
    """Try each program that comes in, in a process of its own."""
    setup()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            attack_one(json.loads(line), options)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)


def load(program):
    if not program.startswith("{"):
        program = pathlib.Path(program).read_text()
    return json.loads(program)


# ---- in the process that attacks ---------------------------------------------


class Attack:
    """Runs workers and gives account of them."""

    def __init__(self, limit=LIMIT, fault=None):
        self.limit = limit
        self.fault = fault
        self.programs = self.operations = self.failures = 0
        self.began = time.monotonic()

    def command(self, name, *more):
        command = [sys.executable, __file__, "--stress", name, *more]
        return command + (["--fault", self.fault] if self.fault else [])

    def run(self, name, *more):
        """A worker's exit status and output."""
        done = subprocess.run(
            self.command(name, "--limit", str(self.limit), *more),
            capture_output=True,
            text=True,
            errors="replace",
        )
        return done.returncode, done.stdout, done.stderr

    def batch(self, name, first, count):
        """Run programs first ... first+count-1; report the one that fails."""
        with tempfile.NamedTemporaryFile("r", prefix="attack") as note:
            numbers = ["--first", str(first), "--count", str(count)]
            status, out, err = self.run(name, *numbers, "--note", note.name)
            failed = note.read()
        if status == 0:
            self.programs += count
            self.operations += json.loads(out.splitlines()[-1])
            return True
        self.failures += 1
        self.report(name, first, int(failed or first), status, out + err)
        return False

    def report(self, name, first, seed, status, text):
        print(f"FAILED: stress {name}, seed {seed}, exit status {status}")
        print(text[-6000:])
        program = random_program(seed)
        for options in ([], ["--repeat", "20"]):
            with Trial(self, name, options) as trial:
                if trial(program) == status:
                    smallest = shrink.shrink(
                        program, lambda p: trial(p) == status
                    )
                    self.show(name, options, smallest)
                    return
        print("Alone it does not fail; this did:")
        again = ["--first", first, "--count", seed - first + 1]
        print("  " + " ".join(self.command(name, *map(str, again))))

    def show(self, name, options, program):
        print(f"The smallest one has {shrink.count(program)} operations:")
        text = json.dumps(program)
        command = self.command(name, *options, "--program", f"'{text}'")
        print("  " + " ".join(command))
        _, out, err = self.run(name, *options, "--program", text)
        print(out + err, flush=True)
        self.smallest = program

    def summary(self):
        return (
            f"attack: {self.programs} programs, {self.operations} operations, "
            f"{self.failures} failures, "
            f"{time.monotonic() - self.began:.0f} seconds"
        )


class Trial:
    """A process that tries programs; called, it gives the exit status."""

    def __init__(self, attack, name, options):
        limit = ["--limit", str(attack.limit)]
        self.process = subprocess.Popen(
            attack.command(name, *limit, *options, "--serve"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, program):
        try:
            print(json.dumps(program), file=self.process.stdin, flush=True)
            return int(self.process.stdout.readline() or 0)
        except BrokenPipeError:
            return 0

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.process.stdout.close()
        self.process.stdin.close()
        self.process.wait()


def attack(minutes):
    """Fresh seeds until the time is over; return the exit status."""
    first = int.from_bytes(os.urandom(5))
    print(f"attack on CPython {sys.version.split()[0]}, first seed {first}")
    print("stress:", *stress.NAMES, flush=True)
    a = Attack()
    end = a.began + 60 * minutes
    said = a.began
    turn = 0
    while time.monotonic() < end:
        # A short attack does not always begin with the same kinds.
        name = stress.NAMES[(first + turn) % len(stress.NAMES)]
        a.batch(name, first + turn * BATCH, BATCH)
        turn += 1
        if time.monotonic() > said + 60:
            said = time.monotonic()
            print(a.summary(), flush=True)
    print(a.summary())
    return int(a.failures > 0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--program")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--stress", default="none")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--note", help="file for the seed that is running")
    parser.add_argument("--fault", help="let the model make this mistake")
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return
    if options.minutes is not None:
        sys.exit(attack(options.minutes))
    if not options.program and not options.count:
        parser.error("what to attack: --minutes, --count or --program")
    work(options)


if __name__ == "__main__":
    main()
