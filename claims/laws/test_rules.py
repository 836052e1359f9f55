"""One step of the rules that many classes share: the form is named, right or wrong."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

import torch

from limitpoint import Trial, claim, laws
from limitpoint.laws import COMMON, STEPS, Field, Implementation, Structure, field, near
from limitpoint.laws.averages import arcs, cautious
from limitpoint.laws.options import fed_by_hand
from limitpoint.rivals.classes.sam import SAM

LONG = 200
SMALL, LARGE = 1e-12, 1.0
#: An epsilon that is added to a norm.
BESIDE = 1e-6
FLOAT32 = 4 * torch.finfo(torch.float32).eps


@claim(
    "laws/first-step",
    source="Kingma and Ba 2015, Alg. 1; Duchi et al. 2011; Hinton 2012",
    statement=r"$\Delta_1 = -\eta g / (|g| + \epsilon)$ under bias correction; RMSprop has its "
    r"$\sqrt{1-\alpha}$ before $|g|$.",
    hypotheses=(
        "it has an eps that is a number",
        "with an eps of 1e-12 every entry of the first step is as long",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-uncorrected", "class-count-from-zero", "class-epsilon-inside",
        "class-epsilon-uncorrected", "class-epsilon-twice", "class-epsilon-ignored",
        "class-root-of-correction-lost",
    ),
)  # fmt: skip
def test_first_step(trial: Trial) -> None:
    """With an eps of 1, as large as the gradients: there its place is as plain as the step.

    The expected side is the right form; the quantity says which form it is that was measured. A
    first step of none of the forms is another rule's. So is one of a wrong form where the steps
    that follow say so: EAdam's, or SM3's, which are not those of sums of squares.
    """
    usual = trial.implementation(torch.optim.AdamW)
    corrects = {name: True for name in ("bias_correction", "correct_bias") if usual.takes(name)}
    optimizer = usual.having(**usual.plain, **corrects)
    trial.require("it has an eps that is a number", isinstance(usual.defaults.get("eps"), float))
    straight = field(trial.seed).straight()
    steps = {}
    for eps in (SMALL, LARGE):
        one = optimizer.having(eps=eps)
        trial.require(f"it takes eps={eps}", one.accepts(straight))
        g, steps[eps] = Structure(one, trial.seed).first_step()
    size = steps[SMALL].abs()
    alike = near(size, size[:1].expand_as(size), FLOAT32) and bool(size[0] > 0)
    trial.require("its first step has entries of one length", alike)
    betas = optimizer.defaults.get("betas", (0.0, 0.0))
    trial.require("no betas, or two", len(betas) == 2)
    forms = laws.first_steps(optimizer.defaults)
    found = next((name for name, form in forms.items()
                  if all(near(-steps[e], form(g, e), FLOAT32) for e in steps)), "")  # fmt: skip
    long = f"entries {float(size[0]):.6g} lr long without eps"
    kin = bool(found) or (averages(optimizer) and Structure(optimizer, trial.seed).entrywise)
    right = forms[found if found.startswith("right") else "right"](g, LARGE)
    if not found.startswith("right"):
        runs = right_runs(optimizer, straight)
        found, right = next(iter(runs.items()), (found, right))
        kin = bool(runs) or (kin and has_squares(optimizer, straight))
    trial.require(f"a first step of Adam's kin ({long})", kin)
    trial.identity(f"first step over lr, eps = 1 [{found or f'of no known kind: {long}'}]",
                   -steps[LARGE], right, FLOAT32, "a counter may be float32",
                   along=("entry",))  # fmt: skip


def right_runs(optimizer: Implementation, problem: Field) -> dict[str, torch.Tensor]:
    """Adam's kin whose whole run is its own, with an eps of 1: the first steps, by name."""
    betas, path = optimizer.defaults.get("betas"), optimizer.having(eps=LARGE).tried(problem)
    if path is None or not betas or max(betas) >= 1:
        return {}
    steps = -path.diff(dim=0) / optimizer.step_size
    runs = laws.adams(problem.c, betas, LARGE)
    return {n: r[0] for n, r in runs if n.startswith("right") and near(steps, r, FLOAT32)}


def has_squares(optimizer: Implementation, problem: Field) -> bool:
    """Whether it has averages, or its run without eps is that of sums of squares, Adagrad's."""
    if optimizer.takes("betas") or optimizer.takes("alpha"):
        return True
    path = optimizer.having(eps=SMALL).tried(problem)
    sums = laws.adagrad(problem.c, SMALL, 0.0, 0.0)["right"]
    return path is not None and near(-path.diff(dim=0) / optimizer.step_size, sums, FLOAT32)


