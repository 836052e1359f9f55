"""Subjects: somebody else's optimizer in the role of a claim.

The names stand in `__init__.pyi`, and each is loaded when it is first used: the command line asks
for the usual limits, and for no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
