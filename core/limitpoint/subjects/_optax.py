"""A gradient transformation of optax's kind, driven as an optimizer of torch's.

JAX has threads, which no fork takes along: it computes here, in a subject's own process, and
nowhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import Parameter, Signature
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import dlpack

from limitpoint.errors import NotApplicable

#: What optax calls what the field has other names for.
NAMES = {"learning_rate": "lr", "decay": "alpha"}
BETAS = ("b1", "b2")
NO_NONE = "hypothesis not met: gradients that may be missing (JAX's are always there)"


def makes_transformation(call: Callable[..., Any]) -> bool:
    """Whether a callable says that it returns a gradient transformation, or asks for a
    `learning_rate` first, where an optimizer of torch's takes its parameters."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return False
    first = next(iter(signature.parameters), "")
    return "GradientTransformation" in str(signature.return_annotation) or first == "learning_rate"


class Transformation:
    """A constructor of gradient transformations under torch's conventions: (params, lr, ...).

    Args:
        make: such as `optax.adam`: (learning_rate, ...) -> a pair of `init` and `update`.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = self.__wrapped__ = make
        self.__name__, self.__module__ = make.__name__, make.__module__
        self.__qualname__ = make.__qualname__
        own = inspect.signature(make).parameters
        named = [NAMES.get(name, name) for name in own]
        self.names = dict(zip(named, own, strict=True))
        fields = {
            name: Parameter(name, Parameter.KEYWORD_ONLY, default=parameter.default)
            for name, parameter in zip(named, own.values(), strict=True)
            if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        }
        if all(name in fields for name in BETAS):
            betas = tuple(fields.pop(name).default for name in BETAS)
            fields["betas"] = Parameter("betas", Parameter.KEYWORD_ONLY, default=betas)
        rest = [p for p in own.values() if p.kind is Parameter.VAR_KEYWORD]
        params = Parameter("params", Parameter.POSITIONAL_ONLY)
        self.__signature__ = Signature([params, *fields.values(), *rest])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Transformation) and self.make == other.make

    def __hash__(self) -> int:
        return hash(self.make)

    def __reduce__(self) -> tuple[Any, ...]:
        return Transformation, (self.make,)

    def field_names(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options under the names that `__signature__` has."""
        found = {NAMES.get(name, name): value for name, value in options.items()}
        betas = self.__signature__.parameters.get("betas")
        if betas is not None and any(name in found for name in BETAS):
            usual = zip(BETAS, betas.default, strict=True)
            found["betas"] = tuple(found.pop(name, value) for name, value in usual)
        return found

    def own_names(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse: options as the constructor takes them."""
        found = {self.names.get(name, name): value for name, value in options.items()}
        found |= zip(BETAS, found.pop("betas"), strict=True) if "betas" in found else ()
        return found

    def __call__(self, params: Iterable[Any], **options: Any) -> Transformed:
        """An optimizer of the parameters."""
        parameters = list(params)
        if not all(isinstance(p, Tensor) for p in parameters):
            raise TypeError("a gradient transformation has no parameter groups, one tree of arrays")
        one = Transformed(self, parameters, options)
        return TransformedWithValue(self, parameters, options) if one.pure.needs_value else one


class Transformed:
    """The parameters, the transformation's state, and the step.

    Args:
        how: the constructor.
        parameters: those that are trained are its tree, a list.
        options: under torch's names; "lr" may be set between steps, as param_groups[0]["lr"].
    """

    def __init__(
        self, how: Transformation, parameters: list[Tensor], options: Mapping[str, Any]
    ) -> None:
        self.how, self.parameters = how, [p for p in parameters if p.requires_grad]
        self.options = {name: value for name, value in options.items() if name != "lr"}
        self.param_groups = [{"params": parameters, "lr": 0.01, **options}]
        self.tree = self.pure.init(list(map(_array, self.parameters)), self._lr)

    @property
    def _lr(self) -> float:
        return float(self.param_groups[0]["lr"])

    @property
    def pure(self) -> Pure:
        """What JAX compiles; not kept here, so that this can be copied and pickled."""
        return _pure(self.how, _frozen(self.options))

    def step(self) -> None:
        """Update the parameters by their `.grad`."""
        self._step({})

    def _step(self, extra: Mapping[str, Any]) -> None:
        gradients = [p.grad for p in self.parameters]
        if any(g is None for g in gradients):
            raise NotApplicable(NO_NONE)
        values = [_array(p) for p in self.parameters]
        new, self.tree = self.pure.step(
            list(map(_array, gradients)), self.tree, values, self._lr, extra
        )
        with torch.no_grad():
            for p, value in zip(self.parameters, new, strict=True):
                p.copy_(_tensor(value))

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for p in self.parameters:
            p.grad = None

    @property
    def state(self) -> dict[Tensor, dict[str, Tensor]]:
        """What is kept of each parameter: leaves that lie at its place in a tree like its own."""
        from jax import tree_util

        found: dict[Tensor, dict[str, Tensor]] = {p: {} for p in self.parameters}
        for path, leaf in tree_util.tree_flatten_with_path(self.tree)[0]:
            place = getattr(path[-1], "idx", None) if path else None
            if place is not None and place < len(self.parameters):
                name = tree_util.keystr(path[:-1])
                found[self.parameters[place]][name] = _tensor(leaf)
        return found

    def state_dict(self) -> dict[str, Any]:
        """The state's leaves, and the options."""
        from jax import tree_util

        leaves = list(map(_tensor, tree_util.tree_leaves(self.tree)))
        return {"state": leaves, "lr": self._lr}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        from jax import tree_util

        shape = tree_util.tree_structure(self.tree)
        self.tree = tree_util.tree_unflatten(shape, list(map(_array, saved["state"])))
        self.param_groups[0]["lr"] = saved["lr"]


class TransformedWithValue(Transformed):
    """One whose update asks for the loss, or takes it with its extra arguments alone."""

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Update the parameters by their gradient and the loss, which is returned."""
        loss = closure()
        self._step({"value": _array(loss)})
        return loss


class Pure(NamedTuple):
    """What JAX compiles of a transformation.

    Args:
        init: (values, lr) -> state.
        step: (gradients, state, values, lr, extra arguments) -> values, state.
        needs_value: it needs the loss among the extra arguments.
    """

    init: Callable[..., Any]
    step: Callable[..., Any]
    needs_value: bool


@cache
def _pure(how: Transformation, options: tuple[tuple[str, Any], ...]) -> Pure:
    """The learning rate is an argument, which `make` is handed as a schedule.

    Where it takes no schedule it is handed the number, and where the update does not go without the
    loss, that.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    own, rate = how.own_names(dict(options)), how.names.get("lr")

    def scheduled(lr: Any) -> Any:
        return how.make(**own, **({rate: lambda count: lr} if rate else {}))

    def given(lr: Any) -> Any:
        return how.make(**own, **({rate: lr} if rate else {}))

    failure = None
    for make, needs_value in product((scheduled, given), (False, True)):
        pure = _compiled(make, needs_value)
        try:
            _try(pure)
        except Exception as exc:  # anything: it is somebody else's
            failure = failure or exc
        else:
            return pure
    assert failure is not None
    raise failure


def _compiled(make: Callable[[Any], Any], needs_value: bool) -> Pure:
    import jax
    import optax

    def init(values: Any, lr: Any) -> Any:
        return make(lr).init(values)

    def step(grads: Any, state: Any, values: Any, lr: Any, extra: Any) -> Any:
        transformation = optax.with_extra_args_support(make(lr))
        updates, state = transformation.update(grads, state, values, **extra)
        return optax.apply_updates(values, updates), state

    return Pure(jax.jit(init), jax.jit(step), needs_value)


def _try(pure: Pure) -> None:
    """A step on shapes alone."""
    import jax

    values = [jax.ShapeDtypeStruct((2, 2), "float64")]
    state = jax.eval_shape(pure.init, values, 0.1)
    jax.eval_shape(
        pure.step, values, state, values, 0.1, {"value": 1.0} if pure.needs_value else {}
    )


def _frozen(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((n, tuple(v) if isinstance(v, list) else v) for n, v in options.items()))


def _array(x: Tensor | None) -> Any:
    """A JAX array of its own memory."""
    from jax.dlpack import from_dlpack

    assert x is not None
    return from_dlpack(x.detach().contiguous().clone())


def _tensor(x: Any) -> Tensor:
    return dlpack.from_dlpack(x).clone()
