"""What a step of one tensor may depend on: its own entries, all of them, nothing else."""

from dataclasses import replace

import torch

from limitpoint import Trial, claim, laws
from limitpoint.laws import PAIR, STEP, Field, Implementation, Structure, field
from limitpoint.laws.structure import beside_another
from limitpoint.laws.training import flat

#: The degree of steps whose epsilon is beside gradients of 1 is nearer to a number.
FAR = 1e-4
BFLOAT16 = 5 * 3.4 * 2**-8
DRAWS = "it draws nothing at random"
#: Why a norm of each tensor's own is a fault; said where it is found.
OF_ALL = "SAM's norm is that of all tensors; another rule has an option of its own"
WITHIN = "five iterations of 2^-8 (bfloat16), grown by 3.4"


@claim(
    "laws/product",
    source="contract of torch.optim; derived",
    statement="A tensor moves as with an optimizer of its own, whoever stands beside it: one at "
    "rest for every rule, one with gradients for entrywise and blockwise rules.",
    hypotheses=("entrywise rules: measured on one tensor", "blockwise rules: on two"),
    kind="law",
    roles=("optimizer",),
    rivals=("class-shared-count", "class-lamb-of-before"),
)
def test_product(trial: Trial) -> None:
    """Two matrices with one optimizer, and with one each; a third without gradients before them.

    A rule that is entrywise on one tensor has to be so on two. A tensor at rest adds nothing to a
    norm either, so that the second comparison holds for every rule but those that have options of
    their own: theirs may be a mean.
    """
    usual = trial.implementation(torch.optim.AdamW)
    structure = Structure(usual, trial.seed)
    own = structure.entrywise or structure.apart
    trial.require("entrywise, blockwise, or a known rule", own or usual.is_common)
    trial.require(DRAWS, not structure.stochastic)
    three = field(trial.seed, (2, 2), *PAIR)
    resting = three.at_rest(torch.arange(three.ndim) < 4)
    alone = usual.follow(resting.part(slice(4, None), *PAIR))
    beside = usual.follow(resting)[:, 4:]
    trial.same("beside a tensor at rest = without it", beside, alone)
    empty = usual.tried(field(trial.seed).shaped((0, 2), *PAIR))
    if empty is not None:
        trial.same("beside an empty tensor = without it", empty, usual.follow(field(trial.seed)))
    trial.require("entrywise or blockwise", structure.entrywise or structure.apart)
    cases, pair = laws.situations(usual, trial.seed), field(trial.seed)
    for shapes in ((PAIR[0], (8,)), ((6,), PAIR[1])):
        if usual.accepts(pair.shaped(*shapes)):
            cases.append(
                laws.Situation(f", {shapes[0]} and {shapes[1]}", usual, pair.shaped(*shapes))
            )
    for title, optimizer, pair in cases:
        apart = [optimizer.follow(pair.alone(k)) for k in (0, 1)]
        trial.same(f"two tensors together = apart{title}", optimizer.follow(pair),
                   torch.cat(apart, 1))  # fmt: skip
        mixed = optimizer.tried(pair, dtype=(torch.float64, torch.float32))
        if mixed is not None:
            trial.same(f"beside float32 = alone{title}", mixed[:, :6], apart[0])


