"""freeze(), thaw() and what tells about frozen data."""

import io

from stackless import _core
from stackless._freezing import culprit, envelope, pickling, unpickling
from stackless._freezing.errors import FreezeError, ThawError


def freeze(value, key, code):
    """See stackless.freeze()."""
    file = io.BytesIO()
    pickler = pickling.Pickler(file, code=code)
    pickler.dump(value)
    header = {}
    if issubclass(type(value), _core.tasklet):
        header["name"] = value.name
        header["reason"] = _reason(value)
        header["stack"] = pickling.stack_of(value)
    return envelope.pack(header, file.getvalue(), key)


def _reason(tasklet):
    """What a tasklet waits for, in words."""
    if not tasklet.alive:
        return "dead"
    if tasklet.blocked:
        balance = tasklet._channel.balance
        return "sending" if balance > 0 else "receiving"
    return "runnable" if tasklet.scheduled else "paused"


def thaw(data, key, find_class, max_size):
    """See stackless.thaw()."""
    frozen = envelope.unpack(data, key, max_size)
    envelope.check_compatible(frozen)
    file = io.BytesIO(frozen.payload)
    try:
        return unpickling.Unpickler(file, find_class=find_class).load()
    except (ThawError, MemoryError):
        raise
    except Exception as error:
        raise ThawError(
            f"cannot thaw: {type(error).__name__}: {error}"
        ) from error


def inspect_frozen(data, key):
    """See stackless.inspect_frozen()."""
    frozen = envelope.unpack(data, key, None)
    return {
        **frozen.header,
        "verified": frozen.verified,
        "key_id": frozen.key_id,
        "size": frozen.size,
    }


def check_freezable(value):
    """See stackless.check_freezable()."""
    try:
        pickling.Pickler(io.BytesIO()).dump(value)
    except FreezeError as error:
        return error
    return None
