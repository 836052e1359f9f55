"""Implicit Bias of Different Optimizers."""
