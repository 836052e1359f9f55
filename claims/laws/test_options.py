"""What an option says is done: on every path, in every value."""

from dataclasses import replace

import torch
from torch.optim.lr_scheduler import ExponentialLR

from limitpoint import Trial, claim, laws
from limitpoint.laws import ROUNDING, ROUNDING_BECAUSE, Implementation, Structure, field

DECAY = 0.1
#: The decay's part of a gradient there is the one here, to rounding.
NO_ASCENT = 1e-12


@claim(
    "laws/options",
    source="derived",
    statement="Every option changes the run when it is changed.",
    hypotheses=("an option that the field shares, and a value that the class takes",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-decay-ignored", "class-maximize-twice", "class-momentum-forgets",
        "class-epsilon-ignored", "class-nesterov-ignored", "class-dampening-ignored",
        "class-rho-ignored",
    ),
)  # fmt: skip
def test_options(trial: Trial) -> None:
    """One by one, beside what lets them be felt.

    That is a momentum for dampening, gradients that fall for AMSGrad. The least change looked for
    is ten times what rounding could do.
    """
    usual = trial.implementation("optimizer", torch.optim.SGD)
    for option, values in laws.variants(usual).items():
        problem = field(trial.seed).fading() if option.fading else field(trial.seed)
        base = usual.having(**option.context)
        for value in values:
            other = base.having(**{option.name: value})
            if all(one.accepts(problem, steps=problem.steps) for one in (base, other)):
                change = (other.follow(problem) - base.follow(problem)).abs().max()
                trial.at_least(f"{option.name} = {value}: largest change", change, 10 * ROUNDING,
                               0.0, ROUNDING_BECAUSE)  # fmt: skip


