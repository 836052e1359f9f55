"""What limitpoint costs and what its claims leave open, commit by commit.

asv runs these files against older commits too. What such a commit lacks is skipped: `setup` raises
NotImplementedError, and the dashboard shows a gap in the line instead of a failure.
"""

from contextlib import suppress

with suppress(ImportError):
    # asv loads this package once and forks it for each benchmark.
    import limitpoint.engines.cpu  # noqa: F401
