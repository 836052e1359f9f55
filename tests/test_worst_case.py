"""The search for worst cases finds known ones, and its functions have the constants they claim."""

import math

import pytest
import torch

from limitpoint import problems, worst_case


def test_it_finds_the_top_of_a_hill_anywhere_in_the_box():
    top = torch.tensor([0.3, -1.7, 4.0], dtype=torch.float64)
    found = worst_case(
        lambda x: -((x - top) ** 2).sum(-1), [(-2.0, 2.0), (-2.0, 2.0), (0.0, 5.0)], 0, rounds=80
    )
    assert torch.allclose(found.at, top, atol=1e-3)
    assert -1e-5 < found.ratio <= 0


def test_it_is_seeded_and_evaluates_whole_generations():
    sizes = []

    def wave(x):
        sizes.append(x.shape)
        return torch.sin(5 * x[:, 0]) * x[:, 1]

    first, again = (worst_case(wave, [(0, 3), (0, 1)], 7, rounds=4) for _ in range(2))
    assert first.ratio == again.ratio
    assert torch.equal(first.at, again.at)
    assert set(sizes) == {(80, 2)}


def test_what_is_nan_is_left_out():
    def half(x):
        return torch.where(x[:, 0] < 0.5, x[:, 0], torch.nan)

    assert worst_case(half, [(0.0, 1.0)], 1).ratio == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(("least", "bend"), [(0.05, 1.0), (0.3, 0.2), (0.9, 0.7)])
def test_a_bent_valley_has_its_constants(least, bend):
    q, s = (torch.tensor([[x]], dtype=torch.float64) for x in (least, bend))
    valley, pl = problems.bent_valley(q, s)
    edge = 1 + (1 - least) / bend
    w = torch.linspace(-3 * edge, 3 * edge, 60_001, dtype=torch.float64).reshape(-1, 1, 1)
    slope, value = valley.grad(w)[:, 0, 0], valley.value(w)[:, 0]
    step = float(w[1] - w[0])
    ratio = slope**2 / (2 * value.clamp(min=1e-300))
    assert float(ratio[value > 0].min()) == pytest.approx(float(pl), rel=1e-3)
    assert float(ratio[value > 0].min()) >= float(pl) * (1 - 1e-12)
    assert float((slope.diff().abs() / step).max()) <= 1 + 1e-9
    assert float(slope.diff().min()) < 0
    middle = (slope[1:] + slope[:-1]) / 2 * step
    assert torch.allclose(value.diff(), middle, atol=step**2)


@pytest.mark.parametrize("angle", [0.4, math.acos(0.6), 2.5])
def test_leaning_ridges_have_their_constants_at_every_angle(angle):
    ridges = problems.leaning_ridges(3.0, 0.5, angle)
    w = 4 * torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)).double() - 2
    a, b = w[:1000], w[1000:]
    change, apart = ridges.grad(a) - ridges.grad(b), a - b
    square = (apart**2).sum(-1)
    assert ((change**2).sum(-1) <= 9 * square * (1 + 1e-12)).all()
    assert ((change * apart).sum(-1) >= 0.5 * square * (1 - 1e-12)).all()
    w.requires_grad_(True)
    (slope,) = torch.autograd.grad(ridges.value(w).sum(), w)
    assert torch.allclose(slope, ridges.grad(w), atol=1e-12)


def test_leaning_ridges_stand_side_by_side():
    mu, angle = torch.tensor([0.0, 0.2, 0.5]).double(), torch.tensor([0.1, 1.0, 3.0]).double()
    w = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(1)).double()
    together = problems.leaning_ridges(1.0, mu, angle)
    for k in range(3):
        alone = problems.leaning_ridges(1.0, float(mu[k]), float(angle[k]))
        assert torch.equal(together.value(w)[:, k], alone.value(w[:, k]))
        assert torch.equal(together.grad(w)[:, k], alone.grad(w[:, k]))
