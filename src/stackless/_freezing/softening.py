"""Hard tasklets made soft, as values.

Between two Python frames of a hard tasklet is C code.  Where that is known to
do nothing more with the value that the upper frame is going to return than to
hand it on, the lower frame is written as if it had made the call itself: what
CPython does when the same instruction has been specialised.  The values on
the lower frame's stack prove which C code it is.
"""

import dis
import functools
import gc
import inspect
import sys
import types

from stackless import _core
from stackless._freezing import awaits

_POSITION_IS_CALL = sys.version_info >= (3, 13)
_INIT = _core._init_function()
_SEND = _core._send_function()
_AWAIT = _core._await_function()
_VALUE = _core._value_function()
INTERRUPTED = _core._interrupted_function()  # None before CPython 3.14
_GAP = sys.version_info >= (3, 15)  # between a receiver and what it is sent
# On 3.11 a frame runs a generator by its instruction, which jumps.
_RETURN_JUMPS = sys.version_info >= (3, 12)
_RUNNING_MARKS = b"\0\1\0\1"[: 3 + _GAP]
# Where frames of ours wait, and the marks of what they have there.
_INTERNAL = {
    _INIT: (0, int(_POSITION_IS_CALL), b"\0\1"),
    _SEND: (*_core._send_position(), _RUNNING_MARKS),
    _AWAIT: (*_core._await_position(), _RUNNING_MARKS),
    _VALUE: (0, int(_POSITION_IS_CALL), b""),
}
if INTERRUPTED is not None:
    _INTERNAL[INTERRUPTED] = 0, int(_POSITION_IS_CALL), b"\1"
_EMPTY, _UNSURE = 1, 3  # marks
_FURTHEST_RETURN = 0xFFFF  # from a call, in code units
_NULL = object()
GENERATOR_FLAGS = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
)
_ENDS = {
    "RETURN_VALUE",
    "RETURN_CONST",
    "RAISE_VARARGS",
    "RERAISE",
    "JUMP_FORWARD",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "JUMP_NO_INTERRUPT",
}


class HardError(RuntimeError):
    """C code that is not known is between two frames.

    code, offset: where the lower one has called it, in code units.
    """

    def __init__(self, code, offset, what="C code is running"):
        self.code = code
        self.offset = offset
        super().__init__(what)


class _Unsure:
    """Something on a stack that may be released: only its address is known."""

    def __init__(self, address):
        self.address = address


# --- how far a stack reaches -------------------------------------------------

@functools.lru_cache(maxsize=256)
def _depths(code):
    """Items on the stack before each instruction, by its offset in bytes."""
    instructions = list(dis.get_instructions(code))
    index = {i.offset: n for n, i in enumerate(instructions)}
    handlers = dis._parse_exception_table(code)
    # Up to 3.12 what RETURN_GENERATOR leaves on the stack is not counted.
    generator = code.co_flags & GENERATOR_FLAGS
    start = 1 if sys.version_info < (3, 13) and generator else 0
    depths = {}
    todo = [(0, start)]
    while todo:
        _follow(todo, depths, instructions, index)
        for handler in handlers:
            if handler.target not in depths and any(
                offset in depths
                for offset in range(handler.start, handler.end, 2)
            ):
                depth = handler.depth + 1 + handler.lasti
                todo.append((handler.target, depth))
                break
    return depths


def _follow(todo, depths, instructions, index):
    while todo:
        offset, depth = todo.pop()
        if offset in depths:
            continue
        depths[offset] = depth
        n = index[offset]
        i = instructions[n]
        following = n + 1 < len(instructions) and instructions[n + 1].offset
        arg = i.arg if i.opcode >= dis.HAVE_ARGUMENT else None
        if sys.version_info < (3, 12) and i.opname in ("PRECALL", "CALL"):
            # What PRECALL is said to pop goes with CALL.
            popped = i.arg + 1 if i.opname == "CALL" else 0
            todo.append((following, depth - popped))
            continue
        if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
            effect = dis.stack_effect(i.opcode, arg, jump=True)
            todo.append((i.argval, depth + effect))
        if i.opname not in _ENDS and following:
            effect = dis.stack_effect(i.opcode, arg, jump=False)
            todo.append((following, depth + effect))


