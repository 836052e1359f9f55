"""step() leaves another gradient behind than it was given.

Decay or a sign is added in place. Whoever reads p.grad afterwards (a logger of norms, accumulation,
a second optimizer) reads that.
"""

import torch
from pytorch_optimizer import AdaBelief

p = torch.nn.Parameter(torch.ones(2))
p.grad = torch.ones(2)
AdaBelief([p], weight_decay=0.1, weight_decouple=False).step()
print("gradient was 1, is", round(p.grad[0].item(), 4))
# prints: gradient was 1, is 1.1
