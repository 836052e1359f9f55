"""What an option says is done: on every path, in every value."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch.optim.lr_scheduler import ExponentialLR

from limitpoint import Trial, claim, laws
from limitpoint.laws import ROUNDING, ROUNDING_BECAUSE, Field, Implementation, Structure, field
from limitpoint.laws.forms import RIGHT_DECAYS, multiples
from limitpoint.laws.options import LARGE_EPS, fed_by_hand

FLOAT32 = 12 * torch.finfo(torch.float32).eps
LATE = 4
#: A dozen roundings of iterates of up to 2, four times over.
LEAST = 1e-14

DECAY = 0.1
#: By less than this share of itself a decay differs in its second order.
SHARED = 0.01
#: What a scheduler multiplies the step size by.
SLOWS = 0.8
#: Added to a loss, of two dozen entries that are at most a few: it is above zero.
ABOVE = 256.0
#: What a decay stands beside; maximize would turn the reference, not the decay.
BESIDE = ("nesterov", "amsgrad", "centered", "momentum")
#: The decay's part of a gradient there is the one here, to rounding.
NO_ASCENT = 1e-12
#: Five iterations of 2^-8 (bfloat16), grown by 3.4.
BFLOAT16 = 5 * 3.4 * 2**-8


@claim(
    "laws/options",
    source="derived",
    statement="Every option changes the run when it is changed.",
    hypotheses=(
        "an option that the field shares, and a value that the class takes",
        "steps alone feed its state",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-decay-ignored", "class-maximize-twice", "class-momentum-forgets",
        "class-epsilon-ignored", "class-nesterov-ignored", "class-dampening-ignored",
        "class-rho-ignored", "class-epsilon-lost-with-maximum",
    ),
)  # fmt: skip
def test_options(trial: Trial) -> None:
    """One by one, beside what lets them be felt; then with every switch on that they have.

    That is a momentum for dampening, gradients that fall for AMSGrad, a closure for what only a
    step with one feels. The least change looked for is ten times what rounding could do.
    """
    usual = trial.implementation(torch.optim.SGD)
    fed = fed_by_hand(usual)
    trial.require(f"steps alone feed its state ({fed} does)", not fed)
    for title, configured, pair in laws.configurations(usual, trial.seed):
        wide = field(trial.seed, *pair.shapes, (5,))
        whole = wide if configured.accepts(wide) else pair
        for option, values in laws.variants(configured).items():
            falls = option.fading or not pair.curved
            problem = whole.fading() if falls else whole
            base = configured.having(**option.context)
            for value in values:
                runs = tried(base, base.having(**{option.name: value}), problem)
                if runs is not None:
                    is_felt(trial, f"{option.name} = {value}{title}", *runs)
    pair = field(trial.seed)
    wide = field(trial.seed, *pair.shapes, (5,))
    straight = (wide if usual.accepts(wide) else pair).straight()
    felt = felt_alone(usual, straight, eps=LARGE_EPS, weight_decay=0.3)
    for title, switched, _ in laws.one_by_one(usual, trial.seed):
        for name, value in felt.items():
            runs = tried(switched, switched.having(**{name: value}), straight)
            if runs is not None:
                is_felt(trial, f"{name} = {value}{title}", *runs)
    trial.require("an option that the field shares", bool(trial.evidence))


def tried(
    one: Implementation, other: Implementation, problem: Field
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The runs of two; with a closure where they are alike without; None where one cannot run."""
    found = None
    for closure in (False, True):
        before, after = (own.tried(problem, closure=closure) for own in (one, other))
        if before is None or after is None:
            break
        found = before, after
        if change(*found) >= least_felt(before):
            break
    return found


def least_felt(before: torch.Tensor) -> torch.Tensor:
    """Ten times what rounding could do, in units of how far it goes."""
    reach = (before - before[0]).abs().max().clamp_max(1.0)
    return (10 * ROUNDING * reach).clamp_min(LEAST)


