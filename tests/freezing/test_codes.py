"""How code objects are named in pickles, and found again or refused."""

import ast
import gc
import importlib
import itertools
import os
import pickle
import subprocess
import sys
import textwrap
import types
import weakref

import codes_samples
import pytest
from codes_samples import CODES, HIDDEN, nested

from stackless._freezing import codes
from stackless._freezing.codes import (
    ChangedCodeError,
    MissingCodeError,
    digest,
    find,
    from_value,
    reference,
    to_value,
)

SAMPLES = "codes_samples"
HERE = os.path.dirname(os.path.abspath(__file__))


def run_python(program, *args, **environ):
    """What a program prints as literals, in a process of its own."""
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([HERE, *filter(None, sys.path)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environ,
    }
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(
        [*command, *map(repr, args)],
        capture_output=True, text=True, env=environ,
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


def compiled(text, name="f"):
    """The code of a function in a text."""
    return nested(compile(textwrap.dedent(text), "text", "exec"), name)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write (again) a module to be imported, and import it if wanted."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = (f"codes_{tmp_path.name}_{n}" for n in itertools.count())
    used = set()

    def write(text, name=None, load=True):
        name = name or next(names)
        used.add(name)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(name) if load else name

    yield write
    for name in used:
        sys.modules.pop(name, None)


# --- references --------------------------------------------------------------

@pytest.mark.noleak
@pytest.mark.parametrize("kind", CODES)
def test_code_is_found_in_what_the_module_shows(kind):
    code = CODES[kind]
    found = reference(code, SAMPLES)
    assert found[:3] == ("live", SAMPLES, code.co_qualname)
    assert find(found, digest(code)) is code


@pytest.mark.noleak
@pytest.mark.parametrize("kind", HIDDEN)
def test_hidden_code_is_found_in_the_file(kind):
    code = HIDDEN[kind]
    found = reference(code, SAMPLES)
    assert found[:3] == ("file", SAMPLES, code.co_qualname)
    again = find(found, digest(code))
    assert digest(again) == digest(code)
    assert again.co_firstlineno == code.co_firstlineno


@pytest.mark.noleak
@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_finds_the_same(seed):
    asked = {
        kind: (reference(code, SAMPLES), digest(code))
        for kind, code in {**CODES, **HIDDEN}.items()
    }
    found = run_python(
        """
        import ast, sys
        from stackless._freezing.codes import find
        asked = ast.literal_eval(sys.argv[1])
        found = {kind: find(*what) for kind, what in asked.items()}
        from codes_samples import CODES, HIDDEN
        assert all(CODES.get(kind, code) is code
                   for kind, code in found.items())
        print({kind: (code.co_qualname, code.co_firstlineno)
               for kind, code in found.items()})
        """,
        asked,
        PYTHONHASHSEED=seed,
    )
    assert found == {
        kind: (code.co_qualname, code.co_firstlineno)
        for kind, code in {**CODES, **HIDDEN}.items()
    }


@pytest.mark.noleak
def test_references_are_plain_data():
    for code in (*CODES.values(), *HIDDEN.values()):
        found = reference(code, SAMPLES)
        assert ast.literal_eval(repr(found)) == found
        assert pickle.loads(pickle.dumps(found)) == found


def test_a_name_is_pickled_once():
    code = codes_samples.Class.Nested.method.__code__
    data = pickle.dumps(reference(code, SAMPLES))
    assert data.count(b"Class.Nested.method") == 1


@pytest.mark.noleak
def test_an_equal_code_object_is_another_one(module):
    """Code is equal that has two qualified names."""
    made = module("""
        def a():
            def f(): return 1
            return f
        def b():
            def f(): return 1
            return f
    """)
    first = made.a().__code__
    second = made.b().__code__.replace(
        co_firstlineno=first.co_firstlineno, co_linetable=first.co_linetable
    )
    assert first == second
    made.b.__code__ = made.b.__code__.replace(co_consts=tuple(
        second if constant == made.b().__code__ else constant
        for constant in made.b.__code__.co_consts
    ))
    assert digest(first) != digest(second)
    for code in (first, second):
        found = reference(code, made.__name__)
        assert found[2] == code.co_qualname
        assert find(found, digest(code)) is code


def test_what_cannot_be_found_has_no_reference():
    code = compiled("def f(): return 'nowhere'")
    assert reference(code, SAMPLES) is None
    assert reference(code, SAMPLES) is None
    assert reference(code, "codes_no_such_module") is None
    assert reference(code, None) is None
    assert reference(code, ["unhashable"]) is None


def test_what_is_not_a_module_is_left_alone(monkeypatch):
    class Odd:
        def __getattribute__(self, name):
            if name == "__spec__":  # import asks for it
                raise AttributeError(name)
            raise AssertionError(name)

    monkeypatch.setitem(sys.modules, "codes_odd", Odd())
    assert reference(CODES["plain"], "codes_odd") is None
    with pytest.raises(MissingCodeError):
        find(("live", "codes_odd", "f", "f", 0, ()), b"")


def test_a_function_that_another_module_made_is_not_the_modules():
    code = importlib.import_module.__code__
    assert reference(code, SAMPLES) is None
    assert reference(code, "importlib")[:3] == (
        "live", "importlib", "import_module"
    )


@pytest.mark.noleak
def test_no_code_of_the_program_runs(module):
    made = module("""
        ran = []

        class Meta(type):
            def __getattribute__(cls, name):
                ran.append(name)
                return super().__getattribute__(name)

        class Odd(metaclass=Meta):
            def __getattribute__(self, name):
                ran.append(name)
                raise AttributeError(name)
            def __eq__(self, other):
                ran.append("eq")
            __hash__ = None
            def __call__(self): ran.append("call")
            def __get__(self, obj, kind=None): ran.append("get")
            def method(self): return "method"

        class Shadowed:
            @property
            def __dict__(self): ran.append("dict")

        class Class:
            __module__ = Odd()
            inside = Odd()

        odd = Odd()
        shadowed = Shadowed()
        for odd_one in (odd, shadowed):
            object.__setattr__(odd_one, "__wrapped__", odd)
        def __getattr__(name): ran.append(name)
        def f(): return 1
        f.odd = odd
    """)
    method = type.__getattribute__(made.Odd, "method").__code__
    del made.ran[:]
    for code in (made.f.__code__, method, compiled("def f(): return 2")):
        found = reference(code, made.__name__)
        if found is not None:
            assert find(found, digest(code)) is code
    assert not made.ran


@pytest.mark.noleak
def test_generated_code_is_found_where_it_is_shown(module):
    made = module("""
        import dataclasses

        @dataclasses.dataclass
        class Point:
            x: int
    """)
    code = made.Point.__init__.__code__
    found = reference(code, made.__name__)
    assert found[3] == "Point.__init__"
    assert find(found, digest(code)) is code


@pytest.mark.noleak
def test_what_the_program_puts_away_from_home(module):
    """An import does not put it there again: the text leads to it."""
    made = module("""
        class Holder: pass
        hidden = [[lambda: "hidden"]]
        def make():
            def made(): return 1
            return made
        holder = Holder()
    """)
    made.alias = hidden = made.hidden[0][0]
    made.holder.function = inside = made.make()
    assert reference(hidden.__code__, made.__name__)[0] == "live"
    made.other = [made.hidden[0][0]]
    del made.alias
    made.holder.attribute = hidden
    assert reference(hidden.__code__, made.__name__)[0] == "file"
    found = reference(inside.__code__, made.__name__)
    assert found[3] == "make"


@pytest.mark.noleak
def test_module_code_and_class_bodies_are_found_in_the_file(module):
    made = module("""
        import sys
        def outer(): return sys._getframe(1).f_code
        here = outer()
        class Class:
            body = outer()
    """)
    for code in (made.here, made.Class.body):
        found = reference(code, made.__name__)
        assert found[0] == "file"
        assert digest(find(found, digest(code))) == digest(code)


@pytest.mark.noleak
def test_functions_that_come_later(module):
    made = module("def f(): return 1")
    assert reference(made.f.__code__, made.__name__)
    exec("def g(): return 2", made.__dict__)
    code = made.g.__code__
    found = reference(code, made.__name__)
    assert found[:3] == ("live", made.__name__, "g")
    assert find(found, digest(code)) is code


@pytest.mark.noleak
def test_functions_that_come_after_they_were_missed(module):
    made = module("")
    namespace = made.__dict__
    function = types.FunctionType(compiled("def f(): return 1"), namespace)
    assert reference(function.__code__, made.__name__) is None
    made.f = function
    assert reference(function.__code__, made.__name__)[0] == "live"


@pytest.mark.noleak
def test_a_function_that_was_replaced_is_not_named(module):
    """Not by what its name leads to by now."""
    made = module("def f(): return 1\nclass C:\n  def f(self): return 2\n")
    for owner in (made, made.C):
        code = owner.f.__code__
        assert reference(code, made.__name__)[0] == "live"
        owner.f = types.FunctionType(
            compiled("def f(): return 3"), made.__dict__
        )
        found = reference(code, made.__name__)
        assert found[0] == "file"
        assert digest(find(found, digest(code))) == digest(code)


@pytest.mark.noleak
def test_a_copy_is_as_good_as_the_code(module):
    made = module("def f(): return 1")
    copy = from_value(to_value(made.f.__code__))
    assert copy is not made.f.__code__
    found = reference(copy, made.__name__)
    assert found == reference(made.f.__code__, made.__name__)


@pytest.mark.noleak
def test_of_twins_the_one_on_the_same_line(module):
    made = module("""
        table = [[lambda: 1],
                 [lambda: 1]]
    """)
    first, second = (row[0].__code__ for row in made.table)
    assert digest(first) == digest(second)
    for code in (first, second):
        found = find(reference(code, made.__name__), digest(code))
        assert found.co_firstlineno == code.co_firstlineno


@pytest.mark.noleak
def test_a_module_without_a_loader(monkeypatch):
    made = types.ModuleType("codes_by_hand")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec("def f(): return 1\nhidden = [lambda: 2]", made.__dict__)
    code = made.f.__code__
    assert find(reference(code, made.__name__), digest(code)) is code
    assert reference(made.hidden[0].__code__, made.__name__) is None


@pytest.mark.noleak
def test_modules_are_not_kept(module):
    made = module("""
        import sys
        myself = sys.modules[__name__]
        def f(): return 1
        hidden = [lambda: 1]
    """)
    reference(made.f.__code__, made.__name__)
    reference(made.hidden[0].__code__, made.__name__)
    gone = weakref.ref(made)
    name = made.__name__
    del sys.modules[name], made
    gc.collect()
    assert gone() is None
    assert name not in codes._modules


# --- programs ----------------------------------------------------------------

MAIN = """
import sys
from stackless._freezing import codes
def f(): return 1
hidden = [lambda: 2]
if __name__ == "__main__":
    print([(found, codes.digest(code), digest == codes.digest(code))
           for code in (f.__code__, hidden[0].__code__, sys._getframe().f_code)
           for found in [codes.reference(code, "__main__")]
           for digest in [found and codes.digest(
               codes.find(found, codes.digest(code)))]])
"""


@pytest.mark.parametrize("how", ["file", "module", "folder", "code"])
def test_main_is_the_program_run_again(tmp_path, how):
    path = tmp_path / ("__main__.py" if how == "folder" else "program.py")
    path.write_text(MAIN)
    command = {
        "file": [path],
        "module": ["-m", "program"],
        "folder": [tmp_path],
        "code": ["-c", MAIN],
    }[how]
    environ = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))
    }
    printed = [
        subprocess.run(
            [sys.executable, *command],
            check=True, capture_output=True, cwd=tmp_path, env=environ,
        ).stdout
        for _ in range(2)
    ]
    assert printed[0] == printed[1]
    function, *others = ast.literal_eval(printed[0].decode())
    assert function[0][:3] == ("live", "__main__", "f")
    for found, _, same in others:
        assert found is None if how == "code" else (
            found[:2] == ("file", "__main__") and same
        )


