"""Deep networks: m-SAM's gradient in its forms, the paper's training loop, and the null controls.

    python -m bench.deep forms [--device cuda]    # each form over plain training's gradient
    python -m bench.deep loop --device cuda       # 1000 steps of the paper's loop, and an estimate
    python -m bench.deep null                     # how often nothing is called something

`forms` and `loop` are written to reports/deep-<name>.json with the device's name. On a processor
time is processor time on one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from limitpoint import confidence, deep, run
from limitpoint.deep import FORMS, Network
from limitpoint.engines.devices import check_device
from limitpoint.errors import UsageError
from limitpoint.ledger import environment
from limitpoint.optimizers import DeepSAM
from limitpoint.problems.images import Images, ImageSet

REPORTS = Path(__file__).resolve().parent.parent / "reports"
ROUNDS = 7
#: Network, image and minibatch of each row.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "MLP 64-64-10": (lambda: deep.perceptron([64, 64, 10]), (64,), 128),
    "MLP 196-64-10": (lambda: deep.perceptron([196, 64, 10]), (196,), 128),
    "conv 8 x 8": (lambda: deep.small_convnet(8, (8, 32), groups=None), (1, 8, 8), 128),
    "conv 14 x 14, GN": (lambda: deep.small_convnet(14), (1, 14, 14), 128),
}
ON_A_GPU = {
    "ResNet-18, GN": (lambda: deep.PreActResNet(norm="group"), (3, 32, 32), 128),
}
SIZES = (1, 8)


def clock(device: str) -> float:
    """Seconds: the processor's own, or those of a device that has done its work."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def case(name: str, device: str, dtype: torch.dtype) -> tuple[Any, ...]:
    """Network, parameters, images and labels."""
    make, image, size = (NETWORKS | ON_A_GPU)[name]
    network, rng = Network(make().to(dtype)), np.random.default_rng(0)
    w = network.start(rng).unsqueeze(0).to(device, dtype)
    X = torch.from_numpy(rng.standard_normal((1, size, *image))).to(device, dtype)
    return network, w, X, torch.from_numpy(rng.integers(0, 10, (1, size))).to(device)


def usable(name: str, m: int) -> list[str]:
    """The forms that a network has, and that end within a moment."""
    if name in ON_A_GPU:
        return ["loop"] if m == 1 else ["loop", "vmap"]
    return list(FORMS)


def check(name: str, m: int, device: str) -> float:
    """Largest relative difference of a form to the loop, in float64."""
    args = case(name, device, torch.float64)
    loop = deep.m_sam_gradient(*args, 0.1, m, form="loop")
    return max(
        float((deep.m_sam_gradient(*args, 0.1, m, form=form) - loop).abs().max() / loop.abs().max())
        for form in usable(name, m)
    )


def milliseconds(work: Callable[[], object], device: str) -> float:
    """Of one call, over as many as fill a tenth of a second."""
    work()
    started, calls = clock(device), 0
    while clock(device) - started < 0.1:
        work()
        calls += 1
    return 1e3 * (clock(device) - started) / calls


def forms(device: str) -> dict[str, Any]:
    """Medians over rounds in which every form has its turn; equality first."""
    rows = []
    names = [*NETWORKS, *(ON_A_GPU if device == "cuda" else {})]
    for name, m in [(name, m) for name in names for m in SIZES]:
        gap = check(name, m, device)
        assert gap < 1e-12, f"{name}, m = {m}: a form is off by {gap:.1e}"
        args = case(name, device, torch.float32)
        work = {"ERM": lambda args=args: deep.plain_gradient(*args)} | {
            form: lambda form=form, args=args, m=m: deep.m_sam_gradient(*args, 0.1, m, form=form)
            for form in usable(name, m)
        }
        spent = [{key: milliseconds(f, device) for key, f in work.items()} for _ in range(ROUNDS)]
        ratio = {key: statistics.median(r[key] / r["ERM"] for r in spent) for key in work}
        times = {key: statistics.median(r[key] for r in spent) for key in work}
        rows.append({"network": name, "m": m, "gap": gap, "ratio": ratio, "milliseconds": times})
    return {"environment": environment(device), "rows": rows}


