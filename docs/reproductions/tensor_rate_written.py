"""SOAP multiplies a learning rate that is a Tensor in place: it grows from step to step."""

import torch
from pytorch_optimizer import SOAP

p = torch.nn.Parameter(torch.ones(2, 2))
lr = torch.tensor(0.01)
optimizer = SOAP([p], lr=lr)
for _ in range(3):
    p.grad = torch.eye(2)
    optimizer.step()
print("lr was 0.01, is", round(lr.item(), 4))

# prints: lr was 0.01, is 0.1432
