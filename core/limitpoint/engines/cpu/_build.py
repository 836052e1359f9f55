"""Compiling units once, and keeping what came of it for the next process.

numba keeps compiled code beside the file it came from and looks at that file alone: a change in a
helper goes unseen. So each unit gets a small module of its own, in a folder named after everything
that the unit is made of; when any of that changes, the folder is another one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import llvmlite
import numba

from limitpoint.engines.cpu import kernels

UNIT = '''"""Written by limitpoint.engines.cpu; safe to delete."""

from numba import cfunc

from limitpoint.engines.cpu.kernels import _link
from {module} import {function} as body

unpack = _link.unpack("{kind}")


@cfunc(_link.UNIT, cache={cache}, **_link.OPTIONS)
def unit(pointer):
    body(*unpack(pointer))
'''
LOOP = '''"""Written by limitpoint.engines.cpu; safe to delete."""

from numba import njit

from limitpoint.engines.cpu.kernels import _link
from limitpoint.engines.cpu.kernels.loop import trajectory as body


@njit(cache={cache}, nogil=True, **_link.OPTIONS)
def trajectory(*arguments):
    body(*arguments)
'''


@cache
def address(kind: str, module: str, function: str) -> int:
    """Address of a compiled unit of one of the kinds in `kernels._link.KINDS`.

    Args:
        kind: what it is called with.
        module: where the function is, by its full name.
        function: its name there.
    """
    text = UNIT.replace("{kind}", kind).replace("{module}", module).replace("{function}", function)
    source = Path(inspect.getfile(import_module(module)))
    return int(_module(f"{kind}_{function}", text, source).unit.address)


@cache
def trajectory() -> Callable[..., None]:
    """The compiled loop."""
    compiled: Callable[..., None] = _module("trajectory", LOOP).trajectory
    return compiled


def _module(name: str, text: str, *sources: Path) -> Any:
    """The module with this text, loaded from the cache folder."""
    folder, kept = _folder(_digest(text, *sources))
    path = folder / f"{name}.py"
    _write(path, text.replace("{cache}", str(kept)))
    spec = importlib.util.spec_from_file_location(f"_limitpoint_{folder.name}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # numba finds a function's module by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _digest(text: str, *sources: Path) -> str:
    digest = hashlib.sha256(text.encode())
    digest.update(f"{numba.__version__} {llvmlite.__version__}".encode())
    for source in (*_package(), *sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _package() -> Iterator[Path]:
    """The files that every unit may be made of."""
    assert kernels.__file__ is not None
    yield from sorted(Path(kernels.__file__).parent.glob("*.py"))


def _folder(digest: str) -> tuple[Path, bool]:
    """A folder for one unit, and whether it outlives the process."""
    for root in _roots():
        folder = root / f"unit-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder, True
    # A private one: compiled code is not read from where others may write.
    return Path(tempfile.mkdtemp(prefix="limitpoint-")), False


def _roots() -> Iterator[Path]:
    """Where compiled code may be kept: numba's own choice of folder first, then the user's."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen) / "limitpoint"
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        yield (Path(base) if base else Path.home() / ".cache") / "limitpoint"
    except RuntimeError:
        return


def _write(path: Path, text: str) -> None:
    """Write a file at once or not at all: two processes may be doing the same."""
    if path.exists():
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
