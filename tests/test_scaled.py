"""Scaled arithmetic: against mpmath at 50 digits, and against plain tensors where those suffice."""

import math

import mpmath as mp
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from limitpoint import Scaled, numerics

EPS = 2.0**-53
# One slow first call, of torch or of mpmath, is no failure.
unhurried = settings(deadline=None)

mantissas = st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)
exponents = st.integers(-(10**5), 10**5)


def tensor(*entries: float) -> torch.Tensor:
    return torch.tensor(entries, dtype=torch.float64)


def value(*pairs: tuple[float, float]) -> Scaled:
    """Entries given as (mantissa, exponent of two)."""
    return Scaled(*(tensor(*part) for part in zip(*pairs, strict=True)))


def exact(x: Scaled) -> list[mpf]:
    """The values that the entries stand for; each is in normal form."""
    found = []
    for m, e in zip(x.mantissa.tolist(), x.exponent.tolist(), strict=True):
        assert (0.5 <= abs(m) < 1 and e == round(e)) or (m, e) == (0.0, numerics.LEAST)
        found.append(mpf(m) * mpf(2) ** int(e))
    return found


def agrees(x: Scaled, expected: list[mpf], relative: float) -> None:
    for found, wanted in zip(exact(x), expected, strict=True):
        assert abs(found - wanted) <= relative * abs(wanted)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


# -- operators --------------------------------------------------------------------------------


@unhurried
@given(mantissas, exponents, mantissas, exponents)
def test_products_quotients_and_sums_are_rounded_once(a, s, b, t):
    x, y = value((a, s)), value((b, t))
    (p,), (q,) = exact(x), exact(y)
    agrees(x * y, [p * q], EPS)
    agrees(x / y, [p / q], EPS)
    for found, wanted in ((x + y, p + q), (x - y, p - q)):
        assert abs(exact(found)[0] - wanted) <= EPS * max(abs(p), abs(q)) * 2


