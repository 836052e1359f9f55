"""A linear model on images: Table 1 of usam_report, and what it contradicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from limitpoint import Erratum, Trial, claim, problems
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import ImageSet, spectral_images, upscaled_digits
from limitpoint.views.tables.table1 import RADII, STEP_SIZE, TRIALS, printed, table_1

if TYPE_CHECKING:
    import pandas as pd

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


def like_a_photograph(images: ImageSet) -> bool:
    """Whether neighbouring pixels differ by less than 3/4 of what any two do: all do in noise."""
    grey = images.train.pixels.reshape(-1, 32, 32) / 255.0
    return bool((grey[:, 1:] - grey[:, :-1]).std() < 0.75 * grey.std() * 2**0.5)


@claim(
    "usam/table-1",
    source="usam_report, Table 1 and Section 4",
    statement=r"On images USAM with $\rho = \eta = .1$ ends where the Hessian has a smaller trace "
    "than at GD's solution; with either radius it ends farther from the start; and with ten "
    "classes the two solutions are closer, relative to their size, than with two.",
    hypotheses=(
        "linear model, cross-entropy, n < d",
        "a photograph's spectrum; or a zero start",
    ),
    kind="ordering",
    roles=("usam", "gd"),
    rivals=(
        "rho-zero",
        "rho-negative",
        "bracket-lost",
        "gd:step-doubled",
    ),
)
def test_usam_and_gd_table_1(trial: Trial) -> None:
    """The orderings of Table 1 and Section 4 that the table itself keeps, on stand-ins or CIFAR-10.

    They are measured, no theorem. Of the trace at rho = .01 the table has two ties, and one pair in
    the other order (usam/erratum-consistently-flatter): only rho = .1 is claimed. As
    <grad L(w + rho g) - grad L(w), g> >= 0 for a convex L, USAM's steps are no shorter than GD's
    from the same point, and it is ahead on the same path while steps are small; but eta = .1 lies
    beyond the stability edge of raw pixels, and the first steps part the two. How far they end
    apart is summed over the radii: at .01 it is a few percent, in either order. On the digits those
    steps decide where a random start leads, in either order: only the zero start is claimed there.
    Classes have fewer images than the report's 100 each at the quick horizon, and on the digits,
    but not with --cifar10.
    """
    for name, images, ten, starts in image_sets(trial):
        smooth = starts == ("0",) or like_a_photograph(images)
        trial.require("a photograph's spectrum; or a zero start", smooth)
        table = measured(trial, images, binary=min(100, 2 * ten), multiclass=ten)
        for start in starts:
            rows = table.xs(start, level="start").unstack("task")
            gd, usam = rows.loc["GD"], rows.drop("GD")
            where, trace = f"{name}, start {start}", usam["trace"].loc["USAM(0.1)"]
            trial.ordering(f"{where}: trace, USAM(.1) < GD", trace, gd["trace"], "printed")
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
        "the table cannot tell.",
        copy="It shows both columns; to explain this it would have had to misread a digit in five "
        "rows.",
    ),
)
def test_usam_and_gd_erratum_table_1(trial: Trial) -> None:
    """Norm and distance from a zero start are one number, to the last bit; printed they are two.

    The table contradicts the meaning of its own columns: equal numbers round alike, so that two
    printed ones prove a start other than zero, or a slip. Tolerance: none, w - 0 is w.
    """
    rows = printed().xs("0", level="start")
    differ = (rows["norm"] != rows["distance"]).sum()
    trial.printed.close("rows with two numbers", differ, 5, 0, "counted", about="a formula")
    task = spectral_images(trial.seed, 2).task(2, 40, seed=trial.seed)
    rows = table_1({"binary": task}, seed=trial.seed, runner=trial.run).xs("0", level="start")
    trial.corrected.close("norm, to the distance", rows["norm"], rows["distance"], 0, "w - 0 is w")


@claim(
    "usam/erratum-sensitivity",
    source="usam_report, Table 1 and Section 4 (perturbation sensitivity)",
    statement=r"For isotropic noise of Frobenius norm $r$ the mean perturbation sensitivity is "
    r"$r^2\,\mathrm{tr}\nabla^2 L / 2kd$, a thousandth of its standard error over 100 trials; so "
    "if the report's trials were independent draws of it, that USAM's mean is an order of "
    "magnitude below GD's says nothing of the two solutions.",
    hypotheses=("isotropic noise of Frobenius norm r, independent of the weights",),
    kind="erratum",
    erratum=Erratum(
        printed="USAM's perturbation sensitivity is an order of magnitude smaller than GD's: it "
        "finds flatter minima",
        corrected="if the 100 trials are independent draws of isotropic noise, their mean is "
        "noise: its expectation, r^2 tr(H) / 2kd, is a thousandth of its standard error",
        where="Table 1, column |grad L|, and Section 4",
        basis="contradiction",
        sure="open",
        because="The table's own traces and deviations give expectation and standard error. But "
        "it rejects the model that this rests on: all twelve printed means are positive, and GD's "
        "from a zero start are 4.2 and 4.4 standard errors, so that the trials were no independent "
        "draws of isotropic noise. Symmetry about zero would not do: noise along one axis feels "
        "one curvature.",
        copy='It has the noise\'s size and "small random noise of fixed Frobenius norm", and not '
        "how it was drawn.",
    ),
)
def test_usam_and_gd_erratum_sensitivity(trial: Trial) -> None:
    """With isotropic noise the means of GD and USAM are within four standard errors of theirs.

    L(w + z) - L(w) = <g, z> + z^T H z / 2 up to 1e-15 r: the first term averages to zero, and as
    E z z^T = r^2 I / kd the second to r^2 tr(H) / 2kd [derived]. Tolerance: four standard errors,
    as <g, z> is Gaussian to within 1/kd. Printed: what the eight means of USAM amount to, and, as
    controls of the model, GD's two from a zero start and the sign of all twelve. z = +-r e_1, which
    is symmetric and not isotropic, gives r^2 H_11 / 2.
    """
    task = spectral_images(trial.seed, 2).task(2, seed=trial.seed)
    table = table_1({"binary": task}, seed=trial.seed, runner=trial.run)
    error = table["sensitivity_std"] / TRIALS**0.5
    off = (table["sensitivity"] - table["expected"]) / error
    trial.corrected.close("mean, in standard errors from its expectation", off, 0.0, 4.0, "4 sigma")
    trial.corrected.ordering(
        "100 expectations, then a standard error", 100 * table["expected"], error, "2 kd"
    )

    rows = printed()
    off = rows["sensitivity"] / (rows["sensitivity_std"] / TRIALS**0.5)
    off = off.unstack("optimizer")
    usam, gd = off.drop(columns="GD"), off["GD"].xs("0", level="start")
    trial.printed.at_most("USAM's means in standard errors", usam, 1.0, 0.0, "printed")
    trial.ordering("4, then GD's means in standard errors, zero start", 4.0, gd, "control")
    trial.ordering("0, then all printed means", 0.0, rows["sensitivity"], "control")

    bowl, r = problems.quadratic(torch.tensor([5.0, 1.0, 0.0, 0.0], dtype=torch.float64)), 0.01
    along = bowl.value(r * torch.eye(4, dtype=torch.float64)).mean()
    trial.corrected.identity("mean over the axes", along, r**2 * 6 / 8, 1e-14, "isotropic: a trace")
    one = bowl.value(torch.tensor([[r, 0, 0, 0], [-r, 0, 0, 0]], dtype=torch.float64)).mean()
    trial.identity("mean of z = r e_1 and -r e_1", one, r**2 * 5 / 2, 1e-14, "symmetric: no trace")
