"""Errors travel over channels too.

A server does not want to die from a bad request, and the client wants to
know.  send_exception() makes the receiver raise; send_throw() does so with an
exception that is there already, traceback included.
"""

import traceback

import stackless


def divide_for_others(requests):
    for a, b, answer in requests:
        try:
            result = a / b
        except ZeroDivisionError as error:
            answer.send_throw(error)
        except TypeError:
            answer.send_exception(ValueError, f"no numbers: {a!r}, {b!r}")
        else:
            answer.send(result)


def divide(a, b):
    answer = stackless.channel()
    requests.send((a, b, answer))
    return answer.receive()


requests = stackless.channel()
stackless.tasklet(divide_for_others)(requests)

print(divide(7, 2))
try:
    divide(1, 0)
except ZeroDivisionError as error:
    print(type(error).__name__, "in", [
        entry.name for entry in traceback.extract_tb(error.__traceback__)])
try:
    divide("one", 2)
except ValueError as error:
    print(type(error).__name__, error)

# Prints:
#     3.5
#     ZeroDivisionError in ['<module>', 'divide', 'divide_for_others']
#     ValueError no numbers: 'one', 2