@claim(
    "laws/reflection",
    source="contract of torch.optim: maximize",
    statement="Maximizing -L is minimizing L.",
    hypotheses=("it has the option maximize",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-maximize-twice", "class-maximize-decay"),
)
def test_reflection(trial: Trial) -> None:
    """With decay and momentum, if it has them: both see the gradient after its sign is turned."""
    usual = trial.implementation("optimizer", torch.optim.AdamW)
    trial.require("it has the option maximize", usual.declares("maximize"))
    pair = field(trial.seed)
    turned = replace(pair, scale=-1.0)
    for options in ({}, {"weight_decay": DECAY}, {"momentum": 0.9}):
        optimizer = usual.having(**options)
        if usual.takes(*options) and optimizer.accepts(pair):
            found = optimizer.having(maximize=True).follow(turned)
            title = "".join(f", {name}={value}" for name, value in options.items())
            trial.same(f"maximize -L = minimize L{title}", found, optimizer.follow(pair))


@claim(
    "laws/decay",
    source="Loshchilov and Hutter 2019, Alg. 2; for signs Chen et al. 2023, Alg. 2",
    statement="The weight decay is the coupled one, g + lambda w, or the decoupled one, "
    r"$(1 - \eta\lambda) w$ before the step; with signs, decoupled; with any momentum.",
    hypotheses=("it has the option weight_decay", "without it, a step depends on gradients alone"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-decay-uphill", "class-decay-unscaled", "class-decay-ignored", "class-decay-after",
        "class-decay-in-sign", "class-no-decay-without-momentum",
    ),
)  # fmt: skip
def test_decay(trial: Trial) -> None:
    """Given gradients: the run without decay says the steps, and both kinds of decay the iterates.

    Which of them it is, is measured; where it is neither, what it is instead is named. Another kind
    is a fault where signs are taken, and in a class that has no options but those of known rules.
    """
    usual = trial.implementation("optimizer", torch.optim.AdamW)
    trial.require("it has the option weight_decay", usual.takes("weight_decay"))
    if usual.takes("rho") and Structure(usual, trial.seed).ascends:
        usual = usual.having(rho=NO_ASCENT)
    straight = field(trial.seed).straight()
    momenta = [{"momentum": mu} for mu in (0.0, 0.9)] if usual.takes("momentum") else [{}]
    for momentum in momenta:
        base = usual.having(weight_decay=0.0, **momentum)
        if not base.accepts(straight):
            continue
        steps = base.follow(straight).diff(dim=0)
        elsewhere = base.follow(straight.moved(straight.start + 0.5)).diff(dim=0)
        trial.require("a step depends on gradients alone", laws.near(elsewhere, steps, 1e-9))
        found = base.having(weight_decay=DECAY).follow(straight)
        signs = Structure(base, trial.seed).signs
        kinds = {} if signs else {
            name: base.follow(replace(straight, decay=factor * DECAY))
            for name, factor in (("coupled", 1), ("coupled, uphill", -1), ("coupled, doubled", 2))
        }  # fmt: skip
        kinds |= laws.decays(steps, straight.start, base.step_size, DECAY)
        name = next((n for n, path in kinds.items() if laws.near(found, path)), "of no known kind")
        known = name in kinds or signs or usual.is_common
        trial.require("a decay that is coupled or decoupled (it is another rule's)", known)
        right = kinds["coupled" if name.startswith("coupled") else "decoupled"]
        title = "".join(f", {n} {v}" for n, v in momentum.items())
        trial.same(f"decay {name}{title}", found, right)


@claim(
    "laws/paths",
    source="contract of torch.optim: foreach, fused, capturable are the same algorithm",
    statement="foreach and fused run as the for-loop, with every other option switched on in turn.",
    hypotheses=("it has another path", "the path takes the option"),
    kind="law",
    roles=("optimizer",),
    rivals=("class-lists-forget-maximum", "class-lists-forget-decay"),
)
def test_paths(trial: Trial) -> None:
    """On gradients that fall, where AMSGrad's maximum is felt."""
    usual = trial.implementation("optimizer", torch.optim.AdamW)
    paths = [name for name in ("foreach", "fused") if usual.takes(name)]
    trial.require("it has the option foreach or fused", bool(paths))
    problem = field(trial.seed).fading()
    loop = usual.having(**dict.fromkeys(paths, False))
    for option, values in laws.variants(usual).items():
        for value in values:
            switched = {**option.context, option.name: value}
            if not loop.having(**switched).accepts(problem):
                continue
            expected = loop.having(**switched).follow(problem)
            for path in paths:
                other = loop.having(**switched, **{path: True})
                if other.accepts(problem):
                    trial.same(
                        f"{path} with {option.name} = {value}", other.follow(problem), expected
                    )


@claim(
    "laws/learning-rate",
    source="contract of torch.optim: lr_scheduler",
    statement="A scheduler makes the run that setting lr by hand makes, and another one than a "
    "constant lr; a Tensor makes the run of a float, and stays as it is.",
    hypotheses=("it has an lr, and no step sizes of its own",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-rate-cached", "class-rate-written"),
)
def test_learning_rate(trial: Trial) -> None:
    """ExponentialLR, which multiplies what it finds in the groups: .8^t."""
    usual = trial.implementation("optimizer", torch.optim.AdamW)
    own = usual.takes("step_sizes")
    trial.require("it has an lr, and no step sizes of its own", usual.takes("lr") and not own)
    optimizer = usual.having(**usual.plain)
    pair, lr = field(trial.seed), optimizer.step_size
    by_hand = optimizer.train(pair).go(pair.steps, lambda on: on.set_step_size(lr * 0.8**on.t))
    scheduled = optimizer.train(pair)
    if isinstance(scheduled.optimizer, torch.optim.Optimizer):
        scheduler = ExponentialLR(scheduled.optimizer, 0.8)
        scheduled.go(pair.steps, lambda on: scheduler.step() if on.t else None)
        trial.same("by a scheduler = by hand", scheduled.path, by_hand.path)
    trial.at_least("lr * .8^t: largest change", change(by_hand.path, optimizer, pair),
                   10 * ROUNDING, 0.0, ROUNDING_BECAUSE)  # fmt: skip
    given = torch.tensor(lr, dtype=torch.float64)
    tensor = optimizer.having(lr=given)
    if tensor.accepts(pair):
        trial.same("the Tensor afterwards", given, torch.tensor(lr, dtype=torch.float64))
        trial.same("lr a Tensor = a float", tensor.follow(pair), optimizer.follow(pair))


def change(path: torch.Tensor, optimizer: Implementation, problem: laws.Field) -> torch.Tensor:
    """The largest difference from the run at a constant step size."""
    return (path - optimizer.follow(problem)).abs().max()
