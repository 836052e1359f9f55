"""Which perturbation generalises: m, the batch, ascent steps, width (understanding_sam, 3 and E).

Small networks on 300 images: statements hold at this scale. Settings were chosen on the seeds 1000
to 1003, which no claim is judged on. A run's test error is that of the 4700 other images.
"""

from limitpoint import Trial, claim, confidence, deep, optimizers

RUNS = 12


@claim(
    "sam/deep-small-m",
    source="understanding_sam, Figures 1 and 16",
    statement="At this scale 1-SAM generalises better than ERM, random perturbations, n-SAM with "
    "its ascent on another minibatch, and SAM with one perturbation a minibatch at a radius of its "
    "own; n-SAM and random perturbations gain less than half as much.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, 40 epochs"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=(
        "deep-n-sam",
        "deep-m-ignored",
        "deep-no-ascent",
        "deep-rho-doubled",
        "deep-old-point",
        "deep-stale",
    ),
)
def test_deep_sam_small_m(trial: Trial) -> None:
    """Five methods from the same starts, on the same minibatches.

    On the tuning seeds 1-SAM gains 1.4 +- .5 points over ERM (20 of 20 runs), .8 +- .5 over 60-SAM
    (17 of 20), n-SAM .1 over ERM. Two starts of ERM are told apart by no more than chance allows
    (`python -m bench.deep null`).
    """
    task = deep.generalisation(trial.seed, 20, trial.setting)
    rate, radius = task.decaying, task.settings
    rules = {
        "SAM": trial.optimizer("deep-sam", rate, **task.sam),
        "ERM": task.erm(),
        "n-SAM": optimizers.DeepNSAM(rate, rho=radius["other_rho"], **task.common),
        "random": optimizers.DeepRandom(rate, rho=radius["random_rho"], **task.common),
    }
    if radius["coarse_rho"] is not None:
        rules["60-SAM"] = optimizers.DeepSAM(rate, rho=radius["coarse_rho"], **task.common)
    last = [task.steps]
    error = {
        name: task.test_error(trial.run(task.train, rule, task.steps, record=last).final)
        for name, rule in rules.items()
    }
    sam, erm = error.pop("SAM"), error["ERM"]
    for name, other in error.items():
        what = f"{task.train.name}: SAM's test error is below that of {name}"
        trial.at_most(*confidence.by_chance(what, sam, other))
    for name in ("n-SAM", "random"):
        what = f"{task.train.name}: the gain of {name} is below half of SAM's"
        trial.at_most(*confidence.by_chance(what, erm - error[name], (erm - sam) / 2))


