"""Two iterates, named parameters, two rules, an estimated step size: ready to be judged."""

import torch
from torch.optim import Optimizer


class ScheduleFree(Optimizer):
    """SGD without a schedule (Defazio et al. 2024): trained at y, judged at the average x."""

    def __init__(self, params, lr=0.01, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta, "trains": True})

    @torch.no_grad()
    def _mode(self, trains):
        for group in self.param_groups:
            for p in group["params"] if group["trains"] != trains else ():
                if "z" in self.state[p]:
                    weight = 1 - group["beta"] if trains else 1 - 1 / group["beta"]
                    p.lerp_(self.state[p]["z"], weight)
            group["trains"] = trains

    def train(self):
        self._mode(True)

    def eval(self):
        self._mode(False)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            beta, lr = group["beta"], group["lr"]
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                z, t = s.setdefault("z", p.clone()), s.get("t", 0) + 1
                x = p.lerp(z, 1 - 1 / beta)
                z.sub_(p.grad, alpha=lr)
                p.copy_(x.lerp(z, 1 / t).lerp(z, 1 - beta))
                s["t"] = t
        return loss


class AdamMini(Optimizer):
    """Adam with one second moment a tensor (Zhang et al. 2024); takes named parameters."""

    def __init__(self, named_parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        named = list(named_parameters)
        self.names = [name for name, _ in named]
        super().__init__([p for _, p in named], {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                s["t"] = t = s.get("t", 0) + 1
                m = s.setdefault("m", torch.zeros_like(p)).lerp_(p.grad, 1 - beta1)
                v = s.get("v", 0.0) * beta2 + (1 - beta2) * p.grad.square().mean()
                s["v"] = v
                root = (v / (1 - beta2**t)).sqrt() + group["eps"]
                p.sub_(group["lr"] * m / (1 - beta1**t) / root)
        return loss


def orthogonal(gradient, steps=5):
    """Newton and Schulz's iteration, as Muon has it."""
    x = gradient.flatten(1) / (gradient.norm() + 1e-7)
    turned = x.size(0) > x.size(1)
    x = x.T if turned else x
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if turned else x).reshape(gradient.shape)


class Muon(Optimizer):
    """Matrices by their orthogonalised momentum (Jordan et al. 2024), everything else by Adam."""

    def __init__(self, params, lr=0.02, momentum=0.95, betas=(0.9, 0.95), eps=1e-8):
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                rule = self.matrix if p.ndim > 1 else self.adam
                p.sub_(rule(p, self.state[p], group), alpha=group["lr"])
        return loss

    def matrix(self, p, s, group):
        b = s.setdefault("b", torch.zeros_like(p)).lerp_(p.grad, 1 - group["momentum"])
        long = max(1, p.size(0) / p[0].numel()) ** 0.5
        return long * orthogonal(p.grad.lerp(b, group["momentum"]))

    def adam(self, p, s, group):
        beta1, beta2 = group["betas"]
        s["t"] = t = s.get("t", 0) + 1
        m = s.setdefault("m", torch.zeros_like(p)).lerp_(p.grad, 1 - beta1)
        v = s.setdefault("v", torch.zeros_like(p)).lerp_(p.grad.square(), 1 - beta2)
        return m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + group["eps"])


class Prodigy(Optimizer):
    """Adam whose step size is estimated from the way that was made (Mishchenko 2024)."""

    def __init__(self, params, lr=1.0, betas=(0.9, 0.999), eps=1e-8, d0=1e-6):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "d": d0, "r": 0.0})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        found = [self.move(group) for group in self.param_groups]
        way, size = map(sum, zip(*found, strict=True))  # of all groups: the distance is one
        for group in self.param_groups:
            group["r"] = group["betas"][1] ** 0.5 * group["r"] + way
            group["d"] = max(group["d"], group["r"] / size) if size else group["d"]
        return loss

    def move(self, group):
        (beta1, beta2), d, lr = group["betas"], group["d"], group["lr"]
        root, way, size = beta2**0.5, 0.0, 0.0
        for p in group["params"]:
            if p.grad is None:
                continue
            s = self.state[p]
            if not s:
                s |= {"start": p.clone(), **{n: torch.zeros_like(p) for n in "mvs"}}
            way += (1 - root) * lr * d**2 * number((p.grad * (s["start"] - p)).sum())
            s["m"].lerp_(d * p.grad, 1 - beta1)
            s["v"].lerp_(d**2 * p.grad**2, 1 - beta2)
            s["s"].mul_(root).add_(p.grad, alpha=(1 - root) * lr * d**2)
            size += number(s["s"].abs().sum())
            p.sub_(lr * d * s["m"] / (s["v"].sqrt() + d * group["eps"]))
        return way, size


def number(x):
    """Of the whole: `float` takes a process's own part, where it has some rows (fully_shard)."""
    return float(x.full_tensor() if hasattr(x, "full_tensor") else x)
