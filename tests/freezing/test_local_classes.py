"""Classes that no module shows by name are frozen by value."""

import gc
import pickle
import sys
import threading
import types
import weakref

import freezing_support as support
import pytest
import stackless
from freezing_support import LOG, dumps, go, loads, point, started, thawed
from stackless._freezing import classes

pytestmark = pytest.mark.soft


def make_class():
    class Local:
        """Of a function."""

        seen = []

        def name(self):
            return type(self).__name__, __class__.__name__

    return Local


def holding(cls):
    instance = cls()
    stackless.schedule_remove(None)
    LOG.append((type(instance), cls, isinstance(instance, cls)))


@pytest.mark.parametrize("code", ["reference", "value"])
def test_a_class_alone(code):
    Local = make_class()
    copy = thawed(Local, code)
    assert copy is not Local and type(copy) is type
    assert copy.__qualname__ == "make_class.<locals>.Local"
    assert copy.__module__ == __name__
    assert copy.__doc__ == "Of a function."
    assert copy().name() == ("Local", "Local")
    assert copy.name.__closure__[0].cell_contents is copy
    assert copy.seen == [] and copy.seen is not Local.seen


def test_an_instance_alone():
    instance = make_class()()
    instance.value = [instance]
    copy = thawed(instance)
    assert copy.value[0] is copy
    assert type(copy) is not type(instance)
    assert copy.name() == ("Local", "Local")


def test_tasklets_frozen_together_share_a_class():
    Local = make_class()
    originals = [started(holding, Local) for _ in range(2)]
    go(*thawed(originals))
    (one, same, good), (other, _, also) = LOG
    assert one is same is other is not Local
    assert good and also


def test_each_thawing_makes_a_class():
    data = dumps(make_class())
    assert loads(data) is not loads(data)


def test_the_original_class_is_left_alone():
    Local = make_class()
    before = dict(vars(Local))
    go(thawed(started(holding, Local)))
    assert {k: v for k, v in vars(Local).items() if k != "__slotnames__"} == (
        before
    )


def test_modules_classes_go_by_name():
    assert thawed(stackless.tasklet) is stackless.tasklet
    assert thawed(Shown.Inner) is Shown.Inner
    assert thawed(pickle.PickleError) is pickle.PickleError
    assert thawed(type(None)) is type(None)


class Shown:
    class Inner:
        pass

    def method(self):
        return 1


def test_a_class_that_its_module_no_longer_shows(monkeypatch):
    Old = Shown
    monkeypatch.setattr(sys.modules[__name__], "Shown", int)
    copy = thawed(Old)
    assert copy is not Old and copy().method() == 1
    assert copy.Inner is not Old.Inner


def test_not_without_a_module_to_look_in():
    Stray = type("Stray", (), {"__module__": "no_such_module"})
    with pytest.raises(pickle.PicklingError, match="no_such_module"):
        dumps(Stray)


def test_nothing_of_the_program_runs():
    calls = []

    def note(what):
        calls.append(what)

    class Meta(type):
        def __new__(meta, *args):
            note("new")
            return super().__new__(meta, *args)

        def __setattr__(cls, name, value):
            note("set")

        def __prepare__(name, bases):
            note("prepare")
            return {}

    class Base(metaclass=Meta):
        def __init_subclass__(cls):
            note("init_subclass")

    class Field:
        def __set_name__(self, owner, name):
            note("set_name")

    class Sub(Base):
        field = Field()

    calls.clear()
    calls_copy, copy = thawed((calls, Sub))
    assert [c for c in calls if c != "set"] == []  # copyreg's __slotnames__
    assert calls_copy == []
    assert type(copy.field).__name__ == "Field"

    class Another(copy):
        pass

    assert [c for c in calls_copy if c != "set"] == [
        "prepare", "new", "init_subclass",
    ]  # fmt: skip


def test_abstract_classes_forget_nothing():
    import abc

    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...

    @Shape.register
    class Other:
        pass

    copy, other, number = thawed((Shape, Other, Shape.register(complex)))
    assert copy.__abstractmethods__ == {"area"}
    assert issubclass(other, copy) and issubclass(number, copy)
    assert not issubclass(int, copy)
    with pytest.raises(TypeError, match="abstract"):
        copy()


