"""What the laws about torch's contract must not take for a fault, and what they tell of one."""

import pytest
import torch

from limitpoint import claims_of, evaluate
from limitpoint.rivals.classes import blocks, right, shards
from limitpoint.rivals.classes.contract import Counts
from limitpoint.subjects import Subject

LAWS = {law.id: law for law in claims_of(paper="laws")}


def judged(law, made, **options):
    return evaluate(LAWS[f"laws/{law}"], [Subject.from_object("optimizer", made, **options)])


class CountsAnew(Counts):
    """Each step makes another tensor of the count."""

    def tick(self, s):
        s["t"] = s["t"] + 1
        return int(s["t"])


class FirstRate(right.AdamW):
    """Decays by lr over the first lr, which is the same Tensor if lr is one."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.param_groups[-1].setdefault("first", self.param_groups[-1]["lr"])

    def decayed(self, p, d, group):
        p.mul_(1 - float(group["lr"] / group["first"]) * group["weight_decay"])
        return d


class Listed:
    """No torch.optim.Optimizer: it promises lists alone."""

    def __init__(self, params, lr=1e-2):
        params = list(params)
        self.param_groups = params if isinstance(params[0], dict) else [{"params": params}]
        self.param_groups = [{"lr": lr, **group} for group in self.param_groups]

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in list(group["params"]):
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad)


class Refuses(right.Adam):
    """Says in its constructor that it is for matrices."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        if any(p.ndim != 2 for p in self.param_groups[-1]["params"]):
            raise ValueError("2-D parameters only")


@pytest.mark.parametrize(
    ("law", "made"),
    [("large", CountsAnew), ("mid-training", FirstRate), ("handed-over", Listed),
     ("handed-over", Refuses), ("large", Refuses)],
)  # fmt: skip
def test_what_is_right_in_its_own_way_is_not_refuted(law, made):
    record = judged(law, made)
    assert record.verdict == "supported", record.reason


@pytest.mark.parametrize(
    ("law", "made"),
    [
        ("modes", torch.optim.Adam),
        ("mid-training", torch.optim.Rprop),
        ("large", torch.optim.LBFGS),
    ],
)
def test_who_takes_no_part_is_not_judged(law, made):
    assert judged(law, made).verdict == "not-applicable"


class Opens(right.Adam):
    """Looks into groups as if they were lists."""

    def add_param_group(self, param_group):
        super().add_param_group({**param_group, "params": list(param_group["params"])})


def test_what_raises_is_told_with_what_it_was_given():
    record = judged("handed-over", Opens)
    assert record.verdict == "refuted"
    assert record.reason.startswith("a tensor that is in no list: it raised ValueError in its")


class FirstMoment(blocks.Adafactor):
    """A first moment whose decay is a number, never None."""

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, d=1.0, beta1=0.9):
        super().__init__(params, lr, beta2_decay, d)
        for group in self.param_groups:
            group["beta1"] = beta1

    def apply(self, p, d, group):
        m, before = self.state[p].pop("m", torch.zeros_like(p)), p.clone()
        super().apply(p, d, group)
        self.state[p]["m"] = m.lerp(before - p, 1 - group["beta1"])
        p.copy_(before - self.state[p]["m"])


class FirstMomentNotClipped(FirstMoment):
    def clip(self, size, d):
        return 1.0


class WantsLoss(right.Adam):
    """Of the closure, or given: step(loss=...)."""

    def step(self, closure=None, *, loss=None):
        if closure is None and loss is None:
            raise ValueError("step(closure) or step(loss=loss)")
        return super().step(closure)


class WantsLossSavesBeside(WantsLoss, shards._SavesBeside):
    pass


class RoundsAtRandom(right.Adam):
    """A bfloat16 weight is written by stochastic rounding; its moments are float32, as saved."""

    def fresh(self, p):
        return super().fresh(p.float() if p.dtype == torch.bfloat16 else p)

    def move(self, p, s, t, d, group):
        if p.dtype != torch.bfloat16:
            return super().move(p, s, t, d, group)
        bits = (p.float() - group["lr"] * self.update(s, t, d, group)).view(torch.int32)
        noise = torch.randint_like(bits, 0, 1 << 16)
        p.copy_(((bits + noise) & -(1 << 16)).view(torch.float32))
        return None

    def averages(self, s, d, group):
        super().averages(s, d.to(s["m"].dtype), group)

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        tensors = [p for group in self.param_groups for p in group["params"]]
        for k, s in state_dict["state"].items():
            self.state[tensors[k]] |= {name: s[name].clone() for name in ("m", "v")}


