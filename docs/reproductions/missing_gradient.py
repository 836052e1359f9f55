"""A parameter without a gradient, as of a layer that was not used, is an error.

In torch.optim it is left alone.
"""

import torch
from muon import SingleDeviceMuon

used, unused = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
used.grad = torch.eye(2)
try:
    SingleDeviceMuon([used, unused], lr=0.1).step()
except TypeError as exc:
    print(str(exc).partition(" received")[0], "raised TypeError")
# prints: lerp_() raised TypeError
