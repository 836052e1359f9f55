"""The recipes of docs/recipes/: each keeps the laws, and plays the role that it says."""

import importlib.util
import sys
from pathlib import Path

import pytest

from limitpoint import claims_of, evaluate
from limitpoint.recognition import recognise
from limitpoint.subjects import Subject

FOLDER = Path(__file__).parents[1] / "docs/recipes"
LAWS = claims_of(paper="laws")
#: 1e-8 is 0 in float16, for torch's own Adam as well.
HALF = {"zero-gradient-half"}
RECIPES = {
    "SAM": (set(), {"sam-l2", "dnsam"}),
    "TwoPhaseSAM": (set(), {"sam-l2", "dnsam"}),
    "WithClosure": (set(), {"sam-l2", "dnsam"}),
    "sam_around_adamw": (HALF, set()),
    "ASAM": (set(), set()),
    "GSAM": (set(), set()),
    "WSAM": (set(), set()),
    "LookSAM": (set(), set()),
    "ScheduleFree": (set(), set()),
    "AdamMini": (HALF, set()),
    "Muon": (set(), set()),
    "Prodigy": (HALF, set()),
}


@pytest.fixture(scope="module")
def recipes():
    found = {}
    for file in sorted(FOLDER.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"recipes_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # for copies by pickle
        spec.loader.exec_module(module)
        found |= vars(module)
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_keeps_the_laws(name, recipes):
    broken, roles = RECIPES[name]
    subject = Subject.from_object("optimizer", recipes[name])
    records = [evaluate(law, [subject]) for law in LAWS]
    failed = {record.name: record.reason for record in records if record.failed}
    assert set(failed) == broken, failed
    assert set(recognise(subject).roles) == roles


def test_every_recipe_is_judged(recipes):
    from torch.optim import Optimizer

    written = {
        name for name, value in recipes.items()
        if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
    }  # fmt: skip
    assert written - {"WantsClosure"} == set(RECIPES) - {"sam_around_adamw"}
