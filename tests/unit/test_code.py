"""compat_code.c: the functions that it assembles, read back with dis.

Each instruction must decode, with the caches that this interpreter expects;
jumps land on instructions; the stack neither underflows nor outgrows what the
code declares.  What a point relies on in the interpreter is checked too: with
the JIT, ops are asked by SEND, which is never compiled.  Without it a quick op
and the dispatcher's are asked by UNARY_INVERT, and set what comes next: the
instruction, or how far its jump goes.
"""

import dis
import gc
import opcode
import pathlib
import re
import sys
import sysconfig
import types

import pytest

import stackless

V = sys.version_info[:2]
DEBUG = hasattr(sys, "gettotalrefcount")
HEADER = pathlib.Path(
    sysconfig.get_path("include"), "internal/pycore_opcode_metadata.h"
)


def assembled():
    """All functions that were assembled, by kind and name."""
    found = {}
    ours = [
        f
        for f in gc.get_objects()
        if isinstance(f, types.FunctionType)
        and f.__code__.co_filename == "<stackless>"
    ]
    # Points that only show the signature of others, and share their gates.
    shown = [f.__wrapped__ for f in ours if hasattr(f, "__wrapped__")]
    for f in ours:
        name = f.__qualname__
        kind = "internal" if name in INTERNAL else "gate"
        if any(isinstance(c, types.FunctionType) for c in consts(f)):
            kind = "shown" if f in shown else "point"
        while f"{kind} {name}" in found:
            name += "'"  # the gates of run() and tasklet.run()
        found[f"{kind} {name}"] = f
    return found


def has_jit():
    if V >= (3, 14):
        return sys._jit.is_enabled()
    return "experimental-jit" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


# How an op is asked.
ASK = "FOR_ITER" if (3, 12) <= V < (3, 15) and not has_jit() else "SEND"
# Are quick ops and the dispatcher's asked by UNARY_INVERT?
INVERTS = not has_jit()
INTERNAL = {
    "dispatcher", "resume", "resumed", "call", "init", "generator", "value",
    "awaitable", "interrupted", "called",
}  # fmt: skip
# Their frames begin with a value on the stack: of a gate, or of what they call.
BEGUN = {"internal resumed", "internal init", "internal value"}
if V >= (3, 14):
    BEGUN.add("internal interrupted")
QUICK_POINTS = {
    "point schedule", "point schedule_remove", "point channel.send",
    "point channel.receive", "shown schedule",
}  # fmt: skip


def consts(function):
    return function.__code__.co_consts


FUNCTIONS = assembled()
POINTS = {n: f for n, f in FUNCTIONS.items() if n.startswith("point")}


def instructions(function, **options):
    return list(dis.get_instructions(function, **options))


def names(function, **options):
    return [each.opname for each in instructions(function, **options)]


def is_set(function):
    """Offset of the instruction that an op sets, or whose jump; or None."""
    listed = instructions(function)
    for asks, follows in zip(listed, listed[1:]):
        if asks.opname == "UNARY_INVERT":
            return follows.offset
    return None


def base(name):
    """The instruction that an adaptive or specialised one stands for."""
    if V >= (3, 13):
        import _opcode_metadata

        families = _opcode_metadata._specializations
    else:
        families = opcode._specializations
    for general, special in families.items():
        if name in special:
            return general
    return name.removesuffix("_ADAPTIVE")


every_function = pytest.mark.parametrize("name", FUNCTIONS)


def test_all_are_found():
    kinds = [name.split()[0] for name in FUNCTIONS]
    assert kinds.count("point") == kinds.count("gate") >= 12
    assert kinds.count("shown") == (V >= (3, 13))
    assert "internal dispatcher" in FUNCTIONS
    assert "internal resume" in FUNCTIONS
    assert BEGUN | {"internal generator"} <= set(FUNCTIONS)
    assert ("internal call" in FUNCTIONS) == (V >= (3, 12))


@every_function
def test_each_instruction_is_known(name):
    for each in instructions(FUNCTIONS[name]):
        assert not each.opname.startswith("<"), each
        assert each.opname in opcode.opmap, each


