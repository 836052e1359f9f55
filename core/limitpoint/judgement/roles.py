"""What each role is, in a line: for a command line that answers without loading any rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from limitpoint.errors import UsageError, meant


def _written(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and formula of each `@role(name, formula)`, read and not run: rules load torch."""
    for file in sorted(folder.glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            for mark in getattr(node, "decorator_list", ()):
                match mark:
                    case ast.Call(func=ast.Name("role"), args=[name, formula]):
                        yield ast.literal_eval(name), ast.literal_eval(formula)


#: Each role with its rule's formula; the rules themselves are `limitpoint.optimizers.roles.ROLES`.
ROLES: Mapping[str, str] = dict(_written(Path(__file__).parents[1] / "optimizers"))


def check_role(role: str) -> str:
    """The role itself.

    Raises:
        UsageError: there is no such role.
    """
    if role not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise UsageError(f"unknown role {role!r}{meant(role, ROLES)}; roles: {known}")
    return role