def averages(optimizer: Implementation) -> bool:
    """Whether it has averages of gradients, and no options but those of the rules with them."""
    return optimizer.is_common and (optimizer.takes("betas") or optimizer.takes("alpha"))


@claim(
    "laws/averages",
    source="Kingma and Ba 2015, Alg. 1; Chen et al. 2023, Alg. 2",
    statement="With two betas, the run is that of Adam, of its kin, or of Lion: none of those that "
    "are mistaken for them.",
    hypotheses=(
        "it has two betas", "it is a run of Adam's kin or Lion, right or wrong",
        "steps alone feed its state",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-betas-swapped", "class-late-moment", "class-signs-swapped", "class-correction-ends",
    ),
)  # fmt: skip
def test_averages(trial: Trial) -> None:
    """So many steps of one tensor, on given gradients, that what begins late has begun; no decay.

    Another rule with two betas is none of these runs, and is not judged here.
    """
    usual = trial.implementation(torch.optim.AdamW)
    betas = usual.defaults.get("betas")
    trial.require("it has two betas", isinstance(betas, tuple | list) and len(betas) == 2)
    fed = fed_by_hand(usual)
    trial.require(f"steps alone feed its state ({fed} does)", not fed)
    straight, chosen = field(trial.seed, (2, 3), steps=LONG).straight(), (0.9, 0.99)
    corrects = {name: True for name in ("bias_correction", "correct_bias") if usual.takes(name)}
    plain = usual.having(**usual.plain, **corrects, betas=chosen)
    eps = plain.defaults.get("eps")
    for largest in (False, True) if usual.takes("amsgrad") else (None,):
        problem = field(trial.seed, (2, 3)).fading() if largest else straight
        optimizer = plain if largest is None else plain.having(amsgrad=largest)
        trial.require(f"it takes betas={chosen}", optimizer.accepts(problem))
        steps = -optimizer.follow(problem).diff(dim=0) / optimizer.step_size
        runs = kin(problem.c, chosen, eps, largest=bool(largest))
        name, run = next(((n, r) for n, r in runs if near(steps, r, FLOAT32)), ("", None))
        if run is None:
            # Another rule can begin otherwise; one that begins as these do, and is none, is wrong.
            first = kin(problem.c[:1], chosen, eps, largest=bool(largest))
            begins = any(near(steps[:1], r, FLOAT32) for _, r in first) and bool(steps[0].any())
            alike = begins and usual.is_common and Structure(optimizer, trial.seed).entrywise
            trial.require("a run of Adam's kin or Lion", alike)
        unasked = largest is None and name.endswith("(AMSGrad)")
        if run is None or not (name.startswith("right") or unasked):
            _, run = next(kin(problem.c, chosen, eps, largest=bool(largest)))
        title = "" if largest is None else f", amsgrad={largest}"
        title += f" [{name or 'of no known kind'}]"
        trial.identity(f"steps over lr{title}", steps, run, FLOAT32,
                       "a counter may be float32", along=("step", "entry"))  # fmt: skip


def kin(
    gradients: torch.Tensor, betas: tuple[float, float], eps: object, *, largest: bool
) -> Iterator[tuple[str, torch.Tensor]]:
    """Runs of Adam's kin; of Lion's first, where there is no eps."""
    number = eps if isinstance(eps, float) else 1e-8
    runs = [f(gradients, betas, number, largest=largest) for f in (laws.adams, cautious)]
    if isinstance(eps, float):
        return chain(*runs)
    return chain(laws.lions(gradients, betas), *runs, arcs(gradients, betas))


