"""Prodigy reads the betas of its first group for all groups, and does not say so."""

import torch
from prodigyopt import Prodigy

ends = []
for beta1 in (0.9, 0.0):
    one, other = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    second = {"params": [other], "betas": (beta1, 0.999)}
    optimizer = Prodigy([{"params": [one]}, second], d0=0.1)
    for gradient in (1.0, -1.0, 1.0):
        one.grad = other.grad = torch.full((1,), gradient).double()
        optimizer.step()
    ends.append(round(other.item(), 6))
print("second group with beta1 = .9, with 0:", ends)
# prints: second group with beta1 = .9, with 0: [-0.460087, -0.460087]
