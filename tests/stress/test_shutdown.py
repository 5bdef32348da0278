"""The end of the interpreter: tasklets in every state, ended in every way.

The tables are in exit_program.py: what each state prints before the end, and
what its tasklets print when they are killed.  One rule for `finally`: it runs
in each tasklet that has started and belongs to the thread that ends the
interpreter, unless the process ends without Python's own exit.
"""

import concurrent.futures
import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig

import pytest

import exit_program
from exit_program import ENDINGS, PLACES, STATES
from stress_support import LIMIT

HERE = pathlib.Path(__file__).parent

pytestmark = pytest.mark.noleak  # everything runs in subprocesses

HAS_CTYPES = exit_program.has_ctypes()
ENDINGS_HERE = [
    name for name in ENDINGS if HAS_CTYPES or not name.startswith("finalized")
]


def run(command, **environ):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, **environ},
    )
    return done.returncode, done.stdout, done.stderr


def run_program(*names):
    return run([sys.executable, str(HERE / "exit_program.py"), *names])


def lines(*words):
    return "".join(word + "\n" for word in words)


def output(state, ending):
    killed = [] if ending.abrupt else state.killed
    return lines(*state.before, *killed)


def report(error, head=None):
    """A pattern of what the interpreter writes of one error."""
    trace = r"Traceback \(most recent call last\):\n(  .*\n)+"
    first = head + r"\n" if head else ""
    return first + trace + re.escape(error) + r"(: )?\n+"


def check(outcome, status, out, err):
    """err: a pattern, or None for nothing at all."""
    assert outcome[:2] == (status, out), outcome[2]
    assert re.fullmatch(err or "", outcome[2]), outcome[2]


# --- states and endings ------------------------------------------------------

# Each state ends in these ways, and each way ends these states.
MAIN_ENDINGS = [
    "end_of_program",
    "exit_in_a_tasklet",
    "interrupted_in_main",
    "terminated",
]
MAIN_STATES = [
    "several",
    "blocked_hard",
    "being_killed_soft",
    "thread_that_sleeps_in_a_tasklet",
]


def endings_of(state):
    return ENDINGS_HERE if state in MAIN_STATES else MAIN_ENDINGS


@functools.cache
def outcomes_of(state):
    """What came of each ending in that state; two programs at a time."""
    endings = endings_of(state)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(lambda each: run_program(state, each), endings)
        return dict(zip(endings, outcomes))


@pytest.mark.parametrize(
    "state, ending",
    [(state, each) for state in STATES for each in endings_of(state)],
)
def test_end(state, ending):
    expected = ENDINGS[ending]
    check(
        outcomes_of(state)[ending],
        expected.status,
        output(STATES[state], expected),
        expected.error and report(expected.error),
    )


# --- where the end is brought about ------------------------------------------

# An ending that would not be one there.
NOT_THERE = {
    ("thread", "interrupted_in_main"): "the signal is for the main thread",
    ("thread", "finalized_in_a_tasklet"): "only the main thread may",
    ("exit_function", "finalized_in_a_tasklet"): "CPython is in the middle of"
    " it",
}
ENDINGS_ELSEWHERE = [
    "end_of_program",
    "exit_in_main",
    "error_in_a_tasklet",
    "interrupted_in_main",
    "exit_at_once",
    *(name for name in ENDINGS_HERE if name.startswith("finalized")),
]
PAIRS = [
    (place, ending)
    for place in PLACES
    for ending in ENDINGS_ELSEWHERE
    if place != "main" and (place, ending) not in NOT_THERE
]


def expected_at(place, ending):
    """Status and pattern of stderr, where an error gets no further."""
    name, ending = ending, ENDINGS[ending]
    place_name, place = place, PLACES[place]
    exits = name == "exit_in_main"
    if place_name == "tasklet" and name == "end_of_program":
        return 1, r"(.*\n)*RuntimeError: Deadlock: (.*\n)*"
    if place.report is None or ending.abrupt or name.startswith("finalized"):
        return ending.status, ending.error and report(ending.error)
    if exits and place_name == "thread":
        return 0, None
    error = ending.error or (exits and "SystemExit: 3")
    return 0, error and report(error, place.report)


