"""Update rules, one a file, written as the papers write them, over a gradient oracle."""

from importlib import import_module
from pkgutil import iter_modules

from limitpoint.optimizers.adagrad import Adagrad
from limitpoint.optimizers.adam import Adam, Moments
from limitpoint.optimizers.amsgrad import AMSGrad
from limitpoint.optimizers.averaged_momentum import AveragedMomentum
from limitpoint.optimizers.decayed_gd import DecayedGD
from limitpoint.optimizers.dnsam import DNSAM
from limitpoint.optimizers.gd import GD
from limitpoint.optimizers.lion import Lion
from limitpoint.optimizers.minibatch import Minibatch
from limitpoint.optimizers.momentum import Momentum
from limitpoint.optimizers.muon import Muon, NewtonSchulzMuon
from limitpoint.optimizers.mup_adam import MuAdam
from limitpoint.optimizers.nesterov import Nesterov
from limitpoint.optimizers.rmsprop import RMSprop
from limitpoint.optimizers.rule import Memoryless, Rule
from limitpoint.optimizers.sam import L2SAM, MSAM, NSAM, USAM, LinfSAM, OneSAM, SharpnessAware
from limitpoint.optimizers.schedule_free import ScheduleFree
from limitpoint.optimizers.steepest_descent import (
    NGD,
    CoordinateDescent,
    SignGD,
    SpectralDescent,
    SteepestDescent,
)
from limitpoint.optimizers.stochastic import OneExample, Stochastic
from limitpoint.optimizers.training import DeepNSAM, DeepRandom, DeepSAM, DeepSGD, Switch

__all__ = [
    "DNSAM",
    "GD",
    "L2SAM",
    "MSAM",
    "NGD",
    "NSAM",
    "USAM",
    "AMSGrad",
    "Adagrad",
    "Adam",
    "AveragedMomentum",
    "CoordinateDescent",
    "DecayedGD",
    "DeepNSAM",
    "DeepRandom",
    "DeepSAM",
    "DeepSGD",
    "LinfSAM",
    "Lion",
    "Memoryless",
    "Minibatch",
    "Moments",
    "Momentum",
    "MuAdam",
    "Muon",
    "Nesterov",
    "NewtonSchulzMuon",
    "OneExample",
    "OneSAM",
    "RMSprop",
    "Rule",
    "ScheduleFree",
    "SharpnessAware",
    "SignGD",
    "SpectralDescent",
    "SteepestDescent",
    "Stochastic",
    "Switch",
]

for _file in iter_modules(__path__):  # a rule registers its role where it stands
    import_module(f"{__name__}.{_file.name}")
