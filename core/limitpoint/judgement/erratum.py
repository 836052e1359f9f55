"""An erratum: what a paper prints, what holds instead, and how sure that is."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from limitpoint.errors import UsageError

#: What the correction rests on, by name.
BASES = {
    "proof": "the paper's own proof",
    "contradiction": "a contradiction within the paper",
    "values": "values that the authors published",
}
#: How sure it is that the paper says so and errs.
SURENESS = {
    "certain": "no reading of the printed text saves it",
    "likely": "one symbol lost in our copy, or one assumption of ours, would save it",
    "open": "our copy of the paper is damaged there, or is not the whole paper",
}
#: Evidence of an erratum is measured under one of these, or is a control.
SIDES = ("printed", "corrected")


@dataclass(frozen=True)
class Erratum:
    """What a paper prints, what holds instead, and how sure that is; plain text, no LaTeX.

    Args:
        printed: the statement as our copy of the paper has it.
        corrected: what holds instead.
        where: theorem, equation or figure; each place where it stands.
        basis: what the correction rests on, one of `BASES`.
        sure: one of `SURENESS`.
        because: why no surer and no less; whether the conversion to text could have done it.

    Raises:
        UsageError: an empty text, or a basis or sureness that is none of those.
    """

    printed: str
    corrected: str
    where: str
    basis: str
    sure: str
    because: str

    def __post_init__(self) -> None:
        empty = [name for name, text in asdict(self).items() if not text.strip()]
        if empty:
            raise UsageError(f"erratum: say what is {empty[0]!r}")
        for name, known in (("basis", BASES), ("sure", SURENESS)):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"erratum: {name} {getattr(self, name)!r} is none of {', '.join(known)}"
                )
