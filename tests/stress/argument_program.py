"""Bad input for everything public, made from the stubs (public_names.py).

    argument_program.py cases [NAME ...]      every case, or those of the names
    argument_program.py random SEED ROUNDS    whatever comes, to see if it dies

A case calls one thing with one set of arguments, on one target, in one kind
of place.  It may succeed; else it raises what docs/api.md gives for that name,
and nothing has changed.  Afterwards all works as ever, and nothing leaks.
What is not so is printed as BAD; the exit status tells.
STACKLESS_TEST_HARD=1 forces every switch hard.
"""

import array
import contextlib
import faulthandler
import functools
import gc
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import argument_cases as cases
import operations
import public_names
import stackless
from argument_cases import GOOD, TARGETS, Marker

try:
    from stackless import _coretest
except ImportError:  # a build for users
    _coretest = None

# Seconds; builds that take longer say so.
TIME_LIMIT = max(110, float(os.environ.get("STACKLESS_TEST_TIMEOUT", "0")))
HARD = os.environ.get("STACKLESS_TEST_HARD", "0") not in ("", "0")
JIT = hasattr(sys, "_jit") and sys._jit.is_enabled()
# At most; none where blocks are not counted (Python uses malloc()), or rise
# anyhow: the JIT compiles ever more.
REPETITIONS = 5 if sys.getallocatedblocks() and not JIT else 0
IDLE_C_STACKS = stackless.get_stats()["c_stacks_idle"] or 64

PUBLIC = public_names.public()
reports = {}
counts = {"calls": 0, "refusals": 0}


def report(each, title, *what):
    """Once for each name and fault; the other cases are counted."""
    fault = each.qualified, *map(str, what)
    if fault not in reports:
        print("BAD", each.qualified, title, *what, flush=True)
    reports[fault] = reports.get(fault, 0) + 1


# --- what must not change -----------------------------------------------------

# Of the running tasklet, a call may use up its tempval, and these are made
# anew each time they are asked for.
PASSING = {"frame", "cstate"}
ATTRIBUTES = {
    owner: [
        each.name
        for each in PUBLIC.values()
        if each.owner == owner
        and each.kind in ("readonly", "writable")
        and each.name not in PASSING
    ]
    for owner in TARGETS
}
GETTERS = (
    stackless.getcurrent,
    stackless.getruncount,
    stackless.get_channel_callback,
    stackless.get_schedule_callback,
    stackless.switch_trap,
    stackless.pickle_flags,
    stackless.pickle_flags_default,
    functools.partial(stackless.enable_softswitch, None),
    lambda: len(stackless.all_tasklets()),
    lambda: stackless.get_stats()["c_stack_size"],
    lambda: stackless.get_thread_info(-1, 1 << 31)[3:],
)


def attributes(owner, instance):
    names = ATTRIBUTES[owner]
    if owner == "tasklet" and instance.is_current:
        names = [name for name in names if name != "tempval"]
    if owner == "tasklet" and isinstance(instance.tempval, stackless.bomb):
        names = [name for name in names if name != "tempval"]
    return [(name, getattr(instance, name)) for name in names]


def snapshot(*targets):
    """All that can be seen of the scheduler and the targets."""
    seen = [getter() for getter in GETTERS]
    instances = [*stackless.all_tasklets(), *targets]
    tasklet = stackless.getcurrent().next
    while not tasklet.is_current:
        seen.append(tasklet)
        tasklet = tasklet.next
    for instance in instances:
        for owner in TARGETS:
            if isinstance(instance, getattr(stackless, owner)):
                seen += attributes(owner, instance)
    return seen


def same(one, another):
    if isinstance(one, tuple | list) and type(one) is type(another):
        return len(one) == len(another) and all(map(same, one, another))
    if isinstance(one, int | str):
        return type(one) is type(another) and one == another
    return one is another


def difference(before, after):
    pairs = zip(before, after)
    found = [pair for pair in pairs if not same(*pair)]
    return found[:3] or f"{len(before)} things, then {len(after)}"


# --- a call -------------------------------------------------------------------

unraisable = []


def remember(hint):
    if not isinstance(hint.exc_value, (*cases.SENT, RuntimeError, TypeError)):
        unraisable.append(repr(hint.exc_value))


