"""What can go wrong, by who has to act."""


class UsageError(ValueError):
    """Wrong usage: one line says what was wrong and what would be right. Exit code 2."""


class NotApplicable(Exception):  # noqa: N818 - a verdict, not an error
    """A hypothesis of the claim is not met; the message names it."""


class Inconclusive(Exception):  # noqa: N818 - a verdict, not an error
    """Horizon, precision or time ran out; the message says which."""


class SubjectFailed(Exception):  # noqa: N818 - a verdict, not an error
    """The subject raised, left the numbers, did not move or took too long: the claim is refuted."""
