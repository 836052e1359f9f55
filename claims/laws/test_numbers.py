"""Numbers at their edges: zeros, half precision, infinities; complex and sparse ones."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from limitpoint import NotApplicable, SubjectFailed, Trial, claim, laws
from limitpoint.laws import Field, Implementation, Structure, Training, field
from limitpoint.laws.contract import IN_COMPLEX, in_rows, seeing

FULL = (torch.float64, torch.float32, torch.bfloat16)
FLOAT32 = 4 * torch.finfo(torch.float32).eps
PATHS = ("foreach", "fused", "capturable", "differentiable")


@claim(
    "laws/zero-gradient",
    source="derived: 0 is a gradient",
    statement="Where gradients are zero the iterates are numbers, in float64, float32 and "
    "bfloat16, and so they are afterwards.",
    hypotheses=(
        "the dtype is one that the class takes",
        "a step from zeros: it does not multiply the weights, entry by entry",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-zero-norm", "class-no-epsilon", "class-stays-at-zero"),
)
def test_zero_gradient(trial: Trial) -> None:
    """Zero everywhere, in one of two tensors, in some entries of each; then as large as any.

    Without decay, and from a start of zeros too, where a norm of weights is none.
    """
    usual = trial.implementation(torch.optim.AdamW)
    for dtype in FULL:
        stays_finite(trial, usual, dtype)
    for title, optimizer, pair in laws.situations(usual.having(**usual.plain), trial.seed):
        stays_finite(trial, optimizer, torch.float64, title)
        path = optimizer.follow(pair.moved(0 * pair.start))
        lost = (~torch.isfinite(path)).sum()
        trial.close(f"from a start of zeros: entries lost{title}", lost, 0, 0, "a count")
        moved = min(float(part.diff(dim=0).abs().max()) for part in (path[:, :6], path[:, 6:]))
        if moved >= laws.LOST or not multiplies(optimizer, trial.seed):
            trial.at_least(f"from a start of zeros: a step{title}", moved, laws.LOST, 0, "it moves")


def multiplies(optimizer: Implementation, seed: int) -> bool:
    """Whether each step is a share of its own entry (Madam): 0 is a fixed point by definition.

    A share of a tensor's norm is none of an entry: LARS' authors leave it out at a norm of 0.
    """
    structure = Structure(optimizer, seed)
    growth = structure.growth if structure.entrywise else None
    return growth is not None and abs(growth - 1) <= laws.DEGREE


@claim(
    "laws/zero-gradient-half",
    source="derived: 1e-8 is 0 in float16",
    statement="Where gradients are zero the iterates are numbers in float16 too.",
    hypotheses=("the class takes float16",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-half-epsilon",),
)
def test_zero_gradient_half(trial: Trial) -> None:
    """As in the full dtypes. The smallest float16 is 6e-8: an epsilon of 1e-8 is 0 there.

    torch's own Adam, and others whose epsilon is added in the parameter's dtype, are refuted.
    """
    optimizer = trial.implementation(torch.optim.SGD, momentum=0.9)
    whole = field(trial.seed)
    trial.require("the class takes float16", optimizer.accepts(whole, dtype=torch.float16))
    stays_finite(trial, optimizer, torch.float16)


def stays_finite(
    trial: Trial, optimizer: Implementation, dtype: torch.dtype, configured: str = ""
) -> None:
    """Count the entries that are no numbers, over three steps of zeros and three of others."""
    pair = field(trial.seed)
    if not optimizer.accepts(pair, dtype=dtype):
        return
    entries = torch.arange(pair.ndim)
    cases = {"all": entries >= 0, "of one tensor": entries < 6, "some": entries % 2 == 0}
    for title, rests in list(cases.items())[: 1 if configured else None]:
        training = optimizer.train(pair.at_rest(rests), dtype=dtype).go(3)
        training.problem = pair
        lost = (~torch.isfinite(training.go(3).path)).sum()
        trial.close(f"{str(dtype)[6:]}, {title} zero: entries lost{configured}", lost, 0, 0,
                    "a count")  # fmt: skip


@claim(
    "laws/precision",
    source="derived",
    statement="In float32 and bfloat16 the state follows that of float64 within the rounding of "
    "its dtype.",
    hypotheses=(
        "it keeps tensors of the parameter's shape",
        "the dtype is one that it takes",
        "rounding of the parameters alone does not move them by more",
        "their entries change places as the parameters' do",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-normalises-buffer",),
)
def test_precision(trial: Trial) -> None:
    """Gradients are given, and are numbers of the dtype, so that the states see the same ones.

    Two roundings a step of what is added up with decaying weights: 2 T u of the largest entry, u
    half an ulp of 1. The iterates would not do: a sign's flip is a whole step. A state that is fed
    by small differences of parameters, as an estimate of the way that was made, is left out, and
    so is one in other coordinates: eigenvectors of a matrix that lacks in rank, their order and
    their signs, are decided by rounding.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    compared = False
    for dtype in FULL[1:]:
        problem = field(trial.seed).rounded(dtype)
        if not optimizer.accepts(problem, dtype=dtype):
            continue
        steps = problem.steps
        low, high = (
            optimizer.train(problem, dtype=d).go(steps).state() for d in (dtype, torch.float64)
        )
        rounds = partial(round_parameters, dtype)
        fed = optimizer.train(problem, dtype=torch.float64).go(steps, rounds).state()
        turned = optimizer.train(reversed_entries(problem), dtype=torch.float64).go(steps).state()
        tolerance = 2 * steps * torch.finfo(dtype).eps / 2
        for name in sorted(high.keys() & low.keys()):
            if high[name].abs().max() < laws.LOST:  # a difference of what is equal
                continue
            if not laws.near(fed[name], high[name], tolerance):
                continue
            if not laws.near(turned[name].flip(0), high[name], tolerance):
                continue
            compared = True
            trial.identity(f"{str(dtype)[6:]}: state {name}", low[name], high[name], tolerance,
                           "two roundings a step", along=("entry",))  # fmt: skip
    trial.require("it keeps tensors of the parameter's shape", compared)


