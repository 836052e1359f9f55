"""Who is timed: five ways to run the same rule on the same problems.

Each peer is a function from a workload and a batch to a runner, which takes that many steps from
the start and returns where it ends. What can be done once is done before there is a runner: data
are converted, code is compiled.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from bench.workloads import Workload
from limitpoint import Problem, run

Runner = Callable[[int], np.ndarray]


class Unavailable(Exception):  # noqa: N818 - it is no error
    """A peer that this machine cannot run; says why."""


# ------------------------------------------------------------------- the objectives, as users write


def diagonal_loss(w: Tensor, X: Tensor, y: Tensor) -> Tensor:
    """A quarter of the mean squared residual of <w_+^2 - w_-^2, x>, shape (*batch)."""
    beta = w[..., 0, :] ** 2 - w[..., 1, :] ** 2
    return ((X @ beta.unsqueeze(-1)).squeeze(-1) - y).square().mean(-1) / 4


def multiclass_loss(w: Tensor, X: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of the logits X W^T, shape (*batch)."""
    logits = X @ w.mT
    each = cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none")
    return each.reshape(y.shape).mean(-1)


def binary_loss(w: Tensor, X: Tensor, y: Tensor) -> Tensor:
    """Mean logistic loss, shape (*batch)."""
    return softplus(-y * (X @ w.unsqueeze(-1)).squeeze(-1)).mean(-1)


TORCH_LOSSES = {
    "1-SAM": diagonal_loss,
    "Adam": multiclass_loss,
    "GD": binary_loss,
    "USAM": binary_loss,
}


# ------------------------------------------------------------------------- torch.optim and autograd


def autograd(workload: Workload, problem: Problem) -> Runner:
    """The loop that a user writes: `torch.optim`, `backward`, and SAM's two passes by hand.

    A batch is one parameter and the sum of the losses: what is written for one problem does many.
    """
    loss, rule = TORCH_LOSSES[workload.name], workload.rule
    X, y, rho = problem.X, problem.y, getattr(rule, "rho", 0.0)

    def backward(w: Tensor, rows: slice) -> None:
        with torch.enable_grad():
            loss(w, X[..., rows, :], y[..., rows]).sum().backward()

    def at_perturbed(w: Tensor, rows: slice) -> Tensor:
        """The gradient at w + rho g."""
        w.grad = None
        backward(w, rows)
        ascent = rho * w.grad
        w.grad = None
        w.add_(ascent)
        backward(w, rows)
        w.sub_(ascent)
        return w.grad

    def step(w: Tensor, optimizer: torch.optim.Optimizer) -> None:
        if workload.name == "1-SAM":
            total = torch.zeros_like(w)
            for i in range(problem.n):
                total += at_perturbed(w, slice(i, i + 1))
            w.grad = total / problem.n
        elif workload.name == "USAM":
            w.grad = at_perturbed(w, slice(None))
        else:
            optimizer.zero_grad()
            backward(w, slice(None))
        optimizer.step()

    @torch.no_grad()
    def runner(steps: int) -> np.ndarray:
        w = problem.start.clone().requires_grad_()
        optimizer = _torch_optimizer(workload, w)
        for _ in range(steps):
            step(w, optimizer)
        return w.detach().numpy()

    return runner


def _torch_optimizer(workload: Workload, w: Tensor) -> torch.optim.Optimizer:
    rule = workload.rule
    lr = float(rule.step_size.at(0))
    if workload.name != "Adam":
        return torch.optim.SGD([w], lr=lr)
    return torch.optim.Adam([w], lr=lr, betas=(rule.beta1, rule.beta2), eps=rule.epsilon)


# ----------------------------------------------------------------------------- limitpoint's engines


def _engine(name: str) -> Callable[[Workload, Problem], Runner]:
    def peer(workload: Workload, problem: Problem) -> Runner:
        def runner(steps: int) -> np.ndarray:
            found = run(problem, workload.rule, steps, record=[steps], engine=name)
            return found.final.numpy()

        return runner

    return peer


# ------------------------------------------------------------------------------------ torch.compile


def compiled(workload: Workload, problem: Problem) -> Runner:
    """One step of `torch.func.grad`, compiled; the steps are Python's."""
    if shutil.which("c++") is None and shutil.which("g++") is None:
        raise Unavailable("torch.compile needs a C++ compiler")
    X, y, step = problem.X, problem.y, torch.compile(_torch_step(workload), dynamic=False)

    @torch.no_grad()
    def runner(steps: int) -> np.ndarray:
        w = problem.start
        state = (torch.zeros_like(w), torch.zeros_like(w), torch.ones((), dtype=w.dtype))
        for _ in range(steps):
            w, state = step(w, state, X, y)
        return w.numpy()

    return runner


