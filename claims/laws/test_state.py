"""What an optimizer keeps: all of it can be saved and copied, and none of it is anybody else's."""

import copy
import io
import pickle

import torch

from limitpoint import Trial, claim
from limitpoint.laws import Training, field

STEP = ("step", "entry")
HALF = 5


@claim(
    "laws/resume",
    source="contract of torch.optim: state_dict, load_state_dict",
    statement="T steps are s steps, state_dict, load_state_dict into a fresh optimizer, and T - s "
    "steps; also when the learning rate is changed afterwards, and from a file.",
    hypotheses=("none",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-betas-swapped-on-load", "class-count-lost-on-load", "class-groups-part-on-load",
        "class-base-state-lost",
    ),
)  # fmt: skip
def test_resume(trial: Trial) -> None:
    """Five of twelve steps, then both go on, with the same step size or a third of it.

    The fresh optimizer was made with twice the step size, which the state_dict's own replaces.
    """
    optimizer = trial.implementation("optimizer", torch.optim.AdamW)
    pair, rest = field(trial.seed), field(trial.seed).steps - HALF
    lr = optimizer.step_size
    other = optimizer.having(lr=2 * lr) if optimizer.takes("lr") else optimizer
    for name, changed in (("", None), (", then lr / 3", lr / 3)):
        whole = optimizer.train(pair).go(HALF)
        saved = whole.saved()
        file = io.BytesIO()
        whole.call(lambda file=file, saved=saved: torch.save(saved, file))
        file.seek(0)
        start = whole.iterates[-1]
        if changed:
            whole.set_step_size(changed)
        expected = whole.go(rest).path[HALF:]
        for how, state in (("state_dict", saved), ("file", torch.load(file, weights_only=False))):
            fresh = other.train(pair.from_step(HALF).moved(start))
            fresh.call(lambda state=state, fresh=fresh: fresh.optimizer.load_state_dict(state))
            if changed:
                fresh.set_step_size(changed)
            trial.same(f"resumed from a {how}{name}", fresh.go(rest).path, expected)


@claim(
    "laws/copies",
    source="contract of torch.optim: deepcopy and pickle",
    statement="A copy made in the middle goes on as the original, by deepcopy and by pickle.",
    hypotheses=("pickle: the class can be imported",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-state-by-address",),
)
def test_copies(trial: Trial) -> None:
    """Parameters and optimizer are copied together, as people do who keep the best so far."""
    optimizer = trial.implementation("optimizer", torch.optim.AdamW)
    pair = field(trial.seed)
    original = optimizer.train(pair).go(HALF)
    copies = {"deepcopy": original.call(lambda: copy.deepcopy(original))}
    try:
        written = pickle.dumps((original.parameters, original.optimizer))
    except (pickle.PicklingError, AttributeError, TypeError):
        written = b""  # made in a function: not even the class has a name
    if written:
        copied = copy.copy(original)
        copied.parameters, copied.optimizer = original.call(lambda: pickle.loads(written))
        copied.iterates = list(original.iterates)
        copies["pickle"] = copied
    rest = pair.steps - HALF
    expected = original.go(rest).path
    for how, one in copies.items():
        trial.same(f"a copy by {how}", one.go(rest).path, expected)


@claim(
    "laws/instances",
    source="derived: no state but the instance's",
    statement="Two instances side by side share nothing; a group that is added in the middle "
    "moves as one whose gradients come late.",
    hypotheses=("add_param_group: it takes groups",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-attribute-state", "class-state-of-start"),
)
def test_instances(trial: Trial) -> None:
    """The steps of two instances take turns; the second tensor joins after five steps."""
    optimizer = trial.implementation("optimizer", torch.optim.AdamW)
    pair = field(trial.seed)
    ones = [optimizer.train(pair.alone(0)) for _ in range(2)]
    for _ in range(pair.steps):
        for one in ones:
            one.go(1)
    expected = optimizer.follow(pair.alone(0))
    for k, one in enumerate(ones):
        trial.same(f"instance {k} of two in turns", one.path, expected)
    if optimizer.accepts(pair, [([0], {}), ([1], {})]):
        late = {"absent": lambda t: (1,) if t < HALF else ()}
        joined = optimizer.train(pair, [([0], {})], **late).go(pair.steps, join)
        there = optimizer.follow(pair, [([0], {}), ([1], {})], **late)
        trial.same("a group that is added", joined.path, there)


def join(training: Training) -> None:
    """The second tensor becomes a group of its own."""
    if training.t == HALF:
        training.optimizer.add_param_group({"params": [training.parameters[1]]})


@claim(
    "laws/ownership",
    source="contract of torch.optim: gradients are backward's",
    statement="p.grad is left as it was; the run is the same when .grad is one buffer that is "
    "written over, and when gradients are added to it as backward does.",
    hypotheses=("none",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-writes-gradient", "class-negates-gradient", "class-buffer-is-gradient",
        "class-gradients-added",
    ),
)  # fmt: skip
def test_ownership(trial: Trial) -> None:
    """With decay and maximize in turn, if it has them: both are where gradients get written to."""
    usual = trial.implementation("optimizer", torch.optim.SGD, momentum=0.9)
    pair = field(trial.seed)
    options = [{}, {"weight_decay": 0.1}, {"maximize": True}]
    for option in options:
        optimizer = usual.having(**option)
        if not (usual.takes(*option) and optimizer.accepts(pair)):
            continue
        title = "".join(f", {name}={value}" for name, value in option.items())
        plain = optimizer.train(pair).go(pair.steps)
        trial.close(f"entries of p.grad changed{title}", plain.overwritten, 0, 0, "exact")
        for how, switch in (("one buffer", {"reuse": True}), ("set", {"accumulate": False})):
            found = optimizer.follow(pair, **switch)
            trial.same(f"gradients in {how}{title}", found, plain.path)


@claim(
    "laws/determinism",
    source="derived",
    statement="The same seed makes the same run, bitwise; nothing is drawn from torch's generator "
    "unless there is an option that says so.",
    hypotheses=("drawing: no option named seed or generator",),
    kind="law",
    roles=("optimizer",),
    rivals=("class-draws",),
)
def test_determinism(trial: Trial) -> None:
    """Twice from one seed of torch's generator, then once from another."""
    optimizer = trial.implementation("optimizer", torch.optim.AdamW)
    pair = field(trial.seed)
    paths = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        paths.append(optimizer.follow(pair))
    trial.close("the same seed again", paths[1], paths[0], 0.0, "bitwise", along=STEP)
    if not (optimizer.takes("seed") or optimizer.takes("generator")):
        trial.close("another seed", paths[2], paths[0], 0.0, "bitwise: nothing is drawn",
                    along=STEP)  # fmt: skip
