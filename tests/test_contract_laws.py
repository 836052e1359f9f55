"""What the laws about torch's contract must not take for a fault, and what they tell of one."""

import pytest
import torch

from limitpoint import claims_of, evaluate
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.contract import Counts
from limitpoint.subjects import Subject

LAWS = {law.id: law for law in claims_of(paper="laws")}


def judged(law, made, **options):
    return evaluate(LAWS[f"laws/{law}"], [Subject.from_object("optimizer", made, **options)])


class CountsAnew(Counts):
    """Each step makes another tensor of the count."""

    def tick(self, s):
        s["t"] = s["t"] + 1
        return int(s["t"])


class FirstRate(right.AdamW):
    """Decays by lr over the first lr, which is the same Tensor if lr is one."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.param_groups[-1].setdefault("first", self.param_groups[-1]["lr"])

    def decayed(self, p, d, group):
        p.mul_(1 - float(group["lr"] / group["first"]) * group["weight_decay"])
        return d


class Listed:
    """No torch.optim.Optimizer: it promises lists alone."""

    def __init__(self, params, lr=1e-2):
        params = list(params)
        self.param_groups = params if isinstance(params[0], dict) else [{"params": params}]
        self.param_groups = [{"lr": lr, **group} for group in self.param_groups]

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in list(group["params"]):
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad)


class Refuses(right.Adam):
    """Says in its constructor that it is for matrices."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        if any(p.ndim != 2 for p in self.param_groups[-1]["params"]):
            raise ValueError("2-D parameters only")


@pytest.mark.parametrize(
    ("law", "made"),
    [("large", CountsAnew), ("mid-training", FirstRate), ("handed-over", Listed),
     ("handed-over", Refuses), ("large", Refuses)],
)  # fmt: skip
def test_what_is_right_in_its_own_way_is_not_refuted(law, made):
    record = judged(law, made)
    assert record.verdict == "supported", record.reason


@pytest.mark.parametrize(
    ("law", "made"),
    [
        ("modes", torch.optim.Adam),
        ("mid-training", torch.optim.Rprop),
        ("large", torch.optim.LBFGS),
    ],
)
def test_who_takes_no_part_is_not_judged(law, made):
    assert judged(law, made).verdict == "not-applicable"


class Opens(right.Adam):
    """Looks into groups as if they were lists."""

    def add_param_group(self, param_group):
        super().add_param_group({**param_group, "params": list(param_group["params"])})


def test_what_raises_is_told_with_what_it_was_given():
    record = judged("handed-over", Opens)
    assert record.verdict == "refuted"
    assert record.reason.startswith("a tensor that is in no list: it raised ValueError in its")