def _torch_step(workload: Workload) -> Callable[..., tuple[Tensor, tuple[Tensor, ...]]]:
    """A step as a pure function; the state is Adam's moments and the step's number."""
    loss, rule = TORCH_LOSSES[workload.name], workload.rule
    eta, rho = float(rule.step_size.at(0)), getattr(rule, "rho", 0.0)

    def grad(w: Tensor, X: Tensor, y: Tensor) -> Tensor:
        return torch.func.grad(lambda w: loss(w, X, y).sum())(w)

    def descend(w: Tensor, state: Any, X: Tensor, y: Tensor) -> Any:
        return w - eta * grad(w, X, y), state

    def usam(w: Tensor, state: Any, X: Tensor, y: Tensor) -> Any:
        return w - eta * grad(w + rho * grad(w, X, y), X, y), state

    def one_sam(w: Tensor, state: Any, X: Tensor, y: Tensor) -> Any:
        X, y = X.unsqueeze(-2), y.unsqueeze(-1)
        each = w.unsqueeze(-3).expand(*X.shape[:-2], *w.shape[-2:])
        return w - eta * grad(each + rho * grad(each, X, y), X, y).mean(-3), state

    def adam(w: Tensor, state: Any, X: Tensor, y: Tensor) -> Any:
        m, v, t = state
        g = grad(w, X, y)
        m = rule.beta1 * m + (1 - rule.beta1) * g
        v = rule.beta2 * v + (1 - rule.beta2) * g * g
        root = (v / (1 - rule.beta2**t)).sqrt() + rule.epsilon
        return w - eta * m / (1 - rule.beta1**t) / root, (m, v, t + 1)

    return {"1-SAM": one_sam, "USAM": usam, "Adam": adam, "GD": descend}[workload.name]


# --------------------------------------------------------------------------------------- jax, optax


def jax_jit(workload: Workload, problem: Problem) -> Runner:
    """The whole run in one `jax.jit`: `fori_loop` over steps, `vmap` over problems, float64."""
    for module in ("jax", "optax"):
        if find_spec(module) is None:
            raise Unavailable(f"{module} is not installed")
    import jax

    jax.config.update("jax_enable_x64", True)
    init, step = _jax_step(workload)

    def trajectory(steps: Any, w: Any, X: Any, y: Any) -> Any:
        body = lambda _, carry: step(*carry, X, y)  # noqa: E731
        return jax.lax.fori_loop(0, steps, body, (w, init(w)))[0]

    batched = len(problem.start.shape) > workload.problem(0).start.ndim
    call = jax.jit(jax.vmap(trajectory, in_axes=(None, 0, 0, 0)) if batched else trajectory)
    w, X, y = (jax.numpy.asarray(part.numpy()) for part in (problem.start, problem.X, problem.y))

    def runner(steps: int) -> np.ndarray:
        return np.asarray(call(steps, w, X, y))

    return runner


def _jax_step(workload: Workload) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """State at the start, and a step; the rule is optax's but for SAM's two passes."""
    import jax
    import optax

    rule = workload.rule
    eta, rho = float(rule.step_size.at(0)), getattr(rule, "rho", 0.0)
    optimizer = (
        optax.adam(eta, rule.beta1, rule.beta2, rule.epsilon)
        if workload.name == "Adam"
        else optax.sgd(eta)
    )
    grad = jax.grad(_jax_loss(workload))

    def direction(w: Any, X: Any, y: Any) -> Any:
        if workload.name == "1-SAM":
            perturbed = lambda x, t: at_perturbed(w, x[None], t[None])  # noqa: E731
            return jax.vmap(perturbed)(X, y).mean(0)
        return at_perturbed(w, X, y) if workload.name == "USAM" else grad(w, X, y)

    def at_perturbed(w: Any, X: Any, y: Any) -> Any:
        return grad(w + rho * grad(w, X, y), X, y)

    def step(w: Any, state: Any, X: Any, y: Any) -> Any:
        change, state = optimizer.update(direction(w, X, y), state)
        return optax.apply_updates(w, change), state

    return optimizer.init, step


def _jax_loss(workload: Workload) -> Callable[..., Any]:
    import jax
    import optax

    def diagonal(w: Any, X: Any, y: Any) -> Any:
        return ((X @ (w[0] ** 2 - w[1] ** 2) - y) ** 2).mean() / 4

    def multiclass(w: Any, X: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(X @ w.T, y).mean()

    def binary(w: Any, X: Any, y: Any) -> Any:
        return jax.nn.softplus(-y * (X @ w)).mean()

    return {"1-SAM": diagonal, "Adam": multiclass}.get(workload.name, binary)


FUSED = "fused"
PEERS: Mapping[str, Callable[[Workload, Problem], Runner]] = {
    "autograd loop": autograd,
    "torch eager": _engine("torch"),
    "torch.compile": compiled,
    "jax jit": jax_jit,
    FUSED: _engine("fused"),
}
