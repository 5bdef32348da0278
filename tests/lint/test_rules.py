"""The project's own rules hold (each rule is a program in tools/)."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ROOT / "src/stackless/_core"


def run_tool(name, *arguments):
    command = [
        sys.executable,
        str(ROOT / "tools" / name),
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["layers", "functions", "mistakes"])
def test_rule(name):
    done = run_tool(f"check_{name}.py")
    assert done.returncode == 0, "\n" + done.stdout + done.stderr


def test_format():
    if run_tool("check_format.py", "--have").returncode:
        pytest.skip("clang-format 14 is not installed")
    done = run_tool("check_format.py")
    assert done.returncode == 0, "\n" + done.stderr[-4000:]


def test_python_files_compile():
    for folder in ("src", "tests", "tools", "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            compile(path.read_text(), str(path), "exec", dont_inherit=True)


def test_meson_lists_every_source():
    """A file that meson.build forgets would be missed by users only."""
    text = (ROOT / "meson.build").read_text()
    listed = set(re.findall(r"core / '([^']+\.[cS])'", text))
    there = {
        path.relative_to(CORE).as_posix()
        for path in CORE.rglob("*.[cS]")
        if not path.stem.endswith("_template")
    }
    assert listed == there
    package = CORE.parent
    listed = set(re.findall(r"'(src/stackless/[^']+\.(?:pyi?|typed))'", text))
    there = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.suffix in (".py", ".pyi") or path.name == "py.typed"
    }
    assert listed == there


def test_meson_lists_every_c_test():
    text = (ROOT / "meson.build").read_text()
    there = {path.stem for path in (ROOT / "tests/c").glob("test_*.c*")}
    assert set(re.findall(r"'(test_\w+)'", text)) == there


def test_version_is_said_once():
    """CHANGELOG's newest entry is the version that meson.build builds."""
    version = re.search(
        r"version: '([^']+)'", (ROOT / "meson.build").read_text()
    )
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[1] == version[1]


def test_flags_agree():
    """quickbuild warns of the same things as meson does."""
    meson = (ROOT / "meson.build").read_text()
    quick = (ROOT / "tools/quickbuild.py").read_text()
    flags = set(re.findall(r"'(-[fW][\w=-]+)'", meson))
    missing = {flag for flag in flags if flag not in quick}
    assert not missing
