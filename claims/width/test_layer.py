"""One layer: how far a step moves its outputs, by the width of its input.

Of W (k, d) the outputs are W x. An entrywise step of size eta moves them by eta |x|_1, which grows
with the width; one of singular values eta by eta |x|_2, which in root mean squares does not.
"""

import math
from dataclasses import replace

import torch

from limitpoint import Problem, Trial, claim, problems
from limitpoint.theory import moments

STEPS = 30


def alone() -> Problem:
    """The outputs by themselves: one input, which is one."""
    return replace(problems.wide_layer(0, 1, 5, 1), X=torch.ones(1, 1, dtype=torch.float64))


@claim(
    "width/adam-outputs",
    source="Yang et al. 2022 (arXiv:2203.03466), Appendix J; the exact form derived",
    statement=r"On one example $x$ Adam moves a layer's outputs as it would move them by "
    r"themselves with the step $\eta\|x\|_1$, which grows like the width: with $\eta/\|x\|_1$ the "
    "outputs are the same numbers at every width and every step.",
    hypotheses=("one example", "no epsilon"),
    kind="identity",
    roles=("adam",),
    rivals=(
        "gd", "ngd", "momentum", "cd", "adam-epsilon", "adam-root-lost", "adam-squared-twice",
    ),
)  # fmt: skip
def test_adam_outputs(trial: Trial) -> None:
    """Widths of 4 to 1024 against a layer of width one, whose input is one.

    [derived] The gradient is g x^T, g that of the outputs, so that m / sqrt(v) is g's times sign x,
    and W x moves by |x|_1 of it; g depends on the outputs alone. Signs do as well; what depends on
    the size of the gradient does not. Tolerance: rounding of sums of 1024 terms, thirty times.
    """
    settings = {"beta1": 0.9, "beta2": 0.95}
    outputs = {}
    for width in (1, 4, 64, 1024):
        problem = problems.wide_layer(trial.seed, width, 5, 1) if width > 1 else alone()
        x = problem.X[0]
        asked = 0.1 / float(x.abs().sum())
        rule = trial.optimizer("adam", asked, free=settings, epsilon=0.0, **settings)
        trial.require("the claim's step size", math.isclose(rule.step_size.at(0), asked))
        outputs[width] = trial.run(problem, rule, STEPS, record=range(STEPS + 1)).w @ x
    expected = outputs.pop(1)
    for width, found in outputs.items():
        places = ("step", "output")
        trial.identity(f"width {width}: outputs", found, expected, 1e-12, "rounding", along=places)


def moved_outputs(trial: Trial, role: str, **settings: float) -> dict[int, tuple]:
    """By width: how far each step moves each output over eta |x|, and the least singular share.

    Eight examples, a square layer; the share is of the average of the run's own gradients.
    """
    found = {}
    for width in (16, 48, 144):
        problem = problems.wide_layer(trial.seed, width, width, 8)
        rule = trial.optimizer(role, 0.1, free=settings, **settings)
        run = trial.run(problem, rule, STEPS, record=range(STEPS + 1))
        moved = (problem.X @ run.w.diff(dim=0).mT).norm(dim=-1) / float(rule.step_size.at(0))
        g = problem.grad(run.w[:-1]).tensor()
        m = moments.moving_average(g, rule.settings.get("beta1", settings["beta1"]))
        span, _ = torch.linalg.qr(problem.X.mT)
        values = torch.linalg.svdvals(m @ span)
        share = values[:, -1] / values.norm(dim=-1)
        found[width] = moved / problem.X.norm(dim=-1), float(share.min())
    return found


@claim(
    "width/muon-outputs",
    source="Yang, Simon and Bernstein 2023 (arXiv:2310.17813), Condition 1; the equality derived",
    statement=r"Muon moves the outputs of each training example $x$ by exactly $\eta\|x\|_2$ at "
    "every step, as long as there are fewer examples than inputs and outputs: in root mean squares "
    r"by $\eta$ times the input's, at any width. With torch's match_rms_adamw they move like the "
    "root of the width.",
    hypotheses=("the exact polar factor", "a square layer, wider than the batch"),
    kind="identity",
    roles=("muon",),
    rivals=(
        "newton-schulz", "muon-scaled", "muon-rank-one", "muon-stretched", "muon-order", "signgd",
        "ngd", "gd", "step-doubled", "accelerated", "unnormalised",
    ),
)  # fmt: skip
def test_muon_outputs(trial: Trial) -> None:
    """Three widths, thirty steps, each of eight examples.

    [derived] The average of gradients M has the span of the examples for its rows', as long as its
    rank is their number: on it U V^T is an isometry. Tolerance: the polar factor's rounding, over a
    least singular value that is 1e-3 of the norm at least.
    """
    for width, (moved, share) in moved_outputs(trial, "muon", beta1=0.9).items():
        trial.require("full rank", share > 1e-3)
        trial.identity(
            f"width {width}: |change of W x| / (eta |x|)", moved, 1.0, 1e-10,
            "2^-53 over the least singular value", along=("step", "example"),
        )  # fmt: skip


@claim(
    "width/newton-schulz-outputs",
    source="Yang, Simon and Bernstein 2023 (arXiv:2310.17813); Jordan et al. 2024 (coefficients); "
    "the interval is that of newton-schulz/muon-first-step",
    statement=r"Muon as it is used moves the outputs of each training example $x$ by $.6818$ to "
    r"$1.1344$ times $\eta\|x\|_2$ at every step, at any width.",
    hypotheses=(
        "five iterations with Jordan's coefficients", "a square layer, wider than the batch",
        "singular values of the average above .01 of its norm",
    ),
    kind="bound",
    roles=("muon-ns",),
    rivals=(
        "muon-scaled", "muon-rank-one", "muon-stretched", "muon-order",
        "signgd", "ngd", "gd", "step-doubled", "unnormalised",
    ),
)  # fmt: skip
def test_muon_ns_outputs(trial: Trial) -> None:
    """As for the exact factor; torch.optim.Muon as it is by default keeps it.

    The singular values lie in the interval, and with them what they make of any combination. The
    tolerance is that of bfloat16, in which the iteration is run: 2^-9 |M|, grown by p' <= 3 in each
    of the outputs' combinations, .06 (`newton-schulz/muon-first-step`).
    """
    for width, (moved, share) in moved_outputs(trial, "muon-ns", beta1=0.9).items():
        trial.require("singular values above .01 of the norm", share > 0.02)
        name, because = f"width {width}: |change of W x| / (eta |x|)", "bfloat16 rounds M at 2^-9"
        places = ("step", "example")
        trial.at_least(name, moved, 0.6818, 0.06, because, along=places)
        trial.at_most(name, moved, 1.1344, 0.06, because, along=places)
