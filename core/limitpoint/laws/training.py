"""A training loop as people write it, over any optimizer of torch's kind."""

from __future__ import annotations

import copy
import itertools
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from limitpoint.errors import SubjectFailed
from limitpoint.subjects import NO_STEP, blamed, parameters_of, phase

#: For each group the numbers of its tensors and its own options; None for one group of all.
Groups = Sequence[tuple[Sequence[int], Mapping[str, Any]]] | None


class Form(NamedTuple):
    """How an optimizer is handed its parameters.

    Args:
        of: some parameters, as its constructor wants them.
        group: what else stands in a parameter group.
    """

    of: Callable[[list[nn.Parameter]], Any] = list
    group: Mapping[str, Any] = {}


def _named(parameters: list[nn.Parameter]) -> list[tuple[str, nn.Parameter]]:
    return [(f"tensor{k}", p) for k, p in enumerate(parameters)]


def _module(parameters: list[nn.Parameter]) -> nn.Module:
    return nn.ParameterList(parameters)


#: The plainest first; in this order they are tried.
FORMS: Mapping[str, Form] = {
    "": Form(),
    "named parameters": Form(_named),
    "a group with use_muon": Form(group={"use_muon": True}),
    "a module": Form(_module),
}

#: Of random numbers: torch's, numpy's and python's.
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


