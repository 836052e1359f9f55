"""A process that `bench.gate` asks what a benchmark of `bench/asv` costs: one commit's limitpoint.

A line of standard input is a benchmark's name, its parameters and how often to call it, in JSON;
the answer is {"value": seconds or gap or null} or {"failed": why}.
"""

from __future__ import annotations

import inspect
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, TextIO

MODULES = ("kernels", "overhead", "deep", "gaps")


class Case(NamedTuple):
    """A benchmark with its parameters.

    Args:
        name: module, class and method.
        params: what its `setup` is called with.
    """

    name: str
    params: tuple[Any, ...]

    @property
    def is_gap(self) -> bool:
        """Whether it is a number, and no time."""
        return ".track_" in self.name

    def __str__(self) -> str:
        module, kind, _ = self.name.split(".")
        return f"{module}.{kind}({', '.join(map(str, self.params))})"


def cases() -> Iterator[Case]:
    """What is timed in its own process, and gaps."""
    for module in MODULES:
        for kind, found in vars(import_module(f"bench.asv.{module}")).items():
            if kind.startswith("_") or not inspect.isclass(found) or not _is_sampled(found):
                continue
            methods = [m for m in dir(found) if m.startswith(("time_", "track_"))]
            for method, params in itertools.product(methods, _params(found)):
                yield Case(f"{module}.{kind}.{method}", params)


def _is_sampled(found: type) -> bool:
    """Whether it is one of ours, and no benchmark of whole processes."""
    return found.__module__.startswith("bench.asv") and not getattr(found, "in_processes", False)


def _params(found: type) -> Iterator[tuple[Any, ...]]:
    """As asv reads them: one list of values, or a list of lists."""
    params = getattr(found, "params", ())
    nested = bool(params) and isinstance(params[0], (tuple, list))
    return itertools.product(*(params if nested else [params] if params else []))


@cache
def _prepared(name: str, params: tuple[Any, ...]) -> Callable[[int], float]:
    """How to sample a benchmark.

    Raises:
        NotImplementedError: the commit lacks it.
    """
    module, kind, method = name.split(".")
    benchmark = getattr(import_module(f"bench.asv.{module}"), kind)()
    kept = (_cached(module, kind),) if hasattr(benchmark, "setup_cache") else ()
    if hasattr(benchmark, "setup"):
        benchmark.setup(*kept, *params)
    call = getattr(benchmark, method)
    if method.startswith("track_"):
        return lambda times: float(call(*kept, *params))
    clock = getattr(benchmark, "timer", time.process_time)

    def seconds(times: int) -> float:
        started = clock()
        for _ in range(times):
            call(*params)
        return float(clock() - started)

    return seconds


@cache
def _cached(module: str, kind: str) -> Any:
    return getattr(import_module(f"bench.asv.{module}"), kind)().setup_cache()


def _answer(name: str, params: list[Any], times: int) -> dict[str, Any]:
    """Of no calls: what one costs, after another."""
    try:
        sample = _prepared(name, tuple(params))
        if times == 0:
            sample(1)
        return {"value": sample(max(times, 1))}
    except NotImplementedError:
        return {"value": None}
    except Exception as exc:
        return {"failed": f"{type(exc).__name__}: {exc}"}


def main(asked: TextIO, answers: TextIO) -> None:
    """Answer until there are no questions."""
    for line in asked:
        print(json.dumps(_answer(*json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    # What a benchmark prints is no answer.
    os.dup2(2, 1)
    main(sys.stdin, answers)
