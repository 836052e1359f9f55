"""Published forms that laws know, each beside a neighbour of it that they refute."""

import math

import pytest
import torch

from limitpoint import claims_of, evaluate
from limitpoint.laws import Implementation, field
from limitpoint.laws.options import LARGE_EPS, fed_by_hand
from limitpoint.recognition import recognise
from limitpoint.rivals.classes import right, sam
from limitpoint.subjects import Subject

LAWS = {claim.id.removeprefix("laws/"): claim for claim in claims_of(paper="laws")}


def judged(law, made, **options):
    return evaluate(LAWS[law], [Subject.from_object("optimizer", made, **options)])


def variant(base, name, **hooks):
    """A subclass with other hooks."""
    return type(f"{base.__name__}{name}", (base,), hooks)


# ----------------------------------------------------------------------------------- decays


class ByRatio(right.AdamW):
    """Decay of lambda lr / (first lr), as Composer's DecoupledAdamW has it."""

    power, lost = 1, 1.0

    def decayed(self, p, d, group):
        ratio = group["lr"] / group.setdefault("first", group["lr"] or 1.0)
        p.mul_(1 - self.lost * ratio**self.power * group["weight_decay"])
        return d


class CautiousDecay(right.Adam):
    """Decay where step and decay go the same way."""

    sign, lost = 1.0, 1.0

    def decayed(self, p, d, group):
        return d

    def move(self, p, s, t, d, group):
        u = self.update(s, t, d, group)
        decay = self.lost * group["weight_decay"] * p * (self.sign * u * p >= 0)
        p.sub_((group["lr"] * (u + decay)).to(p.dtype))


class Stable(right.AdamW):
    """lr / max(1, RMS) of each tensor, for step and decay (Wortsman et al. 2023, Alg. 2)."""

    power = 1

    def decayed(self, p, d, group):
        return d

    def move(self, p, s, t, d, group):
        v = s["v"] / (1 - group["betas"][1] ** t)
        size = 1 / (d * d / v).mean().sqrt().clamp_min(1.0)
        p.mul_(1 - size**self.power * group["lr"] * group["weight_decay"])
        super().move(p, s, t, d, {**group, "lr": size * group["lr"]})


class ToStart(right.SGD):
    """Coupled decay to the start (L2-SP, Li et al. 2018)."""

    lost = 1.0

    def way(self, p, group):
        start = self.state[p].setdefault("start", p.clone())
        return self.lost * group["weight_decay"] * (p - start)

    def decayed(self, p, d, group):
        return d + self.way(p, group)


class SignsToStart(right.Signum):
    """The same, decoupled, beside signs."""

    lost, way = 1.0, ToStart.way

    def decayed(self, p, d, group):
        p.sub_(group["lr"] * self.way(p, group))
        return d


class ByLayer(right.AdamW):
    """A smaller decay for its vectors and first matrices, by an option of its own."""

    def __init__(self, params, lr=1e-3, weight_decay=0.0, layer_decay=0.9):
        super().__init__(params, lr, weight_decay=weight_decay)
        self.scale = layer_decay

    def decayed(self, p, d, group):
        p.mul_(1 - self.scale * group["lr"] * group["weight_decay"])
        return d


@pytest.mark.parametrize("made", [ByRatio, CautiousDecay, Stable, ToStart, SignsToStart])
def test_a_published_decay_is_right(made):
    assert judged("decay", made).verdict == "supported"


@pytest.mark.parametrize(
    "made",
    [
        variant(ByRatio, "Never", power=0),  # lambda alone, whatever lr
        variant(ByRatio, "Twice", power=2),
        variant(ByRatio, "Doubled", lost=2.0),
        variant(CautiousDecay, "Turned", sign=-1.0),
        variant(CautiousDecay, "Doubled", lost=2.0),
        variant(Stable, "Twice", power=2),
        variant(ToStart, "Doubled", lost=2.0),
        variant(ToStart, "Uphill", lost=-1.0),
        variant(SignsToStart, "Doubled", lost=2.0),
    ],
)
def test_a_neighbour_of_a_published_decay_is_refuted(made):
    assert judged("decay", made).verdict == "refuted"


