"""Runs on CUDA: on a GPU where there is one, and what can be shown of them where there is none.

Without a GPU, the torch engine runs on tensors that claim to be on one and refuse to meet others:
what is made on the wrong device raises as it would there, and the numbers are the CPU's own, bit by
bit. That shows where the tensors are; it does not show what a GPU computes.
"""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from bench import cuda as on_gpu
from bench.workloads import WORKLOADS
from combinations import FEWER, RULES, TRIPLES, problem_of, rule_for
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from limitpoint import (
    UsageError,
    losses,
    models,
    optimizers,
    problems,
    run,
)
from limitpoint.engines import cpu as fused
from limitpoint.engines import gpu as cuda
from limitpoint.engines import integrands
from limitpoint.engines.devices import Move
from limitpoint.engines.trajectory import Trajectory
from limitpoint.optimizers.stochastic import Stochastic
from limitpoint.problems.finite_sum import random_batches
from limitpoint.subjects import Subject

GPU = torch.cuda.is_available()
CUDA = torch.device("cuda", 0)
TRITON = importlib.util.find_spec("triton") is not None
ROOT = Path(__file__).resolve().parent.parent
KERNELS = "limitpoint.engines.gpu.kernels"
#: Enough for every rule to have used what it keeps.
STEPS = 3


# ----------------------------------------------------------------------- a device for those without


class Pretended(torch.Tensor):
    """A tensor that says it is on CUDA and lives on the CPU."""

    @staticmethod
    def __new__(cls, real):
        return torch.Tensor._make_wrapper_subclass(
            cls, real.shape, strides=real.stride(), dtype=real.dtype, device=CUDA
        )

    def __init__(self, real):
        self.near = real

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        goes_home = kwargs.get("device") == torch.device("cpu")
        if func is not torch.ops.aten._to_copy.default:
            refuse_mixing(func, tree_leaves((args, kwargs)))
        kwargs.pop("device", None)
        real = func(*tree_map(bare, args), **tree_map(bare, kwargs))
        return real if goes_home else tree_map(dressed, real)

    def __repr__(self):
        return f"Pretended({self.near!r})"


def refuse_mixing(func, leaves):
    """Raise where CUDA does: of the CPU it takes no tensor but numbers, in pointwise operations."""
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Pretended):
            number = leaf.ndim == 0 and torch.Tag.pointwise in func.tags
            if not number:
                raise RuntimeError(f"{func}: expected all tensors on cuda:0, found one on cpu")


def bare(value):
    """The tensor behind a pretended one."""
    return value.near if isinstance(value, Pretended) else value


def dressed(value):
    """A tensor that says it is on CUDA."""
    return Pretended(value) if type(value) is torch.Tensor else value


#: Functions that look for the device from within, or put a number there.
DIRECT = (
    torch.where,
    torch.nn.functional.one_hot,
    torch.Tensor.__getitem__,
    torch.Tensor.__setitem__,
    torch.Tensor.copy_,
    torch.Tensor.new_tensor,
    torch.as_tensor,
)