# --- changes -----------------------------------------------------------------

BEFORE = """
    import functools

    def plain(): return 1
    def kept(): return "kept"
    def outer():
        def inner(): return "inner"
        return inner
    class Class:
        def method(self): return 1
    hidden = [lambda: 1]
"""


def look_for(found, expected):
    """The kind and names of the error that another process gets."""
    return run_python(
        """
        import ast, sys
        from stackless._freezing.codes import ChangedCodeError, find
        try:
            code = find(*map(ast.literal_eval, sys.argv[1:]))
        except ChangedCodeError as error:
            print((type(error).__name__, error.changed, str(error)))
        else:
            print(repr(code.co_qualname))
        """,
        found, expected,
    )


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("plain", "return 1", "return 2"),
        ("Class.method", "method(self): return 1", "method(self): return 2"),
        ("outer.<locals>.inner", "inner(): return 'inner'", "inner(): pass"),
        ("<lambda>", "lambda: 1", "lambda: 2"),
    ],
)
def test_changed_code(module, name, old, new):
    text = BEFORE.replace('"inner"', "'inner'")
    made = module(text)
    code = {
        "plain": made.plain,
        "Class.method": made.Class.method,
        "outer.<locals>.inner": made.outer(),
        "<lambda>": made.hidden[0],
    }[name].__code__
    found, expected = reference(code, made.__name__), digest(code)
    assert look_for(found, expected) == name
    assert old in text
    module(text.replace(old, new), made.__name__, load=False)
    label = f"{made.__name__}.{name}"
    kind, changed, message = look_for(found, expected)
    assert (kind, changed) == ("ChangedCodeError", [label])
    assert label in message
    unchanged = made.kept.__code__
    assert look_for(
        reference(unchanged, made.__name__), digest(unchanged)
    ) == "kept"


