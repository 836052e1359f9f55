"""Muon as it is used: what five steps of a quintic make of the singular values."""

import numpy as np
import torch

from limitpoint import Trial, claim, problems

LOW, HIGH, SMALL = 0.6818, 1.1344, 0.01
#: Below a tenth of |G| a singular vector drowns in bfloat16's rounding of G.
SEEN = 0.1


def quintic(x: torch.Tensor) -> torch.Tensor:
    """p composed five times, p(x) = 3.4445 x - 4.775 x^3 + 2.0315 x^5."""
    for _ in range(5):
        x = 3.4445 * x - 4.775 * x**3 + 2.0315 * x**5
    return x


@claim(
    "newton-schulz/muon-first-step",
    source="Jordan et al. 2024 (the Muon note), coefficients; the interval derived by a scan",
    statement=r"Muon's first step has the gradient's singular vectors and the singular values "
    r"$p^{\circ 5}(\sigma_i/\|G\|_F)$, which lie in $[.6818, 1.1344]$ for every $\sigma_i \ge .01 "
    r"\|G\|_F$: none is one.",
    hypotheses=("five iterations with Jordan's coefficients", "a matrix no taller than wide"),
    kind="identity",
    roles=("muon-ns",),
    rivals=(
        "muon", "muon-rank-one", "muon-stretched", "muon-scaled", "newton-schulz-4",
        "newton-schulz-cubic", "newton-schulz-spectral", "signgd", "ngd", "gd", "ascent",
        "step-doubled",
    ),
)  # fmt: skip
def test_muon_first_step(trial: Trial) -> None:
    """The first step on clusters, from five starts, in the gradient's own singular basis.

    Momentum does not show in a first step but for its length, which the iteration forgets. The
    tolerance is for bfloat16, in which everybody runs the iteration: it rounds G at 2^-9 |G|, .02
    of the least singular value looked at, and p' is up to 3 near zero; .06. In float64 1e-12 would
    do, and torch.optim.Muon differs by .045 at most on seeds 0-19.
    The interval is where p composed five times goes on a grid of [.01, 1].
    """
    problem = problems.clusters(trial.seed)
    noise = torch.Generator().manual_seed(trial.seed)
    start = 20 * torch.randn(5, *problem.start.shape, generator=noise, dtype=torch.float64)
    rule = trial.optimizer("muon-ns", 0.1)
    run = trial.run(problem, rule, 1, start=start, record=(0, 1))
    step = (run.w[0] - run.w[1]) / float(rule.step_size.at(0))
    left, values, right = torch.linalg.svd(problem.grad(start).tensor(), full_matrices=False)
    share = values / values.norm(dim=-1, keepdim=True)
    seen = left.mT @ step @ right.mT
    because = "bfloat16 rounds G at 2^-9"
    large = share >= SEEN
    measured = torch.diagonal(seen, dim1=-2, dim2=-1)
    trial.close("singular values", measured[large], quintic(share)[large], 0.06, because)
    across = (seen - torch.diag_embed(measured)) * (large.unsqueeze(-1) & large.unsqueeze(-2))
    trial.close("across the singular vectors", across, 0.0, 0.06, because)
    scan = quintic(torch.from_numpy(np.geomspace(SMALL, 1, 100_001)))
    ends = torch.stack([scan.min(), scan.max()])
    trial.close("ends of the interval", ends, [LOW, HIGH], 5e-5, "printed to four digits",
                about="a formula")  # fmt: skip
