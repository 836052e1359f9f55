"""What training scripts do every day, one thing at a time."""

from collections.abc import Sequence

import torch
from torch import nn

from limitpoint import Trial, claim, laws
from limitpoint.laws import DRAWS, STEP, Structure, Training, field
from limitpoint.laws.contract import Strided, does, kept_an_entry
from limitpoint.rivals.classes.sam import SAM

#: A dozen steps in float32, whose rounding they may magnify; Newton and Schulz's are in bfloat16.
STACKED, COARSE = 1e-4, 0.05
#: Steps after which a tensor is thawed.
FROZEN = 3
#: Of the way of other entries: a memory that starts at 1e-6 (Yogi) moves an entry at rest by 5e-4.
AT_REST = 0.01
#: An option that says that gradients of some steps before are kept (L-BFGS).
WINDOW = "history_size"


@claim(
    "laws/mixed",
    source="contract of torch.optim: a group is any tensors, of any dtype and layout",
    statement="Tensors of two dtypes and one shape in one list are stepped as each alone; a "
    "gradient whose memory is ordered otherwise than its tensor's is the same gradient; a group "
    "without tensors takes nothing from the others.",
    hypotheses=(
        "dtypes: entrywise or blockwise rules",
        "a group without tensors: its constructor takes one",
        DRAWS,
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-zips-by-dtype", "class-gradient-by-memory", "class-first-of-group"),
)
def test_mixed(trial: Trial) -> None:
    """A float32 tensor between two of float64, each with gradients of its own."""
    usual = trial.implementation(torch.optim.AdamW)
    structure, pair = Structure(usual, trial.seed), field(trial.seed)
    trial.require(DRAWS, not structure.draws)
    path = usual.follow(pair)
    found = does("a gradient of other strides", lambda: usual.follow(Strided(**vars(pair))))
    trial.identity("a gradient of other strides = of its tensor's", found, path,
                   COARSE if structure.orthogonalises else STACKED,
                   "sums in another order, in float32", along=STEP)  # fmt: skip
    empty = [([0, 1], {}), ([], {})]
    if usual.accepts(pair, empty, steps=0):
        found = does("a group without tensors", lambda: usual.follow(pair, empty))
        trial.same("beside a group without tensors = without it", found, path)
    dtypes = (torch.float64, torch.float32, torch.float64)
    trio = field(trial.seed, *[(2, 3)] * len(dtypes))
    apart = usual.form == "" and (structure.apart or structure.entrywise)
    together = usual.tried(trio, dtype=dtypes) if apart else None
    for k, dtype in enumerate(dtypes):
        alone = usual.tried(trio.alone(k), dtype=dtype)
        if together is not None and alone is not None:
            title = f"{str(dtype)[6:]}, tensor {k} of three of two dtypes = alone"
            trial.identity(title, together[:, 6 * k : 6 * k + 6], alone, STACKED,
                           "a stack of both is float32", along=STEP)  # fmt: skip


@claim(
    "laws/thaw",
    source="derived: requires_grad is read at each step",
    statement="A tensor that is frozen when the optimizer is made, and thawed after some steps, is "
    "stepped from then on as one whose gradient came late.",
    hypotheses=(
        "its constructor takes a frozen tensor",
        "a tensor may have no gradient, and stays then",
        DRAWS,
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-trainable-once",),
)
def test_thaw(trial: Trial) -> None:
    """The second of two tensors, thawed after three of twelve steps."""
    usual = trial.implementation(torch.optim.AdamW)
    pair = field(trial.seed)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    late = usual.tried(pair, absent=lambda t: (1,) if t < FROZEN else ())
    trial.require("a tensor may have no gradient", late is not None)
    assert late is not None
    waits = late[: FROZEN + 1, pair.alone(0).ndim :]
    trial.require("a tensor without a gradient stays", laws.near(waits, waits[:1].expand_as(waits)))
    frozen = {"held": freeze_second}
    trial.require("its constructor takes a frozen tensor", usual.accepts(pair, **frozen))
    found = does("a tensor that is thawed",
                 lambda: usual.train(pair, **frozen).go(pair.steps, thaw_second).path)  # fmt: skip
    trial.same("thawed = without a gradient until then", found, late)


def freeze_second(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """As for fine-tuning's first epochs."""
    parameters[1].requires_grad_(False)
    return list(parameters)


def thaw_second(training: Training) -> None:
    """After the first few steps."""
    training.parameters[1].requires_grad_(training.t >= FROZEN)


@claim(
    "laws/still",
    source="derived: sign(0) = 0; Foret et al. 2021, Alg. 1",
    statement="An entry that is zero and whose gradient is zero from the start stays; after SAM's "
    "step of length zero the weights are back to the bit, in half precision too.",
    hypotheses=(
        "entries: an entrywise rule",
        "back: it takes a second gradient, at a radius rho, and lr = 0",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-sign-of-zero", "class-climbs-down"),
)
def test_still(trial: Trial) -> None:
    """Every other entry; by a hundredth of what the others move, for a memory that starts above 0.

    Weights of a hundredth, beside which a radius of .05 is large: what is lost in adding it is far
    above an ulp of theirs.
    """
    usual = trial.implementation(SAM)
    pair, structure = field(trial.seed), Structure(usual, trial.seed)
    rests = torch.arange(pair.ndim) % 2 == 0
    if structure.entrywise and not structure.draws:
        resting = pair.moved(pair.start * ~rests).at_rest(rests)
        way = usual.having(**usual.plain).follow(resting).diff(dim=0).abs()
        if way.max() > laws.LOST:
            trial.at_most("at rest: the longest step over others'", way[:, rests].max() / way.max(),
                          AT_REST, 0.0, "a memory that starts at 1e-6")  # fmt: skip
    small, still = pair.moved(pair.start / 100), usual.having(lr=0.0, **usual.plain)
    climbs = structure.ascends and usual.takes("lr", "rho")
    for dtype in (torch.float64, torch.bfloat16) if climbs else ():
        path = still.tried(small, dtype=dtype, steps=2)
        if path is not None:
            title = f"{str(dtype)[6:]}, lr = 0: after a step of SAM, and before"
            trial.close(title, path[1:], path[:1].expand_as(path[1:]), 0.0, "exact", along=STEP)
    trial.require("an entrywise rule, or SAM that takes lr = 0", bool(trial.evidence))


@claim(
    "laws/edges",
    source="contract of torch.optim: what a constructor takes can be stepped with",
    statement="At the edge of an option's range, a beta or a momentum of zero that the constructor "
    "takes, iterates are numbers; and an lr that is an int is that float.",
    hypotheses=("it has betas, a momentum, or an lr", DRAWS),
    kind="law",
    roles=("optimizer",),
    rivals=("class-log-of-beta", "class-integer-rate"),
)
def test_edges(trial: Trial) -> None:
    """Each alone, on gradients that fall, so that a step of one leaves no numbers behind."""
    usual = trial.implementation(torch.optim.AdamW)
    problem = field(trial.seed).fading()
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    betas = usual.defaults.get("betas")
    edges: list[tuple[str, object]] = [("momentum", 0.0), ("beta1", 0.0)]
    if isinstance(betas, tuple | list):
        edges += [("betas", tuple(0.0 if j == k else b for j, b in enumerate(betas)))
                  for k in range(len(betas))]  # fmt: skip
    for name, edge in edges:
        one = usual.having(**{name: edge})
        if isinstance(usual.defaults.get(name), type(edge)) and one.accepts(problem, steps=0):
            path = does(f"{name} = {edge}", lambda on=one: on.follow(problem))
            trial.close(f"{name} = {edge}: entries lost", (~path.isfinite()).sum(), 0, 0, "a count")
    whole, exact = (usual.having(lr=lr).tried(problem) for lr in (1, 1.0))
    if usual.takes("lr") and whole is not None and exact is not None:
        trial.same("lr = 1 = 1.0", whole, exact)
    trial.require("it has betas, a momentum, or an lr", bool(trial.evidence))


@claim(
    "laws/growth",
    source="derived: memory does not grow with the number of steps",
    statement="What is kept after three dozen steps is as large as after one dozen.",
    hypotheses=(f"it has no option {WINDOW}, which says how much is kept",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-keeps-every-step",),
)
def test_growth(trial: Trial) -> None:
    """Numbers in the state and in the attributes, at whatever depth."""
    usual = trial.implementation(torch.optim.AdamW)
    trial.require(f"it has no option {WINDOW}", not usual.takes(WINDOW))
    problem = field(trial.seed, steps=3 * laws.STEPS)
    training = usual.train(problem).go(laws.STEPS)
    early, late = kept_an_entry(training), kept_an_entry(training.go(2 * laws.STEPS))
    trial.close("numbers more after 36 steps than after 12, an entry", max(0.0, late - early), 0.0,
                0.0, "a count")  # fmt: skip
