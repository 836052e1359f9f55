"""The roles that claims are about, and limitpoint's own rule for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from limitpoint import optimizers
from limitpoint.optimizers import Rule

Factory = Callable[..., Rule]

ROLES: Mapping[str, Factory] = MappingProxyType(
    {
        "gd": optimizers.GD,
        "momentum": optimizers.Momentum,
        "ngd": optimizers.NGD,
        "signgd": optimizers.SignGD,
        "cd": optimizers.CoordinateDescent,
        "nsd": optimizers.SteepestDescent,
        "spectral": optimizers.SpectralDescent,
        "muon": optimizers.Muon,
        "adam": optimizers.Adam,
        "adamw": optimizers.Adam,
        "usam": optimizers.USAM,
        "n-sam": optimizers.NSAM,
        "m-sam": optimizers.MSAM,
        "1-sam": optimizers.OneSAM,
        "sam-l2": optimizers.L2SAM,
        "sam-linf": optimizers.LinfSAM,
        "optimizer": optimizers.GD,
    }
)
