"""No rival survives a claim that names it."""

from collections import Counter

import pytest

from limitpoint import Setting, all_claims
from limitpoint.rivals import RIVALS
from limitpoint.rivals.matrix import fight, named_pairs, roles_of

CLAIMS = list(all_claims().values())
PAIRS = named_pairs(CLAIMS)
LEAST = 6


@pytest.mark.parametrize(
    ("claim", "rival"), PAIRS, ids=[f"{claim.id}-{rival}" for claim, rival in PAIRS]
)
def test_rival_is_refuted(claim, rival):
    duel = fight(claim, rival, Setting())
    assert duel.killed, f"{rival} survives {claim.id}: {duel}"


def test_every_rival_is_named_by_a_claim():
    assert {rival for _, rival in PAIRS} == set(RIVALS)


def test_every_claim_with_a_role_names_a_rival():
    assert not [claim.id for claim in CLAIMS if claim.roles and not claim.rivals]


def test_every_role_has_its_rivals():
    found = Counter(role for rival in RIVALS for role in roles_of(rival))
    roles = {claim.roles[0] for claim in CLAIMS if claim.roles}
    assert {role: found[role] for role in roles if found[role] < LEAST} == {}
