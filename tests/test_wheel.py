"""The wheel: claims run from an installed package, in any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = out.glob("limitpoint-*.whl")
    return found


def test_the_wheel_carries_the_claims_and_the_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "limitpoint/py.typed" in names
    assert "limitpoint/report/templates/page.html.jinja" in names
    for claim in (ROOT / "claims").rglob("*.py"):
        assert f"limitpoint/claims/{claim.relative_to(ROOT / 'claims')}" in names


def test_claims_run_from_the_wheel_in_a_foreign_folder(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    words = ["--pyargs", "limitpoint.claims", "-k", "usam/exact-dynamics", "--ledger", "l.json"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
    assert (folder / "l.json").exists()
