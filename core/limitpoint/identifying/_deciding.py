r"""From curves to an answer.

What is known of the two curves of a norm N, both measured against the certified optimum gamma_N:

1. position r and heading h (of W_t - W_s) are at most 1, on every problem.
2. Margins are superadditive and norms subadditive, so that r_t is at least the mean of r_s and h_t
   weighted by the two lengths: where h stays above c and ||W|| grows without end, lim inf r >= c.
   Where h is no higher than r, r has nowhere to go.
3. A certified maximiser of one norm has under 0.8 of the optimum in every other (APART), and no W at
   all has 0.95 in two norms (SURE): tests/test_identify.py certifies both.

**One course.** N *holds* if its position, or its heading throughout the last decade of steps, is at
least HOLDS = 0.9 and ahead of every other norm by LEAD = 0.1. By 3. the limit is then nearer to the
maximum in N than any other norm's maximiser is. HOLDS is half way between APART and 1: calibrated,
not derived; an answer under SURE says by how much it falls short. The course *stalls* if over the
last half decade no position rose by RISE = 0.005 and the leader's heading is no more than SLACK =
0.02 above its position (see 2.; plain gradient descent, at 1 - c / log t, still rises by 0.01 at
t = 1e4). It has *left* N if N led at its peak, has lost FALL = 0.05 since, and leads no more. Else it
is *moving*. While the loss is above log(2) / n (SEPARATED), where a margin may still be negative
(signgd_adam, Lemma 5.1), it is too *short* to say. A course on which the mean |gradient| falls under the optimizer's own epsilon is judged
up to there.

**All courses.** `decaying`, `per-loss` and `fading` decide; a constant step has no theorem, and is
shown. The answer is N if N holds on one of them, no other norm holds on any, none has stalled or
left N elsewhere, and `decaying` or `fading` confirms it: N holds there, or leads on both. On
`per-loss` alone, an optimizer that adds up squares or keeps a maximum looks like one that follows
the gradient's size: with gradients that shrink it does not. If nothing holds, but every course
stalls nearest to the same N and reaches APART, the answer is N with what it leaves. If all stall
otherwise, or courses contradict each other, it is none of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from limitpoint.identifying._following import LAG, NORMS, SHORTEST, Curves

APART, HOLDS, SURE, LEAD = 0.8, 0.9, 0.95, 0.1
RISE, SLACK, FALL = 0.005, 0.02, 0.05
SEPARATED = math.log(2) / 7
NAMES = tuple(NORMS)
NONE, UNDECIDED, FAILED = "none of these", "undecided at this horizon", "failed"
DECIDING = ("decaying", "per-loss", "fading")
CONFIRMING = ("decaying", "fading")


@dataclass(frozen=True)
class Verdict:
    """What one course says.

    Attributes:
        status: "holds", "stalls", "left", "moving" or "short".
        norm: that it holds, left, or is nearest to; None for "short".
        ratio: of the certified optimum in that norm.
        text: in words.
        epsilon_step: the first recorded step with a mean |gradient| under epsilon, if any.
    """

    status: str
    norm: str | None
    ratio: float
    text: str
    epsilon_step: int | None = None


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
    under = curves.gradient < math.log(epsilon) if epsilon else np.zeros(len(curves.times), bool)
    if not under.any():
        return _judge(curves)
    first = int(under.argmax())
    before, step = _judge(_until(curves, first)), int(curves.times[first])
    after = ", ".join(
        f"{name} {curves.position[-1, j]:.2f}" for j, name in enumerate(NAMES[1:3], 1)
    )
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
        loss = f"the loss is {math.exp(curves.loss[-1]):.2g} at step {steps}"
        return Verdict("short", None, 0.0, f"has not got anywhere yet: {loss}{suffix}")
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
    return Verdict("moving", name, ratio, f"still moving, {name} leads at {ratio:.3f}{suffix}")


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
    rise = (curves.position[-1] - curves.position[-1 - LAG])[curves.position[-1] > 0]
    room = curves.heading[-1, lead] - curves.position[-1, lead]
    return bool(rise.max() < RISE and abs(rise).max() < 4 * RISE and not room > SLACK)


def _growth(curves: Curves) -> str:
    grown = curves.size[-1] / curves.size[-1 - LAG]
    return "" if grown > 1.02 else f"; ||W|| stopped growing at {curves.size[-1]:.3g}"


def conclude(verdicts: Mapping[str, Verdict]) -> Answer:
    """The answer of all courses; see the module.

    Args:
        verdicts: by the name of the course.
    """
    deciding = {name: verdicts[name] for name in DECIDING}
    holding = {v.norm for v in deciding.values() if v.status == "holds"}
    if len(holding) > 1:
        return Answer(NONE, None, None, f"it depends on the schedule: {_told(deciding)}")
    if holding:
        (norm,) = holding
        return _one(str(norm), deciding)
    stalled = [v for v in deciding.values() if v.status == "stalls"]
    nearest = {v.norm for v in deciding.values() if v.norm is not None}
    if len(stalled) >= 2 and len(nearest) == 1 and max(v.ratio for v in stalled) >= APART:
        norm, best = str(stalled[0].norm), max(v.ratio for v in stalled)
        why = f"nearest to it on every schedule, but it stalls: {_told(deciding)}"
        return Answer(norm, norm, 1 - best, why)
    if len(stalled) == len(deciding):
        return Answer(NONE, None, None, f"nothing moves any more: {_told(deciding)}")
    return Answer(UNDECIDED, None, None, _told(deciding))


def _one(norm: str, deciding: Mapping[str, Verdict]) -> Answer:
    against = {
        name: v
        for name, v in deciding.items()
        if (v.status == "stalls" and v.norm != norm) or v.status == "left"
    }
    if against:
        return Answer(NONE, None, None, f"it depends on the schedule: {_told(deciding)}")
    confirming = [deciding[name] for name in CONFIRMING]
    held = any(v.status == "holds" for v in confirming)
    if not held and not all(v.norm == norm for v in confirming):
        return Answer(UNDECIDED, None, None, f"only lr / loss shows {norm}: {_told(deciding)}")
    best = max(v.ratio for v in deciding.values() if v.status == "holds")
    least = [v.ratio for v in deciding.values() if v.status == "stalls" and v.ratio < SURE]
    left_over = (
        f", but for the {1 - min(least):.0%} that it leaves where it stalls" if least else ""
    )
    return Answer(norm, norm, max(0.0, 1 - best), f"{_told(deciding)}{left_over}")


def _told(deciding: Mapping[str, Verdict]) -> str:
    parts = []
    for name, v in deciding.items():
        text = f"{v.norm} holds, {v.text}" if v.status == "holds" else v.text
        parts.append(f"{name}: {text}")
    return "; ".join(parts)
