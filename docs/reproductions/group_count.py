"""Steps are counted by group: a parameter whose first gradient comes late is corrected as if its
averages were as old as the group's.

The first step of Adam has the length lr, of whichever parameter.
"""

import torch
from optimi import AdamW

early, late = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
optimizer = AdamW([early, late], lr=1.0, weight_decay=0.0)
for t in range(10):
    early.grad, late.grad = torch.ones(1).double(), torch.ones(1).double() if t == 9 else None
    optimizer.step()
print("first step over lr:", round(-late.item(), 4), "not 1")
# prints: first step over lr: 0.4748 not 1
