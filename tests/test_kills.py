"""No rival survives a claim that names it."""

from collections import Counter

import pytest

from limitpoint import Setting, all_claims
from limitpoint.rivals import RIVALS
from limitpoint.rivals.matrix import fight, named_matches, roles_of

CLAIMS = list(all_claims().values())
MATCHES = named_matches(CLAIMS)
LEAST = 6


@pytest.mark.parametrize(
    ("claim", "role", "rival"),
    MATCHES,
    ids=[f"{claim.id}-{role}-{rival}" for claim, role, rival in MATCHES],
)
def test_rival_is_refuted(claim, role, rival):
    duel = fight(claim, role, rival, Setting())
    assert duel.killed, f"{rival} survives {claim.id} as {role}: {duel}"


def test_every_rival_is_named_by_a_claim():
    assert {rival for _, _, rival in MATCHES} == set(RIVALS)


def test_every_role_of_a_claim_meets_a_rival():
    met = {(claim.id, role) for claim, role, _ in MATCHES}
    assert not [place for c in CLAIMS for role in c.roles if (place := (c.id, role)) not in met]


def test_every_role_has_its_rivals():
    found = Counter(role for rival in RIVALS for role in roles_of(rival))
    roles = {role for claim in CLAIMS for role in claim.roles}
    assert {role: found[role] for role in roles if found[role] < LEAST} == {}
