"""A group that is added afterwards is an error at the next step: something is kept by its place."""

import torch
from pytorch_optimizer import AdaBound

one, other = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
optimizer = AdaBound([one])
optimizer.add_param_group({"params": [other]})
one.grad = other.grad = torch.ones(2)
try:
    optimizer.step()
except IndexError as exc:
    print(exc)
# prints: list index out of range
