"""The continuous-time limit of a rule, dw/dt = -direction(w)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np
import scipy
import torch
from torch import Tensor

from limitpoint.engines.choice import Report, check_engine
from limitpoint.engines.directions import direction
from limitpoint.engines.trajectory import Trajectory, apart
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
from limitpoint.numerics import Value, tensor
from limitpoint.optimizers import Memoryless, Rule
from limitpoint.problems.problem import Oracle, Problem

Integrand = Callable[[Tensor], Value]
#: Forty times what any claim needs at the full horizon (2522).
EVALUATIONS = 100_000


def flow(
    oracle: Oracle,
    rule: Rule,
    times: Sequence[float] | np.ndarray,
    *,
    start: Tensor | None = None,
    integrals: Mapping[str, Integrand] | None = None,
    speed: Integrand | None = None,
    rtol: float = 1e-11,
    atol: float = 1e-14,
    evaluations: int = EVALUATIONS,
    engine: str = "auto",
    report: Report | None = None,
) -> Trajectory:
    """Integrate dw/dt = -speed(w) * direction(w) with an eighth-order Runge-Kutta method.

    The integrals are states of the same differential equation, so they carry the same error
    control as the iterates.

    Args:
        oracle: the problem (no batch).
        rule: a memoryless rule; its step size is not used.
        times: increasing times from 0 at which to record, shape (R,). The last one is a step's end;
            the others lie within steps, and are interpolated to some hundred local errors (4e-10
            at rtol = 1e-11, measured on flows to rest).
        start: w(0); a `Problem` knows its own.
        integrals: functions of w (of any shape) to integrate over time.
        speed: a positive function of w that changes the clock and not the path (rescaled flows);
            `Scaled` where it leaves float64's range.
        rtol: relative local error.
        atol: absolute local error.
        evaluations: how often the direction may be asked for. A discontinuous one can have an
            error control halve its steps without end.
        engine, report: as of `limitpoint.run`; what is compiled is the direction.

    Raises:
        Inconclusive: it needs more evaluations than that.
        NotApplicable: the rule has memory, so that it has no flow on w alone.
        SubjectFailed: the integration broke down, and where.
    """
    if not isinstance(rule, Memoryless):
        raise NotApplicable(f"{rule.name} has memory: it defines no flow of the iterate alone")
    if start is None:
        if not isinstance(oracle, Problem):
            raise UsageError(f"{type(oracle).__name__} has no start of its own: pass start=...")
        start = oracle.start
    check_engine(engine, "cpu")
    with torch.no_grad():
        toward, why = direction(oracle, rule, start, engine)
    if report is not None:
        report("torch" if why else "fused", why)

    def integrated() -> Trajectory:
        with torch.no_grad():
            rule.init(oracle, start)
            return _integrated(
                toward, times, start, dict(integrals or {}), speed, rtol, atol, evaluations
            )

    return apart(rule, integrated, oracle, start)


def _integrated(
    toward: Callable[[Tensor], Value],
    times: Sequence[float] | np.ndarray,
    start: Tensor,
    integrals: Mapping[str, Integrand],
    speed: Integrand | None,
    rtol: float,
    atol: float,
    evaluations: int,
) -> Trajectory:
    """The flow; see there."""
    shapes = {name: f(start).shape for name, f in integrals.items()}
    sizes = [start.numel()] + [int(np.prod(shape)) for shape in shapes.values()]
    cuts = np.cumsum(sizes)

    calls = count(1)

    def field(time: float, state: np.ndarray) -> np.ndarray:
        if next(calls) > evaluations:
            raise Inconclusive(f"the flow came to time {time:.6g} with {evaluations} evaluations")
        w = torch.from_numpy(state[: cuts[0]].copy()).reshape(start.shape)
        clock = 1.0 if speed is None else speed(w)
        parts = [-tensor(clock * toward(w))]
        parts += [tensor(clock * f(w)) for f in integrals.values()]
        return torch.cat([part.reshape(-1) for part in parts]).numpy()

    times = np.asarray(times, dtype=float)
    initial = np.concatenate([start.numpy().ravel(), np.zeros(cuts[-1] - cuts[0])])
    solution = scipy.integrate.solve_ivp(
        field, (times[0], times[-1]), initial, "DOP853", times, rtol=rtol, atol=atol
    )
    if not solution.success or not np.isfinite(solution.y).all():
        reached = solution.t[-1] if len(solution.t) else times[0]
        raise SubjectFailed(f"the flow broke down after time {reached:.6g}: {solution.message}")
    states = torch.from_numpy(solution.y.T.copy())
    found = {
        name: states[:, low:high].reshape(len(times), *shape)
        for (name, shape), low, high in zip(shapes.items(), cuts[:-1], cuts[1:], strict=True)
    }
    return Trajectory(times, states[:, : cuts[0]].reshape(len(times), *start.shape), found)
