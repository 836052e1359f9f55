"""The command line's text for a subject: MODULE:ATTR[,key=value...]."""

from __future__ import annotations

import ast
import importlib
import math
import re
from collections.abc import Callable
from typing import Any

from limitpoint.errors import UsageError

FORM = "ROLE=MODULE:ATTR[,key=value...]"
WORDS = {"inf": math.inf, "true": True, "false": False, "none": None}
OPENING, CLOSING = "([{", ")]}"


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
            return ast.literal_eval(literal)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    if re.fullmatch(r"[A-Za-z_][\w.:/-]*", text):
        return text
    raise UsageError(f"{key}={text} is no Python literal: write a number, (0.9,0.95), True, a word")


def load(target: str) -> Callable[..., Any]:
    """The attribute, dotted or not, of a module."""
    module, colon, path = target.partition(":")
    if not colon or not module or not path:
        raise UsageError(f"{target!r} is no MODULE:ATTR: write it like torch.optim:SGD")
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as exc:
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())
        hint = "is it installed, or its folder on PYTHONPATH?"
        raise UsageError(f"cannot import the module {module!r} ({reason}); {hint}") from exc
    for name in path.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{module} has no {path!r}{_near(found, name)}")
        found = getattr(found, name)
    if not callable(found):
        raise UsageError(f"{target} is of type {type(found).__name__}: name a class or a function")
    return found


def _near(owner: Any, name: str) -> str:
    """A hint: the public name that differs only by case, else the classes there are."""
    public = [other for other in vars(owner) if not other.startswith("_")]
    same = [other for other in public if other.lower() == name.lower()]
    classes = [other for other in public if isinstance(getattr(owner, other, None), type)]
    names = same or sorted(classes)[:8]
    return f"; there is {', '.join(names)}" if names else ": name a class or a function of it"