@every_function
def test_caches_are_as_long_as_expected(name):
    code = FUNCTIONS[name].__code__.co_code
    cache = opcode.opmap["CACHE"]
    offset = 0
    while offset < len(code):
        op = code[offset]
        opname = opcode.opname[op]
        assert op != cache, f"a stray cache at {offset}"
        expected = inline_caches(op)
        offset += 2
        for _ in range(expected):
            assert code[offset] == cache, f"a cache is missing in {opname}"
            offset += 2
    assert offset == len(code)


def inline_caches(op):
    entries = opcode._inline_cache_entries
    if hasattr(entries, "get"):  # by name: a dict, or frozendict
        return entries.get(opcode.opname[op], 0)
    return entries[op]


@every_function
def test_jumps_land_on_instructions(name):
    listed = instructions(FUNCTIONS[name])
    starts = {each.offset for each in listed}
    jumps = [
        each
        for each in listed
        if each.opcode in dis.hasjrel or each.opcode in dis.hasjabs
    ]
    for each in jumps:
        assert each.argval in starts, each


@every_function
def test_constants_are_there(name):
    function = FUNCTIONS[name]
    for each in instructions(function):
        if each.opname == "LOAD_CONST":
            assert each.arg < len(consts(function)), each


@every_function
def test_the_stack_fits(name):
    """Follow each path: never below the bottom, never above what is said."""
    code = FUNCTIONS[name].__code__
    listed = {each.offset: each for each in instructions(code)}
    following = dict(zip(listed, [*listed][1:]))
    depths, todo = {}, [(0, name in BEGUN)]
    if INVERTS and name == "internal dispatcher":
        # Its jump leads behind each of the calls.
        todo += [(following[each.offset], 1) for each in listed.values()
                 if each.opname == "JUMP_BACKWARD_NO_INTERRUPT"
                 and listed[following.get(each.offset, 0)].opname
                 in ("PUSH_NULL", "POP_TOP")]
    elif INVERTS and name in QUICK_POINTS:
        todo.append((following[is_set(code)], 0))
    while todo:
        offset, depth = todo.pop()
        if offset in depths:
            assert depths[offset] == depth, f"two depths at {offset}"
            continue
        depths[offset] = depth
        assert 0 <= depth <= code.co_stacksize, (offset, depth)
        each = listed[offset]
        argument = each.arg if each.opcode >= opcode.HAVE_ARGUMENT else None
        if each.opcode in dis.hasjrel:
            effect = dis.stack_effect(each.opcode, argument, jump=True)
            todo.append((each.argval, depth + effect))
        if "JUMP_BACK" in each.opname or each.opname == "RETURN_VALUE":
            continue
        effect = dis.stack_effect(each.opcode, argument, jump=False)
        todo.append((following[offset], depth + effect))
    handlers = len(code.co_exceptiontable) > 0
    assert handlers or set(depths) == set(listed), "an unreachable instruction"


@every_function
def test_nothing_that_tools_or_signals_could_see(name):
    """RESUME, JUMP_BACKWARD and the like look for signals and hand over."""
    seen = set(names(FUNCTIONS[name]))
    assert not seen & {"RESUME", "JUMP_BACKWARD", "YIELD_VALUE"}
    assert FUNCTIONS[name].__code__.co_flags & 0x40000000


@pytest.mark.parametrize("name", POINTS)
def test_a_point_calls_its_gate_and_then_asks(name):
    # Version by version: whatever else there is, this order.
    wanted = ["LOAD_CONST", "CALL", "SEND", "FOR_ITER", "RETURN_VALUE",
              "UNARY_INVERT"]
    change = is_set(POINTS[name])
    got = [each.opname for each in instructions(POINTS[name])
           if each.opname in wanted and each.offset != change]
    asks = ["LOAD_CONST"] * (ASK == "SEND") + [ASK, "RETURN_VALUE"]
    quick = []
    if name in QUICK_POINTS:
        quick = ["LOAD_CONST", *(["UNARY_INVERT"] if INVERTS else asks)]
    reraises = ["LOAD_CONST", "CALL", "RETURN_VALUE"]
    assert got == [*quick, "LOAD_CONST", "CALL", *asks, *reraises]


