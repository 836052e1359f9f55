"""Convergence of training: Figures 11, 20 and 21 of understanding_sam, at small scale.

Settings were chosen on the seeds 1000 to 1003, which no claim is judged on.
"""

from limitpoint import Trial, claim, confidence, deep
from limitpoint.optimizers.schedules import PiecewiseStep

RUNS = 6


@claim(
    "sam/deep-converges",
    source="understanding_sam, Figure 11 (Sec. 5.2)",
    statement="At this scale SAM with a constant radius, normalised or not, fits every training "
    "label, and its training loss goes on falling to a two-hundredth of what it was.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, 400 constant steps"),
    kind="bound",
    roles=("deep-sam",),
    rivals=("deep-rho-doubled", "deep-kept", "deep-length"),
)
def test_deep_sam_converges(trial: Trial) -> None:
    """Every run: no training error, a loss of 1/200 of the start's at most, and below step 200's.

    The bar of 1/200 is calibrated on the tuning seeds, where the loss comes to .005 (ERM and
    unnormalised) and to .0002 (1-SAM), of 2.7; on seeds 0-19, which did not move it, to 1/390.
    """
    task = deep.small_mnist(trial.seed, RUNS, steps=400)
    rules = {
        "ERM": task.erm(task.rate),
        "1-SAM": trial.optimizer("deep-sam", task.rate, **task.sam),
        "unnormalised 60-SAM": trial.optimizer(
            "deep-sam", task.rate, rho=0.6, m=None, normalised=False
        ),
    }
    for method, rule in rules.items():
        run = trial.run(task.train, rule, task.steps, record=[0, 200, 400])
        start, half, end = task.train.value(run.w)
        name = f"{task.train.name}, {method}"
        trial.at_most(f"{name}: training error", task.train.error(run.final), 0, 0, "a count")
        trial.at_most(f"{name}: final over first loss", end / start, 1 / 200, 0, "calibrated")
        trial.ordering(f"{name}: loss at 400, loss at 200", end, half, "it goes on falling")


@claim(
    "sam/deep-objective-falls",
    source="understanding_sam, Figure 20 (App. E.5)",
    statement=r"At this scale the objective $L + \frac{\lambda}{2}\|w\|^2$ falls from epoch to "
    "epoch in ERM and in SAM.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, lambda = 5e-4"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-kept", "deep-length"),
)
def test_deep_sam_objective_falls(trial: Trial) -> None:
    """At every fourth of 40 epochs, in every run: 0 rises in 200 on the tuning seeds."""
    decay = 5e-4
    task = deep.small_mnist(trial.seed, RUNS, weight_decay=decay)
    sam = trial.optimizer("deep-sam", task.decaying, **task.sam)
    for method, rule in (("ERM", task.erm()), ("1-SAM", sam)):
        w = trial.run(task.train, rule, task.steps, record=range(0, 201, 20)).w
        objective = task.train.value(w) + decay / 2 * (w**2).sum(-1)
        what = f"{task.train.name}, {method}: objective, each four epochs"
        trial.ordering(what, objective[1:], objective[:-1], "strict, every run")


@claim(
    "sam/deep-training-loss",
    source="understanding_sam, Figure 11 (Sec. 5.2)",
    statement="Not reproduced at this scale: that SAM's training loss ends above ERM's. At "
    "constant steps it ends below half of it.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, no weight decay"),
    kind="observation",
    roles=("deep-sam",),
    rivals=("deep-n-sam", "deep-no-ascent"),
)
def test_deep_sam_training_loss(trial: Trial) -> None:
    """After 400 steps. The paper: .0013 for ERM, .0034 for SAM, after 1000 epochs with decay.

    On the tuning seeds SAM's loss is a fortieth of ERM's; a run in a hundred is late, and has come
    to a quarter by then.
    """
    task = deep.small_mnist(trial.seed, RUNS, steps=400)
    rules = (trial.optimizer("deep-sam", task.rate, **task.sam), task.erm(task.rate))
    sam, erm = (
        task.train.value(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
        for rule in rules
    )
    what = f"{task.train.name}: training loss of 1-SAM below half of ERM's"
    trial.at_most(*confidence.by_chance(what, sam, erm / 2))


@claim(
    "sam/deep-decreasing-radius",
    source="understanding_sam, Figure 21 (App. E.6)",
    statement="Not reproduced at this scale: that a radius which decreases with the step size "
    "generalises worse. It keeps more than two thirds of the constant radius' gain over ERM.",
    hypotheses=("a perceptron on 300 images of MNIST", "minibatches of 60, 40 epochs"),
    kind="observation",
    roles=("deep-sam",),
    rivals=("deep-n-sam", "deep-no-ascent"),
)
def test_deep_sam_decreasing_radius(trial: Trial) -> None:
    """On the tuning seeds 15.08% with a constant, 15.02 with a decreasing radius, ERM 16.43."""
    task = deep.small_mnist(trial.seed, 10)
    falling = PiecewiseStep(task.settings["rho"], total=task.steps)
    rules = (
        task.erm(),
        trial.optimizer("deep-sam", task.decaying, **task.sam),
        trial.optimizer("deep-sam", task.decaying, **task.sam, radii=falling),
    )
    erm, constant, decreasing = (
        task.test_error(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
        for rule in rules
    )
    name = task.train.name
    trial.at_most(*confidence.by_chance(f"{name}: SAM gains over ERM", constant, erm))
    what = f"{name}: a decreasing radius gains more than 2/3 of it"
    trial.at_most(*confidence.by_chance(what, 2 / 3 * (erm - constant), erm - decreasing))
