"""Which engine does the work: the compiled form where there is one, or torch, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from limitpoint.engines.devices import check_device
from limitpoint.errors import UsageError
from limitpoint.optimizers import Rule

ENGINES = ("auto", "torch", "fused")
Report = Callable[[str, str], None]
T = TypeVar("T")


def check_engine(engine: str, device: str) -> None:
    """Raise UsageError unless the engine and the device exist here."""
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}: one of {', '.join(ENGINES)}")
    check_device(device)


def compiled_or_why(engine: str, rule: Rule, compiled: Callable[[], T]) -> T | str:
    """What comes of the compiled form, or why torch does the work instead.

    Args:
        engine: as of `limitpoint.run`.
        rule: whose; somebody else's code is not compiled.
        compiled: the work; raises NotCovered where it has no such form.

    Raises:
        UsageError: the compiled engine was asked for, and does not cover it.
    """
    if engine == "torch":
        return "torch was asked for"
    from limitpoint.engines import cpu  # numba is loaded when it is first used

    try:
        if rule.is_foreign:
            raise cpu.NotCovered(f"the rule {rule.name} (its steps are its own code's)")
        return compiled()
    except cpu.NotCovered as missing:
        if engine == "fused":
            raise UsageError(f"the fused engine does not cover {missing}") from None
        return f"not covered: {missing}"


def something_else(rule: Rule) -> str:
    """What is not covered of a rule that looks at what it is given."""
    return f"the rule {rule.name} (it does something else when it is traced)"
