"""Homogeneous networks."""
