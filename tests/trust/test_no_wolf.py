"""No wolf: who is right is not refuted, whatever the problem, the options and whose code it is."""

from inspect import Parameter

import pytest
import torch
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from limitpoint import all_claims, claims_of, evaluate
from limitpoint.judgement.setting import Setting
from limitpoint.optimizers.roles import ROLES
from limitpoint.rivals.classes import blocks, right, sam
from limitpoint.subjects import Accepted, Subject

#: float16 is left to tests/test_laws.py: there torch's own Adam fails.
LAWS = [law for law in claims_of(paper="laws") if not law.id.endswith("-half")]
TORCHS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop")
#: The initial accumulator is the constructor's, for all groups.
KNOWN = {("laws/groups", torch.optim.Adagrad)}
CLASSES = [
    *(getattr(torch.optim, name) for name in TORCHS),
    right.SGD, right.Adam, right.AdamW, right.Lion, right.Signum, right.Muon,
    blocks.Lamb, blocks.Lars, sam.SAM,
]  # fmt: skip


def logarithmic(least, most):
    return st.floats(least, most).map(lambda x: 10.0**x)


#: What people set, in the ranges in which they set it.
OPTIONS = {
    "lr": logarithmic(-4, 0.5),
    "betas": st.tuples(st.floats(0, 0.99), st.floats(0.5, 0.9999)),
    "eps": logarithmic(-12, -4),
    "weight_decay": st.floats(0, 0.3),
    "momentum": st.floats(0, 0.99),
    "nesterov": st.booleans(),
    "dampening": st.floats(0, 0.9),
    "amsgrad": st.booleans(),
    "maximize": st.booleans(),
    "centered": st.booleans(),
    "alpha": st.floats(0.5, 0.999),
    "rho": logarithmic(-3, -0.5),
    "adaptive": st.booleans(),
    "foreach": st.booleans(),
}


@st.composite
def right_classes(draw):
    """A right class, and some of its options."""
    made = draw(st.sampled_from(CLASSES))
    takes = Accepted.by(made, skip=1).defaults
    names = [name for name in OPTIONS if takes.get(name, Parameter.empty) is not Parameter.empty]
    picked = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
    options = {name: draw(OPTIONS[name]) for name in picked}
    if options.get("nesterov"):  # torch's SGD refuses another
        options |= {"momentum": options.get("momentum") or 0.9, "dampening": 0.0}
    return made, options


# A twentieth of a second each; the same ones at each commit, and others in each nightly run.
@settings(
    max_examples=min(settings().max_examples, 5000), derandomize=settings().max_examples < 1000
)
@given(chosen=right_classes(), law=st.sampled_from(LAWS), seed=st.integers(0, 2**31 - 1))
def test_a_right_class_keeps_the_laws(chosen, law, seed):
    made, options = chosen
    assume((law.id, made) not in KNOWN)
    subject = Subject.from_object("optimizer", made, **options)
    record = evaluate(law, [subject], Setting(seed=seed))
    note(f"{law.id}, seed {seed}, {made.__module__}.{made.__name__} {options}: {record.reason}")
    assert record.verdict in ("supported", "not-applicable")


@pytest.mark.nightly
@pytest.mark.parametrize("role", [role for role, made in ROLES.items() if isinstance(made, type)])
def test_a_rule_of_somebody_elses_is_judged_as_ours(role):
    """By its own code in torch, where ours is compiled: two roundings, one verdict."""
    own = type("Own", (ROLES[role],), {"__module__": "somebody.elses"})
    claims = [claim for claim in all_claims().values() if role in claim.roles]
    records = [evaluate(claim, [Subject.from_object(role, own)]) for claim in claims]
    failed = {record.id: record.reason for record in records if record.failed}
    assert not failed
