"""README's numbers are the registry's."""

import re
from collections import Counter
from pathlib import Path

from limitpoint import all_claims
from limitpoint.rivals import RIVALS
from limitpoint.rivals.duels import named_matches
from limitpoint.views.report import TITLES

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CLAIMS = list(all_claims().values())


def test_every_folder_is_listed_with_its_claims():
    listed = re.findall(r"\| `claims/(\w+)` \| (\d+)", README)
    found = Counter(claim.body.__module__.split(".")[-2] for claim in CLAIMS)
    assert {folder: int(count) for folder, count in listed} == found


def test_what_commands_print_is_counted():
    duels, errata = len(named_matches(CLAIMS)), sum(c.erratum is not None for c in CLAIMS)
    assert f"runs all {duels} duels" in README
    assert f"# {errata} errata" in README
    named = sum(bool(claim.rivals) for claim in CLAIMS)
    assert f"runs {named} claims against {len(RIVALS)} optimizers" in README


def test_every_topic_has_a_title():
    assert {claim.id.partition("/")[0] for claim in CLAIMS} == TITLES.keys()