@pytest.mark.parametrize("name", ["plain", "outer.<locals>.inner"])
def test_removed_code(module, name):
    made = module(BEFORE)
    code = (made.plain if name == "plain" else made.outer()).__code__
    found, expected = reference(code, made.__name__), digest(code)
    module("outer = plain_one = 1", made.__name__, load=False)
    label = f"{made.__name__}.{name}"
    kind, changed, message = look_for(found, expected)
    assert (kind, changed) == ("MissingCodeError", [label])
    assert label in message


def test_removed_module(module, tmp_path):
    made = module(BEFORE)
    code = made.plain.__code__
    found, expected = reference(code, made.__name__), digest(code)
    (tmp_path / f"{made.__name__}.py").unlink()
    kind, changed, _ = look_for(found, expected)
    assert kind == "MissingCodeError"
    assert changed == [f"{made.__name__}.plain"]


def test_a_module_that_misses_another(module):
    name = module("import codes_no_such_module", load=False)
    with pytest.raises(ModuleNotFoundError, match="codes_no_such_module"):
        find(("live", name, "f", "f", 0, ()), bytes(8))


@pytest.mark.parametrize(
    "text",
    [
        "\n\n# moved down\n" + textwrap.dedent(BEFORE),
        """
            def new(): pass
            def outer():
                def other(): return "other"
                first = "a constant before"
                def inner(): return "inner"
                return inner, other, first
            def silent(function): return lambda: function()
            def plain(): return 1
            plain = silent(plain)
            plain = silent(plain)
            class Class:
                class Nested: pass
                def method(self): return 1
                method = staticmethod([method][0])
            hidden = [lambda: 0, lambda: 1]
        """,
        """
            def outer():
                def inner(): return "inner"
                return inner
            def plain(): return 1
            class Class:
                def method(self): return 1
            hidden = [lambda: 1]
            hide = {1: (outer, plain, Class)}
            del outer, plain, Class
        """,
    ],
)
def test_code_that_has_only_moved_is_found(module, text):
    made = module(BEFORE)
    functions = [made.plain, made.outer(), made.Class.method, made.hidden[0]]
    asked = [
        (reference(function.__code__, made.__name__),
         digest(function.__code__))
        for function in functions
    ]
    module(text, made.__name__, load=False)
    for function, what in zip(functions, asked):
        assert look_for(*what) == function.__qualname__


