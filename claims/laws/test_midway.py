"""Between two steps: checkpoints at any place, schedules, edits, two iterates."""

import copy
import io
import pickle
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from limitpoint import SubjectFailed, Trial, claim, laws
from limitpoint.laws import DRAWS, STEP, Field, Implementation, Structure, Training, field
from limitpoint.laws.contract import does
from limitpoint.rivals.classes.midway import ScheduleFree

HALF = 5
FLOAT32 = 12 * torch.finfo(torch.float32).eps
WIDE = (torch.float32, torch.float64)
#: What an option is multiplied by in the middle, and what a schedule does to the step size.
LESS, SLOWS = 0.6, 0.8
#: What OneCycleLR, CyclicLR and other schedules write beside the step size, with a value that
#: is felt where the usual one is not.
CYCLED = {"betas": None, "momentum": 0.9, "weight_decay": 0.1, "rho": None, "alpha": None}


@claim(
    "laws/checkpoints",
    source="contract of torch.optim: state_dict, load_state_dict and their hooks",
    statement="T steps are s steps, a checkpoint, and T - s steps for every s; to the bit in "
    "bfloat16 where states are wider; torch.load reads a file of it, told nothing; what others "
    "write into a group comes back, and hooks are called.",
    hypotheses=(
        "it has a state_dict",
        "hooks: it holds no other optimizer, which has its own",
        "bits: it keeps states of a parameter's shape that are wider",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=(
        "class-cache-not-saved", "class-master-rounded", "class-known-keys", "class-hooks-unheard",
        "class-object-in-state",
    ),
)  # fmt: skip
def test_checkpoints(trial: Trial) -> None:
    """A dozen steps with a checkpoint after each: what is renewed now and then ends nowhere at all.

    In bfloat16 equal states make equal bits, and torch's load_state_dict rounds wider ones; torch's
    generator is saved with them, for who rounds at random draws there alone.
    """
    usual = trial.implementation(torch.optim.AdamW)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    pair = field(trial.seed)
    whole, saved = usual.train(pair), {}
    trial.require("it has a state_dict", whole.has_checkpoints)
    for s in range(1, pair.steps):
        saved[s] = whole.go(1).saved()
    path = whole.go(1).path
    for s, state in saved.items():
        found = resumed(usual, pair, path, s, state)
        trial.identity(f"resumed after step {s}", found.path, path[s:], FLOAT32,
                       "a float32 state goes on in the parameter's dtype", along=STEP)  # fmt: skip
    if not usual.is_pure:
        trial.close("torch.load reads a file of it as it is", int(reads(saved[1])), 1, 0, "a count")
    wide_states(trial, usual, pair)
    if isinstance(whole.optimizer, Optimizer) and whole.groups:
        guests(trial, usual, pair)


def reads(state: dict[str, Any]) -> bool:
    """Whether there is nothing in a state but what torch.load takes from anybody."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    try:
        torch.load(file)
    except pickle.UnpicklingError:
        return False
    return True


def resumed(
    usual: Implementation, pair: Field, path: Tensor, s: int, state: dict[str, Any], **how: Any
) -> Training:
    """A fresh optimizer that loads a state after s steps and takes the rest."""
    return loaded(usual, pair, path, s, state, **how).go(pair.steps - s)


def loaded(
    usual: Implementation, pair: Field, path: Tensor, s: int, state: dict[str, Any], **how: Any
) -> Training:
    """A fresh optimizer that has loaded a state after s steps."""
    fresh = usual.train(pair.from_step(s).moved(path[s]), **how)
    fresh.call(lambda: fresh.optimizer.load_state_dict(copy.deepcopy(state)))
    return fresh


def wide_states(trial: Trial, usual: Implementation, pair: Field) -> None:
    """Nothing, unless it takes bfloat16 and keeps states of a parameter's shape in more."""
    half = {"dtype": torch.bfloat16}
    if not usual.accepts(pair, steps=pair.steps, **half):
        return
    whole = usual.train(pair, **half).go(HALF)
    own = whole.kept().items()
    if any(x.dtype in WIDE and x.shape == whole.parameters[k].shape for (k, _), x in own):
        state, chance = whole.saved(), torch.get_rng_state()
        path = whole.go(pair.steps - HALF).path
        title = "bfloat16, resumed"
        fresh = does(title, lambda: loaded(usual, pair, path, HALF, state, **half))
        torch.set_rng_state(chance)
        found = does(title, lambda: fresh.go(pair.steps - HALF).path)
        because, end = "bitwise: the state is the same", fresh.state()
        trial.close(title, found, path[HALF:], 0.0, because, along=STEP)
        for name, expected in whole.state().items():
            trial.close(f"{title}: {name}", end.get(name, torch.nan), expected, 0.0, because)


def guests(trial: Trial, usual: Implementation, pair: Field) -> None:
    """A key of somebody else's, as a scheduler's initial_lr; and all hooks of checkpoints."""
    training, fresh, heard = usual.train(pair).go(1), usual.train(pair), []
    for group in training.groups:
        group["a key of others"] = 1
    inner = any(isinstance(x, Optimizer) for x in vars(training.optimizer).values())
    if not inner:
        for one, name in ((training, "state_dict"), (fresh, "load_state_dict")):
            for when in ("pre", "post"):
                hook = f"register_{name}_{when}_hook"
                register = getattr(one.optimizer, hook)
                one.call(lambda r=register, h=hook: r(lambda *_: heard.append(h)))
    state = training.call(training.optimizer.state_dict)
    fresh.call(lambda: fresh.optimizer.load_state_dict(state))
    lost = sum("a key of others" not in group for group in fresh.groups)
    trial.close("keys of others in a group that were lost", lost, 0, 0, "a count")
    if not inner:
        trial.close("hooks of checkpoints that are called, of four", len(set(heard)), 4, 0,
                    "a count")  # fmt: skip


@claim(
    "laws/mid-training",
    source="contract of torch.optim: param_groups are read at each step (OneCycleLR, CyclicLR)",
    statement="What is changed between two steps is heeded: betas, a momentum, a decay "
    "or a radius written into the groups act as in an instance made with them that goes on from "
    "the same state, a Tensor lr that is filled acts as a float that is written.",
    hypotheses=(
        "these in its groups, or an lr that it says may be a Tensor",
        "a checkpoint resumes",
    ),
    kind="law",
    roles=("optimizer",),
    rivals=("class-options-in-private", "class-tensor-read-once", "class-decay-read-once"),
)
def test_mid_training(trial: Trial) -> None:
    """After five of twelve steps, as OneCycleLR does; the Tensor before each, as schedulers do.

    A class that is made for floats may take a Tensor and keep it as a number of its own besides.
    """
    usual = trial.implementation(torch.optim.AdamW)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    pair = field(trial.seed)
    for name in CYCLED:
        cycled(trial, usual, pair, name)
    says = signature(usual.constructor).parameters.get("lr")
    if says and "Tensor" in str(says.annotation) and not usual.takes("step_sizes"):
        filled(trial, usual, pair)
    trial.require("these in its groups, or an lr that it says may be a Tensor",
                  bool(trial.evidence))  # fmt: skip


def cycled(trial: Trial, usual: Implementation, pair: Field, name: str) -> None:
    """Options that are made from it come with it, and what the groups count goes on."""
    now = usual.defaults.get(name)
    if name == "betas" and isinstance(now, tuple | list) and isinstance(now[0], float):
        new: Any = (LESS * now[0], *now[1:])
    elif isinstance(now, float | int) and not isinstance(now, bool):
        felt = now if CYCLED[name] is None or (name == "momentum" and now) else CYCLED[name]
        usual, new = usual.having(**{name: felt}), LESS * felt
    else:
        return
    other = usual.having(**{name: new})
    if not (usual.accepts(pair) and other.accepts(pair)):
        return
    training = usual.train(pair)
    if not training.has_checkpoints:
        return
    before, after = training.saved(), other.train(pair).saved()
    groups = training.go(HALF).groups
    state = training.saved()
    if not all(name in group for group in groups) or not resumes(usual, pair, state):
        return
    for own, was, made in zip(*(s["param_groups"] for s in (state, before, after)), strict=True):
        own |= {key: made[key] for key in made if repr(made[key]) != repr(was.get(key))}
    for group in groups:
        group[name] = new
    path, before = training.go(pair.steps - HALF).path, usual.follow(pair)
    if not laws.near(other.follow(pair), before):
        trial.at_least(f"{name} = {new} written after step {HALF}: largest change",
                       (path - before).abs().max(), laws.LOST, 0.0, "it is felt")  # fmt: skip
    fresh = loaded(other, pair, path, HALF, state)
    for group in fresh.groups:  # a wrapper may have loaded its base's own
        group[name] = new
    found = fresh.go(pair.steps - HALF).path
    trial.same(f"{name} = {new} written after step {HALF}", path[HALF:], found)


def resumes(usual: Implementation, pair: Field, state: dict[str, Any]) -> bool:
    """Whether a state after five steps has all that the rest of them needs."""
    path = usual.follow(pair)
    try:
        found = resumed(usual, pair, path, HALF, state).path
    except SubjectFailed:
        return False
    return "param_groups" in state and laws.near(found, path[HALF:])


def filled(trial: Trial, usual: Implementation, pair: Field) -> None:
    """As schedulers do to a Tensor that they find; by the same numbers as floats."""
    lr = usual.step_size

    def fill(on: Training) -> None:
        for group in on.groups:
            group["lr"].fill_(lr * SLOWS**on.t)

    given = usual.having(lr=torch.tensor(lr, dtype=torch.float64))
    if not given.accepts(pair):
        return
    training = given.train(pair)
    if all(isinstance(group.get("lr"), Tensor) for group in training.groups):
        by_hand = usual.train(pair).go(pair.steps, lambda on: on.set_step_size(lr * SLOWS**on.t))
        trial.same("a Tensor lr that is filled", training.go(pair.steps, fill).path, by_hand.path)


@claim(
    "laws/modes",
    source="Defazio et al. 2024: optimizer.train(), optimizer.eval()",
    statement="eval() twice is eval() once, train() after it is back where it was, and a "
    "checkpoint that was written between the two goes on as if there had been none.",
    hypotheses=("it has train() and eval()", "it has a state_dict"),
    kind="law",
    roles=("optimizer",),
    rivals=("class-averages-again", "class-mode-not-saved"),
)
def test_modes(trial: Trial) -> None:
    """After five of twelve steps; the fresh optimizer's parameters are the checkpoint's."""
    usual = trial.implementation(ScheduleFree)
    pair = field(trial.seed)
    training = usual.train(pair)
    trial.require("it has train() and eval()", training.has_modes)
    trial.require("it has a state_dict", training.has_checkpoints)
    trial.require(DRAWS, not Structure(usual, trial.seed).draws)
    path = usual.follow(pair)
    at = training.go(HALF).entries()
    training.call(training.optimizer.eval)
    judged, saved = training.entries(), training.saved()
    training.call(training.optimizer.eval)
    trial.same("eval() twice = once", training.entries(), judged)
    for times in ("once", "twice"):
        training.call(training.optimizer.train)
        trial.same(f"train() {times} after eval() = neither", training.entries(), at)
    trial.same("goes on", training.go(pair.steps - HALF).path[HALF:], path[HALF:])
    fresh = usual.train(pair.from_step(HALF).moved(judged))
    fresh.call(lambda: fresh.optimizer.load_state_dict(saved))
    fresh.call(fresh.optimizer.train)
    trial.same("a checkpoint of eval(), train()", fresh.entries(), at)
    trial.same("goes on from it", fresh.go(pair.steps - HALF).path[1:], path[HALF + 1 :])
