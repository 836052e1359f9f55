"""The right class of SAM, with hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals.classes.right import Closure, Group


class SAM(torch.optim.Optimizer):
    """Two-phase SAM around a base optimizer (Foret et al. 2021; adaptive: Kwon et al. 2021)."""

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: Callable[..., Any] = torch.optim.SGD,
        rho: float = 0.05,
        *,
        adaptive: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(params, {"rho": rho, "adaptive": adaptive, **options})
        self.base_optimizer = base_optimizer(self.param_groups, **options)
        self.defaults.update(self.base_optimizer.defaults)
        self.link()

    def link(self) -> None:
        """Groups and state are the base's own."""
        self.param_groups = self.base_optimizer.param_groups
        self.state = self.base_optimizer.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The base's state."""
        self.base_optimizer.load_state_dict(state_dict)
        self.link()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.link()

    @torch.no_grad()
    def first_step(self, zero_grad: bool = False) -> None:
        """Climb."""
        self.climbed: list[tuple[Tensor, Tensor]] = []
        factor = self.factor()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.climbed.append((p, p.clone()))
                    p.add_(self.climb(p, group, self.of(p, factor)))
        if zero_grad:
            self.zero_grad()

    def climb(self, p: Tensor, group: Group, factor: Tensor | float) -> Tensor:
        """The perturbation."""
        along = self.direction(p, group).to(torch.promote_types(p.dtype, torch.float32))
        return (group["rho"] * factor * along).to(p.dtype)

    def factor(self) -> Tensor | float:
        """1 over the norm of all gradients, in no less than float32, where 1e-12 is a number."""
        norms = [self.weighted(p, g).norm() for g in self.param_groups for p in g["params"]
                 if p.grad is not None]  # fmt: skip
        if not norms:
            return 0.0
        norm = torch.stack(norms).norm()
        return 1 / (norm.to(torch.promote_types(norm.dtype, torch.float32)) + 1e-12)

    def of(self, p: Tensor, factor: Tensor | float) -> Tensor | float:
        """The factor of one parameter: that of all."""
        return factor

    def weighted(self, p: Tensor, group: Group) -> Tensor:
        """The gradient whose norm is taken."""
        assert p.grad is not None
        return p.abs() * p.grad if group["adaptive"] else p.grad

    def direction(self, p: Tensor, group: Group) -> Tensor:
        """Where it climbs to."""
        assert p.grad is not None
        return p * p * p.grad if group["adaptive"] else p.grad

    @torch.no_grad()
    def second_step(self, zero_grad: bool = False) -> None:
        """Climb down, and let the base step."""
        self.restore()
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    def restore(self) -> None:
        """Take the perturbation back from whatever was perturbed."""
        for p, before in self.climbed:
            p.copy_(before)
        self.climbed = []

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]
        """Both phases, the gradient of the first being there; the closure's loss at the second."""
        assert closure is not None
        self.first_step(zero_grad=True)
        with torch.enable_grad():
            loss = closure()
        self.second_step()
        return loss
