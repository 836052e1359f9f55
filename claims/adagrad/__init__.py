"""Adagrad: regret and limit."""