class PretendedDevice(TorchFunctionMode):
    """Gives what is asked for on CUDA; a build of torch without it would raise."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        leaves = tree_leaves((args, kwargs))
        direct = func in DIRECT and any(isinstance(leaf, Pretended) for leaf in leaves)
        if direct:
            refuse_mixing(torch.ops.aten.index.Tensor, leaves)
        elif func is torch.device or not any(is_cuda(leaf) for leaf in leaves):
            return func(*args, **kwargs)
        args = tree_map(bare, tuple(value for value in args if not is_cuda(value)))
        kwargs = {name: bare(value) for name, value in kwargs.items() if not is_cuda(value)}
        if func is torch.Tensor.to and not args[1:] and not kwargs:
            return dressed(args[0])
        return dressed(func(*args, **kwargs))


def is_cuda(value):
    """Whether it names the device."""
    if isinstance(value, str):
        return value == "cuda"
    return isinstance(value, torch.device) and value.type == "cuda"


@pytest.fixture
def device(monkeypatch):
    """The GPU, or what goes for it."""
    if GPU:
        yield "cuda"
        return
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with PretendedDevice():
        yield "cuda"


def test_the_pretended_device_refuses_what_cuda_does(device):
    here, there = torch.ones(3), torch.ones(3, device=device)
    assert there.device.type == "cuda"
    assert (there + torch.tensor(2.0)).sum().item() == 9.0
    assert torch.equal(there.to("cpu"), here)
    for mix in (lambda: here + there, lambda: there @ here, lambda: there[here.long()]):
        with pytest.raises(RuntimeError):
            mix()
    with pytest.raises((TypeError, RuntimeError)):
        there.numpy()


# -------------------------------------------------------------------------------- the torch engine


def check_same(here, there, tolerance):
    """Trajectories and integrals that agree, as a part of the largest number of each."""
    assert there.w.device == here.w.device
    assert float((here.w[0] - here.final).abs().max()) > 1e-6, "nothing moved"
    assert there.integrals.keys() == here.integrals.keys()
    names = here.integrals.keys()
    for x, y in [(here.w, there.w), *[(here.integrals[n], there.integrals[n]) for n in names]]:
        assert x.shape == y.shape
        assert float((x - y).abs().max()) <= tolerance * float(x.abs().max())


def check_torch(problem, rule, steps, device, **options):
    """On a GPU equal to rounding; what only pretends computes the very same."""
    here, there = (
        run(problem, rule, steps, engine="torch", device=d, **options) for d in ("cpu", device)
    )
    check_same(here, there, 1e-12 if GPU else 0.0)


@pytest.mark.parametrize(("model", "loss", "name"), TRIPLES)
def test_torch_engine(model, loss, name, device):
    problem = problem_of(model, loss)
    sums = {
        "loss": integrands.Loss(problem),
        "way": lambda w: (w - problem.start).sum(problem.dims),
    }
    check_torch(problem, rule_for(name, problem.ndim), STEPS, device, integrals=sums)


@pytest.mark.parametrize("name", ["gd", "adam", "1-sam", "n-sam"])
def test_torch_engine_draws_the_same_examples(name, device):
    problem = problem_of(models.Linear, losses.Logistic, mean=True)
    on_all = name == "n-sam"
    rule = Stochastic(rule_for(name, 1), seed=3, ascent_on_all=on_all)
    check_torch(problem, rule, STEPS, device)


def test_plain_functions_are_called_where_they_were_made(device):
    """Their tensors cannot be moved; they get the iterate at home."""
    eigenvalues = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    start = torch.ones(4, 3, dtype=torch.float64)
    bowl = problems.quadratic(eigenvalues)
    sums = {"first": lambda w: (w * eigenvalues).sum(-1)}
    check_torch(bowl, optimizers.GD(0.1), STEPS, device, start=start, integrals=sums)
    terms = problems.noisy_terms(bowl, 0, d=3, noise=0.1, ripple=0.1)
    batches = random_batches(1, terms.n, steps=STEPS, calls=1, runs=(4,), size=2)
    rule = optimizers.Minibatch(optimizers.NSAM(0.1, rho=0.01), batches)
    check_torch(terms, rule, STEPS, device, start=start)


def test_torch_optimizers_are_subjects_there(device):
    problem = problem_of(models.Linear, losses.Squared)
    adam = Subject.from_object("adam", torch.optim.Adam, lr=0.01).rule()
    check_torch(problem, adam, STEPS, device)


def test_what_is_recorded_comes_back_to_where_the_start_was(device):
    problem = problem_of(models.Linear, losses.Squared)
    there = Move(problem.start.device, CUDA)(problem)
    assert there.X.device.type == "cuda"
    gd = optimizers.GD(0.01)
    assert run(there, gd, STEPS, engine="torch", device=device).w.device.type == "cuda"
    assert run(there, gd, STEPS, device="cpu").w.device.type == "cuda"
    assert run(problem, gd, STEPS, engine="torch", device=device).w.device.type == "cpu"


@pytest.mark.skipif(GPU, reason="there is a CUDA device here")
def test_without_a_device_it_is_one_line(pytester):
    problem = problem_of(models.Linear, losses.Squared)
    reason = "no CUDA device is available here: use --device cpu"
    with pytest.raises(UsageError, match=reason):
        run(problem, optimizers.GD(0.01), STEPS, device="cuda")
    found = pytester.runpytest_subprocess("--device", "cuda")
    assert found.ret == 2
    assert found.errlines == [f"Exit: {reason}"]


# ------------------------------------------------------------------------------------- the kernels


@pytest.fixture(scope="module")
def interpreter():
    """Triton, which interprets its kernels where there is no GPU to compile them for."""
    if not TRITON:
        pytest.skip("Triton is not installed here: the kernels are not verified")
    if GPU:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        # Whether functions are compiled or interpreted is settled as they are imported.
        for name in [*sys.modules]:
            if name.startswith(("triton", KERNELS)) and not name.startswith("triton._C"):
                patch.delitem(sys.modules, name)
        yield


kernel = pytest.mark.usefixtures("interpreter")


def planned(problem, rule, start=None, sums=()):
    """What it takes to run this on CUDA."""
    return cuda.plan(
        fused.plan(problem, rule, problem.start if start is None else start, dict(sums))
    )


def executed(found, grid, seen=lambda w, t: None):
    """The plan's run, with its tensors at home."""
    where = CUDA if GPU else torch.device("cpu")
    # Numpy, which interprets, warns of the logarithm of a loss that is zero.
    with np.errstate(divide="ignore"):
        return Trajectory(grid, *cuda.execute(found, grid, seen, None, where)).to("cpu")