class LosesItsMoment(RoundsAtRandom):
    """One that is wider than its parameter is zero once it is loaded."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for p, s in self.state.items():
            s["m"].mul_(s["m"].dtype == p.dtype)


class OwnNoise(right.SGD):
    """Noise from a generator of its own, which is saved."""

    def __init__(self, params, lr=1e-2, seed=0):
        super().__init__(params, lr)
        self.generator = torch.Generator().manual_seed(seed)

    def gradient(self, p, group):
        noise = torch.randn(p.shape, generator=self.generator, dtype=torch.float64)
        return super().gradient(p, group) + 1e-3 * noise.to(p.dtype)

    def state_dict(self):
        return {**super().state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state_dict):
        self.generator.set_state(state_dict["generator"])
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "generator"})


class OwnNoiseNotSaved(OwnNoise):
    def state_dict(self):
        return right.SGD.state_dict(self)

    def load_state_dict(self, state_dict):
        right.SGD.load_state_dict(self, state_dict)


class NonNegative(right.SGD):
    """Projected at each step, whatever the lr."""

    def apply(self, p, d, group):
        super().apply(p, d, group)
        p.clamp_(min=0)


class Creeps(right.SGD):
    """A part of each step does not know the lr."""

    def apply(self, p, d, group):
        super().apply(p, d, group)
        p.sub_(1e-3 * d)


class Polyak(right.SGD):
    """The loss over the gradient's square, at most lr, for losses above zero."""

    def call(self, closure):
        assert closure is not None, "a closure, please"
        self.loss = super().call(closure)
        return self.loss

    def apply(self, p, d, group):
        p.sub_((self.loss.detach() / d.square().sum()).clamp(max=group["lr"]) * d)


class LooksAhead(right.SGD):
    """Tries a step of twice the length, and leaves the gradient of where it stands."""

    def call(self, closure):
        loss = super().call(closure)
        tensors = [p for group in self.param_groups for p in group["params"]]
        here = [(p, p.clone(), p.grad.clone()) for p in tensors if p.grad is not None]
        for p, _, g in here:
            p.sub_(2 * self.param_groups[0]["lr"] * g)
        super().call(closure)
        for p, w, g in here:
            p.copy_(w)
            p.grad = self.left(g, p.grad)
        return loss

    def left(self, first, last):
        return first

    def step(self, closure):
        return super().step(closure)


class LeavesTheMean(LooksAhead):
    def left(self, first, last):
        return (first + last) / 2


class ClimbsWithClosure(right.Adam):
    """SAM with a closure, Adam without one."""

    def __init__(self, params, lr=1e-3, rho=0.05):
        super().__init__(params, lr)
        for group in self.param_groups:
            group["rho"] = rho

    def radius(self, group):
        return group["rho"]

    def call(self, closure):
        loss = super().call(closure)
        if closure is None:
            return loss
        here = [(p, p.clone(), group) for group in self.param_groups for p in group["params"]]
        for p, _, group in here:
            p.add_(self.radius(group) * p.grad / p.grad.norm())
        super().call(closure)
        for p, w, _ in here:
            p.copy_(w)
        return loss


class ClimbsAsFarAlways(ClimbsWithClosure):
    def radius(self, group):
        return 0.05


class NoTorchOptimizer:
    """Groups, but none that can be added."""

    def __init__(self, params, lr=1e-2):
        self.inner = right.Adam(params, lr)
        self.param_groups, self.step = self.inner.param_groups, self.inner.step