def extent_of(code, offset):
    """(items on the stack, how many of them are unsure) in a call of C.

    Up to CPython 3.13 frames do not know.  Those that the instruction takes
    may be released already, by it or by what it has called.
    """
    offset, i = _instruction_at(code, offset)
    count = _OPERANDS.get(i.opname) if i is not None else None
    if count is None:
        raise HardError(code, offset)
    if i.opname in ("CALL", "CALL_KW"):
        count += i.arg
    elif i.opname == "CALL_FUNCTION_EX":
        count += i.arg & 1
    return _depths(code)[offset * 2], count


def _variables(code):
    return len({*code.co_varnames, *code.co_cellvars, *code.co_freevars})


@functools.lru_cache(maxsize=1024)
def resting_places(code):
    """Where a frame can wait for a value: {offset: (slots, return offsets)}.

    The offset is what the frame says; slots are those in use while it waits;
    where the value may lead to otherwise is a jump.
    """
    depths = _depths(code)
    variables = _variables(code)
    places = {}
    instructions = list(_instructions(code).items())
    for (offset, i), (following, _) in zip(instructions, instructions[1:]):
        depth = depths.get(following * 2)
        if not depth:
            continue
        length = following - offset
        if _POSITION_IS_CALL:
            place, straight = offset, length
        else:
            place, straight = following - 1, 0
        offsets = {0, straight}
        if i.opname in ("FOR_ITER", "SEND"):
            offsets = {0, straight, straight + i.arg}
        places[place] = variables + depth - 1, offsets
    return places


def known_places(code):
    """The same, but none for a function of ours: check() is to see its slots."""
    ours = any(function.__code__ is code for function in _INTERNAL)
    return {} if ours else resting_places(code)


# States of a generator: fresh, suspended, suspended because it waits for another.
if sys.version_info >= (3, 15):
    _STATES = 0, 1, 2
elif sys.version_info >= (3, 13):
    _STATES = -3, -2, -1
else:
    _STATES = -2, -1, -1


@functools.lru_cache(maxsize=1024)
def _rests(code):
    """Where a generator goes on that nobody runs, and its state there."""
    fresh, suspended, waiting = _STATES
    places = {}
    instructions = list(_instructions(code).items())
    for (_, i), (place, following) in zip(instructions, instructions[1:]):
        if i.opname == "RETURN_GENERATOR":
            places[place] = fresh
        elif i.opname == "YIELD_VALUE":  # RESUME says what for
            places[place] = waiting if following.arg & 2 else suspended
    return places


def check(frame, resting=None):
    """ValueError if code could not go on from a frame of frozen data.

    resting: the state of the generator that it is of, if nobody runs that.
    """
    function, _, offset, return_offset, marks, slots = frame
    code = function.__code__
    rests = resting is not None
    if rests and _POSITION_IS_CALL:  # it is at what comes next
        depth = _depths(code).get(offset * 2, 0) - 1
        good = depth >= 0 and return_offset == 0
        good = good and _rests(code).get(offset) == resting
        good = good and len(slots) == _variables(code) + depth
    elif function in _INTERNAL:
        good = (offset, return_offset, marks) == _INTERNAL[function]
        good = good and len(slots) == len(marks)
    else:
        size, offsets = resting_places(code).get(offset, (-1, ()))
        good = len(slots) == size and return_offset in offsets
        good = good and (
            not rests or _rests(code).get(offset + 1) == resting
        )
    if not good:
        raise ValueError(f"{code.co_qualname} cannot go on from there")


# --- frames that were interrupted --------------------------------------------

_CALLS = "CALL", "CALL_KW", "CALL_FUNCTION_EX"


