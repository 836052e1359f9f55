"""A sweep or an atlas that is killed: the rows that were there are there, once."""

import random
from types import SimpleNamespace

import pandas as pd
from killing import told_by

from limitpoint.atlas import Atlas, Row
from limitpoint.sweeps import Rows


def test_rows_of_killed_sweeps(tmp_path, times):
    rng, path = random.Random(18), tmp_path / "rows.csv"
    of = SimpleNamespace(name="m", axes={"x": ()}, rows_a_point=2)
    whole = [[{"x": float(x), "y": x / 3}, {"x": float(x), "y": x / 7}] for x in range(400)]

    def measure(say):
        rows = Rows(of, path)
        for (point,) in rows.missing({"x": tuple(map(float, range(400)))}):
            rows.add(pd.DataFrame(whole[int(point)]))
            say(point)

    for _ in range(times(6, 300)):
        told = told_by(measure, rng.uniform(0, 0.05))
        rows = Rows(of, path) if path.exists() else None
        assert {(float(x),) for x in told} <= (rows.done if rows else set())
        if rows and len(rows.done) == 400:
            path.unlink()
    measure(lambda _: None)
    kept = Rows(of, path).frame({"x": tuple(map(float, range(400)))})
    assert kept.to_dict("records") == [row for point in whole for row in point]


def test_rows_of_a_killed_atlas(tmp_path, times):
    """Five thousand rows, or as many as there is time for."""
    rng, path, count = random.Random(18), tmp_path / "atlas.jsonl", times(500, 5000)
    whole = {f"a:{k}": Row(target=f"a:{k}", versions={}, why="w" * k) for k in range(count)}

    def judge(say):
        atlas = Atlas(path)
        for target in whole.keys() - atlas.rows.keys():
            atlas.add(whole[target])
            say(target)
        atlas.close()

    kept = {}
    for _ in range(times(6, 300)):
        told = told_by(judge, rng.uniform(0, 0.05))
        found = Atlas(path).rows
        assert kept.keys() | set(told) <= found.keys()
        kept = found
    told_by(judge)
    assert Atlas(path).rows == whole
    assert path.read_bytes().count(b"\n") == count


def test_an_atlas_cut_at_any_byte(tmp_path):
    path, rows = tmp_path / "atlas.jsonl", [Row(target=f"a:{k}", versions={}) for k in range(3)]
    for row in rows:
        Atlas(path).add(row)
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        Atlas(path).add(rows[2])
        found = [row.target for row in Atlas(path).rows.values()]
        assert found == [row.target for row in rows[: data[:end].count(b"\n")]] + ["a:2"]