def attempt(each, title, function, *targets, strict=True):
    """Make the call; see what it raises, and what has changed then.

    `strict`: unless a call of it acts upon the scheduler, in one way or
    another, an error changes nothing.
    """
    before = snapshot(*targets)
    counts["calls"] += 1
    try:
        result = function()
    except BaseException as error:
        counts["refusals"] += 1
        judge(each, title, error)
        refused = not cases.was_sent(error)
        kind = type(error).__name__
    else:
        del result
        return None
    if strict and refused and each.name not in LOOPS:
        after = snapshot(*targets)
        if not same(before, after):
            changed = difference(before, after)
            report(each, title, kind, "changed", changed)
    return kind


def judge(each, title, error):
    allowed = public_names.documented_errors(each)
    kind = type(error).__name__
    if cases.was_sent(error):
        return
    if kind not in allowed:
        report(each, title, "raised", repr(error))
    elif not str(error):
        report(each, title, kind, "says nothing")


def reset():
    sys.settrace(None)
    sys.setprofile(None)
    stackless.set_schedule_callback(None)
    stackless.set_channel_callback(None)
    stackless.set_error_handler(None)
    stackless.switch_trap(-stackless.switch_trap())
    stackless.enable_softswitch(not HARD)
    stackless.pickle_flags(0)
    stackless.pickle_flags_default(0)
    stackless.preempt(None)
    stackless.set_slow_call_handler(None, None)
    main = stackless.getmain()
    main.block_trap = False
    main.set_atomic(False)
    main.set_ignore_nesting(False)
    main.tempval = None
    main.name = "main"


def sane():
    stackless.schedule(None)
    cases.through_c(stackless.schedule)


def tidy(each, title):
    """Put things back, and see that they work."""
    cases.target = None
    cases.collect_hostile()  # or their destructors act in the next case
    reset()
    cases.kill_all()
    cases.clean_other()
    with contextlib.suppress(*cases.SENT):
        stackless.run()
    tasklet = stackless.tasklet(sane)()
    stackless.run()
    if tasklet.alive or stackless.getruncount() != 1:
        report(each, title, "left", stackless.getruncount())
    if not stackless.getcurrent().is_main:
        report(each, title, "main is not current")
    if unraisable:
        report(each, title, "could not raise", unraisable.pop())
        unraisable.clear()
    if _coretest:
        _coretest.check()


@contextlib.contextmanager
def case(each, title):
    """Whatever else happens in the block is the case's affair."""
    try:
        yield
    except cases.SENT:
        pass
    except (RuntimeError, TypeError) as error:
        # What its tasklets met: a deadlock, the wrong bomb.
        if not str(error):
            report(each, title, "says nothing", repr(error))
    tidy(each, title)


# --- what there is to call ----------------------------------------------------


def targets_of(each):
    """(title, maker of a target) for all states; functions have none."""
    if each.owner is None:
        return {"": lambda: None}
    return TARGETS[each.owner]


def bound(each, target):
    """What to call: a method of the target, or the function or type."""
    return getattr(stackless if target is None else target, each.name)


def good(each):
    """Arguments that fit, for the parameters that need one."""
    return [GOOD[each.annotation]() for each in each.required]


def all_good(each):
    """All those that may be given by position."""
    return [
        GOOD[each.annotation]()
        for each in each.parameters
        if not each.keyword_only
    ]


# Each item is sent by itself; errors are those of the function called.
LOOPS = {"send_sequence", "context_run"}
# Python functions: they have no type to refuse.
UNTYPED = {"send_sequence", "__iter__", "dump"}
# More than the time would allow, or what is right.
HARMFUL = {
    ("test_cframe_nr", "2**31"): "schedules 2**31 times",
    ("ChangedCodeError", "a channel"): "is iterated: a deadlock",
}


def counts_of_arguments(each):
    """(title, args, kwargs) that no call may have."""
    given = all_good(each)
    if each.required:
        yield "too few", good(each)[:-1], {}
    if not each.var_positional:
        yield "too many", [*given, None], {}
        yield "many", [None] * 100, {}
    if each.var_keyword:
        return
    yield "wrong keyword", good(each), {"no_such_parameter": None}
    for index, parameter in enumerate(each.parameters):
        if parameter.positional_only:
            before = given[:index]
            yield "no keyword", before, {parameter.name: given[index]}
        elif not each.var_positional and not parameter.keyword_only:
            yield "given twice", given, {parameter.name: given[index]}


