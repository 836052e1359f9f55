"""A copy of the optimizer cannot step: attributes beside groups and state are not copied.

`Optimizer.__getstate__` hands on `defaults`, `state` and `param_groups` alone. A class that reads
another attribute in `step` has to say so itself, for deepcopy and for pickle.
"""

import copy

import torch
from lion_pytorch import Lion

optimizer = copy.deepcopy(Lion([torch.nn.Parameter(torch.ones(2))]))
p = optimizer.param_groups[0]["params"][0]
p.grad = torch.ones(2)
try:
    optimizer.step()
except AttributeError as exc:
    print(exc)
# prints: 'Lion' object has no attribute 'decoupled_wd'
