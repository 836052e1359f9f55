import json

import pytest

from limitpoint.cli import main
from limitpoint.views.tables.margins import contenders, data, margins


@pytest.fixture(scope="module")
def frame():
    return margins(steps=2000, seed=1)


@pytest.mark.parametrize("name", contenders(data(1)))
def test_each_is_nearest_to_the_optimum_in_its_own_norm(frame, name):
    assert frame.loc[name].idxmax() == contenders(data(1))[name].norm


def test_nothing_is_above_the_certified_optimum(frame):
    assert frame.to_numpy().max() <= 1 + 1e-6


def test_the_command_prints_the_frame(frame, capsys):
    assert main(["margins", "--steps", "2000", "--seed", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row.pop("optimizer") for row in rows] == list(frame.index)
    assert [list(row.values()) for row in rows] == frame.to_numpy().tolist()


def test_the_table_names_each_norm(capsys):
    assert main(["margins", "--steps", "10"]) == 0
    shown = capsys.readouterr().out
    assert all(norm in shown for norm in ("1-norm", "max-norm", "spectral norm"))


def test_no_steps_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["margins", "--steps", "0"])
    assert stopped.value.code == 2
    assert "whole number >= 1" in capsys.readouterr().err