def change(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The largest difference of two runs."""
    return (after - before).abs().max()


def is_felt(trial: Trial, what: str, before: torch.Tensor, after: torch.Tensor) -> None:
    """Two runs differ by more than rounding."""
    trial.at_least(f"{what}: largest change", change(before, after), least_felt(before), 0.0,
                   ROUNDING_BECAUSE)  # fmt: skip


def felt_alone(usual: Implementation, problem: Field, **values: float) -> dict[str, float]:
    """Of some options those that are numbers, and change the run with no switch on."""
    plain, found = usual.tried(problem), {}
    for name, value in values.items():
        number = isinstance(usual.defaults.get(name), float | int)
        changed = usual.having(**{name: value}).tried(problem) if number else None
        if plain is not None and changed is not None and not laws.near(changed, plain):
            found[name] = value
    return found


@claim(
    "laws/reflection",
    source="contract of torch.optim: maximize",
    statement="Maximizing -L is minimizing L.",
    hypotheses=("it has the option maximize",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-maximize-twice", "class-maximize-decay", "class-maximize-lost-with-maximum"),
)
def test_reflection(trial: Trial) -> None:
    """With decay, momentum and the maximum of AMSGrad too: all see the sign that was turned."""
    usual = trial.implementation(torch.optim.AdamW)
    trial.require("it has the option maximize", usual.declares("maximize"))
    for title, optimizer, pair in laws.situations(usual, trial.seed):
        found = optimizer.having(maximize=True).follow(replace(pair, scale=-1.0))
        expected = optimizer.having(maximize=False).follow(pair)
        trial.same(f"maximize -L = minimize L{title}", found, expected)


@claim(
    "laws/decay",
    source="Loshchilov and Hutter 2019, Alg. 2; for signs Chen et al. 2023, Alg. 2",
    statement="The weight decay is the coupled one, g + lambda w, or the decoupled one, "
    r"$(1 - \eta\lambda) w$ before the step, $\eta$ the step's size, the lr or its ratio to the "
    "first; of w, or of its way from the start; with signs, decoupled; with any momentum.",
    hypotheses=("it has the option weight_decay", "without it, a step depends on gradients alone"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-decay-uphill", "class-decay-unscaled", "class-decay-ignored", "class-decay-after",
        "class-decay-in-sign", "class-no-decay-without-momentum", "class-decay-warms-up",
        "class-decay-at-first-rate",
    ),
)  # fmt: skip
def test_decay(trial: Trial) -> None:
    """Given gradients: the run without decay says the steps, and both kinds of decay the iterates.

    Under a step size that falls, which the decay has to follow.

    Which of them it is, is measured; where it is neither, what it is instead is named. Another kind
    is a fault where signs are taken, and in a class that has no options but those of known rules.
    """
    usual = trial.implementation(torch.optim.AdamW)
    trial.require("it has the option weight_decay", usual.takes("weight_decay"))
    if usual.takes("rho") and Structure(usual, trial.seed).ascends:
        usual = usual.having(rho=NO_ASCENT)
    straight = field(trial.seed).straight()
    bases: list[dict[str, object]] = [{}]
    if usual.takes("momentum"):
        bases = [{"momentum": mu} for mu in (0.0, 0.9)]
    bases += [{k: v for k, v in laws.switched_on(usual, straight).items() if k in BESIDE}]
    kinds: dict[str, Callable[[], torch.Tensor]]
    for options in bases[: None if bases[-1] else -1]:
        base = usual.having(**{"weight_decay": 0.0, **options})
        if not base.accepts(straight):
            continue
        steps = slowing(base, straight).diff(dim=0)
        elsewhere = slowing(base, straight.moved(straight.start + 0.5)).diff(dim=0)
        trial.require("a step depends on gradients alone", laws.near(elsewhere, steps, 1e-9))
        found = slowing(base.having(weight_decay=DECAY), straight)
        signs = Structure(base, trial.seed).signs
        coupled = {"coupled": 1, "coupled, uphill": -1, "coupled, doubled": 2}
        problems = {n: replace(straight, decay=factor * DECAY) for n, factor in coupled.items()}
        from_start = straight.c - DECAY * straight.start
        problems["coupled, to the start"] = replace(straight, c=from_start, decay=DECAY)
        kinds = {} if signs else {n: partial(slowing, base, p) for n, p in problems.items()}
        sizes = base.step_size * SLOWS ** torch.arange(len(steps)).double()
        plain = laws.decays(steps, straight.start, sizes, DECAY)
        kinds = {name: partial(torch.clone, path) for name, path in plain.items()} | kinds
        name = laws.kind_of(found, kinds) or "of no known kind"
        title = "".join(f", {n} {v}" for n, v in options.items())
        halves = [slice(0, 6), slice(6, None)]
        factors = [laws.factors(found[:, half], steps[:, half]) for half in halves]
        if name not in kinds and not any(one is None for one in factors):
            lost = 1 - torch.stack([one for one in factors if one is not None])
            small = sizes * DECAY * own_sizes(base, straight.c, -steps / sizes.unsqueeze(1), halves)
            steady = laws.near(lost / small, (lost / small)[:, :1].expand_as(lost), 1e-2)
            # A share that the steps do not have may be a class's own option: below 1.
            shared = bool((lost / small < 1 - SHARED).any())
            trial.require("a decay that is lr lambda (it is another rule's)",
                          usual.is_common or (steady and not shared))  # fmt: skip
            trial.close(f"what the decay takes off each tensor{title}", lost, small, small**2,
                        "to second order", along=("tensor", "step"))  # fmt: skip
            continue
        own = usual.is_common and Structure(base, trial.seed).entrywise
        known = name in kinds or signs or own
        trial.require("a decay that is coupled or decoupled (it is another rule's)", known)
        kind = "coupled" if name.startswith("coupled") else "decoupled"
        right = kinds[name if name in RIGHT_DECAYS else kind]()
        trial.same(f"decay {name}{title}", found, right)


def own_sizes(
    base: Implementation, gradients: torch.Tensor, along: torch.Tensor, tensors: list[slice]
) -> torch.Tensor:
    """Each tensor's own step sizes over lr, (tensors, steps): what Adam's steps are multiplied by.

    StableAdamW's are 1 / max(1, RMS) for step and decay (Wortsman et al. 2023, Alg. 2). 1 where the
    steps are no such multiples.

    Args:
        base: without decay.
        gradients: (steps, n).
        along: its steps over -lr, (steps, n).
        tensors: the entries of each.
    """
    betas, eps = (base.defaults.get(name) for name in ("betas", "eps"))
    plain = torch.ones(len(tensors), len(along), dtype=along.dtype)
    if not betas or len(betas) != 2 or max(betas) >= 1:
        return plain
    number, largest = eps if isinstance(eps, float) else 1e-8, bool(base.defaults.get("amsgrad"))
    _, adam = next(laws.adams(gradients, betas, number, largest=largest))
    sizes = [multiples(along[:, own], adam[:, own], FLOAT32) for own in tensors]
    known = [one for one in sizes if one is not None]
    return torch.stack(known) if len(known) == len(sizes) else plain


def slowing(optimizer: Implementation, problem: laws.Field) -> torch.Tensor:
    """The iterates under a step size that falls, as a scheduler makes it."""
    lr, training = optimizer.step_size, optimizer.train(problem)
    return training.go(problem.steps, lambda on: on.set_step_size(lr * SLOWS**on.t)).path


@claim(
    "laws/paths",
    source="contract of torch.optim: foreach, fused, capturable are the same algorithm",
    statement="foreach and fused run as the for-loop, with every other option switched on in turn.",
    hypotheses=("it has another path itself, and takes it here", "the path takes the option"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-lists-forget-maximum", "class-lists-forget-decay", "class-decays-by-dtype",
        "class-lists-share-count",
    ),
)  # fmt: skip
def test_paths(trial: Trial) -> None:
    """On gradients that fall, where AMSGrad's maximum is felt.

    With all switches on: a Tensor lr, tensors of two dtypes, one whose gradient comes late.
    """
    usual = trial.implementation(torch.optim.AdamW)
    problem = field(trial.seed).fading()
    names = ("foreach", "fused", "capturable", "differentiable")
    loop = usual.having(**{name: False for name in names if usual.takes(name)})
    # Newton and Schulz's iteration is one in bfloat16, in another order where matrices are stacked.
    coarse = BFLOAT16 if Structure(loop, trial.seed).orthogonalises else 0.0
    paths = [n for n in names if usual.declares(n) and loop.having(**{n: True}).accepts(problem)]
    trial.require("it has another path itself, and takes it here", bool(paths))
    cases = [
        (f"{option.name} = {value}", {**option.context, option.name: value})
        for option, values in laws.variants(usual).items() for value in values
    ]  # fmt: skip
    if on := laws.switched_on(usual, problem):
        cases.append((f"all of {', '.join(on)}", on))
        cases.append(("a Tensor lr", {**on, "lr": torch.tensor(usual.step_size).double()}))
    dtypes = ("two dtypes", on, {"dtype": (torch.float64, torch.float32)})
    late = ("a late gradient", on, {"absent": lambda t: (0,) if t < LATE else ()})
    for title, switched, how in [*((*case, {}) for case in cases), dtypes, late]:
        expected = loop.having(**switched).tried(problem, **how)
        for path in paths if expected is not None else ():
            found = loop.having(**switched, **{path: True}).tried(problem, **how)
            if found is not None:
                tolerance = FLOAT32 if "dtype" in how else coarse or ROUNDING
                trial.identity(f"{path} with {title}", found, expected, tolerance,
                               ROUNDING_BECAUSE, along=("step", "entry"))  # fmt: skip


@claim(
    "laws/learning-rate",
    source="contract of torch.optim: lr_scheduler",
    statement="A scheduler makes the run that setting lr by hand makes, and another one than a "
    "constant lr; an lr of 0 moves nothing, or to where it moves no more; a Tensor makes the run "
    "of a float, and stays as it is.",
    hypotheses=("it has an lr and groups, and no step sizes of its own",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-rate-cached", "class-rate-written"),
)
def test_learning_rate(trial: Trial) -> None:
    """ExponentialLR, which multiplies what it finds in the groups: .8^t.

    Weights that are not where a rule keeps them are put there at any lr (a projection), and then
    stay. The loss is above zero there, as a rule that divides it by its gradient's square expects.
    """
    usual = trial.implementation(torch.optim.AdamW)
    own = usual.takes("step_sizes")
    grouped = bool(usual.train(field(trial.seed)).groups)
    trial.require("it has an lr and groups, and no step sizes of its own",
                  usual.takes("lr") and grouped and not own)  # fmt: skip
    optimizer = usual.having(**usual.plain)
    pair, lr = field(trial.seed), optimizer.step_size
    by_hand = optimizer.train(pair).go(pair.steps, lambda on: on.set_step_size(lr * SLOWS**on.t))
    scheduled = optimizer.train(pair)
    if isinstance(scheduled.optimizer, torch.optim.Optimizer):
        scheduler = scheduled.call(lambda: ExponentialLR(scheduled.optimizer, SLOWS))
        scheduled.go(pair.steps, lambda on: scheduler.step() if on.t else None)
        trial.same("by a scheduler = by hand", scheduled.path, by_hand.path)
    is_felt(trial, "lr * .8^t", optimizer.follow(pair), by_hand.path)
    warm = warmed(optimizer, pair)
    if not laws.near(warm[1], warm[0]):
        warm = warmed(optimizer, pair.moved(warm[1]))
    trial.same("a first lr of 0: the first step", warm[1], warm[0])
    trial.close(
        "after a first lr of 0: entries lost", (~torch.isfinite(warm)).sum(), 0, 0, "a count"
    )
    given = torch.tensor(lr, dtype=torch.float64)
    tensor = optimizer.having(lr=given)
    if tensor.accepts(pair):
        trial.same("the Tensor afterwards", given, torch.tensor(lr, dtype=torch.float64))
        trial.same("lr a Tensor = a float", tensor.follow(pair), optimizer.follow(pair))


def warmed(optimizer: Implementation, pair: Field) -> torch.Tensor:
    """The iterates from a first lr of 0, as a warm-up's may be, then its own."""
    lr, training = optimizer.step_size, optimizer.train(pair, shift=ABOVE)
    return training.go(pair.steps, lambda on: on.set_step_size(lr * bool(on.t))).path
