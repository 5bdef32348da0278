"""Events are asked for inside a generator that a warm `for` runs: the debug
build asserts that whoever it yields to is one of certain instructions."""
import sys

monitoring = sys.monitoring
monitoring.use_tool_id(monitoring.DEBUGGER_ID, "tool")


def numbers(ask):
    yield 1
    if ask:
        monitoring.register_callback(monitoring.DEBUGGER_ID,
                                     monitoring.events.BRANCH, print)
        monitoring.set_events(monitoring.DEBUGGER_ID,
                              monitoring.events.BRANCH)
    yield 2


def loop(ask):
    for n in numbers(ask):
        pass


for i in range(30):
    loop(False)
loop(True)
