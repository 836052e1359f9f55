"""Right rules in the wrong place: each is sound, and not what the theorem is about."""

import torch

from limitpoint import optimizers
from limitpoint.rivals._registry import rival

GD = "ngd signgd nsd adam adamw n-sam m-sam 1-sam sam-l2 sam-linf"
SIGN = "gd ngd nsd spectral muon adam usam sam-l2 sam-linf"
NGD = "gd signgd nsd spectral muon adam"
plain("gd", "plain gradient descent", GD, optimizers.GD)
plain("momentum", "gradient descent with momentum .9", "gd signgd muon", optimizers.Momentum)
plain("ngd", "steepest descent in the 2-norm", NGD, optimizers.SteepestDescent, p=2.0)
plain("signgd", "steepest descent in the max-norm", SIGN, optimizers.SteepestDescent, p=torch.inf)
plain("cd", "steepest descent in the 1-norm", "gd ngd nsd usam", optimizers.SteepestDescent, p=1.0)
plain(
    "nsd-3", "steepest descent in the 3-norm", "ngd signgd nsd", optimizers.SteepestDescent, p=3.0
)
plain("adam", "Adam", "gd usam", optimizers.Adam, beta1=0.9, beta2=0.95)
plain("usam", "SAM without normalisation", "gd sam-l2 sam-linf", optimizers.USAM)
plain("sam-l2", "SAM with a normalised perturbation", "usam n-sam m-sam sam-linf", optimizers.L2SAM)
plain(
    "sam-linf",
    "SAM with the gradient's sign as perturbation",
    "gd usam sam-l2",
    optimizers.LinfSAM,
)
plain("n-sam", "one perturbation for the whole batch", "1-sam m-sam", optimizers.NSAM)
plain("1-sam", "a perturbation for each example", "gd n-sam m-sam", optimizers.OneSAM,
      batch_size=1)  # fmt: skip
plain("rho-zero", "the perturbation dropped", "usam n-sam sam-l2", optimizers.USAM, rho=0.0)
