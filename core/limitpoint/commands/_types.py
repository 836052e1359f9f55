"""The types of arguments: what a text on the command line has to be, said without torch."""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limitpoint.errors import UsageError, meant
from limitpoint.judgement.registry import index, titles
from limitpoint.judgement.roles import ROLES, check_role

PACKAGE = Path(__file__).parents[1]


def typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type of argparse that passes on what a `UsageError` says."""

    def told(text: str) -> Any:
        try:
            return read(text)
        except UsageError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None
        except OSError as exc:
            raise argparse.ArgumentTypeError(f"{text}: {exc.strerror}") from None

    return told


@typed
def paper(text: str) -> str:
    """The name of a paper that has claims."""
    if text not in titles():
        known = f"{meant(text, titles())}; one of {', '.join(titles())}"
        raise UsageError(f"unknown paper {text!r}{known}")
    return text


#: What stands before an optimizer for which no role is given.
BARE = " optimizer="


@typed
def spec(text: str) -> str:
    """ROLE=MODULE:ATTR..., as far as its role goes, or MODULE:ATTR for what it is."""
    role, equals, _ = text.partition("=")
    if ":" in role:
        return f"{BARE}{text}"
    if not equals:
        raise UsageError(f"{text!r} names no optimizer: write MODULE:ATTR or ROLE=MODULE:ATTR")
    check_role(role.strip())
    return text


@typed
def optimizer(text: str) -> str:
    """MODULE:ATTR..., without a role."""
    if "=" in text.partition(":")[0]:
        raise UsageError(f"{text!r}: an optimizer has no role here; write MODULE:ATTR[,key=value]")
    return text


@typed
def positive(text: str) -> float:
    """A number > 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise UsageError(f"{text!r} is no number > 0")
    return number


@typed
def above_one(text: str) -> float:
    """A number > 1."""
    if not positive(text) > 1:
        raise UsageError(f"{text}: must be > 1")
    return float(text)


def at_least(least: int) -> Callable[[str], int]:
    """A whole number that is no less than that."""

    @typed
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise UsageError(f"{text!r}: must be a whole number >= {least}")
        return int(text)

    return whole


@typed
def figure(text: str) -> Path:
    """A file that a figure can be drawn into."""
    if Path(text).suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{text}: the name must end in .png, .svg or .pdf")
    return Path(text)


def _registered(folder: Path, decorator: str) -> list[str]:
    """The names that modules of a folder register: read off the files, none of which is run."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    pattern = re.compile(rf'^@{decorator}\(\s*"([^"]+)"', re.M)
    return [name for found in texts for name in pattern.findall(found)]


@typed
def sweepable(text: str) -> str:
    """What can be swept: a map, a role, the id of a claim, or a file that says so."""
    if text.endswith(".toml"):
        return text
    names = [*_registered(PACKAGE / "sweeps", "sweepable"), *ROLES, *index()]
    if text not in names:
        raise UsageError(
            f"no map, role or claim is called {text!r}{meant(text, names)} (limitpoint sweep, "
            "limitpoint roles, limitpoint list)"
        )
    return text


@typed
def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value a literal."""
    name, equals, value = text.partition("=")
    try:
        return name.strip(), ast.literal_eval(value) if equals and name else None
    except (ValueError, SyntaxError):
        raise UsageError(f"{text!r}: write NAME=VALUE, the value a literal: mu=(1,2,3)") from None


@typed
def axis(text: str) -> tuple[str, tuple[float, ...]]:
    """The values of a setting: NAME=LOW:HIGH:COUNT, evenly, with :log by ratio; or NAME=1,2,5."""
    name, _, spec = text.partition("=")
    try:
        values = _values(spec)
    except (ValueError, OverflowError):
        values = ()
    if not (name and values and all(map(math.isfinite, values))):
        raise UsageError(
            f"axis {text!r}: write NAME=LOW:HIGH:COUNT, NAME=LOW:HIGH:COUNT:log or NAME=1,2,5"
        )
    return name.strip(), values


def _values(spec: str) -> tuple[float, ...]:
    ends = re.fullmatch(r"([^:]+:[^:]+):([0-9]{1,7})(:log)?", spec)
    if ends is None:
        return tuple(float(value) for value in spec.split(","))
    low, high = map(float, ends[1].split(":"))
    if ends[3] and not 0 < low <= high:
        raise ValueError
    shares = [k / max(int(ends[2]) - 1, 1) for k in range(int(ends[2]))]
    if not ends[3]:
        return tuple(low + share * (high - low) for share in shares)
    return tuple(low * (high / low) ** share for share in shares)


@typed
def figure_name(text: str) -> str:
    """How the name of a figure begins."""
    names = _registered(PACKAGE / "views" / "figures", "figure")
    if not any(name.startswith(text) for name in names):
        raise UsageError(
            f"no figure is called {text!r}{meant(text, names)} (limitpoint figures --list)"
        )
    return text


@typed
def file(text: str) -> Path:
    """A file that can be read."""
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as exc:
        raise UsageError(f"{text}: cannot be read ({exc.strerror})") from None


@typed
def folder(text: str) -> Path:
    """A folder that is there."""
    if not Path(text).is_dir():
        raise UsageError(f"{text}: no such folder")
    return Path(text)


@typed
def in_folder(text: str) -> Path:
    """A file in a folder that is there."""
    if not Path(text).parent.is_dir():
        raise UsageError(f"{text}: no folder {Path(text).parent}")
    return Path(text)


@typed
def dashboard(text: str) -> Path:
    """A folder that asv published into."""
    if not (Path(text) / "index.html").exists():
        raise UsageError(f"{text}: no index.html in it (asv publish makes one)")
    return Path(text)
