"""throw() at a generator that runs reads an inline cache as an instruction,
before it asks whether the generator runs."""


def nothing():
    pass


class Attack:
    def __call__(self):
        try:
            running.throw(KeyError)
        except ValueError:  # generator already executing
            pass


def generate():
    for function in [nothing] * 50 + [Attack()] * 100:
        function()
    yield


running = generate()
next(running)