class Objective(Protocol):
    """What is trained on."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the tensors."""

    @property
    def start(self) -> Tensor:
        """All entries."""

    def split(self, entries: Tensor) -> list[Tensor]:
        """Entries as tensors."""

    @property
    def steps(self) -> int:
        """Of a whole training."""

    @property
    def frozen(self) -> tuple[int, ...]:
        """The numbers of the tensors that are not trained."""

    def value(self, t: int, tensors: Sequence[Tensor]) -> Tensor:
        """The loss of step t."""

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Of step t."""


class Training:
    """Parameters, their optimizer, and the loop around them.

    Args:
        constructor: (params, **options) -> optimizer.
        options: its arguments.
        problem: what is trained on.
        groups: parameter groups, or None for a plain list.
        form: how they are handed over.
        dtype: of the parameters, or of each in turn.
        closure: hand `step` a closure, even where it may be left out.
        insists: it cannot be left out, whatever its signature says.
        graphed: gradients have a graph, as `backward(create_graph=True)` leaves them.
        reuse: keep one buffer for each gradient and write it over.
        accumulate: add gradients to `.grad` as backward does; else each is set.
        absent: numbers of tensors without a gradient at step t, by a function of t.
        again: the same, for a second gradient within a step.
        layout: what is done to each tensor before it becomes a parameter.
        expanded: gradients are one number each, expanded to the shape.
        seed: of what it draws from torch's generator, or None to leave that as it is.
        shift: added to the loss, not to its gradient.
        iterator: hand over an iterator, as `model.parameters()` is.
        ahead: there is a fresh gradient before a closure is called; else that of the step before.
        held: what becomes of the parameters before the optimizer has them.
    """

    def __init__(
        self,
        constructor: Callable[..., Any],
        options: Mapping[str, Any],
        problem: Objective,
        groups: Groups = None,
        *,
        form: Form = FORMS[""],
        dtype: torch.dtype | Sequence[torch.dtype] = torch.float64,
        closure: bool = False,
        insists: bool = False,
        graphed: bool = False,
        reuse: bool = False,
        accumulate: bool = True,
        absent: Callable[[int], Sequence[int]] = lambda t: (),
        again: Callable[[int], Sequence[int]] | None = None,
        layout: Callable[[Tensor], Tensor] = torch.clone,
        expanded: bool = False,
        seed: int | None = 0,
        shift: float = 0.0,
        iterator: bool = False,
        ahead: bool = True,
        held: Callable[[list[nn.Parameter]], list[nn.Parameter]] = list,
    ) -> None:
        if seed is not None:
            torch.manual_seed(seed)
        self.problem, self.options, self.form, self.t = problem, options, form, 0
        self.reuse, self.accumulate, self.closure = reuse, accumulate, closure
        self.absent, self.again, self.ahead = absent, again or absent, ahead
        dtypes = (
            itertools.repeat(dtype) if isinstance(dtype, torch.dtype) else itertools.cycle(dtype)
        )
        parts = problem.split(problem.start)
        start = [layout(x.to(d)) for x, d in zip(parts, dtypes, strict=False)]
        trained = (k not in problem.frozen for k in range(len(start)))
        made = [nn.Parameter(x, requires_grad=t) for x, t in zip(start, trained, strict=True)]
        self.parameters = held(made)
        self.points: list[list[Tensor]] = []  # where gradients were taken in the last step
        self.calls, self.overwritten, self.expanded, self.shift = 0, 0, expanded, shift
        self.graphed = graphed
        self.handed: list[list[tuple[nn.Parameter, Tensor]]] = []  # gradients of the last step
        self.returned: Any = None
        self.losses: list[Tensor] = []  # what the closure came to in the last step
        with blamed("in its constructor"), _quiet():
            handed = self._handed(groups)
            self.optimizer = constructor(iter(handed) if iterator else handed, **options)
            self._prepare(insists=insists)
        self.iterates = [self.entries()]

    def _handed(self, groups: Groups) -> Any:
        form = self.form
        everything: Groups = [(range(len(self.parameters)), {})]
        if groups is None and not form.group:
            return form.of(self.parameters)
        return [
            {"params": form.of([self.parameters[k] for k in chosen]), **form.group, **own}
            for chosen, own in groups or everything or ()
        ]

    def _prepare(self, *, insists: bool) -> None:
        modes = [getattr(self.optimizer, name, None) for name in ("train", "eval")]
        self.has_modes = all(map(callable, modes))
        if callable(modes[0]):
            modes[0]()
        phases = (getattr(self.optimizer, name, None) for name in ("first_step", "second_step"))
        self.two_phase = all(map(callable, phases))
        if not self.two_phase and not callable(getattr(self.optimizer, "step", None)):
            kind = type(self.optimizer).__name__
            raise SubjectFailed(f"made a {kind}, which has {NO_STEP}")
        self.in_backward = any(map(_hooks, self.parameters))
        closure = parameters_of(getattr(self.optimizer, "step", None)).get("closure")
        self.takes_closure = closure is not None
        required = closure is not None and (insists or closure.default is Parameter.empty)
        self.needs_closure = required and not self.two_phase

    # ------------------------------------------------------------------------------- what is read

    def entries(self) -> Tensor:
        """All entries, float64 (n,)."""
        return flat(self.parameters)

    @property
    def path(self) -> Tensor:
        """The iterates, float64 (steps + 1, entries)."""
        return torch.stack(self.iterates)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The optimizer's parameter groups."""
        return list(getattr(self.optimizer, "param_groups", ()))

    @property
    def has_checkpoints(self) -> bool:
        """Whether there is a state_dict, and what loads one."""
        names = ("state_dict", "load_state_dict")
        return all(callable(getattr(self.optimizer, name, None)) for name in names)

    def state(self) -> dict[str, Tensor]:
        """Copies of the tensors of parameters' shapes that it keeps, float64, by name."""
        return {
            f"{name} of tensor {k}": flat([x]).clone()
            for (k, name), x in self.kept().items()
            if x.shape == self.parameters[k].shape and x.is_floating_point()
        }

    def kept(self) -> dict[tuple[int, str], Tensor]:
        """Each tensor that it keeps for a parameter, by that one's number and its own name."""
        state = getattr(self.optimizer, "state", {})
        # By identity: a key that is id(p) has a tensor's hash, and is compared entry by entry.
        own = {id(key): of for key, of in state.items() if isinstance(of, dict)}
        return {
            (k, name): x
            for k, p in enumerate(self.parameters)
            for name, x in own.get(id(p), {}).items()
            if isinstance(x, Tensor)
        }

    @property
    def holds_generator(self) -> bool:
        """Whether it draws from a generator of its own, in an attribute or in its groups."""
        kept = [vars(self.optimizer)] if hasattr(self.optimizer, "__dict__") else []
        return any(isinstance(x, GENERATORS) for own in (*kept, *self.groups) for x in own.values())

    # ------------------------------------------------------------------------------- what is done

    def set_step_size(self, lr: float) -> None:
        """In all groups, as a scheduler does."""
        for group in self.groups:
            group["lr"] = lr

    def go(self, steps: int, before: Callable[[Training], None] | None = None) -> Training:
        """So many steps.

        Raises:
            SubjectFailed: it raised.
        """
        for _ in range(steps):
            with blamed(f"at step {self.t}"), _quiet():
                if before is not None:
                    before(self)
                self.step()
            self.iterates.append(self.entries())
            self.t += 1
        return self

    def call(self, done: Callable[[], Any]) -> Any:
        """Something else that the subject does, guarded."""
        with blamed(f"after step {self.t}"), _quiet():
            return done()

    def saved(self) -> dict[str, Any]:
        """A copy of the optimizer's state_dict."""
        found: dict[str, Any] = self.call(lambda: copy.deepcopy(self.optimizer.state_dict()))
        return found

    def step(self) -> None:
        """One step: zero the gradients, backward, step."""
        self.points, self.losses, self.handed, self.calls = [], [], [], 0
        closes = self.needs_closure or (self.closure and self.takes_closure)
        if self.ahead or not closes:
            self.clear()
        if not closes or (self.ahead and not self.in_backward):
            self.backward(self.absent(self.t))
        if closes:
            returned = self.optimizer.step(self.evaluate)
            # Without its graph, which no copy takes along.
            self.returned = returned.detach() if isinstance(returned, Tensor) else returned
        elif self.two_phase:
            phase(self.optimizer.first_step, zero_grad=True)
            self.backward(self.again(self.t))
            phase(self.optimizer.second_step, zero_grad=False)
        else:
            self.optimizer.step()
        self.overwritten += min(map(_changed, self.handed), default=0)

    def clear(self) -> None:
        """Zero the gradients, or drop them; whoever has hooks on them may keep its own of them."""
        if self.in_backward and hasattr(self.optimizer, "zero_grad"):
            self.optimizer.zero_grad()
        for p in self.parameters:
            if self.reuse and p.grad is not None:
                p.grad = p.grad.detach() if p.grad.grad_fn else p.grad
                p.grad.zero_()
            else:
                p.grad = None

    def evaluate(self) -> Tensor:
        """The closure: zero the gradients, the loss, backward by autograd."""
        self.calls += 1
        self.points.append([p.detach().clone() for p in self.parameters])
        self.clear()
        loss = self.problem.value(self.t, self.parameters) + self.shift
        loss.backward(create_graph=self.graphed)  # type: ignore[no-untyped-call]
        for k in self.absent(self.t):
            self.parameters[k].grad = None
        self._remember()
        self.losses.append(loss.detach())
        return loss

    def _remember(self) -> None:
        there = [(p, p.grad) for p in self.parameters if p.grad is not None]
        self.handed.append([(p, g.detach().clone()) for p, g in there])

    def backward(self, absent: Sequence[int] = ()) -> None:
        """The gradients at the parameters, added to what is there, as autograd does.

        By autograd itself for whoever steps there, in a hook on a gradient that is there.
        """
        self.points.append([p.detach().clone() for p in self.parameters])
        if self.in_backward:
            live = [p.detach() if k in absent else p for k, p in enumerate(self.parameters)]
            self.problem.value(self.t, live).backward()  # type: ignore[no-untyped-call]
            return self._remember()
        found = self._gradients()
        for k, (p, g) in enumerate(zip(self.parameters, found, strict=True)):
            if k in absent or not p.requires_grad:
                p.grad = None
            elif self.expanded:
                p.grad = g.reshape(-1)[0].expand(p.shape)
            elif p.grad is None or not self.accumulate:
                p.grad = g
            else:
                p.grad.add_(g)
        return self._remember()

    def _gradients(self) -> list[Tensor]:
        """Of this step; by autograd where they are to have a graph."""
        if not self.graphed:
            return self.problem.gradients(self.t, self.parameters)
        trained = [p for p in self.parameters if p.requires_grad]
        loss = self.problem.value(self.t, self.parameters)
        found = iter(torch.autograd.grad(loss, trained, create_graph=True))
        return [next(found) if p.requires_grad else torch.zeros_like(p) for p in self.parameters]


def _changed(handed: list[tuple[nn.Parameter, Tensor]]) -> int:
    """Entries of gradients that are no longer what they were."""
    return sum(int((p.grad != g).sum()) if p.grad is not None else g.numel() for p, g in handed)


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """All entries of some tensors, float64 (n,), those included that other processes hold."""
    whole = (x.full_tensor() if hasattr(x, "full_tensor") else x for x in tensors)
    return torch.cat([x.detach().reshape(-1).double() for x in whole])


def _quiet() -> warnings.catch_warnings[None]:
    """A scope in which warnings are nobody's business: a law is no place for deprecations."""
    return warnings.catch_warnings(action="ignore")


def _hooks(p: nn.Parameter) -> Any:
    return getattr(p, "_post_accumulate_grad_hooks", None)
