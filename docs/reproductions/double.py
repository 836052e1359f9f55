"""FAdam cannot train float64 parameters: a float32 scalar is lerped with them."""

import torch
from pytorch_optimizer import FAdam

p = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
p.grad = torch.ones_like(p)
try:
    FAdam([p]).step()
except RuntimeError as exc:
    print(exc)
# prints: expected dtype float for `end` but got dtype double