def interruption(code, offset, depth):
    """How a frame goes on that CPython left to look for signals and the like.

    depth: items on its stack.  (offset, return offset), or None if it was left
    for another reason: an instruction is in progress.
    """
    i = _instructions(code).get(offset)
    if i is None:
        return None
    if i.opname in ("RESUME", "JUMP_BACKWARD"):
        before = _depths(code).get(offset * 2)
        return (i.start_offset // 2, 0) if depth == before else None
    if i.opname in _CALLS:
        length = 1 + _caches(code, offset)
        after = _depths(code).get((offset + length) * 2)
        return (offset, length) if depth == after else None
    return None


def _is_interrupted(frame):
    function, _, offset, return_offset, _, slots = frame
    if INTERRUPTED is None or function in _INTERNAL:
        return False
    code = function.__code__
    depth = len(slots) - _variables(code)
    at = offset
    while (i := _instructions(code).get(at)) and i.opname == "EXTENDED_ARG":
        at += 1
    return interruption(code, at, depth) == (offset, return_offset)


def check_generator(frame):
    """check() of a generator that is running: perhaps it was interrupted."""
    if not _is_interrupted(frame):
        check(frame)


def check_chain(frames):
    """check() of the frames of a tasklet.

    Those and only those that were interrupted have one of ours above that says
    so: they do not wait for a value.
    """
    interrupted = False
    for frame in reversed(frames):
        if type(frame) is not tuple:
            known = inspect.isgenerator(frame) or inspect.iscoroutine(frame)
            if not known and not inspect.isasyncgen(frame):
                raise ValueError("not the state of a frame")
            frame = _core._generator_state(frame)[0]
            if frame is None:
                raise ValueError("a generator that has finished")
        if not interrupted:
            check(frame)
        elif not _is_interrupted(frame):
            raise ValueError("a frame that was not interrupted")
        interrupted = frame[0] is INTERRUPTED
    if interrupted:
        raise ValueError("nothing that was interrupted")


# --- the instruction that a frame is at --------------------------------------

@functools.lru_cache(maxsize=256)
def _instructions(code):
    return {i.offset // 2: i for i in dis.get_instructions(code)}


def _caches(code, offset):
    """Code units of caches behind an instruction."""
    known = _instructions(code)
    end = offset + 1
    size = len(code.co_code) // 2
    while end < size and end not in known:
        end += 1
    return end - offset - 1


# Where WITH_EXCEPT_START finds the function that it calls.
_EXIT = -5 if sys.version_info >= (3, 14) else -4
# Items that an instruction takes from the stack, but for counted arguments.
_OPERANDS = {
    "CALL": 2,
    "CALL_KW": 3,
    "CALL_FUNCTION_EX": 3,
    "FOR_ITER": 1,
    "SEND": 1,  # the receiver stays
    "LOAD_ATTR": 1,
    "BINARY_SUBSCR": 2,
    "BEFORE_WITH": 1 if sys.version_info >= (3, 12) else 0,
    "WITH_EXCEPT_START": 0,
}


def _instruction_at(code, offset):
    """The instruction that makes the call, and its offset in code units."""
    instruction = _instructions(code).get(offset)
    if instruction is not None and instruction.opname == "PRECALL":
        offset += 1 + _caches(code, offset)  # 3.11: some make the call
        instruction = _instructions(code)[offset]
    return offset, instruction


class _Caller:
    """A frame in the middle of a C function that has called another frame."""

    def __init__(self, frame):
        self.function, self.locals, offset, _, marks, slots = frame
        self.code = self.function.__code__
        self.offset, self.instruction = _instruction_at(self.code, offset)
        if self.instruction is None:
            self.refuse()
        self.op = self.instruction.opname
        self.marks = marks
        self.slots = list(slots)
        for n, mark in enumerate(marks):
            if mark == _EMPTY:
                self.slots[n] = _NULL
            elif mark == _UNSURE:
                self.slots[n] = _Unsure(slots[n])

    def refuse(self):
        raise HardError(self.code, self.offset)

    def recognise(self, *candidates):
        """Those of the unsure ones that are among objects that live."""
        for n, slot in enumerate(self.slots):
            if type(slot) is _Unsure:
                for candidate in candidates:
                    if id(candidate) == slot.address:
                        self.slots[n] = candidate

    def inlined(self, pops, extra=0):
        """The frame as if its instruction had made an inlined call."""
        caches = _caches(self.code, self.offset)
        if caches + 1 + extra > _FURTHEST_RETURN:
            self.refuse()
        slots = self.slots[: len(self.slots) - pops]
        if any(type(slot) is _Unsure for slot in slots):
            self.refuse()
        marks = bytearray(len(slots))
        for n, slot in enumerate(slots):
            if slot is _NULL:
                marks[n] = _EMPTY
            elif self.marks and self.marks[n] != _UNSURE:
                marks[n] = self.marks[n]
        marks = bytes(marks) if any(marks) else b""
        values = tuple(None if slot is _NULL else slot for slot in slots)
        if _POSITION_IS_CALL:
            position = self.offset, caches + 1 + extra
        else:
            position = self.offset + caches, extra
        return (self.function, self.locals, *position, marks, values)

    def call(self):
        """(callable, arguments) of a CALL, and how many slots they take."""
        count = self.instruction.arg + (self.op == "CALL_KW")
        first, second = self.slots[-count - 2 :][:2]
        args = self.slots[len(self.slots) - count :]
        if sys.version_info < (3, 13) and first is _NULL:
            first, second = second, _NULL
        if second is not _NULL:
            args = [second, *args]
        return first, args, count + 2


def _init_frame(instance):
    return (_INIT, None, 0, int(_POSITION_IS_CALL), b"\0\1", (instance, None))


def _running_frame(function, awaitable, generator):
    slots = (awaitable, None, generator, None)[: 3 + _GAP]
    return function, None, *_INTERNAL[function][:2], _RUNNING_MARKS, slots


def _send_frame(generator):
    return _running_frame(_SEND, None, generator)


def _await_frame(awaitable, generator):
    return _running_frame(_AWAIT, awaitable, generator)


def _first_argument(frame):
    _, _, _, _, marks, slots = frame
    if not slots or marks and marks[0] == _EMPTY:
        return None
    value = slots[0]
    if type(value).__name__ == "cell":
        value = value.cell_contents
    return value


def _code_of(function):
    """None if that is no Python function; nothing of the program is asked."""
    if type(function) is types.MethodType:
        function = function.__func__
    is_function = type(function) is types.FunctionType
    return function.__code__ if is_function else None


_SENDERS = [
    kind.__dict__[name]
    for kind, name in (
        (types.GeneratorType, "send"),
        (types.GeneratorType, "__next__"),
        (types.CoroutineType, "send"),
    )
]


def _special(kind, name):
    """What a type defines under that name, if it is a function's code."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return _code_of(base.__dict__[name])
    return None


# --- one gap -----------------------------------------------------------------

def bridge(lower, upper):
    """Frames in place of `lower`, which C has let call `upper`.

    lower: a frame; upper: a frame or a generator.  HardError if the C code
    between them is not known.
    """
    caller = _Caller(lower)
    if type(upper) is not tuple:
        caller.recognise(upper, next, *_SENDERS, *awaits.SENDERS)
        return _bridge_generator(caller, upper)
    code = upper[0].__code__
    instance = _first_argument(upper)
    caller.recognise(upper[0], instance, type(instance))
    if caller.op in ("CALL", "CALL_KW"):
        return _bridge_call(caller, upper, code)
    if caller.op == "CALL_FUNCTION_EX":
        return _bridge_call_ex(caller, code)
    slots = caller.slots
    if caller.op == "BEFORE_WITH" and code.co_name == "__enter__":
        return _bridge_with(caller, code)
    if caller.op == "WITH_EXCEPT_START" and _code_of(slots[_EXIT]) is code:
        return [caller.inlined(0)]
    subscript = caller.op == "BINARY_SUBSCR" or (
        caller.op == "BINARY_OP" and caller.instruction.argrepr == "[]"
    )
    if subscript and _special(type(slots[-2]), "__getitem__") is code:
        return [caller.inlined(2)]
    if caller.op == "LOAD_ATTR":
        return _bridge_property(caller, code)
    caller.refuse()


def _bridge_generator(caller, generator):
    slots = caller.slots
    jump = caller.instruction.arg if _RETURN_JUMPS else 0
    if caller.op == "FOR_ITER" and slots[-1 - _GAP] is generator:
        return [caller.inlined(0, jump)]
    if caller.op == "SEND":
        receiver = slots[-2 - _GAP]
        lower = caller.inlined(1, jump)
        if receiver is generator:
            return [lower]
        if awaits.generator_of(receiver) is generator:
            return [lower, _await_frame(receiver, generator)]
    if caller.op == "CALL":
        receiver, size = _receiver_of_send(caller, generator)
        if receiver is generator:
            return [caller.inlined(size), _send_frame(generator)]
        if awaits.generator_of(receiver) is generator:
            return [caller.inlined(size), _await_frame(receiver, generator)]
    caller.refuse()


def _receiver_of_send(caller, generator):
    """What a CALL of send() or next() runs, or None, and how many slots it takes."""
    function, args, size = caller.call()
    if function is next:
        known = len(args) == 1  # not with a default
    elif type(function) is types.BuiltinMethodType:
        known = function.__name__ in ("send", "__next__")
        return function.__self__ if known else None, size
    else:
        senders = (*_SENDERS, *awaits.SENDERS)
        known = args and any(function is sender for sender in senders)
    if not known:
        return None, size
    if type(args[0]) is _Unsure:
        caller.recognise(*awaits.awaitables_of(generator))
        _, args, _ = caller.call()
    return args[0], size


def _bridge_call(caller, upper, code):
    function, _, size = caller.call()
    if not callable(function):
        function = _partial_at(function, upper[0])
    if (
        isinstance(function, type)
        and type(function) is type
        and function.__new__ is object.__new__
        and _special(function, "__init__") is code
    ):
        instance = _first_argument(upper)
        if not issubclass(type(instance), function):
            caller.refuse()  # self is another object by now
        return [caller.inlined(size), _init_frame(instance)]
    if type(function) is functools.partial:
        function = function.func
    if _code_of(function) is code or (
        code.co_name == "__call__"
        and _special(type(function), "__call__") is code
    ):
        return [caller.inlined(size)]
    caller.refuse()


def _partial_at(slot, function):
    """The partial of a function that a call has found at a slot, or None.

    While it calls the function, one argument may be in its place, if that is
    all that it has bound.  If that can be called it may have been there before.
    """
    address = slot.address if type(slot) is _Unsure else id(slot)
    for partial in gc.get_referrers(function):
        if type(partial) is not functools.partial:
            continue
        if id(partial) == address:
            return partial
        if partial.func is function and len(partial.args) == 1:
            (bound,) = partial.args
            hidden = id(bound) == address and not callable(bound)
            if hidden and not partial.keywords:
                return partial
    return None


def _bridge_call_ex(caller, code):
    if sys.version_info >= (3, 14):
        size = 4
    else:
        size = 3 + (caller.instruction.arg & 1)
    first, second = caller.slots[len(caller.slots) - size :][:2]
    function = second if first is _NULL else first
    if _code_of(function) is code:
        return [caller.inlined(size)]
    caller.refuse()


def _bridge_with(caller, code):
    in_place = sys.version_info < (3, 12)  # its __exit__, already
    manager = caller.slots[-1]
    if in_place:
        method = type(manager) is types.MethodType
        manager = manager.__self__ if method else None
    if _special(type(manager), "__enter__") is not code:
        caller.refuse()
    if in_place:
        return [caller.inlined(0)]
    leave = type(manager).__exit__.__get__(manager, type(manager))
    caller.slots[-1] = leave
    return [caller.inlined(0)]


def _bridge_property(caller, code):
    method = sys.version_info >= (3, 12) and caller.instruction.arg & 1
    name = caller.instruction.argval
    kind = type(caller.slots[-1])
    found = next(
        (base.__dict__[name] for base in kind.__mro__ if name in base.__dict__),
        None,
    )
    if (
        method
        or type(found) is not property
        or _code_of(found.fget) is not code
        or hasattr(kind, "__getattr__")  # C calls it if the property fails
        or kind.__getattribute__ is not object.__getattribute__
    ):
        caller.refuse()
    return [caller.inlined(1)]


# --- all of them -------------------------------------------------------------

def _see_that_there_is_one(frame, frames, n):
    """A frame above the C code that frame number n has called."""
    if n + 2 >= len(frames):
        raise HardError(frame[0].__code__, frame[2])


def soften(frames):
    """(frames without gaps, states of the generators that have changed).

    frames: as of _core._tasklet_state(): frames, generators, None for a gap.
    The states are by id() of the generator.
    """
    soft = []
    generators = {}
    for n, frame in enumerate(frames):
        if frame is None:
            continue
        gap = n + 1 < len(frames) and frames[n + 1] is None
        if type(frame) is tuple:
            if gap:
                _see_that_there_is_one(frame, frames, n)
                soft += bridge(frame, frames[n + 2])
            else:
                soft.append(frame)
            continue
        state = _core._generator_state(frame, extent_of)
        between = []
        if gap:
            _see_that_there_is_one(state[0], frames, n)
            lower, *between = bridge(state[0], frames[n + 2])
            state = (lower, *state[1:])
        generators[id(frame)] = state
        soft += [frame, *between]
    return tuple(soft), generators
