"""The coordinate check: how much a step changes what a layer makes, at any width (muP)."""

import math

import torch

from limitpoint import Trial, claim, optimizers, problems
from limitpoint.theory import moments

BASE, WIDTHS, STEPS = 64, (64, 128, 256, 512), 6
BETAS = {"beta1": 0.9, "beta2": 0.95}


def spread(signal: torch.Tensor) -> float:
    """Four standard errors of the mean |entry|, relative."""
    size = signal.abs()
    return 4 * float(size.std() / size.mean()) / math.sqrt(len(size))


@claim(
    "width/mup-adam",
    source="Yang et al. 2022 (arXiv:2203.03466), Table 3 and Appendix D.1 (coordinate check); the "
    "first change and its tolerance derived",
    statement=r"With $\eta/\text{fan in}$ and $\lambda\,\text{fan in}$ layer by layer, AdamW "
    "changes what each layer of a network makes equally much at any width: the exponent of the "
    r"first change in the width is zero, in the hidden layer and the readout it is one for Adam.",
    hypotheses=("one example", "no epsilon", "a start with muP's variances", "a rule that sees "
                "the layers"),
    kind="identity",
    roles=("mup-adam",),
    rivals=(
        "adam", "mup-decay-unscaled", "mup-fans-swapped", "mup-readout-unscaled", "mup-root",
        "adam-no-decay", "adam-epsilon", "signgd", "gd", "ascent", "stale", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_mup_adam(trial: Trial) -> None:
    r"""Every step of every layer at four widths, and the exponents of the first change.

    [derived] On one example a layer's gradient is an outer product, of what comes back and of what
    it is given, h: Adam's first step is the signs' times eta / fan_in, and changes what the layer
    makes by |h|_1 of that in every entry. |h|_1 is a sum of independent terms, so that it grows
    like the width up to four standard errors at both ends, and for the input not at all. Decay is
    no part of that change, which is how the check misses a decay that the width undoes
    (microsoft/mup#73): the step does not. Tolerance of the step: 2^-53 |w| / eta, and that of the
    moments, rebuilt from a gradient good to 1e-13.
    """
    settings = BETAS | {"weight_decay": 2.0, "epsilon": 0.0}
    eta, changes, errors = 0.01, [], []
    for width in WIDTHS:
        network = problems.wide_network(trial.seed, width)
        parts = network.layers(BASE)
        rule = trial.optimizer("mup-adam", eta, layers=parts, free=BETAS, **settings)
        trial.require("a rule that sees the layers", "layers" in rule.settings)
        eta = float(rule.step_size.at(0))
        run = trial.run(network, rule, STEPS, start=network.start, record=range(STEPS + 1))
        betas = [rule.settings.get(name, beta) for name, beta in BETAS.items()]
        kept = 1 - eta * settings["weight_decay"]
        moved = (kept * run.w[:-1] - run.w[1:]) / eta
        ratios = moments.ratios(network, run.w[:-1], *betas)
        growth = optimizers.MuAdam(layers=parts).growth()
        first = moments.correction_seen((moved[0] * growth).abs().max(), *betas, STEPS)
        expected = first.unsqueeze(-1) * ratios / growth
        name, places = f"width {width}: the step", ("step", "entry")
        trial.identity(name, moved, expected, 1e-9, "2^-53 |w| / eta", along=places)
        given, _ = network.signals(network.start)
        changes.append([
            float(((matrix @ h) ** 2).mean().sqrt())
            for matrix, h in zip(network.tensors(moved[0]), given, strict=True)
        ])  # fmt: skip
        errors.append([0.0] + [spread(h) for h in given[1:]])
    decades = math.log(WIDTHS[-1] / WIDTHS[0])
    exponents = torch.tensor(changes[-1]).div(torch.tensor(changes[0])).log() / decades
    allowed = (1e-9 + torch.tensor(errors[-1]) + torch.tensor(errors[0])) / decades
    trial.close(
        "exponent of the first change", exponents, 0.0, allowed, "four standard errors",
        along=("layer",),
    )  # fmt: skip
    title = "four standard errors, then an exponent of 1/2"
    trial.ordering(title, allowed, 0.5, "it would show", about="a formula")