@pytest.mark.noleak
def test_reload(module):
    made = module(BEFORE)
    old = [made.plain.__code__, made.outer().__code__, made.kept.__code__]
    asked = [(reference(code, made.__name__), digest(code)) for code in old]
    module(BEFORE.replace("return 1", "return 12"), made.__name__)
    importlib.reload(made)
    with pytest.raises(ChangedCodeError) as caught:
        find(*asked[0])
    assert caught.value.changed == [f"{made.__name__}.plain"]
    assert reference(old[0], made.__name__) is None
    new = made.plain.__code__
    assert find(reference(new, made.__name__), digest(new)) is new
    assert find(*asked[1]) is made.outer().__code__
    assert find(*asked[2]) is made.kept.__code__
    assert reference(old[2], made.__name__) == asked[2][0]


@pytest.mark.noleak
def test_a_module_imported_anew(module):
    made = module(BEFORE)
    name, old = made.__name__, made.plain.__code__
    found = reference(old, name)
    del sys.modules[name]
    again = module(BEFORE, name)
    assert again is not made
    assert find(found, digest(old)) is again.plain.__code__
    assert reference(again.plain.__code__, name) == found


def test_errors_are_pickled():
    for kind in (ChangedCodeError, MissingCodeError):
        error = pickle.loads(pickle.dumps(kind(["m.f", "m.g"])))
        assert type(error) is kind
        assert isinstance(error, pickle.UnpicklingError)
        assert error.changed == ["m.f", "m.g"]
        assert "m.f, m.g" in str(error)