def test_properties_alone():
    def function(self):
        "What it is."
        return self

    for original in (
        property(function), property(None, function), property(),
        property(function, doc="other"), property(function, None, function),
    ):  # fmt: skip
        copy = thawed(original)
        assert type(copy) is property
        assert copy.__doc__ == original.__doc__
        for name in ("fget", "fset", "fdel"):
            one, other = getattr(original, name), getattr(copy, name)
            assert (one is None) == (other is None)
    assert property.fget.__get__(thawed(property(function)))(5) == 5


def test_a_subclass_of_property():
    class Special(property):
        def __init__(self, fget, extra=None):
            super().__init__(fget)
            self.extra = extra

    class Holder:
        value = Special(lambda self: 3, extra=[1])
        value.mark = value.extra

    copy = thawed(Holder)
    assert copy().value == 3
    assert vars(copy)["value"].mark is vars(copy)["value"].extra


def test_a_class_that_cannot_go():
    class Locked:
        lock = threading.Lock()

    task = started(holding, Locked)
    error = stackless.check_freezable(task)
    assert (error.variable, error.path) == ("cls", ".lock")
    assert error.type == "lock"
    assert "cls.lock: cannot pickle '_thread.lock' object" in str(error)


def test_an_instance_whose_class_cannot_go():
    lock = threading.Lock()

    class Locked:
        @property
        def value(self):
            return lock

    error = stackless.check_freezable([Locked()])
    assert error.type == "lock"
    assert "cannot pickle '_thread.lock' object" in str(error)


def changed_class(n):
    class Local:
        def method(self):
            return n

    return Local


def replaced_class(n):
    class Local:
        def method(self):
            return n + 1

    return Local


def test_changed_methods_are_noticed(monkeypatch):
    data = dumps(changed_class(1)())
    by_value = dumps(changed_class(1)(), "value")
    assert loads(data).method() == 1
    code = replaced_class.__code__.replace(
        co_name="changed_class", co_qualname="changed_class"
    )
    module = types.ModuleType(__name__)
    module.changed_class = types.FunctionType(code, vars(module))
    monkeypatch.setitem(sys.modules, __name__, module)
    with pytest.raises(stackless.ChangedCodeError) as caught:
        loads(data)
    names = [f"{__name__}.changed_class.<locals>.Local.method"]
    assert caught.value.changed == names
    assert loads(by_value).method() == 1


def test_copies_of_classes_go_away():
    copy = thawed(make_class())
    gone = weakref.ref(copy)
    known = len(classes._made)
    del copy
    gc.collect()
    assert gone() is None
    assert len(classes._made) < known


def test_other_classes_are_not_changed():
    for cls in (Shown, int, make_class()):
        with pytest.raises((ValueError, TypeError)):
            classes._set_names(cls, {"method": None})
    assert Shown().method() == 1
    with pytest.raises(ValueError):
        classes._namespace_cell(int)


def test_bad_classes_are_errors():
    for args in (
        (int, "x", (), {}), (type, 5, (), {}), (type, "x", (bool,), {}),
        (type, "x", (), {"__qualname__": 3}), (type, "x", (1,), {}),
        (type, "x", (), {"__slots__": ("",)}), (type, "x", (int, str), {}),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            classes._class(*args)


def test_graph_of_many_classes():
    """One refers to the next, in both directions."""
    made = [make_class() for _ in range(50)]
    for one, other in zip(made, made[1:] + made[:1]):
        one.following, other.before = other, one()
    first = thawed(made[0])
    at = first
    for _ in range(50):
        assert type(at.following.before) is at
        at = at.following
    assert at is first


def test_classes_in_a_generator_and_a_closure():
    def numbers():
        class Local:
            def get(self):
                return limit

        limit = 3
        yield Local
        point("inside")
        yield Local().get(), type(Local()) is Local

    generator = numbers()
    Local = next(generator)
    copy, copied = thawed((generator, Local))
    task = started(lambda: LOG.append(next(copy)))
    support.go(task)
    assert LOG == ["inside", (3, True)]
    assert copied().get() == 3


def test_names_that_are_no_strings():
    with pytest.raises(TypeError, match="no string"):
        classes._class(type, "x", (), {5: 6})
