"""Sweeps: grids, rows that survive an interruption, and workers that are killed."""

import itertools
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from limitpoint import UsageError, problems, run
from limitpoint.cli import main
from limitpoint.optimizers import GD, MSAM
from limitpoint.optimizers.schedules import StepSize
from limitpoint.sweeps import MAPS, Rows, of_claim, of_rule, sweep
from limitpoint.sweeps._sweep import measure
from limitpoint.theory import amplification, measures
from limitpoint.theory.limits import max_margin
from limitpoint.workers import Workers, work

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
    alone = pd.concat([regimes.rows([point]) for point in points], ignore_index=True)
    pd.testing.assert_frame_equal(regimes.rows(points), alone, check_exact=True)


def test_one_sam_shrinks_by_its_leading_order():
    rows = MAPS["one-sam"].rows([(0.1, 0.02), (0.1, 0.04)])
    # GD's own steps shrink it a little too: the difference is what the radius does.
    assert np.diff(rows["shrinkage"]) == pytest.approx(np.diff(rows["leading"]), rel=0.15)


def test_adam_with_a_large_epsilon_turns_and_with_a_small_one_does_not():
    rows = MAPS["adam-epsilon"].rows([(1e-12,), (1.0,)])
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
    drawn = found.figure(rows.frame(grid))
    assert isinstance(drawn, Figure)
    drawn.savefig(tmp_path / "map.png")


# ------------------------------------------------------------------------------ grids of anything


def test_a_rule_on_a_problem_is_what_its_runs_are_alone():
    axes = {"rho": (0.05, 0.1), "batch_size": (1.0, 5.0), "seed": (1.0, 2.0), "decay": (0.0, 0.5)}
    found = of_rule("m-sam", "sparse_regression", axes, steps=50, fixed={"step_size": 0.02})
    rows = found.rows(list(itertools.product(*axes.values())))
    assert len(rows) == 16
    for row in (rows.iloc[0], rows.iloc[-1]):
        problem = problems.sparse_regression(int(row["seed"]))
        rule = MSAM(StepSize(0.02, row["decay"]), rho=row["rho"], batch_size=int(row["batch_size"]))
        end = run(problem, rule, 50).final
        assert row["log_loss"] == pytest.approx(float(problem.value(end).log()), rel=1e-9)
        assert row["norm_1"] == pytest.approx(
            float(problem.model.predictor(end).abs().sum()), rel=1e-9
        )


def test_the_shares_are_those_of_the_certified_margins():
    found = of_rule("gd", "clusters", {"step_size": (0.5, 1.0)}, steps=200, record=3)
    rows = found.rows([(0.5,), (1.0,)])
    assert sorted(rows["step"].unique()) == [6, 34, 200]
    data = problems.clusters(42)
    end = run(data, GD(1.0), 200).final
    best = max_margin(data.X, data.y, 2.0, classes=5).value
    share = measures.normalised_margin(data, end, 2) / best
    assert rows["share_2"].iloc[-1] == pytest.approx(float(share), rel=1e-9)


def test_a_claim_holds_up_to_the_border_of_its_hypothesis(tmp_path):
    axes = {"seed": (0.0,), "step_size": (1.9, 2.1)}
    found = of_claim("usam/gd-min-distance", axes)
    rows = Rows(found, tmp_path / "rows.csv")
    sweep(rows, axes)
    assert rows.frame(axes)["verdict"].tolist() == ["supported", "refuted"]
    slack = Rows(found, tmp_path / "rows.csv").frame(axes)["slack"]
    assert slack[0] > 0 > slack[1]
    assert isinstance(found.figure(rows.frame(axes)), Figure)


def test_a_claim_is_swept_over_the_arguments_of_a_subject():
    axes = {"momentum": (0.0, 0.9)}
    found = of_claim("stability/gd-edge", axes, subject="gd=torch.optim:SGD")
    assert found.rows([(0.0,), (0.9,)])["verdict"].tolist() == ["supported", "refuted"]


def test_a_file_is_the_command_line(tmp_path):
    (tmp_path / "grid.toml").write_text(
        'what = "signgd"\nproblem = "clusters"\nsteps = 30\nvalue = "share_max"\n'
        '[axis]\nstep_size = "0.01:0.1:3"\nseed = [1, 2]\n[fix]\nk = 3\n',
        encoding="utf-8",
    )
    by_file, by_words = tmp_path / "file.csv", tmp_path / "words.csv"
    figure = tmp_path / "grid.png"
    assert main(["sweep", str(tmp_path / "grid.toml"), "--out", str(by_file), "--figure",
                 str(figure)]) == 0  # fmt: skip
    assert main(["sweep", "signgd", "--problem", "clusters", "--steps", "30", "--fix", "k=3",
                 "--axis", "step_size=0.01:0.1:3", "--axis", "seed=1,2",
                 "--out", str(by_words)]) == 0  # fmt: skip
    assert by_file.read_text(encoding="utf-8") == by_words.read_text(encoding="utf-8")
    assert figure.exists()
    assert pd.read_csv(by_file)["map"][0] == "signgd on clusters, k=3, 30 steps"


def test_rows_go_to_parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    table = tmp_path / "rows.parquet"
    words = ["sweep", "gd", "--problem", "clusters", "--steps", "5", "--axis", "step_size=1,2"]
    assert main([*words, "--out", str(tmp_path / "r.csv"), "--parquet", str(table)]) == 0
    assert pd.read_parquet(table)["step_size"].tolist() == [1.0, 2.0]


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


def dies(task):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("cluster", [None, pytest.param("local", marks=pytest.mark.nightly)])
def test_workers_that_always_die_are_one_line(cluster):
    if cluster is not None:
        pytest.importorskip("distributed", reason="the extra cluster is not installed")
    with pytest.raises(UsageError, match=r"workers died 3 times.*the same command goes on"):
        work(lambda: [1], dies, print, Workers(2, cluster))


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
        (["minor-frst"], "no map, role or claim is called 'minor-frst'; did you mean minor-first?"),
        (["minor-first", "--axis", "rh=1"], "has no axis 'rh'"),
        (["minor-first", "--axis", "rho"], "write NAME=LOW:HIGH:COUNT"),
        (["minor-first", "--axis", "rho=0:1:4:log"], "write NAME=LOW:HIGH:COUNT"),
        (["minor-first", "--axis", "rho=1", "--axis", "rho=2"], "given twice"),
        (["minor-first", "--steps", "5"], "--steps does not go with minor-first"),
        (["adam", "--axis", "beta1=0"], "adam runs on a problem"),
        (["adam", "--problem", "clusters"], "a grid needs an axis"),
        (["adam", "--problem", "cluster", "--axis", "beta1=0"], "did you mean clusters?"),
        (["adam", "--problem", "clusters", "--axis", "rho=1"], "has no setting 'rho'"),
        (["gd", "--problem", "one_example", "--axis", "alpha=1"], "needs mu"),
        (["usam/gd-min-distance", "--axis", "rho=1"], "gd has no setting 'rho'"),
        (["usam/gd-min-distance", "--axis", "adam:beta1=1"], "one of its roles; they are: gd"),
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