def reversed_entries(problem: Field) -> Field:
    """Two tensors whose entries are in reverse order: rows and columns change places."""
    size = problem.alone(0).ndim
    order = torch.cat([torch.arange(size).flip(0), torch.arange(size, problem.ndim).flip(0)])
    return problem.part(order, *problem.shapes)


def round_parameters(dtype: torch.dtype, training: Training) -> None:
    """To the numbers of a dtype, in float64."""
    for p in training.parameters:
        p.data.copy_(p.data.to(dtype))


@claim(
    "laws/not-finite",
    source="derived",
    statement="A gradient that is not finite spoils no other tensor.",
    hypotheses=("entrywise and blockwise rules", "it raises no error"),
    kind="law",
    roles=("optimizer",),
    rivals=("class-poisons",),
)
def test_not_finite(trial: Trial) -> None:
    """inf, then nan, in one of two tensors at step 3; the other goes on.

    What becomes of the first is reported: its step is left out, or its state is poisoned.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    structure = Structure(optimizer, trial.seed)
    trial.require("entrywise or blockwise", structure.entrywise or structure.apart)
    pair = field(trial.seed)
    for value in (float("inf"), float("nan")):
        c = pair.c.clone()
        c[3, 0] = value
        try:
            path = optimizer.follow(replace(pair, c=c))
        except SubjectFailed as exc:
            raise NotApplicable(f"hypothesis not met: it takes {value} (it {exc})") from exc
        lost = int((~torch.isfinite(path[-1, :6])).sum())
        title = f"{value} in the other tensor, which lost {lost} entries"
        trial.same(title, path[:, 6:], optimizer.follow(pair)[:, 6:])


@claim(
    "laws/complex",
    source="contract of torch.optim: a complex number is two real ones (torch.view_as_real)",
    statement="Who steps complex tensors as pairs of real numbers does so with each option.",
    hypotheses=(
        "as it is, complex = pairs of real ones: it may know none, or turn with a phase",
        "it draws nothing at random",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-complex-squared-in-lists",),
)
def test_complex(trial: Trial) -> None:
    """Matrices of complex numbers, beside tensors of real ones with one side more.

    Both have two sides and more: who leaves vectors without a decay means neither.
    """
    usual = trial.implementation(torch.optim.AdamW)
    pair = field(trial.seed, (2, 3, 2), (4, 2, 2))
    seen_alike(trial, usual, pair, "complex = pairs of real ones", IN_COMPLEX, IN_COMPLEX)


@claim(
    "laws/sparse",
    source="contract of torch.sparse: values at one place are added",
    statement="Who takes sparse gradients takes those with two values at a place, whose sum is "
    "meant, with each option that it takes with them.",
    hypotheses=(
        "as it is, sparse = dense where each row has one value",
        "it draws nothing at random",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-squares-of-parts", "class-last-part-counts"),
)
def test_sparse(trial: Trial) -> None:
    """A quarter and three quarters of each row: what a class makes of rows left out is its own."""
    usual = trial.implementation(torch.optim.Adagrad)
    once, twice = ({"gradient": partial(in_rows, twice=twice)} for twice in (False, True))
    seen_alike(trial, usual, field(trial.seed), "sparse = dense", once, twice)


def seen_alike(
    trial: Trial,
    usual: Implementation,
    pair: Field,
    law: str,
    plain: Mapping[str, Any],
    way: Mapping[str, Any],
) -> None:
    """What is seen in a way is stepped as what is not, if it is so in the plain way."""
    trial.require("it draws nothing at random", not Structure(usual, trial.seed).stochastic)
    trial.require("it is handed a plain list", usual.form == "" and not usual.insists)
    problem = pair.fading()
    expected, found = usual.tried(problem), seeing(usual, **plain).tried(problem)
    alike = expected is not None and found is not None and laws.near(found, expected)
    trial.require(f"as it is, {law}", alike)
    options = [
        (f" with {option.name} = {value}", {**option.context, option.name: value})
        for option, values in laws.variants(usual).items() for value in values
    ]  # fmt: skip
    paths = [(f" with {name}", {name: True}) for name in PATHS if usual.takes(name)]
    for title, switched in (("", {}), *options, *paths):
        one = usual.having(**switched)
        expected, found = one.tried(problem), seeing(one, **way).tried(problem)
        if expected is not None and found is not None:
            trial.identity(f"{law}{title}", found, expected, FLOAT32, "a sum may be float32",
                           along=("step", "entry"))  # fmt: skip
