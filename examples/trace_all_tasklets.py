"""Let debuggers and coverage tools see every tasklet.

A trace function belongs to the tasklet that sets it; new ones start without.
start() has it handed on at each switch.  A tool with a function for new threads
(threading.settrace(), as coverage) gets that called for each new tasklet.
adopt(), at pdb's prompt, lets breakpoints work in what is suspended already.
"""

import bdb
import sys
import threading

import stackless

tracer = None  # of whoever ran last


def hand_on(previous, following):
    """Schedule callback: who runs next is traced, too."""
    global tracer
    if sys._getframe().f_back is not None:  # previous has not just ended
        tracer = previous.trace_function
    hook = threading.gettrace()
    if hook is None:
        following.trace_function = tracer
        see_lines(following.frame, tracer)
    elif following.frame is None:  # it has not run yet
        following.trace_function = hook


def see_lines(frame, function):
    """Trace the lines of the functions that are running already."""
    while frame is not None and function is not None:
        frame.f_trace = frame.f_trace or function
        frame = frame.f_back


def start():
    stackless.set_schedule_callback(hand_on)


def adopt():
    """The debugger at whose prompt this is called sees all tasklets."""
    frame = sys._getframe()
    while not isinstance(frame.f_locals.get("self"), bdb.Bdb):
        frame = frame.f_back
    debugger = frame.f_locals["self"]
    monitor = getattr(debugger, "monitoring_tracer", None)  # 3.14+
    for tasklet in stackless.all_tasklets():
        if tasklet is not stackless.current:
            see_lines(tasklet.frame, debugger.trace_dispatch)
            if monitor is None:
                tasklet.trace_function = debugger.trace_dispatch
            else:
                monitor.update_local_events(tasklet.frame)


def main():
    lines = []

    def note(frame, event, arg):
        if event == "line" and frame.f_code is worker.__code__:
            lines.append(frame.f_lineno - worker.__code__.co_firstlineno)
        return note

    def worker():
        stackless.schedule()
    stackless.tasklet(worker)()
    start()
    sys.settrace(note)
    stackless.run()
    sys.settrace(None)
    print("lines:", lines)


if __name__ == "__main__":
    main()

# Prints:
#     lines: [1]