def test_a_share_of_lr_is_a_classs_own_affair_where_its_options_are():
    class Common(ByLayer):
        def __init__(self, params, lr=1e-3, weight_decay=0.0):
            super().__init__(params, lr, weight_decay)

    assert judged("decay", ByLayer).verdict == "not-applicable"
    assert judged("decay", Common).verdict == "refuted"


# ------------------------------------------------------------------------------------ epsilons


class EAdam(right.Adam):
    """Epsilon is added to the average of squares at each step (Yuan and Gao 2020)."""

    kept = True

    def averages(self, s, d, group):
        super().averages(s, d, group)
        s["v"].add_(self.kept * group["eps"])

    def root(self, v, correction, eps):
        return ((v + (not self.kept) * eps) / correction).sqrt()


class SM3(right.Hooked):
    """A square is added to the least of its row and its column (Anil et al. 2019, SM3-II)."""

    def __init__(self, params, lr=0.1, eps=1e-30):
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": 0.0})

    def apply(self, p, d, group):
        s = self.state[p]
        v = torch.minimum(*s.get("most", (torch.zeros_like(d),) * 2)) + d * d
        s["most"] = v.amax(0, keepdim=True), v.amax(1, keepdim=True)
        p.sub_(group["lr"] * d / (v + group["eps"]).sqrt())


class RootOfSums(SM3):
    """Adagrad with epsilon under the root."""

    def apply(self, p, d, group):
        v = self.state[p]["v"] = self.state[p].get("v", 0.0) + d * d
        p.sub_(group["lr"] * d / (v + group["eps"]).sqrt())


def test_an_epsilon_in_the_memory_is_right_and_one_in_the_root_is_refuted():
    assert judged("first-step", EAdam).verdict == "supported"
    assert judged("averages", EAdam).verdict == "supported"
    assert judged("first-step", variant(EAdam, "InRoot", kept=False)).verdict == "refuted"


def test_the_place_of_epsilon_is_judged_in_sums_of_squares_alone():
    assert judged("first-step", SM3).verdict == "not-applicable"
    assert judged("first-step", RootOfSums).verdict == "refuted"


# --------------------------------------------------------------------------------- averages


class NAdamW(right.AdamW):
    """Nesterov's look-ahead, corrected for the average alone."""

    ahead = staticmethod(lambda beta, m, d, t: beta * m + (1 - beta) * d)

    def update(self, s, t, d, group):
        beta1, beta2 = group["betas"]
        m = self.ahead(beta1, s["m"], d, t)
        return m / (1 - beta1**t) / self.root(self.second(s, group), 1 - beta2**t, group["eps"])


class Dozat(right.AdamW):
    """The same, corrected for both, as optax's nadam."""

    def update(self, s, t, d, group):
        beta1, beta2 = group["betas"]
        m = beta1 * s["m"] / (1 - beta1 ** (t + 1)) + (1 - beta1) * d / (1 - beta1**t)
        return m / self.root(self.second(s, group), 1 - beta2**t, group["eps"])


class Arc(right.AdamW):
    """Adam-atan2."""

    size, power = 1.0, 0.5

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, lr, betas, weight_decay=weight_decay)

    def update(self, s, t, d, group):
        beta1, beta2 = group["betas"]
        root = (s["v"] / (1 - beta2**t)) ** self.power
        return self.size * torch.atan2(s["m"] / (1 - beta1**t), root)


class Cautious(right.AdamW):
    """No step where it disagrees with the gradient."""

    sign, rest = 1.0, 0.0
    over = staticmethod(lambda mask: 1.0)

    def update(self, s, t, d, group):
        u = super().update(s, t, d, group)
        mask = (self.sign * u * d > 0).to(u.dtype)
        return u * (mask + self.rest * (1 - mask)) / self.over(mask)