@unhurried
@given(mantissas, exponents, st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_of_any_size_multiplies_and_divides(a, s, b):
    assume(b != 0)
    x = value((a, s))
    for product in (x * b, b * x, x * tensor(b), tensor(b) * x):
        agrees(product, [exact(x)[0] * mpf(b)], EPS)
    agrees(x / b, [exact(x)[0] / mpf(b)], EPS)
    agrees(b / x, [mpf(b) / exact(x)[0]], EPS)
    agrees(-x, [-exact(x)[0]], 0)
    agrees(abs(x), [abs(exact(x)[0])], 0)


@unhurried
@given(mantissas, exponents)
def test_roots_squares_and_logarithms(a, s):
    x = value((a, s))
    agrees(numerics.square(x), [exact(x)[0] ** 2], EPS)
    agrees(numerics.sqrt(abs(x)), [mp.sqrt(abs(exact(x)[0]))], EPS)
    logarithm = float(mp.log(abs(exact(x)[0])))
    assert numerics.log(abs(x)).item() == pytest.approx(logarithm, rel=4 * EPS, abs=4 * EPS)
    assert numerics.sign(x).item() == math.copysign(1, a)


@unhurried
@given(st.floats(-1e5, 1e5))
def test_exponentials_of_any_size(x):
    agrees(numerics.exp(tensor(x)), [mp.exp(mpf(x))], 4 * EPS)


def test_exponentials_of_no_number():
    found = numerics.exp(tensor(-math.inf, math.inf, math.nan, -1e300, 0.0))
    assert found.mantissa[0] == found.mantissa[3] == 0
    assert found.mantissa[1] == math.inf
    assert bool(found.mantissa[2].isnan())
    assert exact(found.map(lambda part: part[4:])) == [1]


@unhurried
@given(st.floats(allow_nan=False))
def test_a_plain_tensor_there_and_back(x):
    assert numerics.scaled(tensor(x)).tensor().item() == x


def test_float64s_ends_are_rounded_as_float64_does():
    x = value((0.75, -1073), (0.75, -1076), (0.75, 1024), (0.75, 1025), (-1.0, 5000), (1.0, -5000))
    assert x.tensor().tolist() == [5e-324 * 2, 0.0, 0.75 * 2.0**1023 * 2, math.inf, -math.inf, 0.0]


# -- each entry has its own exponent --------------------------------------------------------------


def test_a_zero_has_no_scale():
    """0 e^0 + 1 e^-800: with the scale of the zero the sum would be zero."""
    small = numerics.exp(tensor(-800.0))
    agrees(numerics.scaled(tensor(0.0)) + small, [exact(small)[0]], 0)
    zero = Scaled(tensor(0.0), tensor(1e6))
    assert zero.exponent.item() == numerics.LEAST
    assert zero.log_abs().item() == -math.inf
    assert numerics.sqrt(zero).exponent.item() == (zero * zero).exponent.item() == numerics.LEAST


@unhurried
@given(mantissas, exponents, mantissas, exponents)
def test_no_entry_is_lost_beside_another(a, s, b, t):
    x = value((a, s), (b, t))
    agrees(numerics.square(x), [p * p for p in exact(x)], EPS)
    ones = numerics.ratio(x, numerics.sqrt(numerics.square(x)))
    torch.testing.assert_close(ones, tensor(a, b).sign(), rtol=4 * EPS, atol=0.0)


@unhurried
@given(st.lists(st.tuples(mantissas, exponents), min_size=1, max_size=6))
def test_sums_keep_their_digits(pairs):
    x = value(*pairs)
    terms = exact(x)
    found = exact(numerics.total(x, 0).map(lambda part: part.reshape(1)))[0]
    assert abs(found - mp.fsum(terms)) <= 8 * EPS * max(abs(p) for p in terms)


@pytest.mark.parametrize("below", [3, 100, 2000, 90_000])
def test_where_the_largest_terms_cancel_the_next_decide(below):
    x = value((1.0, 50), (0.75, 50 - below), (-1.0, 50), (0.5, 50 - 2 * below))
    expected = mpf(0.75) * mpf(2) ** (50 - below) + mpf(0.5) * mpf(2) ** (50 - 2 * below)
    agrees(numerics.total(x, 0, keepdim=True), [expected], 2 * EPS)
    assert numerics.total(value((1.0, 9), (-1.0, 9)), 0).mantissa.item() == 0


@unhurried
@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=3, max_size=3),
    st.lists(st.tuples(mantissas, exponents), min_size=6, max_size=6),
)
def test_weighted_sums_of_rows(rows, pairs):
    """Sparse rows under weights of any size: an input may be in light examples alone."""
    X = torch.tensor(rows, dtype=torch.float64)
    weights = value(*pairs).map(lambda part: part.reshape(3, 2))
    found = numerics.combine(weights, X)
    for c in range(2):
        column = exact(weights.map(lambda part, c=c: part[:, c]))
        got = exact(found.map(lambda part, c=c: part[c]))
        for j in range(3):
            terms = [s * mpf(x[j]) for s, x in zip(column, rows, strict=True)]
            assert abs(got[j] - mp.fsum(terms)) <= 8 * EPS * max(abs(term) for term in terms)


def test_weighted_sums_of_a_batch_that_shares_its_rows():
    X = torch.eye(2, dtype=torch.float64)
    weights = numerics.exp(tensor(-1.0, -5000.0, 3.0, 2000.0).reshape(2, 2, 1))
    found = numerics.combine(weights, X)
    torch.testing.assert_close(found.log_abs(), tensor(-1, -5000, 3, 2000).reshape(2, 1, 2))


@unhurried
@given(st.lists(st.tuples(mantissas, exponents), min_size=2, max_size=5))
def test_norms(pairs):
    x = value(*pairs)
    sizes = [abs(p) for p in exact(x)]
    for p in (1, 1.5, 2, 3):
        norm = mp.fsum(size**p for size in sizes) ** (mpf(1) / p)
        agrees(numerics.vector_norm(x, p, [-1]), [norm], 64 * EPS)
    agrees(numerics.vector_norm(x, math.inf, [-1]), [max(sizes)], 0)


@pytest.mark.parametrize("exponent", [0, -(10**6), -(2**50)])
def test_a_unit_vector_is_exact_however_small_the_vector(exponent):
    x = value((3.0, exponent), (4.0, exponent))
    unit = numerics.ratio(x, numerics.vector_norm(x, 2, [-1]))
    torch.testing.assert_close(unit, tensor(0.6, 0.8), rtol=4 * EPS, atol=0.0)


