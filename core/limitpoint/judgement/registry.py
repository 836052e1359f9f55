"""Finding the claims: in the checkout's claims/, or beside the installed package."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.roles import check_role


def claims_folder() -> Path:
    """The folder that holds the claims.

    Raises:
        UsageError: neither an installed copy nor a checkout has one.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "claims", package.parent.parent / "claims"):
        if (folder / "__init__.py").exists():
            return folder
    raise UsageError(f"no claims beside {package}: install limitpoint from its wheel or checkout")


@cache
def titles() -> Mapping[str, str]:
    """The papers and topics that have claims, told by their folders, with what each is called.

    That is the folder's docstring, read and not run.
    """
    files = sorted(claims_folder().glob("*/__init__.py"))
    said = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) for file in files)
    names = [file.parent.name.replace("_", "-") for file in files]
    return {name: (title or name).rstrip(".") for name, title in zip(names, said, strict=True)}


@cache
def index() -> dict[str, tuple[str, ...]]:
    """What each claim answers to under -k, by id: read off the files, none of which is run."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(claims_folder().rglob("test_*.py")):
        around = path.parts[-2:]
        for name, test in _CLAIM.findall(path.read_text(encoding="utf-8")):
            found[name] = (name, test, *around)
    return found


_CLAIM = re.compile(r'^@claim\(\s*"([^"]+)".*?^def (\w+)', re.MULTILINE | re.DOTALL)


def _load(path: Path, folder: Path) -> ModuleType:
    name = "limitpoint_claims." + ".".join(path.relative_to(folder).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by id, in the order of papers, files and lines."""
    folder = claims_folder()
    found: dict[str, Claim] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for member in vars(_load(path, folder)).values():
            record = getattr(member, "claim", None)
            if isinstance(record, Claim):
                if record.id in found:
                    raise UsageError(f"claim id {record.id} is used twice")
                found[record.id] = record
    return found


def claims_about(roles: Iterable[str]) -> list[Claim]:
    """The claims that judge one of the roles, role by role.

    Raises:
        UsageError: a role that is not there, or that no claim is about.
    """
    found: dict[str, Claim] = {}
    for role in map(check_role, roles):
        about = {claim.id: claim for claim in all_claims().values() if claim.about([role])}
        if not about:
            raise UsageError(f"no claim is about the role {role!r}")
        found |= about
    return list(found.values())


def claims_of(paper: str | None = None, role: str | None = None) -> list[Claim]:
    """Claims of a paper, a role, or both; all if neither is given."""
    return [
        claim
        for claim in all_claims().values()
        if (paper is None or claim.paper == paper) and (role is None or role in claim.roles)
    ]
