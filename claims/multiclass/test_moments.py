"""Adam's moments: their ratio, and how closely they follow the gradient."""

from dataclasses import replace
from typing import Any

import torch

from limitpoint import StepSize, Trial, claim, measures, play, problems
from limitpoint.optimizers import Rule
from limitpoint.theory import moments

# beta1 <= beta2; for the second pair the bound is one.
BETAS = ((0.9, 0.95), (0.9, 0.9), (0.9, 0.999), (0.1, 0.999))
PLAIN: dict[str, Any] = {"epsilon": 0.0, "free": ("beta1", "beta2")}


def betas_of(trial: Trial, adam: Rule, beta1: float, beta2: float) -> tuple[float, float]:
    """The claim's betas, or those that the user fixed."""
    beta1, beta2 = adam.settings.get("beta1", beta1), adam.settings.get("beta2", beta2)
    trial.require("beta1 <= beta2", beta1 <= beta2)
    return beta1, beta2


@claim(
    "multiclass/moment-ratio",
    source="signgd_adam, Lemma D.1 (Zhang et al. 2024, Lemma 6.5)",
    statement=r"$|m_t| \le \alpha_t \sqrt{v_t}$ entry by entry, with $\alpha_t^2 = "
    r"\frac{(1-\beta_1)^2}{1-\beta_2}\sum_{\tau\le t}(\beta_1^2/\beta_2)^\tau$, whatever the "
    r"gradients; $g_t \propto (\beta_2/\beta_1)^t$ attains it at every step.",
    hypotheses=("0 < beta1 <= beta2 < 1", "both moments start at zero", "no epsilon"),
    kind="identity",
    roles=("adam",),
    rivals=(
        "adam-beta-swap",
        "adam-undamped",
        "adam-squared-twice",
        "adam-root-lost",
        "adam-epsilon",
        "signgd",
    ),
)
def test_adam_moment_ratio(trial: Trial) -> None:
    """The ratio of Adam's moments has a sharp bound at every step, and we know who attains it.

    [derived] The paper's constant is the limit of alpha_t; the finite form is Cauchy-Schwarz with
    the weights of the two averages, and so is tight. The ratio is read off the iterates, (w_t -
    w_{t+1}) / eta_t, so that any implementation can be judged. Bias correction, which the paper
    leaves out, multiplies it by a known factor; the first step, which is then exactly one, tells.

    Tolerance 1e-9: the iterates stay below 1e4 step sizes, so that a displacement carries a
    rounding of 1e-12 of a step size; the moments' recursions add 300 roundings at most.
    """
    steps = 300
    noise = torch.Generator().manual_seed(trial.seed)
    random = torch.randn((steps, 40), generator=noise, dtype=torch.float64)
    problem = problems.clusters(trial.seed)
    for beta1, beta2 in BETAS:
        name = f"betas ({beta1}, {beta2})"
        adam = trial.optimizer("adam", 1.0, beta1=beta1, beta2=beta2, **PLAIN)
        beta1, beta2 = betas_of(trial, adam, beta1, beta2)
        extremal = play(adam, moments.extremal_gradients(beta1, beta2, steps))
        attained = moments.displacements(extremal, adam)[:, 0]
        bound = moments.ratio_bound(beta1, beta2, steps)
        bound = bound * moments.correction_seen(attained[0], beta1, beta2, steps)
        reached = bound[: len(attained)]
        trial.identity(f"{name}, extremal gradients", attained, reached, 1e-9, "rounding")

        ratio = moments.displacements(play(adam, random), adam).abs().amax(-1)
        # At first every gradient attains it.
        trial.at_most(f"{name}, random gradients", ratio[1:], bound[1:], 1e-9, "rounding")

        adam = trial.optimizer("adam", StepSize(0.4, 0.5), beta1=beta1, beta2=beta2, **PLAIN)
        run = trial.run(problem, adam, steps, record=range(steps + 1))
        ratio = moments.displacements(run, adam).abs().amax((1, 2))
        trial.at_most(f"{name}, along a run", ratio[1:], bound[1:], 1e-9, "rounding")


