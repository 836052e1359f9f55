"""No rival survives a claim that names it; every duel is fought in ci/nightly (`mutants`)."""

from collections import Counter, defaultdict
from itertools import chain
from zlib import crc32

import pytest

from limitpoint import Setting, all_claims
from limitpoint.rivals import RIVALS
from limitpoint.rivals.duels import fight, named_matches
from limitpoint.rivals.matrix import roles_of

CLAIMS = list(all_claims().values())
MATCHES = named_matches(CLAIMS)
LEAST = 6


def name_of(match):
    claim, role, rival = match
    return f"{claim.id}-{role}-{rival}"


def cover(matches):
    """Each role of each claim meets a rival, if it can one that none has met; then those left."""
    places, chosen, met = defaultdict(list), [], set()
    for match in sorted(matches, key=lambda match: crc32(name_of(match).encode())):
        claim, role, _ = match
        places[claim.id, role].append(match)
    for at in sorted(places.values(), key=len):  # first those with the least choice
        chosen.append(next((match for match in at if match[2] not in met), at[0]))
        met.add(chosen[-1][2])
    for match in chain(*places.values()):
        if match[2] not in met:
            chosen.append(match)
            met.add(match[2])
    return chosen


COVER = cover(MATCHES)


@pytest.mark.parametrize(("claim", "role", "rival"), COVER, ids=map(name_of, COVER))
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
