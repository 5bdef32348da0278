"""What a type checker makes of the package.  Checked by mypy, never run."""

import contextvars
import io
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, assert_type

import stackless
from stackless import channel, tasklet


class Named(tasklet):
    label: str = ""


def work(number: int, text: str = "") -> float:
    return float(number)


# Making them: whatever starts a tasklet gives the tasklet, of its own class.
assert_type(tasklet(work), tasklet)
assert_type(tasklet(work)(1, text="one"), tasklet)
assert_type(tasklet(work, (1,), {"text": "one"}), tasklet)
assert_type(Named(work)(1), Named)
assert_type(Named().bind(work, (1,)).insert().remove(), Named)
context = contextvars.copy_context()
assert_type(Named(work).setup(1).set_context(context), Named)

# Their attributes.
some = tasklet(work)
assert_type(some.alive, bool)
assert_type(some.frame, FrameType | None)
assert_type(some.name, str)
assert_type(some.created_at, str | None)
assert_type(some.waiting_for, channel | None)
assert_type(some.next, tasklet | None)
assert_type(some.nesting_level, int)
some.name = "some"
some.block_trap = True
assert_type(some.context_run(work, 1), float)
some.throw(ValueError)
some.throw(ValueError("why"), pending=True)
some.raise_exception(KeyError, "key")
some.kill(pending=True)
some.alive = True  # type: ignore[misc]
some.context_run(work, "1")  # type: ignore[arg-type]
some.raise_exception("KeyError")  # type: ignore[arg-type]

# Channels.
pipe = channel()
pipe.send(1)
assert_type(pipe.receive(), Any)
assert_type(iter(pipe), Iterator[Any])
assert_type(pipe.send_sequence(range(3)), int)
assert_type(pipe.balance, int)
assert_type(pipe.queue, tasklet | None)
pipe.preference = 1
pipe.send_exception(StopIteration)
pipe.send_throw(ValueError("why"))
pipe.balance = 1  # type: ignore[misc]

# The module.
assert_type(stackless.current, tasklet)
assert_type(stackless.runcount, int)
assert_type(stackless.run(), tasklet | None)
assert_type(stackless.schedule(1), Any)
assert_type(stackless.all_tasklets(), list[tasklet])
assert_type(stackless.get_stats(), dict[str, int])
with stackless.atomic():
    pass


def handler(
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None: ...


def on_switch(old: tasklet | None, new: tasklet) -> None: ...
def on_channel(
    where: channel, who: tasklet, sending: int, blocks: int
) -> None: ...


stackless.set_error_handler(handler)
stackless.set_schedule_callback(on_switch)
stackless.set_channel_callback(on_channel)
stackless.set_channel_callback(on_switch)  # type: ignore[arg-type]

# Freezing.
frozen = stackless.freeze(some, key=b"k" * 16, code="value")
assert_type(frozen, bytes)
assert_type(stackless.freeze([pipe], key=("id", b"k" * 16)), bytes)
assert_type(stackless.thaw(frozen, key={"id": b"k" * 16}), Any)
assert_type(stackless.thaw(bytearray(frozen), max_size=1000), Any)
assert_type(stackless.inspect_frozen(frozen), dict[str, Any])
assert_type(stackless.check_freezable(some), stackless.FreezeError | None)
assert_type(Named(work).clone(), Named)
stackless.freeze(some, code="source")  # type: ignore[arg-type]
stackless.thaw(frozen, find_class=work)  # type: ignore[arg-type]
stackless.Pickler(io.BytesIO(), 4, code="value").dump(some)
assert_type(stackless.Unpickler(io.BytesIO(frozen)).load(), Any)
try:
    stackless.freeze(some)
except stackless.FreezeError as error:
    assert_type(error.frame, tuple[str, str, int] | None)
    assert_type(error.variable, str | None)
    assert_type(error.path, str)
    assert_type(error.type, str | None)
except stackless.ChangedCodeError as changed:
    assert_type(changed.changed, list[str])
