"""ApolloDQN does not see that its group's lr is changed: schedulers have no effect."""

import torch
from pytorch_optimizer import ApolloDQN

ends = []
for lr in (0.01, 0.0):
    p = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = ApolloDQN([p], lr=0.01)
    optimizer.param_groups[0]["lr"] = lr
    for _ in range(3):
        p.grad = p.detach().clone()
        optimizer.step()
    ends.append(round(p[0].item(), 6))
print("lr kept, lr set to 0:", ends)
# prints: lr kept, lr set to 0: [0.985047, 0.985047]
