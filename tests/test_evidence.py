"""Each relation accepts what it should and refuses what it should."""

import math

import msgspec
import numpy as np
import pytest
import torch

from limitpoint import Evidence, SubjectFailed, evidence
from limitpoint.judgement.comparison import FORMULA, shown, tightest


def test_close_reports_the_entry_with_the_least_slack():
    found = evidence.close("q", torch.tensor([1.0, 2.5]), [1.0, 2.0], 1.0, "given")
    assert (found.measured, found.expected, found.slack, found.entries) == (2.5, 2.0, 0.5, 2)
    assert found.holds


@pytest.mark.parametrize("measured", [math.inf, -math.inf, 1.2])
def test_close_refuses(measured):
    assert not evidence.close("q", measured, 1.0, 0.1, "given").holds


@pytest.mark.parametrize(
    ("relation", "last"),
    [
        (evidence.close, [0.1]),
        (evidence.identity, [0.1]),
        (evidence.at_most, [0.1]),
        (evidence.at_least, [0.1]),
        (evidence.ordering, []),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
@pytest.mark.parametrize("pair", [(math.nan, 1.0), (1.0, math.nan)], ids=["measured", "expected"])
def test_a_nan_is_no_evidence(relation, last, pair):
    side = "measured" if math.isnan(pair[0]) else "expected"
    with pytest.raises(SubjectFailed, match=f"q: {side} is not a number: no evidence"):
        relation("q", *pair, *last, "given")


def test_a_nan_says_where_it_was():
    x = torch.tensor([[1.0, 1.0], [1.0, math.nan]])
    with pytest.raises(SubjectFailed, match="not a number, step 20, entry 1: no evidence"):
        evidence.close("q", x, 1.0, 0.1, "given", along={"step": [10, 20], "entry": None})


def test_the_worst_and_the_first_violation_have_a_place():
    measured = torch.tensor([[0.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    along = {"step": torch.tensor([1, 10, 100, 1000]), "entry": None}
    found = evidence.at_most("q", measured, 1.0, 0.0, "given", along=along)
    assert found.at == {"step": 100, "entry": 0}
    assert found.first == {"step": 10, "entry": 1}
    assert str(found) == (
        "q: measured 3, expected at most 1 at step 100, entry 0, first at step 10, entry 1"
    )
    held = evidence.at_most("q", measured, 4.0, 0.0, "given", along=("step", "entry"))
    assert (held.at, held.first) == ({"step": 2, "entry": 0}, {})


@pytest.mark.parametrize(
    ("found", "text", "brief"),
    [
        (evidence.close("q", 0.84476512, 1.0, 1e-9, "g"),
         "q: measured 0.844765, expected 1 (within 1e-9)", "q: 0.844765 ≠ 1 within 1e-9"),
        (evidence.close("q", 1.09484310, 1.09484302, 1e-9, "g"),
         "q: measured 1.0948431, expected 1.09484302 (within 1e-9)",
         "q: 1.0948431 ≠ 1.09484302 within 1e-9"),
        (evidence.ordering("q", 0.0754303, 0.0731854, "g"),
         "q: measured 0.0754303, expected less than 0.0731854", "q: 0.0754303 ≥ 0.0731854"),
        (evidence.at_least("q", 1.0, 1.0 + 1e-12, 0.0, "g"),
         "q: measured 1, expected at least 1.000000000001", "q: 1 < 1.000000000001"),
        (evidence.rate("q", [1, 10, 100], [1, 1, 1], -math.inf, -0.5, "g"),
         "q: measured 0, expected at most -0.5 at x 10", "q: 0 > -0.5"),
        (evidence.close("q", 4.0, 4.0, 0.1, "g"), "q: measured 4, expected 4 (within 0.1)",
         "q: 4 = 4"),
        (evidence.close("q", 4.01, 4.0, 0.1, "g"), "q: measured 4.01, expected 4 (within 0.1)",
         "q: 4.01 ≈ 4 within 0.1"),
    ],
)  # fmt: skip
def test_no_text_says_a_relation_that_is_not_there(found, text, brief):
    assert str(found) == text
    assert found.brief == brief


@pytest.mark.parametrize(
    ("found", "slack"),
    [
        (evidence.at_most("q", 5, 5, 0, "g"), 1 / 5),
        (evidence.at_most("q", 6, 5, 0, "g"), -1 / 5),
        (evidence.at_least("q", np.array([7, 5]), 5, 0, "g"), 1 / 5),
        (evidence.close("q", torch.tensor(5), 4, 1, "g"), 1 / 2),
        (evidence.close("q", 5, 5, 0, "g"), 1.0),
        (evidence.at_most("q", True, False, 0, "g"), None),
        (evidence.at_most("q", 5.0, 5, 0, "g"), 0.0),
    ],
)
def test_an_integer_at_its_bound_has_room_up_to_the_next_one(found, slack):
    if slack is None:
        assert not found.holds
    else:
        assert found.slack == pytest.approx(slack, abs=1e-15)


def test_a_formula_that_nobody_can_fail_is_no_slack():
    formula = evidence.at_most("q", 1.0, 1.0, 0.0, "g", about=FORMULA)
    role = evidence.at_most("q", 0.5, 1.0, 0.0, "g", about="gd")
    every = evidence.at_most("q", 0.2, 1.0, 0.0, "g")
    assert tightest([formula, role, every]) is role
    assert tightest([formula]) is None
    assert [e.is_about(["adam"]) for e in (formula, role, every)] == [False, False, True]


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


def test_one_sided_allows_its_tolerance_and_no_more():
    assert evidence.at_most("q", 1.1, 1.0, 0.1 + 1e-12, "given").holds
    assert not evidence.at_most("q", 1.1 + 1e-9, 1.0, 0.1, "given").holds


def test_ordering_is_strict():
    assert evidence.ordering("q", [1.0, 2.0], [1.1, 2.1], "given").holds
    assert not evidence.ordering("q", [1.0, 2.0], [1.1, 2.0], "given").holds
    assert not evidence.ordering("q", 1.0, 1.1, "given", gap=0.2).holds


def test_rate_wants_every_local_exponent_inside():
    x = np.geomspace(1, 1e3, 30)
    assert evidence.rate("q", x, x**-1.0, -1.1, -0.9, "given").holds
    assert not evidence.rate("q", x, x**-0.5, -1.1, -0.9, "given").holds
    bent = np.where(x < 100, x**-1.0, 0.01)
    found = evidence.rate("q", x, bent, -1.1, -0.9, "given")
    assert not found.holds
    assert found.first["x"] > 100


def test_a_rate_may_look_at_few_of_the_points():
    x = np.geomspace(1, 100, 41)
    wavy = x**-1.0 * np.exp(0.05 * np.cos(np.pi * np.arange(41)))
    assert not evidence.rate("q", x, wavy, -1.1, -0.9, "given").holds
    found = evidence.rate("q", x, wavy, -1.1, -0.9, "given", points=3)
    assert found.holds
    assert found.entries == 2


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
    for x in ([1, 2, 3], [1], [1, 200, 100, 300]):
        with pytest.raises(ValueError, match="two decades"):
            evidence.rate("q", x, [1.0] * len(x), 0, 2, "given")


def test_what_is_not_positive_has_no_rate():
    with pytest.raises(SubjectFailed, match="not a number"):
        evidence.rate("q", [1, 10, 100], [1, -1, -1], -1, 0, "given")


def test_a_tolerance_must_say_where_it_comes_from():
    with pytest.raises(ValueError, match="tolerance comes from"):
        evidence.close("q", 1.0, 1.0, 0.1, "")


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="nothing was measured"):
        evidence.close("q", [], [], 0.1, "given")


def test_json_has_no_infinity():
    found = msgspec.json.decode(msgspec.json.encode(evidence.close("q", math.inf, 1.0, 0.1, "g")))
    assert (found["measured"], found["slack"]) == (None, None)


def test_one_entry_that_is_off_is_not_hidden_by_one_that_is_not():
    assert not evidence.close("q", [1.0, 1.5], [1.0, 1.0], 0.0, "exact").holds
    assert not evidence.close("q", [1.0, math.inf], [1.0, math.inf], 0.1, "g").holds


def test_a_tolerance_below_zero_is_a_slip():
    with pytest.raises(ValueError, match="must be >= 0"):
        evidence.close("q", 1.0, 1.0, -1e-9, "g")


def test_integers_are_told_by_both_sides_and_not_by_the_tolerance():
    assert evidence.close("q", 5, 4, 1.0, "g").slack == 1 / 2
    assert evidence.close("q", 5, 4.0, 1, "g").slack == 0.0


def test_identity_with_zero_is_absolute():
    assert evidence.identity("q", 1e-9, 0.0, 1e-9, "g").tolerance == 1e-9


def test_an_order_the_wrong_way_by_the_least_there_is():
    found = evidence.ordering("q", 1.0, 1.0 - 2**-53, "g")
    assert found.slack == -(2**-52)


def test_a_rate_needs_two_decades_wherever_they_begin():
    for x in ([0.1, 1.0, 9.95], [10.0, 500.0], [1.0, 50.0, 50.0, 200.0]):
        with pytest.raises(ValueError, match="two decades"):
            evidence.rate("q", x, [1.0] * len(x), -1, 1, "g")
    for x in ([10.0, 1000.0], [0.1, 20.0]):
        assert evidence.rate("q", x, [1.0, 1.0], -1, 1, "g").holds


def test_a_rate_names_the_nearer_end():
    x = np.geomspace(1, 100, 3)
    assert evidence.rate("q", x, x**-0.8, -1.0, 1.0, "g").expected == -1.0
    assert evidence.rate("q", x, x**-0.2, -1.0, 0.0, "g").expected == 0.0


def test_numbers_that_differ_in_the_last_digit_are_told_apart():
    assert shown(1.0, 1 + 2**-52) == ["1", "1.0000000000000002"]
    assert Evidence(quantity="q", slack=0.5).entries == 1


def test_a_rate_inside_its_interval_says_on_which_side_of_the_nearer_end():
    x = np.geomspace(1, 100, 3)
    assert evidence.rate("q", x, x**-0.8, -1.0, 1.0, "g").symbol == "≥"
    assert evidence.rate("q", x, x**0.8, -1.0, 1.0, "g").symbol == "≤"


def test_a_rate_outside_its_interval_says_on_which_side():
    x = np.geomspace(1, 100, 3)
    assert evidence.rate("q", x, x**-2.0, -1.0, 1.0, "g").symbol == "<"
    assert evidence.rate("q", x, x**0.5, -1.0, 0.0, "g").symbol == ">"


def test_numbers_that_differ_are_shown_with_a_digit_more_than_it_takes():
    assert shown(1.00000149, 1.00000249) == ["1.0000015", "1.0000025"]
