"""Sharpness-aware steps on quadratics."""