@claim(
    "sam/deep-large-batch",
    source="understanding_sam, Figure 17 (App. E.2)",
    statement="At this scale, at equal epochs, SAM with one perturbation for the full batch gains "
    "less than a quarter of what a small minibatch gains, and SAM with a small minibatch adds to "
    "that.",
    hypotheses=("a perceptron on 300 images of MNIST", "40 epochs, batches of 300 and 60"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-no-ascent", "deep-downhill"),
)
def test_deep_sam_large_batch(trial: Trial) -> None:
    """Points gained over ERM with the full batch: .3 +- .5 by SAM, 7.6 by a small minibatch.

    Those are the tuning seeds' numbers.
    """
    small = deep.small_mnist(trial.seed, RUNS)
    large = deep.small_mnist(trial.seed, RUNS, batch=None, steps=40)
    error = {}
    for size, task in (("small", small), ("large", large)):
        rules = {
            "ERM": task.erm(),
            "SAM": trial.optimizer("deep-sam", task.decaying, rho=0.4, m=None),
        }
        for name, rule in rules.items():
            run = trial.run(task.train, rule, task.steps, record=[task.steps])
            error[name, size] = task.test_error(run.final)
    gap = error["ERM", "large"] - error["ERM", "small"]
    gain = error["ERM", "large"] - error["SAM", "large"]
    what = f"{small.train.name}: SAM's gain at the full batch is below a quarter of the small one's"
    trial.at_most(*confidence.by_chance(what, gain, gap / 4))
    what = f"{small.train.name}: SAM's test error is below ERM's, small minibatch"
    trial.at_most(*confidence.by_chance(what, error["SAM", "small"], error["ERM", "small"]))


@claim(
    "sam/deep-ascent-steps",
    source="understanding_sam, Figure 4",
    statement="At this scale more ascent steps do not do what a small m does: one ascent step with "
    "m = 4 generalises better than several with one perturbation a minibatch.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, 40 epochs"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-m-ignored", "deep-no-ascent"),
)
def test_deep_sam_ascent_steps(trial: Trial) -> None:
    """Three steps of half the radius (ten of a quarter at the full horizon), at the best radius.

    On the tuning seeds 15.1% with m = 4, 15.8% with m = 60 and one step, 15.7% with five.
    """
    task = deep.small_mnist(trial.seed, RUNS)
    count = trial.steps(3, 10)
    several = optimizers.DeepSAM(
        task.decaying, rho=0.4, ascent_steps=count, ascent_length=0.5 if count == 3 else 0.25
    )
    one = trial.optimizer("deep-sam", task.decaying, rho=0.2, m=4)
    errors = [
        task.test_error(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
        for rule in (one, several)
    ]
    what = f"{task.train.name}: test error of one step, m = 4, below {count} steps, m = 60"
    trial.at_most(*confidence.by_chance(what, *errors))


@claim(
    "sam/deep-width",
    source="understanding_sam, Figure 18 (App. E.3)",
    statement="At this scale SAM's gain over ERM is larger for a wide network than for a narrow "
    "one, which the same radius harms.",
    hypotheses=("a perceptron on 300 images of MNIST", "8 and 128 hidden units, one radius"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-m-ignored", "deep-no-ascent"),
)
def test_deep_sam_width(trial: Trial) -> None:
    """The gain of 1-SAM, rho = .2, by width.

    On the tuning seeds -21, -16, -3.9, .7, 1.3, 1.7, 1.4, 1.3 points at widths 4 to 512: largest at
    128, but 128 is told from 512 in no more than three of four runs, which 20 runs do not settle.
    """
    gain = {}
    for hidden in (8, 128):
        task = deep.small_mnist(trial.seed, 8, hidden=hidden)
        rules = (task.erm(), trial.optimizer("deep-sam", task.decaying, **task.sam))
        erm, sam = (
            task.test_error(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
            for rule in rules
        )
        gain[hidden] = erm - sam
    name = task.train.name
    zero = 0 * gain[8]
    trial.at_most(*confidence.by_chance(f"{name}: gain at width 128 is positive", zero, gain[128]))
    trial.at_most(*confidence.by_chance(f"{name}: gain at width 8 is negative", gain[8], zero))


@claim(
    "sam/deep-unnormalised",
    source="understanding_sam, Figure 11 (Sec. 5.2)",
    statement="At this scale SAM without normalisation, at a radius of its own, generalises better "
    "than ERM.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, m = 4, 40 epochs"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-no-ascent", "deep-downhill"),
)
def test_deep_unnormalised_sam(trial: Trial) -> None:
    """rho = .1 times the group's gradient.

    On the tuning seeds it gains .8 +- .5 points over ERM (19 of 20 runs); normalised SAM gains 1.4.
    With m = 60 the two come to the same (15.3%) after 1000 steps of constant size.
    """
    task = deep.small_mnist(trial.seed, 16)
    sam = trial.optimizer("deep-sam", task.decaying, rho=0.1, m=4, normalised=False)
    errors = [
        task.test_error(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
        for rule in (sam, task.erm())
    ]
    what = f"{task.train.name}: test error of unnormalised SAM below ERM's"
    trial.at_most(*confidence.by_chance(what, *errors))