@claim(
    "laws/squares",
    source="Hinton 2012; Graves 2013, (38)-(45); Duchi et al. 2011; Zeiler 2012, Alg. 1",
    statement="With alpha, the run is RMSprop's, centred or not, with its momentum; with an "
    "accumulator's start, Adagrad's; with rho and eps, Adadelta's.",
    hypotheses=("it has these options, no betas, and none of another rule",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-squares-forget-centre", "class-decay-counts-ahead", "class-moves-of-gradients",
    ),
)  # fmt: skip
def test_squares(trial: Trial) -> None:
    """Twelve steps on given gradients, without decay, at each momentum and centering it has."""
    usual = trial.implementation(torch.optim.RMSprop)
    g, eps, start, decay = field(trial.seed).straight(), 1e-3, 0.5, 0.1
    known = usual.has_only({*COMMON, "lr_decay", "initial_accumulator_value"})
    trial.require("no betas, and no option of another rule", known and not usual.takes("betas"))
    plain = usual.having(**usual.plain)
    runs: list[tuple[dict[str, object], dict[str, torch.Tensor]]] = []
    if usual.takes("eps", "alpha"):
        momenta = (0.0, 0.9) if usual.takes("momentum") else (0.0,)
        centres = (False, True) if usual.takes("centered") else (False,)
        runs = [
            ({"alpha": 0.7, "momentum": mu, "centered": centered},
             laws.rmsprops(g.c, 0.7, eps, mu, centered=centered))
            for mu in momenta for centered in centres
        ]  # fmt: skip
    elif usual.takes("eps", "initial_accumulator_value"):
        decay = decay if usual.takes("lr_decay") else 0.0
        options = {"initial_accumulator_value": start, "lr_decay": decay}
        runs = [(options, laws.adagrad(g.c, eps, start, decay))]
    elif usual.takes("eps", "rho") and not Structure(usual, trial.seed).ascends:
        kinds = laws.rmsprops(g.c, 0.7, eps)
        adadelta = {"right, Adadelta": laws.adadelta(g.c, 0.7, eps)}
        runs = [({"rho": 0.7}, adadelta | {"right, RMSprop": kinds["right"]})]
    trial.require("options of RMSprop, Adagrad or Adadelta", bool(runs))
    for wanted, kinds in runs:
        options = {name: value for name, value in wanted.items() if usual.takes(name)}
        one = plain.having(eps=eps, **options)
        path = one.tried(g)
        if path is None:
            continue
        steps = -path.diff(dim=0) / one.step_size
        name = next((n for n, r in kinds.items() if near(steps, r, FLOAT32)), "of no known kind")
        title = "".join(f", {n} {v}" for n, v in options.items())
        right = name if name.startswith("right") else next(iter(kinds))
        trial.identity(f"steps over lr{title} [{name}]", steps, kinds[right], FLOAT32,
                       "a counter may be float32", along=("step", "entry"))  # fmt: skip


