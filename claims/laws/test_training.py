"""Training as people do it: closures, checkpoints, a network with a frozen part."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import Tensor

from limitpoint import NotApplicable, SubjectFailed, Trial, claim, laws
from limitpoint.laws import (
    STEP,
    Field,
    Implementation,
    Network,
    Structure,
    Training,
    field,
    network,
)
from limitpoint.rivals.classes.calls import Unscales

HALF = 5
#: A loss is multiplied by it, and overflows at a step.
SCALE, OVERFLOWS = 2.0**10, 3


@claim(
    "laws/closure",
    source="contract of torch.optim: step(closure)",
    statement="step(closure) is backward and step(); it returns the closure's loss and calls it as "
    "often as the rule takes gradients, with gradients enabled.",
    hypotheses=(
        "its step takes a closure, and is implemented beside its two phases",
        "with a closure it takes as many gradients as without: else it is two rules",
        "a step depends on gradients, not on the loss",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-closure-blind",
        "class-loss-lost",
        "class-closure-twice",
        "class-sam-loss-lost",
        "class-closure-late",
        "class-gathers-early",
    ),
)
def test_closure(trial: Trial) -> None:
    """The closure zeroes the gradients, and takes the loss and backward by autograd.

    One that has to be called is counted only: L-BFGS calls it as often as its search asks.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    pair = field(trial.seed)
    plain, closed, above = (
        optimizer.train(pair, closure=closure, shift=shift)
        for closure, shift in ((False, 0.0), (True, 0.0), (True, 3.0))
    )
    trial.require("its step takes a closure", closed.takes_closure)
    for training in (plain, closed, above):
        go_if_implemented(training, pair.steps)
    trial.require("with a closure it takes as many gradients as without",
                  Structure(optimizer, trial.seed).ascends or not climbs(closed))  # fmt: skip
    trial.require("a step depends on gradients, not on the loss",
                  laws.near(above.path, closed.path))  # fmt: skip
    trial.same("step(closure) = backward, step()", closed.path, plain.path)
    if not Structure(optimizer, trial.seed).ascends:  # SAM may want a gradient before its closure
        alone = optimizer.follow(pair, closure=True, ahead=False)
        trial.same("step(closure) with the last step's gradients before", alone, plain.path)
    returned = closed.returned
    trial.close("a loss is returned", int(returned is not None), 1, 0, "a count")
    if closed.losses and returned is not None:
        found = min(closed.losses, key=lambda loss: float((loss - returned).abs()))
        trial.same("the loss that is returned = one of the closure's", returned, found)
    if not closed.needs_closure:
        most = 2 if closed.two_phase else 1
        trial.at_least("calls of the closure a step", closed.calls, 1, 0, "a count")
        trial.at_most("calls of the closure a step", closed.calls, most, 0, "a count")


def climbs(closed: Training) -> bool:
    """Whether its last step called the closure at more than one point."""
    points = closed.points[len(closed.points) - closed.calls :]
    return any(not torch.equal(a, b) for point in points[1:]
               for a, b in zip(point, points[0], strict=True))  # fmt: skip


def go_if_implemented(training: Training, steps: int) -> None:
    """SAM's step may say that its two phases are called in its stead: then no closure goes in."""
    try:
        training.go(steps)
    except SubjectFailed as exc:
        if training.two_phase and isinstance(exc.__cause__, NotImplementedError):
            raise NotApplicable(f"hypothesis not met: a step beside its phases (it {exc})") from exc
        raise


