"""The command line's text for a subject: MODULE:ATTR[,key=value...]."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from limitpoint.errors import UsageError, meant

FORM = "ROLE=MODULE:ATTR[,key=value...]"
WORDS = {"inf": math.inf, "true": True, "false": False, "none": None}
OPENING, CLOSING = "([{", ")]}"
#: Names that are offered in place of one that is not there.
SHOWN = 8


def split(text: str) -> list[str]:
    """Split at the commas that are in no bracket and in no quotes."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote or char in "'\"":
            quote = "" if char == quote else quote or char
        else:
            depth += (char in OPENING) - (char in CLOSING)
        if char == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += char
        if depth < 0:
            break
    if depth or quote:
        raise UsageError(f"{text!r}: a bracket or quote has no partner; write {FORM}")
    return parts


def parse_options(parts: list[str]) -> dict[str, Any]:
    """The values of key=value texts."""
    found: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier() or not value.strip():
            raise UsageError(f"{part!r} is no option of a subject: write key=value, as lr=0.1")
        if key in found:
            raise UsageError(f"the option {key!r} is given twice: give it once")
        found[key] = _value(key, value.strip())
    return found


def _value(key: str, text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for literal in (text, text.replace(";", ",")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SyntaxWarning)
                return ast.literal_eval(literal)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    if re.fullmatch(r"[A-Za-z_][\w.:/-]*", text):
        return text
    raise UsageError(f"{key}={text} is no Python literal: write a number, (0.9,0.95), True, a word")


def load(target: str) -> Callable[..., Any]:
    """The attribute, dotted or not, of a module or of a file: MODULE:ATTR or PATH.py:ATTR."""
    module, colon, path = target.rpartition(":")
    if not colon or not module or not path:
        raise UsageError(f"{target!r} is no MODULE:ATTR: write it like torch.optim:SGD")
    try:
        found: Any = _module(module)
    except (Exception, SystemExit) as exc:
        raise UsageError(_why_not(module, exc)) from exc
    for name in path.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{module} has no {path!r}{_near(found, name)}")
        found = getattr(found, name)
    if not callable(found):
        raise UsageError(f"{target} is of type {type(found).__name__}: name a class or a function")
    return found


def _why_not(module: str, exc: BaseException) -> str:
    """What became of an import: no file, no such module, or a line of somebody's that raised."""
    if isinstance(exc, FileNotFoundError) and not Path(module).exists():
        return f"there is no file {module!r}: give a path as ./mine.py, or a module that imports"
    reason = " ".join(f"{type(exc).__name__}: {exc}".split())
    if isinstance(exc, ModuleNotFoundError):
        hint = "; is it installed, or its folder on PYTHONPATH?"
    else:
        frames = traceback.extract_tb(exc.__traceback__)
        theirs = [f for f in frames if f.filename != __file__ and "importlib" not in f.filename]
        hint = f" at {Path(theirs[-1].filename).name}:{theirs[-1].lineno}" if theirs else ""
    return f"cannot import the module {module!r} ({reason}){hint}"


def _module(name: str) -> ModuleType:
    """A module by its dotted name, or by the path of its file."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    file = Path(name).resolve()
    known = f"limitpoint_subject_{hashlib.sha256(os.fsencode(file)).hexdigest()[:12]}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[known])
        except BaseException:
            del sys.modules[known]
            raise
    return sys.modules[known]


def _near(owner: Any, name: str) -> str:
    """A hint: the public name that is nearest, else the classes there are."""
    public = [other for other in vars(owner) if not other.startswith("_")]
    classes = sorted(other for other in public if isinstance(getattr(owner, other, None), type))
    near = meant(name, classes) or meant(name, public)
    if near:
        return near
    if not classes:
        return ": name a class or a function"
    shown, more = ", ".join(classes[:SHOWN]), len(classes) - SHOWN
    return f"; there is {shown}" + (f" and {more} more" if more > 0 else "")