def test_the_norm_of_zero_is_zero_and_its_direction_too():
    zero = numerics.zeros_like(tensor(1.0, 2.0))
    for p in (1, 2, math.inf):
        norm = numerics.vector_norm(zero, p, [-1])
        assert norm.mantissa.item() == 0
        assert numerics.ratio(zero, norm).tolist() == [0, 0]
    assert numerics.ratio(tensor(1.0), tensor(0.0)).item() == 0


# -- meeting others -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e15, 1e16, 1e17, 1e30, 1e200])
def test_exponents_that_float64_cannot_count_keep_equal_powers_equal(size):
    """A flow's margins pass 1e15: entries of one slope keep their ratio, zeros and signs."""
    slope = numerics.exp(tensor(-size, -size, -math.inf, -2 * size))
    g = slope * tensor(0.3, -7e-20, 1.0, 1.0)
    longest = numerics.largest(g, (0,))
    assert numerics.ratio(g, longest).tolist() == pytest.approx([1, -7e-20 / 0.3, 0, 0], rel=EPS)
    for same in (g * 8.0 / 8.0, (g * g).sqrt().signed(g.sign()), (g * 0.1) * 10.0):
        assert numerics.ratio(same, g).tolist() == pytest.approx([1, 1, 0, 1], rel=4 * EPS)
    first = slope.map(lambda part: part[:1])
    assert numerics.ratio(g / first * first, longest)[:2].tolist() == pytest.approx(
        [1, -7e-20 / 0.3], rel=4 * EPS
    )
    length = numerics.ratio(numerics.vector_norm(g, 2.0, (0,)), longest)
    assert float(length) == pytest.approx(1.0, rel=4 * EPS)
    assert bool((g - g).mantissa.eq(0).all())


def test_a_plain_tensor_defers_to_scaled():
    x = numerics.exp(tensor(-2000.0))
    assert isinstance(tensor(2.0) * x, Scaled)
    assert (tensor(2.0) * x).log_abs().item() == pytest.approx(math.log(2) - 2000)


@pytest.mark.parametrize("meet", ["x + y", "y + x", "x - y", "y - x", "x == y"])
@pytest.mark.parametrize("other", [1.0, torch.ones(1, dtype=torch.float64)], ids=type)
def test_a_sum_with_a_plain_tensor_has_to_be_said(meet, other):
    with pytest.raises(TypeError, match=r"x\.tensor\(\)"):
        eval(meet, {"x": numerics.scaled(1.0), "y": other})


def test_equality_is_that_of_values():
    x = value((1.0, -2000), (3.0, 4))
    assert (x == value((4.0, -2002), (6.0, 3))).tolist() == [True, True]
    assert (x != value((1.0, -2001), (3.0, 4))).tolist() == [True, False]


def test_no_number_stays_none():
    x = value((math.nan, 0), (math.inf, 0), (1.0, 3000))
    assert x.tensor()[:2].isnan().tolist() == [True, False]
    assert not bool(numerics.total(x, 0).mantissa.isfinite())
    assert not bool((x + value((1.0, 9), (1.0, 9), (1.0, 9))).mantissa[:2].isfinite().any())


def test_signs_may_be_zero():
    found = numerics.scaled(tensor(3.0, -4.0, 5.0)).signed(tensor(-1.0, 0.0, 1.0))
    assert found.tensor().tolist() == [-3.0, 0.0, 5.0]


@pytest.mark.parametrize("number", [-5e-324, 5e-324, -1e-200, -1e308, 1e200])
def test_a_number_at_the_ends_of_float64_scales(number):
    x = value((0.75, 3000), (-0.5, -3000))
    agrees(x * number, [part * mpf(number) for part in exact(x)], EPS)
    agrees(x / number, [part / mpf(number) for part in exact(x)], EPS)


def test_an_exponent_that_float64_does_not_hold_to_the_unit():
    """2^54 + 3 is no float64: what is missing of it is in the mantissa."""
    product = value((0.5, 2.0**54)) * value((0.5, 3.0))
    assert product.far
    assert product.mantissa.item() * 2 ** (product.exponent.item() - 2.0**54) == 2.0


def test_the_larger_of_each_pair():
    x, y = value((0.5, 3000), (-0.5, 7)), value((0.5, 4000), (0.5, 4))
    for found in (x.maximum(y), y.maximum(x)):
        assert exact(found) == exact(y)