class CautiousLion(right.Lion):
    """The same of signs."""

    sign = 1.0

    def apply(self, p, d, group):
        before = p.clone()
        super().apply(p, d, group)
        p.copy_(torch.where(self.sign * (before - p) * d > 0, p, before))


class ScheduleFreeAdam(right.Adam):
    """The weights are the average of iterates, or lie between it and the fast one, as in SGD's."""

    share, late = 1.0, 0

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8):
        super().__init__(params, lr, betas, eps)

    def fresh(self, p):
        return {**super().fresh(p), "x": p.clone(), "z": p.clone()}

    def move(self, p, s, t, d, group):
        beta1, beta2 = group["betas"]
        s["z"].sub_(group["lr"] * d / self.root(s["v"], 1 - beta2**t, group["eps"]))
        s["x"].lerp_(s["z"], 1 / max(1, t - self.late))
        p.copy_(torch.lerp(s["z"], s["x"], self.share or beta1))


MEAN = {"over": staticmethod(lambda mask: mask.mean().clamp_min(1e-3))}
COUNT = {"over": staticmethod(lambda mask: (mask.sum() + 1) / mask.numel())}


@pytest.mark.parametrize(
    "made",
    [
        NAdamW,
        Dozat,
        Arc,
        variant(Arc, "OfOne", size=4 / math.pi),
        variant(Arc, "OfNearlyOne", size=1.27),
        Cautious,
        variant(Cautious, "Mean", **MEAN),
        variant(Cautious, "Count", **COUNT),
        CautiousLion,
        ScheduleFreeAdam,
        variant(ScheduleFreeAdam, "Between", share=None),
    ],
)
def test_a_published_average_is_right(made):
    assert judged("averages", made).verdict == "supported"
    assert judged("first-step", made).verdict != "refuted"


@pytest.mark.parametrize(
    ("law", "made"),
    [
        ("first-step", variant(NAdamW, "Added", ahead=staticmethod(
            lambda beta, m, d, t: m + beta * d))),
        ("averages", variant(NAdamW, "OnlyOnce", ahead=staticmethod(
            lambda beta, m, d, t: beta * m + (1 - beta) * d if t == 1 else m))),
        ("averages", variant(Arc, "Doubled", size=2.0)),
        ("averages", variant(Arc, "OfTwo", size=8 / math.pi)),
        ("averages", variant(Arc, "WithoutRoot", power=1.0)),
        ("averages", variant(Cautious, "Turned", sign=-1.0)),
        ("first-step", variant(Cautious, "TurnedByHalf", sign=-1.0, rest=0.5)),
        ("averages", variant(Cautious, "ByHalf", rest=0.5)),
        ("averages", variant(CautiousLion, "Turned", sign=-1.0)),
        ("averages", variant(ScheduleFreeAdam, "Late", late=1)),
        ("averages", variant(ScheduleFreeAdam, "Turned", share=0.1)),
    ],
)  # fmt: skip
def test_a_neighbour_of_a_published_average_is_refuted(law, made):
    assert judged(law, made).verdict == "refuted"


# ------------------------------------------------------------------------------------ momenta


class Corrected(right.Averaged):
    """Along an average that is corrected for its start from zero."""

    late = 0

    def average(self, p, group):
        self.age, self.mu = self.state[p].get("age", 0) + 1, group["momentum"]
        self.state[p]["age"] = self.age
        return super().average(p, group)

    def direction(self, p, b):
        return b / (1 - self.mu ** (self.age + self.late))


class FromFirst(right.Averaged):
    """Along an average from the first gradient, as STORM at given gradients."""

    late = 0

    def average(self, p, group):
        return self.state[p].setdefault("b", p.grad / (1 + self.late))

    def direction(self, p, b):
        return b


