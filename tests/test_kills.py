"""No rival survives a claim that names it."""

import pytest

from limitpoint import Setting, all_claims
from limitpoint.mutants import fight, named_pairs
from limitpoint.rivals import RIVALS

PAIRS = named_pairs(list(all_claims().values()))


@pytest.mark.parametrize(
    ("claim", "rival"), PAIRS, ids=[f"{claim.id}-{rival}" for claim, rival in PAIRS]
)
def test_rival_is_refuted(claim, rival):
    duel = fight(claim, rival, Setting())
    assert duel.killed, f"{rival} survives {claim.id}: {duel.outcome}"


def test_every_rival_is_named_by_a_claim():
    named = {rival for _, rival in PAIRS}
    assert named == set(RIVALS)