@claim(
    "laws/cut",
    source="derived; for the norm of all gradients Foret et al. 2021, (2)",
    statement="A tensor cut in two moves as the whole.",
    hypotheses=(
        "entrywise, or a norm of all gradients: measured; of SAM, the ascent",
        "no radius of each tensor's own, with options of its own: another rule",
        "it draws nothing at random",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-norm-by-tensor", "class-norms-added", "class-shared-count"),
)
def test_cut(trial: Trial) -> None:
    """A (4, 2) matrix, and its halves. What takes a second gradient is judged by where it does.

    A radius of each tensor's own is SAM layer by layer to whoever has options that say so; in a
    class with those of SAM alone it is the norm that was taken of the wrong thing.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    structure = Structure(optimizer, trial.seed)
    whole = field(trial.seed, (4, 2))
    cut = whole.shaped((2, 2), (2, 2))
    ascends = structure.ascends and optimizer.takes("rho")
    trial.require("entrywise, or with a norm of all gradients", structure.uncut or ascends)
    trial.require(DRAWS, not structure.stochastic)
    by_tensor = ascends and structure.apart and not structure.entrywise
    trial.require("a radius of all tensors (its own options say that it is another rule's)",
                  structure.uncut or optimizer.is_common or not by_tensor)  # fmt: skip
    if ascends:
        points = [flat(optimizer.train(problem).go(1).points[-1]) for problem in (whole, cut)]
        which = f" [{OF_ALL}]" if by_tensor else ""
        trial.same(f"where the second gradient is taken{which}", points[1], points[0])
    if structure.uncut:
        trial.same("cut in two = whole", optimizer.follow(cut), optimizer.follow(whole))


@claim(
    "laws/groups",
    source="contract of torch.optim: per-parameter options",
    statement="Two groups with options of their own move as with two optimizers.",
    hypotheses=("it takes parameter groups", "gradients do not depend on w"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-first-group",
        "class-rate-of-first",
        "class-norm-by-group",
        "class-estimate-by-group",
        "class-normalised-rate-of-first",
    ),
)
def test_groups(trial: Trial) -> None:
    """Each option that a group has, in the second group at another value; then two equal groups.

    Gradients are given, so that a norm of all of them does not mix the groups of SAM; the equal
    groups move on a curved problem, where it would. What else depends on all tensors mixes them.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    pair = field(trial.seed)
    halves = [([0], {}), ([1], {})]
    trial.require("it takes parameter groups", optimizer.accepts(pair, halves))
    whole = optimizer.follow(pair)
    for pace, own in laws.paces(optimizer, pair).items():
        equal = own.follow(pair, halves)
        trial.same(f"two equal groups = one{pace}", equal, own.follow(pair))
    iterator = optimizer.tried(pair, iterator=True)
    if iterator is not None:
        trial.same("an iterator of tensors = a list", iterator, whole)
    structure = Structure(optimizer, trial.seed)
    if not (structure.entrywise or structure.apart or structure.ascends):
        rests(trial, optimizer, pair)
        return
    straight, size = pair.straight(), 6
    inside = optimizer.train(pair).groups[0] if optimizer.train(pair).groups else {}
    for option, values in laws.variants(optimizer).items():
        if option.name not in inside:
            continue
        for value in values:
            base = optimizer.having(**option.context)
            other = base.having(**{option.name: value})
            if not (base.accepts(straight) and other.accepts(straight)):
                continue
            split = [([0], {}), ([1], {option.name: value})]
            if not base.accepts(straight, split):
                continue
            found = base.follow(straight, split)
            expected = torch.cat(
                [base.follow(straight)[:, :size], other.follow(straight)[:, size:]], 1
            )
            if expected.isfinite().all():  # else the value is none for it
                trial.same(f"{option.name} = {value} in the second group", found, expected)


def rests(trial: Trial, optimizer: Implementation, pair: Field) -> None:
    """Of what depends on all tensors: a second group whose lr is 0 stays, if all do at lr = 0."""
    still = optimizer.having(lr=0.0).tried(pair) if optimizer.takes("lr") else None
    found = optimizer.tried(pair, [([0], {}), ([1], {"lr": 0.0})])
    if found is not None and still is not None and not still.diff(dim=0).any():
        second = found[:, pair.alone(0).ndim :].diff(dim=0)
        trial.close("lr = 0 in the second group: its way", second.abs().max(), 0, 0, "it stays")


@claim(
    "laws/late-gradient",
    source="contract of torch.optim: parameters without a gradient are skipped",
    statement="A parameter whose gradient is None stays where it is, and starts afresh when it has "
    "one; SAM takes its perturbation back even without a second gradient.",
    hypotheses=(
        "it draws nothing at random, nor instead of a gradient (MeZO)",
        "its start: entrywise and blockwise rules, that are no average from the run's",
        "or, with a pace of the optimizer's own count of steps, as beside any other tensor",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-group-count", "class-decays-frozen", "class-perturbation-left"),
)
def test_late_gradient(trial: Trial) -> None:
    """One of two tensors has no gradient for four steps; then none in SAM's second phase.

    torch promises no more than that it is skipped: a warm-up goes on meanwhile. A correction of
    the bias must not, which is no pace: with one gradient all its steps are of one length.
    """
    usual = trial.implementation(torch.optim.AdamW)
    structure = Structure(usual, trial.seed)
    trial.require(DRAWS, not structure.stochastic)
    for title, optimizer, pair in laws.situations(usual, trial.seed):
        for k in (1, 0):
            comes_late(trial, structure, optimizer, pair, k, f"{title}, tensor {k}")
    pair = field(trial.seed)
    if usual.train(pair).two_phase:
        lost = usual.train(pair, again=lambda t: (1,)).go(1).path
        trial.same("without a second gradient", lost[1, 6:], lost[0, 6:])


def comes_late(
    trial: Trial, structure: Structure, optimizer: Implementation, pair: Field, k: int, title: str
) -> None:
    """Tensor k has no gradient for four steps, nor at step 8, where it stays too."""
    late, gap = 4, 8
    absent = {"absent": lambda t: (k,) if t < late or t == gap else ()}
    training = optimizer.train(pair, **absent)
    path = training.go(pair.steps).path
    own, other = (slice(0, 6), slice(6, None)) if k == 0 else (slice(6, None), slice(0, 6))
    still = path[: late + 1, own]
    trial.close(f"while it has no gradient{title}", still, still[:1].expand_as(still), 0.0, "exact",
                along=STEP)  # fmt: skip
    trial.close(f"nor later{title}", path[gap + 1, own], path[gap, own], 0.0, "exact",
                along=STEP[1:])  # fmt: skip
    if not (structure.entrywise or structure.apart):
        return
    if not training.has_modes:
        taken, alone = [t for t in range(late, pair.steps) if t != gap], pair.alone(k)
        fresh = optimizer.follow(replace(alone, c=alone.c[taken]))
        seen = [late, *(t + 1 for t in taken)]
        found, how = path[seen, own], "afresh"
        if not laws.near(found, fresh) and structure.paced:
            fresh = optimizer.follow(beside_another(pair, k), **absent)[seen, own]
            how = "beside another"
            trial.at_least(
                f"a step{title}", found.diff(dim=0).abs().max(), laws.LOST, 0, "it moves"
            )
        trial.same(f"from its first gradient on = {how}{title}", found, fresh)
    alone = optimizer.follow(pair.alone(1 - k))
    trial.same(f"beside it = without it{title}", path[:, other], alone)


@claim(
    "laws/shapes",
    source="derived: the entries are what is trained",
    statement="The same entries in another shape, or in another order in memory, move the same: "
    "for entrywise rules and norms of all; for Muon's kin a kernel is the matrix (out, rest).",
    hypotheses=("the shape is one that the class takes", "it draws nothing at random"),
    kind="law",
    roles=("optimizer",),
    rivals=("class-kernel-scale", "class-kernel-slices", "class-reshapes"),
)
def test_shapes(trial: Trial) -> None:
    """(8, 2) as (16,), (8, 2, 1, 1), sixteen scalars; transposed in memory; a gradient expanded.

    What orthogonalises in less than float64 is asked for the first step within that rounding.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    structure = Structure(optimizer, trial.seed)
    trial.require(DRAWS, not structure.stochastic)
    matrix = field(trial.seed, (8, 2))
    expected = optimizer.follow(matrix)
    shapes: list[tuple[tuple[int, ...], ...]] = []
    if structure.uncut:
        shapes = [((16,),), ((8, 2, 1, 1),), ((),) * 16]
    elif structure.orthogonalises and optimizer.is_common:
        shapes = [((8, 2, 1, 1),)]
    for shape in shapes:
        problem = matrix.shaped(*shape)
        if optimizer.accepts(problem):
            trial.same(f"as {len(shape)} of shape {shape[0]}", optimizer.follow(problem), expected)
    kernels = [matrix.shaped((4, 2, *sides)) for sides in ((2, 1), (1, 2))]
    if all(map(optimizer.accepts, kernels)):
        tall, wide = map(optimizer.follow, kernels)
        trial.same("the sides of a kernel exchanged", tall, wide)
    turned = optimizer.follow(matrix, layout=lambda x: x.t().contiguous().t())
    if structure.coarsens:  # sums in another order are rounded otherwise
        trial.identity("transposed in memory: first step", turned.diff(dim=0)[:1],
                       expected.diff(dim=0)[:1], BFLOAT16, WITHIN, along=STEP)  # fmt: skip
    else:
        trial.same("transposed in memory", turned, expected)
    even = matrix.even()
    found = optimizer.follow(even, expanded=True)
    trial.same("with an expanded gradient", found, optimizer.follow(even))


@claim(
    "laws/symmetry",
    source="derived; signgd_adam, Sec. 2 for which norms",
    statement="Mirrored coordinates move mirrored; permuted ones permuted.",
    hypotheses=(
        "permutations of all entries: not of rules that see a matrix",
        "mirrored: weights may be on either side of 0",
        "it draws nothing at random",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-index",),
)
def test_symmetry(trial: Trial) -> None:
    """Rows change their sign, and their places: every norm of a matrix allows it.

    All entries change places, for entrywise rules and norms of all.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    structure = Structure(optimizer, trial.seed)
    trial.require(DRAWS, not structure.stochastic)
    whole = field(trial.seed, (4, 2))
    path = optimizer.follow(whole)
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0]).double().repeat_interleave(2)
    if not structure.one_sided:  # as the orthant is
        mirrored = optimizer.follow(whole.flipped(signs))
        trial.same("mirrored", mirrored * signs, path)
    rows = torch.tensor([6, 7, 2, 3, 0, 1, 4, 5])
    moved = optimizer.follow(whole.part(rows, (4, 2)), steps=1).diff(dim=0)
    trial.identity("rows permuted: first step", moved, path.diff(dim=0)[:1, rows], BFLOAT16,
                   WITHIN, along=STEP)  # fmt: skip
    if structure.uncut:
        order = torch.tensor([3, 0, 7, 1, 2, 6, 5, 4])
        moved = optimizer.follow(whole.part(order, (4, 2)))
        trial.same("permuted", moved, path[:, order])


