"""What every claim must have, whatever it says."""

import re
from pathlib import Path

import pytest

from limitpoint import all_claims
from limitpoint.judgement.registry import claims_folder
from limitpoint.rivals import RIVALS

CLAIMS = list(all_claims().values())
OPTIMIZERS = ("adam", "usam", "signgd", "ngd", "sgd", "momentum", "muon")


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.id for claim in CLAIMS])
def test_the_record_is_complete(claim):
    assert claim.source
    assert claim.statement.endswith(".")
    assert claim.statement.count("$") % 2 == 0
    assert claim.title.endswith(".")
    assert {name for _, name in claim.named} <= set(RIVALS)
    # Each comparison says where its tolerance comes from (Evidence insists); the docstring says
    # what is tested, in more than a name.
    assert len((claim.body.__doc__ or "").strip()) > 50


def test_folders_are_the_papers():
    folders = {claim.body.__code__.co_filename.split("/")[-2].replace("_", "-") for claim in CLAIMS}
    assert folders == {claim.paper for claim in CLAIMS}


def test_no_folder_or_file_is_named_after_an_optimizer():
    papers = {claim.paper.replace("-", "_") for claim in CLAIMS}
    for path in claims_folder().rglob("test_*.py"):
        relative = path.relative_to(claims_folder())
        assert relative.parts[0] in papers
        assert not any(name in relative.name for name in OPTIMIZERS), relative


def test_claims_import_only_from_the_library():
    for path in claims_folder().rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import)\s+([\w.]+)", path.read_text(), flags=re.M)
        assert not [name for name in imported if name.startswith(("claims", "tests", "."))], path


def test_adam_selects_the_claims_about_adam():
    def selected(claim):
        path = Path(claim.body.__code__.co_filename)
        words = [claim.id, claim.body.__name__, path.name, path.parent.name]
        return any("adam" in word.lower() for word in words)

    for claim in CLAIMS:
        assert selected(claim) == any("adam" in role for role in claim.roles), claim.id


def test_test_names_are_pytest_keywords_of_their_own():
    names = [claim.body.__name__ for claim in CLAIMS]
    assert len(set(names)) == len(names)
