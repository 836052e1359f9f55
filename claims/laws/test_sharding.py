"""Training where no process has all of it: rows of each tensor (FSDP2), or whole tensors (ZeRO)."""

import torch

from limitpoint import Trial, claim, laws
from limitpoint.laws import STEP, Implementation, Network, Structure, Training, network
from limitpoint.laws.training import flat

HALF = 5
BFLOAT16 = 5 * 3.4 * 2**-8


@claim(
    "laws/sharded",
    source="contract of fully_shard (FSDP2); DTensor: operations are those of the whole tensor",
    statement="Two processes that have some rows of each tensor, by fully_shard, take the steps of "
    "one that has them all, and what it keeps in the shape of a tensor is sharded as that is.",
    hypotheses=(
        "it takes tensors of every shape, or matrices",
        "it draws nothing at random",
        "rounding of a gradient moves its steps by rounding",
        "its forks can be a group on gloo: optax's cannot",
        "its gradients need no graph",
        "its operations are ones of sharded tensors: else torch raises, and the reason says what",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-norm-of-shard",
        "class-item-of-shard",
        "class-orthogonal-shard",
        "class-factor-of-shard",
        "class-climb-of-shard",
        "class-state-of-shard",
        "class-estimate-of-shard",
    ),
)
def test_sharded(trial: Trial) -> None:
    """fully_shard on gloo around the network of laws/network, full batch: 3 rows are 2 and 1.

    An operation on a sharded tensor is one on the whole; what is taken of a process's own rows
    (`to_local`, and torch's `item` of a sum that is yet to be reduced) is no longer the rule.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    net = trained_on(trial, optimizer)
    for pace, own in laws.paces(optimizer, net).items():
        alone, each = laws.trained(own, net), laws.shards(own, net)
        if Structure(own, trial.seed).orthogonalises:
            first = (path.diff(dim=0)[:1] for path in (each[0].path, alone.path))
            trial.identity(f"sharded = whole: first step{pace}", *first, BFLOAT16,
                           "five iterations of 2^-8 (bfloat16), grown by 3.4",
                           along=STEP)  # fmt: skip
        else:
            trial.same(f"sharded = whole{pace}", each[0].path, alone.path)
        for rank, found in enumerate(each):
            title = f"tensors of its state that are sharded as parameters are, process {rank}{pace}"
            trial.at_least(title, found.kept, alone.kept, 0, "a count")


@claim(
    "laws/dealt",
    source="contract of ZeroRedundancyOptimizer",
    statement="Two processes, each of which steps the tensors that ZeroRedundancyOptimizer deals "
    "it, take the steps of two optimizers side by side, where a norm of all tensors is one of a "
    "process's own, or of one with all tensors; a checkpoint that is gathered from both resumes.",
    hypotheses=(
        "it takes tensors of every shape, or matrices",
        "it draws nothing at random",
        "rounding of a gradient moves its steps by rounding",
        "it takes a list of tensors, and one gradient a step, where that began",
        "it draws from no generator of its own: whose tensors come first is another order there",
        "its forks can be a group on gloo: optax's cannot",
        "its gradients need no graph",
        "ZeroRedundancyOptimizer takes it: else it raises, and the reason says what",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-keeps-its-share", "class-counts-on-rank-0", "class-saves-beside"),
)
def test_dealt(trial: Trial) -> None:
    """ZeroRedundancyOptimizer over DistributedDataParallel on gloo, on the network of laws/network.

    Entrywise and blockwise rules do both: that is laws/product. ZeroRedundancyOptimizer gathers
    what is in `state` by parameter, and calls no load_state_dict but its own.
    """
    optimizer = trial.implementation(torch.optim.AdamW)
    trial.require("it takes a list of tensors", not optimizer.form)
    net = trained_on(trial, optimizer)
    whole = optimizer.train(net)
    one_each = [takes_one(whole.go(1)) for _ in range(net.steps)]
    trial.require("it draws from no generator of its own", not whole.holds_generator)
    trial.require("it takes one gradient a step, where that began", all(one_each))
    one, other = laws.dealt(optimizer, net, HALF)
    kinds = {
        "two side by side": laws.side_by_side(optimizer, net, (one.own, other.own)),
        "one with all tensors": whole.path,
    }
    kind = min(kinds, key=lambda name: float((one.path - kinds[name]).abs().max()))
    trial.same(f"under ZeroRedundancyOptimizer = {kind}", one.path, kinds[kind])
    trial.same("under ZeroRedundancyOptimizer, resumed", one.resumed, one.path)


def takes_one(training: Training) -> bool:
    """Whether its last step took one gradient, at the parameters that it found.

    Each process moves no tensors but its own: another gradient would be of a mixture.
    """
    found = training.iterates[-2]
    once = training.calls <= 1 and not training.two_phase
    return once and all(torch.equal(flat(point), found) for point in training.points)


def trained_on(trial: Trial, optimizer: Implementation) -> Network:
    """The network of laws/network, or one of matrices, on which it does as the hypotheses say."""
    nets = [network(trial.seed), network(trial.seed, laws.Matrices)]
    taken = list(filter(optimizer.accepts, nets))
    trial.require("it takes tensors of every shape, or matrices", bool(taken))
    draws = Structure(optimizer, trial.seed).draws
    trial.require("it draws nothing at random", not draws)
    trial.require("its forks can be a group on gloo: optax's cannot",
                  laws.can_join(optimizer))  # fmt: skip
    trial.require("its gradients need no graph", not optimizer.graphed)  # there DDP leaves none
    steady = next((net for net in taken if laws.steady(optimizer, net)), None)
    trial.require("rounding of a gradient moves its steps by rounding", steady is not None)
    assert steady is not None
    return steady
