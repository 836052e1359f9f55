"""Sweeps: grids, rows that survive an interruption, and workers that are killed."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from limitpoint import UsageError
from limitpoint.cli import main
from limitpoint.sweeps import MAPS, Rows, Workers, sweep
from limitpoint.sweeps._sweep import measure
from limitpoint.theory import amplification

SMALL = {"alpha": (2e-4, 5e-4, 2e-3), "rho": (1e-3,)}


@pytest.fixture
def regimes():
    return MAPS["minor-first"]


def test_the_regimes_are_on_their_sides_of_the_derived_borders(regimes, tmp_path):
    mu = torch.arange(1.0, 7.0, dtype=torch.float64)
    borders = amplification.survival_threshold(mu), amplification.major_first(mu)
    rho = 1e-2
    sides = [border * side * rho for border in borders for side in (0.98, 1.02)]
    rows, grid = Rows(regimes, tmp_path / "rows.csv"), {"alpha": tuple(sides), "rho": (rho,)}
    sweep(rows, grid)
    assert rows.frame(grid)["regime"].tolist() == [1, 2, 2, 3]


def test_a_batch_of_settings_is_what_each_of_them_is_alone(regimes):
    points = [(2e-4, 1e-3), (2e-3, 1e-3), (5e-3, 2e-2)]
    assert regimes.rows(points) == [row for point in points for row in regimes.rows([point])]


def test_one_sam_shrinks_by_its_leading_order():
    rows = MAPS["one-sam"].rows([(0.1, 0.02), (0.1, 0.04)])
    measured, leading = (np.array([row[name] for row in rows]) for name in ("shrinkage", "leading"))
    # GD's own steps shrink it a little too: the difference is what the radius does.
    assert np.diff(measured) == pytest.approx(np.diff(leading), rel=0.15)


def test_adam_with_a_large_epsilon_turns_and_with_a_small_one_does_not():
    rows = pd.DataFrame(MAPS["adam-epsilon"].rows([(1e-12,), (1.0,)]))
    middle = (
        rows[rows["step"].between(900, 1100)].groupby("epsilon")[["max_norm", "two_norm"]].mean()
    )
    ahead = middle["max_norm"] - middle["two_norm"]
    assert ahead[1e-12] > 0.05
    assert ahead[1.0] < -0.05


def test_what_is_there_is_not_measured_again(regimes, tmp_path, monkeypatch):
    path, grid = tmp_path / "rows.csv", SMALL
    sweep(Rows(regimes, path), grid, batch=1)
    before = path.read_text(encoding="utf-8")
    measured = []
    monkeypatch.setattr("limitpoint.sweeps._sweep.measure", lambda *task: measured.append(task))
    sweep(Rows(regimes, path), grid)
    assert measured == []
    assert path.read_text(encoding="utf-8") == before


def test_a_row_that_was_cut_is_measured_again(regimes, tmp_path):
    path = tmp_path / "rows.csv"
    sweep(Rows(regimes, path), SMALL)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-5], encoding="utf-8")
    rows = Rows(regimes, path)
    assert rows.missing(SMALL) == [(2e-3, 1e-3)]
    sweep(rows, SMALL)
    assert path.read_text(encoding="utf-8") == whole


def test_a_point_with_some_of_its_rows_is_measured_again(tmp_path):
    path, grid = tmp_path / "rows.csv", {"epsilon": (1e-3,)}
    sweep(Rows(MAPS["adam-epsilon"], path), grid)
    whole = path.read_text(encoding="utf-8")
    path.write_text("".join(whole.splitlines(keepends=True)[:30]), encoding="utf-8")
    rows = Rows(MAPS["adam-epsilon"], path)
    assert rows.missing(grid) == [(1e-3,)]
    sweep(rows, grid)
    assert len(rows.frame(grid)) == 60


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_drawn(name, tmp_path):
    found = MAPS[name]
    grid = {
        axis: (values[0], values[len(values) // 2], values[-1])
        for axis, values in found.axes.items()
    }
    rows = Rows(found, tmp_path / "rows.csv")
    sweep(rows, grid)
    drawn = found.draw(rows.frame(grid))
    assert isinstance(drawn, Figure)
    drawn.savefig(tmp_path / "map.png")


# ----------------------------------------------------------------------------------- killed workers


class Killing:
    """What a worker does, but for the first one: it is killed. The flag says that it happened."""

    def __init__(self, flag):
        self.flag = flag

    def __call__(self, name, batch):
        try:
            self.flag.touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
        return measure(name, batch)


def every_point_once(path, grid):
    frame = pd.read_csv(path)
    keys = list(zip(frame["alpha"], frame["rho"], strict=True))
    assert len(keys) == len(set(keys)) == len(grid["alpha"]) * len(grid["rho"])


GRID = {"alpha": tuple(np.geomspace(2e-4, 2e-3, 4)), "rho": (1e-3, 1e-2)}


def test_a_killed_process_loses_nothing(regimes, tmp_path, monkeypatch):
    monkeypatch.setattr("limitpoint.sweeps._sweep.measure", Killing(tmp_path / "killed"))
    path = tmp_path / "rows.csv"
    sweep(Rows(regimes, path), GRID, Workers(jobs=2), batch=1)
    assert (tmp_path / "killed").exists()
    every_point_once(path, GRID)


def test_a_killed_worker_of_a_cluster_loses_nothing(regimes, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
    monkeypatch.setattr("limitpoint.sweeps._sweep.measure", Killing(tmp_path / "killed"))
    path = tmp_path / "rows.csv"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        workers = Workers(cluster=cluster.scheduler_address)
        sweep(Rows(regimes, path), GRID, workers, batch=1)
    assert (tmp_path / "killed").exists()
    every_point_once(path, GRID)


# --------------------------------------------------------------------------------- the command line


def test_the_command_goes_on_where_it_stopped(tmp_path, capsys):
    words = ["sweep", "minor-first", "--out", str(tmp_path / "m.csv"), "--axis", "rho=1e-3"]
    assert main([*words, "--axis", "alpha=2e-4,5e-4"]) == 0
    assert (
        main([*words, "--axis", "alpha=2e-4,5e-4,2e-3", "--figure", str(tmp_path / "m.png")]) == 0
    )
    assert capsys.readouterr().out.startswith("2 rows: ")
    assert len(pd.read_csv(tmp_path / "m.csv")) == 3
    assert (tmp_path / "m.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["minor-frst"], "no map is called 'minor-frst'; did you mean minor-first?"),
        (["minor-first", "--axis", "rh=1"], "has no axis 'rh'"),
        (["minor-first", "--axis", "rho"], "write NAME=LOW:HIGH:COUNT"),
        (["minor-first", "--axis", "rho=0:1:4:log"], "write NAME=LOW:HIGH:COUNT"),
        (["minor-first", "--axis", "rho=1", "--axis", "rho=2"], "given twice"),
    ],
)
def test_wrong_usage_is_one_line(words, said, capsys):
    try:
        code = main(["sweep", *words])
    except SystemExit as exc:
        code = exc.code
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_a_file_of_something_else_is_refused(regimes, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no rows of minor-first"):
        Rows(regimes, path)
