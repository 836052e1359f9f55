"""torch.optim.Adagrad: a group's own initial_accumulator_value is taken, shown, and not used."""

import torch

p = torch.nn.Parameter(torch.ones(1))
group = {"params": [p], "initial_accumulator_value": 9.0}
optimizer = torch.optim.Adagrad([group], lr=0.1)
print("group:", optimizer.param_groups[0]["initial_accumulator_value"],
      "state:", optimizer.state[p]["sum"].item())  # fmt: skip
# prints: group: 9.0 state: 0.0
