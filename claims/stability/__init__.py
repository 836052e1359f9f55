"""Stability thresholds, and the edge of stability."""
