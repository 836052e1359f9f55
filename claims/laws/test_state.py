"""What an optimizer keeps: all of it can be saved and copied, and none of it is anybody else's."""

import copy
import io
import pickle
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np
import torch

from limitpoint import NotApplicable, SubjectFailed, Trial, claim, laws
from limitpoint.laws import DRAWS, STEP, Field, Implementation, Structure, Training, field
from limitpoint.laws.structure import beside_another

HALF = 5
#: What torch's `Optimizer` has them in.
HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
#: Steps in which a gradient that is kept is written over.
FEW = 4
#: torch's load_state_dict may round a state to its parameter's dtype.
HALF_PRECISION = 2.0**-7
#: Steps by a count or a step size that is kept in float32.
COUNTED = 1e-5


@claim(
    "laws/resume",
    source="contract of torch.optim: state_dict, load_state_dict",
    statement="T steps are s steps, state_dict, load_state_dict into a fresh optimizer of whatever "
    "options, and T - s steps; also when the learning rate is changed afterwards, and from a file.",
    hypotheses=("it has a state_dict",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-betas-swapped-on-load", "class-count-lost-on-load", "class-groups-part-on-load",
        "class-base-state-lost", "class-momentum-attribute", "class-options-of-constructor",
    ),
)  # fmt: skip
def test_resume(trial: Trial) -> None:
    """Five of twelve steps, then both go on, with the same step size or a third of it.

    The fresh optimizer was made with other options, which the state_dict's own replace (optax has
    none in its state).
    """
    usual = trial.implementation(torch.optim.AdamW)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    trial.require("it has a state_dict", usual.train(field(trial.seed)).has_checkpoints)
    for title, optimizer, pair in laws.situations(usual, trial.seed, awake=True):
        resumes(trial, optimizer, pair, title)


def resumes(trial: Trial, optimizer: Implementation, pair: Field, title: str) -> None:
    """From the state_dict and from a file, into a fresh optimizer and into one that has trained."""
    lr, rest = optimizer.step_size, pair.steps - HALF
    other = optimizer if optimizer.is_pure else made_otherwise(optimizer, pair)
    whole = optimizer.train(pair).go(HALF)
    saved, start, file = whole.saved(), whole.iterates[-1], io.BytesIO()
    kept = whole.state()
    whole.call(lambda: torch.save(saved, file))
    file.seek(0)
    slower = optimizer.train(pair).go(HALF)
    slower.set_step_size(lr / 3)
    paths = {None: whole.go(rest).path[HALF:], lr / 3: slower.go(rest).path[HALF:]}
    for how, state, changed in (
        ("a state_dict", copy.deepcopy(saved), None),
        ("a file, then lr / 3", torch.load(file, weights_only=False), lr / 3),
        ("a state_dict, after other steps", saved, None),
    ):
        begun = pair.from_step(HALF).moved(start)
        fresh = other.train(begun)
        if how.endswith("steps"):
            fresh = put(other.train(pair).go(2), begun)
        fresh.call(lambda state=state, fresh=fresh: fresh.optimizer.load_state_dict(state))
        loaded = fresh.state()
        lost = [name for name in kept.keys() & loaded.keys()
                if not laws.near(loaded[name], kept[name], HALF_PRECISION)]  # fmt: skip
        trial.close(f"states lost on the way{', '.join(['', *sorted(lost)])}", len(lost), 0, 0,
                    "a count")  # fmt: skip
        if changed:
            fresh.set_step_size(changed)
        trial.same(f"resumed from {how}{title}", fresh.go(rest).path, paths[changed])


def made_otherwise(optimizer: Implementation, pair: Field) -> Implementation:
    """With other options, of those that a group keeps and that go together."""
    inside = {name: value for group in optimizer.train(pair).groups[:1]
              for name, value in group.items() if name != "params"}  # fmt: skip
    told = optimizer.having(**inside)  # by name, should it take them as **kwargs
    optimizer = told if told.accepts(pair) else optimizer
    for option, values in laws.variants(optimizer).items():
        if option.name in inside and values:
            changed = optimizer.having(**{option.name: values[0]})
            optimizer = changed if changed.accepts(pair) else optimizer
    return optimizer


def put(training: Training, problem: Field) -> Training:
    """The same optimizer, put where another problem begins: a model's load_state_dict."""
    training.problem, training.t = problem, 0
    with torch.no_grad():
        for p, x in zip(training.parameters, problem.split(problem.start), strict=True):
            p.copy_(x)
    training.iterates = [training.entries()]
    return training


