"""RAdamScheduleFree is annotated to take a Tensor as lr; parameters become NaN with one."""

import torch
from schedulefree import RAdamScheduleFree

p = torch.nn.Parameter(torch.ones(2))
optimizer = RAdamScheduleFree([p], lr=torch.tensor(0.01))
optimizer.train()
p.grad = torch.ones(2)
optimizer.step()
print(p.data)
# prints: tensor([nan, nan])
