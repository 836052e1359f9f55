"""CONTRIBUTING's recipes, executed: what they add is compiled and judged, the rival refuted."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n# (added to )?(\S+\.pyi?)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of limitpoint and its claims, with what CONTRIBUTING adds."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in ("core", "claims"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for added, name, code in BLOCKS:
        file = folder / name
        assert file.exists() == bool(added), f"{name}: {'not there' if added else 'there already'}"
        with file.open("a", encoding="utf-8") as out:
            out.write(f"\n\n{code}" if added else code)
    return folder


def python(package, *words):
    """A command in the copy."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(package / "core")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_added_is_compiled_and_judged(package):
    python(package, "pytest", "claims", "-k", "signum-length", "--ledger", "found.json")
    (record,) = json.loads((package / "found.json").read_text(encoding="utf-8"))["claims"]
    assert record["verdict"] == "supported"
    assert record["ran"] == {"fused": ""}


def test_it_passes_the_gate_of_this_project(package):
    """What stands in files of its own; appended imports are for the reader to move up."""
    made = [name for added, name, _ in BLOCKS if not added]
    python(package, "ruff", "check", *made)
    python(package, "ruff", "format", "--check", *made)
    python(package, "mypy", *made)


def test_its_role_is_told(package):
    assert "m = beta1 m + (1 - beta1) g" in python(package, "limitpoint", "check", "--help")


def test_its_rivals_are_refuted(package):
    found = json.loads(python(package, "limitpoint", "mutants", "-k", "signum-length", "--json"))
    results = {duel["rival"]: duel["verdict"] for duel in found["duels"]}
    assert results == dict.fromkeys(("ascent", "step-doubled", "signum-inside"), "refuted")
