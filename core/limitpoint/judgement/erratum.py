"""An erratum: what a paper prints, what holds instead, and how sure that is."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from limitpoint.errors import UsageError

#: What is wrong with the printed statement.
FAULTS = {
    "false": "what is printed fails",
    "weak": "what is printed is true, and less than its proof gives",
    "unproven": "what is printed is not known to fail, and its proof does not give it",
}
#: What the correction rests on, by name.
BASES = {
    "proof": "the paper's own proof",
    "contradiction": "a contradiction within the paper",
    "counterexample": "a counterexample",
    "values": "values that the authors published",
}
#: How sure it is that the paper says so and errs.
SURENESS = {
    "certain": "the printed text can be read in no other way",
    "likely": "one symbol lost in our copy, or one assumption of ours, would explain it",
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
        because: what shows it, and why no surer and no less.
        copy: what our copy of the paper, a conversion to text, can and cannot show here.
        fault: one of `FAULTS`.

    Raises:
        UsageError: an empty text, or a basis, sureness or fault that is none of those.
    """

    printed: str
    corrected: str
    where: str
    basis: str
    sure: str
    because: str
    copy: str
    fault: str = "false"

    def __post_init__(self) -> None:
        empty = [name for name, text in asdict(self).items() if not text.strip()]
        if empty:
            raise UsageError(f"erratum: say what is {empty[0]!r}")
        for name, known in (("basis", BASES), ("sure", SURENESS), ("fault", FAULTS)):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"erratum: {name} {getattr(self, name)!r} is none of {', '.join(known)}"
                )
