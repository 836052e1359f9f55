"""SAM, and what is near it, ready to be judged."""

from functools import partial

import torch
from torch.optim import Optimizer


class SAM(Optimizer):
    """Climbs by rho along the gradient; a base steps by the gradient that is there."""

    def __init__(self, params, base_optimizer=torch.optim.SGD, rho=0.05, **options):
        super().__init__(params, {"rho": rho, **options})
        self.base_optimizer = base_optimizer(self.param_groups, **options)
        self.base_optimizer.defaults["rho"] = rho
        self.link()

    def link(self):
        """One set of groups and one state, the base's, so that they are saved and loaded as one."""
        self.param_groups, self.state = self.base_optimizer.param_groups, self.base_optimizer.state

    def add_param_group(self, group):
        base = getattr(self, "base_optimizer", super())
        base.add_param_group(group)

    def load_state_dict(self, state_dict):
        self.base_optimizer.load_state_dict(state_dict)
        self.link()

    def __getstate__(self):  # Optimizer's own leaves out the base, for copies and pickles
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.link()

    def trained(self):
        return [(p, g) for g in self.param_groups for p in g["params"] if p.grad is not None]

    def scale(self, p):
        """By which the climb is measured."""
        return torch.ones_like(p)

    @torch.no_grad()
    def climb(self):
        self.first = {p: (p.clone(), p.grad) for p, _ in self.trained()}
        length = norm([self.scale(p) * p.grad for p in self.first]) + 1e-12
        for p, group in self.trained():
            p.add_((group["rho"] / length * (self.scale(p) ** 2 * p.grad).double()).to(p.dtype))
            p.grad = None

    @torch.no_grad()
    def back(self):
        """Return to where it climbed from; the base steps by what is made of both gradients."""
        for p, (start, _) in self.first.items():
            p.copy_(start)
        trained = [p for p in self.first if p.grad is not None]
        second = [p.grad for p in trained]
        made = self.gradients([self.first[p][1] for p in trained], second)
        for p, gradient in zip(trained, made, strict=True):
            p.grad = gradient
        self.base_optimizer.step()
        for p, gradient in zip(trained, second, strict=True):
            p.grad = gradient

    def gradients(self, first, second):
        """What the base sees, of the gradients before and after the climb."""
        return second

    @torch.no_grad()
    def step(self, closure):
        closure = torch.enable_grad()(closure)
        loss = closure()
        self.climb()
        closure()
        self.back()
        return loss


class TwoPhaseSAM(SAM):
    """The same as most projects call it: backward, first_step, backward, second_step."""

    def first_step(self, zero_grad=False):
        self.climb()

    def second_step(self, zero_grad=False):
        self.back()
        if zero_grad:
            self.zero_grad()


class ASAM(SAM):
    """Adaptive: the ball is stretched by |w| (Kwon et al. 2021)."""

    def scale(self, p):
        return p.abs()


class GSAM(SAM):
    """Less alpha times what of the first gradient is orthogonal to the second (Zhuang 2022)."""

    def __init__(self, params, base_optimizer=torch.optim.SGD, rho=0.05, alpha=0.4, **options):
        super().__init__(params, base_optimizer, rho, **options)
        self.alpha = alpha

    def gradients(self, first, second):
        along = inner(first, second) / (inner(second, second) + 1e-30)
        return [s - self.alpha * (f - along * s) for f, s in zip(first, second, strict=True)]


class WSAM(SAM):
    """Sharpness weighted by gamma / (1 - gamma) (Yue et al. 2023)."""

    def __init__(self, params, base_optimizer=torch.optim.SGD, rho=0.05, gamma=0.9, **options):
        super().__init__(params, base_optimizer, rho, **options)
        self.gamma = gamma

    def gradients(self, first, second):
        weight = self.gamma / (1 - self.gamma)
        return [f + weight * (s - f) for f, s in zip(first, second, strict=True)]


class LookSAM(SAM):
    """Climbs at each `every`-th step and keeps what that adds to the gradient (Liu et al. 2022)."""

    def __init__(
        self, params, base_optimizer=torch.optim.SGD, rho=0.05, every=5, share=0.7, **options
    ):
        super().__init__(params, base_optimizer, rho, **options)
        self.every, self.share = every, share

    @torch.no_grad()
    def step(self, closure):
        group = self.param_groups[0]
        group["count"] = count = group.get("count", -1) + 1
        if count % self.every == 0:
            return super().step(closure)
        loss = torch.enable_grad()(closure)()
        old = {p: p.grad for p, _ in self.trained()}
        sides = {p: self.state[p]["side"] for p in old if "side" in self.state[p]}
        size = self.share * norm(old.values()) / (norm(sides.values()) + 1e-30) if sides else 0.0
        for p, side in sides.items():
            p.grad = p.grad + (size * side.double()).to(side.dtype)
        self.base_optimizer.step()
        for p, gradient in old.items():
            p.grad = gradient
        return loss

    def gradients(self, first, second):
        along = inner(first, second) / (inner(first, first) + 1e-30)
        for p, f, s in zip(self.first, first, second, strict=True):
            self.state[p]["side"] = s - along * f
        return second


class WantsClosure(SAM):
    """Some projects' GSAM: `set_closure`, then `step()`."""

    def set_closure(self, closure):
        self.closure = closure

    def step(self):
        return super().step(self.closure)


class WithClosure(WantsClosure):
    """The same, to be judged: its step takes the closure that would have been set."""

    def step(self, closure):
        self.set_closure(closure)
        return super().step()


def inner(one, other):
    """A tensor: what `float` makes of one whose rows are in several processes is a part of it."""
    return sum((a.double() * b.double()).sum() for a, b in zip(one, other, strict=True))


def norm(gradients):
    gradients = list(gradients)
    return inner(gradients, gradients) ** 0.5


sam_around_adamw = partial(SAM, base_optimizer=torch.optim.AdamW)
