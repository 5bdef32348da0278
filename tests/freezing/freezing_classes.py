"""Programs that are frozen at every point: classes made inside functions.

As everywhere in these programs, what they return is compared with a run that
is not frozen.
"""

import abc
import collections
import dataclasses
import enum
import functools
import sys
import types
import typing

import stackless
from freezing_support import note, point, program


@program
def local_class():
    class Point:
        """Two numbers."""

        count = 0
        shared = []

        def __init__(self, x, y):
            self.x, self.y = x, y
            Point.count += 1

        def __eq__(self, other):
            return (self.x, self.y) == (other.x, other.y)

        def __hash__(self):
            return hash((self.x, self.y))

        @property
        def sum(self):
            "Of both."
            return self.x + self.y

        @sum.setter
        def sum(self, value):
            self.x = value - self.y

        @staticmethod
        def static(a):
            return "static", a

        @classmethod
        def make(cls, n):
            return cls(n, n)

    one = Point(1, 2)
    point("made")
    two = Point.make(4)
    two.sum = 10
    point("two")
    return (
        isinstance(one, Point), type(two) is Point, {one, Point(1, 2)} == {one},
        Point.__name__, Point.__qualname__, Point.__module__, Point.__doc__,
        Point.sum.__doc__, two.sum, Point.count, Point.static(3),
        one.static(4), Point.__bases__ == (object,), Point.__mro__[1:],
        sorted(k for k in vars(Point) if not k.startswith("__")),
    )  # fmt: skip


@program
def local_inheritance():
    class Base:
        def __init__(self, log):
            self.log = log

        def say(self, what):
            self.log.append(("base", what, __class__.__name__))
            point("in base")
            return what

    class Left(Base):
        def say(self, what):
            self.log.append("left")
            return super().say(what) + "l"

    class Right(Base):
        def say(self, what):
            self.log.append("right")
            point("in right")
            return super().say(what) + "r"

    class Both(Left, Right):
        def say(self, what):
            return super().say(what) + "b"

    both = Both([])
    result = both.say("x")
    point("said")
    again = both.say("y")
    names = [c.__name__ for c in Both.__mro__]
    return result, again, both.log, names, Both.say.__qualname__


@program
def local_slots():
    class Pair:
        __slots__ = ("__hidden", "left", "right", "never")

        def __init__(self, left, right):
            self.left, self.right = left, right
            self.__hidden = left

        def hidden(self):
            return self.__hidden

    class More(Pair):
        pass

    class Documented:
        __slots__ = {"a": "what a is"}

    pair, more, documented = Pair(1, [2]), More(3, 4), Documented()
    more.extra = documented.a = pair.right
    point("made")
    try:
        pair.extra = 1
        outcome = "a dict"
    except AttributeError:
        outcome = "slots"
    return (
        pair.left, pair.hidden(), outcome, hasattr(pair, "never"),
        more.extra is pair.right, documented.a is pair.right, more.__dict__,
        Pair.__slots__, Documented.__slots__, hasattr(pair, "__dict__"),
        hasattr(pair, "__weakref__"), hasattr(more, "__weakref__"),
    )  # fmt: skip


@program
def local_descriptors():
    def traced(function):
        @functools.wraps(function)
        def wrapper(*args):
            note("called")
            return function(*args)

        return wrapper

    class Field:
        def __set_name__(self, owner, name):
            note(f"set_name {name}")
            self.name = name

        def __get__(self, instance, owner):
            return "field", self.name, instance is None

    class Thing:
        field = Field()
        __doc__ = property(lambda self: f"doc of {self.n}")
        __name__ = property(lambda self: "a thing")
        part = functools.partialmethod(lambda self, a, b: (a, b), 1)

        def __init__(self, n):
            self.n = n

        @functools.cached_property
        def cached(self):
            note("computed")
            return self.n * 2

        @traced
        def wrapped(self):
            return self.n

        @functools.lru_cache(maxsize=7)
        def remembered(self, a):
            return a * 3

        @staticmethod
        @functools.wraps(traced)
        def static():
            return "static"

    thing, fresh = Thing(3), Thing(4)
    thing.cached
    point("made")
    return (
        thing.cached, fresh.cached, thing.field, Thing.field, thing.part(2),
        thing.wrapped(), thing.__doc__, thing.__name__, Thing.__name__,
        thing.remembered(2), Thing.remembered.cache_parameters(),
        thing.static(), Thing.static.__name__, Thing.wrapped.__qualname__,
    )  # fmt: skip


@program
def local_init_subclass():
    class Plugin:
        known = []

        def __init_subclass__(cls, *, key, **more):
            note(f"init_subclass {key}")
            cls.key = key
            Plugin.known.append(cls)

    class One(Plugin, key="one"):
        pass

    class Two(One, key="two"):
        def __new__(cls, *args):
            self = super().__new__(cls)
            self.args = args
            return self

        def __class_getitem__(cls, item):
            return cls.__name__, item

        def __init__(self, *args):
            self.found = [c.key for c in Plugin.known]

    two = Two(1)
    point("made")

    class Three(Plugin, key="three"):
        pass

    return (
        two.args, two.found, Two(2).found, Plugin.known == [One, Two, Three],
        Two["x"], Two.key, One.key,
    )  # fmt: skip


