"""Table 1: the printed rows, the measured frame, and the option that brings CIFAR-10."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch.autograd.functional import hessian

from limitpoint import measures, problems
from limitpoint.cli import main
from limitpoint.problems.images import spectral_images
from limitpoint.views.figures import FIGURES
from limitpoint.views.tables.table1 import COLUMNS, INDEX, NOISE, printed, table_1


@pytest.fixture(scope="module")
def tasks():
    images = spectral_images(0, classes=3, per_class=8)
    return {"binary": images.task(2, 8, seed=0), "multiclass": images.task(3, 8, seed=0)}


def test_the_printed_table_is_whole():
    table = printed()
    assert table.shape == (12, len(COLUMNS))
    assert table.index.names == list(INDEX)
    assert table.index.is_unique
    assert table.loc[("multiclass", "USAM(0.1)", "random"), "trace"] == 164.26


def test_the_measured_table_has_the_printed_rows_and_more_columns(tasks):
    table = table_1(tasks, steps=20)
    assert table.index.equals(printed().index)
    assert set(COLUMNS) < set(table.columns)
    assert np.isfinite(table.to_numpy()).all()
    assert (table.xs("GD", level="optimizer")["from_first"] == 0).all()
    zero = table.xs("0", level="start")
    assert (zero["norm"] == zero["distance"]).all()
    assert (table["sensitivity_std"] > 0).all()


def test_the_table_is_seeded(tasks):
    first, again, other = (table_1(tasks, steps=5, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_sensitivity_is_the_gradients_length_over_the_root_of_the_dimension(tasks):
    train, _ = tasks["binary"]
    table = table_1({"binary": tasks["binary"]}, steps=0)
    slope = float(train.grad(train.start).tensor().norm())
    expected = NOISE * slope / train.start.numel() ** 0.5
    assert table["sensitivity_std"].iloc[0] == pytest.approx(expected, rel=0.3)


def test_hessian_trace_is_autograds():
    problem = problems.clusters(0, k=3, d=4, per_class=3)
    w = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for one, trace in zip(w, measures.hessian_trace(problem, w), strict=True):
        full = hessian(problem.value, one).reshape(12, 12)
        assert float(trace) == pytest.approx(float(full.trace()), rel=1e-12)
    with pytest.raises(TypeError, match="no trace"):
        measures.hessian_trace(problems.one_equation(), w)


def test_a_batch_of_parameters_shares_the_data(tasks):
    train, _ = tasks["multiclass"]
    w = torch.randn(2, 5, 3, 1024, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, slopes = train.value(w), train.grad(w).tensor()
    for i in range(2):
        for j in range(5):
            assert torch.allclose(values[i, j], train.value(w[i, j]), rtol=1e-13)
            assert torch.allclose(slopes[i, j], train.grad(w[i, j]).tensor(), rtol=0, atol=1e-12)


def test_the_figures_are_drawn():
    assert len(FIGURES["usam-1"]().axes) == 2
    assert len(FIGURES["usam-table-1"](per_class=2, steps=2).axes) == 6


SMALL = ["table1", "--per-class", "2", "--steps", "2"]


@pytest.fixture
def cifar10(tmp_path):
    """CIFAR-10's binary version with twenty images a batch."""
    rng, folder = np.random.default_rng(0), tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        records = rng.integers(0, 256, (20, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(20) % 10
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def test_the_command_prints_both_tables_and_names_the_stand_in(capsys):
    assert main(SMALL) == 0
    out = capsys.readouterr().out
    assert "as printed and as measured on 1/f images, a stand-in for CIFAR-10" in out
    assert "2 images of each class, 2 steps" in out
    lines = [line.split() for line in out.splitlines()]
    row = ["USAM(0.1),", "random", "printed", "1.15", "12.40", "1.67e-10", "5.72e-09", "10.74"]
    assert [*row, "10.47"] in lines
    assert sum(line[:1] == ["measured"] for line in lines) == 12


def test_the_command_takes_the_real_images(capsys, cifar10):
    assert main([*SMALL, "--cifar10", str(cifar10), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == f"CIFAR-10 ({cifar10})"
    assert len(found["rows"]) == 12
    first = found["rows"][0]
    assert (first["task"], first["optimizer"], first["start"]) == ("binary", "GD", "0")
    assert first["printed"]["trace"] == 12.49
    assert first["measured"]["norm"] == first["measured"]["distance"] > 0


def test_the_command_writes_csv(capsys, tmp_path):
    path = tmp_path / "table.csv"
    assert main([*SMALL, "--csv", str(path)]) == 0
    table = pd.read_csv(path, index_col=list(INDEX))
    assert table.index.equals(printed().index)
    assert (table["printed_norm"].to_numpy() == printed()["norm"].to_numpy()).all()
    assert table["measured_norm"].notna().all()
    assert set(table["images"]) == {"1/f images, a stand-in for CIFAR-10"}


def spoiled(folder, how):
    """What the option is given."""
    target = folder / "data_batch_3.bin"
    data = target.read_bytes()
    if how == "missing":
        target.unlink()
    elif how == "archive":
        path = folder.parent / "cifar-10-binary.tar.gz"
        path.write_bytes(data)
        return path
    elif how == "pickle":
        for path in folder.glob("*.bin"):
            path.rename(path.with_suffix(""))
        (folder / "data_batch_3").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    else:
        target.write_bytes({"truncated": data[:-1], "short": data[:3073], "page": b"<html>"}[how])
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "no data_batch_3.bin here"),
        ("archive", "not a whole tar archive"),
        ("pickle", "not a batch of CIFAR-10's Python version"),
        ("truncated", "data_batch_3.bin: 61459 bytes, no multiple of 3073: truncated"),
        ("short", "data_batch_3.bin has 1 images, others 20: truncated"),
        ("page", "data_batch_3.bin: 6 bytes, no multiple of 3073"),
    ],
)
def test_a_spoiled_copy_of_cifar10_is_one_line_and_exit_code_2(capsys, cifar10, how, message):
    assert main([*SMALL, "--cifar10", str(spoiled(cifar10, how))]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("limitpoint table1: ")
    assert re.search(message, line)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cifar10", "nowhere"], "nowhere: no such file or folder"),
        (["--per-class", "0"], "'0': must be a whole number >= 1"),
        (["--steps", "-3"], "'-3': must be a whole number >= 1"),
        (["--csv", "no-such-folder/table.csv"], "no folder no-such-folder"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(capsys, words, message):
    try:
        code = main(["table1", *words])
    except SystemExit as exc:
        code = exc.code
    assert code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_too_few_images_of_a_class_are_one_line(capsys, cifar10):
    assert main(["table1", "--cifar10", str(cifar10), "--per-class", "3"]) == 2
    assert "2 images of class 0; 3 are needed" in capsys.readouterr().err


def test_a_wrong_path_to_cifar10_is_wrong_usage(pytester):
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("--cifar10", "nowhere")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*nowhere: no such file or folder*"])
