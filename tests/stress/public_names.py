"""What is public, as the stubs have it, and which errors docs/api.md gives it.

The attacks on arguments and on memory are made from this, so that no public
name is forgotten.
"""

import ast
import dataclasses
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/stackless"
API = ROOT / "docs/api.md"


@dataclasses.dataclass
class Parameter:
    name: str
    annotation: str
    required: bool
    positional_only: bool
    keyword_only: bool = False


@dataclasses.dataclass
class Public:
    """`kind`: function, method, type, readonly, writable or variable."""

    name: str
    kind: str
    owner: str | None = None
    annotation: str = ""
    parameters: tuple = ()  # not counting *args and **kwargs
    var_positional: bool = False
    var_keyword: bool = False

    @property
    def qualified(self):
        return f"{self.owner}.{self.name}" if self.owner else self.name

    @property
    def required(self):
        return [each for each in self.parameters if each.required]


def parse_function(node, owner=None):
    arguments = node.args
    positional = arguments.posonlyargs + arguments.args
    optional = len(arguments.defaults)
    parameters = []
    for index, argument in enumerate(positional):
        parameters.append(
            Parameter(
                argument.arg,
                ast.unparse(argument.annotation) if argument.annotation else "",
                index < len(positional) - optional,
                index < len(arguments.posonlyargs),
            )
        )
    for argument in arguments.kwonlyargs:
        annotation = ast.unparse(argument.annotation)
        parameters.append(
            Parameter(argument.arg, annotation, False, False, True)
        )
    return Public(
        node.name,
        "method" if owner else "function",
        owner,
        ast.unparse(node.returns),
        tuple(parameters[1:] if owner else parameters),
        arguments.vararg is not None,
        arguments.kwarg is not None,
    )


def is_property(node):
    return [ast.unparse(each) for each in node.decorator_list] == ["property"]


def parse_class(node):
    """The type itself, then its members."""
    calls = {}
    members = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign):
            members.append(
                Public(
                    item.target.id,
                    "writable",
                    node.name,
                    ast.unparse(item.annotation),
                )
            )
        elif isinstance(item, ast.FunctionDef):
            if item.name in ("__new__", "__init__"):
                calls[item.name] = parse_function(item, node.name)
            elif is_property(item):
                members.append(Public(item.name, "readonly", node.name))
            else:
                members.append(parse_function(item, node.name))
    call = calls.get("__init__") or calls.get("__new__")
    made = Public(node.name, "type")
    if call:
        made = dataclasses.replace(call, name=node.name, kind="type")
        made.owner = None
    return [made, *members]


def parse(path):
    found = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            if not node.name.startswith("_"):
                found.append(parse_function(node))
        elif isinstance(node, ast.ClassDef):
            if not node.name.startswith("_"):
                found += parse_class(node)
        elif isinstance(node, ast.AnnAssign):
            name = node.target.id
            if not name.isupper() and not name.startswith("_"):
                found.append(
                    Public(name, "variable", None, ast.unparse(node.annotation))
                )
    return found


@functools.cache
def public():
    """Everything public, by its qualified name."""
    found = parse(PACKAGE / "_core.pyi") + parse(PACKAGE / "__init__.pyi")
    return {each.qualified: each for each in found}


# --- the errors that the reference gives --------------------------------------

ERROR = re.compile(r"`(\w+Error)`")
CROSS_REFERENCE = re.compile(r"`(?:(?:tasklet|channel)\.)?(\w+)\(\)`")


@functools.cache
def sections():
    """The reference's text on each name, by qualified name."""
    found = {}
    text = API.read_text("utf-8")
    for part in re.split(r"^##+ ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        for name in re.findall(r"`(?:stackless\.)?([\w.]+)", title):
            found[name] = body
    for row in re.findall(r"^\| (`\w+\..*)$", text, re.M):
        names, _, body = row.partition("|")
        for name in re.findall(r"`([\w.]+)`", names):
            found[name] = body
    return found


def errors_of(name, deep=True):
    text = sections().get(name, "")
    found = set(ERROR.findall(text))
    if "*May switch.*" in text:
        found.add("RuntimeError")
    if deep:
        owner = name.rpartition(".")[0]
        for other in CROSS_REFERENCE.findall(text):
            for place in (f"{owner}.{other}" if owner else other, other):
                found |= errors_of(place, deep=False)
    return found


# What is said of all, at the head of the reference.
ALWAYS = {"AttributeError", "OverflowError", "TypeError"}
SAID_AT = {
    "tasklet.__call__": "tasklet.setup",
    "tasklet": "tasklet.bind",
    "atomic.__enter__": "atomic",
    "atomic.__exit__": "atomic",
    "Pickler.dump": "Pickler",
}


def documented_errors(each):
    """Names of the errors that a call of it, or setting it, may raise."""
    name = SAID_AT.get(each.qualified, each.qualified)
    return errors_of(name) | ALWAYS