@claim(
    "laws/copies",
    source="contract of torch.optim: deepcopy and pickle",
    statement="A copy made in the middle goes on as the original, by deepcopy and by pickle.",
    hypotheses=(
        "it can be copied",
        "its step has no hooks, which torch leaves out of a copy",
        "pickle: the class can be imported",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-state-by-address",),
)
def test_copies(trial: Trial) -> None:
    """Parameters and optimizer are copied together, as people do who keep the best so far."""
    usual = trial.implementation(torch.optim.AdamW)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    made = usual.train(field(trial.seed)).optimizer
    trial.require("its step has no hooks", not any(getattr(made, name, None) for name in HOOKS))
    for title, optimizer, pair in laws.situations(usual, trial.seed, awake=True):
        copied(trial, optimizer.train(pair).go(HALF), pair.steps - HALF, title)


def copied(trial: Trial, original: Training, rest: int, title: str) -> None:
    """By deepcopy, and by pickle if it can be pickled; one that raises is no copy."""
    both = original.parameters, original.optimizer
    makes = {"deepcopy": lambda: copy.deepcopy(both)}
    try:
        written = pickle.dumps(both)
        makes["pickle"] = lambda: pickle.loads(written)
    except (pickle.PicklingError, AttributeError, TypeError):
        pass  # made in a function: not even the class has a name
    copies = {}
    for how, make in makes.items():
        copies[how] = other = copy.copy(original)
        other.parameters, other.optimizer = original.call(make)
        other.iterates = list(original.iterates)
    expected = original.go(rest).path
    for how, one in copies.items():
        try:
            path = one.go(rest).path
        except SubjectFailed as exc:
            raise NotApplicable(f"hypothesis not met: it can be copied (it {exc})") from exc
        trial.same(f"a copy by {how}{title}", path, expected)


@claim(
    "laws/instances",
    source="derived: no state but the instance's",
    statement="Two instances side by side share nothing; a group that is added in the middle "
    "starts afresh.",
    hypotheses=(
        "a group that is added: it takes groups, can add one, and is no average from the start",
        "or, with a pace of the optimizer's own count of steps, moves as beside any other",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-attribute-state", "class-state-of-start"),
)
def test_instances(trial: Trial) -> None:
    """The steps of two instances take turns; the second tensor joins after five steps."""
    usual = trial.implementation(torch.optim.AdamW)
    structure = Structure(usual, trial.seed)
    trial.require(DRAWS, not structure.draws)
    for title, optimizer, pair in laws.situations(usual, trial.seed):
        ones = [optimizer.train(pair.alone(0)) for _ in range(2)]
        for _ in range(pair.steps):
            for one in ones:
                one.go(1)
        expected = optimizer.follow(pair.alone(0))
        for k, one in enumerate(ones):
            trial.same(f"instance {k} of two in turns{title}", one.path, expected)
        adds = hasattr(ones[0].optimizer, "add_param_group") and not ones[0].has_modes
        if not adds or not optimizer.accepts(pair, [([0], {}), ([1], {})]):
            continue
        absent = {"absent": lambda t: (1,) if t < HALF else ()}
        joined = optimizer.train(pair, [([0], {})], **absent).go(pair.steps, join)
        if structure.entrywise or structure.apart:
            fresh = optimizer.follow(pair.alone(1).from_step(HALF))
            size = pair.alone(0).ndim
            found, how = joined.path[HALF:, size:], "starts afresh"
            if not laws.near(found, fresh) and structure.paced:  # the schedule has gone on
                another = optimizer.train(beside_another(pair, 1), [([0], {})], **absent)
                fresh = another.go(pair.steps, join).path[HALF:, size:]
                how = "moves as beside another"
                trial.at_least(f"a step of it{title}", found.diff(dim=0).abs().max(), laws.LOST, 0,
                               "it moves")  # fmt: skip
            trial.same(f"a group that is added {how}{title}", found, fresh)


def join(training: Training) -> None:
    """The second tensor becomes a group of its own."""
    if training.t == HALF:
        second = training.form.of([training.parameters[1]])
        training.optimizer.add_param_group({"params": second, **training.form.group})


@claim(
    "laws/ownership",
    source="contract of torch.optim: gradients are backward's",
    statement="p.grad is left as it was, or as one of the closure's calls left it; the run is the "
    "same when .grad is one buffer that is written over, and when gradients are added to it as "
    "backward does.",
    hypotheses=("none",),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-writes-gradient", "class-negates-gradient", "class-buffer-is-gradient",
        "class-lists-decay-gradient",
        "class-gradients-added",
    ),
)  # fmt: skip
def test_ownership(trial: Trial) -> None:
    """With every switch on, and with each in turn: another may copy the gradient before it.

    No contract says which of several calls' gradients stays: SAM and a line search may end on any.
    """
    usual = trial.implementation(torch.optim.SGD, momentum=0.9)
    single = laws.one_by_one(usual, trial.seed)
    if usual.declares("foreach"):
        # torch's own SGD writes Nesterov's look-ahead into p.grad there.
        lists = laws.one_by_one(usual.having(foreach=True), trial.seed)
        single += [one._replace(title=f"{one.title}, in lists") for one in lists
                   if not one.title.endswith("nesterov")]  # fmt: skip
    cases = [*laws.situations(usual, trial.seed, awake=True), *single]
    for title, optimizer, pair in cases:
        steps = FEW if title else pair.steps
        plain = optimizer.train(pair).go(steps)
        trial.close(f"entries of p.grad changed{title}", plain.overwritten, 0, 0, "exact")
        ways = [("one buffer", {"reuse": True}), ("set", {"accumulate": False})]
        for how, switch in ways if not title else ways[:1]:
            found = optimizer.follow(pair, steps=steps, **switch)
            trial.same(f"gradients in {how}{title}", found, plain.path)


@claim(
    "laws/determinism",
    source="derived",
    statement="The same seed makes the same run, bitwise; nothing is drawn from torch's generator "
    "unless there is an option that says so; nor is anything else changed that is everybody's, nor "
    "do the steps depend on the default dtype.",
    hypotheses=(
        "drawing: no option named seed or generator",
        "the default dtype: it takes steps where that is bfloat16",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-draws", "class-seeds", "class-sets-precision", "class-default-dtype"),
)
def test_determinism(trial: Trial) -> None:
    """Twice from one seed of torch's generator, then once from another."""
    optimizer = trial.implementation(torch.optim.AdamW)
    pair = field(trial.seed)
    paths, left = [], []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        paths.append(optimizer.follow(pair, seed=None))
        left.append(torch.get_rng_state())
    seeded = bool((left[0] == left[2]).all())
    trial.close("seeds torch's generator", int(seeded), 0, 0, "a count")
    trial.close("the same seed again", paths[1], paths[0], 0.0, "bitwise", along=STEP)
    if not optimizer.draws:
        trial.close("another seed", paths[2], paths[0], 0.0, "bitwise: nothing is drawn",
                    along=STEP)  # fmt: skip
        torch.manual_seed(3)
        changed = changed_by_a_step(lambda: optimizer.train(pair, seed=None))
        trial.close(f"what it changes for others{', '.join(['', *changed])}", len(changed), 0, 0,
                    "a count")  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    try:
        elsewhere = optimizer.tried(pair, seed=1)
    finally:
        torch.set_default_dtype(torch.float32)
    if elsewhere is not None:
        trial.identity("where the default dtype is bfloat16", elsewhere, paths[0], COUNTED,
                       "a counter may be float32", along=STEP)  # fmt: skip


def changed_by_a_step(train: Callable[[], Training]) -> list[str]:
    """Of `globals_of_torch`; the default dtype is one that it would not set by itself, if it can.

    Its constructor may draw, for a start of its own. A step of one that mixes tensors of the
    default dtype with others raises then.
    """
    usual = torch.get_default_dtype()
    torch.set_float32_matmul_precision("highest")  # another step may have set it
    first = globals_of_torch()
    for dtype in (torch.float64, usual):
        training = train()
        made = [name for name in changed_since(first) if name not in GENERATORS]
        torch.set_default_dtype(dtype)
        try:
            before = globals_of_torch()
            with suppress(RuntimeError):
                training.step()  # not `go`, which puts back what is changed
                return [*made, *changed_since(before)]
        finally:
            torch.set_default_dtype(usual)
    return made


def changed_since(before: Mapping[str, object]) -> list[str]:
    """Names of `globals_of_torch` that have another value."""
    return [name for name, value in globals_of_torch().items() if before[name] != value]


#: Of `globals_of_torch`.
GENERATORS = ("torch's generator", "numpy's generator", "python's generator")


def globals_of_torch() -> dict[str, object]:
    """What every other line of a program reads."""
    return {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's generator": repr(np.random.get_state()),  # noqa: NPY002 - the global one
        "python's generator": random.getstate(),
        "the default dtype": torch.get_default_dtype(),
        "gradients enabled": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
    }
