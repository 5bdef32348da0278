"""What happens to an error that a tasklet does not catch.

Left alone, it is raised in the main tasklet: an error is never lost.  A
server that wants to go on sets a handler, which is called in the dying
tasklet.
"""

import stackless


def crash(text):
    stackless.schedule()
    raise ValueError(text)


def survivor():
    for _ in range(2):
        stackless.schedule()
    print("the others went on")


stackless.tasklet(crash)("first")
try:
    stackless.run()
except ValueError as error:
    print("main:", error)


def handler(kind, error, traceback):
    print(f"handler: {kind.__name__}: {error}, in {stackless.current.name}")


stackless.set_error_handler(handler)
stackless.tasklet(crash)("second").name = "Icarus"
stackless.tasklet(survivor)()
stackless.run()

# Prints:
#     main: first
#     handler: ValueError: second, in Icarus
#     the others went on
