"""limitpoint: executable theory of optimizers.

Theorems about where optimizers end up, their implicit bias, as tests that run. The public names
stand in `__init__.pyi`, and each is loaded when it is first used, so that the pytest plugin costs
nothing in sessions without claims.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
