r"""From curves to an answer.

What is known of the two curves of a norm N, both measured against the certified optimum gamma_N:

1. position r and heading h (of W_t - W_s) are at most 1, on every problem.
2. Margins are superadditive and norms subadditive, so that r_t is at least the mean of r_s and h_t
   weighted by the two lengths: where h stays above c and ||W|| grows without end, lim inf r >= c.
   Where h is no higher than r, r has nowhere to go.
3. A certified maximiser of one norm has under 0.8 of the optimum in every other (APART), and no W
   at all has 0.95 in two norms (SURE): tests/test_identify.py certifies both.

**One course.** N *holds* if its position, or its heading throughout the last decade of steps, is at
least HOLDS = 0.9 and ahead of every other norm by LEAD = 0.1. By 3. the limit is then nearer to the
maximum in N than any other norm's maximiser is. HOLDS is half way between APART and 1: calibrated,
not derived; an answer under SURE says by how much it falls short. The course has *left* N if N led
at its peak, has lost FALL = 0.05 since, and leads no more. It *stalls* if over the last half decade
the leader's position changed by less than RISE = 0.01 and no norm's heading is more than SLACK =
0.02 above it: by 2. none then goes higher than the leader is (plain gradient descent, at 1 - c /
log t, still rises by 0.02 at t = 2e4). Else it is *moving*. While the loss is above log(2) / n
(SEPARATED), where a margin may still be negative (signgd_adam, Lemma 5.1), it is too *short* to
say. Where the mean |gradient| falls under the optimizer's own epsilon and the norm that led is lost
after that, by more than SLACK, epsilon took over: the course is judged up to there.

**All courses.** `decaying`, `per-loss` and `fading` decide; a constant step has no theorem, and is
shown. The answer is N if N holds on one of them, none of them speaks against it (another norm
holds, N was left, or it stalls nearest to another norm or below APART), and `decaying` or `fading`
confirms it: N leads on one of the two with APART or more, or on both. On `per-loss` alone, an
optimizer that adds up squares or keeps a maximum looks like one that follows the gradient's size:
with gradients that shrink it does not. If nothing holds, but the same N leads on all of them, two
reach APART and nowhere is its heading more than SLACK above its position, the answer is N with what
it leaves. If all stall otherwise, or courses contradict each other, it is none of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from limitpoint.identification._following import LAG, NORMS, Curves
from limitpoint.identification._horizon import SHORTEST

APART, HOLDS, SURE, LEAD = 0.8, 0.9, 0.95, 0.1
RISE, SLACK, FALL = 0.01, 0.02, 0.05
SEPARATED = math.log(2) / 7
NAMES = tuple(NORMS)
NONE, UNDECIDED, FAILED = "none of these", "undecided at this horizon", "failed"
DECIDING = ("decaying", "per-loss", "fading")
OPEN = {
    "holds": "near",
    "stalls": "at a standstill",
    "moving": "still moving",
    "short": "the loss is too large",
}
CONFIRMING = ("decaying", "fading")


@dataclass(frozen=True)
class Verdict:
    """What one course says.

    Attributes:
        status: "holds", "stalls", "left", "moving" or "short".
        norm: that it holds, left, or is nearest to, if any.
        ratio: of the certified optimum in that norm.
        text: in words.
        rising: the norm's heading is above its position by more than SLACK.
        epsilon_step: where epsilon took over, if it did.
        cut: why it ended before the horizon, such as "precision ran out", if it did.
    """

    status: str
    norm: str | None
    ratio: float
    text: str
    rising: bool = False
    epsilon_step: int | None = None
    cut: str = ""


@dataclass(frozen=True)
class Answer:
    """The geometry, or why there is none.

    Attributes:
        answer: the norm's name, "none of these", "undecided at this horizon" or "failed".
        norm: its name, or None.
        shortfall: what is missing to the certified optimum where the norm holds best, or None.
        why: in words.
    """

    answer: str
    norm: str | None
    shortfall: float | None
    why: str


def judge(curves: Curves, epsilon: float | None = None) -> Verdict:
    """The verdict of one course; see the module.

    Args:
        curves: of the course.
        epsilon: the optimizer's own, if it is known.
    """
    return replace(_up_to_epsilon(curves, epsilon), cut=curves.ended.partition(" at ")[0])


def _up_to_epsilon(curves: Curves, epsilon: float | None) -> Verdict:
    under = curves.gradient < math.log(epsilon) if epsilon else np.zeros(len(curves.times), bool)
    if not under[:-LAG].any():
        return _judge(curves)
    first = int(under.argmax())
    before, now = _judge(_until(curves, first)), dict(zip(NAMES, curves.position[-1], strict=True))
    if before.norm is None or now[before.norm] > before.ratio - SLACK:
        return _judge(curves)
    step = int(curves.times[first])
    after = ", ".join(f"{name} {now[name]:.2f}" for name in dict.fromkeys((before.norm, "l2")))
    text = f"{before.text} until epsilon = {epsilon:g} took over at step {step}; then {after}"
    return replace(before, text=text, epsilon_step=step)


def _until(curves: Curves, end: int) -> Curves:
    arrays = ("times", "position", "heading", "gradient", "size", "loss")
    return replace(curves, ended="", **{name: getattr(curves, name)[:end] for name in arrays})


def _judge(curves: Curves) -> Verdict:
    steps = int(curves.times[-1]) if len(curves.times) else 0
    suffix = f" ({curves.ended})" if curves.ended else ""
    if steps < SHORTEST:
        return Verdict("short", None, 0.0, f"too short, {steps} steps{suffix}")
    position = curves.position[-1]
    if curves.loss[-1] > math.log(SEPARATED):
        lead = int(position.argmax())
        leader = NAMES[lead] if position[lead] > 0 else None
        text = f"the loss is still {math.exp(curves.loss[-1]):.2g} at step {steps}"
        text += f", {leader} leads at {position[lead]:.3f}" if leader else ""
        return Verdict("short", leader, max(0.0, float(position[lead])), text + suffix)
    gone = _left(curves)
    sustained = _sustained(curves)
    for scores, what in ((position, "position"), (sustained, "heading")):
        lead = int(scores.argmax())
        ahead = scores[lead] - np.delete(scores, lead).max()
        if scores[lead] >= HOLDS and ahead >= LEAD and lead != gone:
            shown = f"{scores[lead]:.3f} of its optimum"
            shown += f" in {what} ({position[lead]:.3f} in position)" if what == "heading" else ""
            return Verdict("holds", NAMES[lead], float(scores[lead]), shown + suffix)
    lead = int(position.argmax())
    ratio, name = float(position[lead]), NAMES[lead]
    if gone is not None:
        peak = int(curves.position[:, gone].argmax())
        text = (
            f"left {NAMES[gone]}: {curves.position[peak, gone]:.3f} at step {curves.times[peak]}, "
            f"mean |gradient| {math.exp(curves.gradient[peak]):.0e}; now {position[gone]:.3f}, "
            f"and {name} {ratio:.3f}"
        )
        return Verdict("left", NAMES[gone], float(position[gone]), text + suffix)
    if _stalls(curves, lead):
        still = _growth(curves)
        return Verdict(
            "stalls", name, ratio, f"stalls nearest to {name}, at {ratio:.3f}{still}{suffix}"
        )
    rising = bool(curves.heading[-1, lead] > ratio + SLACK)
    text = f"still moving, {name} leads at {ratio:.3f}, {'' if rising else 'not '}rising{suffix}"
    return Verdict("moving", name, ratio, text, rising)


def _sustained(curves: Curves) -> np.ndarray:
    """The least heading of the last decade of steps, (5,)."""
    recent = curves.heading[-(LAG + 1) :]
    return np.nan_to_num(recent, nan=-1.0).min(axis=0)


def _left(curves: Curves) -> int | None:
    """The norm that led at its peak, has fallen since, and leads no more."""
    position = curves.position
    for j in range(len(NAMES)):
        peak = int(position[:, j].argmax())
        led = position[peak].argmax() == j and position[peak, j] >= HOLDS / 2
        if led and position[-1].argmax() != j and position[peak, j] - position[-1, j] >= FALL:
            return j
    return None


def _stalls(curves: Curves, lead: int) -> bool:
    at = curves.position[-1, lead]
    risen = at - curves.position[-1 - LAG, lead]
    return bool(abs(risen) < RISE and curves.heading[-1].max() <= at + SLACK)


def _growth(curves: Curves) -> str:
    grown = curves.size[-1] / curves.size[-1 - LAG]
    return "" if grown > 1.02 else f", ||W|| stopped growing at {curves.size[-1]:.3g}"


def conclude(verdicts: Mapping[str, Verdict]) -> Answer:
    """The answer of all courses; see the module.

    Args:
        verdicts: by the name of the course.
    """
    deciding = {name: verdicts[name] for name in DECIDING}
    holding = {v.norm for v in deciding.values() if v.status == "holds"}
    if len(holding) > 1:
        return Answer(NONE, None, None, "it depends on the schedule")
    if holding:
        return _one(str(holding.pop()), deciding)
    if _near(deciding):
        best = max(deciding.values(), key=lambda v: v.ratio)
        left = f"it leaves {1 - best.ratio:.0%} and comes no nearer"
        why = f"{best.norm} leads on every schedule that decides, but {left}"
        return Answer(str(best.norm), best.norm, 1 - best.ratio, why)
    if all(v.status == "stalls" for v in deciding.values()):
        return Answer(NONE, None, None, "nothing moves any more, and no norm is near its optimum")
    return Answer(UNDECIDED, None, None, f"no norm is near its optimum yet: {_open(deciding)}")


def _open(deciding: Mapping[str, Verdict]) -> str:
    """Why the courses say nothing, each reason with its courses."""
    reasons: dict[str, list[str]] = {}
    for name, verdict in deciding.items():
        reasons.setdefault(_reason(verdict), []).append(name)
    return "; ".join(f"{reason} on {', '.join(names)}" for reason, names in reasons.items())


def _reason(verdict: Verdict) -> str:
    if verdict.epsilon_step is not None:
        return "epsilon took over"
    if verdict.cut:
        return verdict.cut
    return f"left {verdict.norm}" if verdict.status == "left" else OPEN[verdict.status]


def _near(deciding: Mapping[str, Verdict]) -> bool:
    """One norm leads everywhere and rises nowhere, and two courses are nearer than APART."""
    steady = all(v.status in ("stalls", "moving") and not v.rising for v in deciding.values())
    reached = sum(v.ratio >= APART for v in deciding.values())
    return steady and reached >= 2 and len({v.norm for v in deciding.values()}) == 1


def _one(norm: str, deciding: Mapping[str, Verdict]) -> Answer:
    on = [name for name, v in deciding.items() if v.status == "holds"]
    holds = f"{norm} holds on {', '.join(on)}"
    against = [name for name, v in deciding.items() if _speaks_against(norm, v)]
    if against:
        why = f"it depends on the schedule: {holds}, but not on {', '.join(against)}"
        return Answer(NONE, None, None, why)
    if not _confirmed(norm, [deciding[name] for name in CONFIRMING]):
        return Answer(UNDECIDED, None, None, f"{holds} alone")
    others = [name for name in deciding if name not in on]
    if others:
        holds += f", and nothing on {', '.join(others)} speaks against it"
    low = [v.ratio for v in deciding.values() if v.status == "stalls" and v.ratio < SURE]
    left_over = f", but for the {1 - min(low):.0%} that it leaves where it stalls" if low else ""
    best = max(deciding[name].ratio for name in on)
    return Answer(norm, norm, max(0.0, 1 - best), holds + left_over)


def _speaks_against(norm: str, verdict: Verdict) -> bool:
    elsewhere = verdict.norm != norm or verdict.ratio < APART
    return verdict.status == "left" or (verdict.status == "stalls" and elsewhere)


def _confirmed(norm: str, courses: Sequence[Verdict]) -> bool:
    """The norm leads on one course with APART or more, or on all of them."""
    leads = [v.norm == norm for v in courses]
    near = [leading and v.ratio >= APART for leading, v in zip(leads, courses, strict=True)]
    return any(near) or all(leads)
