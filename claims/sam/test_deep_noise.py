"""Label noise: Figures 12 and 22 of understanding_sam, at small scale.

Digits with exactly so many wrong labels in the training set, full batches, constant steps. Settings
were chosen on the seeds 1000 to 1003, which no claim is judged on.
"""

from limitpoint import Trial, claim, confidence, deep, optimizers


@claim(
    "sam/deep-noise",
    source="understanding_sam, Figures 12 and 16",
    statement="At this scale, with 40% wrong labels, m-SAM resists them the more the smaller m is "
    "(1, 4, 20), and n-SAM gains less than a quarter of what 1-SAM gains over ERM.",
    hypotheses=("a perceptron on 300 digits", "full batches, 160 constant steps, rho = .2"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-n-sam", "deep-m-ignored", "deep-no-ascent", "deep-rho-doubled", "deep-length"),
)
def test_deep_sam_noise(trial: Trial) -> None:
    """At step 200 of the tuning seeds 21.9, 28.9, 33.0% with m = 1, 4, 20; n-SAM 34.3, ERM 34.5."""
    task = deep.noisy_digits(trial.seed, 8, steps=160)
    rules = {"ERM": task.erm(task.rate), "n-SAM": optimizers.DeepSAM(task.rate, rho=0.2)}
    for m in (1, 4, 20):
        rules[f"{m}-SAM"] = trial.optimizer("deep-sam", task.rate, rho=0.2, m=m)
    error = {
        name: task.test_error(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
        for name, rule in rules.items()
    }
    for small, large in ((1, 4), (4, 20)):
        what = f"{task.train.name}: test error of {small}-SAM below that of {large}-SAM"
        pair = error[f"{small}-SAM"], error[f"{large}-SAM"]
        trial.at_most(*confidence.by_chance(what, *pair))
    erm, sam = error["ERM"], error["1-SAM"]
    what = f"{task.train.name}: n-SAM's gain below a quarter of 1-SAM's"
    trial.at_most(*confidence.by_chance(what, erm - error["n-SAM"], (erm - sam) / 4))


@claim(
    "sam/deep-noise-memorised",
    source="understanding_sam, Figure 12 (Sec. 5.3)",
    statement="At this scale 1-SAM fits the wrong labels later than ERM does, and fits them in the "
    "end, as its test error shows.",
    hypotheses=("a perceptron on 300 digits, 40% wrong labels", "full batches, constant steps"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-n-sam", "deep-m-ignored", "deep-no-ascent"),
)
def test_deep_sam_memorises(trial: Trial) -> None:
    """Training accuracy on the labels as given, at steps 200 and 800.

    On the tuning seeds 75% (1-SAM) and 93% (ERM) at step 200, and 99% at step 800. The bar of 95%
    at step 800 is calibrated on them; on seeds 0-19, which did not move it, 96.7% at least.
    """
    task = deep.noisy_digits(trial.seed, 6)
    sam = trial.optimizer("deep-sam", task.rate, **task.sam)
    late = trial.run(task.train, sam, 800, record=[100, 200, 800])
    soon = trial.run(task.train, task.erm(task.rate), 200, record=[200])
    wrong, of_erm, name = task.train.error(late.w), task.train.error(soon.final), task.train.name
    what = f"{name}: at step 200 twice ERM's unfitted labels are fewer than 1-SAM's"
    trial.at_most(*confidence.by_chance(what, 2 * of_erm, wrong[1]))
    trial.at_most(f"{name}: unfitted labels of 1-SAM at step 800, %", wrong[2], 5, 0, "calibrated")
    what = f"{name}: test error of 1-SAM at step 100 below that at step 800"
    error = task.test_error(late.w)
    trial.at_most(*confidence.by_chance(what, error[0], error[2]))


@claim(
    "sam/deep-noise-not-slower",
    source="understanding_sam, Figure 12 (Sec. 5.3)",
    statement="At this scale 1-SAM is not merely slower: with as many wrong labels memorised, its "
    "test error is lower than ERM's.",
    hypotheses=("a perceptron on 300 digits, 40% wrong labels", "full batches, constant steps"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-m-ignored", "deep-no-ascent"),
)
def test_deep_sam_is_not_merely_slower(trial: Trial) -> None:
    """Test error where four fifths of the training labels are fitted for the first time.

    60% are right, so that half of the wrong ones are memorised there. On the tuning seeds 28.9%
    (ERM) and 23 (1-SAM). The grid is ten steps.
    """
    task = deep.noisy_digits(trial.seed, 7)
    sam = trial.optimizer("deep-sam", task.rate, **task.sam)
    grid = range(0, 401, 10)
    found = []
    for rule, steps in ((sam, 400), (task.erm(task.rate), 200)):
        run = trial.run(task.train, rule, steps, record=grid[: steps // 10 + 1])
        first = (task.train.error(run.w) <= 20).double().argmax(0)
        found.append(task.test_error(run.w).gather(0, first.unsqueeze(0))[0])
    what = f"{task.train.name}: test error of 1-SAM below ERM's with half of the noise memorised"
    trial.at_most(*confidence.by_chance(what, *found))


@claim(
    "sam/deep-noise-elsewhere",
    source="understanding_sam, Figure 12",
    statement="At this scale SAM with small m resists wrong labels with 60% of them as well, in a "
    "conv net, and with batch normalisation.",
    hypotheses=("300 digits (200 for the conv net)", "full batches, constant steps"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-n-sam", "deep-m-ignored", "deep-no-ascent"),
)
def test_deep_sam_noise_elsewhere(trial: Trial) -> None:
    """ERM's test error and that of m-SAM, m = 1, or 20 with batch norm, where 1 has no spread.

    On the tuning seeds 54.2 and 41.2% (60%, step 200), 41.7 and 28.5 (conv net, step 60), 32.2 and
    26.9 (batch norm, at step 200). At the full horizon with CIFAR-10 the paper's ResNet-18 as well.
    """
    runs = 7
    cases = (
        ("perceptron", deep.noisy_digits(trial.seed, runs, wrong_labels=0.6, steps=200), 0.2, 1),
        ("conv net", deep.noisy_digits(trial.seed, runs, convolutional=True, rate=0.05, steps=60),
         0.1, 1),
        ("batch norm", deep.noisy_digits(trial.seed, runs, batch_norm=True, steps=150), 0.2, 20),
    )  # fmt: skip
    full = deep.noise(trial.seed, trial.setting)
    for network, task, rho, m in (*cases, *([("ResNet", full, 0.1, None)] if full else [])):
        sam = trial.optimizer("deep-sam", task.schedule, rho=rho, m=m, **task.common)
        errors = [
            task.test_error(trial.run(task.train, rule, task.steps, record=[task.steps]).final)
            for rule in (sam, task.erm(task.schedule))
        ]
        what = f"{task.train.name}, {network}: test error of {m}-SAM below ERM's"
        trial.at_most(*confidence.by_chance(what, *errors))


@claim(
    "sam/deep-noise-unnormalised",
    source="understanding_sam, Figure 22 (App. E.7)",
    statement="At this scale the best test error over time of SAM without normalisation is below "
    "ERM's with wrong labels.",
    hypotheses=("a perceptron on 300 digits, 40% wrong labels", "m = 1, constant radius"),
    kind="ordering",
    roles=("deep-sam",),
    rivals=("deep-m-ignored", "deep-no-ascent"),
)
def test_deep_unnormalised_sam_noise(trial: Trial) -> None:
    """Best over steps 10, 20, ..., 100.

    On the tuning seeds by 1.4 +- 1.1 points; normalised SAM's best is better by .1 +- .7, so that
    which of the two is ahead is a matter of chance.
    """
    task = deep.noisy_digits(trial.seed, 22)
    free = trial.optimizer("deep-sam", task.rate, rho=0.02, m=1, normalised=False)
    best = [
        task.test_error(trial.run(task.train, rule, 100, record=range(10, 101, 10)).w).amin(0)
        for rule in (free, task.erm(task.rate))
    ]
    what = f"{task.train.name}: best test error of unnormalised SAM below ERM's"
    trial.at_most(*confidence.by_chance(what, *best))