def attack_counts(each):
    for state, make in targets_of(each).items():
        for title, args, kwargs in counts_of_arguments(each):
            title = f"({state}) {title}"
            with case(each, title):
                target = make()
                call = functools.partial(bound(each, target), *args, **kwargs)
                kind = attempt(each, title, call, target)
                if kind != "TypeError":
                    report(each, title, "gave", kind)
                del target, call


def attack_receivers(each):
    """Methods called for something else."""
    if each.owner is None:
        return
    method = getattr(getattr(stackless, each.owner), each.name)
    wrong = (None, 1, object(), stackless.channel(), stackless.tasklet())
    for instance in wrong:
        if isinstance(instance, getattr(stackless, each.owner)):
            continue
        title = f"of {type(instance).__name__}"
        with case(each, title):
            call = functools.partial(method, instance, *good(each))
            if each.name == "__iter__":  # a generator function
                call = functools.partial(lambda f: next(f()), call)
            kind = attempt(each, title, call)
            errors = ("AttributeError", "FreezeError")
            untyped = each.name in UNTYPED and kind in errors
            if kind != "TypeError" and not untyped:
                report(each, title, "gave", kind)
    with case(each, "of nothing"):
        if attempt(each, "of nothing", method) != "TypeError":
            report(each, "of nothing", "gave no TypeError")


# The states that are worth each value; all are met with values that fit.
SOME_STATES = {
    "tasklet": ["bound", "paused", "finished", "main"],
    "channel": ["new", "with a receiver", "closing, with a sender"],
    "bomb": ["full"],
    "atomic": ["new", "entered"],
    "Pickler": ["new"],
    "Unpickler": ["new"],
    None: [""],
}


HOSTILE_STATES = {
    "tasklet": ["bound", "paused"],
    "channel": ["with a receiver"],
    "bomb": ["full"],
    "atomic": ["entered"],
    "Pickler": ["new"],
    "Unpickler": ["new"],
    None: [""],
}


def with_value(each, index, value):
    """Good arguments, but for this one, as (args, kwargs)."""
    parameter = each.parameters[index]
    if parameter.keyword_only:
        return good(each), {parameter.name: value}
    args = all_good(each)[: index + 1]
    args[index] = value
    args += [GOOD[p.annotation]() for p in each.required[len(args) :]]
    return args, {}


def attack_values(each):
    for state in SOME_STATES[each.owner]:
        for index, parameter in enumerate(each.parameters):
            for name, make in cases.VALUES.items():
                if (each.qualified, name) in HARMFUL:
                    continue
                title = f"({state}) {parameter.name}={name}"
                with case(each, title):
                    target = targets_of(each)[state]()
                    args, kwargs = with_value(each, index, make())
                    function = bound(each, target)
                    call = functools.partial(function, *args, **kwargs)
                    attempt(each, title, call, target)
                    del target, args, kwargs, call, function


def attack_hostile_values(each):
    for state in HOSTILE_STATES[each.owner]:
        for index, parameter in enumerate(each.parameters):
            for name, make in cases.HOSTILE.items():
                for doing, action in cases.ACTIONS.items():
                    title = f"({state}) {parameter.name}={name} that {doing}"
                    with case(each, title):
                        hostile_call(each, title, state, index, make, action)


def hostile_call(each, title, state, index, make, action):
    target = cases.target = targets_of(each)[state]()
    stackless.tasklet(cases.idle)()
    args, kwargs = with_value(each, index, make(action))
    call = functools.partial(bound(each, target), *args, **kwargs)
    del args, kwargs
    attempt(each, title, call, target, strict=action is cases.fail)


def attack_places(each):
    for state, make in targets_of(each).items():
        for place, perform in cases.PLACES.items():
            title = f"({state}) in {place}"
            with case(each, title):
                target = make()
                arguments = good(each)

                def call():
                    value = bound(each, target)(*arguments)
                    if each.name == "__iter__":
                        next(value, None)

                perform(
                    functools.partial(attempt, each, title, call, target)
                )
                del target, arguments, call