@program
def local_metaclass():
    class Meta(type):
        made = []

        def __new__(meta, name, bases, names, **more):
            note(f"new {name}")
            cls = super().__new__(meta, name, bases, names)
            meta.made.append(cls)
            return cls

        def __init__(cls, name, bases, names, **more):
            note(f"init {name}")
            cls.more = more
            cls.level = 1

        def __call__(cls, *args):
            return [super(Meta, cls).__call__(*args)]

        def __len__(cls):
            return len(Meta.made)

        def __setattr__(cls, name, value):
            if name != "__slotnames__":  # copyreg
                note(f"set {name}")
            super().__setattr__(name, value)

        @property
        def label(cls):
            return "label of " + cls.__name__

    class One(metaclass=Meta, option=1):
        label = "in the instances"

    class Two(One):
        pass

    (two,) = Two()
    point("made")
    return (
        type(One) is Meta, type(Two).__mro__ == (Meta, type, object), len(One),
        Meta.made == [One, Two], One.more, One.label, two.label,
        type(One()[0]) is One,
    )  # fmt: skip


@program
def local_abstract_class():
    class Shape(abc.ABC):
        @property
        @abc.abstractmethod
        def area(self): ...

        @abc.abstractmethod
        def name(self): ...

    class Square(Shape):
        area = 4

        def name(self):
            return "square"

    class Half(Shape):
        area = 2

    class Registered:
        pass

    Shape.register(Registered)
    Shape.register(dict)
    square = Square()
    point("made")
    outcome = []
    for cls in (Shape, Half):
        try:
            cls()
            outcome.append("made")
        except TypeError:
            outcome.append("abstract")
    return (
        outcome, sorted(Shape.__abstractmethods__), Half.__abstractmethods__,
        Square.__abstractmethods__, isinstance(square, Shape),
        isinstance(Registered(), Shape), isinstance({}, Shape),
        isinstance([], Shape), isinstance({}, Square), square.name(),
    )  # fmt: skip


@program
def local_dataclasses():
    @dataclasses.dataclass(order=True)
    class Item:
        name: str
        price: float = 1.0
        tags: list = dataclasses.field(default_factory=list, compare=False)

        def __post_init__(self):
            self.name = self.name.upper()

    @dataclasses.dataclass(frozen=True, slots=True)
    class Frozen:
        a: int
        b: "Item"

    item = Item("a")
    frozen = Frozen(1, item)
    point("made")
    more = Item("b", 2.0, [1])
    try:
        frozen.a = 2
        outcome = "changed"
    except dataclasses.FrozenInstanceError:
        outcome = "frozen"
    try:
        Item()
    except TypeError:
        outcome += ", missing"
    return (
        repr(item), repr(more), item < more, item == Item("a"), outcome,
        dataclasses.asdict(frozen), frozen.b is item,
        repr(dataclasses.replace(frozen, a=5)), frozen == Frozen(1, item),
        [field.name for field in dataclasses.fields(Item)],
        dataclasses.fields(Item)[0].default is dataclasses.MISSING,
        dataclasses.is_dataclass(frozen), Item("x").tags is Item("y").tags,
    )  # fmt: skip


@program
def local_enums():
    class Color(enum.Enum):
        RED = 1
        GREEN = "g"
        CRIMSON = RED

        def shout(self):
            return self.name + "!"

        @property
        def low(self):
            return self.name.lower()

    class Mode(enum.IntFlag):
        READ = enum.auto()
        WRITE = enum.auto()

    class Word(str, enum.Enum):
        A = "a"

    class Level(enum.IntEnum):
        LOW = 1
        HIGH = 2

    class Planet(enum.Enum):
        EARTH = (5.9, 6.3)

        def __init__(self, mass, radius):
            note("planet")
            self.mass, self.radius = mass, radius

    red, both, by_member = Color.RED, Mode.READ | Mode.WRITE, {Level.LOW: 1}
    point("made")
    return (
        red is Color.RED, Color.CRIMSON is red, Color("g") is Color.GREEN,
        Color["RED"] is red, [c.name for c in Color], red.shout(), red.low,
        both == Mode.READ | Mode.WRITE, Mode.READ in both, int(both),
        repr(both), both is Mode(3), Word.A == "a", Word("a") is Word.A,
        by_member[Level.LOW], Level(2) is Level.HIGH, Level.LOW < Level.HIGH,
        Planet.EARTH.mass, Planet((5.9, 6.3)) is Planet.EARTH, repr(red),
        len(Color), isinstance(red, Color), Color.__members__["RED"] is red,
    )  # fmt: skip