class ScheduleFree(right.Hooked):
    """Gradients between a fast iterate and its average; the parameter is where they are taken."""

    late = 0

    def __init__(self, params, lr=0.1, momentum=0.9, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def apply(self, p, d, group):
        s = self.state[p]
        if not s:
            s |= {"t": 0, "z": p.clone(), "x": p.clone()}
        s["t"] += 1
        s["z"].sub_(d, alpha=group["lr"])
        s["x"].lerp_(s["z"], 1 / (s["t"] + self.late))
        p.copy_(torch.lerp(s["z"], s["x"], group["momentum"]))


@pytest.mark.parametrize("made", [Corrected, FromFirst, ScheduleFree])
def test_a_published_momentum_is_right_and_its_neighbour_is_refuted(made):
    assert judged("heavy-ball", made).verdict == "supported"
    assert judged("heavy-ball", variant(made, "Late", late=1)).verdict == "refuted"


# ------------------------------------------------------------------------------------ ascents


class Fisher(sam.SAM):
    """Climbs in the ball of the diagonal Fisher."""

    def __init__(self, params, base_optimizer=torch.optim.SGD, rho=0.05, eta=1.0, **options):
        super().__init__(params, base_optimizer, rho, **options)
        self.eta = eta

    def direction(self, p, group):
        return p.grad / (1 + self.eta * p.grad**2)

    def weighted(self, p, group):
        return p.grad / (1 + self.eta * p.grad**2).sqrt()


class PlainFisher(Fisher):
    """The same without an option that says so."""

    def __init__(self, params, base_optimizer=torch.optim.SGD, rho=0.05, **options):
        super().__init__(params, base_optimizer, rho, **options)


class ByTensor(Fisher):
    """SAM in one tensor, and none in two groups: right in one case, wrong in another."""

    def weighted(self, p, group):
        return p.grad * len(self.param_groups)

    def direction(self, p, group):
        return p.grad


def test_an_ascent_of_an_own_option_is_not_judged_by_others():
    assert judged("ascent", Fisher).verdict == "not-applicable"
    record = judged("ascent", PlainFisher)
    assert record.verdict == "refuted"
    assert "[of no known kind]" in record.reason
    assert judged("ascent", ByTensor).verdict == "refuted"


def test_an_ascent_by_the_norm_of_each_tensor_is_called_so():
    layerwise = variant(sam.SAM, "Layerwise", of=lambda self, p, factor: 1 / p.grad.norm())
    record = judged("ascent", layerwise)
    assert record.verdict == "refuted"
    assert "layerwise SAM" in record.reason


# ------------------------------------------------------------------------------------ options


class Normalised(torch.optim.Optimizer):
    """w - lr g / max(||g||, eps), or of the squared norm."""

    power = 1

    def __init__(self, params, lr=0.01, eps=1e-8):
        super().__init__(params, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        live = [(g, p) for g in self.param_groups for p in g["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for _, p in live]).norm() ** self.power
        for group, p in live:
            p.sub_(group["lr"] / self.clamped(norm, group["eps"]) * p.grad)

    def clamped(self, norm, eps):
        return norm.clamp_min(eps)


def test_an_epsilon_of_norms_is_felt_and_one_that_is_ignored_is_refuted():
    assert judged("options", Normalised).verdict == "supported"
    assert judged("options", variant(Normalised, "Squared", power=2)).verdict == "supported"
    ignores = variant(Normalised, "Ignores", clamped=lambda self, norm, eps: norm.clamp_min(1e-8))
    assert judged("options", ignores).verdict == "refuted"


@pytest.mark.parametrize("seed", range(20))
def test_the_large_epsilon_is_above_every_norm_of_a_field(seed):
    wide = field(seed, (2, 3), (4, 2), (5,))
    path = Implementation.of(torch.optim.SGD, {"lr": 0.03}).follow(wide)
    for t in range(wide.steps):
        g = torch.cat([x.flatten() for x in wide.gradients(t, wide.split(path[t]))])
        assert float(g @ g) < LARGE_EPS


# ------------------------------------------------------------------------------ fed by hand


class Sophia(right.AdamW):
    """Divides by curvatures that the training loop has to feed."""

    def fresh(self, p):
        return {**super().fresh(p), "hessian": torch.zeros_like(p)}

    def update(self, s, t, d, group):
        return (s["m"] / (s["hessian"] + 1e-15)).clamp(-1, 1)

    @torch.no_grad()
    def update_hessian(self):
        beta2 = self.param_groups[0]["betas"][1]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["hessian"].lerp_(p.grad**2, 1 - beta2)


class Helped(right.AdamW):
    """Has methods of such names that are helpers: of step's own, or of nothing that it reads."""

    def averages(self, s, d, group):
        self.update_both(s, d, group)

    def update_both(self, s, d, group):
        assert self.state
        super().averages(s, d, group)

    def compute_norms(self):
        return [self.state[p].get("norm") for g in self.param_groups for p in g["params"]]


def test_what_a_training_loop_has_to_feed_is_not_judged_without_it():
    assert fed_by_hand(Implementation.of(Sophia, {})) == "update_hessian"
    for law in ("options", "averages"):
        record = judged(law, Sophia)
        assert record.verdict == "not-applicable"
        assert "update_hessian" in record.reason


@pytest.mark.parametrize("made", [Helped, right.AdamW, torch.optim.Adam, sam.SAM])
def test_helpers_of_step_feed_nothing_by_hand(made):
    assert fed_by_hand(Implementation.of(made, {})) == ""


# -------------------------------------------------------------------------------- recognition


class Conjugate(torch.optim.Optimizer):
    """Nonlinear conjugate gradients, which on a round of steps that overshoot restart each time."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        live = [(g, p) for g in self.param_groups for p in g["params"] if p.grad is not None]
        before = [self.state[p].get("g", torch.zeros_like(p)) for _, p in live]
        turned = sum(
            float((p.grad * (p.grad - b)).sum()) for (_, p), b in zip(live, before, strict=True)
        )
        size = sum(float((b * b).sum()) for b in before)
        beta = max(0.0, turned / size) if size else 0.0
        for group, p in live:
            s = self.state[p]
            s["d"] = beta * s.get("d", torch.zeros_like(p)) - p.grad
            s["g"] = p.grad.clone()
            p.add_(s["d"], alpha=group["lr"])


def test_what_remembers_has_no_role_of_a_rule_without_memory():
    found = recognise(Subject.from_object("optimizer", Conjugate))
    assert found.roles == ()
    assert "role gd: no: it keeps gradients of steps before" in list(found.lines())


class ByRatioSGD(right.SGD):
    """Decay of lambda lr / (first lr)."""

    decayed = ByRatio.decayed
    power, lost = 1, 1.0


def test_a_role_with_a_decay_is_told_by_one():
    found = recognise(Subject.from_object("optimizer", ByRatioSGD))
    assert "gd" in found.roles
    assert "gd-decay" not in found.roles


class OwnSteps(right.Hooked):
    """Has step sizes of its own where lr is None."""

    def __init__(self, params, lr=None, weight_decay=0.0, eps=1e-3):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "eps": eps})

    def apply(self, p, d, group):
        t = self.state[p]["t"] = self.state[p].get("t", 0) + 1
        lr = 0.01 / t**0.5 if group["lr"] is None else group["lr"]
        p.sub_(lr * d / (d.abs() + group["eps"]))


def test_an_lr_of_none_is_judged_or_not_applicable():
    assert recognise(Subject.from_object("optimizer", OwnSteps, lr=None)).facts
    for law in ("options", "decay", "learning-rate", "first-step", "weights", "resume"):
        record = judged(law, OwnSteps, lr=None)
        assert record.verdict in ("supported", "not-applicable"), (law, record.reason)