def attack_type(each):
    """Constructors, called in other ways than type()."""
    kind = getattr(stackless, each.name)
    for title, call in {
        "new of nothing": lambda: kind.__new__(),
        "new of another type": lambda: kind.__new__(int),
        "object.__new__": lambda: object.__new__(kind),
        "init of another": lambda: kind.__init__(object(), 1, 2, 3, 4),
    }.items():
        with case(each, title):
            plain = kind is stackless.atomic and title == "object.__new__"
            if attempt(each, title, call) != "TypeError" and not plain:
                report(each, title, "gave no TypeError")
    if TARGETS.get(each.name):
        attack_init_again(each, kind)


def attack_init_again(each, kind):
    for state, make in TARGETS[each.name].items():
        title = f"({state}) init again"
        with case(each, title):
            target = make()
            call = functools.partial(kind.__init__, target, *all_good(each))
            attempt(each, title, call, target)
            del target, call


# --- attributes ---------------------------------------------------------------


def attack_attribute(each):
    for state, make in targets_of(each).items():
        read_and_delete(each, state, make)
        set_attribute(each, state, "None", lambda: None)


def attack_writable(each):
    attack_attribute(each)
    for state in SOME_STATES[each.owner]:
        for name, value in cases.VALUES.items():
            set_attribute(each, state, name, value)
    for state in HOSTILE_STATES[each.owner]:
        for name, make in cases.HOSTILE.items():
            for doing, action in cases.ACTIONS.items():
                value = functools.partial(make, action)
                title = f"{name} that {doing}"
                strict = action is cases.fail
                set_attribute(each, state, title, value, strict)


def set_attribute(each, state, name, value, strict=True):
    title = f"({state}) = {name}"
    with case(each, title):
        target = cases.target = targets_of(each)[state]()
        place = place_of(target)
        call = functools.partial(setattr, place, each.name, value())
        kind = attempt(each, title, call, target, strict=strict)
        if each.kind == "readonly" and kind != "AttributeError":
            report(each, title, "gave", kind)
        with contextlib.suppress(*cases.SENT):
            getattr(place, each.name)


def place_of(target):
    return stackless if target is None else target


def read_and_delete(each, state, make):
    title = f"({state}) delete"
    with case(each, title):
        target = make()
        getattr(place_of(target), each.name)
        call = functools.partial(delattr, place_of(target), each.name)
        kind = attempt(each, title, call, target)
        if each.kind == "readonly" and kind != "AttributeError":
            report(each, title, "gave", kind)
        getattr(place_of(target), each.name)
        del target, call


# --- all ----------------------------------------------------------------------

ATTACKS = {
    "function": [
        attack_counts,
        attack_values,
        attack_hostile_values,
        attack_places,
    ],
    "method": [
        attack_counts,
        attack_receivers,
        attack_values,
        attack_hostile_values,
        attack_places,
    ],
    "type": [
        attack_counts,
        attack_values,
        attack_hostile_values,
        attack_places,
        attack_type,
    ],
    "readonly": [attack_attribute],
    "writable": [attack_writable],
    "variable": [attack_writable],
}
# The module is a module: these are its to set, and to have back.
OVERWRITTEN = {"stackless"}
# Attributes of ordinary Python objects; methods that pickle and we call.
ORDINARY = {
    each.qualified
    for each in PUBLIC.values()
    if each.owner in ("FreezeError", "ChangedCodeError")
}
ORDINARY |= {"Pickler.reducer_override"}
ORDINARY |= {"Unpickler.find_class"}
# Makes copies of tasklets of this program, which go on with it.
ORDINARY |= {"tasklet.__deepcopy__"}


def attack(each):
    for one in ATTACKS[each.kind]:
        one(each)
    stackless.set_c_stacks(idle=IDLE_C_STACKS)


def census():
    operations.clear_caches()
    gc.collect()
    return (
        getattr(sys, "gettotalrefcount", int)(),
        sys.getallocatedblocks(),
        stackless.get_stats()["tasklets"],
        stackless.get_stats()["c_stacks"],
    )


def attack_repeatedly(each):
    """See that nothing leaks: that nothing rises each time."""
    # Machine integers, made before: counting must not count itself.
    rows = [array.array("q", census()) for _ in range(REPETITIONS + 1)]
    for index, row in enumerate(rows):
        attack(each)
        row[:] = array.array("q", census())
        if index and not any(map(int.__gt__, row, rows[index - 1])):
            return
    for column in zip(*rows):
        steps = [b - a for a, b in zip(column, column[1:])]
        if steps and min(steps) > 0:
            report(each, "repeated", "leaks", steps)