def forms_table(found: dict[str, Any]) -> Table:
    """Each form's time over that of plain training's gradient."""
    table = Table(title=f"m-SAM's gradient over ERM's: {found['environment']['device']}")
    for column in ("network", "m", *FORMS, "ERM, ms", "off the loop (float64)"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in found["rows"]:
        ratios = [f"{row['ratio'][f]:.3g}" if f in row["ratio"] else "-" for f in FORMS]
        table.add_row(row["network"], str(row["m"]), *ratios,
                      f"{row['milliseconds']['ERM']:.3g}", f"{row['gap']:.0e}")  # fmt: skip
    return table


def loop(device: str, steps: int, width: int) -> dict[str, Any]:
    """The paper's loop on random pictures of CIFAR-10's size: seconds of `steps` steps of each."""
    rng = np.random.default_rng(0)
    part = [
        Images("random", rng.integers(0, 256, (n, 3072), dtype=np.uint8), rng.integers(0, 10, n))
        for n in (5120, 128)
    ]
    deep.tasks.PAPER = replace(deep.PAPER, width=width, runs=1)
    task = deep.paper(ImageSet(*part), 0, device)
    rules = {"ERM": task.erm(), "SAM": DeepSAM(task.decaying, **task.sam)}
    run(task.train, rules["SAM"], 10, record=[10], device=device)
    seconds = {}
    for name, rule in rules.items():
        started = time.perf_counter()
        run(task.train, rule, steps, record=[steps], device=device)
        seconds[name] = time.perf_counter() - started
    hours = {name: 200 * (50_000 // 128) * s / steps / 3600 for name, s in seconds.items()}
    return {"environment": environment(device), "steps": steps, "width": width,
            "seconds": seconds, "hours of 200 epochs": hours}  # fmt: skip


def null(seeds: int) -> dict[str, Any]:
    """ERM against ERM from other starts, and in other orders, tested in both directions."""
    called, tests = {"another start": 0, "another order": 0}, 2 * seeds
    for seed in range(2000, 2000 + seeds):
        task, other = (deep.small_mnist(s, 20) for s in (seed, seed + 10**6))
        problems = {
            "another start": replace(task.train, start=other.train.start),
            "another order": replace(task.train, sampling=other.train.sampling),
        }

        def error(problem: deep.Classification, task: deep.Experiment = task) -> torch.Tensor:
            return task.test_error(run(problem, task.erm(), 200, record=[200]).final)

        first = error(task.train)
        for name, problem in problems.items():
            second = error(problem)
            for pair in ((first, second), (second, first)):
                _, chance, error_rate, *_ = confidence.by_chance(name, *pair)
                called[name] += chance <= error_rate
    return {"runs a test": 20, "tests": tests, "called": called,
            "by chance at most": tests * 0.025}  # fmt: skip


def main() -> None:
    """Measure, show and keep."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.deep", description=__doc__.split("\n")[0]
    )
    parser.add_argument("what", choices=("forms", "loop", "null"))
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--steps", type=int, default=1000, help="of the loop (default 1000)")
    parser.add_argument("--width", type=int, default=64, help="of its ResNet-18 (default 64)")
    parser.add_argument("--seeds", type=int, default=40, help="of the null controls (default 40)")
    options = parser.parse_args()
    try:
        check_device(options.device)
    except UsageError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    if options.what == "null":
        found = null(options.seeds)
    elif options.what == "loop":
        found = loop(options.device, options.steps, options.width)
    else:
        found = forms(options.device)
    console = Console(width=140)
    console.print(forms_table(found) if options.what == "forms" else json.dumps(found, indent=1))
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"deep-{options.what}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    console.print(f"report: {path}")


if __name__ == "__main__":
    main()
