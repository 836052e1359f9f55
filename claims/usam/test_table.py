"""A linear model on images: Table 1 of usam_report, and what it contradicts."""

from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from limitpoint import Erratum, Problem, Trial, claim, problems
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import ImageSet, spectral_images, upscaled_digits
from limitpoint.views.tables.table1 import RADII, STEP_SIZE, TRIALS, printed, table_1

BOTH = ("0", "random")


def image_sets(trial: Trial) -> Iterator[tuple[str, ImageSet, int, tuple[str, ...]]]:
    """Name, images, how many of each of ten classes, and the starts that are claimed."""
    if trial.setting.cifar10 is not None:
        yield "CIFAR-10", read_cifar10(trial.setting.cifar10), 100, BOTH
    else:
        yield "1/f images", spectral_images(trial.seed), trial.steps(40, 100), BOTH
        yield "digits", upscaled_digits(trial.seed), trial.steps(20, 36), ("0",)


def measured(trial: Trial, images: ImageSet, **per_class: int) -> pd.DataFrame:
    """Table 1 on images, whoever plays the roles."""
    classes = {"binary": 2, "multiclass": 10}
    tasks = {t: images.task(classes[t], n, seed=trial.seed) for t, n in per_class.items()}
    rules = {"GD": trial.optimizer("gd", STEP_SIZE)} | {
        f"USAM({rho})": trial.optimizer("usam", STEP_SIZE, rho=rho) for rho in RADII
    }
    return table_1(tasks, rules, seed=trial.seed, runner=trial.run)


@claim(
    "usam/table-1",
    source="usam_report, Table 1 and Section 4",
    statement="On images USAM ends where the Hessian has a smaller trace than at GD's solution, "
    "and farther from the start; with ten classes the two solutions are closer, relative to their "
    "size, than with two.",
    hypotheses=(
        "linear model, cross-entropy, n < d",
        "a photograph's spectrum; or a zero start",
    ),
    kind="ordering",
    roles=("usam", "gd"),
    rivals=("rho-zero", "rho-negative", "bracket-lost"),
)
def test_usam_and_gd_table_1(trial: Trial) -> None:
    """The orderings of Table 1 and Section 4, strict, on CIFAR-10 or on stand-ins of its shape.

    They are measured, no theorem. Printed, the traces at rho = .01 from a zero start tie to the
    digits given. As <grad L(w + rho g) - grad L(w), g> >= 0 for a convex L, USAM's steps are no
    shorter than GD's from the same point, and it is ahead on the same path while steps are small;
    but eta = .1 lies beyond the stability edge of raw pixels, and the first steps part the two. How
    far they end apart is summed over the radii: at .01 it is a few percent, in either order. On
    the digits those steps decide where a random start leads, in either order: only the zero start
    is claimed there. Classes have fewer images than the report's 100 each at the quick horizon, and
    on the digits, but not with --cifar10.
    """
    for name, images, ten, starts in image_sets(trial):
        table = measured(trial, images, binary=min(100, 2 * ten), multiclass=ten)
        for start in starts:
            rows = table.xs(start, level="start").unstack("task")
            gd, usam = rows.loc["GD"], rows.drop("GD")
            where = f"{name}, start {start}"
            trial.ordering(f"{where}: trace, USAM < GD", usam["trace"], gd["trace"], "printed")
            trial.ordering(
                f"{where}: distance, GD < USAM", gd["distance"], usam["distance"], "printed"
            )
            apart = usam["from_first"].sum()
            title = f"{where}: apart, 10 classes < 2, over the radii"
            trial.ordering(title, apart["multiclass"], apart["binary"], "Section 4")


@claim(
    "usam/erratum-table-1",
    source="usam_report, Table 1",
    statement=r"From a zero start $\|w_{sol}\| = \|w_{init} - w_{sol}\|$; five of the six such "
    "rows of Table 1 print two different numbers.",
    hypotheses=(),
    kind="erratum",
    erratum=Erratum(
        printed="from w_init = 0, norm and distance are 10.52 and 10.53, 10.47 and 10.48, 36.09 "
        "and 36.10, 36.14 and 36.16, 36.08 and 36.11",
        corrected="from w_init = 0 the norm is the distance",
        where="Table 1, five of its six rows with w_init = 0",
        basis="contradiction",
        sure="certain",
        because="w_sol - 0 is w_sol. Which column is right, or whether the start was not zero, "
        "the table cannot tell. Our copy would have had to misread a digit in five rows.",
    ),
)
def test_usam_and_gd_erratum_table_1(trial: Trial) -> None:
    """Norm and distance from a zero start are one number, to the last bit; printed they are two.

    The table contradicts the meaning of its own columns: equal numbers round alike, so that two
    printed ones prove a start other than zero, or a slip. Tolerance: none, w - 0 is w.
    """
    rows = printed().xs("0", level="start")
    differ = (rows["norm"] != rows["distance"]).sum()
    trial.printed.close("rows with two numbers", differ, 5, 0, "counted")
    task = spectral_images(trial.seed, 2).task(2, 40, seed=trial.seed)
    rows = table_1({"binary": task}, seed=trial.seed, runner=trial.run).xs("0", level="start")
    trial.corrected.close("norm, to the distance", rows["norm"], rows["distance"], 0, "w - 0 is w")


