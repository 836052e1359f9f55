"""limitpoint.check and limitpoint.parametrize_claims, as somebody's own suite would use them."""

import pytest
import torch

import limitpoint
from limitpoint import UsageError, checking
from limitpoint.registry import all_claims


@pytest.fixture(autouse=True)
def _one_claim(monkeypatch):
    """One quick claim is enough to test the way in."""
    chosen = {"usam/gd-min-distance": all_claims()["usam/gd-min-distance"]}
    monkeypatch.setattr(checking, "all_claims", lambda: chosen)


def test_check_returns_records():
    (record,) = limitpoint.check(torch.optim.SGD, role="gd", lr=0.01)
    assert (record["id"], record["verdict"]) == ("usam/gd-min-distance", "supported")
    assert "--subject gd=torch.optim.sgd:SGD,lr=0.01" in record["reproduce"]


def test_check_refutes_the_wrong_optimizer():
    (record,) = limitpoint.check(torch.optim.Adam, role="gd", lr=0.01)
    assert record["verdict"] == "refuted"


def test_check_takes_a_factory_and_seeds():
    def factory(params, lr):
        return torch.optim.SGD(params, lr=lr)

    records = limitpoint.check(factory, role="gd", seeds=(1, 2))
    assert [record["seed"] for record in records] == [1, 2]
    assert {record["verdict"] for record in records} == {"supported"}


def test_unknown_role_is_one_line():
    with pytest.raises(UsageError, match="unknown role 'king'"):
        limitpoint.check(torch.optim.SGD, role="king")


def test_the_decorator_passes_and_fails():
    (case,) = limitpoint.parametrize_claims(torch.optim.SGD, role="gd", lr=0.01).args[1]
    assert case.id == "usam/gd-min-distance-seed42"
    assert case.values[0]()["verdict"] == "supported"
    (case,) = limitpoint.parametrize_claims(torch.optim.Adam, role="gd", lr=0.01).args[1]
    with pytest.raises(pytest.fail.Exception, match="usam/gd-min-distance is refuted"):
        case.values[0]()