@pytest.mark.parametrize("name", POINTS)
def test_a_point_has_a_gate_of_its_own(name):
    gates = [c for c in consts(POINTS[name]) if hasattr(c, "__code__")]
    assert len(gates) == 1
    others = [
        c
        for other, point in POINTS.items()
        if other != name
        for c in consts(point)
    ]
    assert gates[0] not in others
    assert gates[0].__code__.co_argcount == 0


def test_the_dispatcher_has_a_call_for_each_number_of_arguments():
    calls = [
        each.arg
        for each in instructions(FUNCTIONS["internal dispatcher"])
        if each.opname == "CALL"
    ]
    assert sorted(calls) == list(range(len(calls)))


# --- what is relied on -------------------------------------------------------


def switch_much():
    def body(channel):
        for _ in range(3000):
            channel.send(stackless.schedule())

    channel = stackless.channel()
    stackless.tasklet(body)(channel)
    stackless.tasklet(lambda: [channel.receive() for _ in range(3000)])()
    stackless.run()


@every_function
def test_what_asks_is_never_specialised(name):
    """A specialised SEND could be compiled, and a trace run past a switch."""
    switch_much()
    asks = [
        each
        for each in names(FUNCTIONS[name], adaptive=True)
        if base(each) in ("SEND", "FOR_ITER")
    ]
    if name in ("internal generator", "internal awaitable"):
        return  # their frames are made where SEND has begun
    assert set(asks) <= {ASK}
    others = {"internal call", "internal init", "internal value"}
    if INVERTS:
        others.add("internal dispatcher")
    assert asks or name in others


@pytest.mark.skipif(not INVERTS, reason="points ask by SEND")
def test_an_op_sets_what_follows_its_question():
    code = FUNCTIONS["point schedule"].__code__
    offset = is_set(code)

    def body():
        for _ in range(3):
            stackless.schedule()
            seen.append(opcode.opname[code._co_code_adaptive[offset]])

    def answers(callback):
        """What followed, and whether they switched in one go."""
        seen.clear()
        before = stackless.get_stats()["quick_switches"]
        stackless.set_schedule_callback(callback)
        stackless.tasklet(body)()
        stackless.tasklet(body)()
        stackless.run()
        stackless.set_schedule_callback(None)
        return set(seen), stackless.get_stats()["quick_switches"] > before

    seen = []
    for _ in range(2):
        found, quick = answers(None)
        assert "RETURN_VALUE" in found if quick else found == {"POP_TOP"}
        assert answers(lambda *_: None) == ({"POP_TOP"}, False)


@pytest.mark.parametrize(
    "name", ["point channel.send", "point schedule", "internal dispatcher"]
)
def test_specialised_code_still_decodes(name):
    change = is_set(FUNCTIONS[name])

    def listed(**options):
        found = instructions(FUNCTIONS[name], **options)
        return [base(each.opname) for each in found if each.offset != change]

    before = listed()
    switch_much()
    assert listed(adaptive=True) == before


@pytest.mark.skipif(V < (3, 13), reason="no micro-ops before 3.13")
@pytest.mark.skipif(not HEADER.exists(), reason="needs Python's headers")
def test_send_has_no_micro_ops():
    text = HEADER.read_text()
    table = text[text.index("_PyOpcode_macro_expansion[256] = {") :]
    table = table[: table.index("\n};")]
    expanded = set(re.findall(r"\[(\w+)\] = ", table))
    assert {"LOAD_CONST", "POP_TOP", "RETURN_VALUE"} & expanded
    assert "SEND" not in expanded
    # The dispatcher's way back: no trace starts there.
    assert "JUMP_BACKWARD_NO_INTERRUPT" not in expanded or V >= (3, 15)


@pytest.mark.skipif(V < (3, 13), reason="no executors before 3.13")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_executor_is_made_for_our_code(name):
    _opcode = pytest.importorskip("_opcode")
    switch_much()
    code = FUNCTIONS[name].__code__
    for each in instructions(code):
        try:
            executor = _opcode.get_executor(code, each.offset)
        except (ValueError, RuntimeError):
            continue
        assert executor is None, each
