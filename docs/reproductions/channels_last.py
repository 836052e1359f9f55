"""AdamP cannot step where a kernel is stored channels last, by `view` where `reshape` is meant."""

import torch
from pytorch_optimizer import AdamP

layer = torch.nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)
layer(torch.ones(1, 2, 5, 5)).sum().backward()
try:
    AdamP(layer.parameters()).step()
except RuntimeError as exc:
    print(str(exc).partition(" (")[0])
# prints: view size is not compatible with input tensor's size and stride
