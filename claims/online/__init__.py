"""Sequences against which Adam fails."""
