"""What goes wrong with frozen programs."""

import pickle


class FreezeError(pickle.PicklingError):
    """Something that cannot be frozen.

    frame: (qualname, file, line) of the frame that it is in, or None.
    variable: what it is called there, or "stack position N", or None.
    path: how it is reached from there, as in "['key'].name", or "".
    type: its type's name, or None.
    """

    def __init__(self, message, frame=None, variable=None, path="", type=None):
        super().__init__(message)
        self.frame = frame
        self.variable = variable
        self.path = path
        self.type = type

    def __reduce__(self):
        details = self.frame, self.variable, self.path, self.type
        return FreezeError, (*self.args, *details)


class NotAlongError(ValueError):
    """A generator without the tasklet that is inside of it."""


class ThawError(pickle.UnpicklingError):
    """Frozen data that cannot be thawed."""


class DamagedFrozenError(ThawError):
    """Data that are no frozen program, or not all of one."""


class UnverifiedFrozenError(ThawError):
    """Data that the key does not vouch for."""


class IncompatibleFrozenError(ThawError):
    """Data of another version of Python or of the format."""


class ChangedCodeError(ThawError):
    """Functions that have changed, or gone, since they were frozen.

    changed: list of their names, "module.qualname".
    """

    _message = "code has changed since it was frozen"

    def __init__(self, changed):
        self.changed = list(changed)
        super().__init__(self.changed)

    def __str__(self):
        return f"{self._message}: {', '.join(self.changed)}"


class MissingCodeError(ChangedCodeError):
    """Functions that are no more."""

    _message = "code cannot be found any more"


PUBLIC = (
    FreezeError,
    ThawError,
    DamagedFrozenError,
    UnverifiedFrozenError,
    IncompatibleFrozenError,
    ChangedCodeError,
)
for _error in PUBLIC:
    _error.__module__ = "stackless"
