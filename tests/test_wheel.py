"""The wheel: claims run from an installed package, and a foreign project gates its optimizer."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OPTIMIZERS = '''
import torch


class Descent(torch.optim.Optimizer):
    """Gradient descent, written here."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad


class Rounded(Descent):
    """The same, with a step along the sign."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad.sign()
'''
SUITE = """
import limitpoint
from mylib.optim import Descent, Rounded


@limitpoint.parametrize_claims(Descent, role="gd")
def test_descent(check):
    check()


@limitpoint.parametrize_claims(Rounded, role="gd")
def test_rounded(check):
    check()
"""


def test_the_wheel_carries_the_claims_and_the_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {"py.typed", "__init__.pyi", "views/report/templates/page.html.jinja"}
    assert {f"limitpoint/{name}" for name in expected} <= names
    for claim in (ROOT / "claims").rglob("*.py"):
        assert f"limitpoint/claims/{claim.relative_to(ROOT / 'claims')}" in names


@pytest.fixture
def project(tmp_path, site):
    """A project that knows nothing of this checkout."""
    (tmp_path / "mylib").mkdir()
    (tmp_path / "mylib" / "__init__.py").touch()
    (tmp_path / "mylib" / "optim.py").write_text(OPTIMIZERS)
    (tmp_path / "test_mylib.py").write_text(SUITE)
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{tmp_path}"}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_claims_run_from_the_wheel_in_a_foreign_folder(project, tmp_path):
    words = ["--pyargs", "limitpoint.claims", "-k", "usam/exact-dynamics", "--ledger", "l.json"]
    result = project("pytest", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
    (record,) = json.loads((tmp_path / "l.json").read_text())["claims"]
    assert record["reproduce"].startswith(
        "pytest --pyargs limitpoint.claims -k usam/exact-dynamics"
    )


def test_a_foreign_project_gates_with_pyargs(project):
    words = ["--pyargs", "limitpoint.claims", "-k", "stability/gd-edge"]
    good = project("pytest", *words, "--subject", "gd=mylib.optim:Descent")
    assert good.returncode == 0, good.stdout + good.stderr
    bad = project("pytest", *words, "--subject", "gd=mylib.optim:Rounded")
    assert bad.returncode == 1
    assert "stability/gd-edge is refuted" in bad.stdout


def test_a_foreign_project_gates_with_check(project):
    words = ["limitpoint", "check", "-k", "stability/gd-edge"]
    good = project(*words, "gd=mylib.optim:Descent")
    assert good.returncode == 0, good.stdout + good.stderr
    bad = project(*words, "gd=mylib.optim:Rounded")
    assert bad.returncode == 1
    assert "refuted" in bad.stdout


def test_a_foreign_project_gates_with_the_decorator(project):
    result = project("pytest", "-q", "-k", "gd-edge", "test_mylib.py")
    assert result.returncode == 1
    assert "1 failed, 1 passed" in result.stdout
    assert "test_rounded[stability/gd-edge-seed42]" in result.stdout
