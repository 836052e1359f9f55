"""What the commit at hand has."""

from collections.abc import Iterator
from contextlib import contextmanager


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
