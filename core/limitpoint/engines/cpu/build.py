"""Compiling units once, and keeping what came of it for the next process.

numba keeps compiled code beside the file it came from and looks at that file alone: a change in a
helper goes unseen. So each unit gets a small module of its own, in a folder named after everything
that the unit is made of; when any of that changes, the folder is another one. What is loaded from
there is run: the folder has to be the user's own, and nobody else may write to it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import stat
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
from limitpoint.numerics import Scaled

IMPORTED = '''"""Written by limitpoint.engines.cpu; safe to delete."""

from {module} import {function} as body
'''
UNIT = """
from numba import cfunc
from limitpoint.engines.cpu.kernels import _link

unpack = _link.unpack("{kind}")


@cfunc(_link.UNIT, cache={cache}, **_link.OPTIONS)
def unit(pointer):
    {function}(*unpack(pointer))
"""
CALLED = """
from numba import njit
from limitpoint.engines.cpu.kernels import _link


@njit(cache={cache}, nogil=True, **_link.OPTIONS)
def called(*arguments):
    return body(*arguments)
"""


@cache
def address(kind: str, module: str, function: str) -> int:
    """Address of a compiled unit that stands in a file.

    Args:
        kind: what it is called with, one of `kernels._link.KINDS`.
        module: where the function is, by its full name.
        function: its name there.
    """
    text = IMPORTED.replace("{module}", module).replace("{function}", function)
    source = Path(inspect.getfile(import_module(module)))
    return _unit(f"{kind}_{function}", kind, text, "body", source)


@cache
def written(kind: str, text: str, function: str) -> int:
    """Address of a compiled unit that is given as the text of a module, and a function in it."""
    return _unit(kind, kind, text, function)


@cache
def whole(kind: str, text: str) -> int:
    """Address of the compiled unit that the text of a module ends with."""
    return int(module(kind, text).unit.address)


def _unit(name: str, kind: str, text: str, function: str, *sources: Path) -> int:
    unit = UNIT.replace("{kind}", kind).replace("{function}", function)
    return int(module(name, text + "\n" + unit, *sources).unit.address)


@cache
def called(name: str, function: str) -> Callable[..., Any]:
    """A kernel that Python calls.

    Args:
        name: the file of `kernels` that it is in.
        function: its name there.
    """
    text = IMPORTED.replace("{module}", f"{kernels.__name__}.{name}")
    text = text.replace("{function}", function) + CALLED
    compiled: Callable[..., Any] = module(function, text).called
    return compiled


@cache
def module(name: str, text: str, *sources: Path) -> Any:
    """The module with this text, which stands in a file of the cache folder."""
    folder, kept = _folder(_digest(text, *sources))
    path, text = folder / f"{name}.py", text.replace("{cache}", str(kept))
    _write(path, text)
    spec = importlib.util.spec_from_file_location(f"_limitpoint_{folder.name}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    # numba finds a function's module by its name.
    sys.modules[spec.name] = found
    # What is run is this text, whatever the file says by now.
    exec(compile(text, str(path), "exec"), vars(found))
    return found


def _digest(text: str, *sources: Path) -> str:
    digest = hashlib.sha256(text.encode())
    digest.update(f"{numba.__version__} {llvmlite.__version__}".encode())
    for source in (*_package(), *sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


@cache
def _package() -> tuple[Path, ...]:
    """The files that every unit may be made of: the kernels, and where their constants are."""
    own = sorted(Path(str(kernels.__file__)).parent.glob("*.py"))
    return (*own, Path(inspect.getfile(Scaled)))


def _folder(digest: str) -> tuple[Path, bool]:
    """A folder for one unit, and whether it outlives the process."""
    for root in _roots():
        folder = root / f"unit-{digest}"
        try:
            for each in (root, folder, folder / "__pycache__"):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if all(map(_is_ours, (root, folder, folder / "__pycache__"))):
            return folder, True
    return Path(tempfile.mkdtemp(prefix="limitpoint-")), False


def _is_ours(folder: Path) -> bool:
    """Whether a folder is the user's, and nobody else's to write to."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or not os.access(folder, os.W_OK):
        return False
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


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
    """Write a file, at once or not at all: two processes may be doing the same."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
