"""From a claim to a verdict: trials, evidence, errata, and the only way in which a claim is run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=("evidence",))
