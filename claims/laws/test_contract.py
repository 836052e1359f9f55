"""What torch's contract leaves to a class: how it is handed parameters, what a step leaves behind,
tensors and counts that are large."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from limitpoint import SubjectFailed, Trial, claim, laws
from limitpoint.laws import DRAWS, STEPS, Field, Implementation, Structure, Training, field
from limitpoint.laws.contract import (
    counts,
    does,
    kept_an_entry,
    of_rank_one,
    singly,
    tensors_in,
    tiled,
)
from limitpoint.subjects import parameters_of

HALF, FEW = 5, 3
GROUPS = (([0], {}), ([1], {}))
#: A thousand times as many terms in each sum.
MANY = 1e-7
#: What is tiled, and how often along each side.
TILED = {((5,), 2): 1000, ((2, 3), 2): 20}
#: Of the step size.
SHORT = 2.0**-10
#: A share by which what is kept an entry is more, and no rounding.
MORE = 1.01
CODES = (torch.uint8, torch.int8)
#: The first whole numbers after which these have not every one.
ENDS = {torch.bfloat16: 2**8, torch.float16: 2**11}


@claim(
    "laws/handed-over",
    source="contract of torch.optim: params, add_param_group",
    statement="However parameters are handed over, the steps are those of a list: by an iterator, "
    "as groups of one tensor each, beside a group without gradients, as a scalar; and a group that "
    "is added is stepped.",
    hypotheses=("it takes parameters, not names or modules", "groups, scalars: it has any"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-reads-twice", "class-tensor-by-rows", "class-empty-group", "class-scalar-by-rows",
        "class-groups-of-constructor",
    ),
)  # fmt: skip
def test_handed_over(trial: Trial) -> None:
    """In each way that torch's own classes take; what raises at a step has not refused it.

    A scalar is a vector of one entry to rules of entries; to others it is a number that moves.
    """
    usual = trial.implementation(torch.optim.AdamW)
    trial.require("it takes parameters, not names or modules", usual.form == "")
    structure, pair = Structure(usual, trial.seed), field(trial.seed)
    trial.require(DRAWS, not structure.draws)
    path = usual.follow(pair)
    found = does("an iterator", lambda: usual.follow(pair, iterator=True))
    trial.same("an iterator = a list", found, path)
    if usual.accepts(pair, GROUPS):
        in_groups(trial, usual, pair)
    vector, scalar = (pair.part(slice(0, 1), shape) for shape in ((1,), ()))
    if usual.accepts(vector) and usual.accepts(scalar, steps=0):
        found = does("a scalar", lambda: usual.follow(scalar))
        trial.close("a scalar: entries lost", (~found.isfinite()).sum(), 0, 0, "a count")
        if structure.entrywise:
            trial.same("a scalar = a vector of one", found, usual.follow(vector))


def in_groups(trial: Trial, usual: Implementation, pair: Field) -> None:
    """Tensors in no list, then a group without gradients, then one that joins after five steps."""
    if isinstance(usual.train(pair).optimizer, Optimizer):  # whoever is none has its own groups
        found = does("a tensor that is in no list", lambda: singly(usual).follow(pair, GROUPS))
        trial.same("groups of one tensor that is in no list", found, usual.follow(pair, GROUPS))
    expected = usual.tried(pair, absent=lambda t: (1,))
    if expected is not None:
        found = does(
            "a group without gradients", lambda: usual.follow(pair, GROUPS, absent=lambda t: (1,))
        )
        trial.same("a group without gradients = tensors without", found, expected)
    training = usual.train(pair, GROUPS[:1], absent=lambda t: (1,) if t < HALF else ())
    joins = hasattr(training.optimizer, "add_param_group") and not training.has_modes
    # A class may want some steps before its first.
    if joins and second(pair, usual.follow(pair, steps=pair.steps - HALF)) > laws.LOST:
        found = does("a group that is added", lambda: training.go(pair.steps, join).path)
        trial.at_least("a group that is added: largest step", second(pair, found), laws.LOST, 0.0,
                       "it moves")  # fmt: skip


def second(pair: Field, path: Tensor) -> float:
    """The largest step of the second tensor."""
    return float(path[:, pair.alone(0).ndim :].diff(dim=0).abs().max())


def join(training: Training) -> None:
    """The second tensor becomes a group of its own."""
    if training.t == HALF:
        training.optimizer.add_param_group({"params": training.parameters[1:]})


@claim(
    "laws/traces",
    source="contract of torch.optim: zero_grad, steps in place",
    statement="A step leaves nothing behind but what it is for: parameters stay in their memory, "
    "gradients with a graph leave no graph in the state, zero_grad() leaves no gradient in any "
    "group, and zeros where it is asked for them, and zero_grad=True of a second step takes the "
    "step that it takes without.",
    hypotheses=("memory: it takes one gradient a step", "graphs: it is not differentiable"),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-moves-house", "class-keeps-graph", "class-zeroes-first-group",
        "class-sam-zeroes-early", "class-zero-grad-drops",
    ),
)  # fmt: skip
def test_traces(trial: Trial) -> None:
    """Memory by its address, graphs by `grad_fn`, gradients by their entries that are not 0."""
    usual = trial.implementation(torch.optim.AdamW)
    pair = field(trial.seed)
    training = usual.train(pair, GROUPS if usual.accepts(pair, GROUPS) else None)
    before = [p.data_ptr() for p in training.parameters]
    path = training.go(FEW).path
    if not Structure(usual, trial.seed).ascends:  # the most used SAM comes back to another tensor
        after = [p.data_ptr() for p in training.parameters]
        moved = sum(a != b for a, b in zip(after, before, strict=True))
        trial.close("parameters in other memory than before", moved, 0, 0, "a count")
    if hasattr(training.optimizer, "zero_grad"):
        training.call(training.optimizer.zero_grad)
        left = sum(int((p.grad != 0).sum()) for p in training.parameters if p.grad is not None)
        trial.close("after zero_grad(): entries of gradients left", left, 0, 0, "a count")
        zeroing = training.optimizer.zero_grad
        plain = not (training.in_backward or training.graphed)
        if plain and "set_to_none" in parameters_of(zeroing):
            training.backward()
            training.call(lambda: zeroing(set_to_none=False))
            gone = sum(p.grad is None for p in training.parameters)
            trial.close("zero_grad(set_to_none=False): gradients gone", gone, 0, 0, "a count")
    if training.two_phase and "zero_grad" in parameters_of(training.optimizer.second_step):
        zeroing = usual.train(pair, GROUPS if usual.accepts(pair, GROUPS) else None)
        second = zeroing.optimizer.second_step
        zeroing.optimizer.second_step = lambda zero_grad: second(zero_grad=True)
        trial.same("second_step(zero_grad=True) = False", zeroing.go(FEW).path, path)
    if not usual.defaults.get("differentiable"):
        optimizer = usual.train(pair, graphed=True).go(FEW).optimizer
        state = tensors_in(getattr(optimizer, "state", {}))
        kept = sum(x.grad_fn is not None for x in state)
        trial.close("tensors in the state that have a graph", kept, 0, 0, "a count")


@claim(
    "laws/large",
    source="derived: an average of copies is the one's",
    statement="Where steps do not see that a tensor is tiled by two, they do not by a thousand, or "
    "by 20 x 20; and a count of steps goes on where bfloat16 and float16 have not every whole "
    "number.",
    hypotheses=(
        "tiling by two is not seen",
        "tiled, it keeps no more an entry, as it would a matrix of all entries",
        "counts: it keeps one, in a tensor",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-blocks-left-out", "class-wide-rows-added", "class-counts-in-half"),
)
def test_large(trial: Trial) -> None:
    """A vector of 5 and a matrix of 2 x 3, whose gradients have squares of rank one.

    So squares by rows and columns are those of entries, and a class may factor large tensors alone.
    Steps are short, so that the norm of a large tensor's weights, which is larger than that of a
    few, does not get to where one may be held. Not judged is what keeps codes of 8 bits, for large
    tensors alone as a rule.
    """
    usual = trial.implementation(torch.optim.AdamW)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    if usual.takes("lr") and usual.defaults["lr"] is not None:
        usual = usual.having(lr=SHORT * usual.step_size)
    grows = False
    for (shape, few), many in TILED.items():
        small = of_rank_one(field(trial.seed, shape))
        path, twice = (usual.tried(tiled(small, times)[0]) for times in (1, few))
        if path is None or twice is None or not laws.near(twice, path[:, tiled(small, few)[1]]):
            continue
        kept = [kept_an_entry(usual.train(tiled(small, n)[0]).go(FEW)) for n in (1, few)]
        if kept[1] > MORE * kept[0]:  # a square of 5000 entries is a matter of minutes
            grows = True
            continue
        large, index = tiled(small, many)
        training = usual.train(large)
        title = " x ".join(map(str, large.shapes[0]))
        found = does(f"a tensor of {title}", lambda on=training: on.go(STEPS).path)
        if not any(x.dtype in CODES for x in training.kept().values()):
            trial.identity(f"a tensor of {title} = one of {' x '.join(map(str, shape))}, tiled",
                           found, path[:, index], MANY, "a thousand times as many terms in a sum",
                           along=("step", "entry"))  # fmt: skip
    for dtype, end in ENDS.items():
        if usual.accepts(field(trial.seed), dtype=dtype, steps=4):
            counted(trial, usual, dtype, end)
    trial.require("tiled, it keeps no more an entry", bool(trial.evidence) or not grows)
    trial.require("tiling by two is not seen", bool(trial.evidence))


def counted(trial: Trial, usual: Implementation, dtype: torch.dtype, end: int) -> None:
    """Set what was 2 after two steps and 3 after three to the end, and take another step."""
    training = usual.train(field(trial.seed), dtype=dtype).go(2)
    twos, threes = counts(training, 2), counts(training.go(1), 3)
    kept = [key for key in threes if key in twos]
    for key in kept:
        threes[key].fill_(end)
    try:
        training.go(1)
    except SubjectFailed:  # the rest of its state is not of so many steps
        return
    after = training.kept()
    for key in kept[:1]:
        trial.at_least(f"{str(dtype)[6:]}: a count of {end} steps, after another: change",
                       int(after[key]) - end, 1, 0, "a count")  # fmt: skip
