"""Right rules in the wrong place: each is sound, and not what the theorem is about."""

import torch

from limitpoint import optimizers
from limitpoint.rivals._registry import rival

rival("gd", "plain gradient descent")(optimizers.GD)
rival("momentum", "gradient descent with momentum .9")(optimizers.Momentum)
rival("ngd", "steepest descent in the 2-norm", p=2.0)(optimizers.SteepestDescent)
rival("signgd", "steepest descent in the max-norm", p=torch.inf)(optimizers.SteepestDescent)
rival("cd", "steepest descent in the 1-norm", p=1.0)(optimizers.SteepestDescent)
rival("nsd-3", "steepest descent in the 3-norm", p=3.0)(optimizers.SteepestDescent)
rival("adam", "Adam", beta1=0.9, beta2=0.95)(optimizers.Adam)
rival("usam", "SAM without normalisation")(optimizers.USAM)
rival("sam-l2", "SAM with a normalised perturbation")(optimizers.L2SAM)
rival("sam-linf", "SAM with the gradient's sign as perturbation")(optimizers.LinfSAM)
rival("n-sam", "one perturbation for the whole batch")(optimizers.NSAM)
rival("1-sam", "a perturbation for each example", batch_size=1)(optimizers.OneSAM)
rival("rho-zero", "the perturbation dropped", rho=0.0)(optimizers.USAM)
