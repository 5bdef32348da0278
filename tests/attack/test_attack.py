"""The attack with fixed seeds, and the attack's own tools.

`make attack` runs it with fresh seeds; see attack.py.  STACKLESS_ATTACK_SHARE=x
(default 1) makes x times as many programs.
"""

import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import attack
import by_model
import free
import programs
import shapes
import shrink
import stress

# Programs in all, divided among the kinds of stress that this interpreter has:
# some 80,000 operations.
SHARE = float(os.environ.get("STACKLESS_ATTACK_SHARE", "1"))
# Where each interruption takes long, some of those are enough.
INTERRUPTED = {"interrupt", "interrupt+slice", "interrupt+between+mixed"}
SLOW = hasattr(sys, "gettotalrefcount") or sys.version_info[:2] == (3, 12)
NAMES = [
    name
    for name in stress.NAMES
    if not SLOW or "interrupt" not in name or name in INTERRUPTED
]
PROGRAMS = int(400 * SHARE / len(NAMES)) + 1

pytestmark = pytest.mark.noleak

HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")


def share(index):
    """Each kind of stress has seeds of its own."""
    return range(index * PROGRAMS, (index + 1) * PROGRAMS)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", stress.NAMES)
def test_programs(name, capsys):
    if name not in NAMES:
        pytest.skip("slow there: make attack")
    if HARD:
        pytest.skip("the run in soft mode has those forced hard too")
    seeds = share(NAMES.index(name))
    a = attack.Attack(limit=60)
    a.batch(name, seeds[0], len(seeds))
    assert not a.failures, capsys.readouterr().out
    assert a.operations > 75 * len(seeds)


def find(a):
    """Attack until a program fails."""
    seed = 0
    while a.batch("none", seed, 10):
        seed += 10
        assert seed < 200


@pytest.mark.skipif(SLOW, reason="tests the attack, which is plain Python")
@pytest.mark.timeout(240)
def test_threads_shrink_too(capsys):
    """A program of several threads becomes as small as one of a single one."""
    a = attack.Attack(fault="meet there")
    find(a)
    assert "FAILED: stress none, seed" in capsys.readouterr().out
    assert a.smallest["threads"] > 1
    left = [op[0] for ops in shrink.lists_of(a.smallest) for op in ops]
    # One who waits, one thread that comes.
    assert len(left) <= 6, left


@pytest.mark.timeout(240)
def test_a_fault_is_found_and_shrunk(capsys):
    """The model forgets to set a channel's preference."""
    a = attack.Attack(fault="preference")
    find(a)
    out = capsys.readouterr().out
    assert "FAILED: stress none, seed" in out
    left = [op[0] for ops in shrink.lists_of(a.smallest) for op in ops]
    # A channel without preference, one who waits, one who comes.
    assert "prefer" in left
    assert len(left) <= 6, left
    # What is printed fails when it is run, and does not with a right model.
    text = json.dumps(a.smallest)
    assert f"--program '{text}'" in out
    assert a.run("none", "--program", text)[0] == attack.MISMATCH
    right = attack.Attack()
    assert right.run("none", "--program", text)[0] == 0


@pytest.mark.skipif(SLOW, reason="tests the attack, which is plain Python")
@pytest.mark.parametrize(
    ("name", "fault"),
    [("none", fault) for fault in by_model.FAULTS]
    + [("free", fault) for fault in free.FAULTS],
)
def test_each_fault_is_found(name, fault):
    """Whatever the model, or who counts the messages, is wrong about."""
    a = attack.Attack(fault=fault)
    seed, status = 0, 0
    while status == 0 and seed < 400:
        numbers = ["--first", str(seed), "--count", "20"]
        status = a.run(name, *numbers)[0]
        seed += 20
    assert status == attack.MISMATCH


def test_a_crash_is_found(monkeypatch, capsys):
    """A worker that dies is told from one that finds a difference."""
    a = attack.Attack()
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(
        a, "command", lambda *args: [sys.executable, "-c", kill]
    )
    monkeypatch.setattr(attack.shrink, "shrink", lambda p, fails: p)
    assert not a.batch("none", 5, 3)
    assert "seed 5, exit status -9" in capsys.readouterr().out


def test_tasklets_are_frozen_and_run():
    """And not always refused."""
    seeds = ["--first", "0", "--count", "8"]
    status, out, err = attack.Attack().run("between+freeze", *seeds)
    assert status == 0, out + err
    done = json.loads(out.splitlines()[-2])
    assert min(done.values()) > 10, done


def test_programs_are_data():
    program = programs.random_program(1)
    assert json.loads(json.dumps(program)) == program
    assert program == programs.random_program(1)


@pytest.mark.skipif(SLOW, reason="tests the model, which is plain Python")
def test_every_operation_is_made_and_works():
    """None of them only ever fails."""
    made, worked = set(), set()
    errors = {*programs.RAISED, "RuntimeError", "ValueError"}
    for seed in range(150):
        log, _ = by_model.expected(programs.random_program(seed))
        for _, what, outcome, _ in log:
            made.add(what)
            if not (isinstance(outcome, list) and outcome[0] in errors):
                worked.add(what)
    names = set(programs.WEIGHTS) | set(programs.NESTING)
    names |= set(programs.BETWEEN_THREADS)
    assert names - made == set()
    assert names - worked == {"raise"}


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_shape_calls_once(name):
    calls = []
    shapes.SHAPES[name](lambda: calls.append(1))
    assert calls == [1]
    with pytest.raises(KeyError):
        shapes.SHAPES[name](lambda: {}["missing"])
