"""Curves of comparisons: what is kept of a run along its steps, and how it is drawn."""

import math
import re
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from limitpoint import Ledger, Record, all_claims, evaluate, evidence
from limitpoint.judgement.comparison import Curve
from limitpoint.judgement.curve import POINTS
from limitpoint.ledger import Environment, Suite
from limitpoint.ledger.gate import as_baseline
from limitpoint.rivals import RIVALS
from limitpoint.views.curves import SHOWN, drawn, svg
from limitpoint.views.report import render

STEPS = np.arange(5000)


def bound(measured, bound, *, along=("step",)):
    return evidence.at_most("the loss", measured, bound, 0.0, "exact", along=along)


def test_a_few_dozen_points_say_where_a_run_of_thousands_went():
    found = bound(np.exp(-STEPS / 900), 1.5 / (1 + STEPS / 900)).curve
    assert POINTS - 8 <= len(found.at) <= POINTS + 3
    assert (found.axis, found.at[0], found.at[-1]) == ("step", 0, 4999)
    assert found.expected[0] == 1.5
    assert found.off[0] == -0.5


def test_the_first_violation_and_the_worst_place_are_points():
    measured = np.where(STEPS == 1234, 2.0, 0.5) + np.where(STEPS == 4321, 3.0, 0.0)
    found = bound(measured, 1.0)
    assert {1234, 4321} <= set(found.curve.at)
    assert found.first == {"step": 1234}


def test_of_many_entries_the_one_is_followed_that_is_violated_first():
    measured = np.zeros((10, 3))
    measured[6:, 2], measured[8:, 0] = 5.0, 9.0
    found = bound(measured, 1.0, along=("step", "entry")).curve
    assert found.off == (*[-1.0] * 6, *[4.0] * 4)


def test_places_may_be_named():
    found = bound(np.ones(5), 2.0, along={"time": np.array([0.0, 0.5, 1.0, 1.5, 9.0])}).curve
    assert (found.axis, found.at) == ("time", (0.0, 0.5, 1.0, 1.5, 9.0))


@pytest.mark.parametrize("along", [(), ("entry",)])
def test_what_has_no_order_has_no_curve(along):
    assert bound(np.ones(50), 2.0, along=along).curve is msgspec.UNSET


def test_a_short_one_is_no_curve():
    assert bound(np.ones(3), 2.0).curve is msgspec.UNSET


def test_what_is_not_finite_is_left_out():
    found = bound(np.array([1.0, math.inf, 1.0, 1.0]), np.array([2.0, 2.0, 2.0, math.inf]))
    assert found.curve.off == (-1.0, None, -1.0, None)
    again = msgspec.json.decode(msgspec.json.encode(found), type=evidence.Evidence)
    assert again.curve == found.curve
    assert svg(found)


def record(name="usam/one", *found):
    return Record(
        id=name, source="s", statement="s", kind="bound", roles=("gd",), subject=None, seed=42,
        engine="auto", device="cpu", horizon="quick", verdict="supported", reason="",
        evidence=found, seconds=0.1, reproduce="pytest",
    )  # fmt: skip


def test_a_baseline_has_none():
    ledger = Ledger(Suite(), Environment(), [record("usam/one", bound(np.ones(50), 2.0))])
    (kept,) = as_baseline(ledger).claims
    assert kept.evidence[0].curve is msgspec.UNSET
    assert b"curve" not in msgspec.json.encode(kept)


# ----------------------------------------------------------------------------------------- drawing


def paths(found):
    tree = ElementTree.fromstring(svg(found))
    return {node.get("class"): node.get("d") or "" for node in tree if node.get("class")}


def test_a_bound_is_a_line_and_a_violation_a_ring():
    assert set(paths(bound(np.ones(9), 2.0))) == {"axes", "measured", "expected"}
    assert set(paths(bound(np.arange(9.0), 4.0))) == {"axes", "measured", "expected", "first"}


def test_a_tolerance_is_a_band():
    wide = evidence.close("w", np.linspace(0, 1, 9), 0.5, 1.0, "wide", along=("step",))
    assert "band" in paths(wide)


def test_a_difference_too_small_to_be_seen_is_drawn_in_units_of_its_tolerance():
    exact = np.linspace(1, 2, 9)
    near = evidence.identity("w", exact + 4e-13, exact, 1e-12, "rounding", along=("step",))
    assert "off in tolerances" in svg(near)
    same = evidence.identity("w", exact, exact, 1e-12, "rounding", along=("step",))
    assert "off in tolerances" not in svg(same)
    far = evidence.identity("w", exact + STEPS[:9], exact, 1e-12, "rounding", along=("step",))
    assert "off in tolerances" not in svg(far)


def test_many_decades_take_a_logarithm():
    found = paths(bound(10.0 ** -np.arange(9), 10.0 ** -np.arange(9) * 2))["measured"]
    heights = [float(point.split()[1]) for point in re.split("[ML]", found)[1:]]
    assert np.diff(heights) == pytest.approx(np.diff(heights).mean(), abs=0.2)


def test_what_a_strangers_ledger_says_is_text_or_nothing():
    odd = Curve("<b>", (0.0, 1.0, 2.0, 3.0), (1.0,) * 4, (1.0,) * 4, (0.0,) * 4)
    found = evidence.Evidence(quantity="<script>", slack=1.0, curve=odd)
    assert "<script>" not in svg(found)
    assert "<b>" not in svg(found)
    for curve in (
        Curve("step", (), (), (), ()),
        Curve("step", (0.0, 1.0), (1.0,), (), ()),
        Curve("step", (0.0, 1e308), (-1e308, 1e308), (1e308, 1e308), (0.0, 0.0)),
        Curve("step", (None, 1.0), (None, None), (None, None), (0.0, 0.0)),
    ):
        assert "nan" not in svg(msgspec.structs.replace(found, curve=curve))


def test_the_report_draws_a_failing_claim_with_its_violation_first():
    claim = all_claims()["homogeneous/smoothed-margin"]
    wrong = evaluate(claim, [RIVALS["momentum"].contestant("gd")])
    page = render(Ledger(Suite(), Environment(), [wrong]))
    assert page.index('class="first"') < page.index("its increments at step")
    assert not drawn(wrong.evidence)[0].holds
    assert len(drawn([wrong.evidence[0]] * 9)) <= SHOWN