def test_an_unknown_kind_of_reference():
    with pytest.raises(pickle.UnpicklingError, match="strange"):
        find(("strange", SAMPLES, "f", "f"), bytes(8))


# --- digests -----------------------------------------------------------------

EVERYTHING = """
    def f(a, b=1, /, c=2, *rest, d, **more):
        "Text."
        x = 1, 1.5, -0.0, 2j, b"b", None, ..., "\\ud800", True
        s = a in {"one", "two", "three", 4, (5, "six")}
        big = 0x%(big)s
        def inner(): return a, x, s, big
        class Local:
            def __init__(self): self.one = self.two = self.three = inner
        try:
            return [inner() for inner in rest], lambda: (b for b in c)
        except (ValueError, KeyError) as error:
            raise TypeError from error
        finally:
            del d
        return Local
""" % {"big": "f" * 6000}


def test_digest_is_the_same_everywhere():
    here = digest(compiled(EVERYTHING))
    assert type(here) is bytes and len(here) == 8
    program = """
        import ast, sys, types
        from stackless._freezing.codes import digest
        def last(code):
            return [c for c in code.co_consts if type(c) is types.CodeType][0]
        print(digest(last(compile(ast.literal_eval(sys.argv[1]), "", "exec"))))
    """
    text = textwrap.dedent(EVERYTHING)
    for seed in "123":
        assert run_python(program, text, PYTHONHASHSEED=seed) == here


HOT = """
    class Point:
        def __init__(self, x): self.x = x
        def __enter__(self): return self
        def __exit__(self, *error): pass
    def gen(n):
        for i in range(n): yield i
    def f(n):
        total = 0
        point = Point(n)
        for i in gen(n):
            with point as p:
                total += p.x + i * 2 + len("abc")
            if i == 3 and isinstance(i, int):
                total, other = other_one(total), [i][0]
        return f"{total}" + str(total)
    def other_one(x): return x + 1.0
"""


def hot_codes():
    namespace = {}
    exec(textwrap.dedent(HOT), namespace)
    made = [namespace[name].__code__ for name in ("f", "gen", "other_one")]
    return namespace["f"], [*made, namespace["Point"].__init__.__code__]


def test_digest_of_code_that_was_run():
    _, cold = hot_codes()
    expected = [digest(code) for code in cold]
    function, warm = hot_codes()
    for _ in range(5000):
        function(6)
    assert [digest(code) for code in warm] == expected


def test_digest_of_code_that_is_traced():
    _, cold = hot_codes()
    expected = [digest(code) for code in cold]
    function, traced = hot_codes()
    digests = []

    def trace(frame, event, arg):
        frame.f_trace_opcodes = True
        if event == "line" and frame.f_code is traced[2]:
            digests[:] = [digest(code) for code in traced]
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(6)
    finally:
        sys.settrace(before)
    assert digests == expected


@pytest.mark.skipif(
    not hasattr(sys, "monitoring"), reason="Python 3.12 and newer"
)
def test_digest_of_code_that_is_monitored():
    _, cold = hot_codes()
    expected = [digest(code) for code in cold]
    function, monitored = hot_codes()
    tool, events = 3, sys.monitoring.events
    sys.monitoring.use_tool_id(tool, "test_codes")
    try:
        sys.monitoring.set_events(
            tool, events.INSTRUCTION | events.LINE | events.PY_START
            | events.CALL | events.BRANCH | events.PY_RETURN,
        )
        for _ in range(100):
            function(6)
        assert [digest(code) for code in monitored] == expected
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)


