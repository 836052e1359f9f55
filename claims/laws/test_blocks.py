"""What a tensor as a whole has to do with its step: its norm, its rows and columns."""

from collections.abc import Iterator

import torch

from limitpoint import Trial, claim, laws
from limitpoint.laws import (
    COMMON,
    DEGREE,
    STEP,
    STEPS,
    Field,
    Implementation,
    Structure,
    field,
    near,
)
from limitpoint.rivals.classes.blocks import Adafactor, Lamb

#: Of an epsilon, or of a decay that leaves a trust ratio on.
TINY = 1e-12
BETAS, DECAY = (0.9, 0.99), 0.1
#: Large enough that every implementation keeps its squares by rows and columns.
WIDE = (18, 17)
#: Names of a second moment's decay 1 - t^-c, of the largest update, and of a first moment's.
SECOND, LARGEST = ("beta2_decay", "decay_rate"), ("d", "clip_threshold", "clipping_threshold")
FIRST = ("betas", "beta1", "momentum")
BFLOAT16 = 2.0**-7


@claim(
    "laws/weights",
    source="derived; You et al. 2017, (6)",
    statement="Where weights of c times the size make steps of c^d times the size, d is 0 or 1, "
    "and a step grows with its own tensor's weights alone.",
    hypotheses=("it has such a degree, at given gradients",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-lamb-upside-down", "class-lamb-squares", "class-lamb-of-all"),
)
def test_weights(trial: Trial) -> None:
    """All entries at all steps agree about d, at c = 4. Without decay, or with as good as none.

    d = 0: most; d = 1: LARS, LAMB, Adafactor.
    """
    usual = trial.implementation(Lamb)
    for optimizer in without_decay(usual):
        if not optimizer.accepts(field(trial.seed), steps=STEPS):
            continue
        growth = Structure(optimizer, trial.seed).growth
        if growth is None:
            continue
        nearest = min(max(round(growth), 0), 1)
        trial.close("degree in the weights", growth, nearest, DEGREE, "rounding")
        pair = field(trial.seed).straight()
        start = torch.cat([pair.start[:6], laws.GROWS * pair.start[6:]])
        trial.same("beside larger weights", optimizer.follow(pair.moved(start))[:, :6],
                   optimizer.follow(pair)[:, :6])  # fmt: skip
    trial.require("steps that are a power of the weights", bool(trial.evidence))


def without_decay(usual: Implementation) -> Iterator[Implementation]:
    """Without a decay, and with one that is nothing: some have no trust ratio without."""
    for decay in (0.0, TINY) if usual.takes("weight_decay") else (None,):
        yield usual if decay is None else usual.having(weight_decay=decay)


@claim(
    "laws/trust-ratio",
    source="You et al. 2020, Alg. 2 (LAMB); You et al. 2017, Alg. 1 (LARS)",
    statement=r"$\Delta = -\eta\kappa \|w\| u / \|u\|$ for each tensor, $u = r + \lambda w$ with "
    r"Adam's $r$, or the gradient's; a momentum is of these.",
    hypotheses=("its steps grow with the weights", "a share of a norm, right or wrong"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-lamb-of-gradient", "class-lamb-without-decay", "class-lamb-by-rows",
        "class-lamb-mixed-norms", "class-lamb-betas", "class-lamb-corrected-late",
        "class-lars-scales-history", "class-lars-needs-decay",
    ),
)  # fmt: skip
def test_trust_ratio(trial: Trial) -> None:
    """Given gradients, twelve steps, each expected from where it began; without decay, with it."""
    usual = trial.implementation(Lamb)
    trial.require("no betas, or two", len(usual.defaults.get("betas") or BETAS) == 2)
    base = usual.having(**with_what_it_has(usual, weight_decay=TINY, eps=TINY, betas=BETAS))
    pair = field(trial.seed).straight()
    trial.require("it takes them at its edges", base.accepts(pair))
    growth = Structure(base, trial.seed).growth
    grows = growth is not None and abs(growth - 1) <= DEGREE
    trial.require("steps that grow with the weights", grows)
    known = usual.has_only({*COMMON, "trust"})
    betas = BETAS if usual.takes("betas") else None
    for mu in (0.0, 0.9) if usual.takes("momentum") and not betas else (0.0,):
        # Classes with options of their own may have no ratio without a decay.
        for decay in (*[0.0] * known, TINY, DECAY) if usual.takes("weight_decay") else (0.0,):
            options = with_what_it_has(usual, weight_decay=decay, momentum=mu)
            if not base.having(**options).accepts(pair, steps=pair.steps):
                continue
            path = base.having(**options).follow(pair)
            steps = -path.diff(dim=0) / base.step_size
            kinds = list(laws.shares(steps, path[:-1], pair.c, (6, 8), decay, betas, mu))
            name, run = next((one for one in kinds if near(steps, one[1])), ("", kinds[0][1]))
            trial.require("a share of a norm (it is another rule's)", name or known)
            title = "".join(f", {n} {v:g}" for n, v in options.items())
            trial.same(f"steps over lr{title} [{name or 'of no known kind'}]", steps,
                       run if name.startswith("right") else kinds[0][1])  # fmt: skip
    trial.require("it takes them at its edges", bool(trial.evidence))


def with_what_it_has(usual: Implementation, **options: object) -> dict[str, object]:
    """Of some options those that a class has."""
    return {name: value for name, value in options.items() if usual.takes(name)}


@claim(
    "laws/factored",
    source="Shazeer and Stern 2018, Alg. 4 and Sec. 3 (rank one)",
    statement="Squares kept by rows and columns are the squares themselves where these have rank "
    "one; a matrix on its side moves so; the updates are Adafactor's, none larger than $d$.",
    hypotheses=("it has Adafactor's options: c of the squares' decay $1 - t^{-c}$, and $d$",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-factor-wrong-side", "class-factor-not-normalised", "class-factor-clips-upside-down",
        "class-factor-counts-ahead", "class-factor-norm", "class-factor-forgets-clip",
    ),
)  # fmt: skip
def test_factored(trial: Trial) -> None:
    """A matrix of rank one beside the vector of its entries, whose squares are kept whole."""
    usual = trial.implementation(Adafactor)
    second, largest = (next(filter(usual.takes, names), "") for names in (SECOND, LARGEST))
    trial.require("it has Adafactor's options", bool(second and largest))
    wide = field(trial.seed, WIDE).straight()
    rows, columns = (numbers.unflatten(0, WIDE) for numbers in (wide.a, wide.a.flip(0)))
    one = wide.descending(wide.c.sign() * (rows[:, :1] * columns[:1]).flatten())
    vector = usual.follow(one.shaped((one.ndim,))).diff(dim=0)
    trial.identity("squares of rank one: matrix = vector", usual.follow(one).diff(dim=0), vector,
                   BFLOAT16, "a first moment may be bfloat16", along=STEP)  # fmt: skip
    turned = torch.arange(wide.ndim).unflatten(0, WIDE).t().flatten()
    side = usual.follow(wide.part(turned, WIDE[::-1])).diff(dim=0)
    trial.identity("on its side", side, usual.follow(wide).diff(dim=0)[:, turned], BFLOAT16,
                   "a first moment may be bfloat16", along=STEP)  # fmt: skip
    plain = without_first_moment(usual.having(**usual.plain), wide)
    if plain is None:
        return
    relative = Structure(plain, trial.seed).growth == 1
    # One gradient is large beside those before it, and so is its update.
    burst = wide.descending(wide.c * torch.ones(STEPS, 1).index_fill(0, torch.tensor(5), 8.0))
    for d in (1.0, 0.5, 3.0):
        for title, problem in (("matrix", burst), ("vector", burst.shaped((burst.ndim,)))):
            optimizer = plain.having(**{largest: d})
            if not optimizer.accepts(problem, steps=problem.steps):
                continue
            path = optimizer.follow(problem)
            scale = path[:-1].square().mean(1, keepdim=True).sqrt() if relative else 1.0
            found = -path.diff(dim=0) / (optimizer.step_size * scale)
            given = problem.c.unflatten(1, problem.shapes[0])
            kinds = laws.adafactors(given, abs(usual.defaults[second]), d)
            named = [(name, run.flatten(1)) for name, run in kinds]
            name = next((n for n, run in named if near(found, run)), "of no known kind")
            trial.same(f"{title}, updates of at most {d} [{name}]", found, named[0][1])


def without_first_moment(usual: Implementation, problem: Field) -> Implementation | None:
    """Its first moment switched off: by None, else by a decay of 0; None where it takes neither.

    None comes first: a moment that decays at once may still be stored in less.
    """
    for decay in (None, 0.0):
        options: dict[str, object] = {}
        for name in filter(usual.takes, FIRST):
            now = usual.defaults.get(name)
            options[name] = (decay, *now[1:]) if isinstance(now, tuple | list) else decay
        off = usual.having(**options)
        if off.accepts(problem, steps=problem.steps):
            return off
    return None
