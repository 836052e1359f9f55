"""Momentum: its steps, and its limit."""