@pytest.mark.parametrize("place, ending", PAIRS)
def test_end_elsewhere(place, ending):
    status, err = expected_at(place, ending)
    outcome = run_program("several", ending, place)
    check(outcome, status, output(STATES["several"], ENDINGS[ending]), err)


# --- Py_Finalize() in a program that embeds Python ---------------------------


@pytest.fixture(scope="module")
def embedding(tmp_path_factory):
    """The program embedding.c, linked with this interpreter's library."""
    config = sysconfig.get_config_var
    library, version = config("LDLIBRARY"), config("LDVERSION")
    folder = config("LIBDIR")
    compiler = shlex.split(os.environ.get("CC") or "gcc")
    multiarch = pathlib.Path(folder, config("MULTIARCH") or "")
    places = [pathlib.Path(folder), multiarch]
    if not any((place / library).exists() for place in places):
        pytest.skip(f"no {library} of this interpreter")
    if not shutil.which(compiler[0]):
        pytest.skip(f"no {compiler[0]}")
    target = tmp_path_factory.mktemp("embedding") / "embedding"
    command = [*compiler, str(HERE / "embedding.c"), "-o", str(target)]
    if "clang" not in compiler[0]:
        command.append("-fno-canonical-system-headers")
    for name in ("include", "platinclude"):
        command += ["-isystem", sysconfig.get_path(name)]
    command += [f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{version}"]
    subprocess.run(command, check=True)
    return str(target)


def run_embedded(embedding, times, *names, **environ):
    command = [embedding, str(times), str(HERE / "exit_program.py"), *names]
    return run(command, EMBEDDED_PYTHON=sys.executable, **environ)


@pytest.mark.parametrize("state", MAIN_STATES)
def test_end_of_an_embedded_interpreter(embedding, state):
    status, out, err = run_embedded(embedding, 1, state, "end_of_program")
    expected = output(STATES[state], ENDINGS["end_of_program"])
    assert (status, out) == (0, expected + "ran 0, finalized 0\n"), err
    assert err == ""


@pytest.mark.parametrize("ending", ENDINGS_ELSEWHERE[1:])
def test_endings_of_an_embedded_interpreter(embedding, ending):
    """PyRun_SimpleFile() exits at SystemExit, and reports other errors."""
    status, out, err = run_embedded(embedding, 1, "several", ending)
    expected = ENDINGS[ending]
    said = output(STATES["several"], expected)
    if expected.error:
        said, code = said + "ran -1, finalized 0\n", 0
    else:
        code = expected.status
    pattern = expected.error and report(expected.error)
    check((status, out, err), code, said, pattern)


@pytest.mark.parametrize(
    "state",
    ["blocked_hard", "unreachable", "many", "thread_that_has_ended"],
)
def test_one_interpreter_after_the_other(embedding, state):
    """Nothing of the first one is left in the extension."""
    status, out, err = run_embedded(embedding, 3, state, "end_of_program")
    expected = output(STATES[state], ENDINGS["end_of_program"])
    assert (status, out) == (0, 3 * (expected + "ran 0, finalized 0\n")), err
    assert err == ""


VISIT = """
import stackless
def body():
    try:
        stackless.schedule_remove(None)
    finally:
        print("finally in the thread", flush=True)
tasklets = [stackless.tasklet(body)(),
            stackless.tasklet(sorted)([1], key=lambda _: body())]
stackless.run()
print("visited", [t.alive for t in tasklets], flush=True)
"""


@pytest.mark.skipif(
    sys.version_info >= (3, 15),
    reason="3.15.2 hangs, also without stackless: PyGILState_Ensure() in a "
    "thread that has left its state in an interpreter that is gone",
)
def test_thread_that_visits_one_interpreter_after_the_other(embedding):
    """What it knew of the first one is gone with that."""
    status, out, err = run_embedded(
        embedding, 3, "blocked_hard", "end_of_program", EMBEDDED_THREAD=VISIT)
    each = "visited [True, True]\nfinally\nran 0, finalized 0\n"
    assert (status, out, err) == (0, 3 * each, "")
