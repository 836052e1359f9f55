"""What the commit at hand has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def skipped_where_missing() -> Iterator[None]:
    """Skip the benchmark where its commit lacks a name, an argument or a claim that it uses.

    Raises:
        NotImplementedError: which asv takes for "not applicable".
    """
    try:
        yield
    except (ImportError, AttributeError, KeyError, TypeError) as missing:
        raise NotImplementedError(f"not in this commit: {missing}") from missing


def evaluated(claim: Any, setting: Any) -> Any:
    """What came of a claim, by whatever road its commit has."""
    try:
        from limitpoint import evaluate
    except ImportError:
        return claim.evaluate(setting)
    return evaluate(claim, setting=setting)