def check_kernel(problem, rule, steps, **options):
    """The kernel on the GPU, or in Triton's interpreter, against the torch definition."""
    here = run(problem, rule, steps, engine="torch", **options)
    start, sums = options.get("start", problem.start), options.get("integrals", {})
    found = planned(problem, rule, start, sums)
    check_same(here, executed(found, here.times), 1e-12)
    return here


#: What no kernel does, with the reason that it gives.
TORCH_ONLY = {
    models.ReluNetwork: "the model ReluNetwork on CUDA",
    losses.Probit: "log_ndtr on CUDA",
    optimizers.SpectralDescent: "polar_of on CUDA",
    optimizers.Muon: "(polar_of|newton_schulz) on CUDA",
}
COVERED = [
    triple
    for triple in TRIPLES
    if not {*triple.values[:2], RULES[triple.values[2]][0]} & {*TORCH_ONLY}
]


@kernel
@pytest.mark.parametrize(("model", "loss", "name"), COVERED)
def test_kernel_is_torch(model, loss, name):
    """1000 steps on a GPU; a few in the interpreter, which takes a tenth of a second for each."""
    problem = problem_of(model, loss)
    sums = {"loss": integrands.Loss(problem)}
    rule = rule_for(name, problem.ndim)
    check_kernel(problem, rule, 1000 if GPU else STEPS, integrals=sums)


@kernel
@pytest.mark.parametrize("name", ["gd", "adam", "m-sam", "1-sam"])
@pytest.mark.parametrize(
    ("model", "loss"),
    [(models.DiagonalDifference, losses.Logistic), (models.MulticlassLinear, losses.CrossEntropy)],
)
def test_kernel_is_torch_beyond_one_tile(model, loss, name):
    problem = problem_of(model, loss, n=34, d=90, size=0.1, mean=True)
    assert planned(problem, optimizers.GD()).constants["BLOCK"] < 34
    check_kernel(problem, rule_for(name, problem.ndim, 0.1), 3)


@kernel
@pytest.mark.parametrize(
    ("name", "on_all"), [("gd", False), ("1-sam", False), ("n-sam", True), ("n-sam", False)]
)
def test_kernel_draws_the_same_examples(name, on_all):
    problem = problem_of(models.DiagonalDifference, losses.Logistic, mean=True)
    rule = Stochastic(rule_for(name, problem.ndim), seed=3, ascent_on_all=on_all)
    check_kernel(problem, rule, 8)


@kernel
def test_kernel_far_below_the_range_of_a_float():
    """At e^-190 the second moment, at e^-1900 the gradient itself is below a float's range."""
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    for beta2, step, level in ((0.95, 500.0, -190), (0.999, 5000.0, -1900)):
        found = check_kernel(problem, optimizers.Adam(step, beta2=beta2), 8)
        assert float(problem.log_value(found.final).max()) < level


