"""Adan with maximize=True: from the second step on it is not the mirror image of minimizing.

The gradient is negated in place, the one that is kept of the step before is not what it is held
against.
"""

import torch
from pytorch_optimizer import Adan

ends = []
for sign in (1.0, -1.0):
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = Adan([p], lr=0.1, maximize=sign < 0)
    for gradient in (1.0, 2.0, 1.0):
        p.grad = torch.full_like(p, sign * gradient)
        optimizer.step()
    ends.append(round(p.item(), 6))
print("minimize L, maximize -L:", ends)
# prints: minimize L, maximize -L: [-0.264078, -0.279174]