@claim(
    "laws/scale",
    source="derived; for Adam Kingma and Ba 2015, Sec. 2.1",
    statement="Where a loss of s times the size makes steps of s^d times the size, d is 0 or 1.",
    hypotheses=("it has such a degree: no epsilon, no radius of its own",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-root-lost", "class-soft-sign"),
)
def test_scale(trial: Trial) -> None:
    """All entries at all steps agree about d, from s = 16; an epsilon is made as good as none.

    d = 0: Adam, signs, norms, matrices; d = 1: descent and momentum. An epsilon of 1e-8 moves d by
    less than 1e-8.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    structure = Structure(optimizer.having(**optimizer.plain), trial.seed)
    degree = structure.degree
    if degree is None and optimizer.is_common and not optimizer.takes("eps"):
        trial.require("entrywise, with a degree or far from one",
                      structure.entrywise and structure.degrees.std() > FAR)  # fmt: skip
        nearest = structure.degrees.mean().round().clamp(0, 1)
        trial.identity(
            "degree, without an eps", structure.degrees, nearest, FAR, "an eps of its own"
        )
        return
    trial.require("steps that are a power of the loss", degree is not None)
    assert degree is not None
    nearest = min(max(round(degree), 0), 1)
    known = abs(degree - nearest) <= laws.DEGREE or optimizer.is_common
    trial.require(f"a degree of 0 or 1 (another rule's is {degree:.3g})", known)
    trial.close("degree", degree, nearest, laws.DEGREE, "an epsilon of 1e-8 beside gradients of 1")