@program
def local_named_tuples():
    Pair = collections.namedtuple("Pair", "left right", defaults=[7])

    class Point(typing.NamedTuple):
        x: int
        y: int = 2

        def sum(self):
            return self.x + self.y

    pair, made = Pair(1), Point(1)
    point("made")
    return (
        pair, Pair(right=1, left=2)._asdict(), pair._replace(left=3),
        type(pair) is Pair, Pair._fields, made.sum(), made, Point._make([5, 6]),
        Pair.left.__doc__, Point._field_defaults, tuple(pair),
    ).__repr__()  # fmt: skip


@program
def local_exceptions():
    class Problem(Exception):
        def __init__(self, what, code=0):
            super().__init__(what)
            self.code = code

    class Worse(Problem):
        pass

    outcome = []
    for n in range(2):
        try:
            try:
                raise Worse("bad", n)
            except Problem as error:
                point("handled")
                outcome.append((str(error), type(error) is Worse))
                raise KeyError from error
        except KeyError as error:
            point("again")
            outcome.append(isinstance(error.__cause__, Problem))
    return outcome


@program
def local_generics():
    T = typing.TypeVar("T", bound=int)

    class Stack(typing.Generic[T]):
        def __init__(self):
            self.items: list[T] = []

    class Ints(Stack[int]):
        pass

    class Sized(typing.Protocol):
        def size(self) -> int: ...

    @typing.runtime_checkable
    class Closes(typing.Protocol):
        def close(self): ...

    ints, alias = Ints(), Stack[int]
    ints.items.append(1)
    point("made")
    return (
        ints.items, alias.__origin__ is Stack, Stack.__parameters__ == (T,),
        T.__bound__, T.__name__, isinstance(ints, Stack), isinstance(1, Closes),
        isinstance((x for x in ()), Closes), Ints.__orig_bases__ == (alias,),
    )  # fmt: skip


GENERIC = """
@program
def local_type_parameters():
    class Box[T, *Ts, **P]:
        item: T

        def __init__(self, item: T):
            self.item = item

        def convert[U: (int, str)](self, kind: type[U]) -> U:
            return kind(self.item)

    class Bound[K: Box](Box[K]):
        pass

    box, bound = Box(1), Bound(2)
    point("made")
    (U,) = Box.convert.__type_params__
    T, Ts, P = Box.__type_params__
    return (
        box.item, box.convert(str), [t.__name__ for t in (T, Ts, P)],
        U.__constraints__, Bound.__type_params__[0].__bound__ is Box,
        Bound.__orig_bases__[0].__origin__ is Box, bound.item,
        Box.__annotations__ == {"item": T}, isinstance(bound, Box),
    )
"""
if sys.version_info >= (3, 12):
    exec(GENERIC)


@program
def local_annotations():
    class Node:
        value: int
        next: "Node"
        kinds: list[int] = []

        def link(self, other: "Node") -> None:
            self.next = other

    node = Node()
    node.link(Node())
    point("made")
    return (
        Node.__annotations__, Node.link.__annotations__, Node.kinds,
        type(node.next) is Node,
    )  # fmt: skip


@program
def local_mutual_references():
    class One:
        def other(self):
            return Two()

    class Two:
        def other(self):
            return One()

    One.two, Two.one = Two, One
    One.instance, Two.all = Two(), {One(), Two()}
    One.itself = One
    point("made")
    return (
        type(One().other()) is Two, type(Two().other()) is One, Two.one is One,
        One.two is Two, type(One.instance) is Two, One.itself is One,
        {type(x) for x in Two.all} == {One, Two},
    )  # fmt: skip


@program
def local_class_by_name_elsewhere():
    made = type("Made", (dict,), {"n": 1})
    other = types.new_class("Other", (made,), {}, lambda body: body.update(n=2))
    value = other(a=1)
    point("made")
    return dict(value), value.n, made.n, type(value) is other, made.__qualname__


@program
def local_mapping_proxy():
    class Config:
        values = types.MappingProxyType({"a": 1})

    point("made")
    return Config.values["a"], type(Config.values).__name__


@program
def local_tasklets():
    class Task(stackless.tasklet):
        note = "of the class"

        def describe(self):
            return type(self).__name__, self.note

    class Pipe(stackless.channel):
        pass

    pipe = Pipe()
    pipe.label = "p"
    worker = Task(lambda: pipe.receive())
    worker.bind(None, ())
    worker.note = "own"
    point("made")
    return worker.describe(), pipe.label, type(pipe) is Pipe, worker.alive


def make_adder(n):
    class Adder:
        def __init__(self, m):
            self.m = m

        def add(self):
            point("adding")
            return self.m + n

        def __iter__(self):
            yield self.m
            point("iterating")
            yield n

    return Adder


@program
def local_class_of_another_function():
    adders = [make_adder(n)(n * 10) for n in range(2)]
    results = [adder.add() for adder in adders]
    for adder in adders:
        for value in adder:
            results.append(value)
    return results, type(adders[0]) is type(adders[1])
