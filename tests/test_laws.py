"""The laws on torch's own classes, and what an optimizer is recognised as."""

import pytest
import torch

from limitpoint import claims_of, evaluate, laws
from limitpoint.laws import Implementation, field
from limitpoint.recognition import recognise
from limitpoint.rivals.classes import averages, right, sam
from limitpoint.subjects import Subject

LAWS = claims_of(paper="laws")
CLASSES = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop",
           "Rprop", "ASGD", "Muon", "LBFGS", "Adafactor")  # fmt: skip
HALF = {"zero-gradient-half": "an epsilon of 1e-8 is 0 in float16"}
#: What torch's own classes do not keep.
KNOWN = {
    **dict.fromkeys(("Adam", "AdamW", "NAdam", "Adamax", "RMSprop"), HALF),
    "Adagrad": {**HALF, "groups": "initial_accumulator_value is the constructor's for all groups"},
    "ASGD": {"paths": "eta is a float32 tensor: its paths differ by 1e-9 with a large lambd"},
}


@pytest.mark.parametrize("name", CLASSES)
def test_torchs_own_classes_keep_the_laws(name):
    subject = Subject.from_object("optimizer", getattr(torch.optim, name))
    records = [evaluate(law, [subject]) for law in LAWS]
    failed = {record.name: record.reason for record in records if record.failed}
    assert set(failed) == set(KNOWN.get(name, {})), failed


@pytest.mark.parametrize(
    ("made", "options", "roles"),
    [
        (torch.optim.SGD, {}, {"gd", "gd-decay", "momentum", "momentum-ema"}),
        (torch.optim.SGD, {"momentum": 0.9}, {"momentum"}),
        (torch.optim.AdamW, {}, {"adam", "adamw"}),
        (sam.SAM, {}, {"sam-l2", "dnsam"}),
        (torch.optim.RMSprop, {}, {"rmsprop"}),
        (torch.optim.RMSprop, {"centered": True, "momentum": 0.9}, {"rmsprop"}),
        (right.Lion, {}, {"lion"}),
        (averages._Inside, {}, set()),
    ],
)
def test_the_roles_that_fit_are_found(made, options, roles):
    found = recognise(Subject.from_object("optimizer", made, **options))
    assert set(found.roles) == roles


def test_a_miss_says_what_it_is_instead():
    lines = list(recognise(Subject.from_object("optimizer", sam.SAM)).lines())
    assert "role usam: no: rather SAM with a normalised perturbation" in lines
    assert "second gradient in a step: yes" in lines


def test_the_place_of_epsilon_is_told():
    facts = recognise(Subject.from_object("optimizer", averages._Inside)).facts
    assert facts["first step, of Adam's kin"] == "eps inside the root"


def test_a_class_that_cannot_be_run_is_inconclusive():
    class Refuses(right.Adam):
        def apply(self, p, d, group):
            raise TypeError("two tensors, please")

    subject = Subject.from_object("optimizer", Refuses)
    record = evaluate(LAWS[0], [subject])
    assert record.verdict == "inconclusive"
    assert "could not be run as it is: it raised TypeError" in record.reason


class Centralised(right.SGD):
    """Gradients less the mean of their row: right, and no rule of entries."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return g - g.mean(tuple(range(1, g.ndim)), keepdim=True) if g.ndim > 1 else g


@pytest.mark.parametrize("name", ["shapes", "symmetry", "cut", "product"])
def test_a_rule_of_rows_is_not_taken_for_one_of_entries(name):
    (law,) = (one for one in LAWS if one.id == f"laws/{name}")
    record = evaluate(law, [Subject.from_object("optimizer", Centralised)])
    assert not record.failed, record.reason


def test_a_state_by_address_is_read():
    class ByAddress(right.SGD):
        def buffer(self, p, d, group):
            return self.state[id(p)].setdefault("b", d.clone())

    training = Implementation.of(ByAddress, {"momentum": 0.9}).train(field(0)).go(1)
    assert training.state() == {}


@pytest.mark.parametrize("factor", [0.99, 1.0, 1.01])
def test_what_a_decay_multiplies_by_is_measured(factor):
    steps, path = torch.ones(3, 4).double(), [torch.arange(1, 5).double()]
    for step in steps:
        path.append(factor * path[-1] + step)
    found = laws.factors(torch.stack(path), steps)
    torch.testing.assert_close(found, torch.full((3,), factor).double())
    assert laws.factors(torch.stack(path), steps * torch.arange(4)) is None


@pytest.mark.parametrize("name", ["Rprop", "Adafactor"])
def test_what_raises_on_shards_is_told_with_its_line(name):
    (law,) = (one for one in LAWS if one.id == "laws/sharded")
    record = evaluate(law, [Subject.from_object("optimizer", getattr(torch.optim, name))])
    assert record.verdict == "not-applicable"
    assert "sharded tensors (it raised RuntimeError at step 0: aten." in record.reason


class OfTwoDtypes(torch.optim.SGD):
    """Mixes a tensor of the default dtype with one of float32: no step in another default dtype."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.kept = None

    def step(self, closure=None):
        self.kept = torch.tensor(1.0) if self.kept is None else self.kept
        self.kept.lerp_(torch.tensor(0.5).float(), 0.1)
        return super().step(closure)


def test_a_class_need_not_take_another_default_dtype():
    (law,) = [law for law in LAWS if law.id == "laws/determinism"]
    record = evaluate(law, [Subject.from_object("optimizer", OfTwoDtypes)])
    assert record.verdict == "supported", record.reason