@kernel
def test_kernel_keeps_the_digits_of_classes_that_are_scales_apart():
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    start = problem.start.clone()
    start[:, 0] -= 400
    adam = optimizers.Adam(0.01, beta2=0.95)
    found = check_kernel(problem, adam, 8, start=start)
    assert float((found.final - found.w[0]).abs().min()) > 1e-3


@kernel
def test_kernel_leaves_equal_weights_equal():
    """w_+ = w_-: the predictor is zero, not what is left of two squares."""
    problem = problem_of(models.DiagonalDifference, losses.Squared)
    start = problem.start[:, :1].expand_as(problem.start).clone()
    found = planned(problem, optimizers.GD(0.1), start)
    assert found.options["enable_fp_fusion"] is False
    check_kernel(problem, optimizers.GD(0.01), 3, start=start)


@kernel
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_kernel_records_the_same_steps(steps):
    problem = problems.sparse_regression(0, n=4, d=6)
    found = planned(problem, optimizers.GD(0.01))
    seen = []
    whole = run(problem, optimizers.GD(0.01), steps, engine="torch", record=range(steps + 1))
    for record in ([steps], range(steps + 1)):
        grid = np.array(record)
        there = executed(found, grid, lambda w, t: seen.append(t))
        torch.testing.assert_close(there.w, whole.w[grid], rtol=1e-12, atol=1e-14)
    assert seen == [steps, *range(steps + 1)]


@kernel
def test_parity_notices_a_step_that_is_off_by_1e_10():
    problem = problem_of(models.Linear, losses.Squared)
    here = run(problem, optimizers.GD(0.05), 8, engine="torch")
    found = planned(problem, optimizers.GD(0.05 * (1 + 1e-10)))
    with pytest.raises(AssertionError):
        check_same(here, executed(found, here.times), 1e-12)


def test_auto_takes_the_kernel_where_there_is_one(device, monkeypatch):
    taken = []

    def execute(found, grid, on_record, watch, where):
        taken.append(where.type)
        return fused.execute(found.run, grid, on_record, watch)

    monkeypatch.setattr(cuda, "execute", execute)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    gd = optimizers.GD(0.01)
    for engine in ("auto", "fused", "torch"):
        run(problem_of(models.Linear, losses.Squared), gd, STEPS, engine=engine, device=device)
    assert taken == ["cuda", "cuda"]
    probit = problem_of(models.Linear, losses.Probit)
    check_torch(probit, gd, STEPS, device)
    run(probit, gd, STEPS, device=device)
    with pytest.raises(UsageError, match="does not cover log_ndtr on CUDA"):
        run(probit, gd, STEPS, engine="fused", device=device)
    assert taken == ["cuda", "cuda"]


@kernel
@pytest.mark.parametrize(
    ("model", "loss", "name"),
    [triple for triple in FEWER if triple not in COVERED]
    + [pytest.param(models.Linear, losses.Probit, "gd")],
)
def test_what_no_kernel_does_says_so(model, loss, name):
    problem = problem_of(model, loss)
    parts = (model, loss, RULES[name][0])
    reason = next(TORCH_ONLY[part] for part in parts if part in TORCH_ONLY)
    with pytest.raises(fused.NotCovered, match=reason):
        planned(problem, rule_for(name, problem.ndim))


def test_without_triton_it_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    problem = problem_of(models.Linear, losses.Squared)
    with pytest.raises(fused.NotCovered, match="Triton, which is not installed"):
        planned(problem, optimizers.GD())


@kernel
@pytest.mark.parametrize(
    ("model", "loss", "name"),
    [
        (models.DiagonalDifference, losses.Squared, "1-sam"),
        (models.Linear, losses.Logistic, "usam"),
        (models.MulticlassLinear, losses.CrossEntropy, "adam"),
    ],
)
def test_kernel_compiles_for_a_gpu_that_is_not_here(model, loss, name, tmp_path):
    """To machine code of compute capability 8.0 and 9.0, all of its numbers in float64."""
    script = textwrap.dedent(f"""
        from combinations import problem_of, rule_for
        from limitpoint import losses, models
        from limitpoint.engines import cpu, gpu
        problem = problem_of(models.{model.__name__}, losses.{loss.__name__})
        rule = rule_for({name!r}, problem.ndim)
        plan = gpu.plan(cpu.plan(problem, rule, problem.start, {{}}))
        for capability in (80, 90):
            code = gpu.compiled(plan, capability)
            print(len(code["cubin"]) > 0, "f32" in code["ttir"])
    """)
    paths = [str(Path(__file__).parent), *sys.path]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TRITON_CACHE_DIR": str(tmp_path)}
    env.pop("TRITON_INTERPRET", None)
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False"] * 2, "no code, or a number in float32"