def test_lines_and_files_do_not_count():
    text = textwrap.dedent(EVERYTHING)
    code = compiled(text)
    for lines in (1, 2, 7, 254, 255, 256, 300, 70_000):
        moved = nested(compile("\n" * lines + text, "moved", "exec"), "f")
        assert moved.co_firstlineno != code.co_firstlineno
        assert digest(moved) == digest(code)
    spread = text.replace("return Local", "\n\n    return Local")
    assert digest(compiled(spread)) == digest(code)
    comment = text.replace("    class", "    # A comment\n    class")
    assert digest(compiled(comment)) == digest(code)


@pytest.mark.parametrize("line", range(1, 5))
def test_the_line_of_a_class_may_be_one_of_its_constants(line):
    """Then both are one constant, but not when the class moves."""
    text = f"""
        def f():
            class Local:
                a, b, c, d = {line}, 300, {line}.0, "text"
    """
    moved = "\n" * (line - 1 + 297) + text
    assert digest(compiled(moved)) == digest(compiled(text))
    changed = text.replace("300", "301")
    assert digest(compiled(changed)) != digest(compiled(text))
    changed = text.replace(f"{line}.0", f"{line}")
    assert digest(compiled(changed)) != digest(compiled(text))


CHANGES = {
    "a constant": ("1.5", "1.25"),
    "int to float": ("1, 1.5", "1.0, 1.5"),
    "int to bool": ("1, 1.5", "True, 1.5"),
    "sign of zero": ("-0.0", "0.0"),
    "complex": ("2j", "3j"),
    "bytes to string": ('b"b"', '"b"'),
    "ellipsis": ("...", "None"),
    "true": ("True\n", "1\n"),
    "text": ("Text", "Other text"),
    "a set": ('"three", 4', '"three", 4.0'),
    "a set's length": ('"two", ', ""),
    "a nested tuple": ('(5, "six")', '(5, "seven")'),
    "a large number": ("0xf", "0xe"),
    "a variable's name": ("x = 1, 1.5", "y = x = 1, 1.5"),
    "a name": ("ValueError", "IndexError"),
    "an attribute": ("self.one", "self.eleven"),
    "an operation": ("a in", "a not in"),
    "the nested function": ("a, x, s, big", "a, s, x, big"),
    "the nested expression": ("(b for b in c)", "(b for b in b)"),
    "the class": ("def __init__", "def __new__"),
    "a cell": ("return a, x, s, big", "return a, x, s"),
    "the handler": ("(ValueError, KeyError)", "(KeyError, ValueError)"),
    "positional only": ("b=1, /, c=2", "b=1, c=2, /"),
    "no longer positional only": ("/, ", ""),
    "keyword only": ("c=2, *rest, d", "c=2, d=3, *rest"),
    "no more arguments": (", **more", ""),
    "a generator": ("del d", "yield d"),
    "the function's kind": ("def f", "async def f"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_digest_differs(change):
    old, new = CHANGES[change]
    assert old in EVERYTHING
    changed = compiled(EVERYTHING.replace(old, new, 1))
    assert digest(changed) != digest(compiled(EVERYTHING))


@pytest.mark.parametrize(
    "attribute, change",
    [
        ("co_code", lambda x: x + x[-2:]),
        ("co_names", lambda x: (*x, "more")),
        ("co_consts", lambda x: (*x, 0)),
        ("co_exceptiontable", lambda x: x[:-1]),
        ("co_flags", lambda x: x | 0x80000),
        ("co_stacksize", lambda x: x + 1),
        ("co_qualname", lambda x: x + "x"),
        ("co_varnames", lambda x: ("other", *x[1:])),
        ("co_argcount", lambda x: x - 1),
        ("co_posonlyargcount", lambda x: x - 1),
    ],
)
def test_digest_differs_by_attribute(attribute, change):
    code = compiled("""
        def f(a, /, b, *c, d):
            try: a(b)
            except ValueError: pass
    """)
    value = getattr(code, attribute)
    changed = code.replace(**{attribute: change(value)})
    assert digest(changed) != digest(code)


@pytest.mark.parametrize(
    "attribute", ["co_filename", "co_firstlineno", "co_linetable"]
)
def test_digest_is_the_same_without(attribute):
    code = compiled(EVERYTHING)
    other = {"co_filename": "other", "co_firstlineno": 99, "co_linetable": b""}
    changed = code.replace(**{attribute: other[attribute]})
    assert digest(changed) == digest(code)


def with_constant(value):
    return compiled("def f(): return 1").replace(co_consts=(None, value))


def test_constants_are_told_apart():
    nan = float("nan")
    values = [
        1, 1.0, True, 1 + 0j, 0.0, -0.0, 0, False, None, ..., nan, 0j,
        complex(0.0, -0.0), complex(-0.0, 0.0), complex(nan, 0),
        "", b"", (), frozenset(), "1", b"1", -1, 10**5000, -(10**5000),
        float("inf"), -float("inf"), "nan", "\ud800", "\x00",
        (1,), ((1,),), (1, 1), ("ab", "c"), ("a", "bc"), ("abc",),
        frozenset({1}), frozenset({1.0}), frozenset({True}),
        frozenset({(1,)}), frozenset({frozenset({1})}),
        frozenset({"a", "b"}), ("a", "b"), ("b", "a"), slice(1, 2, None),
        slice(1, None, 2), [], {},
        compiled("def f(): return 1"), compiled("def f(): return 1.0"),
    ]
    digests = {digest(with_constant(value)) for value in values}
    assert len(digests) == len(values)
    assert digest(with_constant(nan)) == digest(with_constant(float("nan")))


def test_sets_have_no_order():
    names = [f"name {n}" for n in range(50)]
    there, back = frozenset(names), frozenset(reversed(names))
    assert digest(with_constant(there)) == digest(with_constant(back))


def test_strange_constants():
    class Strange(int):
        def __repr__(self):
            raise AssertionError

        __hash__ = __eq__ = __index__ = __repr__

    code = compiled("def f(): return 1")
    try:
        strange = code.replace(co_consts=(Strange(),))
    except AssertionError:
        pytest.skip("this Python compares constants")
    assert digest(strange) != digest(code)
    with pytest.raises(pickle.PicklingError, match="f: its constants"):
        to_value(strange)


def test_digest_does_not_keep_the_code():
    code = compiled(EVERYTHING)
    digest(code)
    gone = weakref.ref(code)
    del code
    gc.collect()
    assert gone() is None


def test_digest_is_remembered(monkeypatch):
    code = compiled(EVERYTHING)
    known = digest(code)
    monkeypatch.setattr(codes, "_meaning", None)
    assert digest(code) == known


def test_digest_survives_reused_addresses():
    digests = set()
    for n in range(300):
        digests.add(digest(compiled(f"def f(): return {n}")))
    assert len(digests) == 300


# --- by value ----------------------------------------------------------------

@pytest.mark.parametrize("text", [EVERYTHING, "def f(): pass"])
def test_value(text):
    code = compiled(text)
    data = to_value(code)
    again = from_value(data)
    assert type(data) is bytes
    assert again is not code
    assert digest(again) == digest(code)
    assert again.co_filename == code.co_filename
    assert list(again.co_lines()) == list(code.co_lines())


def test_value_of_code_that_was_run():
    function, warm = hot_codes()
    for _ in range(1000):
        function(6)
    for code in warm:
        again = from_value(to_value(code))
        assert digest(again) == digest(code)
        assert again.co_code == code.co_code


def test_values_in_use_are_one_object():
    data = to_value(compiled("def f(): return 'value'"))
    one, other = from_value(data), from_value(bytes(bytearray(data)))
    assert one is other
    gone = weakref.ref(one)
    del one, other
    assert gone() is None


def test_value_of_another_version():
    data = to_value(compiled("def f(): pass"))
    with pytest.raises(pickle.UnpicklingError, match="version"):
        from_value(b"\x00\x00" + data[2:])


def test_value_runs():
    code = from_value(to_value(
        compiled("def f(x): return [x * y for y in (1, 2)]")
    ))
    assert types.FunctionType(code, {})(2) == [2, 4]
