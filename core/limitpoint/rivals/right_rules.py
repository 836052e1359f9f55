"""Right rules in the wrong place: each is sound, and not what the theorem is about."""

import torch

from limitpoint import optimizers
from limitpoint.rivals._registry import plain

plain("gd", "plain gradient descent", optimizers.GD)
plain("momentum", "gradient descent with momentum .9", optimizers.Momentum)
plain("ngd", "steepest descent in the 2-norm", optimizers.SteepestDescent, p=2.0)
plain("signgd", "steepest descent in the max-norm", optimizers.SteepestDescent, p=torch.inf)
plain("cd", "steepest descent in the 1-norm", optimizers.SteepestDescent, p=1.0)
plain("nsd-3", "steepest descent in the 3-norm", optimizers.SteepestDescent, p=3.0)
plain("adam", "Adam", optimizers.Adam, beta1=0.9, beta2=0.95)
plain("usam", "SAM without normalisation", optimizers.USAM)
plain("sam-l2", "SAM with a normalised perturbation", optimizers.L2SAM)
plain("sam-linf", "SAM with the gradient's sign as perturbation", optimizers.LinfSAM)
plain("n-sam", "one perturbation for the whole batch", optimizers.NSAM)
plain("1-sam", "a perturbation for each example", optimizers.OneSAM)
plain("rho-zero", "the perturbation dropped", optimizers.USAM, rho=0.0)
