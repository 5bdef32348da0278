"""The documents: links lead somewhere, and the reference is complete."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/stackless"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)


def name(path):
    return path.relative_to(ROOT).as_posix()


def headings(path):
    """Anchors of a document's headings, as code hosts make them."""
    text = CODE.sub(lambda m: m[0].strip("`"), path.read_text("utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.M)
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_resolve(path):
    broken = []
    for link in LINK.findall(CODE.sub("", path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert not broken


def test_index_links_every_document():
    index = ROOT / "docs/index.md"
    linked = {(index.parent / link).resolve()
              for link in LINK.findall(index.read_text("utf-8"))}
    missing = {name(path) for path in DOCUMENTS if path not in linked}
    assert missing <= {"docs/index.md"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_files_named_in_documents_exist(path):
    """`tests/...`, `tools/...` and sources, where a document names them."""
    places = [ROOT, PACKAGE / "_core", PACKAGE]
    rooms = ("tests", "tools", "docs", "core", "compat", "cstack", "wait",
             "types", "base")
    pattern = r"`((?:%s)/[\w/.]+\.\w+)`" % "|".join(rooms)
    missing = [file for file in re.findall(pattern, path.read_text("utf-8"))
               if not any((place / file).exists() for place in places)]
    assert not missing


def public_names():
    """What stackless.__all__ lists."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    for node in tree.body:
        if (isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == "__all__"):
            return ast.literal_eval(node.value)
    raise AssertionError("no __all__")


def members(type_name):
    """Methods and attributes that the stubs give a type."""
    tree = ast.parse((PACKAGE / "_core.pyi").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == type_name:
            return {
                item.target.id if isinstance(item, ast.AnnAssign)
                else item.name
                for item in node.body
                if isinstance(item, (ast.AnnAssign, ast.FunctionDef))
            } - {"__new__", "__init__", "__call__"}
    raise AssertionError(f"no {type_name}")


def documented():
    text = (ROOT / "docs/api.md").read_text("utf-8")
    return set(re.findall(r"\b((?:stackless|tasklet|channel)\.\w+)", text))


def test_reference_names_every_public_name():
    wanted = {f"stackless.{each}" for each in public_names()}
    assert wanted - documented() == set()


@pytest.mark.parametrize("type_name", ["tasklet", "channel"])
def test_reference_names_every_member(type_name):
    wanted = {f"{type_name}.{each}" for each in members(type_name)}
    assert wanted - documented() == set()


def test_reference_names_nothing_else():
    real = {f"stackless.{each}" for each in public_names()}
    for type_name in ("tasklet", "channel"):
        extra = {"__reduce__", "__reduce_ex__"}
        real |= {f"{type_name}.{each}" for each in members(type_name) | extra}
    text = (ROOT / "docs/api.md").read_text("utf-8")
    titles = "\n".join(re.findall(r"^##+ (.+)$", text, re.M))
    named = set(re.findall(r"`((?:stackless|tasklet|channel)\.\w+)", titles))
    assert named - real == set()
