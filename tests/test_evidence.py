"""Each relation accepts what it should and refuses what it should."""

import json
import math

import numpy as np
import pytest
import torch

from limitpoint import evidence


def test_close_reports_the_entry_with_the_least_slack():
    found = evidence.close("q", torch.tensor([1.0, 2.5]), [1.0, 2.0], 1.0, "given")
    assert (found.measured, found.expected, found.slack, found.entries) == (2.5, 2.0, 0.5, 2)
    assert found.holds


@pytest.mark.parametrize("measured", [math.nan, math.inf, -math.inf, 1.2])
def test_close_refuses(measured):
    assert not evidence.close("q", measured, 1.0, 0.1, "given").holds


def test_a_tolerance_of_zero_means_equality():
    assert evidence.close("q", 1.0, 1.0, 0.0, "exact").holds
    assert not evidence.close("q", 1.0 + 2**-52, 1.0, 0.0, "exact").holds


def test_identity_is_relative_to_the_largest_entry():
    assert evidence.identity("q", [1e6 + 1, 0.5], [1e6, 0.0], 1e-6, "given").holds
    assert not evidence.identity("q", [1e6 + 3, 0.0], [1e6, 0.0], 1e-6, "given").holds


@pytest.mark.parametrize(
    ("relation", "good", "bad"), [(evidence.at_most, 0.9, 1.2), (evidence.at_least, 1.1, 0.8)]
)
def test_one_sided(relation, good, bad):
    assert relation("q", good, 1.0, 0.1, "given").holds
    assert not relation("q", bad, 1.0, 0.1, "given").holds
    assert not relation("q", math.nan, 1.0, 0.1, "given").holds


def test_one_sided_allows_its_tolerance_and_no_more():
    assert evidence.at_most("q", 1.1, 1.0, 0.1 + 1e-12, "given").holds
    assert not evidence.at_most("q", 1.1 + 1e-9, 1.0, 0.1, "given").holds


def test_ordering_is_strict():
    assert evidence.ordering("q", [1.0, 2.0], [1.1, 2.1], "given").holds
    assert not evidence.ordering("q", [1.0, 2.0], [1.1, 2.0], "given").holds
    assert not evidence.ordering("q", 1.0, 1.1, "given", gap=0.2).holds


def test_rate_wants_the_whole_confidence_interval_inside():
    x = np.geomspace(1, 1e3, 30)
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal(30))
    assert evidence.rate("q", x, x**-1.0 * noise, -1.1, -0.9, "given").holds
    assert not evidence.rate("q", x, x**-1.0 * noise, -1.0005, -0.9995, "given").holds
    assert not evidence.rate("q", x, x**-0.5, -1.1, -0.9, "given").holds


def test_the_slack_of_a_rate_is_the_room_over_half_the_interval():
    x = np.geomspace(1, 1e3, 30)
    for power, low, high, slack in (
        (-0.75, -1.0, 0.0, 0.5),
        (-0.625, -0.5, 0.0, -0.5),
        (-0.25, -math.inf, 0.0, 0.25),
        (0.25, -math.inf, 0.0, -0.25),
    ):
        found = evidence.rate("q", x, x**power, low, high, "given")
        assert found.slack == pytest.approx(slack, abs=1e-6)


def test_rate_refuses_a_short_window():
    with pytest.raises(ValueError, match="two decades"):
        evidence.rate("q", [1, 2, 3], [1, 2, 3], 0, 2, "given")


def test_a_tolerance_must_say_where_it_comes_from():
    with pytest.raises(ValueError, match="tolerance comes from"):
        evidence.close("q", 1.0, 1.0, 0.1, "")


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="nothing was measured"):
        evidence.close("q", [], [], 0.1, "given")


def test_json_has_no_nan():
    found = evidence.close("q", math.nan, 1.0, 0.1, "given").as_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["measured"] is None
