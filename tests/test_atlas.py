"""The atlas: a row for everything, whatever a package does, and what its page reproduces."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from limitpoint.atlas import Atlas, Package, Row, candidates, judge
from limitpoint.cli import main
from limitpoint.commands import atlas_
from limitpoint.errors import SubjectFailed, UsageError

ROOT = Path(__file__).parents[1]
REPRODUCTIONS = sorted((ROOT / "docs/reproductions").glob("*.py"))
ZOO = """
import torch

class Good(torch.optim.SGD):
    pass

class Refuses(torch.optim.SGD):
    def __init__(self, params, needed):
        raise AssertionError("never made")

class Crashes(torch.optim.SGD):
    def step(self, closure=None):
        import os
        os._exit(3)
"""


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    (tmp_path / "zoo_of_optimizers.py").write_text(ZOO, encoding="utf-8")
    (tmp_path / "zoo_that_is_shut.py").write_text("import no_such_module\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    packages = (Package("zoo_of_optimizers", "torch"), Package("zoo_that_is_shut", "torch"))
    monkeypatch.setattr(atlas_, "PACKAGES", (*packages, Package("never_installed", "no-such-dist")))
    return tmp_path


def test_the_optimizers_of_a_package_are_found():
    found = candidates(Package("torch.optim", "torch"))
    assert "torch.optim:Adam" in found
    assert "torch.optim:Optimizer" not in found


def test_a_package_that_cannot_be_imported_says_why(zoo):
    with pytest.raises(SubjectFailed, match="No module named 'no_such_module'"):
        candidates(Package("zoo_that_is_shut", "torch"))


def test_everything_is_a_row_and_judged_once(zoo, tmp_path, capsys, monkeypatch):
    out = tmp_path / "atlas.jsonl"
    assert main(["atlas", "--out", str(out)]) == 0
    assert "3/3, 0 min left" in capsys.readouterr().err
    rows = Atlas(out).rows
    assert rows["zoo_that_is_shut"].why.startswith("raised ModuleNotFoundError")
    assert "needed" in rows["zoo_of_optimizers:Refuses"].why
    assert "3" in rows["zoo_of_optimizers:Crashes"].why
    good = rows["zoo_of_optimizers:Good"]
    assert good.broken == {}
    assert good.count("supported") > 15
    assert good.roles[0] in ("gd", "gd-decay", "momentum", "momentum-ema")
    before = out.read_text(encoding="utf-8")
    monkeypatch.setattr(atlas_, "judge", None)
    assert main(["atlas", "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == before


def test_another_version_is_judged_again(zoo, tmp_path, monkeypatch):
    atlas = Atlas(tmp_path / "atlas.jsonl")
    atlas.add(Row(target="zoo_of_optimizers:Good", versions={"torch": "0.1"}))
    done = []

    def judged(target, versions):
        done.append(target)
        return Row(target=target, versions=versions)

    monkeypatch.setattr(atlas_, "judge", judged)
    words = ["atlas", "--out", str(atlas.path), "-k", "Good"]
    assert main(words) == 0
    assert main(words) == 0
    assert main([*words, "--again"]) == 0
    assert done == ["zoo_of_optimizers:Good"] * 2


def test_a_row_that_was_cut_is_dropped_and_another_file_refused(tmp_path):
    path = tmp_path / "atlas.jsonl"
    Atlas(path).add(Row(target="a:B", versions={}))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"target":"a:C"')
    Atlas(path).add(Row(target="a:D", versions={}))
    assert set(Atlas(path).rows) == {"a:B", "a:D"}
    path.write_text("a,b\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no rows of an atlas"):
        Atlas(path)


@pytest.mark.parametrize("why", ["a\u2028b\x85c\x0bd\r\n", "\udcff"], ids=ascii)
def test_what_an_optimizer_raises_stays_in_its_row(tmp_path, why):
    atlas = Atlas(tmp_path / "atlas.jsonl")
    atlas.add(Row(target="a:B", versions={}, why=why))
    atlas.add(Row(target="a:C", versions={}))
    assert list(Atlas(atlas.path).rows) == ["a:B", "a:C"]
    atlas.close()
    assert Atlas(atlas.path).rows["a:B"].why == why.replace("\udcff", "\ufffd")


def test_a_name_that_nothing_has_is_one_line(zoo, tmp_path, capsys):
    words = ["atlas", "--out", str(tmp_path / "atlas.jsonl"), "-k", "nobody"]
    assert main(words) == 2
    assert "names no optimizer of an installed package" in capsys.readouterr().err


def test_a_target_that_is_none_is_a_row():
    assert "has no 'Adamm'" in judge("torch.optim:Adamm", {}).why


def test_no_law_stumbled_over_an_optimizer_of_the_committed_atlas():
    rows = Atlas(ROOT / "reports/atlas.jsonl").rows.values()
    assert len(rows) > 100
    stumbled = {row.target for row in rows if row.count("failed") or "failed" in row.facts}
    assert stumbled == set()


@pytest.mark.parametrize("file", REPRODUCTIONS, ids=lambda file: file.stem)
def test_a_fault_is_reproduced_without_limitpoint(file):
    text = file.read_text(encoding="utf-8")
    modules = re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    assert "limitpoint" not in modules
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == text.partition("# prints: ")[2].strip()
