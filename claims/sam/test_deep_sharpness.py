"""Sharpness and test error: Figures 2, 3 and 19 of understanding_sam, at small scale.

Settings were chosen on the seeds 1000 to 1003, which no claim is judged on.
"""

from itertools import pairwise

import scipy
import torch

from limitpoint import Trial, claim, confidence, deep, optimizers

RUNS = 12


@claim(
    "sam/deep-flatter-yet-worse",
    source="understanding_sam, Figure 2",
    statement="At this scale a flatter minimum can generalise worse: ERM trained long at a "
    "constant step has a lower m-sharpness at radius .1 than SAM trained briefly, and a larger "
    "test error.",
    hypotheses=(
        "a perceptron on 300 images of MNIST",
        "ERM of 500 constant steps; 1-SAM of 200 decaying ones",
        "radius .1, m = 60: at .3 and beyond the order is the reverse",
    ),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-n-sam", "deep-no-ascent"),
)
def test_deep_sam_sharper_yet_better(trial: Trial) -> None:
    """On the tuning seeds .6 +- .35 points better, and twice as sharp.

    At radius .3 the two are as sharp as one another, at .6 SAM is the flatter one.
    """
    task = deep.small_mnist(trial.seed, 16)
    sam = trial.optimizer("deep-sam", task.decaying, rho=0.1, m=1)
    better = trial.run(task.train, sam, task.steps, record=[task.steps]).final
    flatter = trial.run(task.train, task.erm(task.rate), 500, record=[500]).final
    name = task.train.name
    errors = task.test_error(better), task.test_error(flatter)
    what = f"{name}: test error of SAM below that of the flatter ERM"
    trial.at_most(*confidence.by_chance(what, *errors))
    sharp = [deep.m_sharpness(task.train, w, 0.1, 60) for w in (flatter, better)]
    trial.at_most(*confidence.by_chance(f"{name}: 60-sharpness of ERM below SAM's", *sharp))


@claim(
    "sam/deep-one-step-short",
    source="understanding_sam, Figure 3",
    statement="At this scale one ascent step falls short of many, the more so the larger m is, and "
    "for all examples together more at ERM's minima than at SAM's.",
    hypotheses=("a perceptron on 300 images of MNIST", "radius .3", "m = 20, 60, 300"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-no-ascent",),
)
def test_deep_sam_one_step_short(trial: Trial) -> None:
    """m-sharpness by 20 steps over that by one.

    On the tuning seeds 1.5, 1.8 and 5.2 for ERM, 1.4 for 1-SAM with all examples.
    """
    task = deep.small_mnist(trial.seed, RUNS)
    sam = trial.optimizer("deep-sam", task.decaying, **task.sam)
    ends = [
        trial.run(task.train, rule, task.steps, record=[task.steps]).final
        for rule in (task.erm(), sam)
    ]

    def shortfall(w: torch.Tensor, m: int) -> torch.Tensor:
        many, one = (deep.m_sharpness(task.train, w, 0.3, m, steps=k) for k in (20, 1))
        return many / one

    found = {m: shortfall(ends[0], m) for m in (20, 60, 300)}
    ones = torch.ones(RUNS)
    for m, ratio, before in ((20, found[20], ones), (60, found[60], found[20]),
                             (300, found[300], found[60])):  # fmt: skip
        what = f"{task.train.name}: ERM's ratio at m = {m} above that before (1 at first)"
        trial.at_most(*confidence.by_chance(what, before, ratio))
    what = f"{task.train.name}: SAM's ratio at m = 300 below ERM's"
    trial.at_most(*confidence.by_chance(what, shortfall(ends[1], 300), found[300]))


@claim(
    "sam/deep-sharpness-statistics",
    source="understanding_sam, Figure 19 (App. E.4)",
    statement="At this scale the largest loss within a radius of a network with batch "
    "normalisation is larger by training-time than by test-time statistics, by a share that grows "
    "during training.",
    hypotheses=("a perceptron with batch norm on 300 images of MNIST", "SAM, m = 60", "radius .1"),
    kind="ordering",
)
def test_deep_sam_sharpness_statistics(trial: Trial) -> None:
    """Test-time statistics are those of the training batches at the iterate itself.

    On the tuning seeds the ratio is 1.00 at step 5, 1.4 at step 100, 1.5 at step 200.
    """
    task = deep.small_mnist(trial.seed, 10, batch_norm=True, rate=0.05)
    sam = optimizers.DeepSAM(task.decaying, rho=0.2)
    run = trial.run(task.train, sam, task.steps, record=[5, 40, task.steps])

    def top(w: torch.Tensor, *, test_time: bool) -> torch.Tensor:
        problem = task.test_time(task.train, w) if test_time else task.train
        return deep.m_sharpness(problem, w, 0.1, 60, above=0.0)

    ratio = [top(w, test_time=False) / top(w, test_time=True) for w in run.w]
    name = task.train.name
    for k, (before, after) in enumerate(pairwise(ratio)):
        what = f"{name}: ratio at step {run.times[k]} below that at step {run.times[k + 1]}"
        trial.at_most(*confidence.by_chance(what, before, after))
    what = f"{name}: ratio at the end above 1"
    trial.at_most(*confidence.by_chance(what, 1 + 0 * ratio[-1], ratio[-1]))


@claim(
    "sam/deep-sharpness-ranks",
    source="understanding_sam, Figure 2 (Sec. 3.1)",
    statement="Not reproduced at this scale: that no radius ranks methods by their test error. "
    "Across five methods 60-sharpness at radius .3 has a positive rank correlation with it.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, 40 epochs"),
    kind="observation",
)
def test_deep_sam_sharpness_ranks(trial: Trial) -> None:
    """Spearman's correlation over ERM, 60-SAM at two radii and 1-SAM at two radii.

    On the tuning seeds its mean is .6 to .9. The paper compares batch sizes too, which is what
    breaks its ranking; `sam/deep-flatter-yet-worse` does so here.
    """
    task = deep.small_mnist(trial.seed, 8)
    rate = task.decaying
    rules = [
        task.erm(),
        *(optimizers.DeepSAM(rate, rho=rho) for rho in (0.2, 0.4)),
        *(optimizers.DeepSAM(rate, rho=rho, m=1) for rho in (0.1, 0.2)),
    ]
    ends = [trial.run(task.train, rule, task.steps, record=[task.steps]).final for rule in rules]
    sharp = torch.stack([deep.m_sharpness(task.train, w, 0.3, 60, steps=10) for w in ends])
    error = torch.stack([task.test_error(w) for w in ends])
    pairs = zip(sharp.T.numpy(), error.T.numpy(), strict=True)
    found = torch.tensor([float(scipy.stats.spearmanr(*pair).statistic) for pair in pairs])
    what = f"{task.train.name}: rank correlation above zero"
    trial.at_most(*confidence.by_chance(what, 0 * found, found))
