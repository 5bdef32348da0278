"""A tasklet class of one's own: one that keeps its result.

A tasklet drops what its function returns.  Here a subclass wraps the function
to keep the result, or the error, and to wake whoever waits for it.
"""

import stackless


class Future(stackless.tasklet):
    """tasklet(f)(x) starts f(x); Future(f)(x).result() also waits for it."""

    def __init__(self, function):
        super().__init__(self._run)
        self.function = function
        self.waiting = stackless.channel()
        self.outcome = None

    def _run(self, *args, **kwargs):
        try:
            self.outcome = (self.function(*args, **kwargs), None)
        except Exception as error:
            self.outcome = (None, error)
        while self.waiting.balance < 0:
            self.waiting.send(None)

    def result(self):
        if self.outcome is None:
            self.waiting.receive()
        value, error = self.outcome
        if error is not None:
            raise error
        return value


def slow_square(number):
    for _ in range(number):
        stackless.schedule()
    return number * number


futures = [Future(slow_square)(number) for number in (3, 1, 2)]
print([future.result() for future in futures])

try:
    Future(slow_square)("three").result()
except TypeError as error:
    print("TypeError:", error)

# Prints:
#     [9, 1, 4]
#     TypeError: 'str' object cannot be interpreted as an integer