@claim(
    "laws/loss-scaling",
    source="contract of torch.amp.GradScaler; Micikevicius et al. 2018, Section 3.2",
    statement="Under a scaler of the loss the steps are those without one, and a step whose "
    "gradient overflows, in whichever tensor, is none: the run is that without it.",
    hypotheses=(
        "it has parameter groups, and a step from one gradient without a closure or a graph",
        "it draws nothing at random",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-counts-skipped", "class-keeps-scale", "class-hides-tensors"),
)
def test_loss_scaling(trial: Trial) -> None:
    """The scale is a power of two, and is halved when the last entry of step 3 is infinite."""
    usual = trial.implementation(Unscales)
    pair = field(trial.seed)
    training = usual.train(pair)
    one = not (training.needs_closure or training.two_phase or training.in_backward)
    trial.require("it has parameter groups, and a step from one gradient without a closure or a "
                  "graph", bool(training.groups) and one and not usual.graphed)  # fmt: skip
    trial.require("it draws nothing at random", not Structure(usual, trial.seed).draws)
    others = [t for t in range(pair.steps) if t != OVERFLOWS]
    without = replace(pair, c=pair.c[others])
    fused = usual.having(fused=True)
    own = {", fused": fused} if usual.takes("fused") and fused.accepts(pair) else {}
    for title, optimizer in ({"": usual} | own).items():
        path = scaled(optimizer, pair)
        before, after = path[OVERFLOWS : OVERFLOWS + 2]
        trial.close(f"a step that overflows{title}", after, before, 0.0, "none", along=("entry",))
        found = torch.cat([path[:OVERFLOWS], path[OVERFLOWS + 1 :]])
        trial.same(f"scaled = as it is, without that step{title}", found, optimizer.follow(without))


def scaled(optimizer: Implementation, pair: Field) -> Tensor:
    """The iterates under a scaler that finds an overflow."""
    training = optimizer.train(pair)
    scaler, inner = torch.amp.GradScaler("cpu", init_scale=SCALE), training.optimizer
    scaler.scale(torch.ones(()))  # it begins with the first loss
    training.optimizer = SimpleNamespace(step=lambda: scaler.step(inner))
    c = pair.c.clone()
    c[OVERFLOWS, -1] = torch.inf
    for _ in range(pair.steps):
        training.problem = replace(pair, c=c, scale=scaler.get_scale())
        training.go(1)
        scaler.update()
    return training.path


@claim(
    "laws/network",
    source="derived",
    statement="On a network with a kernel, biases and a frozen tensor: that one stays, a group for "
    "each tensor is one group of all, a checkpoint resumes, and the loss falls.",
    hypotheses=(
        "it takes tensors of every shape",
        "it draws nothing at random",
        "a checkpoint: it has a state_dict",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-norm-by-group", "class-count-lost-on-load", "class-estimate-not-saved"),
)
def test_network(trial: Trial) -> None:
    """tanh of a convolution, a linear layer, cross-entropy; gradients by autograd, full batch."""
    optimizer = trial.implementation(torch.optim.AdamW)
    net = network(trial.seed)
    trial.require("it takes tensors of every shape", optimizer.accepts(net))
    trial.require("it draws nothing at random", not Structure(optimizer, trial.seed).draws)
    for pace, own in laws.paces(optimizer, net).items():
        path = trained_twice(trial, own, net, pace)
        if not pace:
            short = min(own.step_size, laws.STEP_SIZE) if own.takes("lr") else None
            end = path if short is None else own.having(lr=short).follow(net)
            losses = [net.value(0, net.split(w)) for w in (path[0], end[-1])]
            because = "a step size of at most .01 and a dozen steps"
            trial.ordering("the loss falls", losses[1], losses[0], because)


def trained_twice(trial: Trial, optimizer: Implementation, net: Network, pace: str) -> Tensor:
    """As one group, then in groups, and with a checkpoint between; the iterates of the first."""
    whole = optimizer.train(net).go(HALF)
    saved = whole.saved() if whole.has_checkpoints else {}
    path = whole.go(net.steps - HALF).path
    still = torch.cat([torch.full(x.shape, float(k in net.frozen)).reshape(-1)
                       for k, x in enumerate(net.split(net.start))]).bool()  # fmt: skip
    frozen = path[:, still]
    trial.close(f"the frozen tensor{pace}", frozen, frozen[:1].expand_as(frozen), 0.0, "exact",
                along=STEP)  # fmt: skip
    groups = [([k], {}) for k in range(len(net.shapes))]
    if optimizer.accepts(net, groups):
        found = optimizer.follow(net, groups)
        trial.same(f"a group for each tensor = one{pace}", found, path)
    if whole.has_checkpoints:
        fresh = optimizer.train(net.moved(path[HALF]))
        fresh.call(lambda: fresh.optimizer.load_state_dict(saved))
        trial.same(f"resumed{pace}", fresh.go(net.steps - HALF).path, path[HALF:])
    return path


@claim(
    "laws/data-parallel",
    source="contract of DistributedDataParallel; understanding_sam, Section 2 (m-SAM)",
    statement="Two processes with half of the batch each, whose gradients are averaged, keep equal "
    "parameters to the bit and take the steps of one process with the whole batch; where only the "
    "descent is averaged, SAM climbs by each half, which is m-SAM with $m = n/2$, or averages "
    "its ascent and is n-SAM.",
    hypotheses=(
        "it takes tensors of every shape, or matrices",
        "it draws nothing at random",
        "rounding of a gradient moves its steps by rounding",
        "its forks can be a group on gloo: optax's cannot",
        "its gradients need no graph",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-sums-again",
        "class-keeps-its-share",
        "class-rest-not-sent",
        "class-counts-on-rank-0",
        "class-lamb-of-all-ranks",
        "class-sam-climb-subtracted",
        "class-sam-mean-norm",
    ),
)
def test_data_parallel(trial: Trial) -> None:
    """DistributedDataParallel on gloo around the network of laws/network, full batch.

    The sum of two halves' gradients is the whole batch's to rounding, and what comes of it to both
    is the same tensor: there is no tolerance between them. With a bias frozen the tensors are an
    odd number, so that dealing them out to two processes leaves a rest.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    nets = [replace(network(trial.seed), frozen=(1, 2)), network(trial.seed, laws.Matrices)]
    taken = list(filter(optimizer.accepts, nets))
    trial.require("it takes tensors of every shape, or matrices", bool(taken))
    trial.require("it draws nothing at random", not Structure(optimizer, trial.seed).draws)
    trial.require("its forks can be a group on gloo: optax's cannot",
                  laws.can_join(optimizer))  # fmt: skip
    trial.require("its gradients need no graph", not optimizer.graphed)  # there DDP leaves none
    net = taken[0]
    trial.require("rounding of a gradient moves its steps by rounding",
                  laws.steady(optimizer, net))  # fmt: skip
    alone, (one, other) = laws.trained(optimizer, net), laws.replicas(optimizer, net)
    trial.close("one process, and the other", one.path, other.path, 0.0, "exact", along=STEP)
    trial.same("two processes = one with the whole batch", one.path, alone.path)
    if alone.ascent.any():
        own = laws.replicas(optimizer, net, own_ascent=True)
        for rank, found in enumerate(own):
            part = laws.trained(optimizer, laws.half(net, rank))
            kinds = {"m-SAM": part.ascent, "n-SAM": alone.ascent}
            kind = min(kinds, key=lambda name: float((found.ascent - kinds[name]).abs().max()))
            title = f"descent averaged alone: ascent of process {rank}, as {kind}"
            trial.same(title, found.ascent, kinds[kind])
        if laws.near(own[0].path, own[1].path):  # the first gradient is for the ascent alone
            title = "descent averaged alone: one process, and the other"
            trial.close(title, own[0].path, own[1].path, 0.0, "exact", along=STEP)
