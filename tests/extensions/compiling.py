"""Compile the probe extensions, once for each interpreter.

What was compiled is kept in build/extensions, under a name made from all that
it depends on.
"""

import fcntl
import functools
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest
import stackless

HERE = pathlib.Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "extensions"
API = pathlib.Path(stackless.__file__).parent / "include"
INCLUDE = sysconfig.get_path("include")


def require(package, compiler):
    """Skip what cannot be compiled here."""
    module = pytest.importorskip(package, reason=f"no {package}")
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    if not os.path.exists(os.path.join(INCLUDE, "Python.h")):
        pytest.skip("no headers of this Python")
    return module


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def load(name, source, version, *commands):
    """Make the module with the commands, if need be, and import it.

    The commands' %s is the file without its suffix.
    """
    text = (HERE / source).read_bytes()
    text += f"{sys.version} {sys.abiflags} {version} {commands}".encode()
    folder = CACHE / f"{name}-{hashlib.sha256(text).hexdigest()[:16]}"
    target = folder / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            for command in commands:
                run(*(each.replace("%s", str(folder / name))
                      for each in command))
            (folder / f"{name}.so").rename(target)
    spec = importlib.util.spec_from_file_location(name, target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiler(name, *options):
    """The start of a command; compiled fast rather than well."""
    return [name, "-shared", "-fPIC", "-O0", "-g0", "-w", *options,
            "-fno-canonical-system-headers", f"-I{INCLUDE}"]


@functools.cache
def load_cython():
    cython = require("Cython", "gcc")
    translate = [sys.executable, "-m", "cython", "-3",
                 str(HERE / "probe_cython.pyx"), "-o", "%s.c"]
    return load("probe_cython", "probe_cython.pyx", cython.__version__,
                translate, [*compiler("gcc"), "%s.c", "-o", "%s.so"])


@functools.cache
def load_pybind():
    pybind = require("pybind11", "g++")
    compile_ = compiler("g++", "-std=c++17", "-fvisibility=hidden",
                        f"-I{pybind.get_include()}", f"-I{API}")
    return load("probe_pybind", "probe_pybind.cc", pybind.__version__,
                [*compile_, str(HERE / "probe_pybind.cc"), "-o", "%s.so"])
