"""A program to be covered, as plain functions or as tasklets:
covered_program.py plain|tasklets CORE BRANCH; prints what was covered."""

import json
import sys
import tempfile


def helper(n):
    if n % 2:
        return n
    return -n


def numbers(n):
    for i in range(n):
        yield i


class Manager:
    def __init__(self, wait):
        self.wait = wait

    def __enter__(self):
        self.wait()

    def __exit__(self, *error):
        self.wait()
        return True


def body(wait, kind):
    total = helper(1)
    wait()
    if kind == "hard":
        sorted([2, 1], key=lambda x: (wait(), x))
    elif kind == "never":
        total += 5
    for n in numbers(3):
        wait()
        if n == 7:
            break
        total += helper(n)
    else:
        total += 1
    with Manager(wait):
        raise KeyError
    try:
        wait()
        fails(wait)
    except KeyError:
        wait()
    finally:
        total += 1
    while total < 10:
        total += 3
        if total > 7: wait()
    return [wait() for _ in numbers(total)]


def fails(wait):
    wait()
    raise KeyError


def nothing(*args):
    pass


LAST = sys._getframe().f_lineno  # what is below differs


def plain():
    for kind in "soft", "hard":
        body(nothing, kind)


def tasklets():
    nothing()
    for kind in "soft", "hard", "soft":
        stackless.tasklet(body)(stackless.schedule, kind)
    channel = stackless.channel()
    waiting = stackless.tasklet(body)(channel.receive, "hard")
    stackless.run()
    while waiting.alive:
        channel.send(None)


def measure(run, core, branch):
    """What coverage.py reports of the lines above LAST.

    Its report, not its raw data: sysmon puts lines that follow one another
    in any two frames of one function into those, and sorts that out later.
    """
    import coverage

    cov = coverage.Coverage(data_file=None, config_file=False,
                            branch=branch == "branch",
                            include=["*/covered_program.py"])
    cov.set_option("run:core", core)
    cov.start()
    run()
    cov.stop()
    with tempfile.TemporaryDirectory() as folder:
        cov.json_report(outfile=f"{folder}/report.json")
        with open(f"{folder}/report.json") as file:
            (report,) = json.load(file)["files"].values()
    return {name: [place for place in report[name] if first(place) < LAST]
            for name in ("executed_lines", "missing_lines",
                         "executed_branches", "missing_branches")
            if name in report}


def first(place):
    """The line where a line or branch is."""
    return place if isinstance(place, int) else place[0]


if __name__ == "__main__":
    if sys.argv[1] == "tasklets":
        import stackless
        import trace_all_tasklets
        if sys.argv[2] == "ctrace":
            trace_all_tasklets.start()
    print(measure(globals()[sys.argv[1]], *sys.argv[2:]))