# ------------------------------------------------------------------------- ten minutes on a GPU


@pytest.mark.skipif(GPU, reason="there is a CUDA device here")
def test_benchmark_without_a_device_is_one_line():
    command = [sys.executable, "-m", "bench.cuda", "--all"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr == "no CUDA device is available here: use --device cpu\n"


def test_everything_is_measured_and_written(monkeypatch, tmp_path):
    """On the CPU in place of the GPU: stages, report and summary; what fails is a line of it."""
    monkeypatch.setattr(on_gpu, "WORKLOADS", {"1-SAM": WORKLOADS["1-SAM"]})
    monkeypatch.setattr(on_gpu, "LARGEST", 9 * 8 * 620)
    monkeypatch.setattr(on_gpu, "SAMPLE", 1e-3)
    path = on_gpu.everything("cpu", 60, tmp_path, batches=(1, 8, 64), cases=[])
    found = json.loads(path.read_text())
    *timed, many = found["timings"]
    # A busy machine may leave nothing to be measured, and that is a line, too.
    assert all(row.get("seconds", 1) > 0 for row in timed)
    assert all("no longer than one" in row.get("failed", "no longer than one") for row in timed)
    assert many["failed"].startswith("MemoryError: data of")
    measured = [row["batch"] for row in timed if "seconds" in row]
    assert [row["batch"] for row in found["shares"]] == measured
    assert all(row["flops"] > 0 for row in found["shares"])
    *_, last = on_gpu.summary(path)
    assert last == f"report: {path}"


def test_no_time_left_is_a_line_too():
    rows = [*on_gpu.timings(on_gpu.Clock("cpu", -1), ("cpu",), (1,))]
    assert {row["failed"] for row in rows} == {"no time was left"}
    assert len(rows) == len(WORKLOADS)


def test_a_batch_has_the_data_of_its_problems():
    workload = WORKLOADS["1-SAM"]
    batch = on_gpu.batch(workload, on_gpu.DISTINCT + 2)
    assert batch.X.is_contiguous()
    assert torch.equal(batch.X[-1], workload.problem(1).X)
    assert not torch.equal(batch.X[0], batch.X[1])


@pytest.mark.parametrize(
    ("ratios", "batch"),
    [({1: 0.5, 64: 2.0}, 8.0), ({1: 2.0, 64: 4.0}, 1.0), ({1: 0.1, 64: 0.9}, None), ({}, None)],
)
def test_the_crossover_is_where_times_are_equal(ratios, batch):
    rows = [
        {"workload": "GD", "batch": size, "device": device, "seconds": seconds}
        for size, ratio in ratios.items()
        for device, seconds in (("cpu", ratio), ("cuda", 1.0))
    ]
    found = on_gpu.crossover(rows, "cpu", "cuda")["GD"]
    assert found == (None if batch is None else pytest.approx(batch))


@kernel
def test_parity_of_each_kernel_is_a_row():
    """A kernel, one that there is not, and one that is off."""
    cases = [
        (models.Linear, losses.Squared, "gd"),
        (models.Linear, losses.Probit, "gd"),
        (models.Linear, losses.Squared, "no rule"),
    ]
    clock, where = on_gpu.Clock("cuda" if GPU else "cpu", 60), CUDA if GPU else torch.device("cpu")
    covered, other, broken = on_gpu.parity(clock, cases, where, STEPS)
    assert covered["gap"] <= 1e-12
    assert other["not covered"] == "log_ndtr on CUDA"
    assert broken["failed"].startswith("KeyError")


def test_each_rule_comes_first():
    found = on_gpu.triples()
    rules = {rule for _, _, rule in found}
    assert {rule for _, _, rule in found[: len(rules)]} == rules == RULES.keys()
