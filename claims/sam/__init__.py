"""Towards Understanding Sharpness-Aware Minimization."""
