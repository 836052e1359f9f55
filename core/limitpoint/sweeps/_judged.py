"""A claim over seeds and settings of who plays in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

from limitpoint.errors import UsageError
from limitpoint.judgement.comparison import Evidence, tightest
from limitpoint.judgement.contestant import Contestant
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.registry import all_claims
from limitpoint.judgement.setting import Setting
from limitpoint.judgement.verdict import Verdict
from limitpoint.optimizers.roles import ROLES
from limitpoint.rivals import detuned
from limitpoint.subjects import USUAL, parse_subject
from limitpoint.sweeps._grid import Columns, Grid, Settings
from limitpoint.sweeps._map import Map
from limitpoint.sweeps._runs import as_usual


@dataclass(frozen=True)
class Judged:
    """What a claim says at the points of a grid.

    Args:
        claim: its id.
        role: who plays with the points' settings.
        subject: the role's subject as the command line says it; "" for limitpoint's own rule.
        horizon: "quick" or "full".
    """

    claim: str
    role: str
    subject: str = ""
    horizon: str = "quick"

    def __call__(self, settings: Settings) -> Columns:
        """The claim at each point, one after the other."""
        found: dict[str, list[Any]] = defaultdict(list)
        for values in zip(*settings.values(), strict=True):
            for name, value in self._at(dict(zip(settings, values, strict=True))).items():
                found[name].append(value)
        return found

    def _at(self, settings: dict[str, float]) -> dict[str, Any]:
        seed = int(settings.pop("seed", 42))
        playing = [self._playing(settings)] if settings or self.subject else []
        record = evaluate(all_claims()[self.claim], playing, Setting(seed, self.horizon))
        least = tightest(record.about([self.role]) if playing else record.evidence)
        slack = float("nan") if least is None else least.room
        broke_down = record.verdict is Verdict.REFUTED and not slack < 0
        return {
            "slack": -float("inf") if broke_down else slack,
            "verdict": record.verdict.value,
            "measured": _number(least, "measured"),
            "expected": _number(least, "expected"),
            "quantity": least.quantity if least else "-",
        }

    def _playing(self, settings: Mapping[str, float]) -> Contestant:
        plain = {name.rpartition(":")[2]: value for name, value in settings.items()}
        if self.subject:
            given = "".join(f",{name}={value!r}" for name, value in plain.items())
            return parse_subject(self.subject + given, USUAL)
        takes = signature(ROLES[self.role]).parameters
        return detuned(self.role, {n: as_usual(takes[n].default, v) for n, v in plain.items()})


def of_claim(claim_id: str, axes: Grid, *, subject: str = "", horizon: str = "quick") -> Map:
    """A map of a claim: its verdict and its least slack.

    Args:
        claim_id: of the claim.
        axes: "seed", and settings of who plays its first role, or of another as "role:setting";
            what the theorem says of them is not heeded, and "step_size" is a factor on the
            theorem's. A subject's are by its author's names.
        subject: as the command line says it: who plays; limitpoint's own rule by default.
        horizon: "quick" or "full".

    Raises:
        UsageError: the claim has no such role, or the rule no such setting.
    """
    claim = all_claims()[claim_id]
    told = [name for name in axes if name != "seed"]
    named = {name.rpartition(":")[0] for name in told} - {""}
    if subject:
        named.add(subject.partition("=")[0].strip())
    role = next(iter(named), next(iter(claim.roles), ""))
    if len(named) > 1 or ((told or subject) and role not in claim.roles):
        known = ", ".join(claim.roles) or "none"
        raise UsageError(f"{claim_id}: the settings of one of its roles; they are: {known}")
    takes = signature(ROLES[role]).parameters if role else {}
    for name in () if subject else told:
        if name.rpartition(":")[2] not in takes:
            raise UsageError(f"{role} has no setting {name!r}; settings: {', '.join(takes)}")
    name = " ".join(filter(None, [claim_id, subject, horizon if horizon != "quick" else ""]))
    judged = Judged(claim_id, role, subject, horizon)
    return Map(name, f"{name} over {', '.join(axes)}", axes, judged, by="min")


def _number(evidence: Evidence | None, name: str) -> float:
    value = getattr(evidence, name, None)
    return float("nan") if value is None else value