@claim(
    "usam/erratum-sensitivity",
    source="usam_report, Table 1 and Section 4 (perturbation sensitivity)",
    statement=r"For noise symmetric about zero the mean perturbation sensitivity is "
    r"$r^2\,\mathrm{tr}\nabla^2 L / 2kd$, a thousandth of its standard error over 100 trials: "
    "that USAM's is an order of magnitude below GD's says nothing of the two solutions.",
    hypotheses=("noise of Frobenius norm r, symmetric about zero, independent of the weights",),
    kind="erratum",
    erratum=Erratum(
        printed="USAM's perturbation sensitivity is an order of magnitude smaller than GD's: it "
        "finds flatter minima",
        corrected="for independent symmetric noise the mean over 100 trials is noise: its "
        "expectation, r^2 tr(H) / 2kd, is a thousandth of its standard error",
        where="Table 1, column |grad L|, and Section 4",
        basis="contradiction",
        sure="likely",
        because="The table's own traces and deviations give expectation and standard error. That "
        'the noise is symmetric about zero is our reading of "small random noise"; GD\'s means '
        "from a zero start say that their trials were not independent draws of such noise.",
    ),
)
def test_usam_and_gd_erratum_sensitivity(trial: Trial) -> None:
    """The means of GD and USAM are within four standard errors of the expectation.

    L(w + z) - L(w) = <g, z> + z^T H z / 2 up to 1e-15 r: the first term averages to zero, the
    second to r^2 tr(H) / 2kd [derived]. Tolerance: four standard errors, as <g, z> is Gaussian to
    within 1/kd. The printed numbers themselves put the expectation at 3e-13 or 8e-13 (k d = 2048,
    10240) and the standard error, a tenth of the printed deviation, at 6e-10 to 9e-10. As a
    control, GD's printed means from a zero start are above four standard errors, which independent
    draws of symmetric noise reach from that side less than once in 1e4 times: theirs were not
    independent, or the noise was another.
    """
    task = spectral_images(trial.seed, 2).task(2, seed=trial.seed)
    table = table_1({"binary": task}, seed=trial.seed, runner=trial.run)
    error = table["sensitivity_std"] / TRIALS**0.5
    off = (table["sensitivity"] - table["expected"]) / error
    trial.corrected.close("mean, in standard errors from its expectation", off, 0.0, 4.0, "4 sigma")
    trial.corrected.ordering(
        "100 expectations, then a standard error", 100 * table["expected"], error, "2 kd"
    )

    rows = printed().xs("0", level="start").xs("GD", level="optimizer")
    off = rows["sensitivity"] / (rows["sensitivity_std"] / TRIALS**0.5)
    trial.printed.ordering("4, then GD's means in standard errors", 4.0, off, "control")


def as_printed(problem: Problem, w: Tensor, step_size: float, rho: float) -> Tensor:
    """(3) as it is printed: w - eta grad L(w) + rho grad L(w)."""
    g = problem.grad(w)
    return w - step_size * g + rho * g


@claim(
    "usam/erratum-equation-3",
    source="usam_report, (3); Figure 1, Table 1 and the perturbed point of Section 3.2",
    statement=r"As printed, (3) is GD with step $\eta - \rho$: it stands still at "
    r"$\eta = \rho = .1$, where Table 1 has USAM move by 10.53. With its bracket, "
    r"$w - \eta\nabla L(w + \rho\nabla L(w))$, it goes where Figure 1 shows.",
    hypotheses=("eta * 10 * (1 + rho * 10) < 2",),
    kind="erratum",
    erratum=Erratum(
        printed="w_(t+1) = w_t - eta grad L(w_t) + rho grad L(w_t)",
        corrected="w_(t+1) = w_t - eta grad L(w_t + rho grad L(w_t))",
        where="(3) in Section 3.1",
        basis="contradiction",
        sure="open",
        because="Section 3.2 takes the gradient at the perturbed point, and Table 1 has USAM move "
        "at eta = rho, where the printed form stands still. But our copy may have lost a bracket: "
        "that of another paper did in just such a formula.",
    ),
    roles=("usam",),
    rivals=("bracket-lost", "perturbation-kept", "rho-negative"),
    seeded=False,
)
def test_usam_erratum_equation_3(trial: Trial) -> None:
    """As printed the update stands still at eta = rho and climbs beyond; bracketed, it converges.

    The proof is a contradiction within the report; our text of it is a conversion, which may have
    lost a bracket. Section 3.2 evaluates the gradient at w + rho grad L(w), the bracketed form.
    Tolerances: the printed form adds and takes away one number; 0.6^200 is far below rounding, and
    rounding adds up to 2^-51 / (1 - 0.6).
    """
    problem = problems.one_equation()
    start, end = problem.start, torch.tensor([0.6, 0.2], dtype=torch.float64)
    still = as_printed(problem, start, STEP_SIZE, STEP_SIZE)
    trial.printed.close("displacement at eta = rho", still - start, 0.0, 2**-52, "rounding")
    row = printed().loc[("binary", "USAM(0.1)", "0")]
    trial.printed.ordering("distance at eta = rho, then Table 1's", 0.0, row["distance"], "printed")
    uphill = as_printed(problem, start, 0.04, 0.05)
    trial.printed.ordering(
        "loss, then loss after a step with eta < rho",
        problem.value(start),
        problem.value(uphill),
        "up",
    )

    usam = trial.optimizer("usam", 0.04, rho=0.04)
    run = trial.run(problem, usam, 200, record=(0, 1, 200))
    factor = 1 - 0.04 * 10 * (1 + 0.04 * 10)
    moved = factor * (start - end)
    trial.corrected.close("first step", run.w[1] - end, moved, 2**-51, "rounding")
    trial.corrected.close("end, to (0.6, 0.2)", run.final, end, 2**-51 / 0.4, "rounding")