@claim(
    "laws/heavy-ball",
    source="Polyak 1964; Sutskever et al. 2013; torch.optim.SGD; Defazio et al. 2024",
    statement=r"With momentum it steps along $b_t = \mu b_{t-1} + (1-d) g_t$ as without momentum "
    r"along $g_t$, $b_1 = g_1$ (or along an average, from there, or corrected for its start or "
    r"not, or as schedule-free SGD does); Nesterov's along $g_t + \mu b_t$.",
    hypotheses=("it has the option momentum", "without momentum it keeps nothing"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-nesterov-minus", "class-nesterov-kept", "class-nesterov-ignored",
        "class-first-dampened", "class-dampening-ignored", "class-momentum-forgets",
    ),
)  # fmt: skip
def test_heavy_ball(trial: Trial) -> None:
    """momentum x dampening x nesterov, on given gradients.

    The class without momentum is its own reference: descent, signs and matrices are judged alike.
    """
    usual = trial.implementation(torch.optim.SGD)
    trial.require("it has the option momentum", usual.takes("momentum"))
    straight, mu = field(trial.seed).straight(), 0.9
    switches = {
        name: values for name, values in (("dampening", (0.0, 0.5)), ("nesterov", (False, True)))
        if usual.takes(name)
    }  # fmt: skip
    off = {name: values[0] for name, values in switches.items()}
    without = usual.having(**usual.plain, **off, momentum=0.0)
    trial.require("it takes momentum=0", without.accepts(straight))
    trial.require("without momentum it keeps nothing",
                  not Structure(without, trial.seed).remembers)  # fmt: skip
    long = field(trial.seed, (2, 3), steps=LONG // 4).straight()
    lasting = usual.having(**usual.plain, **off, momentum=mu).tried(long)
    if lasting is not None:
        balls = laws.buffers(long.c, mu, 0.0, nesterov=False)
        rights = {n: partial(without.follow, long.descending(balls[n])) for n in balls}
        begun = {n: partial(without.follow, long.descending(balls[n]), None, STEPS) for n in balls}
        name = laws.kind_of(lasting[: STEPS + 1], begun)
        if name.startswith("right"):
            trial.same(f"momentum {mu}, {long.steps} steps", lasting, rights[name]())
    for dampening in switches.get("dampening", (0.0,)):
        for nesterov in switches.get("nesterov", (False,)):
            chosen = {"dampening": dampening, "nesterov": nesterov}
            having = {name: value for name, value in chosen.items() if name in switches}
            one = usual.having(**usual.plain, **having, momentum=mu)
            if not one.accepts(straight):
                continue
            made = laws.buffers(straight.c, mu, dampening, nesterov=nesterov)
            if not usual.takes("nesterov"):  # it may look ahead always, as Muon does
                ahead = laws.buffers(straight.c, mu, dampening, nesterov=True)
                made |= {f"{n}, Nesterov's": d for n, d in ahead.items() if n.startswith("right")}
            kinds = {n: partial(without.follow, straight.descending(d)) for n, d in made.items()}
            path = one.follow(straight)
            name = laws.kind_of(path, kinds) or "of no known kind"
            trial.require("a heavy ball (it is another rule's)", name in kinds or usual.is_common)
            right = kinds[name if name.startswith("right") else "right"]()
            title = ", ".join(f"{n} {v}" for n, v in having.items())
            trial.same(f"momentum {mu} {title} [{name}]", path, right)


@claim(
    "laws/ascent",
    source="Foret et al. 2021, (2); Kwon et al. 2021, (5); understanding_sam, (3)",
    statement=r"The second gradient is that at $w + \rho g / \|g\|$, with the norm of all "
    r"tensors; or at $w + \rho g$; adaptive: at $w + \rho w^2 g / \| |w| g \|$.",
    hypotheses=("it takes a second gradient within a step, at a radius rho",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-norm-by-tensor", "class-norm-by-group", "class-norms-added", "class-ascent-down",
        "class-rho-ignored", "class-adaptive-gradient", "class-way-back-rounded",
        "class-radius-of-first",
    ),
)  # fmt: skip
def test_ascent_of_sam(trial: Trial) -> None:
    """Where the second gradient of the first step is taken, at two radii, in one group and in two.

    Then that nothing of it is left: where gradients are given, the radius is not felt.
    """
    usual = trial.implementation(SAM)
    pair = field(trial.seed)
    trial.require("it takes a second gradient within a step, at a radius rho",
                  usual.takes("rho") and Structure(usual, trial.seed).ascends)  # fmt: skip
    w, g = pair.start, torch.cat([x.reshape(-1) for x in pair.gradients(0, pair.split(pair.start))])
    size = pair.alone(0).ndim
    radii = torch.full_like(w, 0.05).index_fill(0, torch.arange(size, len(w)), 0.2)
    own = [([0], {"rho": 0.05}), ([1], {"rho": 0.2})]
    whole = (("one group", None), ("two groups", [([0], {}), ([1], {})]))
    cases = [(f"rho {rho}, {title}", rho, groups) for rho in (0.05, 0.2) for title, groups in whole]
    inside = usual.train(pair).groups
    if inside and "rho" in inside[0]:
        cases.append(("each group's own rho", radii, own))
    known = usual.is_common
    for adaptive in (False, True) if usual.takes("adaptive") else (None,):
        for title, rho, groups in cases:
            switch = {} if adaptive is None else {"adaptive": adaptive}
            optimizer = usual.having(**switch, **({} if groups is own else {"rho": rho}))
            kinds = {n: e for n, e in laws.ascents(w, g, rho).items()
                     if adaptive is None or ("ASAM" in n) == adaptive}  # fmt: skip
            if not optimizer.accepts(pair, groups):
                continue
            training = optimizer.train(pair, groups).go(1)
            found = torch.cat([x.reshape(-1) for x in training.points[-1]]) - w
            name = next((n for n, e in kinds.items() if near(found, e, BESIDE)), "")
            known = known or bool(name)
            trial.require("an ascent of a known kind (it is another rule's)", known)
            layerwise = near(found, by_tensor(pair, g, rho), BESIDE)
            other = "norm of each tensor (layerwise SAM)" if layerwise else "of no known kind"
            which = f"{', adaptive' if adaptive else ''} [{name or other}]"
            trial.identity(f"ascent, {title}{which}", found, kinds[name or next(iter(kinds))],
                           BESIDE, "an epsilon beside the norm", along=("entry",))  # fmt: skip
    plain = usual.having(rho=1e-3)
    straight = pair.straight()
    if plain.accepts(straight):
        large = usual.having(rho=0.2)
        trial.same(
            "given gradients: rho .2 = rho .001", large.follow(straight), plain.follow(straight)
        )


def by_tensor(problem: Field, g: torch.Tensor, rho: float | torch.Tensor) -> torch.Tensor:
    """SAM's ascent with each tensor's norm in place of that of all."""
    parts = zip(problem.split(g), problem.split(rho * torch.ones_like(g)), strict=True)
    return torch.cat([(radius * x / x.norm()).reshape(-1) for x, radius in parts])