def attack_all(names):
    for name in names or PUBLIC:
        if name not in OVERWRITTEN | ORDINARY:
            attack_repeatedly(PUBLIC[name])
            print(name, counts, flush=True)


# --- at random ----------------------------------------------------------------

NEVER = {"test_cframe_nr", "set_c_stacks"}  # for ever; for good
if sys.version_info[:2] in ((3, 12), (3, 13)):
    # There f(*a_list) releases the list twice if f is a C function and the
    # profile function raises, with no tasklet in sight.
    NEVER.add("profile_function")
SPECIAL = {
    # What every object has, and what CPython itself takes amiss.
    "__class__",
    "__dict__",
    "__dir__",
    "__doc__",
    "__getattribute__",
    "__init_subclass__",
    "__reduce_ex__",
    "__sizeof__",
    "__subclasshook__",
}
EVERY_ERROR = (Exception, SystemExit, GeneratorExit, KeyboardInterrupt)


def names_of(kind):
    return sorted(set(dir(kind)) - SPECIAL - NEVER)


def random_value(chance):
    """From all that there is."""
    kinds = (*TARGETS.values(), cases.VALUES)
    if chance.random() < 0.3:
        make = chance.choice(list(cases.HOSTILE.values()))
        return make(chance.choice(list(cases.ACTIONS.values())))
    return chance.choice(list(chance.choice(kinds).values()))()


def random_action(chance, values):
    """Call something, or set something, with some of the values."""
    instance = chance.choice(values)
    kinds = [getattr(stackless, owner) for owner in TARGETS]
    place = chance.choice([stackless, instance, *kinds])
    names = names_of(type(instance)) if place is instance else names_of(place)
    if place is stackless:
        names = sorted(set(stackless.__all__) - NEVER)
    name = chance.choice(names)
    arguments = [chance.choice(values) for _ in range(chance.randrange(4))]
    cases.target = instance
    if place is instance and chance.random() < 0.3:
        setattr(instance, name, chance.choice(values))
        return None
    attribute = getattr(place, name)
    ours = isinstance(instance, tuple(kinds))
    if callable(attribute) and (place is not instance or ours):
        return attribute(*arguments)
    return attribute


def random_round(chance):
    values = [random_value(chance) for _ in range(15)]
    for _ in range(15):
        try:
            result = random_action(chance, values)
            counts["calls"] += 1
            if chance.random() < 0.3:
                values.append(result)
        except EVERY_ERROR:
            counts["refusals"] += 1


def settle():
    """As tidy(), where the tasklets may do anything to each other."""
    for _ in range(5):  # a tracer that raises is gone afterwards
        try:
            reset()
            cases.kill_all()
            cases.clean_other()
            stackless.run()
            return
        except EVERY_ERROR:
            pass


def attack_at_random(seed, rounds):
    chance = random.Random(seed)
    for index in range(rounds):
        # Not suppress(): a tracer that fails would do so in its __exit__().
        try:
            stackless.tasklet(random_round)(chance)
            stackless.run()
        except EVERY_ERROR:
            pass
        try:
            settle()
        except EVERY_ERROR:  # main's tracer, which is gone now
            settle()
        if index % 10 == 0:
            gc.collect()
    settle()
    tasklet = stackless.tasklet(sane)()
    stackless.run()
    sound = not tasklet.alive and stackless.getruncount() == 1
    if not sound or min(counts.values()) < rounds:
        report(PUBLIC["tasklet"], "at random", sound, counts)


def main():
    faulthandler.enable()
    faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
    sys.unraisablehook = remember
    sys.stderr = cases.Writer()  # print_stacks() writes there
    reset()
    cases.begin()
    gc.collect()
    gc.freeze()  # collections look at the cases' objects only
    try:
        if sys.argv[1] == "random":
            attack_at_random(*map(int, sys.argv[2:]))
        else:
            attack_all(sys.argv[2:])
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        sys.stderr = sys.__stderr__
    print("END", reports, counts)
    return bool(reports)


if __name__ == "__main__":
    sys.exit(main())