class DecaysAlways(right.AdamW):
    """A weight decay of 0 is refused."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01):
        if not weight_decay > 0:
            raise ValueError("a decay, please")
        super().__init__(params, lr, betas, weight_decay=weight_decay)


class HoldsItsNorm(right.Adam):
    """No tensor leaves a ball."""

    def apply(self, p, d, group):
        super().apply(p, d, group)
        p.mul_((0.5 / p.norm()).clamp(max=1.0))


class RelativeSteps(right.SGD):
    """An lr is refused where there is a step size of its own."""

    def __init__(self, params, lr=None, *, relative=True):
        if lr is not None and relative:
            raise ValueError("either of both")
        super().__init__(params, lr or 1e-2)


class KeepsItsGradients(right.SGD):
    """Hooks add gradients up, and zero_grad() drops them (Megatron's main_grad)."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.__dict__.setdefault("sums", {})
        for p in self.param_groups[-1]["params"]:
            p.register_post_accumulate_grad_hook(self.add)

    def add(self, p):
        self.sums[p] = self.sums.get(p, 0) + p.grad

    def zero_grad(self, set_to_none=True):
        self.sums.clear()
        super().zero_grad(set_to_none)

    def gradient(self, p, group):
        return self.sums[p]


class NeverDropsThem(KeepsItsGradients):
    def zero_grad(self, set_to_none=True):
        super(KeepsItsGradients, self).zero_grad(set_to_none)


class SharesItsCount(NoTorchOptimizer):
    """A count of the class, by which the lr falls."""

    steps = 0

    def __init__(self, params, lr=1e-2):
        super().__init__(params, lr)
        self.step = self.counted

    def counted(self):
        SharesItsCount.steps += 1
        for group in self.param_groups:
            group["lr"] = 1e-2 / SharesItsCount.steps
        self.inner.step()


class Curvature(right.Adam):
    """The second moment is of the Hessian's diagonal, by backward(create_graph=True)."""

    def call(self, closure):
        loss = super().call(closure)
        tensors = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        if any(p.grad.grad_fn is None for p in tensors):
            raise RuntimeError("backward(create_graph=True), please")
        grads = [p.grad for p in tensors]
        found = torch.autograd.grad(grads, tensors, [torch.ones_like(g) for g in grads])
        self.diagonal = dict(zip(tensors, found, strict=True))
        return loss

    def gradient(self, p, group):
        self.curvature = self.diagonal[p]
        return super().gradient(p, group).detach()

    def averages(self, s, d, group):
        super().averages(s, d, group)
        s["v"].lerp_(self.curvature.square(), 0.1)


class CurvatureForgets(Curvature):
    """Its first moment starts anew when it is loaded."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for s in self.state.values():
            s["m"] = torch.zeros_like(s["m"])


class WholeMatrix(right.SGD):
    """A matrix of all entries of a tensor."""

    def apply(self, p, d, group):
        s, n = self.state[p], p.numel()
        if "h" not in s:
            s["h"] = torch.eye(n, dtype=p.dtype)
        p.sub_(group["lr"] * (s["h"] @ d.flatten()).view_as(p))


class ClipsBefore(right.SGD):
    """Gradients are clipped by a hook on its step, which torch leaves out of copies."""

    def __init__(self, params, lr=1e-2):
        super().__init__(params, lr)
        self.register_step_pre_hook(lambda *_: self.clip())

    def clip(self):
        tensors = [p for group in self.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(tensors, 1.0)


@pytest.mark.parametrize(
    ("law", "made", "verdict"),
    [
        ("factored", FirstMoment, "supported"),
        ("factored", FirstMomentNotClipped, "refuted"),
        ("dealt", WantsLoss, "supported"),
        ("dealt", WantsLossSavesBeside, "refuted"),
        ("checkpoints", RoundsAtRandom, "supported"),
        ("checkpoints", LosesItsMoment, "refuted"),
        ("checkpoints", OwnNoise, "supported"),
        ("dealt", OwnNoise, "not-applicable"),
        ("checkpoints", OwnNoiseNotSaved, "refuted"),
        ("learning-rate", NonNegative, "supported"),
        ("learning-rate", Polyak, "supported"),
        ("learning-rate", Creeps, "refuted"),
        ("ownership", LooksAhead, "supported"),
        ("ownership", LeavesTheMean, "refuted"),
        ("dealt", LooksAhead, "not-applicable"),
        ("options", ClimbsWithClosure, "supported"),
        ("options", ClimbsAsFarAlways, "refuted"),
        ("closure", ClimbsWithClosure, "not-applicable"),
        ("instances", NoTorchOptimizer, "supported"),
        ("instances", SharesItsCount, "refuted"),
        ("resume", NoTorchOptimizer, "not-applicable"),
        ("checkpoints", NoTorchOptimizer, "not-applicable"),
        ("mid-training", NoTorchOptimizer, "not-applicable"),
        ("network", NoTorchOptimizer, "supported"),
        ("learning-rate", DecaysAlways, "supported"),
        ("large", HoldsItsNorm, "supported"),
        ("resume", RelativeSteps, "not-applicable"),
        ("copies", RelativeSteps, "supported"),
        ("resume", KeepsItsGradients, "supported"),
        ("resume", NeverDropsThem, "refuted"),
        ("resume", Curvature, "supported"),
        ("closure", Curvature, "supported"),
        ("ownership", Curvature, "supported"),
        ("data-parallel", Curvature, "not-applicable"),
        ("loss-scaling", Curvature, "not-applicable"),
        ("resume", CurvatureForgets, "refuted"),
        ("copies", ClipsBefore, "not-applicable"),
        ("ownership", ClipsBefore, "refuted"),
    ],
)
def test_a_kind_is_judged_as_what_it_is(law, made, verdict):
    record = judged(law, made)
    assert record.verdict == verdict, record.reason


def test_what_keeps_a_matrix_of_all_entries_is_not_asked_at_5000():
    record = judged("large", WholeMatrix)
    assert record.verdict == "not-applicable"
    assert record.reason.endswith("tiled, it keeps no more an entry")


def test_a_checkpoint_that_zero_gathers_says_so():
    reason = judged("dealt", WantsLossSavesBeside).reason
    assert reason.startswith("under ZeroRedundancyOptimizer, resumed")


class OtherPhases:
    """Whose phases nobody knows."""

    def __init__(self, params, lr=1e-2):
        self.params = list(params)

    def ascent_step(self):
        pass

    def descent_step(self):
        pass


def test_who_cannot_be_stepped_is_told_what_is_looked_for():
    record = judged("resume", OtherPhases)
    assert record.verdict == "inconclusive"
    assert "OtherPhases, which has no step(), nor first_step() and second_step()" in record.reason