@claim(
    "multiclass/moments-track",
    source="signgd_adam, Lemmas 6.1 and 6.2 / D.2 and D.3, with their sums made explicit",
    statement=r"With $T_c = G_c + Q_c$, $\|h_i\|_1 \le B$, $b_j = \max_i |h_{ij}|$ and $H_s = "
    r"\sum_{\tau=1}^s \eta_{t-\tau}$: $|m_t - (1-\beta_1^{t+1}) g_t| \le b_j T_c (1-\beta_1) "
    r"\sum_s \beta_1^s (e^{2B\alpha H_s} - 1)$ and "
    r"$|\sqrt{v_t} - \sqrt{1-\beta_2^{t+1}} |g_t|| \le b_j T_c "
    r"\sqrt{(1-\beta_2) \sum_s \beta_2^s (e^{4B\alpha H_s} - 1)}$: of order $\eta_t$ and "
    r"$\sqrt{\eta_t}$, class by class, and without a factor $k$.",
    hypotheses=("beta1 <= beta2, both moments start at zero", "no epsilon", "||h_i||_1 <= B"),
    kind="inequality",
    roles=("adam",),
    rivals=(
        "adam-beta-swap",
        "adam-undamped",
        "adam-squared-twice",
        "amsgrad",
        "ngd",
        "adam-half-corrected",
        "adam-late-moment",
        "ascent",
        "stale",
        "schedule-late",
        "step-doubled",
        "accelerated",
        "unnormalised",
    ),
)
def test_adam_moments_track(trial: Trial) -> None:
    """Adam's moments follow the gradient within bounds of order eta_t and sqrt(eta_t), by class.

    [derived] The lemmas hide their sums in constants; we keep them. By D.1 the iterates of the last
    s steps stay within alpha H_s of each other, each softmax residual changes by a factor within
    e^(+-2B alpha H_s) (D.10), and |g_t[c, j]| <= b_j T_c, where the lemmas have B; then
    |sqrt(a) - sqrt(b)| <= sqrt|a - b|. The sums come down to their leading orders, 2 B alpha eta_t
    beta1 / (1 - beta1) and the root of 4 B alpha eta_t beta2 / (1 - beta2).

    On two mirrored examples in one dimension (D.10) and |g| <= b T_c are equalities: half of the
    first bound would fail there, which is the control.

    The moments are those of (3a), (3b) at the subject's own iterates; that it moves by
    m_t / sqrt(v_t), an entry wherever v_t is not zero, is tested first. Tolerances: a displacement
    carries a rounding of 2^-53 |w| / eta_t, below 1e-11; the moments one of a few 2^-53 of T_c.
    """
    steps = 1000
    t = torch.arange(1, steps + 1, dtype=torch.float64).reshape(-1, 1, 1)
    pair = problems.mirrored_pair(trial.seed, d=1)
    cases = [(f"k = {k}", problems.clusters(trial.seed, k=k)) for k in (5, 20)]
    for name, problem in (*cases, ("a mirrored pair", pair)):
        adam = trial.optimizer("adam", StepSize(0.1, 0.5), beta1=0.9, beta2=0.95, **PLAIN)
        beta1, beta2 = betas_of(trial, adam, 0.9, 0.95)
        alpha = float(moments.ratio_bound(beta1, beta2, steps)[-1])
        # Logits as large as the theorem's, whatever the unit of W that a user's eta_0 sets.
        problem = replace(problem, X=problem.X * 0.1 / adam.step_size.at(0))
        run = trial.run(problem, adam, steps, record=range(steps + 1))
        g = problem.grad(run.w[:-1]).tensor()
        m, v = moments.moving_average(g, beta1), moments.moving_average(g**2, beta2)
        moved = moments.displacements(run, adam)
        corrected = moments.correction_seen(moved[0].abs().max(), beta1, beta2, steps)
        expected = corrected.reshape(-1, 1, 1) * m / v.sqrt()
        places = ("step", "class", "entry")
        trial.close(f"{name}: the step", moved, expected, 1e-9, "rounding", along=places)

        B = problem.X.abs().sum(-1).max()
        each_class = torch.logaddexp(*measures.log_class_proxies(problem, run.w[:-1])).exp()
        size = problem.X.abs().amax(0) * each_class.unsqueeze(-1)
        first = ((m - (1 - beta1**t) * g).abs() / size).amax((1, 2))
        second = ((v.sqrt() - torch.sqrt(1 - beta2**t) * g.abs()).abs() / size).amax((1, 2))
        drift = B * alpha * moments.drift(adam.step_size, steps)
        bound = moments.discounted_growth(2 * drift, beta1)
        root = moments.discounted_growth(4 * drift, beta2).sqrt()
        trial.at_most(f"{name}: first moment", first[1:], bound[1:], 1e-12, "rounding")
        trial.at_most(f"{name}: second moment", second[1:], root[1:], 1e-12, "rounding")
        if problem is pair:
            title = f"{name}: half of the first bound, then the first moment, at the end"
            trial.ordering(title, bound[-1] / 2, first[-1], "control: equalities in the tail")

        if (beta1, beta2) != (0.9, 0.95):
            continue  # what follows is about the bounds alone, at these betas
        pace = B * alpha * run.integrals["step_size"].flatten().diff()
        for which, found, order in (
            ("first", bound, 2 * pace * beta1 / (1 - beta1)),
            ("second", root, (4 * pace * beta2 / (1 - beta2)).sqrt()),
        ):
            late, title = (found / order)[300:], f"{name}: {which} bound over its order"
            because = "1.2 and 1.8 at step 300, and falling"
            trial.at_most(title, late, 2.0, 0.0, because, about="a formula")
