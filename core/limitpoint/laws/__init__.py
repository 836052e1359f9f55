"""What every implementation of an optimizer owes its user: exact, a dozen steps, no limit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
