"""Which models, losses and rules the kernels know, and by which name.

Looked up by exact type, as in `limitpoint.engines.cpu`: a subclass may do something else. A new one
is a branch in `kernels` and an entry here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from limitpoint import optimizers
from limitpoint.problems import losses, models

MODELS: Mapping[type, str] = {
    models.Linear: "linear",
    models.MulticlassLinear: "multiclass",
    models.DiagonalDifference: "difference",
    models.DiagonalProduct: "product",
}

LOSSES: Mapping[type, str] = {
    losses.Squared: "squared",
    losses.PseudoHuber: "pseudo_huber",
    losses.LogCosh: "log_cosh",
    losses.Logistic: "logistic",
    losses.Exponential: "exponential",
    losses.CrossEntropy: "cross_entropy",
    losses.MulticlassExponential: "multiclass_exponential",
    losses.PairLogLoss: "pair_log",
}


def _steepest(rule: optimizers.SteepestDescent) -> str:
    return {1.0: "coordinate", 2.0: "normalised", math.inf: "sign"}.get(float(rule.p), "steepest")


def _sharpness(rule: optimizers.MSAM) -> str:
    return "one_sam" if rule.batch_size == 1 else "m_sam"


RULES: Mapping[type, Callable[[Any], str]] = {
    optimizers.GD: lambda rule: "gd",
    optimizers.Momentum: lambda rule: "momentum",
    optimizers.SteepestDescent: _steepest,
    optimizers.Adam: lambda rule: "adam",
    optimizers.USAM: lambda rule: "usam",
    optimizers.NSAM: lambda rule: "usam",
    optimizers.L2SAM: lambda rule: "l2_sam",
    optimizers.LinfSAM: lambda rule: "linf_sam",
    optimizers.MSAM: _sharpness,
    optimizers.OneSAM: _sharpness,
}

#: What is fused on the CPU and stays with torch on CUDA, and why.
TORCH_ONLY: Mapping[type, str] = {
    models.ReluNetwork: "one claim has it, with three hundred numbers: batched torch will do",
    losses.Probit: "Triton has no complementary error function",
    optimizers.SpectralDescent: "a singular value decomposition is torch's",
    optimizers.Muon: "a singular value decomposition is torch's",
}
